"""Short derivations that use the domains, conditions and pytrees the longer ones do not."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import digamma, erf, gammaln
from jaxtyping import Array, Float

from manual_grad import (
    Derivation,
    bits,
    constants,
    contract,
    holds_when,
    intervals,
    log_sigmoid,
    positives,
    reals,
    sigmoid,
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


# A constant of the model: Huber's loss, quadratic up to δ = 1


def huber(r: Values, delta: Number) -> Number:
    """Σ_i ½ r² for |r| ≤ δ, δ (|r| − ½ δ) beyond"""
    return jnp.sum(jnp.where(jnp.abs(r) <= delta, 0.5 * r**2, delta * (jnp.abs(r) - 0.5 * delta)))


def absolute(r: Values) -> Values:
    """|r|"""
    return jnp.abs(r)


def huber_1(r: Values, delta: Number, nabla: Nabla) -> Values:
    """r for |r| ≤ δ, δ ∇|r| beyond"""
    return jnp.where(jnp.abs(r) <= delta, r, delta * jnp.diagonal(nabla(absolute)(r)))


def huber_2(r: Values, delta: Number, nabla: Nabla) -> Values:
    """r for |r| ≤ δ, δ sign(r) beyond"""
    return jnp.where(jnp.abs(r) <= delta, r, delta * jnp.sign(r))


def huber_3(r: Values, delta: Number, nabla: Nabla) -> Values:
    """min(max(r, −δ), δ)"""
    return jnp.clip(r, -delta, delta)


HUBER = Derivation(
    "∇_r Σ huber(r)",
    of=huber,
    wrt="r",
    domain=(reals("n"), constants(1.0)),
    lines=[huber_1, huber_2, huber_3],
)


def lost_the_sign(r: Values, delta: Number, nabla: Nabla) -> Values:
    """r for |r| ≤ δ, δ beyond"""
    return jnp.where(jnp.abs(r) <= delta, r, delta)


# A condition on all arguments: the logarithm of a determinant, where that is positive


def determinant(a: Float[Array, "2 2"]) -> Number:
    """det A = a11 a22 − a12 a21"""
    return a[0, 0] * a[1, 1] - a[0, 1] * a[1, 0]


def log_determinant(a: Float[Array, "2 2"]) -> Number:
    """log det A"""
    return jnp.log(determinant(a))


def determinant_1(a: Float[Array, "2 2"], nabla: Nabla) -> Float[Array, "2 2"]:
    """1/det A ∇det A"""
    return nabla(determinant)(a) / determinant(a)


def determinant_2(a: Float[Array, "2 2"], nabla: Nabla) -> Float[Array, "2 2"]:
    """1/det A [a22 −a21; −a12 a11]"""
    return jnp.array([[a[1, 1], -a[1, 0]], [-a[0, 1], a[0, 0]]]) / determinant(a)


def determinant_3(a: Float[Array, "2 2"], nabla: Nabla) -> Float[Array, "2 2"]:
    """1/det A (A turned by 180°) with its signs"""
    return jnp.flip(a) * np.array([[1, -1], [-1, 1]]) / determinant(a)


LOG_DETERMINANT = Derivation(
    "∇_A log det A",
    of=log_determinant,
    wrt="a",
    domain=(reals(2, 2),),
    where=lambda a: determinant(a) > 0,
    lines=[determinant_1, determinant_2, determinant_3],
)


def forgot_to_transpose(a: Float[Array, "2 2"], nabla: Nabla) -> Float[Array, "2 2"]:
    """A⁻¹: the same for a symmetric A"""
    return jnp.array([[a[1, 1], -a[0, 1]], [-a[1, 0], a[0, 0]]]) / determinant(a)


# Lines that hold on a part of the domain


def cubed_size(x: Number) -> Number:
    """|x|³"""
    return jnp.abs(x) ** 3


def size(x: Number) -> Number:
    """|x|"""
    return jnp.abs(x)


def cubed_1(x: Number, nabla: Nabla) -> Number:
    """3|x|² d|x|/dx"""
    return 3 * jnp.abs(x) ** 2 * nabla(size)(x)


def cubed_2(x: Number, nabla: Nabla) -> Number:
    """3 x |x|"""
    return 3 * x * jnp.abs(x)


@holds_when(lambda x: x > 0)
def cubed_3(x: Number, nabla: Nabla) -> Number:
    """3 x², for x > 0"""
    return 3 * x**2


CUBED_SIZE = Derivation("d|x|³/dx", of=cubed_size, wrt="x", domain=(intervals(-4, 4),), lines=[cubed_1, cubed_2, cubed_3])


def claimed_for_every_x(x: Number, nabla: Nabla) -> Number:
    """3 x²: without its condition"""
    return 3 * x**2


# All parameters at once: a dict of them, and wrt=None

Parameters = dict[str, Any]


def fit(theta: Parameters, x: Examples) -> Values:
    """f = slopeᵀx + offset"""
    return x @ theta["slope"] + theta["offset"]


def half_squared_error(theta: Parameters, x: Examples, y: Values) -> Number:
    """L = ½ Σ_i (f − y)²"""
    return 0.5 * jnp.sum((fit(theta, x) - y) ** 2)


def squares(theta: Parameters, x: Examples, y: Values) -> Values:
    """(f − y)²"""
    return (fit(theta, x) - y) ** 2


def fit_1(theta: Parameters, x: Examples, y: Values, nabla: Nabla) -> Parameters:
    """½ Σ_i ∇(f − y)²"""
    return contract(jnp.full(len(x), 0.5), nabla(squares)(theta, x, y))


def fit_2(theta: Parameters, x: Examples, y: Values, nabla: Nabla) -> Parameters:
    """Σ_i (f − y) ∇f"""
    return contract(fit(theta, x) - y, nabla(fit)(theta, x))


def fit_3(theta: Parameters, x: Examples, y: Values, nabla: Nabla) -> Parameters:
    """slope: Σ_i (f − y) x,  offset: Σ_i (f − y)"""
    r = fit(theta, x) - y
    return {"slope": r @ x, "offset": jnp.sum(r)}


FIT = Derivation(
    "∇ ½ Σ (f − y)², all parameters",
    of=half_squared_error,
    wrt=None,
    domain=({"slope": reals("d"), "offset": reals()}, reals("n", "d"), reals("n")),
    lines=[fit_1, fit_2, fit_3],
)


def averaged_the_offset(theta: Parameters, x: Examples, y: Values, nabla: Nabla) -> Parameters:
    """slope: Σ_i (f − y) x,  offset: 1/n Σ_i (f − y)"""
    r = fit(theta, x) - y
    return {"slope": r @ x, "offset": jnp.mean(r)}


# The chain rule with a ∇ of its own for each factor: ∇_w L = Σ dL/dz ∇_w z


def softplus(z: Values) -> Values:
    """log(1 + eᶻ)"""
    return jax.nn.softplus(z)


def total_softplus(w: Vector, x: Examples) -> Number:
    """L = Σ_i log(1 + eᶻ),  z = wᵀx"""
    return jnp.sum(softplus(x @ w))


def total(z: Values) -> Number:
    """Σ_i log(1 + eᶻ)"""
    return jnp.sum(softplus(z))


def chain_1(w: Vector, x: Examples, nabla: Nabla) -> Vector:
    """Σ_i dL/dz ∇_w z"""
    return nabla(total, wrt="z")(x @ w) @ nabla(linear)(w, x)


def chain_2(w: Vector, x: Examples, nabla: Nabla) -> Vector:
    """Σ_i eᶻ/(1 + eᶻ) ∇_w z"""
    e = jnp.exp(x @ w)
    return (e / (1 + e)) @ nabla(linear)(w, x)


def chain_3(w: Vector, x: Examples, nabla: Nabla) -> Vector:
    """Σ_i ½ (1 + tanh(z/2)) x"""
    return (0.5 * (1 + jnp.tanh(x @ w / 2))) @ x


CHAIN_RULE = Derivation(
    "∇_w Σ log(1 + eᶻ)",
    of=total_softplus,
    wrt="w",
    domain=(reals("d"), reals("n", "d")),
    lines=[chain_1, chain_2, chain_3],
)


def doubled_the_tanh(w: Vector, x: Examples, nabla: Nabla) -> Vector:
    """Σ_i ½ (1 + tanh z) x"""
    return (0.5 * (1 + jnp.tanh(x @ w))) @ x


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
    planted(PROBIT, "probit_2", lost_the_half),
    planted(HUBER, "huber_2", lost_the_sign),
    planted(LOG_DETERMINANT, "determinant_2", forgot_to_transpose),
    planted(CUBED_SIZE, "cubed_3", claimed_for_every_x),
    planted(FIT, "fit_3", averaged_the_offset),
    planted(CHAIN_RULE, "chain_3", doubled_the_tanh),
    planted(GAMMA, "gamma_2", counted_psi_once),
]
