"""The log-density of the Pareto distribution of the second kind, by its location μ."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import positives, reals
from zoo.specimen import Source, Specimen


def log_density(mu, excess, scale, alpha):
    """log α − log λ − (α+1) log(1 + (y−μ)/λ),  y = μ₀ + excess"""
    y = 0.1 + excess
    return jnp.log(alpha) - jnp.log(scale) - (alpha + 1) * jnp.log1p((y - mu) / scale)


def shipped(mu, excess, scale, alpha):
    """(α+1) / (λ + y + μ)"""
    return (alpha + 1) / (scale + 0.1 + excess + mu)


def mended(mu, excess, scale, alpha):
    """(α+1) / (λ + y − μ)"""
    return (alpha + 1) / (scale + 0.1 + excess - mu)


SPECIMEN = Specimen(
    kind="closed form",
    source=Source(
        "stan-dev/stan",
        1223,
        "λ + y + μ stood where λ + y − μ should; the test had μ = 0, where both are one.",
        "before 2.6",
    ),
    function=log_density,
    shipped=shipped,
    mended=mended,
    domain=(reals(), positives(), positives(), positives()),
    at=(0.1, 1.0, 2.0, 3.0),
    truth=lambda: mp.diff(lambda m: -4 * mp.log1p((mp.mpf("1.1") - m) / 2), mp.mpf("0.1")),
)
