"""Layer normalisation: each example is normalised over its own k units. U (n, k) arrives from above.

    C = A − μ 1ᵀ,  μ_i = 1/k Σ_j a        var_i = 1/k Σ_j c²        s = 1/√(var + ε)        Â = s C        O = γ ∘ Â + β

    ∂A = s ∘ (V − mean_j V − Â ∘ mean_j(V ∘ Â)),  V = γ ∘ U        ∂γ = Σ_i U ∘ Â        ∂β = Σ_i U

Unlike in batch normalisation, γ stays inside the means over the units, since it differs among them.

Source: Ba, Kiros and Hinton, "Layer Normalization", 2016.
"""

from jaxtyping import Float

from manual_grad._arrays import Array, namespace
from manual_grad.derivation import Derivation, contract
from manual_grad.domains import positives, reals
from manual_grad.extensions.net import Nabla

Batch = Float[Array, "n k"]
Row = Float[Array, " k"]
Column = Float[Array, "n 1"]
Number = Float[Array, ""]


def centred(a: Batch) -> Batch:
    """C = A − μ 1ᵀ"""
    return a - namespace(a).mean(a, axis=1, keepdims=True)


def variance(a: Batch) -> Column:
    """var_i = 1/k Σ_j c²"""
    return namespace(a).mean(centred(a) ** 2, axis=1, keepdims=True)


def scale(a: Batch, eps: Number) -> Column:
    """s = 1/√(var + ε)"""
    return 1 / namespace(a, eps).sqrt(variance(a) + eps)


def normalised(a: Batch, eps: Number) -> Batch:
    """Â = s C"""
    return centred(a) * scale(a, eps)


def carried(a: Batch, gamma: Row, beta: Row, eps: Number, u: Batch) -> Number:
    """Σ U ∘ O,  O = γ ∘ Â + β"""
    return namespace(a, gamma, u).sum(u * (gamma * normalised(a, eps) + beta))


def line_1(a: Batch, gamma: Row, beta: Row, eps: Number, u: Batch, nabla: Nabla) -> Batch:
    """Σ_ij V ∇Â,  V = γ ∘ U"""
    return contract(u * gamma, nabla(normalised)(a, eps))


def line_2(a: Batch, gamma: Row, beta: Row, eps: Number, u: Batch, nabla: Nabla) -> Batch:
    """Σ_ij V s ∇C − ½ Σ_i (Σ_j V c) s³ ∇var"""
    v, s, xp = u * gamma, scale(a, eps), namespace(a, u)
    by_variance = contract(xp.sum(v * centred(a), axis=1, keepdims=True) * s**3 / 2, nabla(variance)(a))
    return contract(v * s, nabla(centred)(a)) - by_variance


def line_3(a: Batch, gamma: Row, beta: Row, eps: Number, u: Batch, nabla: Nabla) -> Batch:
    """Σ_ij s (V − Â mean_j V Â) ∇C"""
    v, a_hat, xp = u * gamma, normalised(a, eps), namespace(a, u)
    return contract(scale(a, eps) * (v - a_hat * xp.mean(v * a_hat, axis=1, keepdims=True)), nabla(centred)(a))


def grad_a(a: Batch, gamma: Row, beta: Row, eps: Number, u: Batch) -> Batch:
    """s ∘ (V − mean_j V − Â ∘ mean_j(V ∘ Â))"""
    v, a_hat, xp = u * gamma, normalised(a, eps), namespace(a, u)
    mean = xp.mean(v, axis=1, keepdims=True) + a_hat * xp.mean(v * a_hat, axis=1, keepdims=True)
    return scale(a, eps) * (v - mean)


def grad_gamma(a: Batch, gamma: Row, beta: Row, eps: Number, u: Batch) -> Row:
    """Σ_i U ∘ Â"""
    return namespace(a, u).sum(u * normalised(a, eps), axis=0)


DOMAIN = (reals("n", "k"), reals("k"), reals("k"), positives(), reals("n", "k"))
SIZES = {"k": (2, 5)}
A = Derivation(
    "∇_A Σ U ∘ O through layer normalisation",
    of=carried,
    wrt="a",
    domain=DOMAIN,
    lines=[line_1, line_2, line_3, grad_a],
    sizes=SIZES,
)
GAMMA = Derivation(
    "∇_γ Σ U ∘ O through layer normalisation", of=carried, wrt="gamma", domain=DOMAIN, lines=[grad_gamma], sizes=SIZES
)
