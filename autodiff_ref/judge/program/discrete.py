"""Work on integers and booleans, and rules that only move data: exact, in NumPy where it does as JAX would, else in JAX."""

from collections.abc import Callable, Iterable

import jax
import numpy as np

from autodiff_ref.judge.program.movement import MOVEMENT, select
from autodiff_ref.judge.program.plans import Array, Equation, Rule, Step


def by_jax(equation: Equation) -> Step:
    """Discrete work of a kind that has no rule: JAX itself does it."""

    def step(_: object, *operands: Array) -> Array | list[Array]:
        with jax.enable_x64(True):
            arrays = [jax.numpy.asarray(x, dtype=o.dtype) for x, o in zip(operands, equation.operands, strict=True)]
            result = equation.primitive.bind(*arrays, **equation.params)
            return [np.asarray(part) for part in result] if equation.primitive.multiple_results else np.asarray(result)

    return step


# Discrete work that NumPy does as JAX would; everything else of this kind is left to JAX


def _numpy(f: Callable[..., Array]) -> Rule:
    """f on arrays; ufuncs let integers wrap around, as JAX does."""

    def rule(equation: Equation) -> Step:
        dtype = equation.results[0].dtype
        return lambda _, *operands: np.asarray(f(*operands)).astype(dtype, copy=False)

    return rule


def _iota(equation: Equation) -> Step:
    shape, axis = equation.params["shape"], equation.params["dimension"]
    values = np.broadcast_to(
        np.arange(shape[axis]).reshape([-1 if k == axis else 1 for k in range(len(shape))]), shape
    ).astype(equation.results[0].dtype)
    return lambda _: values


def _from_the_last(equation: Equation, axes: Iterable[int]) -> tuple[int, ...]:
    """Axes counted from the last, so that arrays may have others before their own, as those of a batch do."""
    return tuple(int(axis) - len(equation.operands[0].shape) for axis in axes)


def _first(argextreme: Callable[..., Array]) -> Rule:
    """The place of the first greatest or least entry."""

    def rule(equation: Equation) -> Step:
        (axis,), dtype = _from_the_last(equation, equation.params["axes"]), equation.results[0].dtype
        return lambda _, values: np.asarray(argextreme(values, axis=axis)).astype(dtype)

    return rule


def _cumsum(equation: Equation) -> Step:
    (axis,) = _from_the_last(equation, [equation.params["axis"]])
    backwards, dtype = equation.params["reverse"], equation.results[0].dtype

    def step(_: object, values: Array) -> Array:
        turned = np.flip(values, axis) if backwards else values
        summed = np.cumsum(turned, axis, dtype=dtype)
        return np.flip(summed, axis) if backwards else summed

    return step


def _reduced(f: np.ufunc) -> Rule:
    """All entries along some axes as one; as in `while jnp.any(…)`."""

    def rule(equation: Equation) -> Step:
        axes, dtype = _from_the_last(equation, equation.params["axes"]), equation.results[0].dtype
        return lambda _, values: np.asarray(f.reduce(np.asarray(values, dtype=dtype), axis=axes)).astype(dtype, copy=False)

    return rule


ALONG_AXES: dict[str, Rule] = {
    "argmax": _first(np.argmax),
    "argmin": _first(np.argmin),
    "cumsum": _cumsum,
    "reduce_or": _reduced(np.bitwise_or),
    "reduce_and": _reduced(np.bitwise_and),
    "reduce_sum": _reduced(np.add),
}
"""what makes one entry of several: for a batch of inputs as for one"""

DISCRETE: dict[str, Rule] = {
    **MOVEMENT,
    **ALONG_AXES,
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
    "clamp": _numpy(lambda low, x, high: np.minimum(np.maximum(x, low), high)),
    "convert_element_type": _numpy(lambda x: x),
    "select_n": _numpy(lambda which, *cases: select(which, *cases)),
}
"""what NumPy does: for a batch of inputs as for one"""
