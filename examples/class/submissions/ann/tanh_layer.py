"""Right."""

import jax.numpy as jnp


def line_1(w, x):
    """Σ (1 − h²) xᵀ"""
    return jnp.einsum("nk,nd->kd", 1 - jnp.tanh(x @ w.T) ** 2, x)


def line_2(w, x):
    """(1 − H²)ᵀ X"""
    return (1 - jnp.tanh(x @ w.T) ** 2).T @ x


lines = [line_1, line_2]
