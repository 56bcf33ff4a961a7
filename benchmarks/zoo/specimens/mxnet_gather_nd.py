"""Entries of a matrix picked by rows and columns, one of them twice."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import classes, reals
from zoo.specimen import Source, Specimen


def picked(x, g, i, j):
    """Σ_k g_k x[i_k, j_k]"""
    return jnp.sum(g * x[i, j])


def shipped(x, g, i, j):
    """dx[i_k, j_k] = g_k"""
    grad = jnp.zeros_like(x)
    for k in range(len(g)):
        grad = grad.at[i[k], j[k]].set(g[k])
    return grad


def mended(x, g, i, j):
    """dx[i_k, j_k] += g_k"""
    return jnp.zeros_like(x).at[i, j].add(g)


SPECIMEN = Specimen(
    kind="index",
    source=Source("apache/mxnet", 9172, "The gradient scattered without adding: an entry picked twice counted once."),
    function=picked,
    shipped=shipped,
    mended=mended,
    domain=(reals(2, 2), reals("k"), classes("k", 2), classes("k", 2)),
    at=([[0.0, 1.0], [2.0, 3.0]], [1.0, 1.0, 1.0], [1, 1, 0], [1, 1, 0]),
    entry=(1, 1),
    truth=lambda: mp.diff(lambda x: 2 * x, 3),
    reported=1.0,
)
