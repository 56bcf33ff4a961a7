"""The Jacobians of the model's parts, derived by hand, and `by_hand`: the ∇ that looks them up.

All are Jacobians of one example each: row i holds the derivatives of the i-th output by the weights.
"""

from __future__ import annotations  # the shapes of inner functions are read, not evaluated on every call

from jaxtyping import Float

from manual_grad._arrays import Array, Function, floats, namespace
from manual_grad.derivation import label_of
from manual_grad.network import Weights, hidden, preactivation, score
from manual_grad.sigmoid import sigmoid_derivative


def _preactivation_by_unit(unit: int) -> Function:
    def jacobian(w: Weights[Array], x: Float[Array, "n d"]) -> Float[Array, "n 2 d"]:
        """∇_{w1j} a_ik = x_i where k = j, 0 elsewhere"""
        xp, x = floats(x)
        columns = [x, xp.zeros_like(x)] if unit == 0 else [xp.zeros_like(x), x]
        return xp.stack(columns, axis=-2)

    return jacobian


def _hidden_by_unit(unit: int) -> Function:
    def jacobian(w: Weights[Array], x: Float[Array, "n d"]) -> Float[Array, "n 2 d"]:
        """∇_{w1j} h_ik = σ'(a_ik) ∇_{w1j} a_ik"""
        slope = sigmoid_derivative(preactivation(w, x))
        return slope[..., None] * _preactivation_by_unit(unit)(w, x)

    return jacobian


def _score_by_unit(unit: int) -> Function:
    def jacobian(w: Weights[Array], x: Float[Array, "n d"]) -> Float[Array, "n d"]:
        """∇_{w1j} z_i = w21[j] ∇_{w1j} h_ij"""
        return w.w21[unit] * _hidden_by_unit(unit)(w, x)[..., unit, :]

    return jacobian


def _score_by_w21(w: Weights[Array], x: Float[Array, "n d"]) -> Float[Array, "n 2"]:
    """∇_{w21} z_i = h_i"""
    return hidden(w, x)


def _constant_in_w21(w: Weights[Array], x: Float[Array, "n d"]) -> Float[Array, "n 2 2"]:
    """∇_{w21} h_i = ∇_{w21} a_i = 0"""
    h = hidden(w, x)
    return namespace(h).zeros((*h.shape, 2), dtype=h.dtype)


_JACOBIANS: dict[tuple[Function, str], Function] = {
    (preactivation, "w11"): _preactivation_by_unit(0),
    (preactivation, "w12"): _preactivation_by_unit(1),
    (preactivation, "w21"): _constant_in_w21,
    (hidden, "w11"): _hidden_by_unit(0),
    (hidden, "w12"): _hidden_by_unit(1),
    (hidden, "w21"): _constant_in_w21,
    (score, "w11"): _score_by_unit(0),
    (score, "w12"): _score_by_unit(1),
    (score, "w21"): _score_by_w21,
}


def by_hand(f: Function, wrt: str = "w11") -> Function:
    """∇f, by the Jacobians that were derived by hand: those of `score`, `hidden` and `preactivation`, no others.

    The default ∇ of every line in `manual_grad.notes`, so that equations (1) and (2) run on NumPy alone.

    Args:
        f: `score`, `hidden` or `preactivation`.
        wrt: "w11", "w12" or "w21".

    Returns:
        A function of f's arguments that returns f's shape followed by that of the weight vector: for `score` and w11
        (n, d), one gradient an example.

    Raises:
        NotImplementedError: the Jacobian of f is not among those derived by hand.

    Example:
        >>> w = Weights([0.0], [0.0], [4.0, 1.0])
        >>> by_hand(score)(w, [[1.0], [2.0]]).tolist()
        [[1.0], [2.0]]

    Source: what the notes' equations (1) and (2) leave under a ∇.
    """
    try:
        return _JACOBIANS[f, wrt]
    except (KeyError, TypeError):
        known = sorted({label_of(g) for g, _ in _JACOBIANS})
        raise NotImplementedError(
            f"by_hand knows ∇ of {', '.join(known)} by w11, w12, w21, and was asked for ∇_{wrt} {label_of(f)}: "
            f"pass another ∇, as in nabla=autodiff_ref.nabla({wrt!r})"
        ) from None
