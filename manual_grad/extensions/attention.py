"""One attention head, by its queries Q (n, d), keys K (m, d) and values V (m, e). U (n, e) arrives from above.

    S = Q Kᵀ/√d        P = softmax of S, by rows        O = P V

    ∂V = Pᵀ U        B = U Vᵀ        ∂S = P ∘ (B − (Σ_j P ∘ B) 1ᵀ)        ∂Q = ∂S K/√d        ∂K = ∂Sᵀ Q/√d

Source: Vaswani et al., "Attention Is All You Need", 2017; Σ_j P ∘ B = Σ_j U ∘ O is how FlashAttention (Dao et al., 2022)
computes it.
"""

from jaxtyping import Float

from manual_grad._arrays import Array, namespace
from manual_grad.derivation import Derivation, contract
from manual_grad.domains import reals
from manual_grad.extensions.net import Nabla
from manual_grad.softmax import softmax

Queries = Float[Array, "n d"]
Keys = Float[Array, "m d"]
Values = Float[Array, "m e"]
Outputs = Float[Array, "n e"]
Weights = Float[Array, "n m"]
Number = Float[Array, ""]


def root(q: Queries) -> Number:
    """√d"""
    return namespace(q).sqrt(namespace(q).asarray(float(q.shape[1]), dtype=q.dtype))


def scores(q: Queries, k: Keys) -> Weights:
    """S = Q Kᵀ/√d"""
    return q @ k.mT / root(q)


def weights(q: Queries, k: Keys) -> Weights:
    """P = softmax of S, by rows"""
    return softmax(scores(q, k).mT).mT


def output(q: Queries, k: Keys, v: Values) -> Outputs:
    """O = P V"""
    return weights(q, k) @ v


def carried(q: Queries, k: Keys, v: Values, u: Outputs) -> Number:
    """Σ U ∘ O"""
    return namespace(q, k, v).sum(u * output(q, k, v))


def line_1(q: Queries, k: Keys, v: Values, u: Outputs, nabla: Nabla) -> Array:
    """Σ_ij B ∇P,  B = U Vᵀ"""
    return contract(u @ v.mT, nabla(weights)(q, k))


def by_scores(q: Queries, k: Keys, v: Values, u: Outputs) -> Weights:
    """∂S = P ∘ (B − (Σ_j P ∘ B) 1ᵀ)"""
    p, b = weights(q, k), u @ v.mT
    return p * (b - namespace(p).sum(p * b, axis=1, keepdims=True))


def line_2(q: Queries, k: Keys, v: Values, u: Outputs, nabla: Nabla) -> Array:
    """Σ_ij P (B − Σ_j P B) ∇S, since ∂p_j/∂s_l = p_j ([j=l] − p_l)"""
    return contract(by_scores(q, k, v, u), nabla(scores)(q, k))


def grad_q(q: Queries, k: Keys, v: Values, u: Outputs) -> Queries:
    """∂S K/√d"""
    return by_scores(q, k, v, u) @ k / root(q)


def grad_k(q: Queries, k: Keys, v: Values, u: Outputs) -> Keys:
    """∂Sᵀ Q/√d"""
    return by_scores(q, k, v, u).mT @ q / root(q)


def values_1(q: Queries, k: Keys, v: Values, u: Outputs, nabla: Nabla) -> Values:
    """Σ_ij U ∇O"""
    return contract(u, nabla(output)(q, k, v))


def grad_v(q: Queries, k: Keys, v: Values, u: Outputs) -> Values:
    """Pᵀ U"""
    return weights(q, k).mT @ u


DOMAIN = (reals("n", "d"), reals("m", "d"), reals("m", "e"), reals("n", "e"))
SIZES = {"n": (2, 3), "m": (2, 3), "d": (2, 4), "e": (2, 5)}
Q = Derivation("∇_Q of attention", of=carried, wrt="q", domain=DOMAIN, lines=[line_1, line_2, grad_q], sizes=SIZES)
K = Derivation("∇_K of attention", of=carried, wrt="k", domain=DOMAIN, lines=[line_1, line_2, grad_k], sizes=SIZES)
V = Derivation("∇_V of attention", of=carried, wrt="v", domain=DOMAIN, lines=[values_1, grad_v], sizes=SIZES)
