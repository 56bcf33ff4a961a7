"""Softmax cross-entropy by hand, with a matrix of weights: how `contract` sums a cotangent against a Jacobian.

Try it:  manual-grad verify examples/softmax.py

∇z is (n, k, k, d): one (k, d) matrix for each example and each class. `contract(c, ∇z)` is Σ_ik c_ik ∇z_ik, a (k, d) matrix
again, whatever the number of axes in front.
"""

import jax.numpy as jnp
from jax.nn import log_softmax, softmax

from manual_grad import Derivation, contract, one_hot, reals


def cross_entropy(w, x, t):
    """L = −Σ_ik t_ik log p_ik"""
    return -jnp.sum(t * log_softmax(logits(w, x)))


def logits(w, x):
    """z_ik = w_kᵀx_i"""
    return x @ w.T


def probabilities(w, x):
    """p_ik = e^z_ik / Σ_j e^z_ij"""
    return softmax(logits(w, x))


def line_1(w, x, t, nabla):
    """−Σ t/p ∇p"""
    return contract(-t / probabilities(w, x), nabla(probabilities)(w, x))


def line_2(w, x, t, nabla):
    """Σ (p − t) ∇z"""
    return contract(probabilities(w, x) - t, nabla(logits)(w, x))


def line_3(w, x, t, nabla):
    """Σ_i (p_i − t_i) x_iᵀ"""
    return (probabilities(w, x) - t).T @ x


SOFTMAX = Derivation(
    "∇_w softmax cross-entropy",
    of=cross_entropy,
    wrt="w",
    domain=(reals("k", "d"), reals("n", "d"), one_hot("n", "k")),
    lines=[line_1, line_2, line_3],
)
