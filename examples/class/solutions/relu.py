"""Derive ∇_w Σ max(0, Xw), w (d,), X (n, d), by a mask.

Try it:  manual-grad grade --of examples/class/solutions/relu.py examples/class/submissions/*/relu.py
"""

import jax.numpy as jnp

from manual_grad import Derivation, reals


def total(w, x):
    """L = Σ max(0, Xw)"""
    return jnp.sum(jnp.maximum(0, x @ w))


def line_1(w, x):
    """Σ I(wᵀx > 0) x"""
    return jnp.sum((x @ w > 0)[:, None] * x, axis=0)


def line_2(w, x):
    """Xᵀ m,  m = I(Xw > 0)"""
    return x.T @ (x @ w > 0)


SOLUTION = Derivation(
    "∇_w Σ max(0, Xw)",
    of=total,
    wrt="w",
    domain=(reals("d"), reals("n", "d")),
    lines=[line_1, line_2],
)
