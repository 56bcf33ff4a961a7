"""`fit`: from examples and labels to a trained model."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import jax
import numpy as np
from jaxtyping import Int
from numpy.typing import ArrayLike, DTypeLike

from autodiff_ref.train.arguments import checked_names, starting_layers
from autodiff_ref.train.checkpoints import Checkpoints, require_orbax
from autodiff_ref.train.compiled import kept
from autodiff_ref.train.data import Dataset
from autodiff_ref.train.devices import mesh_of
from autodiff_ref.train.examples import InMemory, Whole, checksum_of
from autodiff_ref.train.kernels import Layers
from autodiff_ref.train.loop import Recipe
from autodiff_ref.train.model import Model
from autodiff_ref.train.optimizers import Transformation
from autodiff_ref.train.run import Epoch, Task, by_lbfgs, by_steps
from autodiff_ref.train.settings import Settings
from autodiff_ref.train.sources import Source
from autodiff_ref.train.stream import Streamed
from autodiff_ref.train.updates import update_of
from autodiff_ref.train.values import truth, whole
from autodiff_ref.trees import JsonObject

MOST_BY_LBFGS = 100_000
"""Weights up to which L-BFGS writes checkpoints: its state is SciPy's own, so that they hold every gradient there was."""


@dataclass(frozen=True)
class Fit:
    """A trained model and how it came about."""

    model: Model
    history: list[Epoch]
    stopped: str
    """Why training ended."""
    constant: list[str] = field(default_factory=list[str])
    """Columns with one value in all training examples, up to rounding: nothing can be learned from them."""
    held_out: Int[np.ndarray, " m"] | None = None
    """The rows that were held out to decide when to stop; None where none were."""

    @property
    def seconds(self) -> float:
        """How long the epochs took, compilation included."""
        return sum(e.seconds for e in self.history)


