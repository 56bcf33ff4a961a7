"""Rows for vectors that a condition holds together: probabilities, unit vectors.

To the judge, which compares 30 digits, Σp = 1 − 2^-54 is not 1: it would refute a right line that uses Σp = 1. So the
elements are dyadic numbers for which the condition holds exactly, as far as there are such numbers.
"""

from collections.abc import Iterable, Iterator
from fractions import Fraction

import numpy as np

from autodiff_ref.judge.domains.row import How, Row, Simple, Source, Symbols, Values, each
from manual_grad.domains import Dim, Simplex, UnitVectors

BITS = 20
"""after the point: exact in float32, and so are sums"""

EXACT_FROM = 5
"""Entries from which there are many exact unit vectors. Of two or three dyadic numbers whose squares sum to 1, one is ±1; of
four, one is ±1 or all are ±1/2. (Times 2^m they are whole, and their squares sum to 4^m: modulo 8, all of them are even.)"""


class SimplexRow(Row[Simplex]):
    """Numbers above 0 that sum to 1: halves of halves, each split in two shares of 1/32 or more."""

    def draw(self, leaf: Simplex, how: How, source: Source) -> Values:
        """1 split in two shares, which are split again; very unevenly in "saturated" and "far"."""
        n, lead = leaf.shape[-1], (len(how), *leaf.shape[:-1])
        most = max(BITS // max((n - 1).bit_length(), 1), 1)
        bits = min(most, 5)
        drawn = np.asarray(source.integers(0, 2**bits - 2, (*lead, max(n - 1, 1))))
        share = ((drawn + 2 ** (bits - 1) - 1) % (2**bits - 1) + 1) / 2**bits  # the simplest, 0, is a half
        uneven = how.are("saturated", "far").reshape(-1, *[1] * len(lead))
        share = np.where(uneven, np.where(share < 0.5, 2.0**-most, 1 - 2.0**-most), share)
        return _split(np.ones(lead), iter(np.moveaxis(share, -1, 0)), n)

    def contains(self, leaf: Simplex, x: Values) -> bool:
        """All above 0, and the sum is 1: of dyadic numbers, a sum in floats is exact."""
        return bool(np.all(x > 0) and np.all(np.sum(x, axis=-1) == 1))

    def boundary(self, leaf: Simplex) -> list[Values]:
        """Equal weights, where these are dyadic; else such as are equal but for a factor of 2."""
        weights = _split(np.ones(leaf.shape[:-1]), None, leaf.shape[-1])
        return [weights, weights[..., ::-1].copy()]

    def edge(self, leaf: Simplex, x: Values, mask: Values, source: Source) -> Values:
        """Equal weights, or two entries equal."""
        points, n = super().edge(leaf, x, mask, source), leaf.shape[-1]
        if n < 3:
            return points
        k = np.asarray(source.integers(0, n - 2, (len(x),)))
        rows, paired = np.arange(len(x)), np.moveaxis(x, -1, 1).copy()
        paired[rows, k] = paired[rows, k + 1] = (paired[rows, k] + paired[rows, k + 1]) / 2
        whole = mask.reshape(len(x), -1).all(axis=1).reshape(-1, *[1] * len(leaf.shape))
        touched = mask.reshape(len(x), -1).any(axis=1).reshape(-1, *[1] * len(leaf.shape))
        return np.where(whole, points, np.where(touched, np.moveaxis(paired, 1, -1), x))

    def moved(self, leaf: Simplex, x: Values, step: Values, along: Values, rng: np.random.Generator) -> Values:
        """By factors."""
        return normalised(x * np.exp2(step))

    def mended(self, leaf: Simplex, x: Values, place: int | None = None) -> Values:
        """Divided by the sum."""
        return normalised(x)

    def put(self, leaf: Simplex, x: Values, place: int | None, number: float) -> Values | None:
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
        return changed if self.contains(leaf, changed) else None

    def simple(self, leaf: Simplex, simple: Simple) -> Values:
        """Halves, quarters, …"""
        lead, n = leaf.shape[:-1], leaf.shape[-1]
        shares = (0.5, 0.25, 0.75, 0.125, 0.875) if n <= 100 else (0.5,)
        drawn = [simple.choice(shares, lead) for _ in range(n - 1)]
        return _split(np.ones(lead), iter(drawn), n)

    def simpler_arrays(self, leaf: Simplex, x: Values) -> Iterable[Values]:
        """Equal weights; fewer bits."""
        yield from self.boundary(leaf)
        for bits in (2, 3, 4, 6, 8, 12):
            if 2**bits >= np.shape(x)[-1]:
                yield normalised(x, bits)

    def tied(self, leaf: Simplex) -> set[Dim]:
        """The last."""
        return {leaf.dims[-1]}

    def can_cut(self, leaf: Simplex) -> bool:
        """What is left is divided by its sum."""
        return True

    def symbols(self, leaf: Simplex, write: Symbols) -> Values:
        """a/Σa for symbols a above 0: these are all probabilities, and the prover sees that they sum to 1."""
        made = each(leaf.shape, lambda: write.symbol(Fraction(0)))
        for index in np.ndindex(leaf.shape[:-1]):
            made[index] = made[index] / sum(made[index])
        return made

    def said(self, leaf: Simplex, name: str) -> str:
        """Σp = 1"""
        return f"{name} > 0, Σ{name} = 1"


class UnitRow(Row[UnitVectors]):
    """Vectors whose squares sum to 1: exactly from 5 entries on, and up to rounding where only few are exact.

    The prover takes them for any real numbers.
    """

    least = EXACT_FROM

    def draw(self, leaf: UnitVectors, how: How, source: Source) -> Values:
        """A basis vector, reflected a few times; of 2 to 4 entries, half of them a vector divided by its length."""
        n, lead = leaf.shape[-1], (len(how), *leaf.shape[:-1])
        x = np.eye(n)[np.asarray(source.integers(0, n - 1, lead))]
        x = x * (1 - 2.0 * np.asarray(source.integers(0, 1, (*lead, 1))))
        x = reflected(x, source)
        if 1 < n < EXACT_FROM:
            other = np.asarray(source.units((*lead, n)))
            length = np.sqrt(np.sum(other**2, axis=-1, keepdims=True))
            rounded = (np.asarray(source.integers(0, 1, (*lead, 1))) == 1) & (length > 0)
            x = np.where(rounded, other / np.where(length > 0, length, 1.0), x)
        return x

    def contains(self, leaf: UnitVectors, x: Values) -> bool:
        """Of length 1, up to rounding."""
        return bool(np.all(np.abs(np.sum(np.square(x), axis=-1) - 1) <= 4 * np.shape(x)[-1] * np.finfo(float).eps))

    def is_exact(self, leaf: UnitVectors) -> bool:
        """From 5 entries on, and a single one."""
        return not 1 < leaf.shape[-1] < EXACT_FROM

    def boundary(self, leaf: UnitVectors) -> list[Values]:
        """Basis vectors, and the one with equal entries where these are dyadic."""
        n = leaf.shape[-1]
        rows = [sign * row for row in np.eye(n)[[0, -1]] for sign in (1.0, -1.0)]
        if n > 1 and np.log2(n) % 2 == 0:
            rows.append(np.full(n, n**-0.5))
        return [np.array(np.broadcast_to(row, leaf.shape)) for row in rows]

    def moved(self, leaf: UnitVectors, x: Values, step: Values, along: Values, rng: np.random.Generator) -> Values:
        """Half of them reflected, while that leaves them short."""
        return moved_by_reflections(x, rng)

    def simple(self, leaf: UnitVectors, simple: Simple) -> Values:
        """Basis vectors, and such with four entries ±1/2."""
        lead, n = leaf.shape[:-1], leaf.shape[-1]
        first = simple.choice(range(n), lead).astype(int)
        x = np.eye(n)[first] * simple.choice((1.0, -1.0), (*lead, 1))
        if n >= 4:
            halves = np.zeros((*lead, n))
            halves[..., :4] = simple.choice((0.5, -0.5), (*lead, 4))
            halves = np.take_along_axis(halves, (np.arange(n) - first[..., None]) % n, axis=-1)
            x = np.where(simple.choice((0.0, 1.0), (*lead, 1)) == 1, halves, x)
        return x

    def simpler_arrays(self, leaf: UnitVectors, x: Values) -> Iterable[Values]:
        """Basis vectors."""
        return self.boundary(leaf)

    def tied(self, leaf: UnitVectors) -> set[Dim]:
        """The last."""
        return {leaf.dims[-1]}

    def said(self, leaf: UnitVectors, name: str) -> str:
        """|u| = 1"""
        return f"|{name}| = 1"


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
