"""Rows of functions of JAX's library: what is meant by them, where JAX has series and rational approximations.

A line about Ei is about ∫ eᵗ/t dt, not about the polynomials that `jax.scipy.special.expi` adds up. `program.recognised`
finds them in a program.
"""

from types import ModuleType
from typing import SupportsInt

import flint
from flint import arb
from jax.scipy import special

from autodiff_ref.judge.functions.enclosing import NAN, ONE, ZERO, by_slope, monotone
from autodiff_ref.judge.functions.gamma import lgamma
from autodiff_ref.judge.functions.row import BELOW_0_TOO, MODERATE, Called, Function, Mpf, Spelled


def as_ball(value: arb | SupportsInt) -> arb:
    """A real, or an integer that JAX knows exactly."""
    return value if isinstance(value, arb) else arb(int(value))


_EI_BELOW_0, _EI_ABOVE_0 = monotone(arb.ei, -1), monotone(arb.ei, 1)


def expi(x: arb) -> arb:
    """Ei(x), whose slope is e^x / x."""
    return _EI_ABOVE_0(x) if x > 0 else _EI_BELOW_0(x) if x < 0 else NAN


_EXPINT = monotone(lambda n, x: x.expint(n), -1, -1)


def expn(n: arb | SupportsInt, x: arb) -> arb:
    """E_n(x), for n ≥ 0 and x > 0, or n > 1 and x = 0; it falls in both."""
    n = as_ball(n)
    if not (n >= 0 and (x > 0 or (x == 0 and n > 1))):
        return NAN
    return ONE / (n - 1) if x == 0 else _EXPINT(n, x)


def _log_ndtr(x: arb) -> arb:
    tail = (abs(x) / arb(2).sqrt()).erfc() / 2
    return (-tail).log1p() if x > 0 else tail.log()


def _erfcx(x: arb) -> arb:
    return (x * x).exp() * x.erfc()


def _ndtri(p: arb) -> arb:
    return -arb(2).sqrt() * (2 * p).erfcinv() if p > 0 and p < 1 else NAN


def _erfcinv(y: arb) -> arb:
    return y.erfcinv() if y > 0 and y < 2 else NAN


def _dawsn(x: arb) -> arb:
    return arb.pi().sqrt() / 2 * (-x * x).exp() * x.erfi()


def _spence(x: arb) -> arb:
    if x == 0:
        return arb.pi() ** 2 / 6
    return (1 - x).polylog(2) if x > 0 else NAN


def _owens_t(h: arb, a: arb) -> arb:
    """T(h, a) for numbers h ≥ 0 and 0 ≤ a ≤ 1: 2π T = atan a − Σ_j (−1)^j q_j a^(2j+1) / (2j+1), q_j = P(j+1, t), t = h²/2.

    q_j falls with j, so that the terms fall and alternate in sign: what is left out is at most the first of them.
    """
    t, square = h * h / 2, a * a
    weight = (-t).exp()
    part, q, power = weight, ONE - weight, a
    total, term, least = ZERO, ONE, arb(2) ** (-flint.ctx.prec)
    for j in range(100 * flint.ctx.prec):
        term = q * power / (2 * j + 1)
        if not term > least:
            break
        total = total + term if j % 2 == 0 else total - term
        part = part * t / (j + 1)
        q, power = q - part, power * square
    return (a.atan() - total + arb(0, abs(term).abs_upper())) / (2 * arb.pi())


def _owens_t_of_numbers(h: arb, a: arb) -> arb:
    """T(h, a), odd in a and even in h.

    For a > 1 by T(h, a) + T(ah, 1/a) = (u + v − uv)/4 with u = erfc(h/√2) and v = erfc(ah/√2).
    """
    h = abs(h)
    if a < 0:
        return -_owens_t_of_numbers(h, -a)
    if h > 200:  # its series would be long: 0 ≤ T ≤ e^(−h²/2)/4
        return arb(0, (-h * h / 2).exp().upper() / 4).nonnegative_part()
    if a <= 1:
        return _owens_t(h, a)
    u, v = (h / arb(2).sqrt()).erfc(), (a * h / arb(2).sqrt()).erfc()
    return (u + v - u * v) / 4 - _owens_t_of_numbers(a * h, 1 / a)


