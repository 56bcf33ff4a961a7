"""Logistic regression by hand: one ∇ is worked out from each line to the next.

Try it:  manual-grad verify examples/logistic_regression.py

A file like this is all the judge needs. Copy it, put your function and your lines in. A line takes the arguments and ∇: it
computes by hand what you worked out by hand, and leaves the rest to ∇.
"""

import jax.numpy as jnp
from jax.nn import log_sigmoid, sigmoid

from manual_grad import Derivation, reals, signs


def log_likelihood(w, x, y):
    """ll = Σ_i log σ(y_i wᵀx_i)"""
    return jnp.sum(log_sigmoid(y * score(w, x)))


def score(w, x):
    """z_i = wᵀx_i"""
    return x @ w


def probability(w, x, y):
    """p_i = σ(y_i wᵀx_i)"""
    return sigmoid(y * score(w, x))


def line_1(w, x, y, nabla):
    """Σ 1/p ∇p"""
    return (1 / probability(w, x, y)) @ nabla(probability)(w, x, y)


def line_2(w, x, y, nabla):
    """Σ (1 − p) y ∇z"""
    return ((1 - probability(w, x, y)) * y) @ nabla(score)(w, x)


def line_3(w, x, y, nabla):
    """Σ (I(y=1) − σ(z)) ∇z"""
    return ((y == 1) - sigmoid(score(w, x))) @ nabla(score)(w, x)


def line_4(w, x, y, nabla):
    """Σ (I(y=1) − σ(z)) x"""
    return ((y == 1) - sigmoid(score(w, x))) @ x


LOGISTIC_REGRESSION = Derivation(
    "∇_w ll of logistic regression",
    of=log_likelihood,
    wrt="w",
    domain=(reals("d"), reals("n", "d"), signs("n")),
    lines=[line_1, line_2, line_3, line_4],
)
