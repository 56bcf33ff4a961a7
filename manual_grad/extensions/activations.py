"""Squashing functions beside σ: dh/da of tanh, ReLU, softplus, SiLU and GELU, for a pre-activation a.

    tanh       h = tanh(a)               1 − h²                      = 4 σ(2a) σ(−2a)
    ReLU       h = max(a, 0)             I(a > 0)                    a kink at 0, where this takes the left derivative
    softplus   h = log(1 + e^a)          σ(a)
    SiLU       h = a σ(a)                σ(a) (1 + a (1 − σ(a)))     = σ(a) (1 + a σ(−a))
    GELU       h = a Φ(a)                Φ(a) + a φ(a)

The last line of each is the closed form that keeps its digits, for arrays of any shape: 1 − tanh² is 0 from a = 19 on, and
1 + erf(a/√2) is 0 from a = −8.3 down.

Sources: the nets that use them; "Gaussian Error Linear Units", Hendrycks and Gimpel 2016, for the last two.
"""

from math import pi, sqrt

from jaxtyping import Float

from manual_grad._arrays import Array, floats
from manual_grad._special import special
from manual_grad.activations import relu, tanh, tanh_derivative
from manual_grad.derivation import Derivation
from manual_grad.domains import reals
from manual_grad.extensions.net import Nabla
from manual_grad.sigmoid import log_sigmoid, sigmoid, sigmoid_derivative

Number = Float[Array, ""]
Numbers = Float[Array, "*shape"]


# tanh


def doubled_sigmoid(a: Number) -> Number:
    """σ(2a)"""
    return sigmoid(2 * a)


def tanh_1(a: Number, nabla: Nabla) -> Number:
    """2 dσ(2a)/da, since tanh(a) = 2 σ(2a) − 1"""
    return 2 * nabla(doubled_sigmoid)(a)


def tanh_2(a: Number) -> Number:
    """4 σ(2a) (1 − σ(2a))"""
    return 4 * sigmoid(2 * a) * (1 - sigmoid(2 * a))


def tanh_3(a: Number) -> Number:
    """1 − h²,  h = tanh(a)"""
    return 1 - tanh(a) ** 2


def tanh_slope(a: Numbers) -> Numbers:
    """4 σ(2a) σ(−2a)"""
    return tanh_derivative(a)


TANH = Derivation("d tanh(a)/da", of=tanh, wrt="a", domain=(reals(),), lines=[tanh_1, tanh_2, tanh_3, tanh_slope])


# ReLU: no derivative at 0, and 0 is what this returns there


def relu_1(a: Number, nabla: Nabla) -> Number:
    """d (a I(a > 0))/da = ∇ max(a, 0)"""
    return nabla(relu)(a)


def relu_slope(a: Numbers) -> Numbers:
    """I(a > 0)"""
    xp, a = floats(a)
    return xp.astype(a > 0, a.dtype)


RELU = Derivation("d max(a, 0)/da", of=relu, wrt="a", domain=(reals(),), lines=[relu_1, relu_slope])


# softplus


def softplus(a: Numbers) -> Numbers:
    """log(1 + e^a) = −log σ(−a)"""
    return -log_sigmoid(-a)


def one_plus_exp(a: Number) -> Number:
    """1 + e^a"""
    xp, a = floats(a)
    return 1 + xp.exp(a)


def softplus_1(a: Number, nabla: Nabla) -> Number:
    """1/(1 + e^a) d(1 + e^a)/da"""
    return 1 / one_plus_exp(a) * nabla(one_plus_exp)(a)


def softplus_2(a: Number) -> Number:
    """e^a/(1 + e^a)"""
    xp, a = floats(a)
    return xp.exp(a) / (1 + xp.exp(a))


def softplus_slope(a: Numbers) -> Numbers:
    """σ(a)"""
    return sigmoid(a)


SOFTPLUS = Derivation(
    "d log(1 + e^a)/da", of=softplus, wrt="a", domain=(reals(),), lines=[softplus_1, softplus_2, softplus_slope]
)


# SiLU, or swish


def silu(a: Numbers) -> Numbers:
    """a σ(a)"""
    return a * sigmoid(a)


def silu_1(a: Number, nabla: Nabla) -> Number:
    """σ(a) + a dσ(a)/da"""
    return sigmoid(a) + a * nabla(sigmoid, wrt="z")(a)


def silu_2(a: Number) -> Number:
    """σ(a) + a σ(a) (1 − σ(a))"""
    return sigmoid(a) + a * sigmoid(a) * (1 - sigmoid(a))


def silu_3(a: Number) -> Number:
    """σ(a) (1 + a (1 − σ(a)))"""
    return sigmoid(a) * (1 + a * (1 - sigmoid(a)))


def silu_slope(a: Numbers) -> Numbers:
    """σ(a) + a σ(a) σ(−a)"""
    return sigmoid(a) + a * sigmoid_derivative(a)


SILU = Derivation("d aσ(a)/da", of=silu, wrt="a", domain=(reals(),), lines=[silu_1, silu_2, silu_3, silu_slope])


# GELU


def normal_cdf(a: Numbers) -> Numbers:
    """Φ(a), whose library function keeps its digits in the left tail, where ½ (1 + erf(a/√2)) loses them"""
    functions, a = special(a)
    return functions.ndtr(a)


def normal_density(a: Numbers) -> Numbers:
    """φ(a) = e^(−a²/2)/√(2π)"""
    xp, a = floats(a)
    return xp.exp(-a * a / 2) / sqrt(2 * pi)


def gelu(a: Numbers) -> Numbers:
    """a Φ(a)"""
    return a * normal_cdf(a)


def gelu_slope(a: Numbers) -> Numbers:
    """Φ(a) + a φ(a), since Φ' = φ"""
    return normal_cdf(a) + a * normal_density(a)


GELU = Derivation("d aΦ(a)/da", of=gelu, wrt="a", domain=(reals(),), lines=[gelu_slope])
