"""Vectors that a condition holds together: numbers in order, probabilities.

To the judge, which compares 30 digits, Σp = 1 − 2^-54 is not 1: it would refute a right line that uses Σp = 1. So the
elements are dyadic numbers for which the condition holds exactly.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Self

import numpy as np

from manual_grad.domains.domain import Dim, Domain, How, Simple, Source, Symbols, Values, each, needs_an_axis, simpler_reals
from manual_grad.domains.numbers import any_reals, moved_reals

__all__ = ["Simplex", "SortedReals", "simplex", "sorted_reals"]


@dataclass(frozen=True)
class SortedReals(Domain):
    """Real numbers in ascending order along the last axis. Proofs are about different ones; balls look at equal ones."""

    scales = True

    def __post_init__(self) -> None:
        super().__post_init__()
        needs_an_axis(self, "sorted_reals")

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """Several."""
        return (cls(("n", "d")),)

    def draw(self, how: How, source: Source) -> Values:
        """Real numbers, sorted."""
        return np.sort(any_reals(self.shape, how, source), axis=-1)

    def contains(self, x: Values) -> bool:
        """None is below the one before it."""
        return bool(np.all(np.isfinite(x)) and np.all(np.diff(x, axis=-1) >= 0))

    def boundary(self) -> list[Values]:
        """All equal."""
        return [np.zeros(self.shape), np.ones(self.shape)]

    def edge(self, x: Values, mask: Values, source: Source) -> Values:
        """Some entries equal to the one before them, or the first to the second."""
        repeated = np.array(x)
        for k in range(1, x.shape[-1]):
            same = np.any(mask[..., :2], axis=-1) if k == 1 else mask[..., k]
            repeated[..., k] = np.where(same, repeated[..., k - 1], repeated[..., k])
        return repeated

    def moved(self, x: Values, step: Values, along: Values, rng: np.random.Generator) -> Values:
        """As real numbers, sorted again."""
        return np.sort(moved_reals(x, step, along), axis=-1)

    def mended(self, x: Values, place: int | None = None) -> Values:
        """Sorted."""
        return np.sort(x, axis=-1)

    def simple(self, simple: Simple) -> Values:
        """Short numbers, sorted."""
        return np.sort(simple.numbers(self.shape), axis=-1)

    def simpler(self, value: float) -> Iterable[float]:
        """0, ±1, or fewer digits."""
        return simpler_reals(value)

    def tied(self) -> set[Dim]:
        """The last."""
        return {self.dims[-1]}

    def can_cut(self) -> bool:
        """What is left is sorted."""
        return True

    def symbols(self, write: Symbols) -> Values:
        """A symbol, and that plus symbols above 0."""
        steps = each(self.shape, lambda: write.symbol(Fraction(0)))
        steps[..., 0] = each(self.shape[:-1], write.symbol)
        return np.cumsum(steps, axis=-1)

    def said(self, name: str) -> str:
        """x sorted"""
        return f"{name} sorted"


def sorted_reals(*dims: Dim) -> SortedReals:
    """Real numbers that ascend along the last axis; neighbours may be equal.

    The gradient is by the entries as independent variables, as JAX has it: only the point it is taken at is sorted.

    Example:
        >>> sorted_reals("n", 4).dims
        ('n', 4)
    """
    return SortedReals(dims)


BITS = 20
"""after the point: exact in float32, and so are sums"""


@dataclass(frozen=True)
class Simplex(Domain):
    """Numbers above 0 that sum to 1: halves of halves, each split in two shares of 1/32 or more."""

    def __post_init__(self) -> None:
        super().__post_init__()
        needs_an_axis(self, "simplex")

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """Several, and one."""
        return cls(("n", "d")), cls(("d",))

    def draw(self, how: How, source: Source) -> Values:
        """1 split in two shares, which are split again; very unevenly in "saturated" and "far"."""
        n, lead = self.shape[-1], (len(how), *self.shape[:-1])
        most = max(BITS // max((n - 1).bit_length(), 1), 1)
        bits = min(most, 5)
        drawn = np.asarray(source.integers(0, 2**bits - 2, (*lead, max(n - 1, 1))))
        share = ((drawn + 2 ** (bits - 1) - 1) % (2**bits - 1) + 1) / 2**bits  # the simplest, 0, is a half
        uneven = how.are("saturated", "far").reshape(-1, *[1] * len(lead))
        share = np.where(uneven, np.where(share < 0.5, 2.0**-most, 1 - 2.0**-most), share)
        return _split(np.ones(lead), iter(np.moveaxis(share, -1, 0)), n)

    def contains(self, x: Values) -> bool:
        """All above 0, and the sum is 1: of dyadic numbers, a sum in floats is exact."""
        return bool(np.all(x > 0) and np.all(np.sum(x, axis=-1) == 1))

    def boundary(self) -> list[Values]:
        """Equal weights, where these are dyadic; else such as are equal but for a factor of 2."""
        weights = _split(np.ones(self.shape[:-1]), None, self.shape[-1])
        return [weights, weights[..., ::-1].copy()]

    def edge(self, x: Values, mask: Values, source: Source) -> Values:
        """Equal weights, or two entries equal."""
        points, n = super().edge(x, mask, source), self.shape[-1]
        if n < 3:
            return points
        k = np.asarray(source.integers(0, n - 2, (len(x),)))
        rows, paired = np.arange(len(x)), np.moveaxis(x, -1, 1).copy()
        paired[rows, k] = paired[rows, k + 1] = (paired[rows, k] + paired[rows, k + 1]) / 2
        whole = mask.reshape(len(x), -1).all(axis=1).reshape(-1, *[1] * len(self.shape))
        touched = mask.reshape(len(x), -1).any(axis=1).reshape(-1, *[1] * len(self.shape))
        return np.where(whole, points, np.where(touched, np.moveaxis(paired, 1, -1), x))

    def moved(self, x: Values, step: Values, along: Values, rng: np.random.Generator) -> Values:
        """By factors."""
        return normalised(x * np.exp2(step))

    def mended(self, x: Values, place: int | None = None) -> Values:
        """Divided by the sum."""
        return normalised(x)

    def put(self, x: Values, place: int | None, number: float) -> Values | None:
        """At one place, with the others divided by their sum: those of its row."""
        n = np.shape(x)[-1]
        if place is None or n < 2 or not 0 < number < 1 or number * 2**BITS % 1:
            return None
        rows = np.array(x).reshape(-1, n)
        i, j = divmod(place, n)
        others = np.arange(n) != j
        rows[i, others] = (1 - number) * normalised(rows[i, others])
        rows[i, j] = number
        changed = rows.reshape(np.shape(x))
        return changed if self.contains(changed) else None

    def simple(self, simple: Simple) -> Values:
        """Halves, quarters, …"""
        lead, n = self.shape[:-1], self.shape[-1]
        shares = (0.5, 0.25, 0.75, 0.125, 0.875) if n <= 100 else (0.5,)
        drawn = [simple.choice(shares, lead) for _ in range(n - 1)]
        return _split(np.ones(lead), iter(drawn), n)

    def simpler_arrays(self, x: Values) -> Iterable[Values]:
        """Equal weights; fewer bits."""
        yield from self.boundary()
        for bits in (2, 3, 4, 6, 8, 12):
            if 2**bits >= np.shape(x)[-1]:
                yield normalised(x, bits)

    def tied(self) -> set[Dim]:
        """The last."""
        return {self.dims[-1]}

    def can_cut(self) -> bool:
        """What is left is divided by its sum."""
        return True

    def symbols(self, write: Symbols) -> Values:
        """a/Σa for symbols a above 0: these are all probabilities, and the prover sees that they sum to 1."""
        made = each(self.shape, lambda: write.symbol(Fraction(0)))
        for index in np.ndindex(self.shape[:-1]):
            made[index] = made[index] / sum(made[index])
        return made

    def said(self, name: str) -> str:
        """Σp = 1"""
        return f"{name} > 0, Σ{name} = 1"


def simplex(*dims: Dim) -> Simplex:
    """Probabilities: numbers above 0 that sum to 1 along the last axis, exactly.

    The gradient is by the entries as independent variables, as JAX has it: only the point it is taken at sums to 1.

    Example:
        >>> simplex("n", "k").dims
        ('n', 'k')
    """
    return Simplex(dims)


def _split(whole: Values, shares: Iterator[Values] | None, n: int) -> Values:
    """Numbers split into n parts each, along a new last axis: halves of halves, by shares where these are not a half."""
    if n == 1:
        return whole[..., None]
    share = 0.5 if shares is None else next(shares)
    left, right = n - n // 2, n // 2
    return np.concatenate([_split(whole * share, shares, left), _split(whole * (1 - share), shares, right)], axis=-1)


def normalised(x: Values, bits: int = BITS) -> Values:
    """Numbers above 0 divided by their sum along the last axis, as multiples of 2^-bits that sum to 1 exactly."""
    n, whole = x.shape[-1], 2**bits
    share = np.floor(x / np.sum(x, axis=-1, keepdims=True) * (whole - n)) + 1
    largest = np.argmax(share, axis=-1)[..., None]
    left = whole - np.sum(share, axis=-1, keepdims=True)
    np.put_along_axis(share, largest, np.take_along_axis(share, largest, axis=-1) + left, axis=-1)
    return share / whole
