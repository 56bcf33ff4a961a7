"""Data moved by integers that are values themselves: gather, slices at a moving place, scatter."""

from collections.abc import Callable, Iterable
from functools import reduce

import numpy as np

from autodiff_ref.judge.floats.arithmetic import product
from autodiff_ref.judge.floats.choices import greatest, least
from autodiff_ref.judge.floats.moves import moved, planned, together
from autodiff_ref.judge.floats.sums import extremes, in_any_order, scattered_sum
from autodiff_ref.judge.floats.values import Bounded, Discrete, Held, format_of
from autodiff_ref.judge.program.movement import INDEXED
from autodiff_ref.judge.program.places import POINTED_AT, scattered
from autodiff_ref.judge.program.plans import Array, Equation, Rule, Step, Value


def _by_index(name: str) -> Rule:
    """gather and the like."""
    data, places_of = POINTED_AT[name]

    def rule(equation: Equation) -> Step:
        fill, places = equation.params.get("fill_value"), places_of(equation)

        def step(_: object, *operands: Value) -> Held:
            indices = together(*[index.value for index in operands[data:]])
            taken = places(*indices)
            batch = taken.shape[0]
            outside = taken < 0

            def move(*arrays: Array) -> Array:
                flat = np.concatenate([array.reshape(array.shape[0], -1) for array in together(*arrays)], axis=1)
                if batch == 1:
                    return flat[:, taken[0]]
                flat = np.broadcast_to(flat, (batch, flat.shape[1]))
                return np.take_along_axis(flat, taken.reshape(batch, -1), 1).reshape(taken.shape)

            result = moved(move, *operands[:data])
            known = all_sure_rows(operands[data:])
            if not outside.any() and known.all():
                return result
            first, second = np.array(result[0]), np.array(result[1])
            first[np.broadcast_to(outside, first.shape)] = np.nan if fill is None and first.dtype.kind == "f" else fill or 0
            if isinstance(result, Bounded):
                second[np.broadcast_to(outside, second.shape)] = np.inf if fill is None else 0.0
                second = np.where(rows_of(known, second.ndim), second, np.inf)
                return Bounded(first, second)
            second[np.broadcast_to(outside, second.shape)] = True
            return Discrete(first, second & rows_of(known, second.ndim))

        return planned(INDEXED[name](equation), step)

    return rule


def rows_of(flags: Array, ndim: int) -> Array:
    """One flag an input, against arrays of so many axes."""
    return np.reshape(flags, (-1, *[1] * (ndim - 1)))


def all_sure_rows(operands: Iterable[Discrete]) -> Array:
    """Which inputs have all entries of all these discrete values sure."""
    return reduce(np.logical_and, map(_sure_rows, operands), np.ones(1, dtype=bool))


def _sure_rows(x: Discrete) -> Array:
    """Which inputs have all entries of a discrete value sure."""
    return np.all(np.reshape(x.sure, (x.sure.shape[0], -1)), axis=1)


def _multiplied(old: Bounded, new: Bounded) -> Bounded:
    return product(old, new, old.value.dtype)


def _scatter(combine: Callable[[Bounded, Bounded], Bounded] | None, *, negative: bool = False) -> Rule:
    """Scatter.

    One update after the other is combined with what stands there; without `combine` they are summed, in any order.
    """

    def rule(equation: Equation) -> Step:
        target, _, update = equation.operands
        dimensions, mode = equation.params["dimension_numbers"], equation.params["mode"]
        if equation.primitive.name == "scatter" and equation.params["update_jaxpr"] is not None:
            raise NotImplementedError("no rounding bounds for `x.at[i].apply(f)`: write x.at[i].set(f(x[i]))")
        format_of(target.dtype)

        def step(_: object, x: Bounded, indices: Discrete, updates: Bounded) -> Bounded:
            places = scattered(indices.value, target.shape, update.shape, dimensions, mode)
            places = places.reshape(places.shape[0], -1)
            batch = max(x.value.shape[0], indices.value.shape[0], updates.value.shape[0])
            if combine is None:
                old, new = (Bounded(*(np.reshape(a, (a.shape[0], -1)) for a in each)) for each in (x, updates))
                new = Bounded(-new.value, new.error) if negative else new
                value, error = scattered_sum(old, places, new, target.dtype)
                error = np.where(_sure_rows(indices)[:, None], error, np.inf)
                return Bounded(value.reshape(-1, *target.shape), error.reshape(-1, *target.shape))

            def flat(array: Array) -> Array:
                return np.array(np.broadcast_to(array, (batch, *array.shape[1:]))).reshape(batch, -1)

            (value, error), (new_value, new_error) = map(flat, x), map(flat, updates)
            places = np.broadcast_to(places, (batch, new_value.shape[1]))
            for k in range(places.shape[1]):
                rows = np.flatnonzero(places[:, k] >= 0)
                at = places[rows, k]
                old, new = Bounded(value[rows, at], error[rows, at]), Bounded(new_value[rows, k], new_error[rows, k])
                value[rows, at], error[rows, at] = combine(old, new)
            if combine is _multiplied:
                rows, k = np.nonzero(places >= 0)
                joined = [flat(start) for start in extremes(x)]
                for made, factors in zip(joined, extremes(updates), strict=True):
                    np.multiply.at(made, (rows, places[rows, k]), flat(factors)[rows, k])
                value, error = in_any_order(Bounded(value, error), joined[0], joined[1], places.shape[1] + 1)
            error[~np.broadcast_to(_sure_rows(indices), batch)] = np.inf
            return Bounded(value.reshape(batch, *target.shape), error.reshape(batch, *target.shape))

        return step

    return rule


BY_INDEX: dict[str, Rule] = {name: _by_index(name) for name in POINTED_AT}
"""rules for arrays of any kind by the names of primitives"""

SCATTER: dict[str, Rule] = {
    "scatter": _scatter(lambda _, new: new),
    "scatter-add": _scatter(None),
    "scatter-sub": _scatter(None, negative=True),
    "scatter-mul": _scatter(_multiplied),
    "scatter-max": _scatter(greatest),
    "scatter-min": _scatter(least),
}
"""rules for reals by the names of primitives"""
