"""Exact arithmetic on polynomials over generators, after the equations that these know.

Every rewriting here is an identity of real functions wherever both sides are defined, so two polynomials with one normal
form are one function. The converse is not claimed: what is not proved may be true.
"""

from collections.abc import Hashable
from fractions import Fraction
from itertools import permutations
from random import Random

from flint import fmpq

from .generators import Generator, Generators, pivots_of
from .identities import Trail
from .polynomials import (
    LARGEST,
    Exponent,
    Monomial,
    Poly,
    UnprovableError,
    add_into,
    constant,
    gcd_of,
    inverse_term,
    negative,
    power_of_one,
    require_small_power,
    shifted,
    tidy,
    times,
)


def _work_of_product(a: Poly, b: Poly) -> int:
    """By the lengths of the monomials, and by what numbers cost: one term of each stands for all."""
    if not a or not b:
        return 0
    cost = 1
    for p in (a, b):
        m, c = next(iter(p.items()))
        roots = sum(type(exponent) is not int for _, exponent in m)
        cost = max(cost, 1 + c.height_bits() // 256 + 8 * roots // (1 + len(m)))
    lengths = len(b) * sum(map(len, a)) + len(a) * sum(map(len, b))
    return (len(a) * len(b) + lengths) * cost


PRIME = 2**61 - 1
_ROOTS = 2**4 * 9 * 5 * 7
"""the residue of e^m is drawn as this power of another one, so that it has roots"""


_IMPLIES, _COVER, _EXCLUDE = "a condition implies another", "one of two conditions holds", "conditions exclude each other"
_OF_BOTH: dict[str, tuple[int, ...]] = {_IMPLIES: (1,), _COVER: (1, 1, -1), _EXCLUDE: ()}
"""what the product of two bits is: so many times the second, the first, and 1"""


class Ring(Generators):
    """Generators, and arithmetic on polynomials over them."""

    def __init__(self) -> None:
        super().__init__()
        self._reduced: dict[Monomial, tuple[Poly | None, Trail | None]] = {}
        self._residues: dict[int, int] = {}
        self._angles: dict[Hashable, int] = {}
        self._relations: dict[tuple[int, int], str] = {}
        self._random = Random(0)

    # Arithmetic

    def power_of(self, base: Poly, exponent: Fraction) -> Poly:
        """base^exponent as a generator's power; the base has no bits and no denominators, and its content is taken out."""
        number = self.generator("power", frozenset(base.items()))
        made = self.generators[number]
        if not made.base:
            made.positive = self.is_positive(base)
            made.pivots = pivots_of(base)
            made.base = base
        return self.reduced({((number, tidy(exponent)),): fmpq(1)})

    def multiply(self, a: Poly, b: Poly) -> Poly:
        """a b"""
        if len(a) > len(b):
            a, b = b, a
        if len(a) * len(b) > 40 * LARGEST:
            raise UnprovableError("an expression grew too large")
        self.budget.spend(_work_of_product(a, b))
        raw: Poly = {}
        for m, c in a.items():
            for n, d in b.items():
                product, value = times(m, n), c * d
                before = raw.get(product)
                raw[product] = value if before is None else before + value
        return self.reduced(raw)

    def subtract(self, a: Poly, b: Poly) -> Poly:
        """a − b"""
        self.budget.spend(len(a) + len(b))
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
        self.budget.spend(len(raw) + sum(map(len, raw)))
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
        found = self._reduced.get(m)
        if found is None:
            self.budget.spend(4 + 2 * len(m))
            outer, self.trail = self.trail, Trail()
            step = self._rewritten(m)
            made = None if step is None else self.reduced(step)
            found = self._reduced[m] = made, (self.trail if self.trail.identities else None)
            self.trail = outer
        if found[1] is not None:
            self.trail.add(found[1])
        return found[0]

    def _rewritten(self, m: Monomial) -> Poly | None:
        groups: set[Hashable] = set()
        signs: list[int] = []
        for k, (number, exponent) in enumerate(m):
            if number not in self.special:
                continue
            generator = self.generators[number]
            rest = m[:k] + m[k + 1 :]
            if generator.kind == "bit":
                if exponent != 1:
                    self.use("a condition squared")
                    return {times(rest, ((number, 1),)): fmpq(1)}
                if self._groups[number] in groups:
                    self.use("outcomes exclude each other")
                    return {}
                groups.add(self._groups[number])
                if generator.key[0] == "above":
                    signs.append(number)
            elif generator.kind == "sine":
                if exponent >= 2:
                    self.use("sine squared")
                    less = times(rest, power_of_one(number, exponent - 2))
                    cosine = self.generator("cosine", generator.key)
                    return {less: fmpq(1), times(less, ((cosine, 2),)): fmpq(-1)}
            elif generator.kind == "prime":
                whole = exponent.__floor__()
                if whole:
                    self.use("a root of a number")
                    return {times(rest, power_of_one(number, exponent - whole)): fmpq(generator.key) ** whole}
            else:
                step = self._rewritten_power(generator, number, exponent, m, rest)
                if step is not None:
                    return step
        for number, other in permutations(signs, 2):
            relation = self.relation(number, other)
            if relation:
                self.use(relation)
                without = [tuple(pair for pair in m if pair[0] not in left) for left in ({number}, {other}, {number, other})]
                return dict(zip(without, map(fmpq, _OF_BOTH[relation]), strict=False))
        return None

    def implied(self, bit: int, value: int, other: int) -> int | None:
        """What another bit is where a bit is 0 or 1; None where it may be either."""
        if any(self.generators[number].key[0] != "above" for number in (bit, other)):
            return None
        known = {_IMPLIES: 1, _EXCLUDE: 0} if value else {_IMPLIES: 0, _COVER: 1}
        relation = self.relation(other, bit) if value else self.relation(bit, other)
        if relation in known:
            self.use(relation)
        return known.get(relation)

    def relation(self, bit: int, other: int) -> str:
        """The identity by which the product of two bits, of p > 0 and of q > 0, is a sum; empty where none is known."""
        if (bit, other) not in self._relations:
            p, q = (dict(self.generators[number].key[1]) for number in (bit, other))
            added = self.subtract(p, negative(q))
            known = zip(_OF_BOTH, (self.subtract(p, q), added, negative(added)), strict=True)
            self._relations[bit, other] = next((name for name, r in known if self.is_positive(r)), "")
        return self._relations[bit, other]

    def _rewritten_power(
        self, generator: Generator, number: int, exponent: Exponent, m: Monomial, rest: Monomial
    ) -> Poly | None:
        base = generator.base
        if exponent >= 1 or (len(base) == 1 and exponent < 0):
            self.use("powers add")
            whole = exponent.__floor__()
            factor = self.whole_power(base, whole) if whole > 0 else self.whole_power(inverse_term(base), -whole)
            return shifted(factor, times(rest, power_of_one(number, exponent - whole)))
        if exponent >= 0:
            return None
        self.budget.spend(2 * len(base))
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
            self.budget.spend(3 * (2 + len(other)) * (3 + len(m)))
            self.use("cancelling a denominator")
            result = {times(times(rest, power_of_one(number, exponent + 1)), shift): factor}
            add_into(result, shifted(other, times(m, shift)), -factor)
            return result
        return None

    # Zero and signs

    def is_zero(self, p: Poly) -> bool:
        """Whether a polynomial is 0 once it stands over a common denominator."""
        if not p:
            return True
        if self.residue(p):  # not 0 modulo a prime: not 0
            return False
        outer, self.trail = self.trail, Trail()
        is_zero = not self.cleared(p)
        if is_zero:
            outer.add(self.trail)
        self.trail = outer
        return is_zero

    def residue(self, p: Poly) -> int | None:
        """p at one point of the integers modulo a prime, where it has a value there: a quick way to see that it is not 0."""
        try:
            return sum(self._residue_of_term(m, c) for m, c in p.items()) % PRIME
        except ArithmeticError:
            return None

    def _residue_of_term(self, m: Monomial, c: fmpq) -> int:
        self.budget.spend(1 + len(m))
        result = int(c.p) * pow(int(c.q), -1, PRIME)
        for number, exponent in m:
            generator = self.generators[number]
            if exponent.denominator != 1 and generator.kind in ("power", "prime"):
                raise ArithmeticError("roots have no place here")
            steps = exponent * (1 if generator.kind in ("power", "sine", "cosine") else _ROOTS)
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
            elif generator.kind in ("sine", "cosine"):  # 2t/(1 + t²) and (1 − t²)/(1 + t²)
                t = self._angles.setdefault(generator.key, self._random.randrange(2, PRIME))
                above = 2 * t if generator.kind == "sine" else 1 - t * t
                self._residues[number] = above * pow(1 + t * t, -1, PRIME) % PRIME
            else:
                drawn = self._random.randrange(2, PRIME)
                self._residues[number] = drawn % 2 if generator.kind == "bit" else drawn
        return self._residues[number]

    def cleared(self, p: Poly) -> Poly:
        """p times the powers of bases that free it of denominators; 0 if and only if p is, wherever p is defined."""
        while p:
            lowest = gcd_of(p, lambda g: self.generators[g].kind in ("power", "sine"))
            by = [(g, -e) for g, e in lowest if e < 0]
            if not by:
                return p
            self.use("common denominator")
            p = self.multiply(p, {(by[-1],): fmpq(1)})
        return p
