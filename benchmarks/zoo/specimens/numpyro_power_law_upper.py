"""The distribution function of the doubly truncated power law with exponent −1, by its upper end."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import intervals
from zoo.specimen import Source, Specimen


def cdf(high, x):
    """log x / log high, on 1 < x < high"""
    return jnp.log(x) / jnp.log(high)


def shipped(high, x):
    """+ log x / (high log² high)"""
    return jnp.log(x) / (high * jnp.log(high) ** 2)


def mended(high, x):
    """− log x / (high log² high)"""
    return -jnp.log(x) / (high * jnp.log(high) ** 2)


SPECIMEN = Specimen(
    kind="closed form",
    source=Source(
        "numpyro",
        None,
        "The rule of the case α = −1 has the wrong sign for the upper end.",
        "0.22.0",
        "seen by running the version named",
    ),
    function=cdf,
    shipped=shipped,
    mended=mended,
    domain=(intervals(4.0, 9.0), intervals(1.0, 4.0)),
    at=(5.0, 2.0),
    truth=lambda: mp.diff(lambda h: mp.log(2) / mp.log(h), 5),
    reported=0.053519,
)
