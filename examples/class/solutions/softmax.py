"""Derive ∇_z −Σ t log p, p the softmax of each row of z (n, k), t one-hot rows.

Try it:  manual-grad grade --of examples/class/solutions/softmax.py examples/class/submissions/*/softmax.py
"""

import jax.numpy as jnp
from jax.nn import log_softmax, softmax

from manual_grad import Derivation, one_hot, reals


def loss(z, t):
    """L = −Σ t log p"""
    return -jnp.sum(t * log_softmax(z))


def line_1(z, t):
    """e^z / Σ e^z − t"""
    return jnp.exp(z) / jnp.sum(jnp.exp(z), axis=1, keepdims=True) - t


def line_2(z, t):
    """p − t"""
    return softmax(z) - t


SOLUTION = Derivation(
    "∇_z of softmax cross-entropy",
    of=loss,
    wrt="z",
    domain=(reals("n", "k"), one_hot("n", "k")),
    lines=[line_1, line_2],
)
