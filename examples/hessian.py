"""A Hessian by hand: what is differentiated is a gradient, so it takes ∇ as the lines do.

Try it:  manual-grad verify examples/hessian.py
"""

import jax.numpy as jnp
from jax.nn import log_sigmoid, sigmoid

from manual_grad import Derivation, reals, signs


def log_likelihood(w, x, y):
    """ll = Σ_i log σ(y_i wᵀx_i)"""
    return jnp.sum(log_sigmoid(y * (x @ w)))


def gradient(w, x, y, nabla):
    """∇ll"""
    return nabla(log_likelihood)(w, x, y)


def score(w, x):
    """z_i = wᵀx_i"""
    return x @ w


def residual(w, x, y):
    """r_i = I(y_i=1) − σ(z_i)"""
    return (y == 1) - sigmoid(score(w, x))


def line_1(w, x, y, nabla):
    """Σ x ∇rᵀ, since ∇ll = Σ r x"""
    return x.T @ nabla(residual)(w, x, y)


def line_2(w, x, y, nabla):
    """−Σ σ(z)(1 − σ(z)) x ∇zᵀ"""
    s = sigmoid(score(w, x))
    return -(x.T * (s * (1 - s))) @ nabla(score)(w, x)


def line_3(w, x, y, nabla):
    """−Σ σ(z)(1 − σ(z)) x xᵀ"""
    s = sigmoid(score(w, x))
    return -(x.T * (s * (1 - s))) @ x


HESSIAN = Derivation(
    "∂²ll/∂w∂wᵀ of logistic regression",
    of=gradient,
    wrt="w",
    domain=(reals("d"), reals("n", "d"), signs("n")),
    lines=[line_1, line_2, line_3],
)
