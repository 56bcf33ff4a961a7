"""From the columns of a table to numbers: missing values, text. What was done is kept, and done again to new examples."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Bool, Float

from autodiff_ref.trees import Entry, JsonObject

MISSING = frozenset(("", "?", "n/a", "na", "nan", "none", "null"))
"""What stands for a missing number, in small letters; and for missing text, but for "none", which is often a value."""
MOST_VALUES = 100
"""More different values than this in a column of text are no categories."""
TRUTHS = {"true": 1.0, "false": 0.0}
"""What a truth value is as a number, in small letters."""
MISSING_MODES = ("refuse", "drop", "mean")
CATEGORY_MODES = ("refuse", "one-hot")

Raw = Float[np.ndarray, " n"] | Sequence[str]
"""A column as it was read: numbers, NaN where one is missing, or text, "" where it is."""


@dataclass(frozen=True)
class Rows:
    """How messages number the rows of a table: from 1 on.

    Example:
        >>> Rows().place(0), Rows([2, 4], "the header").place(1)
        ('row 1', 'row 4')
    """

    numbers: Sequence[int] | None = None
    """Of the rows that there are, where these are not all from 1 on."""
    first: str = "the first example"
    """What row 1 is."""

    def place(self, k: int) -> str:
        """Where the k-th of the rows that there are stands, from 0."""
        return f"row {k + 1 if self.numbers is None else self.numbers[k]}"

    def kept(self, keep: Sequence[int]) -> "Rows":
        """The same, where only some of the rows are left."""
        return Rows([k + 1 if self.numbers is None else self.numbers[k] for k in keep], self.first)

    def __str__(self) -> str:
        return f"row 1 is {self.first}"


ROWS = Rows()
"""Of a table of which every row is an example."""


@dataclass(frozen=True)
class Column:
    """How a column becomes features."""

    name: str
    values: tuple[str, ...] | None = None
    """Of text: what it may be, a feature for each, which is 1 where it is so and 0 elsewhere."""
    fill: tuple[float, ...] | None = None
    """What each feature is where the value is missing: its mean; None where none may be missing."""

    @property
    def features(self) -> tuple[str, ...]:
        """Their names."""
        return (self.name,) if self.values is None else tuple(f"{self.name}={value}" for value in self.values)


@dataclass(frozen=True)
class Encoding:
    """How the columns of a table become features, in order."""

    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the columns."""
        return tuple(column.name for column in self.columns)

    @property
    def texts(self) -> frozenset[str]:
        """The names of the columns of text, which new examples are read as text in, whatever it looks like."""
        return frozenset(column.name for column in self.columns if column.values is not None)

    @property
    def features(self) -> tuple[str, ...]:
        """The names of all features."""
        return tuple(name for column in self.columns for name in column.features)

    @property
    def is_plain(self) -> bool:
        """Whether every column is one of numbers, without gaps."""
        return all(column.values is None and column.fill is None for column in self.columns)

    def to_json(self) -> list[JsonObject]:
        """For a model's file."""
        return [asdict(column) for column in self.columns]

    @classmethod
    def from_json(cls, columns: Sequence[Entry]) -> "Encoding":
        """What `to_json` has written.

        Raises:
            TypeError, ValueError, KeyError: it is damaged.
        """
        made: list[Column] = []
        for about in columns:
            values = None if about["values"] is None else tuple(str(value) for value in about["values"])
            fill = None if about["fill"] is None else tuple(float(number) for number in about["fill"])
            if not isinstance(about["name"], str) or (fill is not None and len(fill) != len(values or "1")):
                raise ValueError("its encoding does not fit together")
            made.append(Column(about["name"], values, fill))
        return cls(tuple(made))


def is_missing(cell: str) -> bool:
    """Whether a cell of a column of numbers holds none.

    Example:
        >>> is_missing(" NA "), is_missing("0")
        (True, False)
    """
    return cell.strip().lower() in MISSING


def text_of(cell: str) -> str:
    """What a cell of a column of text holds, "" where it is missing.

    Example:
        >>> text_of(" red "), text_of("NA"), text_of("none")
        ('red', '', 'none')
    """
    cell = cell.strip()
    return "" if is_missing(cell) and cell.lower() != "none" else cell


def spelled(value: object) -> str:
    """A value of a table of numbers as a cell of text.

    Example:
        >>> spelled(1234567.0), spelled(1.5), spelled(True)
        ('1234567', '1.5', 'True')
    """
    return f"{value:.0f}" if isinstance(value, float) and value.is_integer() else str(value)


