"""Logistic regression with a temperature τ > 0, by the temperature and by the weights.

z = wᵀx   m = y z/τ   ll = Σ_i log σ(m)

Rows of x are examples, labels y are −1 or +1.
"""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from manual_grad import Derivation, indicator, log_sigmoid, positives, reals, sigmoid, signs
from tests.derivations._planted import planted

Vector = Float[Array, " d"]
Examples = Float[Array, "n d"]
Labels = Float[Array, " n"]
Number = Float[Array, ""]
Nabla = Any


def log_likelihood(w: Vector, tau: Number, x: Examples, y: Labels) -> Number:
    """ll = Σ_i log σ(m)"""
    return jnp.sum(log_sigmoid(margin(w, tau, x, y)))


def margin(w: Vector, tau: Number, x: Examples, y: Labels) -> Float[Array, " n"]:
    """m = y z/τ"""
    return y * (x @ w) / tau


def score(w: Vector, tau: Number, x: Examples) -> Float[Array, " n"]:
    """z/τ"""
    return x @ w / tau


def reciprocal(tau: Number) -> Number:
    """1/τ"""
    return 1 / tau


def cool_1(w: Vector, tau: Number, x: Examples, y: Labels, nabla: Nabla) -> Number:
    """Σ (1 − σ(m)) ∂m/∂τ"""
    return (1 - sigmoid(margin(w, tau, x, y))) @ nabla(margin)(w, tau, x, y)


def cool_2(w: Vector, tau: Number, x: Examples, y: Labels, nabla: Nabla) -> Number:
    """Σ (1 − σ(m)) y ∂(z/τ)/∂τ"""
    return ((1 - sigmoid(margin(w, tau, x, y))) * y) @ nabla(score)(w, tau, x)


def cool_3(w: Vector, tau: Number, x: Examples, y: Labels, nabla: Nabla) -> Number:
    """Σ (I(y=1) − σ(z/τ)) ∂(z/τ)/∂τ"""
    return (indicator(y) - sigmoid(score(w, tau, x))) @ nabla(score)(w, tau, x)


def cool_4(w: Vector, tau: Number, x: Examples, y: Labels, nabla: Nabla) -> Number:
    """Σ (I(y=1) − σ(z/τ)) z d(1/τ)/dτ"""
    return (indicator(y) - sigmoid(score(w, tau, x))) @ (x @ w) * nabla(reciprocal)(tau)


def cool_5(w: Vector, tau: Number, x: Examples, y: Labels, nabla: Nabla) -> Number:
    """−1/τ² Σ (I(y=1) − σ(z/τ)) z"""
    return -1 / tau**2 * ((indicator(y) - sigmoid(score(w, tau, x))) @ (x @ w))


DOMAIN = (reals("d"), positives(), reals("n", "d"), signs("n"))

BY_TAU = Derivation("∂ll/∂τ", of=log_likelihood, wrt="tau", domain=DOMAIN, lines=[cool_1, cool_2, cool_3, cool_4, cool_5])


def weigh_1(w: Vector, tau: Number, x: Examples, y: Labels, nabla: Nabla) -> Vector:
    """Σ (1 − σ(m)) ∇m"""
    return (1 - sigmoid(margin(w, tau, x, y))) @ nabla(margin)(w, tau, x, y)


def weigh_2(w: Vector, tau: Number, x: Examples, y: Labels, nabla: Nabla) -> Vector:
    """Σ (1 − σ(m)) y ∇(z/τ)"""
    return ((1 - sigmoid(margin(w, tau, x, y))) * y) @ nabla(score)(w, tau, x)


def weigh_3(w: Vector, tau: Number, x: Examples, y: Labels, nabla: Nabla) -> Vector:
    """Σ (I(y=1) − σ(z/τ)) ∇(z/τ)"""
    return (indicator(y) - sigmoid(score(w, tau, x))) @ nabla(score)(w, tau, x)


def weigh_4(w: Vector, tau: Number, x: Examples, y: Labels, nabla: Nabla) -> Vector:
    """1/τ Σ (I(y=1) − σ(z/τ)) x"""
    return (indicator(y) - sigmoid(score(w, tau, x))) @ x / tau


BY_W = Derivation(
    "∇_w ll at temperature τ", of=log_likelihood, wrt="w", domain=DOMAIN, lines=[weigh_1, weigh_2, weigh_3, weigh_4]
)


# Broken on purpose


def forgot_the_label(w: Vector, tau: Number, x: Examples, y: Labels, nabla: Nabla) -> Number:
    """Σ (1 − σ(m)) ∂(z/τ)/∂τ"""
    return (1 - sigmoid(margin(w, tau, x, y))) @ nabla(score)(w, tau, x)


def cooled_outside_only(w: Vector, tau: Number, x: Examples, y: Labels, nabla: Nabla) -> Number:
    """Σ (I(y=1) − σ(z)) z d(1/τ)/dτ"""
    return (indicator(y) - sigmoid(x @ w)) @ (x @ w) * nabla(reciprocal)(tau)


def forgot_the_minus(w: Vector, tau: Number, x: Examples, y: Labels, nabla: Nabla) -> Number:
    """1/τ² Σ (I(y=1) − σ(z/τ)) z"""
    return 1 / tau**2 * ((indicator(y) - sigmoid(score(w, tau, x))) @ (x @ w))


def forgot_the_temperature(w: Vector, tau: Number, x: Examples, y: Labels, nabla: Nabla) -> Vector:
    """Σ (I(y=1) − σ(z/τ)) x: the same at τ = 1"""
    return (indicator(y) - sigmoid(score(w, tau, x))) @ x


def multiplied_by_the_temperature(w: Vector, tau: Number, x: Examples, y: Labels, nabla: Nabla) -> Vector:
    """τ Σ (I(y=1) − σ(z/τ)) x"""
    return (indicator(y) - sigmoid(score(w, tau, x))) @ x * tau


BROKEN = [
    planted(BY_TAU, "cool_2", forgot_the_label),
    planted(BY_TAU, "cool_4", cooled_outside_only),
    planted(BY_TAU, "cool_5", forgot_the_minus),
    planted(BY_W, "weigh_4", forgot_the_temperature),
    planted(BY_W, "weigh_4", multiplied_by_the_temperature),
]
