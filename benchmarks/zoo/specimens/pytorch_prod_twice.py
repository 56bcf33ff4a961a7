"""A product of four numbers, two of them 0, differentiated twice."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import reals
from zoo.specimen import Source, Specimen


def product(x):
    """Π x"""
    return x[0] * x[1] * x[2] * x[3]


def mended(x):
    """Π of the others"""
    a, b, c, d = x
    return jnp.stack([b * c * d, a * c * d, a * b * d, a * b * c])


def shipped(x):
    """0 where two are 0, else Π of the others"""
    return jnp.where(jnp.sum(x == 0) > 1, 0.0, mended(x))


SPECIMEN = Specimen(
    kind="second order",
    source=Source(
        "pytorch/pytorch",
        106789,
        "Where two factors are 0 the gradient is 0, and was returned as a constant: its derivative is not 0.",
        code="the condition is in the report",
    ),
    function=product,
    shipped=shipped,
    mended=mended,
    order=2,
    domain=(reals(4),),
    at=([2.0, 3.0, 0.0, 0.0],),
    entry=(2, 3),
    truth=lambda: mp.diff(lambda d: 2 * 3 * d, 0),
    reported=0.0,
)
