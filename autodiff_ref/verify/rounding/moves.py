"""Rules that only move data, for values with their errors, a batch at once: where a value goes, its error goes too."""

from collections.abc import Callable, Iterable
from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from autodiff_ref.verify.rounding.values import (
    Bounded,
    Discrete,
    aligned,
    flushed,
    format_of,
    is_exact,
    is_sure,
    lifted,
    reach,
    rounded,
    surely,
    without_error,
)
from autodiff_ref.verify.walker.discrete import by_jax
from autodiff_ref.verify.walker.movement import INDEXED, MOVEMENT
from autodiff_ref.verify.walker.plans import Array, Equation, Rule, Step

Move = Callable[..., Array]


def planned(plain: Step, step: Step) -> Step:
    """A rule for values that works on known arrays too: these come while planning, without a batch and a context."""
    return lambda context, *operands: (
        plain(None, *operands) if context is None else step(context, *[lifted(x) for x in operands])
    )


def moved(move: Move, *operands: Bounded | Discrete) -> Any:
    """Values and errors, or values and certainties, moved alike."""
    first, second = zip(*operands, strict=True)
    value = move(*first)
    if isinstance(operands[0], Bounded):
        return without_error(value) if all(map(is_exact, operands)) else Bounded(value, move(*second))  # pyright: ignore
    return surely(value) if all(map(is_sure, operands)) else Discrete(value, move(*second))  # pyright: ignore


def together(*arrays: Array) -> list[Array]:
    """Arrays with the same batch: what is the same for all inputs is repeated."""
    batch = max(array.shape[0] for array in arrays)
    return [np.broadcast_to(array, (batch, *array.shape[1:])) for array in arrays]


def _broadcast(equation: Equation) -> Move:
    shape, kept = equation.params["shape"], equation.params["broadcast_dimensions"]
    between = [1] * len(shape)
    for axis, size in zip(kept, equation.operands[0].shape, strict=True):
        between[int(axis)] = size
    return lambda x: np.broadcast_to(np.reshape(x, (x.shape[0], *between)), (x.shape[0], *shape))


def _reshape(equation: Equation) -> Move:
    shape = equation.results[0].shape
    return lambda x: np.reshape(x, (x.shape[0], *shape))


def _transpose(equation: Equation) -> Move:
    order = [0, *(int(axis) + 1 for axis in equation.params["permutation"])]
    return lambda x: np.transpose(x, order)


_DIRECT: dict[str, Callable[[Equation], Move]] = {
    "broadcast_in_dim": _broadcast,
    "reshape": _reshape,
    "squeeze": _reshape,
    "expand_dims": _reshape,
    "transpose": _transpose,
    "stop_gradient": lambda _: lambda x: x,
    "copy": lambda _: lambda x: x,
    "copy_p": lambda _: lambda x: x,
    "sharding_constraint": lambda _: lambda x: x,
}


def _mover(name: str) -> Rule:
    """A primitive that only moves data: the rule for one input says, of the numbers of its places, where each goes."""
    for_one = MOVEMENT[name]

    def rule(equation: Equation) -> Step:
        plain = for_one(equation)
        if name in _DIRECT:
            move = _DIRECT[name](equation)
            return planned(plain, lambda _, x, *rest: moved(move, x))
        found = plain(None, *numbered(equation.operands))
        maps = [np.asarray(part) for part in found] if isinstance(found, list) else [np.asarray(found)]

        def pick(taken: Array) -> Move:
            def move(*arrays: Array) -> Array:
                flat = [array.reshape(array.shape[0], -1) for array in together(*arrays)]
                return (flat[0] if len(flat) == 1 else np.concatenate(flat, axis=1))[:, taken]

            return move

        moves = [pick(taken) for taken in maps]

        def step(_: Any, *operands: Any) -> Any:
            parts = [moved(move, *operands) for move in moves]
            return parts if isinstance(found, list) else parts[0]

        return planned(plain, step)

    return rule


