"""What makes arrays while NumPy code is traced: `np.zeros`, `np.array` and others, `math`, `float`, parts of SciPy.

They are replaced where a user's code finds them: in NumPy itself, and in its own modules under whatever name. The
replacements do what the originals do except for the code of a user, in a thread that is tracing. They are put back in the
end, whatever happens.
"""

import builtins
import functools
import math
import sys
import threading
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import jax
import numpy as np

from autodiff_ref.judge.numpy_code import scipy_code
from autodiff_ref.judge.numpy_code.applying import applied, stand_ins_for, stand_ins_of, with_arrays
from autodiff_ref.judge.numpy_code.holding import (
    AROUND,
    Exchange,
    arrays_among,
    exchanged,
    held_exchanged,
    libraries_among,
    spaces_of,
    visited,
)
from autodiff_ref.judge.numpy_code.mapping import copied, fixed, level_of, real_of, stacked
from autodiff_ref.judge.numpy_code.numpy_functions import OF_MATH, OF_MATH_IN_JAX
from autodiff_ref.judge.numpy_code.run import CONSTANT, DATA, VARIES, NotFollowedError, Run, current, is_followed, running
from autodiff_ref.judge.numpy_code.standin import StandIn

MADE = (
    *("zeros", "ones", "empty", "full", "eye", "identity", "arange", "linspace", "zeros_like", "ones_like", "empty_like"),
    *("full_like",),
)
CONVERTED = ("array", "asarray", "asanyarray", "ascontiguousarray", "asfortranarray")
OF_PARTS = ("concatenate", "stack", "vstack", "hstack", "dstack", "column_stack")

DRAWN = ("rand", "randn", "random", "normal", "uniform", "randint", "choice", "permutation", "binomial", "standard_normal")
"""functions of `np.random`"""

_LOCK = threading.RLock()


def _is_tracing() -> bool:
    """Whether the code that calls a replacement is followed, in a thread that is tracing."""
    return is_followed(sys._getframe(2))  # pyright: ignore[reportPrivateUsage]


def _maker(real: Callable[..., Any], like: bool) -> Callable[..., Any]:
    @functools.wraps(real)
    def made(*args: Any, **keywords: Any) -> Any:
        if not _is_tracing():
            return real(*args, **keywords)
        filled = (args, keywords) if real.__name__ in ("full", "full_like") else ((), {})
        if level_of(filled) > CONSTANT:
            array = StandIn(np.array(real(*real_of(args), **real_of(keywords))), None, CONSTANT)
            array[...] = args[1] if len(args) > 1 else keywords["fill_value"]
            return array
        if real.__name__ in OF_ENDS and level_of((args, keywords)) > CONSTANT:
            return OF_ENDS[real.__name__](*args, **keywords)
        plain = [StandIn.__index__(arg) if _is_size(arg) else arg for arg in args] if not like else args
        return StandIn(np.array(real(*_sizes(plain), **_sizes(keywords))), None, CONSTANT)

    return made


def _linspace(
    start: Any, stop: Any, num: Any = 50, endpoint: bool = True, retstep: bool = False, dtype: Any = None, *, axis: int = 0
) -> Any:
    """`np.linspace`, between ends that were computed."""
    count = int(num)
    steps = count - 1 if endpoint else count
    step = (stop - start) / steps if steps else np.zeros_like(stop - start) * np.nan
    along = np.arange(count).reshape(-1, *(1,) * np.ndim(real_of(step)))
    made = np.moveaxis(start + along * (step if steps else 0), 0, axis)
    made = made if dtype is None else made.astype(dtype)
    return (made, step) if retstep else made


def _arange(*ends: Any, start: Any = 0, stop: Any = None, step: Any = 1, dtype: Any = None, **_: Any) -> Any:
    """`np.arange`, between ends that were computed: their distance, in steps, is taken for granted."""
    if ends:
        start, stop, step = (start, *ends, step) if len(ends) == 1 else (*ends, step)[:3]
    elif stop is None:
        start, stop = 0, start
    count = max(int(fixed(np.ceil((stop - start) / step))), 0)
    made = start + np.arange(count) * step
    return made if dtype is None else made.astype(dtype)


OF_ENDS: dict[str, Callable[..., Any]] = {"linspace": _linspace, "arange": _arange}
"""what makes arrays of numbers, and not of sizes alone"""


def _is_size(arg: Any) -> bool:
    return type(arg) is StandIn and np.ndim(real_of(arg)) == 0 and real_of(arg).dtype.kind in "iu"


