"""Examples from files and arrays: .csv, .tsv, .npy, .npz, .parquet. Nothing is unpickled, nothing is executed.

Files are checked before any work is done: what is wrong is said with its row, which is its line of the file, and its column.
"""

import csv
import gzip
import sys
from array import array
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO

import numpy as np
from jaxtyping import Float

from autodiff_ref.train import arrow
from autodiff_ref.train.encoding import (
    CATEGORY_MODES,
    MISSING,
    MISSING_MODES,
    ROWS,
    Encoding,
    Raw,
    Rows,
    encoded,
    encoded_again,
    is_number,
    listed,
    numbers_of,
    text_of,
)
from autodiff_ref.train.members import Archive, Damaged, mapped

CHUNK = 8_192
"""Rows read or converted at a time."""
SEPARATORS = ",;\t|"
"""Of columns, which are looked for where another one was expected."""


@dataclass(frozen=True)
class Dataset:
    """Examples as they stand in a file."""

    x: Float[np.ndarray, "n d"]
    """One example a row; memory-mapped where it comes from a .npy file."""
    labels: np.ndarray | None
    """(n,), as in the file: text from CSV, numbers or text from arrays; None where no label was asked for."""
    columns: tuple[str, ...]
    """The names of x's columns."""
    encoding: Encoding | None = None
    """How x came from columns of text, or from some with gaps; None where it is as in the file."""
    notes: tuple[str, ...] = field(default=())
    """What was left out or filled in, a line each."""
    rows: Rows = ROWS
    """Where the examples stand in the file."""


@dataclass(frozen=True)
class Asked:
    """What `read` is asked for."""

    label: str | None = None
    columns: Sequence[str] | None = None
    leave_out: Sequence[str] = ()
    separator: str | None = None
    decimal: str = "."
    missing: str = "refuse"
    categories: str = "refuse"
    encoding: Encoding | None = None

    def __post_init__(self) -> None:
        for name, value, known in (
            ("missing", self.missing, MISSING_MODES),
            ("categories", self.categories, CATEGORY_MODES),
            ("decimal", self.decimal, (".", ",")),
        ):
            if value not in known:
                raise ValueError(f"{name} must be one of {' '.join(known)}, got {value!r}")
        if self.separator is not None and (len(self.separator) != 1 or self.separator in '\r\n"' + self.decimal):
            raise ValueError(f"separator must be one character other than the decimal point, got {self.separator!r}")

    @property
    def texts(self) -> frozenset[str]:
        """The columns that are known to be text."""
        return frozenset() if self.encoding is None else self.encoding.texts


def read(
    path: str | Path,
    label: str | None = None,
    columns: Sequence[str] | None = None,
    leave_out: Sequence[str] = (),
    *,
    separator: str | None = None,
    decimal: str = ".",
    missing: str = "refuse",
    categories: str = "refuse",
    encoding: Encoding | None = None,
) -> Dataset:
    """The examples of a file.

    Args:
        path: .csv or .tsv with a header, also as .csv.gz; .parquet, by pyarrow; .npy, a matrix with one example a row,
            memory-mapped; or .npz with an array x and, where a label is asked for, y or the array that `label` names.
        label: the label's column by name; for .npy by number, from 0, negative ones from the end.
        columns: the names of the features, in order; by default all columns but the label and those left out.
        leave_out: columns that are no features, and need not hold numbers.
        separator: of the columns of a text file; by default a comma, in .tsv a tab.
        decimal: the decimal point of a text file, "." or ",".
        missing: what to do where a value is missing (an empty cell, NA, NaN, null, None, ?): "refuse", "drop" its row, or
            put in the "mean" of its column.
        categories: what to do with columns of text: "refuse", or "one-hot" for a feature a value.
        encoding: how the columns became features in training, for new examples; `columns`, `missing` and `categories` are
            not asked for then.

    Returns:
        The examples, their labels, the names of their columns.

    Raises:
        FileNotFoundError, IsADirectoryError: there is no such file, or it is a folder.
        ValueError: the file is of another kind, empty or damaged, a column is unknown, a value is no finite number.
    """
    path = Path(path)
    asked = Asked(label, columns, leave_out, separator, decimal, missing, categories, encoding)
    if encoding is not None:
        asked = Asked(label, encoding.names, (), separator, decimal, encoding=encoding)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder: name a file in it")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file")
    if path.stat().st_size == 0:
        raise ValueError(f"{path}: the file is empty")
    readers = {
        ".csv": _read_text,
        ".tsv": _read_text,
        ".csv.gz": _read_text,
        ".tsv.gz": _read_text,
        ".npy": _read_npy,
        ".npz": _read_npz,
        ".parquet": _read_parquet,
    }
    kind = kind_of(path)
    if kind not in readers:
        raise ValueError(f"{path}: a data file is one of {', '.join(readers)}")
    return readers[kind](path, asked)


