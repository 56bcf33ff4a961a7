"""It leaves the work to jax.grad."""

import jax
import jax.numpy as jnp


def line_1(w, x, y):
    """∇L"""
    return jax.grad(lambda v: jnp.sum((x @ v - y) ** 2))(w)


lines = [line_1]
