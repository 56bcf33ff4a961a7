"""Polynomials with rational coefficients over numbered generators, whatever these stand for."""

import sys
from collections.abc import Callable, Iterable
from fractions import Fraction
from operator import itemgetter

from flint import fmpq, fmpz

Exponent = int | Fraction
Monomial = tuple[tuple[int, Exponent], ...]
"""(generator, exponent), by generator; () is 1"""

Poly = dict[Monomial, fmpq]
"""monomial -> coefficient, none of them 0; {} is 0"""

ONE: Monomial = ()

OUT_OF_WORK = "ran out of its budget of work"

LARGEST = 60_000
"""terms beyond which a polynomial is given up"""

LARGEST_POWER = 1_000
"""the power beyond which one is given up: e^(c log q) = q^c may ask for any, and the digits of a coefficient grow with it"""


class UnprovableError(Exception):
    """Nothing can be proved about this expression, and why."""


class Budget:
    """How much work may still be done: the same on every machine, however busy it is.

    One unit is one generator in one product of two terms, some 0.2 to 0.8 microseconds.
    """

    def __init__(self, work: int = sys.maxsize) -> None:
        self.left = work

    def spend(self, work: int) -> None:
        """Counts work about to be done.

        Raises:
            UnprovableError: it is more than is left.
        """
        self.left -= work
        if self.left < 0:
            raise UnprovableError(OUT_OF_WORK)


def require_small_power(exponent: Exponent) -> None:
    """Raises UnprovableError for a power that is given up."""
    if abs(exponent) > LARGEST_POWER:
        raise UnprovableError("an expression grew too large")


def constant(value: fmpq | int) -> Poly:
    """A rational number."""
    number = fmpq(value)
    return {ONE: number} if number else {}


_GENERATOR = itemgetter(0)


def times(a: Monomial, b: Monomial) -> Monomial:
    """The product of two monomials, before any generator's equations are used."""
    if not a or not b:
        return a or b
    if a[-1][0] < b[0][0]:
        return a + b
    if b[-1][0] < a[0][0]:
        return b + a
    exponents, is_sorted = dict(a), True
    for generator, exponent in b:
        before = exponents.get(generator)
        if before is None:
            exponents[generator], is_sorted = exponent if type(exponent) is int else tidy(exponent), False
        elif total := before + exponent if type(before) is int and type(exponent) is int else _sum(before, exponent):
            exponents[generator] = total
        else:
            del exponents[generator]
    return tuple(exponents.items()) if is_sorted else tuple(sorted(exponents.items(), key=_GENERATOR))


def raised(m: Monomial, q: Exponent) -> Monomial:
    """A monomial to a power."""
    return tuple((generator, tidy(exponent * q)) for generator, exponent in m) if q else ONE


def tidied(exponents: dict[int, Exponent]) -> Monomial:
    """A monomial from its exponents."""
    return tuple(sorted((generator, tidy(exponent)) for generator, exponent in exponents.items() if exponent))


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


def negative(p: Poly) -> Poly:
    """−p"""
    return {m: -c for m, c in p.items()}


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


def power_of_one(number: int, exponent: Exponent) -> Monomial:
    """The monomial of one generator to a power; 1 where the power is 0."""
    return ((number, tidy(exponent)),) if exponent else ONE


class _Root(Fraction):
    """An exponent that is no integer: one object for each, which knows its hash, since monomials are looked up so often."""

    __slots__ = ("hashed",)
    hashed: int

    def __hash__(self) -> int:
        return self.hashed


_ROOT_EXPONENTS: dict[Fraction, _Root] = {}


_SUMS: dict[tuple[Exponent, Exponent], Exponent] = {}


def _sum(a: Exponent, b: Exponent) -> Exponent:
    """The sum of two exponents, tidied: the same few occur again and again."""
    found = _SUMS.get((a, b))
    if found is None:
        found = _SUMS[a, b] = tidy(a + b)
    return found


def tidy(exponent: Exponent) -> Exponent:
    """An equal exponent: an int where it is an integer, else the one object that stands for this fraction."""
    if type(exponent) is _Root:
        return exponent
    if exponent.denominator == 1:
        return int(exponent)
    found = _ROOT_EXPONENTS.get(exponent)
    if found is None:
        found = _Root(exponent)
        found.hashed = Fraction.__hash__(exponent)
        _ROOT_EXPONENTS[exponent] = found
    return found


def shifted(p: Poly, by: Monomial) -> Poly:
    """p times a monomial."""
    result: Poly = {}
    for m, c in p.items():
        add_into(result, {times(m, by): c})
    return result


def inverse_term(p: Poly) -> Poly:
    """1/p for a p of a single term."""
    ((m, c),) = p.items()
    return {raised(m, -1): 1 / c}


def prime_powers(value: fmpq) -> list[tuple[int, int]]:
    """A positive rational as a product of powers of primes, and of what is too large to be factored in no time."""
    up = [(int(p), int(e)) for p, e in _factors(value.p)]
    down = [(int(p), -int(e)) for p, e in _factors(value.q)]
    return up + down


def _factors(number: fmpz) -> list[tuple[fmpz, int]]:
    return number.factor() if number.bit_length() <= 96 else number.factor(trial_limit=1000)
