"""The log-likelihood of a multivariate normal distribution, by its mean μ, its covariance Σ, and its Cholesky factor L.

But for a constant, with S = Σ_i (x_i − μ)(x_i − μ)ᵀ,

    ll = −n/2 log det Σ − ½ tr(Σ⁻¹ S)

    ∂μ = Σ⁻¹ Σ_i (x_i − μ)        ∂Σ = ½ (Σ⁻¹ S Σ⁻¹ − n Σ⁻¹)        ∂L = tril(L⁻ᵀ R Rᵀ) − n diag(1/L_jj),  R = L⁻¹ (X − μ)ᵀ

∂Σ takes the d² entries as independent variables. By the entries of a symmetric Σ, those off the diagonal count twice.
L is the better variable: no inverse of Σ is formed, and Σ = L Lᵀ stays positive definite.

Source: Magnus and Neudecker, "Matrix Differential Calculus", 1988; d log det Σ = tr(Σ⁻¹ dΣ), dΣ⁻¹ = −Σ⁻¹ dΣ Σ⁻¹.
"""

from jaxtyping import Float

from manual_grad._arrays import Array, namespace
from manual_grad.derivation import Derivation, contract
from manual_grad.domains import lower_triangular, positive_definite, reals
from manual_grad.extensions.net import Nabla

Vector = Float[Array, " d"]
Matrix = Float[Array, "d d"]
Examples = Float[Array, "n d"]
Number = Float[Array, ""]


def scatter(mu: Vector, x: Examples) -> Matrix:
    """S = Σ_i (x_i − μ)(x_i − μ)ᵀ"""
    return (x - mu).mT @ (x - mu)


def log_det(sigma: Matrix) -> Number:
    """log det Σ"""
    return namespace(sigma).linalg.slogdet(sigma)[1]


def precision(sigma: Matrix) -> Matrix:
    """Σ⁻¹"""
    return namespace(sigma).linalg.inv(sigma)


def log_likelihood(mu: Vector, sigma: Matrix, x: Examples) -> Number:
    """ll = −n/2 log det Σ − ½ tr(Σ⁻¹ S)"""
    quadratic = namespace(mu, sigma, x).sum(precision(sigma) * scatter(mu, x))
    return -x.shape[0] * log_det(sigma) / 2 - quadratic / 2


def mean_1(mu: Vector, sigma: Matrix, x: Examples, nabla: Nabla) -> Vector:
    """−½ Σ_jl Σ⁻¹_jl ∇S_jl"""
    return -contract(precision(sigma), nabla(scatter)(mu, x)) / 2


def grad_mu(mu: Vector, sigma: Matrix, x: Examples) -> Vector:
    """Σ⁻¹ Σ_i (x_i − μ)"""
    xp = namespace(mu, sigma, x)
    return xp.linalg.solve(sigma, xp.sum(x - mu, axis=0))


def line_1(mu: Vector, sigma: Matrix, x: Examples, nabla: Nabla) -> Matrix:
    """−n/2 ∇log det Σ − ½ Σ_jl S_jl ∇Σ⁻¹_jl"""
    return -x.shape[0] * nabla(log_det)(sigma) / 2 - contract(scatter(mu, x), nabla(precision)(sigma)) / 2


def grad_sigma(mu: Vector, sigma: Matrix, x: Examples) -> Matrix:
    """½ (Σ⁻¹ S Σ⁻¹ − n Σ⁻¹)"""
    k = precision(sigma)
    return (k @ scatter(mu, x) @ k - x.shape[0] * k) / 2


def whitened(low: Matrix, mu: Vector, x: Examples) -> Examples:
    """R = L⁻¹ (X − μ)ᵀ, of the lower triangle of L"""
    xp = namespace(low, mu, x)
    return xp.linalg.solve(xp.tril(low), (x - mu).mT)


def log_diagonal(low: Matrix) -> Number:
    """Σ_j log L_jj = ½ log det L Lᵀ"""
    return namespace(low).sum(namespace(low).log(namespace(low).linalg.diagonal(low)))


def log_likelihood_by_factor(low: Matrix, mu: Vector, x: Examples) -> Number:
    """ll = −n Σ_j log L_jj − ½ ‖R‖²"""
    r = whitened(low, mu, x)
    return -x.shape[0] * log_diagonal(low) - namespace(r).sum(r * r) / 2


def factor_1(low: Matrix, mu: Vector, x: Examples, nabla: Nabla) -> Matrix:
    """−n ∇Σ log L_jj − Σ R ∇R"""
    return -x.shape[0] * nabla(log_diagonal)(low) - contract(whitened(low, mu, x), nabla(whitened)(low, mu, x))


def grad_factor(low: Matrix, mu: Vector, x: Examples) -> Matrix:
    """tril(L⁻ᵀ R Rᵀ) − n diag(1/L_jj), since dR = −L⁻¹ dL R"""
    xp, r = namespace(low, mu, x), whitened(low, mu, x)
    inverse = xp.eye(low.shape[0], dtype=low.dtype) / xp.linalg.diagonal(low)
    return xp.tril(xp.linalg.solve(xp.tril(low).mT, r @ r.mT)) - x.shape[0] * inverse


DOMAIN = (reals("d"), positive_definite("d"), reals("n", "d"))
SIZES = {"d": (2, 3)}
MU = Derivation(
    "∇_μ ll, normal distribution", of=log_likelihood, wrt="mu", domain=DOMAIN, lines=[mean_1, grad_mu], sizes=SIZES
)
SIGMA = Derivation(
    "∇_Σ ll, normal distribution", of=log_likelihood, wrt="sigma", domain=DOMAIN, lines=[line_1, grad_sigma], sizes=SIZES
)
CHOLESKY = Derivation(
    "∇_L ll, Σ = L Lᵀ",
    of=log_likelihood_by_factor,
    wrt="low",
    domain=(lower_triangular("d"), reals("d"), reals("n", "d")),
    lines=[factor_1, grad_factor],
    sizes=SIZES,
)
