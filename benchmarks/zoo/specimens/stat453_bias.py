"""Softmax regression from a course: the gradient by the biases."""

import jax.numpy as jnp
import mpmath as mp
from jax.nn import log_softmax, softmax

from manual_grad import one_hot, reals
from zoo.specimen import Source, Specimen


def loss(b, w, x, y):
    """−Σ y log softmax(x w + b)"""
    return -jnp.sum(y * log_softmax(x @ w + b))


def shipped(b, w, x, y):
    """−Σ (y − p), over classes too, in every entry"""
    return jnp.broadcast_to(-jnp.sum(y - softmax(x @ w + b)), b.shape)


def mended(b, w, x, y):
    """−Σ_i (y_i − p_i)"""
    return -jnp.sum(y - softmax(x @ w + b), axis=0)


SPECIMEN = Specimen(
    kind="broadcast",
    source=Source(
        "rasbt/stat453-deep-learning-ss21",
        5,
        "The sum went over the classes as well, so that one number, which is always 0, was added to every bias.",
    ),
    function=loss,
    shipped=shipped,
    mended=mended,
    domain=(reals("k"), reals("d", "k"), reals("n", "d"), one_hot("n", "k")),
    sizes={"k": (2, 5)},
    at=([0.0, 0.0], [[0.0, 0.0]], [[1.0]], [[1.0, 0.0]]),
    entry=(0,),
    truth=lambda: mp.diff(lambda b: -b + mp.log(mp.exp(b) + 1), 0),
)
