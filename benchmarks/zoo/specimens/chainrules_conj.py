"""The conjugate of a complex number."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import reals
from zoo.specimen import Source, Specimen


def conjugate(z):
    """(x, −y)"""
    return jnp.stack([z[0], -z[1]])


def shipped(z):
    """dz"""
    return jnp.eye(2)


def mended(z):
    """dz̄"""
    return jnp.diag(jnp.array([1.0, -1.0]))


SPECIMEN = Specimen(
    kind="conjugate",
    source=Source("JuliaDiff/ChainRules.jl", 19, "The tangent came back as it was, not conjugated."),
    function=conjugate,
    shipped=shipped,
    mended=mended,
    domain=(reals(2),),
    at=([1.0, 1.0],),
    entry=(1, 1),
    truth=lambda: mp.diff(lambda y: -y, 1),
    reported=1.0,
)
