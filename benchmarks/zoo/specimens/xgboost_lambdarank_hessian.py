"""The pairwise loss w log(1 + e^−(s−t)): its gradient by s, differentiated again."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import positives, reals
from zoo.specimen import Source, Specimen


def gradient(s, t, w):
    """−w σ(t−s)"""
    return -w / (1 + jnp.exp(s - t))


def shipped(s, t, w):
    """2 σ(t−s) σ(s−t)"""
    return 2 / ((1 + jnp.exp(s - t)) * (1 + jnp.exp(t - s)))


def mended(s, t, w):
    """w σ(t−s) σ(s−t)"""
    return w / ((1 + jnp.exp(s - t)) * (1 + jnp.exp(t - s)))


SPECIMEN = Specimen(
    kind="closed form",
    source=Source(
        "dmlc/xgboost",
        119,
        "A 2 stood in the second derivative where the weight of the pair should.",
        code="the report quotes it",
    ),
    function=gradient,
    shipped=shipped,
    mended=mended,
    domain=(reals(), reals(), positives()),
    at=(0.0, 0.0, 1.0),
    truth=lambda: mp.diff(lambda s: -1 / (1 + mp.exp(s)), 0),
)
