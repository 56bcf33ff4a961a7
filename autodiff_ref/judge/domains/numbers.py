"""Rows for real numbers: any, above or from 0 on, between two ends, in order."""

from collections.abc import Iterable, Iterator
from fractions import Fraction

import numpy as np

from autodiff_ref.judge.domains.row import (
    FARTHEST,
    D,
    How,
    Row,
    Simple,
    Source,
    Symbols,
    Values,
    by_input,
    each,
    ordinary_bound,
    rounded,
    simpler_reals,
)
from manual_grad.domains import Dim, Intervals, Nonnegatives, Positives, Reals, SortedReals


class _WithZeros(Row[D]):
    """Numbers of a domain in which 0 may stand anywhere."""

    scales = True

    def boundary(self, leaf: D) -> list[Values]:
        """0"""
        return [np.zeros(leaf.shape)]

    def edge(self, leaf: D, x: Values, mask: Values, source: Source) -> Values:
        """0 at some entries."""
        return np.where(mask, 0.0, x)

    def inner(self, leaf: D, x: Values) -> Values:
        """No zeros."""
        return np.where(x == 0, ordinary_bound(leaf.shape) / 2, x)


class RealRow(_WithZeros[Reals]):
    """Any real numbers."""

    linear = free = True

    def draw(self, leaf: Reals, how: How, source: Source) -> Values:
        """Multiples of 2^-20 of what keeps products over the last axis below 5, times a scale."""
        return any_reals(leaf.shape, how, source)

    def contains(self, leaf: Reals, x: Values) -> bool:
        """All finite ones."""
        return bool(np.all(np.isfinite(x)))

    def moved(self, leaf: Reals, x: Values, step: Values, along: Values, rng: np.random.Generator) -> Values:
        """By steps of their own size."""
        return moved_reals(x, step, along)

    def simple(self, leaf: Reals, simple: Simple) -> Values:
        """Short numbers."""
        return simple.numbers(leaf.shape)

    def simpler(self, leaf: Reals, value: float) -> Iterable[float]:
        """0, ±1, or fewer digits."""
        return simpler_reals(value)

    def grid(self, leaf: Reals) -> tuple[float, ...]:
        """From −1000 to 1000."""
        return REALS


class PositiveRow(Row[Positives]):
    """Real numbers above 0."""

    scales = True

    def draw(self, leaf: Positives, how: How, source: Source) -> Values:
        """From 1/4 to 4, times a scale."""
        return 2.0 ** (2 * np.asarray(source.units((len(how), *leaf.shape)))) * by_input(how.scale, leaf.shape)

    def contains(self, leaf: Positives, x: Values) -> bool:
        """All above 0."""
        return bool(np.all((x > 0) & np.isfinite(x)))

    def moved(self, leaf: Positives, x: Values, step: Values, along: Values, rng: np.random.Generator) -> Values:
        """By factors."""
        return np.clip(x * np.exp2(step), 2.0**-16, 2.0**16)

    def simple(self, leaf: Positives, simple: Simple) -> Values:
        """1, 2, ½, …"""
        return simple.choice(SIMPLE_POSITIVES, leaf.shape)

    def simpler(self, leaf: Positives, value: float) -> Iterable[float]:
        """1, or fewer digits."""
        return (1.0, *(short for short in rounded(value) if short > 0))

    def symbols(self, leaf: Positives, write: Symbols) -> Values:
        """Symbols above 0."""
        return each(leaf.shape, lambda: write.symbol(Fraction(0)))

    def bounds(self, leaf: Positives) -> tuple[float, float]:
        """From 0 on."""
        return 0.0, np.inf

    def grid(self, leaf: Positives) -> tuple[float, ...]:
        """From 2^-20 to 1000."""
        return tuple(geometric(2.0**-20, FAR, 1.25))

    def said(self, leaf: Positives, name: str) -> str:
        """x > 0"""
        return f"{name} > 0"


