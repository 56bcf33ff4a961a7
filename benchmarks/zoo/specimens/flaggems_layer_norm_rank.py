"""Layer normalization of an array of three axes."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import reals
from zoo.specimen import Source, Specimen


def by_rows(x, g):
    """Gradient of Σ g (x − μ)/√(v + ¼), row by row"""
    d = x - jnp.mean(x, axis=-1, keepdims=True)
    s = jnp.sqrt(jnp.mean(d**2, axis=-1, keepdims=True) + 0.25)
    h = d / s
    return (g - jnp.mean(g, axis=-1, keepdims=True) - h * jnp.mean(g * h, axis=-1, keepdims=True)) / s


def normalized(x, g):
    """Σ g (x − μ)/√(v + ¼), over the last axis"""
    d = x - jnp.mean(x, axis=-1, keepdims=True)
    return jnp.sum(g * d / jnp.sqrt(jnp.mean(d**2, axis=-1, keepdims=True) + 0.25))


def shipped(x, g):
    """All but the first axis taken for one row"""
    n = x.shape[0]
    return by_rows(x.reshape(n, -1), g.reshape(n, -1)).reshape(x.shape)


def mended(x, g):
    """The last axis is a row"""
    return by_rows(x, g)


SPECIMEN = Specimen(
    kind="broadcast",
    source=Source(
        "flagos-ai/FlagGems",
        5392,
        "The backward pass took the input for a matrix: right for two axes, wrong for three.",
        "5.0.2",
        "the two lines are in the report",
    ),
    function=normalized,
    shipped=shipped,
    mended=mended,
    domain=(reals("b", "s", "h"), reals("b", "s", "h")),
    sizes={"b": (1, 3), "s": (1, 3), "h": (2, 4)},
    at=([[[1.0, 0.0], [0.0, 0.0]]], [[[1.0, 0.0], [0.0, 0.0]]]),
    entry=(0, 0, 0),
    truth=lambda: mp.diff(lambda x: x / 2 / mp.sqrt(x**2 / 4 + mp.mpf("0.25")), 1),
)
