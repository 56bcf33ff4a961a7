"""A net of three layers, by the matrix of the first: the chain rule taken twice more than in the notes.

a1 = w1 x   h1 = σ(a1)
a2 = w2 h1  h2 = tanh(a2)
z  = w3ᵀh2  ll = Σ_i log σ(y z)

Rows of x are examples, labels y are −1 or +1. The rows of the matrices are units.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from manual_grad import Derivation, contract, indicator, log_sigmoid, reals, sigmoid, signs
from tests.derivations._planted import planted

Examples = Float[Array, "n d"]
Labels = Float[Array, " n"]
Matrix = Float[Array, "p d"]
Nabla = Any


class Layers(NamedTuple):
    """The weights of the three layers."""

    w1: Any
    """(p, d)"""
    w2: Any
    """(q, p)"""
    w3: Any
    """(q,)"""


def a1(w: Layers, x: Examples) -> Float[Array, "n p"]:
    """a1 = w1 x"""
    return x @ w.w1.T


def h1(w: Layers, x: Examples) -> Float[Array, "n p"]:
    """h1 = σ(a1)"""
    return sigmoid(a1(w, x))


def a2(w: Layers, x: Examples) -> Float[Array, "n q"]:
    """a2 = w2 h1"""
    return h1(w, x) @ w.w2.T


def h2(w: Layers, x: Examples) -> Float[Array, "n q"]:
    """h2 = tanh(a2)"""
    return jnp.tanh(a2(w, x))


def z(w: Layers, x: Examples) -> Float[Array, " n"]:
    """z = w3ᵀh2"""
    return h2(w, x) @ w.w3


def log_likelihood(w: Layers, x: Examples, y: Labels) -> Float[Array, ""]:
    """ll = Σ_i log σ(y z)"""
    return jnp.sum(log_sigmoid(y * z(w, x)))


def r(w: Layers, x: Examples, y: Labels) -> Float[Array, " n"]:
    """r = I(y=1) − σ(z)"""
    return indicator(y) - sigmoid(z(w, x))


def line_1(w: Layers, x: Examples, y: Labels, nabla: Nabla) -> Matrix:
    """Σ_i r ∇z,  r = I(y=1) − σ(z)"""
    return contract(r(w, x, y), nabla(z)(w, x))


def line_2(w: Layers, x: Examples, y: Labels, nabla: Nabla) -> Matrix:
    """Σ r w3 ∇h2"""
    return contract(r(w, x, y)[:, None] * w.w3, nabla(h2)(w, x))


def delta2(w: Layers, x: Examples, y: Labels) -> Float[Array, "n q"]:
    """δ2 = r w3 (1 − h2²)"""
    return r(w, x, y)[:, None] * w.w3 * (1 - h2(w, x) ** 2)


def line_3(w: Layers, x: Examples, y: Labels, nabla: Nabla) -> Matrix:
    """Σ δ2 ∇a2,  δ2 = r w3 (1 − h2²)"""
    return contract(delta2(w, x, y), nabla(a2)(w, x))


def line_4(w: Layers, x: Examples, y: Labels, nabla: Nabla) -> Matrix:
    """Σ w2ᵀδ2 ∇h1"""
    return contract(delta2(w, x, y) @ w.w2, nabla(h1)(w, x))


def delta1(w: Layers, x: Examples, y: Labels) -> Float[Array, "n p"]:
    """δ1 = w2ᵀδ2 h1 (1 − h1)"""
    return delta2(w, x, y) @ w.w2 * h1(w, x) * (1 - h1(w, x))


def line_5(w: Layers, x: Examples, y: Labels, nabla: Nabla) -> Matrix:
    """Σ δ1 ∇a1,  δ1 = w2ᵀδ2 h1 (1 − h1)"""
    return contract(delta1(w, x, y), nabla(a1)(w, x))


def line_6(w: Layers, x: Examples, y: Labels, nabla: Nabla) -> Matrix:
    """Σ_i δ1 xᵀ"""
    return delta1(w, x, y).T @ x


THREE_LAYERS = Derivation(
    "∇_{w1} ll of three layers",
    of=log_likelihood,
    wrt="w1",
    domain=(Layers(reals("p", "d"), reals("q", "p"), reals("q")), reals("n", "d"), signs("n")),
    lines=[line_1, line_2, line_3, line_4, line_5, line_6],
)


# Broken on purpose


def took_tanh_for_sigmoid(w: Layers, x: Examples, y: Labels, nabla: Nabla) -> Matrix:
    """Σ r w3 h2 (1 − h2) ∇a2"""
    h = h2(w, x)
    return contract(r(w, x, y)[:, None] * w.w3 * h * (1 - h), nabla(a2)(w, x))


def forgot_the_square(w: Layers, x: Examples, y: Labels, nabla: Nabla) -> Matrix:
    """Σ r w3 (1 − h2) ∇a2"""
    return contract(r(w, x, y)[:, None] * w.w3 * (1 - h2(w, x)), nabla(a2)(w, x))


def forgot_the_label(w: Layers, x: Examples, y: Labels, nabla: Nabla) -> Matrix:
    """Σ_i (1 − σ(z)) ∇z"""
    return contract(1 - sigmoid(z(w, x)), nabla(z)(w, x))


def averaged_the_slopes(w: Layers, x: Examples, y: Labels, nabla: Nabla) -> Matrix:
    """Σ w2ᵀδ2 mean(h1 (1 − h1)) ∇a1: one slope for all units"""
    slope = h1(w, x) * (1 - h1(w, x))
    return contract(delta2(w, x, y) @ w.w2 * jnp.mean(slope, axis=1, keepdims=True), nabla(a1)(w, x))


def used_the_last_example_only(w: Layers, x: Examples, y: Labels, nabla: Nabla) -> Matrix:
    """δ1 xᵀ of the last example"""
    return jnp.outer(delta1(w, x, y)[-1], x[-1])


BROKEN = [
    planted(THREE_LAYERS, "line_1", forgot_the_label),
    planted(THREE_LAYERS, "line_3", took_tanh_for_sigmoid),
    planted(THREE_LAYERS, "line_3", forgot_the_square),
    planted(THREE_LAYERS, "line_5", averaged_the_slopes),
    planted(THREE_LAYERS, "line_6", used_the_last_example_only),
]
