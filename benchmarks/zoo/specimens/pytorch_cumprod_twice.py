"""Running products of three factors, one of them 0, differentiated forward twice."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import reals
from zoo.specimen import Source, Specimen


def running(x, w):
    """w₀ a + w₁ ab + w₂ abc"""
    a, b, c = x
    return w[0] * a + w[1] * a * b + w[2] * a * b * c


def mended(x, w):
    """(w₀ + w₁ b + w₂ bc, w₁ a + w₂ ac, w₂ ab)"""
    a, b, c = x
    return jnp.stack([w[0] + w[1] * b + w[2] * b * c, w[1] * a + w[2] * a * c, w[2] * a * b])


def shipped(x, w):
    """Where a factor is 0, the products that hold it move with it alone"""
    a, b, c = x
    first = jnp.stack([w[0] + w[1] * b + w[2] * b * c, 0 * a, 0 * a])
    at_b = jnp.stack([w[0] + 0 * a, w[1] * a + w[2] * a * c, 0 * a])
    at_c = jnp.stack([w[0] + w[1] * b, w[1] * a, w[2] * a * b])
    return jnp.where(a == 0, first, jnp.where(b == 0, at_b, jnp.where(c == 0, at_c, mended(x, w))))


SPECIMEN = Specimen(
    kind="second order",
    source=Source(
        "pytorch/pytorch",
        196701,
        "The rule for a factor 0 is right to first order and drops terms of the second.",
        "2.12",
        "reconstructed: its second derivative along the report's path is the 68 of the report, for 144",
    ),
    function=running,
    shipped=shipped,
    mended=mended,
    order=2,
    domain=(reals(3), reals(3)),
    at=([0.0, 3.0, 4.0], [4.0, 5.0, 6.0]),
    entry=(1, 0),
    truth=lambda: mp.diff(lambda a: (5 + 6 * 4) * a, 0),
)
