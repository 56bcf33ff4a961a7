"""σ, log σ and their derivatives, accurate over the whole float range.

All of them are written over t = e^−|z|, which lies in (0, 1], so nothing overflows and nothing cancels:

    σ(z)     = 1/(1+t)        for z ≥ 0        t/(1+t)            for z < 0
    log σ(z) = −log(1+t)      for z ≥ 0        z − log(1+t)       for z < 0
    σ'(z)    = t/(1+t)²       = σ(z) σ(−z)

The textbook forms lose everything: 1/(1+e^−z) overflows at z = −710, σ(z)(1−σ(z)) is 0 from z = 37, and log(σ(z)) is
−∞ from z = −746. −|z| is spelled `where(z < 0, z, -z)`: JAX differentiates |z| to sign(z), which is 0 at 0 and would
halve or double the derivatives there.
"""

from jaxtyping import Float

from manual_grad._arrays import Array, floats


def sigmoid(z: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """σ(z) = 1 / (1 + e^−z)

    The logistic function: the probability that a score of `z` gives to the label +1.

    Args:
        z: real numbers of any shape; ±inf give the limits 1 and 0, NaN gives NaN.

    Returns:
        Probabilities in [0, 1], of z's shape and floating dtype. At most 4 ulps from the true value wherever that is
        a normal number; its first and second JAX derivatives are right everywhere, 0 included.

    Raises:
        TypeError: z is not an array of real numbers.

    Example:
        >>> float(sigmoid(0.0))
        0.5

    Source: the logistic squashing function of the notes.
    """
    xp, z = floats(z)
    t = xp.exp(xp.where(z < 0, z, -z))
    return xp.where(z < 0, t, 1) / (1 + t)


def log_sigmoid(z: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """log σ(z) = −log(1 + e^−z)

    The log-probability that a score of `z` gives to the label +1.

    Args:
        z: real numbers of any shape; ±inf give the limits 0 and −inf, NaN gives NaN.

    Returns:
        Natural logarithms, ≤ 0, of z's shape and floating dtype; accuracy and derivatives as for `sigmoid`.

    Raises:
        TypeError: z is not an array of real numbers.

    Example:
        >>> float(log_sigmoid(-1000.0))
        -1000.0

    Source: log p(y_i|x_i) of the notes.
    """
    xp, z = floats(z)
    t = xp.exp(xp.where(z < 0, z, -z))
    return xp.where(z < 0, z, 0) - xp.log1p(t)


def sigmoid_derivative(a: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """σ'(a) = σ(a) σ(−a)

    Equal to the textbook's σ(a)(1−σ(a)), without the subtraction that loses all digits from a = 37 on.

    Args:
        a: real numbers of any shape (pre-activations, not activations); ±inf give 0.

    Returns:
        Slopes in [0, 1/4] up to rounding, of a's shape and floating dtype.
        At most 6 ulps from the true value wherever that is a
        normal number: 1 + t is rounded before it is squared.

    Raises:
        TypeError: a is not an array of real numbers.

    Example:
        >>> float(sigmoid_derivative(0.0))
        0.25

    Source: the chain rule between the notes' lines 0b and 1a.
    """
    xp, a = floats(a)
    t = xp.exp(xp.where(a < 0, a, -a))
    return t / (1 + t) ** 2


def log_sigmoid_derivative(z: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """d log σ(z) / dz = 1 − σ(z) = σ(−z)

    Args:
        z: real numbers of any shape.

    Returns:
        Slopes in [0, 1], of z's shape and floating dtype; accuracy as for `sigmoid`.

    Raises:
        TypeError: z is not an array of real numbers.

    Example:
        >>> float(log_sigmoid_derivative(0.0))
        0.5

    Source: the notes' line 1b.
    """
    _, z = floats(z)
    return sigmoid(-z)
