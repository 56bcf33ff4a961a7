"""Two-class tables from CSV files: numbers in columns, and one column that holds the class."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Values = Any
"""A NumPy array of float64."""


class TableError(ValueError):
    """A file that cannot be used as a two-class table, and why."""


@dataclass(frozen=True)
class TwoClassTable:
    """A table of numbers with a class, −1 or +1, for each row."""

    columns: tuple[str, ...]
    x: Values
    """(n, d)"""
    y: Values
    """(n,), −1 or +1"""
    label: str
    """the name of the column that held the class"""
    classes: tuple[str, str]
    """the values in the file that became −1 and +1"""

    def standardised(self) -> "TwoClassTable":
        """The same rows with mean 0 and standard deviation 1 in every column; a constant column becomes 0."""
        centred = self.x - self.x.mean(axis=0)
        spread = centred.std(axis=0)
        return TwoClassTable(self.columns, centred / np.where(spread > 0, spread, 1.0), self.y, self.label, self.classes)


def read_table(path: Path, label: str) -> TwoClassTable:
    """Reads a CSV file with a header row, every column numeric but the label's, which holds two different values.

    The smaller value becomes −1, the larger +1: by number where both are numbers, else by letter.

    Raises:
        TableError: the file is missing, empty or ragged, has no such column, a column is not numeric or holds NaN or
            infinity, or the label column has not exactly two values.
    """
    rows = _read_rows(path)
    header, body = [name.strip() for name in rows[0]], rows[1:]
    if label not in header:
        raise TableError(f"{path} has no column {label!r}; its columns are {', '.join(header)}")
    if not body:
        raise TableError(f"{path} has a header and no rows")
    for number, row in enumerate(body, start=2):
        if len(row) != len(header):
            raise TableError(f"{path}, row {number}: {len(row)} values, the header has {len(header)}")
    k = header.index(label)
    columns = tuple(name for j, name in enumerate(header) if j != k)
    if not columns:
        raise TableError(f"{path} has no column beside {label!r}: at least one feature is needed")
    y, classes = _labels([row[k].strip() for row in body], label, path)
    x = np.column_stack([_numbers([row[j] for row in body], header[j], path) for j in range(len(header)) if j != k])
    return TwoClassTable(columns, x, y, label, classes)


def _read_rows(path: Path) -> list[list[str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.reader(file) if row]
    except OSError as error:
        raise TableError(f"{path} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise TableError(f"{path} is not a CSV file in UTF-8: {error}") from error
    if not rows:
        raise TableError(f"{path} is empty: a header row and at least one row of values are needed")
    return rows


def _numbers(cells: list[str], name: str, path: Path) -> Values:
    values = np.empty(len(cells))
    for k, cell in enumerate(cells):
        try:
            values[k] = float(cell)
        except ValueError:
            raise TableError(
                f"{path}: column {name!r} is not numeric, row {k + 2} holds {cell!r}: encode it, or leave it out"
            ) from None
        if not np.isfinite(values[k]):
            raise TableError(f"{path}: column {name!r} holds {cell.strip()} in row {k + 2}: drop or fill such rows first")
    return values


def _labels(cells: list[str], name: str, path: Path) -> tuple[Values, tuple[str, str]]:
    found = sorted(set(cells))
    if len(found) != 2:
        shown = ", ".join(map(repr, found[:5])) + (", …" if len(found) > 5 else "")
        raise TableError(f"{path}: the label column {name!r} must hold two different values, it holds {len(found)}: {shown}")
    try:
        low, high = sorted(found, key=float)
    except ValueError:
        low, high = found
    return np.where(np.array(cells) == high, 1.0, -1.0), (low, high)
