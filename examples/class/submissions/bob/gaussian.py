"""The constant is not summed over the examples."""

import jax.numpy as jnp


def line_1(m, s, y):
    """Σ ((y − m)² e^−2s − 1)"""
    return jnp.sum((y - m) ** 2 * jnp.exp(-2 * s) - 1)


def line_2(m, s, y):
    """e^−2s Σ (y − m)² − 1"""
    return jnp.exp(-2 * s) * jnp.sum((y - m) ** 2) - 1


lines = [line_1, line_2]
