"""The heat equation's adjoint: how the temperature at the end depends on that at the start, and on the diffusivity.

On a ring of m cells, u⁰ given, for t = 0, …, T − 1, with Δu_j = u_{j−1} − 2u_j + u_{j+1}:

    u^{t+1} = u^t + κ ∘ Δu^t        L = ½ ‖u^T − f‖²

    λ^T = u^T − f        λ^t = λ^{t+1} + Δ(κ ∘ λ^{t+1})        ∂u⁰ = λ⁰        ∂κ = Σ_t λ^{t+1} ∘ Δu^t

The adjoint λ^t = ∂L/∂u^t runs backward in time, by the transpose of the step: first κ, then Δ, since (diag(κ) Δ)ᵀ =
Δ diag(κ). The time step and the width of a cell are taken into κ.

Source: Lions, "Optimal Control of Systems Governed by Partial Differential Equations", 1971; here the discrete adjoint.
"""

from jaxtyping import Float

from manual_grad._arrays import Array, namespace
from manual_grad.derivation import Derivation, contract
from manual_grad.domains import positives, reals
from manual_grad.extensions.net import Nabla

Cells = Float[Array, " m"]
Number = Float[Array, ""]

STEPS = 3
"""T; the adjoint's recursion is the same for any number of steps"""


def laplacian(u: Cells) -> Cells:
    """Δu_j = u_{j−1} − 2u_j + u_{j+1}, on a ring"""
    xp = namespace(u)
    return xp.roll(u, 1) - 2 * u + xp.roll(u, -1)


def step(u: Cells, kappa: Cells) -> Cells:
    """u + κ ∘ Δu"""
    return u + kappa * laplacian(u)


def states(u: Cells, kappa: Cells) -> list[Cells]:
    """u⁰, …, u^T"""
    found = [u]
    for _ in range(STEPS):
        found.append(step(found[-1], kappa))
    return found


def final(u: Cells, kappa: Cells) -> Cells:
    """u^T"""
    return states(u, kappa)[-1]


def misfit(u: Cells, kappa: Cells, f: Cells) -> Number:
    """L = ½ ‖u^T − f‖²"""
    rest = final(u, kappa) - f
    return namespace(rest).sum(rest * rest) / 2


def adjoints(u: Cells, kappa: Cells, f: Cells) -> list[Cells]:
    """λ⁰, …, λ^T:  λ^T = u^T − f,  λ^t = λ^{t+1} + Δ(κ ∘ λ^{t+1})"""
    found = [final(u, kappa) - f]
    for _ in range(STEPS):
        found.append(found[-1] + laplacian(kappa * found[-1]))
    return found[::-1]


def line_1(u: Cells, kappa: Cells, f: Cells, nabla: Nabla) -> Cells:
    """Σ_j (u^T − f) ∇u^T"""
    return contract(final(u, kappa) - f, nabla(final)(u, kappa))


def start_2(u: Cells, kappa: Cells, f: Cells, nabla: Nabla) -> Cells:
    """Σ_j λ¹_j ∇step(u⁰)_j: the later steps depend on u⁰ through u¹ alone"""
    return contract(adjoints(u, kappa, f)[1], nabla(step)(u, kappa))


def grad_u(u: Cells, kappa: Cells, f: Cells) -> Cells:
    """λ⁰ = λ¹ + Δ(κ ∘ λ¹)"""
    return adjoints(u, kappa, f)[0]


def kappa_2(u: Cells, kappa: Cells, f: Cells, nabla: Nabla) -> Cells:
    """Σ_t Σ_j λ^{t+1}_j ∇_κ step(u^t)_j, u^t held fixed"""
    pairs = zip(states(u, kappa)[:-1], adjoints(u, kappa, f)[1:], strict=True)
    return sum(contract(later, nabla(step)(before, kappa)) for before, later in pairs)


def grad_kappa(u: Cells, kappa: Cells, f: Cells) -> Cells:
    """Σ_t λ^{t+1} ∘ Δu^t"""
    pairs = zip(states(u, kappa)[:-1], adjoints(u, kappa, f)[1:], strict=True)
    return sum(later * laplacian(before) for before, later in pairs)


DOMAIN = (reals("m"), positives("m"), reals("m"))
SIZES = {"m": (3, 5)}
START = Derivation(
    "∇ by the start of the heat equation", of=misfit, wrt="u", domain=DOMAIN, lines=[line_1, start_2, grad_u], sizes=SIZES
)
KAPPA = Derivation(
    "∇ by the diffusivity of the heat equation",
    of=misfit,
    wrt="kappa",
    domain=DOMAIN,
    lines=[line_1, kappa_2, grad_kappa],
    sizes=SIZES,
)
