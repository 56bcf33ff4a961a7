"""Right."""

import jax.numpy as jnp


def line_1(m, s, y):
    """Σ ((y − m)² e^−2s − 1)"""
    return jnp.sum((y - m) ** 2 * jnp.exp(-2 * s) - 1)


def line_2(m, s, y):
    """e^−2s Σ (y − m)² − n"""
    return jnp.exp(-2 * s) * jnp.sum((y - m) ** 2) - y.shape[0]


lines = [line_1, line_2]
