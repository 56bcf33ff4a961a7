"""Right."""

import jax.numpy as jnp


def line_1(z):
    """e^−z / (1 + e^−z)²"""
    return jnp.exp(-z) / (1 + jnp.exp(-z)) ** 2


def line_2(z):
    """σ (1 − σ)"""
    s = 1 / (1 + jnp.exp(-z))
    return s * (1 - s)


lines = [line_1, line_2]
