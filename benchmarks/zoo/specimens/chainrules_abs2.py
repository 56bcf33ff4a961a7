"""|z|² of a complex number, z = x + iy."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import reals
from zoo.specimen import Source, Specimen


def abs2(z):
    """x² + y²"""
    return z[0] ** 2 + z[1] ** 2


def shipped(z):
    """Re(2 z dz): (2x, −2y)"""
    return jnp.array([2 * z[0], -2 * z[1]])


def mended(z):
    """Re(2 z̄ dz): (2x, 2y)"""
    return 2 * z


SPECIMEN = Specimen(
    kind="conjugate",
    source=Source(
        "JuliaDiff/ChainRules.jl",
        195,
        "The rule for real numbers, 2z, was used for complex ones, where the function is not holomorphic.",
    ),
    function=abs2,
    shipped=shipped,
    mended=mended,
    domain=(reals(2),),
    at=([1.0, 2.0],),
    entry=(1,),
    truth=lambda: mp.diff(lambda y: 1 + y**2, 2),
)
