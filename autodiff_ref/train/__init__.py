"""Jit-compiled batched training of `manual_grad.mlp` with the hand-derived gradient, or with `jax.grad`."""

from autodiff_ref.train.arguments import initial_layers
from autodiff_ref.train.data import Dataset, read
from autodiff_ref.train.fit import Fit, fit
from autodiff_ref.train.kernels import mean_log_likelihood, sum_over
from autodiff_ref.train.loop import Recipe, State, epoch, full_step, start, step
from autodiff_ref.train.model import Model, load
from autodiff_ref.train.optimizers import sgd
from autodiff_ref.train.run import Epoch
from autodiff_ref.train.shuffle import Shuffler
from autodiff_ref.train.sources import Arrays, Source, source_of

__all__ = [
    "Arrays",
    "Dataset",
    "Epoch",
    "Fit",
    "Model",
    "Recipe",
    "Shuffler",
    "Source",
    "State",
    "epoch",
    "fit",
    "full_step",
    "initial_layers",
    "load",
    "mean_log_likelihood",
    "read",
    "sgd",
    "source_of",
    "start",
    "step",
    "sum_over",
]
