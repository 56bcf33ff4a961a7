"""Short derivations of log-likelihoods: labels 0 and 1, a probability itself, probit, the gamma distribution."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import digamma, erf, gammaln
from jaxtyping import Array, Float

from manual_grad import (
    Derivation,
    bits,
    intervals,
    log_sigmoid,
    positives,
    reals,
    sigmoid,
    signs,
)
from tests.derivations._planted import planted

Number = Float[Array, ""]
Vector = Float[Array, " d"]
Examples = Float[Array, "n d"]
Values = Float[Array, " n"]
Nabla = Any


# Labels 0 and 1: ll = Σ t log σ(z) + (1 − t) log σ(−z)


def bernoulli(w: Vector, x: Examples, t: Values) -> Number:
    """ll = Σ_i t log σ(z) + (1 − t) log(1 − σ(z)),  z = wᵀx"""
    return jnp.sum(t * log_sigmoid(x @ w) + (1 - t) * log_sigmoid(-(x @ w)))


def linear(w: Vector, x: Examples) -> Values:
    """z = wᵀx"""
    return x @ w


def probability(w: Vector, x: Examples) -> Values:
    """p = σ(z)"""
    return sigmoid(x @ w)


def bits_1(w: Vector, x: Examples, t: Values, nabla: Nabla) -> Vector:
    """Σ (t/p − (1 − t)/(1 − p)) ∇p"""
    p = probability(w, x)
    return (t / p - (1 - t) / (1 - p)) @ nabla(probability)(w, x)


def bits_2(w: Vector, x: Examples, t: Values, nabla: Nabla) -> Vector:
    """Σ (t (1 − p) − (1 − t) p) ∇z"""
    p = probability(w, x)
    return (t * (1 - p) - (1 - t) * p) @ nabla(linear)(w, x)


def bits_3(w: Vector, x: Examples, t: Values, nabla: Nabla) -> Vector:
    """Σ (t − p) ∇z"""
    return (t - probability(w, x)) @ nabla(linear)(w, x)


def bits_4(w: Vector, x: Examples, t: Values, nabla: Nabla) -> Vector:
    """Σ (t − p) x"""
    return (t - probability(w, x)) @ x


BITS = Derivation(
    "∇_w ll for labels 0 and 1",
    of=bernoulli,
    wrt="w",
    domain=(reals("d"), reals("n", "d"), bits("n")),
    lines=[bits_1, bits_2, bits_3, bits_4],
)


def took_bits_for_signs(w: Vector, x: Examples, t: Values, nabla: Nabla) -> Vector:
    """Σ (1 − σ(t z)) t ∇z: the notes' equation (1), right for t = 1"""
    return ((1 - sigmoid(t * linear(w, x))) * t) @ nabla(linear)(w, x)


# A probability itself: p in (0, 1), so that both logarithms exist


def entropy(p: Number) -> Number:
    """H = −p log p − (1 − p) log(1 − p)"""
    return -p * jnp.log(p) - (1 - p) * jnp.log1p(-p)


def log_odds(p: Number) -> Number:
    """log p/(1 − p)"""
    return jnp.log(p / (1 - p))


def entropy_1(p: Number, nabla: Nabla) -> Number:
    """−log p − p/p + log(1 − p) + (1 − p)/(1 − p)"""
    return -jnp.log(p) - p / p + jnp.log1p(-p) + (1 - p) / (1 - p)


def entropy_2(p: Number, nabla: Nabla) -> Number:
    """log(1 − p) − log p"""
    return jnp.log(1 - p) - jnp.log(p)


def entropy_3(p: Number, nabla: Nabla) -> Number:
    """−log p/(1 − p)"""
    return -log_odds(p)


def entropy_4(p: Number, nabla: Nabla) -> Number:
    """−2 artanh(2p − 1)"""
    return -2 * jnp.arctanh(2 * p - 1)


ENTROPY = Derivation(
    "dH/dp", of=entropy, wrt="p", domain=(intervals(0, 1),), lines=[entropy_1, entropy_2, entropy_3, entropy_4]
)


def lost_the_second_logarithm(p: Number, nabla: Nabla) -> Number:
    """−log p"""
    return -jnp.log(p)


# Focal loss: a power of 1 − p whose exponent is an argument


def focal(z: Values, y: Values, gamma: Number) -> Number:
    """Σ_i (1 − p)^γ log p, p = σ(yz)"""
    p = sigmoid(y * z)
    return jnp.sum((1 - p) ** gamma * jnp.log(p))


def focal_1(z: Values, y: Values, gamma: Number, nabla: Nabla) -> Values:
    """y (1 − p)^γ (1 − p − γ p log p)"""
    p = sigmoid(y * z)
    return y * (1 - p) ** gamma * (1 - p - gamma * p * jnp.log(p))


