"""From examples to the table that training runs on: labels to ±1, features standardised, one example a column."""

from collections.abc import Iterator, Sequence
from contextlib import suppress

import numpy as np
from jaxtyping import Float

from autodiff_ref.train import kernels
from autodiff_ref.train.capacity import capacity
from autodiff_ref.train.data import CHUNK
from autodiff_ref.train.encoding import ROWS, Rows, is_number, number_of
from autodiff_ref.train.moments import Moments, Scaling, wrong_in
from autodiff_ref.train.shuffle import aligned

MANY = 20
"""More different labels than this are refused where they are no whole numbers, and remarked on where they are."""


def as_matrix(x: object) -> np.ndarray:
    """x as a NumPy matrix of numbers, not copied where it is one already (memory-mapped ones stay so)."""
    array = x if isinstance(x, np.ndarray) else np.asarray(x)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"x must be a matrix of real numbers, got dtype {array.dtype}: encode or drop such columns")
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(f"x has shape {array.shape}: it must be (n, d), at least one example, one a row")
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
    require_finite_labels(array)
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


def targets_of(y: object, n: int, name: str = "y", rows: Rows = ROWS) -> Float[np.ndarray, " n"]:
    """Numbers to be predicted, in float64; `name` is what messages call them, and `rows` how they number them.

    Raises:
        TypeError: y is not made of numbers.
        ValueError: there are not n of them, or one is not finite.
    """
    array = np.asarray(y)
    if array.dtype.kind == "U":
        with suppress(ValueError):
            array = np.array([number_of(cell) for cell in array.flat]).reshape(array.shape)
    if array.dtype.kind not in "fiub":
        text = next((str(cell)[:40] for cell in array.flat if not is_number(str(cell))), "")
        got = f"text such as {text!r}" if array.dtype.kind == "U" else f"dtype {array.dtype}"
        raise TypeError(f"{name} must hold numbers where the output is identity, got {got}")
    if array.shape != (n,):
        raise ValueError(f"{name} has shape {array.shape}, it must be ({n},): one number for each row of x")
    require_finite_labels(array, name, rows)
    return array.astype(np.float64)


def require_finite_labels(y: np.ndarray, name: str = "labels", rows: Rows = ROWS) -> None:
    """Raises ValueError at the first number that is NaN or infinite."""
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        k = int(np.argmin(np.isfinite(y)))
        raise ValueError(f"{name} must be finite, {rows.place(k)} has {y[k]}; {rows}")


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
            found = f"is {x[first + k, column]}: drop or fill such entries first"
            raise wrong_in(column, columns, found, before + first + k)


def require_within(standardised: np.ndarray, columns: Sequence[str] | None, before: int) -> None:
    """Raises ValueError at the first number of new examples that is beyond its dtype once it is standardised."""
    bad = ~np.isfinite(standardised)
    if bad.any():
        k, column = (int(k) for k in np.argwhere(bad)[0])
        what = f"is so far from the numbers trained on that, standardised, it is beyond {standardised.dtype}"
        raise wrong_in(column, columns, f"{what}: correct or drop such entries first", before + k)


def require_fit(table: np.ndarray, names: Sequence[str] | None) -> None:
    """Raises ValueError at the first column of which a number is beyond the dtype of a table of features."""
    beyond = ~np.isfinite(table).all(axis=1)
    if beyond.any():
        what = f"does not fit into {table.dtype}: standardise, or use dtype float64"
        raise wrong_in(int(np.argmax(beyond)), names, what)


def moments_of(x: np.ndarray, rows: np.ndarray | None, c: np.ndarray | None = None) -> Moments:
    """Mean and deviation of every column over the given rows, each as often as its weight c (n,) says."""
    found = Moments.none_yet(x.shape[1])
    weights = None if c is None else _chunks(c[:, None], rows)
    for chunk in _chunks(x, rows):
        found.add(chunk, None if weights is None else next(weights)[:, 0])
    return found


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
    require_fit(table[:d, :n], names)
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
