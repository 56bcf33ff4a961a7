"""The modified Bessel function I₀ at 0, differentiated twice."""

import jax.numpy as jnp
import mpmath as mp
from jax.scipy.special import i0e, i1e

from manual_grad import reals
from zoo.specimen import Source, Specimen


def bessel(x):
    """I₀(x) = e^|x| (e^−|x| I₀(x))"""
    return jnp.sum(jnp.exp(x) * jnp.exp(jnp.abs(x) - x) * i0e(x))


def first(x):
    """I₁(x)"""
    return jnp.exp(x) * jnp.exp(jnp.abs(x) - x) * i1e(x)


def shipped(x):
    """0 where x = 0, else I₁(x)"""
    return jnp.where(x == 0, 0.0, first(x))


def mended(x):
    """I₁(x)"""
    return first(x)


def live():
    """JAX's own"""
    import jax

    return jax.grad(jax.grad(jnp.i0))(0.0)


SPECIMEN = Specimen(
    kind="second order",
    source=Source("jax-ml/jax", 40627, "The rule returned the constant 0 at x = 0, where the second derivative is ½."),
    function=bessel,
    shipped=shipped,
    mended=mended,
    order=2,
    domain=(reals("n"),),
    at=([0.0],),
    entry=(0, 0),
    truth=lambda: mp.diff(lambda x: mp.besseli(0, x), 0, 2),
    reported=0.0,
    live=live,
)
