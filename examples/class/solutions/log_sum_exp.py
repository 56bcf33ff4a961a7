"""Derive ∇_z log Σ e^z, z (k,).

Try it:  manual-grad grade --of examples/class/solutions/log_sum_exp.py examples/class/submissions/*/log_sum_exp.py
"""

import jax.numpy as jnp
from jax.nn import logsumexp, softmax

from manual_grad import Derivation, reals


def total(z):
    """L = log Σ e^z"""
    return logsumexp(z)


def line_1(z):
    """e^z / Σ e^z"""
    return jnp.exp(z) / jnp.sum(jnp.exp(z))


def line_2(z):
    """softmax(z)"""
    return softmax(z)


SOLUTION = Derivation(
    "∇_z log Σ e^z",
    of=total,
    wrt="z",
    domain=(reals("k"),),
    lines=[line_1, line_2],
)
