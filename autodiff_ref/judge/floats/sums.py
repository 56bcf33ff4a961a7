"""Rounding bounds of sums, products over axes, contractions, convolutions: they hold in whatever order these are taken.

Where some order may overflow, the error is infinite. Source: N. J. Higham, *Accuracy and Stability of Numerical Algorithms*,
2nd ed., §3.1 (γ_n, for inner products and sums in any order) and §4.2.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import DTypeLike

from autodiff_ref.judge.floats.arithmetic import cast, product
from autodiff_ref.judge.floats.choices import greatest, least
from autodiff_ref.judge.floats.context import Context
from autodiff_ref.judge.floats.values import (
    UPWARDS,
    Bounded,
    add_exactly,
    anywhere,
    at_the_end,
    flushed,
    format_of,
    greatest_of,
    is_exact,
    is_zero,
    reach,
    unless_overflown,
    without_error,
)
from autodiff_ref.judge.program.plans import Array, Equation, Rule, Step
from autodiff_ref.judge.program.structure import Contraction, convolution_pairs


def gamma_of(n: int, dtype: DTypeLike) -> float:
    """γ_n = n u / (1 − n u), and no information from n u = 1/2 on: 2^23 numbers in float32"""
    u = format_of(dtype).u
    return n * u / (1 - n * u) if 2 * n * u < 1 else np.inf


def upwards_of(n: int) -> float:
    """What makes up for n roundings of a bound, and for the few of the steps around it."""
    return UPWARDS + n * 2.0**-52


def total(x: Bounded, axes: tuple[int, ...], roundings: int, dtype: DTypeLike) -> Bounded:
    """The sum over axes (those of arrays with the batch in front), in any order: P = Σ e, and γ Σ |x'|."""
    value = x.value.sum(axes, dtype=dtype)
    if is_exact(x) and add_exactly(roundings + 1, x.value):
        return without_error(value)
    tiny = format_of(dtype).tiny
    size = reach(x).sum(axes)
    error = x.error.sum(axes) + gamma_of(roundings, dtype) * size + (roundings > 0) * tiny * (roundings + 1)
    error = error * upwards_of(roundings)
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
    count = equation.operands[0].shape[axis - 1]
    gamma, tiny = gamma_of(count, dtype), format_of(dtype).tiny

    def summed(x: Array) -> Array:
        flipped = np.flip(x, axis) if backwards else x
        made = np.cumsum(flipped, axis)
        return np.flip(made, axis) if backwards else made

    def step(_: object, x: Bounded) -> Bounded:
        size = summed(reach(x))
        error = (summed(x.error) + gamma * size + tiny * count) * upwards_of(count)
        return Bounded(flushed(summed(x.value)), np.where(size == 0, 0.0, unless_overflown(error, size, dtype)))

    return step


def extremes(x: Bounded) -> tuple[Array, Array]:
    """How large and how small a factor can make a part of a product: max(1, |x'|), and min(1, |x'|), but ∞ for an exact 0.

    For there is nothing to lose where the product is 0, and neither 0 ∞ nor ∞ is small.
    """
    size = np.abs(x.value).astype(np.float64, copy=False)
    smallest = np.clip(size - 2 * x.error, 0.0, 1.0)
    return np.maximum(size + 2 * x.error, 1.0), np.where(is_zero(x), np.inf, smallest)


def in_any_order(made: Bounded, largest: Array, smallest: Array, count: int) -> Bounded:
    """A product of `count` factors, whose extremes multiply to `largest` and `smallest`, as far off as another order is.

    Roundings are as many in any order. A part that is flushed to zero may be multiplied by all the rest, and a part may
    overflow.
    """
    _, tiny, limit, *_ = format_of(made.value.dtype)
    flush = np.where(smallest < 2 * tiny, 2 * count * tiny * largest, 0.0)
    return Bounded(made.value, np.where(largest < limit / 2, made.error + flush, np.inf))


def _multiplied(*, accumulate: bool) -> Rule:
    """Π x_k, or all products of the first ones."""
    along = _along(lambda x, y: product(x, y, x.value.dtype), accumulate=accumulate)

    def rule(equation: Equation) -> Step:
        one_by_one, params = along(equation), equation.params
        axes: tuple[int, ...] = (params["axis"] + 1,) if accumulate else tuple(int(axis) + 1 for axis in params["axes"])
        backwards = accumulate and params["reverse"]

        def joined(factors: Array) -> Array:
            if not accumulate:
                return factors.prod(axes)
            return np.flip(np.flip(factors, axes).cumprod(axes[0]), axes) if backwards else factors.cumprod(axes[0])

        def step(context: Context, x: Bounded) -> Bounded:
            largest, smallest = map(joined, extremes(x))
            return in_any_order(
                one_by_one(context, x), largest, smallest, int(np.prod([x.value.shape[axis] for axis in axes]))
            )

        return step

    return rule


