"""Isotonic regression of two numbers, decreasing: where they rise, both become their mean."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import reals
from zoo.specimen import Source, Specimen


def fitted(x):
    """(a, b) where a ≥ b, else ((a+b)/2, (a+b)/2)"""
    return jnp.where(x[0] >= x[1], x, jnp.mean(x))


def shipped(x):
    """1 for every pair within a block"""
    return jnp.where(x[0] >= x[1], jnp.eye(2), jnp.ones((2, 2)))


def mended(x):
    """1 by the length of the block for every pair within it"""
    return jnp.where(x[0] >= x[1], jnp.eye(2), jnp.ones((2, 2)) / 2)


SPECIMEN = Specimen(
    kind="missing term",
    source=Source(
        "tensorflow/tensorflow",
        127234,
        "The gradient within a pooled block was not divided by its length.",
        "2.21.0",
        "reconstructed from the figures",
    ),
    function=fitted,
    shipped=shipped,
    mended=mended,
    domain=(reals(2),),
    at=([0.7, 2.0],),
    entry=(0, 0),
    truth=lambda: mp.diff(lambda t: (t + 2) / 2, mp.mpf("0.7")),
    reported=1.0,
)
