"""What is known exactly: labels of two values, class numbers, whole numbers, constants."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from math import prod
from typing import ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from manual_grad.domains.domain import (
    Dim,
    Domain,
    Entrywise,
    How,
    Misreading,
    Simple,
    Source,
    Symbols,
    Values,
    each,
    is_size,
    misread,
    size_of,
)
from manual_grad.domains.numbers import Between

__all__ = [
    "Bits",
    "Classes",
    "Constants",
    "Integers",
    "OneHot",
    "Signs",
    "bits",
    "classes",
    "constants",
    "integers",
    "one_hot",
    "signs",
]


class _TwoLabels(Entrywise):
    """Two labels, the simpler one first in `simplest`."""

    known = True
    simplest: ClassVar[tuple[float, float]]

    def draw(self, how: How, source: Source) -> Values:
        """Both, but in the stratum "one label"."""
        low, high = self.two_values
        return low + (high - low) * _bits(self.shape, how, source)

    def contains(self, x: Values) -> bool:
        """Only these."""
        return bool(np.all(np.isin(x, self.two_values)))

    def moved(self, x: Values, step: Values, along: Values, rng: np.random.Generator) -> Values:
        """A few the other."""
        return np.where(rng.random(x.shape) < 1 / 16, sum(self.two_values) - x, x)

    def simple(self, simple: Simple) -> Values:
        """Either."""
        return simple.choice(self.simplest, self.shape)

    def simpler(self, value: float) -> Iterable[float]:
        """The simpler one."""
        return self.simplest[:1]

    def symbols(self, write: Symbols) -> Values:
        """Either."""
        return each(self.shape, lambda: write.choice([int(value) for value in self.two_values]))


@dataclass(frozen=True)
class Signs(_TwoLabels):
    """Labels −1 and +1, as floats."""

    two_values, simplest = (-1.0, 1.0), (1.0, -1.0)
    misreadings = (
        misread("0 and 1 for −1 and +1", "{name} is read as 0 and 1, and is −1 and +1", 0.5, 0.5),
        misread("+1 and −1 for −1 and +1", "{name} stands where −{name} should", -1.0, 0.0),
    )

    def said(self, name: str) -> str:
        """y ∈ {−1, +1}"""
        return f"{name} ∈ {{−1, +1}}"


def signs(*dims: Dim) -> Signs:
    """Labels −1 and +1, as floats, in an array of shape `dims`.

    Example:
        >>> signs("n").two_values
        (-1.0, 1.0)
    """
    return Signs(dims)


@dataclass(frozen=True)
class Bits(_TwoLabels):
    """Labels 0 and 1, as floats."""

    two_values = simplest = (0.0, 1.0)
    misreadings = (
        misread("−1 and +1 for 0 and 1", "{name} is read as −1 and +1, and is 0 and 1", 2.0, -1.0),
        misread("1 and 0 for 0 and 1", "{name} stands where 1 − {name} should", -1.0, 1.0),
    )

    def said(self, name: str) -> str:
        """y ∈ {0, 1}"""
        return f"{name} ∈ {{0, 1}}"


def bits(*dims: Dim) -> Bits:
    """Labels 0 and 1, as floats, in an array of shape `dims`.

    Example:
        >>> bits("n").two_values
        (0.0, 1.0)
    """
    return Bits(dims)


@dataclass(frozen=True)
class Integers(Between):
    """Whole numbers between two ends, as floats. Where they are many, the prover takes them for any real numbers there."""

    known = True

    low: int
    high: int

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """From 0 on, and some below 0."""
        return cls(("n",), 0, 20), cls(("n", 2), -3, 2)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not all(isinstance(end, int) and abs(end) <= 2**24 for end in (self.low, self.high)) or self.low > self.high:
            raise ValueError(
                f"integers needs whole numbers low ≤ high, from −2^24 to 2^24, got low={self.low} and high={self.high}"
            )

    def draw(self, how: How, source: Source) -> Values:
        """Each equally likely."""
        numbers = np.asarray(source.integers(self.low, self.high, (len(how), *self.shape)), dtype=np.float64)
        return _alike(numbers, how)

    def contains(self, x: Values) -> bool:
        """Whole, and between the ends."""
        return bool(np.all((x == np.round(x)) & (x >= self.low) & (x <= self.high)))

    def _special(self) -> list[float]:
        return sorted({float(self.low), float(self.high), *([0.0] if self.low < 0 < self.high else [])})

    def moved(self, x: Values, step: Values, along: Values, rng: np.random.Generator) -> Values:
        """A few by 1."""
        moved = x + np.where(rng.random(x.shape) < 1 / 8, np.sign(step), 0)
        return np.clip(moved, self.low, self.high)

    def simple(self, simple: Simple) -> Values:
        """Those next to 0."""
        start = min(max(self.low, 0), self.high)
        near = [k for k in (0, 1, -1, 2, -2, 3, 5, 10) if self.low <= start + k <= self.high]
        values = dict.fromkeys([*(float(start + k) for k in near), float(self.low), float(self.high)])
        return simple.choice(tuple(values), self.shape)

    def simpler(self, value: float) -> Iterable[float]:
        """Those next to 0."""
        start = min(max(self.low, 0), self.high)
        return (float(start + k) for k in (0, 1, 2, -1, -2) if self.low <= start + k <= self.high)

    def symbols(self, write: Symbols) -> Values:
        """One of few, or a real number between half a unit beyond the ends."""
        if self.high - self.low < 4:
            return each(self.shape, lambda: write.choice(range(self.low, self.high + 1)))
        low, high = Fraction(2 * self.low - 1, 2), Fraction(2 * self.high + 1, 2)
        return each(self.shape, lambda: write.symbol(low, high))

    def said(self, name: str) -> str:
        """k ∈ {0, …, 20}"""
        return f"{name} ∈ {{{self.low}, …, {self.high}}}"


def integers(low: int, high: int, *dims: Dim) -> Integers:
    """Whole numbers low, …, high, both included, **as floats**, as `signs` and `bits` are: counts that are computed with.

    Numbers to index with, in an array of integers, are `classes` or `permutations`.

    Raises:
        ValueError: the ends are not whole numbers in order, or beyond 2^24 in size.

    Example:
        >>> counts = integers(0, 20, "n")  # of a Poisson likelihood
        >>> counts.low, counts.high
        (0, 20)
    """
    return Integers(dims, low, high)


@dataclass(frozen=True)
class Classes(Domain):
    """Integer class numbers 0, …, k−1."""

    known = True
    misreadings = (Misreading("counted from 1", lambda k: (k - 1) * (k > 0)),)

    k: Dim

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """Of any number of classes."""
        return cls(("n",), "k"), cls(("n", 2), 3)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not is_size(self.k):
            raise ValueError(f"the number of classes is a positive int or a name, got k={self.k!r}")

    @property
    def every_dim(self) -> tuple[Dim, ...]:
        """Its axis and the number of classes."""
        return (*self.dims, self.k)

    def sized(self, sizes: Mapping[str, int]) -> Self:
        """The same domain with numbers for the named sizes."""
        return replace(self, dims=tuple(size_of(dim, sizes) for dim in self.dims), k=size_of(self.k, sizes))

    def draw(self, how: How, source: Source) -> Values:
        """Any, and all the same in the stratum "one label"."""
        return _classes(self.shape, _number(self.k), how, source)

    def contains(self, x: Values) -> bool:
        """Integers below the number of classes, where this is known."""
        below = np.inf if isinstance(self.k, str) else self.k
        return bool(np.issubdtype(np.asarray(x).dtype, np.integer) and np.all((x >= 0) & (x < below)))

    def simple(self, simple: Simple) -> Values:
        """0, 1, …"""
        return simple.choice(range(_number(self.k)), self.shape).astype(np.int64)

    def simpler(self, value: float) -> Iterable[float]:
        """0"""
        return (0,)

    def tied(self) -> set[Dim]:
        """The one that counts the classes."""
        return {self.k}

    def symbols(self, write: Symbols) -> Values:
        """One of them."""
        return each(self.shape, lambda: write.choice(range(_number(self.k))))


def classes(*dims: Dim, k: Dim | None = None) -> Classes:
    """Class numbers 0, …, k−1, as integers to index with, in an array of shape `dims`; k may come last among these.

    Raises:
        ValueError: `k` is neither a positive int nor a name.

    Example:
        >>> classes("n", 10).k
        10
        >>> classes("n", "t", 10).dims
        ('n', 't')
    """
    return Classes(*_sizes_and_number(classes, dims, k))


def _sizes_and_number(made: Callable[..., Domain], dims: tuple[Dim, ...], k: Dim | None) -> tuple[tuple[Dim, ...], Dim]:
    if k is not None:
        return dims, k
    if not dims:
        raise ValueError(f'the number of classes comes last, as in {made.__name__}("n", 10)')
    return dims[:-1], dims[-1]


@dataclass(frozen=True)
class OneHot(Domain):
    """Rows with a single 1 and zeros elsewhere, as floats."""

    known = True
    misreadings = (Misreading("shifted by a class", lambda rows: rows[..., np.arange(-1, rows.shape[-1] - 1)]),)

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """Of any number of classes."""
        return cls(("n", "k")), cls(("n", 2, 3))

    def draw(self, how: How, source: Source) -> Values:
        """Any, and all the same in the stratum "one label"."""
        return np.eye(self.shape[-1])[_classes(self.shape[:-1], self.shape[-1], how, source)]

    def contains(self, x: Values) -> bool:
        """A single 1 a row, and zeros."""
        return bool(np.all((x == 0) | (x == 1)) and np.all(np.sum(x, axis=-1) == 1))

    def simple(self, simple: Simple) -> Values:
        """The first, the second, …"""
        return np.eye(self.shape[-1])[simple.choice(range(self.shape[-1]), self.shape[:-1]).astype(int)]

    def simpler_arrays(self, x: Values) -> Iterable[Values]:
        """The first in every row."""
        first = np.zeros(np.shape(x))
        first[..., 0] = 1
        return (first,)

    def tied(self) -> set[Dim]:
        """The one that counts the classes."""
        return {self.dims[-1]}

    def symbols(self, write: Symbols) -> Values:
        """One of them in each row."""
        made = np.empty(self.shape, dtype=object)
        for row in np.ndindex(self.shape[:-1]):
            made[row] = write.outcomes(self.shape[-1])
        return made


def one_hot(*dims: Dim, k: Dim | None = None) -> OneHot:
    """Rows with a single 1 among k columns, as floats; the shape is `dims` and then k, which may come last among these.

    Raises:
        ValueError: the number of classes is missing.

    Example:
        >>> one_hot("n", 10).dims
        ('n', 10)
    """
    sizes, number = _sizes_and_number(one_hot, dims, k)
    return OneHot((*sizes, number))


@dataclass(frozen=True)
class Constants(Entrywise):
    """One fixed value."""

    known = True
    varies = False

    value: ArrayLike

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """A number."""
        return (cls(("n",), 2.5),)

    def _value(self, shape: tuple[int, ...]) -> Values:
        return np.array(np.broadcast_to(np.asarray(self.value, dtype=np.float64), shape))

    def draw(self, how: How, source: Source) -> Values:
        """The value."""
        return self._value((len(how), *self.shape))

    def contains(self, x: Values) -> bool:
        """The value."""
        return bool(np.array_equal(x, np.broadcast_to(np.asarray(self.value, dtype=np.float64), np.shape(x))))

    def simple(self, simple: Simple) -> Values:
        """The value."""
        return self._value(self.shape)

    def symbols(self, write: Symbols) -> Values:
        """The value, as its shortest decimal."""
        values = self._value(self.shape)
        made = np.empty(self.shape, dtype=object)
        for index in np.ndindex(self.shape):
            made[index] = write.decimal(float(values[index]))
        return made


def constants(value: ArrayLike, *dims: Dim) -> Constants:
    """A fixed value, broadcast to shape `dims` where these are given: `constants(2.0, "n")` is n twos.

    Raises:
        ValueError: the value is no finite number and no array of such.

    Example:
        >>> constants([0.5, 2.0]).shape
        (2,)
    """
    array = np.asarray(value)
    if not np.issubdtype(array.dtype, np.number) or not np.all(np.isfinite(array)):
        raise ValueError(f"a constant must be a finite number or an array of them, got {value!r}")
    return Constants(dims or array.shape, value)


def _number(dim: Dim) -> int:
    assert isinstance(dim, int)
    return dim


def _bits(shape: tuple[int, ...], how: How, source: Source) -> Values:
    """Zeros and ones: both, but where all are to be the same."""
    size = max(prod(shape), 1)
    bits = np.asarray(source.integers(0, 1, (len(how), size)), dtype=np.float64)
    first = bits[:, 0].copy()
    if size >= 2:
        alike = bits.min(axis=1) == bits.max(axis=1)
        bits[alike, source.places(size, alike)] = 1 - first[alike]
    one_label = how.are("one label")
    bits[one_label] = first[one_label, None]
    return bits.reshape(len(how), *shape)


def _classes(shape: tuple[int, ...], k: int, how: How, source: Source) -> Values:
    return _alike(np.asarray(source.integers(0, k - 1, (len(how), *shape)), dtype=np.int64), how)


def _alike(numbers: Values, how: How) -> Values:
    """All the same in the stratum "one label"."""
    flat, one_label = numbers.reshape(len(how), -1), how.are("one label")
    flat[one_label] = flat[one_label, :1]
    return flat.reshape(numbers.shape)
