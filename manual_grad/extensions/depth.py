"""The δ recursion of `manual_grad.mlp`, line by line.

NET is the net of one hidden layer, with biases; its last line is the recursion as training calls it. That the recursion
holds at any depth is its step, once by the layer's weights and once by its input, for each squashing function: with C what
arrives from above, Δ = C ∘ s'(A), the gradient is Δᵀ H by W, Δᵀ 1 by b and Δ W by H, and this Δ W is the next layer's C.
DEEP is three layers in one go.
"""

from typing import Any, Generic, NamedTuple, TypeVar

from jaxtyping import Float

from manual_grad import mlp
from manual_grad._arrays import Array, PyTree, namespace
from manual_grad.activations import ACTIVATIONS, Activation, tanh
from manual_grad.derivation import Derivation, contract
from manual_grad.domains import positives, reals, signs
from manual_grad.mlp import Layer
from manual_grad.network import residual
from manual_grad.sigmoid import log_sigmoid, sigmoid, sigmoid_derivative

T = TypeVar("T")
Nabla = Any
Examples = Float[Array, "n d"]
Labels = Float[Array, " n"]


class Net(NamedTuple, Generic[T]):
    """Two layers: `first` is squashed, `second` gives the score."""

    first: T
    second: T


class Deep(NamedTuple, Generic[T]):
    """Three weight matrices."""

    w1: T
    w2: T
    w3: T


def preactivation(net: Net[Layer[Array]], x: Examples) -> Float[Array, "n k"]:
    """A_1 = X W_1ᵀ + 1 b_1ᵀ"""
    return x @ net.first.w.mT + net.first.b


def hidden(net: Net[Layer[Array]], x: Examples) -> Float[Array, "n k"]:
    """H_1 = σ(A_1)"""
    return sigmoid(preactivation(net, x))


def score(net: Net[Layer[Array]], x: Examples) -> Float[Array, " n"]:
    """z = H_1 W_2ᵀ + 1 b_2ᵀ, its one column"""
    return (hidden(net, x) @ net.second.w.mT + net.second.b)[:, 0]


def log_likelihood(net: Net[Layer[Array]], x: Examples, y: Labels) -> Float[Array, ""]:
    """Σ log σ(y z)"""
    z = score(net, x)
    return namespace(z).sum(log_sigmoid(y * z))


def line_1(net: Net[Layer[Array]], x: Examples, y: Labels, nabla: Nabla) -> Net[Layer[Array]]:
    """Σ r ∇z,  r = y σ(−yz)"""
    return contract(residual(score(net, x), y), nabla(score)(net, x))


def line_2(net: Net[Layer[Array]], x: Examples, y: Labels, nabla: Nabla) -> Net[Layer[Array]]:
    """by layer 2: rᵀ H_1, Σ r;  by layer 1: Σ (r W_2) ∇H_1"""
    r = residual(score(net, x), y)[:, None]
    return Net(contract(r * net.second.w, nabla(hidden)(net, x)).first, _by_layer(r, hidden(net, x)))


def line_3(net: Net[Layer[Array]], x: Examples, y: Labels, nabla: Nabla) -> Net[Layer[Array]]:
    """by layer 1: Σ (r W_2) ∘ σ'(A_1) ∇A_1"""
    r = residual(score(net, x), y)[:, None]
    delta = r * net.second.w * sigmoid_derivative(preactivation(net, x))
    return Net(contract(delta, nabla(preactivation)(net, x)).first, _by_layer(r, hidden(net, x)))


def line_4(net: Net[Layer[Array]], x: Examples, y: Labels, nabla: Nabla = None) -> Net[Layer[Array]]:
    """Δ_2 = r, Δ_1 = (Δ_2 W_2) ∘ σ'(A_1);  by layer l: Δ_lᵀ H_{l−1}, Δ_lᵀ 1"""
    delta_2 = residual(score(net, x), y)[:, None]
    delta_1 = (delta_2 @ net.second.w) * sigmoid_derivative(preactivation(net, x))
    return Net(_by_layer(delta_1, x), _by_layer(delta_2, hidden(net, x)))


def line_5(net: Net[Layer[Array]], x: Examples, y: Labels, nabla: Nabla = None) -> Net[Layer[Array]]:
    """the recursion of manual_grad.mlp"""
    return Net(*mlp.value_and_grad(net, x, y)[1])


def _by_layer(delta: Float[Array, "n k"], h: Float[Array, "n d"]) -> Layer[Array]:
    """Δᵀ H, Δᵀ 1"""
    return Layer(delta.mT @ h, namespace(delta).sum(delta, axis=0))


NET = Derivation(
    "∇ ll, one hidden layer with biases",
    of=log_likelihood,
    wrt=None,
    domain=(Net(Layer(reals("k", "d"), reals("k")), Layer(reals(1, "k"), reals(1))), reals("n", "d"), signs("n")),
    lines=[line_1, line_2, line_3, line_4, line_5],
)