class NonnegativeRow(_WithZeros[Nonnegatives]):
    """Real numbers from 0 on. Proofs are about those above 0; balls are asked at 0."""

    def draw(self, leaf: Nonnegatives, how: How, source: Source) -> Values:
        """Sizes of real numbers."""
        return np.abs(any_reals(leaf.shape, how, source))

    def contains(self, leaf: Nonnegatives, x: Values) -> bool:
        """None below 0."""
        return bool(np.all((x >= 0) & np.isfinite(x)))

    def moved(self, leaf: Nonnegatives, x: Values, step: Values, along: Values, rng: np.random.Generator) -> Values:
        """As real numbers, without their sign."""
        return np.abs(moved_reals(x, step, along))

    def simple(self, leaf: Nonnegatives, simple: Simple) -> Values:
        """0, 1, 2, ½, …"""
        return simple.choice((0.0, *SIMPLE_POSITIVES), leaf.shape)

    def simpler(self, leaf: Nonnegatives, value: float) -> Iterable[float]:
        """0, 1, or fewer digits."""
        return (0.0, 1.0, *rounded(value))

    def bounds(self, leaf: Nonnegatives) -> tuple[float, float]:
        """From 0 on."""
        return 0.0, np.inf

    def symbols(self, leaf: Nonnegatives, write: Symbols) -> Values:
        """Symbols above 0."""
        return each(leaf.shape, lambda: write.symbol(Fraction(0)))

    def grid(self, leaf: Nonnegatives) -> tuple[float, ...]:
        """0, and from 2^-20 to 1000."""
        return (0.0, *geometric(2.0**-20, FAR, 1.25))

    def said(self, leaf: Nonnegatives, name: str) -> str:
        """x ≥ 0"""
        return f"{name} ≥ 0"


class IntervalRow(Row[Intervals]):
    """Real numbers between two ends. Proofs are about what lies strictly between; balls are asked at the ends."""

    scales = True

    def draw(self, leaf: Intervals, how: How, source: Source) -> Values:
        """Between the ends, next to these in "saturated" and "far"."""
        low, high = leaf.low, leaf.high
        share = (1 + np.asarray(source.units((len(how), *leaf.shape)))) / 2
        at_ends = by_input(how.are("saturated", "far"), leaf.shape)
        share = np.where(at_ends, np.where(share < 0.5, share**8, 1 - (1 - share) ** 8), share)
        margin = np.where(by_input(how.are("far"), leaf.shape), 2.0**-20, 2.0**-6)
        return low + (high - low) * (margin + (1 - 2 * margin) * share)

    def contains(self, leaf: Intervals, x: Values) -> bool:
        """All between the ends."""
        inside = (x >= leaf.low) & (x <= leaf.high) if leaf.closed else (x > leaf.low) & (x < leaf.high)
        return bool(np.all(inside))

    def _special(self, leaf: Intervals) -> list[float]:
        return [leaf.low, leaf.high] * leaf.closed + [0.0] * (leaf.low < 0 < leaf.high)

    def boundary(self, leaf: Intervals) -> list[Values]:
        """The ends where they belong to it, and 0 where it lies inside."""
        return [np.full(leaf.shape, value) for value in self._special(leaf)]

    def edge(self, leaf: Intervals, x: Values, mask: Values, source: Source) -> Values:
        """An end or 0 at some entries."""
        special = np.array(self._special(leaf))
        return np.where(mask, special[np.asarray(source.integers(0, len(special) - 1, x.shape))], x)

    def moved(self, leaf: Intervals, x: Values, step: Values, along: Values, rng: np.random.Generator) -> Values:
        """By shares of its width."""
        width = leaf.high - leaf.low
        margin = 0.0 if leaf.closed else width * 2.0**-20
        return np.clip(x + along + width / 2 * step, leaf.low + margin, leaf.high - margin)

    def simple(self, leaf: Intervals, simple: Simple) -> Values:
        """Half way, a quarter, …"""
        shares = (0.5, 0.25, 0.75, *((0.0, 1.0) if leaf.closed else ()), 0.125, 0.875, 1 / 64, 63 / 64)
        return leaf.low + (leaf.high - leaf.low) * simple.choice(shares, leaf.shape)

    def simpler(self, leaf: Intervals, value: float) -> Iterable[float]:
        """Fewer digits."""
        return (short for short in rounded(value) if self.contains(leaf, np.asarray(short)))

    def symbols(self, leaf: Intervals, write: Symbols) -> Values:
        """Symbols between the ends."""
        low, high = Fraction(repr(leaf.low)), Fraction(repr(leaf.high))
        return each(leaf.shape, lambda: write.symbol(low, high))

    def bounds(self, leaf: Intervals) -> tuple[float, float]:
        """The ends."""
        return leaf.low, leaf.high

    def grid(self, leaf: Intervals) -> tuple[float, ...]:
        """Denser towards both ends."""
        towards = tuple(geometric(2.0**-20, 0.5, 1.4))
        share = (*towards, *(1 - s for s in reversed(towards[:-1])))
        inside = tuple(float(np.float32(leaf.low + (leaf.high - leaf.low) * s)) for s in share)
        return (leaf.low, *inside, leaf.high) if leaf.closed else inside

    def said(self, leaf: Intervals, name: str) -> str:
        """0 < x < 1"""
        sign = "≤" if leaf.closed else "<"
        return f"{leaf.low:g} {sign} {name} {sign} {leaf.high:g}"