def fit(
    x: ArrayLike | Dataset | Source,
    y: ArrayLike | None = None,
    *,
    widths: Sequence[int] = (2,),
    hidden: str = "sigmoid",
    bias: bool = True,
    epochs: int = 50,
    batch_size: int | None = 32,
    optimizer: str | Transformation = "sgd",
    learning_rate: float = 0.1,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    example_weights: ArrayLike | None = None,
    gradient: str = "hand",
    standardise: bool = True,
    validation: float = 0.0,
    patience: int = 10,
    shuffle: str = "auto",
    seed: int = 0,
    dtype: DTypeLike = "float32",
    output: str = "classes",
    initial: Layers | None = None,
    columns: Sequence[str] | None = None,
    label: str | None = None,
    on_epoch: Callable[[Epoch], object] | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    devices: int = 1,
) -> Fit:
    """w ← w + step along ∇ (1/n Σ_i c_i log σ(y_i z_i) − λ/2n Σ_l ‖W_l‖²), epoch by epoch

    Trains the net of `manual_grad.mlp` with the hand-derived gradient, compiled. The same arguments give the same weights
    every time on one machine. All arguments are checked before any work is done; whether the numbers in x fit into `dtype`
    is seen as they are converted, before training.

    Args:
        x: (n, d), finite numbers, one example a row; NumPy or JAX, memory-mapped or not, or a frame of pandas or polars. Or
            what `read` returns, labels included. Or a `Source` of examples and labels, which is read again for every epoch:
            for data larger than memory, in minibatches.
        y: (n,), two different values of any kind, the larger one is +1; or K > 2 of them, told apart by a softmax output.
            Not given where x has labels itself.
        widths: units of the hidden layers, first to last; () is logistic regression.
        hidden: the squashing function within: "sigmoid", "tanh" or "relu".
        bias: whether layers have biases. With widths (2,) and none it is the notes' net.
        epochs: passes over the training examples, at most; iterations for "lbfgs".
        batch_size: examples a step; None for all of them.
        optimizer: "sgd", "lbfgs" (SciPy's, over the full batch), the name of one of optax's, or any
            `optax.GradientTransformation`.
        learning_rate: above 0, for an optimiser that is named.
        momentum: for "sgd", from 0 to below 1.
        weight_decay: λ, for the sum over all examples, on weights and not on biases.
        example_weights: (n,), ≥ 0, how often each example counts.
        gradient: "hand", or "autodiff" for `jax.grad`.
        standardise: whether to centre and scale every column by its mean and standard deviation over the training share.
        validation: the share of examples that is held out to decide when to stop, from 0 to below 1.
        patience: epochs without a better validation ll after which to stop. The best weights are kept.
        shuffle: "examples", "batches", "none" or "auto"; see `autodiff_ref.train.shuffle`.
        seed: of the initial weights, the validation share and the order of the examples.
        dtype: "float32" or "float64", or NumPy's of these names.
        output: "classes", or "identity" for a net that predicts numbers: y (n,) are any, and ll = −½ Σ c_i (y_i − z_i)².
            With `standardise` they are standardised as well, and so is the ll that is said.
        initial: the weights to start from instead of random ones, one `manual_grad.mlp.Layer` a layer.
        columns: the names of x's columns, kept with the model.
        label: the name of the label, kept with the model.
        on_epoch: called after every epoch.
        checkpoint: a folder for the state of the training, so that one that was stopped can go on; extra `train`.
        resume: go on from the last checkpoint in that folder, if any, to bitwise the weights of a training that was never
            stopped. All other arguments must be the same, but for `epochs`, `patience` and `on_epoch`.
        devices: how many of JAX's devices share each batch, of all processes that `autodiff_ref.train.devices.join` has
            brought together. Every process is given all examples, and keeps its devices' share. `batch_size` must be a
            multiple of it. The weights equal those of one device within rounding.

    Returns:
        The model, the history of its training, and why it ended.

    Raises:
        TypeError: x is not made of numbers, y not of numbers or text, or another argument is not of its kind.
        ValueError: an argument is out of its range, shapes do not fit, a value is not finite, there is one label alone.
        ModuleNotFoundError: the optimiser is one of optax's, which is not installed; or Orbax is not, for checkpoints.
        FileExistsError: there are checkpoints in the folder, and `resume` is False.
        OSError: a checkpoint cannot be written; those before it are as they were.
        MemoryError: x is no source, and there is not the memory for it.
        FloatingPointError: training diverged.

    Example:
        >>> result = fit([[0.0], [1.0], [2.0], [3.0]], ["no", "no", "yes", "yes"], epochs=200, learning_rate=1.0)
        >>> result.model.predict([[0.5], [2.5]]).tolist()
        ['no', 'yes']

    Source: gradient ascent on the notes' log-likelihood.
    """
    settings = Settings(
        widths=widths,
        hidden=hidden,
        bias=bias,
        epochs=epochs,
        batch_size=batch_size,
        optimizer=optimizer,
        learning_rate=learning_rate,
        momentum=momentum,
        weight_decay=weight_decay,
        gradient=gradient,
        standardise=standardise,
        validation=validation,
        patience=patience,
        shuffle=shuffle,
        seed=seed,
        dtype=dtype,
        output=output,
    )
    if on_epoch is not None and not callable(on_epoch):
        raise TypeError(f"on_epoch must be a function of an Epoch, got {on_epoch!r}")
    if truth("resume", resume) and checkpoint is None:
        raise ValueError("resume needs the folder of the checkpoints: checkpoint=FOLDER, or --checkpoint FOLDER")
    if checkpoint is not None:
        require_orbax()
    if whole("devices", devices, 1) > 1:
        mesh_of(devices)
        if settings.method is None:
            raise ValueError("devices: lbfgs runs on one device; use an optimizer that takes steps")
        if settings.batch_size is not None and settings.batch_size % devices:
            raise ValueError(f"batch_size must be a multiple of devices, got {settings.batch_size} and {devices}")
        if checkpoint is not None and jax.process_count() > 1:
            raise ValueError("checkpoint: of one process alone, not of several")
    data = _given(x, y, example_weights, settings)
    if columns is None:
        columns = _names_of(x)
    names, label = checked_names(columns, label, data.d)
    classes = np.zeros(0) if data.classes is None else data.classes
    outputs = len(classes) if len(classes) > 2 else 1
    layers = starting_layers(initial, data.d, outputs, settings)
    if settings.method is not None:
        with jax.enable_x64(settings.dtype == "float64"):
            update_of(settings.method, layers)  # raises where it asks for more than a gradient
    ready = data.prepared(settings, names)
    task = Task(
        recipe=Recipe(settings.method, settings.hidden, settings.gradient, output=settings.output),
        examples=ready.training,
        validation=ready.held_out,
        decay=settings.weight_decay / ready.total_weight,
        epochs=settings.epochs,
        patience=settings.patience,
        on_epoch=on_epoch or (lambda _: None),
        devices=devices,
    )
    if checkpoint is not None:
        task = replace(task, checkpoints=Checkpoints(checkpoint, _identity(settings, task, layers), resume))
    try:
        with jax.enable_x64(settings.dtype == "float64"), kept():
            if settings.method is None and isinstance(task.examples, Whole):
                layers, history, stopped = by_lbfgs(task, task.examples, layers)
            else:
                layers, history, stopped = by_steps(task, layers, settings.batch_size, settings.seed, settings.shuffle)
    finally:
        if task.checkpoints is not None:
            task.checkpoints.close()
    outcome = {"examples": task.examples.n, "epochs": len(history), "ll": history[-1].ll, "stopped": stopped}
    encoding = x.encoding if isinstance(x, Dataset) else None
    about = settings.about() | outcome
    model = Model(layers, settings.hidden, classes, ready.scaling, names, label, about, encoding, ready.target)
    constant = [names[k] if names else str(k) for k in ready.constant]
    return Fit(model, history, stopped, constant, ready.rows_held_out)


