"""Square matrices: symmetric, positive definite, correlations, lower triangular."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Self

import numpy as np

from manual_grad._arrays import Array, namespace
from manual_grad.domains.domain import (
    Dim,
    Domain,
    How,
    Simple,
    Source,
    Symbols,
    Values,
    by_input,
    each,
    ordinary_bound,
    simpler_reals,
)
from manual_grad.domains.numbers import any_reals, moved_reals

__all__ = [
    "Correlations",
    "LowerTriangular",
    "PositiveDefinite",
    "Symmetric",
    "correlations",
    "lower_triangular",
    "positive_definite",
    "symmetric",
]


class _Square(Domain):
    """Square matrices, of which rows and columns may be left out together."""

    scales = True

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """Square."""
        return (cls(("d", "d")),)

    def can_cut(self) -> bool:
        """Rows and columns are left out together."""
        return True

    def simpler(self, value: float) -> Iterable[float]:
        """0, ±1, or fewer digits."""
        return simpler_reals(value)


class _Mirrored(_Square):
    """Symmetric matrices."""

    @staticmethod
    def part(x: Array) -> Array:
        """The symmetric part."""
        return (x + x.swapaxes(-1, -2)) / 2

    def mended(self, x: Values, place: int | None = None) -> Values:
        """The entry across the diagonal the same as the one that was changed."""
        if place is not None:
            i, j = divmod(place, x.shape[-1])
            x[j, i] = x[i, j]
        return x

    def contains(self, x: Values) -> bool:
        """Exactly symmetric."""
        return bool(np.all(np.isfinite(x)) and np.array_equal(x, np.swapaxes(x, -1, -2)))

    def symbols(self, write: Symbols) -> Values:
        """One symbol for an entry and the one across the diagonal."""
        return mirrored(each(self.shape, write.symbol))


@dataclass(frozen=True)
class Symmetric(_Mirrored):
    """Symmetric matrices."""

    linear = True

    def draw(self, how: How, source: Source) -> Values:
        """Real numbers on and below the diagonal, and above it the same."""
        return mirrored(any_reals(self.shape, how, source))

    def boundary(self) -> list[Values]:
        """0, eigenvalues that are equal, or all but one 0."""
        d = self.shape[0]
        return [np.zeros((d, d)), np.eye(d), np.ones((d, d)), np.diag([*np.ones(d - 1), 0.0])]

    def edge(self, x: Values, mask: Values, source: Source) -> Values:
        """One of these; or two rows and columns the same, so that the matrix is singular."""
        d, count = self.shape[0], len(x)
        points = super().edge(x, mask, source)
        index = np.tile(np.arange(d), (count, 1))
        twins = np.asarray(source.integers(0, d - 1, (count, 2)))
        index[np.arange(count), twins[:, 0]] = twins[:, 1]
        singular = np.take_along_axis(np.take_along_axis(x, index[:, :, None], axis=1), index[:, None, :], axis=2)
        either = np.asarray(source.integers(0, 1, (count,))) == 1
        touched = mask.reshape(count, -1).any(axis=1) & either & (twins[:, 0] != twins[:, 1])
        return np.where(by_input(touched, self.shape), singular, points)

    def moved(self, x: Values, step: Values, along: Values, rng: np.random.Generator) -> Values:
        """As real numbers, and symmetric again."""
        return mirrored(moved_reals(x, step, along))

    def simple(self, simple: Simple) -> Values:
        """Short numbers."""
        return mirrored(simple.numbers(self.shape))

    def said(self, name: str) -> str:
        """S symmetric"""
        return f"{name} symmetric"


def symmetric(d: Dim) -> Symmetric:
    """Symmetric matrices of shape (d, d), exactly: S[i, j] == S[j, i]; singular ones among them.

    The gradient is by all d² entries as independent variables, as JAX has it: only the point it is taken at is symmetric.

    Example:
        >>> symmetric("d").dims
        ('d', 'd')
    """
    return Symmetric((d, d))


@dataclass(frozen=True)
class PositiveDefinite(_Mirrored):
    """Symmetric matrices with eigenvalues above 0. The prover is told of the diagonal that it is above 0, and no more."""

    def draw(self, how: How, source: Source) -> Values:
        """L Lᵀ for a lower triangular L of multiples of 1/8 · 1/64, times a power of 2."""
        d, count = self.shape[0], len(how)
        diagonal = np.asarray(source.integers(4, 16, (count, d))) / 8
        below = np.asarray(source.integers(-64, 64, (count, d, d))) / 64 * ordinary_bound(self.shape)
        factor = np.tril(below, -1) + diagonal[:, :, None] * np.eye(d)
        product = np.einsum("nij,nkj->nik", factor, factor)
        return mirrored(product * by_input(np.exp2(np.round(np.log2(how.scale))), self.shape))

    def contains(self, x: Values) -> bool:
        """Exactly symmetric, and Cholesky's factorization ends, with pivots that are more than rounding.

        In floats it ends for (2, 2; 2, 2) too, which is singular.
        """
        if not super().contains(x):
            return False
        try:
            pivots = np.diagonal(np.linalg.cholesky(x), axis1=-2, axis2=-1) ** 2
        except np.linalg.LinAlgError:
            return False
        least = 16 * len(x) * np.finfo(float).eps * np.max(np.abs(x))
        return bool(np.all(np.isfinite(pivots)) and np.all(pivots > least))

    def boundary(self) -> list[Values]:
        """Eigenvalues that are equal."""
        d = self.shape[0]
        return [np.eye(d), 2 * np.eye(d), np.diag([*np.ones(d - 1), 2.0]), np.eye(d) + np.ones((d, d))]

    def moved(self, x: Values, step: Values, along: Values, rng: np.random.Generator) -> Values:
        """To M A Mᵀ, where M is about 1; of what is no more than a millionth above singular, nothing is moved."""
        change = np.eye(x.shape[-1]) + np.clip(step, -4, 4) / 4
        product = np.einsum("nij,njk,nlk->nil", change, x, change).astype(np.float32).astype(np.float64)
        moved = mirrored(np.clip(product, -(2.0**20), 2.0**20))
        lowest, highest = np.linalg.eigvalsh(moved)[:, [0, -1]].T
        return np.where(by_input(lowest > 1e-6 * highest, x.shape[1:]), moved, x)

    def simple(self, simple: Simple) -> Values:
        """L D Lᵀ of small integers."""
        d = self.shape[0]
        below = np.tril(simple.choice((0.0, 1.0, -1.0, 2.0), self.shape), -1) + np.eye(d)
        return np.asarray(below * simple.choice((1.0, 2.0, 4.0, 0.5), (d,)) @ below.T)

    def simpler_arrays(self, x: Values) -> Iterable[Values]:
        """The identity; nothing beside the diagonal."""
        return (np.eye(len(x)), np.diag(np.diag(x)))

    def symbols(self, write: Symbols) -> Values:
        """One symbol for an entry and the one across the diagonal; above 0 on it."""
        made = super().symbols(write)
        for k in range(self.shape[0]):
            made[k, k] = write.symbol(Fraction(0))
        return made

    def said(self, name: str) -> str:
        """S positive definite"""
        return f"{name} positive definite"


def positive_definite(d: Dim) -> PositiveDefinite:
    """Symmetric matrices of shape (d, d) whose eigenvalues are above 0, as covariances are.

    The gradient is by all d² entries as independent variables, as JAX has it: only the point it is taken at is symmetric.

    Example:
        >>> positive_definite(3).shape
        (3, 3)
    """
    return PositiveDefinite((d, d))


@dataclass(frozen=True)
class Correlations(PositiveDefinite):
    """Positive definite matrices with 1 on the diagonal. The prover is told that the others lie between −1 and 1."""

    scales = False

    def draw(self, how: How, source: Source) -> Values:
        """A covariance divided by its standard deviations; nearly ±1 throughout in "saturated" and "far"."""
        covariance, d = super().draw(How(how.masks, np.ones(len(how)), is_ordinary=True), source), self.shape[0]
        deviations = np.sqrt(np.diagonal(covariance, axis1=-2, axis2=-1))
        correlation = covariance / (deviations[:, :, None] * deviations[:, None, :])
        signs = 1.0 - 2.0 * np.asarray(source.integers(0, 1, (len(how), d)))
        extreme = (1 - 2.0**-8) * signs[:, :, None] * signs[:, None, :] + 2.0**-8 * correlation
        ordinary = 7 / 8 * correlation + 1 / 8 * np.eye(d)
        return _with_ones(np.where(by_input(how.are("saturated", "far"), self.shape), extreme, ordinary))

    def contains(self, x: Values) -> bool:
        """Positive definite, and exactly 1 on the diagonal."""
        return bool(np.all(np.diagonal(x, axis1=-2, axis2=-1) == 1)) and super().contains(x)

    def boundary(self) -> list[Values]:
        """No correlation; all the same; only two that are correlated."""
        d = self.shape[0]
        two = np.eye(d)
        two[:2, :2] = _with_ones(np.full(two[:2, :2].shape, 0.5))
        return [np.eye(d), _with_ones(np.full((d, d), 0.5)), two]

    def moved(self, x: Values, step: Values, along: Values, rng: np.random.Generator) -> Values:
        """By steps, while that leaves them well above singular."""
        moved = _with_ones(x + along + np.clip(step, -1, 1))
        return np.where(by_input(np.linalg.eigvalsh(moved)[:, 0] > 2.0**-10, x.shape[1:]), moved, x)

    def mended(self, x: Values, place: int | None = None) -> Values:
        """The entry across the diagonal the same, and 1 on it."""
        return np.where(np.eye(x.shape[-1], dtype=bool), 1.0, super().mended(x, place))

    def put(self, x: Values, place: int | None, number: float) -> Values | None:
        """Beside the diagonal."""
        on_diagonal = place is not None and place % (x.shape[-1] + 1) == 0
        return None if on_diagonal else super().put(x, place, number)

    def simple(self, simple: Simple) -> Values:
        """Halves and quarters, and these halved until the matrix is positive definite."""
        x = _with_ones(simple.choice((0.0, 0.5, -0.5, 0.25), self.shape))
        while not self.contains(x):
            x = _with_ones(x / 2)
        return x

    def symbols(self, write: Symbols) -> Values:
        """One symbol for an entry and the one across the diagonal; 1 on it."""
        made = mirrored(each(self.shape, lambda: write.symbol(Fraction(-1), Fraction(1))))
        for k in range(self.shape[0]):
            made[k, k] = write.decimal(1.0)
        return made

    def bounds(self) -> tuple[float, float]:
        """A correlation is at most 1 in size."""
        return -1.0, 1.0

    def said(self, name: str) -> str:
        """R a correlation matrix"""
        return f"{name} a correlation matrix"


def correlations(d: Dim) -> Correlations:
    """Correlation matrices of shape (d, d): positive definite, with 1 on the diagonal exactly, as of a copula.

    The gradient is by all d² entries as independent variables, as JAX has it: only the point it is taken at has a diagonal
    of 1.

    Example:
        >>> correlations("d").dims
        ('d', 'd')
    """
    return Correlations((d, d))


def _with_ones(x: Values) -> Values:
    """Symmetric matrices of multiples of 2^-20 with 1 on the diagonal, by what is below it."""
    return np.where(np.eye(x.shape[-1], dtype=bool), 1.0, mirrored(np.round(x * 2.0**20) / 2.0**20))


@dataclass(frozen=True)
class LowerTriangular(_Square):
    """Matrices with zeros above the diagonal."""

    positive_diagonal: bool = True

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """With a diagonal above 0, and with any."""
        return cls(("d", "d")), cls(("d", "d"), positive_diagonal=False)

    @staticmethod
    def part(x: Array) -> Array:
        """What is on and below the diagonal."""
        return namespace(x).tril(x)

    def draw(self, how: How, source: Source) -> Values:
        """Real numbers below the diagonal, and on it multiples of 1/8 from 1/2 to 2, times a scale."""
        x = np.tril(any_reals(self.shape, how, source))
        if self.positive_diagonal:
            d = self.shape[0]
            diagonal = np.asarray(source.integers(4, 16, (len(how), d))) / 8 * how.scale[:, None]
            x[:, np.arange(d), np.arange(d)] = diagonal
        return x

    def contains(self, x: Values) -> bool:
        """Zeros above the diagonal, and numbers above 0 on it if so wished."""
        on = np.diagonal(x, axis1=-2, axis2=-1)
        above = np.triu(x, 1)
        return bool(np.all(np.isfinite(x)) and not np.any(above) and (not self.positive_diagonal or np.all(on > 0)))

    def boundary(self) -> list[Values]:
        """The identity; singular ones where the diagonal may be 0."""
        d = self.shape[0]
        singular = [] if self.positive_diagonal else [np.zeros((d, d)), np.tril(np.ones((d, d)), -1)]
        return [np.eye(d), np.tril(np.ones((d, d))), *singular]

    def edge(self, x: Values, mask: Values, source: Source) -> Values:
        """0 at some entries, if that leaves it in the domain."""
        kept = np.eye(self.shape[0], dtype=bool) & self.positive_diagonal
        return np.where((mask | np.swapaxes(mask, 1, 2)) & ~kept, 0.0, x)

    def moved(self, x: Values, step: Values, along: Values, rng: np.random.Generator) -> Values:
        """As real numbers; on a diagonal above 0 by factors."""
        moved = np.tril(moved_reals(x, step, along))
        on = np.eye(x.shape[-1], dtype=bool) & self.positive_diagonal
        return np.where(on, np.clip(x * np.exp2(step), 2.0**-16, 2.0**16), moved)

    def simple(self, simple: Simple) -> Values:
        """Short numbers."""
        x = np.tril(simple.numbers(self.shape))
        if self.positive_diagonal:
            np.fill_diagonal(x, simple.choice((1.0, 2.0, 0.5, 3.0, 4.0, 0.25), self.shape[:1]))
        return x

    def simpler(self, value: float) -> Iterable[float]:
        """0, ±1, or fewer digits."""
        return simpler_reals(value) if value else ()

    def symbols(self, write: Symbols) -> Values:
        """Symbols below the diagonal, and on it such as are above 0 if so wished."""
        made = np.empty(self.shape, dtype=object)
        for i, j in np.ndindex(self.shape):
            on = (Fraction(0),) if i == j and self.positive_diagonal else ()
            made[i, j] = write.symbol(*on) if i >= j else write.decimal(0.0)
        return made

    def said(self, name: str) -> str:
        """L lower triangular"""
        return f"{name} lower triangular" + ", its diagonal > 0" * self.positive_diagonal


def lower_triangular(d: Dim, *, positive_diagonal: bool = True) -> LowerTriangular:
    """Matrices of shape (d, d) with zeros above the diagonal, and numbers above 0 on it, as a Cholesky factor has.

    With `positive_diagonal=False` any numbers stand on the diagonal, 0 among them.

    Example:
        >>> lower_triangular("d").dims, lower_triangular("d", positive_diagonal=False).positive_diagonal
        (('d', 'd'), False)
    """
    return LowerTriangular((d, d), positive_diagonal)


def mirrored(x: Values) -> Values:
    """Square matrices with what is below the diagonal also above it."""
    i, j = np.tril_indices(x.shape[-1], -1)
    made = np.array(x)
    made[..., j, i] = made[..., i, j]
    return made
