"""The net of one hidden layer with biases, which several extensions differentiate.

With one example a row, A = X Wᵀ + 1 bᵀ, H = σ(A), z = H v + c 1, m = y z and

    ll = Σ_i log σ(m_i)        g = I(y=1) − σ(z)        D = (g vᵀ) ∘ σ'(A)

The notes' net is the one of two hidden units without biases. Arguments everywhere:

    net     weights w (k, d), b (k,), v (k,), c (a number)
    x       (n, d), one example a row
    y       (n,), labels −1 or +1
"""

from typing import Any, Generic, NamedTuple, TypeVar

from jaxtyping import Float

from manual_grad._arrays import Array, namespace
from manual_grad.domains import reals, signs
from manual_grad.network import residual
from manual_grad.sigmoid import log_sigmoid, sigmoid, sigmoid_derivative

T = TypeVar("T")
Nabla = Any
Number = Float[Array, ""]
Examples = Float[Array, "n d"]
Labels = Float[Array, " n"]
Units = Float[Array, "n k"]


class Net(NamedTuple, Generic[T]):
    """The weights of one hidden layer of k units and of the output. A NamedTuple, so to JAX it is a pytree."""

    w: T
    """(k, d), one row a hidden unit"""
    b: T
    """(k,), one bias a hidden unit"""
    v: T
    """(k,), one output weight a hidden unit"""
    c: T
    """the output's bias, a number"""


def preactivation(net: Net[Array], x: Examples) -> Units:
    """A = X Wᵀ + 1 bᵀ"""
    return x @ net.w.mT + net.b


def hidden(net: Net[Array], x: Examples) -> Units:
    """H = σ(A)"""
    return sigmoid(preactivation(net, x))


def score(net: Net[Array], x: Examples) -> Labels:
    """z = H v + c 1"""
    return hidden(net, x) @ net.v + net.c


def margin(net: Net[Array], x: Examples, y: Labels) -> Labels:
    """m = y z"""
    return y * score(net, x)


def log_likelihoods(net: Net[Array], x: Examples, y: Labels) -> Labels:
    """ll_i = log σ(m_i), one an example"""
    return log_sigmoid(margin(net, x, y))


def log_likelihood(net: Net[Array], x: Examples, y: Labels) -> Number:
    """ll = Σ_i log σ(m_i)"""
    return namespace(net, x).sum(log_likelihoods(net, x, y))


def g_of(net: Net[Array], x: Examples, y: Labels) -> Labels:
    """g = I(y=1) − σ(z), as y σ(−yz), which keeps its digits"""
    return residual(score(net, x), y)


def delta(net: Net[Array], x: Examples, y: Labels) -> Units:
    """D = (g vᵀ) ∘ σ'(A)"""
    return g_of(net, x, y)[:, None] * net.v * sigmoid_derivative(preactivation(net, x))


DOMAIN = (Net(reals("k", "d"), reals("k"), reals("k"), reals()), reals("n", "d"), signs("n"))
