"""The numerator is lost."""

import jax.numpy as jnp


def line_1(z):
    """1 / Σ e^z"""
    return 1 / jnp.sum(jnp.exp(z)) + 0 * z


lines = [line_1]
