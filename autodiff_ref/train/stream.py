"""Training from a source that is read again for every epoch, a window of pieces at a time.

A window takes pieces from all over the source, in an order drawn anew for each epoch, and deals their examples out at
random. What does not fill a batch goes on into the next window. So the memory is that of two windows, one trained on while
the other is filled, and of a label for each example.
"""

from collections.abc import Hashable, Iterator, Sequence

import numpy as np
from jaxtyping import Bool

from autodiff_ref.train.arguments import require_weights, stratified
from autodiff_ref.train.examples import Prepared, checksum_of
from autodiff_ref.train.kernels import Form, Layers, block_of, mean_over
from autodiff_ref.train.moments import Moments, Scaling
from autodiff_ref.train.prepare import (
    classes_of,
    codes_of,
    moments_of,
    require_finite_rows,
    require_fit,
    targets_of,
)
from autodiff_ref.train.settings import Settings
from autodiff_ref.train.shuffle import ORDER, SPLIT, Segment, aligned
from autodiff_ref.train.sources import Source

WINDOW = 1 << 24
"""Bytes of a window, or a batch and the largest piece where these are more."""
MOST_CLASSES = 1 << 15
"""More different labels than this are no classes."""


class Streamed:
    """A source that was given to `fit`: the labels are read at once, features for every epoch.

    Raises:
        TypeError: `source` is none, or its labels are neither numbers nor text.
        ValueError: there are no examples, fewer than two labels, or very many; or weights are below 0 or not finite.
    """

    def __init__(self, source: Source, output: str) -> None:
        self.source = source
        first = next((k for k, size in enumerate(source.sizes) if size), None)
        if first is None:
            raise ValueError("the source has no examples")
        self.d = next(iter(source.features(first))).shape[1]
        self.classes: np.ndarray | None = None
        if output == "classes":
            self.y, self.classes = _classes(source)
        else:
            self.y = targets_of(np.concatenate([source.labels(k) for k in range(len(source.sizes))]), sum(source.sizes))
        weights = [source.weights(k) for k in range(len(source.sizes))]
        self.c = None
        if any(part is not None for part in weights):
            self.c = np.concatenate(
                [
                    np.ones(len(y), np.float32) if c is None else np.asarray(c, np.float32)
                    for c, y in zip(weights, _split(self.y, source.sizes), strict=True)
                ]
            )
            require_weights(self.c, "the weights of the source")

    def prepared(self, settings: Settings, names: tuple[str, ...] | None) -> Prepared:
        """Mean and scale of each column, in one pass over the features; and what is held out."""
        strata = np.zeros(len(self.y), np.int8) if self.classes is None else self.y
        held_out = _held_out(strata, self.source.sizes, settings.validation, settings.seed)
        kept = None if held_out is None else ~held_out
        if self.classes is not None:
            self._require_two_classes(kept)
        moments = _moments(self, kept, names)
        scaling, constant = moments.scaling(settings.standardise, names), moments.constant()
        dtype = np.dtype(settings.dtype)
        c = None
        if self.c is not None:  # relative to the mean weight, of the training share
            c = self.c / np.float32(moments.count / max(1, moments.n))
        y, k, target = self.y, 0, None
        if self.classes is None:
            rows = None if kept is None else np.flatnonzero(kept)
            target = moments_of(y[:, None], rows, self.c).scaling(settings.standardise, ["y"])
            y = (y - target.mean[0]) / target.scale[0]
        else:
            k = len(self.classes)
        ours = Stream(self.source, y, k, c, kept, scaling, dtype, names)
        apart = None if held_out is None else Stream(self.source, y, k, c, held_out, scaling, dtype, names)
        rows = None if held_out is None else np.flatnonzero(held_out)
        return Prepared(ours, apart, rows, scaling, constant, moments.count, target)

    def _require_two_classes(self, kept: np.ndarray | None) -> None:
        counts = np.ones(len(self.y), bool) if self.c is None else self.c > 0
        if kept is not None:
            counts = counts & kept
        if len(np.unique(self.y[counts])) < 2:
            raise ValueError("there is one class alone to train on, or none: two need examples, of a weight above 0")


