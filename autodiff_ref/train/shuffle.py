"""The order of the examples, epoch by epoch, worked out by other threads while the epoch before is trained on.

A fresh permutation of 100,000 examples of 30 features takes 4.2 ms of processor time beside the 2.0 ms of the epoch that it
serves: 1 to draw it, the rest to move three million numbers one by one. NumPy moves 16 bytes as fast as 4, so `groups` moves
groups of neighbours, in 2.1 ms. Who shares a group is drawn anew every `REGROUP` epochs. NumPy draws and moves outside
Python's lock, and so does XLA train, so that the two share the processors. Segments of 12,800 to 51,200 examples were slower
than one of all 100,000 (12 to 6.3 ms of processor time an epoch against 5.1): each reads every row from end to end.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import NamedTuple, TypeVar

import numpy as np
from jaxtyping import Float

from autodiff_ref.train.kernels import threads

T = TypeVar("T")

INITIAL, SPLIT, ORDER = 0, 1, 2
"""What a seed is used for: initial weights, the validation share, the order of the examples. Each draws its own numbers."""
MODES = ("auto", "examples", "groups", "none")
REGROUP = 16
"""Epochs between two draws of the groups: 4 ms shared by 16 epochs add an eighth to the time of one."""
SMALL = 16_384
"""Up to so many examples "auto" means "examples": an epoch is then so short that no one waits for its shuffling."""
GROUP_BYTES = 16
LARGE = 1 << 20
"""Segments of so many bytes and more are put in order by several threads."""
LINE = 64
"""The bytes of a cache line."""
STREAM = 1 << 22
"""Rows of up to so many bytes are read in order before they are gathered from. 100,000 examples of 30 features, float32,
with and without: examples 3.0 and 5.3 ms, groups 1.5 and 4.0; rows of 4 MB: 3.5 and 6.2; but rows of 16 MB: 11 and 7.6."""
SEGMENT = 131_072
"""Examples put in order at a time, at most: what bounds the memory for it. About 16 MB for 30 features in float32."""

Table = Float[np.ndarray, "rows n"]


def mode_of(shuffle: str, n: int) -> str:
    """The mode that "auto" stands for at n examples; the mode itself otherwise."""
    if shuffle not in MODES:
        raise ValueError(f"shuffle must be one of {', '.join(MODES)}, got {shuffle!r}")
    if shuffle == "auto":
        return "examples" if n <= SMALL else "groups"
    return shuffle


def aligned(rows: int, n: int, dtype: np.dtype) -> Table:
    """An empty table that begins at a multiple of 64 bytes, where JAX takes it as it is, without a copy."""
    size = rows * n * dtype.itemsize
    raw = np.empty(size + LINE, np.uint8)
    first = -raw.ctypes.data % LINE
    return raw[first : first + size].view(dtype).reshape(rows, n)


class Segment(NamedTuple):
    """Some examples in the order they are to be trained on."""

    table: Table
    """(rows, ≥ size)"""
    size: int
    """How many columns of it are examples; what lies beyond them is padding."""
    last: bool
    """Whether it is the last of its epoch."""


def one_ahead(items: Iterator[T]) -> Iterator[T]:
    """The items of an iterator, each worked out by a thread of its own while the one before it is in use."""
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(lambda: list(islice(items, 1)))
        while item := following.result():
            following = pool.submit(lambda: list(islice(items, 1)))
            yield item[0]


class Shuffler:
    """Puts the columns of a table in a new order for every epoch, segment by segment.

    Args:
        table: (rows, n), one example a column.
        batch: examples a batch; a segment is a whole number of batches, so that batches are the same at any segment size.
        seed: the order is a function of the seed and the epoch's number.
        mode: "examples" for a fresh permutation of all examples an epoch, "groups" for one of groups of neighbours (4 in
            float32, 2 in float64) that are drawn anew every `REGROUP` epochs, "none" for the order as it is.
        segment: about how many examples to put in order at a time.
    """

    def __init__(self, table: Table, batch: int, seed: int, mode: str, segment: int = SEGMENT) -> None:
        self.rows, self.n = table.shape
        self.mode = mode_of(mode, self.n)
        self.seed = seed
        self.group = GROUP_BYTES // table.dtype.itemsize if self.mode == "groups" else 1
        unit = batch * self.group
        self.size = min(self.n, max(1, segment // unit) * unit)
        # one feature after the other, or a gather takes three times as long; in groups, every row begins at one
        self.table = np.ascontiguousarray(table)
        if self.mode == "groups":
            self.table = aligned(self.rows, self._padded(self.n), table.dtype)
            self.table[:, : self.n] = table
            self.table[:, self.n :] = 0
        self._buffers = [aligned(1, self.rows * self._padded(self.size), table.dtype)[0] for _ in range(2)]
        self._turn = 0
        self._pool = ThreadPoolExecutor(threads())

    def _padded(self, n: int) -> int:
        return n + -n % self.group

    def epoch(self, number: int) -> Iterator[Segment]:
        """The segments of one epoch, in order. Epochs are to be asked for in turn.

        A segment's memory is used again for the one after next: whatever is computed from a segment must be complete
        before the second one after it is asked for.
        """
        random = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(ORDER, number)))
        if self.mode == "groups" and number % REGROUP == 0:
            order = random.permutation(self.n)
            for row in self.table:
                row[: self.n] = row[: self.n][order]
        order = random.permutation(self.n // self.group) if self.mode != "none" else np.arange(self.n)
        for first in range(0, self.n, self.size):
            yield self._segment(order, first, min(self.n, first + self.size))

    def _segment(self, order: np.ndarray, first: int, last: int) -> Segment:
        self._turn = 1 - self._turn
        width = self._padded(last - first)
        out = self._buffers[self._turn][: self.rows * width].reshape(self.rows, width)
        if self.mode == "none":
            out[:] = self.table[:, first:last]
        elif self.mode == "examples":
            self._gather(self.table, order[first:last], out)
        else:
            groups = order[first // self.group : last // self.group]
            sixteen = np.complex128  # as a carrier of 16 bytes: nothing is computed with it
            self._gather(self.table.view(sixteen), groups, out.view(sixteen)[:, : len(groups)])
            rest = last % self.group  # the examples of the last, partial group stay last until groups are drawn anew
            if rest:
                out[:, width - self.group :] = self.table[:, -self.group :]
        return Segment(out, last - first, last == self.n)

    def _gather(self, table: Table, order: np.ndarray, out: Table) -> None:
        """out ← table[:, order], the rows shared among threads: NumPy works outside Python's lock.

        A row is read once in order before it is read at random, so that its cache lines come in a stream, not one miss each.
        """
        lines = slice(None, None, max(1, LINE // table.dtype.itemsize))

        def rows(first: int, last: int) -> None:
            for source, target in zip(table[first:last], out[first:last], strict=True):
                if source.nbytes <= STREAM:
                    source[lines].max()
                np.take(source, order, out=target, mode="clip")

        workers = threads() if out.nbytes >= LARGE else 1
        bounds = [len(table) * k // workers for k in range(workers + 1)]
        if workers == 1:
            rows(0, len(table))
        else:
            list(self._pool.map(rows, bounds[:-1], bounds[1:]))
