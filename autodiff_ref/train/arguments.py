"""The data that `fit` is given, and its initial weights: checked, before any work is done, and completed."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from autodiff_ref.train.encoding import ROWS, Rows
from autodiff_ref.train.kernels import Layers
from autodiff_ref.train.settings import Settings
from autodiff_ref.train.shuffle import INITIAL, SPLIT
from manual_grad import mlp
from manual_grad.mlp import Layer


def initial_layers(d: int, widths: Sequence[int], hidden: str, bias: bool, seed: int, outputs: int = 1) -> Layers:
    """Weights with standard deviation 1/√inputs (√2 as large for ReLU), biases 0."""
    random = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(INITIAL,)))
    gain = 2.0 if hidden == "relu" else 1.0
    sizes = [d, *widths, outputs]
    return tuple(
        Layer(random.standard_normal((units, inputs)) * np.sqrt(gain / inputs), np.zeros(units) if bias else None)
        for inputs, units in pairwise(sizes)
    )


def share_of(y: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(rows that stay, rows of a share), each in order: `share` of all rows and, as nearly as can be, of every class."""
    random = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(SPLIT,)))
    apart = stratified(y, max(1, round(share * len(y))), random)
    return np.setdiff1d(np.arange(len(y)), apart), apart


def stratified(y: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """So many rows, in order, and, as nearly as can be, of every class alike."""
    order = random.permutation(len(y))
    place = np.empty(len(y))
    for label in np.unique(y):
        rows = order[y[order] == label]
        place[rows] = (np.arange(len(rows)) + 0.5) / len(rows)
    return np.sort(order[np.argsort(place[order], kind="stable")][:count])


def split(
    y: np.ndarray, c: np.ndarray | None, share: float, seed: int, *, classes: bool = True
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """The rows to train on and those held out, in the order of the data; None, None for no split.

    Where y are `classes` each has its part in both, and there must be two to train on.
    """
    y = y if classes else np.zeros(len(y))
    n = len(y)
    counts = np.ones(n, bool) if c is None else c > 0
    training, held_out = None, None
    if share > 0:
        training, held_out = share_of(y, share, seed)
        if len(np.unique(y[training])) < 1 + classes:
            raise ValueError(
                f"validation={share} of {n} examples leaves none or one class alone to train on: hold out fewer"
            )
        if not counts[held_out].any():
            raise ValueError("the weights are 0 on every example held out: at least one must be above 0")
    weighed = counts if training is None else training[counts[training]]
    if len(np.unique(y[weighed])) < 1 + classes:
        raise ValueError("the weights leave none or one class alone to train on: two need a weight above 0")
    return training, held_out


def checked_weights(c: ArrayLike | None, n: int, name: str = "example_weights", rows: Rows = ROWS) -> np.ndarray | None:
    """The weights as (n,) float64, None where all are 1; TypeError or ValueError where they cannot be weights.

    `name`: what messages call them; `rows`: how these number them.
    """
    if c is None:
        return None
    weights = np.asarray(c)
    if weights.dtype.kind not in "fiub":
        raise TypeError(f"{name} must be numbers, got dtype {weights.dtype}")
    if weights.shape != (n,):
        raise ValueError(f"{name} has shape {weights.shape}, it must be ({n},): one weight for each row of x")
    weights = weights.astype(np.float64)
    require_weights(weights, name, rows)
    return weights


def require_weights(c: np.ndarray, name: str, rows: Rows = ROWS) -> None:
    """Raises ValueError unless all weights are finite and at least 0, and one is above."""
    good = np.isfinite(c) & (c >= 0)
    if not good.all():
        k = int(np.argmin(good))
        raise ValueError(f"{name} must be finite and at least 0, {rows.place(k)} has {c[k]:g}; {rows}")
    if not c.any():
        raise ValueError(f"{name} must not all be 0: no example would count")


def checked_names(columns: Iterable[str] | None, label: str | None, d: int) -> tuple[tuple[str, ...] | None, str | None]:
    """The names of the columns and of the label, which a model file keeps as text."""
    if isinstance(columns, str) or not isinstance(columns, Iterable | None):
        raise TypeError(f"columns must be the names of x's columns in a sequence, got {columns!r}")
    names = None if columns is None else tuple(columns)
    for name in (*(names or ()), *(() if label is None else (label,))):
        if not isinstance(name, str):
            raise TypeError(f"columns and label are names, of type str, got {name!r}")
    if names is not None and len(names) != d:
        raise ValueError(f"columns has {len(names)} names, x has {d} columns")
    return names, label


def starting_layers(initial: Layers | None, d: int, outputs: int, settings: Settings) -> Layers:
    """The weights to start from, as NumPy arrays of the dtype to train in: `initial`, or where it is None random ones."""
    dtype, bias = np.dtype(settings.dtype), settings.bias
    if initial is None:
        initial = initial_layers(d, settings.widths, settings.hidden, bias, settings.seed, outputs)
    try:
        mlp.checked(initial, np.zeros((1, d)))
    except (TypeError, ValueError) as error:
        raise (TypeError if isinstance(error, TypeError) else ValueError)(f"initial: {error}") from None
    wanted = [(units, inputs) for inputs, units in pairwise([d, *settings.widths, outputs])]
    got = [np.shape(layer.w) for layer in initial]
    if got != wanted or any((layer.b is None) == bias for layer in initial):
        biases = "with" if bias else "without"
        raise ValueError(f"initial has layers of shapes {got}, it must have {wanted} {biases} biases")
    with np.errstate(over="ignore"):
        layers = tuple(
            Layer(*(None if part is None else np.asarray(part).astype(dtype) for part in layer)) for layer in initial
        )
    for number, layer in enumerate(layers, start=1):
        if not all(np.isfinite(part).all() for part in layer if part is not None):
            raise ValueError(f"initial: layer {number} does not fit into {dtype}: use dtype float64")
    return layers
