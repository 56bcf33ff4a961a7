"""Whether two lines are equal at one input, decided in balls: no tolerance, only digits."""

from dataclasses import dataclass, replace
from typing import Literal

from flint import arb

from autodiff_ref.judge.balls import precision
from autodiff_ref.judge.balls.context import Ties
from autodiff_ref.judge.evaluation import Evaluation, Evaluator, evaluator
from autodiff_ref.judge.limits import BITS, SHORT, agree
from autodiff_ref.judge.readings import explained

__all__ = ["DIGITS", "PRECISIONS", "Comparison", "Evaluation", "Evaluator", "compare", "digits", "evaluator"]

DIGITS = 30
"""two values are equal when they agree to so many digits"""

_BITS = 102
"""relative accuracy of both balls, in bits, at which overlapping ones agree to 30 digits: 2^-102 + 2^-102 < 10^-30"""

PRECISIONS = (128, 512, 2048, 8192)
"""bits: 1 − σ(1000) needs 1,443 to have digits at all"""

ULP = 2.0**-52
"""an ulp of float64, relative"""

TINY = arb(2) ** -1022
"""the smallest normal float64: XLA takes smaller numbers for 0"""

COARSE = 1e-6
"""Lines that readings of constants make equal agree to what these change; more than this share is no evidence."""

_DECIDED: tuple[Ties, ...] = ("left", "right", "mixed", "mixed back")

Outcome = Literal["equal", "different", "kink", "undefined", "undefined in one", "unclear"]


@dataclass(frozen=True)
class Comparison:
    """What balls say of two lines at one input."""

    outcome: Outcome
    component: int = 0
    lacking: int = 0
    """which of the two has no value, where one has"""
    values: tuple[str, str] = ("", "")
    """for a difference: both values of the component, to 30 digits"""
    difference: str = ""
    """for a difference: a certified lower bound of it"""
    resolution: float = 0.0
    """for equal ones that differ with constants as written: the relative change that other readings of these make"""
    gap: float = 0.0
    """and by what share they differ then"""
    vanishes: bool = False
    """for equal ones: both are exactly 0 throughout"""
    bits: int = 0
    """for equal ones: the precision that showed it"""
    ulps: float = 0.0
    """for equal ones that differ with constants as written, or by no more than is allowed: by how many ulps at most"""
    stops_apart: bool = False
    """for equal ones: whether they are iterations that go to the same, and stop elsewhere"""
    tied: bool = False
    """whether numbers that a line compares are equal here"""
    rounded: bool = False
    """whether they are equal only because the input is in its domain up to rounding alone"""
    kinks: int = 0
    """entries at which the gradient has a kink, so that they say nothing"""
    conventions: tuple[str, ...] = ()
    """which one-sided derivative the line takes at these: left, right, between, outside"""
    share: float = 0.0
    """for a difference: its size relative to the entry"""
    by_truth: bool = False
    """for a difference: whether it is from what difference quotients say, and not from the other line"""


