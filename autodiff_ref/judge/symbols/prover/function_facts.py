"""Functions of polynomials: powers, exponentials, logarithms, and functions known by name only."""

from collections.abc import Callable
from fractions import Fraction

from flint import fmpq

from .conditions import Conditions
from .polynomials import (
    ONE,
    Exponent,
    Monomial,
    Poly,
    UnprovableError,
    add_into,
    constant,
    fraction,
    gcd_of,
    leading,
    negative,
    prime_powers,
    raised,
    rational,
    require_small_power,
    tidied,
)

STEPS = 8
"""how far from 0 an argument of digamma is brought back to [0, 1)"""


_SINE, _COSINE = ("sin", "odd 0"), ("cos", "even 1")

MULTIPLES = 8
"""the largest multiple of an angle whose sine is expressed by that of the angle"""


def _first_angle(p: Poly) -> Poly:
    """The part of an angle that is split off first: its first term, of a whole multiple of one only the one.

    Example:
        >>> _first_angle({((0, 1),): fmpq(3), ((1, 1),): fmpq(1, 2)}), _first_angle({((0, 1),): fmpq(3)})
        ({((1, 1),): 1/2}, {((0, 1),): 1})
    """
    m = leading(p)
    return {m: p[m] / abs(p[m].p) if abs(p[m].p) <= MULTIPLES else p[m]}


class Functions(Conditions):
    """A ring whose polynomials can be put into functions."""

    def __init__(self, *, adds_angles: bool = False) -> None:
        """With `adds_angles` the sine and cosine of a sum are those of its terms: most proofs are shorter without."""
        super().__init__()
        self._adds_angles = adds_angles
        self._pivots: dict[Monomial, int] = {}
        """of each exponential's exponent the monomial that the ones after it do not have"""

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
        if content or p[leading(p)] != 1:
            self.use("whole power of a product")
        p = self.divided(p, content)
        outside = self._term_power(content, exponent)
        scale = p[leading(p)]
        p = {m: c / scale for m, c in p.items()}
        if self.is_positive(negative(p)):  # 1/(1 − q) for a q < 1: a power of what is positive, whatever stands first in it
            self.use("whole power of a product")
            scale, p = -scale, negative(p)
        result = self.multiply(outside, constant(scale ** int(exponent)))
        if len(p) > 1:
            result = self.multiply(result, self.power_of(p, exponent))
        return self.multiply(result, self.whole_power(multiplier, int(-exponent)))

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
            self.use("common denominator")
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
        if content or scale != 1:
            self.use("root of a product")
        p = self.divided(p, content)
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
                self.use("root of a square")
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
            if only is not None and only.kind == "log":
                self.use("exponential of a logarithm")
                result = self.multiply(result, self._power(only.base, fraction(c)))
            else:
                rest[m] = c
        return self.multiply(result, {self._exponential_of(rest): fmpq(1)})

    def _exponential_of(self, p: Poly) -> Monomial:
        """e^p as a product of rational powers of e^b, over polynomials b that are linearly independent.

        The b are found as they come: what an exponent adds to those before it becomes the next one.
        """
        left, powers = dict(p), dict[int, Exponent]()
        if len(left) > 1 or any(c != 1 for c in left.values()):
            self.use("exponentials add")
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
                self.use("logarithm of a product")
                add_into(result, self._log(multiplier), fmpq(-1))
        scale = abs(p[leading(p)])
        for prime, k in prime_powers(scale):
            add_into(result, self._log_atom(constant(prime)), fmpq(k))
        p = {m: c / scale for m, c in p.items()}
        content = gcd_of(p, self._is_positive_generator)
        if content or scale != 1:
            self.use("logarithm of a product")
        for number, e in content:
            if e != 1:
                self.use("logarithm of a power")
            if self.generators[number].kind == "exp":
                self.use("logarithm of an exponential")
            generator = self.generators[number]
            if generator.kind in ("exp", "power"):
                inside = generator.base if generator.kind == "exp" else self._log(generator.base)
            else:
                inside = self._log_atom({((number, 1),): fmpq(1)} if generator.kind == "symbol" else constant(generator.key))
            add_into(result, inside, rational(Fraction(e)))
        p = self.divided(p, content)
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

    def named(self, name: str, symmetry: str | None, *arguments: Poly) -> Poly:
        """A function that gives the same for the same arguments.

        Args:
            name: the function.
            symmetry: of an odd or even one, its parity and its value at 0, as "odd 0".
            arguments: its arguments.
        """
        return self.by_cases(lambda *parts: self._named(name, symmetry, parts), *arguments)

    def _named(self, name: str, symmetry: str | None, arguments: tuple[Poly, ...]) -> Poly:
        if name == "digamma":
            return self._digamma(*arguments)
        sign = fmpq(1)
        if symmetry is not None and arguments:
            (p,), (parity, at_zero) = arguments, symmetry.split()
            if self.is_zero(p):
                return constant(int(at_zero))
            if p[leading(p)] < 0:
                self.use(f"{name} is {parity}")
                arguments = ({m: -c for m, c in p.items()},)
                sign = fmpq(-1 if parity == "odd" else 1)
        key = (name, symmetry, tuple(frozenset(p.items()) for p in arguments))
        if name in ("sin", "cos"):
            if self._adds_angles and arguments[0] and (first := _first_angle(arguments[0])) != arguments[0]:
                return self.multiply(constant(sign), self._of_angles(name, first, self.subtract(arguments[0], first)))
            kind, key = ("sine" if name == "sin" else "cosine"), ("angle", None, key[2])
        else:
            kind = "function"
        return {((self.generator(kind, key), 1),): sign}

    def _of_angles(self, name: str, p: Poly, q: Poly) -> Poly:
        """The sine or cosine of p + q."""
        self.use("sine of a sum" if name == "sin" else "cosine of a sum")
        sines, cosines = ([self._named(*function, (angle,)) for angle in (p, q)] for function in (_SINE, _COSINE))
        if name == "sin":
            result = self.multiply(sines[0], cosines[1])
            add_into(result, self.multiply(cosines[0], sines[1]))
            return result
        return self.subtract(self.multiply(*cosines), self.multiply(*sines))

    def _digamma(self, p: Poly) -> Poly:
        """ψ(p), by ψ(q + n) = ψ(q) + Σ 1/(q + j), j from 0 to n − 1, so that the number in its argument is in [0, 1)."""
        added = p.get(ONE, fmpq(0))
        n = int(added.floor())
        q = self.subtract(p, constant(n))
        if abs(n) > STEPS or not q or list(q) == [ONE]:
            q, n = p, 0
        if n:
            self.use("digamma's recurrence")
        key = ("digamma", None, (frozenset(q.items()),))
        result: Poly = {((self.generator("function", key), 1),): fmpq(1)}
        for j in range(abs(n)):
            step = self.subtract(q, constant(-j if n > 0 else j + 1))  # q + j, or q − j − 1
            add_into(result, self.inverse(step), fmpq(1 if n > 0 else -1))
        return result
