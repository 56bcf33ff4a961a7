"""z / |z| of a complex number."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import positives
from zoo.specimen import Source, Specimen


def sign(z):
    """z / |z|"""
    return z / jnp.sqrt(z @ z)


def shipped(z):
    """0, as for real numbers"""
    return jnp.zeros((2, 2))


def mended(z):
    """(1 − ẑ ẑᵀ) / |z|"""
    size = jnp.sqrt(z @ z)
    return (jnp.eye(2) - jnp.outer(z, z) / (z @ z)) / size


SPECIMEN = Specimen(
    kind="conjugate",
    source=Source(
        "JuliaDiff/ChainRules.jl", 211, "The rule of the real sign was used for complex numbers, whose phase moves."
    ),
    function=sign,
    shipped=shipped,
    mended=mended,
    domain=(positives(2),),
    at=([1.0, 1.0],),
    entry=(0, 0),
    truth=lambda: mp.diff(lambda x: x / mp.sqrt(x**2 + 1), 1),
)
