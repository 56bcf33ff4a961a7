"""What writes into an array by a function or a method of NumPy's, and what real values alone say."""

from collections.abc import Callable
from typing import Any

import numpy as np

from autodiff_ref.judge.numpy_code.applying import applied, scatter
from autodiff_ref.judge.numpy_code.mapping import Standing, canonical, copied, fixed, real_of, stacked
from autodiff_ref.judge.numpy_code.run import CONSTANT


def _fill_diagonal(a: Any, value: Any, wrap: bool = False) -> None:
    n = min(np.shape(a.held))
    a[np.arange(n), np.arange(n)] = value


def _copyto(target: Any, source: Any, casting: Any = None, where: Any = True) -> None:
    target[...] = source if where is True else np.where(where, source, target)


def _put_along_axis(a: Any, indices: Any, values: Any, axis: int) -> None:
    shape = np.shape(real_of(indices))
    grid: list[Any] = list(np.indices(shape, sparse=True))
    grid[axis] = indices
    a[tuple(grid)] = values


def _putmask(a: Any, mask: Any, values: Any) -> None:
    a[...] = np.where(mask, values, a)


def _place(a: Any, mask: Any, values: Any) -> None:
    _write_in_turn(a, np.flatnonzero(mask), values)


def _put(a: Any, places: Any, values: Any, mode: str = "raise") -> None:
    size, where = np.size(a.held), fixed(np.ravel(places))
    _write_in_turn(a, where % size if mode != "clip" else np.clip(where, 0, size - 1), values)


def _write_in_turn(a: Any, where: Any, values: Any) -> None:
    """Writes values to places of the array laid flat; where there are too few values, from the first on again."""
    taken = np.ravel(values)[np.arange(len(where)) % np.size(real_of(values))]
    a[np.unravel_index(where, np.shape(a.held))] = taken


def along_axis(f: Any, axis: int, a: Any, *args: Any, **keywords: Any) -> Any:
    """`np.apply_along_axis`."""
    moved = np.moveaxis(a, axis, -1)
    before = np.shape(real_of(moved))[:-1]
    rows = [f(moved[index], *args, **keywords) for index in np.ndindex(*before)]
    made = stacked(rows).reshape(*before, *np.shape(real_of(rows[0])))
    return np.moveaxis(made, -1, axis) if np.ndim(real_of(rows[0])) == 1 else made


def _compress(condition: Any, a: Any, axis: int | None = None) -> Any:
    return np.take(a, np.flatnonzero(condition), axis=axis)


def of_any_sign(f: Any, x: Any, *more: Any) -> Any:
    """A function of `np.emath`: of complex numbers, where one of the real ones has no real value."""
    has_none = np.abs(x) > 1 if f.__name__ in ("arccos", "arcsin", "arctanh") else np.real(x) < 0
    is_wider = real_of(x).dtype.kind != "c" and bool(np.any(has_none))
    return getattr(np, f.__name__)(x.astype(complex) if is_wider else x, *more)


def _extract(condition: Any, a: Any) -> Any:
    return np.take(np.ravel(a), np.flatnonzero(condition))


def _choose(a: Any, choices: Any) -> Any:
    which = np.asarray(fixed(a))
    every = np.stack(np.broadcast_arrays(*choices, np.zeros(which.shape))[:-1])
    return every[(which, *np.indices(which.shape))]


def bincount(x: Any, weights: Any = None, minlength: int = 0) -> Any:
    """`np.bincount` of numbers that are known, with weights that need not be."""
    counted = fixed(x)
    size = max(int(np.max(counted, initial=-1)) + 1, int(minlength))
    made = Standing.made(np.zeros(size), None, CONSTANT)
    scatter(np.add, made, counted, weights)
    return made


def _fill(a: Any, value: Any) -> None:
    a[...] = value


def _sort(a: Any, axis: int = -1, **_: Any) -> None:
    a[...] = np.sort(a, axis=axis)


def _item(a: Any, *index: Any) -> Any:
    chosen = a.reshape(-1)[index[0]] if len(index) == 1 and not isinstance(index[0], tuple) else a[index] if index else a
    return chosen.reshape(())[()] if isinstance(chosen.held, np.ndarray) else chosen


