"""Symbols: a table for the walker in which every real is a node of an expression graph, for the prover to normalise.

Labels are symbols too: which of its values a label takes is a choice with so many outcomes, and what is proved is proved for
every outcome. So values that are discrete elsewhere, as `y == 1` or the place of a maximum, may be nodes here.
"""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from autodiff_ref.verify.symbols.expressions import Context, Node, NotSymbolicError, number_of
from autodiff_ref.verify.symbols.limits import (
    absolute,
    compared_to_limit,
    exponential,
    is_finite,
    require_in_range,
    without_limits,
)
from autodiff_ref.verify.walker.discrete import by_jax
from autodiff_ref.verify.walker.plans import Array, Equation, NoRuleError, Rule, Step
from autodiff_ref.verify.walker.structure import ALGEBRA, DISCRETE, MOVEMENT, as_objects, axes_last, cumulative

# Rules


def _map(f: Callable[..., Any], *arrays: Array) -> Array:
    return as_objects(np.frompyfunc(f, len(arrays), 1)(*arrays))


def _nodes(context: Context, values: Array) -> Array:
    """Discrete values as nodes: numbers where they are known."""
    if values.dtype == object:
        return values
    return _map(lambda value: context.expressions.number(int(value)), np.asarray(values))


def _settled(values: Array, dtype: Any) -> Array:
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


def _applied(operation: str, *, exact: Callable[..., Any] | None = None) -> Callable[..., Node]:
    """The node of an operation; a number where `exact` can tell it from numbers."""

    def made(*operands: Node) -> Node:
        expressions = operands[0].expressions
        if exact is not None:
            known = [operand.known for operand in operands]
            if all(value is not None for value in known):
                return expressions.number(Fraction(exact(*known)))
        return expressions.node(operation, *[operand.id for operand in operands])

    return made


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
}


def _compared(name: str, a: Node, b: Node) -> Node:
    compare = _COMPARISONS[name]
    settled = compared_to_limit(compare, a, b)
    if settled is None and a is b:
        settled = compare(0, 0)
    return _applied(name, exact=compare)(a, b) if settled is None else a.expressions.number(int(settled))


def _comparison(name: str) -> Rule:
    def rule(equation: Equation) -> Step:
        def step(context: Context, a: Array, b: Array) -> Array:
            compared = _map(lambda u, v: _compared(name, u, v), _nodes(context, a), _nodes(context, b))
            return _settled(compared, bool)

        return step

    return rule


def _chosen(which: Node, otherwise: Node, value: Node) -> Node:
    if which.known is not None:
        return value if which.known else otherwise
    if otherwise is value:
        return value
    return which.expressions.node("select", which.id, otherwise.id, value.id)


def _select_n(equation: Equation) -> Step:
    is_bool = equation.operands[0].dtype == np.bool_

    def step(context: Context, which: Array, *cases: Array) -> Array:
        which = _nodes(context, which)
        chosen = _nodes(context, cases[0])
        for k, case in enumerate(cases[1:], start=1):
            here = which if is_bool else _map(lambda u, k=k: _compared("eq", u, u.expressions.number(k)), which)
            chosen = _map(_chosen, np.broadcast_to(here, np.shape(case)), chosen, _nodes(context, case))
        return chosen if equation.results[0].is_real else _settled(chosen, equation.results[0].dtype)

    return step


def _convert(equation: Equation) -> Step:
    source, target = equation.operands[0], equation.results[0]

    def step(context: Context, x: Array) -> Array:
        nodes = _nodes(context, x) if not source.is_real else x
        if target.is_real or (target.dtype.kind in "iu" and not source.is_real):
            return nodes if target.is_real else _settled(nodes, target.dtype)
        if target.dtype == np.bool_:
            return _settled(_map(lambda u: _compared("ne", u, u.expressions.zero), nodes), bool)
        return _settled(_map(_applied("trunc", exact=int), nodes), target.dtype)

    return step


def _function(name: str, operation: str = "", exact: Callable[..., Any] | None = None) -> Rule:
    made = _applied(operation or name, exact=exact)
    return lambda _: lambda _, *operands: _map(made, *operands)


def _named(name: str) -> Rule:
    """A function of which no equation is known: it gives the same for the same arguments."""

    def made(*operands: Node) -> Node:
        return operands[0].expressions.node("call", name, None, *[operand.id for operand in operands])

    return lambda _: lambda _, *operands: _map(made, *operands)


def _fractional(exponent: str) -> Rule:
    return lambda _: lambda _, x: _map(lambda u: u.expressions.node("pow", u.id, exponent), x)


