"""The probit link: Φ, the normal distribution function, where the notes have σ. For z_i = wᵀx_i, by w.

    ll = Σ_i log Φ(m)        m = y z        ∇ll = Σ_i y φ(m)/Φ(m) x        φ(m)/Φ(m) = √(2/π) / erfcx(−m/√2)

In the textbook form φ/Φ both factors underflow from m = −38 down, where the ratio is about −m. The scaled complementary
error function erfcx(u) = e^{u²} erfc(u) has the exponentials cancelled, and keeps its digits in both tails.

Source: Bliss 1934; the inverse Mills ratio of Heckman's two-step estimator is the same function.
"""

from math import pi, sqrt

from jaxtyping import Float

from manual_grad._arrays import Array, namespace
from manual_grad._special import special
from manual_grad.derivation import Derivation
from manual_grad.domains import reals, signs
from manual_grad.extensions.net import Nabla

Vector = Float[Array, " d"]
Examples = Float[Array, "n d"]
Labels = Float[Array, " n"]


def score(w: Vector, x: Examples) -> Labels:
    """z = X w"""
    return x @ w


def normal_density(m: Labels) -> Labels:
    """φ(m) = e^(−m²/2)/√(2π)"""
    return namespace(m).exp(-m * m / 2) / sqrt(2 * pi)


def probability(w: Vector, x: Examples, y: Labels) -> Labels:
    """Φ(m),  m = y z"""
    functions, m = special(y * score(w, x))
    return functions.ndtr(m)


def margin(w: Vector, x: Examples, y: Labels) -> Labels:
    """m = y z"""
    return y * score(w, x)


def log_likelihood(w: Vector, x: Examples, y: Labels) -> Float[Array, ""]:
    """ll = Σ_i log Φ(m)"""
    return namespace(w, x).sum(namespace(w, x).log(probability(w, x, y)))


def line_1(w: Vector, x: Examples, y: Labels, nabla: Nabla) -> Vector:
    """Σ_i φ(m)/Φ(m) ∇m, since Φ' = φ"""
    m = margin(w, x, y)
    return (normal_density(m) / probability(w, x, y)) @ nabla(margin)(w, x, y)


def line_2(w: Vector, x: Examples, y: Labels, nabla: Nabla) -> Vector:
    """Σ_i y φ(z)/Φ(yz) ∇z, since φ is even"""
    z = score(w, x)
    return (y * normal_density(z) / probability(w, x, y)) @ nabla(score)(w, x)


def residual(z: Labels, y: Labels) -> Labels:
    """d log Φ(yz)/dz = y √(2/π) / erfcx(−yz/√2)"""
    functions, z, y = special(z, y)
    return y * sqrt(2 / pi) / functions.erfcx(-y * z / namespace(z).sqrt(namespace(z).asarray(2.0, dtype=z.dtype)))


def grad(w: Vector, x: Examples, y: Labels) -> Vector:
    """Σ_i y √(2/π) / erfcx(−yz/√2) x"""
    return residual(score(w, x), y) @ x


PROBIT = Derivation(
    "∇_w Σ log Φ(yz), the probit link",
    of=log_likelihood,
    wrt="w",
    domain=(reals("d"), reals("n", "d"), signs("n")),
    lines=[line_1, line_2, grad],
)
