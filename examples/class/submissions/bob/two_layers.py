"""The inner derivative x is forgotten."""

import jax.numpy as jnp


def line_1(w, v, x):
    """Σ v (1 − tanh²(wx))"""
    return jnp.sum(v * (1 - jnp.tanh(w * x) ** 2))


lines = [line_1]
