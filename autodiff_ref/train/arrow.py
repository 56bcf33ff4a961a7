"""Tables by pyarrow, the extra `train`: Parquet; and CSV some ten times as fast as Python's reader, where it is plain."""

import gzip
import importlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from autodiff_ref.train.encoding import MISSING, ROWS, Raw, spelled, text_of
from autodiff_ref.train.members import require_memory

UNNAMED = "(the first column, without a name)"
"""What a first column is called that has no name."""


def text(
    path: Path, delimiter: str, decimal: str, header: list[str], features: list[int], label_at: int | None
) -> tuple[np.ndarray, np.ndarray | None] | None:
    """(x, labels) of a CSV file, NaN where a number is missing; None where it holds text or infinities, a label is missing,
    or pyarrow is not installed.

    Whoever gets None reads the file slowly, and can say what is wrong and where.
    """
    try:
        csv: ModuleType = importlib.import_module("pyarrow.csv")
        arrow: ModuleType = importlib.import_module("pyarrow")
    except ModuleNotFoundError:
        return None
    quotes, size = _looked_through(path)
    require_memory(size)
    if any("\n" in name or "\r" in name for name in header) or quotes % 2:
        return None  # which pyarrow reads in ways of its own
    names = [str(k) for k in range(len(header))]
    kinds = {names[k]: arrow.float64() for k in features} | ({} if label_at is None else {names[label_at]: arrow.string()})
    spelled = [form for word in MISSING for form in {word, word.upper(), word.capitalize(), "NaN", "N/a"}]
    try:
        table = csv.read_csv(
            path,
            read_options=csv.ReadOptions(column_names=names, skip_rows=1),
            parse_options=csv.ParseOptions(delimiter=delimiter, newlines_in_values=quotes > 0),
            convert_options=csv.ConvertOptions(
                column_types=kinds,
                include_columns=list(kinds),
                null_values=spelled,
                strings_can_be_null=False,
                decimal_point=decimal,
            ),
        )
    except (arrow.ArrowInvalid, OSError, ValueError):
        return None
    if table.num_rows == 0:
        return None
    x = np.empty((table.num_rows, len(features)))
    for at, k in enumerate(features):
        x[:, at] = table.column(names[k]).to_numpy()
    if np.isinf(x).any():
        return None
    if label_at is None:
        return x, None
    labels = np.char.strip(np.array(table.column(names[label_at]).to_pylist(), dtype=str))
    return None if (labels == "").any() else (x, labels)


def _looked_through(path: Path) -> tuple[int, int]:
    """How many quotation marks a file has, and its bytes, unpacked."""
    quotes = size = 0
    with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
        for chunk in iter(lambda: file.read(1 << 20), b""):
            quotes += chunk.count(b'"')
            size += len(chunk)
    return quotes, size


class Parquet:
    """A Parquet file.

    Raises:
        ModuleNotFoundError: pyarrow is not installed.
        ValueError: it is none, or damaged.
    """

    def __init__(self, path: Path) -> None:
        try:
            parquet: ModuleType = importlib.import_module("pyarrow.parquet")
        except ModuleNotFoundError as missing:
            raise ModuleNotFoundError(f"{path}: Parquet needs pyarrow: pip install 'manual-grad[train]'") from missing
        self.path, self._open = path, parquet.ParquetFile
        try:
            self._file = self._open(path)
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
        done = 0
        for part in self._parts(group, names, rows):
            yield self._matrix(part, names, group, done)
            done += part.num_rows

    def labels(self, group: int, name: str) -> np.ndarray:
        """A column of a row group as it stands.

        Raises:
            ValueError: it has gaps, or the file is damaged.
        """
        values = [value for part in self._parts(group, [name], 1 << 20) for value in part.column(0).to_pylist()]
        if None in values:
            raise self._lacks(group, {name: values.index(None)})
        return _labels(values)

    def _lacks(self, group: int, gaps: Mapping[str, int]) -> ValueError:
        """What is said of columns with gaps, each with the first row of the group that has one."""
        before = sum(self.sizes[:group])
        said = ", ".join(f"{name!r} (first in {ROWS.place(before + k)})" for name, k in gaps.items())
        return ValueError(f"{self.path}: values are missing in {said}: fill them or drop the rows; {ROWS}")

    def _parts(self, group: int, names: Sequence[str], rows: int) -> Iterator[Any]:
        try:  # a reader of its own: one reader's cache does not serve two reads at a time
            reader = self._open(self.path, metadata=self._file.metadata)
            yield from reader.iter_batches(batch_size=rows, row_groups=[group], columns=list(names))
        except Exception as error:  # of arrow, many kinds
            raise ValueError(f"{self.path}: a damaged Parquet file ({type(error).__name__})") from None

    def read(
        self, names: Sequence[str], label: str | None, texts: Collection[str] = ()
    ) -> tuple[dict[str, Raw], np.ndarray | None]:
        """The columns of these names, those of `texts` as text, and the labels.

        Raises:
            ValueError: a column is neither of numbers nor of text; or the file is damaged.
        """
        kinds: Any = importlib.import_module("pyarrow").types
        try:
            table = self._file.read(columns=[*names, *([] if label is None else [label])])
        except Exception as error:  # of arrow, many kinds
            raise ValueError(f"{self.path}: a damaged Parquet file ({type(error).__name__})") from None
        raw: dict[str, Raw] = {}
        for name in names:
            column = table.column(name)
            is_text = kinds.is_string(column.type) or kinds.is_large_string(column.type) or kinds.is_dictionary(column.type)
            if is_text or (name in texts and _is_number(column.type)):
                raw[name] = ["" if value is None else text_of(spelled(value)) for value in column.to_pylist()]
            elif _is_number(column.type):
                raw[name] = _numbers(column)
            else:
                raise ValueError(f"{self.path}: column {name!r} holds {column.type}, neither numbers nor text: leave it out")
        if label is None:
            return raw, None
        return raw, _labels(table.column(label).to_pylist())

    def _matrix(self, part: Any, names: Sequence[str], group: int, done: int) -> np.ndarray:
        """(rows, columns of these names) of a part of a row group, behind so many of its rows, in float64."""
        odd = [name for name in names if not _is_number(part.column(name).type)]
        if odd:
            raise ValueError(f"{self.path}: columns that are not numeric: {', '.join(odd)}: encode them, or leave them out")
        gaps = {
            name: done + part.column(name).is_null().index(True).as_py() for name in names if part.column(name).null_count
        }
        if gaps:
            raise self._lacks(group, gaps)
        return np.column_stack([_numbers(part.column(name)) for name in names])


def _is_number(kind: Any) -> bool:
    kinds: Any = importlib.import_module("pyarrow").types
    return kinds.is_integer(kind) or kinds.is_floating(kind) or kinds.is_boolean(kind)


def _numbers(column: Any) -> np.ndarray:
    """A column in float64, NaN where it has gaps."""
    return np.asarray(column.cast("float64").to_numpy(zero_copy_only=False), np.float64)


def _labels(values: list[Any]) -> np.ndarray:
    """Labels as they stand, without spaces around text; all of them text, "" for one that is missing, where one is."""
    labels = np.array(["" if value is None else str(value) for value in values] if None in values else values)
    return np.char.strip(labels) if labels.dtype.kind == "U" else labels
