"""Two-class tables for the judge: numbers in columns, and one column that holds the class. Read as for training."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

Values = np.ndarray
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
    """Reads a data file as `autodiff_ref.train.read` does, every column numeric but the label's, which holds two values.

    The smaller value becomes −1, the larger +1: by number where both are numbers, else by letter.

    Raises:
        TableError: the file is missing, empty or ragged, has no such column, a column is not numeric or holds NaN or
            infinity, or the label column has not exactly two values.
    """
    from autodiff_ref.train.data import read  # here, since judging derivations needs nothing of training
    from autodiff_ref.train.prepare import signs_of

    try:
        data = read(path, label)
    except OSError as error:
        raise TableError(str(error)) from error
    except ValueError as error:
        said = re.sub(r", or say `--[^;]*", "", str(error))  # options of `train` that `verify` has not
        raise TableError(said) from error
    found = sorted({str(value) for value in np.asarray(data.labels)})
    if len(found) != 2:
        shown = ", ".join(map(repr, found[:5])) + (", …" if len(found) > 5 else "")
        raise TableError(
            f"{path}: the label column {label!r} must hold two different values, it holds {len(found)}: {shown}"
        )
    y, classes = signs_of(data.labels, len(data.x))
    return TwoClassTable(data.columns, np.asarray(data.x, np.float64), y, label, (str(classes[0]), str(classes[1])))
