"""Two layers from lecture notes: the gradient by the first biases."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import reals
from zoo.specimen import Source, Specimen


def loss(b, x):
    """Σ tanh(x + b)"""
    return jnp.sum(jnp.tanh(x + b[:, None]))


def shipped(b, x):
    """The mean over examples"""
    return jnp.mean(1 - jnp.tanh(x + b[:, None]) ** 2, axis=1)


def mended(b, x):
    """The sum over examples"""
    return jnp.sum(1 - jnp.tanh(x + b[:, None]) ** 2, axis=1)


SPECIMEN = Specimen(
    kind="broadcast",
    source=Source(
        "kvfrans/notes",
        5,
        "A mean over the batch stood where the sum should.",
        code="the line is in the report; the loss is ours",
    ),
    function=loss,
    shipped=shipped,
    mended=mended,
    domain=(reals("h"), reals("h", "n")),
    at=([0.0], [[0.0, 0.0]]),
    entry=(0,),
    truth=lambda: mp.diff(lambda b: 2 * mp.tanh(b), 0),
)
