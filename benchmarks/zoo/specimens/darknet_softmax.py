"""A weighted softmax, by its logits."""

import mpmath as mp
from jax.nn import softmax

from manual_grad import reals
from zoo.specimen import Source, Specimen


def weighted(x, g):
    """gᵀ softmax(x)"""
    return g @ softmax(x)


def shipped(x, g):
    """g"""
    return g


def mended(x, g):
    """p (g − pᵀg)"""
    p = softmax(x)
    return p * (g - p @ g)


SPECIMEN = Specimen(
    kind="missing term",
    source=Source(
        "pjreddie/darknet", 96, "The gradient by the output was copied into that by the input.", code="said in the report"
    ),
    function=weighted,
    shipped=shipped,
    mended=mended,
    domain=(reals("n"), reals("n")),
    at=([0.0, 0.0], [1.0, 0.0]),
    entry=(0,),
    truth=lambda: mp.diff(lambda x: 1 / (1 + mp.exp(-x)), 0),
)
