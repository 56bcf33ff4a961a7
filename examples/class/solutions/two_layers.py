"""Derive ∇_w Σ v tanh(w x): two layers of one unit each.

Try it:  manual-grad grade --of examples/class/solutions/two_layers.py examples/class/submissions/*/two_layers.py
"""

import jax.numpy as jnp

from manual_grad import Derivation, reals


def total(w, v, x):
    """L = Σ v tanh(w x)"""
    return jnp.sum(v * jnp.tanh(w * x))


def line_1(w, v, x):
    """Σ v (1 − tanh²(wx)) x"""
    return jnp.sum(v * (1 - jnp.tanh(w * x) ** 2) * x)


def line_2(w, v, x):
    """v Σ x (1 − tanh²(wx))"""
    return v * (x @ (1 - jnp.tanh(w * x) ** 2))


SOLUTION = Derivation(
    "∇_w of two layers",
    of=total,
    wrt="w",
    domain=(reals(), reals(), reals("n")),
    lines=[line_1, line_2],
)
