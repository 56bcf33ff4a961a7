"""x log y, whose value at x = 0 is 0 whatever y is."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import positives, reals
from zoo.specimen import Source, Specimen


def xlogy(x, y):
    """x log y"""
    return x * jnp.log(y)


def shipped(x, y):
    """0 where x = 0, else log y"""
    return jnp.where(x == 0, 0.0, jnp.log(y))


def mended(x, y):
    """log y"""
    return jnp.log(y)


SPECIMEN = Specimen(
    kind="boundary",
    source=Source(
        "chalk-lab/Mooncake.jl",
        1310,
        "The branch that makes the value 0 at x = 0 was differentiated: 0 came out where log y is.",
    ),
    function=xlogy,
    shipped=shipped,
    mended=mended,
    domain=(reals(), positives()),
    at=(0.0, 3.0),
    truth=lambda: mp.diff(lambda x: x * mp.log(3), 0),
    reported=0.0,
)
