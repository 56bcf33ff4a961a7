"""The kernel e^−d²/2ℓ² by the logarithm of its length scale."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import positives, reals
from zoo.specimen import Source, Specimen


def kernel(theta, d):
    """e^−d²/2ℓ²,  ℓ = e^θ"""
    return jnp.exp(-0.5 * (d / jnp.exp(theta)) ** 2)


def mended(theta, d):
    """k d²/ℓ²"""
    return kernel(theta, d) * (d / jnp.exp(theta)) ** 2


SPECIMEN = Specimen(
    kind="right but refused",
    source=Source(
        "scikit-learn/scikit-learn",
        11113,
        "Reported as wrong several times for the missing third power of ℓ: it is the derivative by log ℓ, and right.",
        code="the formula is in the report",
    ),
    function=kernel,
    shipped=None,
    mended=mended,
    domain=(reals(), positives()),
    at=(0.0, 1.0),
    truth=lambda: mp.diff(lambda t: mp.exp(-mp.exp(-2 * t) / 2), 0),
)
