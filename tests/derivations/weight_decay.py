"""Logistic regression with weight decay, by its weights: two terms, worked out in turn.

z = wᵀx
J = Σ_i log σ(y z) − λ/2 ‖w‖²

Rows of x are examples, labels y are −1 or +1; λ is positive.
"""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from manual_grad import Derivation, log_sigmoid, positives, reals, sigmoid, signs
from tests.derivations._planted import planted

Vector = Float[Array, " d"]
Examples = Float[Array, "n d"]
Labels = Float[Array, " n"]
Number = Float[Array, ""]
Nabla = Any


def score(w: Vector, x: Examples) -> Float[Array, " n"]:
    """z = wᵀx"""
    return x @ w


def margin(w: Vector, x: Examples, y: Labels) -> Float[Array, " n"]:
    """m = y wᵀx"""
    return y * score(w, x)


def log_likelihood(w: Vector, x: Examples, y: Labels) -> Number:
    """ll = Σ_i log σ(m)"""
    return jnp.sum(log_sigmoid(margin(w, x, y)))


def squared_norm(w: Vector) -> Number:
    """‖w‖²"""
    return w @ w


def objective(w: Vector, x: Examples, y: Labels, decay: Number) -> Number:
    """J = ll − λ/2 ‖w‖²"""
    return log_likelihood(w, x, y) - decay / 2 * squared_norm(w)


def line_1(w: Vector, x: Examples, y: Labels, decay: Number, nabla: Nabla) -> Vector:
    """∇ll − λ/2 ∇‖w‖²"""
    return nabla(log_likelihood)(w, x, y) - decay / 2 * nabla(squared_norm)(w)


def line_2(w: Vector, x: Examples, y: Labels, decay: Number, nabla: Nabla) -> Vector:
    """∇ll − λ w"""
    return nabla(log_likelihood)(w, x, y) - decay * w


def line_3(w: Vector, x: Examples, y: Labels, decay: Number, nabla: Nabla) -> Vector:
    """Σ (1 − σ(m)) ∇m − λ w"""
    return (1 - sigmoid(margin(w, x, y))) @ nabla(margin)(w, x, y) - decay * w


def line_4(w: Vector, x: Examples, y: Labels, decay: Number, nabla: Nabla) -> Vector:
    """Σ (1 − σ(m)) y ∇z − λ w"""
    return ((1 - sigmoid(margin(w, x, y))) * y) @ nabla(score)(w, x) - decay * w


def line_5(w: Vector, x: Examples, y: Labels, decay: Number, nabla: Nabla) -> Vector:
    """Σ (I(y=1) − σ(z)) ∇z − λ w"""
    return ((y == 1) - sigmoid(score(w, x))) @ nabla(score)(w, x) - decay * w


def line_6(w: Vector, x: Examples, y: Labels, decay: Number, nabla: Nabla) -> Vector:
    """Σ (I(y=1) − σ(z)) x − λ w"""
    return ((y == 1) - sigmoid(score(w, x))) @ x - decay * w


WEIGHT_DECAY = Derivation(
    "∇_w (ll − λ/2 ‖w‖²)",
    of=objective,
    wrt="w",
    domain=(reals("d"), reals("n", "d"), signs("n"), positives()),
    lines=[line_1, line_2, line_3, line_4, line_5, line_6],
)


# Broken on purpose


def kept_the_half(w: Vector, x: Examples, y: Labels, decay: Number, nabla: Nabla) -> Vector:
    """∇ll − λ/2 w"""
    return nabla(log_likelihood)(w, x, y) - decay / 2 * w


def added_the_penalty(w: Vector, x: Examples, y: Labels, decay: Number, nabla: Nabla) -> Vector:
    """Σ (1 − σ(m)) ∇m + λ w"""
    return (1 - sigmoid(margin(w, x, y))) @ nabla(margin)(w, x, y) + decay * w


def decayed_once_an_example(w: Vector, x: Examples, y: Labels, decay: Number, nabla: Nabla) -> Vector:
    """Σ_i ((1 − σ(m)) y ∇z − λ w): the same for n = 1"""
    return jnp.sum(((1 - sigmoid(margin(w, x, y))) * y)[:, None] * nabla(score)(w, x) - decay * w, axis=0)


def forgot_the_decay(w: Vector, x: Examples, y: Labels, decay: Number, nabla: Nabla) -> Vector:
    """Σ (I(y=1) − σ(z)) x"""
    return ((y == 1) - sigmoid(score(w, x))) @ x


BROKEN = [
    planted(WEIGHT_DECAY, "line_2", kept_the_half),
    planted(WEIGHT_DECAY, "line_3", added_the_penalty),
    planted(WEIGHT_DECAY, "line_4", decayed_once_an_example),
    planted(WEIGHT_DECAY, "line_6", forgot_the_decay),
]
