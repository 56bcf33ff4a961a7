"""What a user's function reaches: the names that it finds functions by, and what else holds them.

A function of NumPy's may be held by a default argument, a closure, a dict, a `functools.partial` or an attribute. While a
trace runs, another one is put in its place there.
"""

import functools
import types
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import numpy as np

from autodiff_ref.judge.numpy_code.mapping import is_standing
from autodiff_ref.judge.numpy_code.run import LIBRARIES, NEVER_FOLLOWED
from autodiff_ref.judge.state import is_filled, names_in

MOST_VISITED = 300
"""functions, classes and what holds them, that are looked through"""

MOST_HELD = 50
"""values of one dict, list or object that are looked at"""

Exchange = dict[int, tuple[Any, Any]]
"""functions by their ids, and what stands for them"""

AROUND = (types.MethodType, staticmethod, functools.partial, tuple)
"""types of what holds a function that is handed on with it"""


def exchanged(value: Any, by_id: Exchange) -> Any:
    """What stands for a function, or for a method or a partial of one, or for a tuple with one; else the value itself."""
    found = by_id.get(id(value))
    if found is not None and found[0] is value:
        return found[1]
    if not isinstance(value, AROUND):
        return value
    if isinstance(value, types.MethodType):
        function = exchanged(value.__func__, by_id)
        return value if function is value.__func__ else types.MethodType(function, value.__self__)
    if isinstance(value, staticmethod):
        function = exchanged(cast("staticmethod[..., Any]", value).__func__, by_id)
        return value if function is cast("staticmethod[..., Any]", value).__func__ else staticmethod(function)
    if isinstance(value, functools.partial):
        partial = cast("functools.partial[Any]", value)
        function = exchanged(partial.func, by_id)
        return value if function is partial.func else functools.partial(function, *partial.args, **partial.keywords)
    if type(value) is tuple:
        parts = [exchanged(part, by_id) for part in cast("tuple[Any, ...]", value)]
        same = all(new is old for new, old in zip(parts, cast("tuple[Any, ...]", value), strict=True))
        return cast("Any", value) if same else tuple(parts)
    return value


@contextmanager
def held_exchanged(reached: list[Any], by_id: Exchange) -> Generator[None]:
    """Puts functions in the places of others wherever what was reached holds these; and back."""
    back: list[Callable[[], None]] = []
    try:
        for value in reached:
            _exchange_within(value, by_id, back)
        yield
    finally:
        for restore in reversed(back):
            restore()


def _exchange_within(value: Any, by_id: Exchange, back: list[Callable[[], None]]) -> None:
    if isinstance(value, types.FunctionType):
        for cell in value.__closure__ or ():
            if is_filled(cell):
                _set(lambda new, c=cell: setattr(c, "cell_contents", new), cell.cell_contents, by_id, back)
        _set(lambda new: setattr(value, "__defaults__", new), value.__defaults__, by_id, back)
        if value.__kwdefaults__:
            _exchange_items(value.__kwdefaults__, by_id, back)
    elif isinstance(value, dict):
        _exchange_items(cast("dict[Any, Any]", value), by_id, back)
    elif isinstance(value, list):
        items = cast("list[Any]", value)
        for k, item in enumerate(items[:MOST_HELD]):
            _set(functools.partial(items.__setitem__, k), item, by_id, back)
    elif isinstance(value, type):
        for name, part in list(vars(value).items()):
            _set(lambda new, n=name: setattr(value, n, new), part, by_id, back)
    elif not isinstance(value, types.ModuleType | functools.partial) and isinstance(getattr(value, "__dict__", None), dict):
        _exchange_items(vars(value), by_id, back)


def _exchange_items(
    held: dict[Any, Any], by_id: Exchange, back: list[Callable[[], None]], most: int | None = MOST_HELD
) -> None:
    for key, item in list(held.items())[:most]:
        _set(functools.partial(held.__setitem__, key), item, by_id, back)


def _set(put: Callable[[Any], None], old: Any, by_id: Exchange, back: list[Callable[[], None]]) -> None:
    new = exchanged(old, by_id)
    if new is not old:
        back.append(functools.partial(put, old))
        put(new)


def spaces_of(reached: list[Any]) -> list[dict[str, Any]]:
    """The modules' globals that the functions among what was reached find names in."""
    found = {id(value.__globals__): value.__globals__ for value in reached if isinstance(value, types.FunctionType)}
    return list(found.values())


