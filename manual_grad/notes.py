"""Bert Huang's "Notes on backprop slides" (March 2019), line by line.

Each line is a function of the weights, the examples, their labels and ∇: what the notes leave under a ∇ is left to the
`nabla` argument, the rest is by hand. It returns the gradient of the log-likelihood, summed over the examples, as that line
writes it. The formulas stand in the notes' textbook form; those of `manual_grad.gradients` keep their digits.

Arguments of every line for w11, w12 and w21:

    w       weights w11 (d,), w12 (d,), w21 (2,)
    x       (n, d), one example a row
    y       (n,), labels −1 or +1; shapes and values are checked as in `log_likelihood`, traced ones for shapes alone
    nabla   ∇: nabla(f)(w, x) is f's Jacobian by the weight vector in question, one row an example

Lines 0a to 2b are the same for all three weight vectors: the ∇ that is handed in says which one is meant (with `by_hand`,
w11). They return (d,) for w11 and w12, (2,) for w21, in log-likelihood per unit of weight.
"""

from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float

from manual_grad._arrays import Arguments, Array
from manual_grad.derivation import Derivation
from manual_grad.domains import reals, signs
from manual_grad.jacobians import by_hand
from manual_grad.network import (
    Weights,
    checked_arguments,
    hidden,
    indicator,
    log_likelihood,
    margin,
    preactivation,
    probability,
    residual,
    score,
)
from manual_grad.sigmoid import log_sigmoid, sigmoid

Nabla = Any
Vector = Float[Array, " d"]
Examples = Float[Array, "n d"]
Labels = Float[Array, " n"]


# ∇ ll, line by line: from the slides' expression to equation (2)


def line_0a(w: Weights[Array], x: Examples, y: Labels, nabla: Nabla = by_hand) -> Vector:
    r"""Σ 1/p(y|x) ∇p(y|x)

    :math:`\sum_i \frac{1}{p(y_i|x_i)}\, \nabla p(y_i|x_i)`
    """
    return (1 / probability(w, x, y)) @ nabla(probability)(w, x, y)


def sigmoid_of_margin(w: Weights[Array], x: Examples, y: Labels) -> Float[Array, " n"]:
    """σ(m)"""
    return sigmoid(margin(w, x, y))


def line_0b(w: Weights[Array], x: Examples, y: Labels, nabla: Nabla = by_hand) -> Vector:
    r"""Σ 1/σ(m) ∇σ(m),  m = y w21ᵀh

    :math:`\sum_i \frac{1}{\sigma(m_i)}\, \nabla \sigma(m_i)`
    """
    return (1 / sigmoid(margin(w, x, y))) @ nabla(sigmoid_of_margin)(w, x, y)


def line_1a(w: Weights[Array], x: Examples, y: Labels, nabla: Nabla = by_hand) -> Vector:
    r"""Σ σ(m)(1 − σ(m))/σ(m) ∇m

    :math:`\sum_i \frac{\sigma(m_i)(1 - \sigma(m_i))}{\sigma(m_i)}\, \nabla m_i`
    """
    s = sigmoid(margin(w, x, y))
    return (s * (1 - s) / s) @ nabla(margin)(w, x, y)


def line_1b(w: Weights[Array], x: Examples, y: Labels, nabla: Nabla = by_hand) -> Vector:
    r"""Σ (1 − σ(m)) ∇m

    :math:`\sum_i (1 - \sigma(m_i))\, \nabla m_i`
    """
    return (1 - sigmoid(margin(w, x, y))) @ nabla(margin)(w, x, y)


def line_1c(w: Weights[Array], x: Examples, y: Labels, nabla: Nabla = by_hand) -> Vector:
    r"""Σ (1 − σ(m)) y ∇ w21ᵀh

    :math:`\sum_i (1 - \sigma(m_i))\, y_i\, \nabla w_{21}^\top h_i \qquad (1)`

    Equation (1) of the notes, true for any real labels.

    Args:
        w: weights w11 (d,), w12 (d,), w21 (2,).
        x: examples, (n, d), one a row.
        y: labels −1 or +1, (n,).
        nabla: ∇, which says by which weights; by hand, and by w11, where it is left out.

    Returns:
        (d,), the gradient in log-likelihood per unit of weight, summed over the examples.

    Raises:
        ValueError: a label is neither −1 nor +1, or shapes do not fit.

    Example:
        >>> equation_1(Weights([0.0], [0.0], [4.0, -4.0]), [[1.0]], [1.0]).tolist()
        [0.5]

    Source: equation (1) of the notes.
    """
    w, x, y = checked_arguments(w, x, y)
    return ((1 - sigmoid(margin(w, x, y))) * y) @ nabla(score)(w, x)


