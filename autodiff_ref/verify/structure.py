"""Rules that hold in every arithmetic on arrays of objects: moving data, summing, contracting.

They use nothing of a value but `+` and `*`, so that balls and symbols share them. What only moves data serves discrete and
known values as well.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from autodiff_ref.verify.walk import Array, Equation, Rule, Step


def as_objects(value: Any) -> Array:
    """An array of objects, also where NumPy unwrapped a single one."""
    return value if isinstance(value, np.ndarray) else np.asarray(value, dtype=object)


# Moving data


def _mover(move: Callable[[Equation], Callable[..., Array]]) -> Rule:
    def rule(equation: Equation) -> Step:
        moved = move(equation)
        return lambda _, *operands: moved(*operands)

    return rule


def _broadcast(equation: Equation) -> Callable[..., Array]:
    shape, kept = equation.params["shape"], equation.params["broadcast_dimensions"]
    between = [1] * len(shape)
    for axis, size in zip(kept, equation.operands[0].shape, strict=True):
        between[int(axis)] = size
    return lambda x, *_: np.broadcast_to(np.reshape(x, between), shape)


def _reshape(equation: Equation) -> Callable[..., Array]:
    shape = equation.results[0].shape
    return lambda x, *_: np.reshape(x, shape)


def _slice(equation: Equation) -> Callable[..., Array]:
    starts, limits = equation.params["start_indices"], equation.params["limit_indices"]
    strides = equation.params["strides"] or [1] * len(starts)
    window = tuple(slice(int(a), int(b), int(s)) for a, b, s in zip(starts, limits, strides, strict=True))
    return lambda x: x[window] if window else x


def _split(equation: Equation) -> Callable[..., Any]:
    borders, axis = np.cumsum(equation.params["sizes"])[:-1], equation.params["axis"]
    return lambda x: list(np.split(x, borders, axis))


def _unstack(equation: Equation) -> Callable[..., Any]:
    axis = equation.params["axis"]
    return lambda x: [np.asarray(part) for part in np.moveaxis(x, axis, 0)]


def _pad(equation: Equation) -> Callable[..., Array]:
    shape, config = equation.results[0].shape, equation.params["padding_config"]
    sources = np.ix_(*[_kept(c, size)[0] for c, size in zip(config, equation.operands[0].shape, strict=True)])
    targets = np.ix_(*[_kept(c, size)[1] for c, size in zip(config, equation.operands[0].shape, strict=True)])

    def pad(x: Array, value: Array) -> Array:
        padded = np.empty(shape, dtype=x.dtype)
        padded[...] = value
        if x.ndim:
            padded[targets] = x[sources]
        return padded

    return pad


def _kept(config: tuple[int, int, int], size: int) -> tuple[Array, Array]:
    """Which entries along an axis survive padding (it may be negative), and where they go."""
    low, high, interior = config
    places = low + np.arange(size) * (interior + 1)
    length = low + high + size + max(0, size - 1) * interior
    stays = (places >= 0) & (places < length)
    return np.flatnonzero(stays), places[stays]


def _transpose(equation: Equation) -> Callable[..., Array]:
    order = [int(axis) for axis in equation.params["permutation"]]
    return lambda x: np.transpose(x, order)


def _by_index_map(data: int) -> Rule:
    """A primitive whose first `data` operands are data, and the others integers that say what goes where.

    JAX runs it once on the data's positions; the result says which entry each output entry is.
    """

    def rule(equation: Equation) -> Step:
        params = dict(equation.params)
        if "fill_value" in params:
            params["fill_value"] = -1
        sizes = [int(np.prod(operand.shape)) for operand in equation.operands[:data]]
        offsets = np.cumsum([0, *sizes])
        positions = [
            (offset + np.arange(size)).reshape(operand.shape)
            for offset, size, operand in zip(offsets, sizes, equation.operands[:data], strict=False)
        ]
        maps = _maps_of(equation)

        def step(context: Any, *operands: Array) -> Array:
            key = b"|".join(np.ascontiguousarray(index).tobytes() for index in operands[data:])
            if key not in maps:
                with jax.enable_x64(True):
                    arrays = [jnp.asarray(array) for array in (*positions, *operands[data:])]
                    maps[key] = np.asarray(equation.primitive.bind(*arrays, **params))
            flat = np.concatenate([np.ravel(operand) for operand in operands[:data]])
            picked = flat[maps[key]]
            if np.any(maps[key] < 0):
                picked[maps[key] < 0] = context.undefined
            return as_objects(picked)

        return step

    return rule


def _maps_of(equation: Equation) -> dict[bytes, Array]:
    """The index maps found so far for equations of this kind, by the bytes of their indices: lines share them."""
    shapes = tuple(operand.shape for operand in equation.operands)
    return _MAPS.setdefault((equation.primitive.name, shapes, repr(sorted(equation.params.items(), key=str))), {})


_MAPS: dict[Any, dict[bytes, Array]] = {}

MOVEMENT: dict[str, Rule] = {
    "broadcast_in_dim": _mover(_broadcast),
    "reshape": _mover(_reshape),
    "squeeze": _mover(_reshape),
    "expand_dims": _mover(_reshape),
    "transpose": _mover(_transpose),
    "slice": _mover(_slice),
    "split": _mover(_split),
    "unstack": _mover(_unstack),
    "stack": _mover(lambda eqn: lambda *parts: np.stack(parts, eqn.params["axis"])),
    "concatenate": _mover(lambda eqn: lambda *parts: np.concatenate(parts, eqn.params["dimension"])),
    "rev": _mover(lambda eqn: lambda x: np.flip(x, eqn.params["dimensions"])),
    "pad": _mover(_pad),
    "stop_gradient": _mover(lambda _: lambda x: x),
    "copy": _mover(lambda _: lambda x: x),
    "copy_p": _mover(lambda _: lambda x: x),
    "reduce_precision": _mover(lambda _: lambda x: x),
    "sharding_constraint": _mover(lambda _: lambda x: x),
    "optimization_barrier": _mover(lambda _: lambda *parts: list(parts)),
    "device_put": _mover(lambda _: lambda *parts: list(parts)),
}

INDEXED: dict[str, Rule] = {
    "gather": _by_index_map(1),
    "dynamic_slice": _by_index_map(1),
    "dynamic_update_slice": _by_index_map(2),
}


# Discrete work that NumPy does as JAX would; everything else of this kind is left to JAX


def _numpy(f: Callable[..., Array]) -> Rule:
    return lambda equation: lambda _, *operands: np.asarray(f(*operands), dtype=equation.results[0].dtype)


def _iota(equation: Equation) -> Step:
    shape, axis = equation.params["shape"], equation.params["dimension"]
    values = np.broadcast_to(
        np.arange(shape[axis]).reshape([-1 if k == axis else 1 for k in range(len(shape))]), shape
    ).astype(equation.results[0].dtype)
    return lambda _: values


DISCRETE: dict[str, Rule] = {
    **MOVEMENT,
    "iota": _iota,
    "add": _numpy(np.add),
    "sub": _numpy(np.subtract),
    "mul": _numpy(np.multiply),
    "neg": _numpy(np.negative),
    "max": _numpy(np.maximum),
    "min": _numpy(np.minimum),
    "eq": _numpy(np.equal),
    "ne": _numpy(np.not_equal),
    "lt": _numpy(np.less),
    "le": _numpy(np.less_equal),
    "gt": _numpy(np.greater),
    "ge": _numpy(np.greater_equal),
    "and": _numpy(np.bitwise_and),
    "or": _numpy(np.bitwise_or),
    "xor": _numpy(np.bitwise_xor),
    "not": _numpy(np.invert),
    "convert_element_type": _numpy(lambda x: x),
    "select_n": _numpy(lambda which, *cases: select(which, *cases)),
}


# Sums, products and contractions


def select(which: Array, *cases: Array) -> Array:
    """cases[which], entry by entry; `which` may be one for all."""
    if len(cases) == 2:
        return np.where(which, cases[1], cases[0])
    return np.choose(which, np.broadcast_arrays(*cases))


def axes_last(x: Array, axes: tuple[int, ...]) -> Array:
    """The axes to be reduced, as one at the end."""
    kept = [axis for axis in range(x.ndim) if axis not in axes]
    moved = np.transpose(x, [*kept, *axes])
    return moved.reshape([x.shape[axis] for axis in kept] + [int(np.prod([x.shape[axis] for axis in axes]))])


def reduction(f: Callable[[Array], Any]) -> Rule:
    """A primitive that reduces `axes` by f, which maps the entries to be reduced, the last axis, to one."""

    def rule(equation: Equation) -> Step:
        axes = tuple(int(axis) for axis in equation.params["axes"])
        return lambda _, x: as_objects(f(axes_last(x, axes)))

    return rule


def _dot_general(equation: Equation) -> Step:
    (left_sum, right_sum), (left_batch, right_batch) = equation.params["dimension_numbers"]
    left, right = equation.operands
    left_free = [k for k in range(len(left.shape)) if k not in (*left_sum, *left_batch)]
    right_free = [k for k in range(len(right.shape)) if k not in (*right_sum, *right_batch)]
    left_order, right_order = [*left_batch, *left_free, *left_sum], [*right_batch, *right_sum, *right_free]
    batch = [left.shape[k] for k in left_batch]
    summed = int(np.prod([left.shape[k] for k in left_sum]))
    left_shape = [*batch, int(np.prod([left.shape[k] for k in left_free])), summed]
    right_shape = [*batch, summed, int(np.prod([right.shape[k] for k in right_free]))]
    shape = equation.results[0].shape

    def step(_: Any, x: Array, y: Array) -> Array:
        a = np.transpose(x, left_order).reshape(left_shape)
        b = np.transpose(y, right_order).reshape(right_shape)
        return np.reshape(np.matmul(a, b), shape)

    return step


def _cumulative(ufunc: np.ufunc) -> Rule:
    def rule(equation: Equation) -> Step:
        axis, backwards = equation.params["axis"], equation.params["reverse"]

        def step(_: Any, x: Array) -> Array:
            flipped = np.flip(x, axis) if backwards else x
            summed = ufunc.accumulate(flipped, axis, dtype=object)
            return np.flip(summed, axis) if backwards else summed

        return step

    return rule


def scatter(combine: Callable[[Any, Any], Any]) -> Rule:
    """Scatter: each update goes where JAX's transpose of scatter-add, a gather, finds its place."""

    def rule(equation: Equation) -> Step:
        target, _, update = equation.operands
        dimensions, mode = equation.params["dimension_numbers"], equation.params["mode"]
        maps = _maps_of(equation)

        def places(indices: Array) -> Array:
            """For each update the position it goes to, −1 where it is dropped."""
            with jax.enable_x64(True):
                numbered = jnp.arange(1.0, 1.0 + np.prod(target.shape)).reshape(target.shape)

                def scatter_add(updates: Any) -> Any:
                    return lax.scatter_add(jnp.zeros(target.shape), jnp.asarray(indices), updates, dimensions, mode=mode)

                (found,) = jax.vjp(scatter_add, jnp.zeros(update.shape))[1](numbered)
            return np.asarray(found).astype(np.int64) - 1

        def step(_: Any, x: Array, indices: Array, updates: Array) -> Array:
            key = indices.tobytes()
            if key not in maps:
                maps[key] = places(indices)
            result = np.array(x).ravel()
            for position, value in zip(maps[key].ravel(), np.ravel(updates), strict=True):
                if position >= 0:
                    result[position] = combine(result[position], value)
            return result.reshape(x.shape)

        return step

    return rule


