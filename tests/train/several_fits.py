"""The trainings that several devices and processes have to agree on with one device."""

from collections.abc import Iterable
from typing import Any

import jax
import numpy as np

from autodiff_ref.train import fit


def labelled() -> tuple[Any, Any]:
    """Examples, and labels that two units can learn."""
    random = np.random.default_rng(0)
    x = random.standard_normal((1001, 5))
    return x, np.abs(x[:, 0]) + 0.3 * x[:, 1] > 0.6


def fitted(devices: int, which: Iterable[str]) -> list[Any]:
    """Of some of four trainings, by number, the weights at the end and ll after each epoch."""
    x, y = labelled()
    every: list[dict[str, Any]] = [
        {},
        {"shuffle": "batches", "dtype": "float64", "validation": 0.2},
        {"batch_size": None},
        {"optimizer": "adam", "learning_rate": 0.01, "example_weights": 1 + x[:, 2] ** 2},
    ]
    found = []
    for k in which:
        options = {"epochs": 4, "batch_size": 64, "devices": devices} | every[int(k)]
        result = fit(x, y, **options)
        weights = [leaf.ravel().tolist() for leaf in jax.tree.leaves(result.model.layers)]
        found.append([weights, [epoch.ll for epoch in result.history]])
    return found
