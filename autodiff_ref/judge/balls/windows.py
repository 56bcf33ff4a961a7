"""Windows that slide over an array, as pooling has them, and the derivatives of their largest or smallest entry."""

import math
from collections.abc import Callable

import numpy as np
from flint import arb

from autodiff_ref.judge.balls.context import Context
from autodiff_ref.judge.balls.order import greatest, least
from autodiff_ref.judge.functions.enclosing import ZERO
from autodiff_ref.judge.program.plans import Array, Equation, Rule, Step
from autodiff_ref.judge.program.windows import windows_of


def _reduce_window(f: Callable[[arb, arb], arb], initial: arb) -> Rule:
    def rule(equation: Equation) -> Step:
        windows, shape = windows_of(equation.operands[0].shape, equation.params), equation.results[0].shape

        def step(_: Context, x: Array) -> Array:
            flat, made = x.ravel(), np.empty(len(windows), dtype=object)
            for k, window in enumerate(windows):
                value = initial
                for entry in window[window >= 0]:
                    value = f(value, flat[int(entry)])
                made[k] = value
            return made.reshape(shape)

        return step

    return rule


def _selected(context: Context, flat: Array, window: Array, equation: Equation) -> int:
    """The position of a window's largest entry, the first of equal ones; of its smallest, if `select_prim` says so."""
    better = 1 if equation.params["select_prim"].name == "ge" else -1
    entries = window[window >= 0]
    best = entries[0]
    for entry in entries[1:]:
        if context.compare(flat[int(entry)], flat[int(best)], label=equation.operands[1].label) == better:
            best = entry
    return int(best)


def _select_and_scatter_add(equation: Equation) -> Step:
    """The transpose of pooling: what came out of a window goes back to the entry that was chosen in it."""
    windows, shape = windows_of(equation.operands[1].shape, equation.params), equation.results[0].shape

    def step(context: Context, source: Array, x: Array) -> Array:
        flat, made = x.ravel(), np.full(math.prod(shape), ZERO, dtype=object)
        for window, cotangent in zip(windows, source.ravel(), strict=True):
            if np.any(window >= 0):
                chosen = _selected(context, flat, window, equation)
                made[chosen] = made[chosen] + cotangent
        return made.reshape(shape)

    return step


def _select_and_gather_add(equation: Equation) -> Step:
    """The derivative of pooling along a direction: that of the entry that was chosen in each window."""
    windows, shape = windows_of(equation.operands[1].shape, equation.params), equation.results[0].shape

    def step(context: Context, tangents: Array, x: Array) -> Array:
        flat, moved, made = x.ravel(), tangents.ravel(), np.full(len(windows), ZERO, dtype=object)
        for k, window in enumerate(windows):
            if np.any(window >= 0):
                made[k] = moved[_selected(context, flat, window, equation)]
        return made.reshape(shape)

    return step


WINDOWS: dict[str, Rule] = {
    "reduce_window_sum": _reduce_window(lambda x, y: x + y, ZERO),
    "reduce_window_max": _reduce_window(greatest, arb.neg_inf()),
    "reduce_window_min": _reduce_window(least, arb.pos_inf()),
    "select_and_scatter_add": _select_and_scatter_add,
    "select_and_gather_add": _select_and_gather_add,
}
"""rules for pooling"""
