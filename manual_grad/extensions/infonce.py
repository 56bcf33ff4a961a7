"""InfoNCE, the contrastive loss: pairs (a_i, b_i) are told from all a_i, b_j, by cosine similarity at temperature τ.

    u = a/‖a‖        v = b/‖b‖        S = U Vᵀ/τ        P = softmax of S, by rows        L = Σ_i log Σ_j e^{s_ij} − s_ii

    B = P − 1        ∂U = B V/τ        ∂a_i = (∂u_i − u_i (u_iᵀ ∂u_i))/‖a_i‖        ∂τ = −1/τ Σ B ∘ S

The gradient by a is orthogonal to a: its length makes no difference to L. At a = 0 there is no direction, and no gradient.

Source: van den Oord, Li and Vinyals, "Representation Learning with Contrastive Predictive Coding", 2018.
"""

from jaxtyping import Float

from manual_grad._arrays import Array, namespace
from manual_grad.derivation import Derivation, contract
from manual_grad.domains import positives, reals
from manual_grad.extensions.net import Nabla
from manual_grad.softmax import softmax

Vectors = Float[Array, "n d"]
Pairs = Float[Array, "n n"]
Number = Float[Array, ""]


def length(a: Vectors) -> Float[Array, "n 1"]:
    """‖a_i‖"""
    return namespace(a).sqrt(namespace(a).sum(a * a, axis=1, keepdims=True))


def direction(a: Vectors) -> Vectors:
    """u_i = a_i/‖a_i‖"""
    return a / length(a)


def similarities(a: Vectors, b: Vectors, tau: Number) -> Pairs:
    """S = U Vᵀ/τ"""
    return direction(a) @ direction(b).mT / tau


def loss(a: Vectors, b: Vectors, tau: Number) -> Number:
    """L = Σ_i log Σ_j e^{s_ij} − s_ii"""
    s = similarities(a, b, tau)
    xp = namespace(s)
    largest = xp.max(s, axis=1, keepdims=True)
    log_sums = xp.log(xp.sum(xp.exp(s - largest), axis=1)) + largest[:, 0]
    return xp.sum(log_sums - xp.linalg.diagonal(s))


def by_similarity(a: Vectors, b: Vectors, tau: Number) -> Pairs:
    """B = P − 1"""
    s = similarities(a, b, tau)
    return softmax(s.mT).mT - namespace(s).eye(s.shape[0], dtype=s.dtype)


def line_1(a: Vectors, b: Vectors, tau: Number, nabla: Nabla) -> Array:
    """Σ_ij B ∇S,  B = P − 1"""
    return contract(by_similarity(a, b, tau), nabla(similarities)(a, b, tau))


def line_2(a: Vectors, b: Vectors, tau: Number, nabla: Nabla) -> Vectors:
    """Σ_il (B V/τ) ∇u"""
    return contract(by_similarity(a, b, tau) @ direction(b) / tau, nabla(direction)(a))


def grad_a(a: Vectors, b: Vectors, tau: Number) -> Vectors:
    """(∂U − u (uᵀ ∂U))/‖a‖,  ∂U = B V/τ"""
    u, by_u = direction(a), by_similarity(a, b, tau) @ direction(b) / tau
    return (by_u - u * namespace(u).sum(u * by_u, axis=1, keepdims=True)) / length(a)


def grad_tau(a: Vectors, b: Vectors, tau: Number) -> Number:
    """−1/τ Σ B ∘ S"""
    s = similarities(a, b, tau)
    return -namespace(s).sum(by_similarity(a, b, tau) * s) / tau


DOMAIN = (reals("n", "d"), reals("n", "d"), positives())
SIZES = {"n": (2, 4), "d": (2, 5)}
A = Derivation("∇_a InfoNCE", of=loss, wrt="a", domain=DOMAIN, lines=[line_1, line_2, grad_a], sizes=SIZES)
TAU = Derivation("∂/∂τ InfoNCE", of=loss, wrt="tau", domain=DOMAIN, lines=[line_1, grad_tau], sizes=SIZES)
