"""±∞ and NaN among the nodes of an expression graph.

The prover knows real numbers. An infinity is one to it that nothing is known of, unless what it does is settled here: it
goes out in a maximum, an exponential or a comparison, as masks do with it. NaN goes nowhere.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np

from autodiff_ref.judge.symbols.expressions import Node, NotSymbolicError


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


def compared_to_limit(compare: Callable[[float | Fraction, float | Fraction], bool], a: Node, b: Node) -> bool | None:
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
