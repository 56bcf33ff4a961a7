"""What `fit` is given, made ready to be trained on: the whole of it in one table, or read again for every epoch."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol
from zlib import crc32

import jax
import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

from autodiff_ref.train.arguments import checked_weights, split
from autodiff_ref.train.capacity import least
from autodiff_ref.train.kernels import Form, Layers, accelerated, block_of, mean_over
from autodiff_ref.train.members import require_memory
from autodiff_ref.train.moments import Scaling
from autodiff_ref.train.prepare import (
    as_matrix,
    classes_of,
    moments_of,
    require_finite_rows,
    table_of,
    targets_of,
)
from autodiff_ref.train.settings import Settings
from autodiff_ref.train.shuffle import OnAccelerator, Segment, Shuffler


class Passes(Protocol):
    """Examples epoch by epoch, as `autodiff_ref.train.shuffle.Shuffler` has them."""

    def epoch(self, number: int) -> Iterator[Segment]:
        """The segments of one epoch, in the order to train on."""
        ...


class Examples(Protocol):
    """Examples to train on, or held out, standardised."""

    @property
    def n(self) -> int:
        """How many there are."""
        ...

    def passes(self, batch: int, seed: int, shuffle: str, first: int, *, here: bool) -> Passes:
        """The epochs from `first` on, in batches

        `here` says that they are for this process's first device, and that nothing else will be asked for: then the table
        may be overwritten, or kept in the memory of that device.
        """
        ...

    def mean_ll(self, layers: Layers, form: Form) -> float:
        """Log-likelihood an example, in nats."""
        ...

    def checksum(self) -> int:
        """A number that other examples would not have."""
        ...


@dataclass(frozen=True)
class Whole:
    """Examples in one table."""

    table: Float[np.ndarray, "rows room"]
    n: int
    """How many of the table's columns are examples: the first ones."""

    @cached_property
    def placed(self) -> jax.Array:
        """The table where JAX computes."""
        return jax.device_put(self.table)

    def passes(self, batch: int, seed: int, shuffle: str, first: int, *, here: bool) -> Passes:
        """The epochs from `first` on, in batches."""
        if here and accelerated():
            return OnAccelerator(self.table, batch, seed, shuffle, n=self.n, first=first)
        return Shuffler(self.table, batch, seed, shuffle, overwrite=here, n=self.n, first=first)

    def mean_ll(self, layers: Layers, form: Form) -> float:
        """Log-likelihood an example, in nats."""
        return float(mean_over(layers, self.placed, self.n, form=form, block=block_of(layers, self.table, least(self.n))))

    def checksum(self) -> int:
        """Of all numbers, row by row."""
        return checksum_of(*(row[: self.n] for row in self.table))


def checksum_of(*arrays: np.ndarray | None) -> int:
    """Of the bytes of arrays."""
    total = 0
    for array in arrays:
        total = crc32(np.ascontiguousarray(array).tobytes(), total)
    return total


class Prepared(NamedTuple):
    """Examples as training takes them."""

    training: Examples
    held_out: Examples | None
    rows_held_out: Int[np.ndarray, " m"] | None
    scaling: Scaling
    constant: list[int]
    """Columns with one value in all training examples, up to rounding."""
    total_weight: float
    """The sum of the weights of training examples, or their number."""
    target: Scaling | None = None
    """Mean and deviation of the numbers to be predicted; None for classes."""


class InMemory:
    """Arrays that were given to `fit`.

    Args and raises as `fit` has them for x, y, example_weights and output.
    """

    def __init__(self, x: object, y: object, example_weights: ArrayLike | None, output: str) -> None:
        self.x = as_matrix(x)
        n, self.d = self.x.shape
        self.classes: np.ndarray | None = None
        if output == "classes":
            self.y, self.classes = classes_of(y, n)
        else:
            self.y = targets_of(y, n)
        self.c = checked_weights(example_weights, n)

    def prepared(self, settings: Settings, names: tuple[str, ...] | None) -> Prepared:
        """Standardised, divided, in tables."""
        x, c, dtype = self.x, self.c, np.dtype(settings.dtype)
        training, held_out = split(self.y, c, settings.validation, settings.seed, classes=self.classes is not None)
        require_finite_rows(x, names)
        moments = moments_of(x, training, c)
        scaling = moments.scaling(settings.standardise, names)
        y, target = self.y, None
        if self.classes is None:
            target = moments_of(self.y[:, None], training, c).scaling(settings.standardise, ["y"])
            y = (self.y - target.mean[0]) / target.scale[0]

        def whole(rows: np.ndarray | None) -> Whole:
            return Whole(table_of(x, y, c, rows, scaling, dtype, names), len(x) if rows is None else len(rows))

        require_memory(len(x) * (self.d + 1 + (c is not None)) * dtype.itemsize)
        ours = whole(training)
        total = ours.n if c is None else float((c if training is None else c[training]).sum())
        apart = None if held_out is None else whole(held_out)
        return Prepared(ours, apart, held_out, scaling, moments.constant(), total, target)
