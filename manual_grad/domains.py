"""The domains of a derivation's arguments: the sets that these are drawn from, and their shapes.

`reals("n", "d")` and the other functions make them. This module holds no formula. What the judge knows of each kind (how to
draw from it, what lies at its boundary, how to make an input simpler) is one row in `autodiff_ref.judge.domains`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self, cast

import numpy as np
from numpy.typing import ArrayLike

Dim = int | str
"""A size: a number, or a name that stands for one size everywhere in a derivation."""


@dataclass(frozen=True)
class Domain:
    """The set an argument is drawn from, and its shape. Made by `reals`, `signs` and the other functions below."""

    dims: tuple[Dim, ...]

    def __post_init__(self) -> None:
        for dim in self.dims:
            if not _is_size(dim):
                raise ValueError(f"a dimension is a positive int or a name, got {dim!r} in {self.dims!r}")

    @property
    def every_dim(self) -> tuple[Dim, ...]:
        """The sizes it depends on: those of its axes, and any other."""
        return self.dims

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of its arrays, where every size is a number."""
        if not all(isinstance(dim, int) for dim in self.dims):
            raise ValueError(f"{self} has no shape before its sizes are numbers: {type(self).__name__}.sized gives them")
        return cast("tuple[int, ...]", self.dims)

    def sized(self, sizes: Mapping[str, int]) -> Self:
        """The same domain with numbers for the named sizes."""
        return replace(self, dims=tuple([size_of(dim, sizes) for dim in self.dims]))


def size_of(dim: Dim, sizes: Mapping[str, int]) -> int:
    """What a dimension is."""
    return sizes[dim] if isinstance(dim, str) else int(dim)


def _is_size(dim: object) -> bool:
    return isinstance(dim, str) or (isinstance(dim, int) and not isinstance(dim, bool) and dim >= 1)


@dataclass(frozen=True)
class Reals(Domain):
    """Any real numbers."""


@dataclass(frozen=True)
class Positives(Domain):
    """Real numbers above 0."""


@dataclass(frozen=True)
class Nonnegatives(Domain):
    """Real numbers from 0 on."""


@dataclass(frozen=True)
class Intervals(Domain):
    """Real numbers between two ends, these included or not."""

    low: float
    high: float
    closed: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not -np.inf < self.low < self.high < np.inf:
            raise ValueError(f"an interval needs finite low < high, got low={self.low} and high={self.high}")


@dataclass(frozen=True)
class SortedReals(Domain):
    """Real numbers in ascending order along the last axis."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _needs_an_axis(self, "sorted_reals")


@dataclass(frozen=True)
class Signs(Domain):
    """Labels −1 and +1, as floats."""


@dataclass(frozen=True)
class Bits(Domain):
    """Labels 0 and 1, as floats."""


@dataclass(frozen=True)
class Integers(Domain):
    """Whole numbers low, …, high, as floats."""

    low: int
    high: int

    def __post_init__(self) -> None:
        super().__post_init__()
        if not all(isinstance(end, int) and abs(end) <= 2**24 for end in (self.low, self.high)) or self.low > self.high:
            raise ValueError(
                f"integers needs whole numbers low ≤ high, from −2^24 to 2^24, got low={self.low} and high={self.high}"
            )


@dataclass(frozen=True)
class Classes(Domain):
    """Integer class numbers 0, …, k−1."""

    k: Dim

    def __post_init__(self) -> None:
        super().__post_init__()
        if not _is_size(self.k):
            raise ValueError(f"the number of classes is a positive int or a name, got k={self.k!r}")

    @property
    def every_dim(self) -> tuple[Dim, ...]:
        """Its axis and the number of classes."""
        return (*self.dims, self.k)

    def sized(self, sizes: Mapping[str, int]) -> Self:
        """The same domain with numbers for the named sizes."""
        return replace(self, dims=tuple(size_of(dim, sizes) for dim in self.dims), k=size_of(self.k, sizes))


@dataclass(frozen=True)
class OneHot(Domain):
    """Rows with a single 1 and zeros elsewhere, as floats."""


@dataclass(frozen=True)
class Permutations(Domain):
    """The numbers 0, …, n−1, each once, as integers."""


@dataclass(frozen=True)
class Constants(Domain):
    """One fixed value."""

    value: ArrayLike


@dataclass(frozen=True)
class Symmetric(Domain):
    """Symmetric matrices."""


@dataclass(frozen=True)
class PositiveDefinite(Domain):
    """Symmetric matrices whose eigenvalues are above 0."""


@dataclass(frozen=True)
class LowerTriangular(Domain):
    """Matrices with zeros above the diagonal."""

    positive_diagonal: bool = True


@dataclass(frozen=True)
class Orthogonal(Domain):
    """Matrices whose transpose is their inverse."""


@dataclass(frozen=True)
class Simplex(Domain):
    """Numbers above 0 that sum to 1 along the last axis."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _needs_an_axis(self, "simplex")


