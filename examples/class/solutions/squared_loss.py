"""Derive ∇_w Σ (Xw − y)², w (d,), X (n, d), y (n,).

Try it:  manual-grad grade --of examples/class/solutions/squared_loss.py examples/class/submissions/*/squared_loss.py
"""

import jax.numpy as jnp

from manual_grad import Derivation, reals


def loss(w, x, y):
    """L = Σ (Xw − y)²"""
    return jnp.sum((x @ w - y) ** 2)


def line_1(w, x, y):
    """Σ 2 (wᵀx − y) x"""
    return jnp.sum(2 * (x @ w - y)[:, None] * x, axis=0)


def line_2(w, x, y):
    """2 Xᵀ (Xw − y)"""
    return 2 * x.T @ (x @ w - y)


SOLUTION = Derivation(
    "∇_w Σ (Xw − y)²",
    of=loss,
    wrt="w",
    domain=(reals("d"), reals("n", "d"), reals("n")),
    lines=[line_1, line_2],
)
