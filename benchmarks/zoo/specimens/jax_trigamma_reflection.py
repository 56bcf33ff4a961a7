"""The derivative of digamma left of 0."""

import jax.numpy as jnp
import mpmath as mp
from jax.scipy.special import digamma, polygamma

from manual_grad import intervals
from zoo.specimen import Source, Specimen


def function(x):
    """ψ(x)"""
    return digamma(x)


def series(x):
    """1/x + 1/2x² + 1/6x³ − 1/30x⁵ + 1/42x⁷ for large |x|"""
    return 1 / x + 1 / (2 * x**2) + 1 / (6 * x**3) - 1 / (30 * x**5) + 1 / (42 * x**7)


def shipped(x):
    """The series, which holds right of 0"""
    return series(x)


def mended(x):
    """π²/sin²(πx) − ψ′(1−x)"""
    return (jnp.pi / jnp.sin(jnp.pi * x)) ** 2 - polygamma(1, 1 - x)


def live():
    """JAX's own"""
    import jax

    with jax.enable_x64(True):
        return jax.grad(digamma)(jnp.float64(-16.5))


SPECIMEN = Specimen(
    kind="fast path",
    source=Source(
        "jax-ml/jax", 37635, "No reflection: the expansion for large numbers was used left of 0 too, −0.0588 for 9.81."
    ),
    function=function,
    shipped=shipped,
    mended=mended,
    domain=(intervals(-16.75, -16.25),),
    at=(-16.5,),
    truth=lambda: mp.psi(1, mp.mpf("-16.5")),
    reported=-5.8807e-02,
    live=live,
)
