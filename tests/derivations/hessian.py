"""Hessians: what is differentiated is a gradient, and takes ∇ itself.

Logistic regression's whole Hessian, and two blocks of the notes' net: ∂²ll/∂w21∂w21ᵀ, and ∂²ll/∂w21∂w11ᵀ, in which the
score and the hidden units both move.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from manual_grad import Derivation, Weights, hidden, indicator, log_likelihood, reals, score, sigmoid, signs
from tests.derivations import weight_decay
from tests.derivations._planted import planted

Vector = Float[Array, " d"]
Examples = Float[Array, "n d"]
Labels = Float[Array, " n"]
Nabla = Any


# Logistic regression: z = wᵀx


def logistic_gradient(w: Vector, x: Examples, y: Labels, nabla: Nabla) -> Vector:
    """∇ll"""
    return nabla(weight_decay.log_likelihood)(w, x, y)


def logistic_residual(w: Vector, x: Examples, y: Labels) -> Float[Array, " n"]:
    """r = I(y=1) − σ(wᵀx)"""
    return indicator(y) - sigmoid(x @ w)


def logistic_probability(w: Vector, x: Examples) -> Float[Array, " n"]:
    """σ(z)"""
    return sigmoid(x @ w)


def line_1(w: Vector, x: Examples, y: Labels, nabla: Nabla) -> Float[Array, "d d"]:
    """Σ x ∇(I(y=1) − σ(z))ᵀ"""
    return x.T @ nabla(logistic_residual)(w, x, y)


def line_2(w: Vector, x: Examples, y: Labels, nabla: Nabla) -> Float[Array, "d d"]:
    """−Σ x ∇σ(z)ᵀ"""
    return -x.T @ nabla(logistic_probability)(w, x)


def line_3(w: Vector, x: Examples, y: Labels, nabla: Nabla) -> Float[Array, "d d"]:
    """−Σ σ(z)(1 − σ(z)) x ∇zᵀ"""
    s = logistic_probability(w, x)
    return -(x.T * (s * (1 - s))) @ nabla(weight_decay.score)(w, x)


def line_4(w: Vector, x: Examples, y: Labels, nabla: Nabla) -> Float[Array, "d d"]:
    """−Σ σ(z)(1 − σ(z)) x xᵀ"""
    s = logistic_probability(w, x)
    return -jnp.einsum("i,ij,ik->jk", s * (1 - s), x, x)


LOGISTIC = Derivation(
    "∂²ll/∂w∂wᵀ of logistic regression",
    of=logistic_gradient,
    wrt="w",
    domain=(reals("d"), reals("n", "d"), signs("n")),
    lines=[line_1, line_2, line_3, line_4],
)


# The notes' net

NotesWeights = Weights[Any]
DOMAIN = (Weights(reals("d"), reals("d"), reals(2)), reals("n", "d"), signs("n"))


def gradient_w21(w: NotesWeights, x: Examples, y: Labels, nabla: Nabla) -> Float[Array, "2"]:
    """∇_{w21} ll"""
    return nabla(log_likelihood, wrt="w21")(w, x, y)


def net_residual(w: NotesWeights, x: Examples, y: Labels) -> Float[Array, " n"]:
    """r = I(y=1) − σ(z)"""
    return indicator(y) - sigmoid(score(w, x))


def net_sigmoid(w: NotesWeights, x: Examples) -> Float[Array, " n"]:
    """σ(z)"""
    return sigmoid(score(w, x))


def block_1(w: NotesWeights, x: Examples, y: Labels, nabla: Nabla) -> Float[Array, "2 2"]:
    """Σ h ∇rᵀ,  r = I(y=1) − σ(z)"""
    return hidden(w, x).T @ nabla(net_residual)(w, x, y)


def block_2(w: NotesWeights, x: Examples, y: Labels, nabla: Nabla) -> Float[Array, "2 2"]:
    """−Σ h ∇σ(z)ᵀ"""
    return -hidden(w, x).T @ nabla(net_sigmoid)(w, x)


def slope(w: NotesWeights, x: Examples) -> Float[Array, " n"]:
    """s = σ(z)(1 − σ(z))"""
    return net_sigmoid(w, x) * (1 - net_sigmoid(w, x))


def block_3(w: NotesWeights, x: Examples, y: Labels, nabla: Nabla) -> Float[Array, "2 2"]:
    """−Σ s h ∇zᵀ,  s = σ(z)(1 − σ(z))"""
    return -(hidden(w, x).T * slope(w, x)) @ nabla(score)(w, x)


def block_4(w: NotesWeights, x: Examples, y: Labels, nabla: Nabla) -> Float[Array, "2 2"]:
    """−Σ s h hᵀ"""
    h = hidden(w, x)
    return -(h.T * slope(w, x)) @ h


W21_W21 = Derivation("∂²ll/∂w21∂w21ᵀ", of=gradient_w21, wrt="w21", domain=DOMAIN, lines=[block_1, block_2, block_3, block_4])


def weighted_hidden(w: NotesWeights, x: Examples, y: Labels) -> Float[Array, "n 2"]:
    """r h"""
    return net_residual(w, x, y)[:, None] * hidden(w, x)


def cross_1(w: NotesWeights, x: Examples, y: Labels, nabla: Nabla) -> Float[Array, "2 d"]:
    """Σ ∇(r h)ᵀ"""
    return jnp.sum(nabla(weighted_hidden)(w, x, y), axis=0)


def cross_2(w: NotesWeights, x: Examples, y: Labels, nabla: Nabla) -> Float[Array, "2 d"]:
    """Σ h ∇rᵀ + Σ r ∇hᵀ"""
    moved_score = hidden(w, x).T @ nabla(net_residual)(w, x, y)
    return moved_score + jnp.tensordot(net_residual(w, x, y), nabla(hidden)(w, x), axes=1)


def cross_3(w: NotesWeights, x: Examples, y: Labels, nabla: Nabla) -> Float[Array, "2 d"]:
    """−Σ s h ∇zᵀ + Σ r ∇hᵀ"""
    moved_score = -(hidden(w, x).T * slope(w, x)) @ nabla(score)(w, x)
    return moved_score + jnp.tensordot(net_residual(w, x, y), nabla(hidden)(w, x), axes=1)


FIRST = np.array([1.0, 0.0])


def cross_4(w: NotesWeights, x: Examples, y: Labels, nabla: Nabla) -> Float[Array, "2 d"]:
    """Σ (r e1 − s w21[0] h) ∇h1ᵀ,  e1 = [1, 0]ᵀ"""
    r, s, h = net_residual(w, x, y), slope(w, x), hidden(w, x)
    return (r[:, None] * FIRST - s[:, None] * w.w21[0] * h).T @ nabla(hidden)(w, x)[:, 0]


def cross_5(w: NotesWeights, x: Examples, y: Labels, nabla: Nabla) -> Float[Array, "2 d"]:
    """Σ (r e1 − s w21[0] h) h1 (1 − h1) xᵀ"""
    r, s, h = net_residual(w, x, y), slope(w, x), hidden(w, x)
    h1 = h[:, :1]
    return ((r[:, None] * FIRST - s[:, None] * w.w21[0] * h) * h1 * (1 - h1)).T @ x


W21_W11 = Derivation(
    "∂²ll/∂w21∂w11ᵀ", of=gradient_w21, wrt="w11", domain=DOMAIN, lines=[cross_1, cross_2, cross_3, cross_4, cross_5]
)


# Broken on purpose


def lost_the_minus(w: Vector, x: Examples, y: Labels, nabla: Nabla) -> Float[Array, "d d"]:
    """Σ x ∇σ(z)ᵀ"""
    return x.T @ nabla(logistic_probability)(w, x)


def squared_the_sigmoid(w: Vector, x: Examples, y: Labels, nabla: Nabla) -> Float[Array, "d d"]:
    """−Σ σ(z)² x ∇zᵀ"""
    s = logistic_probability(w, x)
    return -(x.T * (s * s)) @ nabla(weight_decay.score)(w, x)


def kept_the_diagonal(w: Vector, x: Examples, y: Labels, nabla: Nabla) -> Float[Array, "d d"]:
    """−Σ σ(z)(1 − σ(z)) diag(x²): the same for d = 1"""
    s = logistic_probability(w, x)
    return -jnp.diag((s * (1 - s)) @ x**2)


def let_the_residual_stand(w: NotesWeights, x: Examples, y: Labels, nabla: Nabla) -> Float[Array, "2 2"]:
    """−Σ r h ∇zᵀ"""
    return -(hidden(w, x).T * net_residual(w, x, y)) @ nabla(score)(w, x)


def forgot_the_product_rule(w: NotesWeights, x: Examples, y: Labels, nabla: Nabla) -> Float[Array, "2 d"]:
    """Σ h ∇rᵀ"""
    return hidden(w, x).T @ nabla(net_residual)(w, x, y)


def took_the_other_unit(w: NotesWeights, x: Examples, y: Labels, nabla: Nabla) -> Float[Array, "2 d"]:
    """Σ (r e1 − s w21[1] h) ∇h1ᵀ"""
    r, s, h = net_residual(w, x, y), slope(w, x), hidden(w, x)
    return (r[:, None] * FIRST - s[:, None] * w.w21[1] * h).T @ nabla(hidden)(w, x)[:, 0]


def let_each_unit_keep_its_slope(w: NotesWeights, x: Examples, y: Labels, nabla: Nabla) -> Float[Array, "2 d"]:
    """Σ (r e1 − s w21[0] h) h (1 − h) xᵀ"""
    r, s, h = net_residual(w, x, y), slope(w, x), hidden(w, x)
    return ((r[:, None] * FIRST - s[:, None] * w.w21[0] * h) * h * (1 - h)).T @ x


BROKEN = [
    planted(LOGISTIC, "line_2", lost_the_minus),
    planted(LOGISTIC, "line_3", squared_the_sigmoid),
    planted(LOGISTIC, "line_4", kept_the_diagonal),
    planted(W21_W21, "block_3", let_the_residual_stand),
    planted(W21_W11, "cross_2", forgot_the_product_rule),
    planted(W21_W11, "cross_4", took_the_other_unit),
    planted(W21_W11, "cross_5", let_each_unit_keep_its_slope),
]
