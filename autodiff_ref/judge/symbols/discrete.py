"""Discrete work that may meet nodes: conditions and integers that labels decide."""

from collections.abc import Callable

import numpy as np

from autodiff_ref.judge.program.discrete import by_jax
from autodiff_ref.judge.program.plans import Array, Equation, NoRuleError, Rule, Step, as_objects, entrywise
from autodiff_ref.judge.program.structure import DISCRETE as EXACT
from autodiff_ref.judge.program.structure import MOVEMENT, axes_last
from autodiff_ref.judge.symbols.expressions import Context, Node
from autodiff_ref.judge.symbols.outcomes import COMPARISONS
from autodiff_ref.judge.symbols.places import PLACES, discrete_place
from autodiff_ref.judge.symbols.primitives import (
    GREATEST,
    LEAST,
    comparison,
    convert,
    nodes_of,
    select_n,
    settled,
)


def _or_nodes(name: str, made: Rule | None) -> Rule:
    """The exact rule where all values are known, and `made` where some are nodes."""

    def rule(equation: Equation) -> Step:
        exact = EXACT[name](equation) if name in EXACT else by_jax(equation)
        open_step = made(equation) if made is not None else None

        def step(context: Context, *operands: Array) -> Array | list[Array]:
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
            return settled(entrywise(made, *[nodes_of(context, operand) for operand in operands]), bool)

        return step

    return rule


def _integers(made: Callable[..., Node]) -> Rule:
    def rule(equation: Equation) -> Step:
        def step(context: Context, *operands: Array) -> Array:
            return settled(entrywise(made, *[nodes_of(context, operand) for operand in operands]), equation.results[0].dtype)

        return step

    return rule


def _all_of(rows: Array) -> Array:
    return np.multiply.reduce(rows, axis=-1)


def _any_of(rows: Array) -> Array:
    return 1 - np.multiply.reduce(1 - rows, axis=-1)


def _reduced_truth(f: Callable[[Array], Array]) -> Rule:
    def rule(equation: Equation) -> Step:
        axes = tuple(int(axis) for axis in equation.params["axes"])
        return lambda context, x: settled(as_objects(f(axes_last(nodes_of(context, x), axes))), bool)

    return rule


_OPEN: dict[str, Rule] = {
    **{name: comparison(name) for name in COMPARISONS},
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
    "max": _integers(GREATEST),
    "min": _integers(LEAST),
    "select_n": select_n,
    "convert_element_type": convert,
    **{name: discrete_place(name) for name in PLACES},
}


DISCRETE: dict[str, Rule] = {**MOVEMENT, **{name: _or_nodes(name, rule) for name, rule in _OPEN.items()}}
"""Rules for discrete work: those above, and those that only move data."""


def exactly_or_refused(equation: Equation) -> Step:
    """Other discrete work: exact where all values are known, and refused where some are nodes."""
    return _or_nodes(equation.primitive.name, None)(equation)
