"""Two steps of an LSTM of one unit: the gradient by what entered first."""

import jax.numpy as jnp
import mpmath as mp
from jax.nn import sigmoid

from manual_grad import reals
from zoo.specimen import Source, Specimen


def step(h, c, x, w):
    """f, i, o = σ(x + w h),  c′ = f c + i tanh(x + w h),  h′ = o tanh c′"""
    z = x + w * h
    gate = sigmoid(z)
    c = gate * c + gate * jnp.tanh(z)
    return gate * jnp.tanh(c), c


def last(x, w):
    """h₂"""
    h, c = step(0.0, 0.0, x[0], w)
    return step(h, c, x[1], w)[0]


def walked(x, w, through_hidden):
    """∂h₂/∂x₁, ∂h₂/∂x₂"""
    h1, c1 = step(0.0, 0.0, x[0], w)
    z1, z2 = x[0], x[1] + w * h1
    g1, g2, u1, u2 = sigmoid(z1), sigmoid(z2), jnp.tanh(z1), jnp.tanh(z2)
    c2 = g2 * c1 + g2 * u2
    slope1, slope2 = g1 * (1 - g1), g2 * (1 - g2)
    by_c2 = g2 * (1 - jnp.tanh(c2) ** 2)
    by_z2 = slope2 * jnp.tanh(c2) + by_c2 * (slope2 * c1 + slope2 * u2 + g2 * (1 - u2**2))
    by_h1 = w * by_z2 if through_hidden else 0.0
    by_c1 = by_c2 * g2 + by_h1 * g1 * (1 - jnp.tanh(c1) ** 2)
    by_z1 = by_h1 * slope1 * jnp.tanh(c1) + by_c1 * (slope1 * u1 + g1 * (1 - u1**2))
    return jnp.array([by_z1, by_z2])


def shipped(x, w):
    """The gradient of h is set to 0 between steps"""
    return walked(x, w, through_hidden=False)


def mended(x, w):
    """The gradient of h goes back through w"""
    return walked(x, w, through_hidden=True)


def by_mpmath(x):
    """h₂ in mpmath, for x₂ = ½ and w = 1"""

    def gate(z):
        return 1 / (1 + mp.exp(-z))

    c = gate(x) * mp.tanh(x)
    z = mp.mpf("0.5") + gate(x) * mp.tanh(c)
    return gate(z) * mp.tanh(gate(z) * c + gate(z) * mp.tanh(z))


SPECIMEN = Specimen(
    kind="missing term",
    source=Source(
        "ooples/AiDotNet",
        722,
        "The gradient of the hidden state was set to 0 at each step: only the cell carried it back.",
        code="the line is in a review",
    ),
    function=last,
    shipped=shipped,
    mended=mended,
    domain=(reals(2), reals()),
    at=([1.0, 0.5], 1.0),
    entry=(0,),
    truth=lambda: mp.diff(by_mpmath, 1),
)
