"""From expressions to normal forms: what each operation of an expression graph is as a polynomial over generators.

A graph is a list of nodes, each `[operation, …]` with the numbers of earlier nodes, or parameters, behind it. It is what the
symbolic table of the walker builds (`autodiff_ref.judge.symbols.table`), and plain JSON.
"""

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import Any

from flint import fmpq

from .function_facts import Functions
from .identities import DEFINITIONS, Trail
from .polynomials import Poly, UnprovableError, add_into, constant, fraction

Node = list[Any]


class Graph:
    """Nodes, and the normal forms of those that were asked for."""

    def __init__(self, nodes: list[Node] | None = None, *, adds_angles: bool = False) -> None:
        """Starts with some nodes; more may be added to the list later."""
        self.ring = Functions(adds_angles=adds_angles)
        self.nodes: list[Node] = [] if nodes is None else nodes
        self._compared = Trail()
        self._values: dict[int, Poly] = {}
        self._inverses: dict[int, tuple[Poly, Trail]] = {}
        self._trails: dict[int, Trail] = {}

    def trail_of(self, pairs: Iterable[tuple[int, int]]) -> Trail:
        """What the normal forms of some pairs of nodes rest on."""
        found = Trail()
        stack = [k for a, b in pairs if a != b for k in (a, b)]
        seen = set(stack)
        while stack:
            k = stack.pop()
            if k in self._trails:
                found.add(self._trails[k])
            below = [j for j in operands_of(self.nodes[k]) if j not in seen]
            seen.update(below)
            stack += below
        found.add(self._compared)
        return found

    def are_equal(self, pairs: Sequence[tuple[int, int]]) -> bool:
        """Whether nodes are pairwise one function, proved: then `trail_of` says by what."""
        self._compared = self.ring.trail = Trail()
        return all(self.is_equal(a, b) for a, b in pairs)

    def is_equal(self, a: int, b: int) -> bool:
        """Whether two nodes are one function, proved."""
        if a == b:
            return True
        difference = self.ring.subtract(self.value(a), self.value(b))
        self.ring.trail = self._compared
        return self.ring.is_zero(difference)

    def value(self, wanted: int) -> Poly:
        """The normal form of a node."""
        stack = [wanted]
        while stack:
            k = stack[-1]
            if k in self._values:
                stack.pop()
                continue
            missing = [j for j in operands_of(self.nodes[k]) if j not in self._values]
            if missing:
                stack.extend(missing)
                continue
            self.ring.trail, self.ring.node = Trail(), k
            if self.nodes[k][0] in DEFINITIONS:
                self.ring.use(DEFINITIONS[self.nodes[k][0]].name)
            self._values[k] = self._made(self.nodes[k])
            if self.ring.trail.identities:
                self._trails[k] = self.ring.trail
            stack.pop()
        return self._values[wanted]

    def _made(self, node: Node) -> Poly:
        operation, *rest = node
        if operation in LEAVES:
            return LEAVES[operation](self.ring, *rest)
        if operation == "div":
            return self.ring.multiply(self._values[rest[0]], self._inverse(rest[1]))
        if operation == "pow":
            base, exponent = rest[0], Fraction(rest[1])
            if exponent < 0 and exponent.denominator == 1:
                return self.ring.whole_power(self._inverse(base), int(-exponent))
            return self.ring.power(self._values[base], exponent)
        if operation == "pick":
            index, places, *entries = rest
            return _picked(self.ring, self._values[index], places, *[self._values[k] for k in entries])
        if operation == "call":
            name, symmetry, *arguments = rest
            return self.ring.named(name, symmetry, *[self._values[k] for k in arguments])
        return OPERATIONS[operation](self.ring, *[self._values[k] for k in rest])

    def _inverse(self, k: int) -> Poly:
        """1/node, factor by factor where the node is a product."""
        if k not in self._inverses:
            outer, self.ring.trail = self.ring.trail, Trail()
            operation, *rest = self.nodes[k]
            if operation == "mul":
                made = self.ring.multiply(self._inverse(rest[0]), self._inverse(rest[1]))
            elif operation == "pow" and Fraction(rest[1]).denominator == 1 and Fraction(rest[1]) > 0:
                made = self.ring.whole_power(self._inverse(rest[0]), int(Fraction(rest[1])))
            else:
                made = self.ring.inverse(self._values[k])
            self._inverses[k], self.ring.trail = (made, self.ring.trail), outer
        made, trail = self._inverses[k]
        self.ring.trail.add(trail)
        return made