def _split(array: np.ndarray, sizes: Sequence[int]) -> list[np.ndarray]:
    return np.split(array, np.cumsum(sizes)[:-1])


def _classes(source: Source) -> tuple[np.ndarray, np.ndarray]:
    """(the class of each example by number, what the numbers stand for), of few bytes an example."""
    known: dict[Hashable, int] = {}
    codes: list[np.ndarray] = []
    for piece, size in enumerate(source.sizes):
        labels = np.asarray(source.labels(piece))
        if labels.shape != (size,):
            raise ValueError(f"piece {piece} of the source has labels of shape {labels.shape}, and {size} examples")
        if not size:
            continue
        values, within = np.unique(labels, return_inverse=True)
        numbers = np.array([known.setdefault(value, len(known)) for value in values.tolist()])
        if len(known) > MOST_CLASSES:
            raise ValueError(f"labels have more than {MOST_CLASSES:,} different values: these are no classes")
        codes.append(numbers[within].astype(np.int8 if len(known) <= 127 else np.int16))
    signs, classes = classes_of(np.array(list(known)), len(known))
    order = (signs + 1) / 2 if len(classes) == 2 else signs
    kind = np.int8 if len(known) <= 127 else np.int16
    return order.astype(kind)[np.concatenate(codes)], classes


def _held_out(y: np.ndarray, sizes: Sequence[int], share: float, seed: int) -> Bool[np.ndarray, " n"] | None:
    """A share of each piece and, as nearly as can be, of each class in it."""
    if not share:
        return None
    parts: list[np.ndarray] = []
    done = 0
    for piece, labels in enumerate(_split(y, sizes)):
        count = round(share * (done + len(labels))) - round(share * done)
        random = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(SPLIT, piece)))
        apart = np.zeros(len(labels), bool)
        apart[stratified(labels, count, random)] = True
        parts.append(apart)
        done += len(labels)
    held_out = np.concatenate(parts)
    if not held_out.any() or held_out.all():
        raise ValueError(f"validation={share} of {len(y)} examples holds out none or all of them")
    return held_out


def _moments(data: Streamed, kept: np.ndarray | None, names: tuple[str, ...] | None) -> Moments:
    d = data.d
    found = Moments.none_yet(d)
    for rows, x in _matrices(data.source, d):
        require_finite_rows(x, names, rows.start)
        c = None if data.c is None else data.c[rows]
        found.add(*_chosen(x, c, None if kept is None else kept[rows]))
    return found