def _sizes(value: Any) -> Any:
    """Sizes that were computed: taken for granted."""
    if isinstance(value, dict):
        return {key: _sizes(part) for key, part in cast("dict[Any, Any]", value).items()}
    if isinstance(value, tuple | list):
        return type(value)(_sizes(part) for part in cast("list[Any]", value))  # pyright: ignore[reportUnknownArgumentType]
    if _is_size(value):
        return int(value)
    return real_of(value)


def _converter(real: Callable[..., Any], copies: bool) -> Callable[..., Any]:
    @functools.wraps(real)
    def made(given: Any, *args: Any, **keywords: Any) -> Any:
        if not _is_tracing():
            return real(given, *args, **keywords)
        if sys._getframe(1).f_code.co_name == "__array__" and level_of(given) == CONSTANT:  # pyright: ignore[reportPrivateUsage]
            return real(real_of(given), *args, **keywords)  # compiled code may have asked for it
        dtype = args[0] if args else keywords.get("dtype")
        if not isinstance(given, np.ndarray | np.generic | jax.Array) and hasattr(type(given), "__array__"):
            given = given.__array__()  # a class of the user's, around an array
        if type(given) is StandIn:
            if isinstance(given, np.matrix) and real.__name__ != "asanyarray":
                given = given.view(np.ndarray)
            is_array = isinstance(real_of(given), np.ndarray)
            asked = keywords.get("copy", copies)  # True, False, or one of NumPy's own words
            is_copy = copies and (asked is True or getattr(asked, "name", "") == "ALWAYS")
            same = given if is_array and not is_copy else copied(given)
            ndmin = keywords.get("ndmin", 0)
            same = same.reshape((1,) * (ndmin - same.ndim) + same.shape) if same.ndim < ndmin else same
            return same if dtype is None or np.dtype(dtype) == same.dtype else same.astype(dtype)
        if level_of(given) > CONSTANT:
            array = stacked(given)
            return array if dtype is None else array.astype(dtype)
        return StandIn(np.array(real(real_of(given), *args, **keywords)), None, CONSTANT)

    return made


def _of_numbers(real: Callable[..., Any], name: str) -> Callable[..., Any]:
    """A function of `math`, which takes numbers alone."""
    ufunc = getattr(np, OF_MATH.get(name, ""), None)

    @functools.wraps(real)
    def of(*args: Any) -> Any:
        if not any(type(arg) is StandIn for arg in args) or current() is None:
            return real(*args)
        if name == "log" and len(args) == 2:
            return _as_number(np.log(args[0]) / np.log(args[1]))
        if ufunc is not None:
            return _as_number(ufunc(*args))
        return _as_number(applied(lambda *plain: np.float64(real(*plain)), OF_MATH_IN_JAX[name], args, {}, name))

    return of


def _as_number(value: Any) -> Any:
    return value.as_number() if type(value) is StandIn else value


