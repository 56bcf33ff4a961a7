"""The Hessian of ll times a direction θ̇, at the cost of two gradients: Pearlmutter's R{·} on `manual_grad.extensions.net`.

R{f} = d/dt f(θ + t θ̇) at t = 0 obeys the rules of a derivative. Forward, R{x} = 0 and

    R{A} = X Ẇᵀ + 1 ḃᵀ        R{H} = s' ∘ R{A}        R{z} = H v̇ + R{H} v + ċ        R{g} = −q R{z}

and with D = (g vᵀ) ∘ s', backward, R{D} = (R{g} vᵀ + g v̇ᵀ) ∘ s' + (g vᵀ) ∘ s'' ∘ R{A}:

    by W R{D}ᵀ X        by b R{D}ᵀ 1        by v Hᵀ R{g} + R{H}ᵀ g        by c 1ᵀ R{g}

Source: Pearlmutter, "Fast Exact Multiplication by the Hessian", 1994.
"""

from manual_grad._arrays import Array, leaves, map_leaves, namespace
from manual_grad.derivation import Derivation
from manual_grad.extensions.biases import grad_b, grad_c
from manual_grad.extensions.hessian import curvature, q_of, slope
from manual_grad.extensions.net import (
    DOMAIN,
    Examples,
    Labels,
    Nabla,
    Net,
    Number,
    Units,
    delta,
    g_of,
    hidden,
    log_likelihood,
    preactivation,
    score,
)
from manual_grad.extensions.width import grad_v, grad_w


def slope_along(net: Net[Array], dot: Net[Array], x: Examples, y: Labels, nabla: Nabla) -> Number:
    """⟨∇ll, θ̇⟩"""
    gradient = nabla(log_likelihood, wrt=None)(net, x, y)
    xp = namespace(net, dot, x)
    return sum(xp.sum(one * other) for one, other in zip(leaves(gradient), leaves(dot), strict=True))


def gradient(net: Net[Array], x: Examples, y: Labels) -> Net[Array]:
    """∇ll = (Dᵀ X, Dᵀ 1, Hᵀ g, 1ᵀ g)"""
    return Net(grad_w(net, x, y), grad_b(net, x, y), grad_v(net, x, y), grad_c(net, x, y))


def along(jacobian: Net[Array], dot: Net[Array]) -> Array:
    """R{f} = Σ ∂f/∂θ θ̇: a Jacobian by all weights, times the direction"""
    xp = namespace(jacobian, dot)
    parts = zip(jacobian, dot, strict=True)
    return sum(xp.tensordot(leaf, xp.asarray(by), axes=xp.asarray(by).ndim) for leaf, by in parts)


def line_1(net: Net[Array], dot: Net[Array], x: Examples, y: Labels, nabla: Nabla) -> Net[Array]:
    """R{∇ll}, since the Hessian is symmetric"""
    by_field = nabla(gradient)(net, x, y)
    return Net(*(along(jacobian, dot) for jacobian in by_field))


def line_2(net: Net[Array], dot: Net[Array], x: Examples, y: Labels, nabla: Nabla) -> Net[Array]:
    """R{D}ᵀ X, R{D}ᵀ 1, Hᵀ R{g} + R{H}ᵀ g, 1ᵀ R{g}, with R of ∇"""
    r_d, r_g = along(nabla(delta)(net, x, y), dot), along(nabla(g_of)(net, x, y), dot)
    return _product_rule(net, x, y, along(nabla(hidden)(net, x), dot), r_g, r_d)


def line_3(net: Net[Array], dot: Net[Array], x: Examples, y: Labels, nabla: Nabla) -> Net[Array]:
    """R{H} = s' ∘ R{A}, R{g} = −q R{z}, R{D} = (R{g} vᵀ + g v̇ᵀ) ∘ s' + (g vᵀ) ∘ s'' ∘ R{A}, with R{A}, R{z} of ∇"""
    r_a, r_z = along(nabla(preactivation)(net, x), dot), along(nabla(score)(net, x), dot)
    return _backward(net, dot, x, y, r_a, r_z)


def hessian_vector_product(net: Net[Array], dot: Net[Array], x: Examples, y: Labels) -> Net[Array]:
    """R{A} = X Ẇᵀ + 1 ḃᵀ, R{z} = H v̇ + R{H} v + ċ"""
    net, dot = map_leaves(namespace(net, x).asarray, net), map_leaves(namespace(dot, x).asarray, dot)
    r_a = x @ dot.w.mT + dot.b
    r_z = hidden(net, x) @ dot.v + (slope(net, x) * r_a) @ net.v + dot.c
    return _backward(net, dot, x, y, r_a, r_z)


def _backward(net: Net[Array], dot: Net[Array], x: Examples, y: Labels, r_a: Units, r_z: Labels) -> Net[Array]:
    g, s = g_of(net, x, y), slope(net, x)
    r_g = -q_of(net, x) * r_z
    r_d = (r_g[:, None] * net.v + g[:, None] * dot.v) * s + g[:, None] * net.v * curvature(net, x) * r_a
    return _product_rule(net, x, y, s * r_a, r_g, r_d)


def _product_rule(net: Net[Array], x: Examples, y: Labels, r_h: Units, r_g: Labels, r_d: Units) -> Net[Array]:
    xp = namespace(net, x)
    by_v = hidden(net, x).mT @ r_g + r_h.mT @ g_of(net, x, y)
    return Net(r_d.mT @ x, xp.sum(r_d, axis=0), by_v, xp.sum(r_g))


HESSIAN_VECTOR = Derivation(
    "∇²ll θ̇, by Pearlmutter's R{·}",
    of=slope_along,
    wrt=None,
    domain=(DOMAIN[0], DOMAIN[0], *DOMAIN[1:]),
    lines=[line_1, line_2, line_3, hessian_vector_product],
    sizes={"k": (2, 3), "d": (2, 4)},
)
