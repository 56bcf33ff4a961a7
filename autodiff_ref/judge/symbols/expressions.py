"""Expression graphs: the nodes that the symbolic table computes with, and the symbols that arguments become."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, SupportsInt

import jax
import numpy as np

from autodiff_ref.judge.program.comparisons import ALL, Site
from autodiff_ref.judge.program.plans import Array, Ending
from autodiff_ref.judge.symbols.prover.nodes import Node as Content
from autodiff_ref.judge.symbols.prover.nodes import operands_of
from autodiff_ref.trees import Domains

LARGEST = 500_000
"""nodes beyond which a derivation is not written: that takes a second or two, and the prover would be lost in them"""


COMPARING = {
    "gt": "equality in >",
    "lt": "equality in <",
    "ge": "equality in ≥",
    "le": "equality in ≤",
    "eq": "equality in =",
    "ne": "equality in ≠",
    "max": "equal entries in max",
    "min": "equal entries in min",
    "abs": "0 in |x|",
    "sign": "0 in sign x",
    "pow": "0 in a root",
}
"""operations that compare reals, and what is said of the points where the two sides are equal"""

LONG_DECIMAL = 15
"""digits from which a constant is taken to stand for another number, as 1.4142135623730951 for √2"""


_PACKAGE = Path(__file__).parents[2]


if TYPE_CHECKING:
    from autodiff_ref.judge.symbols.outcomes import Outcomes


class NotSymbolicError(NotImplementedError):
    """What a line does cannot be written as one expression."""


class Expressions:
    """The nodes made so far; equal ones are one."""

    def __init__(self) -> None:
        self.nodes: list[Content] = []
        self._numbers: dict[tuple[str | int | None, ...], Node] = {}
        self._values: dict[int, Fraction] = {}
        self.limits: dict[int, float] = {}
        """the nodes that are ∞, −∞ or NaN"""
        self._with_limits: dict[int, bool] = {}
        self.values_by_outcome: dict[int, Outcomes | None] = {}
        """what `outcomes_of` says of nodes, as far as it was asked"""
        self.place = ""
        """where the comparison stands that is being written, as mine.py:12"""
        self.places: dict[int, dict[str, None]] = {}
        """of nodes that compare reals, where they are written"""
        self.zero, self.one = self.number(0), self.number(1)

    def said_of(self, node: int) -> str:
        """Which comparison a node is, for people."""
        said = COMPARING.get(self.nodes[node][0], "a comparison")
        places = list(self.places.get(node, ()))
        return f"{said} ({', '.join(places)})" if places else f"{said}, as it comes about in a derivative"

    def node(self, *content: str | int | None) -> "Node":
        """The node of this operation and these operands."""
        found = self._numbers.get(content)
        if found is None:
            if len(self.nodes) >= LARGEST:
                raise NotSymbolicError(f"more than {LARGEST:,} operations in symbols")
            found = Node(self, len(self.nodes))
            self.nodes.append(list(content))
            self._numbers[content] = found
        if self.place and content[0] in COMPARING:
            self.places.setdefault(found.id, {})[self.place] = None
        return found

    def number(self, value: Fraction | int) -> "Node":
        """A rational number."""
        node = self.node("number", str(value.numerator), str(value.denominator))
        self._values[node.id] = Fraction(value)
        return node

    def limit(self, value: float) -> "Node":
        """∞, −∞ or NaN: no equation knows it, so that it must go out by itself."""
        node = self.node("call", "constant", str(float(value)))
        self.limits[node.id] = float(value)
        return node

    def symbol(self, low: Fraction | None = None, high: Fraction | None = None) -> "Node":
        """A new input, strictly between bounds."""
        bounds = [None if bound is None else str(bound) for bound in (low, high)]
        return self.node("symbol", len(self.nodes), *bounds)

    def decimal(self, value: float) -> "Node":
        """The number that a float's shortest decimal is."""
        return number_of(self, value)

    def choice(self, values: Sequence[int]) -> "Node":
        """A new label: one of these values."""
        outcomes = self.outcomes(len(values))
        total = self.zero
        for outcome, value in zip(outcomes, values, strict=True):
            total = total + outcome * self.number(value)
        return total

    def outcomes(self, of: int) -> list["Node"]:
        """A new choice among so many: for each outcome a node that is 1 where it comes out."""
        group = len(self.nodes)
        return [self.node("outcome", group, k, of) for k in range(of)]

    def holds_limit(self, node: "Node") -> bool:
        """Whether a node is made of an infinity or NaN, or is one."""
        if not self.limits:
            return False
        found, stack = self._with_limits, [node.id]
        while stack:
            k = stack[-1]
            below = operands_of(self.nodes[k])
            missing = [j for j in below if j not in found]
            if k in found or not missing:
                found.setdefault(k, k in self.limits or any(found[j] for j in below))
                stack.pop()
            else:
                stack += missing
        return found[node.id]

    def value_of(self, node: "Node") -> Fraction | None:
        """The number that a node is, if it is one by itself."""
        return self._values.get(node.id)


