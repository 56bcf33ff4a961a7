"""From examples to the table that training runs on: labels to ±1, features standardised, one example a column."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from autodiff_ref.train import kernels
from autodiff_ref.train.capacity import capacity
from autodiff_ref.train.data import CHUNK
from autodiff_ref.train.encoding import ROWS
from autodiff_ref.train.shuffle import aligned

MANY = 20
"""More different labels than this are refused where they are no whole numbers, and remarked on where they are."""


class Scaling(NamedTuple):
    """(x − mean) / scale, column by column."""

    mean: Float[np.ndarray, " d"]
    scale: Float[np.ndarray, " d"]


def as_matrix(x: object, name: str = "x") -> np.ndarray:
    """x as a NumPy matrix of numbers, not copied where it is one already (memory-mapped ones stay so)."""
    array = x if isinstance(x, np.ndarray) else np.asarray(x)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} must be a matrix of real numbers, got dtype {array.dtype}: encode or drop such columns")
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(f"{name} has shape {array.shape}: it must be (n, d), at least one example, one a row")
    return array


def signs_of(labels: object, n: int) -> tuple[Float[np.ndarray, " n"], np.ndarray]:
    """(y, classes): labels as −1 and +1, and the two values that these stand for, in this order.

    Args and raises as `classes_of`, which see; and ValueError where there are more than two values.

    Example:
        >>> y, classes = signs_of(["malignant", "benign"], 2)
        >>> y.tolist(), classes.tolist()
        ([1.0, -1.0], ['benign', 'malignant'])
    """
    y, classes = classes_of(labels, n)
    if len(classes) != 2:
        raise ValueError(f"labels must have two different values, got {len(classes)} ({_named(classes)})")
    return y, classes


def classes_of(labels: object, n: int) -> tuple[Float[np.ndarray, " n"], np.ndarray]:
    """(y, classes): two different labels as −1 and +1, K > 2 of them as 0, …, K − 1, and the values that these stand for.

    Args:
        labels: (n,), at least two different values: numbers, booleans or text, in ascending order or that of the alphabet;
            text that reads as numbers is ordered as numbers.
        n: how many there must be.

    Raises:
        TypeError: labels are neither numbers nor text.
        ValueError: there are fewer than two values, a NaN, or not n labels.

    Example:
        >>> y, classes = classes_of(["b", "c", "a"], 3)
        >>> y.tolist(), classes.tolist()
        ([1.0, 2.0, 0.0], ['a', 'b', 'c'])
    """
    array = np.asarray(labels)
    if array.dtype == object and all(isinstance(label, str) for label in array.ravel()):
        array = array.astype(str)
    if array.dtype.kind not in "fiubU":
        raise TypeError(f"labels must be numbers or text, got dtype {array.dtype}")
    if array.shape != (n,):
        raise ValueError(f"y has shape {array.shape}, it must be ({n},): one label for each row of x")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"labels must be finite, {_first_infinite(array)}")
    classes, codes = np.unique(array, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"labels must have at least two different values, got {len(classes)} ({_named(classes)})")
    if array.dtype.kind == "f" and len(classes) > MANY and (classes != np.round(classes)).any():
        raise ValueError(
            f"labels have {len(classes)} different values that are no whole numbers ({_named(classes)}): "
            'they look like measurements; for a net that predicts numbers say output="identity"'
        )
    if classes.dtype.kind == "U":
        with suppress(ValueError):
            order = np.argsort(classes.astype(np.float64), kind="stable")
            classes, codes = classes[order], np.argsort(order)[codes]
    return codes_of(codes, len(classes)), classes


def targets_of(y: object, n: int, name: str = "y") -> Float[np.ndarray, " n"]:
    """Numbers to be predicted, in float64; `name` is what messages call them.

    Raises:
        TypeError: y is not made of numbers.
        ValueError: there are not n of them, or one is not finite.
    """
    array = np.asarray(y)
    if array.dtype.kind == "U":
        with suppress(ValueError):
            array = array.astype(np.float64)
    if array.dtype.kind not in "fiub":
        got = f"text such as {_first_text(array)!r}" if array.dtype.kind == "U" else f"dtype {array.dtype}"
        raise TypeError(f"{name} must hold numbers where the output is identity, got {got}")
    if array.shape != (n,):
        raise ValueError(f"{name} has shape {array.shape}, it must be ({n},): one number for each row of x")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, {_first_infinite(array)}")
    return array.astype(np.float64)


def _first_infinite(array: np.ndarray) -> str:
    """The first entry that is not finite, and where it stands."""
    k = int(np.argmin(np.isfinite(array)))
    return f"{ROWS.place(k)} has {array[k]}; {ROWS}"


def _first_text(array: np.ndarray) -> str:
    """The first entry that is no number."""
    for entry in array.flat:
        try:
            float(entry)
        except ValueError:
            return str(entry)[:40]
    return ""


def codes_of(codes: np.ndarray, k: int) -> Float[np.ndarray, " n"]:
    """Numbers of classes 0, …, k − 1 as training takes them: for two classes −1 and +1."""
    return 2.0 * codes - 1.0 if k == 2 else codes.astype(np.float64)


def many_numbers(labels: object) -> int:
    """How many classes there are, where they are so many numbers that these may be meant to be predicted; else 0

    Example:
        >>> many_numbers([str(k) for k in range(30)]), many_numbers([0.0, 1.0, 1.0])
        (30, 0)
    """
    try:
        count = len(np.unique(np.unique(np.asarray(labels)).astype(np.float64)))  # text is read once for each value
    except (TypeError, ValueError):
        return 0
    return count if count > MANY else 0


def _named(classes: np.ndarray) -> str:
    return ", ".join(str(c) for c in classes[:6]) + (", …" if len(classes) > 6 else "")


def require_finite_rows(x: np.ndarray, columns: tuple[str, ...] | None = None, before: int = 0) -> None:
    """Raises ValueError at the first NaN or infinity, by row and column; `before`: how many rows come before those of x."""
    for first in range(0, len(x), CHUNK):
        bad = ~np.isfinite(x[first : first + CHUNK])
        if bad.any():
            k, column = (int(k) for k in np.argwhere(bad)[0])
            row, found = before + first + k, x[first + k, column]
            place, more = (
                (f"x: {ROWS.place(row)}, {columns[column]!r}", f"; {ROWS}") if columns else (f"x[{row}, {column}]", "")
            )
            raise ValueError(f"{place} is {found}: drop or fill such entries first{more}")


UNDERFLOWN = 2.0**-800
"""Of a variance below this, squares may have been lost to underflow."""

LARGEST = 1022
"""Numbers below 2^1022 have differences below 2^1023, which are finite."""


def require_within(standardised: np.ndarray, columns: Sequence[str] | None, before: int) -> None:
    """Raises ValueError at the first number of new examples that is beyond its dtype once it is standardised."""
    bad = ~np.isfinite(standardised)
    if bad.any():
        k, column = (int(k) for k in np.argwhere(bad)[0])
        name = f"column {column}" if columns is None else repr(columns[column])
        raise ValueError(
            f"x: {ROWS.place(before + k)}, {name}: so far from the numbers trained on that, standardised, it is beyond "
            f"{standardised.dtype}: correct or drop such entries first; {ROWS}"
        )


def scaling_of(
    x: np.ndarray,
    rows: np.ndarray | None,
    standardise: bool,
    c: np.ndarray | None = None,
    names: Sequence[str] | None = None,
) -> Scaling:
    """Mean and standard deviation of every column over the given rows; a constant column is centred and not scaled.

    With weights c (n,) each row counts as often as its weight says, as it does in the log-likelihood. `names`: what messages
    call the columns.
    """
    d = x.shape[1]
    if not standardise:
        return Scaling(np.zeros(d), np.ones(d))
    counts = np.ones(len(x)) if c is None else c
    total = (counts if rows is None else counts[rows]).sum()

    def moments(exponents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of each column in units 2^e of it"""

        def average(f: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
            found = np.zeros(d)
            for chunk, often in zip(_chunks(x, rows), _chunks(counts[:, None], rows), strict=True):
                found = found + (np.where(often > 0, f(in_units(chunk, exponents)), 0) * often).sum(axis=0) / total
            return found

        with np.errstate(over="ignore", invalid="ignore"):
            mean = average(lambda chunk: chunk)
            return mean, average(lambda chunk: (chunk - mean) ** 2)

    exponents = np.zeros(d, int)
    mean, variance = moments(exponents)
    # beside a larger mean there is no deviation that squares could have lost
    underflown = (variance < UNDERFLOWN) & (np.abs(mean) < UNDERFLOWN ** (3 / 8))
    if (underflown | ~np.isfinite(variance)).any():
        exponents = exponents_of(_largest(x, rows, counts))
        mean, variance = moments(exponents)
    return scaled_by(mean, np.sqrt(variance), exponents, names)


def exponents_of(largest: Float[np.ndarray, " d"]) -> Int[np.ndarray, " d"]:
    """The e of units 2^e in which squares of such numbers neither overflow nor vanish; 0 where they do not as they are

    Example:
        >>> exponents_of(np.array([0.0, 3.0, 2.0**999, 2.0**-1000])).tolist()
        [0, 0, 1000, -999]
    """
    exponents = np.frexp(largest)[1]
    return np.where(np.abs(exponents) > 400, exponents, 0)


def in_units(x: np.ndarray, exponents: np.ndarray) -> np.ndarray:
    """x / 2^e, column by column, which rounds nothing."""
    return np.ldexp(x, -exponents) if exponents.any() else x


def scaled_by(mean: np.ndarray, deviation: np.ndarray, exponents: np.ndarray, names: Sequence[str] | None) -> Scaling:
    """The scaling by a mean and a deviation in units 2^e; ValueError where numbers less their mean are beyond float64."""
    if (exponents > LARGEST).any():
        column = int(np.argmax(exponents > LARGEST))
        raise ValueError(f"{_column(column, names)} is too large to standardise in float64: divide it by 1e10, say, first")
    # a standard deviation that rounding alone would give is none
    constant = deviation <= 8 * np.finfo(np.float64).eps * np.abs(mean)
    scale = np.ldexp(deviation, exponents)
    return Scaling(np.ldexp(mean, exponents), np.where(constant | (scale < np.finfo(np.float64).tiny), 1.0, scale))


def _column(k: int, names: Sequence[str] | None) -> str:
    return f"x: column {k}" if names is None else repr(names[k])


def _largest(x: np.ndarray, rows: np.ndarray | None, counts: np.ndarray) -> Float[np.ndarray, " d"]:
    """max |x| of every column, over rows of some weight."""
    found = np.zeros(x.shape[1])
    for chunk, often in zip(_chunks(x, rows), _chunks(counts[:, None], rows), strict=True):
        found = np.maximum(found, np.where(often > 0, np.abs(chunk), 0).max(axis=0))
    return found


def constant_columns(x: np.ndarray, rows: np.ndarray | None, c: np.ndarray | None = None) -> list[int]:
    """The columns that have one value in all of the given rows whose weight is not 0."""
    if c is not None:
        rows = np.flatnonzero(c) if rows is None else rows[c[rows] > 0]
    first = x[0 if rows is None else rows[0]]
    varies = np.zeros(x.shape[1], bool)
    for chunk in _chunks(x, rows):
        varies |= (chunk != first).any(axis=0)
    return [int(k) for k in np.flatnonzero(~varies)]


def table_of(
    x: np.ndarray,
    y: np.ndarray,
    c: np.ndarray | None,
    rows: np.ndarray | None,
    scaling: Scaling,
    dtype: np.dtype,
    names: Sequence[str] | None = None,
) -> Float[np.ndarray, "rows n"]:
    """(d + 1, room) or (d + 2, room): standardised features, label, weight relative to the mean weight

    One example a column, in the first n columns; `autodiff_ref.train.capacity` says how much room there is. Nothing reads
    the columns beyond.
    """
    n, d = len(x) if rows is None else len(rows), x.shape[1]
    room = capacity(n, dtype.itemsize, paged=not kernels.accelerated())
    table = aligned(d + 1 + (c is not None), room, dtype)
    first = 0
    with np.errstate(over="ignore"):
        for chunk in _chunks(x, rows):
            table[:d, first : first + len(chunk)] = ((chunk - scaling.mean) / scaling.scale).T
            first += len(chunk)
    bad = [k for k, row in enumerate(table[:d]) if not np.isfinite(row[:n]).all()]
    if bad:
        column = bad[0]
        raise ValueError(f"{_column(column, names)} does not fit into {dtype}: standardise, or use dtype float64")
    table[d, :n] = y if rows is None else y[rows]
    if c is not None:
        own = c if rows is None else c[rows]
        table[d + 1, :n] = own / own.mean()
    return table


def _chunks(x: np.ndarray, rows: np.ndarray | None) -> Iterator[np.ndarray]:
    n = len(x) if rows is None else len(rows)
    for first in range(0, n, CHUNK):
        part = x[first : first + CHUNK] if rows is None else x[rows[first : first + CHUNK]]
        yield np.asarray(part, dtype=np.float64)
