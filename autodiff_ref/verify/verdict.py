"""Whether two lines are equal at one input, decided in balls: no tolerance, only digits."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import jax
import numpy as np
from flint import arb

from autodiff_ref.verify.balls import Context, exact, precision
from autodiff_ref.verify.walker.plans import Plan

DIGITS = 30
"""two values are equal when they agree to so many digits"""

_BITS = 102
"""relative accuracy of both balls, in bits, at which overlapping ones agree to 30 digits: 2^-102 + 2^-102 < 10^-30"""

PRECISIONS = (128, 512, 2048, 8192)
"""bits: 1 − σ(1000) needs 1,443 to have digits at all"""

COARSE = 1e-6
"""Where constants are c ± ulp(c), two lines agree to what that leaves; less than this share is no evidence."""

Outcome = Literal["equal", "different", "kink", "undefined", "undefined in one", "unclear"]


@dataclass(frozen=True)
class Evaluation:
    """A line's value at one input and precision: one ball for each component, and what happened on the way."""

    values: tuple[arb, ...]
    tied: bool
    unresolved: bool


Evaluator = Callable[[int, str, str], Evaluation]
"""(bits, constants, ties) -> value of a line at an input"""


@dataclass(frozen=True)
class Comparison:
    """What balls say of two lines at one input."""

    outcome: Outcome
    component: int = 0
    values: tuple[str, str] = ("", "")
    """for a difference: both values of the component, to 30 digits"""
    difference: str = ""
    """for a difference: a certified lower bound of it"""
    resolution: float = 0.0
    """for equal ones: the relative width that inexact constants leave"""
    vanishes: bool = False
    """for equal ones: both are exactly 0 throughout"""
    bits: int = 0
    """for equal ones: the precision that showed it"""


def evaluator(plan: Plan, args: tuple[Any, ...]) -> Evaluator:
    """The line behind a plan, at one input; each precision is computed once."""
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(args)]
    balls = [exact(leaf) if np.issubdtype(leaf.dtype, np.floating) else leaf for leaf in leaves]

    @cache
    def evaluate(bits: int, constants: str, ties: str) -> Evaluation:
        context = Context(constants=constants, ties=ties)  # pyright: ignore[reportArgumentType]
        with precision(bits):
            outputs = plan.run(context, *balls)
        values = tuple(_as_ball(value) for output in outputs for value in np.ravel(output))
        return Evaluation(values, context.tied, context.unresolved)

    return evaluate


def _as_ball(value: Any) -> arb:
    return value if isinstance(value, arb) else arb(int(value))


def compare(a: Evaluator, b: Evaluator, *, constants_are_exact: bool, start: int = PRECISIONS[0]) -> Comparison:
    """Decides whether two lines are equal at an input, at growing precision, from `start` on.

    - different: the balls of some component are disjoint; certified.
    - equal: all components agree to 30 digits, or as far as inexact constants allow, or vanish.
    - kink: reals compared in a line tie, and what the line is depends on how the tie is decided.
    - undefined: both lines have a value that does not exist, as 1/0.
    - undefined in one: only one of them has: where its singularity can be removed, that is no mistake.
    - unclear: the highest precision did not decide.
    """
    before: list[float] | None = None
    for bits in PRECISIONS:
        if bits < start:
            continue
        with precision(bits):
            at_a, at_b = a(bits, "balls", "exact"), b(bits, "balls", "exact")
            pairs = list(zip(at_a.values, at_b.values, strict=True))
            if at_a.unresolved or at_b.unresolved:
                continue
            exist = [u.is_finite() and v.is_finite() for u, v in pairs]
            if not all(exist):  # the components that exist may differ all the same
                apart = [k for k, (u, v) in enumerate(pairs) if exist[k] and not u.overlaps(v)]
                if apart and not (at_a.tied or at_b.tied):
                    return _different(pairs, apart)
                continue
            apart = [k for k, (u, v) in enumerate(pairs) if not u.overlaps(v)]
            widths = [float((u - v).rad()) for u, v in pairs]
            # where constants are inexact, more precision stops making a ball narrower: it is as wide as they leave it
            limits = [
                not constants_are_exact and before is not None and width > 0.5 * before[k] for k, width in enumerate(widths)
            ]
            before = widths
            if not apart and not all(
                _agree(u, v) or limit or _both_vanish(u, v, bits) for (u, v), limit in zip(pairs, limits, strict=True)
            ):
                continue
            variants_a, variants_b = _variants(a, at_a, bits), _variants(b, at_b, bits)
            if variants_a is None or variants_b is None:
                return Comparison("kink")
            if apart:  # whichever way the ties are decided
                apart = [k for k in apart if not any(u[k].overlaps(v[k]) for u in variants_a for v in variants_b)]
                if not apart:
                    continue
            return _different(pairs, apart) if apart else _equal(pairs, bits)
    last_a, last_b = (line(PRECISIONS[-1], "balls", "exact") for line in (a, b))
    exists = [all(value.is_finite() for value in last.values) for last in (last_a, last_b)]
    if not all(exists):
        return Comparison("undefined in one" if any(exists) else "undefined")
    return Comparison("kink" if last_a.unresolved or last_b.unresolved else "unclear")


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
    others = [line(bits, "balls", ties) for ties in ("left", "right", "mixed", "mixed back")]
    for other in others:
        if other.unresolved or not all(
            v.is_finite() and u.overlaps(v) for u, v in zip(at.values, other.values, strict=True)
        ):
            return None
    return [at.values, *(other.values for other in others)]


def _different(pairs: list[tuple[arb, arb]], apart: list[int]) -> Comparison:
    gaps = {k: abs(pairs[k][0] - pairs[k][1]).abs_lower() for k in apart}
    k = max(apart, key=lambda k: float(gaps[k] / (abs(pairs[k][0]).abs_upper() + abs(pairs[k][1]).abs_upper())))
    values = (digits(pairs[k][0]), digits(pairs[k][1]))
    return Comparison("different", k, values, gaps[k].mid().str(2, radius=False))


def _equal(pairs: list[tuple[arb, arb]], bits: int) -> Comparison:
    scale = max((float(abs(u).abs_upper()) for u, _ in pairs), default=0.0)
    wide = [float((u - v).rad()) for u, v in pairs if not _agree(u, v)]
    resolution = max(wide, default=0.0) / scale if scale else 0.0
    if resolution > COARSE:
        return Comparison("unclear", resolution=resolution)
    vanishes = all(u == 0 and v == 0 for u, v in pairs)
    return Comparison("equal", resolution=resolution, vanishes=vanishes, bits=bits)


def digits(value: arb) -> str:
    """A ball's first 30 digits, fewer where it holds fewer."""
    return value.str(DIGITS, radius=False)