def _any_held(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return any(_any_held(part) for part in cast("list[Any]", value))
    if isinstance(value, dict):
        return any(_any_held(part) for part in cast("dict[Any, Any]", value).values())
    return type(value) is StandIn


def _of_lists(real: Callable[..., Any]) -> Callable[..., Any]:
    """A function of NumPy's that may be handed a list of numbers, in which NumPy asks no number who computes."""

    @functools.wraps(real)
    def of(*args: Any, **keywords: Any) -> Any:
        if current() is None or not any(_is_of_numbers(arg) for arg in args):
            return real(*args, **keywords)
        return real(*[stacked(arg) if _is_of_numbers(arg) else arg for arg in args], **keywords)

    return of


def _is_of_numbers(arg: Any) -> bool:
    """Whether an argument is a list of numbers, or of lists of these, some of them stand-ins."""
    return isinstance(arg, list | tuple) and _any_held(arg) and all(np.ndim(real_of(part)) == 0 for part in _leaves(arg))


def _leaves(value: Any) -> Iterator[Any]:
    for part in cast("list[Any]", value):
        yield from _leaves(part) if isinstance(part, list | tuple) else (part,)


def _of_parts(real: Callable[..., Any]) -> Callable[..., Any]:
    """A function that is handed a list of arrays, and of lists of numbers, in which NumPy asks no number who computes."""

    @functools.wraps(real)
    def of(parts: Any, *args: Any, **keywords: Any) -> Any:
        if current() is None or not _any_held(parts):
            return real(parts, *args, **keywords)
        return real(with_arrays(parts), *args, **keywords)

    return of


def _of_views(real: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(real)
    def of(*args: Any, **keywords: Any) -> Any:
        if current() is None or not _any_held((args, keywords)):
            return real(*args, **keywords)
        return applied(real, None, args, keywords, real.__name__)

    return of


class _Joining:
    """`np.r_` and `np.c_`"""

    def __init__(self, real: Any) -> None:
        self.real = real

    def __getitem__(self, key: Any) -> Any:
        parts = key if isinstance(key, tuple) else (key,)  # pyright: ignore[reportUnknownVariableType]
        if current() is None or not _any_held(parts) or any(isinstance(part, str) for part in parts):  # pyright: ignore[reportUnknownVariableType]
            return self.real[key]
        whole = [self.real[part] if isinstance(part, slice) else part for part in parts]  # pyright: ignore[reportUnknownVariableType]
        if self.real is np.c_ or type(self.real).__name__ == "CClass":
            return np.concatenate([_column(part) for part in whole], axis=-1)
        return np.concatenate([np.atleast_1d(part) for part in whole])


def _column(part: Any) -> Any:
    part = np.atleast_1d(part)
    return part.reshape(-1, 1) if part.ndim == 1 else part


_ENUMERATE, _COLLECT, _SCALAR = np.ndenumerate, np.fromiter, np.isscalar


def _enumerated(array: Any) -> Any:
    """`np.ndenumerate`"""
    if type(array) is not StandIn:
        return _ENUMERATE(array)
    return ((index, array[index]) for index in np.ndindex(*np.shape(real_of(array))))


def _collected(values: Any, *args: Any, **keywords: Any) -> Any:
    """`np.fromiter`"""
    if current() is None:
        return _COLLECT(values, *args, **keywords)
    values = list(values)
    if not _any_held(values):
        return _COLLECT(iter(values), *args, **keywords)
    return stacked(values)


def _is_scalar(value: Any) -> bool:
    """`np.isscalar`"""
    return _SCALAR(real_of(value))


_VECTORIZED = np.vectorize.__call__


def _vectorized(self: Any, *args: Any, **keywords: Any) -> Any:
    """`np.vectorize` of stand-ins, one entry after the other."""
    if current() is None or not _any_held(args):
        return _VECTORIZED(self, *args, **keywords)
    spread = np.broadcast_arrays(*[arg if type(arg) is StandIn else np.asarray(arg) for arg in args])
    flat = [np.ravel(each) for each in spread]
    made = [self.pyfunc(*[each[k] for each in flat], **keywords) for k in range(np.size(real_of(spread[0])))]
    return stacked(made).reshape(np.shape(real_of(spread[0])))


def _drawn(real: Callable[..., Any]) -> Callable[..., Any]:
    """A function that draws numbers: compiled code, which must be handed arrays of NumPy's by what it calls."""

    @functools.wraps(real)
    def of(*args: Any, **keywords: Any) -> Any:
        if not _is_tracing():
            return real(*args, **keywords)
        if level_of((args, keywords)) == VARIES:
            raise NotFollowedError(
                f"`{real.__name__}` draws numbers by some that are differentiated by",
                "draw by fixed numbers, and compute with what was drawn: mu + sigma * np.random.standard_normal(n)",
            )
        plain, named = _sizes(fixed(args)), _sizes(fixed(keywords))
        with running(None):
            made = real(*plain, **named)
        return StandIn(made, None, CONSTANT) if isinstance(made, np.ndarray) else made

    return of


class _Drawing:
    """What draws random numbers, which are constants of a trace."""

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        return _drawn(found) if callable(found) and not name.startswith("_") else found


class _Generator(_Drawing, np.random.Generator):
    """What `np.random.default_rng` makes."""


_DEFAULT_RNG, _RANDOM_STATE = np.random.default_rng, np.random.RandomState


class _AnyRandomState(type):
    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, _RANDOM_STATE)

    def __call__(cls, *args: Any, **keywords: Any) -> Any:
        with running(None):
            return super().__call__(*args, **keywords)


class _RandomState(_Drawing, _RANDOM_STATE, metaclass=_AnyRandomState):
    """`np.random.RandomState`"""


def _default_rng(seed: Any = None) -> Any:
    """`np.random.default_rng`"""
    made = _DEFAULT_RNG(fixed(seed))
    return _Generator(made.bit_generator) if _is_tracing() else made


class _IsNumber(type):
    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, builtins.float)

    def __call__(cls, x: Any = 0.0) -> Any:
        if type(x) is StandIn and current() is not None:
            return _as_number(x.astype(np.float64).reshape(())[()])
        return builtins.float(x)


