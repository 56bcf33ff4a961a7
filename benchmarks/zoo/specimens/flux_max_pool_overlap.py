"""Maxima over windows of two that overlap."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import reals
from zoo.specimen import Source, Specimen


def windows(x):
    """(n − 1, 2): neighbours"""
    return jnp.stack([x[:-1], x[1:]], axis=1)


def pooled(x, g):
    """Σ_k g_k max(x_k, x_k+1)"""
    return g @ jnp.max(windows(x), axis=1)


def mended(x, g):
    """Every window's gradient to the place that won it"""
    left = jnp.where(x[:-1] >= x[1:], g, 0.0)
    return jnp.pad(left, (0, 1)) + jnp.pad(g - left, (1, 0))


def shipped(x, g):
    """The same, assigned and not added: the later window's gradient stands"""
    left = jnp.where(x[:-1] >= x[1:], g, 0.0)
    right = g - left
    second = jnp.concatenate([jnp.array([False]), x[1:] > x[:-1]])
    first = jnp.concatenate([x[:-1] >= x[1:], jnp.array([False])])
    return jnp.where(first, jnp.pad(left, (0, 1)), jnp.where(second, jnp.pad(right, (1, 0)), 0.0))


SPECIMEN = Specimen(
    kind="index",
    source=Source(
        "FluxML/NNlib.jl",
        205,
        "A place that wins several windows kept the gradient of the last.",
        code="the line is named in the report",
    ),
    function=pooled,
    shipped=shipped,
    mended=mended,
    domain=(reals(4), reals(3)),
    at=([0.0, 1.0, 0.0, -1.0], [1.0, 1.0, 1.0]),
    entry=(1,),
    truth=lambda: mp.diff(lambda x: 2 * x, 1),
)