def _barrier(name: str) -> Rule:
    return lambda equation: planned(MOVEMENT[name](equation), lambda _, *parts: list(parts))


def _reduce_precision(equation: Equation) -> Step:
    """The ball table reads it as the identity on reals, so that what it cuts off is rounding."""
    bits = int(equation.params["mantissa_bits"])

    def step(_: Any, x: Bounded) -> Bounded:
        units = max(1.0, 2.0 ** -(bits + 1) / format_of(x.value.dtype).u)
        with jax.enable_x64(True):
            value = np.asarray(equation.primitive.bind(jnp.asarray(x.value), **equation.params))
        return rounded(value, np.asarray(x.error), units)

    return planned(MOVEMENT["reduce_precision"](equation), step)


# Data moved by integers that are values themselves


def numbered(operands: tuple[Any, ...]) -> list[Array]:
    """The places of some operands, numbered through."""
    sizes = [int(np.prod(operand.shape)) for operand in operands]
    starts = np.cumsum([0, *sizes])
    return [
        np.arange(start, start + size).reshape(operand.shape)
        for start, size, operand in zip(starts, sizes, operands, strict=False)
    ]


def _by_index(name: str, data: int) -> Rule:
    """gather and the like: JAX runs them on the numbers of the places, once for each choice of integers."""

    def rule(equation: Equation) -> Step:
        params = dict(equation.params)
        fill = params.get("fill_value")
        if "fill_value" in params:
            params["fill_value"] = -1
        places = numbered(equation.operands[:data])

        @jax.jit
        def places_of(*indices: Any) -> Any:
            return jax.vmap(lambda *each: equation.primitive.bind(*map(jnp.asarray, places), *each, **params))(*indices)

        def step(_: Any, *operands: Any) -> Any:
            indices = together(*[index.value for index in operands[data:]])
            with jax.enable_x64(True):
                taken = np.asarray(places_of(*map(jnp.asarray, indices)))
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
                second = np.where(_rows(known, second.ndim), second, np.inf)
                return Bounded(first, second)
            second[np.broadcast_to(outside, second.shape)] = True
            return Discrete(first, second & _rows(known, second.ndim))

        return planned(INDEXED[name](equation), step)

    return rule


def _rows(flags: Array, ndim: int) -> Array:
    """One flag an input, against arrays of so many axes."""
    return np.reshape(flags, (-1, *[1] * (ndim - 1)))


def all_sure_rows(operands: Iterable[Discrete]) -> Array:
    """Which inputs have all entries of all these discrete values sure."""
    return reduce(np.logical_and, map(_sure_rows, operands), np.ones(1, dtype=bool))


def _sure_rows(x: Discrete) -> Array:
    """Which inputs have all entries of a discrete value sure."""
    return np.all(np.reshape(x.sure, (x.sure.shape[0], -1)), axis=1)


def scatter(combine: Callable[[Bounded, Bounded], Bounded]) -> Rule:
    """Scatter: one update after the other is put where JAX's transpose of scatter-add, a gather, finds its place."""

    def rule(equation: Equation) -> Step:
        target, _, update = equation.operands
        dimensions, mode = equation.params["dimension_numbers"], equation.params["mode"]
        if equation.primitive.name == "scatter" and equation.params["update_jaxpr"] is not None:
            raise NotImplementedError("no rounding bounds for `x.at[i].apply(f)`: write x.at[i].set(f(x[i]))")
        format_of(target.dtype)

        @jax.jit
        @jax.vmap
        def places_of(indices: Any) -> Any:
            def scatter_add(updates: Any) -> Any:
                return lax.scatter_add(jnp.zeros(target.shape), indices, updates, dimensions, mode=mode)

            numbers = jnp.arange(1.0, 1.0 + np.prod(target.shape)).reshape(target.shape)
            return jax.vjp(scatter_add, jnp.zeros(update.shape))[1](numbers)[0]

        def step(_: Any, x: Bounded, indices: Discrete, updates: Bounded) -> Bounded:
            with jax.enable_x64(True):
                places = np.asarray(places_of(jnp.asarray(indices.value))).astype(np.int64) - 1
            batch = max(x.value.shape[0], indices.value.shape[0], updates.value.shape[0])
            value, error = (np.array(np.broadcast_to(a, (batch, *a.shape[1:]))).reshape(batch, -1) for a in x)
            new_value, new_error = (np.broadcast_to(a, (batch, *a.shape[1:])).reshape(batch, -1) for a in updates)
            places = np.broadcast_to(places.reshape(places.shape[0], -1), (batch, new_value.shape[1]))
            for k in range(places.shape[1]):
                rows = np.flatnonzero(places[:, k] >= 0)
                at = places[rows, k]
                old, new = Bounded(value[rows, at], error[rows, at]), Bounded(new_value[rows, k], new_error[rows, k])
                value[rows, at], error[rows, at] = combine(old, new)
            error[~np.broadcast_to(_sure_rows(indices), batch)] = np.inf
            return Bounded(value.reshape(batch, *target.shape), error.reshape(batch, *target.shape))

        return step

    return rule


