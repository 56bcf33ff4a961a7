"""Batch normalisation, with what arrives from above given: U (n, k), the derivative of the loss by the layer's output.

    C = A − μ,  μ = 1/n Σ_i a        var = 1/n Σ_i c²        s = 1/√(var + ε)        Â = C ∘ s        O = γ ∘ Â + β

    ∂A = γ/(n√(var + ε)) ∘ (nU − 1ΣU − Â ∘ Σ(U ∘ Â))        ∂γ = Σ_i U ∘ Â        ∂β = Σ_i U

Sums and means are over the examples. Each example moves the mean and the variance of all.

Source: Ioffe and Szegedy, "Batch Normalization", 2015.
"""

from jaxtyping import Float

from manual_grad._arrays import Array, namespace
from manual_grad.derivation import Derivation, contract
from manual_grad.domains import positives, reals
from manual_grad.extensions.net import Nabla

Batch = Float[Array, "n k"]
Row = Float[Array, " k"]
Number = Float[Array, ""]


def centred(a: Batch) -> Batch:
    """C = A − μ"""
    return a - namespace(a).mean(a, axis=0)


def variance(a: Batch) -> Row:
    """var = 1/n Σ_i c²"""
    return namespace(a).mean(centred(a) ** 2, axis=0)


def scale(a: Batch, eps: Number) -> Row:
    """s = 1/√(var + ε)"""
    return 1 / namespace(a, eps).sqrt(variance(a) + eps)


def normalised(a: Batch, eps: Number) -> Batch:
    """Â = C ∘ s"""
    return centred(a) * scale(a, eps)


def carried(a: Batch, gamma: Row, beta: Row, eps: Number, u: Batch) -> Number:
    """Σ U ∘ O,  O = γ ∘ Â + β"""
    return namespace(a, gamma, u).sum(u * (gamma * normalised(a, eps) + beta))


def line_1(a: Batch, gamma: Row, beta: Row, eps: Number, u: Batch, nabla: Nabla) -> Batch:
    """Σ_ij U γ ∇Â"""
    return contract(u * gamma, nabla(normalised)(a, eps))


def line_2(a: Batch, gamma: Row, beta: Row, eps: Number, u: Batch, nabla: Nabla) -> Batch:
    """Σ_ij U γ s ∇C + Σ_j (Σ_i U γ c) ∇s"""
    v, xp = u * gamma, namespace(a, u)
    by_scale = contract(xp.sum(v * centred(a), axis=0), nabla(scale)(a, eps))
    return contract(v * scale(a, eps), nabla(centred)(a)) + by_scale


def line_3(a: Batch, gamma: Row, beta: Row, eps: Number, u: Batch, nabla: Nabla) -> Batch:
    """Σ_ij U γ s ∇C − ½ Σ_j (Σ_i U γ c) s³ ∇var"""
    v, s, xp = u * gamma, scale(a, eps), namespace(a, u)
    by_variance = contract(xp.sum(v * centred(a), axis=0) * s**3 / 2, nabla(variance)(a))
    return contract(v * s, nabla(centred)(a)) - by_variance


def line_4(a: Batch, gamma: Row, beta: Row, eps: Number, u: Batch, nabla: Nabla) -> Batch:
    """Σ_ij γ s (U − Â ∘ 1/n Σ_i U Â) ∇C, since ∇var = 2/n Σ_i c ∇c"""
    a_hat, xp = normalised(a, eps), namespace(a, u)
    return contract(gamma * scale(a, eps) * (u - a_hat * xp.mean(u * a_hat, axis=0)), nabla(centred)(a))


def grad_a(a: Batch, gamma: Row, beta: Row, eps: Number, u: Batch) -> Batch:
    """γ/(n√(var + ε)) ∘ (nU − 1ΣU − Â ∘ Σ(U ∘ Â))"""
    a_hat, xp, n = normalised(a, eps), namespace(a, u), a.shape[0]
    return gamma * scale(a, eps) / n * (n * u - xp.sum(u, axis=0) - a_hat * xp.sum(u * a_hat, axis=0))


def gamma_1(a: Batch, gamma: Row, beta: Row, eps: Number, u: Batch) -> Row:
    """Σ_i U ∘ Â"""
    return namespace(a, u).sum(u * normalised(a, eps), axis=0)


def beta_1(a: Batch, gamma: Row, beta: Row, eps: Number, u: Batch) -> Row:
    """Σ_i U"""
    return namespace(u).sum(u, axis=0)


DOMAIN = (reals("n", "k"), reals("k"), reals("k"), positives(), reals("n", "k"))
A = Derivation(
    "∇_A Σ U ∘ O through batch normalisation",
    of=carried,
    wrt="a",
    domain=DOMAIN,
    lines=[line_1, line_2, line_3, line_4, grad_a],
    sizes={"n": (2, 5)},
)
GAMMA = Derivation("∇_γ Σ U ∘ O", of=carried, wrt="gamma", domain=DOMAIN, lines=[gamma_1], sizes={"n": (2, 5)})
BETA = Derivation("∇_β Σ U ∘ O", of=carried, wrt="beta", domain=DOMAIN, lines=[beta_1])
