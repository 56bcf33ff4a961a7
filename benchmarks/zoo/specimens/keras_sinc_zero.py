"""sin πx / πx at 0."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import reals
from zoo.specimen import Source, Specimen


def sinc(x):
    """Σ sin πx / πx, 1 at x = 0"""
    return jnp.sum(jnp.sinc(x))


def shipped(x):
    """(cos πx − sin πx / πx) / x"""
    return (jnp.cos(jnp.pi * x) - jnp.sin(jnp.pi * x) / (jnp.pi * x)) / x


def mended(x):
    """0 where x = 0, else the same"""
    return jnp.where(x == 0, 0.0, shipped(jnp.where(x == 0, 1.0, x)))


SPECIMEN = Specimen(
    kind="boundary",
    source=Source(
        "tensorflow/tensorflow", 127226, "The branch at 0 guards the value and not the gradient, which is NaN.", "2.21.0"
    ),
    function=sinc,
    shipped=shipped,
    mended=mended,
    domain=(reals("n"),),
    at=([0.0],),
    entry=(0,),
    truth=lambda: mp.mpf(0),
    reported=float("nan"),
)
