"""Entries of a vector picked by index, one of them twice."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import classes, reals
from zoo.specimen import Source, Specimen


def picked(x, g, i):
    """Σ_k g_k x[i_k]"""
    return jnp.sum(g * x[i])


def shipped(x, g, i):
    """dx[i_k] = g_k"""
    grad = jnp.zeros_like(x)
    for k in range(len(g)):
        grad = grad.at[i[k]].set(g[k])
    return grad


def mended(x, g, i):
    """dx[i_k] += g_k"""
    return jnp.zeros_like(x).at[i].add(g)


SPECIMEN = Specimen(
    kind="index",
    source=Source("pytorch/pytorch", 1631, "An entry picked twice kept the last of its gradients, not their sum.", "0.1.12"),
    function=picked,
    shipped=shipped,
    mended=mended,
    domain=(reals(3), reals("k"), classes("k", 3)),
    at=([0.1, 0.0, 0.0], [0.2, 0.3], [0, 0]),
    entry=(0,),
    truth=lambda: mp.diff(lambda x: mp.mpf("0.2") * x + mp.mpf("0.3") * x, mp.mpf("0.1")),
    reported=0.3,
)
