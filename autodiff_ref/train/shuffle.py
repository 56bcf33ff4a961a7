"""The order of the examples, epoch by epoch, at about the cost of training on them.

A fresh permutation of 100,000 examples of 30 features takes 4 ms beyond the 1.8 ms of the epoch that it serves: 1 to draw
it, the rest to move three million numbers one by one. NumPy moves 16 bytes as fast as 4, so `groups` moves groups of
neighbours, in 1.4 ms alone and 1.7 next to the epoch. Who shares a group is drawn anew every `REGROUP` epochs. Segments of
8,192 to 51,200 examples were slower than one of all 100,000 (6.8 to 3.5 ms an epoch against 3.3): each costs a dispatch.
"""

import mmap
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

INITIAL, SPLIT, ORDER = 0, 1, 2
"""What a seed is used for: initial weights, the validation share, the order of the examples. Each draws its own numbers."""
MODES = ("auto", "examples", "groups", "none")
REGROUP = 16
"""Epochs between two draws of the groups: 6 ms shared by 16 epochs add a sixth to the time of one."""
SMALL = 16_384
"""Up to so many examples "auto" means "examples": an epoch is then so short that no one waits for its shuffling."""
GROUP_BYTES = 16
LARGE = 1 << 21
"""The size of a huge page."""
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
    """An empty table that begins at a multiple of 64 bytes, where JAX takes it as it is, without a copy.

    A large one lies in fresh pages, huge ones where the system has them: in recycled small pages a shuffle takes twice as
    long, 3.0 against 1.5 ms for 100,000 examples of 30 features, since every look-up of an address misses.
    """
    size = rows * n * dtype.itemsize
    if size < LARGE:
        raw = np.empty(size + 64, np.uint8)
        first = -raw.ctypes.data % 64
        return raw[first : first + size].view(dtype).reshape(rows, n)
    pages = mmap.mmap(-1, size)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        pages.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(pages, dtype).reshape(rows, n)


class Segment(NamedTuple):
    """Some examples in the order they are to be trained on."""

    table: Table
    """(rows, ≥ size)"""
    size: int
    """How many columns of it are examples; what lies beyond them is padding."""


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
                row[: self.n] = row[order]
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
            np.take(self.table, order[first:last], axis=1, out=out, mode="clip")
        else:
            groups = order[first // self.group : last // self.group]
            sixteen = np.complex128  # as a carrier of 16 bytes: nothing is computed with it
            np.take(self.table.view(sixteen), groups, axis=1, out=out.view(sixteen)[:, : len(groups)], mode="clip")
            rest = last % self.group  # the examples of the last, partial group stay last until groups are drawn anew
            if rest:
                out[:, width - self.group :] = self.table[:, -self.group :]
        return Segment(out, last - first)