def _chosen(x: np.ndarray, c: np.ndarray | None, kept: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    return (x, c) if kept is None else (x[kept], None if c is None else c[kept])


def _matrices(source: Source, d: int, pieces: Sequence[int] | None = None) -> Iterator[tuple[slice, np.ndarray]]:
    """(which rows, their features in float64) of these pieces, or of all of them in order."""
    starts = np.cumsum([0, *source.sizes])
    for piece in range(len(source.sizes)) if pieces is None else pieces:
        at = int(starts[piece])
        for x in source.features(piece):
            if x.ndim != 2 or x.shape[1] != d or at + len(x) > starts[piece + 1]:
                raise ValueError(
                    f"piece {piece} of the source has features of shape {x.shape}; it holds {source.sizes[piece]} examples "
                    f"of {d} features"
                )
            yield slice(at, at + len(x)), np.asarray(x, np.float64)
            at += len(x)
        if at != starts[piece + 1]:
            raise ValueError(f"piece {piece} of the source has {at - starts[piece]} rows, and says {source.sizes[piece]}")


class Stream:
    """Examples of a source, standardised, epoch by epoch.

    Args:
        source: where they are read.
        y: (n,), the class of each by number, or the standardised number to be predicted.
        k: how many classes there are; 0 for numbers.
        c: (n,), weights relative to the mean weight, or None.
        kept: (n,), which of them are meant; None for all.
        scaling: of the columns.
        dtype: to train in.
        names: of the columns, for messages.
    """

    def __init__(
        self,
        source: Source,
        y: np.ndarray,
        k: int,
        c: np.ndarray | None,
        kept: np.ndarray | None,
        scaling: Scaling,
        dtype: np.dtype,
        names: Sequence[str] | None = None,
    ) -> None:
        self.source, self.y, self.k, self.c, self.kept = source, y, k, c, kept
        self.scaling, self.dtype, self.names = scaling, dtype, names
        self.sizes = [int(part.sum()) for part in _split(kept, source.sizes)] if kept is not None else [*source.sizes]
        self.n = sum(self.sizes)
        self.rows = len(scaling.mean) + 1 + (c is not None)

    def passes(self, batch: int, seed: int, shuffle: str, first: int, *, here: bool) -> "Windows":
        """The epochs, in batches; each is a function of the seed and its number, so that `first` changes nothing."""
        del first, here
        return Windows(self, batch, None if shuffle == "none" else seed)

    def mean_ll(self, layers: Layers, form: Form) -> float:
        """Log-likelihood an example, in nats."""
        total = 0.0
        for segment in Windows(self, 1, None).epoch(0):
            block = block_of(layers, segment.table)
            total += segment.n * float(mean_over(layers, segment.table, segment.n, form=form, block=block))
        return total / self.n

    def checksum(self) -> int:
        """Of the labels, and of the features' means and deviations."""
        return checksum_of(self.y, *self.scaling, *(() if self.kept is None else (self.kept,)))


class Windows:
    """The epochs of a stream: see the module. Memory is used again for the window after the next."""

    def __init__(self, stream: Stream, batch: int, seed: int | None) -> None:
        self.stream, self.batch, self.seed = stream, batch, seed
        a_row = stream.rows * stream.dtype.itemsize
        self.size = max(batch, WINDOW // a_row)
        room = min(stream.n, self.size + batch + max(stream.sizes))
        self._tables = [aligned(stream.rows, room, stream.dtype) for _ in range(2)]

    def epoch(self, number: int) -> Iterator[Segment]:
        """The windows of one epoch."""
        stream = self.stream
        random = (
            None
            if self.seed is None
            else np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(ORDER, number)))
        )
        there = np.flatnonzero(stream.sizes)
        order = there if random is None else random.permutation(there)
        left = np.empty((stream.rows, 0), stream.dtype)
        groups = list(self._groups(order))
        for k, pieces in enumerate(groups):
            table, last = self._tables[0], k == len(groups) - 1
            self._tables.reverse()
            n = self._fill(table, left, pieces, random)
            whole = n if last else n // self.batch * self.batch
            left = table[:, whole:n].copy()
            if whole:
                yield Segment(table, whole, None, last)

    def _groups(self, order: np.ndarray) -> Iterator[list[int]]:
        """The pieces of each window."""
        group, size = list[int](), 0
        for piece in order.tolist():
            group.append(piece)
            size += self.stream.sizes[piece]
            if size >= self.size:
                yield group
                group, size = [], 0
        if group:
            yield group

    def _fill(self, table: np.ndarray, left: np.ndarray, pieces: list[int], random: np.random.Generator | None) -> int:
        """Puts what was left over and the examples of some pieces into the first columns of a table; says how many."""
        stream = self.stream
        d = len(stream.scaling.mean)
        done = left.shape[1]
        n = done + sum(stream.sizes[piece] for piece in pieces)
        places = np.arange(n) if random is None else random.permutation(n)
        table[:, places[:done]] = left
        for rows, x in _matrices(stream.source, d, pieces):
            kept = None if stream.kept is None else stream.kept[rows]
            x, c = _chosen(x, None if stream.c is None else stream.c[rows], kept)
            at = places[done : done + len(x)]
            with np.errstate(over="ignore"):
                table[:d, at] = ((x - stream.scaling.mean) / stream.scaling.scale).T
            y = stream.y[rows]
            y = y if kept is None else y[kept]
            table[d, at] = codes_of(y, stream.k) if stream.k else y
            if c is not None:
                table[d + 1, at] = c
            done += len(x)
        require_fit(table[:d, :n], stream.names)
        return n
