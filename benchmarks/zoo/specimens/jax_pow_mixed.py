"""x^y, by x and y: the mixed second derivative where y = 0."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import nonnegatives
from zoo.specimen import Source, Specimen


def power(v):
    """x^y, for v = (x, y), as e^(y log x)"""
    return jnp.exp(v[1] * jnp.log(v[0]))


def shipped(v):
    """(y x^(1 where y = 0, else y−1), log x x^y)"""
    x, y = v
    exponent = jnp.where(y == 0, 1.0, y - 1)
    return jnp.stack([y * jnp.exp(exponent * jnp.log(x)), jnp.log(x) * power(v)])


def mended(v):
    """(y x^(y−1), log x x^y)"""
    x, y = v
    return jnp.stack([y * jnp.exp((y - 1) * jnp.log(x)), jnp.log(x) * power(v)])


SPECIMEN = Specimen(
    kind="second order",
    source=Source(
        "jax-ml/jax",
        12033,
        "A guard against 0^−1 at y = 0 replaced the exponent: right to first order, x for 1/x to second.",
    ),
    function=power,
    shipped=shipped,
    mended=mended,
    order=2,
    domain=(nonnegatives(2),),
    usual=lambda rng: (rng.uniform(0.5, 2.0, 2),),
    at=([23.0, 0.0],),
    entry=(0, 1),
    truth=lambda: mp.diff(lambda y: y * mp.mpf(23) ** (y - 1), 0),
    reported=23.0,
)
