"""Generators: what the variables of polynomials stand for, and which signs they have.

A generator stands for an input, a bit, or a function of polynomials in generators made before it:

- **symbol**: an input, perhaps with bounds.
- **bit**: 0 or 1, so b² = b. Bits of one group exclude each other, and p > 0 follows from q > 0 where p − q > 0.
- **exp**: e^m for a monomial m; e^(2m+n) is a product of powers of two of them.
- **power**: p^q for a polynomial p and a rational q < 1 that is kept as the generator's exponent: 1/p, √p, 1/√p.
- **prime**: a root of a prime number.
- **sine**, **cosine**: of one argument, so sin² = 1 − cos².
- **log**, **function**: a function of which no equation but its symmetry is used.

Exponents are rational and may be negative. Every rewriting here is an identity of real functions wherever both sides are
defined, so two polynomials with one normal form are one function. The converse is not claimed: what is not proved may be
true.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from flint import fmpq

from .identities import Trail
from .polynomials import Budget, Exponent, Monomial, Poly, add_into, fraction, raised


@dataclass
class Generator:
    """What a generator stands for."""

    kind: str
    key: Any
    positive: bool = False
    """whether every power of it that occurs is above 0 wherever it is defined"""
    bounds: tuple[Fraction | None, Fraction | None] = (None, None)
    """for a symbol: it lies strictly between"""
    base: Poly = field(default_factory=dict[Monomial, fmpq])
    """for a power: what it is a power of; for exp and log, the argument"""
    pivots: list["Pivot"] = field(default_factory=list["Pivot"])
    """for a power: the generators that its base can eliminate, the last one first"""


@dataclass
class Pivot:
    """How a base eliminates one of its generators, v, from what is multiplied by a negative power of the base."""

    generator: int
    highest: tuple[Exponent, Monomial, fmpq, Poly] | None
    """(n, 1/l, r) where base = l v^n + r, l a single term (as its monomial and coefficient) and r of lower degree in v"""
    lowest: tuple[Monomial, fmpq, Poly] | None
    """(1/t, r) where base = t + r, t a single term free of v and r divisible by it"""


def pivots_of(base: Poly) -> list[Pivot]:
    """The generators that a base eliminates where its outer coefficients are single terms."""
    found: list[Pivot] = []
    for v in sorted({g for m in base for g, _ in m}, reverse=True):
        by_degree: dict[Exponent, Poly] = {}
        for m, c in base.items():
            by_degree.setdefault(next((e for g, e in m if g == v), 0), {})[m] = c
        top, bottom = max(by_degree), min(by_degree)
        if bottom < 0 or top == 0:
            continue
        highest = lowest = None
        if len(by_degree[top]) == 1:
            ((m, c),) = by_degree[top].items()
            inverse = raised(tuple(pair for pair in m if pair[0] != v), -1)
            highest = (
                top,
                inverse,
                1 / c,
                {k: d for degree, part in by_degree.items() if degree != top for k, d in part.items()},
            )
        if bottom == 0 and len(by_degree[0]) == 1:
            ((m, c),) = by_degree[0].items()
            lowest = raised(m, -1), 1 / c, {k: d for degree, part in by_degree.items() if degree for k, d in part.items()}
        found.append(Pivot(v, highest, lowest))
    return found


class Generators:
    """The generators made so far."""

    def __init__(self) -> None:
        self.generators: list[Generator] = []
        self.budget = Budget()
        self.trail = Trail()
        self.node = -1
        """the node of the graph that is being made"""
        self._numbers: dict[tuple[str, Hashable], int] = {}
        self._groups: dict[int, Hashable] = {}
        self.special: set[int] = set()
        """those that know an equation by which monomials are rewritten"""

    def generator(self, kind: str, key: Hashable, **properties: Any) -> int:
        """The number of a generator, which is made if there is none of this kind and key."""
        if (kind, key) not in self._numbers:
            self._numbers[kind, key] = len(self.generators)
            self.generators.append(Generator(kind, key, **properties))
            if kind in ("power", "bit", "prime", "sine"):
                self.special.add(len(self.generators) - 1)
        return self._numbers[kind, key]

    def use(self, name: str) -> None:
        """Notes an identity by which something was rewritten."""
        self.trail.identities.add(name)

    def bit(self, key: Hashable, group: Hashable = None) -> Poly:
        """A generator that is 0 or 1; of those of one group at most one is 1."""
        number = self.generator("bit", key)
        self._groups[number] = (key,) if group is None else group
        return {((number, 1),): fmpq(1)}

    # Signs

    def is_positive(self, p: Poly, *, or_zero: bool = False) -> bool:
        """Whether p > 0 wherever it is defined (or ≥ 0), as far as signs and bounds of generators show it."""
        self.budget.spend(len(p))
        total, strict = Fraction(0), or_zero
        for m, c in p.items():
            low, attained = self._lower_bound(m, fraction(c))
            if low is None:
                return False
            total += low
            strict = strict or not attained
        return total > 0 or (total == 0 and strict and bool(p or or_zero))

    def _lower_bound(self, m: Monomial, c: Fraction) -> tuple[Fraction | None, bool]:
        """The largest lower bound known of a term, and whether the term may attain it."""
        if not m:
            return c, True
        if c > 0 and all(self.generators[g].positive for g, _ in m):
            low = [self.generators[g].bounds[0] for g, _ in m]
            if all(bound is not None and e > 0 and e.denominator == 1 for bound, (_, e) in zip(low, m, strict=True)):
                for bound, (_, e) in zip(low, m, strict=True):
                    c *= (bound or Fraction(0)) ** int(e)
                return c, False
            return Fraction(0), False
        if c > 0 and all(self.is_square(g, e) for g, e in m):
            return Fraction(0), True
        found = Fraction(1), Fraction(1)
        for g, e in m:
            low, high = self.generators[g].bounds
            if self.generators[g].kind == "bit":
                low, high = Fraction(0), Fraction(1)
            if low is None or high is None or e.denominator != 1 or e < 0:
                return None, True
            for _ in range(int(e)):
                corners = [a * b for a in found for b in (low, high)]
                found = min(corners), max(corners)
        is_open = all(self.generators[g].kind == "symbol" for g, _ in m)
        return min(c * found[0], c * found[1]), not is_open

    def is_square(self, number: int, exponent: Exponent) -> bool:
        generator = self.generators[number]
        if generator.positive or generator.kind == "bit":
            return True
        if generator.kind == "power" and exponent.denominator != 1:
            return True
        return exponent.denominator == 1 and exponent % 2 == 0

    # Bits

    def bits_in(self, p: Poly) -> list[int]:
        """The bits of a polynomial, first ones first."""
        self.budget.spend(len(p))
        return sorted({g for m in p for g, _ in m if self.generators[g].kind == "bit"})

    def with_bit(self, p: Poly, bit: int, value: int) -> Poly:
        """p where a bit is 0 or 1, and where it is 1 the others of its group are 0."""
        self.budget.spend(len(p))
        result: Poly = {}
        group = self._groups[bit]
        for m, c in p.items():
            here = [g for g, _ in m if g == bit or (value and self._groups.get(g) == group)]
            if not here:
                add_into(result, {m: c})
            elif value and here == [bit]:
                add_into(result, {tuple(pair for pair in m if pair[0] != bit): c})
        return result
