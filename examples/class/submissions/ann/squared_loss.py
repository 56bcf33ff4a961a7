"""Right."""

import jax.numpy as jnp


def line_1(w, x, y):
    """Σ 2 (wᵀx − y) x"""
    return jnp.sum(2 * (x @ w - y)[:, None] * x, axis=0)


def line_2(w, x, y):
    """2 Xᵀ (Xw − y)"""
    return 2 * x.T @ (x @ w - y)


lines = [line_1, line_2]
