"""Derive ∇_w ½ Σ (Xw − y)² + ½ c wᵀw.

Try it:  manual-grad grade --of examples/class/solutions/l2_prior.py examples/class/submissions/*/l2_prior.py
"""

import jax.numpy as jnp

from manual_grad import Derivation, reals


def loss(w, x, y, c):
    """L = ½ Σ (Xw − y)² + ½ c wᵀw"""
    return jnp.sum((x @ w - y) ** 2) / 2 + c * (w @ w) / 2


def line_1(w, x, y, c):
    """Xᵀ (Xw − y) + c w"""
    return x.T @ (x @ w - y) + c * w


def line_2(w, x, y, c):
    """XᵀX w + c w − Xᵀy"""
    return x.T @ x @ w + c * w - x.T @ y


SOLUTION = Derivation(
    "∇_w of ridge regression",
    of=loss,
    wrt="w",
    domain=(reals("d"), reals("n", "d"), reals("n"), reals()),
    lines=[line_1, line_2],
)