@dataclass(frozen=True)
class UnitVectors(Domain):
    """Vectors of length 1 along the last axis."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _needs_an_axis(self, "unit_vectors")


def _needs_an_axis(domain: Domain, name: str) -> None:
    if not domain.dims:
        raise ValueError(f'{name} needs at least one dimension, as in {name}("d")')


def reals(*dims: Dim) -> Reals:
    """Real numbers in an array of shape `dims`: `reals("n", "d")` is (n, d), `reals()` a single number."""
    return Reals(dims)


def positives(*dims: Dim) -> Positives:
    """Real numbers above 0."""
    return Positives(dims)


def nonnegatives(*dims: Dim) -> Nonnegatives:
    """Real numbers from 0 on, 0 included; `positives` leaves it out.

    Example:
        >>> nonnegatives("n", 3).dims
        ('n', 3)
    """
    return Nonnegatives(dims)


def intervals(low: float, high: float, *dims: Dim, closed: bool = False) -> Intervals:
    """Real numbers strictly between `low` and `high`; with `closed=True` also `low` and `high` themselves.

    Example:
        >>> intervals(0, 1, "n", closed=True).closed
        True
    """
    return Intervals(dims, float(low), float(high), closed)


def sorted_reals(*dims: Dim) -> SortedReals:
    """Real numbers that ascend along the last axis; neighbours may be equal.

    The gradient is by the entries as independent variables, as JAX has it: only the point it is taken at is sorted.

    Example:
        >>> sorted_reals("n", 4).dims
        ('n', 4)
    """
    return SortedReals(dims)


def signs(*dims: Dim) -> Signs:
    """Labels −1 and +1, as floats."""
    return Signs(dims)


def bits(*dims: Dim) -> Bits:
    """Labels 0 and 1, as floats."""
    return Bits(dims)


def integers(low: int, high: int, *dims: Dim) -> Integers:
    """Whole numbers low, …, high, both included, **as floats**, as `signs` and `bits` are: counts that are computed with.

    Numbers to index with, in an array of integers, are `classes` or `permutations`.

    Example:
        >>> counts = integers(0, 20, "n")  # of a Poisson likelihood
        >>> counts.low, counts.high
        (0, 20)
    """
    return Integers(dims, low, high)


def classes(dim: Dim, k: Dim) -> Classes:
    """Integer class numbers 0, …, k−1, in an array of shape (dim,)."""
    return Classes((dim,), k)


def one_hot(dim: Dim, k: Dim) -> OneHot:
    """Rows with a single 1 among k columns, as floats of shape (dim, k)."""
    return OneHot((dim, k))


def permutations(n: Dim) -> Permutations:
    """The numbers 0, …, n−1 in any order, as an array of integers of shape (n,): for `x[p]`.

    Example:
        >>> permutations("n").dims
        ('n',)
    """
    return Permutations((n,))


def constants(value: ArrayLike, *dims: Dim) -> Constants:
    """A fixed value, broadcast to shape `dims` where these are given: `constants(2.0, "n")` is n twos."""
    array = np.asarray(value)
    if not np.issubdtype(array.dtype, np.number) or not np.all(np.isfinite(array)):
        raise ValueError(f"a constant must be a finite number or an array of them, got {value!r}")
    return Constants(dims or array.shape, value)


def symmetric(d: Dim) -> Symmetric:
    """Symmetric matrices of shape (d, d), exactly: S[i, j] == S[j, i]; singular ones among them.

    The gradient is by all d² entries as independent variables, as JAX has it: only the point it is taken at is symmetric.

    Example:
        >>> symmetric("d").dims
        ('d', 'd')
    """
    return Symmetric((d, d))


def positive_definite(d: Dim) -> PositiveDefinite:
    """Symmetric matrices of shape (d, d) whose eigenvalues are above 0, as covariances are.

    The gradient is by all d² entries as independent variables, as JAX has it: only the point it is taken at is symmetric.

    Example:
        >>> positive_definite(3).shape
        (3, 3)
    """
    return PositiveDefinite((d, d))


def lower_triangular(d: Dim, *, positive_diagonal: bool = True) -> LowerTriangular:
    """Matrices of shape (d, d) with zeros above the diagonal, and numbers above 0 on it, as a Cholesky factor has.

    With `positive_diagonal=False` any numbers stand on the diagonal, 0 among them.

    Example:
        >>> lower_triangular("d").dims, lower_triangular("d", positive_diagonal=False).positive_diagonal
        (('d', 'd'), False)
    """
    return LowerTriangular((d, d), positive_diagonal)


def orthogonal(d: Dim) -> Orthogonal:
    """Orthogonal matrices of shape (d, d): Qᵀ Q = 1. Reflections are among them.

    From d = 5 on they are orthogonal exactly. For d from 2 to 4, most of them are so up to rounding, since few matrices of
    floats are exactly.

    Example:
        >>> orthogonal(5).shape
        (5, 5)
    """
    return Orthogonal((d, d))


def simplex(*dims: Dim) -> Simplex:
    """Probabilities: numbers above 0 that sum to 1 along the last axis, exactly.

    The gradient is by the entries as independent variables, as JAX has it: only the point it is taken at sums to 1.

    Example:
        >>> simplex("n", "k").dims
        ('n', 'k')
    """
    return Simplex(dims)


def unit_vectors(*dims: Dim) -> UnitVectors:
    """Vectors of length 1 along the last axis: their squares sum to 1.

    With five entries or more they have that length exactly. With 2 to 4, most of them have it up to rounding, since few
    vectors of floats have it exactly. The gradient is by the entries as independent variables, as JAX has it.

    Example:
        >>> unit_vectors("n", 5).dims
        ('n', 5)
    """
    return UnitVectors(dims)
