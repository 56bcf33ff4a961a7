"""The Hessian of ll by the weights v and W of `manual_grad.extensions.net`, block by block.

With g = I(y=1) − σ(z), q = −dg/dz = σ(z) σ(−z), s' and s'' of the pre-activations:

    v, v        −Hᵀ diag(q) H
    v_j, w_l    Σ_i (−q h_j v_l s'_l + [j=l] g s'_l) x
    w_j, w_l    Σ_i (−q v_j v_l s'_j s'_l + [j=l] g v_j s''_j) x xᵀ

What is differentiated is the gradient of `manual_grad.extensions.width`, left to ∇. The second term of the last two blocks
is what Gauss and Newton leave out.

Source: the product rule on Hᵀg and Dᵀ X; Bishop, "Exact Calculation of the Hessian Matrix for the Multilayer Perceptron",
1992.
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
    Units,
    delta,
    g_of,
    hidden,
    log_likelihood,
    preactivation,
    score,
)
from manual_grad.sigmoid import sigmoid, sigmoid_derivative

Block = Float[Array, "k k"]
MixedBlock = Float[Array, "k k d"]
WideBlock = Float[Array, "k d k d"]


def gradient_by_v(net: Net[Array], x: Examples, y: Labels, nabla: Nabla) -> Array:
    """∇_v ll"""
    return nabla(log_likelihood, wrt="v")(net, x, y)


def gradient_by_w(net: Net[Array], x: Examples, y: Labels, nabla: Nabla) -> Array:
    """∇_W ll"""
    return nabla(log_likelihood, wrt="w")(net, x, y)


def g(net: Net[Array], x: Examples, y: Labels) -> Labels:
    """g = I(y=1) − σ(z)"""
    return g_of(net, x, y)


def q_of(net: Net[Array], x: Examples) -> Labels:
    """q = σ(z) σ(−z) = −dg/dz"""
    return sigmoid_derivative(score(net, x))


def slope(net: Net[Array], x: Examples) -> Units:
    """s' = σ(A) σ(−A)"""
    return sigmoid_derivative(preactivation(net, x))


def curvature(net: Net[Array], x: Examples) -> Units:
    """s'' = s' (1 − 2 σ(A)) = s' (σ(−A) − σ(A))"""
    a = preactivation(net, x)
    return sigmoid_derivative(a) * (sigmoid(-a) - sigmoid(a))


# v, v


def vv_1(net: Net[Array], x: Examples, y: Labels, nabla: Nabla) -> Block:
    """Σ_i h ∇gᵀ, since ∇_v ll = Hᵀ g and h has no v in it"""
    return hidden(net, x).mT @ nabla(g)(net, x, y)


def vv_2(net: Net[Array], x: Examples, y: Labels, nabla: Nabla) -> Block:
    """−Σ_i q h ∇zᵀ"""
    return -(hidden(net, x) * q_of(net, x)[:, None]).mT @ nabla(score)(net, x)


def hessian_vv(net: Net[Array], x: Examples, y: Labels) -> Block:
    """−Hᵀ diag(q) H"""
    h = hidden(net, x)
    return -(h * q_of(net, x)[:, None]).mT @ h


VV = Derivation("∂²ll/∂v∂v", of=gradient_by_v, wrt="v", domain=DOMAIN, lines=[vv_1, vv_2, hessian_vv])


# v, W


def vw_1(net: Net[Array], x: Examples, y: Labels, nabla: Nabla) -> MixedBlock:
    """Σ_i h_j ∇g + g ∇h_j"""
    return contract_first(hidden(net, x), nabla(g)(net, x, y)) + contract(g(net, x, y), nabla(hidden)(net, x))


def vw_2(net: Net[Array], x: Examples, y: Labels, nabla: Nabla) -> MixedBlock:
    """Σ_i −q h_j ∇z + g s'_j ∇a_j"""
    xp = namespace(net, x)
    by_a = xp.sum((g(net, x, y)[:, None] * slope(net, x))[:, :, None, None] * nabla(preactivation)(net, x), axis=0)
    return contract_first(-q_of(net, x)[:, None] * hidden(net, x), nabla(score)(net, x)) + by_a


def hessian_vw(net: Net[Array], x: Examples, y: Labels) -> MixedBlock:
    """Σ_i (−q h_j v_l s'_l + [j=l] g s'_l) x"""
    xp, h, s = namespace(net, x), hidden(net, x), slope(net, x)
    same = xp.eye(h.shape[1], dtype=h.dtype)
    pairs = -q_of(net, x)[:, None, None] * h[:, :, None] * (net.v * s)[:, None, :]
    return contract_first(pairs + same * (g(net, x, y)[:, None] * s)[:, None, :], x)


def contract_first(c: Array, values: Array) -> Array:
    """Σ_i c_i… values_i…: over the first axis of both"""
    return namespace(c, values).tensordot(c, values, axes=((0,), (0,)))


VW = Derivation("∂²ll/∂v∂W", of=gradient_by_v, wrt="w", domain=DOMAIN, lines=[vw_1, vw_2, hessian_vw])


# W, W


def d(net: Net[Array], x: Examples, y: Labels) -> Units:
    """D = (g vᵀ) ∘ s'"""
    return delta(net, x, y)


def ww_1(net: Net[Array], x: Examples, y: Labels, nabla: Nabla) -> WideBlock:
    """Σ_i x ∇D_j, since ∇_W ll = Dᵀ X"""
    by_d = contract_first(x, nabla(d)(net, x, y))  # (d, k, k, d): the first two the wrong way round
    return namespace(net, x).permute_dims(by_d, (1, 0, 2, 3))


def ww_2(net: Net[Array], x: Examples, y: Labels, nabla: Nabla) -> WideBlock:
    """Σ_i (v_j s'_j ∇g + g v_j ∇s'_j) x"""
    xp, s = namespace(net, x), slope(net, x)
    by_g = (net.v * s)[:, :, None, None] * nabla(g)(net, x, y)[:, None]
    by_s = (g(net, x, y)[:, None] * net.v)[:, :, None, None] * nabla(slope)(net, x)
    return xp.permute_dims(contract_first(x, by_g + by_s), (1, 0, 2, 3))


def hessian_ww(net: Net[Array], x: Examples, y: Labels) -> WideBlock:
    """Σ_i (−q v_j v_l s'_j s'_l + [j=l] g v_j s''_j) x xᵀ"""
    xp, r = namespace(net, x), net.v * slope(net, x)
    same = xp.eye(r.shape[1], dtype=r.dtype)
    pairs = -q_of(net, x)[:, None, None] * r[:, :, None] * r[:, None, :]
    pairs = pairs + same * (g(net, x, y)[:, None] * net.v * curvature(net, x))[:, None, :]
    outer = x[:, :, None] * x[:, None, :]
    return xp.permute_dims(contract_first(pairs, outer), (0, 2, 1, 3))


WW = Derivation(
    "∂²ll/∂W∂W", of=gradient_by_w, wrt="w", domain=DOMAIN, lines=[ww_1, ww_2, hessian_ww], sizes={"k": (2, 3), "d": (2, 4)}
)
