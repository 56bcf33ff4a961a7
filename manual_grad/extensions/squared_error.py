"""Squared error in place of the log-likelihood, on the score of `manual_grad.extensions.net`, by W and v.

    L = ½ Σ_i (z − t)²        ∂W = [((z − t) vᵀ) ∘ σ'(A)]ᵀ X        ∂v = Hᵀ (z − t)

It is a loss, which falls along −∇. With a factor ½ in front, z − t is its derivative by z; without it 2 (z − t).

Source: −L is the log-likelihood of targets that are N(z, 1), but for a constant.
"""

from jaxtyping import Float

from manual_grad._arrays import Array, namespace
from manual_grad.derivation import Derivation, contract
from manual_grad.domains import reals
from manual_grad.extensions.net import DOMAIN, Examples, Nabla, Net, Number, hidden, preactivation, score
from manual_grad.sigmoid import sigmoid_derivative

Targets = Float[Array, " n"]
Matrix = Float[Array, "k d"]
Vector = Float[Array, " k"]


def squared_error(net: Net[Array], x: Examples, t: Targets) -> Number:
    """L = ½ Σ_i (z − t)²"""
    return namespace(net, x).sum((score(net, x) - t) ** 2) / 2


def line_1(net: Net[Array], x: Examples, t: Targets, nabla: Nabla) -> Array:
    """Σ_i (z − t) ∇z"""
    return contract(score(net, x) - t, nabla(score)(net, x))


def line_2(net: Net[Array], x: Examples, t: Targets, nabla: Nabla) -> Matrix:
    """Σ_ij (z − t)_i v_j ∇h_ij"""
    return contract((score(net, x) - t)[:, None] * net.v, nabla(hidden)(net, x))


def line_3(net: Net[Array], x: Examples, t: Targets, nabla: Nabla) -> Matrix:
    """Σ_ij (z − t)_i v_j s'_ij ∇a_ij"""
    slope = sigmoid_derivative(preactivation(net, x))
    return contract((score(net, x) - t)[:, None] * net.v * slope, nabla(preactivation)(net, x))


def grad_w(net: Net[Array], x: Examples, t: Targets) -> Matrix:
    """[((z − t) vᵀ) ∘ σ'(A)]ᵀ X"""
    return ((score(net, x) - t)[:, None] * net.v * sigmoid_derivative(preactivation(net, x))).mT @ x


def grad_v(net: Net[Array], x: Examples, t: Targets) -> Vector:
    """Hᵀ (z − t)"""
    return hidden(net, x).mT @ (score(net, x) - t)


TARGETS = (*DOMAIN[:2], reals("n"))
W = Derivation("∇_W ½ Σ (z − t)²", of=squared_error, wrt="w", domain=TARGETS, lines=[line_1, line_2, line_3, grad_w])
V = Derivation("∇_v ½ Σ (z − t)²", of=squared_error, wrt="v", domain=TARGETS, lines=[line_1, grad_v])