def owens_t(h: arb, a: arb) -> arb:
    """T(h, a) = ∫₀^a e^(−h²(1+u²)/2) / (1+u²) du / 2π: it grows in a, and falls in |h| for a > 0."""
    if not (h.is_finite() and a.is_finite()):
        return NAN
    near, far, low, high = h.abs_lower(), h.abs_upper(), a.lower(), a.upper()
    if low == high and near == far:
        return _owens_t_of_numbers(near, low)
    least = _owens_t_of_numbers(far if low > 0 else near, low)
    return least.union(_owens_t_of_numbers(far if high < 0 else near, high))


def _betaln(a: arb, b: arb) -> arb:
    return lgamma(a) + lgamma(b) - lgamma(a + b)


_BETALN = monotone(_betaln, -1, -1)


def betaln(a: arb, b: arb) -> arb:
    """log |B(a, b)|, which falls in both where they are positive."""
    return _BETALN(a, b) if a > 0 and b > 0 else _betaln(a, b)


def poch(z: arb, m: arb | SupportsInt) -> arb:
    """(z)_m = Γ(z + m)/Γ(z)"""
    return z.rising(as_ball(m))


def _log_ndtr_in_mpmath(mp: ModuleType, x: Mpf) -> Mpf:
    tail = mp.erfc(abs(x) / mp.sqrt(2)) / 2
    return mp.log1p(-tail) if x > 0 else mp.log(tail)


def _owens_t_in_mpmath(mp: ModuleType, h: Mpf, a: Mpf) -> Mpf:
    return mp.quad(lambda u: mp.exp(-h * h * (1 + u * u) / 2) / (1 + u * u), [0, a / 2, a]) / (2 * mp.pi)


def _rising_in_mpmath(mp: ModuleType, z: Mpf, m: Mpf) -> Mpf:
    if m == mp.floor(m) and m >= 0:
        return mp.fprod(z + k for k in range(int(m)))
    return mp.gammaprod([z + m], [z])


def _log_beta_in_mpmath(mp: ModuleType, a: Mpf, b: Mpf) -> Mpf:
    log_gamma = lambda x: mp.loggamma(x).real if x > 0 else mp.log(abs(mp.gamma(x)))  # noqa: E731
    return log_gamma(a) + log_gamma(b) - log_gamma(a + b)


def _no_pole(name: str) -> str:
    return f"({name} > 0 or {name} != mp.floor({name}))"