def kind_of(path: Path) -> str:
    """The ending of a file's name, in small letters; with what is compressed, as .csv.gz."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    return "".join(suffixes[-2:] if suffixes[-1:] == [".gz"] else suffixes[-1:])


def _read_text(path: Path, asked: Asked) -> Dataset:
    delimiter = asked.separator or ("\t" if kind_of(path).startswith(".tsv") else ",")
    try:
        with _opened(path) as file:
            rows = csv.reader(file, delimiter=delimiter, strict=True)
            header = [name.strip() for name in next(rows, [])]
            if not any(header):
                raise ValueError(f"{path}: the first line is blank: it must name the columns")
            if header and all(is_number(column, asked.decimal) for column in header):
                raise ValueError(
                    f"{path}: the first line holds numbers, {', '.join(header[:3])}, …: it must name the columns"
                )
            notes = _without_a_name(path, header)
            features, label_at = columns_of(str(path), header, asked.label, asked.columns, asked.leave_out)
            quick = None if asked.texts else arrow.text(path, delimiter, asked.decimal, header, features, label_at)
            if quick is not None:
                x, labels = quick[0], _tidy(quick[1], asked.decimal)
                raw: dict[str, Raw] = {header[k]: x[:, at] for at, k in enumerate(features)}
                is_whole = not np.isnan(x).any() and (labels is None or "" not in labels)
                if is_whole and (asked.encoding is None or asked.encoding.is_plain):
                    return Dataset(x, labels, tuple(raw), notes=notes)
                if asked.missing != "refuse" or asked.encoding is not None:
                    with suppress(ValueError):  # it is raised again below, with the line of the file
                        return _encoded(path, raw, ROWS, labels, asked, notes)
            numeric = [k for k in features if header[k] not in asked.texts]
            raw, lines, labels = _cells(path, header, numeric, label_at, rows, asked.decimal)
            labels = _tidy(labels, asked.decimal)
        text = [k for k in features if header[k] not in raw]
        if text:
            raw |= _text_again(path, delimiter, header, text)
    except (UnicodeDecodeError, csv.Error, EOFError, gzip.BadGzipFile) as error:
        todo = ": save it as UTF-8" if isinstance(error, UnicodeDecodeError) else ""
        raise ValueError(f"{path}: not a {kind_of(path)[1:]} file in UTF-8: {error}{todo}") from None
    rows_of_file = Rows(lines, "the header")
    return _encoded(path, {header[k]: raw[header[k]] for k in features}, rows_of_file, labels, asked, notes)


def _opened(path: Path) -> IO[str]:
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _without_a_name(path: Path, header: list[str]) -> tuple[str, ...]:
    """Names the first column where it has no name, as tools write the numbers of rows; says that it is left out."""
    if header[0] or "" in header[1:]:
        if "" in header:
            raise ValueError(f"{path}: column {header.index('') + 1} has no name: give it one")
        return ()
    header[0] = arrow.UNNAMED
    return (f"{path}: the first column has no name and is left out",)


def _cells(
    path: Path, header: list[str], features: list[int], label_at: int | None, rows: Iterator[list[str]], decimal: str
) -> tuple[dict[str, Raw], Sequence[int], np.ndarray | None]:
    """The columns of numbers, the line of each row, and the labels; columns that hold text are left out."""
    parts: dict[int, list[np.ndarray]] = {k: [] for k in features}
    lines, labels = array("q"), list[str]()
    for chunk in _chunks(rows):
        for line, row in chunk:
            if len(row) != len(header):
                values = "1 value" if len(row) == 1 else f"{len(row)} values"
                raise ValueError(f"{path}, row {line}: {values}, where the header has {len(header)}")
            lines.append(line)
            if label_at is not None:
                labels.append(row[label_at].strip())
        for k in [*parts]:
            try:
                parts[k].append(numbers_of([row[k] for _, row in chunk], decimal))
            except ValueError:
                del parts[k]
    if not lines:
        raise ValueError(f"{path} has a header and no rows: at least one row of values is needed")
    raw: dict[str, Raw] = {header[k]: np.concatenate(numbers) for k, numbers in parts.items()}
    return raw, lines, None if label_at is None else np.array(labels)


def _tidy(labels: np.ndarray | None, decimal: str) -> np.ndarray | None:
    """Labels that are numbers, 1,5 as 1.5 and NA as an empty one; others as they are."""
    distinct = set[str]() if labels is None else set(labels.tolist())
    missing = {label for label in distinct if label.lower() in MISSING}
    numbers = distinct - missing
    if (
        labels is None
        or (decimal == "." and missing <= {""})
        or not numbers
        or not all(is_number(x, decimal) for x in numbers)
    ):
        return labels
    return np.char.replace(np.where(np.isin(labels, list(missing)), "", labels), decimal, ".")


def _text_again(path: Path, delimiter: str, header: list[str], columns: list[int]) -> dict[str, Raw]:
    """The columns of text of a file that has been read once; equal cells are one string."""
    cells: dict[int, list[str]] = {k: [] for k in columns}
    with _opened(path) as file:
        rows = csv.reader(file, delimiter=delimiter, strict=True)
        next(rows)
        for row in rows:
            for k in columns if row else ():
                cells[k].append(sys.intern(text_of(row[k])))
    return {header[k]: column for k, column in cells.items()}


def _encoded(
    path: Path,
    raw: dict[str, Raw],
    rows: Rows,
    labels: np.ndarray | None,
    asked: Asked,
    notes: tuple[str, ...] = (),
) -> Dataset:
    """A table's columns as features, with all that was done to them."""
    without = _missing(labels)
    if without.any() and asked.missing != "drop":
        row = int(np.argmax(without))
        raise ValueError(
            f"{path}, {rows.place(row)}: the label {asked.label!r} is missing: fill it, or say `--missing drop`; {rows}"
        )
    if asked.encoding is not None:
        x = encoded_again(str(path), raw, rows, asked.encoding)
        return Dataset(x, labels, asked.encoding.features, asked.encoding, notes)
    if without.any() and labels is not None:
        keep = np.flatnonzero(~without).tolist()
        raw = {
            name: column[keep] if isinstance(column, np.ndarray) else [column[k] for k in keep]
            for name, column in raw.items()
        }
        labels, rows = labels[keep], rows.kept(keep)
    x, kept, encoding = encoded(str(path), raw, rows, asked.missing, asked.categories)
    dropped = int((~kept).sum()) + int(without.sum())
    if dropped:
        notes = (*notes, f"{path}: {dropped:,} row{'s' * (dropped > 1)} with a missing value dropped")
    filled = [column.name for column in encoding.columns if column.fill is not None]
    if filled:
        notes = (*notes, f"{path}: missing values are filled by the mean in {', '.join(filled)}")
    hot = [f"{column.name} ({len(column.values)})" for column in encoding.columns if column.values is not None]
    if hot:
        notes = (*notes, f"{path}: a feature for each value of {', '.join(hot)}")
    labels = None if labels is None else labels[kept]
    rows = rows if kept.all() else rows.kept(np.flatnonzero(kept).tolist())
    return Dataset(x, labels, encoding.features, None if encoding.is_plain else encoding, notes, rows)


