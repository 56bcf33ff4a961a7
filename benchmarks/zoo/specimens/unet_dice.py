"""The Dice coefficient of two masks, by the prediction."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import positives
from zoo.specimen import Source, Specimen


def dice(p, t):
    """2 Σpt / (Σp + Σt)"""
    return 2 * jnp.sum(p * t) / (jnp.sum(p) + jnp.sum(t))


def shipped(p, t):
    """2 (t u + i) / u²"""
    inter, union = jnp.sum(p * t), jnp.sum(p) + jnp.sum(t)
    return 2 * (t * union + inter) / union**2


def mended(p, t):
    """2 (t u − i) / u²"""
    inter, union = jnp.sum(p * t), jnp.sum(p) + jnp.sum(t)
    return 2 * (t * union - inter) / union**2


SPECIMEN = Specimen(
    kind="closed form",
    source=Source(
        "milesial/Pytorch-UNet",
        35,
        "The quotient rule had a plus.",
        code="the line is in the report; its division is read as one by u²",
    ),
    function=dice,
    shipped=shipped,
    mended=mended,
    domain=(positives("n"), positives("n")),
    at=([1.0, 0.5], [1.0, 0.0]),
    entry=(0,),
    truth=lambda: mp.diff(lambda p: 2 * p / (p + mp.mpf("1.5")), 1),
)