def visited(f: Any, *, into_libraries: bool = False) -> list[Any]:
    """What a function reaches: functions, methods, classes, and what holds them; each once.

    Those of libraries, and what they reach, only where that is asked for. The function itself may be the judge's own,
    around a user's.
    """
    found: list[Any] = []
    waiting, seen = [f], set[int]()
    while waiting and len(seen) < MOST_VISITED:
        value = waiting.pop(0)
        if id(value) in seen:
            continue
        seen.add(id(value))
        passed_over = NEVER_FOLLOWED if into_libraries else LIBRARIES
        is_users = not (isinstance(value, types.FunctionType | type) and _is_of(value.__module__, passed_over))
        found += [value] * is_users
        if is_users or value is f:
            waiting += _reached(value, into_libraries)
    return found


def libraries_among(reached: list[Any]) -> frozenset[str]:
    """The packages of the libraries whose functions are among what was reached."""
    packages = {str(value.__module__).partition(".")[0] for value in reached if isinstance(value, types.FunctionType)}
    return frozenset(packages & LIBRARIES)


def arrays_among(reached: list[Any]) -> list[np.ndarray]:
    """The arrays that users' functions find in their modules, objects, dicts and lists."""
    spaces = [v.__globals__ for v in reached if isinstance(v, types.FunctionType) and _is_of(v.__module__, LIBRARIES)]
    of_libraries = {id(value) for space in spaces for value in space.values()}
    arrays = [value for value in reached if type(value) is np.ndarray and value.dtype.kind in "fciub"]
    return [array for array in arrays if id(array) not in of_libraries]


def data_of(f: Any, but: Iterable[Any]) -> list[np.ndarray]:
    """The arrays of floats that a function finds in its module and in objects, but for some."""
    known = {id(array) for array in but}
    return [array for array in arrays_among(visited(f)) if array.dtype.kind == "f" and array.ndim and id(array) not in known]


@contextmanager
def everywhere_exchanged(reached: list[Any], by_id: Exchange) -> Generator[None]:
    """The same in modules too."""
    back: list[Callable[[], None]] = []
    try:
        for space in spaces_of(reached):
            _exchange_items(space, by_id, back, most=None)
        with held_exchanged(reached, by_id):
            yield
    finally:
        for restore in reversed(back):
            restore()


def reaches_more(f: Any) -> bool:
    """Whether a function reaches what is followed only where a trace needs it: libraries' code, arrays it is not handed."""
    reached = visited(f, into_libraries=True)
    return bool(libraries_among(reached)) or bool(arrays_among(reached))


def _is_of(module: Any, packages: set[str]) -> bool:
    return str(module or "").split(".", 1)[0] in packages


def _named(f: types.FunctionType, into_libraries: bool) -> Iterator[Any]:
    """What a function's closure holds, and its names stand for; of a library's module, what is named with it."""
    names = names_in(f.__code__)
    held = [cell.cell_contents for cell in f.__closure__ or () if is_filled(cell)]
    held += [f.__globals__[name] for name in names if name in f.__globals__]
    found = {id(value): value for value in held}
    waiting = list(found.values()) if into_libraries else []
    for value in waiting:
        if isinstance(value, types.ModuleType) and _is_of(value.__name__, LIBRARIES - NEVER_FOLLOWED):
            parts = {id(part): part for name in names if (part := vars(value).get(name)) is not None}
            waiting += [part for key, part in parts.items() if key not in found]
            found.update(parts)
    yield from found.values()


def _reached(value: Any, into_libraries: bool) -> Iterator[Any]:
    if isinstance(value, types.FunctionType):
        yield from _named(value, into_libraries)
        yield from value.__defaults__ or ()
        yield from (value.__kwdefaults__ or {}).values()
    elif isinstance(value, types.MethodType):
        yield from (value.__self__, value.__func__)
    elif isinstance(value, functools.partial):
        partial = cast("functools.partial[Any]", value)
        yield from (partial.func, *partial.args, *partial.keywords.values())
    elif isinstance(value, type):
        if value.__module__ != "builtins":
            yield from (getattr(part, "__func__", getattr(part, "fget", part)) for part in vars(value).values())
            yield from value.__mro__[1:-1]
    elif isinstance(value, types.ModuleType):
        if not _is_of(value.__name__, LIBRARIES) and hasattr(value, "np"):
            yield from (part for part in vars(value).values() if isinstance(part, types.FunctionType))
    elif isinstance(value, tuple | list | dict):
        parts = cast("dict[Any, Any]", value).values() if isinstance(value, dict) else cast("list[Any]", value)
        yield from list(parts)[:MOST_HELD]
    elif isinstance(getattr(value, "__dict__", None), dict) and not is_standing(value):
        yield type(value)
        yield from list(vars(value).values())[:MOST_HELD]
