"""`fit`: from examples and labels to a trained model."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from autodiff_ref.train.arguments import (
    checked_columns,
    checked_initial,
    checked_weights,
    initial_layers,
    require_whole,
    split,
)
from autodiff_ref.train.kernels import PER_THREAD, Layers, gradient_of, mean_log_likelihood
from autodiff_ref.train.lbfgs import lbfgs
from autodiff_ref.train.loop import Recipe, State, epoch, full_step, start
from autodiff_ref.train.model import Model
from autodiff_ref.train.optimizers import optimizer_of
from autodiff_ref.train.prepare import (
    as_matrix,
    constant_columns,
    require_finite_rows,
    scaling_of,
    signs_of,
    table_of,
)
from autodiff_ref.train.shuffle import Shuffler, mode_of
from manual_grad.mlp import activation_of


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
class Fit:
    """A trained model and how it came about."""

    model: Model
    history: list[Epoch]
    stopped: str
    """Why training ended."""
    constant: list[str] = field(default_factory=list[str])
    """Columns with one value in all training examples: centred to 0, so they add nothing."""

    @property
    def seconds(self) -> float:
        """How long the epochs took, compilation included."""
        return sum(e.seconds for e in self.history)


@dataclass(frozen=True)
class _Task:
    """What the optimisers are handed."""

    recipe: Recipe
    table: Float[np.ndarray, "rows n"]
    validation: Float[np.ndarray, "rows m"] | None
    decay: float
    epochs: int
    patience: int
    on_epoch: Callable[[Epoch], Any]

    @property
    def n(self) -> int:
        return self.table.shape[1]


def fit(
    x: Float[Any, "n d"],
    y: Any,
    *,
    widths: Sequence[int] = (2,),
    hidden: str = "sigmoid",
    bias: bool = True,
    epochs: int = 50,
    batch_size: int | None = 32,
    optimizer: Any = "sgd",
    learning_rate: float = 0.1,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    example_weights: Float[Any, " n"] | None = None,
    gradient: str = "hand",
    standardise: bool = True,
    validation: float = 0.0,
    patience: int = 10,
    shuffle: str = "auto",
    seed: int = 0,
    dtype: str = "float32",
    initial: Layers | None = None,
    columns: Sequence[str] | None = None,
    label: str | None = None,
    on_epoch: Callable[[Epoch], Any] | None = None,
) -> Fit:
    """w ← w + step along ∇ (1/n Σ_i c_i log σ(y_i z_i) − λ/2n Σ_l ‖W_l‖²), epoch by epoch

    Trains the net of `manual_grad.mlp` with the hand-derived gradient, compiled. The same arguments give the same weights
    every time on one machine. All arguments are checked before any work is done.

    Args:
        x: (n, d), finite numbers, one example a row; NumPy or JAX, memory-mapped or not.
        y: (n,), two different values of any kind; the larger one is +1.
        widths: units of the hidden layers, first to last; () is logistic regression.
        hidden: the squashing function within: "sigmoid", "tanh" or "relu".
        bias: whether layers have biases. With widths (2,) and none it is the notes' net.
        epochs: passes over the training examples, at most; iterations for "lbfgs".
        batch_size: examples a step; None for all of them.
        optimizer: "sgd", "lbfgs" (SciPy's, over the full batch), the name of one of optax's, or any
            `optax.GradientTransformation`.
        learning_rate: for an optimiser that is named.
        momentum: for "sgd".
        weight_decay: λ, for the sum over all examples, on weights and not on biases.
        example_weights: (n,), ≥ 0, how often each example counts.
        gradient: "hand", or "autodiff" for `jax.grad`.
        standardise: whether to centre and scale every column by its mean and standard deviation over the training share.
        validation: the share of examples that is held out to decide when to stop, from 0 to below 1.
        patience: epochs without a better validation ll after which to stop. The best weights are kept.
        shuffle: "examples", "groups", "none" or "auto"; see `autodiff_ref.train.shuffle`.
        seed: of the initial weights, the validation share and the order of the examples.
        dtype: "float32" or "float64".
        initial: the weights to start from instead of random ones.
        columns: the names of x's columns, kept with the model.
        label: the name of the label, kept with the model.
        on_epoch: called after every epoch.

    Returns:
        The model, the history of its training, and why it ended.

    Raises:
        TypeError: x or y is not made of numbers (labels may be text).
        ValueError: an argument is out of its range, shapes do not fit, a value is not finite, labels are not two.
        ModuleNotFoundError: the optimiser is one of optax's, which is not installed.
        FloatingPointError: training diverged.

    Example:
        >>> result = fit([[0.0], [1.0], [2.0], [3.0]], ["no", "no", "yes", "yes"], epochs=200, learning_rate=1.0)
        >>> result.model.predict([[0.5], [2.5]]).tolist()
        ['no', 'yes']

    Source: gradient ascent on the notes' log-likelihood.
    """
    x = as_matrix(x)
    n, d = x.shape
    signs, classes = signs_of(y, n)
    c = checked_weights(example_weights, n)
    names = checked_columns(columns, d)
    activation_of(hidden)
    gradient_of(gradient)
    mode_of(shuffle, n)
    require_whole("epochs", epochs, 1)
    require_whole("patience", patience, 1)
    require_whole("seed", seed, 0)
    if batch_size is not None:
        require_whole("batch_size", batch_size, 1)
    for width in widths:
        require_whole("widths", width, 1)
    if not 0 <= weight_decay < float("inf"):
        raise ValueError(f"weight_decay must be finite and at least 0, got {weight_decay}")
    if dtype not in ("float32", "float64"):
        raise ValueError(f"dtype must be float32 or float64, got {dtype!r}")
    require_finite_rows(x, names)
    training, held_out = split(signs, validation, seed)

    scaling = scaling_of(x, training, standardise)
    constant = constant_columns(x, training)
    layers = (
        checked_initial(initial, d, widths, bias) if initial is not None else initial_layers(d, widths, hidden, bias, seed)
    )
    layers = jax.tree.map(lambda p: np.asarray(p, dtype=dtype), layers)
    table = table_of(x, signs, c, training, scaling, np.dtype(dtype))
    task = _Task(
        recipe=Recipe(None if optimizer == "lbfgs" else optimizer_of(optimizer, learning_rate, momentum), hidden, gradient),
        table=table,
        validation=None if held_out is None else table_of(x, signs, c, held_out, scaling, np.dtype(dtype)),
        decay=weight_decay / (table.shape[1] if c is None else float((c if training is None else c[training]).sum())),
        epochs=epochs,
        patience=patience,
        on_epoch=on_epoch or (lambda _: None),
    )
    with jax.enable_x64(dtype == "float64"):
        if optimizer == "lbfgs":
            layers, history, stopped = _by_lbfgs(task, layers)
        else:
            layers, history, stopped = _by_steps(task, layers, batch_size, seed, shuffle)
    about = {
        "widths": list(widths),
        "optimizer": optimizer if isinstance(optimizer, str) else type(optimizer).__name__,
        "learning_rate": learning_rate,
        "momentum": momentum,
        "batch_size": batch_size,
        "weight_decay": weight_decay,
        "gradient": gradient,
        "shuffle": shuffle,
        "validation": validation,
        "seed": seed,
        "dtype": dtype,
        "examples": task.n,
        "epochs": len(history),
        "ll": history[-1].ll,
        "stopped": stopped,
    }
    model = Model(layers, hidden, classes, scaling, names, label, about)
    return Fit(model, history, stopped, [names[k] if names else str(k) for k in constant])


def _by_steps(
    task: _Task, layers: Layers, batch_size: int | None, seed: int, shuffle: str
) -> tuple[Layers, list[Epoch], str]:
    batch = min(task.n, batch_size or task.n)
    state = start(task.recipe, layers)
    _try_optimizer(task.recipe, state)
    if batch == task.n:
        passes = _full_batch(task, state)
    else:
        passes = _minibatches(task, state, Shuffler(task.table, batch, seed, shuffle), batch)
    watch = _Watch(task)
    for number in range(1, task.epochs + 1):
        since = time.perf_counter()
        state, ll = next(passes)
        if not np.isfinite(ll):
            raise FloatingPointError(f"training diverged in epoch {number}: try a lower learning_rate")
        if watch.stops_after(number, float(ll) / task.n, state.layers, since):
            break
    return watch.result(state.layers)


def _full_batch(task: _Task, state: State) -> Any:
    """One step an epoch; on all processors where there are enough examples, else one compiled step."""
    table = jax.device_put(task.table)
    while True:
        if task.n >= 2 * PER_THREAD:
            state, ll = full_step(task.recipe, state, table, task.decay)
        else:
            state, ll = epoch(task.recipe, state, table, task.decay, batch_size=task.n)
        yield state, float(ll)


def _minibatches(task: _Task, state: State, shuffler: Shuffler, batch: int) -> Any:
    """Many steps an epoch. While JAX computes on one segment, NumPy puts the next one in order."""

    def segments() -> Any:
        for number in range(task.epochs):
            last: Any = None
            for segment in shuffler.epoch(number):
                if last is not None:
                    yield last, False
                last = segment
            yield last, True

    ordered = segments()
    following = next(ordered)
    total = 0.0
    while following is not None:
        segment, ends_epoch = following
        state, ll = epoch(
            task.recipe, state, jax.device_put(segment.table), task.decay, batch_size=batch, count=segment.size
        )
        following = next(ordered, None)
        total += float(ll)  # waits for the segment: its memory is about to be used again
        if ends_epoch:
            yield state, total
            total = 0.0


def _by_lbfgs(task: _Task, layers: Layers) -> tuple[Layers, list[Epoch], str]:
    watch = _Watch(task)
    since = time.perf_counter()

    def after(number: int, layers: Layers, ll: float) -> bool:
        nonlocal since
        stops = watch.stops_after(number, ll, layers, since)
        since = time.perf_counter()
        return stops

    layers, why = lbfgs(task.table, layers, task.recipe, task.decay, task.epochs, after)
    if not watch.history:
        watch.stops_after(1, float(mean_log_likelihood(layers, task.table, hidden=task.recipe.hidden)), layers, since)
    return watch.result(layers, why)


class _Watch:
    """Keeps the history, and the best weights where there is a validation share."""

    def __init__(self, task: _Task) -> None:
        self.task = task
        self.history: list[Epoch] = []
        self.best: tuple[float, int, Layers] | None = None
        self.stopped_early = False

    def stops_after(self, number: int, ll: float, layers: Layers, since: float) -> bool:
        task = self.task
        held_out = task.validation
        value = None if held_out is None else float(mean_log_likelihood(layers, held_out, hidden=task.recipe.hidden))
        done = Epoch(number, ll, value, time.perf_counter() - since, task.n)
        self.history.append(done)
        if value is not None and (self.best is None or value > self.best[0]):
            self.best = value, number, jax.tree.map(np.array, layers)
        task.on_epoch(done)
        self.stopped_early = self.best is not None and number - self.best[1] >= task.patience
        return self.stopped_early

    def result(self, layers: Layers, why: str = "all epochs done") -> tuple[Layers, list[Epoch], str]:
        if self.best is not None:
            _, number, layers = self.best
            why = f"validation ll no better for {self.task.patience} epochs" if self.stopped_early else why
            why = f"{why}; the weights are those after epoch {number}, the best on the validation share"
        return jax.tree.map(np.array, layers), self.history, why


def _try_optimizer(recipe: Recipe, state: State) -> None:
    """Raises TypeError where an optimiser asks for more than a gradient, before any work is done."""
    try:
        jax.eval_shape(recipe.optimizer.update, state.layers, state.optimizer, state.layers)
    except TypeError as error:
        raise TypeError(f"optimizer: its update must take (gradient, state, parameters): {error}") from None
