"""Inequality constraints of an example in the SciPy tutorial, and their Jacobian."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import reals
from zoo.specimen import Source, Specimen


def constraints(x):
    """(1 − x₀ − 2x₁, 1 − x₀² − x₁, 1 − x₀² + x₁)"""
    return jnp.array([1 - x[0] - 2 * x[1], 1 - x[0] ** 2 - x[1], 1 - x[0] ** 2 + x[1]])


def shipped(x):
    """The first row is (1, 2)"""
    return jnp.array([[1.0, 2.0], [-2 * x[0], -1.0], [-2 * x[0], 1.0]])


def mended(x):
    """The first row is (−1, −2)"""
    return jnp.array([[-1.0, -2.0], [-2 * x[0], -1.0], [-2 * x[0], 1.0]])


SPECIMEN = Specimen(
    kind="closed form",
    source=Source("scipy/scipy", 9122, "The first row of the Jacobian had the wrong sign.", code="the report quotes it"),
    function=constraints,
    shipped=shipped,
    mended=mended,
    domain=(reals(2),),
    at=([0.5, 0.25],),
    entry=(0, 1),
    truth=lambda: mp.diff(lambda y: mp.mpf("0.5") - 2 * y, mp.mpf("0.25")),
    reported=2.0,
)
