"""Gauss-Newton and Fisher: the part of the Hessian that is never indefinite, by W of `manual_grad.extensions.net`.

With J = ∇_W z, one row an example, g = I(y=1) − σ(z) and q = σ(z) σ(−z):

    F = Jᵀ diag(q) J        −∇²ll = F − Σ_i g_i ∇²z_i

F is the Fisher information as well. If the labels are drawn with P(y=1) = p, the expected log-likelihood
E = Σ_i p log σ(z) + (1 − p) log σ(−z) has −∇²E = F − Σ_i (p − σ(z)) ∇²z, which is F where p = σ(z): where the net itself
draws the labels. The *empirical* Fisher Σ_i g_i² J_i J_iᵀ takes the labels that were observed. It is another matrix, and
equals F on average over y only.

Sources: Schraudolph, "Fast Curvature Matrix-Vector Products", 2002; Kunstner, Balles and Hennig, "Limitations of the
empirical Fisher approximation", 2019.
"""

from jaxtyping import Float

from manual_grad._arrays import Array, namespace
from manual_grad.derivation import Derivation
from manual_grad.domains import intervals
from manual_grad.extensions.hessian import contract_first, curvature, q_of, slope
from manual_grad.extensions.net import DOMAIN, Examples, Labels, Nabla, Net, Number, g_of, log_likelihood, score
from manual_grad.sigmoid import log_sigmoid, sigmoid

Matrices = Float[Array, "n k d"]
WideBlock = Float[Array, "k d k d"]


def jacobian(net: Net[Array], x: Examples) -> Matrices:
    """J_i = ∇_W z_i = (v ∘ s'_i) x_iᵀ"""
    return (net.v * slope(net, x))[:, :, None] * x[:, None, :]


def fisher(net: Net[Array], x: Examples) -> WideBlock:
    """F = Σ_i q_i J_i ⊗ J_i"""
    j = jacobian(net, x)
    return contract_first(q_of(net, x)[:, None, None] * j, j)


def empirical_fisher(net: Net[Array], x: Examples, y: Labels) -> WideBlock:
    """Σ_i g_i² J_i ⊗ J_i: another matrix than F"""
    j = jacobian(net, x)
    return contract_first(g_of(net, x, y)[:, None, None] ** 2 * j, j)


def curvature_of_score(net: Net[Array], x: Examples, c: Labels) -> WideBlock:
    """Σ_i c_i ∇²z_i = Σ_i c_i [j=l] v_j s''_j x xᵀ"""
    xp, bent = namespace(net, x), c[:, None] * net.v * curvature(net, x)
    same = xp.eye(bent.shape[1], dtype=bent.dtype)
    by_unit = contract_first(bent, x[:, :, None] * x[:, None, :])  # (k, d, d)
    return xp.permute_dims(same[:, :, None, None] * by_unit[:, None], (0, 2, 1, 3))


def minus_gradient(net: Net[Array], x: Examples, y: Labels, nabla: Nabla) -> Array:
    """−∇_W ll"""
    return -nabla(log_likelihood)(net, x, y)


def score_gradient(net: Net[Array], x: Examples, nabla: Nabla) -> Matrices:
    """∇_W z_i, one an example"""
    return nabla(score)(net, x)


def line_1(net: Net[Array], x: Examples, y: Labels, nabla: Nabla) -> WideBlock:
    """−Σ_i ∇z ⊗ ∇g + g ∇²z, since ∇ll = Σ_i g ∇z"""
    by_g = contract_first(nabla(score)(net, x), nabla(g_of)(net, x, y))
    return -(by_g + contract_first(g_of(net, x, y), nabla(score_gradient)(net, x)))


def line_2(net: Net[Array], x: Examples, y: Labels, nabla: Nabla) -> WideBlock:
    """Σ_i q ∇z ⊗ ∇z − g ∇²z"""
    j = nabla(score)(net, x)
    bent = contract_first(g_of(net, x, y), nabla(score_gradient)(net, x))
    return contract_first(q_of(net, x)[:, None, None] * j, j) - bent


def line_3(net: Net[Array], x: Examples, y: Labels, nabla: Nabla) -> WideBlock:
    """F − Σ_i g ∇²z"""
    return fisher(net, x) - contract_first(g_of(net, x, y), nabla(score_gradient)(net, x))


def minus_hessian(net: Net[Array], x: Examples, y: Labels) -> WideBlock:
    """F − Σ_i g [j=l] v_j s''_j x xᵀ"""
    return fisher(net, x) - curvature_of_score(net, x, g_of(net, x, y))


GAUSS_NEWTON = Derivation(
    "−∇²_W ll = F − Σ g ∇²z",
    of=minus_gradient,
    wrt="w",
    domain=DOMAIN,
    lines=[line_1, line_2, line_3, minus_hessian],
    sizes={"k": (2, 3), "d": (2, 4)},
)


# Labels drawn with P(y=1) = p


def expected_log_likelihood(net: Net[Array], x: Examples, p: Labels) -> Number:
    """E = Σ_i p log σ(z) + (1 − p) log σ(−z)"""
    z = score(net, x)
    return namespace(net, x).sum(p * log_sigmoid(z) + (1 - p) * log_sigmoid(-z))


def minus_expected_gradient(net: Net[Array], x: Examples, p: Labels, nabla: Nabla) -> Array:
    """−∇_W E"""
    return -nabla(expected_log_likelihood)(net, x, p)


def expected_residual(net: Net[Array], x: Examples, p: Labels) -> Labels:
    """p − σ(z)"""
    return p - sigmoid(score(net, x))


def expected_1(net: Net[Array], x: Examples, p: Labels, nabla: Nabla) -> WideBlock:
    """−Σ_i ∇z ⊗ ∇(p − σ(z)) + (p − σ(z)) ∇²z"""
    by_g = contract_first(nabla(score)(net, x), nabla(expected_residual)(net, x, p))
    return -(by_g + contract_first(expected_residual(net, x, p), nabla(score_gradient)(net, x)))


def expected_2(net: Net[Array], x: Examples, p: Labels) -> WideBlock:
    """F − Σ_i (p − σ(z)) ∇²z: F alone where p = σ(z)"""
    return fisher(net, x) - curvature_of_score(net, x, expected_residual(net, x, p))


FISHER = Derivation(
    "−∇²_W E[ll], labels drawn with P(y=1) = p",
    of=minus_expected_gradient,
    wrt="w",
    domain=(*DOMAIN[:2], intervals(0, 1, "n")),
    lines=[expected_1, expected_2],
    sizes={"k": (2, 3), "d": (2, 4)},
)
