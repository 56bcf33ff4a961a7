"""GELU by its tanh, and its slope with constants of six digits."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import reals
from zoo.specimen import Source, Specimen


def gelu(x):
    """Σ ½ x (1 + tanh(√(2/π) (x + 0.044715 x³)))"""
    return jnp.sum(0.5 * x * (1 + jnp.tanh(jnp.sqrt(2 / jnp.pi) * (x + 0.044715 * x**3))))


def slope(x, a, b, c, d):
    """½ + (a x + b x³) (1 − tanh²) + ½ tanh(c x + d x³)"""
    t = jnp.tanh(c * x + d * x**3)
    return 0.5 + (a * x + b * x**3) * (1 - t**2) + 0.5 * t


def shipped(x):
    """a, b, c, d = 0.398942, 0.0535161, 0.797885, 0.0356774"""
    return slope(x, 0.398942, 0.0535161, 0.797885, 0.0356774)


def mended(x):
    """a, b, c, d = k/2, 3·0.044715 k/2, k, 0.044715 k,  k = √(2/π)"""
    k = jnp.sqrt(2 / jnp.pi)
    return slope(x, k / 2, 1.5 * 0.044715 * k, k, 0.044715 * k)


SPECIMEN = Specimen(
    kind="closed form",
    source=Source(
        "huggingface/candle",
        1160,
        "The constants have six digits: three ulps in float32, and no derivative of the function in float64.",
        code="the formula is in the report",
    ),
    function=gelu,
    shipped=shipped,
    mended=mended,
    domain=(reals("n"),),
    at=([1.0],),
    entry=(0,),
    truth=lambda: mp.diff(lambda x: x / 2 * (1 + mp.tanh(mp.sqrt(2 / mp.pi) * (x + mp.mpf("0.044715") * x**3))), 1),
)