def operands_of(node: Node) -> list[int]:
    """The nodes that a node is made of."""
    if node[0] in LEAVES:
        return []
    if node[0] == "pow":
        return [node[1]]
    if node[0] == "pick":
        return [node[1], *node[3:]]
    return node[3:] if node[0] == "call" else node[1:]


# Leaves


def _number(ring: Functions, numerator: str, denominator: str) -> Poly:
    return constant(fmpq(int(numerator), int(denominator)))


def _symbol(ring: Functions, key: int, low: str | None, high: str | None) -> Poly:
    bounds = tuple(None if bound is None else Fraction(bound) for bound in (low, high))
    is_positive = bounds[0] is not None and bounds[0] >= 0
    return {((ring.generator("symbol", key, bounds=bounds, positive=is_positive), 1),): fmpq(1)}


def _outcome(ring: Functions, group: int, k: int, of: int) -> Poly:
    """1 where choice `group` comes out as k, of so many outcomes; the last is 1 where none of the others is."""
    if k < of - 1:
        return ring.bit((group, k), group=group)
    result = constant(1)
    for other in range(of - 1):
        add_into(result, ring.bit((group, other), group=group), fmpq(-1))
    return result


LEAVES: dict[str, Callable[..., Poly]] = {"number": _number, "symbol": _symbol, "outcome": _outcome}


# Operations


def _sum(*terms: Poly) -> Poly:
    result: Poly = {}
    for term in terms:
        add_into(result, term)
    return result


def _scaled(p: Poly, factor: fmpq | int) -> Poly:
    number = fmpq(factor)
    return {m: c * number for m, c in p.items()}


def _minus(ring: Functions, p: Poly) -> Poly:
    return _scaled(p, -1)


def _one_plus(p: Poly) -> Poly:
    return _sum(constant(1), p)


def _one_minus(p: Poly) -> Poly:
    return _sum(constant(1), _scaled(p, -1))


def _logistic(ring: Functions, p: Poly) -> Poly:
    return ring.by_cases(lambda q: ring.inverse(_one_plus(ring.exp(_scaled(q, -1)))), p)


def _tanh(ring: Functions, p: Poly) -> Poly:
    return _sum(_scaled(_logistic(ring, _scaled(p, 2)), 2), constant(-1))


def _hyperbolic(sign: int) -> Callable[[Functions, Poly], Poly]:
    """(e^p ± e^−p)/2"""

    def made(ring: Functions, p: Poly) -> Poly:
        return _sum(_scaled(ring.exp(p), fmpq(1, 2)), _scaled(ring.exp(_scaled(p, -1)), fmpq(sign, 2)))

    return made


def _atanh(ring: Functions, p: Poly) -> Poly:
    """½ log (1+p)/(1−p), where |p| < 1 and both logarithms exist"""
    return _scaled(_sum(ring.log(_one_plus(p)), _scaled(ring.log(_one_minus(p)), -1)), fmpq(1, 2))


def _asinh(ring: Functions, p: Poly) -> Poly:
    root = ring.power(_one_plus(ring.multiply(p, p)), Fraction(1, 2))
    return ring.log(_sum(p, root))


def _power(ring: Functions, p: Poly, q: Poly) -> Poly:
    """p^q: an exponent that is a number in each case, or a base that is positive in each."""

    def in_case(p: Poly, q: Poly) -> Poly:
        if not q or list(q) == [()]:
            return ring.power(p, fraction(q[()]) if q else Fraction(0))
        if ring.is_above(p) == constant(1):
            return ring.exp(ring.multiply(q, ring.log(p)))
        raise UnprovableError("no symbolic rule for a power whose base may be negative and whose exponent varies")

    return ring.by_cases(in_case, p, q)