LIBRARY = (
    Function("expi", expi, mpmath="mp.ei(x)", where="x != 0", slope="exp(x) / x", around=(BELOW_0_TOO,), largest=16.0,
             library=(Called("custom_jvp_call", "expi"),)),
    # called within its own rule, where nothing differentiates it: what bears its name is itself
    Function("expn", expn, mpmath="mp.expint(n, x)", operands="n x", where="n >= 0 and (x > 0 or (x == 0 and n > 1))",
             around=((0.0, 1.0, 2.0, 3.0, 7.0, -1.0), BELOW_0_TOO), largest=4.0, only_exact=(0,),
             library=(Called("jit", "expn"), Called("custom_jvp_call", "_expn"))),
    Function("log_ndtr", monotone(_log_ndtr, 1), mpmath=_log_ndtr_in_mpmath, slope="exp(-x**2 / 2 - y) / sqrt(2 * pi())",
             around=(BELOW_0_TOO,), largest=16.0, library=(Called("custom_jvp_call", "log_ndtr"),)),
    Function("ndtr", monotone(lambda x: (-x / arb(2).sqrt()).erfc() / 2, 1), mpmath="mp.erfc(-x / mp.sqrt(2)) / 2",
             slope="exp(-x**2 / 2) / sqrt(2 * pi())", around=(BELOW_0_TOO,), largest=16.0, symbol="written",
             library=(Spelled(special.ndtr, frozenset({"erf", "erfc", "abs"})),)),
    Function("ndtri", monotone(_ndtri, 1), mpmath="mp.sqrt(2) * mp.erfinv(2*x - 1)", where="0 < x < 1",
             slope="sqrt(2 * pi()) * exp(y**2 / 2)", around=((0.5, 0.25, 0.9, 0.0, 1.0),), largest=1.0,
             library=(Spelled(special.ndtri, frozenset({"scan", "log", "sqrt"})), Called("custom_jvp_call", "_ndtri"))),
    Function("erfcx", monotone(_erfcx, -1), mpmath="mp.exp(x * x) * mp.erfc(x)", slope="2*x*y - 2 / sqrt(pi())",
             around=(BELOW_0_TOO,), largest=16.0, library=(Called("custom_jvp_call", "_erfcx"),)),
    Function("erfcinv", monotone(_erfcinv, -1), mpmath="mp.erfinv(1 - x)", where="0 < x < 2",
             slope="-sqrt(pi()) / 2 * exp(y**2)", around=((1.0, 0.25, 1.875, 0.0, 2.0),), largest=1.0,
             library=(Called("custom_jvp_call", "_erfcinv"),)),
    # Dawson's integral: e^−x² ∫₀ˣ e^t² dt
    Function("dawsn", by_slope(_dawsn, lambda x: 1 - 2 * x * _dawsn(x), steepest=1.0),
             mpmath="mp.sqrt(mp.pi) / 2 * mp.exp(-x * x) * mp.erfi(x)", slope="1 - 2*x*y",
             around=(BELOW_0_TOO,), largest=4.0, library=(Called("custom_jvp_call", "_dawsn"),)),
    Function("spence", monotone(_spence, -1), mpmath="mp.polylog(2, 1 - x).real if x > 0 else mp.zeta(2)", where="x >= 0",
             slope="log(x) / (1 - x)", around=(BELOW_0_TOO,), largest=16.0,
             library=(Spelled(special.spence, frozenset({"argmax", "cumsum"})),)),
    Function("owens_t", owens_t, mpmath=_owens_t_in_mpmath, operands="h x",
             slope="exp(-h**2 * (1 + x**2) / 2) / (2 * pi() * (1 + x**2))",
             around=((0.0, 0.5, -1.5, 4.0), (0.0, 0.5, -0.75, 1.0, 3.0, -2.0)), largest=1.0,
             library=(Called("custom_jvp_call", "_owens_t_impl"),)),
    Function("betaln", betaln, mpmath=_log_beta_in_mpmath, operands="a x",
             where=" and ".join(map(_no_pole, ("a", "x", "(a + x)"))), slope="digamma(x) - digamma(a + x)",
             around=(BELOW_0_TOO, BELOW_0_TOO), largest=4.0,
             library=(Spelled(special.betaln, frozenset({"lgamma", "log1p"})),)),
    Function("poch", poch, mpmath=_rising_in_mpmath, operands="z m",
             where=f"{_no_pole('(z + m)')} or (m >= 0 and m == mp.floor(m))",
             around=(BELOW_0_TOO, (0.0, 1.0, 2.0, 0.5, -0.5, 3.25)), largest=1.0,
             library=(Called("custom_jvp_call", "poch"),)),
    Function("hyp1f1", lambda a, b, x: as_ball(x).hypgeom_1f1(as_ball(a), as_ball(b)), mpmath="mp.hyp1f1(a, b, x)",
             operands="a b x", where=_no_pole("b"), slope="a / b * hyp1f1(a + 1, b + 1, x)",
             around=(MODERATE, MODERATE, BELOW_0_TOO), largest=1.0, library=(Called("custom_jvp_call", "hyp1f1"),)),
    Function("hyp2f1", lambda a, b, c, x: as_ball(x).hypgeom_2f1(as_ball(a), as_ball(b), as_ball(c)),
             mpmath="mp.hyp2f1(a, b, c, x)", operands="a b c x", where=f"{_no_pole('c')} and x < 1",
             slope="a * b / c * hyp2f1(a + 1, b + 1, c + 1, x)",
             around=((0.5, 1.0, 2.25), (0.5, 2.0, 3.25), (1.5, 2.5, 4.0), (0.0, 0.25, -0.5, 0.75, -2.0)), largest=0.25,
             widest=2.0**16, library=(Called("custom_jvp_call", "hyp2f1"),)),
)  # fmt: skip
"""by what they mean, where JAX's programs are series and rational approximations"""
