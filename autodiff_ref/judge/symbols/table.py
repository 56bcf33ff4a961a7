"""Symbols: a table for the walker in which every real is a node of an expression graph, for the prover to normalise.

Labels are symbols too: which of its values a label takes is a choice with so many outcomes, and what is proved is proved for
every outcome. So values that are discrete elsewhere, as `y == 1` or the place of a maximum, may be nodes here.
"""

from collections.abc import Callable
from fractions import Fraction

import numpy as np

from autodiff_ref.judge.functions import FUNCTIONS, Function
from autodiff_ref.judge.program.comparisons import WATCHED
from autodiff_ref.judge.program.control import CONTROL
from autodiff_ref.judge.program.plans import Array, Equation, Rule, Step, as_objects, entrywise
from autodiff_ref.judge.program.structure import ALGEBRA, MOVEMENT, axes_last, cumulative
from autodiff_ref.judge.program.structure import DISCRETE as EXACT
from autodiff_ref.judge.symbols.discrete import DISCRETE, exactly_or_refused
from autodiff_ref.judge.symbols.expressions import Context, Node
from autodiff_ref.judge.symbols.limits import absolute, exponential, is_finite, without_limits
from autodiff_ref.judge.symbols.matrices import MATRICES
from autodiff_ref.judge.symbols.outcomes import COMPARISONS
from autodiff_ref.judge.symbols.places import PLACES
from autodiff_ref.judge.symbols.primitives import (
    GREATEST,
    LEAST,
    applied,
    comparison,
    convert,
    nodes_of,
    select_n,
    settled,
)


def _function(name: str, operation: str = "", exact: Callable[..., Fraction | int] | None = None) -> Rule:
    made = applied(operation or name, exact=exact)
    return lambda _: lambda _, *operands: entrywise(made, *operands)


def _opaque(row: Function) -> Rule:
    """A function of which no equation is known: it gives the same for the same arguments."""

    def rule(equation: Equation) -> Step:
        settings = {name: value for name, value in equation.params.items() if name != "accuracy"}
        name = f"{row.name} {sorted(settings.items())}" if settings else row.name
        reals = [operand.is_real for operand in equation.operands]

        def made(*operands: Node) -> Node:
            return operands[0].expressions.node("call", name, row.known_symmetry, *[operand.id for operand in operands])

        if all(reals):
            return lambda _, *operands: entrywise(made, *operands)
        return lambda context, *operands: entrywise(
            made, *[x if is_real else nodes_of(context, x) for x, is_real in zip(operands, reals, strict=True)]
        )

    return rule


def _rule_of(row: Function) -> Rule | None:
    """None where the table writes it as other functions."""
    return {"known": _function(row.name), "opaque": _opaque(row), "written": None}[row.symbol]


def _fractional(exponent: str) -> Rule:
    return lambda _: lambda _, x: entrywise(lambda u: u.expressions.node("pow", u.id, exponent), x)


def _power(equation: Equation) -> Step:
    def made(base: Node, exponent: Node) -> Node:
        known = exponent.known
        if known is None:
            return base.expressions.node("power", base.id, exponent.id)
        return base ** int(known) if known.denominator == 1 else base.expressions.node("pow", base.id, str(known))

    return lambda context, x, y: entrywise(made, x, nodes_of(context, y))


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
            rows = axes_last(nodes_of(context, x), axes)
            if rows.shape[-1] == 1:
                return np.zeros(rows.shape[:-1], dtype=equation.results[0].dtype)
            return settled(_by_rows(place, rows), equation.results[0].dtype)

        return step

    return rule


def _clamp(_: Equation) -> Step:
    return lambda _, low, x, high: entrywise(lambda a, u, b: LEAST(GREATEST(a, u), b), low, x, high)


def _summed(context: Context, rows: Array) -> Array:
    return np.add.reduce(rows, axis=-1, initial=context.zero)


def _reduction(f: Callable[[Context, Array], Array]) -> Rule:
    def rule(equation: Equation) -> Step:
        axes = tuple(int(axis) for axis in equation.params["axes"])
        return lambda context, x: as_objects(f(context, axes_last(x, axes)))

    return rule


def _placed(rule: Rule) -> Rule:
    """A rule that compares reals: its nodes know where in the user's file they come from."""

    def planned(equation: Equation) -> Step:
        step = rule(equation)

        def at_its_place(context: Context, *operands: Array) -> Array | list[Array]:
            context.expressions.place, context.place = context.place, ""
            try:
                return step(context, *operands)
            finally:
                context.expressions.place = ""

        return at_its_place

    return planned


class SymbolTable:
    """The rules by which the walker writes a line as an expression graph."""

    name = "symbols"
    watches = True
    has_bare = True
    movement = MOVEMENT
    control = CONTROL
    discrete = DISCRETE
    fallback = staticmethod(exactly_or_refused)
    rules: dict[str, Rule]

    def __init__(self) -> None:
        self.rules = {
            **ALGEBRA,
            **PLACES,
            **MATRICES,
            **{name: comparison(name) for name in COMPARISONS},
            **{name: _function(name) for name in ("floor", "ceil")},
            **{row.name: rule for row in FUNCTIONS.values() if (rule := _rule_of(row)) is not None},
            "div": lambda _: lambda _, x, y: as_objects(np.true_divide(x, y)),
            "pow": _power,
            "integer_pow": lambda eqn: lambda _, x: as_objects(x ** int(eqn.params["y"])),
            "sqrt": _fractional("1/2"),
            "rsqrt": _fractional("-1/2"),
            "abs": lambda _: lambda _, x: entrywise(absolute, x),
            "sign": _function("sign", exact=lambda value: (value > 0) - (value < 0)),
            "max": lambda _: lambda _, *operands: entrywise(GREATEST, *operands),
            "min": lambda _: lambda _, *operands: entrywise(LEAST, *operands),
            "exp": lambda _: lambda _, x: entrywise(exponential, x),
            "clamp": _clamp,
            "select_n": select_n,
            "convert_element_type": convert,
            "is_finite": lambda _: lambda _, x: np.asarray(entrywise(is_finite, x), dtype=bool),
            "reduce_sum": _reduction(_summed),
            "reduce_prod": _reduction(
                lambda context, rows: np.multiply.reduce(rows, axis=-1, initial=context.expressions.one)
            ),
            "reduce_max": _reduction(_greatest),
            "reduce_min": _reduction(lambda context, rows: -_greatest(context, -rows)),
            "cummax": cumulative(GREATEST),
            "cummin": cumulative(LEAST),
            "argmax": _place(1),
            "argmin": _place(-1),
            "iota": lambda eqn: lambda context: nodes_of(context, EXACT["iota"](eqn)(None)),
        }
        self.rules |= {name: _placed(self.rules[name]) for name in WATCHED}

    def learn(self, row: Function) -> None:
        """Serves a function from now on."""
        rule = _rule_of(row)
        if rule is not None:
            self.rules[row.name] = rule

    def constant(self, values: Array, context: Context) -> Array:
        """Float constants as the rationals of their shortest decimals."""
        return entrywise(lambda value: context.number(value), _scalars(values))


def _scalars(values: Array) -> Array:
    """An array's entries as NumPy's scalars: `frompyfunc` would hand them on as Python's, of double precision."""
    made = np.empty(np.shape(values), dtype=object)
    for index in np.ndindex(made.shape):
        made[index] = np.asarray(values)[index]
    return made


SYMBOLS = SymbolTable()
