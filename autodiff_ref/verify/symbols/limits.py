"""±∞ and NaN among the nodes of an expression graph, and integers that may leave their type's range.

The prover knows real numbers. An infinity is one to it that nothing is known of, unless what it does is settled here: it
goes out in a maximum, an exponential or a comparison, as masks do with it. NaN goes nowhere.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from autodiff_ref.verify.symbols.expressions import Bounds, Node, NotSymbolicError
from autodiff_ref.verify.symbols.prover.nodes import operands_of


def limit_of(node: Node) -> float | None:
    """∞, −∞ or NaN, where a node is one of them by itself."""
    return node.expressions.limits.get(node.id)


def is_finite(node: Node) -> bool:
    """Whether a node is a real number wherever it is defined.

    Raises:
        NotSymbolicError: an infinity may have come through.
    """
    if limit_of(node) is None and node.expressions.holds_limit(node):
        raise NotSymbolicError("it asks whether a number is finite that is computed from an infinity")
    return limit_of(node) is None


def compared_to_limit(compare: Callable[[Any, Any], bool], a: Node, b: Node) -> bool | None:
    """A comparison with ±∞, between which all real numbers are; None where neither is infinite.

    Raises:
        NotSymbolicError: one is NaN, or is made of an infinity.
    """
    limits = limit_of(a), limit_of(b)
    if limits == (None, None):
        return None
    if any(limit is not None and np.isnan(limit) for limit in limits):
        raise NotSymbolicError("it compares with NaN")
    if any(limit is None and node.expressions.holds_limit(node) for limit, node in zip(limits, (a, b), strict=True)):
        raise NotSymbolicError("it compares an infinity with a number that is computed from one")
    return compare(limits[0] or 0.0, limits[1] or 0.0)


def exponential(node: Node) -> Node:
    """e^node, which is 0 at −∞ and ∞ at ∞."""
    limit = limit_of(node)
    if limit is None or np.isnan(limit):
        return node.expressions.node("exp", node.id)
    return node if limit > 0 else node.expressions.zero


def absolute(node: Node) -> Node:
    """|node|"""
    limit = limit_of(node)
    if limit is not None:
        return node.expressions.limit(abs(limit))
    known = node.known
    return node.expressions.node("abs", node.id) if known is None else node.expressions.number(abs(known))


def without_limits(nodes: Sequence[Node], sign: int) -> list[Node]:
    """The nodes that a maximum (for the sign −1: a minimum) is one of: −∞ never is, and ∞ always."""
    limits = [limit_of(node) for node in nodes]
    if sign * np.inf in limits and not any(node.expressions.holds_limit(node) for node in nodes if limit_of(node) is None):
        return [nodes[limits.index(sign * np.inf)]]
    return [node for node, limit in zip(nodes, limits, strict=True) if limit != -sign * np.inf] or list(nodes[:1])


def range_of(node: Node) -> Bounds | None:
    """Numbers that a node lies between, as labels and conditions do; None where none are known."""
    expressions = node.expressions
    known, stack = expressions.ranges, [node.id]
    while stack:
        k = stack[-1]
        missing = [j for j in operands_of(expressions.nodes[k]) if j not in known]
        if k in known or not missing:
            if k not in known:
                known[k] = _range(expressions.nodes[k], [known[j] for j in operands_of(expressions.nodes[k])])
            stack.pop()
        else:
            stack += missing
    return known[node.id]


def _range(content: list[Any], below: list[Bounds | None]) -> Bounds | None:
    operation = content[0]
    if operation == "number":
        value = Fraction(int(content[1]), int(content[2]))
        return value, value
    if operation in ("outcome", "gt", "ge", "lt", "le", "eq", "ne"):
        return Fraction(0), Fraction(1)
    if operation == "place":
        return Fraction(0), Fraction(len(below) - 1)
    bounds = [each for each in below if each is not None]
    if operation not in _RANGES or len(bounds) < len(below):
        return None
    return _RANGES[operation](*bounds)


def _product(a: Bounds, b: Bounds) -> Bounds:
    corners = [u * v for u in a for v in b]
    return min(corners), max(corners)


_RANGES: dict[str, Callable[..., Bounds]] = {
    "add": lambda a, b: (a[0] + b[0], a[1] + b[1]),
    "sub": lambda a, b: (a[0] - b[1], a[1] - b[0]),
    "mul": _product,
    "neg": lambda a: (-a[1], -a[0]),
    "max": lambda a, b: (max(a[0], b[0]), max(a[1], b[1])),
    "min": lambda a, b: (min(a[0], b[0]), min(a[1], b[1])),
    "abs": lambda a: (Fraction(0), max(abs(a[0]), abs(a[1]))),
    "sign": lambda _: (Fraction(-1), Fraction(1)),
    "select": lambda _, a, b: (min(a[0], b[0]), max(a[1], b[1])),
    "trunc": lambda a: (Fraction(a[0].__floor__()), Fraction(a[1].__ceil__())),
}


def require_in_range(node: Node, dtype: Any) -> None:
    """Raises NotSymbolicError where an integer may wrap around.

    A truncation of a number that is not bounded passes for 32 bits and more: the prover takes it for numbers below 2³¹ only.
    """
    if dtype.kind not in "iu" or (dtype == np.int64 and node.expressions.nodes[node.id][0] == "trunc"):
        return
    bounds, limits = range_of(node), np.iinfo(dtype)
    if bounds is None or bounds[0] < int(limits.min) or bounds[1] > int(limits.max):
        raise NotSymbolicError(f"an integer may leave the range of {dtype.name}")
