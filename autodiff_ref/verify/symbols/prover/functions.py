"""Functions of polynomials: powers, exponentials, logarithms, conditions on signs, and functions known by name only.

A function is applied case by case where its argument holds bits: f(p) = b f(p|b=1) + (1−b) f(p|b=0). Where both cases give
the same, the bit is gone: so σ written with `where(z < 0, …)` becomes plain σ.
"""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from flint import fmpq

from .ring import (
    ONE,
    Exponent,
    Monomial,
    Poly,
    Ring,
    UnprovableError,
    add_into,
    constant,
    fraction,
    gcd_of,
    leading,
    prime_powers,
    raised,
    rational,
    require_small_power,
    tidied,
)

CASES = 512
"""cases of bits beyond which a function of an expression is given up"""

ODD = frozenset(("sin", "tan", "asin", "atan", "erf", "erf_inv", "asinh", "atanh"))
EVEN = frozenset(("cos",))


class Functions(Ring):
    """A ring whose polynomials can be put into functions."""

    def __init__(self) -> None:
        super().__init__()
        self._pivots: dict[Monomial, int] = {}
        """of each exponential's exponent the monomial that the ones after it do not have"""
        self._symbols: dict[int, set[int]] = {}

    # Case by case

    def by_cases(self, f: Callable[..., Poly], *arguments: Poly) -> Poly:
        """f of polynomials, where f knows what to do with those that hold no bits."""
        return self._split(f, arguments, [CASES])

    def _split(self, f: Callable[..., Poly], arguments: tuple[Poly, ...], left: list[int]) -> Poly:
        bits = [bit for p in arguments for bit in self.bits_in(p)]
        if not bits:
            left[0] -= 1
            if left[0] < 0:
                raise UnprovableError(f"more than {CASES} cases in one expression")
            return f(*arguments)
        bit = min(bits)
        at_0 = self._split(f, tuple(self.with_bit(p, bit, 0) for p in arguments), left)
        at_1 = self._split(f, tuple(self.with_bit(p, bit, 1) for p in arguments), left)
        difference = self.subtract(at_1, at_0)
        if self.is_zero(difference):
            return at_0
        result = self.multiply({((bit, 1),): fmpq(1)}, difference)
        add_into(result, at_0)
        return result

    # Powers

    def power(self, p: Poly, exponent: Fraction) -> Poly:
        """p^exponent, real: for a fractional exponent p ≥ 0."""
        if exponent.denominator == 1 and exponent >= 0:  # no need to tell cases apart
            return self.whole_power(p, int(exponent))
        return self.by_cases(lambda q: self._power(q, exponent), p)

    def inverse(self, p: Poly) -> Poly:
        """1/p"""
        return self.power(p, Fraction(-1))

    def _power(self, p: Poly, exponent: Fraction) -> Poly:
        require_small_power(exponent)
        if exponent.denominator == 1 and exponent >= 0:
            return self.whole_power(p, int(exponent))
        if self.is_zero(p):
            if exponent > 0:
                return {}
            raise UnprovableError("it divides by zero")
        if exponent.denominator != 1:
            return self._root(p, exponent)
        if len(p) > 1:
            p, multiplier = self._without_denominators(p, lambda _: True)
        else:
            multiplier = constant(1)
        content = gcd_of(p, lambda _: True)
        p = self._divided(p, content)
        outside = self._term_power(content, exponent)
        scale = p[leading(p)]
        p = {m: c / scale for m, c in p.items()}
        result = self.multiply(outside, constant(scale ** int(exponent)))
        if len(p) > 1:
            result = self.multiply(result, self.power_of(p, exponent))
        return self.multiply(result, self.whole_power(multiplier, int(-exponent)))

    def _divided(self, p: Poly, by: Monomial) -> Poly:
        return self.multiply(p, {raised(by, -1): fmpq(1)}) if by else p

    def _term_power(self, m: Monomial, exponent: Exponent) -> Poly:
        return self.reduced({raised(m, exponent): fmpq(1)})

    def _without_denominators(self, p: Poly, counts: Callable[[int], bool]) -> tuple[Poly, Poly]:
        """(p q, q), where q is the product of powers that free p of denominators."""
        multiplier = constant(1)
        for _ in range(100):
            lowest = gcd_of(p, lambda g: self.generators[g].kind == "power" and counts(g))
            by = [(g, -e) for g, e in lowest if e < 0]
            if not by:
                return p, multiplier
            factor: Poly = {(by[-1],): fmpq(1)}
            p, multiplier = self.multiply(p, factor), self.multiply(multiplier, factor)
        raise UnprovableError("denominators do not come to an end")

    def _root(self, p: Poly, exponent: Fraction) -> Poly:
        """p^exponent for a fractional exponent: only factors that are surely positive come out of the root."""
        is_positive = self._is_positive_generator
        result = constant(1)
        if len(p) > 1:
            p, multiplier = self._without_denominators(p, is_positive)
            result = self._positive_power(multiplier, -exponent)
        scale = abs(p[leading(p)])
        result = self.multiply(result, self._root_of_number(scale, exponent))
        p = {m: c / scale for m, c in p.items()}
        content = gcd_of(p, is_positive)
        p = self._divided(p, content)
        result = self.multiply(result, self._term_power(content, exponent))
        if len(p) == 1:
            p, outside = self._squares_out(p, exponent)
            result = self.multiply(result, outside)
        if p == constant(1):
            return result
        if p == constant(-1):
            raise UnprovableError("it takes a root of a negative number")
        return self.multiply(result, self.power_of(p, exponent))

    def _positive_power(self, p: Poly, exponent: Fraction) -> Poly:
        """A power of what is known to be positive, term or polynomial."""
        return constant(1) if p == constant(1) else self._root(p, exponent)

    def _squares_out(self, p: Poly, exponent: Fraction) -> tuple[Poly, Poly]:
        """A single term c m, with what is squared in it out of the root: (x²)^½ is x or −x, as the sign of x says."""
        ((m, c),) = p.items()
        kept: list[tuple[int, Exponent]] = []
        outside = constant(1)
        for generator, e in m:
            power = e * exponent
            if e.denominator == 1 and e % 2 == 0 and power.denominator == 1:
                base = self.reduced({((generator, 1),): fmpq(1)})
                if power % 2:
                    outside = self.multiply(outside, self.sign(base))
                outside = self.multiply(outside, self.reduced({((generator, int(power)),): fmpq(1)}))
            else:
                kept.append((generator, e))
        return {tuple(kept): c}, outside

    def _root_of_number(self, value: fmpq, exponent: Fraction) -> Poly:
        result = constant(1)
        for prime, k in prime_powers(value):
            number = self.generator("prime", prime, positive=True)
            result = self.multiply(result, self.reduced({((number, k * exponent),): fmpq(1)}))
        return result

    def _is_positive_generator(self, number: int) -> bool:
        return self.generators[number].positive

    # Exponentials and logarithms

    def exp(self, p: Poly) -> Poly:
        """e^p"""
        return self.by_cases(self._exp, p)

    def _exp(self, p: Poly) -> Poly:
        result = constant(1)
        rest: Poly = {}
        for m, c in p.items():
            only = self.generators[m[0][0]] if len(m) == 1 and m[0][1] == 1 else None
            if only is not None and only.kind == "log":  # e^(c log q) = q^c
                result = self.multiply(result, self._power(only.base, fraction(c)))
            else:
                rest[m] = c
        return self.multiply(result, {self._exponential_of(rest): fmpq(1)})

    def _exponential_of(self, p: Poly) -> Monomial:
        """e^p as a product of rational powers of e^b, over polynomials b that are linearly independent.

        The b are found as they come: what an exponent adds to those before it becomes the next one.
        """
        left, powers = dict(p), dict[int, Exponent]()
        while left:
            k = min((self._pivots[m] for m in left if m in self._pivots), default=None)
            if k is None:
                pivot = ONE if ONE in left else leading(left)
                base = {ONE: fmpq(1)} if ONE in left else {m: c / left[pivot] for m, c in left.items()}
                k = self.generator("exp", frozenset(base.items()), positive=True, base=base)
                self._pivots[pivot] = k
            base = self.generators[k].base
            pivot = ONE if ONE in base else leading(base)
            power = left[pivot] / base[pivot]
            powers[k] = fraction(power)
            add_into(left, base, -power)
        return tidied(powers)

    def log(self, p: Poly) -> Poly:
        """log p, defined where p > 0."""
        return self.by_cases(self._log, p)

    def _log(self, p: Poly) -> Poly:
        """The logarithm of a product of which all factors but one are surely positive is a sum."""
        if self.is_zero(p):
            raise UnprovableError("it takes the logarithm of zero")
        result: Poly = {}
        if len(p) > 1:
            p, multiplier = self._without_denominators(p, self._is_positive_generator)
            if multiplier != constant(1):
                add_into(result, self._log(multiplier), fmpq(-1))
        scale = abs(p[leading(p)])
        for prime, k in prime_powers(scale):
            add_into(result, self._log_atom(constant(prime)), fmpq(k))
        p = {m: c / scale for m, c in p.items()}
        content = gcd_of(p, self._is_positive_generator)
        for number, e in content:
            generator = self.generators[number]
            if generator.kind in ("exp", "power"):
                inside = generator.base if generator.kind == "exp" else self._log(generator.base)
            else:
                inside = self._log_atom({((number, 1),): fmpq(1)} if generator.kind == "symbol" else constant(generator.key))
            add_into(result, inside, rational(Fraction(e)))
        p = self._divided(p, content)
        if p == constant(1):
            return result
        if p == constant(-1):
            raise UnprovableError("it takes the logarithm of a negative number")
        add_into(result, self._log_atom(p))
        return result

    def _log_atom(self, p: Poly) -> Poly:
        number = self.generator("log", frozenset(p.items()), base=p)
        return {((number, 1),): fmpq(1)}

    # Functions of which no more is known than their name

    def named(self, name: str, parameters: Any, *arguments: Poly) -> Poly:
        """A function that gives the same for the same arguments; that it is odd or even is used."""
        return self.by_cases(lambda *parts: self._named(name, parameters, parts), *arguments)

    def _named(self, name: str, parameters: Any, arguments: tuple[Poly, ...]) -> Poly:
        sign = fmpq(1)
        if name in ODD | EVEN:
            (p,) = arguments
            if self.is_zero(p):
                return constant(0 if name in ODD else 1)
            if p[leading(p)] < 0:
                arguments = ({m: -c for m, c in p.items()},)
                sign = fmpq(-1 if name in ODD else 1)
        key = (name, parameters, tuple(frozenset(p.items()) for p in arguments))
        return {((self.generator("function", key), 1),): sign}

    # Conditions

    def sign(self, p: Poly) -> Poly:
        """−1, 0 or 1"""
        return self.subtract(self.is_above(p), self.is_above({m: -c for m, c in p.items()}))

    def is_above(self, p: Poly) -> Poly:
        """1 where p > 0, else 0."""
        return self.by_cases(self._is_above, p)

    def is_null(self, p: Poly) -> Poly:
        """1 where p = 0, else 0: 0 for what is 0 on a null set only, as these are kinks."""
        return self.by_cases(self._is_null, p)

    def _is_null(self, p: Poly) -> Poly:
        if self.is_zero(p):
            return constant(1)
        if self.is_positive(p) or self.is_positive(_negative(p)) or self.rarely_null(p):
            return {}
        p = self._shape_of_zeros(p)
        return self.bit(("zero", frozenset(p.items())))

    def _is_above(self, p: Poly) -> Poly:
        if self.is_zero(p) or self.is_positive(_negative(p), or_zero=True):
            return {}
        if self.is_positive(p):
            return constant(1)
        p = self._up_to_squares(p)
        if not self.rarely_null(p):
            scale = abs(p[leading(p)])
            p = {m: c / scale for m, c in p.items()}
            if self.is_positive(p):
                return constant(1)
            return self.bit(("above", frozenset(p.items())))
        # p is 0 on a null set only, so its sign is the product of its factors' signs
        content = gcd_of(p, lambda _: True)
        p = self._divided(p, content)
        scale = p[leading(p)]
        p = {m: c / scale for m, c in p.items()}
        signs = constant(1) if scale > 0 else constant(-1)
        for number, e in content:
            if not self._is_square(number, e):
                signs = self.multiply(signs, self._sign_bit({((number, 1),): fmpq(1)}))
        if p != constant(1) and not self.is_positive(p):
            signs = self.multiply(signs, constant(-1) if self.is_positive(_negative(p)) else self._sign_bit(p))
        result = constant(fmpq(1, 2))
        add_into(result, signs, fmpq(1, 2))
        return result

    def _sign_bit(self, p: Poly) -> Poly:
        """2b − 1, b for p > 0."""
        if self.is_positive(p):
            return constant(1)
        result = {m: 2 * c for m, c in self.bit(("above", frozenset(p.items()))).items()}
        add_into(result, constant(-1))
        return result

    def _up_to_squares(self, p: Poly) -> Poly:
        """p without denominators and roots outside, times something positive: its sign is the same."""
        for _ in range(100):
            lowest = gcd_of(p, lambda g: self.generators[g].kind == "power")
            by = [(g, -e) for g, e in lowest if e < 0]
            if not by:
                return p
            number, e = by[-1]
            if not self.generators[number].positive and e.denominator == 1:
                e += e % 2  # an even power
            p = self.multiply(p, {((number, e),): fmpq(1)})
        raise UnprovableError("denominators do not come to an end")

    def _shape_of_zeros(self, p: Poly) -> Poly:
        """The same for polynomials with the same zeros, as far as a factor shows it."""
        p = self._up_to_squares(p)
        scale = p[leading(p)]
        return {m: c / scale for m, c in p.items()}

    def first_greatest(self, *values: Poly) -> list[Poly]:
        """For each value, 1 where it is the first of the greatest ones, else 0."""
        return [self.by_cases(lambda *v, k=k: self._first_greatest(v)[k], *values) for k in range(len(values))]

    def _first_greatest(self, values: tuple[Poly, ...]) -> list[Poly]:
        """Which value is greatest is one choice among all of them: cheaper than comparing each with each."""
        beyond = [self.subtract(value, values[0]) for value in values]
        beyond = [{} if self.is_zero(p) else p for p in beyond]
        scale = next((abs(p[leading(p)]) for p in beyond if p), None)
        if scale is None:
            return [constant(1 if k == 0 else 0) for k in range(len(values))]
        group = ("greatest", tuple(frozenset((m, c / scale) for m, c in p.items()) for p in beyond))
        bits = [self.bit((group, k), group=group) for k in range(1, len(values))]
        first = constant(1)
        for bit in bits:
            add_into(first, bit, fmpq(-1))
        return [first, *bits]

    # Null sets

    def rarely_null(self, p: Poly) -> bool:
        """Whether p = 0 on a null set only, proved; False says nothing.

        A polynomial in inputs that is not the zero polynomial is; so is one in inputs and exponentials of polynomials in
        inputs, for these are linearly independent over the polynomials (and analytic). And so is a polynomial in inputs
        that nothing else depends on, if one of its coefficients is: for almost all values of the rest it is not the zero
        polynomial.
        """
        return self._rarely_null(self.cleared(p))

    def _rarely_null(self, p: Poly) -> bool:
        if not p:
            return False
        if all(self._is_entire(g) for m in p for g, _ in m) or self.is_positive(p) or self.is_positive(_negative(p)):
            return True
        content = gcd_of(p, lambda g: self.generators[g].positive or self.generators[g].kind == "symbol")
        if content:  # null where one of these inputs is 0, or the rest is
            return self._rarely_null(self._divided(p, content))
        atoms = {g for m in p for g, _ in m if self.generators[g].kind != "symbol"}
        inside = {s for g in atoms for s in self.symbols_in(g)}
        parts: dict[Monomial, Poly] = {}
        for m, c in p.items():
            free = tuple(pair for pair in m if self.generators[pair[0]].kind == "symbol" and pair[0] not in inside)
            rest = tuple(pair for pair in m if pair not in free)
            parts.setdefault(free, {})[rest] = c
        if all(not free for free in parts):
            return False
        return any(self._rarely_null(part) for part in parts.values())

    def _is_entire(self, number: int) -> bool:
        """An input, or the exponential of a polynomial in inputs without a constant term."""
        generator = self.generators[number]
        if generator.kind == "exp":
            return ONE not in generator.base and all(
                self.generators[g].kind == "symbol" and e > 0 and e.denominator == 1 for m in generator.base for g, e in m
            )
        return generator.kind == "symbol"

    def symbols_in(self, number: int) -> set[int]:
        """The inputs that a generator depends on."""
        if number not in self._symbols:
            generator = self.generators[number]
            polys = [dict(part) for part in generator.key[2]] if generator.kind == "function" else [generator.base]
            below = {g for p in polys for m in p for g, _ in m}
            inside = {s for g in below for s in self.symbols_in(g)}
            self._symbols[number] = {number} if generator.kind == "symbol" else inside
        return self._symbols[number]


def _negative(p: Poly) -> Poly:
    return {m: -c for m, c in p.items()}
