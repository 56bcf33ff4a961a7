"""The mean and deviation of columns, in one pass over examples, whatever the unit of a column is. NumPy alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from autodiff_ref.train.encoding import ROWS

LARGEST = 1022
"""Numbers below 2^1022 have differences below 2^1023, which are finite."""


def wrong_in(column: int, names: Sequence[str] | None, what: str, row: int | None = None) -> ValueError:
    """What is said of a column of x, or of its entry in a row: by its name where it has one.

    Example:
        >>> str(wrong_in(1, None, "is nan", row=0)), str(wrong_in(1, ["age", "height"], "is nan", row=0))
        ('x[0, 1] is nan', "row 1, 'height' is nan; row 1 is the first example")
        >>> str(wrong_in(1, None, "is too large")), str(wrong_in(1, ["age", "height"], "is too large"))
        ('x[:, 1] is too large', "'height' is too large")
    """
    if names is None:
        return ValueError(f"x[{':' if row is None else row}, {column}] {what}")
    if row is None:
        return ValueError(f"{names[column]!r} {what}")
    return ValueError(f"{ROWS.place(row)}, {names[column]!r} {what}; {ROWS}")


class Scaling(NamedTuple):
    """(x − mean) / scale, column by column."""

    mean: Float[np.ndarray, " d"]
    scale: Float[np.ndarray, " d"]


@dataclass
class Moments:
    """Sums over the columns of examples, merged part by part (Chan, Golub and LeVeque 1983), in units 2^e of each column."""

    count: float
    mean: np.ndarray
    squares: np.ndarray
    """Σ c (x − mean)²"""
    low: np.ndarray
    high: np.ndarray
    exponents: np.ndarray
    """The e"""
    n: int = 0

    @classmethod
    def none_yet(cls, d: int) -> "Moments":
        """Of no examples"""
        zeros = np.zeros(d)
        return cls(0.0, zeros, zeros, np.full(d, np.inf), np.full(d, -np.inf), np.zeros(d, int))

    def add(self, x: Float[np.ndarray, "m d"], c: Float[np.ndarray, " m"] | None) -> None:
        """Takes further examples in; each counts as often as its weight says, as it does in the log-likelihood."""
        self.n += len(x)
        if c is not None:
            x, c = x[c > 0], c[c > 0].astype(np.float64)[:, None]
        if not len(x):
            return

        def summed(values: np.ndarray) -> np.ndarray:
            return (values if c is None else values * c).sum(axis=0)

        self.low, self.high = np.minimum(self.low, x.min(axis=0)), np.maximum(self.high, x.max(axis=0))
        self._take_units(exponents_of(np.maximum(np.abs(self.low), np.abs(self.high))))
        x = np.ldexp(x, -self.exponents) if self.exponents.any() else x
        total = float(len(x) if c is None else c.sum())
        mean = summed(x) / total
        apart = mean - self.mean
        both = self.count + total
        self.squares = self.squares + summed((x - mean) ** 2) + apart**2 * (self.count * total / both)
        self.mean = self.mean + apart * (total / both)
        self.count = both

    def _take_units(self, exponents: np.ndarray) -> None:
        """Has what was summed so far in these units."""
        if (exponents != self.exponents).any():
            smaller = self.exponents - exponents
            self.mean, self.squares = np.ldexp(self.mean, smaller), np.ldexp(self.squares, 2 * smaller)
            self.exponents = exponents

    def scaling(self, standardise: bool, names: Sequence[str] | None = None) -> Scaling:
        """Mean and standard deviation. A column of one value is centred and not scaled; rounding is scaled to nothing.

        `names`: what messages call the columns.

        Raises:
            ValueError: numbers less their mean are beyond float64.
        """
        if not standardise:
            return Scaling(np.zeros(len(self.mean)), np.ones(len(self.mean)))
        if (self.exponents > LARGEST).any():
            what = "is too large to standardise in float64: divide it by 1e10, say, first"
            raise wrong_in(int(np.argmax(self.exponents > LARGEST)), names, what)
        one_value, rounding, deviation = self._kinds()
        mean = np.where(self.low == self.high, self.low, np.ldexp(self.mean, self.exponents))
        return Scaling(mean, np.where(one_value, 1.0, np.where(rounding, np.abs(mean), deviation)))

    def constant(self) -> list[int]:
        """Columns with one value, up to rounding."""
        one_value, rounding, _ = self._kinds()
        return [int(k) for k in np.flatnonzero(one_value | rounding)]

    def _kinds(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Which columns have one value; which vary by no more than the rounding of their mean; and all deviations."""
        deviation = np.sqrt(self.squares / self.count)
        rounding = deviation <= 8 * np.finfo(np.float64).eps * np.abs(self.mean)
        with np.errstate(over="ignore"):
            deviation = np.ldexp(deviation, self.exponents)
        return (self.low == self.high) | (deviation < np.finfo(np.float64).tiny), rounding, deviation


def exponents_of(largest: Float[np.ndarray, " d"]) -> Int[np.ndarray, " d"]:
    """The e of units 2^e in which squares of such numbers neither overflow nor vanish; 0 where they do not as they are

    Example:
        >>> exponents_of(np.array([0.0, 3.0, 2.0**999, 2.0**-1000])).tolist()
        [0, 0, 1000, -999]
    """
    exponents = np.frexp(largest)[1]
    return np.where(np.abs(exponents) > 400, exponents, 0)