# Any depth: one layer, what arrives from above given


def _step(s: Activation, symbol: str, wrt: str) -> Derivation:
    """The step of the recursion for the squashing function s, by the layer's weights or by its input."""

    def affine(layer: Layer[Array], h: Float[Array, "n d"]) -> Float[Array, "n k"]:
        """A = H Wᵀ + 1 bᵀ"""
        return h @ layer.w.mT + layer.b

    def squashed(layer: Layer[Array], h: Float[Array, "n d"]) -> Float[Array, "n k"]:
        """s(A)"""
        return s.value(affine(layer, h))

    def carried(layer: Layer[Array], h: Float[Array, "n d"], c: Float[Array, "n k"]) -> Float[Array, ""]:
        """Σ C ∘ s(A)"""
        return namespace(layer, h).sum(c * squashed(layer, h))

    def step_1(layer: Layer[Array], h: Float[Array, "n d"], c: Float[Array, "n k"], nabla: Nabla) -> PyTree:
        """Σ C ∇s(A)"""
        return contract(c, nabla(squashed)(layer, h))

    def step_2(layer: Layer[Array], h: Float[Array, "n d"], c: Float[Array, "n k"], nabla: Nabla) -> PyTree:
        """Σ Δ ∇A,  Δ = C ∘ s'(A)"""
        return contract(c * s.slope(affine(layer, h)), nabla(affine)(layer, h))

    def step_3_layer(layer: Layer[Array], h: Float[Array, "n d"], c: Float[Array, "n k"], nabla: Nabla = None) -> PyTree:
        """Δᵀ H, Δᵀ 1"""
        return _by_layer(c * s.slope(affine(layer, h)), h)

    def step_3_h(layer: Layer[Array], h: Float[Array, "n d"], c: Float[Array, "n k"], nabla: Nabla = None) -> PyTree:
        """Δ W"""
        return (c * s.slope(affine(layer, h))) @ layer.w

    return Derivation(
        f"∇_{{{wrt}}} Σ C ∘ {symbol}(A)",
        of=carried,
        wrt=wrt,
        domain=(Layer(reals("k", "d"), reals("k")), reals("n", "d"), reals("n", "k")),
        lines=[step_1, step_2, step_3_h if wrt == "h" else step_3_layer],
    )


SIGMOID_BY_LAYER = _step(ACTIVATIONS["sigmoid"], "σ", "layer")
SIGMOID_BY_INPUT = _step(ACTIVATIONS["sigmoid"], "σ", "h")
TANH_BY_LAYER = _step(ACTIVATIONS["tanh"], "tanh", "layer")
TANH_BY_INPUT = _step(ACTIVATIONS["tanh"], "tanh", "h")
RELU_BY_LAYER = _step(ACTIVATIONS["relu"], "relu", "layer")
RELU_BY_INPUT = _step(ACTIVATIONS["relu"], "relu", "h")


# Three layers, tanh within, weight decay and example weights: the recursion as training calls it

DECAY = 0.5


def deep_score(w: Deep[Array], x: Examples) -> Float[Array, " n"]:
    """z = tanh(tanh(X W_1ᵀ) W_2ᵀ) W_3ᵀ, its one column"""
    return (tanh(tanh(x @ w.w1.mT) @ w.w2.mT) @ w.w3.mT)[:, 0]


def penalised(w: Deep[Array], x: Examples, y: Labels, c: Labels) -> Float[Array, ""]:
    """Σ c log σ(y z) − λ/2 Σ_l ‖W_l‖²"""
    z = deep_score(w, x)
    xp = namespace(z)
    return xp.sum(c * log_sigmoid(y * z)) - DECAY / 2 * sum(xp.sum(w_l * w_l) for w_l in w)


def deep_1(w: Deep[Array], x: Examples, y: Labels, c: Labels, nabla: Nabla) -> Deep[Array]:
    """Σ c r ∇z − λ W"""
    by_score = contract(c * residual(deep_score(w, x), y), nabla(deep_score)(w, x))
    return Deep(*(g - DECAY * w_l for g, w_l in zip(by_score, w, strict=True)))


def deep_2(w: Deep[Array], x: Examples, y: Labels, c: Labels, nabla: Nabla = None) -> Deep[Array]:
    """the recursion of manual_grad.mlp"""
    layers = [Layer(w_l) for w_l in w]
    gradient = mlp.value_and_grad(layers, x, y, hidden="tanh", weight_decay=DECAY, example_weights=c)[1]
    return Deep(*(g.w for g in gradient))


DEEP = Derivation(
    "∇ ll − λ/2 ‖W‖², three layers of tanh, examples weighted",
    of=penalised,
    wrt=None,
    domain=(Deep(reals("k", "d"), reals("m", "k"), reals(1, "m")), reals("n", "d"), signs("n"), positives("n")),
    lines=[deep_1, deep_2],
)
