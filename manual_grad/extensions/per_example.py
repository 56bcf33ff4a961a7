"""One gradient an example, and its squared norm: what clipping, influence functions and gradient-noise scales need.

    ∇_W ll_i = g_i (v ∘ s'_i) x_iᵀ        ‖∇_W ll_i‖² = g_i² ‖v ∘ s'_i‖² ‖x_i‖²

The gradient of an example is an outer product, so its norm is a product of norms and needs no array of shape (n, k, d).
A squared norm is a directional derivative, d/dt ll_i(W + t ∇_W ll_i) at t = 0, and is derived as one.

Source: "Efficient Per-Example Gradient Computations", Goodfellow 2015.
"""

from jaxtyping import Float

from manual_grad._arrays import Array, namespace
from manual_grad.derivation import Derivation
from manual_grad.domains import constants
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
    log_likelihoods,
    preactivation,
    score,
)
from manual_grad.sigmoid import log_sigmoid, sigmoid, sigmoid_derivative

Matrices = Float[Array, "n k d"]


def line_1(net: Net[Array], x: Examples, y: Labels, nabla: Nabla) -> Matrices:
    """g_i ∇z_i"""
    return g_of(net, x, y)[:, None, None] * nabla(score)(net, x)


def line_2(net: Net[Array], x: Examples, y: Labels, nabla: Nabla) -> Matrices:
    """g_i Σ_j v_j ∇h_ij"""
    by_unit = net.v[:, None, None] * nabla(hidden)(net, x)
    return g_of(net, x, y)[:, None, None] * namespace(net, x).sum(by_unit, axis=1)


def line_3(net: Net[Array], x: Examples, y: Labels, nabla: Nabla) -> Matrices:
    """g_i Σ_j v_j s'_ij ∇a_ij"""
    by_unit = (net.v * sigmoid_derivative(preactivation(net, x)))[:, :, None, None] * nabla(preactivation)(net, x)
    return g_of(net, x, y)[:, None, None] * namespace(net, x).sum(by_unit, axis=1)


def gradients(net: Net[Array], x: Examples, y: Labels) -> Matrices:
    """g_i (v ∘ s'_i) x_iᵀ"""
    return delta(net, x, y)[:, :, None] * x[:, None, :]


GRADIENTS = Derivation(
    "∇_W ll_i, one an example", of=log_likelihoods, wrt="w", domain=DOMAIN, lines=[line_1, line_2, line_3, gradients]
)


# The squared norms


def along_itself(step: Number, net: Net[Array], x: Examples, y: Labels, nabla: Nabla) -> Labels:
    """ll_i(W + t G_i),  G_i = ∇_W ll_i: each example steps along its own gradient"""
    xp = namespace(step, net, x)
    own = nabla(log_likelihoods, wrt="w")(net, x, y)
    a = preactivation(net, x) + step * xp.sum(own * x[:, None, :], axis=2)
    z = xp.sum(sigmoid(a) * net.v, axis=1) + net.c
    return log_sigmoid(y * z)


def norm_1(step: Number, net: Net[Array], x: Examples, y: Labels, nabla: Nabla) -> Labels:
    """Σ_jl (∇_W ll_i)²"""
    own = nabla(log_likelihoods, wrt="w")(net, x, y)
    return namespace(net, x).sum(own * own, axis=(1, 2))


def norm_2(step: Number, net: Net[Array], x: Examples, y: Labels) -> Labels:
    """Σ_jl (g_i v_j s'_ij x_il)²"""
    own = gradients(net, x, y)
    return namespace(net, x).sum(own * own, axis=(1, 2))


def norm_3(step: Number, net: Net[Array], x: Examples, y: Labels) -> Labels:
    """g_i² ‖v ∘ s'_i‖² ‖x_i‖²"""
    return squared_norms(net, x, y)


def squared_norms(net: Net[Array], x: Examples, y: Labels) -> Labels:
    """g_i² ‖v ∘ s'_i‖² ‖x_i‖², without an array of shape (n, k, d)"""
    xp, d = namespace(net, x), delta(net, x, y)
    return xp.sum(d * d, axis=1) * xp.sum(x * x, axis=1)


SQUARED_NORMS = Derivation(
    "‖∇_W ll_i‖², one an example",
    of=along_itself,
    wrt="step",
    domain=(constants(0.0), *DOMAIN),
    lines=[norm_1, norm_2, norm_3],
)
