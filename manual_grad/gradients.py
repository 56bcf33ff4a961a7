"""The gradients of the notes in closed form, for a whole batch: what training calls.

They equal lines 3c of `manual_grad.notes`, written so that no digits are lost: y σ(−yz) for I(y=1) − σ(z), and σ(a) σ(−a)
for h(1−h). Arguments of all four: weights w11 (d,), w12 (d,), w21 (2,); x (n, d), finite, one example a row; y (n,), every
label −1 or +1. All raise TypeError where an argument is not an array of real numbers, and ValueError where shapes do not
fit, there are no examples, a value is NaN or infinite, or a label is not ±1.
"""

from typing import NamedTuple

from jaxtyping import Float

from manual_grad._arrays import Array, namespace
from manual_grad.network import Weights, checked_arguments
from manual_grad.sigmoid import log_sigmoid, sigmoid, sigmoid_derivative


def grad_w11(w: Weights[Array], x: Float[Array, "n d"], y: Float[Array, " n"]) -> Float[Array, " d"]:
    """∇_{w11} ll = Σ_i y_i σ(−y_i z_i) w21[0] σ(a_i1) σ(−a_i1) x_i

    Returns:
        (d,), log-likelihood per unit of weight, summed over the examples and not averaged.

    Example:
        >>> w = Weights([0.0], [0.0], [4.0, -4.0])
        >>> grad_w11(w, [[1.0], [2.0]], [1, -1]).tolist()
        [-0.5]

    Source: equation (2) of the notes, its ∇ worked out.
    """
    return _grad_hidden_unit(0, *_checked_batch(w, x, y))


def grad_w12(w: Weights[Array], x: Float[Array, "n d"], y: Float[Array, " n"]) -> Float[Array, " d"]:
    """∇_{w12} ll = Σ_i y_i σ(−y_i z_i) w21[1] σ(a_i2) σ(−a_i2) x_i

    Returns:
        (d,), log-likelihood per unit of weight, summed over the examples and not averaged.

    Example:
        >>> w = Weights([0.0], [0.0], [4.0, -4.0])
        >>> grad_w12(w, [[1.0], [2.0]], [1, -1]).tolist()
        [0.5]

    Source: equation (2) of the notes for the second hidden unit, its ∇ worked out.
    """
    return _grad_hidden_unit(1, *_checked_batch(w, x, y))


def grad_w21(w: Weights[Array], x: Float[Array, "n d"], y: Float[Array, " n"]) -> Float[Array, "2"]:
    """∇_{w21} ll = Σ_i y_i σ(−y_i z_i) h_i

    Returns:
        (2,), log-likelihood per unit of weight, summed over the examples and not averaged.

    Example:
        >>> w = Weights([0.0], [0.0], [4.0, -4.0])
        >>> grad_w21(w, [[1.0]], [1]).tolist()
        [0.25, 0.25]

    Source: equation (2) of the notes, where ∇_{w21} w21ᵀh = h.
    """
    w, x, y = _checked_batch(w, x, y)
    unit = _forward(w, x, y)
    return unit.residual @ unit.h


def value_and_grad(
    w: Weights[Array], x: Float[Array, "n d"], y: Float[Array, " n"]
) -> tuple[Float[Array, ""], Weights[Array]]:
    """(ll, ∇ll), both from one pass forward

    Returns:
        ll, a scalar in nats, and its gradient by every weight, summed over the examples and not averaged.

    Example:
        >>> ll, gradient = value_and_grad(Weights([0.0], [0.0], [4.0, -4.0]), [[1.0]], [1])
        >>> gradient.w11.tolist(), gradient.w12.tolist(), gradient.w21.tolist()
        ([0.5], [-0.5], [0.25, 0.25])

    Source: equation (2) of the notes for each weight vector.
    """
    w, x, y = _checked_batch(w, x, y)
    unit = _forward(w, x, y)
    delta = unit.residual[:, None] * w.w21 * sigmoid_derivative(unit.a)
    by_unit = delta.mT @ x
    ll = namespace(unit.m).sum(log_sigmoid(unit.m))
    return ll, Weights(by_unit[0], by_unit[1], unit.residual @ unit.h)


def _checked_batch(w: Weights[Array], x: Array, y: Array) -> tuple[Weights[Array], Array, Array]:
    w, x, y = checked_arguments(w, x, y)
    if x.ndim != 2:
        raise ValueError(f"x has shape {x.shape}: it must be (n, d), one example a row; wrap a single example as [x]")
    return w, x, y


class _Forward(NamedTuple):
    a: Float[Array, "n 2"]
    h: Float[Array, "n 2"]
    m: Float[Array, " n"]
    residual: Float[Array, " n"]


def _forward(w: Weights[Array], x: Array, y: Array) -> _Forward:
    a = namespace(w, x).stack([x @ w.w11, x @ w.w12], axis=-1)
    h = sigmoid(a)
    m = y * (h @ w.w21)
    return _Forward(a, h, m, residual=y * sigmoid(-m))


def _grad_hidden_unit(j: int, w: Weights[Array], x: Array, y: Array) -> Array:
    unit = _forward(w, x, y)
    return (unit.residual * w.w21[j] * sigmoid_derivative(unit.a[:, j])) @ x
