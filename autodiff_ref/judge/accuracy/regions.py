"""Regions of numbers in which a line's error is beyond a level, with ends refined by bisection."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from autodiff_ref.judge.accuracy.ulps import LOST
from autodiff_ref.trees import JsonObject
from manual_grad.domains.grids import short

LEVELS = ("lost", "no digit", "nan")
"""Errors beyond 2^10 ulps; of 2^(p−1) and more, half of the value; NaN, or an infinity where the truth is finite.

What is beyond one of them is beyond those before it.
"""

BISECTIONS = 8
"""An end is refined to 2^-8 of a step of the grid: three digits are shown."""

CLUSTER = (0.0, -(2.0**-13), 2.0**-13)
"""At an end the worst of three numbers this close together counts: between large errors there are small ones by luck."""

Errors = Mapping[tuple[str, float], float | None]
"""By a line's label and a number: ulps; NaN; or None where there is nothing to say."""

Measure = Callable[[Mapping[str, Sequence[float]]], None]
"""Fills in the errors of lines at numbers."""


@dataclass(frozen=True)
class Region:
    """Numbers from `low` to `high`; None where the path ends within the region."""

    low: float | None
    high: float | None

    def __str__(self) -> str:
        low, high = (None if end is None else f"{end:.3g}".replace("-", "−") for end in (self.low, self.high))
        if low is None:
            return "everywhere" if high is None else f"≤ {high}"
        return f"≥ {low}" if high is None else f"{low} … {high}"

    def of(self, symbol: str) -> str:
        """As a condition on a number: 7.32 ≤ z ≤ 708."""
        if self.low is None and self.high is None:
            return f"{symbol} is any number"
        if self.low is None or self.high is None:
            return f"{symbol} {self}"
        low, high = str(self).split(" … ")
        return f"{symbol} ≈ {low}" if low == high else f"{low} ≤ {symbol} ≤ {high}"

    def to_dict(self) -> JsonObject:
        """As JSON."""
        return {"from": self.low, "to": self.high}


def is_beyond(level: str, error: float | None, dtype: str) -> bool:
    """Whether an error is beyond a level."""
    if error is None or math.isnan(error):
        return error is not None
    return {"lost": error > LOST, "no digit": error >= 2.0 ** np.finfo(dtype).nmant, "nan": False}[level]


@dataclass
class _End:
    """An end of a region: between `inside` and `outside`."""

    label: str
    level: str
    inside: float
    outside: float

    @property
    def middle(self) -> float:
        """The number halfway between both sides, shortened."""
        return short((self.inside + self.outside) / 2)


def find_regions(
    labels: Sequence[str], grid: Sequence[float], errors: Errors, measure: Measure, dtype: str
) -> dict[str, dict[str, list[Region]]]:
    """By label and level, the regions along a grid whose errors are known already."""
    raw = {
        (label, level): list(_runs([is_beyond(level, errors[label, value], dtype) for value in grid]))
        for label in labels
        for level in LEVELS
    }
    ends: dict[tuple[str, str, int, bool], _End] = {}
    for (label, level), runs in raw.items():
        for first, last in runs:
            if first > 0:
                ends[label, level, first, False] = _End(label, level, grid[first], grid[first - 1])
            if last < len(grid) - 1:
                ends[label, level, last, True] = _End(label, level, grid[last], grid[last + 1])
    for _ in range(BISECTIONS):
        _halve(list(ends.values()), errors, measure, dtype)

    def end(label: str, level: str, k: int, above: bool) -> float | None:
        found = ends.get((label, level, k, above))
        return None if found is None else found.inside

    found: dict[str, dict[str, list[Region]]] = {label: {} for label in labels}
    for (label, level), runs in raw.items():
        found[label][level] = [Region(end(label, level, a, False), end(label, level, b, True)) for a, b in runs]
    return found


def _runs(beyond: list[bool]) -> Iterator[tuple[int, int]]:
    """First and last places of each run; one place outside between two inside is luck, and bridged."""
    bridged = [is_in or (0 < k < len(beyond) - 1 and beyond[k - 1] and beyond[k + 1]) for k, is_in in enumerate(beyond)]
    start: int | None = None
    for k, is_in in enumerate([*bridged, False]):
        if is_in and start is None:
            start = k
        elif not is_in and start is not None:
            yield start, k - 1
            start = None


def _halve(ends: list[_End], errors: Errors, measure: Measure, dtype: str) -> None:
    """Moves one side of every end to its middle."""
    wanted: dict[str, list[float]] = {}
    for end in ends:
        wanted.setdefault(end.label, []).extend(_near(end.middle))
    measure(wanted)
    for end in ends:
        if any(is_beyond(end.level, errors[end.label, value], dtype) for value in _near(end.middle)):
            end.inside = end.middle
        else:
            end.outside = end.middle


def _near(value: float) -> list[float]:
    return list(dict.fromkeys(short(value * (1 + shift)) for shift in CLUSTER))
