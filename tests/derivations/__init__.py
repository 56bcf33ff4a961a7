"""Derivations of other kinds than the notes', and deliberately broken versions of each, to judge the judge by."""

from tests.derivations import (
    batch_norm,
    chain,
    hessian,
    hessian_vector,
    likelihoods,
    recurrent,
    relu,
    small,
    softmax,
    temperature,
    three_layers,
    weight_decay,
)

MODULES = (
    softmax,
    three_layers,
    weight_decay,
    hessian,
    hessian_vector,
    relu,
    temperature,
    batch_norm,
    likelihoods,
    small,
    recurrent,
    chain,
)

__all__ = [
    "MODULES",
    "batch_norm",
    "chain",
    "hessian",
    "hessian_vector",
    "likelihoods",
    "recurrent",
    "relu",
    "small",
    "softmax",
    "temperature",
    "three_layers",
    "weight_decay",
]
