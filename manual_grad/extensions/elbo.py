"""A variational autoencoder's ELBO, for one draw ε of the noise: by the encoder's μ and log-variance s, and the decoder's W.

    Z = M + e^{S/2} ∘ ε        A = Z Wᵀ + 1 bᵀ        x_ij ~ Bernoulli(σ(a_ij))
    ELBO = Σ x log σ(a) + (1 − x) log σ(−a) − ½ Σ (μ² + e^s − 1 − s)

    R = X − σ(A)        ∂M = R W − M        ∂S = ½ (R W) ∘ ε ∘ e^{S/2} − ½ (e^S − 1)        ∂W = Rᵀ Z        ∂b = Rᵀ 1

The noise is an argument, which is the reparametrisation: the gradient goes through Z.

Source: Kingma and Welling, "Auto-Encoding Variational Bayes", 2014.
"""

from jaxtyping import Float

from manual_grad._arrays import Array, namespace
from manual_grad.derivation import Derivation, contract
from manual_grad.domains import bits, reals
from manual_grad.extensions.net import Nabla
from manual_grad.sigmoid import log_sigmoid, sigmoid

Codes = Float[Array, "n k"]
Matrix = Float[Array, "d k"]
Vector = Float[Array, " d"]
Data = Float[Array, "n d"]
Number = Float[Array, ""]


def code(mu: Codes, s: Codes, eps: Codes) -> Codes:
    """Z = M + e^{S/2} ∘ ε"""
    return mu + namespace(mu, s).exp(s / 2) * eps


def logits(mu: Codes, s: Codes, w: Matrix, b: Vector, eps: Codes) -> Data:
    """A = Z Wᵀ + 1 bᵀ"""
    return code(mu, s, eps) @ w.mT + b


def divergence(mu: Codes, s: Codes) -> Number:
    """KL = ½ Σ (μ² + e^s − 1 − s)"""
    xp = namespace(mu, s)
    return xp.sum(mu * mu + xp.expm1(s) - s) / 2


def elbo(mu: Codes, s: Codes, w: Matrix, b: Vector, x: Data, eps: Codes) -> Number:
    """Σ x log σ(a) + (1 − x) log σ(−a) − KL"""
    a = logits(mu, s, w, b, eps)
    return namespace(a).sum(x * log_sigmoid(a) + (1 - x) * log_sigmoid(-a)) - divergence(mu, s)


def r_of(mu: Codes, s: Codes, w: Matrix, b: Vector, x: Data, eps: Codes) -> Data:
    """R = X − σ(A)"""
    return x - sigmoid(logits(mu, s, w, b, eps))


def line_1(mu: Codes, s: Codes, w: Matrix, b: Vector, x: Data, eps: Codes, nabla: Nabla) -> Codes:
    """Σ_ij R ∇A − ∇KL,  R = X − σ(A)"""
    by_a = contract(r_of(mu, s, w, b, x, eps), nabla(logits)(mu, s, w, b, eps))
    return by_a - nabla(divergence)(mu, s)


def line_2(mu: Codes, s: Codes, w: Matrix, b: Vector, x: Data, eps: Codes, nabla: Nabla) -> Codes:
    """Σ_ij (R W) ∇Z − ∇KL"""
    return contract(r_of(mu, s, w, b, x, eps) @ w, nabla(code)(mu, s, eps)) - nabla(divergence)(mu, s)


def grad_mu(mu: Codes, s: Codes, w: Matrix, b: Vector, x: Data, eps: Codes) -> Codes:
    """R W − M"""
    return r_of(mu, s, w, b, x, eps) @ w - mu


def grad_s(mu: Codes, s: Codes, w: Matrix, b: Vector, x: Data, eps: Codes) -> Codes:
    """½ (R W) ∘ ε ∘ e^{S/2} − ½ (e^S − 1)"""
    xp = namespace(mu, s)
    return (r_of(mu, s, w, b, x, eps) @ w * eps * xp.exp(s / 2) - xp.expm1(s)) / 2


def decoder_1(mu: Codes, s: Codes, w: Matrix, b: Vector, x: Data, eps: Codes, nabla: Nabla) -> Array:
    """Σ_ij R ∇A: the divergence has no W in it"""
    return contract(r_of(mu, s, w, b, x, eps), nabla(logits)(mu, s, w, b, eps))


def grad_w(mu: Codes, s: Codes, w: Matrix, b: Vector, x: Data, eps: Codes) -> Matrix:
    """Rᵀ Z"""
    return r_of(mu, s, w, b, x, eps).mT @ code(mu, s, eps)


DOMAIN = (reals("n", "k"), reals("n", "k"), reals("d", "k"), reals("d"), bits("n", "d"), reals("n", "k"))
SIZES = {"n": (1, 3), "k": (1, 4), "d": (1, 5)}
MU = Derivation("∇_μ ELBO", of=elbo, wrt="mu", domain=DOMAIN, lines=[line_1, line_2, grad_mu], sizes=SIZES)
LOG_VARIANCE = Derivation(
    "∇_s ELBO, s = log σ²", of=elbo, wrt="s", domain=DOMAIN, lines=[line_1, line_2, grad_s], sizes=SIZES
)
DECODER = Derivation("∇_W ELBO", of=elbo, wrt="w", domain=DOMAIN, lines=[decoder_1, grad_w], sizes=SIZES)
