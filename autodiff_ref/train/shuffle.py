"""The order of the examples, epoch by epoch, worked out by other threads while the epoch before is trained on.

A fresh permutation of all examples takes longer than the epoch that it serves, where the net is small: every number of the
table is moved by itself. `batches` pays for that once in `REDEAL` epochs: then all examples are dealt into new batches, and
the epochs between take the same batches in a new order, which costs next to nothing. NumPy draws and moves outside Python's
lock, and so does XLA train, so that the two share the processors.

`benchmarks/shuffling.py` measures what the constants below are chosen by.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from autodiff_ref.train.kernels import threads

T = TypeVar("T")

INITIAL, SPLIT, ORDER = 0, 1, 2
"""What a seed is used for: initial weights, the validation share, the order of the examples. Each draws its own numbers."""
MODES = ("auto", "examples", "batches", "none")
REDEAL = 8
"""Epochs between two deals of all examples into batches. A deal takes as long as about two epochs of a small net."""
SMALL = 16_384
"""Up to so many examples "auto" means "examples": an epoch is then so short that no one waits for its shuffling."""
PAGE = 4_096
"""Batches that stand in one page of a row, of so many bytes, stay side by side: an epoch that jumps from batch to batch is
slower, in runs of a page it is about as fast as in the order they stand in."""
RUNS = 16
"""At least so many runs, which makes them shorter where there are few batches."""
LARGE = 1 << 20
"""Segments of so many bytes and more are put in order by several threads."""
LINE = 64
"""The bytes of a cache line."""
STREAM = 1 << 22
"""Rows of up to so many bytes are read in order before they are gathered from, which is faster as long as they stay in the
caches, and slower where they do not."""
SEGMENT = 131_072
"""What "examples" permutes at a time, at most, which bounds the memory for it. Fewer at a time are slower: each segment
reads every row from end to end."""

Table = Float[np.ndarray, "rows n"]


def mode_of(shuffle: str, n: int) -> str:
    """The mode that "auto" stands for at n examples; the mode itself otherwise."""
    if shuffle not in MODES:
        raise ValueError(f"shuffle must be one of {', '.join(MODES)}, got {shuffle!r}")
    if shuffle == "auto":
        return "examples" if n <= SMALL else "batches"
    return shuffle


def aligned(rows: int, n: int, dtype: np.dtype) -> Table:
    """An empty table that begins at a multiple of 64 bytes, where JAX takes it as it is, without a copy."""
    size = rows * n * dtype.itemsize
    raw = np.empty(size + LINE, np.uint8)
    first = -raw.ctypes.data % LINE
    return raw[first : first + size].view(dtype).reshape(rows, n)


class Segment(NamedTuple):
    """Some examples, and the order they are to be trained on."""

    table: Any
    """(rows, room), one example a column, the first n columns; NumPy's, or of `OnAccelerator` JAX's."""
    n: int
    """How many examples there are."""
    order: Int[np.ndarray, " batches"] | None
    """The whole batches' order; None for the order they stand in."""
    last: bool
    """Whether it is the last of its epoch."""


def one_ahead(items: Iterator[T]) -> Iterator[T]:
    """The items of an iterator, each worked out by a thread of its own while the one before it is in use."""
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(lambda: list(islice(items, 1)))
        while item := following.result():
            following = pool.submit(lambda: list(islice(items, 1)))
            yield item[0]


