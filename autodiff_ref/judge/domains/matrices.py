"""Rows for square matrices: symmetric, positive definite, lower triangular, orthogonal."""

from collections.abc import Iterable
from fractions import Fraction

import numpy as np

from autodiff_ref.judge.domains.numbers import any_reals, moved_reals
from autodiff_ref.judge.domains.row import (
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
    simpler_reals,
)
from autodiff_ref.judge.domains.vectors import EXACT_FROM, moved_by_reflections, reflected
from manual_grad.domains import Dim, LowerTriangular, Orthogonal, PositiveDefinite, Symmetric


class _Square(Row[D]):
    """Square matrices, of which rows and columns may be left out together."""

    scales = True

    def tied(self, leaf: D) -> set[Dim]:
        """Its own."""
        return {*leaf.dims}

    def can_cut(self, leaf: D) -> bool:
        """Rows and columns are left out together."""
        return True

    def simpler(self, leaf: D, value: float) -> Iterable[float]:
        """0, ±1, or fewer digits."""
        return simpler_reals(value)


class _Mirrored(_Square[D]):
    """Symmetric matrices."""

    def mended(self, leaf: D, x: Values, place: int | None = None) -> Values:
        """The entry across the diagonal the same as the one that was changed."""
        if place is not None:
            i, j = divmod(place, x.shape[-1])
            x[j, i] = x[i, j]
        return x

    def contains(self, leaf: D, x: Values) -> bool:
        """Exactly symmetric."""
        return bool(np.all(np.isfinite(x)) and np.array_equal(x, np.swapaxes(x, -1, -2)))

    def symbols(self, leaf: D, write: Symbols) -> Values:
        """One symbol for an entry and the one across the diagonal."""
        return mirrored(each(leaf.shape, write.symbol))


class SymmetricRow(_Mirrored[Symmetric]):
    """Symmetric matrices."""

    linear = True

    def draw(self, leaf: Symmetric, how: How, source: Source) -> Values:
        """Real numbers on and below the diagonal, and above it the same."""
        return mirrored(any_reals(leaf.shape, how, source))

    def boundary(self, leaf: Symmetric) -> list[Values]:
        """0, eigenvalues that are equal, or all but one 0."""
        d = leaf.shape[0]
        return [np.zeros((d, d)), np.eye(d), np.ones((d, d)), np.diag([*np.ones(d - 1), 0.0])]

    def edge(self, leaf: Symmetric, x: Values, mask: Values, source: Source) -> Values:
        """One of these; or two rows and columns the same, so that the matrix is singular."""
        d, count = leaf.shape[0], len(x)
        points = super().edge(leaf, x, mask, source)
        index = np.tile(np.arange(d), (count, 1))
        twins = np.asarray(source.integers(0, d - 1, (count, 2)))
        index[np.arange(count), twins[:, 0]] = twins[:, 1]
        singular = np.take_along_axis(np.take_along_axis(x, index[:, :, None], axis=1), index[:, None, :], axis=2)
        either = np.asarray(source.integers(0, 1, (count,))) == 1
        touched = mask.reshape(count, -1).any(axis=1) & either & (twins[:, 0] != twins[:, 1])
        return np.where(by_input(touched, leaf.shape), singular, points)

    def moved(self, leaf: Symmetric, x: Values, step: Values, along: Values, rng: np.random.Generator) -> Values:
        """As real numbers, and symmetric again."""
        return mirrored(moved_reals(x, step, along))

    def simple(self, leaf: Symmetric, simple: Simple) -> Values:
        """Short numbers."""
        return mirrored(simple.numbers(leaf.shape))

    def said(self, leaf: Symmetric, name: str) -> str:
        """S symmetric"""
        return f"{name} symmetric"


