"""What the rules of the symbolic table share: values as nodes, conditions, choices between cases, and casts."""

from collections.abc import Callable
from fractions import Fraction

import numpy as np
from numpy.typing import DTypeLike

from autodiff_ref.judge.program.plans import Array, Equation, Rule, Step, entrywise
from autodiff_ref.judge.symbols.expressions import Context, Node
from autodiff_ref.judge.symbols.limits import compared_to_limit, without_limits
from autodiff_ref.judge.symbols.outcomes import COMPARISONS, require_in_range


def nodes_of(context: Context, values: Array) -> Array:
    """Discrete values as nodes: numbers where they are known, be it beside nodes in one array."""
    number = context.expressions.number
    return entrywise(lambda value: value if isinstance(value, Node) else number(int(value)), np.asarray(values))


def settled(values: Array, dtype: DTypeLike) -> Array:
    """Discrete values as NumPy has them, where none of them is open.

    Raises:
        NotSymbolicError: an integer may wrap around.
    """
    known = [node.known for node in np.ravel(values)]
    if any(value is None for value in known):
        for node in np.ravel(values):
            require_in_range(node, np.dtype(dtype))
        return values
    return np.array([int(value) for value in known if value is not None]).reshape(np.shape(values)).astype(dtype)


def applied(operation: str, *, exact: Callable[..., Fraction | int] | None = None) -> Callable[..., Node]:
    """The node of an operation; a number where `exact` can tell it from numbers."""

    def made(*operands: Node) -> Node:
        expressions = operands[0].expressions
        if exact is not None:
            known = [operand.known for operand in operands]
            if all(value is not None for value in known):
                return expressions.number(Fraction(exact(*known)))
        return expressions.node(operation, *[operand.id for operand in operands])

    return made


def compared(name: str, a: Node, b: Node) -> Node:
    """The node of a comparison; 1 or 0 where both sides are numbers, one node, or infinite."""
    compare = COMPARISONS[name]
    settled = compared_to_limit(compare, a, b)
    if settled is None and a is b:
        settled = compare(0, 0)
    return applied(name, exact=compare)(a, b) if settled is None else a.expressions.number(int(settled))


def comparison(name: str) -> Rule:
    """The rule of a comparison by its name: booleans where all are decided, else nodes."""

    def rule(equation: Equation) -> Step:
        def step(context: Context, a: Array, b: Array) -> Array:
            made = entrywise(lambda u, v: compared(name, u, v), nodes_of(context, a), nodes_of(context, b))
            return settled(made, bool)

        return step

    return rule


def chosen(which: Node, otherwise: Node, value: Node) -> Node:
    """`value` where `which` is 1, `otherwise` where it is 0; the node of the choice where that is open."""
    if which.known is not None:
        return value if which.known else otherwise
    if otherwise is value:
        return value
    return which.expressions.node("select", which.id, otherwise.id, value.id)


def select_n(equation: Equation) -> Step:
    """The rule of `select_n`: each entry from the case that its own `which` names."""
    is_bool = equation.operands[0].dtype == np.bool_

    def step(context: Context, which: Array, *cases: Array) -> Array:
        which = nodes_of(context, which)
        picked = nodes_of(context, cases[0])
        for k, case in enumerate(cases[1:], start=1):
            here = which if is_bool else entrywise(lambda u, k=k: compared("eq", u, u.expressions.number(k)), which)
            picked = entrywise(chosen, np.broadcast_to(here, np.shape(case)), picked, nodes_of(context, case))
        return picked if equation.results[0].is_real else settled(picked, equation.results[0].dtype)

    return step


def convert(equation: Equation) -> Step:
    """The rule of a cast: to reals the same numbers, to booleans whether x ≠ 0, to integers x truncated."""
    source, target = equation.operands[0], equation.results[0]

    def step(context: Context, x: Array) -> Array:
        nodes = nodes_of(context, x) if not source.is_real else x
        if target.is_real or (target.dtype.kind in "iu" and not source.is_real):
            return nodes if target.is_real else settled(nodes, target.dtype)
        if target.dtype == np.bool_:
            return settled(entrywise(lambda u: compared("ne", u, u.expressions.zero), nodes), bool)
        return settled(entrywise(applied("trunc", exact=int), nodes), target.dtype)

    return step


def _extreme(name: str, choose: Callable[..., Fraction | int], sign: int) -> Callable[..., Node]:
    """The greater (or, for the sign −1, the lesser) of two."""
    made = applied(name, exact=choose)

    def extreme(a: Node, b: Node) -> Node:
        candidates = without_limits([a, b], sign)
        return candidates[0] if len(candidates) == 1 else made(*candidates)

    return extreme


GREATEST, LEAST = _extreme("max", max, 1), _extreme("min", min, -1)
