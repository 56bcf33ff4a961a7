"""Real numbers: any, above or from 0 on, between two ends."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Self

import numpy as np

from manual_grad.domains.domain import (
    FARTHEST,
    Dim,
    Entrywise,
    How,
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
from manual_grad.domains.grids import FAR, REALS, geometric

__all__ = ["Intervals", "Nonnegatives", "Positives", "Reals", "intervals", "nonnegatives", "positives", "reals"]


class _WithZeros(Entrywise):
    """Numbers of a domain in which 0 may stand anywhere."""

    scales = True

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """A matrix, and a single number."""
        return cls(("n", "d")), cls(())

    def boundary(self) -> list[Values]:
        """0"""
        return [np.zeros(self.shape)]

    def edge(self, x: Values, mask: Values, source: Source) -> Values:
        """0 at some entries."""
        return np.where(mask, 0.0, x)

    def inner(self, x: Values) -> Values:
        """No zeros."""
        return np.where(x == 0, ordinary_bound(self.shape) / 2, x)


@dataclass(frozen=True)
class Reals(_WithZeros):
    """Any real numbers."""

    linear = free = True

    def draw(self, how: How, source: Source) -> Values:
        """Multiples of 2^-20 of what keeps products over the last axis below 5, times a scale."""
        return any_reals(self.shape, how, source)

    def contains(self, x: Values) -> bool:
        """All finite ones."""
        return bool(np.all(np.isfinite(x)))

    def moved(self, x: Values, step: Values, along: Values, rng: np.random.Generator) -> Values:
        """By steps of their own size."""
        return moved_reals(x, step, along)

    def simple(self, simple: Simple) -> Values:
        """Short numbers."""
        return simple.numbers(self.shape)

    def simpler(self, value: float) -> Iterable[float]:
        """0, ±1, or fewer digits."""
        return simpler_reals(value)

    def grid(self) -> tuple[float, ...]:
        """From −1000 to 1000."""
        return REALS


def reals(*dims: Dim) -> Reals:
    """Any real numbers.

    Args:
        dims: the shape: `reals("n", "d")` is (n, d), `reals()` a single number. A name is one size wherever it stands.

    Raises:
        ValueError: a size is neither a positive int nor a name. So do all constructors of domains.

    Example:
        >>> reals("n", 3).dims
        ('n', 3)
    """
    return Reals(dims)


@dataclass(frozen=True)
class Positives(Entrywise):
    """Real numbers above 0."""

    scales = True

    def draw(self, how: How, source: Source) -> Values:
        """From 1/4 to 4, times a scale."""
        return 2.0 ** (2 * np.asarray(source.units((len(how), *self.shape)))) * by_input(how.scale, self.shape)

    def contains(self, x: Values) -> bool:
        """All above 0."""
        return bool(np.all((x > 0) & np.isfinite(x)))

    def moved(self, x: Values, step: Values, along: Values, rng: np.random.Generator) -> Values:
        """By factors."""
        return np.clip(x * np.exp2(step), 2.0**-16, 2.0**16)

    def simple(self, simple: Simple) -> Values:
        """1, 2, ½, …"""
        return simple.choice(SIMPLE_POSITIVES, self.shape)

    def simpler(self, value: float) -> Iterable[float]:
        """1, or fewer digits."""
        return (1.0, *(short for short in rounded(value) if short > 0))

    def symbols(self, write: Symbols) -> Values:
        """Symbols above 0."""
        return each(self.shape, lambda: write.symbol(Fraction(0)))

    def bounds(self) -> tuple[float, float]:
        """From 0 on."""
        return 0.0, np.inf

    def grid(self) -> tuple[float, ...]:
        """From 2^-20 to 1000."""
        return tuple(geometric(2.0**-20, FAR, 1.25))

    def said(self, name: str) -> str:
        """x > 0"""
        return f"{name} > 0"


def positives(*dims: Dim) -> Positives:
    """Real numbers above 0, in an array of shape `dims`; `nonnegatives` has 0 too.

    Example:
        >>> positives("n").dims
        ('n',)
    """
    return Positives(dims)


@dataclass(frozen=True)
class Nonnegatives(_WithZeros):
    """Real numbers from 0 on. Proofs are about those above 0; balls are asked at 0."""

    def draw(self, how: How, source: Source) -> Values:
        """Sizes of real numbers."""
        return np.abs(any_reals(self.shape, how, source))

    def contains(self, x: Values) -> bool:
        """None below 0."""
        return bool(np.all((x >= 0) & np.isfinite(x)))

    def moved(self, x: Values, step: Values, along: Values, rng: np.random.Generator) -> Values:
        """As real numbers, without their sign."""
        return np.abs(moved_reals(x, step, along))

    def simple(self, simple: Simple) -> Values:
        """0, 1, 2, ½, …"""
        return simple.choice((0.0, *SIMPLE_POSITIVES), self.shape)

    def simpler(self, value: float) -> Iterable[float]:
        """0, 1, or fewer digits."""
        return (0.0, 1.0, *rounded(value))

    def bounds(self) -> tuple[float, float]:
        """From 0 on."""
        return 0.0, np.inf

    def symbols(self, write: Symbols) -> Values:
        """Symbols above 0."""
        return each(self.shape, lambda: write.symbol(Fraction(0)))

    def grid(self) -> tuple[float, ...]:
        """0, and from 2^-20 to 1000."""
        return (0.0, *geometric(2.0**-20, FAR, 1.25))

    def said(self, name: str) -> str:
        """x ≥ 0"""
        return f"{name} ≥ 0"


def nonnegatives(*dims: Dim) -> Nonnegatives:
    """Real numbers from 0 on, 0 included; `positives` leaves it out.

    Example:
        >>> nonnegatives("n", 3).dims
        ('n', 3)
    """
    return Nonnegatives(dims)


class Between(Entrywise):
    """Numbers between two ends."""

    def _special(self) -> list[float]:
        """The ends where they belong to it, and 0 where it lies inside."""
        return []

    def boundary(self) -> list[Values]:
        """These, throughout."""
        return [np.full(self.shape, value) for value in self._special()]

    def edge(self, x: Values, mask: Values, source: Source) -> Values:
        """An end or 0 at some entries."""
        special = np.array(self._special())
        return np.where(mask, special[np.asarray(source.integers(0, len(special) - 1, x.shape))], x)


@dataclass(frozen=True)
class Intervals(Between):
    """Real numbers between two ends. Proofs are about what lies strictly between; balls are asked at the ends."""

    scales = True

    low: float
    high: float
    closed: bool = False

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """Without its ends, with them, and one that 0 is not in."""
        return cls(("n",), -1.0, 2.0), cls(("n",), -1.0, 2.0, closed=True), cls((), 0.5, 0.75, closed=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not -np.inf < self.low < self.high < np.inf:
            raise ValueError(f"an interval needs finite low < high, got low={self.low} and high={self.high}")

    def draw(self, how: How, source: Source) -> Values:
        """Between the ends, next to these in "saturated" and "far"."""
        low, high = self.low, self.high
        share = (1 + np.asarray(source.units((len(how), *self.shape)))) / 2
        at_ends = by_input(how.are("saturated", "far"), self.shape)
        share = np.where(at_ends, np.where(share < 0.5, share**8, 1 - (1 - share) ** 8), share)
        margin = np.where(by_input(how.are("far"), self.shape), 2.0**-20, 2.0**-6)
        return low + (high - low) * (margin + (1 - 2 * margin) * share)

    def contains(self, x: Values) -> bool:
        """All between the ends."""
        inside = (x >= self.low) & (x <= self.high) if self.closed else (x > self.low) & (x < self.high)
        return bool(np.all(inside))

    def _special(self) -> list[float]:
        return [self.low, self.high] * self.closed + [0.0] * (self.low < 0 < self.high)

    def moved(self, x: Values, step: Values, along: Values, rng: np.random.Generator) -> Values:
        """By shares of its width."""
        width = self.high - self.low
        margin = 0.0 if self.closed else width * 2.0**-20
        return np.clip(x + along + width / 2 * step, self.low + margin, self.high - margin)

    def simple(self, simple: Simple) -> Values:
        """Half way, a quarter, …"""
        shares = (0.5, 0.25, 0.75, *((0.0, 1.0) if self.closed else ()), 0.125, 0.875, 1 / 64, 63 / 64)
        return self.low + (self.high - self.low) * simple.choice(shares, self.shape)

    def simpler(self, value: float) -> Iterable[float]:
        """Fewer digits."""
        return (short for short in rounded(value) if self.contains(np.asarray(short)))

    def symbols(self, write: Symbols) -> Values:
        """Symbols between the ends."""
        low, high = Fraction(repr(self.low)), Fraction(repr(self.high))
        return each(self.shape, lambda: write.symbol(low, high))

    def bounds(self) -> tuple[float, float]:
        """The ends."""
        return self.low, self.high

    def grid(self) -> tuple[float, ...]:
        """Denser towards both ends."""
        towards = tuple(geometric(2.0**-20, 0.5, 1.4))
        share = (*towards, *(1 - s for s in reversed(towards[:-1])))
        inside = tuple(float(np.float32(self.low + (self.high - self.low) * s)) for s in share)
        return (self.low, *inside, self.high) if self.closed else inside

    def said(self, name: str) -> str:
        """0 < x < 1"""
        sign = "≤" if self.closed else "<"
        return f"{self.low:g} {sign} {name} {sign} {self.high:g}"


def intervals(low: float, high: float, *dims: Dim, closed: bool = False) -> Intervals:
    """Real numbers strictly between `low` and `high`; with `closed=True` also `low` and `high` themselves.

    Args:
        low: the lower end.
        high: the upper end.
        dims: the shape.
        closed: whether the ends belong to it.

    Raises:
        ValueError: the ends are not finite, or not in order.

    Example:
        >>> intervals(0, 1, "n", closed=True).closed
        True
    """
    return Intervals(dims, float(low), float(high), closed)


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
