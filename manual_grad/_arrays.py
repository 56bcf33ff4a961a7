"""What the formulas need to know about arrays, whichever library they come from."""

import dataclasses
import sys
from collections.abc import Callable, Hashable, Iterator
from functools import cache
from types import ModuleType
from typing import Any, TypeAlias, cast

import numpy as np

Array: TypeAlias = Any
"""An array of any array-API library: NumPy's, JAX's, a tracer. Its shape stands in the annotation around it."""


PyTree: TypeAlias = Any
"""Nested tuples, lists, dicts and dataclasses of arrays, of any array-API library."""

Arguments: TypeAlias = tuple[PyTree, ...]
"""The arguments of one call, in order."""

Function: TypeAlias = Callable[..., PyTree]
"""A function of arrays, of any number of arguments."""


def namespace(*values: PyTree) -> ModuleType:
    """The array namespace of the first value that is not NumPy's; NumPy where there is none.

    So a NumPy table may be combined with traced weights: `jax.grad(log_likelihood)(w, numpy_x, numpy_y)`.
    """
    if all(type(value) is np.ndarray for value in values):  # most often, and in a third of the time
        return np
    for leaf in leaves(values):
        own = getattr(leaf, "__array_namespace__", None)
        if own is not None and not isinstance(leaf, np.ndarray | np.generic):
            return own()
    return np


def parts(value: PyTree) -> dict[Hashable, PyTree] | None:
    """The parts of a tuple, list or dict by index or key, in JAX's order (dict keys sorted); None for anything else."""
    if isinstance(value, dict):
        by_key = cast("dict[Any, PyTree]", value)
        return {key: by_key[key] for key in sorted(by_key)}
    if isinstance(value, tuple | list):
        return dict(enumerate(cast("list[PyTree]", value)))
    return None


def is_record(value: object) -> bool:
    """Whether it is an instance of a dataclass; a module of Equinox is one."""
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


def _of_records() -> ModuleType | None:
    """`jax.tree`, which knows what the dataclasses that are registered with it hold. Does not import JAX."""
    return getattr(sys.modules.get("jax"), "tree", None)


def leaves(value: PyTree) -> Iterator[Array]:
    """What stands inside nested tuples, lists, dicts and dataclasses that JAX knows, in JAX's order."""
    inside = parts(value)
    if inside is None and is_record(value) and (tree := _of_records()):
        yield from tree.leaves(value)
    elif inside is None:
        yield value
    else:
        for part in inside.values():
            yield from leaves(part)


def map_leaves(f: Callable[[Array], Array], value: PyTree) -> PyTree:
    """`value` with f applied to each of its leaves."""
    inside = parts(value)
    if is_record(value) and (tree := _of_records()):
        return tree.map(f, value)
    if inside is None:
        return f(value)
    return rebuilt(value, {key: map_leaves(f, part) for key, part in inside.items()})


def rebuilt(value: PyTree, inside: dict[Hashable, PyTree]) -> PyTree:
    """A tuple, NamedTuple, list or dict like `value`, with other parts."""
    if isinstance(value, dict):
        return inside
    return type(value)(*inside.values()) if hasattr(value, "_fields") else type(value)(inside.values())


def floats(*values: PyTree) -> tuple[Any, ...]:
    """(namespace, *values as floating arrays of that namespace).

    Integers and booleans take the floating dtype of the other values, or the namespace's default one where every
    value is an integer. Floating values keep their dtype.
    """
    xp = namespace(*values)
    arrays = [xp.asarray(value) for value in values]
    real = [array.dtype for array in arrays if _is_a(xp, array.dtype, "real floating")]
    if len(real) == len(arrays):
        return xp, *arrays
    default = xp.result_type(*real) if real else xp.asarray(0.0).dtype
    for array in arrays:
        if not _is_a(xp, array.dtype, ("bool", "integral", "real floating")):
            raise TypeError(f"expected real numbers, got an array of dtype {array.dtype} and shape {array.shape}")
    return xp, *(a if _is_a(xp, a.dtype, "real floating") else xp.astype(a, default) for a in arrays)


@cache
def _is_a(xp: ModuleType, dtype: Hashable, kind: str | tuple[str, ...]) -> bool:
    """`isdtype`, which takes NumPy as long as a sum of 10,000 numbers, once for each dtype."""
    return bool(xp.isdtype(dtype, kind))


def is_traced(array: object) -> bool:
    """Whether `array` is a JAX tracer, which has a shape and no values. Does not import JAX."""
    jax = sys.modules.get("jax")
    return jax is not None and isinstance(array, jax.core.Tracer)


def require_finite(**arrays: Array) -> None:
    """Raises ValueError at the first array with NaN or infinity in it, by name. Traced arrays pass."""
    for name, array in arrays.items():
        if is_traced(array):
            continue
        xp = namespace(array)
        finite = xp.isfinite(array)
        if not bool(xp.all(finite)):
            where = tuple(int(axis[0]) for axis in xp.nonzero(xp.atleast_1d(~finite)))
            value = float(xp.atleast_1d(array)[where])
            raise ValueError(f"{name} must be finite, got {value} at index {where}: drop or fill such entries first")
