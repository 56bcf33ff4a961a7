"""A convolution over depth: its gradient by the input."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import reals
from zoo.specimen import Source, Specimen


def convolved(x, f, g):
    """Σ_m g_m Σ_d f_d x_m+d"""
    n = len(g)
    return sum(f[d] * g @ x[d : d + n] for d in range(2))


def shipped(x, f, g):
    """dx_m += f_d g_m: the place of the output"""
    n = len(g)
    return jnp.pad(sum(f[d] * g for d in range(2)), (0, len(x) - n))


def mended(x, f, g):
    """dx_m+d += f_d g_m"""
    n = len(g)
    return sum(jnp.pad(f[d] * g, (d, len(x) - n - d)) for d in range(2))


SPECIMEN = Specimen(
    kind="index",
    source=Source(
        "NervanaSystems/neon",
        111,
        "The output's place along the depth stood where the input's should.",
        code="the line is in the report",
    ),
    function=convolved,
    shipped=shipped,
    mended=mended,
    domain=(reals(4), reals(2), reals(3)),
    at=([0.0, 0.0, 0.0, 0.0], [1.0, 2.0], [1.0, 0.0, 0.0]),
    entry=(1,),
    truth=lambda: mp.diff(lambda x: 2 * x, 0),
)
