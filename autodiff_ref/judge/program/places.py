"""Where the data is that integers point at: gather, scatter, and windows at a moving place, in NumPy as JAX has them.

A place is the position of an entry in its array, flattened. Integers may have axes before their own, as for a batch of
inputs; places then have these too.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
from jax.lax import GatherScatterMode, ScatterDimensionNumbers

from autodiff_ref.judge.program.plans import Array, Equation

Places = Callable[..., Array]
"""from the integers of an equation to where each entry of its result is among those of its data, −1 for those outside"""


def scattered(
    indices: Array,
    target: Sequence[int],
    update: Sequence[int],
    dimensions: ScatterDimensionNumbers,
    mode: GatherScatterMode,
) -> Array:
    """For each entry of an update its place in the target, −1 where it is dropped.

    An update is a set of windows. Its window axes say where in the window an entry lies; its other axes choose a row of
    `indices`, which says where the window begins, along the axes that `scatter_dims_to_operand_dims` names.
    """
    batch = dimensions.operand_batching_dims
    unwindowed = {*dimensions.inserted_window_dims, *batch}
    windowed = [axis for axis in range(len(target)) if axis not in unwindowed]
    window_axes = list(dimensions.update_window_dims)
    scatter_axes = [axis for axis in range(len(update)) if axis not in window_axes]
    before = indices.shape[: indices.ndim - 1 - len(scatter_axes)]
    along = np.indices(update, sparse=True)
    start = [np.zeros((1,) * len(update), dtype=np.int64) for _ in target]
    # the axes of `indices` but the last are the update's scatter axes, in order
    rows = [update[axis] if axis in scatter_axes else 1 for axis in range(len(update))]
    spread = _signed(indices).reshape(*before, *rows, indices.shape[-1])
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
    fits, position = np.ones((*before, *update), dtype=bool), np.zeros((*before, *update), dtype=np.int64)
    for axis, limit in enumerate(target):
        fits &= (start[axis] >= 0) & (start[axis] + sizes[axis] <= limit)
        position += (start[axis] + within[axis]) * math.prod(target[axis + 1 :])
    return np.where(fits, position, -1)


def _gather(equation: Equation) -> Places:
    """A gather takes from where a scatter of its result would put it; what is promised to lie inside is clipped."""
    dimensions, mode = equation.params["dimension_numbers"], equation.params["mode"]
    put_back = ScatterDimensionNumbers(
        update_window_dims=dimensions.offset_dims,
        inserted_window_dims=dimensions.collapsed_slice_dims,
        scatter_dims_to_operand_dims=dimensions.start_index_map,
        operand_batching_dims=dimensions.operand_batching_dims,
        scatter_indices_batching_dims=dimensions.start_indices_batching_dims,
    )
    mode = GatherScatterMode.CLIP if mode == GatherScatterMode.PROMISE_IN_BOUNDS else mode
    target, result = equation.operands[0].shape, equation.results[0].shape
    return lambda indices: scattered(indices, target, result, put_back, mode)


def _windows(target: Sequence[int], sizes: Sequence[int]) -> Places:
    """A window of these sizes, moved inside where it would reach out."""
    strides = [math.prod(target[axis + 1 :]) for axis in range(len(target))]
    within = sum((k * stride for k, stride in zip(np.indices(sizes, sparse=True), strides, strict=True)), np.int64(0))

    def places(*starts: Array) -> Array:
        inside = [np.clip(_signed(at), 0, limit - size) for at, limit, size in zip(starts, target, sizes, strict=True)]
        first = np.asarray(sum((at * stride for at, stride in zip(inside, strides, strict=True)), np.int64(0)))
        return first.reshape(*first.shape, *[1] * len(sizes)) + within

    return places


def _dynamic_slice(equation: Equation) -> Places:
    return _windows(equation.operands[0].shape, equation.results[0].shape)


def _dynamic_update_slice(equation: Equation) -> Places:
    target, update = equation.operands[0].shape, equation.operands[1].shape
    window, size = _windows(target, update), math.prod(target)
    numbers = np.arange(size, size + math.prod(update))

    def places(*starts: Array) -> Array:
        put = window(*starts)
        before = put.shape[: put.ndim - len(update)]
        made = np.array(np.broadcast_to(np.arange(size), (*before, size)))
        np.put_along_axis(made, put.reshape(*before, -1), np.broadcast_to(numbers, (*before, len(numbers))), axis=-1)
        return made.reshape(*before, *target)

    return places


def _signed(integers: Array) -> Array:
    """As 64-bit integers; what these cannot hold is outside of every array."""
    array = np.asarray(integers)
    return (np.minimum(array, 2**63 - 1) if array.dtype == np.uint64 else array).astype(np.int64)


POINTED_AT: dict[str, tuple[int, Callable[[Equation], Places]]] = {
    "gather": (1, _gather),
    "dynamic_slice": (1, _dynamic_slice),
    "dynamic_update_slice": (2, _dynamic_update_slice),
}
"""by the names of primitives: how many operands are data, the first ones, and where the result's entries are among theirs"""