class SortedRow(Row[SortedReals]):
    """Real numbers in ascending order along the last axis. Proofs are about different ones; balls look at equal ones."""

    scales = True

    def draw(self, leaf: SortedReals, how: How, source: Source) -> Values:
        """Real numbers, sorted."""
        return np.sort(any_reals(leaf.shape, how, source), axis=-1)

    def contains(self, leaf: SortedReals, x: Values) -> bool:
        """None is below the one before it."""
        return bool(np.all(np.isfinite(x)) and np.all(np.diff(x, axis=-1) >= 0))

    def boundary(self, leaf: SortedReals) -> list[Values]:
        """All equal."""
        return [np.zeros(leaf.shape), np.ones(leaf.shape)]

    def edge(self, leaf: SortedReals, x: Values, mask: Values, source: Source) -> Values:
        """Some entries equal to the one before them, or the first to the second."""
        repeated = np.array(x)
        for k in range(1, x.shape[-1]):
            same = np.any(mask[..., :2], axis=-1) if k == 1 else mask[..., k]
            repeated[..., k] = np.where(same, repeated[..., k - 1], repeated[..., k])
        return repeated

    def moved(self, leaf: SortedReals, x: Values, step: Values, along: Values, rng: np.random.Generator) -> Values:
        """As real numbers, sorted again."""
        return np.sort(moved_reals(x, step, along), axis=-1)

    def mended(self, leaf: SortedReals, x: Values, place: int | None = None) -> Values:
        """Sorted."""
        return np.sort(x, axis=-1)

    def simple(self, leaf: SortedReals, simple: Simple) -> Values:
        """Short numbers, sorted."""
        return np.sort(simple.numbers(leaf.shape), axis=-1)

    def simpler(self, leaf: SortedReals, value: float) -> Iterable[float]:
        """0, ±1, or fewer digits."""
        return simpler_reals(value)

    def tied(self, leaf: SortedReals) -> set[Dim]:
        """The last."""
        return {leaf.dims[-1]}

    def can_cut(self, leaf: SortedReals) -> bool:
        """What is left is sorted."""
        return True

    def symbols(self, leaf: SortedReals, write: Symbols) -> Values:
        """A symbol, and that plus symbols above 0."""
        steps = each(leaf.shape, lambda: write.symbol(Fraction(0)))
        steps[..., 0] = each(leaf.shape[:-1], write.symbol)
        return np.cumsum(steps, axis=-1)

    def said(self, leaf: SortedReals, name: str) -> str:
        """x sorted"""
        return f"{name} sorted"


SIMPLE_POSITIVES = (1.0, 2.0, 0.5, 3.0, 4.0, 0.25, 10.0, 100.0, 0.125)


def any_reals(shape: tuple[int, ...], how: How, source: Source) -> Values:
    """Real numbers of ordinary size, times a scale."""
    drawn = np.asarray(source.units((len(how), *shape))) * ordinary_bound(shape)
    return drawn if how.is_ordinary else drawn * by_input(how.scale, shape)


def moved_reals(x: Values, step: Values, along: Values) -> Values:
    """Real numbers moved by steps of their size; exact in float32 too."""
    bound = ordinary_bound(x.shape[1:])
    size = np.abs(x).reshape(len(x), -1).max(axis=1, initial=0.0)
    scale = by_input(np.where(size > 0, size, bound), x.shape[1:])
    moved = np.clip(x + along + scale * step, -FARTHEST * bound, FARTHEST * bound)
    return moved.astype(np.float32).astype(np.float64)


# Numbers to measure accuracy at

FAR = 1000.0
"""the end of a path of real numbers"""


def geometric(low: float, high: float, ratio: float = 1.15) -> Iterator[float]:
    """Numbers from one to another, each that many times the one before."""
    value = low
    while value < high:
        yield short(value)
        value *= ratio
    yield high


def short(value: float) -> float:
    """The nearest number of 20 significant bits: exact in float32."""
    mantissa, exponent = np.frexp(value)
    return float(np.ldexp(np.round(np.ldexp(mantissa, 20)), exponent - 20))


_UNDERFLOW = (86.0, 87.0, 88.0, 90.0, 95.0, 104.0, 707.0, 708.0, 709.0, 711.0, 716.0, 746.0)
"""between these e^−t becomes subnormal, and 0: in float32 from 87.3 and 104 on, in float64 from 708.4 and 745"""

_UP = tuple(sorted({*geometric(0.25, FAR), *_UNDERFLOW}))
REALS = (*(-value for value in reversed(_UP)), 0.0, *_UP)