def line_2b(w: Weights[Array], x: Examples, y: Labels, nabla: Nabla = by_hand) -> Vector:
    r"""Σ (I(y=1) − σ(w21ᵀh)) ∇ w21ᵀh

    :math:`\sum_i \left(I(y_i = 1) - \sigma(w_{21}^\top h_i)\right) \nabla w_{21}^\top h_i \qquad (2)`

    Equation (2) of the notes, true for labels −1 and +1 alone.

    Args:
        w: weights w11 (d,), w12 (d,), w21 (2,).
        x: examples, (n, d), one a row.
        y: labels −1 or +1, (n,).
        nabla: ∇, which says by which weights; by hand, and by w11, where it is left out.

    Returns:
        (d,), the gradient in log-likelihood per unit of weight, summed over the examples.

    Raises:
        ValueError: a label is neither −1 nor +1, or shapes do not fit.

    Example:
        >>> equation_2(Weights([0.0], [0.0], [4.0, -4.0]), [[1.0]], [1.0]).tolist()
        [0.5]

    Source: equation (2) of the notes.
    """
    w, x, y = checked_arguments(w, x, y)
    return (indicator(y) - sigmoid(score(w, x))) @ nabla(score)(w, x)


equation_1 = line_1c
equation_2 = line_2b


# The notes stop there. What is left under the ∇, for w11


def line_3a(w: Weights[Array], x: Examples, y: Labels, nabla: Nabla = by_hand) -> Vector:
    r"""Σ (I(y=1) − σ(z)) w21[0] ∇h1

    :math:`\sum_i (I(y_i = 1) - \sigma(z_i))\, w_{21}[0]\, \nabla h_{i1}`
    """
    w, x, y = checked_arguments(w, x, y)
    return ((indicator(y) - sigmoid(score(w, x))) * w.w21[0]) @ nabla(hidden)(w, x)[:, 0]


def line_3b(w: Weights[Array], x: Examples, y: Labels, nabla: Nabla = by_hand) -> Vector:
    r"""Σ (I(y=1) − σ(z)) w21[0] h1 (1 − h1) ∇ w11ᵀx

    :math:`\sum_i (I(y_i = 1) - \sigma(z_i))\, w_{21}[0]\, h_{i1}(1 - h_{i1})\, \nabla w_{11}^\top x_i`
    """
    w, x, y = checked_arguments(w, x, y)
    h1 = hidden(w, x)[:, 0]
    return ((indicator(y) - sigmoid(score(w, x))) * w.w21[0] * h1 * (1 - h1)) @ nabla(preactivation)(w, x)[:, 0]


def line_3c(w: Weights[Array], x: Examples, y: Labels, nabla: Nabla = by_hand) -> Vector:
    r"""Σ (I(y=1) − σ(z)) w21[0] h1 (1 − h1) x

    :math:`\sum_i (I(y_i = 1) - \sigma(z_i))\, w_{21}[0]\, h_{i1}(1 - h_{i1})\, x_i`
    """
    w, x, y = checked_arguments(w, x, y)
    h1 = hidden(w, x)[:, 0]
    return ((indicator(y) - sigmoid(score(w, x))) * w.w21[0] * h1 * (1 - h1)) @ x


# … for w12, the mirror image

by_hand_w12 = partial(by_hand, wrt="w12")


def line_3a_w12(w: Weights[Array], x: Examples, y: Labels, nabla: Nabla = by_hand_w12) -> Vector:
    r"""Σ (I(y=1) − σ(z)) w21[1] ∇h2

    :math:`\sum_i (I(y_i = 1) - \sigma(z_i))\, w_{21}[1]\, \nabla h_{i2}`
    """
    w, x, y = checked_arguments(w, x, y)
    return ((indicator(y) - sigmoid(score(w, x))) * w.w21[1]) @ nabla(hidden)(w, x)[:, 1]


def line_3b_w12(w: Weights[Array], x: Examples, y: Labels, nabla: Nabla = by_hand_w12) -> Vector:
    r"""Σ (I(y=1) − σ(z)) w21[1] h2 (1 − h2) ∇ w12ᵀx

    :math:`\sum_i (I(y_i = 1) - \sigma(z_i))\, w_{21}[1]\, h_{i2}(1 - h_{i2})\, \nabla w_{12}^\top x_i`
    """
    w, x, y = checked_arguments(w, x, y)
    h2 = hidden(w, x)[:, 1]
    return ((indicator(y) - sigmoid(score(w, x))) * w.w21[1] * h2 * (1 - h2)) @ nabla(preactivation)(w, x)[:, 1]


