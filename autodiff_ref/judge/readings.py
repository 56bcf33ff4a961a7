"""Whether two lines that differ with constants as written are equal under another reading of these, as 0.1 w and w/10 are.

A float constant of more than 24 significant bits stands for a real number within an ulp of it: for the same one wherever it
stands in the two lines, and as its double for twice that. Read as doubles, the lines differ by d₀. To first order, the
readings change that by at most Σ_k |d(c_k ± ulp) − d₀|, their reach, with one constant after the other moved; a part in
10^16 is too little for curvature to matter. Where d₀ is beyond `MARGIN` times their reach, the lines differ. A part in 10^9
is far beyond.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from flint import arb

from autodiff_ref.judge.balls.context import Moved
from autodiff_ref.judge.evaluation import Evaluation, Evaluator

MARGIN = 4
"""So many times their reach constants are taken to explain: 0.67 · 0.67, worked out in floats, is 2 ulps from 0.4489."""

_TELLING = 2.0**-20
"""the share of a size that readings may leave open: where they leave more, they say nothing"""

MOST = 8
"""so many constants are moved one by one; of more, the balls c ± ulp(c) say what they reach, wider"""

_NARROW = 2.0**-10
"""beside a difference, what may be left open of it"""


def is_in_reach(gap: arb, left_open: arb, size: arb) -> bool:
    """Whether what rounded constants leave open explains a gap: it does if that is little of a size, and not otherwise."""
    return bool(left_open < size * arb(_TELLING)) and bool(gap <= MARGIN * left_open)


@dataclass(frozen=True)
class Explained:
    """What readings of the constants say of components that differ with constants as written."""

    beyond: list[int]
    """the components in which no reading makes the lines equal"""
    reach: float = 0.0
    """the largest that readings change an other component by"""
    settled: bool = True
    """whether more digits would not change that"""


def explained(a: Evaluator, b: Evaluator, apart: Sequence[int], bits: int) -> Explained | None:
    """Which of the components `apart` differ in every reading; None where what they are hangs on how reals compare."""
    ours, theirs = a(bits, "balls", "exact"), b(bits, "balls", "exact")
    plain = a(bits, "exact", "exact"), b(bits, "exact", "exact")
    if ours.unresolved or theirs.unresolved:  # the comparisons may hang on it, and what comes of them not, as in a bisection
        return _beyond_each(plain, _moved(a, b, bits, len(a.constants | b.constants)), apart)
    gaps = {k: _difference(*plain, k) for k in apart}
    widths = {k: _difference(ours, theirs, k).rad() for k in apart}  # at least the reach
    beyond = [k for k in apart if widths[k].is_finite() and abs(gaps[k]).abs_lower() > MARGIN * widths[k]]
    moved = [] if beyond else _moved(a, b, bits)
    if not moved:
        return Explained(beyond, max(map(float, widths.values())))
    reaches, settled = list[float](), True
    for k, gap in gaps.items():
        changes = [[abs(_difference(*at, k) - gap) for at in ends] for ends in moved]
        reach = sum((max(up.abs_upper() for up in ends) for ends in changes), start=arb(0))
        if abs(gap).abs_lower() > MARGIN * reach:
            beyond.append(k)
        reaches.append(float(reach.abs_upper()))
        open_ = sum((max(change.rad() for change in ends) for ends in changes), start=arb(0))
        settled = settled and bool(open_ < _NARROW * abs(gap).abs_lower())
    return Explained(beyond, max(reaches), settled)


def _beyond_each(
    plain: tuple[Evaluation, Evaluation], moved: list[list[tuple[Evaluation, Evaluation]]], apart: Sequence[int]
) -> Explained | None:
    """That all of the components differ in every reading; None where that cannot be said.

    Each constant was moved by as many ulps as there are constants: a comparison that turns where all of them move together
    turns where the one moves so far on which it hangs the most.
    """
    for k in apart:
        gap = _difference(*plain, k)
        reach = sum((max(abs(_difference(*at, k) - gap).abs_upper() for at in ends) for ends in moved), start=arb(0))
        if not moved or not abs(gap).abs_lower() > MARGIN * reach:
            return None
    return Explained(list(apart))


def _moved(a: Evaluator, b: Evaluator, bits: int, ulps: int = 1) -> list[list[tuple[Evaluation, Evaluation]]]:
    """Both lines with each constant moved up and down; empty where that cannot be looked at."""
    constants = a.constants | b.constants
    if len(constants) > MOST:
        return []
    moved = [
        [(a(bits, Moved(each, step), "exact"), b(bits, Moved(each, step), "exact")) for step in (ulps, -ulps)]
        for each in sorted(constants)
    ]
    usable = not any(at.unresolved for ends in moved for pair in ends for at in pair)
    return moved if usable else []


def _difference(ours: Evaluation, theirs: Evaluation, k: int) -> arb:
    return ours.values[k] - theirs.values[k]
