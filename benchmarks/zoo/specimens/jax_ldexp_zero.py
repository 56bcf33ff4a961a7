"""x·2^k, with a branch that keeps the sign of zero."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import constants, reals
from zoo.specimen import Source, Specimen


def scaled(x, k):
    """Σ x 2^k"""
    return jnp.sum(x * 2.0**k)


def shipped(x, k):
    """1 where x = 0, else 2^k"""
    return jnp.where(x == 0, 1.0, 2.0**k)


def mended(x, k):
    """2^k"""
    return jnp.full_like(x, 1.0) * 2.0**k


def live():
    """JAX's own"""
    import jax

    return jax.grad(lambda x: jnp.ldexp(x, 1))(0.0)


SPECIMEN = Specimen(
    kind="boundary",
    source=Source(
        "jax-ml/jax",
        37992,
        "Where x = 0 the branch returns x itself, and its derivative is 1.",
        "0.10.1",
        "the branch is in the report",
    ),
    function=scaled,
    shipped=shipped,
    mended=mended,
    domain=(reals("n"), constants(1.0)),
    usual=lambda rng: (rng.normal(size=3), 1.0),
    at=([0.0], 1.0),
    entry=(0,),
    truth=lambda: mp.diff(lambda x: 2 * x, 0),
    reported=1.0,
    live=live,
)
