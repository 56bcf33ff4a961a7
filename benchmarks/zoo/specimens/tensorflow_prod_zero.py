"""A product of numbers, one of them 0."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import reals
from zoo.specimen import Source, Specimen


def product(x):
    """Π x"""
    return x[0] * x[1] * x[2]


def shipped(x):
    """Π x / x_i"""
    return product(x) / x


def mended(x):
    """Π of the others"""
    return jnp.stack([x[1] * x[2], x[0] * x[2], x[0] * x[1]])


SPECIMEN = Specimen(
    kind="boundary",
    source=Source(
        "tensorflow/tensorflow",
        2641,
        "The whole product was divided by each factor: 0/0 at a factor 0.",
        code="said in the thread",
    ),
    function=product,
    shipped=shipped,
    mended=mended,
    domain=(reals(3),),
    at=([0.0, 2.0, 1.0],),
    entry=(0,),
    truth=lambda: mp.diff(lambda x: 2 * x, 0),
    reported=float("nan"),
)
