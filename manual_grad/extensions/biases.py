"""Biases: ∇ ll by the hidden biases b and the output's bias c of `manual_grad.extensions.net`.

    ∂b = Dᵀ 1        ∂c = 1ᵀ g        with g = I(y=1) − σ(z), D = (g vᵀ) ∘ σ'(A)

A bias is the weight of an input that is always 1, so these are the gradients by W and v with a column of ones.

Source: equation (2) of the notes, with a constant added to each pre-activation and to the score.
"""

from jaxtyping import Float

from manual_grad._arrays import Array, namespace
from manual_grad.derivation import Derivation, contract
from manual_grad.extensions.net import (
    DOMAIN,
    Examples,
    Labels,
    Nabla,
    Net,
    Number,
    delta,
    g_of,
    hidden,
    log_likelihood,
    preactivation,
    score,
)
from manual_grad.network import indicator
from manual_grad.sigmoid import sigmoid

Vector = Float[Array, " k"]


def line_1(net: Net[Array], x: Examples, y: Labels, nabla: Nabla) -> Array:
    """Σ_i g ∇z,  g = I(y=1) − σ(z)"""
    return contract(indicator(y) - sigmoid(score(net, x)), nabla(score)(net, x))


def line_2(net: Net[Array], x: Examples, y: Labels, nabla: Nabla) -> Vector:
    """Σ_ij g_i v_j ∇h_ij"""
    return contract(g_of(net, x, y)[:, None] * net.v, nabla(hidden)(net, x))


def line_3(net: Net[Array], x: Examples, y: Labels, nabla: Nabla) -> Vector:
    """Σ_ij D_ij ∇a_ij,  D = (g vᵀ) ∘ σ'(A)"""
    return contract(delta(net, x, y), nabla(preactivation)(net, x))


def grad_b(net: Net[Array], x: Examples, y: Labels) -> Vector:
    """Dᵀ 1"""
    return namespace(net, x).sum(delta(net, x, y), axis=0)


def grad_c(net: Net[Array], x: Examples, y: Labels) -> Number:
    """1ᵀ g"""
    return namespace(net, x).sum(g_of(net, x, y))


B = Derivation("∇_b ll, hidden biases", of=log_likelihood, wrt="b", domain=DOMAIN, lines=[line_1, line_2, line_3, grad_b])
C = Derivation("∇_c ll, the output's bias", of=log_likelihood, wrt="c", domain=DOMAIN, lines=[line_1, grad_c])
