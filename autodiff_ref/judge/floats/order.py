"""Rounding bounds of what depends on the order of many entries: the largest one, its place, sorting."""

from collections.abc import Callable

import numpy as np

from autodiff_ref.judge.floats.context import Context
from autodiff_ref.judge.floats.moves import together
from autodiff_ref.judge.floats.values import Bounded, Discrete, Held, at_the_end, is_exact, is_sure, surely, without_error
from autodiff_ref.judge.program.plans import Array, Equation, Rule, Step


def extreme_of(x: Bounded, axes: tuple[int, ...], better: Callable[..., Array]) -> Bounded:
    """The largest entry over axes, or the smallest: as far off as any entry that may be it."""
    value = x.value.max(axes) if better is np.greater else x.value.min(axes)
    if is_exact(x):
        return without_error(value)
    best = np.expand_dims(value, axes)
    own = np.where(x.value == best, x.error, 0).max(axes, keepdims=True)
    candidate = np.abs(x.value - best) <= 2 * (x.error + own)
    unknown = ~(x.error < np.inf)
    return Bounded(value, np.where(candidate | unknown, x.error, 0).max(axes))


def _extreme_of_rows(better: Callable[..., Array]) -> Rule:
    def rule(equation: Equation) -> Step:
        axes = tuple(int(axis) + 1 for axis in equation.params["axes"])
        exact = equation.label

        def step(context: Context, x: Bounded) -> Bounded:
            made = extreme_of(x, axes, better)
            if not exact:
                context.notes((x.value == np.expand_dims(made.value, axes)).sum(axes) > 1)
            context.extremes.append((made.value, x, lambda: _taken(x, made.value, axes)))
            return made

        return step

    return rule


def _taken(x: Bounded, extreme: Array, axes: tuple[int, ...]) -> Discrete:
    """Which entries are the largest over axes: sure where all others are surely smaller, and of these."""
    best, error = np.expand_dims(extreme, axes), np.asarray(x.error)
    own = np.where(x.value == best, error, 0).max(axes, keepdims=True)
    candidate = ~(np.abs(x.value - best) > 2 * (error + own))
    return Discrete(x.value == best, ~candidate | (candidate.sum(axes, keepdims=True) == 1))


def _position(better: Callable[..., Array]) -> Rule:
    """argmax and argmin: sure where no other entry can be as good."""

    def rule(equation: Equation) -> Step:
        axes = tuple(int(axis) + 1 for axis in equation.params["axes"])
        dtype, exact = equation.results[0].dtype, equation.label

        def step(context: Context, x: Bounded) -> Discrete:
            value, error = at_the_end(x.value, axes), at_the_end(np.asarray(x.error), axes)
            found = (np.argmax if better is np.greater else np.argmin)(value, axis=-1)
            if not exact:
                context.notes((value == np.take_along_axis(value, found[..., None], -1)).sum(-1) > 1)
            if is_exact(x):
                return surely(found.astype(dtype))
            at = found[..., None]
            best, own = np.take_along_axis(value, at, -1), np.take_along_axis(error, at, -1)
            apart = np.abs(value - best) > 2 * (error + own)
            np.put_along_axis(apart, at, True, -1)
            return Discrete(found.astype(dtype), np.all(apart, axis=-1))

        return step

    return rule


def _sort(equation: Equation) -> Step:
    """Sorts the rows of all operands by the first `num_keys`: surely, where neighbours can be told apart.

    A single operand sorted anyhow is as far off as its worst entry: sorting does not carry two rows further apart.
    """
    axis, n_keys = equation.params["dimension"] + 1, equation.params["num_keys"]
    exact = all(operand.label for operand in equation.operands[:n_keys])

    def step(context: Context, *operands: Held) -> list[Held]:
        values = [np.moveaxis(x, axis, -1) for x in together(*[operand.value for operand in operands])]
        doubts = [np.moveaxis(x, axis, -1) for x in together(*[operand[1] for operand in operands])]
        order = np.lexsort(values[n_keys - 1 :: -1], axis=-1)
        values = [np.take_along_axis(x, order, -1) for x in values]
        doubts = [np.take_along_axis(x, order, -1) for x in doubts]
        if not exact:
            context.notes(values[0][..., 1:] == values[0][..., :-1])
        sure = _in_sure_order(operands, values, doubts, n_keys)
        made: list[Held] = []
        for operand, value, doubt in zip(operands, values, doubts, strict=True):
            if isinstance(operand, Bounded):
                anyhow = doubt.max(axis=-1, keepdims=True) if len(operands) == 1 else np.inf
                made.append(Bounded(np.moveaxis(value, -1, axis), np.moveaxis(np.where(sure, doubt, anyhow), -1, axis)))
            else:
                made.append(Discrete(np.moveaxis(value, -1, axis), np.moveaxis(doubt & sure, -1, axis)))
        return made

    return step


def _in_sure_order(operands: tuple[Held, ...], values: list[Array], doubts: list[Array], n_keys: int) -> Array:
    """Which rows are ordered by the first key alone, each neighbour surely before the next, or by exact keys."""
    exact = all(is_exact(key) if isinstance(key, Bounded) else is_sure(key) for key in operands[:n_keys])
    if exact or not isinstance(operands[0], Bounded):
        return np.full((*values[0].shape[:-1], 1), exact)
    gaps, errors = np.diff(values[0], axis=-1), doubts[0]
    return np.all(gaps > 2 * (errors[..., 1:] + errors[..., :-1]), axis=-1, keepdims=True)


def _top_k(equation: Equation) -> Step:
    """The k largest of each row, the largest first, and where they stood; as surely as neighbours can be told apart."""
    k, axis, indices = equation.params["k"], equation.params.get("axis", -1), equation.results[1].dtype
    axis = axis + 1 if axis >= 0 else axis
    exact = equation.label

    def step(context: Context, x: Bounded) -> list[Held]:
        value, error = np.moveaxis(x.value, axis, -1), np.moveaxis(np.asarray(x.error), axis, -1)
        order = np.argsort(-value, axis=-1, kind="stable")
        value, error = np.take_along_axis(value, order, -1), np.take_along_axis(error, order, -1)
        gaps = value[..., :k] - np.concatenate([value[..., 1:], np.full((*value.shape[:-1], 1), -np.inf)], -1)[..., :k]
        errors = np.concatenate([error, np.zeros((*error.shape[:-1], 1))], -1)
        if not exact:
            context.notes(gaps == 0)
        sure = np.all(gaps > 2 * (errors[..., :k] + errors[..., 1 : k + 1]), axis=-1, keepdims=True) | is_exact(x)
        found = np.moveaxis(order[..., :k].astype(indices), -1, axis)
        if is_exact(x):
            return [without_error(np.moveaxis(value[..., :k], -1, axis)), surely(found)]
        anyhow = np.where(sure, error[..., :k], error.max(axis=-1, keepdims=True))
        return [
            Bounded(np.moveaxis(value[..., :k], -1, axis), np.moveaxis(anyhow, -1, axis)),
            Discrete(found, np.moveaxis(np.broadcast_to(sure, anyhow.shape), -1, axis)),
        ]

    return step


ORDER: dict[str, Rule] = {
    "reduce_max": _extreme_of_rows(np.greater),
    "reduce_min": _extreme_of_rows(np.less),
    "argmax": _position(np.greater),
    "argmin": _position(np.less),
    "sort": _sort,
    "top_k": _top_k,
}
"""rules by the names of primitives"""