def _select(ring: Functions, which: Poly, otherwise: Poly, value: Poly) -> Poly:
    return _sum(otherwise, ring.multiply(which, ring.subtract(value, otherwise)))


def _greater(ring: Functions, a: Poly, b: Poly) -> Poly:
    return _select(ring, ring.is_above(ring.subtract(a, b)), b, a)


def _lesser(ring: Functions, a: Poly, b: Poly) -> Poly:
    return _select(ring, ring.is_above(ring.subtract(a, b)), a, b)


def _greatest_of(ring: Functions, *values: Poly) -> Poly:
    products = [ring.multiply(is_it, value) for is_it, value in zip(ring.first_greatest(*values), values, strict=True)]
    return _sum(*products)


def _place_of_greatest(ring: Functions, *values: Poly) -> Poly:
    return _sum(*[_scaled(is_it, k) for k, is_it in enumerate(ring.first_greatest(*values))])


def _picked(ring: Functions, index: Poly, places: str, *entries: Poly) -> Poly:
    """The entry whose place the index is."""
    at = [ring.is_null(ring.subtract(index, constant(int(place)))) for place in places.split()]
    return _sum(*[ring.multiply(here, entry) for here, entry in zip(at, entries, strict=True)])


def _whole(name: str, round_number: Callable[[Fraction], int]) -> Callable[[Functions, Poly], Poly]:
    """A jump from one integer to the next: known only where the argument is a number in each case."""

    def in_case(p: Poly) -> Poly:
        if p and list(p) != [()]:
            raise UnprovableError(f"no symbolic rule for {name}")
        return constant(round_number(fraction(p[()])) if p else 0)

    return lambda ring, p: ring.by_cases(in_case, p)


def _truncated(value: Fraction) -> int:
    if abs(value) >= 2**31:
        raise UnprovableError("an integer may leave the range of its type")
    return int(value)


OPERATIONS: dict[str, Callable[..., Poly]] = {
    "add": lambda ring, *terms: _sum(*terms),
    "sub": lambda ring, a, b: ring.subtract(a, b),
    "mul": lambda ring, a, b: ring.multiply(a, b),
    "neg": _minus,
    "exp": lambda ring, p: ring.exp(p),
    "expm1": lambda ring, p: _sum(ring.exp(p), constant(-1)),
    "exp2": lambda ring, p: _power(ring, constant(2), p),
    "log": lambda ring, p: ring.log(p),
    "log1p": lambda ring, p: ring.log(_one_plus(p)),
    "logistic": _logistic,
    "tanh": _tanh,
    "sinh": _hyperbolic(-1),
    "cosh": _hyperbolic(1),
    "atanh": _atanh,
    "asinh": _asinh,
    "tan": lambda ring, p: ring.multiply(ring.named("sin", "odd 0", p), ring.inverse(ring.named("cos", "even 1", p))),
    "erfc": lambda ring, p: _one_minus(ring.named("erf", "odd 0", p)),
    "power": _power,
    "abs": lambda ring, p: ring.multiply(ring.sign(p), p),
    "sign": lambda ring, p: ring.sign(p),
    "max": _greater,
    "min": _lesser,
    "greatest": _greatest_of,
    "place": _place_of_greatest,
    "select": _select,
    "gt": lambda ring, a, b: ring.is_above(ring.subtract(a, b)),
    "lt": lambda ring, a, b: ring.is_above(ring.subtract(b, a)),
    "ge": lambda ring, a, b: _one_minus(ring.is_above(ring.subtract(b, a))),
    "le": lambda ring, a, b: _one_minus(ring.is_above(ring.subtract(a, b))),
    "eq": lambda ring, a, b: ring.is_null(ring.subtract(a, b)),
    "ne": lambda ring, a, b: _one_minus(ring.is_null(ring.subtract(a, b))),
    "trunc": _whole("a truncation to an integer", _truncated),
    "floor": _whole("floor", lambda value: value.__floor__()),
    "ceil": _whole("ceil", lambda value: value.__ceil__()),
}
"""operations of nodes by name, as functions of the operands' normal forms"""