# Convolution and sorting


def convolution(equation: Equation) -> Step:
    """A convolution is bilinear: JAX convolves the numbers of the left operand's places with each entry of the right one."""
    left, right = equation.operands
    dtype = equation.results[0].dtype
    u, tiny, _ = format_of(dtype)
    with jax.enable_x64(True):
        numbers = jnp.arange(1.0, 1.0 + np.prod(left.shape)).reshape(left.shape)
        units = jnp.eye(int(np.prod(right.shape))).reshape((-1, *right.shape))
        params = {**equation.params, "preferred_element_type": None}
        partners = np.asarray(jax.vmap(lambda unit: equation.primitive.bind(numbers, unit, **params))(units))
    pairs = partners.astype(np.int64).reshape(len(units), -1) - 1
    gamma = len(units) * u / (1 - len(units) * u)

    def convolved(x: Array, y: Array) -> Array:
        flat_x, flat_y = x.reshape(x.shape[0], -1), y.reshape(y.shape[0], -1)
        padded = np.concatenate([flat_x, np.zeros((x.shape[0], 1), x.dtype)], axis=1)  # place −1 is no place
        made = sum(padded[:, row] * flat_y[:, [k]] for k, row in enumerate(pairs))
        return np.reshape(np.asarray(made), (-1, *equation.results[0].shape))

    def step(_: Any, x: Bounded, y: Bounded) -> Bounded:
        sizes = reach(x), reach(y)
        error = convolved(sizes[0], gamma * sizes[1] + y.error) + convolved(np.asarray(x.error), sizes[1])
        return Bounded(flushed(convolved(x.value, y.value)), error * (1 + 2.0**-40) + 2 * len(units) * tiny)

    return step


def sort(equation: Equation) -> Step:
    """Sorts the rows of all operands by the first `num_keys`: surely, where neighbours can be told apart.

    A single operand sorted anyhow is as far off as its worst entry: sorting does not carry two rows further apart.
    """
    axis, n_keys = equation.params["dimension"] + 1, equation.params["num_keys"]

    def step(_: Any, *operands: Any) -> list[Any]:
        values = [np.moveaxis(x, axis, -1) for x in together(*[operand.value for operand in operands])]
        doubts = [np.moveaxis(x, axis, -1) for x in together(*[operand[1] for operand in operands])]
        order = np.lexsort(values[n_keys - 1 :: -1], axis=-1)
        values = [np.take_along_axis(x, order, -1) for x in values]
        doubts = [np.take_along_axis(x, order, -1) for x in doubts]
        sure = _in_sure_order(operands, values, doubts, n_keys)
        made: list[Any] = []
        for operand, value, doubt in zip(operands, values, doubts, strict=True):
            if isinstance(operand, Bounded):
                anyhow = doubt.max(axis=-1, keepdims=True) if len(operands) == 1 else np.inf
                made.append(Bounded(np.moveaxis(value, -1, axis), np.moveaxis(np.where(sure, doubt, anyhow), -1, axis)))
            else:
                made.append(Discrete(np.moveaxis(value, -1, axis), np.moveaxis(doubt & sure, -1, axis)))
        return made

    return step


