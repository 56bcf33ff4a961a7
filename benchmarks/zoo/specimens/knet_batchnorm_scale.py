"""Batch normalization with a scale, by its input."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import reals
from zoo.specimen import Source, Specimen


def normalized(x, gamma, c):
    """Σ c γ (x − μ) / √(v + ¼)"""
    d = x - jnp.mean(x)
    return jnp.sum(c * gamma * d / jnp.sqrt(jnp.mean(d**2) + 0.25))


def by_input(x, c):
    """(c − mean c − x̂ mean(c x̂)) / √(v + ¼)"""
    d = x - jnp.mean(x)
    s = jnp.sqrt(jnp.mean(d**2) + 0.25)
    return (c - jnp.mean(c) - d / s * jnp.mean(c * d / s)) / s


def shipped(x, gamma, c):
    """The gradient from above, not multiplied by γ"""
    return by_input(x, c)


def mended(x, gamma, c):
    """The gradient from above times γ"""
    return by_input(x, gamma * c)


SPECIMEN = Specimen(
    kind="missing term",
    source=Source("denizyuret/Knet.jl", 288, "The scale was multiplied into a copy that was not used."),
    function=normalized,
    shipped=shipped,
    mended=mended,
    domain=(reals("n"), reals(), reals("n")),
    at=([1.0, 0.0], 2.0, [1.0, 0.0]),
    entry=(0,),
    truth=lambda: mp.diff(lambda x: x / mp.sqrt(x**2 / 4 + mp.mpf("0.25")), 1),
)
