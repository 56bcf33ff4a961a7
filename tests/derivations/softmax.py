"""Softmax cross-entropy of a linear classifier, by its matrix of weights.

    w (k, d)    one row of weights for each class
    x (n, d)    one example a row
    t (n, k)    its class, one-hot; or y (n,), its class as a number 0, …, k−1
    z = w x     logits, (n, k)
    S = Σ_k eᶻ  normalisers, (n,)
    p = eᶻ/S    probabilities, (n, k)

∇ of an (n, k) function is (n, k, k, d): `contract` sums over the examples and the classes in front.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from manual_grad import Derivation, classes, contract, one_hot, reals
from tests.derivations._planted import planted

Matrix = Float[Array, "k d"]
Examples = Float[Array, "n d"]
Targets = Float[Array, "n k"]
Labels = Int[Array, " n"]
Nabla = Any


def cross_entropy(w: Matrix, x: Examples, t: Targets) -> Float[Array, ""]:
    """L = −Σ_ik t log p"""
    return -jnp.sum(t * jax.nn.log_softmax(logits(w, x)))


def logits(w: Matrix, x: Examples) -> Float[Array, "n k"]:
    """z_ik = w_kᵀx_i"""
    return x @ w.T


def normaliser(w: Matrix, x: Examples) -> Float[Array, " n"]:
    """S_i = Σ_k eᶻ"""
    return jnp.sum(jnp.exp(logits(w, x)), axis=1)


def log_normaliser(w: Matrix, x: Examples) -> Float[Array, " n"]:
    """log S_i"""
    return jax.nn.logsumexp(logits(w, x), axis=1)


def probabilities(w: Matrix, x: Examples) -> Float[Array, "n k"]:
    """p_ik = eᶻ/S"""
    return jnp.exp(logits(w, x)) / normaliser(w, x)[:, None]


def line_1(w: Matrix, x: Examples, t: Targets, nabla: Nabla) -> Matrix:
    """−Σ t/p ∇p"""
    return contract(-t / probabilities(w, x), nabla(probabilities)(w, x))


def line_2(w: Matrix, x: Examples, t: Targets, nabla: Nabla) -> Matrix:
    """Σ_i ∇log S − Σ t ∇z"""
    return contract(jnp.ones(len(x)), nabla(log_normaliser)(w, x)) - contract(t, nabla(logits)(w, x))


def line_3(w: Matrix, x: Examples, t: Targets, nabla: Nabla) -> Matrix:
    """Σ_i 1/S ∇S − Σ t ∇z"""
    return contract(1 / normaliser(w, x), nabla(normaliser)(w, x)) - contract(t, nabla(logits)(w, x))


def line_4(w: Matrix, x: Examples, t: Targets, nabla: Nabla) -> Matrix:
    """Σ eᶻ/S ∇z − Σ t ∇z"""
    share = jnp.exp(logits(w, x)) / normaliser(w, x)[:, None]
    return contract(share, nabla(logits)(w, x)) - contract(t, nabla(logits)(w, x))


def line_5(w: Matrix, x: Examples, t: Targets, nabla: Nabla) -> Matrix:
    """Σ (p − t) ∇z"""
    return contract(probabilities(w, x) - t, nabla(logits)(w, x))


def line_6(w: Matrix, x: Examples, t: Targets, nabla: Nabla) -> Matrix:
    """Σ_i (p − t) xᵀ"""
    return (probabilities(w, x) - t).T @ x


SOFTMAX = Derivation(
    "∇_w softmax cross-entropy",
    of=cross_entropy,
    wrt="w",
    domain=(reals("k", "d"), reals("n", "d"), one_hot("n", "k")),
    lines=[line_1, line_2, line_3, line_4, line_5, line_6],
)


# The same for class numbers: rows are picked where one-hot targets multiply


def picked_cross_entropy(w: Matrix, x: Examples, y: Labels) -> Float[Array, ""]:
    """L = −Σ_i log p_{i,y_i}"""
    return -jnp.sum(jnp.take_along_axis(jax.nn.log_softmax(logits(w, x)), y[:, None], axis=1))


def picked_probability(w: Matrix, x: Examples, y: Labels) -> Float[Array, " n"]:
    """p_{i,y_i}"""
    return probabilities(w, x)[jnp.arange(len(y)), y]


def picked_logit(w: Matrix, x: Examples, y: Labels) -> Float[Array, " n"]:
    """z_{i,y_i}"""
    return logits(w, x)[jnp.arange(len(y)), y]


def pick_1(w: Matrix, x: Examples, y: Labels, nabla: Nabla) -> Matrix:
    """−Σ_i 1/p_y ∇p_y"""
    return contract(-1 / picked_probability(w, x, y), nabla(picked_probability)(w, x, y))


def pick_2(w: Matrix, x: Examples, y: Labels, nabla: Nabla) -> Matrix:
    """Σ_i (∇log S − ∇z_y)"""
    return jnp.sum(nabla(log_normaliser)(w, x) - nabla(picked_logit)(w, x, y), axis=0)


def pick_3(w: Matrix, x: Examples, y: Labels, nabla: Nabla) -> Matrix:
    """Σ p ∇z − Σ_i ∇z_y"""
    return contract(probabilities(w, x), nabla(logits)(w, x)) - jnp.sum(nabla(picked_logit)(w, x, y), axis=0)


def pick_4(w: Matrix, x: Examples, y: Labels, nabla: Nabla) -> Matrix:
    """Σ (p − I(k=y)) ∇z"""
    return contract(probabilities(w, x) - (jnp.arange(len(w)) == y[:, None]), nabla(logits)(w, x))


def pick_5(w: Matrix, x: Examples, y: Labels, nabla: Nabla) -> Matrix:
    """Σ_i (p − I(k=y)) xᵀ"""
    return probabilities(w, x).at[jnp.arange(len(y)), y].add(-1).T @ x


PICKED = Derivation(
    "∇_w softmax cross-entropy of class numbers",
    of=picked_cross_entropy,
    wrt="w",
    domain=(reals("k", "d"), reals("n", "d"), classes("n", "k")),
    lines=[pick_1, pick_2, pick_3, pick_4, pick_5],
)


# Broken on purpose


def forgot_the_minus(w: Matrix, x: Examples, t: Targets, nabla: Nabla) -> Matrix:
    """Σ t/p ∇p"""
    return contract(t / probabilities(w, x), nabla(probabilities)(w, x))


def divided_by_the_whole_sum(w: Matrix, x: Examples, t: Targets, nabla: Nabla) -> Matrix:
    """Σ_i 1/Σ_j S_j ∇S − Σ t ∇z"""
    c = jnp.ones(len(x)) / jnp.sum(normaliser(w, x))
    return contract(c, nabla(normaliser)(w, x)) - contract(t, nabla(logits)(w, x))


def forgot_the_exponential(w: Matrix, x: Examples, t: Targets, nabla: Nabla) -> Matrix:
    """Σ 1/S ∇z − Σ t ∇z"""
    share = jnp.ones_like(t) / normaliser(w, x)[:, None]
    return contract(share, nabla(logits)(w, x)) - contract(t, nabla(logits)(w, x))


def normalised_over_the_examples(w: Matrix, x: Examples, t: Targets, nabla: Nabla) -> Matrix:
    """Σ (p − t) ∇z, with p normalised down a column"""
    return contract(jax.nn.softmax(logits(w, x), axis=0) - t, nabla(logits)(w, x))


def averaged_the_examples(w: Matrix, x: Examples, t: Targets, nabla: Nabla) -> Matrix:
    """1/n Σ_i (p − t) xᵀ"""
    return (probabilities(w, x) - t).T @ x / len(x)


def picked_the_first_class(w: Matrix, x: Examples, y: Labels, nabla: Nabla) -> Matrix:
    """Σ p ∇z − Σ_i ∇z_0"""
    return contract(probabilities(w, x), nabla(logits)(w, x)) - jnp.sum(nabla(logits)(w, x)[:, 0], axis=0)


def counted_classes_from_one(w: Matrix, x: Examples, y: Labels, nabla: Nabla) -> Matrix:
    """Σ (p − I(k+1=y)) ∇z"""
    return contract(probabilities(w, x) - (jnp.arange(len(w)) + 1 == y[:, None]), nabla(logits)(w, x))


def subtracted_one_in_every_class(w: Matrix, x: Examples, y: Labels, nabla: Nabla) -> Matrix:
    """Σ_i (p − 1) xᵀ"""
    return (probabilities(w, x) - 1).T @ x


BROKEN = [
    planted(SOFTMAX, "line_1", forgot_the_minus),
    planted(SOFTMAX, "line_3", divided_by_the_whole_sum),
    planted(SOFTMAX, "line_4", forgot_the_exponential),
    planted(SOFTMAX, "line_5", normalised_over_the_examples),
    planted(SOFTMAX, "line_6", averaged_the_examples),
    planted(PICKED, "pick_3", picked_the_first_class),
    planted(PICKED, "pick_4", counted_classes_from_one),
    planted(PICKED, "pick_5", subtracted_one_in_every_class),
]
