"""The notes' net in its general form: any number of layers of any width, logistic output, gradients by hand.

With one example a row, H_0 = X, and for the layers l = 1, …, L:

    A_l = H_{l−1} W_lᵀ + 1 b_lᵀ        H_l = s(A_l)        z = A_L, one column        m = y z
    ll  = Σ_i c_i log σ(m_i) − λ/2 Σ_l ‖W_l‖²

The gradient is the δ recursion, from the output back to the first layer, with r_i = c_i y_i σ(−m_i):

    Δ_L = r        Δ_l = (Δ_{l+1} W_{l+1}) ∘ s'(A_l)        ∂W_l = Δ_lᵀ H_{l−1} − λ W_l        ∂b_l = Δ_lᵀ 1

`manual_grad.extensions.depth` derives it line by line. Two layers of widths (2, 1) without biases, σ within, are the notes'
net.

With K ≥ 2 units in the last layer it tells K classes apart: Z = A_L has one column a class, P is its softmax, Y the classes
one-hot, ll = Σ_i c_i log p_{iy}. The recursion changes in its residual alone, R = c ∘ (Y − P) in the place of r
(`manual_grad.extensions.softmax`).

With `output="identity"` z predicts numbers, y any real ones: ll = −½ Σ_i c_i (y_i − z_i)², which but for a constant is the
log-likelihood of y_i that are N(z_i, 1). The residual is r = c ∘ (y − z) (`manual_grad.extensions.squared_error`).

Arguments of all functions: `layers`, a sequence of `Layer`; x (n, d), finite, one example a row; y (n,), every label −1 or
+1 where the last layer has one unit, a class 0, …, K − 1 where it has K; `hidden`, the squashing function s: "sigmoid",
"tanh" or "relu"; `output`, "classes" or "identity". All raise TypeError where an argument is not of the kind that is asked
for, and ValueError where shapes do not fit, there are no examples, a value is NaN or infinite, a label is none of these, or
`hidden` or `output` is unknown.
"""

from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import Generic, NamedTuple, TypeVar

from jaxtyping import Float

from manual_grad._arrays import Array, floats, is_traced, namespace, require_finite
from manual_grad.activations import Activation, activation_of, log_sigmoid_and_derivative
from manual_grad.network import Weights, require_labels
from manual_grad.sigmoid import log_sigmoid
from manual_grad.softmax import log_softmax_and_residual, require_classes

T = TypeVar("T")

OUTPUTS = ("classes", "identity")

NARROW, SHORT = 4, 64
"""A layer of up to 4 units on up to 64 inputs is multiplied unit by unit. XLA on CPU packs the operands of a matrix product
before it multiplies, which costs more than so small a product. 400,000 examples in blocks of 256, float32, unit by unit
against one matrix product: 30 inputs and 2 units 5.9 and 9.7 ms, 4 units 7.8 and 10.8; but 8 units 7.7 and 6.8 (of 200,000),
and 100 inputs and 2 units 18.6 and 13.4 (benchmarks/gradients.py --formulations). The one unit of an output
on 2 to 4 inputs is summed input by input: XLA fuses that with what follows, and a minibatch takes 0.96 of the time."""


class Layer(NamedTuple, Generic[T]):
    """One layer: A = H wᵀ + 1 bᵀ. A NamedTuple, so to JAX it is a pytree.

    w is (units, inputs), b is (units,), or None for no biases.

    Example:
        >>> Layer(w=[[0.5, -1.0]], b=[0.25]).b
        [0.25]
    """

    w: T
    b: T | None = None


Layers = Sequence[Layer[Array]]


def from_notes(w: Weights[Array]) -> tuple[Layer[Array], Layer[Array]]:
    """W_1 = [w11, w12]ᵀ, W_2 = w21ᵀ: the notes' net as two layers without biases

    Example:
        >>> first, second = from_notes(Weights([0.5, -1.0], [0.0, 2.0], [1.0, -1.0]))
        >>> first.w.tolist(), second.w.tolist()
        ([[0.5, -1.0], [0.0, 2.0]], [[1.0, -1.0]])
    """
    xp, w11, w12, w21 = floats(*w)
    return Layer(xp.stack([w11, w12])), Layer(w21[None, :])


