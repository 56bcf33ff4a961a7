"""The orders of some numbers: permutations."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import permutations as every_order
from math import factorial
from typing import Self

import numpy as np

from manual_grad.domains.domain import Dim, Domain, How, Simple, Source, Symbols, Values

__all__ = ["Permutations", "permutations"]


MOST_OUTCOMES = 24
"""values up to which the prover is told of each one"""


@dataclass(frozen=True)
class Permutations(Domain):
    """The numbers 0, …, n−1 in any order, as integers."""

    known = True

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """Of any length."""
        return (cls(("n",)),)

    def draw(self, how: How, source: Source) -> Values:
        """Each equally likely."""
        keys = np.asarray(source.integers(0, 2**16 - 1, (len(how), *self.shape)))
        return np.argsort(keys, axis=-1, kind="stable").astype(np.int64)

    def contains(self, x: Values) -> bool:
        """Each number once."""
        x = np.asarray(x)
        return bool(np.issubdtype(x.dtype, np.integer) and np.array_equal(np.sort(x), np.arange(x.size)))

    def boundary(self) -> list[Values]:
        """In order, and in reverse."""
        return [np.arange(self.shape[0]), np.arange(self.shape[0])[::-1]]

    def moved(self, x: Values, step: Values, along: Values, rng: np.random.Generator) -> Values:
        """Two swapped, in half of the inputs."""
        rows, moved = np.flatnonzero(rng.random(len(x)) < 0.5), x.copy()
        one, other = rng.integers(0, x.shape[1], (2, len(rows)))
        moved[rows, one], moved[rows, other] = x[rows, other], x[rows, one]
        return moved

    def mended(self, x: Values, place: int | None = None) -> Values:
        """The numbers that are left, counted again from 0."""
        return np.argsort(np.argsort(x, kind="stable"), kind="stable").astype(np.int64)

    def put(self, x: Values, place: int | None, number: float) -> Values | None:
        """No number is put anywhere."""
        return None

    def simple(self, simple: Simple) -> Values:
        """In order, or with numbers moved to the front one after the other."""
        numbers = list(range(self.shape[0]))
        for k in range(len(numbers) - 1):
            numbers.insert(k, numbers.pop(k + int(simple.choice(range(len(numbers) - k), ()))))
        return np.array(numbers, dtype=np.int64)

    def simpler_arrays(self, x: Values) -> Iterable[Values]:
        """In order; with one number put in its place."""
        yield np.arange(len(x))
        for k in range(len(x)):
            swapped = np.array(x)
            at = int(np.flatnonzero(swapped == k)[0])
            swapped[at], swapped[k] = swapped[k], k
            yield swapped

    def can_cut(self) -> bool:
        """What is left is counted again."""
        return True

    def symbols(self, write: Symbols) -> Values:
        """One of all orders, while these are few."""
        n = self.shape[0]
        if factorial(n) > MOST_OUTCOMES:
            raise NotImplementedError(f"a permutation of {n} numbers has too many outcomes to be written in symbols")
        outcomes, made = write.outcomes(factorial(n)), np.empty(n, dtype=object)
        for k in range(n):
            made[k] = sum(outcome * order[k] for outcome, order in zip(outcomes, every_order(range(n)), strict=True))
        return made

    def said(self, name: str) -> str:
        """p a permutation"""
        return f"{name} a permutation"


def permutations(n: Dim) -> Permutations:
    """The numbers 0, …, n−1 in any order, as an array of integers of shape (n,): for `x[p]`.

    Example:
        >>> permutations("n").dims
        ('n',)
    """
    return Permutations((n,))
