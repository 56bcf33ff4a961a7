"""Runs the epochs of a training: minibatches, the full batch, L-BFGS; keeps the history, stops early."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from autodiff_ref.train.capacity import least
from autodiff_ref.train.kernels import Layers, block_of, mean_over
from autodiff_ref.train.lbfgs import lbfgs
from autodiff_ref.train.loop import Recipe, State, epoch, full_step, start
from autodiff_ref.train.shuffle import Segment, Shuffler, one_ahead


@dataclass(frozen=True)
class Epoch:
    """One pass over the training examples."""

    number: int
    """From 1."""
    ll: float
    """Log-likelihood an example, in nats: the mean over the epoch, each batch at the weights it met."""
    validation: float | None
    """The same on the validation share after the epoch; None where there is none."""
    seconds: float
    examples: int


@dataclass(frozen=True)
class Task:
    """What the optimisers are handed."""

    recipe: Recipe
    table: Float[np.ndarray, "rows room"]
    n: int
    """How many of the table's columns are examples: the first ones."""
    validation: Float[np.ndarray, "rows room"] | None
    held_out: int
    """The same of the validation share."""
    decay: float
    epochs: int
    patience: int
    on_epoch: Callable[[Epoch], Any]


def by_steps(task: Task, layers: Layers, batch_size: int | None, seed: int, shuffle: str) -> tuple[Layers, list[Epoch], str]:
    """Trains by steps along the gradient: (the weights, the history, why it ended)."""
    batch = min(task.n, batch_size or task.n)
    state = start(task.recipe, layers)
    if batch == task.n:
        passes = _full_batch(task, state)
    else:
        passes = _minibatches(task, state, Shuffler(task.table, batch, seed, shuffle, overwrite=True, n=task.n), batch)
    watch = Watch(task)
    for number in range(1, task.epochs + 1):
        since = time.perf_counter()
        state, ll = next(passes)
        if watch.stops_after(number, ll / task.n, state.layers, since):
            break
    return watch.result(state.layers)


def _full_batch(task: Task, state: State) -> Iterator[tuple[State, float]]:
    """One step an epoch, on all processors where there is enough work."""
    table = jax.device_put(task.table)
    while True:
        state, ll = full_step(task.recipe, state, table, task.decay, n=task.n)
        yield state, ll


def _minibatches(task: Task, state: State, shuffler: Shuffler, batch: int) -> Iterator[tuple[State, float]]:
    """Many steps an epoch, each segment put in order by other threads while the one before it is trained on."""
    total = 0.0
    for segment in one_ahead(on_device(segment for number in range(task.epochs) for segment in shuffler.epoch(number))):
        state, ll = epoch(task.recipe, state, segment.table, task.decay, batch_size=batch, order=segment.order, n=segment.n)
        total += float(ll)  # waits for the segment: its memory is about to be used again
        if segment.last:
            yield state, total
            total = 0.0


def on_device(segments: Iterable[Segment]) -> Iterator[Segment]:
    """Segments as JAX takes them, without a copy. For the other thread: the one that trains would wait for it."""
    given, table = None, None
    for segment in segments:
        if segment.table is not given:
            given = segment.table
            with jax.enable_x64(given.dtype == np.float64):  # a setting of the thread
                table = jax.device_put(given)
        yield segment._replace(table=table, order=None if segment.order is None else jax.device_put(segment.order))


def by_lbfgs(task: Task, layers: Layers) -> tuple[Layers, list[Epoch], str]:
    """Trains by L-BFGS, whose iterations stand for epochs: (the weights, the history, why it ended)."""
    watch = Watch(task)
    since = time.perf_counter()

    def after(number: int, layers: Layers, ll: float) -> bool:
        nonlocal since
        stops = watch.stops_after(number, ll, layers, since)
        since = time.perf_counter()
        return stops

    layers, why = lbfgs(task.table, task.n, layers, task.recipe, task.decay, task.epochs, after)
    if not watch.history:
        watch.stops_after(1, mean_ll(layers, task.table, task.n, task.recipe.hidden), layers, since)
    return watch.result(layers, why)


def mean_ll(layers: Layers, table: Any, n: int, hidden: str) -> float:
    """ll an example over the first n columns of a table."""
    return float(mean_over(layers, table, n, hidden=hidden, block=block_of(layers, table, least(n))))


class Watch:
    """Keeps the history, and the best weights where there is a validation share."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.history: list[Epoch] = []
        self.best: tuple[float, int, Layers] | None = None
        self.stopped_early = False

    def stops_after(self, number: int, ll: float, layers: Layers, since: float) -> bool:
        """Takes down an epoch, ll an example at the weights it met and the weights after it; whether to stop there."""
        task = self.task
        held_out = task.validation
        self._require_finite(number, ll)
        value = None if held_out is None else mean_ll(layers, held_out, task.held_out, task.recipe.hidden)
        self._require_finite(number, value)
        done = Epoch(number, ll, value, time.perf_counter() - since, task.n)
        self.history.append(done)
        if value is not None and (self.best is None or value > self.best[0]):
            self.best = value, number, jax.tree.map(np.array, layers)
        task.on_epoch(done)
        self.stopped_early = self.best is not None and number - self.best[1] >= task.patience
        return self.stopped_early

    def result(self, layers: Layers, why: str = "all epochs done") -> tuple[Layers, list[Epoch], str]:
        """The weights to keep, which are finite, the history, and why training ended."""
        number = len(self.history)
        if self.best is not None:
            _, number, layers = self.best
            why = f"validation ll no better for {self.task.patience} epochs" if self.stopped_early else why
            why = f"{why}; the weights are those after epoch {number}, the best on the validation share"
        layers = jax.tree.map(np.array, layers)
        self._require_finite(number, layers)  # the ll of an epoch is that of the weights before its last step
        return layers, self.history, why

    def _require_finite(self, number: int, values: Any) -> None:
        if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(values)):
            what_to_do = "try a lower learning_rate" if self.task.recipe.optimizer else "standardise x, or use dtype float64"
            raise FloatingPointError(f"training diverged in epoch {number}: {what_to_do}")
