"""The gradient at an input, as exactly as it can be had: the one place where the assertion asks the reference for it.

Balls say it with as many digits as are asked for. Where they take too long, floats with rounding bounds do, and where these
are wide, floats of more digits.
"""

from dataclasses import dataclass

import jax
import numpy as np
from flint import arb

from autodiff_ref.judge.assertion.sides import Side
from autodiff_ref.judge.balls.context import Reading, Ties
from autodiff_ref.judge.comparing import PRECISIONS, Evaluation, Evaluator
from autodiff_ref.judge.limits import with_limits
from autodiff_ref.judge.program.plans import Array, Constant
from autodiff_ref.judge.truth import UNKNOWN, Truth, truth_of

MOST = 5_000_000
"""Operations that balls do in a second or two: beyond, floats decide alone."""

BALLS_FIRST = 100_000
"""Operations up to which balls are asked without asking floats first."""

TELLING = 1e-6
"""Bounds no wider than this share of a component would have shown a mistake of that size."""


def telling(eps: float) -> float:
    """The same for code that is known by what it returns in its precision: 1e-3 in float32, whose sums lose 1e-5.

    In float16 it is 3 %, in bfloat16 10 %: 32 and 13 units.
    """
    return max(TELLING, min(0.1, 32 * eps)) if eps > 2.0**-18 else max(TELLING, 2.0**13 * eps)


NEGLIGIBLE, MOST_NEGLIGIBLE = 64, 2.0**-5
"""Ulps of the largest component, and at most this share of it: what is smaller is no size that matters beside it."""


@dataclass(frozen=True)
class Exact:
    """The gradient, flat: high + low, known up to `radius`."""

    high: Array
    low: Array
    radius: Array

    @property
    def size(self) -> Array:
        """|exact|, as a float."""
        return np.abs(self.high)

    def minus(self, other: "Exact") -> Array:
        """The difference of two, as floats."""
        return ((self.high - other.high) + (self.low - other.low)).astype(np.float64)

    def matters(self, gaps: Array, eps: float) -> Array:
        """The components that are not vanishingly small beside the largest, nor off by no more than that."""
        with np.errstate(all="ignore"):
            share = min(NEGLIGIBLE * eps, MOST_NEGLIGIBLE)
            return ~(np.maximum(self.size, gaps) <= share * np.max(self.size, initial=0.0))


class _Known(Evaluator):
    """A gradient whose entries are known, some of them otherwise than by JAX; of those on a kink, JAX's are taken."""

    def __init__(self, by_jax: Evaluator, truth: Truth) -> None:
        self._by_jax, self._truth = by_jax, truth

    @property
    def constants(self) -> frozenset[Constant]:
        """Those of JAX's derivative."""
        return self._by_jax.constants

    def __call__(self, bits: int, constants: Reading, ties: Ties) -> Evaluation:
        """The entries at a precision."""
        at = self._by_jax(bits, constants, ties)
        values = [
            value if entry.value is None else arb(entry.value, entry.error)
            for value, entry in zip(at.values, self._truth.entries, strict=True)
        ]
        is_open = any(entry.value is None for entry in self._truth.entries)
        return Evaluation(tuple(values), at.tied and is_open, at.unresolved and is_open)


class Gradient:
    """The gradient at one input: JAX's derivative, and what difference quotients say, which are asked at most once."""

    def __init__(self, reference: Side, arrays: list[Array]) -> None:
        self._reference, self._arrays = reference, arrays
        self._truth: Truth | None = None
        self.by_jax = reference.at(arrays)

    def truth(self) -> Truth:
        """What is known of it; nothing where balls of the function take too long."""
        if self._truth is None:
            self._truth = self._asked(self.by_jax)
        return self._truth

    def by_quotients(self) -> Truth:
        """The same without JAX's derivative."""
        return self._asked(None)

    def _asked(self, by_jax: Evaluator | None) -> Truth:
        reference = self._reference
        if reference.of is None or reference.work > BALLS_FIRST:
            return Truth((UNKNOWN,))
        by = [k for k, fixed in enumerate(reference.labels) if not fixed]
        sizes = [int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(reference.value)]
        found = truth_of(reference.of, self._arrays, by, by_jax, sizes)
        return found if by_jax is None else with_limits(found, reference.of, by_jax, self._arrays, by, sizes)

    def value(self) -> Evaluator:
        """What it is: JAX's derivative, but where that is not to be trusted: at a tie, without a value, or as was asked."""
        if self._truth is None:
            at = self.by_jax(PRECISIONS[0], "exact", "exact")
            if not (at.tied or at.unresolved) and all(value.is_finite() for value in at.values):
                return self.by_jax
        truth = self.truth()
        return self.by_jax if truth.confirmed or not truth.is_known else _Known(self.by_jax, truth)


