"""Scatter, in every arithmetic: where each update goes is found once for an index array."""

import math
from collections.abc import Callable

import numpy as np
from jax.lax import GatherScatterMode, ScatterDimensionNumbers

from autodiff_ref.judge.program.movement import maps_of
from autodiff_ref.judge.program.plans import Array, Entry, Equation, Rule, Step


def scatter(combine: Callable[[Entry, Entry], Entry]) -> Rule:
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
                maps[key] = places(indices, target.shape, update.shape, dimensions, mode).ravel()
            result = np.array(x).ravel()
            for position, value in zip(maps[key], updates.ravel(), strict=True):
                if position >= 0:
                    result[position] = combine(result[position], value)
            return result.reshape(x.shape)

        return step

    return rule


def places(
    indices: Array,
    target: tuple[int, ...],
    update: tuple[int, ...],
    dimensions: ScatterDimensionNumbers,
    mode: GatherScatterMode,
) -> Array:
    """For each update the position in the flattened target that it goes to, −1 where it is dropped.

    An update is a set of windows. Its window axes say where in the window an entry lies; its other axes choose a row of
    `indices`, which says where the window begins, along the axes that `scatter_dims_to_operand_dims` names.
    """
    batch = dimensions.operand_batching_dims
    unwindowed = {*dimensions.inserted_window_dims, *batch}
    windowed = [axis for axis in range(len(target)) if axis not in unwindowed]
    window_axes = list(dimensions.update_window_dims)
    scatter_axes = [axis for axis in range(len(update)) if axis not in window_axes]
    along = np.indices(update, sparse=True)
    start = [np.zeros((1,) * len(update), dtype=np.int64) for _ in target]
    # the axes of `indices` but the last are the update's scatter axes, in order
    spread = indices.astype(np.int64).reshape(
        [update[axis] if axis in scatter_axes else 1 for axis in range(len(update))] + [indices.shape[-1]]
    )
    for k, axis in enumerate(dimensions.scatter_dims_to_operand_dims):
        start[axis] = spread[..., k]
    for axis, index_axis in zip(batch, dimensions.scatter_indices_batching_dims, strict=True):
        start[axis] = along[scatter_axes[index_axis]]
    sizes = [1] * len(target)
    within = [np.zeros((1,) * len(update), dtype=np.int64) for _ in target]
    for axis, update_axis in zip(windowed, window_axes, strict=True):
        sizes[axis] = update[update_axis]
        within[axis] = along[update_axis]
    if mode == GatherScatterMode.CLIP:
        start = [np.clip(s, 0, limit - size) for s, limit, size in zip(start, target, sizes, strict=True)]
    fits, position = np.ones(update, dtype=bool), np.zeros(update, dtype=np.int64)
    for axis, limit in enumerate(target):
        fits &= (start[axis] >= 0) & (start[axis] + sizes[axis] <= limit)
        position += (start[axis] + within[axis]) * math.prod(target[axis + 1 :])
    return np.where(fits, position, -1)
