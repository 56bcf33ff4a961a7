"""What stands for an array, without what it can do: and the arrays of JAX's and NumPy's in the places of such."""

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from autodiff_ref.judge.numpy_code.run import CONSTANT, NotFollowedError, Run, current
from autodiff_ref.nabla import with_fields
from manual_grad._arrays import is_record


class Standing:
    """A JAX array, with the values that NumPy has of it."""

    made: ClassVar[Any]
    """the class of those that can do what arrays can"""

    held: Any
    """NumPy's array, or number"""
    is_number: bool
    """whether it is a number of Python's: beside an array, NumPy takes it in the dtype of that (NEP 50)"""
    written: int
    """how often a root was written to"""

    def __init_subclass__(cls) -> None:
        Standing.made = cls

    @property
    def array(self) -> Any:
        """The JAX array, as it is now."""
        raise NotImplementedError

    @property
    def level(self) -> int:
        """What it depends on."""
        raise NotImplementedError


def is_standing(value: Any) -> bool:
    """Whether it stands for an array; `isinstance` would say so of an array."""
    return issubclass(type(value), Standing)


def running_now() -> Run:
    """The run under way.

    Raises:
        NotFollowedError: it is over: a stand-in has outlived it.
    """
    run = current()
    if run is None:
        raise NotFollowedError("a value of an earlier trace is used", "make it a function of its arguments, without state")
    return run


def copied(a: Standing) -> Any:
    """A copy, with memory of its own."""
    return Standing.made(np.array(a.held, subok=True), None if a.level == CONSTANT else a.array, a.level)


def bare(value: Any) -> Any:
    """JAX's arrays in the places of stand-ins."""
    return mapped(value, lambda s: s.array)


def real_of(value: Any) -> Any:
    """NumPy's arrays in the places of stand-ins."""
    return mapped(value, lambda s: s.held)


def as_handed(value: Any) -> Any:
    """What NumPy is handed in the places of stand-ins: arrays, and numbers of NumPy or of Python, whichever they are."""
    return mapped(value, lambda s: s.held.item() if s.is_number else s.held)


def bare_beside(value: Any, dtype: np.dtype) -> Any:
    """JAX's arrays in the places of stand-ins, where NumPy's result has this dtype: a number of Python's takes it on.

    Whole numbers that depend on nothing, as axes do not, are those of NumPy.
    """

    def array(s: Standing) -> Any:
        if s.level == CONSTANT and s.held.dtype.kind in "iu":
            return np.array(s.held)
        takes = s.is_number and dtype.kind in "fc" and s.held.dtype.kind in "iuf"
        return s.array.astype(canonical(dtype)) if takes else s.array

    return mapped(value, array)


def fixed(index: Any, *, is_computed_with: bool = False) -> Any:
    """An index as NumPy has it, taken for granted where it depends on what is handed in."""

    def known(s: Standing) -> Any:
        if s.level > CONSTANT:
            running_now().assume(s.array, s.held, s.level, is_computed_with=is_computed_with)
        return s.held

    return mapped(without_ranges(index), known)


def indices(index: Any) -> Any:
    """An index as JAX takes it: ranges as arrays, stand-ins as the arrays behind them."""
    return bare(without_ranges(index))


def without_ranges(index: Any) -> Any:
    """An index with arrays for its ranges."""
    if is_standing(index):
        return index
    if isinstance(index, tuple):
        return tuple(without_ranges(part) for part in index)  # pyright: ignore[reportUnknownVariableType]
    if isinstance(index, range):
        return np.arange(index.start, index.stop, index.step)
    if isinstance(index, list):
        if any(is_standing(part) for part in index):  # pyright: ignore[reportUnknownVariableType]
            return stacked(index)
        return np.asarray(index, dtype=None if index else np.intp)
    return index


def stacked(parts: Any) -> Any:
    """What `np.array` makes of a list with stand-ins in it."""
    value = np.array(real_of(parts))
    level = level_of(parts)
    return Standing.made(
        value, None if level == CONSTANT else jnp.asarray(bare(parts)).astype(canonical(value.dtype)), level
    )


def level_of(value: Any) -> int:
    """The most that any stand-in in a value depends on."""
    level = CONSTANT

    def seen(s: Standing) -> Any:
        nonlocal level
        level = max(level, s.level)
        return None

    mapped(value, seen)
    return level


