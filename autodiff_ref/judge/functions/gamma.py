"""Γ, its logarithm and derivatives, the incomplete Γ and B functions, and ζ, over balls.

Where a function is not defined on all of a ball, because that holds a pole or reaches out of its domain, what comes back is
not finite.
"""

import flint
from flint import acb, arb

from autodiff_ref.judge.functions.enclosing import NAN, ONE, ZERO, monotone

FAR = 4000
"""arguments from which a series of about twice as many terms is not summed"""


def _between_poles(x: arb) -> bool:
    """Whether a ball holds none of 0, −1, −2, …"""
    return bool(x > 0) or not (x.contains_integer() or not x.is_finite())


def lgamma(x: arb) -> arb:
    """log |Γ(x)|"""
    return x.lgamma() if x > 0 else abs(x.gamma()).log()


_digamma = monotone(arb.digamma, 1)


def digamma(x: arb) -> arb:
    """ψ(x), which grows between poles."""
    return _digamma(x) if _between_poles(x) else NAN


def _polygamma(m: int, x: arb) -> arb:
    if x > 0:
        value = arb(m + 1).gamma() * arb(m + 1).zeta(x)
        return value if m % 2 else -value
    return acb(x).polygamma(acb(m)).real


def polygamma(m: arb, x: arb) -> arb:
    """ψ^(m)(x), the m-th derivative of ψ, for an integer m ≥ 0: over x > 0 it grows for even m, and falls for odd ones."""
    order = int(m.unique_fmpz() or 0) if m.is_exact() and m.is_integer() else -1
    if order < 0 or not _between_poles(x):
        return NAN
    if order == 0:
        return digamma(x)
    if x > 0:
        return monotone(lambda u: _polygamma(order, u), -1 if order % 2 else 1)(x)
    return _polygamma(order, x)


def zeta(s: arb, a: arb) -> arb:
    """ζ(s, a) = Σ 1/(n + a)^s for s > 1; below a = 0 for an integer s only, between poles."""
    if not s > 1:
        return NAN
    if a > 0 and s > FAR:
        first, second = (-s * a.log()).exp(), (-s * (a + 1).log()).exp()
        return first + second * (1 + (a + 1) / (s - 1) * arb(0.5, 0.5))  # Σ_{n>1} lies between 0 and its integral
    if a > 0:
        return monotone(s.zeta, -1)(a) if s.is_exact() else s.zeta(a)
    if not (s.is_exact() and s.is_integer() and _between_poles(a)):
        return NAN
    return acb(s).zeta(acb(a)).real


def _gamma_lower(a: arb, x: arb) -> arb:
    return ZERO if x == 0 else x.gamma_lower(a, 1)


def _gamma_upper(a: arb, x: arb) -> arb:
    return ONE if x == 0 else x.gamma_upper(a, 1)


_igamma = monotone(_gamma_lower, -1, 1)
_igammac = monotone(_gamma_upper, 1, -1)


def igamma(a: arb, x: arb) -> arb:
    """P(a, x) = γ(a, x)/Γ(a), for a > 0 and x ≥ 0: it falls in a and grows in x."""
    return _igamma(a, x) if a > 0 and x >= 0 else NAN


def igammac(a: arb, x: arb) -> arb:
    """Q(a, x) = 1 − P(a, x)"""
    return _igammac(a, x) if a > 0 and x >= 0 else NAN


def _beta_lower(a: arb, b: arb, x: arb) -> arb:
    return ZERO if x == 0 else ONE if x == 1 else x.beta_lower(a, b, 1)


_betainc = monotone(_beta_lower, -1, 1, 1)


def betainc(a: arb, b: arb, x: arb) -> arb:
    """I_x(a, b), for a, b > 0 and 0 ≤ x ≤ 1: it falls in a, and grows in b and in x."""
    return _betainc(a, b, x) if a > 0 and b > 0 and x >= 0 and x <= 1 else NAN


def _slopes_in_a(a: arb, x: arb) -> tuple[arb, arb]:
    """∂P(a, x)/∂a = Σ_n p_n d_n with p_n = x^(a+n) e^−x / Γ(a+n+1) and d_n = log x − ψ(a+n+1), and ∂²P/∂a².

    The latter is Σ_n p_n (d_n² − ψ′(a+n+1)). Once a + n + 1 ≥ 2x, each step at least halves p, adds at most 1 to |d| and
    makes ψ′ smaller. So what is left out of the first sum is at most p_n Σ_k 2^−k (|d_n| + k) = 2 p_n (|d_n| + 1), and of
    the second at most p_n Σ_k 2^−k ((|d_n| + k)² + ψ′). Where x > a, terms as large as 1 cancel down to about e^(a−x).
    """
    before, beyond = (max(0, int(float(bound.upper())) + 2) for bound in (2 * x - a, x - a))
    with flint.ctx.workprec(flint.ctx.prec + 20 + beyond * 3 // 2):
        at = a + 1
        p, d, trigamma = (a * x.log() - x - at.lgamma()).exp(), x.log() - digamma(at), polygamma(ONE, at)
        first, second, left_out, left_out_too = ZERO, ZERO, NAN, NAN
        enough = (p * (abs(d) + 1)).abs_upper() * arb(2) ** (-flint.ctx.prec)
        for _ in range(before + 2 * flint.ctx.prec):
            left_out = 2 * p * (abs(d) + 1)
            left_out_too = p * (2 * d * d + 4 * abs(d) + 6 + 2 * trigamma)
            if at > 2 * x and not left_out > enough:
                break
            first, second = first + p * d, second + p * (d * d - trigamma)
            p, d, trigamma, at = p * x / at, d - 1 / at, trigamma - 1 / (at * at), at + 1
        return first + arb(0, left_out.abs_upper()), second + arb(0, left_out_too.abs_upper())


def igamma_grad_a(a: arb, x: arb) -> arb:
    """∂P(a, x)/∂a, for a > 0 and x ≥ 0; over balls by its value in their middle and by its slopes over them."""
    if not (a > 0 and a < FAR and x >= 0 and x < FAR):
        return NAN
    if x == 0:
        return ZERO
    if not x > 0:
        return NAN
    over, by_a = _slopes_in_a(a, x)
    if not (a.is_exact() and x.is_exact()):
        by_x = ((a - 1) * x.log() - x - a.lgamma()).exp() * (x.log() - digamma(a))
        middle, _ = _slopes_in_a(a.mid(), x.mid())
        linear = middle + by_a * (a - a.mid()) + by_x * (x - x.mid())
        over = over if not linear.is_finite() or over.rad() < linear.rad() else linear
    return +over
