"""A wrong line, put right by the next one."""

import jax.numpy as jnp


def line_1(w, v, x):
    """Σ v (1 + tanh²(wx)) x"""
    return jnp.sum(v * (1 + jnp.tanh(w * x) ** 2) * x)


def line_2(w, v, x):
    """v Σ x (1 − tanh²(wx))"""
    return v * (x @ (1 - jnp.tanh(w * x) ** 2))


lines = [line_1, line_2]
