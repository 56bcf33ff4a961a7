"""Right."""

import jax.numpy as jnp


def line_1(w, x):
    """Σ I(wᵀx > 0) x"""
    return jnp.sum((x @ w > 0)[:, None] * x, axis=0)


def line_2(w, x):
    """Xᵀ m,  m = I(Xw > 0)"""
    return x.T @ (x @ w > 0)


lines = [line_1, line_2]
