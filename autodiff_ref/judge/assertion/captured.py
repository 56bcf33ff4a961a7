"""What a function has captured: so that one made anew on each call is known again, with other data in its closure.

A test often writes `lambda w: gradient(w, x, y)`, a new function on each call, closed over new arrays. Its code, what else
it holds, and the shapes of these arrays make its key; the arrays themselves are inputs of its trace like any argument.
"""

import functools
import types
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar, cast

import jax
import numpy as np
from jax.core import Tracer

from autodiff_ref.judge.numpy_code.mapping import of_one_owner, offset_in
from autodiff_ref.judge.state import is_filled, names_in
from autodiff_ref.trees import Function

MOST_NESTED = 12
"""functions in closures of functions, so deep"""

MOST_NUMBERS = 50
"""values of a dict that are looked at"""

T = TypeVar("T")

Array = np.ndarray | np.generic | jax.Array

ARRAYS = (np.ndarray, np.generic, jax.Array)
BY_VALUE = (bool, int, float, str)


@dataclass(frozen=True, eq=False)
class _Same:
    """Equal to itself and to another that holds the very same object, which it keeps alive."""

    held: object

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.held is other.held

    def __hash__(self) -> int:
        return id(self.held)


def captured(f: Function) -> tuple[Hashable, list[Array]]:
    """A key for a function, and the arrays in its closures, its defaults and the arguments of its partials.

    Functions of equal keys compute the same from the same arguments and arrays. Numbers and texts they hold are part of the
    key by value, other objects by identity with the numbers among their attributes. So are the globals that they, and
    functions of the same module that they call, name. What lies deeper, and is changed later, looks the same.
    """
    visit = _Visit(None)
    visit.value(f, 0)
    return (*visit.key, *_layouts(visit.arrays)), visit.arrays


def _layouts(arrays: Sequence[Array]) -> Iterator[Hashable]:
    """How those lie that share memory: what is written into one is read in another."""
    for owner, among in of_one_owner(arrays):
        for k in among:
            view = cast("np.ndarray", arrays[k])
            yield k, among[0], offset_in(view, owner), view.strides


def with_arrays(f: Function, arrays: Sequence[object]) -> Function:
    """The same function with other arrays in the places of those that `captured` found, in their order."""
    return _Visit(list(arrays)).value(f, 0) if arrays else f


