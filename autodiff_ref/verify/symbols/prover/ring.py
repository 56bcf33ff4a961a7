"""Exact arithmetic on polynomials with rational coefficients over generators, some of which know equations.

A generator stands for an input, a bit, or a function of polynomials in generators made before it:

- **symbol**: an input, perhaps with bounds.
- **bit**: 0 or 1, so b² = b. Bits of one group exclude each other.
- **exp**: e^m for a monomial m; e^(2m+n) is a product of powers of two of them.
- **power**: p^q for a polynomial p and a rational q < 1 that is kept as the generator's exponent: 1/p, √p, 1/√p.
- **prime**: a root of a prime number.
- **log**, **function**: a function of which no equation but its symmetry is used.

Exponents are rational and may be negative. Every rewriting here is an identity of real functions wherever both sides are
defined, so two polynomials with one normal form are one function. The converse is not claimed: what is not proved may be
true.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from random import Random
from typing import Any

from flint import fmpq, fmpz

Exponent = int | Fraction
Monomial = tuple[tuple[int, Exponent], ...]
"""(generator, exponent), by generator; () is 1"""

Poly = dict[Monomial, fmpq]
"""monomial -> coefficient, none of them 0; {} is 0"""

ONE: Monomial = ()
PRIME = 2**61 - 1
_ROOTS = 2**4 * 9 * 5 * 7
"""the residue of e^m is drawn as this power of another one, so that it has roots"""

LARGEST = 60_000
"""terms beyond which a polynomial is given up"""

LARGEST_POWER = 1_000
"""the power beyond which one is given up: e^(c log q) = q^c may ask for any, and the digits of a coefficient grow with it"""


class UnprovableError(Exception):
    """Nothing can be proved about this expression, and why."""


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


def require_small_power(exponent: Exponent) -> None:
    """Raises UnprovableError for a power that is given up."""
    if abs(exponent) > LARGEST_POWER:
        raise UnprovableError("an expression grew too large")


def constant(value: fmpq | int) -> Poly:
    """A rational number."""
    number = fmpq(value)
    return {ONE: number} if number else {}


def times(a: Monomial, b: Monomial) -> Monomial:
    """The product of two monomials, before any generator's equations are used."""
    if not a or not b:
        return a or b
    if a[-1][0] < b[0][0]:
        return a + b
    if b[-1][0] < a[0][0]:
        return b + a
    exponents = dict(a)
    for generator, exponent in b:
        total = exponents.get(generator, 0) + exponent
        if total:
            exponents[generator] = total if type(total) is int else _tidy(total)
        else:
            del exponents[generator]
    return tuple(sorted(exponents.items()))


def raised(m: Monomial, q: Exponent) -> Monomial:
    """A monomial to a power."""
    return tuple((generator, _tidy(exponent * q)) for generator, exponent in m) if q else ONE


def tidied(exponents: dict[int, Exponent]) -> Monomial:
    """A monomial from its exponents."""
    return tuple(sorted((generator, _tidy(exponent)) for generator, exponent in exponents.items() if exponent))


def fraction(value: fmpq) -> Fraction:
    """A coefficient as Python's fraction."""
    return Fraction(int(value.p), int(value.q))


def rational(value: Fraction | int) -> fmpq:
    """A Python number as a coefficient."""
    return fmpq(value.numerator, value.denominator)


def add_into(total: Poly, terms: Poly, factor: fmpq | None = None) -> None:
    """Adds `factor` times a polynomial to another one, in place."""
    for m, c in terms.items():
        summed = total.get(m)
        new = c if factor is None else c * factor
        if summed is not None:
            new = summed + new
        if new:
            total[m] = new
        elif summed is not None:
            del total[m]


def leading(p: Poly) -> Monomial:
    """A monomial that is chosen alike for all multiples of a polynomial."""
    return max(p)


def gcd_of(monomials: Iterable[Monomial], of: Callable[[int], bool]) -> Monomial:
    """The lowest exponent of each generator that counts, over all monomials: 0 where it is missing."""
    monomials = list(monomials)
    lowest: dict[int, Exponent] = {}
    counts: dict[int, int] = {}
    for m in monomials:
        for generator, exponent in m:
            if of(generator):
                lowest[generator] = min(lowest.get(generator, exponent), exponent)
                counts[generator] = counts.get(generator, 0) + 1
    found = {g: e if counts[g] == len(monomials) else min(e, 0) for g, e in lowest.items()}
    return tuple(sorted((g, e) for g, e in found.items() if e))


