"""Logistic regression with a penalty on its weights."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import bits, positives, reals
from zoo.specimen import Source, Specimen


def loss(beta, x, y, gamma):
    """−Σ log p(y|x) + γ/2 ‖β‖²"""
    z = x @ beta
    return jnp.sum(jnp.logaddexp(0.0, z) - y * z) + gamma / 2 * beta @ beta


def fit(beta, x, y):
    """Σ (p − y) x"""
    return (1 / (1 + jnp.exp(-(x @ beta))) - y) @ x


def shipped(beta, x, y, gamma):
    """Σ (p − y) x − γ β"""
    return fit(beta, x, y) - gamma * beta


def mended(beta, x, y, gamma):
    """Σ (p − y) x + γ β"""
    return fit(beta, x, y) + gamma * beta


SPECIMEN = Specimen(
    kind="closed form",
    source=Source(
        "numpy-ml",
        None,
        "The penalty has the wrong sign: weights are pushed outwards.",
        "0.1.2",
        "seen by running the version named",
    ),
    function=loss,
    shipped=shipped,
    mended=mended,
    domain=(reals("d"), reals("n", "d"), bits("n"), positives()),
    at=([2.0], [[0.0]], [1.0], 1.0),
    entry=(0,),
    truth=lambda: mp.diff(lambda b: mp.log(2) + b**2 / 2, 2),
    reported=-2.0,
)