def _power(equation: Equation) -> Step:
    def made(base: Node, exponent: Node) -> Node:
        known = exponent.known
        if known is None:
            return base.expressions.node("power", base.id, exponent.id)
        return base ** int(known) if known.denominator == 1 else base.expressions.node("pow", base.id, str(known))

    return lambda context, x, y: _map(made, x, _nodes(context, y))


def _greatest(context: Context, rows: Array) -> Array:
    """The greatest entry of each row, as one operation: which one it is, is one choice among all."""

    def greatest(row: Array) -> Node:
        candidates = without_limits(list(row), 1)
        return candidates[0] if len(candidates) == 1 else context.expressions.node("greatest", *[n.id for n in candidates])

    return _by_rows(greatest, rows)


def _by_rows(f: Callable[[Array], Node], rows: Array) -> Array:
    made = np.empty(rows.shape[:-1], dtype=object)
    for index in np.ndindex(made.shape):
        made[index] = rows[index][0] if rows.shape[-1] == 1 else f(rows[index])
    return made


def _place(sign: int) -> Rule:
    """The place of the first greatest entry (or least, for the sign −1)."""

    def rule(equation: Equation) -> Step:
        axes = tuple(int(axis) for axis in equation.params["axes"])

        def place(row: Array) -> Node:
            entries = row if sign > 0 else -row
            return entries[0].expressions.node("place", *[node.id for node in entries])

        def step(context: Context, x: Array) -> Array:
            rows = axes_last(_nodes(context, x), axes)
            if rows.shape[-1] == 1:
                return np.zeros(rows.shape[:-1], dtype=equation.results[0].dtype)
            return _settled(_by_rows(place, rows), equation.results[0].dtype)

        return step

    return rule


def _extreme(name: str, choose: Callable[..., Any], sign: int) -> Callable[..., Node]:
    """The greater (or, for the sign −1, the lesser) of two."""
    made = _applied(name, exact=choose)

    def extreme(a: Node, b: Node) -> Node:
        candidates = without_limits([a, b], sign)
        return candidates[0] if len(candidates) == 1 else made(*candidates)

    return extreme


_GREATEST, _LEAST = _extreme("max", max, 1), _extreme("min", min, -1)


def _clamp(_: Equation) -> Step:
    return lambda _, low, x, high: _map(lambda a, u, b: _LEAST(_GREATEST(a, u), b), low, x, high)


def _summed(context: Context, rows: Array) -> Array:
    return np.add.reduce(rows, axis=-1, initial=context.zero)


def _reduction(f: Callable[[Context, Array], Array]) -> Rule:
    def rule(equation: Equation) -> Step:
        axes = tuple(int(axis) for axis in equation.params["axes"])
        return lambda context, x: as_objects(f(context, axes_last(x, axes)))

    return rule


# Discrete work that may meet nodes


def _or_nodes(name: str, made: Rule | None) -> Rule:
    """The exact rule where all values are known, and `made` where some are nodes."""

    def rule(equation: Equation) -> Step:
        exact = DISCRETE[name](equation) if name in DISCRETE else by_jax(equation)
        open_step = made(equation) if made is not None else None

        def step(context: Any, *operands: Array) -> Any:
            if not any(np.asarray(operand).dtype == object for operand in operands):
                return exact(context, *operands)
            if open_step is None:
                raise NoRuleError(name, "symbols")
            return open_step(context, *operands)

        return step

    return rule


def _logical(made: Callable[..., Node]) -> Rule:
    """and, or, not of truth values that are 0 or 1; of integers they are something else."""

    def rule(equation: Equation) -> Step:
        def step(context: Context, *operands: Array) -> Array:
            if equation.operands[0].dtype != np.bool_:
                raise NoRuleError(equation.primitive.name, "symbols")
            return _settled(_map(made, *[_nodes(context, operand) for operand in operands]), bool)

        return step

    return rule


def _integers(made: Callable[..., Node]) -> Rule:
    def rule(equation: Equation) -> Step:
        def step(context: Context, *operands: Array) -> Array:
            return _settled(_map(made, *[_nodes(context, operand) for operand in operands]), equation.results[0].dtype)

        return step

    return rule


def _all_of(rows: Array) -> Array:
    return np.multiply.reduce(rows, axis=-1)


def _any_of(rows: Array) -> Array:
    return 1 - np.multiply.reduce(1 - rows, axis=-1)


def _reduced_truth(f: Callable[[Array], Array]) -> Rule:
    def rule(equation: Equation) -> Step:
        axes = tuple(int(axis) for axis in equation.params["axes"])
        return lambda context, x: _settled(as_objects(f(axes_last(_nodes(context, x), axes))), bool)

    return rule


