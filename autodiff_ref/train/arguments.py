"""The arguments of `fit`: checked, before any work is done, and completed."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from autodiff_ref.train.kernels import Layers
from autodiff_ref.train.shuffle import INITIAL, SPLIT
from manual_grad.mlp import Layer


def initial_layers(d: int, widths: Sequence[int], hidden: str, bias: bool, seed: int) -> Layers:
    """Weights with standard deviation 1/√inputs (√2 as large for ReLU), biases 0."""
    random = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(INITIAL,)))
    gain = 2.0 if hidden == "relu" else 1.0
    sizes = [d, *widths, 1]
    return tuple(
        Layer(random.standard_normal((units, inputs)) * np.sqrt(gain / inputs), np.zeros(units) if bias else None)
        for inputs, units in pairwise(sizes)
    )


def split(y: np.ndarray, share: float, seed: int) -> tuple[np.ndarray | None, np.ndarray | None]:
    """The rows to train on and those held out, in the order of the data; None, None for no split."""
    if not 0 <= share < 1:
        raise ValueError(f"validation must be a share from 0 to below 1, got {share}")
    if share == 0:
        return None, None
    n = len(y)
    count = max(1, round(share * n))
    order = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(SPLIT,))).permutation(n)
    training, held_out = np.sort(order[count:]), np.sort(order[:count])
    if len(np.unique(y[training])) < 2:
        raise ValueError(f"validation={share} of {n} examples leaves none or one class alone to train on: hold out fewer")
    return training, held_out


def checked_weights(c: Any, n: int) -> np.ndarray | None:
    if c is None:
        return None
    weights = np.asarray(c)
    if weights.dtype.kind not in "fiub":
        raise TypeError(f"example_weights must be numbers, got dtype {weights.dtype}")
    if weights.shape != (n,):
        raise ValueError(f"example_weights has shape {weights.shape}, it must be ({n},): one weight for each row of x")
    weights = weights.astype(np.float64)
    if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.any()):
        raise ValueError("example_weights must be finite and at least 0, and not all 0")
    return weights


def checked_columns(columns: Sequence[str] | None, d: int) -> tuple[str, ...] | None:
    if columns is not None and len(columns) != d:
        raise ValueError(f"columns has {len(columns)} names, x has {d} columns")
    return None if columns is None else tuple(columns)


def checked_initial(initial: Any, d: int, widths: Sequence[int], bias: bool) -> Layers:
    sizes = [d, *widths, 1]
    wanted = [(units, inputs) for inputs, units in pairwise(sizes)]
    got = [np.shape(layer.w) for layer in initial]
    if got != wanted or any((layer.b is None) == bias for layer in initial):
        biases = "with" if bias else "without"
        raise ValueError(f"initial has layers of shapes {got}, it must have {wanted} {biases} biases")
    return tuple(initial)


def require_whole(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} must be a whole number, got {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")
