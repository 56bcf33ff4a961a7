"""Examples that need not fit into memory: read piece by piece, again for every epoch."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from autodiff_ref.train import arrow
from autodiff_ref.train.data import CHUNK, columns_of, mapped_matrix

PIECE = 1_024
"""Examples that stand side by side in an array and stay so while pieces are shuffled."""


@runtime_checkable
class Source(Protocol):
    """Examples in pieces, each of which can be read at any time: what `fit` takes for data larger than memory.

    All that is read must be the same each time.
    """

    @property
    def columns(self) -> tuple[str, ...] | None:
        """The names of the features."""
        ...

    @property
    def sizes(self) -> Sequence[int]:
        """How many examples each piece holds."""
        ...

    def features(self, piece: int) -> Iterator[Float[np.ndarray, "m d"]]:
        """The features of a piece, in one matrix or in several that follow each other, one example a row."""
        ...

    def labels(self, piece: int) -> np.ndarray:
        """Their labels, (size,), numbers or text."""
        ...

    def weights(self, piece: int) -> Float[np.ndarray, " size"] | None:
        """How often each of them counts; None where each counts once."""
        ...


class Arrays:
    """Arrays as a source, memory-mapped ones above all.

    Args:
        x: (n, d), one example a row.
        y: (n,), labels.
        example_weights: (n,), how often each counts.
        columns: the names of the features.
        features: which columns of x are features; by default all.
    """

    def __init__(
        self,
        x: np.ndarray,
        y: np.ndarray,
        example_weights: np.ndarray | None = None,
        columns: Sequence[str] | None = None,
        features: Sequence[int] | None = None,
    ) -> None:
        if x.ndim != 2 or 0 in x.shape or x.dtype.kind not in "fiub":
            raise ValueError(f"x has shape {x.shape} and dtype {x.dtype}: it must be (n, d) numbers, one example a row")
        for name, array in (("y", y), ("example_weights", example_weights)):
            if array is not None and array.shape != x.shape[:1]:
                raise ValueError(f"{name} has shape {array.shape}, it must be ({len(x)},): one for each row of x")
        self.x, self.y, self.c, self.at = x, y, example_weights, features
        self.columns = None if columns is None else tuple(columns)
        self.sizes = [min(PIECE, len(x) - first) for first in range(0, len(x), PIECE)]

    def _rows(self, piece: int) -> slice:
        return slice(piece * PIECE, piece * PIECE + self.sizes[piece])

    def features(self, piece: int) -> Iterator[Float[np.ndarray, "m d"]]:
        """One matrix."""
        rows = np.asarray(self.x[self._rows(piece)])
        yield rows if self.at is None else rows[:, self.at]

    def labels(self, piece: int) -> np.ndarray:
        """(size,)"""
        return np.asarray(self.y[self._rows(piece)])

    def weights(self, piece: int) -> Float[np.ndarray, " size"] | None:
        """(size,)"""
        return None if self.c is None else np.asarray(self.c[self._rows(piece)])


class ParquetSource:
    """A Parquet file, whose row groups are the pieces.

    Args:
        path: the file.
        label: the label's column.
        leave_out: columns that are no features.
        weights: a column that says how often each example counts.
    """

    def __init__(self, path: Path, label: str, leave_out: Sequence[str], weights: str | None) -> None:
        self.file = arrow.Parquet(path)
        others = [*leave_out, *([] if weights is None else [weights])]
        features, _ = columns_of(str(path), self.file.header, label, None, others)
        self.label, self.weight = label, weights
        self.columns = tuple(self.file.header[k] for k in features)
        self.sizes = self.file.sizes

    def features(self, piece: int) -> Iterator[Float[np.ndarray, "m d"]]:
        """Some thousand rows at a time."""
        return self.file.numbers(piece, self.columns, CHUNK)

    def labels(self, piece: int) -> np.ndarray:
        """(size,)"""
        return self.file.labels(piece, self.label)

    def weights(self, piece: int) -> Float[np.ndarray, " size"] | None:
        """(size,)"""
        if self.weight is None:
            return None
        return np.concatenate([*self.file.numbers(piece, (self.weight,), CHUNK)])[:, 0]


def source_of(
    path: str | Path, label: str, *, leave_out: Sequence[str] = (), weights: str | None = None
) -> Arrays | ParquetSource:
    """The examples of a file that is read in pieces.

    Args:
        path: .npy, a matrix with one example a row, memory-mapped; or .parquet, by pyarrow, the extra `train`. The row
            groups of a Parquet file are read whole.
        label: the label's column by name; for .npy by number, from 0, negative ones from the end.
        leave_out: columns that are no features.
        weights: a column that says how often each example counts.

    Raises:
        FileNotFoundError: there is no such file.
        ModuleNotFoundError: pyarrow is not installed.
        ValueError: the file is of another kind or damaged, or a column is unknown.

    Example:
        `fit(source_of("examples.npy", "-1"), batch_size=1024, epochs=3)`
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file")
    if path.suffix.lower() == ".parquet":
        return ParquetSource(path, label, leave_out, weights)
    if path.suffix.lower() != ".npy":
        raise ValueError(f"{path}: files that are read in pieces are .npy or .parquet; pyarrow or polars writes the latter")
    others = [*leave_out, *([] if weights is None else [weights])]
    table, header, features, label_at = mapped_matrix(path, label, None, others)
    c = None if weights is None else table[:, header.index(weights)]
    return Arrays(table, table[:, label_at], c, [header[k] for k in features], features)