def mapped(value: Any, f: Callable[[Standing], Any]) -> Any:
    """A structure with f of each stand-in within it."""
    if is_standing(value):
        return f(value)
    if isinstance(value, slice):
        return slice(mapped(value.start, f), mapped(value.stop, f), mapped(value.step, f))
    if isinstance(value, tuple | list):
        parts = [mapped(part, f) for part in value]  # pyright: ignore[reportUnknownVariableType]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(value, dict):
        return {key: mapped(part, f) for key, part in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if is_record(value):
        return with_fields(value, {each.name: mapped(getattr(value, each.name), f) for each in fields(value)})
    return value


def mask_of(index: Any, target: Standing) -> Any:
    """Of each entry of an array, or of each of its rows, whether an index means it, as JAX has it; None of other indices."""
    parts: list[Any] = list(index) if isinstance(index, tuple) else [index]  # pyright: ignore[reportUnknownArgumentType]
    first, *rest = parts or [None]
    if not is_standing(first) or any(not isinstance(part, slice) or part != slice(None) for part in rest):
        return None
    shape = np.shape(first.held)
    if first.held.dtype != bool or shape != np.shape(target.held)[: len(shape)]:
        return None
    return first.array.reshape(shape + (1,) * (np.ndim(target.held) - len(shape)))


def has_masks(index: Any) -> bool:
    """Whether an index, or a part of one, is made of Booleans."""
    parts = index if isinstance(index, tuple) else (index,)  # pyright: ignore[reportUnknownVariableType]
    return any(is_standing(part) and part.held.dtype == bool for part in parts)  # pyright: ignore[reportUnknownVariableType]


def fitting(array: Any, shape: tuple[int, ...]) -> Any:
    """An array in the shape that it is written to."""
    while array.ndim > len(shape) and array.shape[0] == 1:
        array = array[0]
    return jnp.broadcast_to(array, shape)


def shares(view: Any, whole: Any) -> bool:
    """Whether an array is a view of another's memory."""
    if not (isinstance(view, np.ndarray) and isinstance(whole, np.ndarray)):
        return False
    owner = owner_of(view)
    return owner is owner_of(whole) or (
        owner.base is not None and np.may_share_memory(view, whole)
    )  # as of strides set by hand


def owner_of(array: Any) -> Any:
    """The array whose memory it is."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def offset_in(view: np.ndarray, owner: np.ndarray) -> int:
    """How many bytes behind the start of an array its view begins."""
    return view.__array_interface__["data"][0] - owner.__array_interface__["data"][0]


def places_in(array: np.ndarray, owner: np.ndarray) -> np.ndarray | None:
    """Where the entries of a view lie in the array whose memory it is, counted through; None where it has other entries."""
    if array.dtype != owner.dtype or not owner.flags.c_contiguous:
        return None
    size = owner.itemsize
    at = np.full(array.shape, offset_in(array, owner) // size)
    for k, stride in zip(np.indices(array.shape), array.strides, strict=True):
        at += k * (stride // size)
    return at


def same_view(array: np.ndarray, owner: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The view of another array, of that shape and any dtype, that `array` is of its owner."""
    first = offset_in(array, owner) // owner.itemsize
    strides = [stride // owner.itemsize * other.itemsize for stride in array.strides]
    return np.lib.stride_tricks.as_strided(other.reshape(-1)[first:], array.shape, strides)


def sharing(arrays: Sequence[Any]) -> list[tuple[np.ndarray, list[int]]]:
    """Those among arrays that hold the same entries, by their places: (the array whose memory it is, which they are)."""
    groups: list[tuple[np.ndarray, list[int]]] = []
    for owner, among in of_one_owner(arrays):
        at = {k: at for k in among if (at := places_in(arrays[k], owner)) is not None}
        every = np.concatenate([np.ravel(each) for each in at.values()]) if at else np.empty(0)
        if len(np.unique(every)) < len(every):
            groups.append((owner, list(at)))
    return groups


def of_one_owner(arrays: Sequence[Any]) -> list[tuple[np.ndarray, list[int]]]:
    """The same of those that lie in one array's memory, whether they hold the same entries or not."""
    found: dict[int, tuple[np.ndarray, list[int]]] = {}
    for k, array in enumerate(arrays):
        if isinstance(array, np.ndarray):
            owner = owner_of(array)
            found.setdefault(id(owner), (owner, []))[1].append(k)
    return [each for each in found.values() if len(each[1]) > 1]


def recast(arrays: Sequence[Any], dtypes: Sequence[Any]) -> list[np.ndarray]:
    """Copies of arrays in other dtypes: those that share memory go on sharing it."""
    made = [np.array(array, dtype) for array, dtype in zip(arrays, dtypes, strict=True)]
    for owner, among in sharing(arrays):
        whole = np.array(owner, dtypes[among[0]])
        for k in among:
            made[k] = same_view(arrays[k], owner, whole)
    return made


def canonical(dtype: Any) -> Any:
    """The dtype that JAX computes in where this one is asked for."""
    return jax.dtypes.canonicalize_dtype(dtype)


def held_in(value: Any) -> list[Standing]:
    """The stand-ins within a structure."""
    found: list[Standing] = []
    mapped(value, found.append)
    return found
