"""Derive ∇_w Σ log σ(y wᵀx), labels y −1 or +1.

Try it:  manual-grad grade --of examples/class/solutions/logistic.py examples/class/submissions/*/logistic.py
"""

import jax.numpy as jnp
from jax.nn import log_sigmoid, sigmoid

from manual_grad import Derivation, reals, signs


def log_likelihood(w, x, y):
    """ll = Σ log σ(y wᵀx)"""
    return jnp.sum(log_sigmoid(y * (x @ w)))


def line_1(w, x, y):
    """Σ (1 − σ(yz)) y x"""
    return ((1 - sigmoid(y * (x @ w))) * y) @ x


def line_2(w, x, y):
    """Σ (I(y=1) − σ(z)) x"""
    return ((y == 1) - sigmoid(x @ w)) @ x


SOLUTION = Derivation(
    "∇_w ll of logistic regression",
    of=log_likelihood,
    wrt="w",
    domain=(reals("d"), reals("n", "d"), signs("n")),
    lines=[line_1, line_2],
)
