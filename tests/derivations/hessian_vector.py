"""A Hessian-vector product of logistic regression: Hv = ∇(vᵀ∇ll), for a direction v that is an argument.

No line builds the (d, d) Hessian: u = xᵀv, one number an example, is all that v does.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from manual_grad import Derivation, indicator, reals, sigmoid, sigmoid_derivative, signs
from tests.derivations._planted import planted
from tests.derivations.weight_decay import log_likelihood, score

Vector = Float[Array, " d"]
Examples = Float[Array, "n d"]
Labels = Float[Array, " n"]
Nabla = Any


def directional_derivative(w: Vector, v: Vector, x: Examples, y: Labels) -> Float[Array, ""]:
    """vᵀ∇ll = d ll(w + εv)/dε at ε = 0"""
    return jax.jvp(lambda at: log_likelihood(at, x, y), (w,), (v,))[1]


def residual(w: Vector, x: Examples, y: Labels) -> Float[Array, " n"]:
    """r = I(y=1) − σ(z)"""
    return indicator(y) - sigmoid(score(w, x))


def probability(w: Vector, x: Examples) -> Float[Array, " n"]:
    """σ(z)"""
    return sigmoid(score(w, x))


def gradient_along(w: Vector, v: Vector, x: Examples, y: Labels, nabla: Nabla) -> Float[Array, ""]:
    """vᵀ∇ll"""
    return nabla(log_likelihood)(w, x, y) @ v


def line_1(w: Vector, v: Vector, x: Examples, y: Labels, nabla: Nabla) -> Vector:
    """∇(vᵀ∇ll)"""
    return nabla(gradient_along)(w, v, x, y)


def line_2(w: Vector, v: Vector, x: Examples, y: Labels, nabla: Nabla) -> Vector:
    """Σ u ∇r,  u = xᵀv,  r = I(y=1) − σ(z)"""
    return (x @ v) @ nabla(residual)(w, x, y)


def line_3(w: Vector, v: Vector, x: Examples, y: Labels, nabla: Nabla) -> Vector:
    """−Σ u ∇σ(z)"""
    return -(x @ v) @ nabla(probability)(w, x)


def line_4(w: Vector, v: Vector, x: Examples, y: Labels, nabla: Nabla) -> Vector:
    """−Σ u σ(z)(1 − σ(z)) ∇z"""
    s = probability(w, x)
    return -(x @ v * s * (1 - s)) @ nabla(score)(w, x)


def line_5(w: Vector, v: Vector, x: Examples, y: Labels, nabla: Nabla) -> Vector:
    """−Σ u σ(z)σ(−z) x"""
    return -(sigmoid_derivative(score(w, x)) * (x @ v)) @ x


HESSIAN_VECTOR = Derivation(
    "∇(vᵀ∇ll) of logistic regression",
    of=directional_derivative,
    wrt="w",
    domain=(reals("d"), reals("d"), reals("n", "d"), signs("n")),
    lines=[line_1, line_2, line_3, line_4, line_5],
)


# Broken on purpose


def multiplied_by_the_weights(w: Vector, v: Vector, x: Examples, y: Labels, nabla: Nabla) -> Vector:
    """Σ wᵀx ∇r"""
    return (x @ w) @ nabla(residual)(w, x, y)


def forgot_the_minus(w: Vector, v: Vector, x: Examples, y: Labels, nabla: Nabla) -> Vector:
    """Σ u ∇σ(z)"""
    return (x @ v) @ nabla(probability)(w, x)


def forgot_the_direction(w: Vector, v: Vector, x: Examples, y: Labels, nabla: Nabla) -> Vector:
    """−Σ σ(z)(1 − σ(z)) ∇z"""
    s = probability(w, x)
    return -(s * (1 - s)) @ nabla(score)(w, x)


def summed_before_multiplying(w: Vector, v: Vector, x: Examples, y: Labels, nabla: Nabla) -> Vector:
    """−(Σ σ(z)σ(−z) u) Σ x: the same for n = 1"""
    return -(sigmoid_derivative(score(w, x)) @ (x @ v)) * jnp.sum(x, axis=0)


BROKEN = [
    planted(HESSIAN_VECTOR, "line_2", multiplied_by_the_weights),
    planted(HESSIAN_VECTOR, "line_3", forgot_the_minus),
    planted(HESSIAN_VECTOR, "line_4", forgot_the_direction),
    planted(HESSIAN_VECTOR, "line_5", summed_before_multiplying),
]