class PositiveDefiniteRow(_Mirrored[PositiveDefinite]):
    """Symmetric matrices with eigenvalues above 0. The prover is told of the diagonal that it is above 0, and no more."""

    def draw(self, leaf: PositiveDefinite, how: How, source: Source) -> Values:
        """L Lᵀ for a lower triangular L of multiples of 1/8 · 1/64, times a power of 2."""
        d, count = leaf.shape[0], len(how)
        diagonal = np.asarray(source.integers(4, 16, (count, d))) / 8
        below = np.asarray(source.integers(-64, 64, (count, d, d))) / 64 * ordinary_bound(leaf.shape)
        factor = np.tril(below, -1) + diagonal[:, :, None] * np.eye(d)
        product = np.einsum("nij,nkj->nik", factor, factor)
        return mirrored(product * by_input(np.exp2(np.round(np.log2(how.scale))), leaf.shape))

    def contains(self, leaf: PositiveDefinite, x: Values) -> bool:
        """Exactly symmetric, and Cholesky's factorization ends, with pivots that are more than rounding.

        In floats it ends for (2, 2; 2, 2) too, which is singular.
        """
        if not super().contains(leaf, x):
            return False
        try:
            pivots = np.diagonal(np.linalg.cholesky(x), axis1=-2, axis2=-1) ** 2
        except np.linalg.LinAlgError:
            return False
        least = 16 * len(x) * np.finfo(float).eps * np.max(np.abs(x))
        return bool(np.all(np.isfinite(pivots)) and np.all(pivots > least))

    def boundary(self, leaf: PositiveDefinite) -> list[Values]:
        """Eigenvalues that are equal."""
        d = leaf.shape[0]
        return [np.eye(d), 2 * np.eye(d), np.diag([*np.ones(d - 1), 2.0]), np.eye(d) + np.ones((d, d))]

    def moved(self, leaf: PositiveDefinite, x: Values, step: Values, along: Values, rng: np.random.Generator) -> Values:
        """To M A Mᵀ, where M is about 1; of what is no more than a millionth above singular, nothing is moved."""
        change = np.eye(x.shape[-1]) + np.clip(step, -4, 4) / 4
        product = np.einsum("nij,njk,nlk->nil", change, x, change).astype(np.float32).astype(np.float64)
        moved = mirrored(np.clip(product, -(2.0**20), 2.0**20))
        lowest, highest = np.linalg.eigvalsh(moved)[:, [0, -1]].T
        return np.where(by_input(lowest > 1e-6 * highest, x.shape[1:]), moved, x)

    def simple(self, leaf: PositiveDefinite, simple: Simple) -> Values:
        """L D Lᵀ of small integers."""
        d = leaf.shape[0]
        below = np.tril(simple.choice((0.0, 1.0, -1.0, 2.0), leaf.shape), -1) + np.eye(d)
        return np.asarray(below * simple.choice((1.0, 2.0, 4.0, 0.5), (d,)) @ below.T)

    def simpler_arrays(self, leaf: PositiveDefinite, x: Values) -> Iterable[Values]:
        """The identity; nothing beside the diagonal."""
        return (np.eye(len(x)), np.diag(np.diag(x)))

    def symbols(self, leaf: PositiveDefinite, write: Symbols) -> Values:
        """One symbol for an entry and the one across the diagonal; above 0 on it."""
        made = super().symbols(leaf, write)
        for k in range(leaf.shape[0]):
            made[k, k] = write.symbol(Fraction(0))
        return made

    def said(self, leaf: PositiveDefinite, name: str) -> str:
        """S positive definite"""
        return f"{name} positive definite"


class LowerTriangularRow(_Square[LowerTriangular]):
    """Matrices with zeros above the diagonal."""

    def draw(self, leaf: LowerTriangular, how: How, source: Source) -> Values:
        """Real numbers below the diagonal, and on it multiples of 1/8 from 1/2 to 2, times a scale."""
        x = np.tril(any_reals(leaf.shape, how, source))
        if leaf.positive_diagonal:
            d = leaf.shape[0]
            diagonal = np.asarray(source.integers(4, 16, (len(how), d))) / 8 * how.scale[:, None]
            x[:, np.arange(d), np.arange(d)] = diagonal
        return x

    def contains(self, leaf: LowerTriangular, x: Values) -> bool:
        """Zeros above the diagonal, and numbers above 0 on it if so wished."""
        on = np.diagonal(x, axis1=-2, axis2=-1)
        above = np.triu(x, 1)
        return bool(np.all(np.isfinite(x)) and not np.any(above) and (not leaf.positive_diagonal or np.all(on > 0)))

    def boundary(self, leaf: LowerTriangular) -> list[Values]:
        """The identity; singular ones where the diagonal may be 0."""
        d = leaf.shape[0]
        singular = [] if leaf.positive_diagonal else [np.zeros((d, d)), np.tril(np.ones((d, d)), -1)]
        return [np.eye(d), np.tril(np.ones((d, d))), *singular]

    def edge(self, leaf: LowerTriangular, x: Values, mask: Values, source: Source) -> Values:
        """0 at some entries, if that leaves it in the domain."""
        kept = np.eye(leaf.shape[0], dtype=bool) & leaf.positive_diagonal
        return np.where((mask | np.swapaxes(mask, 1, 2)) & ~kept, 0.0, x)

    def moved(self, leaf: LowerTriangular, x: Values, step: Values, along: Values, rng: np.random.Generator) -> Values:
        """As real numbers; on a diagonal above 0 by factors."""
        moved = np.tril(moved_reals(x, step, along))
        on = np.eye(x.shape[-1], dtype=bool) & leaf.positive_diagonal
        return np.where(on, np.clip(x * np.exp2(step), 2.0**-16, 2.0**16), moved)

    def simple(self, leaf: LowerTriangular, simple: Simple) -> Values:
        """Short numbers."""
        x = np.tril(simple.numbers(leaf.shape))
        if leaf.positive_diagonal:
            np.fill_diagonal(x, simple.choice((1.0, 2.0, 0.5, 3.0, 4.0, 0.25), leaf.shape[:1]))
        return x

    def simpler(self, leaf: LowerTriangular, value: float) -> Iterable[float]:
        """0, ±1, or fewer digits."""
        return simpler_reals(value) if value else ()

    def symbols(self, leaf: LowerTriangular, write: Symbols) -> Values:
        """Symbols below the diagonal, and on it such as are above 0 if so wished."""
        made = np.empty(leaf.shape, dtype=object)
        for i, j in np.ndindex(leaf.shape):
            on = (Fraction(0),) if i == j and leaf.positive_diagonal else ()
            made[i, j] = write.symbol(*on) if i >= j else write.decimal(0.0)
        return made

    def said(self, leaf: LowerTriangular, name: str) -> str:
        """L lower triangular"""
        return f"{name} lower triangular" + ", its diagonal > 0" * leaf.positive_diagonal


