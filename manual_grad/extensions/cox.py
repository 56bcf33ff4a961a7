"""Cox regression: the log of the partial likelihood by w. Times t_i, events e_i (1) or censored (0), η = X w.

    ll = Σ_i e_i (η_i − log Σ_{j: t_j ≥ t_i} e^{η_j})        P_ij = I(t_j ≥ t_i) e^{η_j} / Σ_{l: t_l ≥ t_i} e^{η_l}

    ∇_w ll = Xᵀ (e − Pᵀ e) = Σ_i e_i (x_i − Σ_j P_ij x_j)

Row i of P is a softmax over the risk set of i: those whose time has not come before. Tied times are Breslow's.

Source: Cox, "Regression Models and Life-Tables", 1972.
"""

from jaxtyping import Bool, Float

from manual_grad._arrays import Array, namespace
from manual_grad.derivation import Derivation, contract
from manual_grad.domains import bits, reals
from manual_grad.extensions.net import Nabla

Vector = Float[Array, " d"]
Examples = Float[Array, "n d"]
Values = Float[Array, " n"]
Pairs = Float[Array, "n n"]


def linear(w: Vector, x: Examples) -> Values:
    """η = X w"""
    return x @ w


def at_risk(t: Values) -> Bool[Array, "n n"]:
    """I(t_j ≥ t_i)"""
    return t[None, :] >= t[:, None]


def risk(w: Vector, x: Examples, t: Values) -> Values:
    """S_i = Σ_{j: t_j ≥ t_i} e^{η_j}"""
    xp = namespace(w, x)
    return xp.sum(xp.where(at_risk(t), xp.exp(linear(w, x))[None, :], 0), axis=1)


def log_partial_likelihood(w: Vector, x: Examples, t: Values, e: Values) -> Float[Array, ""]:
    """ll = Σ_i e (η − log S)"""
    xp = namespace(w, x)
    return xp.sum(e * (linear(w, x) - xp.log(risk(w, x, t))))


def line_1(w: Vector, x: Examples, t: Values, e: Values, nabla: Nabla) -> Vector:
    """Σ_i e (∇η − 1/S ∇S)"""
    return contract(e, nabla(linear)(w, x)) - contract(e / risk(w, x, t), nabla(risk)(w, x, t))


def line_2(w: Vector, x: Examples, t: Values, e: Values, nabla: Nabla) -> Vector:
    """Σ_i e (∇η_i − Σ_j I(t_j ≥ t_i) e^{η_j}/S_i ∇η_j)"""
    xp, by_w = namespace(w, x), nabla(linear)(w, x)
    shares = xp.where(at_risk(t), xp.exp(linear(w, x))[None, :], 0) / risk(w, x, t)[:, None]
    return contract(e, by_w - shares @ by_w)


def risk_shares(w: Vector, x: Examples, t: Values) -> Pairs:
    """P_ij, each row shifted by the largest η of its risk set, so that nothing overflows"""
    xp, eta, inside = namespace(w, x), linear(w, x), at_risk(t)
    largest = xp.max(xp.where(inside, eta[None, :], eta[:, None]), axis=1, keepdims=True)
    shifted = xp.where(inside, xp.exp(xp.where(inside, eta[None, :] - largest, 0)), 0)
    return shifted / xp.sum(shifted, axis=1, keepdims=True)


def grad(w: Vector, x: Examples, t: Values, e: Values) -> Vector:
    """Xᵀ (e − Pᵀ e)"""
    return x.mT @ (e - risk_shares(w, x, t).mT @ e)


COX = Derivation(
    "∇_w of Cox's partial likelihood",
    of=log_partial_likelihood,
    wrt="w",
    domain=(reals("d"), reals("n", "d"), reals("n"), bits("n")),
    lines=[line_1, line_2, grad],
)
