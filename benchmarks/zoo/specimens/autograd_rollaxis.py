"""The last axis rolled to the front."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import reals
from zoo.specimen import Source, Specimen


def rolled(x, g):
    """Σ g_kij x_ijk"""
    return jnp.sum(g * jnp.moveaxis(x, -1, 0))


def shipped(x, g):
    """g as it stands"""
    return g


def mended(x, g):
    """g with its first axis rolled back"""
    return jnp.moveaxis(g, 0, -1)


SPECIMEN = Specimen(
    kind="index",
    source=Source(
        "HIPS/autograd", 350, "For an axis counted from the end the axes were not rolled back: equal sizes hide it."
    ),
    function=rolled,
    shipped=shipped,
    mended=mended,
    domain=(reals(2, 2, 2), reals(2, 2, 2)),
    at=([[[0.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]], [[[0.0, 0.0], [0.0, 0.0]], [[1.0, 0.0], [0.0, 0.0]]]),
    entry=(0, 0, 1),
    truth=lambda: mp.diff(lambda x: x, 0),
)
