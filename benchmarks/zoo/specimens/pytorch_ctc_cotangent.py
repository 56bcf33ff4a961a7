"""A weighted CTC loss of two steps and one label."""

import jax.numpy as jnp
import mpmath as mp
from jax.nn import softmax

from manual_grad import reals
from zoo.specimen import Source, Specimen


def loss(z, c):
    """−c log(p₁q₁ + p₁q₀ + p₀q₁),  p, q = softmax of the steps"""
    p, q = softmax(z[0]), softmax(z[1])
    return -c * jnp.log(p[1] * q[1] + p[1] * q[0] + p[0] * q[1])


def occupancy(z):
    """How often each label stands at each step, given the target"""
    p, q = softmax(z[0]), softmax(z[1])
    both, first, second = p[1] * q[1], p[1] * q[0], p[0] * q[1]
    return jnp.stack([jnp.stack([second, both + first]), jnp.stack([first, both + second])]) / (both + first + second)


def probabilities(z):
    """p and q"""
    return jnp.stack([softmax(z[0]), softmax(z[1])])


def shipped(z, c):
    """softmax − c occupancy"""
    return probabilities(z) - c * occupancy(z)


def mended(z, c):
    """c (softmax − occupancy)"""
    return c * (probabilities(z) - occupancy(z))


SPECIMEN = Specimen(
    kind="cotangent",
    source=Source(
        "pytorch/pytorch",
        11750,
        "Parts of the gradient were not multiplied by what came from above.",
        code="reconstructed: the report says parts, not which",
    ),
    function=loss,
    shipped=shipped,
    mended=mended,
    domain=(reals(2, 2), reals()),
    at=([[0.0, 0.0], [0.0, 0.0]], 2.0),
    entry=(0, 1),
    truth=lambda: mp.diff(lambda z: -2 * mp.log((mp.exp(z) / (1 + mp.exp(z)) * 2 + 1 / (1 + mp.exp(z))) / 2), 0),
)
