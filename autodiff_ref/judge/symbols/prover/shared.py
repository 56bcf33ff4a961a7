"""What two sides of a step share: parts that need not be looked into, since the sides are equal whatever stands there."""

from collections.abc import Iterable, Sequence

from .nodes import LEAVES, Node, operands_of

_MAY_CLOSE = {"add", "sub", "mul", "neg", "pick"}
"""the operations of nodes that may be left closed: a function of one is still looked into"""

_LARGEST = 20_000
"""nodes beyond which nothing that is closed is opened again"""


def with_shared_closed(nodes: Sequence[Node], pairs: Sequence[tuple[int, int]]) -> list[list[Node]]:
    """The nodes with parts that both sides of some pairs share as functions of inputs, of which no more is known.

    First with the largest parts that they share, then with those that stand alone; nothing where nothing is shared. A part
    does not stand alone if something in it, other than inputs, is used elsewhere as well: how the two depend on each other
    may be what the step rests on.
    """
    sides = [_down_to(nodes, side, set()) for side in zip(*pairs, strict=True)]
    every, may_close = sorted(sides[0] | sides[1]), {k for k in sides[0] & sides[1] if nodes[k][0] in _MAY_CLOSE}
    roots = [k for pair in pairs for k in pair]
    reached = _down_to(nodes, roots, may_close)
    choices = [reached & may_close]
    while len(every) <= _LARGEST and (opening := may_close & reached & _parts_elsewhere(nodes, every, reached)):
        may_close -= opening
        reached = _down_to(nodes, roots, may_close)
    choices += [reached & may_close] if reached & may_close != choices[0] else []
    inputs = _inputs(nodes, every)
    as_functions = {k: ["call", f"node {k}", None, *sorted(inputs[k])] for closed in choices for k in closed}
    return [[as_functions[k] if k in closed else node for k, node in enumerate(nodes)] for closed in choices if closed]


def _down_to(nodes: Sequence[Node], roots: Iterable[int], ends: set[int]) -> set[int]:
    """The nodes that some are made of, and themselves, down to where it ends."""
    stack, reached = list(roots), set[int]()
    while stack:
        k = stack.pop()
        if k not in reached:
            reached.add(k)
            stack += () if k in ends else operands_of(nodes[k])
    return reached


def _parts_elsewhere(nodes: Sequence[Node], every: Sequence[int], reached: set[int]) -> set[int]:
    """The nodes that are made of one that is reached, other than inputs."""
    found = set[int]()
    for k in every:
        if any(j in found or (j in reached and nodes[j][0] not in LEAVES) for j in operands_of(nodes[k])):
            found.add(k)
    return found


def _inputs(nodes: Sequence[Node], every: Sequence[int]) -> dict[int, frozenset[int]]:
    """The inputs that each node depends on."""
    found: dict[int, frozenset[int]] = {}
    for k in every:
        own = [frozenset([k])] if nodes[k][0] == "symbol" else [found[j] for j in operands_of(nodes[k])]
        found[k] = own[0] if len(set(own)) == 1 else frozenset[int]().union(*own)
    return found
