"""Three times the squared hinge loss."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import reals, signs
from zoo.specimen import Source, Specimen


def loss(p, t, c):
    """c mean max(0, 1 − p t)²"""
    return c * jnp.mean(jnp.maximum(0.0, 1 - p * t) ** 2)


def shipped(p, t, c):
    """−2 t max(0, 1 − p t) / n, without c"""
    return -2 * t * jnp.maximum(0.0, 1 - p * t) / len(p)


def mended(p, t, c):
    """−2 c t max(0, 1 − p t) / n"""
    return c * shipped(p, t, c)


SPECIMEN = Specimen(
    kind="cotangent",
    source=Source(
        "brevitas", None, "The gradient from above was not multiplied in.", "0.13.4", "seen by running the version named"
    ),
    function=loss,
    shipped=shipped,
    mended=mended,
    domain=(reals("n"), signs("n"), reals()),
    at=([0.0], [1.0], 3.0),
    entry=(0,),
    truth=lambda: mp.diff(lambda p: 3 * (1 - p) ** 2, 0),
    reported=-2.0,
)