class Ring:
    """The generators made so far, and arithmetic on polynomials over them."""

    def __init__(self) -> None:
        self.generators: list[Generator] = []
        self._numbers: dict[Any, int] = {}
        self._groups: dict[int, Any] = {}
        self._special: set[int] = set()
        self._reduced: dict[Monomial, Poly | None] = {}
        self._residues: dict[int, int] = {}
        self._random = Random(0)

    # Generators

    def generator(self, kind: str, key: Any, **properties: Any) -> int:
        """The number of a generator, which is made if there is none of this kind and key."""
        if (kind, key) not in self._numbers:
            self._numbers[kind, key] = len(self.generators)
            self.generators.append(Generator(kind, key, **properties))
            if kind in ("power", "bit", "prime"):
                self._special.add(len(self.generators) - 1)
        return self._numbers[kind, key]

    def bit(self, key: Any, group: Any = None) -> Poly:
        """A generator that is 0 or 1; of those of one group at most one is 1."""
        number = self.generator("bit", key)
        self._groups[number] = (key,) if group is None else group
        return {((number, 1),): fmpq(1)}

    def group_of(self, bit: int) -> Any:
        """What a bit's group is called."""
        return self._groups[bit]

    def power_of(self, base: Poly, exponent: Fraction) -> Poly:
        """base^exponent as a generator's power; the base has no bits and no denominators, and its content is taken out."""
        number = self.generator("power", frozenset(base.items()))
        made = self.generators[number]
        if not made.base:
            made.base = base
            made.positive = self.is_positive(base)
            made.pivots = _pivots_of(base)
        return self.reduced({((number, _tidy(exponent)),): fmpq(1)})

    # Arithmetic

    def multiply(self, a: Poly, b: Poly) -> Poly:
        """a b"""
        if len(a) > len(b):
            a, b = b, a
        if len(a) * len(b) > 40 * LARGEST:
            raise UnprovableError("an expression grew too large")
        raw: Poly = {}
        for m, c in a.items():
            for n, d in b.items():
                product, value = times(m, n), c * d
                before = raw.get(product)
                raw[product] = value if before is None else before + value
        return self.reduced(raw)

    def subtract(self, a: Poly, b: Poly) -> Poly:
        """a − b"""
        result = dict(a)
        add_into(result, b, fmpq(-1))
        return result

    def whole_power(self, p: Poly, k: int) -> Poly:
        """p^k for an integer k ≥ 0."""
        require_small_power(k)
        result = constant(1)
        while k:
            if k & 1:
                result = self.multiply(result, p)
            k >>= 1
            p = self.multiply(p, p) if k else p
        return result

    def reduced(self, raw: Poly) -> Poly:
        """A polynomial after all equations that its generators know."""
        result: Poly = {}
        for m, c in raw.items():
            if c:
                better = self._reduced_monomial(m)
                add_into(result, {m: c} if better is None else better, None if better is None else c)
        if len(result) > LARGEST:
            raise UnprovableError("an expression grew too large")
        return result

    def _reduced_monomial(self, m: Monomial) -> Poly | None:
        """What a monomial is rewritten to; None where it stays."""
        if m not in self._reduced:
            step = self._rewritten(m)
            self._reduced[m] = None if step is None else self.reduced(step)
        return self._reduced[m]

    def _rewritten(self, m: Monomial) -> Poly | None:
        groups: set[Any] = set()
        for k, (number, exponent) in enumerate(m):
            if number not in self._special:
                continue
            generator = self.generators[number]
            rest = m[:k] + m[k + 1 :]
            if generator.kind == "bit":
                if exponent != 1:  # b² = b
                    return {times(rest, ((number, 1),)): fmpq(1)}
                if self._groups[number] in groups:
                    return {}
                groups.add(self._groups[number])
            elif generator.kind == "prime":
                whole = exponent.__floor__()
                if whole:
                    return {times(rest, _power(number, exponent - whole)): fmpq(generator.key) ** whole}
            else:
                step = self._rewritten_power(generator, number, exponent, m, rest)
                if step is not None:
                    return step
        return None

    def _rewritten_power(
        self, generator: Generator, number: int, exponent: Exponent, m: Monomial, rest: Monomial
    ) -> Poly | None:
        base = generator.base
        if exponent >= 1 or (len(base) == 1 and exponent < 0):  # p^(k+q) = p^k p^q
            whole = exponent.__floor__()
            factor = self.whole_power(base, whole) if whole > 0 else self.whole_power(_inverse_term(base), -whole)
            return _shifted(factor, times(rest, _power(number, exponent - whole)))
        if exponent >= 0:
            return None
        degrees = dict(m)
        for pivot in generator.pivots:
            degree = degrees.get(pivot.generator, 0)
            if degree >= 0:
                if pivot.highest is None or degree < pivot.highest[0]:
                    return None
                # l v^n p^e = p^(e+1) − r p^e
                n, shift, factor, other = pivot.highest
                shift = times(((pivot.generator, -n),), shift)
            elif pivot.lowest is not None:
                # t p^e = p^(e+1) − r p^e
                shift, factor, other = pivot.lowest
            else:
                continue
            result = {times(times(rest, _power(number, exponent + 1)), shift): factor}
            add_into(result, _shifted(other, times(m, shift)), -factor)
            return result
        return None

    # Zero and signs

    def is_zero(self, p: Poly) -> bool:
        """Whether a polynomial is 0 once it stands over a common denominator."""
        if not p:
            return True
        if self.residue(p):  # not 0 modulo a prime: not 0
            return False
        return not self.cleared(p)

    def residue(self, p: Poly) -> int | None:
        """p at one point of the integers modulo a prime, where it has a value there: a quick way to see that it is not 0."""
        try:
            return sum(self._residue_of_term(m, c) for m, c in p.items()) % PRIME
        except ArithmeticError:
            return None

    def _residue_of_term(self, m: Monomial, c: fmpq) -> int:
        result = int(c.p) * pow(int(c.q), -1, PRIME)
        for number, exponent in m:
            generator = self.generators[number]
            if exponent.denominator != 1 and generator.kind in ("power", "prime"):
                raise ArithmeticError("roots have no place here")
            steps = exponent * (1 if generator.kind == "power" else _ROOTS)
            if steps.denominator != 1:
                raise ArithmeticError("a root of too high a degree")
            value = self._residue_of(number, generator)
            if not value and steps < 0:
                raise ArithmeticError("it is 0 here")
            result = result * pow(value, int(steps), PRIME) % PRIME
        return result

    def _residue_of(self, number: int, generator: Generator) -> int:
        if number not in self._residues:
            if generator.kind == "power":
                self._residues[number] = sum(self._residue_of_term(m, c) for m, c in generator.base.items()) % PRIME
            else:
                drawn = self._random.randrange(2, PRIME)
                self._residues[number] = drawn % 2 if generator.kind == "bit" else drawn
        return self._residues[number]

    def cleared(self, p: Poly) -> Poly:
        """p times the powers of bases that free it of denominators; 0 if and only if p is, wherever p is defined."""
        while p:
            lowest = gcd_of(p, lambda g: self.generators[g].kind == "power")
            by = [(g, -e) for g, e in lowest if e < 0]
            if not by:
                return p
            p = self.multiply(p, {(by[-1],): fmpq(1)})
        return p

    def is_positive(self, p: Poly, *, or_zero: bool = False) -> bool:
        """Whether p > 0 wherever it is defined (or ≥ 0), as far as signs and bounds of generators show it."""
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
        if c > 0 and all(self._is_square(g, e) for g, e in m):
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

    def _is_square(self, number: int, exponent: Exponent) -> bool:
        generator = self.generators[number]
        if generator.positive or generator.kind == "bit":
            return True
        if generator.kind == "power" and exponent.denominator != 1:
            return True
        return exponent.denominator == 1 and exponent % 2 == 0

    def bits_in(self, p: Poly) -> list[int]:
        """The bits of a polynomial, first ones first."""
        return sorted({g for m in p for g, _ in m if self.generators[g].kind == "bit"})

    def with_bit(self, p: Poly, bit: int, value: int) -> Poly:
        """p where a bit is 0 or 1, and where it is 1 the others of its group are 0."""
        result: Poly = {}
        group = self._groups[bit]
        for m, c in p.items():
            here = [g for g, _ in m if g == bit or (value and self._groups.get(g) == group)]
            if not here:
                add_into(result, {m: c})
            elif value and here == [bit]:
                add_into(result, {tuple(pair for pair in m if pair[0] != bit): c})
        return result


def _pivots_of(base: Poly) -> list[Pivot]:
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


def _power(number: int, exponent: Exponent) -> Monomial:
    return ((number, _tidy(exponent)),) if exponent else ONE


def _tidy(exponent: Exponent) -> Exponent:
    return int(exponent) if exponent.denominator == 1 else exponent


def _shifted(p: Poly, by: Monomial) -> Poly:
    result: Poly = {}
    for m, c in p.items():
        add_into(result, {times(m, by): c})
    return result


def _inverse_term(p: Poly) -> Poly:
    ((m, c),) = p.items()
    return {raised(m, -1): 1 / c}


def prime_powers(value: fmpq) -> list[tuple[int, int]]:
    """A positive rational as a product of powers of primes."""
    up = [(int(p), int(e)) for p, e in fmpz(value.p).factor()]
    down = [(int(p), -int(e)) for p, e in fmpz(value.q).factor()]
    return up + down
