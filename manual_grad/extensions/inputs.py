"""By the inputs: ∇ ll by X of `manual_grad.extensions.net`, for saliency, adversarial examples and whatever feeds the net.

    ∂X = D W        with g = I(y=1) − σ(z), D = (g vᵀ) ∘ σ'(A)

Row i of ∂X is the gradient by example i, since no other example's score depends on x_i.

Source: the chain rule once more, past the first layer. It is what the recursion of `manual_grad.mlp` hands on to a layer
below.
"""

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
    preactivation,
    score,
)


def line_1(net: Net[Array], x: Examples, y: Labels, nabla: Nabla) -> Examples:
    """Σ_i g ∇z,  g = I(y=1) − σ(z)"""
    return contract(g_of(net, x, y), nabla(score)(net, x))


def line_2(net: Net[Array], x: Examples, y: Labels, nabla: Nabla) -> Examples:
    """Σ_ij g_i v_j ∇h_ij"""
    return contract(g_of(net, x, y)[:, None] * net.v, nabla(hidden)(net, x))


def line_3(net: Net[Array], x: Examples, y: Labels, nabla: Nabla) -> Examples:
    """Σ_ij D_ij ∇a_ij,  D = (g vᵀ) ∘ σ'(A)"""
    return contract(delta(net, x, y), nabla(preactivation)(net, x))


def grad_x(net: Net[Array], x: Examples, y: Labels) -> Examples:
    """D W"""
    return delta(net, x, y) @ net.w


X = Derivation("∇_X ll, by the inputs", of=log_likelihood, wrt="x", domain=DOMAIN, lines=[line_1, line_2, line_3, grad_x])