def _missing(labels: np.ndarray | None) -> np.ndarray:
    """Which labels are missing: empty text, or NaN."""
    if labels is None or labels.dtype.kind not in "Uf":
        return np.zeros(0, bool)
    return labels == "" if labels.dtype.kind == "U" else np.isnan(labels)


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
    absent = [column for column in wanted if column not in header]
    if absent:
        other = next((mark for mark in SEPARATORS if mark in header[0] and len(header) == 1), None)
        hint = "" if other is None else f": is it separated by {other!r}? Say so by `--separator`"
        if any("," in column and set(column.split(",")) <= set(header) for column in leave_out):
            hint = "; write `--leave-out` once for each column"
        if label in absent and not hint:
            hint = "; `--label` names the one with the labels"
        lacking = f"no column{'s' * (len(absent) > 1)} {listed([*map(repr, absent)], 12)}"
        raise ValueError(f"{name} has {lacking}; its columns are {listed(header, 12)}{hint}")
    if columns is None:
        columns = [column for column in header if column not in (label, arrow.UNNAMED, *leave_out)]
    features = [header.index(column) for column in columns]
    if not features:
        raise ValueError(f"{name} has no column beside {label!r} and those left out: at least one feature is needed")
    return features, None if label is None else header.index(label)


def _chunks(rows: Iterator[list[str]]) -> Iterator[list[tuple[int, list[str]]]]:
    """Rows with their line numbers, blank lines left out, `CHUNK` at a time."""
    numbered = ((rows.line_num, row) for row in rows if row)  # pyright: ignore[reportAttributeAccessIssue]
    while chunk := list(islice(numbered, CHUNK)):
        yield chunk