class Orders(NamedTuple):
    """What is drawn for each epoch: a function of the seed and the epoch's number alone."""

    n: int
    batch: int
    seed: int
    itemsize: int
    """Of a number in the table."""

    def random(self, number: int) -> np.random.Generator:
        """What an epoch draws from."""
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(ORDER, number)))

    def dealt_before(self, first: int) -> Int[np.ndarray, " n"]:
        """Where the deals before an epoch have put the examples: each deal shuffles what the one before it has left."""
        order = np.arange(self.n)
        for number in range(0, first, REDEAL):
            order = order[self.random(number).permutation(self.n)]
        return order

    def of_batches(self, random: np.random.Generator) -> Int[np.ndarray, " batches"]:
        """The whole batches in runs as they stand, the runs in a random order."""
        whole = self.n // self.batch
        run = max(1, min(PAGE // (self.batch * self.itemsize), whole // RUNS))
        starts = run * random.permutation(-(-whole // run))
        order = (starts[:, None] + np.arange(run)).ravel()
        return order[order < whole].astype(np.int32)


class _Epochs:
    """Asks for the examples in the order of each epoch; where they are, and how they are moved, is what a class adds."""

    mode: str
    n: int
    _orders: Orders
    _table: Any

    def epoch(self, number: int) -> Iterator[Segment]:
        """The segments of one epoch, in order. Epochs are to be asked for in turn, from `first` on.

        A segment's memory is used again for the one after next: whatever is computed from a segment must be complete
        before the second one after it is asked for.
        """
        random = self._orders.random(number)
        if self.mode == "examples":
            yield from self._permuted(random.permutation(self.n))
            return
        if self.mode == "batches" and number % REDEAL == 0:
            self._deal(random.permutation(self.n))
        yield Segment(self._table, self.n, self._orders.of_batches(random) if self.mode == "batches" else None, True)

    def _permuted(self, order: np.ndarray) -> Iterator[Segment]:
        """The examples in this order."""
        raise NotImplementedError

    def _deal(self, order: np.ndarray) -> None:
        """All examples in a new order, from now on."""
        raise NotImplementedError


class Shuffler(_Epochs):
    """Puts the columns of a table in a new order for every epoch.

    Args:
        table: (rows, n), one example a column.
        batch: examples a batch; a segment is a whole number of batches, so that batches are the same at any segment size.
        seed: the order is a function of the seed and the epoch's number.
        mode: "examples" for a fresh permutation of all examples an epoch, segment by segment; "batches" for a fresh order
            of the batches, in runs of a few, into which all examples are dealt anew every `REDEAL` epochs; "none" for the
            order as it is; "auto" for one of the first two, by n.
        segment: about how many examples to permute at a time.
        overwrite: whether `table` may be written to, which saves "batches" a copy of it.
        n: how many of the table's columns are examples, the first ones; by default all.
        first: the number of the first epoch that will be asked for: 0, or where a training goes on.
    """

    def __init__(
        self,
        table: Table,
        batch: int,
        seed: int,
        mode: str,
        *,
        segment: int = SEGMENT,
        overwrite: bool = False,
        n: int | None = None,
        first: int = 0,
    ) -> None:
        self.rows, width = table.shape
        self.n = width if n is None else n
        self.batch = batch
        self.mode = mode_of(mode, self.n)
        self._orders = Orders(self.n, batch, seed, table.dtype.itemsize)
        self._own = overwrite
        # one feature after the other, or a gather takes three times as long
        self._table = np.ascontiguousarray(table)
        self._size = self.n if self.mode == "batches" else max(1, segment // batch) * batch
        self._room = min(width, self._size) if self.mode == "examples" else width
        self._spare = [] if self.mode == "none" else [self._empty()]
        if self.mode == "examples":
            self._spare.append(self._empty())
        self._pool = ThreadPoolExecutor(threads())
        if self.mode == "batches" and first:
            self._deal(self._orders.dealt_before(first))

    def _empty(self) -> Table:
        return aligned(self.rows, self._room, self._table.dtype)

    def _permuted(self, order: np.ndarray) -> Iterator[Segment]:
        for first in range(0, self.n, self._size):
            last = min(self.n, first + self._size)
            out = self._spare.pop(0)
            self._spare.append(out)
            self._gather(self._table, order[first:last], out)
            yield Segment(out, last - first, None, last == self.n)

    def _deal(self, order: np.ndarray) -> None:
        """All examples in a new order, in memory that the epoch before does not use."""
        dealt = self._spare.pop() if self._spare else self._empty()
        self._gather(self._table, order, dealt)
        if self._own:
            self._spare.append(self._table)
        self._table, self._own = dealt, True

    def _gather(self, table: Table, order: np.ndarray, out: Table) -> None:
        """The first columns of out ← table[:, order], the rows shared among threads: NumPy works outside Python's lock.

        A row is read once in order before it is read at random, so that its cache lines come in a stream, not one miss each.
        """
        lines = slice(None, None, max(1, LINE // table.dtype.itemsize))

        def rows(first: int, last: int) -> None:
            for source, target in zip(table[first:last], out[first:last], strict=True):
                if source[: self.n].nbytes <= STREAM:
                    source[: self.n][lines].max()
                np.take(source, order, out=target[: len(order)], mode="clip")

        workers = threads() if self.rows * len(order) * out.itemsize >= LARGE else 1
        bounds = [len(table) * k // workers for k in range(workers + 1)]
        if workers == 1:
            rows(0, len(table))
        else:
            list(self._pool.map(rows, bounds[:-1], bounds[1:]))


class OnAccelerator(_Epochs):
    """As `Shuffler`, to the same orders, of a table in the memory of an accelerator, which gathers all columns in one call

    The host draws the order and sends it, 4 bytes an example. Args as `Shuffler` has them.
    """

    def __init__(self, table: Table, batch: int, seed: int, mode: str, *, n: int | None = None, first: int = 0) -> None:
        self.n = table.shape[1] if n is None else n
        self.mode = mode_of(mode, self.n)
        self._orders = Orders(self.n, batch, seed, table.dtype.itemsize)
        self._wide = table.dtype == np.float64
        with jax.enable_x64(self._wide):  # a setting of the thread
            self._table = jax.device_put(table)
        if self.mode == "batches" and first:
            self._deal(self._orders.dealt_before(first))

    def _permuted(self, order: np.ndarray) -> Iterator[Segment]:
        yield Segment(self._gathered(order), self.n, None, True)

    def _deal(self, order: np.ndarray) -> None:
        self._table = self._gathered(order)

    def _gathered(self, order: Int[np.ndarray, " n"]) -> jax.Array:
        """The examples in this order, the room after them as it is: so one width is compiled for."""
        places = np.arange(self._table.shape[1], dtype=np.int32)
        places[: self.n] = order
        with jax.enable_x64(self._wide):
            return _gather(self._table, places)


@jax.jit
def _gather(table: jax.Array, places: Int[jax.Array, " room"]) -> jax.Array:
    return jnp.take(table, places, axis=1, mode="clip")
