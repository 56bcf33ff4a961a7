"""Rows for what is known exactly: labels of two values, class numbers, whole numbers, permutations, constants."""

from collections.abc import Iterable
from fractions import Fraction
from itertools import permutations as orders
from math import factorial, prod
from typing import ClassVar

import numpy as np

from autodiff_ref.judge.domains.row import D, How, Misreading, Row, Simple, Source, Symbols, Values, each, misread
from manual_grad.domains import Bits, Classes, Constants, Dim, Integers, OneHot, Permutations, Signs

MOST_OUTCOMES = 24
"""values up to which the prover is told of each one"""


class _TwoLabels(Row[D]):
    """Two labels, the simpler one first in `simplest`."""

    known = True
    simplest: ClassVar[tuple[float, float]]

    def draw(self, leaf: D, how: How, source: Source) -> Values:
        """Both, but in the stratum "one label"."""
        low, high = self.two_values
        return low + (high - low) * _bits(leaf.shape, how, source)

    def contains(self, leaf: D, x: Values) -> bool:
        """Only these."""
        return bool(np.all(np.isin(x, self.two_values)))

    def moved(self, leaf: D, x: Values, step: Values, along: Values, rng: np.random.Generator) -> Values:
        """A few the other."""
        return np.where(rng.random(x.shape) < 1 / 16, sum(self.two_values) - x, x)

    def simple(self, leaf: D, simple: Simple) -> Values:
        """Either."""
        return simple.choice(self.simplest, leaf.shape)

    def simpler(self, leaf: D, value: float) -> Iterable[float]:
        """The simpler one."""
        return self.simplest[:1]

    def symbols(self, leaf: D, write: Symbols) -> Values:
        """Either."""
        return each(leaf.shape, lambda: write.choice([int(value) for value in self.two_values]))


class SignRow(_TwoLabels[Signs]):
    """−1 and +1."""

    two_values, simplest = (-1.0, 1.0), (1.0, -1.0)
    misreadings = (
        misread("0 and 1 for −1 and +1", "{name} is read as 0 and 1, and is −1 and +1", 0.5, 0.5),
        misread("+1 and −1 for −1 and +1", "{name} stands where −{name} should", -1.0, 0.0),
    )

    def said(self, leaf: Signs, name: str) -> str:
        """y ∈ {−1, +1}"""
        return f"{name} ∈ {{−1, +1}}"


class BitRow(_TwoLabels[Bits]):
    """0 and 1."""

    two_values = simplest = (0.0, 1.0)
    misreadings = (
        misread("−1 and +1 for 0 and 1", "{name} is read as −1 and +1, and is 0 and 1", 2.0, -1.0),
        misread("1 and 0 for 0 and 1", "{name} stands where 1 − {name} should", -1.0, 1.0),
    )

    def said(self, leaf: Bits, name: str) -> str:
        """y ∈ {0, 1}"""
        return f"{name} ∈ {{0, 1}}"