def _in_sure_order(operands: tuple[Any, ...], values: list[Array], doubts: list[Array], n_keys: int) -> Array:
    """Which rows are ordered by the first key alone, each neighbour surely before the next, or by exact keys."""
    exact = all(is_exact(key) if isinstance(key, Bounded) else is_sure(key) for key in operands[:n_keys])
    if exact or not isinstance(operands[0], Bounded):
        return np.full((*values[0].shape[:-1], 1), exact)
    gaps, errors = np.diff(values[0], axis=-1), doubts[0]
    return np.all(gaps > 2 * (errors[..., 1:] + errors[..., :-1]), axis=-1, keepdims=True)


# Discrete work


def fallback(equation: Equation) -> Step:
    """Discrete work without a rule: JAX does it for each input; it is sure where all that it is computed from is."""
    plain = by_jax(equation)

    @jax.jit
    def mapped(*arrays: Any) -> Any:
        return jax.vmap(lambda *each: equation.primitive.bind(*each, **equation.params))(*arrays)

    def step(_: Any, *operands: Discrete) -> Any:
        if not operands:
            made = plain(None)
            return [lifted(part) for part in made] if isinstance(made, list) else lifted(made)
        arrays = together(*[operand.value for operand in operands])
        with jax.enable_x64(True):
            made = mapped(*[jnp.asarray(x, dtype=o.dtype) for x, o in zip(arrays, equation.operands, strict=True)])
        sure = None if all(map(is_sure, operands)) else all_sure_rows(operands)
        results: list[Any] = []
        for part in made if isinstance(made, list | tuple) else [made]:
            value = np.asarray(part)
            certain = sure is None or np.broadcast_to(_rows(sure, value.ndim), value.shape)
            results.append(surely(value) if certain is True else Discrete(value, certain))
        return results if equation.primitive.multiple_results else results[0]

    return planned(plain, step)


def discrete(plain: Rule) -> Rule:
    """Discrete work entry by entry: sure where both operands are."""

    def rule(equation: Equation) -> Step:
        work = plain(equation)

        def step(_: Any, *operands: Discrete) -> Discrete:
            operands = tuple(aligned(*operands))
            value = work(None, *[operand.value for operand in operands])
            if all(map(is_sure, operands)):
                return surely(value)
            return Discrete(value, np.broadcast_to(reduce(np.logical_and, [o.sure for o in operands]), value.shape))

        return planned(work, step)

    return rule


def decided_by_one(plain: Rule, deciding: bool) -> Rule:
    """`and` and `or` of booleans: a sure False decides the one, a sure True the other, whatever the rest is."""

    def rule(equation: Equation) -> Step:
        work = plain(equation)

        def step(_: Any, x: Discrete, y: Discrete) -> Discrete:
            x, y = aligned(x, y)
            value = work(None, x.value, y.value)
            if is_sure(x) and is_sure(y):
                return surely(value)
            sure = x.sure & y.sure
            if equation.results[0].dtype == np.bool_:
                sure = sure | (x.sure & (x.value == deciding)) | (y.sure & (y.value == deciding))
            return Discrete(value, np.broadcast_to(sure, value.shape))

        return planned(work, step)

    return rule


MOVES: dict[str, Rule] = {
    **{name: _mover(name) for name in MOVEMENT},
    "optimization_barrier": _barrier("optimization_barrier"),
    "device_put": _barrier("device_put"),
    "reduce_precision": _reduce_precision,
}

BY_INDEX: dict[str, Rule] = {
    "gather": _by_index("gather", 1),
    "dynamic_slice": _by_index("dynamic_slice", 1),
    "dynamic_update_slice": _by_index("dynamic_update_slice", 2),
}