def score(layers: Layers, x: Float[Array, "n d"], hidden: str = "sigmoid") -> Float[Array, " n"]:
    """z = A_L

    Returns:
        (n,), log-odds of the label +1, in nats; (n, K) for K classes, logarithms of their probabilities up to a constant.

    Example:
        >>> score([Layer([[0.0], [0.0]]), Layer([[1.0, -2.0]], [0.25])], [[3.0]]).tolist()
        [-0.25]

    Source: w_21ᵀh_i of the notes, for any number of layers.
    """
    layers, x, *_ = checked(layers, x)
    z = _scores(layers, x.mT, activation_of(hidden))
    return z[0] if z.shape[0] == 1 else z.mT


def log_likelihood(
    layers: Layers,
    x: Float[Array, "n d"],
    y: Float[Array, " n"],
    *,
    hidden: str = "sigmoid",
    output: str = "classes",
    weight_decay: float = 0.0,
    example_weights: Float[Array, " n"] | None = None,
) -> Float[Array, ""]:
    """ll = Σ_i c_i log σ(y_i z_i) − λ/2 Σ_l ‖W_l‖²

    Args:
        layers: the layers, first to last.
        x: (n, d), one example a row.
        y: (n,), labels −1 or +1, or what the output asks for.
        hidden: the squashing function within.
        output: "classes", or "identity" for numbers.
        weight_decay: λ ≥ 0, a Gaussian prior of precision λ on every weight; biases are free of it.
        example_weights: c (n,), ≥ 0: how often each example counts; once where not given.

    Returns:
        A scalar in nats, summed over the examples and not averaged.

    Example:
        Zero weights give every label probability 1/2, so that ll = −n log 2:

        >>> round(float(log_likelihood([Layer([[0.0]])], [[3.0], [4.0]], [1, -1])), 6)
        -1.386294

    Source: the log-likelihood of the notes.
    """
    layers, x, y, c = checked(layers, x, y, example_weights, weight_decay, output)
    z = _scores(layers, x.mT, activation_of(hidden))
    log_p = log_sigmoid(y * z[0]) if (output, z.shape[0]) == ("classes", 1) else _output(z, y, output)[0]
    return namespace(z).sum(log_p if c is None else c * log_p) - _penalty(layers, weight_decay)


def value_and_grad(
    layers: Layers,
    x: Float[Array, "n d"],
    y: Float[Array, " n"],
    *,
    hidden: str = "sigmoid",
    output: str = "classes",
    weight_decay: float = 0.0,
    example_weights: Float[Array, " n"] | None = None,
) -> tuple[Float[Array, ""], tuple[Layer[Array], ...]]:
    """(ll, ∇ll): Δ_l = (Δ_{l+1} W_{l+1}) ∘ s'(A_l), ∂W_l = Δ_lᵀ H_{l−1} − λ W_l, ∂b_l = Δ_lᵀ 1

    Arguments as for `log_likelihood`.

    Returns:
        ll and its gradient by every layer, summed over the examples and not averaged; None for a bias that is None.

    Example:
        >>> net = [Layer([[0.0], [0.0]]), Layer([[4.0, -4.0]])]
        >>> ll, (first, second) = value_and_grad(net, [[1.0]], [1])
        >>> first.w.tolist(), second.w.tolist()
        ([[0.5], [-0.5]], [[0.25, 0.25]])

    Source: equation (2) of the notes, its ∇ worked out through every layer.
    """
    layers, x, y, c = checked(layers, x, y, example_weights, weight_decay, output)
    ll, gradient = value_and_grad_columns(layers, x.mT, y, c, activation_of(hidden), output)
    if weight_decay:
        gradient = tuple(g._replace(w=g.w - weight_decay * layer.w) for g, layer in zip(gradient, layers, strict=True))
    return ll - _penalty(layers, weight_decay), gradient


