"""copysign(x, y): the size of x with the sign of y."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import reals
from zoo.specimen import Source, Specimen


def copied(x, y):
    """Σ |x| sign(y)"""
    return jnp.sum(jnp.abs(x) * jnp.sign(y))


def shipped(x, y):
    """sign(y)"""
    return jnp.sign(y)


def mended(x, y):
    """sign(x) sign(y)"""
    return jnp.sign(x) * jnp.sign(y)


SPECIMEN = Specimen(
    kind="closed form",
    source=Source(
        "chalk-lab/Mooncake.jl", 1195, "The sign of x was left out; all tests had x > 0.", code="the rule is in the report"
    ),
    function=copied,
    shipped=shipped,
    mended=mended,
    domain=(reals("n"), reals("n")),
    at=([-5.0], [3.0]),
    entry=(0,),
    truth=lambda: mp.diff(lambda x: abs(x), -5),
    reported=1.0,
)
