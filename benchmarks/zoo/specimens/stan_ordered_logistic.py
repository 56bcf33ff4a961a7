"""Ordered classes with a logistic link: the gradient by the cutpoints."""

import jax.numpy as jnp
import mpmath as mp
import numpy as np

from manual_grad import classes, reals, sorted_reals
from zoo.specimen import Source, Specimen


def log_density(c, eta, y):
    """Σ log P(y|η),  P(0) = 1 − σ(η−c₀),  P(1) = σ(η−c₀) − σ(η−c₁),  P(2) = σ(η−c₁)"""
    p, q = 1 / (1 + jnp.exp(c[0] - eta)), 1 / (1 + jnp.exp(c[1] - eta))
    return jnp.sum(jnp.log(jnp.where(y == 0, 1 - p, jnp.where(y == 1, p - q, q))))


def parts(c, eta, y):
    """(n, 2): of each example"""
    p, q = 1 / (1 + jnp.exp(c[0] - eta)), 1 / (1 + jnp.exp(c[1] - eta))
    first = jnp.where(y == 0, p, jnp.where(y == 1, -p * (1 - p) / (p - q), 0.0))
    second = jnp.where(y == 2, q - 1, jnp.where(y == 1, q * (1 - q) / (p - q), 0.0))
    return jnp.stack([first, second], axis=1)


def shipped(c, eta, y):
    """The part of an example of class 0 replaces what was summed"""
    total = jnp.zeros(2)
    for part, label in zip(parts(c, eta, y), y, strict=True):
        total = jnp.where(label == 0, jnp.stack([part[0], total[1]]), total + part)
    return total


def mended(c, eta, y):
    """Σ of the parts"""
    return jnp.sum(parts(c, eta, y), axis=0)


SPECIMEN = Specimen(
    kind="index",
    source=Source(
        "stan-dev/math",
        1248,
        "An assignment stood where an addition should: examples before the last of class 0 were lost.",
        "2.19.1",
        "the line is in the report",
    ),
    function=log_density,
    shipped=shipped,
    mended=mended,
    domain=(sorted_reals(2), reals("n"), classes("n", 3)),
    sizes={"n": (2, 4)},
    usual=lambda rng: (np.sort(rng.normal(size=2)), rng.normal(size=4), rng.integers(0, 3, 4)),
    at=([0.0, 1.0], [0.0, 0.0], [0, 0]),
    entry=(0,),
    truth=lambda: mp.diff(lambda c: 2 * mp.log(1 - 1 / (1 + mp.exp(c))), 0),
)
