"""A hidden layer of a course on word vectors: the gradient by its biases."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import reals
from zoo.specimen import Source, Specimen


def loss(b, w, x):
    """½ Σ (W x + b)² / m"""
    return jnp.sum((w @ x + b[:, None]) ** 2) / (2 * x.shape[1])


def shipped(b, w, x):
    """Σ over columns of (W x + b) xᵀ / m"""
    return jnp.sum((w @ x + b[:, None]) @ x.T, axis=1) / x.shape[1]


def mended(b, w, x):
    """Σ over examples of W x + b, by m"""
    return jnp.mean(w @ x + b[:, None], axis=1)


SPECIMEN = Specimen(
    kind="broadcast",
    source=Source(
        "rust0258/Deeplearning.ai-Natural-Language-Processing-Specialization",
        62,
        "The gradient by the weights was summed where the errors should be.",
        code="the report quotes it",
    ),
    function=loss,
    shipped=shipped,
    mended=mended,
    domain=(reals("h"), reals("h", "d"), reals("d", "m")),
    at=([1.0], [[1.0]], [[3.0]]),
    entry=(0,),
    truth=lambda: mp.diff(lambda b: (3 + b) ** 2 / 2, 1),
)
