"""x log(1 + y), whose value at x = 0 is 0 whatever y is."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import positives, reals
from zoo.specimen import Source, Specimen


def xlog1py(x, y):
    """Σ x log(1 + y)"""
    return jnp.sum(x * jnp.log1p(y))


def shipped(x, y):
    """0 where x = 0, else log(1 + y)"""
    return jnp.where(x == 0, 0.0, jnp.log1p(y))


def mended(x, y):
    """log(1 + y)"""
    return jnp.log1p(y)


SPECIMEN = Specimen(
    kind="boundary",
    source=Source(
        "tensorflow/tensorflow",
        56873,
        "The mask of the value was used for the gradient as well.",
        "2.9",
        "the mending pull request 119869 says so",
    ),
    function=xlog1py,
    shipped=shipped,
    mended=mended,
    domain=(reals("n"), positives("n")),
    at=([0.0], [1.0]),
    entry=(0,),
    truth=lambda: mp.diff(lambda x: x * mp.log(2), 0),
    reported=0.0,
)