_OPEN: dict[str, Rule] = {
    **{name: _comparison(name) for name in _COMPARISONS},
    "and": _logical(lambda a, b: a * b),
    "or": _logical(lambda a, b: a + b - a * b),
    "xor": _logical(lambda a, b: a + b - 2 * (a * b)),
    "not": _logical(lambda a: 1 - a),
    "reduce_and": _reduced_truth(_all_of),
    "reduce_or": _reduced_truth(_any_of),
    "add": _integers(lambda a, b: a + b),
    "sub": _integers(lambda a, b: a - b),
    "mul": _integers(lambda a, b: a * b),
    "neg": _integers(lambda a: -a),
    "max": _integers(_GREATEST),
    "min": _integers(_LEAST),
    "select_n": _select_n,
    "convert_element_type": _convert,
}


class _Discrete(dict[str, Rule]):
    """Rules for discrete work: those above, those that only move data, and for everything else the exact ones."""

    def __missing__(self, name: str) -> Rule:
        return _or_nodes(name, None)

    def get(self, name: str, default: Any = None) -> Rule:  # what the walker asks
        return self[name]


_FUNCTIONS = (
    *("expm1", "exp2", "log", "log1p", "logistic", "tanh", "sinh", "cosh", "tan", "asinh", "atanh", "erfc"),
    *("floor", "ceil"),
)
"""primitives that the prover knows equations of, by their names"""

_NAMED = (
    *("sin", "cos", "asin", "acos", "atan", "acosh", "erf", "erf_inv", "lgamma", "digamma", "cbrt", "atan2"),
    *("igamma", "igammac", "regularized_incomplete_beta", "zeta", "polygamma"),
)
"""functions that are only known to be functions"""


class SymbolTable:
    """The rules by which the walker writes a line as an expression graph."""

    name = "symbols"
    movement = MOVEMENT
    discrete: dict[str, Rule]
    rules: dict[str, Rule]

    def __init__(self) -> None:
        self.discrete = _Discrete({**MOVEMENT, **{name: _or_nodes(name, rule) for name, rule in _OPEN.items()}})
        self.rules = {
            **{name: rule for name, rule in ALGEBRA.items() if not name.startswith(("scatter", "gather", "dynamic"))},
            **{name: _guarded(rule) for name, rule in ALGEBRA.items() if name.startswith(("scatter", "gather", "dynamic"))},
            **{name: _comparison(name) for name in _COMPARISONS},
            **{name: _function(name) for name in _FUNCTIONS},
            **{name: _named(name) for name in _NAMED},
            "div": lambda _: lambda _, x, y: as_objects(np.true_divide(x, y)),
            "pow": _power,
            "sqrt": _fractional("1/2"),
            "rsqrt": _fractional("-1/2"),
            "abs": lambda _: lambda _, x: _map(absolute, x),
            "sign": _function("sign", exact=lambda value: (value > 0) - (value < 0)),
            "max": lambda _: lambda _, *operands: _map(_GREATEST, *operands),
            "min": lambda _: lambda _, *operands: _map(_LEAST, *operands),
            "exp": lambda _: lambda _, x: _map(exponential, x),
            "clamp": _clamp,
            "select_n": _select_n,
            "convert_element_type": _convert,
            "is_finite": lambda _: lambda _, x: np.asarray(_map(is_finite, x), dtype=bool),
            "reduce_sum": _reduction(_summed),
            "reduce_prod": _reduction(
                lambda context, rows: np.multiply.reduce(rows, axis=-1, initial=context.expressions.one)
            ),
            "reduce_max": _reduction(_greatest),
            "reduce_min": _reduction(lambda context, rows: -_greatest(context, -rows)),
            "cummax": cumulative(_GREATEST),
            "cummin": cumulative(_LEAST),
            "argmax": _place(1),
            "argmin": _place(-1),
            "iota": lambda eqn: lambda context: _nodes(context, DISCRETE["iota"](eqn)(None)),
        }

    def constant(self, values: Array, context: Context) -> Array:
        """Float constants as the rationals of their shortest decimals."""
        return _map(lambda value: number_of(context.expressions, value), _scalars(values))


def _scalars(values: Array) -> Array:
    """An array's entries as NumPy's scalars: `frompyfunc` would hand them on as Python's, of double precision."""
    made = np.empty(np.shape(values), dtype=object)
    for index in np.ndindex(made.shape):
        made[index] = np.asarray(values)[index]
    return made


def _guarded(rule: Rule) -> Rule:
    """A rule that needs to know its indices."""

    def guarded(equation: Equation) -> Step:
        step = rule(equation)

        def checked(context: Context, *operands: Array) -> Any:
            for operand, known in zip(operands, equation.operands, strict=True):
                if not known.is_real and np.asarray(operand).dtype == object:
                    raise NotSymbolicError(f"no symbolic rule for `{equation.primitive.name}` at places that labels decide")
            return step(context, *operands)

        return checked

    return guarded


SYMBOLS = SymbolTable()
