"""Whether two lines that differ with constants as written are equal under another reading of these, as 0.1 w and w/10 are.

A float constant of more than 24 significant bits stands for a real number within an ulp of it: for the same one wherever it
stands in the two lines, and as its double for twice that. Read as doubles, the lines differ by d₀. To first order, the
readings change that by at most Σ_k |d(c_k ± ulp) − d₀|, their reach, with one constant after the other moved; a part in
10^16 is too little for curvature to matter. Where d₀ is beyond `MARGIN` times their reach, the lines differ. A part in 10^9
is far beyond.

Of many constants, the balls c ± ulp(c) say what they reach at most. They forget that a constant is the same number wherever
it stands, so in (f(x + h) − f(x))/h they reach far. There all n constants are moved at once, each by a random share of an
ulp: that changes d₀ by Σ_k / √(3n) at least, in the mean of the squares.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from flint import arb

from autodiff_ref.judge.balls.context import AllMoved, Moved
from autodiff_ref.judge.evaluation import Evaluation, Evaluator

MARGIN = 4
"""So many times their reach constants are taken to explain: 0.67 · 0.67, worked out in floats, is 2 ulps from 0.4489."""

_TELLING = 2.0**-20
"""the share of a size that readings may leave open: where they leave more, they say nothing"""

MOST = 8
"""so many constants are moved one by one"""

PATTERNS = 8
"""in so many ways more of them are moved at once"""

_FINE = 2.0**-42
"""the share of a size that balls may leave open: no mistake that is looked for hides behind it"""

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
    is_fine = all(_is_fine(widths[k], plain[1].values[k]) for k in apart)
    moved = [] if beyond else _moved(a, b, bits) or ([] if is_fine else _moved_at_once(a, b, bits))
    if not moved:
        return Explained(beyond, max(map(float, widths.values())))
    reaches, settled = list[float](), True
    count = len(a.constants | b.constants)
    share = arb(1 if count <= MOST else share_at_once(count))
    for k, gap in gaps.items():
        changes = [[abs(_difference(*at, k) - gap) for at in ends] for ends in moved]
        reach = sum((max(up.abs_upper() for up in ends) for ends in changes), start=arb(0)) * share
        if abs(gap).abs_lower() > MARGIN * reach:
            beyond.append(k)
        reaches.append(float(reach.abs_upper()))
        open_ = sum((max(change.rad() for change in ends) for ends in changes), start=arb(0))
        settled = settled and bool(open_ < _NARROW * abs(gap).abs_lower())
    return Explained(beyond, max(reaches), settled)


def in_any_reading(line: Evaluator, bits: int) -> tuple[arb, ...]:
    """A line's values, as balls that hold what readings of its constants make of them."""
    loose, plain = line(bits, "balls", "exact"), line(bits, "exact", "exact")
    if plain.unresolved or all(_is_fine(ball.rad(), ball) for ball in loose.values):
        return loose.values
    moved = [line(bits, AllMoved(k), "exact") for k in range(PATTERNS)]
    if any(at.unresolved for at in moved):
        return loose.values
    share = arb(MARGIN * share_at_once(len(line.constants)))
    reaches = [sum((abs(at.values[k] - v).upper() for at in moved), start=v.rad()) for k, v in enumerate(plain.values)]
    return tuple(
        arb(value.mid(), ball.rad().min(reach * share)) if reach.is_finite() else ball
        for value, ball, reach in zip(plain.values, loose.values, reaches, strict=True)
    )


def _is_fine(width: arb, value: arb) -> bool:
    return bool(width < arb(_FINE) * abs(value).abs_lower())


def share_at_once(count: int) -> float:
    """What changes when all of `count` constants are moved at random, added up, say of their reach: this share of them."""
    return (3 * count) ** 0.5 / PATTERNS


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


def _moved_at_once(a: Evaluator, b: Evaluator, bits: int) -> list[list[tuple[Evaluation, Evaluation]]]:
    """Both lines with all constants moved, in several ways; empty where that cannot be looked at."""
    moved = [(a(bits, AllMoved(k), "exact"), b(bits, AllMoved(k), "exact")) for k in range(PATTERNS)]
    return [] if any(at.unresolved for pair in moved for at in pair) else [[pair] for pair in moved]


def _difference(ours: Evaluation, theirs: Evaluation, k: int) -> arb:
    return ours.values[k] - theirs.values[k]