def exact_at(reference: Side, arrays: list[Array]) -> Exact | None:
    """The gradient at arrays; None where it does not exist, or its digits cannot be had."""
    if reference.work <= BALLS_FIRST:
        at = settled(Gradient(reference, arrays).value())
        return None if at is None else of_balls(at)
    try:
        value, error = reference.bounded(arrays, wide=True)
        if np.all(tells(error, value, 2.0**-52)) and not reference.ties(arrays):
            return Exact(value, np.zeros_like(value), error)
    except NotImplementedError:
        pass
    if reference.work <= MOST:
        at = settled(Gradient(reference, arrays).value())
        return None if at is None else of_balls(at)
    return of_extended(reference, arrays)


def of_balls(at: Evaluation) -> Exact:
    """The middles of balls, in two floats each, and their radii."""
    high, radius = floats(at)
    low = np.array([float(v - arb(h)) if np.isfinite(h) else 0.0 for v, h in zip(at.values, high, strict=True)])
    return Exact(high, low, radius)


def of_extended(side: Side, arrays: list[Array]) -> Exact | None:
    """What floats of more digits give, up to a share of what float64 is off; None where they cannot, or it ties."""
    try:
        fine, tied = side.extended(arrays)
        plain = side.plainly(arrays)
    except NotImplementedError:
        return None
    if tied or not np.all(np.isfinite(fine)):
        return None
    with np.errstate(all="ignore"):
        high = fine.astype(np.float64)
        off, size = np.abs(plain - fine).astype(np.float64), np.abs(high)
        # a component may be right by chance: errors are taken to be alike in all of them, absolutely or relatively
        alike = np.minimum(np.max(off, initial=0.0), size * np.max(np.where(size > 0, off / size, 0.0), initial=0.0))
        radius = np.maximum(off, alike) / 64 + 2.0**-56 * size
    return Exact(high, (fine - high).astype(np.float64), radius)


def tells(bound: Array, wanted: Array, eps: float) -> Array:
    """Where a difference of a bound's size would be a small share of the value, or both vanish beside the largest.

    Nowhere without information: a bound that is infinite or NaN tells nothing.
    """
    with np.errstate(all="ignore"):
        size = np.abs(wanted)
        finite = np.isfinite(bound) & np.isfinite(size)
        most = np.max(np.where(finite, size, 0.0), initial=0.0)
        return finite & ((bound <= TELLING * size) | (bound + size <= NEGLIGIBLE * eps * most))


def floats(balls: Evaluation) -> tuple[Array, Array]:
    """The middles of balls, and their radii."""
    return np.array([float(v) for v in balls.values]), np.array([float(v.rad()) for v in balls.values])


def settled(side: Evaluator) -> Evaluation | None:
    """The value at the first precision that gives it 64 bits, or no more than the one before; None where it has none.

    Constants are balls, but where that leaves open how reals compare: there they are their doubles, as floats have them.
    """
    for reading in ("balls", "exact"):
        before, last = None, None
        for bits in PRECISIONS:
            at = side(bits, reading, "exact")
            if at.unresolved or not all(v.is_finite() for v in at.values):
                continue
            accuracy = [v.rel_accuracy_bits() for v in at.values]
            if all(a >= 64 for a in accuracy) or accuracy == before:
                return at
            before, last = accuracy, at
        if last is not None or not side.constants:
            return last
    return None
