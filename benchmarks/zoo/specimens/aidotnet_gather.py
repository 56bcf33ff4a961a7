"""Entries of a vector picked by index; the gradient was picked, too."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import classes, reals
from zoo.specimen import Source, Specimen


def picked(x, g, i):
    """Σ_k g_k x[i_k]"""
    return jnp.sum(g * x[i])


def shipped(x, g, i):
    """dx_s = g[i_s]"""
    return g[i]


def mended(x, g, i):
    """dx[i_k] += g_k"""
    return jnp.zeros_like(x).at[i].add(g)


SPECIMEN = Specimen(
    kind="index",
    source=Source(
        "ooples/AiDotNet.Tensors",
        894,
        "The backward pass of picking was picking again, where it should add to the places picked.",
        code="both formulas are in the report",
    ),
    function=picked,
    shipped=shipped,
    mended=mended,
    domain=(reals("n"), reals("n"), classes("n", 2)),
    sizes={"n": (2, 5)},
    at=([0.0, 0.0], [1.0, 2.0], [0, 0]),
    entry=(0,),
    truth=lambda: mp.diff(lambda x: 3 * x, 0),
)
