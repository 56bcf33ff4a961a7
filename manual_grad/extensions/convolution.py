"""A convolution, as nets have it, by its filter: a_it = Σ_k w_k x_{i,t+k} + b, h = σ(a), z_i = Σ_t h_it.

    δ_it = g_i σ'(a_it)        ∂w_k = Σ_it δ_it x_{i,t+k}        ∂b = Σ_it δ_it        ∂x_is = Σ_k w_k δ_{i,s−k}

The gradient by the filter is the same operation as the layer, with δ for the filter; the one by the input turns the filter
round and pads δ with zeros. A weight that is shared collects what each of its uses would get.

Source: LeCun et al., "Backpropagation Applied to Handwritten Zip Code Recognition", 1989.
"""

from jaxtyping import Float

from manual_grad._arrays import Array, namespace
from manual_grad.derivation import Derivation, contract
from manual_grad.domains import reals, signs
from manual_grad.extensions.net import Nabla
from manual_grad.network import residual
from manual_grad.sigmoid import log_sigmoid, sigmoid, sigmoid_derivative

Filter = Float[Array, " k"]
Number = Float[Array, ""]
Signals = Float[Array, "n t"]
Outputs = Float[Array, "n t-k+1"]
Labels = Float[Array, " n"]


def preactivation(w: Filter, b: Number, x: Signals) -> Outputs:
    """a_it = Σ_k w_k x_{i,t+k} + b"""
    length = x.shape[1] - w.shape[0] + 1
    return sum(w[k] * x[:, k : k + length] for k in range(w.shape[0])) + b


def hidden(w: Filter, b: Number, x: Signals) -> Outputs:
    """h_it = σ(a_it)"""
    return sigmoid(preactivation(w, b, x))


def score(w: Filter, b: Number, x: Signals) -> Labels:
    """z_i = Σ_t h_it"""
    return namespace(w, x).sum(hidden(w, b, x), axis=1)


def log_likelihood(w: Filter, b: Number, x: Signals, y: Labels) -> Number:
    """ll = Σ_i log σ(y z)"""
    return namespace(w, x).sum(log_sigmoid(y * score(w, b, x)))


def delta(w: Filter, b: Number, x: Signals, y: Labels) -> Outputs:
    """δ_it = g_i σ'(a_it),  g = I(y=1) − σ(z)"""
    return residual(score(w, b, x), y)[:, None] * sigmoid_derivative(preactivation(w, b, x))


def line_1(w: Filter, b: Number, x: Signals, y: Labels, nabla: Nabla) -> Array:
    """Σ_i g ∇z,  g = I(y=1) − σ(z)"""
    return contract(residual(score(w, b, x), y), nabla(score)(w, b, x))


def line_2(w: Filter, b: Number, x: Signals, y: Labels, nabla: Nabla) -> Array:
    """Σ_it g_i ∇h_it"""
    g = residual(score(w, b, x), y)[:, None]
    return contract(g * namespace(w, x).ones_like(hidden(w, b, x)), nabla(hidden)(w, b, x))


def line_3(w: Filter, b: Number, x: Signals, y: Labels, nabla: Nabla) -> Array:
    """Σ_it δ_it ∇a_it,  δ_it = g_i σ'(a_it)"""
    return contract(delta(w, b, x, y), nabla(preactivation)(w, b, x))


def grad_w(w: Filter, b: Number, x: Signals, y: Labels) -> Filter:
    """Σ_it δ_it x_{i,t+k}"""
    xp, d = namespace(w, x), delta(w, b, x, y)
    return xp.stack([xp.sum(d * x[:, k : k + d.shape[1]]) for k in range(w.shape[0])])


def grad_b(w: Filter, b: Number, x: Signals, y: Labels) -> Number:
    """Σ_it δ_it"""
    return namespace(w, x).sum(delta(w, b, x, y))


def grad_x(w: Filter, b: Number, x: Signals, y: Labels) -> Signals:
    """Σ_k w_k δ_{i,s−k}, δ being 0 outside"""
    xp, d = namespace(w, x), delta(w, b, x, y)
    rest = xp.zeros((x.shape[0], w.shape[0] - 1), dtype=d.dtype)
    padded = xp.concat([rest, d, rest], axis=1)
    return sum(w[k] * padded[:, w.shape[0] - 1 - k : w.shape[0] - 1 - k + x.shape[1]] for k in range(w.shape[0]))


DOMAIN = (reals(3), reals(), reals("n", "t"), signs("n"))
SIZES = {"t": (4, 6)}
W = Derivation(
    "∇_w ll of a convolution", of=log_likelihood, wrt="w", domain=DOMAIN, lines=[line_1, line_2, line_3, grad_w], sizes=SIZES
)
B = Derivation(
    "∇_b ll of a convolution", of=log_likelihood, wrt="b", domain=DOMAIN, lines=[line_1, line_2, line_3, grad_b], sizes=SIZES
)
X = Derivation(
    "∇_X ll of a convolution", of=log_likelihood, wrt="x", domain=DOMAIN, lines=[line_1, line_2, line_3, grad_x], sizes=SIZES
)
