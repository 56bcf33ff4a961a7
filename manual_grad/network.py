"""The notes' model: σ(w21ᵀ[σ(w11ᵀx), σ(w12ᵀx)]), the smallest neural net, and its log-likelihood.

Every function takes `w` (the weights) and `x` (one example a row, n rows of d features; a single example of shape
(d,) works too), and where it needs them `y` (a label, −1 or +1, for each row). Arrays may be NumPy's or JAX's, traced or
not; integers are converted to the floating dtype of the other arguments. Where values are known, they are checked.
"""

from typing import Generic, NamedTuple, TypeVar, cast

from jaxtyping import Float

from manual_grad._arrays import Arguments, Array, floats, is_traced, namespace, require_finite
from manual_grad.sigmoid import log_sigmoid, sigmoid

T = TypeVar("T")


class Weights(NamedTuple, Generic[T]):
    """The three weight vectors of the net. A NamedTuple, so to JAX it is a pytree.

    `Weights[Array]` holds weights or gradients; a derivation's domain uses `Weights` of domains.

    Example:
        >>> Weights(w11=[0.5, -1.0], w12=[0.0, 2.0], w21=[1.0, -1.0]).w21
        [1.0, -1.0]
    """

    w11: T
    """(d,), layer 1, hidden unit 1"""
    w12: T
    """(d,), layer 1, hidden unit 2"""
    w21: T
    """(2,), layer 2, unit 1: one weight for each hidden unit"""


def preactivation(w: Weights[Array], x: Float[Array, "*n d"]) -> Float[Array, "*n 2"]:
    """a_i = [w11ᵀx_i, w12ᵀx_i]

    What the two hidden units squash.

    Args:
        w: weights w11 (d,), w12 (d,), w21 (2,).
        x: (n, d), finite, one example a row.

    Returns:
        (n, 2), one column a hidden unit.

    Raises:
        TypeError: an argument is not an array of real numbers.
        ValueError: shapes do not fit, there are no examples, or a value is NaN or infinite.

    Example:
        >>> preactivation(Weights([0.5, -1.0], [0.0, 2.0], [1.0, -1.0]), [[2.0, 0.25]]).tolist()
        [[0.75, 0.5]]

    Source: the nested function form in the notes.
    """
    w, x = checked_arguments(w, x)
    return namespace(w, x).stack([x @ w.w11, x @ w.w12], axis=-1)


def hidden(w: Weights[Array], x: Float[Array, "*n d"]) -> Float[Array, "*n 2"]:
    """h_i = [σ(w11ᵀx_i), σ(w12ᵀx_i)]ᵀ

    The activations of the two hidden units. Arguments and errors as for `preactivation`.

    Returns:
        (n, 2), entries in [0, 1].

    Example:
        >>> hidden(Weights([0.5, -1.0], [0.0, 2.0], [1.0, -1.0]), [[0.0, 0.0]]).tolist()
        [[0.5, 0.5]]

    Source: the nested function form in the notes.
    """
    return sigmoid(preactivation(w, x))


def score(w: Weights[Array], x: Float[Array, "*n d"]) -> Float[Array, "*n"]:
    """z_i = w21ᵀh_i

    The input to the final logistic squashing function. Arguments and errors as for `preactivation`.

    Returns:
        (n,), log-odds of the label +1, in nats.

    Example:
        >>> score(Weights([0.5, -1.0], [0.0, 2.0], [1.0, -2.0]), [[0.0, 0.0]]).tolist()
        [-0.5]

    Source: w_21ᵀh_i in the notes.
    """
    _, h, w21 = floats(hidden(w, x), w.w21)
    return h @ w21


