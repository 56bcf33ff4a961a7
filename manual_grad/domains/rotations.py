"""Unit vectors and orthogonal matrices, which reflections make of each other.

To the judge, which compares 30 digits, |u|² = 1 − 2^-54 is not 1. So the elements are dyadic numbers for which the condition
holds exactly, as far as there are such numbers.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np

from manual_grad.domains.domain import Dim, Domain, How, Simple, Source, Values, needs_an_axis
from manual_grad.domains.vectors import BITS

__all__ = ["Orthogonal", "UnitVectors", "orthogonal", "unit_vectors"]


EXACT_FROM = 5
"""Entries from which there are many exact unit vectors. Of two or three dyadic numbers whose squares sum to 1, one is ±1; of
four, one is ±1 or all are ±1/2. (Times 2^m they are whole, and their squares sum to 4^m: modulo 8, all of them are even.)"""


class _Reflected(Domain):
    """What reflections make of each other: exact from 5 entries on, and a single one."""

    least = EXACT_FROM

    def is_exact(self) -> bool:
        """From 5 entries on, and a single one."""
        return not 1 < self.shape[-1] < EXACT_FROM

    def moved(self, x: Values, step: Values, along: Values, rng: np.random.Generator) -> Values:
        """Half of them reflected, while that leaves them short."""
        return moved_by_reflections(x, rng)

    def simpler_arrays(self, x: Values) -> Iterable[Values]:
        """Those at the boundary: basis vectors, or the identity and the like."""
        return self.boundary()


@dataclass(frozen=True)
class UnitVectors(_Reflected):
    """Vectors whose squares sum to 1: exactly from 5 entries on, and up to rounding where only few are exact.

    The prover takes them for any real numbers.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        needs_an_axis(self, "unit_vectors")

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """Several, and one."""
        return cls(("n", "d")), cls(("d",))

    def draw(self, how: How, source: Source) -> Values:
        """A basis vector, reflected a few times; of 2 to 4 entries, half of them a vector divided by its length."""
        n, lead = self.shape[-1], (len(how), *self.shape[:-1])
        x = np.eye(n)[np.asarray(source.integers(0, n - 1, lead))]
        x = x * (1 - 2.0 * np.asarray(source.integers(0, 1, (*lead, 1))))
        x = reflected(x, source)
        if 1 < n < EXACT_FROM:
            other = np.asarray(source.units((*lead, n)))
            length = np.sqrt(np.sum(other**2, axis=-1, keepdims=True))
            rounded = (np.asarray(source.integers(0, 1, (*lead, 1))) == 1) & (length > 0)
            x = np.where(rounded, other / np.where(length > 0, length, 1.0), x)
        return x

    def contains(self, x: Values) -> bool:
        """Of length 1, up to rounding."""
        with np.errstate(over="ignore"):
            return bool(np.all(np.abs(np.sum(np.square(x), axis=-1) - 1) <= 4 * np.shape(x)[-1] * np.finfo(float).eps))

    def boundary(self) -> list[Values]:
        """Basis vectors, and the one with equal entries where these are dyadic."""
        n = self.shape[-1]
        rows = [sign * row for row in np.eye(n)[[0, -1]] for sign in (1.0, -1.0)]
        if n > 1 and np.log2(n) % 2 == 0:
            rows.append(np.full(n, n**-0.5))
        return [np.array(np.broadcast_to(row, self.shape)) for row in rows]

    def simple(self, simple: Simple) -> Values:
        """Basis vectors, and such with four entries ±1/2."""
        lead, n = self.shape[:-1], self.shape[-1]
        first = simple.choice(range(n), lead).astype(int)
        x = np.eye(n)[first] * simple.choice((1.0, -1.0), (*lead, 1))
        if n >= 4:
            halves = np.zeros((*lead, n))
            halves[..., :4] = simple.choice((0.5, -0.5), (*lead, 4))
            halves = np.take_along_axis(halves, (np.arange(n) - first[..., None]) % n, axis=-1)
            x = np.where(simple.choice((0.0, 1.0), (*lead, 1)) == 1, halves, x)
        return x

    def tied(self) -> set[Dim]:
        """The last."""
        return {self.dims[-1]}

    def said(self, name: str) -> str:
        """|u| = 1"""
        return f"|{name}| = 1"