def terms_and_grad_columns(
    layers: Layers,
    xt: Float[Array, "d n"],
    y: Float[Array, " n"],
    c: Float[Array, " n"] | None,
    hidden: Activation,
    output: str = "classes",
    *,
    by_unit: bool = True,
) -> tuple[Float[Array, " n"], tuple[Layer[Array], ...]]:
    """Δ_l = (W_{l+1}ᵀ Δ_{l+1}) ∘ s'(A_l), ∂W_l = Δ_l H_{l−1}ᵀ, ∂b_l = Δ_l 1: one example a column, no decay

    The form that training runs on: with the examples along the fast axis every operation is as long as the batch, however
    narrow the layers. Below a single unit Δ_l is w ∘ (δ ∘ s'(A_l)), with one w for all examples: their sum is multiplied
    with it. Returns what each example adds to ll, c_i log σ(m_i), and ∇ll. Nothing is checked here. With `by_unit` false no
    layer `is_narrow`: a GPU multiplies one matrix sooner than a few vectors.
    """
    xp = namespace(layers, xt)
    activations, slopes = [xt], [xt]
    for layer in layers[:-1]:
        h, slope = hidden.both(_preactivation(layer, activations[-1], by_unit))
        activations.append(h)
        slopes.append(slope)
    log_p, delta = _output(_preactivation(layers[-1], activations[-1], by_unit), y, output)
    if c is not None:
        log_p, delta = c * log_p, c * delta
    gradient: list[Layer[Array]] = []
    factors = None  # that the rows of Δ still lack
    for level in reversed(range(len(layers))):
        w, b = layers[level]
        by_w, by_b = _outer(delta, activations[level], by_unit), None if b is None else xp.sum(delta, axis=1)
        if factors is not None:
            w, by_w, by_b = factors[:, None] * w, factors[:, None] * by_w, None if by_b is None else factors * by_b
        gradient.append(Layer(by_w, by_b))
        if level and w.shape[0] == 1:
            factors, delta = w[0], delta * slopes[level]
        elif level:
            factors, delta = None, (w.mT @ delta) * slopes[level]
    return log_p, tuple(reversed(gradient))


def value_and_grad_columns(
    layers: Layers,
    xt: Float[Array, "d n"],
    y: Float[Array, " n"],
    c: Float[Array, " n"] | None,
    hidden: Activation,
    output: str = "classes",
) -> tuple[Float[Array, ""], tuple[Layer[Array], ...]]:
    """(ll, ∇ll) as `terms_and_grad_columns` has them, ll summed over the examples"""
    terms, gradient = terms_and_grad_columns(layers, xt, y, c, hidden, output)
    return namespace(terms).sum(terms), gradient


def _output(z: Float[Array, "k n"], y: Float[Array, " n"], output: str) -> tuple[Float[Array, " n"], Float[Array, "k n"]]:
    """log p(y|z), and its derivative by z: y σ(−yz) for one unit, I(k = y) − p_k for K; −½ (y − z)² and y − z"""
    if output == "identity":
        r = y - z[0]
        return -r * r / 2, r[None, :]
    if z.shape[0] > 1:
        return log_softmax_and_residual(z, y)
    log_p, r = log_sigmoid_and_derivative(y * z[0])
    return log_p, (y * r)[None, :]


def _scores(layers: Layers, xt: Array, hidden: Activation) -> Array:
    """Z = A_L, (K, n), one example a column"""
    h = xt
    for layer in layers[:-1]:
        h = hidden.value(_preactivation(layer, h))
    return _preactivation(layers[-1], h)


def _preactivation(layer: Layer[Array], h: Array, by_unit: bool = True) -> Array:
    """A = W H + b 1ᵀ"""
    a = _product(layer.w, h, by_unit)
    return a if layer.b is None else a + layer.b[:, None]


