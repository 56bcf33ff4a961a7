"""Running products, one factor of which is 0."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import reals
from zoo.specimen import Source, Specimen


def running(x, g):
    """g₀ a + g₁ ab + g₂ abc"""
    return g @ jnp.stack([x[0], x[0] * x[1], x[0] * x[1] * x[2]])


def shipped(x, g):
    """Σ of later products, by x_i"""
    p = jnp.stack([x[0], x[0] * x[1], x[0] * x[1] * x[2]]) * g
    return jnp.stack([p[0] + p[1] + p[2], p[1] + p[2], p[2]]) / x


def mended(x, g):
    """Products without x_i"""
    a, b, c = x
    return jnp.stack([g[0] + g[1] * b + g[2] * b * c, g[1] * a + g[2] * a * c, g[2] * a * b])


SPECIMEN = Specimen(
    kind="boundary",
    source=Source(
        "pymc-devs/pytensor",
        1911,
        "The gradient divides by each entry: NaN where one is 0.",
        code="the formula is in the report",
    ),
    function=running,
    shipped=shipped,
    mended=mended,
    domain=(reals(3), reals(3)),
    at=([1.0, 0.0, 2.0], [1.0, 1.0, 1.0]),
    entry=(1,),
    truth=lambda: mp.diff(lambda b: b + 2 * b, 0),
    reported=float("nan"),
)
