"""The hinge loss of a support vector machine, by w: a kink at margin 1.

    L = Σ_i max(0, 1 − y_i z_i)        z = wᵀx        ∇L = −Σ_i I(y_i z_i < 1) y_i x_i

Where y z = 1 there is no gradient. Every number between the one-sided derivatives, −y x and 0, is a subgradient. This file
returns 0 there, the derivative from the side on which the margin is met; then an example on the margin stays where it is.
`line_1` is JAX's ∇ of the loss, which takes the same side of `where(m < 1, …, 0)`.

Source: Cortes and Vapnik, "Support-Vector Networks", 1995; Shalev-Shwartz et al., "Pegasos", 2007, has the same I(yz < 1).
"""

from jaxtyping import Float

from manual_grad._arrays import Array, namespace
from manual_grad.derivation import Derivation
from manual_grad.domains import reals, signs
from manual_grad.extensions.net import Nabla

Vector = Float[Array, " d"]
Examples = Float[Array, "n d"]
Labels = Float[Array, " n"]


def margin(w: Vector, x: Examples, y: Labels) -> Labels:
    """m = y wᵀx"""
    return y * (x @ w)


def hinges(w: Vector, x: Examples, y: Labels) -> Labels:
    """max(0, 1 − m)"""
    m = margin(w, x, y)
    return namespace(m).where(m < 1, 1 - m, 0)


def loss(w: Vector, x: Examples, y: Labels) -> Float[Array, ""]:
    """L = Σ_i max(0, 1 − m)"""
    return namespace(w, x).sum(hinges(w, x, y))


def line_1(w: Vector, x: Examples, y: Labels, nabla: Nabla) -> Vector:
    """Σ_i ∇ max(0, 1 − m)"""
    return namespace(w, x).sum(nabla(hinges)(w, x, y), axis=0)


def line_2(w: Vector, x: Examples, y: Labels, nabla: Nabla) -> Vector:
    """−Σ_i I(m < 1) ∇m"""
    m = margin(w, x, y)
    return -namespace(m).where(m < 1, 1.0, 0.0) @ nabla(margin)(w, x, y)


def grad(w: Vector, x: Examples, y: Labels) -> Vector:
    """−Σ_i I(m < 1) y x"""
    return -namespace(w, x).where(margin(w, x, y) < 1, y, 0) @ x


HINGE = Derivation(
    "∇_w Σ max(0, 1 − yz)",
    of=loss,
    wrt="w",
    domain=(reals("d"), reals("n", "d"), signs("n")),
    lines=[line_1, line_2, grad],
)