def focal_2(z: Values, y: Values, gamma: Number, nabla: Nabla) -> Values:
    """y e^{γ log σ(−yz)} (σ(−yz) + γ σ(yz) log(1 + e^{−yz}))"""
    m = y * z
    return y * jnp.exp(gamma * log_sigmoid(-m)) * (sigmoid(-m) + gamma * sigmoid(m) * jnp.log(1 + jnp.exp(-m)))


FOCAL = Derivation(
    "∇_z Σ (1 − p)^γ log p",
    of=focal,
    wrt="z",
    domain=(reals("n"), signs("n"), positives()),
    lines=[focal_1, focal_2],
)


def lost_a_probability(z: Values, y: Values, gamma: Number, nabla: Nabla) -> Values:
    """y (1 − p)^γ (1 − p − γ log p)"""
    p = sigmoid(y * z)
    return y * (1 - p) ** gamma * (1 - p - gamma * jnp.log(p))


# Probit: the cumulative normal distribution where the notes have σ


def normal_cdf(a: Any) -> Any:
    """Φ(a) = ½ (1 + erf(a/√2))"""
    return 0.5 * (1 + erf(a / np.sqrt(2)))


def probit(w: Number, x: Values) -> Number:
    """ll = Σ_i log Φ(w x)"""
    return jnp.sum(jnp.log(normal_cdf(w * x)))


def phi_of_score(w: Number, x: Values) -> Values:
    """Φ(w x)"""
    return normal_cdf(w * x)


def product(w: Number, x: Values) -> Values:
    """w x"""
    return w * x


def probit_1(w: Number, x: Values, nabla: Nabla) -> Number:
    """Σ 1/Φ(wx) dΦ(wx)/dw"""
    return (1 / phi_of_score(w, x)) @ nabla(phi_of_score)(w, x)


def probit_2(w: Number, x: Values, nabla: Nabla) -> Number:
    """Σ φ(wx)/Φ(wx) d(wx)/dw,  φ(a) = e^(−a²/2)/√(2π)"""
    density = jnp.exp(-((w * x) ** 2) / 2) / np.sqrt(2 * np.pi)
    return (density / phi_of_score(w, x)) @ nabla(product)(w, x)


def probit_3(w: Number, x: Values, nabla: Nabla) -> Number:
    """Σ φ(wx)/Φ(wx) x"""
    density = jnp.exp(-((w * x) ** 2) / 2) / np.sqrt(2 * np.pi)
    return (density / phi_of_score(w, x)) @ x


PROBIT = Derivation(
    "d/dw Σ log Φ(w x)",
    of=probit,
    wrt="w",
    domain=(intervals(-2, 2), intervals(-2, 2, "n")),
    lines=[probit_1, probit_2, probit_3],
)


def lost_the_half(w: Number, x: Values, nabla: Nabla) -> Number:
    """Σ e^(−w²x²)/√(2π)/Φ(wx) d(wx)/dw"""
    density = jnp.exp(-((w * x) ** 2)) / np.sqrt(2 * np.pi)
    return (density / phi_of_score(w, x)) @ nabla(product)(w, x)


# A special function: the gamma distribution, by its shape


def gamma_log_likelihood(shape: Number, x: Values) -> Number:
    """ll = Σ_i (α − 1) log x − x − log Γ(α)"""
    return jnp.sum((shape - 1) * jnp.log(x) - x - gammaln(shape))


def log_gamma(shape: Number) -> Number:
    """log Γ(α)"""
    return gammaln(shape)


def gamma_1(shape: Number, x: Values, nabla: Nabla) -> Number:
    """Σ_i (log x − d log Γ(α)/dα)"""
    return jnp.sum(jnp.log(x) - nabla(log_gamma)(shape))


def gamma_2(shape: Number, x: Values, nabla: Nabla) -> Number:
    """Σ_i log x − n ψ(α)"""
    return jnp.sum(jnp.log(x)) - len(x) * digamma(shape)


def gamma_3(shape: Number, x: Values, nabla: Nabla) -> Number:
    """Σ_i log x − n (ψ(α + 1) − 1/α)"""
    return jnp.sum(jnp.log(x)) - len(x) * (digamma(shape + 1) - 1 / shape)


GAMMA = Derivation(
    "∂/∂α of the gamma distribution's ll",
    of=gamma_log_likelihood,
    wrt="shape",
    domain=(positives(), positives("n")),
    lines=[gamma_1, gamma_2, gamma_3],
)


def counted_psi_once(shape: Number, x: Values, nabla: Nabla) -> Number:
    """Σ_i log x − ψ(α): the same for n = 1"""
    return jnp.sum(jnp.log(x)) - digamma(shape)


BROKEN = [
    planted(BITS, "bits_2", took_bits_for_signs),
    planted(ENTROPY, "entropy_3", lost_the_second_logarithm),
    planted(FOCAL, "focal_1", lost_a_probability),
    planted(PROBIT, "probit_2", lost_the_half),
    planted(GAMMA, "gamma_2", counted_psi_once),
]