def compare(
    a: Evaluator, b: Evaluator, *, start: int = PRECISIONS[0], as_written: bool = False, allowed: float = ULP
) -> Comparison:
    """Decides whether two lines are equal at an input, at growing precision, from `start` on.

    With `as_written` reals that are equal compare as equal, and no tie is a kink: for inputs at which the gradient exists.
    A difference of no more than `allowed`, relative to the entry, counts as equal, and is measured in ulps.

    - different: the balls of some component are further apart than `allowed`; certified for constants as written, and no
      other reading of these makes the lines equal.
    - equal: all components agree to 30 digits, or as far as inexact constants allow, or vanish.
    - kink: reals compared in a line tie, and what the line is depends on how the tie is decided.
    - undefined: both lines have a value that does not exist, as 1/0.
    - undefined in one: only one of them has: where its singularity can be removed, that is no mistake.
    - unclear: the highest precision did not decide.
    """
    for bits in PRECISIONS:
        if bits < start:
            continue
        with precision(bits):
            at_a, at_b = a(bits, "exact", "exact"), b(bits, "exact", "exact")
            pairs = list(zip(at_a.values, at_b.values, strict=True))
            if at_a.unresolved or at_b.unresolved:
                continue
            exist = [u.is_finite() and v.is_finite() for u, v in pairs]
            apart = [k for k, (u, v) in enumerate(pairs) if exist[k] and not u.overlaps(v)]
            if not all(exist):  # the components that exist may differ all the same
                found = None if at_a.tied or at_b.tied or not apart else _judged(a, b, pairs, apart, bits, allowed)
                if found is not None and found.outcome == "different":
                    return found
                continue
            alike = [_agree(u, v) or _both_vanish(u, v, bits) for u, v in pairs]
            if not apart and not all(alike):
                continue
            if as_written:
                variants_a, variants_b = [at_a.values], [at_b.values]
            else:
                variants_a, variants_b = _variants(a, at_a, bits), _variants(b, at_b, bits)
            if variants_a is None or variants_b is None:
                return Comparison("kink", tied=True)
            tied = at_a.tied or at_b.tied
            if not apart:
                return _equal(pairs, bits, tied=tied)
            # whichever way the ties are decided
            apart = [k for k in apart if not any(u[k].overlaps(v[k]) for u in variants_a for v in variants_b)]
            found = _judged(a, b, pairs, apart, bits, allowed) if apart else None
            if found is not None and (found.outcome != "equal" or all(alike[k] or k in apart for k in range(len(pairs)))):
                return replace(found, tied=tied)
    last_a, last_b = (line(PRECISIONS[-1], "exact", "exact") for line in (a, b))
    exists = [all(value.is_finite() for value in last.values) for last in (last_a, last_b)]
    if not all(exists):
        return Comparison("undefined in one", lacking=exists.index(False)) if any(exists) else Comparison("undefined")
    return Comparison("kink" if last_a.unresolved or last_b.unresolved else "unclear")


def has_no_kink(program: Evaluator) -> bool:
    """Whether a program has a value at an input, the same however reals that tie in it compare."""
    for bits in PRECISIONS:
        at = program(bits, "exact", "exact")
        if not at.unresolved and all(value.is_finite() for value in at.values):
            return _variants(program, at, bits) is not None
        if at.unresolved and all(_are_exactly(program(bits, "exact", ties).values, at.values) for ties in _DECIDED):
            return True
    return False


def _are_exactly(values: tuple[arb, ...], others: tuple[arb, ...]) -> bool:
    """Whether values are known exactly, as outcomes of comparisons are, and equal."""
    return all(bool(u == v) for u, v in zip(values, others, strict=True))  # a ball that is wider equals nothing


def _judged(
    a: Evaluator, b: Evaluator, pairs: list[tuple[arb, arb]], apart: list[int], bits: int, allowed: float
) -> Comparison | None:
    """Of lines that differ as written: whether they do in every reading of constants; None where more digits must say."""
    ulps = max(ulps_between(*pairs[k]) for k in apart)
    far = [k for k in apart if ulps_between(*pairs[k]) > allowed / ULP]
    gap = max(float(abs(pairs[k][0] - pairs[k][1]).abs_upper()) for k in apart)
    if not far:
        return _equal(pairs, bits, 0.0, gap, ulps=ulps)
    if _go_to_the_same(a, b, pairs):
        return replace(_equal(pairs, bits, 0.0, gap, ulps=ulps), stops_apart=True)
    if not (a.constants or b.constants):
        return _different(pairs, far)
    found = explained(a, b, far, bits)
    if found is None:
        return Comparison("kink", tied=True)
    if found.beyond:
        return _different(pairs, found.beyond)
    if not found.settled:
        return None
    return _equal(pairs, bits, found.reach, gap, ulps=ulps)