def _product(w: Float[Array, "k d"], h: Float[Array, "d n"], by_unit: bool) -> Float[Array, "k n"]:
    """W H"""
    k, d = w.shape
    if k == 1 < d <= NARROW:
        return reduce(add, [w[:, i, None] * h[i] for i in range(d)])
    return namespace(w, h).stack([w[j] @ h for j in range(k)]) if by_unit and is_narrow(w.shape) else w @ h


def _outer(delta: Float[Array, "k n"], h: Float[Array, "d n"], by_unit: bool) -> Float[Array, "k d"]:
    """Δ Hᵀ"""
    k, d = delta.shape[0], h.shape[0]
    return namespace(delta, h).stack([h @ delta[j] for j in range(k)]) if by_unit and is_narrow((k, d)) else delta @ h.mT


def is_narrow(shape: tuple[int, ...]) -> bool:
    """Whether a layer of this shape, (units, inputs), is multiplied unit by unit."""
    return shape[0] <= NARROW and shape[1] <= SHORT


def _penalty(layers: Layers, weight_decay: float) -> Array | float:
    """λ/2 Σ_l ‖W_l‖²"""
    if not weight_decay:
        return 0.0
    return weight_decay / 2 * sum(namespace(w).sum(w * w) for w, _ in layers)


def checked(
    layers: Layers,
    x: Array,
    y: Array | None = None,
    c: Array | None = None,
    weight_decay: float = 0.0,
    output: str = "classes",
) -> tuple[Layers, Array, Array | None, Array | None]:
    """`layers`, x, y and c as floating arrays of one namespace whose shapes and values fit; y and c may be None."""
    if output not in OUTPUTS:
        raise ValueError(f"output must be one of {', '.join(OUTPUTS)}, got {output!r}")
    if not isinstance(layers, Sequence) or not layers or not all(isinstance(layer, Layer) for layer in layers):
        raise TypeError(f"layers must be a sequence of at least one Layer(w, b), got {layers!r}")
    if not 0 <= weight_decay < float("inf"):
        raise ValueError(f"weight_decay must be finite and at least 0, got {weight_decay}")
    given = [part for layer in layers for part in layer if part is not None]
    _, x, *arrays = floats(x, *given, *(a for a in (y, c) if a is not None))
    rest = iter(arrays)
    net = tuple(Layer(next(rest), None if layer.b is None else next(rest)) for layer in layers)
    y, c = (None if a is None else next(rest) for a in (y, c))
    if x.ndim != 2 or 0 in x.shape:
        raise ValueError(f"x has shape {x.shape}: it must be (n, d), at least one example, one a row")
    inputs = x.shape[1]
    for number, (w, b) in enumerate(net, start=1):
        if w.ndim != 2 or w.shape[1] != inputs or w.shape[0] == 0:
            raise ValueError(f"layer {number}: w has shape {w.shape}, it must be (units, {inputs})")
        if b is not None and b.shape != w.shape[:1]:
            raise ValueError(f"layer {number}: b has shape {b.shape}, it must be {w.shape[:1]}, one bias a unit")
        require_finite(**{f"layer {number}: w": w}, **({} if b is None else {f"layer {number}: b": b}))
        inputs = w.shape[0]
    require_finite(x=x)
    for name, array in (("y", y), ("example_weights", c)):
        if array is not None and array.shape != x.shape[:1]:
            raise ValueError(f"{name} has shape {array.shape} and x {x.shape}: {name} must be {x.shape[:1]}")
    if output == "identity" and inputs != 1:
        raise ValueError(f"the last layer has {inputs} units: an output of numbers has one")
    if y is not None and output == "identity":
        require_finite(y=y)
    elif y is not None:
        require_labels(y) if inputs == 1 else require_classes(y, inputs)
    if c is not None:
        require_finite(example_weights=c)
        if not is_traced(c) and not bool(namespace(c).all(c >= 0)):
            raise ValueError(f"example_weights must be at least 0, got {float(namespace(c).min(c))}")
    return net, x, y, c
