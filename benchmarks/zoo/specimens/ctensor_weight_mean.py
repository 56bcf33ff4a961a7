"""The weights of a convolution of width one, over a batch."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import reals
from zoo.specimen import Source, Specimen


def weighted(w, x, g):
    """Σ g (x w)"""
    return jnp.sum(g * (x @ w))


def shipped(w, x, g):
    """xᵀ g / (batch size)"""
    return x.T @ g / x.shape[0]


def mended(w, x, g):
    """xᵀ g"""
    return x.T @ g


SPECIMEN = Specimen(
    kind="broadcast",
    source=Source(
        "sebgao/cTensor",
        3,
        "The gradient was divided by the number of places, which the loss had not done.",
        code="the report quotes it",
    ),
    function=weighted,
    shipped=shipped,
    mended=mended,
    domain=(reals("d", "k"), reals("n", "d"), reals("n", "k")),
    at=([[0.0]], [[1.0], [2.0]], [[1.0], [1.0]]),
    entry=(0, 0),
    truth=lambda: mp.diff(lambda w: 3 * w, 0),
)