class IntegerRow(Row[Integers]):
    """Whole numbers between two ends, as floats. Where they are many, the prover takes them for any real numbers there."""

    known = True

    def draw(self, leaf: Integers, how: How, source: Source) -> Values:
        """Each equally likely."""
        numbers = np.asarray(source.integers(leaf.low, leaf.high, (len(how), *leaf.shape)), dtype=np.float64)
        return _alike(numbers, how)

    def contains(self, leaf: Integers, x: Values) -> bool:
        """Whole, and between the ends."""
        return bool(np.all((x == np.round(x)) & (x >= leaf.low) & (x <= leaf.high)))

    def _special(self, leaf: Integers) -> list[float]:
        return sorted({float(leaf.low), float(leaf.high), *([0.0] if leaf.low < 0 < leaf.high else [])})

    def boundary(self, leaf: Integers) -> list[Values]:
        """The ends, and 0."""
        return [np.full(leaf.shape, value) for value in self._special(leaf)]

    def edge(self, leaf: Integers, x: Values, mask: Values, source: Source) -> Values:
        """An end or 0 at some entries."""
        special = np.array(self._special(leaf))
        return np.where(mask, special[np.asarray(source.integers(0, len(special) - 1, x.shape))], x)

    def moved(self, leaf: Integers, x: Values, step: Values, along: Values, rng: np.random.Generator) -> Values:
        """A few by 1."""
        moved = x + np.where(rng.random(x.shape) < 1 / 8, np.sign(step), 0)
        return np.clip(moved, leaf.low, leaf.high)

    def simple(self, leaf: Integers, simple: Simple) -> Values:
        """Those next to 0."""
        start = min(max(leaf.low, 0), leaf.high)
        near = [k for k in (0, 1, -1, 2, -2, 3, 5, 10) if leaf.low <= start + k <= leaf.high]
        values = dict.fromkeys([*(float(start + k) for k in near), float(leaf.low), float(leaf.high)])
        return simple.choice(tuple(values), leaf.shape)

    def simpler(self, leaf: Integers, value: float) -> Iterable[float]:
        """Those next to 0."""
        start = min(max(leaf.low, 0), leaf.high)
        return (float(start + k) for k in (0, 1, 2, -1, -2) if leaf.low <= start + k <= leaf.high)

    def symbols(self, leaf: Integers, write: Symbols) -> Values:
        """One of few, or a real number between half a unit beyond the ends."""
        if leaf.high - leaf.low < 4:
            return each(leaf.shape, lambda: write.choice(range(leaf.low, leaf.high + 1)))
        low, high = Fraction(2 * leaf.low - 1, 2), Fraction(2 * leaf.high + 1, 2)
        return each(leaf.shape, lambda: write.symbol(low, high))

    def said(self, leaf: Integers, name: str) -> str:
        """k ∈ {0, …, 20}"""
        return f"{name} ∈ {{{leaf.low}, …, {leaf.high}}}"


class ClassRow(Row[Classes]):
    """Class numbers."""

    known = True
    misreadings = (Misreading("counted from 1", lambda k: (k - 1) * (k > 0)),)

    def draw(self, leaf: Classes, how: How, source: Source) -> Values:
        """Any, and all the same in the stratum "one label"."""
        return _classes(leaf.shape, _number(leaf.k), how, source)

    def contains(self, leaf: Classes, x: Values) -> bool:
        """Integers below the number of classes, where this is known."""
        below = np.inf if isinstance(leaf.k, str) else leaf.k
        return bool(np.issubdtype(np.asarray(x).dtype, np.integer) and np.all((x >= 0) & (x < below)))

    def simple(self, leaf: Classes, simple: Simple) -> Values:
        """0, 1, …"""
        return simple.choice(range(_number(leaf.k)), leaf.shape).astype(np.int64)

    def simpler(self, leaf: Classes, value: float) -> Iterable[float]:
        """0"""
        return (0,)

    def tied(self, leaf: Classes) -> set[Dim]:
        """The one that counts the classes."""
        return {leaf.k}

    def symbols(self, leaf: Classes, write: Symbols) -> Values:
        """One of them."""
        return each(leaf.shape, lambda: write.choice(range(_number(leaf.k))))


class OneHotRow(Row[OneHot]):
    """Rows with a single 1."""

    known = True
    misreadings = (Misreading("shifted by a class", lambda rows: rows[..., np.arange(-1, rows.shape[-1] - 1)]),)

    def draw(self, leaf: OneHot, how: How, source: Source) -> Values:
        """Any, and all the same in the stratum "one label"."""
        return np.eye(leaf.shape[-1])[_classes(leaf.shape[:1], leaf.shape[-1], how, source)]

    def contains(self, leaf: OneHot, x: Values) -> bool:
        """A single 1 a row, and zeros."""
        return bool(np.all((x == 0) | (x == 1)) and np.all(np.sum(x, axis=-1) == 1))

    def simple(self, leaf: OneHot, simple: Simple) -> Values:
        """The first, the second, …"""
        return np.eye(leaf.shape[-1])[simple.choice(range(leaf.shape[-1]), leaf.shape[:1]).astype(int)]

    def simpler_arrays(self, leaf: OneHot, x: Values) -> Iterable[Values]:
        """The first in every row."""
        first = np.zeros(np.shape(x))
        first[..., 0] = 1
        return (first,)

    def tied(self, leaf: OneHot) -> set[Dim]:
        """The one that counts the classes."""
        return {leaf.dims[-1]}

    def symbols(self, leaf: OneHot, write: Symbols) -> Values:
        """One of them in each row."""
        made = np.empty(leaf.shape, dtype=object)
        for i in range(leaf.shape[0]):
            made[i] = write.outcomes(leaf.shape[1])
        return made


