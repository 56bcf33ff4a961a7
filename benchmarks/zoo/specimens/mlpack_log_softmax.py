"""Weighted log-probabilities of a softmax, by its logits."""

import jax.numpy as jnp
import mpmath as mp
from jax.nn import log_softmax, softmax

from manual_grad import reals
from zoo.specimen import Source, Specimen


def weighted(x, g):
    """gᵀ log softmax(x)"""
    return g @ log_softmax(x)


def shipped(x, g):
    """softmax(x) + g"""
    return softmax(x) + g


def mended(x, g):
    """g − softmax(x) Σg"""
    return g - softmax(x) * jnp.sum(g)


SPECIMEN = Specimen(
    kind="closed form",
    source=Source(
        "mlpack/mlpack",
        2360,
        "What comes from above was added where the Jacobian should multiply it.",
        code="reconstructed from the figures",
    ),
    function=weighted,
    shipped=shipped,
    mended=mended,
    domain=(reals("n"), reals("n")),
    at=([0.1, 0.9], [1.0, 1.0]),
    entry=(0,),
    truth=lambda: mp.diff(lambda x: x + mp.mpf("0.9") - 2 * mp.log(mp.exp(x) + mp.exp(mp.mpf("0.9"))), mp.mpf("0.1")),
    reported=1.31003,
)
