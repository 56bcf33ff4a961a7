"""A hidden layer with kinks, fitted by least squares, by the matrix of that layer.

    a = w1 x   h = max(a, 0)   z = w2ᵀh   L = ½ Σ_i (z − t)²

At a = 0 there is no derivative: both sides choose one, and neither choice is a mistake.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from manual_grad import Derivation, contract, reals
from tests.derivations._planted import planted

Examples = Float[Array, "n d"]
Targets = Float[Array, " n"]
Matrix = Float[Array, "u d"]
Nabla = Any


class Layers(NamedTuple):
    """The weights of both layers."""

    w1: Any
    """(u, d)"""
    w2: Any
    """(u,)"""


def a(w: Layers, x: Examples) -> Float[Array, "n u"]:
    """a = w1 x"""
    return x @ w.w1.T


def h(w: Layers, x: Examples) -> Float[Array, "n u"]:
    """h = max(a, 0)"""
    return jnp.maximum(a(w, x), 0)


def z(w: Layers, x: Examples) -> Float[Array, " n"]:
    """z = w2ᵀh"""
    return h(w, x) @ w.w2


def squared_error(w: Layers, x: Examples, t: Targets) -> Float[Array, ""]:
    """L = ½ Σ_i (z − t)²"""
    return 0.5 * jnp.sum((jax.nn.relu(x @ w.w1.T) @ w.w2 - t) ** 2)


def line_1(w: Layers, x: Examples, t: Targets, nabla: Nabla) -> Matrix:
    """Σ_i (z − t) ∇z"""
    return contract(z(w, x) - t, nabla(z)(w, x))


def line_2(w: Layers, x: Examples, t: Targets, nabla: Nabla) -> Matrix:
    """Σ (z − t) w2 ∇h"""
    return contract((z(w, x) - t)[:, None] * w.w2, nabla(h)(w, x))


def line_3(w: Layers, x: Examples, t: Targets, nabla: Nabla) -> Matrix:
    """Σ (z − t) w2 I(a>0) ∇a"""
    return contract((z(w, x) - t)[:, None] * w.w2 * jnp.where(a(w, x) > 0, 1, 0), nabla(a)(w, x))


def line_4(w: Layers, x: Examples, t: Targets, nabla: Nabla) -> Matrix:
    """Σ_i (z − t) w2 I(a>0) xᵀ"""
    return ((z(w, x) - t)[:, None] * w.w2 * jnp.where(a(w, x) > 0, 1, 0)).T @ x


RELU = Derivation(
    "∇_{w1} ½ Σ (z − t)² of a ReLU net",
    of=squared_error,
    wrt="w1",
    domain=(Layers(reals("u", "d"), reals("u")), reals("n", "d"), reals("n")),
    lines=[line_1, line_2, line_3, line_4],
)


# Broken on purpose


def kept_the_two(w: Layers, x: Examples, t: Targets, nabla: Nabla) -> Matrix:
    """Σ_i 2 (z − t) ∇z"""
    return contract(2 * (z(w, x) - t), nabla(z)(w, x))


def turned_the_kink_round(w: Layers, x: Examples, t: Targets, nabla: Nabla) -> Matrix:
    """Σ (z − t) w2 I(a<0) ∇a"""
    return contract((z(w, x) - t)[:, None] * w.w2 * jnp.where(a(w, x) < 0, 1, 0), nabla(a)(w, x))


def forgot_the_kink(w: Layers, x: Examples, t: Targets, nabla: Nabla) -> Matrix:
    """Σ_i (z − t) w2 xᵀ: the same where every a > 0"""
    return ((z(w, x) - t)[:, None] * w.w2).T @ x


def let_a_leak_through(w: Layers, x: Examples, t: Targets, nabla: Nabla) -> Matrix:
    """Σ_i (z − t) w2 (I(a>0) + 0.01 I(a<0)) xᵀ"""
    return ((z(w, x) - t)[:, None] * w.w2 * jnp.where(a(w, x) > 0, 1, 0.01)).T @ x


BROKEN = [
    planted(RELU, "line_1", kept_the_two),
    planted(RELU, "line_3", turned_the_kink_round),
    planted(RELU, "line_4", forgot_the_kink),
    planted(RELU, "line_4", let_a_leak_through),
]