def _tolist(a: Any) -> Any:
    a = a.view(np.ndarray) if isinstance(a, np.matrix) else a
    return [_tolist(part) for part in a] if np.ndim(a.held) else a[()] if isinstance(a.held, np.ndarray) else a


def _astype(a: Any, dtype: Any, **keywords: Any) -> Any:
    wanted = np.dtype(dtype)
    if keywords.get("copy") is False and a.held.dtype == wanted:
        return a
    return applied(
        lambda v: np.asarray(v).astype(wanted) if isinstance(v, np.ndarray) else wanted.type(v),
        lambda x: x.astype(canonical(wanted)),
        (a,),
        {},
        "astype",
    )


IN_PLACE: dict[str, Callable[..., None]] = {
    "fill_diagonal": _fill_diagonal,
    "copyto": _copyto,
    "put_along_axis": _put_along_axis,
    "putmask": _putmask,
    "place": _place,
    "put": _put,
}


def _array_equal(a: Any, b: Any, equal_nan: bool = False) -> Any:
    if np.shape(a) != np.shape(b):
        return False
    same: Any = np.equal(a, b)
    return bool(np.all(same | (np.isnan(a) & np.isnan(b)) if equal_nan else same))


def _array_equiv(a: Any, b: Any) -> Any:
    try:
        np.broadcast_shapes(np.shape(a), np.shape(b))
    except ValueError:
        return False
    return bool(np.all(np.equal(a, b)))


def _nan_to_num(x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    most = np.finfo(np.float64).max
    x = np.where(np.isnan(x), nan, x)
    x = np.where(np.isposinf(real_of(x)), most if posinf is None else posinf, x)
    return np.where(np.isneginf(real_of(x)), -most if neginf is None else neginf, x)


def _nanmean(a: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return np.nansum(a, axis=axis, keepdims=keepdims) / np.sum(~np.isnan(a), axis=axis, keepdims=keepdims)


def _nanvar(a: Any, axis: Any = None, ddof: int = 0, keepdims: bool = False) -> Any:
    counted = np.sum(~np.isnan(a), axis=axis, keepdims=keepdims)
    return np.nansum((a - _nanmean(a, axis, keepdims=True)) ** 2, axis=axis, keepdims=keepdims) / (counted - ddof)


REWRITTEN: dict[str, Callable[..., Any]] = {
    "compress": _compress,
    "choose": _choose,
    "extract": _extract,
    "apply_along_axis": along_axis,
    "array_equal": _array_equal,
    "array_equiv": _array_equiv,
    "nan_to_num": _nan_to_num,
    "nansum": lambda a, **keywords: np.sum(np.where(np.isnan(a), 0, a), **keywords),
    "nanprod": lambda a, **keywords: np.prod(np.where(np.isnan(a), 1, a), **keywords),
    "nanmax": lambda a, **keywords: np.max(np.where(np.isnan(a), -np.inf, a), **keywords),
    "nanmin": lambda a, **keywords: np.min(np.where(np.isnan(a), np.inf, a), **keywords),
    "nanmean": _nanmean,
    "nanvar": _nanvar,
    "nanstd": lambda a, *args, **keywords: np.sqrt(_nanvar(a, *args, **keywords)),
    "count_nonzero": lambda a, axis=None, keepdims=False: np.sum(np.not_equal(a, 0), axis=axis, keepdims=keepdims),
    "allclose": lambda *args, **keywords: bool(np.all(np.isclose(*args, **keywords))),
}
"""functions that are others of NumPy's"""

METHODS: dict[str, Callable[..., Any]] = {
    "fill": _fill,
    "sort": _sort,
    "put": _put,
    "item": _item,
    "tolist": _tolist,
    "astype": _astype,
    "copy": lambda a, *_, **__: copied(a),
    "setflags": lambda a, *args, **keywords: a.held.setflags(*args, **keywords),
    "flatten": lambda a, *_, **__: copied(a).reshape(-1),
}

ORDERED = {"reshape", "ravel", "flatten"}
"""functions that read the entries in an order of memory"""

OF_VALUES = {"nonzero", "flatnonzero", "argwhere", "unique", "histogram", "bincount", "digitize", "searchsorted", "tobytes"}
"""functions whose results real values say: what they depend on is taken for granted"""
