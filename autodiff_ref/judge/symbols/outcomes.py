"""The values that a node takes: those of labels, of places and of conditions, and what is computed from a few of them."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from autodiff_ref.judge.symbols.expressions import Node, NotSymbolicError
from autodiff_ref.judge.symbols.prover.nodes import Node as Content
from autodiff_ref.judge.symbols.prover.nodes import operands_of

MOST = 512
"""combinations of outcomes beyond which the values of a node are not listed"""

COMPARISONS: dict[str, Callable[[float | Fraction, float | Fraction], bool]] = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
}

_EXACT: dict[str, Callable[..., Fraction | int]] = {
    **COMPARISONS,
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "neg": lambda a: -a,
    "max": max,
    "min": min,
    "abs": lambda a: abs(a),
    "sign": lambda a: (a > 0) - (a < 0),
    "select": lambda which, otherwise, value: value if which else otherwise,
    "trunc": int,
}

Choice = tuple[str, int, int]
"""what is left open: ("label" | "place" | "condition", its number, how many outcomes it has)"""


@dataclass(frozen=True)
class Outcomes:
    """The value of a node for each outcome of what it hangs on."""

    choices: tuple[Choice, ...]
    values: dict[tuple[int, ...], Fraction]
    """by the outcome of each choice"""


def outcomes_of(node: Node) -> Outcomes | None:
    """The values of a node; None where it hangs on real numbers, or on too many choices."""
    nodes, found, stack = node.expressions.nodes, node.expressions.values_by_outcome, [node.id]
    while stack:
        k = stack[-1]
        missing = [j for j in operands_of(nodes[k]) if j not in found]
        if k in found or not missing:
            if k not in found:
                found[k] = _made(k, nodes[k], [found[j] for j in operands_of(nodes[k])])
            stack.pop()
        else:
            stack += missing
    return found[node.id]


def _made(k: int, content: Content, below: list[Outcomes | None]) -> Outcomes | None:
    operation = content[0]
    if operation == "number":
        return Outcomes((), {(): Fraction(int(content[1]), int(content[2]))})
    if operation == "outcome":
        _, group, which, of = content
        return Outcomes((("label", group, of),), {(j,): Fraction(j == which) for j in range(of)})
    if operation == "place":
        return Outcomes((("place", k, len(below)),), {(j,): Fraction(j) for j in range(len(below))})
    known = [each for each in below if each is not None]
    if operation in _EXACT and len(known) == len(below):
        joined = _joined(_EXACT[operation], known)
        if joined is not None:
            return joined
    if operation in COMPARISONS:
        return Outcomes((("condition", k, 2),), {(0,): Fraction(0), (1,): Fraction(1)})
    return None


def _joined(f: Callable[..., Fraction | int], parts: list[Outcomes]) -> Outcomes | None:
    choices = tuple(dict.fromkeys(choice for part in parts for choice in part.choices))
    if np.prod([of for _, _, of in choices], dtype=float) > MOST:
        return None
    values: dict[tuple[int, ...], Fraction] = {}
    for outcome in itertools.product(*[range(of) for _, _, of in choices]):
        at = dict(zip(choices, outcome, strict=True))
        values[outcome] = Fraction(f(*[part.values[tuple(at[choice] for choice in part.choices)] for part in parts]))
    return Outcomes(choices, values)


def integers_of(node: Node) -> list[int]:
    """The values of an integer that labels, places or conditions decide, in order.

    Raises:
        NotSymbolicError: they are not known.
    """
    outcomes = outcomes_of(node)
    if outcomes is None:
        raise NotSymbolicError("a place is computed from real numbers, or from too many labels")
    return sorted({int(value) for value in outcomes.values.values()})


def require_in_range(node: Node, dtype: np.dtype) -> None:
    """Raises NotSymbolicError where an integer may wrap around.

    A truncation of a real number passes for 64 bits: the prover takes it for numbers below 2³¹ only.
    """
    if dtype.kind not in "iu" or (dtype == np.int64 and node.expressions.nodes[node.id][0] == "trunc"):
        return
    outcomes, limits = outcomes_of(node), np.iinfo(dtype)
    if outcomes is None or not all(int(limits.min) <= value <= int(limits.max) for value in outcomes.values.values()):
        raise NotSymbolicError(f"an integer may leave the range of {dtype.name}")
