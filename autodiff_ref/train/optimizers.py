"""Optimisers in the form of optax's `GradientTransformation`: a pair of functions, init and update, that descends.

`sgd` is here so that training needs nothing beyond the core; every other name is optax's own.
"""

import importlib
from collections.abc import Callable
from functools import lru_cache
from types import ModuleType
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from autodiff_ref.train.values import real
from autodiff_ref.trees import PyTree


class _OfOptax(Protocol):
    """A pair init, update, as optax's `GradientTransformation` is."""

    def init(self, parameters: PyTree, /) -> PyTree:
        """The state before the first step."""
        ...

    def update(self, gradient: PyTree, state: PyTree, parameters: PyTree = None, /) -> tuple[PyTree, PyTree]:
        """The step along −gradient, and the state after it."""
        ...


class Optimizer(NamedTuple):
    """init(parameters) → state;  update(gradient, state, parameters) → (step, state). optax's transformations fit."""

    init: Callable[[PyTree], PyTree]
    update: Callable[..., tuple[PyTree, PyTree]]


Transformation = Optimizer | _OfOptax
"""What descends: a pair init, update."""


@lru_cache
def sgd(learning_rate: float, momentum: float = 0.0) -> Optimizer:
    """v ← μ v + g,  step −η v

    Args:
        learning_rate: η > 0.
        momentum: μ in [0, 1).

    Returns:
        The optimiser; the same object for the same arguments.

    Raises:
        TypeError: η or μ is no number.
        ValueError: η or μ is out of range.

    Example:
        >>> descend = sgd(0.5)
        >>> float(descend.update(2.0, descend.init(1.0))[0])
        -1.0
    """
    learning_rate, momentum = checked_rates(learning_rate, momentum)

    def init(parameters: PyTree) -> PyTree:
        return jax.tree.map(_zeros, parameters) if momentum else ()

    def update(gradient: PyTree, state: PyTree, parameters: PyTree = None) -> tuple[PyTree, PyTree]:
        velocity = jax.tree.map(lambda v, g: momentum * v + g, state, gradient) if momentum else gradient
        return jax.tree.map(lambda v: -learning_rate * v, velocity), velocity if momentum else ()

    return Optimizer(init, update)


def _zeros(p: ArrayLike) -> jax.Array:
    """Zeros as p, made by NumPy: JAX would compile a program for each shape."""
    return jax.device_put(np.zeros(np.shape(p), jnp.result_type(p)))


def checked_rates(learning_rate: object, momentum: object) -> tuple[float, float]:
    """η > 0 and μ in [0, 1), as Python's numbers; TypeError or ValueError otherwise."""
    rate, inertia = real("learning_rate", learning_rate), real("momentum", momentum)
    if not 0 < rate < float("inf"):
        raise ValueError(f"learning_rate must be above 0 and finite, got {rate}")
    if not 0 <= inertia < 1:
        raise ValueError(f"momentum must be at least 0 and below 1, got {inertia}")
    return rate, inertia


def optimizer_of(optimizer: str | Transformation, learning_rate: float, momentum: float) -> Transformation:
    """The optimiser that is named, or given.

    Args:
        optimizer: "sgd", the name of one of optax's ("adam", "adamw", "rmsprop", …), or a `GradientTransformation`.
        learning_rate: for one that is named.
        momentum: for "sgd".

    Returns:
        A pair init, update.

    Raises:
        ModuleNotFoundError: the name is one of optax's, and optax is not installed.
        TypeError: it is neither a name nor a pair init, update.
        ValueError: there is no optimiser of that name.
    """
    if not isinstance(optimizer, str):
        if not callable(getattr(optimizer, "init", None)) or not callable(getattr(optimizer, "update", None)):
            raise TypeError(f"optimizer must be a name or an optax.GradientTransformation, got {optimizer!r}")
        return optimizer
    if optimizer == "sgd":
        return sgd(learning_rate, momentum)
    return _of_optax(optimizer, learning_rate)


@lru_cache
def _of_optax(name: str, learning_rate: float) -> Transformation:
    try:
        optax: ModuleType = importlib.import_module("optax")
    except ModuleNotFoundError as missing:
        raise ModuleNotFoundError(
            f"optimizer {name!r} is optax's, which is not installed: pip install 'manual-grad[train]', or use sgd or lbfgs"
        ) from missing
    make = getattr(optax, name, None)
    try:
        made: Any = make(learning_rate=learning_rate) if callable(make) and not name.startswith("_") else None
    except TypeError:
        made = None
    if not (callable(getattr(made, "init", None)) and callable(getattr(made, "update", None))):
        raise ValueError(f"optimizer must be sgd, lbfgs or one of optax's that takes a learning_rate, got {name!r}")
    return made
