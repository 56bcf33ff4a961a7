"""The logarithm of the beta function: its Hessian where both arguments are equal."""

import jax.numpy as jnp
import mpmath as mp
from jax.scipy.special import digamma, gammaln

from manual_grad import positives
from zoo.specimen import Source, Specimen


def log_beta(v):
    """log Γ(a) + log Γ(b) − log Γ(a+b)"""
    return gammaln(v[0]) + gammaln(v[1]) - gammaln(v[0] + v[1])


def mended(v):
    """ψ(a) − ψ(a+b), ψ(b) − ψ(a+b)"""
    return digamma(v) - digamma(v[0] + v[1])


def shipped(v):
    """The same of the smaller and the larger one, halves of both where they tie"""
    a, b = v
    low, high = jnp.minimum(a, b), jnp.maximum(a, b)
    first = jnp.where(a < b, 1.0, jnp.where(a == b, 0.5, 0.0))
    of_low, of_high = digamma(low) - digamma(a + b), digamma(high) - digamma(a + b)
    return jnp.stack([first * of_low + (1 - first) * of_high, (1 - first) * of_low + first * of_high])


def live():
    """JAX's own"""
    import jax
    from jax.scipy.special import betaln

    return jax.hessian(lambda v: betaln(v[0], v[1]))(jnp.array([2.0, 2.0]))[0, 0]


SPECIMEN = Specimen(
    kind="second order",
    source=Source(
        "jax",
        None,
        "The arguments are sorted first; where they tie, all four entries of the Hessian are their mean.",
        "0.10.1",
        "seen by running the version named",
    ),
    function=log_beta,
    shipped=shipped,
    mended=mended,
    order=2,
    domain=(positives(2),),
    at=([2.0, 2.0],),
    entry=(0, 0),
    truth=lambda: mp.psi(1, 2) - mp.psi(1, 4),
    reported=0.03864,
    live=live,
)