class PermutationRow(Row[Permutations]):
    """The numbers 0, …, n−1 in any order, as integers."""

    known = True

    def draw(self, leaf: Permutations, how: How, source: Source) -> Values:
        """Each equally likely."""
        keys = np.asarray(source.integers(0, 2**16 - 1, (len(how), *leaf.shape)))
        return np.argsort(keys, axis=-1, kind="stable").astype(np.int64)

    def contains(self, leaf: Permutations, x: Values) -> bool:
        """Each number once."""
        x = np.asarray(x)
        return bool(np.issubdtype(x.dtype, np.integer) and np.array_equal(np.sort(x), np.arange(x.size)))

    def boundary(self, leaf: Permutations) -> list[Values]:
        """In order, and in reverse."""
        return [np.arange(leaf.shape[0]), np.arange(leaf.shape[0])[::-1]]

    def moved(self, leaf: Permutations, x: Values, step: Values, along: Values, rng: np.random.Generator) -> Values:
        """Two swapped, in half of the inputs."""
        rows, moved = np.flatnonzero(rng.random(len(x)) < 0.5), x.copy()
        one, other = rng.integers(0, x.shape[1], (2, len(rows)))
        moved[rows, one], moved[rows, other] = x[rows, other], x[rows, one]
        return moved

    def mended(self, leaf: Permutations, x: Values, place: int | None = None) -> Values:
        """The numbers that are left, counted again from 0."""
        return np.argsort(np.argsort(x, kind="stable"), kind="stable").astype(np.int64)

    def put(self, leaf: Permutations, x: Values, place: int | None, number: float) -> Values | None:
        """No number is put anywhere."""
        return None

    def simple(self, leaf: Permutations, simple: Simple) -> Values:
        """In order, or with numbers moved to the front one after the other."""
        numbers = list(range(leaf.shape[0]))
        for k in range(len(numbers) - 1):
            numbers.insert(k, numbers.pop(k + int(simple.choice(range(len(numbers) - k), ()))))
        return np.array(numbers, dtype=np.int64)

    def simpler_arrays(self, leaf: Permutations, x: Values) -> Iterable[Values]:
        """In order; with one number put in its place."""
        yield np.arange(len(x))
        for k in range(len(x)):
            swapped = np.array(x)
            at = int(np.flatnonzero(swapped == k)[0])
            swapped[at], swapped[k] = swapped[k], k
            yield swapped

    def tied(self, leaf: Permutations) -> set[Dim]:
        """Its own."""
        return {*leaf.dims}

    def can_cut(self, leaf: Permutations) -> bool:
        """What is left is counted again."""
        return True

    def symbols(self, leaf: Permutations, write: Symbols) -> Values:
        """One of all orders, while these are few."""
        n = leaf.shape[0]
        if factorial(n) > MOST_OUTCOMES:
            raise NotImplementedError(f"a permutation of {n} numbers has too many outcomes to be written in symbols")
        outcomes, made = write.outcomes(factorial(n)), np.empty(n, dtype=object)
        for k in range(n):
            made[k] = sum(outcome * order[k] for outcome, order in zip(outcomes, orders(range(n)), strict=True))
        return made

    def said(self, leaf: Permutations, name: str) -> str:
        """p a permutation"""
        return f"{name} a permutation"


class ConstantRow(Row[Constants]):
    """One fixed value."""

    known = True
    varies = False

    def _value(self, leaf: Constants, shape: tuple[int, ...]) -> Values:
        return np.array(np.broadcast_to(np.asarray(leaf.value, dtype=np.float64), shape))

    def draw(self, leaf: Constants, how: How, source: Source) -> Values:
        """The value."""
        return self._value(leaf, (len(how), *leaf.shape))

    def contains(self, leaf: Constants, x: Values) -> bool:
        """The value."""
        return bool(np.array_equal(x, np.broadcast_to(np.asarray(leaf.value, dtype=np.float64), np.shape(x))))

    def simple(self, leaf: Constants, simple: Simple) -> Values:
        """The value."""
        return self._value(leaf, leaf.shape)

    def symbols(self, leaf: Constants, write: Symbols) -> Values:
        """The value, as its shortest decimal."""
        values = self._value(leaf, leaf.shape)
        made = np.empty(leaf.shape, dtype=object)
        for index in np.ndindex(leaf.shape):
            made[index] = write.decimal(float(values[index]))
        return made


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
