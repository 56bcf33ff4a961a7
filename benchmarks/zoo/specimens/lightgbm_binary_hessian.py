"""The gradient of the binary objective, differentiated again."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import reals, signs
from zoo.specimen import Source, Specimen


def gradient(z, y):
    """Σ −y / (1 + e^yz)"""
    return jnp.sum(-y / (1 + jnp.exp(y * z)))


def mended(z, y):
    """|g| (1 − |g|)"""
    g = jnp.abs(y / (1 + jnp.exp(y * z)))
    return g * (1 - g)


SPECIMEN = Specimen(
    kind="right but refused",
    source=Source(
        "lightgbm-org/LightGBM",
        2423,
        "Asked why it is not p (1 − p): for labels −1 and +1 it is.",
        code="the formula is in the report",
    ),
    function=gradient,
    shipped=None,
    mended=mended,
    domain=(reals("n"), signs("n")),
    at=([0.0], [1.0]),
    entry=(0,),
    truth=lambda: mp.diff(lambda z: -1 / (1 + mp.exp(z)), 0),
)
