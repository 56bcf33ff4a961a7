"""The larger and the smaller of reals: extremes, clamping, sorting."""

from collections.abc import Callable

import numpy as np
from flint import arb

from autodiff_ref.judge.balls.context import Context
from autodiff_ref.judge.functions.elementary import greatest, least
from autodiff_ref.judge.program.plans import Array, Equation, Rule, Step, entrywise
from autodiff_ref.judge.program.structure import axes_last, cumulative, reduction, scatter


def _clamp(_: Equation) -> Step:
    return lambda _, low, x, high: entrywise(lambda a, u, b: least(greatest(a, u), b), low, x, high)


def _extreme(better: int) -> Rule:
    def rule(equation: Equation) -> Step:
        axes = tuple(int(axis) for axis in equation.params["axes"])

        def position(context: Context, row: Array) -> int:
            best = 0
            for k in range(1, len(row)):
                if context.compare(row[k], row[best], label=equation.label) == better:
                    best = k
            return best

        def step(context: Context, x: Array) -> Array:
            rows = axes_last(x, axes)
            flat = rows.reshape(-1, rows.shape[-1])
            found = np.array([position(context, row) for row in flat], dtype=equation.results[0].dtype)
            return found.reshape(rows.shape[:-1])

        return step

    return rule


def _reduce_pairwise(f: Callable[[arb, arb], arb]) -> Rule:
    return reduction(lambda rows: np.frompyfunc(f, 2, 1).reduce(rows, axis=-1))


def _sort(equation: Equation) -> Step:
    """Sorts the rows of all operands by the first `num_keys` ones."""
    axis, n_keys = equation.params["dimension"], equation.params["num_keys"]
    reals = [operand.is_real for operand in equation.operands]
    label = all(operand.label for operand in equation.operands[:n_keys])

    def comes_before(context: Context, rows: list[Array], i: int, j: int) -> bool:
        for row, is_real in zip(rows[:n_keys], reals, strict=False):
            a, b = row[i], row[j]
            order = context.compare(a, b, label=label) if is_real else int(a > b) - int(a < b)
            if order:
                return order < 0
        return False

    def order_of(context: Context, rows: list[Array]) -> list[int]:
        order: list[int] = []
        for i in range(len(rows[0])):
            place = len(order)
            while place and comes_before(context, rows, i, order[place - 1]):
                place -= 1
            order.insert(place, i)
        return order

    def step(context: Context, *operands: Array) -> list[Array]:
        moved = [np.moveaxis(operand, axis, -1) for operand in operands]
        sorted_rows = [np.array(operand) for operand in moved]
        for index in np.ndindex(moved[0].shape[:-1]):
            order = order_of(context, [operand[index] for operand in moved])
            for made, operand in zip(sorted_rows, moved, strict=True):
                made[index] = operand[index][order]
        return [np.moveaxis(made, -1, axis) for made in sorted_rows]

    return step


def _top_k(equation: Equation) -> Step:
    """The k largest of each row, the largest first, and where they stood; of equal ones the first."""
    k, axis = equation.params["k"], equation.params.get("axis", -1)
    indices = equation.results[1].dtype

    def order_of(context: Context, row: Array) -> list[int]:
        order: list[int] = []
        for i in range(len(row)):
            place = len(order)
            while place and context.compare(row[i], row[order[place - 1]], label=equation.label) > 0:
                place -= 1
            order.insert(place, i)
        return order[:k]

    def step(context: Context, x: Array) -> list[Array]:
        rows = np.moveaxis(x, axis, -1)
        orders = np.empty((*rows.shape[:-1], k), dtype=indices)
        for index in np.ndindex(rows.shape[:-1]):
            orders[index] = order_of(context, rows[index])
        return [np.moveaxis(part, -1, axis) for part in (np.take_along_axis(rows, orders.astype(np.int64), -1), orders)]

    return step


ORDER: dict[str, Rule] = {
    "clamp": _clamp,
    "reduce_max": _reduce_pairwise(greatest),
    "reduce_min": _reduce_pairwise(least),
    "argmax": _extreme(1),
    "argmin": _extreme(-1),
    "cummax": cumulative(greatest),
    "cummin": cumulative(least),
    "cumlogsumexp": cumulative(lambda x, y: (x.exp() + y.exp()).log()),
    "sort": _sort,
    "top_k": _top_k,
    "scatter-min": scatter(least),
    "scatter-max": scatter(greatest),
}
"""rules that pick by size"""
