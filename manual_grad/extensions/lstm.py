"""One step of an LSTM, with what arrives from later: E for the new h, F for the new c.

For each gate q of i, f, g, o: A_q = X W_qᵀ + H U_qᵀ + 1 b_qᵀ, and

    i, f, o = σ(A_i), σ(A_f), σ(A_o)        g = tanh(A_g)        c' = f ∘ c + i ∘ g        h' = o ∘ tanh(c')

    δ_c = F + E ∘ o ∘ tanh'(c')
    δ_i = δ_c ∘ g ∘ σ'(A_i)    δ_f = δ_c ∘ c ∘ σ'(A_f)    δ_g = δ_c ∘ i ∘ tanh'(A_g)    δ_o = E ∘ tanh(c') ∘ σ'(A_o)

    ∂W_q = δ_qᵀ X    ∂U_q = δ_qᵀ H    ∂b_q = δ_qᵀ 1    ∂c = δ_c ∘ f    ∂h = Σ_q δ_q U_q

∂c and ∂h are the F and E of the step before.

Source: Hochreiter and Schmidhuber, "Long Short-Term Memory", 1997, with the forget gate of Gers et al., 2000.
"""

from typing import Generic, NamedTuple, TypeVar

from jaxtyping import Float

from manual_grad._arrays import Array, namespace
from manual_grad.activations import tanh, tanh_derivative
from manual_grad.derivation import Derivation, contract
from manual_grad.domains import reals
from manual_grad.extensions.net import Nabla
from manual_grad.sigmoid import sigmoid, sigmoid_derivative

T = TypeVar("T")
Inputs = Float[Array, "n m"]
Units = Float[Array, "n k"]
Gates = Float[Array, "4 n k"]
Number = Float[Array, ""]


class Cell(NamedTuple, Generic[T]):
    """The weights of the gates i, f, g, o, in this order along the first axis."""

    w: T
    """(4, k, m), of the inputs"""
    u: T
    """(4, k, k), of the units before"""
    b: T
    """(4, k)"""


def preactivations(cell: Cell[Array], x: Inputs, h: Units) -> Gates:
    """A_q = X W_qᵀ + H U_qᵀ + 1 b_qᵀ"""
    return x @ cell.w.mT + h @ cell.u.mT + cell.b[:, None, :]


def gates(cell: Cell[Array], x: Inputs, h: Units) -> Gates:
    """i, f, g, o"""
    a = preactivations(cell, x, h)
    return namespace(a).stack([sigmoid(a[0]), sigmoid(a[1]), tanh(a[2]), sigmoid(a[3])])


def state(cell: Cell[Array], x: Inputs, h: Units, c: Units) -> Units:
    """c' = f ∘ c + i ∘ g"""
    i, f, g, _ = _each(gates(cell, x, h))
    return f * c + i * g


def _each(q: Gates) -> tuple[Units, Units, Units, Units]:
    return q[0], q[1], q[2], q[3]


def carried(cell: Cell[Array], x: Inputs, h: Units, c: Units, e: Units, f: Units) -> Number:
    """Σ E ∘ h' + F ∘ c',  h' = o ∘ tanh(c')"""
    new = state(cell, x, h, c)
    return namespace(new).sum(e * gates(cell, x, h)[3] * tanh(new) + f * new)


def by_state(cell: Cell[Array], x: Inputs, h: Units, c: Units, e: Units, f: Units) -> Units:
    """δ_c = F + E ∘ o ∘ tanh'(c')"""
    return f + e * gates(cell, x, h)[3] * tanh_derivative(state(cell, x, h, c))


def line_1(cell: Cell[Array], x: Inputs, h: Units, c: Units, e: Units, f: Units, nabla: Nabla) -> Array:
    """Σ δ_c ∇c' + Σ E tanh(c') ∇o,  δ_c = F + E ∘ o ∘ tanh'(c')"""
    xp = namespace(cell, x, h)
    by_output = e * tanh(state(cell, x, h, c))
    nothing = xp.zeros_like(by_output)
    by_gate = xp.stack([nothing, nothing, nothing, by_output])
    through_state = contract(by_state(cell, x, h, c, e, f), nabla(state)(cell, x, h, c))
    through_output = contract(by_gate, nabla(gates)(cell, x, h))
    if isinstance(through_state, Cell):
        return Cell(*(one + other for one, other in zip(through_state, through_output, strict=True)))
    return through_state + through_output


def line_2(cell: Cell[Array], x: Inputs, h: Units, c: Units, e: Units, f: Units, nabla: Nabla) -> Array:
    """Σ δ_q ∇A_q"""
    return contract(deltas(cell, x, h, c, e, f), nabla(preactivations)(cell, x, h))


def deltas(cell: Cell[Array], x: Inputs, h: Units, c: Units, e: Units, f: Units) -> Gates:
    """δ_i, δ_f, δ_g, δ_o"""
    a, d_c = preactivations(cell, x, h), by_state(cell, x, h, c, e, f)
    i, _, g, _ = _each(gates(cell, x, h))
    by_gate = [
        d_c * g * sigmoid_derivative(a[0]),
        d_c * c * sigmoid_derivative(a[1]),
        d_c * i * tanh_derivative(a[2]),
        e * tanh(state(cell, x, h, c)) * sigmoid_derivative(a[3]),
    ]
    return namespace(a).stack(by_gate)


def grad_cell(cell: Cell[Array], x: Inputs, h: Units, c: Units, e: Units, f: Units) -> Cell[Array]:
    """δ_qᵀ X, δ_qᵀ H, δ_qᵀ 1"""
    d = deltas(cell, x, h, c, e, f)
    return Cell(d.mT @ x, d.mT @ h, namespace(d).sum(d, axis=1))


def grad_h(cell: Cell[Array], x: Inputs, h: Units, c: Units, e: Units, f: Units) -> Units:
    """Σ_q δ_q U_q"""
    d = deltas(cell, x, h, c, e, f)
    return namespace(d).sum(d @ cell.u, axis=0)


def state_1(cell: Cell[Array], x: Inputs, h: Units, c: Units, e: Units, f: Units, nabla: Nabla) -> Units:
    """Σ δ_c ∇c'"""
    return contract(by_state(cell, x, h, c, e, f), nabla(state)(cell, x, h, c))


def grad_c(cell: Cell[Array], x: Inputs, h: Units, c: Units, e: Units, f: Units) -> Units:
    """δ_c ∘ f"""
    return by_state(cell, x, h, c, e, f) * gates(cell, x, h)[1]


UNITS = reals("n", "k")
DOMAIN = (Cell(reals(4, "k", "m"), reals(4, "k", "k"), reals(4, "k")), reals("n", "m"), UNITS, UNITS, UNITS, UNITS)
SIZES = {"n": (1, 3), "k": (1, 3), "m": (1, 3)}
CELL = Derivation(
    "∇ by the cell of an LSTM", of=carried, wrt=None, domain=DOMAIN, lines=[line_1, line_2, grad_cell], sizes=SIZES
)
H = Derivation("∇_h of a step of an LSTM", of=carried, wrt="h", domain=DOMAIN, lines=[line_1, line_2, grad_h], sizes=SIZES)
C = Derivation("∇_c of a step of an LSTM", of=carried, wrt="c", domain=DOMAIN, lines=[state_1, grad_c], sizes=SIZES)
