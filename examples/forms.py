"""Forms of one derivative that are equal as functions and not in floats: which keeps its digits, and where.

`manual-grad verify examples/forms.py` says that they are equal, `manual-grad plot stability examples/forms.py` what their
computed values are worth. docs/numerics.md shows what it measures.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from manual_grad import Derivation, log_sigmoid, reals, sigmoid, sigmoid_derivative

Number = Float[Array, ""]


# dσ(z)/dz


def of_jax_sigmoid(z: Number, nabla: Any) -> Number:
    """∇ of JAX's own σ"""
    return nabla(jax.nn.sigmoid)(z)


def textbook(z: Number) -> Number:
    """σ(z) (1 − σ(z))"""
    return sigmoid(z) * (1 - sigmoid(z))


def quotient(z: Number) -> Number:
    """e^−z / (1 + e^−z)²"""
    return jnp.exp(-z) / (1 + jnp.exp(-z)) ** 2


def product(z: Number) -> Number:
    """σ(z) σ(−z)"""
    return sigmoid(z) * sigmoid(-z)


def of_t(z: Number) -> Number:
    """t / (1 + t)²,  t = e^−|z|"""
    return sigmoid_derivative(z)


# d log σ(z)/dz


def one_over_sigma(z: Number, nabla: Any) -> Number:
    """1/σ(z) ∇σ(z)"""
    return 1 / sigmoid(z) * nabla(sigmoid)(z)


def one_minus_sigma(z: Number) -> Number:
    """1 − σ(z)"""
    return 1 - sigmoid(z)


def log_of_sigma(z: Number, nabla: Any) -> Number:
    """∇ log(σ(z)), as it stands"""
    return nabla(lambda z: jnp.log(sigmoid(z)))(z)


def sigma_of_minus_z(z: Number) -> Number:
    """σ(−z)"""
    return sigmoid(-z)


SLOPE = Derivation(
    "dσ(z)/dz",
    of=sigmoid,
    wrt=None,
    domain=(reals(),),
    lines=[of_jax_sigmoid, textbook, quotient, product, of_t],
)

LOG = Derivation(
    "d log σ(z)/dz",
    of=log_sigmoid,
    wrt=None,
    domain=(reals(),),
    lines=[log_of_sigma, one_over_sigma, one_minus_sigma, sigma_of_minus_z],
)
