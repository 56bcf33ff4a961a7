"""Maxima over windows of two that overlap, with a gate at every place."""

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
    """Whether a place won its last window opens it for all its windows"""
    won = jnp.concatenate([x[:-1] >= x[1:], x[-1:] > x[-2:-1]])
    return jnp.where(won, jnp.pad(g, (0, 1)) + jnp.pad(g, (1, 0)), 0.0)


SPECIMEN = Specimen(
    kind="index",
    source=Source(
        "ahrefs/ocannl",
        512,
        "The last window written decided for all: places got gradient they had not won, and lost what they had.",
    ),
    function=pooled,
    shipped=shipped,
    mended=mended,
    domain=(reals(5), reals(4)),
    at=([5.0, 3.0, 1.0, 2.0, 5.0], [1.0, 1.0, 1.0, 1.0]),
    entry=(1,),
    truth=lambda: mp.diff(lambda x: 5 + x + 2 + 5, 3),
    reported=2.0,
)
