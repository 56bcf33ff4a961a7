"""Examples from files and arrays: .csv, .tsv, .npy, .npz. Nothing is unpickled, nothing is executed.

Files are checked before any work is done: what is wrong is said with its row, which is its line of the file, and its column.
"""

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from jaxtyping import Float

from autodiff_ref.train import arrow
from autodiff_ref.train.members import Archive, Damaged, mapped

CHUNK = 8_192
"""Rows read or converted at a time."""


@dataclass(frozen=True)
class Dataset:
    """Examples as they stand in a file."""

    x: Float[np.ndarray, "n d"]
    """One example a row; memory-mapped where it comes from a .npy file."""
    labels: np.ndarray | None
    """(n,), as in the file: text from CSV, numbers or text from arrays; None where no label was asked for."""
    columns: tuple[str, ...]
    """The names of x's columns."""


def read(
    path: str | Path,
    label: str | None = None,
    columns: Sequence[str] | None = None,
    leave_out: Sequence[str] = (),
) -> Dataset:
    """The examples of a file.

    Args:
        path: .csv or .tsv with a header; .parquet, by pyarrow; .npy, a matrix with one example a row, memory-mapped; or
            .npz with an array x and, where a label is asked for, y or the array that `label` names.
        label: the label's column by name; for .npy by number, from 0, negative ones from the end.
        columns: the names of the features, in order; by default all columns but the label and those left out.
        leave_out: columns that are no features, and need not hold numbers.

    Returns:
        The examples, their labels, the names of their columns.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is of another kind, empty or damaged, a column is unknown, a value is no finite number.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file")
    if path.stat().st_size == 0:
        raise ValueError(f"{path}: the file is empty")
    readers = {
        ".csv": _read_text,
        ".tsv": _read_text,
        ".npy": _read_npy,
        ".npz": _read_npz,
        ".parquet": _read_parquet,
    }
    if path.suffix.lower() not in readers:
        raise ValueError(f"{path}: a data file is one of {', '.join(readers)}")
    return readers[path.suffix.lower()](path, label, columns, leave_out)


def _read_text(path: Path, label: str | None, columns: Sequence[str] | None, leave_out: Sequence[str]) -> Dataset:
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.reader(file, delimiter=delimiter, strict=True)
            header = [name.strip() for name in next(rows, [])]
            if not any(header):
                raise ValueError(f"{path}: the first line is blank: it must name the columns")
            if header and all(_is_number(column) for column in header):
                raise ValueError(
                    f"{path}: the first line holds numbers, {', '.join(header[:3])}, …: it must name the columns"
                )
            features, label_at = columns_of(str(path), header, label, columns, leave_out)
            if (quick := arrow.text(path, delimiter, header, features, label_at)) is not None:
                return Dataset(*quick, tuple(header[k] for k in features))
            chunks = [_convert(path, header, features, label_at, chunk) for chunk in _chunks(rows)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path}: not a {path.suffix[1:]} file in UTF-8: {error}") from None
    if not chunks:
        raise ValueError(f"{path} has a header and no rows: at least one row of values is needed")
    labels = None if label_at is None else np.concatenate([labels for _, labels in chunks if labels is not None])
    return Dataset(np.concatenate([x for x, _ in chunks]), labels, tuple(header[k] for k in features))


def columns_of(
    name: str, header: list[str], label: str | None, columns: Sequence[str] | None, leave_out: Sequence[str]
) -> tuple[list[int], int | None]:
    """Where the features and the label stand in a header.

    Raises:
        ValueError: a name stands there twice, or not at all, or there is no feature.
    """
    twice = sorted({column for column in header if header.count(column) > 1})
    if twice:
        raise ValueError(f"{name}: the header names {', '.join(map(repr, twice))} more than once: names must differ")
    wanted = [*([] if label is None else [label]), *(columns or ()), *leave_out]
    for column in wanted:
        if column not in header:
            hint = next(
                (f": is it separated by {mark!r}? Give commas, or a .tsv" for mark in ";\t|" if mark in header[0]), ""
            )
            raise ValueError(f"{name} has no column {column!r}; its columns are {_shown(header, str)}{hint}")
    if columns is None:
        columns = [column for column in header if column != label and column not in leave_out]
    features = [header.index(column) for column in columns]
    if not features:
        raise ValueError(f"{name} has no column beside {label!r} and those left out: at least one feature is needed")
    return features, None if label is None else header.index(label)


def _chunks(rows: Iterator[list[str]]) -> Iterator[list[tuple[int, list[str]]]]:
    """Rows with their line numbers, blank lines left out, `CHUNK` at a time."""
    numbered = ((rows.line_num, row) for row in rows if row)  # pyright: ignore[reportAttributeAccessIssue]
    while chunk := list(islice(numbered, CHUNK)):
        yield chunk


def _convert(
    path: Path, header: list[str], features: list[int], label_at: int | None, chunk: list[tuple[int, list[str]]]
) -> tuple[np.ndarray, np.ndarray | None]:
    for line, row in chunk:
        if len(row) != len(header):
            raise ValueError(f"{path}, row {line}: {len(row)} values, the header has {len(header)}")
    cells = [[row[k] for k in features] for _, row in chunk]
    try:
        # number by number, since NumPy would make all cells of text as wide as the longest
        x = np.array([[float(cell) for cell in row] for row in cells])
    except ValueError:
        raise _not_a_number(path, header, features, chunk) from None
    if not np.isfinite(x).all():
        raise _not_a_number(path, header, features, chunk)
    if label_at is None:
        return x, None
    labels = [row[label_at].strip() for _, row in chunk]
    if "" in labels:
        raise ValueError(f"{path}, row {chunk[labels.index('')][0]}: the label {header[label_at]!r} is missing")
    return x, np.array(labels)


def _not_a_number(path: Path, header: list[str], features: list[int], chunk: list[tuple[int, list[str]]]) -> ValueError:
    for line, row in chunk:
        for k in features:
            if not row[k].strip():
                return ValueError(f"{path}: column {header[k]!r} is empty in row {line}: fill it or drop the row")
            if not _is_number(row[k]):
                return ValueError(
                    f"{path}: column {header[k]!r} is not numeric, row {line} holds {row[k]!r}: encode it, or leave it out"
                )
            if not np.isfinite(float(row[k])):
                return ValueError(
                    f"{path}: column {header[k]!r} holds {row[k].strip()} in row {line}: drop or fill such rows first"
                )
    return ValueError(f"{path}: a value near row {chunk[0][0]} is no finite number")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _read_npy(path: Path, label: str | None, columns: Sequence[str] | None, leave_out: Sequence[str]) -> Dataset:
    table, header, features, label_at = mapped_matrix(path, label, columns, leave_out)
    labels = None if label_at is None else np.array(table[:, label_at])
    return Dataset(_select(table, features), labels, tuple(header[k] for k in features))


def mapped_matrix(
    path: Path, label: str | None, columns: Sequence[str] | None, leave_out: Sequence[str]
) -> tuple[np.ndarray, list[str], list[int], int | None]:
    """The matrix of a .npy file, memory-mapped; its columns' names, which of them are features, and which the label."""
    try:
        table = mapped(path)
    except Damaged as error:
        raise ValueError(
            f"{path}: not a .npy file, damaged, or made of pickled objects, which are not read: {error}"
        ) from None
    _require_matrix(f"{path}", table)
    header = [str(k) for k in range(table.shape[1])]
    if label is not None:
        at = int(label) if label.lstrip("-").isdigit() else None
        if at is None or not -len(header) <= at < len(header):
            raise ValueError(
                f"{path}: the label of a .npy file is a column's number from 0 to {len(header) - 1}, got {label!r}"
            )
        label = str(at % len(header))
    return table, header, *columns_of(str(path), header, label, columns, leave_out)


