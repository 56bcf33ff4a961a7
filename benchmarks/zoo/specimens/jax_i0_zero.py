"""The modified Bessel function I₀ at 0, as a product with e^|x|."""

import jax.numpy as jnp
import mpmath as mp
from jax.scipy.special import i0e, i1e

from manual_grad import reals
from zoo.specimen import Source, Specimen


def bessel(x):
    """e^|x| (e^−|x| I₀(x))"""
    return jnp.sum(jnp.exp(x) * jnp.exp(jnp.abs(x) - x) * i0e(x))


def mended(x):
    """I₁(x)"""
    return jnp.exp(x) * jnp.exp(jnp.abs(x) - x) * i1e(x)


def shipped(x):
    """1 where x = 0, else I₁(x)"""
    return jnp.where(x == 0, 1.0, mended(x))


SPECIMEN = Specimen(
    kind="boundary",
    source=Source(
        "jax-ml/jax",
        40628,
        "The kinks of e^|x| and of e^−|x| I₀ cancel at 0, and were differentiated one by one: 1 came out for 0.",
    ),
    function=bessel,
    shipped=shipped,
    mended=mended,
    domain=(reals("n"),),
    at=([0.0],),
    entry=(0,),
    truth=lambda: mp.diff(lambda x: mp.besseli(0, x), 0),
    reported=1.0,
)