def numbers_of(cells: Sequence[str], decimal: str = ".") -> Float[np.ndarray, " n"]:
    """A column of numbers, NaN where one is missing.

    Raises:
        ValueError: a cell holds text.

    Example:
        >>> numbers_of(["1,5", "", "2"], decimal=",").tolist()
        [1.5, nan, 2.0]
    """
    return np.array([np.nan if is_missing(cell) else number_of(cell, decimal) for cell in cells])


def number_of(cell: str, decimal: str = ".") -> float:
    """The number that a cell holds; True is 1 and False is 0, as in a Parquet file.

    Raises:
        ValueError: it holds none.

    Example:
        >>> number_of("1,5", decimal=","), number_of("TRUE"), number_of(" false")
        (1.5, 1.0, 0.0)
    """
    truth = TRUTHS.get(cell.strip().lower())
    return float(cell if decimal == "." else cell.replace(decimal, ".")) if truth is None else truth


def is_number(cell: str, decimal: str = ".") -> bool:
    """Whether a cell holds a number."""
    try:
        number_of(cell, decimal)
    except ValueError:
        return False
    return True


def encoded(
    name: str, raw: Mapping[str, Raw], rows: Rows, missing: str, categories: str
) -> tuple[Float[np.ndarray, "n d"], Bool[np.ndarray, " n"], Encoding]:
    """(features, which rows are kept, how it was done) of a table's columns.

    Args:
        name: the table's, for messages.
        raw: its columns.
        rows: how its rows are numbered.
        missing: "refuse", "drop" for rows with a missing value, or "mean" to fill them.
        categories: "refuse" or "one-hot", for columns of text.

    Raises:
        ValueError: there are missing values, text or infinities that are not to be, all of them named; or a column of text
            has too many values.
    """
    told = _Told(name, rows, _OF_TRAINING)
    columns: list[Column] = []
    parts: list[np.ndarray] = []
    for column, cells in raw.items():
        made, part = _fitted(column, cells, categories, told)
        columns.append(made)
        parts.append(part)
        if missing == "refuse":
            told.look_for_gaps(column, part)
    told.finish()
    x = np.concatenate(parts, axis=1)
    gaps = np.isnan(x)
    kept = np.ones(len(x), bool)
    if missing == "drop":
        kept = ~np.any(gaps, axis=1)
        if not kept.any():
            raise ValueError(f"{name}: every row has a missing value, so that `--missing drop` leaves none")
    elif gaps.any():
        names = Encoding(tuple(columns)).features
        empty = [names[k] for k in np.flatnonzero(np.all(gaps, axis=0))]
        if empty:
            raise ValueError(f"{name}: there is no value at all in {listed(empty)}: say `--leave-out COLUMN`")
        means = np.nanmean(x, axis=0)
        x = np.where(gaps, means, x)
        widths = np.cumsum([0, *(len(column.features) for column in columns)])
        columns = [
            Column(c.name, c.values, tuple(means[first:last].tolist()) if gaps[:, first:last].any() else None)
            for c, first, last in zip(columns, widths[:-1], widths[1:], strict=True)
        ]
    return x[kept], kept, Encoding(tuple(columns))


def encoded_again(name: str, raw: Mapping[str, Raw], rows: Rows, encoding: Encoding) -> Float[np.ndarray, "n d"]:
    """The features of new examples, by an encoding that was made of others.

    Raises:
        ValueError: a value is missing or of a kind that was not there; all of them named.
    """
    told = _Told(name, rows, _OF_NEW_EXAMPLES)
    parts: list[np.ndarray] = []
    for column in encoding.columns:
        part = _applied(column, raw[column.name], told)
        if column.fill is None:
            told.look_for_gaps(column.name, part)
        else:
            part = np.where(np.isnan(part), column.fill, part)
        parts.append(part)
    told.finish()
    return np.concatenate(parts, axis=1)


def _fitted(name: str, cells: Raw, categories: str, told: "_Told") -> tuple[Column, np.ndarray]:
    """A column as features, NaN where a value is missing."""
    if isinstance(cells, np.ndarray):
        told.look_for_infinities(name, cells)
        return Column(name), cells[:, None]
    values = tuple(sorted({cell for cell in cells if cell}))
    if categories == "refuse":
        told.look_at_text(name, cells)
        return Column(name), np.zeros((len(cells), 1))
    if len(values) > MOST_VALUES:
        told.many.append(f"{name!r} ({len(values):,} values)")
        return Column(name), np.zeros((len(cells), 1))
    column = Column(name, values)
    return column, _one_hot(column, cells)


