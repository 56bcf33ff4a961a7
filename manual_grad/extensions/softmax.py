"""K classes: the δ recursion of `manual_grad.mlp` changes in its residual alone. Line by line.

    Z = H W_2ᵀ + 1 b_2ᵀ, one column a class        ll = Σ_i (z_{iy} − log Σ_k e^{z_ik})

RESIDUAL finds ∂ll/∂Z = Y − P, with Y the classes one-hot and P the softmax of Z, where the notes have I(y=1) − σ(z). CLASSES
is the net of one hidden layer: from Y − P on, its lines are those of `manual_grad.extensions.depth.NET`.
"""

from typing import Any

from jaxtyping import Float

from manual_grad import mlp
from manual_grad._arrays import Array, namespace
from manual_grad.derivation import Derivation, contract
from manual_grad.domains import one_hot, reals
from manual_grad.extensions.depth import Net, hidden, preactivation
from manual_grad.mlp import Layer
from manual_grad.sigmoid import sigmoid_derivative
from manual_grad.softmax import log_softmax_and_residual, softmax

Nabla = Any
Examples = Float[Array, "n d"]
OneHot = Float[Array, "n k"]
Scores = Float[Array, "n k"]


# By the scores


def log_likelihood(z: Scores, t: OneHot) -> Float[Array, ""]:
    """Σ_i (Σ_k t z − log Σ_k e^z)"""
    xp = namespace(z, t)
    return xp.sum(t * z) - xp.sum(log_normaliser(z))


def normaliser(z: Scores) -> Float[Array, " n"]:
    """S_i = Σ_k e^z"""
    return namespace(z).sum(namespace(z).exp(z), axis=1)


def log_normaliser(z: Scores) -> Float[Array, " n"]:
    """log S_i"""
    return namespace(z).log(normaliser(z))


def residual_1(z: Scores, t: OneHot, nabla: Nabla) -> Scores:
    """T − Σ_i ∇log S"""
    return t - namespace(z).sum(nabla(log_normaliser)(z), axis=0)


def residual_2(z: Scores, t: OneHot, nabla: Nabla) -> Scores:
    """T − Σ_i 1/S ∇S"""
    return t - contract(1 / normaliser(z), nabla(normaliser)(z))


def residual_3(z: Scores, t: OneHot, nabla: Nabla = None) -> Scores:
    """T − e^z / S"""
    return t - namespace(z).exp(z) / normaliser(z)[:, None]


def residual_4(z: Scores, t: OneHot, nabla: Nabla = None) -> Scores:
    """T − P"""
    return t - softmax(z.mT).mT


def residual_5(z: Scores, t: OneHot, nabla: Nabla = None) -> Scores:
    """as training computes it, of the class as a number"""
    return log_softmax_and_residual(z.mT, _classes(t))[1].mT


RESIDUAL = Derivation(
    "∇_z log p(y|z), K classes",
    of=log_likelihood,
    wrt="z",
    domain=(reals("n", "k"), one_hot("n", "k")),
    lines=[residual_1, residual_2, residual_3, residual_4, residual_5],
)


# By the weights of one hidden layer


def scores(net: Net[Layer[Array]], x: Examples) -> Scores:
    """Z = H_1 W_2ᵀ + 1 b_2ᵀ"""
    return hidden(net, x) @ net.second.w.mT + net.second.b


def net_log_likelihood(net: Net[Layer[Array]], x: Examples, t: OneHot) -> Float[Array, ""]:
    """Σ_i (Σ_k t z − log Σ_k e^z)"""
    return log_likelihood(scores(net, x), t)


def line_1(net: Net[Layer[Array]], x: Examples, t: OneHot, nabla: Nabla) -> Net[Layer[Array]]:
    """Σ R ∇Z,  R = T − P"""
    return contract(residual_4(scores(net, x), t), nabla(scores)(net, x))


def line_2(net: Net[Layer[Array]], x: Examples, t: OneHot, nabla: Nabla) -> Net[Layer[Array]]:
    """by layer 2: Rᵀ H_1, Rᵀ 1;  by layer 1: Σ (R W_2) ∇H_1"""
    r = residual_4(scores(net, x), t)
    return Net(contract(r @ net.second.w, nabla(hidden)(net, x)).first, _by_layer(r, hidden(net, x)))


def line_3(net: Net[Layer[Array]], x: Examples, t: OneHot, nabla: Nabla = None) -> Net[Layer[Array]]:
    """Δ_2 = R, Δ_1 = (Δ_2 W_2) ∘ σ'(A_1);  by layer l: Δ_lᵀ H_{l−1}, Δ_lᵀ 1"""
    delta_2 = residual_4(scores(net, x), t)
    delta_1 = (delta_2 @ net.second.w) * sigmoid_derivative(preactivation(net, x))
    return Net(_by_layer(delta_1, x), _by_layer(delta_2, hidden(net, x)))


def line_4(net: Net[Layer[Array]], x: Examples, t: OneHot, nabla: Nabla = None) -> Net[Layer[Array]]:
    """the recursion of manual_grad.mlp"""
    return Net(*mlp.value_and_grad(net, x, _classes(t))[1])


def _by_layer(delta: Float[Array, "n k"], h: Float[Array, "n d"]) -> Layer[Array]:
    """Δᵀ H, Δᵀ 1"""
    return Layer(delta.mT @ h, namespace(delta).sum(delta, axis=0))


def _classes(t: OneHot) -> Float[Array, " n"]:
    """The class of each row as a number: t (0, 1, …, K − 1)ᵀ"""
    xp = namespace(t)
    return t @ xp.arange(t.shape[1], dtype=t.dtype)


CLASSES = Derivation(
    "∇ ll, K classes, one hidden layer with biases",
    of=net_log_likelihood,
    wrt=None,
    domain=(Net(Layer(reals("h", "d"), reals("h")), Layer(reals("k", "h"), reals("k"))), reals("n", "d"), one_hot("n", "k")),
    lines=[line_1, line_2, line_3, line_4],
    sizes={"k": (2, 4)},
)