class OrthogonalRow(Row[Orthogonal]):
    """Matrices whose transpose is their inverse: exactly from 5 rows on, and up to rounding where only few are exact.

    The prover takes them for any matrices.
    """

    least = EXACT_FROM

    def draw(self, leaf: Orthogonal, how: How, source: Source) -> Values:
        """A permutation with signs, reflected a few times; of 2 to 4 rows, half of them turned by Pythagorean angles."""
        d, count = leaf.shape[0], len(how)
        order = np.argsort(np.asarray(source.integers(0, 255, (count, d))), axis=-1, kind="stable")
        x = np.eye(d)[order] * (1 - 2.0 * np.asarray(source.integers(0, 1, (count, d, 1))))
        x = reflected(x, source)
        if 1 < d < EXACT_FROM:
            turned = np.asarray(source.integers(0, 1, (count,))) == 1
            for i, j in zip(range(d - 1), range(1, d), strict=True):
                t = np.asarray(source.units((count,)))
                c, s = ((1 - t**2) / (1 + t**2))[:, None], (2 * t / (1 + t**2))[:, None]
                rows = c * x[:, i] - s * x[:, j], s * x[:, i] + c * x[:, j]
                x[turned, i], x[turned, j] = rows[0][turned], rows[1][turned]
        return x

    def contains(self, leaf: Orthogonal, x: Values) -> bool:
        """Rows are of length 1 and orthogonal to each other, up to rounding."""
        d = np.shape(x)[-1]
        return bool(np.all(np.abs(x @ np.swapaxes(x, -1, -2) - np.eye(d)) <= 16 * d * np.finfo(float).eps))

    def is_exact(self, leaf: Orthogonal) -> bool:
        """From 5 entries on, and a single one."""
        return not 1 < leaf.shape[-1] < EXACT_FROM

    def boundary(self, leaf: Orthogonal) -> list[Values]:
        """The identity, its opposite, a reflection, a permutation."""
        d = leaf.shape[0]
        return [np.eye(d), -np.eye(d), np.diag([-1.0, *np.ones(d - 1)]), np.eye(d)[::-1].copy()]

    def moved(self, leaf: Orthogonal, x: Values, step: Values, along: Values, rng: np.random.Generator) -> Values:
        """Half of them reflected, while that leaves them short."""
        return moved_by_reflections(x, rng)

    def simple(self, leaf: Orthogonal, simple: Simple) -> Values:
        """Permutations with signs, and such reflected once."""
        d = leaf.shape[0]
        rows = list(range(d))
        for k in range(d - 1):
            rows.insert(k, rows.pop(k + int(simple.choice(range(d - k), ()))))
        x = np.eye(d)[rows] * simple.choice((1.0, -1.0), (d, 1))
        if d >= 4 and simple.choice((0.0, 1.0), ()) == 1:
            v = np.array([1.0] * 4 + [0.0] * (d - 4))
            x = x - np.outer(x @ v, v) / 2
        return x

    def simpler_arrays(self, leaf: Orthogonal, x: Values) -> Iterable[Values]:
        """The identity and the like."""
        return self.boundary(leaf)

    def tied(self, leaf: Orthogonal) -> set[Dim]:
        """Its own."""
        return {*leaf.dims}

    def said(self, leaf: Orthogonal, name: str) -> str:
        """Q orthogonal"""
        return f"{name} orthogonal"


def mirrored(x: Values) -> Values:
    """Square matrices with what is below the diagonal also above it."""
    i, j = np.tril_indices(x.shape[-1], -1)
    made = np.array(x)
    made[..., j, i] = made[..., i, j]
    return made
