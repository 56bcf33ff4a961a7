"""Any number of hidden units: ∇ ll by the matrix W and by the output weights v of `manual_grad.extensions.net`.

    ∂W = Dᵀ X        ∂v = Hᵀ g        with g = I(y=1) − σ(z), D = (g vᵀ) ∘ σ'(A)

∇ of an array of shape (n, k) by W is (n, k, k, d): `contract` sums the coefficients against its first two axes.

Source: equations (1) and (2) of the notes, whose w11 and w12 are the rows of W, and whose w21 is v.
"""

from jaxtyping import Float

from manual_grad._arrays import Array
from manual_grad.derivation import Derivation, contract
from manual_grad.extensions.net import (
    DOMAIN,
    Examples,
    Labels,
    Nabla,
    Net,
    delta,
    g_of,
    hidden,
    log_likelihood,
    margin,
    preactivation,
    score,
)
from manual_grad.network import indicator
from manual_grad.sigmoid import sigmoid

Matrix = Float[Array, "k d"]
Vector = Float[Array, " k"]


def line_1(net: Net[Array], x: Examples, y: Labels, nabla: Nabla) -> Array:
    """Σ_i (1 − σ(m)) ∇m"""
    return contract(1 - sigmoid(margin(net, x, y)), nabla(margin)(net, x, y))


def line_2(net: Net[Array], x: Examples, y: Labels, nabla: Nabla) -> Array:
    """Σ_i g ∇z,  g = I(y=1) − σ(z)"""
    return contract(indicator(y) - sigmoid(score(net, x)), nabla(score)(net, x))


def line_3(net: Net[Array], x: Examples, y: Labels, nabla: Nabla) -> Matrix:
    """Σ_ij g_i v_j ∇h_ij"""
    return contract(g_of(net, x, y)[:, None] * net.v, nabla(hidden)(net, x))


def line_4(net: Net[Array], x: Examples, y: Labels, nabla: Nabla) -> Matrix:
    """Σ_ij g_i v_j h_ij (1 − h_ij) ∇a_ij"""
    h = hidden(net, x)
    return contract(g_of(net, x, y)[:, None] * net.v * h * (1 - h), nabla(preactivation)(net, x))


def grad_w(net: Net[Array], x: Examples, y: Labels) -> Matrix:
    """Dᵀ X,  D = (g vᵀ) ∘ σ'(A)"""
    return delta(net, x, y).mT @ x


def grad_v(net: Net[Array], x: Examples, y: Labels) -> Vector:
    """Hᵀ g"""
    return hidden(net, x).mT @ g_of(net, x, y)


W = Derivation(
    "∇_W ll, k hidden units", of=log_likelihood, wrt="w", domain=DOMAIN, lines=[line_1, line_2, line_3, line_4, grad_w]
)
V = Derivation("∇_v ll, k hidden units", of=log_likelihood, wrt="v", domain=DOMAIN, lines=[line_1, line_2, grad_v])
