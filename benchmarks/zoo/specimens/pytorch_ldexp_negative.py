"""x·2^k for whole numbers k, with an integer power in the gradient."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import integers, reals
from zoo.specimen import Source, Specimen


def scaled(x, k):
    """Σ x 2^k"""
    return jnp.sum(x * jnp.exp2(k))


def shipped(x, k):
    """2^k in integers: 0 where k < 0"""
    return jnp.where(k < 0, 0.0, jnp.exp2(k))


def mended(x, k):
    """2^k"""
    return jnp.exp2(k)


SPECIMEN = Specimen(
    kind="fast path",
    source=Source(
        "pytorch/pytorch",
        186556,
        "The power of the integer 2 was taken in integers, where 2⁻¹ is 0.",
        code="the line is in the mending pull request 186566",
    ),
    function=scaled,
    shipped=shipped,
    mended=mended,
    domain=(reals("n"), integers(-3, 3, "n")),
    at=([0.5], [-1.0]),
    entry=(0,),
    truth=lambda: mp.diff(lambda x: x / 2, 0),
    reported=0.0,
)
