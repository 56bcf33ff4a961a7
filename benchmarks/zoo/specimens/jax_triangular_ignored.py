"""The solution of a triangular system: what stands on the other side of the diagonal is not read."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import positives, reals
from zoo.specimen import Source, Specimen


def matrix(a):
    """(a₀₀, 0; a₁₀, a₁₁)"""
    return jnp.tril(a)


def solution(a, b, w):
    """wᵀ x,  L x = b"""
    x = b[0] / a[0, 0]
    return w[0] * x + w[1] * (b[1] - a[1, 0] * x) / a[1, 1]


def full(a, b, w):
    """−L⁻ᵀ w xᵀ"""
    x = b[0] / a[0, 0]
    y = (b[1] - a[1, 0] * x) / a[1, 1]
    v = w[1] / a[1, 1]
    u = (w[0] - a[1, 0] * v) / a[0, 0]
    return -jnp.stack([jnp.stack([u * x, u * y]), jnp.stack([v * x, v * y])])


def shipped(a, b, w):
    """The whole of it"""
    return full(a, b, w)


def mended(a, b, w):
    """Its triangle"""
    return jnp.tril(full(a, b, w))


SPECIMEN = Specimen(
    kind="index",
    source=Source("jax-ml/jax", 1458, "The derivative had entries for the triangle that the solver does not read."),
    function=solution,
    shipped=shipped,
    mended=mended,
    domain=(positives(2, 2), reals(2), reals(2)),
    at=([[1.0, 1.0], [1.0, 2.0]], [1.0, 2.0], [1.0, 0.0]),
    entry=(0, 1),
    truth=lambda: mp.diff(lambda a: mp.mpf(1), 1),
)