def _read_npy(path: Path, asked: Asked) -> Dataset:
    table, header, features, label_at = mapped_matrix(path, asked.label, asked.columns, asked.leave_out)
    labels = None if label_at is None else np.array(table[:, label_at])
    return _of_matrix(path, _select(table, features), labels, tuple(header[k] for k in features), asked)


def _of_matrix(path: Path, x: np.ndarray, labels: np.ndarray | None, names: tuple[str, ...], asked: Asked) -> Dataset:
    """A matrix as it is, or with its gaps seen to."""
    if asked.missing == "refuse" and asked.encoding is None:
        return Dataset(x, labels, names)
    raw: dict[str, Raw] = {name: np.asarray(x[:, k], np.float64) for k, name in enumerate(names)}
    return _encoded(path, raw, ROWS, labels, asked)


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


def _read_npz(path: Path, asked: Asked) -> Dataset:
    label = asked.label
    try:
        with Archive(path) as archive:
            names = archive.names
            arrays = archive.read(["x", *([] if label is None else [label])])
    except Damaged as error:
        raise ValueError(
            f"{path}: not a .npz file, damaged, or made of pickled objects, which are not read: {error}"
        ) from None
    if "x" not in arrays:
        raise ValueError(f"{path}: a .npz data file has an array x, this one has {listed([*map(repr, names)], 12)}")
    if label is not None and label not in arrays:
        raise ValueError(f"{path}: there is no array {label!r} for the labels; there are {listed([*map(repr, names)], 12)}")
    x, labels = arrays["x"], None if label is None else arrays[label]
    _require_matrix(f"{path}: x", x)
    header = [str(k) for k in range(x.shape[1])]
    features, _ = columns_of(f"{path}: x", header, None, asked.columns, asked.leave_out)
    return _of_matrix(path, _select(x, features), labels, tuple(header[k] for k in features), asked)


def _read_parquet(path: Path, asked: Asked) -> Dataset:
    file = arrow.Parquet(path)
    features, label_at = columns_of(str(path), file.header, asked.label, asked.columns, asked.leave_out)
    raw, labels = file.read([file.header[k] for k in features], asked.label if label_at is not None else None, asked.texts)
    if not all(map(len, raw.values())):
        raise ValueError(f"{path} has columns and no rows: at least one row of values is needed")
    return _encoded(path, raw, ROWS, labels, asked)


def _require_matrix(name: str, array: np.ndarray) -> None:
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name} holds {array.dtype}, it must hold numbers")
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(f"{name} has shape {array.shape}: it must be (n, d), at least one example, one a row")