class _Visit:
    """Goes through all that a function holds, always in the same order; puts replacements in place where there are any."""

    def __init__(self, replacements: Sequence[object] | None) -> None:
        self.key: list[Hashable] = []
        self.arrays: list[Array] = []
        self.replacements = replacements
        self.open: dict[int, int] = {}
        """functions being visited, by id: one that holds itself ends there"""

    def value(self, value: Any, depth: int) -> Any:
        """The value, with replacements in it; notes its key and its arrays."""
        if value is None or isinstance(value, (*BY_VALUE, bytes)):
            self.key.append((type(value), repr(value)))
            return value
        if isinstance(value, Tracer):
            return self._by_identity(value)
        if isinstance(value, ARRAYS):
            return self._array(value)
        if depth >= MOST_NESTED or id(value) in self.open:
            self.key.append(("again", self.open.get(id(value), -1)))
            return value if depth < MOST_NESTED else self._by_identity(value)
        self.open[id(value)] = len(self.open)
        try:
            return self._holder(value, depth + 1)
        finally:
            del self.open[id(value)]

    def _array(self, array: Array) -> object:
        if not (jax.numpy.issubdtype(array.dtype, np.floating) and np.ndim(array)):
            # labels may choose shapes and branches, and numbers be meant as written
            values = np.asarray(array)
            small = values.size <= 10_000 and values.dtype != object
            self.key.append((type(array), values.dtype.str, values.shape, values.tobytes()) if small else _Same(array))
            return array
        self.key.append((type(array), array.dtype.name, array.shape))
        self.arrays.append(array)
        return array if self.replacements is None else self.replacements[len(self.arrays) - 1]

    def _by_identity(self, value: T) -> T:
        self.key += [_Same(value), *_attributes(value)]
        return value

    def _holder(self, value: Any, depth: int) -> Any:
        if isinstance(value, types.FunctionType):
            return self._function(value, depth)
        if isinstance(value, types.MethodType):
            self.key.append(types.MethodType)
            return types.MethodType(self.value(value.__func__, depth), self.value(value.__self__, depth))
        if isinstance(value, functools.partial):
            partial = cast("functools.partial[object]", value)
            self.key.append(functools.partial)
            held = self._several([partial.func, partial.args, partial.keywords], depth)
            return functools.partial(held[0], *held[1], **held[2])
        if isinstance(value, dict):
            by_key = cast("dict[object, object]", value)
            self.key.append((dict, *(repr(key) for key in by_key)))
            return dict(zip(by_key, self._several(list(by_key.values()), depth), strict=True))
        if isinstance(value, tuple | list):
            parts = cast("list[object]", list(value))  # pyright: ignore[reportUnknownArgumentType]
            self.key.append((type(value), len(parts)))
            made = self._several(parts, depth)
            return type(value)(*made) if hasattr(value, "_fields") else type(value)(made)
        wrapped = getattr(value, "__wrapped__", None)
        if type(value).__name__ == "PjitFunction" and isinstance(wrapped, types.FunctionType):
            return self._jitted(value, wrapped, depth)
        return self._by_identity(value)

    def _several(self, values: Sequence[object], depth: int) -> list[Any]:
        return [self.value(value, depth) for value in values]

    def _jitted(self, jitted: Function, wrapped: types.FunctionType, depth: int) -> Function:
        """A jitted function is known by what it jits; with data in its closure it is traced without the jit."""
        before = len(self.arrays)
        self.key.append("jit")
        inner = self.value(wrapped, depth)
        return jitted if len(self.arrays) == before else inner

    def _function(self, f: types.FunctionType, depth: int) -> Function:
        before = len(self.arrays)
        cells = f.__closure__ or ()
        filled = [cell.cell_contents for cell in cells if is_filled(cell)]
        self.key += [f.__code__, _Same(f.__globals__), len(filled), *_read(f)]
        held = iter(self._several(filled, depth))
        defaults = self.value(f.__defaults__, depth)
        keyword_defaults = self.value(f.__kwdefaults__, depth)
        if self.replacements is None or len(self.arrays) == before:
            return f
        closure = tuple(types.CellType(next(held)) if is_filled(cell) else cell for cell in cells)
        made = types.FunctionType(f.__code__, f.__globals__, f.__name__, defaults, closure)
        made.__kwdefaults__ = keyword_defaults
        made.__dict__.update(f.__dict__)
        return made


def _read(f: types.FunctionType) -> Iterator[Hashable]:
    """The numbers, and what holds them, among the globals that a function names, and those of its module that it calls."""
    space, names, seen = f.__globals__, list(names_in(f.__code__)), set[str]()
    for name in names:
        if name in seen or name not in space:
            continue
        seen.add(name)
        value = space[name]
        if isinstance(value, BY_VALUE):
            yield name, type(value), repr(value)
            continue
        yield name, _Same(value)
        if isinstance(value, types.FunctionType):
            names += names_in(value.__code__) if value.__globals__ is space else ()
        else:
            yield from _numbers_in(cast("dict[object, object]", value)) if isinstance(value, dict) else _attributes(value)


def _attributes(value: object) -> list[Hashable]:
    """The numbers among the attributes of an object or a class."""
    if isinstance(value, types.ModuleType | types.FunctionType):
        return []
    return _numbers_in(getattr(value, "__dict__", {}))


def _numbers_in(values: Mapping[object, object]) -> list[Hashable]:
    """The first numbers among the values of a dict."""
    first = islice(values.items(), MOST_NUMBERS)
    return [(repr(key), type(value), repr(value)) for key, value in first if isinstance(value, BY_VALUE)]