def line_3c_w12(w: Weights[Array], x: Examples, y: Labels, nabla: Nabla = by_hand_w12) -> Vector:
    r"""Σ (I(y=1) − σ(z)) w21[1] h2 (1 − h2) x

    :math:`\sum_i (I(y_i = 1) - \sigma(z_i))\, w_{21}[1]\, h_{i2}(1 - h_{i2})\, x_i`
    """
    w, x, y = checked_arguments(w, x, y)
    h2 = hidden(w, x)[:, 1]
    return ((indicator(y) - sigmoid(score(w, x))) * w.w21[1] * h2 * (1 - h2)) @ x


# … and for w21, of which w21ᵀh is linear


def line_3_w21(w: Weights[Array], x: Examples, y: Labels, nabla: Nabla = by_hand) -> Float[Array, "2"]:
    r"""Σ (I(y=1) − σ(z)) h

    :math:`\sum_i (I(y_i = 1) - \sigma(z_i))\, h_i`
    """
    w, x, y = checked_arguments(w, x, y)
    return (indicator(y) - sigmoid(score(w, x))) @ hidden(w, x)


# The notes' last claim, for one score z (a number) and one label y: d log σ(yz)/dz = I(y=1) − σ(z)

Number = Float[Array, ""]


def log_probability(z: Number, y: Number) -> Number:
    """log σ(yz)"""
    return log_sigmoid(y * z)


def sigmoid_of_yz(z: Number, y: Number) -> Number:
    """σ(yz)"""
    return sigmoid(y * z)


def product_yz(z: Number, y: Number) -> Number:
    """yz"""
    return y * z


def claim_a(z: Number, y: Number, nabla: Nabla = by_hand) -> Number:
    r"""1/σ(yz) d σ(yz)/dz

    :math:`\frac{1}{\sigma(yz)} \frac{d \sigma(yz)}{dz}`
    """
    return 1 / sigmoid(y * z) * nabla(sigmoid_of_yz)(z, y)


def claim_b(z: Number, y: Number, nabla: Nabla = by_hand) -> Number:
    r"""(1 − σ(yz)) d(yz)/dz

    :math:`(1 - \sigma(yz)) \frac{d(yz)}{dz}`
    """
    return (1 - sigmoid(y * z)) * nabla(product_yz)(z, y)


def claim_c(z: Number, y: Number, nabla: Nabla = by_hand) -> Number:
    r"""(1 − σ(yz)) y

    :math:`(1 - \sigma(yz))\, y`
    """
    return (1 - sigmoid(y * z)) * y


def claim_d(z: Number, y: Number, nabla: Nabla = by_hand) -> Number:
    r"""I(y=1) − σ(z)

    :math:`I(y = 1) - \sigma(z)`
    """
    return indicator(y) - sigmoid(z)


def claim_e(z: Number, y: Number, nabla: Nabla = by_hand) -> Number:
    r"""y σ(−yz), the form that keeps its digits

    :math:`y\, \sigma(-yz)`
    """
    return residual(z, y)


# Ways through the domain, for reports of accuracy: one example, x = [[1]]


def with_score(z: float) -> Arguments:
    """w11 = w12 = 0, so that h = ½, and w21 = (z, z): the score is z, without rounding."""
    return Weights(np.zeros(1), np.zeros(1), np.full(2, z)), np.ones((1, 1)), np.ones(1)


def with_preactivation(a: float) -> Arguments:
    """w11 = w12 = (a), so that both units have the pre-activation a, and w21 = (1, 1): the score stays in 0 … 2."""
    return Weights(np.full(1, a), np.full(1, a), np.ones(2)), np.ones((1, 1)), np.ones(1)


DOMAIN = (Weights(reals("d"), reals("d"), reals(2)), reals("n", "d"), signs("n"))
PATHS = {"z": with_score, "a": with_preactivation}
TO_EQUATION_2 = (line_0a, line_0b, line_1a, line_1b, line_1c, line_2b)

W11 = Derivation(
    "∇_{w11} ll",
    of=log_likelihood,
    wrt="w11",
    domain=DOMAIN,
    paths=PATHS,
    lines=[*TO_EQUATION_2, line_3a, line_3b, line_3c],
)
W12 = Derivation(
    "∇_{w12} ll",
    of=log_likelihood,
    wrt="w12",
    domain=DOMAIN,
    paths=PATHS,
    lines=[*TO_EQUATION_2, line_3a_w12, line_3b_w12, line_3c_w12],
)
W21 = Derivation(
    "∇_{w21} ll",
    of=log_likelihood,
    wrt="w21",
    domain=DOMAIN,
    paths=PATHS,
    lines=[*TO_EQUATION_2, line_3_w21],
)
RESIDUAL = Derivation(
    "d log σ(yz)/dz",
    of=log_probability,
    wrt="z",
    domain=(reals(), signs()),
    lines=[claim_a, claim_b, claim_c, claim_d, claim_e],
)
