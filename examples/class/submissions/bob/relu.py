"""The mask is lost: as if the layer were linear."""

import jax.numpy as jnp


def line_1(w, x):
    """Xᵀ 1"""
    return jnp.sum(x, axis=0) + 0 * w


lines = [line_1]