def _convolution(equation: Equation) -> Step:
    """A convolution is bilinear: JAX convolves the positions of the left operand with each entry of the right one."""
    left, right = equation.operands
    with jax.enable_x64(True):
        numbered = jnp.arange(1.0, 1.0 + np.prod(left.shape)).reshape(left.shape)
        units = jnp.eye(int(np.prod(right.shape))).reshape((-1, *right.shape))
        params = {**equation.params, "preferred_element_type": None}
        partners = np.asarray(jax.vmap(lambda unit: equation.primitive.bind(numbered, unit, **params))(units))
    pairs = partners.astype(np.int64).reshape(len(units), -1) - 1

    def step(context: Any, x: Array, y: Array) -> Array:
        flat_x, flat_y = np.ravel(x), np.ravel(y)
        result = np.full(pairs.shape[1], context.zero, dtype=object)
        for row, weight in zip(pairs, flat_y, strict=True):
            met = row >= 0
            result[met] = result[met] + flat_x[row[met]] * weight
        return result.reshape(equation.results[0].shape)

    return step


def elementwise(f: Callable[..., Any]) -> Rule:
    """A primitive that works entry by entry on operands of one shape; f is a NumPy function on arrays of objects."""
    return lambda _: lambda _, *operands: as_objects(f(*operands))


ALGEBRA: dict[str, Rule] = {
    **INDEXED,
    "add": elementwise(np.add),
    "add_any": elementwise(np.add),
    "sub": elementwise(np.subtract),
    "mul": elementwise(np.multiply),
    "neg": elementwise(np.negative),
    "square": elementwise(lambda x: x * x),
    "integer_pow": lambda eqn: lambda _, x: as_objects(x ** int(eqn.params["y"])),
    "select_n": lambda _: lambda _, which, *cases: as_objects(select(which, *cases)),
    "dot_general": _dot_general,
    "conv_general_dilated": _convolution,
    "cumsum": _cumulative(np.add),
    "cumprod": _cumulative(np.multiply),
    "scatter-add": scatter(lambda old, new: old + new),
    "scatter_add": scatter(lambda old, new: old + new),
    "scatter-mul": scatter(lambda old, new: old * new),
    "scatter": scatter(lambda _, new: new),
}
"""rules on reals that need only `+` and `*`"""
