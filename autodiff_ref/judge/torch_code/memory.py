"""Tensors as views of memory: a flat array, and the shape, strides and offset by which a tensor reads it.

What is traced is kept by storage. A view shares the storage of what it views, so that reading and writing through views
needs no rule for any of the operations that make one.
"""

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

Shape = Sequence[int]


def places(shape: Shape, stride: Shape, offset: int) -> np.ndarray:
    """Where each entry of a tensor lies in its memory."""
    found = np.full(tuple(shape), offset, dtype=np.int64)
    for axis, (length, step) in enumerate(zip(shape, stride, strict=True)):
        along = [1] * len(shape)
        along[axis] = length
        found = found + (np.arange(length) * step).reshape(along)
    return found


def block_order(shape: Shape, stride: Shape) -> list[int] | None:
    """The axes by falling stride, where the tensor fills one block of memory in that order; else None."""
    axes = sorted((axis for axis, length in enumerate(shape) if length != 1), key=lambda axis: -stride[axis])
    expected = 1
    for axis in reversed(axes):
        if stride[axis] != expected:
            return None
        expected *= shape[axis]
    return axes + [axis for axis, length in enumerate(shape) if length == 1]


def read(flat: Any, shape: Shape, stride: Shape, offset: int) -> Any:
    """What a tensor of this layout holds, of memory that holds `flat`: turned, sliced or broadcast where that will do."""
    shape, stride = tuple(shape), tuple(stride)
    size = math.prod(shape)
    if size == 0:
        return jnp.zeros(shape, flat.dtype)
    repeated = [axis for axis in range(len(shape)) if stride[axis] == 0 and shape[axis] > 1]
    if repeated:
        kept = [axis for axis in range(len(shape)) if axis not in repeated]
        once = read(flat, [shape[axis] for axis in kept], [stride[axis] for axis in kept], offset)
        return lax.broadcast_in_dim(once, shape, kept)
    order = block_order(shape, stride)
    if order is None:
        return flat[places(shape, stride, offset)]
    block = flat if size == flat.shape[0] else lax.slice(flat, (offset,), (offset + size,))
    made = block if len(shape) == 1 else block.reshape([shape[axis] for axis in order])
    back = [int(axis) for axis in np.argsort(order)]
    return made if back == list(range(len(shape))) else jnp.transpose(made, back)


def written(flat: Any, value: Any, shape: Shape, stride: Shape, offset: int) -> Any:
    """Memory `flat` after a tensor of this layout was set to `value`."""
    size = math.prod(shape)
    if size == 0:
        return flat
    order = block_order(shape, stride)
    if order is not None and size == flat.shape[0]:
        return as_block(value, order)
    return flat.at[places(shape, stride, offset).reshape(-1)].set(value.reshape(-1))


def as_block(value: Any, order: list[int]) -> Any:
    """A value as the memory that a tensor fills in this order of its axes."""
    turned = value if order == list(range(value.ndim)) else jnp.transpose(value, order)
    return turned if turned.ndim == 1 else turned.reshape(-1)