def unit_vectors(*dims: Dim) -> UnitVectors:
    """Vectors of length 1 along the last axis: their squares sum to 1.

    With five entries or more they have that length exactly. With 2 to 4, most of them have it up to rounding, since few
    vectors of floats have it exactly. The gradient is by the entries as independent variables, as JAX has it.

    Example:
        >>> unit_vectors("n", 5).dims
        ('n', 5)
    """
    return UnitVectors(dims)


@dataclass(frozen=True)
class Orthogonal(_Reflected):
    """Matrices whose transpose is their inverse: exactly from 5 rows on, and up to rounding where only few are exact.

    The prover takes them for any matrices.
    """

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """Square."""
        return (cls(("d", "d")),)

    def draw(self, how: How, source: Source) -> Values:
        """A permutation with signs, reflected a few times; of 2 to 4 rows, half of them turned by Pythagorean angles."""
        d, count = self.shape[0], len(how)
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

    def contains(self, x: Values) -> bool:
        """Rows are of length 1 and orthogonal to each other, up to rounding."""
        d = np.shape(x)[-1]
        return bool(np.all(np.abs(x @ np.swapaxes(x, -1, -2) - np.eye(d)) <= 16 * d * np.finfo(float).eps))

    def boundary(self) -> list[Values]:
        """The identity, its opposite, a reflection, a permutation."""
        d = self.shape[0]
        return [np.eye(d), -np.eye(d), np.diag([-1.0, *np.ones(d - 1)]), np.eye(d)[::-1].copy()]

    def simple(self, simple: Simple) -> Values:
        """Permutations with signs, and such reflected once."""
        d = self.shape[0]
        rows = list(range(d))
        for k in range(d - 1):
            rows.insert(k, rows.pop(k + int(simple.choice(range(d - k), ()))))
        x = np.eye(d)[rows] * simple.choice((1.0, -1.0), (d, 1))
        if d >= 4 and simple.choice((0.0, 1.0), ()) == 1:
            v = np.array([1.0] * 4 + [0.0] * (d - 4))
            x = x - np.outer(x @ v, v) / 2
        return x

    def said(self, name: str) -> str:
        """Q orthogonal"""
        return f"{name} orthogonal"


def orthogonal(d: Dim) -> Orthogonal:
    """Orthogonal matrices of shape (d, d): Qᵀ Q = 1. Reflections are among them.

    From d = 5 on they are orthogonal exactly. For d from 2 to 4, most of them are so up to rounding, since few matrices of
    floats are exactly.

    Example:
        >>> orthogonal(5).shape
        (5, 5)
    """
    return Orthogonal((d, d))


def reflected(x: Values, source: Source) -> Values:
    """Vectors along the last axis, reflected at random: exactly, of four entries or more.

    A reflection x − 2 v (v·x)/(v·v) by a v of 2^m entries ±1 and zeros divides by 2^(m−1).
    """
    n = x.shape[-1]
    m = n.bit_length() - 1
    if m < 2:
        return x
    lead = x.shape[:1]
    for _ in range(min(6, max(BITS // (m - 1), 1))):
        keys = np.asarray(source.integers(0, 255, (*lead, n)))
        chosen = np.argsort(np.argsort(keys, axis=-1, kind="stable"), axis=-1, kind="stable") < 2**m
        v = chosen * (1.0 - 2.0 * np.asarray(source.integers(0, 1, (*lead, n))))
        x = _reflection(x, v, m)
    return x


def _reflection(x: Values, v: Values, m: int) -> Values:
    v = v.reshape(v.shape[0], *[1] * (x.ndim - 2), v.shape[-1])
    return x - v * np.sum(v * x, axis=-1, keepdims=True) / 2 ** (m - 1)


def moved_by_reflections(x: Values, rng: np.random.Generator) -> Values:
    """Vectors along the last axis, half of the inputs reflected or else with signs changed; none gets longer numbers."""
    n, count = x.shape[-1], len(x)
    signs = np.where(rng.random((count, n)) < 1 / 8, -1.0, 1.0).reshape(count, *[1] * (x.ndim - 2), n)
    moved = x * signs
    if n >= 4:
        chosen = np.argsort(rng.random((count, n)), axis=-1) < 4
        v = chosen * rng.choice([-1.0, 1.0], (count, n)) * (rng.random((count, 1)) < 0.5)
        turned = _reflection(moved, v, 2)
        scaled = turned.reshape(count, -1) * 2.0**BITS
        is_short = np.all(scaled == np.round(scaled), axis=1).reshape(-1, *[1] * (x.ndim - 1))
        moved = np.where(is_short, turned, moved)
    return moved
