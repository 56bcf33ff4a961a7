"""Conditions on polynomials: their signs, where they are 0, which is greatest; and functions applied case by case.

A function is applied case by case where its argument holds bits: f(p) = b f(p|b=1) + (1−b) f(p|b=0). Where both cases give
the same, the bit is gone: so σ written with `where(z < 0, …)` becomes plain σ.
"""

from collections.abc import Callable

from flint import fmpq

from .polynomials import ONE, Monomial, Poly, UnprovableError, add_into, constant, gcd_of, leading, negative, raised
from .ring import Ring

CASES = 512
"""cases of bits beyond which a function of an expression is given up"""


class Conditions(Ring):
    """A ring whose polynomials can be asked for their signs."""

    def __init__(self) -> None:
        super().__init__()
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
        self.use("case by case")
        bit = min(bits)
        at_0, at_1 = (self._split(f, tuple(self._in_case(p, bit, value) for p in arguments), left) for value in (0, 1))
        difference = self.subtract(at_1, at_0)
        if self.is_zero(difference):
            self.use("equal in both cases")
            return at_0
        result = self.multiply({((bit, 1),): fmpq(1)}, difference)
        add_into(result, at_0)
        return result

    def _in_case(self, p: Poly, bit: int, value: int) -> Poly:
        """p where a bit is 0 or 1, and others are what follows from that: a case that cannot be may divide by zero."""
        p = self.with_bit(p, bit, value)
        for other in self.bits_in(p):
            known = self.implied(bit, value, other)
            p = p if known is None else self._in_case(p, other, known)
        return p

    def divided(self, p: Poly, by: Monomial) -> Poly:
        """p divided by a monomial."""
        return self.multiply(p, {raised(by, -1): fmpq(1)}) if by else p

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
        if self.is_positive(p) or self.is_positive(negative(p)):
            self.use("known sign")
            return {}
        if self.rarely_null(p):
            self.use("equal on a null set only")
            self.trail.left_out.add(self.node)
            return {}
        p = self._shape_of_zeros(p)
        return self.bit(("zero", frozenset(p.items())))

    def _is_above(self, p: Poly) -> Poly:
        if self.is_zero(p):
            return {}
        if self.is_positive(negative(p), or_zero=True):
            self.use("known sign")
            return {}
        if self.is_positive(p):
            self.use("known sign")
            return constant(1)
        p = self._up_to_squares(p)
        if not self.rarely_null(p):
            scale = abs(p[leading(p)])
            p = {m: c / scale for m, c in p.items()}
            if scale != 1:
                self.use("sign up to a positive factor")
            if self.is_positive(p):
                return constant(1)
            return self.bit(("above", frozenset(p.items())))
        # p is 0 on a null set only, so its sign is the product of its factors' signs
        self.use("sign of a product")
        self.trail.left_out.add(self.node)
        content = gcd_of(p, lambda _: True)
        p = self.divided(p, content)
        scale = p[leading(p)]
        p = {m: c / scale for m, c in p.items()}
        signs = constant(1) if scale > 0 else constant(-1)
        for number, e in content:
            if not self.is_square(number, e):
                signs = self.multiply(signs, self._sign_bit({((number, 1),): fmpq(1)}))
        if p != constant(1) and not self.is_positive(p):
            signs = self.multiply(signs, constant(-1) if self.is_positive(negative(p)) else self._sign_bit(p))
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
            self.use("sign up to a positive factor")
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
        self.use("the greatest is one of them")
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
        if all(self._is_entire(g) for m in p for g, _ in m) or self.is_positive(p) or self.is_positive(negative(p)):
            return True
        content = gcd_of(p, lambda g: self.generators[g].positive or self.generators[g].kind == "symbol")
        if content:  # null where one of these inputs is 0, or the rest is
            return self._rarely_null(self.divided(p, content))
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
            polys = (
                [dict(part) for part in generator.key[2]]
                if generator.kind in ("function", "sine", "cosine")
                else [generator.base]
            )
            below = {g for p in polys for m in p for g, _ in m}
            inside = {s for g in below for s in self.symbols_in(g)}
            self._symbols[number] = {number} if generator.kind == "symbol" else inside
        return self._symbols[number]