def margin(w: Weights[Array], x: Float[Array, "*n d"], y: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """m_i = y_i w21ᵀh_i

    The score in favour of the example's own label. Arguments and errors as for `log_likelihood`.

    Returns:
        (n,), log-odds of the label y_i, in nats.

    Example:
        >>> margin(Weights([0.5, -1.0], [0.0, 2.0], [1.0, -2.0]), [[0.0, 0.0]], [-1.0]).tolist()
        [0.5]

    Source: y_i w_21ᵀh_i in the notes.
    """
    w, x, y = checked_arguments(w, x, y)
    return y * score(w, x)


def probability(w: Weights[Array], x: Float[Array, "*n d"], y: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """p(y_i|x_i) = σ(y_i w21ᵀh_i)

    The probability of the example's own label. Arguments and errors as for `log_likelihood`.

    Returns:
        (n,), in [0, 1].

    Example:
        >>> probability(Weights([0.5], [2.0], [1.0, -1.0]), [[0.0], [0.0]], [1, -1]).tolist()
        [0.5, 0.5]

    Source: the definition of p(y_i|x_i) in the notes.
    """
    return sigmoid(margin(w, x, y))


def log_likelihood(w: Weights[Array], x: Float[Array, "*n d"], y: Float[Array, "*n"]) -> Float[Array, ""]:
    """ll = Σ_i log p(y_i|x_i)

    What the notes differentiate.

    Args:
        w: weights w11 (d,), w12 (d,), w21 (2,).
        x: (n, d), finite, one example a row.
        y: (n,), every label −1 or +1.

    Returns:
        A scalar, ≤ 0, in nats, summed over the examples and not averaged.

    Raises:
        TypeError: an argument is not an array of real numbers.
        ValueError: shapes do not fit, there are no examples, a value is NaN or infinite, or a label is not ±1.

    Example:
        With w21 = 0 every score is 0 and every probability 1/2, so that ll = −n log 2:

        >>> round(float(log_likelihood(Weights([1.0], [2.0], [0.0, 0.0]), [[3.0], [4.0]], [1, -1])), 6)
        -1.386294

    Source: the log-likelihood of the notes.
    """
    m = margin(w, x, y)
    return namespace(m).sum(log_sigmoid(m))


def indicator(y: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """I(y_i = 1)

    Args:
        y: (n,), any real numbers.

    Returns:
        (n,), 1 where y is 1 and 0 elsewhere, in the dtype of y.

    Example:
        >>> indicator([1.0, -1.0]).tolist()
        [1.0, 0.0]

    Source: equation (2) of the notes.
    """
    xp, y = floats(y)
    return xp.astype(y == 1, y.dtype)


def residual(z: Float[Array, "*n"], y: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """I(y_i = 1) − σ(z_i) = y_i σ(−y_i z_i)

    The derivative of log σ(yz) by z. Computed in the form on the right, which keeps its digits where the form on the
    left subtracts two numbers near 1.

    Args:
        z: (n,), scores.
        y: (n,), every label −1 or +1.

    Returns:
        (n,), in [−1, 1]: positive where y is +1, negative where y is −1, at most 4 ulps from the true value.

    Raises:
        TypeError: an argument is not an array of real numbers.
        ValueError: a label is not ±1.

    Example:
        >>> residual([0.0, 0.0], [1, -1]).tolist()
        [0.5, -0.5]

    Source: the last claim of the notes, d log σ(y_i z)/dz.
    """
    _, z, y = floats(z, y)
    require_labels(y)
    return y * sigmoid(-y * z)


def checked_arguments(w: object, x: Array, y: Array | None = None) -> Arguments:
    """`w`, `x` and, where given, `y` as floating arrays of one namespace whose shapes and values fit the model."""
    if not isinstance(w, Weights):
        raise TypeError(f"w must be Weights(w11, w12, w21), got {type(w).__name__}: {w!r}")
    _, w11, w12, w21, x, *rest = floats(*cast("Weights[Array]", w), x, *([] if y is None else [y]))
    if x.ndim == 0:
        raise ValueError(f"x must be (n, d), one example a row, got the number {x}")
    for name, vector in (("w11", w11), ("w12", w12)):
        if vector.shape != x.shape[-1:]:
            raise ValueError(
                f"{name} has shape {vector.shape} and x has shape {x.shape}: "
                f"{name} must be ({x.shape[-1]},), one weight for each column of x"
            )
    if w21.shape != (2,):
        raise ValueError(f"w21 has shape {w21.shape}: it must be (2,), one weight for each hidden unit")
    if 0 in x.shape:
        raise ValueError(f"x has shape {x.shape}: give at least one example and one feature")
    require_finite(w11=w11, w12=w12, w21=w21, x=x)
    weights = Weights(w11, w12, w21)
    if y is None:
        return weights, x
    (labels,) = rest
    if labels.shape != x.shape[:-1]:
        raise ValueError(
            f"y has shape {labels.shape} and x has shape {x.shape}: y must be {x.shape[:-1]}, one label for each row of x"
        )
    require_labels(labels)
    return weights, x, labels


def require_labels(y: Array) -> None:
    """Raises ValueError unless every label is −1 or +1. Traced labels pass."""
    if is_traced(y):
        return
    xp = namespace(y)
    if not bool(xp.all((y == 1) | (y == -1))):
        got = sorted({float(label) for label in xp.unique_values(y)})
        shown = ", ".join(map(str, got[:6])) + (", …" if len(got) > 6 else "")
        hint = "map 0 to −1 with 2*y − 1" if set(got) == {0.0, 1.0} else "map your two classes to −1 and +1"
        raise ValueError(f"labels must be −1 or +1, got {{{shown}}}: {hint}")
