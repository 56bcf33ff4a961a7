"""The arguments of `fit` that say how to train: checked, before any work is done."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from autodiff_ref.train.kernels import gradient_of
from autodiff_ref.train.optimizers import Transformation, checked_rates, optimizer_of
from autodiff_ref.train.shuffle import mode_of
from autodiff_ref.train.values import real, truth, whole
from autodiff_ref.trees import JsonObject
from manual_grad.activations import activation_of
from manual_grad.mlp import OUTPUTS


@dataclass
class Settings:
    """How to train: arguments of `fit` by the same names, checked, with numbers made Python's own.

    Raises:
        TypeError: an argument is not of its kind.
        ValueError: an argument is out of its range.
        ModuleNotFoundError: the optimiser is one of optax's, which is not installed.
    """

    widths: Sequence[int]
    hidden: str
    bias: bool
    epochs: int
    batch_size: int | None
    optimizer: str | Transformation
    learning_rate: float
    momentum: float
    weight_decay: float
    gradient: str
    standardise: bool
    validation: float
    patience: int
    shuffle: str
    seed: int
    dtype: Any
    output: str = "classes"
    method: Any = field(init=False)
    """The optimiser that `optimizer` names, or is: a pair init, update. None for L-BFGS, which is none."""

    def __post_init__(self) -> None:
        self.widths = _checked_widths(self.widths)
        activation_of(self.hidden)
        gradient_of(self.gradient)
        mode_of(self.shuffle, 1)
        if self.output not in OUTPUTS:
            raise ValueError(f"output must be one of {', '.join(OUTPUTS)}, got {self.output!r}")
        self.bias, self.standardise = truth("bias", self.bias), truth("standardise", self.standardise)
        self.epochs, self.patience = whole("epochs", self.epochs, 1), whole("patience", self.patience, 1)
        self.seed = whole("seed", self.seed, 0)
        self.batch_size = None if self.batch_size is None else whole("batch_size", self.batch_size, 1)
        self.weight_decay = real("weight_decay", self.weight_decay)
        if not 0 <= self.weight_decay < float("inf"):
            raise ValueError(f"weight_decay must be finite and at least 0, got {self.weight_decay}")
        self.validation = real("validation", self.validation)
        if not 0 <= self.validation < 1:
            raise ValueError(f"validation must be a share from 0 to below 1, got {self.validation}")
        if self.dtype is not None:  # which NumPy takes for float64
            with suppress(TypeError):
                self.dtype = np.dtype(self.dtype).name
        if self.dtype not in ("float32", "float64"):
            raise ValueError(f"dtype must be float32 or float64, got {self.dtype!r}")
        self.learning_rate, self.momentum = checked_rates(self.learning_rate, self.momentum)
        lbfgs = isinstance(self.optimizer, str) and self.optimizer == "lbfgs"
        self.method = None if lbfgs else optimizer_of(self.optimizer, self.learning_rate, self.momentum)

    def about(self) -> JsonObject:
        """What a model keeps of it, for people; JSON."""
        about: JsonObject = {
            "widths": list(self.widths),
            "optimizer": self.optimizer if isinstance(self.optimizer, str) else type(self.optimizer).__name__,
            "learning_rate": self.learning_rate,
            "momentum": self.momentum,
            "batch_size": self.batch_size,
            "weight_decay": self.weight_decay,
            "gradient": self.gradient,
            "shuffle": self.shuffle,
            "validation": self.validation,
            "seed": self.seed,
            "dtype": self.dtype,
        }
        if self.output != "classes":
            about["output"] = self.output
        return about


def _checked_widths(widths: Iterable[object]) -> tuple[int, ...]:
    try:
        units = tuple(widths)
    except TypeError:
        raise TypeError(f"widths must be the units of each hidden layer, such as (2,), got {widths!r}") from None
    return tuple(whole("widths", width, 1) for width in units)
