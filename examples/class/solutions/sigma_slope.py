"""Derive dσ(z)/dz, σ(z) = 1/(1 + e^−z).

Try it:  manual-grad grade --of examples/class/solutions/sigma_slope.py examples/class/submissions/*/sigma_slope.py
"""

import jax.numpy as jnp

from manual_grad import Derivation, reals


def sigma(z):
    """σ(z) = 1/(1 + e^−z)"""
    return 1 / (1 + jnp.exp(-z))


def line_1(z):
    """e^−z / (1 + e^−z)²"""
    return jnp.exp(-z) / (1 + jnp.exp(-z)) ** 2


def line_2(z):
    """σ (1 − σ)"""
    s = 1 / (1 + jnp.exp(-z))
    return s * (1 - s)


SOLUTION = Derivation(
    "dσ/dz",
    of=sigma,
    wrt="z",
    domain=(reals(),),
    lines=[line_1, line_2],
)