class Float(builtins.float, metaclass=_IsNumber):
    """`float`, of which a number that is traced stays one."""

    dtype = np.dtype(np.float64)


@functools.cache
def _replacements() -> dict[int, tuple[Any, Any]]:
    """The originals by their ids, and what stands for them."""
    pairs: list[tuple[Any, Any]] = []
    pairs += [(f, _of_lists(f)) for f in vars(np).values() if hasattr(f, "_implementation")]
    pairs += [(getattr(np, name), _maker(getattr(np, name), name.endswith("_like"))) for name in MADE]
    pairs += [(getattr(np, name), _converter(getattr(np, name), name == "array")) for name in CONVERTED]
    pairs += [(getattr(math, name), _of_numbers(getattr(math, name), name)) for name in (*OF_MATH, *OF_MATH_IN_JAX)]
    pairs += [(getattr(np, name), _of_parts(getattr(np, name))) for name in OF_PARTS]
    pairs += [(np.lib.stride_tricks.as_strided, _of_views(np.lib.stride_tricks.as_strided))]
    pairs += [(np.ndenumerate, _enumerated), (np.fromiter, _collected), (np.isscalar, _is_scalar)]
    pairs += [(np.c_, _Joining(np.c_)), (np.r_, _Joining(np.r_)), (np.random.default_rng, _default_rng)]
    pairs += [(np.random.RandomState, _RandomState)]
    pairs += [(getattr(np.random, name), _drawn(getattr(np.random, name))) for name in DRAWN]
    return {id(original): (original, replacement) for original, replacement in pairs}


@contextmanager
def following(
    f: Callable[..., Any],
    *,
    thoroughly: bool,
    for_all_inputs: bool = False,
    changed: Collection[int] = (),
    data: Sequence[tuple[Any, Any, np.dtype]] = (),
) -> Generator[tuple[Callable[..., Any], Run]]:
    """(f, or what stands for it, for stand-ins; its run); `thoroughly` and `for_all_inputs` as for `through_numpy`.

    Of the arrays that f reaches, those of the ids in `changed` hold other numbers, and those in `data` are inputs of the
    trace: each as (traced, real), and in which dtype the real values are to be.
    """
    reached = visited(f, into_libraries=thoroughly)
    run = Run(for_all_inputs, libraries_among(reached))
    arrays = arrays_among(reached) if thoroughly else ()
    inputs = zip(data, stand_ins_for(data, DATA), strict=True)
    by_id = {**stand_ins_of(arrays, changed), **{id(real): (real, made) for (_, real, _), made in inputs}}
    with _replaced(f, reached, by_id) as followed, running(run), np.errstate(all="ignore"):
        yield followed, run


@contextmanager
def _replaced(f: Callable[..., Any], reached: list[Any], outside: Exchange) -> Generator[Callable[..., Any]]:
    """Makes arrays stand-ins in the code that f reaches, in this thread; gives f, or what stands for it.

    Args:
        f: a function.
        reached: what it reaches.
        outside: arrays for which stand-ins are put in place too, wherever it is that they are held.
    """
    scipy_code.load(reached)
    with _LOCK:
        by_id = {**_replacements(), **scipy_code.functions(), **scipy_code.methods(), **outside}
        back: list[tuple[dict[str, Any], str, Any]] = []
        try:
            np.vectorize.__call__ = _vectorized
            homes = [
                np.__dict__,
                math.__dict__,
                np.lib.stride_tricks.__dict__,
                np.random.__dict__,
                *scipy_code.homes(),
            ]
            for space in [*homes, *spaces_of(reached)]:
                among = [(name, value) for name, value in space.items() if id(value) in by_id or isinstance(value, AROUND)]
                for name, value in among:
                    other = exchanged(value, by_id)
                    if other is not value:
                        back.append((space, name, value))
                        space[name] = other
            for space in spaces_of(reached):
                if "float" not in space:
                    back.append((space, "float", _ABSENT))
                    space["float"] = Float
            with held_exchanged(reached, by_id), scipy_code.methods_replaced():
                yield exchanged(f, by_id)
        finally:
            np.vectorize.__call__ = _VECTORIZED
            for space, name, value in reversed(back):
                if value is _ABSENT:
                    space.pop(name, None)
                else:
                    space[name] = value


_ABSENT = object()