def _along(combine: Callable[[Bounded, Bounded], Bounded], *, accumulate: bool) -> Rule:
    """A reduction, or accumulation, one entry after the other."""

    def rule(equation: Equation) -> Step:
        params = equation.params
        axes: tuple[int, ...] = (params["axis"] + 1,) if accumulate else tuple(int(axis) + 1 for axis in params["axes"])
        backwards = accumulate and params["reverse"]
        format_of(equation.results[0].dtype)

        def step(_: object, x: Bounded) -> Bounded:
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
    contraction = Contraction(equation, before=1)
    summed, lefts, rights = contraction.summed, contraction.left, contraction.right
    shape, dtype = equation.results[0].shape, equation.results[0].dtype
    gamma, tiny, largest = gamma_of(summed, dtype), format_of(dtype).tiny, format_of(dtype).largest
    upwards = upwards_of(summed)

    def step(_: object, x: Bounded, y: Bounded) -> Bounded:
        if not summed or 0 in shape:
            return without_error(np.zeros((1, *shape), dtype))

        value = np.matmul(lefts(cast(x, dtype)), rights(cast(y, dtype)))
        size, other = lefts(reach(x)), rights(reach(y))
        # γ last: multiplied by it, what is small could underflow, and what overflows would not
        error = np.matmul(size, other if is_exact(y) else other + rights(y.error) / gamma)
        is_known = greatest_of(error) < largest / 4
        error *= gamma
        if not is_exact(x):
            error += np.matmul(lefts(x.error), other)
        error *= upwards
        error += 2 * summed * tiny
        if not is_known:
            error = unless_overflown(error, np.matmul(size, other), dtype)
        zero = value == 0
        if anywhere(zero):  # 0 where every product has a factor that is exactly 0, but 0 ∞ is NaN
            error[zero & (error < np.inf) & (~np.matmul(size != 0, other != 0))] = 0.0
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

    def step(_: object, x: Bounded, y: Bounded) -> Bounded:
        sizes = reach(x), reach(y)
        size = convolved(*sizes)
        error = gamma * size + convolved(sizes[0], np.asarray(y.error)) + convolved(np.asarray(x.error), sizes[1])
        error = unless_overflown(error * upwards_of(len(pairs)) + 2 * len(pairs) * tiny, size, dtype)
        return Bounded(flushed(convolved(x.value, y.value)), error)

    return step


def scattered_sum(x: Bounded, places: Array, updates: Bounded, dtype: DTypeLike) -> Bounded:
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
    if is_exact(x) and is_exact(updates) and add_exactly(places.shape[1] + 1, x.value, updates.value):
        return without_error(value)
    counts = added_up(np.zeros((1, value.shape[1])), np.ones((1, places.shape[1])))
    most = int(np.max(counts, initial=0.0))
    size = added_up(reach(x), reach(updates))
    error = added_up(np.asarray(x.error), np.asarray(updates.error))
    rounding = gamma_of(most, dtype) * size + format_of(dtype).tiny * most
    error = np.where(counts > 0, (error + rounding) * upwards_of(most), error)
    return Bounded(flushed(value), np.where(size == 0, 0.0, unless_overflown(error, size, dtype)))


def _cumlogsumexp(equation: Equation) -> Step:
    """log Σ e^{x_k}: it moves no further than the x_k do; each join rounds a number up to max |x'_k| + log n."""
    axis, backwards, dtype = equation.params["axis"] + 1, equation.params["reverse"], equation.results[0].dtype
    count, u = equation.operands[0].shape[axis - 1], format_of(dtype).u

    def accumulated(ufunc: np.ufunc, x: Array) -> Array:
        flipped = np.flip(x, axis) if backwards else x
        made = ufunc.accumulate(flipped, axis)
        return np.flip(made, axis) if backwards else made

    def step(_: object, x: Bounded) -> Bounded:
        largest = reach(x).max(axis, keepdims=True)
        error = accumulated(np.maximum, np.asarray(x.error)) + count * _JOIN * u * (largest + np.log(count) + 1)
        return Bounded(accumulated(np.logaddexp, x.value).astype(dtype), error * UPWARDS)

    return step


_JOIN = 32
"""Units that one join of logarithms is granted: an exponential, a log1p and three roundings."""


SUMS: dict[str, Rule] = {
    "reduce_sum": _reduce_sum,
    "reduce_prod": _multiplied(accumulate=False),
    "cumprod": _multiplied(accumulate=True),
    "cummax": _along(greatest, accumulate=True),
    "cummin": _along(least, accumulate=True),
    "cumsum": _cumsum,
    "cumlogsumexp": _cumlogsumexp,
    "dot_general": _dot_general,
    "conv_general_dilated": _convolution,
}
"""rules by the names of primitives"""
