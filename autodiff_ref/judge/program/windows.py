"""Which entries a window holds that slides over an array, in every arithmetic."""

import math

import numpy as np

from autodiff_ref.judge.program.plans import Array, Params


def windows_of(shape: tuple[int, ...], params: Params) -> Array:
    """For each window the positions in the flattened array that it holds, a row each; −1 lies in the padding."""
    sizes, strides = params["window_dimensions"], params["window_strides"]
    spread = params.get("base_dilation") or [1] * len(shape)
    apart = params.get("window_dilation") or [1] * len(shape)
    position, inside = np.zeros((1, 1), dtype=np.int64), np.ones((1, 1), dtype=bool)
    for axis, (length, size, stride, (low, high)) in enumerate(zip(shape, sizes, strides, params["padding"], strict=True)):
        padded = low + high + max(0, (length - 1) * spread[axis] + 1)
        count = max(0, (padded - (size - 1) * apart[axis] - 1) // stride + 1)
        at = np.arange(count)[:, None] * stride + np.arange(size)[None, :] * apart[axis] - low
        met = (at >= 0) & (at % spread[axis] == 0) & (at // spread[axis] < length)
        step = np.where(met, at // spread[axis], 0) * math.prod(shape[axis + 1 :])
        position = (position[:, None, :, None] + step[None, :, None, :]).reshape(len(position) * count, -1)
        inside = (inside[:, None, :, None] & met[None, :, None, :]).reshape(len(inside) * count, -1)
    return np.where(inside, position, -1)