class Node:
    """A real number as an expression, or an integer, or 0 or 1. It has no truth value: what branches on it is not proved."""

    __slots__ = ("expressions", "id")

    def __init__(self, expressions: Expressions, number: int) -> None:
        self.expressions = expressions
        self.id = number

    @property
    def known(self) -> Fraction | None:
        """The number it is, if it is one by itself."""
        return self.expressions.value_of(self)

    def _other(self, value: "Node | SupportsInt") -> "Node":
        return value if isinstance(value, Node) else self.expressions.number(Fraction(int(value)))

    def __add__(self, other: "Node | SupportsInt") -> "Node":
        other = self._other(other)
        a, b = self.known, other.known
        if a is not None and b is not None:
            return self.expressions.number(a + b)
        if a == 0:
            return other
        if b == 0:
            return self
        if self.expressions.limits:
            for limit, rest in ((self, other), (other, self)):  # ∞ + x = ∞
                if np.isinf(self.expressions.limits.get(limit.id, 0)) and not self.expressions.holds_limit(rest):
                    return limit
        return self.expressions.node("add", *sorted((self.id, other.id)))

    def __mul__(self, other: "Node | SupportsInt") -> "Node":
        other = self._other(other)
        a, b = self.known, other.known
        if a is not None and b is not None:
            return self.expressions.number(a * b)
        if a == 0 or b == 0:
            if self.id in self.expressions.limits or other.id in self.expressions.limits:
                raise NotSymbolicError("it multiplies an infinity by 0")
            return self.expressions.zero
        if a == 1:
            return other
        if b == 1:
            return self
        return self.expressions.node("mul", *sorted((self.id, other.id)))

    def __sub__(self, other: "Node | SupportsInt") -> "Node":
        other = self._other(other)
        a, b = self.known, other.known
        if a is not None and b is not None:
            return self.expressions.number(a - b)
        if b == 0:
            return self
        if self.id in self.expressions.limits or other.id in self.expressions.limits:
            return self + -other
        return self.expressions.node("sub", self.id, other.id)

    def __rsub__(self, other: "Node | SupportsInt") -> "Node":
        return self._other(other) - self

    def __neg__(self) -> "Node":
        a = self.known
        if self.id in self.expressions.limits:
            return self.expressions.limit(-self.expressions.limits[self.id])
        return self.expressions.node("neg", self.id) if a is None else self.expressions.number(-a)

    def __truediv__(self, other: "Node | SupportsInt") -> "Node":
        other = self._other(other)
        a, b = self.known, other.known
        if b == 0:
            raise NotSymbolicError("it divides by zero")
        if a is not None and b is not None:
            return self.expressions.number(a / b)
        if b == 1:
            return self
        return self.expressions.node("div", self.id, other.id)

    def __pow__(self, exponent: int) -> "Node":
        if exponent == 0:
            return self.expressions.one
        return self if exponent == 1 else self.expressions.node("pow", self.id, str(Fraction(exponent)))

    __radd__ = __add__
    __rmul__ = __mul__

    def _decides(self, *_: object) -> NoReturn:
        raise NotSymbolicError("it branches on what depends on real numbers or labels")

    __bool__ = __int__ = __lt__ = __le__ = __gt__ = __ge__ = _decides


@dataclass
class Context:
    """Where one run makes its nodes."""

    expressions: Expressions
    constants: object = field(default_factory=object)
    """a run's own, so that a plan does not hand the nodes of one graph to another"""
    decimals: set[str] = field(default_factory=set[str])
    """the float constants met so far that no short decimal is"""
    place: str = ""
    """where the comparison stands that comes next, as mine.py:12"""
    possible: None = None
    """see `sites.Watched`: which outcomes are possible is not asked for in symbols"""

    @property
    def met(self) -> "_Places":
        """What the walker asks of a comparison that it is about to make; here only its place counts."""
        return _Places(self)

    @property
    def zero(self) -> Node:
        """0"""
        return self.expressions.zero

    @property
    def undefined(self) -> Node:
        """What an index out of range gives."""
        raise NotSymbolicError("an index is out of range")

    def number(self, value: float) -> Node:
        """The real that a constant stands for."""
        text = np.format_float_positional(value, unique=True, trim="-")
        if len(text.strip("-0").replace(".", "")) >= LONG_DECIMAL:
            self.decimals.add(text)
        return number_of(self.expressions, value)

    @contextmanager
    def deciding(self) -> Generator[Callable[[], bool]]:
        """A loop goes on or ends for all inputs alike: whether it does for some has no truth value."""
        yield lambda: True

    @contextmanager
    def in_a_loop(self) -> Generator[Ending]:
        """A loop ends where it ends."""
        yield lambda state, _: state


class _Places:
    """Takes down the places of comparisons, and has met all of their outcomes."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def get(self, site: Site, _: int) -> int:
        """All outcomes."""
        is_known = bool(site.spot) and _PACKAGE not in Path(site.spot[-1][0]).parents
        self._context.place = site.place if is_known else ""  # the judge's own files are no place that a reader knows
        return ALL


def number_of(expressions: Expressions, value: float) -> Node:
    """A float as the rational that its shortest decimal is, in its own precision: 0.1 is 1/10."""
    if not np.isfinite(value):
        return expressions.limit(value)
    return expressions.number(Fraction(np.format_float_scientific(value, unique=True, trim="-")))


def symbolic_arguments(domain: Domains, sizes: Mapping[str, int], expressions: Expressions) -> list[Array]:
    """Symbols for all leaves of the arguments: what the domain says of them, and no more."""
    return [leaf.sized(sizes).symbols(expressions) for leaf in jax.tree.leaves(domain)]
