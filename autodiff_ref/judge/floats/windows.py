"""Rounding bounds of windows that slide over an array, as in pooling, and of the derivatives of their largest entry."""

import math
from collections.abc import Callable

import numpy as np

from autodiff_ref.judge.floats.context import Context
from autodiff_ref.judge.floats.order import extreme_of
from autodiff_ref.judge.floats.sums import scattered_sum, total
from autodiff_ref.judge.floats.values import Bounded, format_of, is_exact, without_error
from autodiff_ref.judge.program.plans import Array, Equation, Rule, Step
from autodiff_ref.judge.program.windows import windows_of


def _in_windows(x: Bounded, windows: Array, padding: float) -> Bounded:
    """(batch, window, entry), the padding exact."""

    def picked(array: Array, last: float) -> Array:
        flat = np.reshape(array, (array.shape[0], -1))
        return np.concatenate([flat, np.full((len(flat), 1), last, flat.dtype)], axis=1)[:, windows]

    value = picked(x.value, padding)
    return without_error(value) if is_exact(x) else Bounded(value, picked(x.error, 0.0))


def _window_sum(equation: Equation) -> Step:
    windows, shape = windows_of(equation.operands[0].shape, equation.params), equation.results[0].shape
    dtype = equation.results[0].dtype
    format_of(dtype)

    def step(_: object, x: Bounded) -> Bounded:
        value, error = total(_in_windows(x, windows, 0.0), (2,), max(windows.shape[1] - 1, 0), dtype)
        return Bounded(value.reshape(-1, *shape), error.reshape(-1, *shape))

    return step


def _window_extreme(better: Callable[..., Array]) -> Rule:
    def rule(equation: Equation) -> Step:
        windows, shape = windows_of(equation.operands[0].shape, equation.params), equation.results[0].shape
        padding = -np.inf if better is np.greater else np.inf
        exact = equation.label

        def step(context: Context, x: Bounded) -> Bounded:
            rows = _in_windows(x, windows, padding)
            value, error = extreme_of(rows, (2,), better)
            if not exact:
                context.notes(((rows.value == value[..., None]) & (windows >= 0)).sum(-1) > 1)
            return Bounded(value.reshape(-1, *shape), np.reshape(error, (-1, *shape)))

        return step

    return rule


def _chosen(context: Context, x: Bounded, windows: Array, equation: Equation) -> tuple[Array, Array]:
    """(batch, window): the place of each window's largest entry, or smallest, and whether it surely is; −1 for padding."""
    better = np.greater if equation.params["select_prim"].name == "ge" else np.less
    value, error = _in_windows(x, windows, -np.inf if better is np.greater else np.inf)
    found = (np.argmax if better is np.greater else np.argmin)(value, axis=-1)[..., None]
    best, own = np.take_along_axis(value, found, -1), np.take_along_axis(np.broadcast_to(error, value.shape), found, -1)
    apart = (np.abs(value - best) > 2 * (error + own)) | (windows < 0)
    np.put_along_axis(apart, found, True, -1)
    sure = np.all(apart, axis=-1) | is_exact(x)
    if not equation.operands[1].label:
        context.notes((((value == best) & (windows >= 0)).sum(-1) > 1) | ~sure)
    return np.take_along_axis(np.broadcast_to(windows, value.shape), found, -1)[..., 0], sure


def _select_and_scatter_add(equation: Equation) -> Step:
    """The transpose of pooling: what came out of a window goes back to the entry that was chosen in it."""
    windows, shape = windows_of(equation.operands[1].shape, equation.params), equation.results[0].shape
    size, dtype = math.prod(shape), equation.results[0].dtype

    def step(context: Context, source: Bounded, x: Bounded) -> Bounded:
        places, sure = _chosen(context, x, windows, equation)
        zeros = without_error(np.zeros((1, size), dtype))
        flat = Bounded(*(np.reshape(part, (part.shape[0], -1)) for part in source))
        value, error = scattered_sum(zeros, places, flat, dtype)
        lost = np.zeros((len(error), size + 1), dtype=bool)  # what a doubtful window may have had instead
        for k in np.flatnonzero(~sure.all(axis=0)):
            lost[np.ix_(np.flatnonzero(np.broadcast_to(~sure[:, k], len(lost))), windows[k])] = True
        return Bounded(value.reshape(-1, *shape), np.where(lost[:, :size], np.inf, error).reshape(-1, *shape))

    return step


def _select_and_gather_add(equation: Equation) -> Step:
    """The derivative of pooling along a direction: that of the entry that was chosen in each window."""
    windows, shape = windows_of(equation.operands[1].shape, equation.params), equation.results[0].shape

    def step(context: Context, tangents: Bounded, x: Bounded) -> Bounded:
        places, sure = _chosen(context, x, windows, equation)
        batch = max(len(places), tangents.value.shape[0])
        value, error = (
            np.take_along_axis(
                np.broadcast_to(
                    np.concatenate([flat, np.zeros((len(flat), 1), flat.dtype)], axis=1), (batch, flat.shape[1] + 1)
                ),
                np.broadcast_to(np.where(places < 0, flat.shape[1], places), (batch, places.shape[1])),
                1,
            )
            for flat in (np.reshape(part, (part.shape[0], -1)) for part in tangents)
        )
        return Bounded(value.reshape(-1, *shape), np.where(sure, error, np.inf).reshape(-1, *shape))

    return step


WINDOWS: dict[str, Rule] = {
    "reduce_window_sum": _window_sum,
    "reduce_window_max": _window_extreme(np.greater),
    "reduce_window_min": _window_extreme(np.less),
    "select_and_scatter_add": _select_and_scatter_add,
    "select_and_gather_add": _select_and_gather_add,
}
"""rules by the names of primitives"""
