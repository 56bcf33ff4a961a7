"""Rules that only move data, for values with their errors, a batch at once: where a value goes, its error goes too."""

import itertools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from autodiff_ref.judge.floats.context import Context
from autodiff_ref.judge.floats.values import (
    Bounded,
    Discrete,
    Held,
    format_of,
    is_exact,
    is_sure,
    is_zero,
    lifted,
    rounded,
    surely,
    without_error,
)
from autodiff_ref.judge.program.movement import MOVEMENT, broadcast_of, numbered, reshaped_from, slices_of
from autodiff_ref.judge.program.plans import Array, Equation, Rule, Step

Move = Callable[..., Array]


def planned(plain: Step, step: Step) -> Step:
    """A rule for values that works on known arrays too: these come while planning, without a batch and a context."""

    def either(context: Context | None, *operands: Held) -> Held:
        return plain(None, *operands) if context is None else step(context, *[lifted(x) for x in operands])

    return either


def moved(move: Move, *operands: Bounded | Discrete) -> Held:
    """Values and errors, or values and certainties, moved alike."""
    first, second = zip(*operands, strict=True)
    value = move(*first)
    if isinstance(operands[0], Bounded):
        return without_error(value) if all(map(is_exact, operands)) else Bounded(value, move(*second))  # pyright: ignore
    return surely(value) if all(map(is_sure, operands)) else Discrete(value, move(*second))  # pyright: ignore


def together(*arrays: Array) -> tuple[Array, ...]:
    """Arrays with the same batch: what is the same for all inputs is repeated."""
    batch = max(array.shape[0] for array in arrays)
    return tuple(x if x.shape[0] == batch else np.broadcast_to(x, (batch, *x.shape[1:])) for x in arrays)


# Moves of one array, or of several into one

SMALL = 10_000
"""numbers that are repeated sooner than a view is made of them"""


def _broadcast(equation: Equation) -> Move:
    shape, between = broadcast_of(equation)
    if between == shape:
        return lambda x: x.reshape(x.shape[0], *shape)
    size = int(np.prod(shape))

    def broadcast(x: Array) -> Array:
        spread = x.reshape(x.shape[0], *between)
        if size * len(x) > SMALL:
            return np.broadcast_to(spread, (len(x), *shape))
        made = np.empty((len(x), *shape), x.dtype)
        made[...] = spread
        return made

    return broadcast


def _reshape(equation: Equation) -> Move:
    shape, order = equation.results[0].shape, reshaped_from(equation.primitive.name, equation.params)
    if order is None:
        return lambda x: x.reshape(x.shape[0], *shape)
    return lambda x: x.transpose([0, *(axis + 1 for axis in order)]).reshape(x.shape[0], *shape)


def _transpose(equation: Equation) -> Move:
    order = [0, *(int(axis) + 1 for axis in equation.params["permutation"])]
    return lambda x: x.transpose(order)


def _slice(equation: Equation) -> Move:
    window = slices_of(equation)
    return lambda x: x[:, *window]


def _concatenate(equation: Equation) -> Move:
    axis = int(equation.params["dimension"]) + 1
    return lambda *parts: np.concatenate(together(*parts), axis)


def _stack(equation: Equation) -> Move:
    axis = int(equation.params["axis"]) + 1
    return lambda *parts: np.stack(together(*parts), axis)


_DIRECT: dict[str, Callable[[Equation], Move]] = {
    "broadcast_in_dim": _broadcast,
    "reshape": _reshape,
    "squeeze": _reshape,
    "expand_dims": _reshape,
    "transpose": _transpose,
    "slice": _slice,
    "rev": _slice,
    "concatenate": _concatenate,
    "stack": _stack,
    "stop_gradient": lambda _: lambda x: x,
    "copy": lambda _: lambda x: x,
    "copy_p": lambda _: lambda x: x,
    "sharding_constraint": lambda _: lambda x: x,
}


# Moves of one array into several


def _split(equation: Equation) -> list[Move]:
    borders = itertools.pairwise(itertools.accumulate(equation.params["sizes"], initial=0))
    before = (slice(None),) * (int(equation.params["axis"]) + 1)
    return [_window((*before, slice(start, stop))) for start, stop in borders]


def _unstack(equation: Equation) -> list[Move]:
    axis = int(equation.params["axis"])
    before = (slice(None),) * (axis + 1)
    return [_window((*before, k)) for k in range(equation.operands[0].shape[axis])]


def _window(window: tuple[slice | int, ...]) -> Move:
    return lambda x: x[window]


_INTO_SEVERAL: dict[str, Callable[[Equation], list[Move]]] = {"split": _split, "unstack": _unstack}


def _mover(name: str) -> Rule:
    """A primitive that only moves data; by default the rule for one input says, of its places' numbers, where each goes."""
    for_one = MOVEMENT[name]

    def rule(equation: Equation) -> Step:
        plain = for_one(equation)
        if name in _INTO_SEVERAL:
            moves = _INTO_SEVERAL[name](equation)
            return planned(plain, lambda _, x: [moved(move, x) for move in moves])
        move = _DIRECT[name](equation) if name in _DIRECT else _by_places(plain, equation)
        if name in ("concatenate", "stack", "pad"):
            return planned(plain, lambda _, *parts: moved(move, *parts))
        return planned(plain, lambda _, x, *rest: moved(move, x))

    return rule


def _by_places(plain: Step, equation: Equation) -> Move:
    taken = np.asarray(plain(None, *numbered(equation.operands)))

    def move(*arrays: Array) -> Array:
        flat = [array.reshape(array.shape[0], -1) for array in together(*arrays)]
        return (flat[0] if len(flat) == 1 else np.concatenate(flat, axis=1))[:, taken]

    return move


def _barrier(name: str) -> Rule:
    return lambda equation: planned(MOVEMENT[name](equation), lambda _, *parts: list(parts))


def _reduce_precision(equation: Equation) -> Step:
    """The ball table reads it as the identity on reals, so that what it cuts off is rounding."""
    bits, exponents = int(equation.params["mantissa_bits"]), 2.0 ** (int(equation.params["exponent_bits"]) - 1)
    smallest, largest = 2.0 ** (2 - exponents), 2.0 ** (exponents - 1) * (2 - 2.0**-bits)

    def step(_: object, x: Bounded) -> Bounded:
        units = max(1.0, 2.0 ** -(bits + 1) / format_of(x.value.dtype).u)
        with jax.enable_x64(True):
            value = np.asarray(equation.primitive.bind(jnp.asarray(x.value), **equation.params))
        if is_exact(x) and np.array_equal(value, x.value):
            return x
        size, moved = np.abs(x.value).astype(np.float64), 2 * x.error
        value, error = rounded(value, np.asarray(x.error), units, vanishes=lambda: is_zero(x))
        error = error + np.where((size - moved < smallest) & ~is_zero(x), smallest, 0.0)  # flushed to zero
        return Bounded(value, np.where(size + moved <= largest, error, np.inf))

    return planned(MOVEMENT["reduce_precision"](equation), step)


MOVES: dict[str, Rule] = {
    **{name: _mover(name) for name in MOVEMENT},
    "optimization_barrier": _barrier("optimization_barrier"),
    "device_put": _barrier("device_put"),
    "reduce_precision": _reduce_precision,
}
"""rules for arrays of any kind by the names of primitives"""
