"""The squashing functions of a net, each with its derivative, and log σ with its: both at once, as training needs them."""

from collections.abc import Callable
from typing import NamedTuple

from jaxtyping import Float

from manual_grad._arrays import Array, floats, namespace
from manual_grad.sigmoid import sigmoid, sigmoid_derivative


class Activation(NamedTuple):
    """A squashing function, its derivative by the pre-activation, and both at once, which costs less than one by one."""

    value: Callable[[Array], Array]
    slope: Callable[[Array], Array]
    both: Callable[[Array], tuple[Array, Array]]


def sigmoid_and_derivative(a: Float[Array, "*shape"]) -> tuple[Float[Array, "*shape"], Float[Array, "*shape"]]:
    """σ(a) and σ'(a), of q = σ(−|a|): σ = 1 − q for a ≥ 0 and q for a < 0, σ' = q (1 − q)

    One exponential and one division for both, and nothing overflows or cancels: q is in (0, 1/2], so 1 − q keeps q's digits.
    At most 4 and 6 ulps from the true values, as `sigmoid` and `sigmoid_derivative`.

    Example:
        >>> h, slope = sigmoid_and_derivative(0.0)
        >>> float(h), float(slope)
        (0.5, 0.25)
    """
    xp, a = floats(a)
    q = _lesser(a)
    return xp.where(a < 0, q, 1 - q), q * (1 - q)


def log_sigmoid_and_derivative(m: Float[Array, "*shape"]) -> tuple[Float[Array, "*shape"], Float[Array, "*shape"]]:
    """log σ(m) and σ(−m), of q = σ(−|m|): log σ = min(m, 0) + log(1 − q), σ(−m) = q for m ≥ 0 and 1 − q for m < 0

    What an example adds to ll, and its derivative by the margin, by one exponential, one logarithm and one division.
    At most 7 and 4 ulps from the true values: NumPy's float32 logarithm alone takes 4. Compiled it is 4 and 4, on a GPU 5
    and 4. With p = 1 − q rounded, log(1 − q) is log p + (1 − p − q) to within an ulp: 1 − p is exact, so that the second
    term is what rounding took from p. That keeps every digit of a q that 1 − q loses, at less than the price of log1p.

    Example:
        >>> log_p, slope = log_sigmoid_and_derivative(0.0)
        >>> round(float(log_p), 6), float(slope)
        (-0.693147, 0.5)
    """
    xp, m = floats(m)
    q = _lesser(m)
    p = 1 - q
    return xp.where(m < 0, m, 0) + (xp.log(p) + ((1 - p) - q)), xp.where(m < 0, p, q)


def _lesser(a: Array) -> Array:
    """q = σ(−|a|), the lesser of σ(a) and σ(−a)"""
    xp = namespace(a)
    t = xp.exp(xp.where(a < 0, a, -a))
    return t / (1 + t)


def tanh(a: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """2σ(2a) − 1, the hyperbolic tangent"""
    xp, a = floats(a)
    return xp.tanh(a)


def tanh_derivative(a: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """tanh'(a) = 4σ'(2a), which keeps its digits where 1 − tanh(a)² is 0: from 19 on in float64"""
    return 4 * sigmoid_derivative(2 * floats(a)[1])


def relu(a: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """max(a, 0)"""
    xp, a = floats(a)
    return xp.where(a > 0, a, 0)


def relu_derivative(a: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """I(a > 0): 0 at the kink, like JAX's"""
    xp, a = floats(a)
    return xp.astype(a > 0, a.dtype)


ACTIVATIONS = {
    "sigmoid": Activation(sigmoid, sigmoid_derivative, sigmoid_and_derivative),
    "tanh": Activation(tanh, tanh_derivative, lambda a: (tanh(a), tanh_derivative(a))),
    "relu": Activation(relu, relu_derivative, lambda a: (relu(a), relu_derivative(a))),
}


def activation_of(hidden: str) -> Activation:
    """The squashing function of that name and its derivative."""
    if not isinstance(hidden, str):
        raise TypeError(f"hidden must be one of {', '.join(ACTIVATIONS)}, by name, got {hidden!r}")
    if hidden not in ACTIVATIONS:
        raise ValueError(f"hidden must be one of {', '.join(ACTIVATIONS)}, got {hidden!r}")
    return ACTIVATIONS[hidden]
