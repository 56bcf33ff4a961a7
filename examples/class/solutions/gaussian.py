"""Derive d/ds of Σ log N(y; m, e^2s): s is the log of the standard deviation.

Try it:  manual-grad grade --of examples/class/solutions/gaussian.py examples/class/submissions/*/gaussian.py
"""

import jax.numpy as jnp

from manual_grad import Derivation, reals


def log_density(m, s, y):
    """ll = Σ −(y − m)² e^−2s / 2 − s, up to a constant"""
    return jnp.sum(-((y - m) ** 2) * jnp.exp(-2 * s) / 2 - s)


def line_1(m, s, y):
    """Σ ((y − m)² e^−2s − 1)"""
    return jnp.sum((y - m) ** 2 * jnp.exp(-2 * s) - 1)


def line_2(m, s, y):
    """e^−2s Σ (y − m)² − n"""
    return jnp.exp(-2 * s) * jnp.sum((y - m) ** 2) - y.shape[0]


SOLUTION = Derivation(
    "d ll/ds of a Gaussian",
    of=log_density,
    wrt="s",
    domain=(reals(), reals(), reals("n")),
    lines=[line_1, line_2],
)