def _select(table: np.ndarray, features: list[int]) -> np.ndarray:
    """The columns in question, without a copy where they are neighbours."""
    first, last = features[0], features[-1] + 1
    return table[:, first:last] if features == list(range(first, last)) else table[:, features]


def _read_npz(path: Path, label: str | None, columns: Sequence[str] | None, leave_out: Sequence[str]) -> Dataset:
    try:
        with Archive(path) as archive:
            names = archive.names
            arrays = archive.read(["x", *([] if label is None else [label])])
    except Damaged as error:
        raise ValueError(
            f"{path}: not a .npz file, damaged, or made of pickled objects, which are not read: {error}"
        ) from None
    if "x" not in arrays:
        raise ValueError(f"{path}: a .npz data file has an array x, this one has {_shown(names)}")
    if label is not None and label not in arrays:
        raise ValueError(f"{path}: there is no array {label!r} for the labels; there are {_shown(names)}")
    x, labels = arrays["x"], None if label is None else arrays[label]
    _require_matrix(f"{path}: x", x)
    header = [str(k) for k in range(x.shape[1])]
    features, _ = columns_of(f"{path}: x", header, None, columns, leave_out)
    return Dataset(_select(x, features), labels, tuple(header[k] for k in features))


def _read_parquet(path: Path, label: str | None, columns: Sequence[str] | None, leave_out: Sequence[str]) -> Dataset:
    file = arrow.Parquet(path)
    features, label_at = columns_of(str(path), file.header, label, columns, leave_out)
    x, labels = file.read(features, label_at)
    _require_matrix(f"{path}", x)
    return Dataset(x, labels, tuple(file.header[k] for k in features))


def _require_matrix(name: str, array: np.ndarray) -> None:
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name} holds {array.dtype}, it must hold numbers")
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(f"{name} has shape {array.shape}: it must be (n, d), at least one example, one a row")


def _shown(names: Sequence[str], quote: Callable[[str], str] = repr) -> str:
    return ", ".join(map(quote, names[:12])) + (f", … ({len(names)} in all)" if len(names) > 12 else "") if names else "none"