def _given(
    x: ArrayLike | Dataset | Source, y: ArrayLike | None, example_weights: ArrayLike | None, settings: Settings
) -> InMemory | Streamed:
    """The examples that `fit` was given, looked at."""
    if isinstance(x, Dataset):
        if y is not None:
            raise TypeError("y: the labels are in the dataset: give it alone")
        if x.labels is None:
            raise TypeError("the dataset has no labels: name their column when it is read")
        return InMemory(x.x, x.labels, example_weights, settings.output)
    if not isinstance(x, Source):
        return InMemory(x, y, example_weights, settings.output)
    if y is not None or example_weights is not None:
        raise TypeError("y and example_weights are in the source: give it alone")
    if settings.method is None or settings.batch_size is None:
        what = "optimizer='lbfgs' needs" if settings.method is None else "batch_size=None means"
        raise ValueError(f"{what} all examples in memory at once; of a source there are minibatches alone")
    return Streamed(x, settings.output)


def _names_of(x: object) -> Sequence[str] | None:
    """The names of the columns of a dataset, a source or a frame."""
    if isinstance(x, Dataset | Source):
        return x.columns
    names = getattr(x, "columns", None)
    return None if names is None else [str(name) for name in names]


def _identity(settings: Settings, task: Task, layers: Layers) -> JsonObject:
    """What a training depends on, as a checkpoint keeps it: settings, and sums of the bytes of data and weights."""
    if settings.method is None and (size := sum(leaf.size for leaf in jax.tree.leaves(layers))) > MOST_BY_LBFGS:
        raise ValueError(
            f"checkpoint: of lbfgs it keeps every gradient, for up to {MOST_BY_LBFGS:,} weights, and there are {size:,}: "
            "use an optimizer that takes steps"
        )
    about = settings.about() | {"hidden": settings.hidden, "bias": settings.bias, "standardise": settings.standardise}
    if settings.method is not None:
        update, values = update_of(settings.method, layers)
        about["optimizer"] = [about["optimizer"], checksum_of(*map(np.asarray, values)), len(repr(update.key))]
    data = [part.checksum() for part in (task.examples, task.validation) if part is not None]
    return about | {"data": data, "initial weights": checksum_of(*jax.tree.leaves(layers)), "examples": task.examples.n}
