"""The gradients of Bert Huang's "Notes on backprop slides", by hand. Array-API code: NumPy, or JAX; imports no JAX."""

from manual_grad import domains, notes
from manual_grad.derivation import Derivation, Within, contract, holds_when, within
from manual_grad.domains import *  # noqa: F403
from manual_grad.gradients import grad_w11, grad_w12, grad_w21, value_and_grad
from manual_grad.jacobians import by_hand
from manual_grad.network import (
    Weights,
    hidden,
    indicator,
    log_likelihood,
    margin,
    preactivation,
    probability,
    residual,
    score,
)
from manual_grad.notes import equation_1, equation_2
from manual_grad.sigmoid import log_sigmoid, log_sigmoid_derivative, sigmoid, sigmoid_derivative

__all__ = [
    "Derivation",
    "Weights",
    "Within",
    "by_hand",
    "contract",
    "equation_1",
    "equation_2",
    "grad_w11",
    "grad_w12",
    "grad_w21",
    "hidden",
    "holds_when",
    "indicator",
    "log_likelihood",
    "log_sigmoid",
    "log_sigmoid_derivative",
    "margin",
    "notes",
    "preactivation",
    "probability",
    "residual",
    "score",
    "sigmoid",
    "sigmoid_derivative",
    "value_and_grad",
    "within",
]
__all__ += domains.__all__
