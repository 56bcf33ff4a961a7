"""Tables by pyarrow, the extra `train`: Parquet; and CSV some ten times as fast as Python's reader, where it is plain."""

import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np


def text(
    path: Path, delimiter: str, header: list[str], features: list[int], label_at: int | None
) -> tuple[np.ndarray, np.ndarray | None] | None:
    """(x, labels) of a CSV file, or None where it holds anything but finite numbers and labels, or pyarrow is missing.

    Whoever gets None reads the file slowly, and can say what is wrong and where.
    """
    try:
        csv: Any = importlib.import_module("pyarrow.csv")
        arrow: Any = importlib.import_module("pyarrow")
    except ModuleNotFoundError:
        return None
    quotes = _quotes(path)
    if any("\n" in name or "\r" in name for name in header) or quotes % 2:
        return None  # which pyarrow reads in ways of its own
    names = [str(k) for k in range(len(header))]
    kinds = {names[k]: arrow.float64() for k in features} | ({} if label_at is None else {names[label_at]: arrow.string()})
    try:
        table = csv.read_csv(
            path,
            read_options=csv.ReadOptions(column_names=names, skip_rows=1),
            parse_options=csv.ParseOptions(delimiter=delimiter, newlines_in_values=quotes > 0),
            convert_options=csv.ConvertOptions(
                column_types=kinds, include_columns=list(kinds), null_values=[], strings_can_be_null=False
            ),
        )
    except (arrow.ArrowInvalid, OSError, ValueError):
        return None
    if table.num_rows == 0:
        return None
    x = np.empty((table.num_rows, len(features)))
    for at, k in enumerate(features):
        x[:, at] = table.column(names[k]).to_numpy()
    if not np.isfinite(x).all():
        return None
    if label_at is None:
        return x, None
    labels = np.char.strip(np.array(table.column(names[label_at]).to_pylist(), dtype=str))
    return None if (labels == "").any() else (x, labels)


def _quotes(path: Path) -> int:
    with path.open("rb") as file:
        return sum(chunk.count(b'"') for chunk in iter(lambda: file.read(1 << 20), b""))


class Parquet:
    """A Parquet file.

    Raises:
        ModuleNotFoundError: pyarrow is not installed.
        ValueError: it is none, or damaged.
    """

    def __init__(self, path: Path) -> None:
        try:
            parquet: Any = importlib.import_module("pyarrow.parquet")
        except ModuleNotFoundError as missing:
            raise ModuleNotFoundError(f"{path}: Parquet needs pyarrow: pip install 'manual-grad[train]'") from missing
        self.path = path
        try:
            self._file = parquet.ParquetFile(path)
            self.header = [str(name) for name in self._file.schema_arrow.names]
        except Exception as error:  # of arrow, many kinds
            raise ValueError(f"{path}: not a Parquet file, or damaged ({type(error).__name__})") from None

    @property
    def sizes(self) -> list[int]:
        """The rows of each row group."""
        about = self._file.metadata
        return [about.row_group(k).num_rows for k in range(about.num_row_groups)]

    def numbers(self, group: int, names: Sequence[str], rows: int) -> Iterator[np.ndarray]:
        """The columns of these names of a row group, in float64, some rows at a time.

        Raises:
            ValueError: columns are no numbers or have gaps, all of them named; or the file is damaged.
        """
        for part in self._parts(group, names, rows):
            yield self._matrix(part, names, [])

    def labels(self, group: int, name: str) -> np.ndarray:
        """A column of a row group as it stands.

        Raises:
            ValueError: it has gaps, or the file is damaged.
        """
        parts = list(self._parts(group, [name], 1 << 20))
        if any(part.column(0).null_count for part in parts):
            raise ValueError(f"{self.path}: values are missing in {name}: fill them or drop the rows")
        return np.array([value for part in parts for value in part.column(0).to_pylist()])

    def _parts(self, group: int, names: Sequence[str], rows: int) -> Iterator[Any]:
        try:
            yield from self._file.iter_batches(batch_size=rows, row_groups=[group], columns=list(names))
        except Exception as error:  # of arrow, many kinds
            raise ValueError(f"{self.path}: a damaged Parquet file ({type(error).__name__})") from None

    def read(self, features: list[int], label_at: int | None) -> tuple[np.ndarray, np.ndarray | None]:
        """(x, labels).

        Raises:
            ValueError: columns are no numbers or have gaps, all of them named; or the file is damaged.
        """
        chosen, label = [self.header[k] for k in features], [] if label_at is None else [self.header[label_at]]
        try:
            table = self._file.read(columns=[*chosen, *label])
        except Exception as error:  # of arrow, many kinds
            raise ValueError(f"{self.path}: a damaged Parquet file ({type(error).__name__})") from None
        x = self._matrix(table, chosen, label)
        return x, np.array(table.column(label[0]).to_pylist()) if label else None

    def _matrix(self, table: Any, names: Sequence[str], label: Sequence[str]) -> np.ndarray:
        """(rows, columns of these names) of a table or a part of one, in float64."""
        kinds: Any = importlib.import_module("pyarrow").types

        def is_number(kind: Any) -> bool:
            return kinds.is_integer(kind) or kinds.is_floating(kind) or kinds.is_boolean(kind)

        odd = [name for name in names if not is_number(table.column(name).type)]
        if odd:
            raise ValueError(f"{self.path}: columns that are not numeric: {', '.join(odd)}: encode them, or leave them out")
        wanted = [*names, *label]
        gaps = {name: table.column(name).null_count for name in wanted if table.column(name).null_count}
        if gaps:
            told = ", ".join(f"{name} ({count})" for name, count in gaps.items())
            raise ValueError(f"{self.path}: values are missing in {told}: fill them or drop the rows")
        x = np.empty((table.num_rows, len(names)))
        for at, name in enumerate(names):
            column = table.column(name)
            x[:, at] = column.to_numpy(zero_copy_only=False) if hasattr(column, "buffers") else column.to_numpy()
        return x
