"""Poisson regression: counts y_i with mean e^{η_i}, η = X w + o, where o is the log of the exposure.

    ll = Σ_i y η − e^η − log y!        ∇_w ll = Xᵀ (y − e^η)

log y! has no w in it, and is left out of `of`.

Source: McCullagh and Nelder, "Generalized Linear Models", 1989: with the canonical link, the residual is y minus the mean.
"""

from jaxtyping import Float

from manual_grad._arrays import Array, namespace
from manual_grad.derivation import Derivation
from manual_grad.domains import integers, reals
from manual_grad.extensions.net import Nabla

Vector = Float[Array, " d"]
Examples = Float[Array, "n d"]
Counts = Float[Array, " n"]


def linear(w: Vector, x: Examples, offset: Counts) -> Counts:
    """η = X w + o"""
    return x @ w + offset


def mean(w: Vector, x: Examples, offset: Counts) -> Counts:
    """λ = e^η"""
    return namespace(w, x).exp(linear(w, x, offset))


def log_likelihood(w: Vector, x: Examples, offset: Counts, y: Counts) -> Float[Array, ""]:
    """ll = Σ_i y η − e^η"""
    return namespace(w, x).sum(y * linear(w, x, offset) - mean(w, x, offset))


def line_1(w: Vector, x: Examples, offset: Counts, y: Counts, nabla: Nabla) -> Vector:
    """Σ_i (y/λ − 1) ∇λ"""
    return (y / mean(w, x, offset) - 1) @ nabla(mean)(w, x, offset)


def line_2(w: Vector, x: Examples, offset: Counts, y: Counts, nabla: Nabla) -> Vector:
    """Σ_i (y − λ) ∇η, since ∇λ = λ ∇η"""
    return (y - mean(w, x, offset)) @ nabla(linear)(w, x, offset)


def grad(w: Vector, x: Examples, offset: Counts, y: Counts) -> Vector:
    """Xᵀ (y − e^η)"""
    return x.mT @ (y - mean(w, x, offset))


POISSON = Derivation(
    "∇_w ll of Poisson regression",
    of=log_likelihood,
    wrt="w",
    domain=(reals("d"), reals("n", "d"), reals("n"), integers(0, 20, "n")),
    lines=[line_1, line_2, grad],
)
