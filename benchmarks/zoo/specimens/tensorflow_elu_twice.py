"""c · elu(x), differentiated twice."""

import jax
import jax.numpy as jnp
import mpmath as mp

from manual_grad import reals
from zoo.specimen import Source, Specimen


def scaled(x, c):
    """c elu(x)"""
    return c * jnp.where(x > 0, x, jnp.expm1(x))


def shipped(x, c):
    """c eˣ where x < 0, whose own derivative forgets c"""
    slope = jnp.where(x > 0, 0.0, jnp.exp(x))
    held = jax.lax.stop_gradient((c - 1) * slope)
    return jnp.where(x > 0, c, slope + held)


def mended(x, c):
    """c eˣ where x < 0, else c"""
    return jnp.where(x > 0, c, c * jnp.exp(x))


SPECIMEN = Specimen(
    kind="second order",
    source=Source(
        "tensorflow/tensorflow", 11091, "The gradient of the gradient was not multiplied by what came from above.", "1.2.0"
    ),
    function=scaled,
    shipped=shipped,
    mended=mended,
    order=2,
    domain=(reals(), reals()),
    at=(-1.0, 2.0),
    truth=lambda: mp.diff(lambda x: 2 * mp.expm1(x), -1, 2),
    reported=0.36787945,
)