def _applied(column: Column, cells: Raw, told: "_Told") -> np.ndarray:
    if column.values is None:
        if isinstance(cells, np.ndarray):
            told.look_for_infinities(column.name, cells)
            return cells[:, None]
        told.look_at_text(column.name, cells)
        return np.zeros((len(cells), 1))
    if isinstance(cells, np.ndarray):
        cells = ["" if np.isnan(number) else spelled(float(number)) for number in cells]
    for row, cell in enumerate(cells):
        if cell and cell not in column.values:
            told.unseen.append(f"{column.name!r} ({told.rows.place(row)} holds {cell!r})")
            break
    return _one_hot(column, cells)


def _one_hot(column: Column, cells: Sequence[str]) -> Float[np.ndarray, "n k"]:
    values = column.values or ()
    place = {value: k for k, value in enumerate(values)}
    part = np.zeros((len(cells), len(values)))
    for row, cell in enumerate(cells):
        if cell in place:
            part[row, place[cell]] = 1
        elif not cell:
            part[row] = np.nan
    return part


_OF_TRAINING = (
    "values are missing in {}: fill them, or say `--missing drop` or `--missing mean`",
    "columns that are not numeric: {}: encode them, or say `--leave-out COLUMN` or `--categories one-hot`",
)
_OF_NEW_EXAMPLES = (
    "values are missing in {}: fill them, since no value was missing there in training",
    "columns that are not numeric: {}: they were in training",
)


class _Told:
    """What is wrong with a table, all of it, to be said in one line. `advice`: on gaps, and on text."""

    def __init__(self, name: str, rows: Rows, advice: tuple[str, str]) -> None:
        self.name, self.rows, self.advice = name, rows, advice
        self.gaps, self.text, self.many, self.unseen, self.infinite = ([] for _ in range(5))

    gaps: list[str]
    text: list[str]
    many: list[str]
    unseen: list[str]
    infinite: list[str]

    def look_at_text(self, name: str, cells: Sequence[str]) -> None:
        """Takes down the first cell of a column that is no number."""
        there = [row for row, cell in enumerate(cells) if cell]
        row = next((row for row in there if not is_number(cells[row])), there[0] if there else 0)
        cell = cells[row][:40]
        decimal = ": a decimal comma? Say `--decimal ,`" if "," in cell and is_number(cell, ",") else ""
        self.text.append(f"{name!r} ({self.rows.place(row)} holds {cell!r}{decimal})")

    def look_for_gaps(self, name: str, part: np.ndarray) -> None:
        """Takes down how many values of a column are missing."""
        missing = np.isnan(part).any(axis=1)
        if missing.any():
            count = int(missing.sum())
            first = self.rows.place(int(np.argmax(missing)))
            self.gaps.append(f"{name!r} ({first})" if count == 1 else f"{name!r} ({count:,} times, first in {first})")

    def look_for_infinities(self, name: str, part: np.ndarray) -> None:
        """Takes down the first infinity of a column."""
        bad = np.isinf(part)
        if bad.any():
            self.infinite.append(f"{name!r} ({self.rows.place(int(np.argmax(bad)))})")

    def finish(self) -> None:
        """Raises ValueError where anything was taken down."""
        said = [
            (self.gaps, self.advice[0]),
            (self.text, self.advice[1]),
            (self.many, f"columns of text with more than {MOST_VALUES} values: {{}}: say `--leave-out COLUMN`"),
            (self.unseen, "values that training has not seen: {}"),
            (self.infinite, "infinities in {}: drop or fill such rows first"),
        ]
        wrong = [text.format(listed(names)) for names, text in said if names]
        if wrong:
            placed = [str(self.rows)] * bool(self.gaps or self.text or self.unseen or self.infinite)
            raise ValueError(f"{self.name}: {'; '.join([*wrong, *placed])}")


def listed(names: Sequence[str], most: int = 20) -> str:
    """Names for a message, with how many there are where these are many.

    Example:
        >>> listed("abcd", 3), listed([])
        ('a, b, c, … (4 in all)', 'none')
    """
    return ", ".join(names[:most]) + (f", … ({len(names)} in all)" if len(names) > most else "") or "none"
