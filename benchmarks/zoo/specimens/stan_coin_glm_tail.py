"""Logistic regression in one function, on its fast path where yz > 20."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import reals, signs
from zoo.specimen import Source, Specimen


def log_density(beta, x, y):
    """Σ −log(1 + e^−yxβ)"""
    return -jnp.sum(jnp.logaddexp(0.0, -y * (x @ beta)))


def shipped(beta, x, y):
    """xᵀ (−e^−yz where yz > 20, else y e^−yz / (1 + e^−yz)),  z = x β"""
    m = y * (x @ beta)
    small = jnp.exp(-jnp.abs(m))
    return jnp.where(m > 20, -small, y * jnp.where(m > 0, small, 1.0) / (1 + small)) @ x


def mended(beta, x, y):
    """xᵀ y σ(−yz)"""
    return (y / (1 + jnp.exp(y * (x @ beta)))) @ x


SPECIMEN = Specimen(
    kind="fast path",
    source=Source(
        "stan-dev/math",
        3369,
        "The sign of the label was lost beyond the cutoff, in all three adjoints.",
        code="the branch is quoted in the report",
    ),
    function=log_density,
    shipped=shipped,
    mended=mended,
    domain=(reals("d"), reals("n", "d"), signs("n")),
    at=([25.0], [[1.0]], [1.0]),
    entry=(0,),
    truth=lambda: mp.diff(lambda t: -mp.log1p(mp.exp(-t)), 25),
)
