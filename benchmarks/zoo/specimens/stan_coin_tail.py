"""The log-density of coins with log-odds θ, on its fast path where yθ > 20."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import reals, signs
from zoo.specimen import Source, Specimen


def log_density(theta, y):
    """Σ −log(1 + e^−yθ)"""
    return -jnp.sum(jnp.logaddexp(0.0, -y * theta))


def shipped(theta, y):
    """−e^−yθ where yθ > 20, else y e^−yθ / (1 + e^−yθ)"""
    small = jnp.exp(-jnp.abs(y * theta))
    middle = y * jnp.where(y * theta > 0, small, 1.0) / (1 + small)
    return jnp.where(y * theta > 20, -small, middle)


def mended(theta, y):
    """y σ(−yθ)"""
    return y / (1 + jnp.exp(y * theta))


SPECIMEN = Specimen(
    kind="fast path",
    source=Source(
        "stan-dev/math",
        3397,
        "Beyond the cutoff the derivative lost the sign of the label: it pointed the wrong way for y = 1 and θ > 20.",
        code="the branch and the factor are named in the report",
    ),
    function=log_density,
    shipped=shipped,
    mended=mended,
    domain=(reals("n"), signs("n")),
    at=([25.0], [1.0]),
    entry=(0,),
    truth=lambda: mp.diff(lambda t: -mp.log1p(mp.exp(-t)), 25),
)
