"""Rounding bounds of sums, products over axes, contractions, convolutions: they hold in whatever order these are taken."""

from collections.abc import Callable
from typing import Any

import numpy as np

from autodiff_ref.verify.rounding.arithmetic import cast, product
from autodiff_ref.verify.rounding.choices import greatest, least
from autodiff_ref.verify.rounding.values import (
    UPWARDS,
    Bounded,
    anywhere,
    are_short,
    at_the_end,
    flushed,
    format_of,
    is_exact,
    reach,
    unless_overflown,
    without_error,
)
from autodiff_ref.verify.walker.plans import Array, Equation, Rule, Step
from autodiff_ref.verify.walker.structure import convolution_pairs


def gamma_of(n: int, dtype: Any) -> float:
    """γ_n = n u / (1 − n u)"""
    u = format_of(dtype).u
    return n * u / (1 - n * u)


def total(x: Bounded, axes: tuple[int, ...], roundings: int, dtype: Any) -> Bounded:
    """The sum over axes (those of arrays with the batch in front), in any order: P = Σ e, and γ Σ |x'|."""
    value = x.value.sum(axes, dtype=dtype)
    if is_exact(x) and are_short(x.value) and are_short(value):
        return without_error(value)
    tiny = format_of(dtype).tiny
    size = reach(x).sum(axes)
    error = (x.error.sum(axes) + gamma_of(roundings, dtype) * size + (roundings > 0) * tiny * (roundings + 1)) * UPWARDS
    return Bounded(flushed(value), np.where(size == 0, 0.0, unless_overflown(error, size, dtype)))


def _reduce_sum(equation: Equation) -> Step:
    axes = tuple(int(axis) + 1 for axis in equation.params["axes"])
    dtype = equation.results[0].dtype
    count = int(np.prod([equation.operands[0].shape[axis - 1] for axis in axes]))
    format_of(dtype)
    if not axes:
        return lambda _, x: x
    return lambda _, x: total(x, axes, max(count - 1, 0), dtype)


def _cumsum(equation: Equation) -> Step:
    axis, backwards, dtype = equation.params["axis"] + 1, equation.params["reverse"], equation.results[0].dtype
    gamma, tiny = gamma_of(equation.operands[0].shape[axis - 1], dtype), format_of(dtype).tiny

    def summed(x: Array) -> Array:
        flipped = np.flip(x, axis) if backwards else x
        made = np.cumsum(flipped, axis)
        return np.flip(made, axis) if backwards else made

    def step(_: Any, x: Bounded) -> Bounded:
        size = summed(reach(x))
        error = (summed(x.error) + gamma * size + tiny * x.value.shape[axis]) * UPWARDS
        return Bounded(flushed(summed(x.value)), np.where(size == 0, 0.0, unless_overflown(error, size, dtype)))

    return step


def _along(combine: Callable[[Bounded, Bounded], Bounded], *, accumulate: bool) -> Rule:
    """A reduction, or accumulation, one entry after the other."""

    def rule(equation: Equation) -> Step:
        params = equation.params
        axes = (params["axis"] + 1,) if accumulate else tuple(int(axis) + 1 for axis in params["axes"])
        backwards = accumulate and params["reverse"]
        format_of(equation.results[0].dtype)

        def step(_: Any, x: Bounded) -> Bounded:
            value, error = at_the_end(x.value, axes), at_the_end(np.asarray(x.error), axes)
            parts = [Bounded(value[..., k], error[..., k]) for k in range(value.shape[-1])]
            parts = parts[::-1] if backwards else parts
            made = [parts[0]]
            for part in parts[1:]:
                made.append(combine(made[-1], part))
            if not accumulate:
                return made[-1]
            made = made[::-1] if backwards else made
            return Bounded(np.stack([p.value for p in made], axes[0]), np.stack([p.error for p in made], axes[0]))

        return step

    return rule


def _dot_general(equation: Equation) -> Step:
    """Σ_k x_k y_k in any order: P = Σ (|x'| e_y + e_x |y|), and γ_n Σ |x'| |y'|."""
    (left_sum, right_sum), (left_batch, right_batch) = equation.params["dimension_numbers"]
    left, right = equation.operands
    if not (left.is_real and right.is_real):
        raise NotImplementedError("no rounding bounds for `dot_general` of integers into floats: convert them first")
    left_free = [k for k in range(len(left.shape)) if k not in (*left_sum, *left_batch)]
    right_free = [k for k in range(len(right.shape)) if k not in (*right_sum, *right_batch)]
    left_order = [0, *(k + 1 for k in (*left_batch, *left_free, *left_sum))]
    right_order = [0, *(k + 1 for k in (*right_batch, *right_sum, *right_free))]
    batch = [left.shape[k] for k in left_batch]
    summed = int(np.prod([left.shape[k] for k in left_sum]))
    left_shape = [-1, *batch, int(np.prod([left.shape[k] for k in left_free])), summed]
    right_shape = [-1, *batch, summed, int(np.prod([right.shape[k] for k in right_free]))]
    shape, dtype = equation.results[0].shape, equation.results[0].dtype
    gamma, tiny = gamma_of(summed, dtype), format_of(dtype).tiny

    def step(_: Any, x: Bounded, y: Bounded) -> Bounded:
        if not summed:
            return without_error(np.zeros((1, *shape), dtype))

        def lefts(array: Array) -> Array:
            return array.transpose(left_order).reshape(left_shape)

        def rights(array: Array) -> Array:
            return array.transpose(right_order).reshape(right_shape)

        value = np.matmul(lefts(cast(x, dtype)), rights(cast(y, dtype)))
        size, other = lefts(reach(x)), rights(reach(y))
        error = np.matmul(size, gamma * other if is_exact(y) else gamma * other + rights(y.error))
        if not is_exact(x):
            error += np.matmul(lefts(x.error), other)
        error *= UPWARDS
        error += 2 * summed * tiny
        if dtype == np.float32:  # of float64 the error overflows as the value does
            error = unless_overflown(error, np.matmul(size, other), dtype)
        zero = value == 0
        if anywhere(zero):
            error[zero & (~np.matmul(size != 0, other != 0))] = 0.0  # every product has a factor that is exactly 0
        return Bounded(flushed(value).reshape((-1, *shape)), error.reshape((-1, *shape)))

    return step