def _go_to_the_same(a: Evaluator, b: Evaluator, pairs: list[tuple[arb, arb]]) -> bool:
    """Whether lines with iterations differ only in where these stop: near what they go to, and that is the same."""
    if not (a.iterates or b.iterates):
        return False
    with precision(BITS):
        ends = list(zip(a.at_limits(), b.at_limits(), strict=True))
    return all(
        agree(end, other) and share_of(stop, end) < SHORT and share_of(its_stop, other) < SHORT
        for (end, other), (stop, its_stop) in zip(ends, pairs, strict=True)
    )


def share_of(u: arb, v: arb) -> float:
    """How far two values are apart, relative to the larger."""
    size = abs(u).abs_upper().max(abs(v).abs_upper())
    return float((abs(u - v).abs_upper() / size).mid()) if size > 0 else 0.0


def ulps_between(u: arb, v: arb) -> float:
    """By how many ulps of the larger two values are apart; below the smallest normal number that number is an ulp."""
    below_normal = abs(u) < TINY and abs(v) < TINY
    return float(abs(u - v).abs_upper() / TINY) if below_normal else share_of(u, v) / ULP


def _agree(u: arb, v: arb) -> bool:
    return u.overlaps(v) and u.rel_accuracy_bits() >= _BITS and v.rel_accuracy_bits() >= _BITS


def _both_vanish(u: arb, v: arb, bits: int) -> bool:
    """Whether both hold 0 and nothing as large as 2^-bits/2: a sum that cancels, of which no digit shows.

    At 2048 bits that is the smallest normal float64, and what is smaller than it beside larger terms is no gradient.
    """
    limit = arb(2) ** (-bits // 2)
    return bits >= 2048 and bool(abs(u) < limit) and bool(abs(v) < limit)


def _variants(line: Evaluator, at: Evaluation, bits: int) -> list[tuple[arb, ...]] | None:
    """A line's value with its ties decided in several ways: None where it differs, as ReLU's slope at 0 does, but not σ."""
    if not at.tied:
        return [at.values]
    others = [line(bits, "exact", ties) for ties in _DECIDED]
    for other in others:
        if other.unresolved or not all(
            v.is_finite() and u.overlaps(v) for u, v in zip(at.values, other.values, strict=True)
        ):
            return None
    return [at.values, *(other.values for other in others)]


def _different(pairs: list[tuple[arb, arb]], apart: list[int]) -> Comparison:
    gaps = {k: abs(pairs[k][0] - pairs[k][1]).abs_lower() for k in apart}
    k = max(apart, key=lambda k: float(gaps[k] / (abs(pairs[k][0]).abs_upper() + abs(pairs[k][1]).abs_upper())))
    return different(k, *pairs[k])


def different(k: int, ours: arb, theirs: arb, *, by_truth: bool = False) -> Comparison:
    """Two values of an entry that certainly differ."""
    return Comparison(
        "different",
        k,
        values=(digits(ours), digits(theirs)),
        difference=abs(ours - theirs).abs_lower().mid().str(2, radius=False),
        share=share_of(ours, theirs),
        by_truth=by_truth,
    )


def _equal(
    pairs: list[tuple[arb, arb]], bits: int, reach: float = 0.0, gap: float = 0.0, *, ulps: float = 0.0, tied: bool = False
) -> Comparison:
    scale = max((float(abs(u).abs_upper()) for u, _ in pairs), default=0.0) or 1.0
    if reach > COARSE * scale:
        return Comparison("unclear", resolution=reach / scale)
    vanishes = all(u == 0 and v == 0 for u, v in pairs)
    return Comparison("equal", resolution=reach / scale, gap=gap / scale, vanishes=vanishes, bits=bits, ulps=ulps, tied=tied)


def digits(value: arb) -> str:
    """A ball's first 30 digits, fewer where it holds fewer."""
    return value.str(DIGITS, radius=False)


def shown_number(value: arb, most: int = DIGITS) -> str:
    """The digits of a ball's middle; 0 for a ball around 0 of which it has none, which would be shown as 0e-615."""
    text = str(value.str(most, radius=False))
    return "0" if text.startswith("0e") else text
