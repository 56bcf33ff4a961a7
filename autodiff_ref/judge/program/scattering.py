"""Scatter, in every arithmetic: where each update goes is found once for an index array."""

from collections.abc import Callable

import numpy as np

from autodiff_ref.judge.program.movement import maps_of
from autodiff_ref.judge.program.places import scattered
from autodiff_ref.judge.program.plans import Array, Equation, Number, Rule, Step


def scatter(combine: Callable[[Number, Number], Number]) -> Rule:
    """`combine(old, update)` at the place of each update, one after the other."""

    def rule(equation: Equation) -> Step:
        target, _, update = equation.operands
        dimensions, mode = equation.params["dimension_numbers"], equation.params["mode"]
        if equation.primitive.name == "scatter" and equation.params["update_jaxpr"] is not None:
            raise NotImplementedError("no rule for `x.at[i].apply(f)`: write x.at[i].set(f(x[i]))")
        maps = maps_of(equation)

        def step(_: object, x: Array, indices: Array, updates: Array) -> Array:
            key = indices.tobytes()
            if key not in maps:
                maps[key] = scattered(indices, target.shape, update.shape, dimensions, mode).ravel()
            result = np.array(x).ravel()
            for position, value in zip(maps[key], updates.ravel(), strict=True):
                if position >= 0:
                    result[position] = combine(result[position], value)
            return result.reshape(x.shape)

        return step

    return rule
