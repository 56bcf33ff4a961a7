"""A polynomial as powers times weights, its constant term x⁰ among them."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import reals
from zoo.specimen import Source, Specimen


def polynomial(x, w):
    """Σ w₀ + w₁ x + w₂ x²"""
    return jnp.sum(w[0] + w[1] * x + w[2] * x**2)


def shipped(x, w):
    """Σ_k w_k k x^k / x"""
    return w[0] * 0 / x + w[1] * x / x + w[2] * 2 * x**2 / x


def mended(x, w):
    """w₁ + 2 w₂ x"""
    return w[1] + 2 * w[2] * x


SPECIMEN = Specimen(
    kind="boundary",
    source=Source(
        "tensorflow/tensorflow", 127227, "The column x⁰ has the derivative 0 · 0⁻¹ where an entry is 0: NaN.", "2.21.0"
    ),
    function=polynomial,
    shipped=shipped,
    mended=mended,
    domain=(reals("n"), reals(3)),
    at=([0.0], [1.0, 2.0, 3.0]),
    entry=(0,),
    truth=lambda: mp.diff(lambda x: 1 + 2 * x + 3 * x**2, 0),
    reported=float("nan"),
)