def _convolution(equation: Equation) -> Step:
    """Each output is a sum over the pairs of entries that meet in it."""
    dtype = equation.results[0].dtype
    tiny = format_of(dtype).tiny
    pairs = convolution_pairs(equation)
    gamma = gamma_of(len(pairs), dtype)

    def convolved(x: Array, y: Array) -> Array:
        flat_x, flat_y = x.reshape(x.shape[0], -1), y.reshape(y.shape[0], -1)
        padded = np.concatenate([flat_x, np.zeros((x.shape[0], 1), x.dtype)], axis=1)  # place −1 is no place
        made = sum(padded[:, row] * flat_y[:, [k]] for k, row in enumerate(pairs))
        return np.reshape(np.asarray(made), (-1, *equation.results[0].shape))

    def step(_: Any, x: Bounded, y: Bounded) -> Bounded:
        sizes = reach(x), reach(y)
        error = convolved(sizes[0], gamma * sizes[1] + y.error) + convolved(np.asarray(x.error), sizes[1])
        error = unless_overflown(error * UPWARDS + 2 * len(pairs) * tiny, convolved(*sizes), dtype)
        return Bounded(flushed(convolved(x.value, y.value)), error)

    return step


def scattered_sum(x: Bounded, places: Array, updates: Bounded, dtype: Any) -> Bounded:
    """x with updates added at places, in any order.

    Args:
        x: (batch or 1, entries).
        places: (batch or 1, updates), the entry that each is added to; −1 for none.
        updates: (batch or 1, updates).
        dtype: of the result.
    """
    batch = max(len(x.value), len(places), len(updates.value))
    places = np.broadcast_to(places, (batch, places.shape[1]))
    rows, columns = np.nonzero(places >= 0)
    at = rows, places[rows, columns]

    def added_up(start: Array, parts: Array) -> Array:
        made = np.array(np.broadcast_to(start, (batch, start.shape[1])))
        np.add.at(made, at, np.broadcast_to(parts, places.shape)[rows, columns])
        return made

    value = added_up(cast(x, dtype), cast(updates, dtype))
    if is_exact(x) and is_exact(updates) and are_short(x.value, updates.value, value):
        return without_error(value)
    most = int(np.max(added_up(np.zeros((1, value.shape[1])), np.ones((1, places.shape[1]))), initial=0.0))
    size = added_up(reach(x), reach(updates))
    error = added_up(np.asarray(x.error), np.asarray(updates.error))
    touched = added_up(np.zeros((1, value.shape[1])), np.ones((1, places.shape[1]))) > 0
    error = error + touched * (gamma_of(most, dtype) * size + format_of(dtype).tiny * most) * UPWARDS
    return Bounded(flushed(value), np.where(size == 0, 0.0, unless_overflown(error, size, dtype)))


def _cumlogsumexp(equation: Equation) -> Step:
    """log Σ e^{x_k}: it moves no further than the x_k do; each join rounds a number up to max |x_k| + log n."""
    axis, backwards, dtype = equation.params["axis"] + 1, equation.params["reverse"], equation.results[0].dtype
    count, u = equation.operands[0].shape[axis - 1], format_of(dtype).u

    def accumulated(ufunc: np.ufunc, x: Array) -> Array:
        flipped = np.flip(x, axis) if backwards else x
        made = ufunc.accumulate(flipped, axis)
        return np.flip(made, axis) if backwards else made

    def step(_: Any, x: Bounded) -> Bounded:
        largest = reach(x).max(axis, keepdims=True)
        error = accumulated(np.maximum, np.asarray(x.error)) + count * _JOIN * u * (largest + np.log(count) + 1)
        return Bounded(accumulated(np.logaddexp, x.value).astype(dtype), error * UPWARDS)

    return step


_JOIN = 32
"""Units that one join of logarithms is granted: an exponential, a log1p and three roundings."""


SUMS: dict[str, Rule] = {
    "reduce_sum": _reduce_sum,
    "reduce_prod": _along(lambda x, y: product(x, y, x.value.dtype), accumulate=False),
    "cumprod": _along(lambda x, y: product(x, y, x.value.dtype), accumulate=True),
    "cummax": _along(greatest, accumulate=True),
    "cummin": _along(least, accumulate=True),
    "cumsum": _cumsum,
    "cumlogsumexp": _cumlogsumexp,
    "dot_general": _dot_general,
    "conv_general_dilated": _convolution,
}
"""rules by the names of primitives"""
