"""Rules that only move data: they serve balls, symbols and numbers alike, and use nothing of a value."""

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np

from autodiff_ref.judge.program.places import POINTED_AT
from autodiff_ref.judge.program.plans import Array, Equation, Operand, Params, Rule, RunContext, Step


def select(which: Array, *cases: Array) -> Array:
    """cases[which], entry by entry; `which` may be one for all."""
    if len(cases) == 2:
        return np.where(which, cases[1], cases[0])
    picked = np.array(cases[0])
    for k, case in enumerate(cases):
        here = np.broadcast_to(which == k, picked.shape)
        picked[here] = case[here]
    return picked


# Moving data

LARGE = 100_000
"""entries from which a map of where each comes from would take too much room"""


def _mover(move: Callable[[Equation], Callable[..., Array | list[Array]]]) -> Rule:
    def rule(equation: Equation) -> Step:
        moved = move(equation)
        return lambda _, *operands: moved(*operands)

    return rule


def broadcast_of(equation: Equation) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The shape that `broadcast_in_dim` makes, and the operand's with axes of 1 where that has others."""
    shape, kept = equation.params["shape"], equation.params["broadcast_dimensions"]
    sizes = dict(zip(kept, equation.operands[0].shape, strict=True))
    return tuple(shape), tuple(sizes.get(axis, 1) for axis in range(len(shape)))


def _broadcast(equation: Equation) -> Callable[..., Array]:
    shape, between = broadcast_of(equation)
    if not shape or between == shape:
        return lambda x, *_: x.reshape(shape)
    if math.prod(shape) > LARGE:
        return lambda x, *_: np.broadcast_to(x.reshape(between), shape)
    source = np.array(np.broadcast_to(np.arange(math.prod(between)).reshape(between), shape))
    return lambda x, *_: x.take(source)  # a tenth of the time of np.broadcast_to


def _reshape(equation: Equation) -> Callable[..., Array]:
    """`lax.reshape` takes the axes in another order first where it is told of one, as the derivative of a product does."""
    shape, order = equation.results[0].shape, reshaped_from(equation.primitive.name, equation.params)
    return (lambda x, *_: x.reshape(shape)) if order is None else lambda x, *_: x.transpose(order).reshape(shape)


def reshaped_from(name: str, params: Params) -> list[int] | None:
    """The order in which a reshape takes the axes; None where it is theirs."""
    order = params.get("dimensions") if name == "reshape" else None
    return None if order is None else [int(axis) for axis in order]


def slices_of(equation: Equation) -> tuple[slice, ...]:
    """What `slice` or `rev` takes of each axis."""
    params = equation.params
    if equation.primitive.name == "rev":
        turned = params["dimensions"]
        return tuple(slice(None, None, -1 if axis in turned else 1) for axis in range(len(equation.operands[0].shape)))
    starts, limits = params["start_indices"], params["limit_indices"]
    strides = params["strides"] or [1] * len(starts)
    return tuple(slice(int(a), int(b), int(s)) for a, b, s in zip(starts, limits, strides, strict=True))


def _slice(equation: Equation) -> Callable[..., Array]:
    window = slices_of(equation)
    return lambda x: x[window] if window else x


def _split(equation: Equation) -> Callable[[Array], list[Array]]:
    borders, axis = np.cumsum(equation.params["sizes"])[:-1], equation.params["axis"]
    return lambda x: list(np.split(x, borders, axis))


def _unstack(equation: Equation) -> Callable[[Array], list[Array]]:
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
    return lambda x: x.transpose(order)


def numbered(operands: Sequence[Operand]) -> list[Array]:
    """The places of some operands, numbered through."""
    sizes = [math.prod(operand.shape) for operand in operands]
    starts = itertools.accumulate(sizes, initial=0)
    return [
        np.arange(start, start + size).reshape(operand.shape)
        for start, size, operand in zip(starts, sizes, operands, strict=False)
    ]


def maps_of(equation: Equation) -> dict[bytes, Array]:
    """The index maps found so far for equations of this kind, by the bytes of their indices: lines share them."""
    shapes = tuple(operand.shape for operand in equation.operands)
    return _MAPS.setdefault((equation.primitive.name, shapes, repr(sorted(equation.params.items(), key=str))), {})


_MAPS: dict[tuple[str, tuple[tuple[int, ...], ...], str], dict[bytes, Array]] = {}


def _by_index_map(name: str) -> Rule:
    """A primitive whose first operands are data, and the others integers that point at them."""
    data, places_of = POINTED_AT[name]

    def rule(equation: Equation) -> Step:
        fill = equation.params.get("fill_value")
        places, maps = places_of(equation), maps_of(equation)

        def step(context: RunContext, *operands: Array) -> Array:
            key = b"|".join(np.ascontiguousarray(index).tobytes() for index in operands[data:])
            if key not in maps:
                maps[key] = places(*operands[data:])
            flat = np.concatenate([np.ravel(operand) for operand in operands[:data]])
            picked = np.asarray(flat[maps[key]])
            if np.any(maps[key] < 0):
                picked = picked.copy()
                picked[maps[key] < 0] = context.undefined if fill is None else context.number(fill)
            return picked

        return step

    return rule


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
    "rev": _mover(_slice),
    "pad": _mover(_pad),
    "stop_gradient": _mover(lambda _: lambda x: x),
    "copy": _mover(lambda _: lambda x: x),
    "copy_p": _mover(lambda _: lambda x: x),
    "reduce_precision": _mover(lambda _: lambda x: x),
    "sharding_constraint": _mover(lambda _: lambda x: x),
    "optimization_barrier": _mover(lambda _: lambda *parts: list(parts)),
    "device_put": _mover(lambda _: lambda *parts: list(parts)),
}

INDEXED: dict[str, Rule] = {name: _by_index_map(name) for name in POINTED_AT}
