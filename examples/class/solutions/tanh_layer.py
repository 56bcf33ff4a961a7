"""Derive ∇_W Σ tanh(X Wᵀ), W (k, d), X (n, d).

Try it:  manual-grad grade --of examples/class/solutions/tanh_layer.py examples/class/submissions/*/tanh_layer.py
"""

import jax.numpy as jnp

from manual_grad import Derivation, reals


def total(w, x):
    """L = Σ tanh(X Wᵀ)"""
    return jnp.sum(jnp.tanh(x @ w.T))


def line_1(w, x):
    """Σ (1 − h²) xᵀ"""
    return jnp.einsum("nk,nd->kd", 1 - jnp.tanh(x @ w.T) ** 2, x)


def line_2(w, x):
    """(1 − H²)ᵀ X"""
    return (1 - jnp.tanh(x @ w.T) ** 2).T @ x


SOLUTION = Derivation(
    "∇_W Σ tanh(X Wᵀ)",
    of=total,
    wrt="w",
    domain=(reals("k", "d"), reals("n", "d")),
    lines=[line_1, line_2],
)
