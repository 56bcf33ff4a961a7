"""Dropout on the hidden units of `manual_grad.extensions.net`, by W and v: the mask is drawn once, and used both ways.

    H = M/(1 − p) ∘ σ(A)        ∂W = [(g vᵀ) ∘ M/(1 − p) ∘ σ'(A)]ᵀ X        ∂v = Hᵀ g

M has entries 0 and 1, p is the share that is dropped. What is claimed holds for any M, and is judged for entries from 0 to
1, both ends included: a mask is a fixed number to ∇, whatever its values. Division by 1 − p keeps the mean of H, so that
nothing is to be done when the net is used.

Source: Srivastava et al., "Dropout", 2014, in its inverted form.
"""

from jaxtyping import Float

from manual_grad._arrays import Array, namespace
from manual_grad.derivation import Derivation, contract
from manual_grad.domains import intervals
from manual_grad.extensions.net import DOMAIN, Examples, Labels, Nabla, Net, Number, Units, preactivation
from manual_grad.network import residual
from manual_grad.sigmoid import log_sigmoid, sigmoid, sigmoid_derivative

Matrix = Float[Array, "k d"]
Vector = Float[Array, " k"]


def hidden(net: Net[Array], x: Examples, mask: Units, p: Number) -> Units:
    """H = M/(1 − p) ∘ σ(A)"""
    return mask / (1 - p) * sigmoid(preactivation(net, x))


def score(net: Net[Array], x: Examples, mask: Units, p: Number) -> Labels:
    """z = H v + c 1"""
    return hidden(net, x, mask, p) @ net.v + net.c


def log_likelihood(net: Net[Array], x: Examples, y: Labels, mask: Units, p: Number) -> Number:
    """ll = Σ_i log σ(y z)"""
    return namespace(net, x).sum(log_sigmoid(y * score(net, x, mask, p)))


def line_1(net: Net[Array], x: Examples, y: Labels, mask: Units, p: Number, nabla: Nabla) -> Array:
    """Σ_i g ∇z,  g = I(y=1) − σ(z)"""
    return contract(residual(score(net, x, mask, p), y), nabla(score)(net, x, mask, p))


def line_2(net: Net[Array], x: Examples, y: Labels, mask: Units, p: Number, nabla: Nabla) -> Matrix:
    """Σ_ij g_i v_j ∇h_ij"""
    return contract(residual(score(net, x, mask, p), y)[:, None] * net.v, nabla(hidden)(net, x, mask, p))


def line_3(net: Net[Array], x: Examples, y: Labels, mask: Units, p: Number, nabla: Nabla) -> Matrix:
    """Σ_ij D_ij ∇a_ij,  D = (g vᵀ) ∘ M/(1 − p) ∘ σ'(A)"""
    return contract(delta(net, x, y, mask, p), nabla(preactivation)(net, x))


def delta(net: Net[Array], x: Examples, y: Labels, mask: Units, p: Number) -> Units:
    """D = (g vᵀ) ∘ M/(1 − p) ∘ σ'(A)"""
    g = residual(score(net, x, mask, p), y)
    return g[:, None] * net.v * mask / (1 - p) * sigmoid_derivative(preactivation(net, x))


def grad_w(net: Net[Array], x: Examples, y: Labels, mask: Units, p: Number) -> Matrix:
    """Dᵀ X"""
    return delta(net, x, y, mask, p).mT @ x


def grad_v(net: Net[Array], x: Examples, y: Labels, mask: Units, p: Number) -> Vector:
    """Hᵀ g"""
    return hidden(net, x, mask, p).mT @ residual(score(net, x, mask, p), y)


MASKED = (*DOMAIN, intervals(0, 1, "n", "k", closed=True), intervals(0, 1))
W = Derivation("∇_W ll with dropout", of=log_likelihood, wrt="w", domain=MASKED, lines=[line_1, line_2, line_3, grad_w])
V = Derivation("∇_v ll with dropout", of=log_likelihood, wrt="v", domain=MASKED, lines=[line_1, grad_v])
