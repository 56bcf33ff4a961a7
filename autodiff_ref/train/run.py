"""Runs the epochs of a training: minibatches, the full batch, L-BFGS; keeps the history, stops early."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass

import jax
import numpy as np

from autodiff_ref.train import devices
from autodiff_ref.train.checkpoints import Checkpoints, Saved
from autodiff_ref.train.examples import Examples, Passes, Whole
from autodiff_ref.train.kernels import Layers
from autodiff_ref.train.lbfgs import lbfgs
from autodiff_ref.train.loop import Recipe, State, epoch, full_step, start
from autodiff_ref.train.shuffle import Segment, one_ahead
from autodiff_ref.trees import PyTree


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
    examples: Examples
    validation: Examples | None
    decay: float
    epochs: int
    patience: int
    on_epoch: Callable[[Epoch], object]
    checkpoints: Checkpoints | None = None
    devices: int = 1


def by_steps(task: Task, layers: Layers, batch_size: int | None, seed: int, shuffle: str) -> tuple[Layers, list[Epoch], str]:
    """Trains by steps along the gradient: (the weights, the history, why it ended)."""
    n = task.examples.n
    batch = min(n, batch_size or n)
    state = start(task.recipe, layers)
    watch = Watch(task)
    saved = watch.restored(layers)
    if saved is not None:
        state = State(*jax.device_put(jax.tree.unflatten(jax.tree.structure(tuple(state)), saved.arrays["state"])))
    if watch.stopped_early:
        return watch.result(state.layers)
    done = len(watch.history)
    if task.devices > 1:
        batch = -(-batch // task.devices) * task.devices if batch == n else batch
        examples = task.examples.passes(batch, seed, "none" if batch >= n else shuffle, done, here=False)
        numbers = range(done, task.epochs)
        passes = devices.passes(task.recipe, state, examples, numbers, task.decay, batch, devices.mesh_of(task.devices))
    elif batch == n and isinstance(task.examples, Whole):
        passes = _full_batch(task, task.examples, state)
    else:
        examples = task.examples.passes(batch, seed, shuffle, done, here=True)
        passes = _minibatches(task, state, examples, batch, done)
    for number in range(done + 1, task.epochs + 1):
        since = time.perf_counter()
        state, ll = next(passes)
        stops = watch.stops_after(number, ll / n, state.layers, since)
        watch.checkpoint(number, {"state": state}, stops or number == task.epochs)
        if stops:
            break
    return watch.result(state.layers)


def _full_batch(task: Task, examples: Whole, state: State) -> Iterator[tuple[State, float]]:
    """One step an epoch, on all processors where there is enough work."""
    while True:
        state, ll = full_step(task.recipe, state, examples.placed, task.decay, n=examples.n)
        yield state, ll


def _minibatches(task: Task, state: State, examples: Passes, batch: int, done: int) -> Iterator[tuple[State, float]]:
    """Many steps an epoch, after `done` epochs; other threads put a segment in order while the one before is trained on."""
    total = 0.0
    for segment in one_ahead(
        on_device(segment for number in range(done, task.epochs) for segment in examples.epoch(number))
    ):
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


def by_lbfgs(task: Task, examples: Whole, layers: Layers) -> tuple[Layers, list[Epoch], str]:
    """Trains by L-BFGS, whose iterations stand for epochs: (the weights, the history, why it ended)."""
    watch = Watch(task)
    saved = watch.restored(layers)
    evaluations = [] if saved is None else list(saved.arrays["evaluations"][0])
    done = len(watch.history)
    since = time.perf_counter()

    def after(number: int, layers: Layers, ll: float) -> bool:
        nonlocal since
        if number <= done:  # SciPy goes the same way again, over the values that are known
            return watch.stopped_early and number == done
        stops = watch.stops_after(number, ll, layers, since)
        watch.checkpoint(number, {"evaluations": np.array(evaluations)}, stops or number == task.epochs)
        since = time.perf_counter()
        return stops

    layers, why = lbfgs(examples.placed, examples.n, layers, task.recipe, task.decay, task.epochs, after, evaluations)
    if not watch.history:
        watch.stops_after(1, examples.mean_ll(layers, task.recipe.form), layers, since)
    if len(watch.history) > done:
        watch.checkpoint(len(watch.history), {"evaluations": np.array(evaluations)}, True)
    return watch.result(layers, why)


class Watch:
    """Keeps the history, and the best weights where there is a validation share."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.history: list[Epoch] = []
        self.best: tuple[float, int, Layers] | None = None
        self.stopped_early = False

    def restored(self, like: Layers) -> Saved | None:
        """What a training that goes on begins with; the history and the best weights are taken over."""
        saved = None if self.task.checkpoints is None else self.task.checkpoints.saved
        if saved is not None:
            self.history = [Epoch(**about) for about in saved.history]
            if saved.arrays["best"]:
                values = [e.validation if e.validation is not None else -np.inf for e in self.history]
                at = int(np.argmax(values))
                best = jax.tree.unflatten(jax.tree.structure(like), saved.arrays["best"])
                self.best = values[at], at + 1, best
                self.stopped_early = len(self.history) - self.best[1] >= self.task.patience
        return saved

    def checkpoint(self, number: int, trees: dict[str, PyTree], last: bool) -> None:
        """Writes a checkpoint, where there are any and one is due."""
        if self.task.checkpoints is not None:
            best = () if self.best is None else self.best[2]
            self.task.checkpoints.offer(number, trees | {"best": best}, [asdict(e) for e in self.history], last)

    def stops_after(self, number: int, ll: float, layers: Layers, since: float) -> bool:
        """Takes down an epoch, ll an example at the weights it met and the weights after it; whether to stop there."""
        task = self.task
        held_out = task.validation
        self._require_finite(number, ll)
        if held_out is not None and task.devices > 1:
            layers = jax.tree.map(np.array, layers)
        value = None if held_out is None else held_out.mean_ll(layers, task.recipe.form)
        self._require_finite(number, value)
        done = Epoch(number, ll, value, time.perf_counter() - since, task.examples.n)
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

    def _require_finite(self, number: int, values: PyTree) -> None:
        if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(values)):
            what_to_do = "try a lower learning_rate" if self.task.recipe.optimizer else "standardise x, or use dtype float64"
            raise FloatingPointError(f"training diverged in epoch {number}: {what_to_do}")
