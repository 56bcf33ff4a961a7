"""Short derivations that use the domains, conditions and pytrees the longer ones do not."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from manual_grad import (
    Derivation,
    constants,
    contract,
    holds_when,
    intervals,
    reals,
)
from tests.derivations._planted import planted

Number = Float[Array, ""]
Vector = Float[Array, " d"]
Examples = Float[Array, "n d"]
Values = Float[Array, " n"]
Nabla = Any


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


def linear(w: Vector, x: Examples) -> Values:
    """z = wᵀx"""
    return x @ w


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


BROKEN = [
    planted(HUBER, "huber_2", lost_the_sign),
    planted(LOG_DETERMINANT, "determinant_2", forgot_to_transpose),
    planted(CUBED_SIZE, "cubed_3", claimed_for_every_x),
    planted(FIT, "fit_3", averaged_the_offset),
    planted(CHAIN_RULE, "chain_3", doubled_the_tanh),
]
