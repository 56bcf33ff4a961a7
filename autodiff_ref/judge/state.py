"""What a function keeps from call to call: put back after it was traced, and noticed where two calls differ for it."""

import functools
import types
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import TypeVar, cast

import jax
import numpy as np

from autodiff_ref.trees import Function, PyTree

K = TypeVar("K")

MOST_HELD = 500
"""objects that are looked at"""

MOST_COPIED = 1_000_000
"""entries of an array that are copied, in case it is written into"""


@contextmanager
def kept_as_it_was(f: Function) -> Generator[None]:
    """Puts back what calls of f change: attributes of objects, lists, dicts, sets, arrays, closures and globals it holds.

    While it is traced a function is handed tracers: one that keeps them, as a layer keeps its input, must not keep them
    after that.
    """
    back = [restore for held in _holders(f) for restore in _snapshots(held)]
    try:
        yield
    finally:
        for restore in reversed(back):
            restore()


def _holders(f: object) -> Iterator[object]:
    """What f holds and may change, and what that holds: breadth first, each once."""
    waiting, seen = list[object]([f]), set[int]()
    while waiting and len(seen) < MOST_HELD:
        held = waiting.pop(0)
        if id(held) in seen or not _may_hold(held):
            continue
        seen.add(id(held))
        yield held
        waiting += _within(held)


def _may_hold(value: object) -> bool:
    if isinstance(value, dict | list | set | np.ndarray | types.FunctionType | types.MethodType | types.CellType):
        return True
    if isinstance(value, type | types.ModuleType | types.BuiltinFunctionType):
        return False
    return hasattr(value, "__dict__") or isinstance(value, tuple)


def _stands_for_an_array(value: object) -> bool:
    """Whether it only says that it is an array, as what a function under ∇ holds of the line around it."""
    arrays = np.ndarray, np.generic
    return isinstance(value, arrays) and not issubclass(type(value), arrays)


def _within(held: object) -> list[object]:
    if _stands_for_an_array(held):
        return [part for part in vars(held).values() if isinstance(part, np.ndarray)]
    if isinstance(held, types.FunctionType):
        names = [name for name in names_in(held.__code__) if name in held.__globals__]
        return [*(held.__closure__ or ()), *(held.__defaults__ or ()), *(held.__globals__[name] for name in names)]
    if isinstance(held, types.MethodType):
        return [held.__self__, held.__func__]
    if isinstance(held, types.CellType):
        return [held.cell_contents] if is_filled(held) else []
    if isinstance(held, dict):
        return list(cast("dict[object, object]", held).values())
    if isinstance(held, list | set | tuple):
        return list(cast("list[object]", held))
    if isinstance(held, np.ndarray):
        return []
    if isinstance(held, functools.partial):
        partial = cast("functools.partial[object]", held)
        return [partial.func, *partial.args, *partial.keywords.values()]
    call = getattr(type(held), "__call__", None)  # noqa: B004 (a method, to be looked into)
    return [*vars(held).values(), *([call] if isinstance(call, types.FunctionType) else [])]


@functools.cache
def names_in(code: types.CodeType) -> tuple[str, ...]:
    """The names that a piece of code, or one within it, looks up."""
    within = [name for part in code.co_consts if isinstance(part, types.CodeType) for name in names_in(part)]
    return (*code.co_names, *within)


def is_filled(cell: types.CellType) -> bool:
    """Whether a variable of a closure has a value yet."""
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True


def _snapshots(held: object) -> list[Callable[[], None]]:
    """Functions that put one object back."""
    if isinstance(held, types.FunctionType):
        space, names = held.__globals__, names_in(held.__code__)
        return [_put_back(space, {name: space[name] for name in names if name in space}, set(names))]
    if isinstance(held, types.CellType):
        return [_refill(held)] if is_filled(held) else []
    if isinstance(held, dict):
        return [_put_back(held, dict(cast("dict[object, object]", held)), None)]
    if isinstance(held, list):
        items = list(cast("list[object]", held))
        return [lambda: _replace_items(held, items)]
    if isinstance(held, set):
        members = set(cast("set[object]", held))
        return [lambda: _replace_members(held, members)]
    if isinstance(held, np.ndarray) and not _stands_for_an_array(held):
        array = cast("np.ndarray", held)
        if array.size > MOST_COPIED or not array.flags.writeable:
            return []
        values = array.copy()
        return [lambda: array.__setitem__(..., values)]
    space = getattr(held, "__dict__", None)
    return [_put_back(space, dict(space), None)] if isinstance(space, dict) else []


def _put_back(space: dict[K, object], before: dict[K, object], names: set[str] | None) -> Callable[[], None]:
    """Restores the entries of a dict; with names, only those."""

    def restore() -> None:
        for key in [key for key in space if key not in before and (names is None or key in names)]:
            del space[key]
        for key, value in before.items():
            if key not in space or space[key] is not value:
                space[key] = value

    return restore


def _refill(cell: types.CellType) -> Callable[[], None]:
    before = cell.cell_contents

    def restore() -> None:
        if not is_filled(cell) or cell.cell_contents is not before:
            cell.cell_contents = before

    return restore


def _replace_items(held: list[object], items: list[object]) -> None:
    if len(held) != len(items) or any(a is not b for a, b in zip(held, items, strict=True)):
        held[:] = items


def _replace_members(held: set[object], members: set[object]) -> None:
    if held != members:
        held.clear()
        held.update(members)


def differ(first: PyTree, second: PyTree) -> bool:
    """Whether two calls at one input gave other values, by more than a sum taken in another order explains."""
    ours, theirs = jax.tree.leaves(first), jax.tree.leaves(second)
    if len(ours) != len(theirs):
        return True
    for a, b in zip(map(np.asarray, ours), map(np.asarray, theirs), strict=True):
        if a.shape != b.shape:
            return True
        if a.dtype.kind not in "fiub":
            continue
        slack = 1e-3 if a.dtype.itemsize <= 4 and a.dtype.kind == "f" else 1e-9
        with np.errstate(all="ignore"):
            scale = slack * np.max(np.abs(a[np.isfinite(a)]).astype(np.float64), initial=0.0)
            if not np.allclose(a.astype(np.float64), b.astype(np.float64), rtol=slack, atol=scale, equal_nan=True):
                return True
    return False
