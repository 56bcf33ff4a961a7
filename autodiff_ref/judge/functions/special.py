"""Rows of the special functions that are primitives: erf, Γ and its kin, Bessel functions."""

from types import ModuleType

import jax
import jax.numpy as jnp
import numpy as np
from flint import arb

from autodiff_ref.judge.functions import gamma, moving
from autodiff_ref.judge.functions.enclosing import ONE, ZERO, by_slope, monotone, where_wide
from autodiff_ref.judge.functions.row import BELOW_0_TOO, IN_UNIT, MODERATE, Function, Granted, Measured, Mpf, Ulps

U, U64 = 2.0**-24, 2.0**-53
NO_POLE = "(x > 0 or x != mp.floor(x))"


def _lgamma_in_mpmath(mp: ModuleType, x: Mpf) -> Mpf:
    return mp.loggamma(x).real if x > 0 else mp.log(abs(mp.gamma(x)))


def _hurwitz_in_mpmath(mp: ModuleType, s: Mpf, a: Mpf) -> Mpf:
    """ζ(s, a), below a = 0 by its recurrence"""
    total = mp.mpf(0)
    while a < 0:
        total, a = total + a ** -int(s), a + 1
    return total + mp.zeta(s, a)


def _polygamma_in_mpmath(mp: ModuleType, m: Mpf, x: Mpf) -> Mpf:
    return mp.digamma(x) if m == 0 else (-1) ** (int(m) + 1) * mp.factorial(m) * _hurwitz_in_mpmath(mp, m + 1, x)


def _slope_in_a_in_mpmath(mp: ModuleType, a: Mpf, x: Mpf) -> Mpf:
    """∂P(a, x)/∂a, by a central difference quotient at twice the precision."""
    bits = mp.mp.prec
    with mp.workprec(2 * bits):
        h = mp.mpf(2) ** -(bits // 2)
        above, below = (mp.gammainc(a + step, 0, x, regularized=True) for step in (h, -h))
        return (above - below) / (2 * h)


def _bessel_i0e(x: arb) -> arb:
    """e^−|x| I₀(x), which falls in |x|."""
    return _i0e(abs(x))


def _bessel_i1e(x: arb) -> arb:
    """e^−|x| I₁(x), which is odd."""
    scaled = _i1e(abs(x))
    return scaled if x > 0 else -scaled if x < 0 else scaled.union(-scaled)


_i0e = monotone(lambda x: x.bessel_i(ZERO, scaled=True), -1)


def _i1e_slope(x: arb) -> arb:
    """I₀ − (1 + 1/x) I₁, scaled, for x > 0"""
    return x.bessel_i(ZERO, scaled=True) - (1 + 1 / x) * x.bessel_i(ONE, scaled=True)


_i1e = by_slope(lambda x: x.bessel_i(ONE, scaled=True), _i1e_slope, steepest=0.5)


ERROR_FUNCTIONS = (
    Function(
        "erf",
        where_wide(arb.erf),
        mpmath="mp.erf(x)",
        slope="2 / sqrt(pi()) * exp(-x**2)",
        change=moving.erf,
        ulps=Ulps(Granted(16), Granted(8), Measured(6.71, None, 1.35, None)),
        zero_at=0.0,
        parity="odd",
        mistaken_for=(("tanh", jnp.tanh),),
        forms=(("−erf(−x)", lambda x: -jax.scipy.special.erf(-x)),),
    ),
    Function(
        "erfc",
        where_wide(arb.erfc, -1),
        mpmath="mp.erfc(x)",
        slope="-2 / sqrt(pi()) * exp(-x**2)",
        largest=64.0,
        change=moving.erf,
        ulps=Ulps(Granted(16, 16), Granted(16, 16), Measured(3.36, None, 3.71, None)),
        symbol="known",
        forms=(("1 − erf", lambda x: 1 - jax.scipy.special.erf(x)),),
    ),
    Function(
        "erf_inv",
        arb.erfinv,
        mpmath="mp.erfinv(x)",
        where="abs(x) < 1",
        slope="sqrt(pi()) / 2 * exp(y**2)",
        around=(IN_UNIT,),
        change=moving.erf_inv,
        ulps=Ulps(Granted(16, 16), Granted(64, 64), Measured(1.99, None, 13.2, None)),
        zero_at=0.0,
        parity="odd",
    ),
)

GAMMA_FUNCTIONS = (
    Function(
        "lgamma",
        gamma.lgamma,
        mpmath=_lgamma_in_mpmath,
        where=NO_POLE,
        slope="digamma(x)",
        around=(BELOW_0_TOO,),
        largest=16.0,
        change=moving.lgamma,
        ulps=Ulps(Granted(128, 0, 128 * U), Granted(128, 0, 128 * U64), Measured(37.2, None, 20.3, None)),
        granted_above=0.0,
    ),
    Function(
        "digamma",
        gamma.digamma,
        mpmath="mp.digamma(x)",
        where=NO_POLE,
        slope="polygamma(1, x)",
        around=(BELOW_0_TOO,),
        largest=16.0,
        change=moving.digamma,
        ulps=Ulps(Granted(64, 0, 64 * U), Granted(64, 0, 64 * U64), Measured(15, None, 12, None)),
        granted_above=0.0,
        mistaken_for=(("log", jnp.log),),
        forms=(("ψ(x + 1) − 1/x", lambda x: jax.scipy.special.digamma(x + 1) - 1 / x),),
    ),
    Function(
        "polygamma",
        gamma.polygamma,
        mpmath=_polygamma_in_mpmath,
        operands="m x",
        where=f"m >= 0 and m == mp.floor(m) and {NO_POLE}",
        slope="polygamma(m + 1, x)",
        around=((0.0, 1.0, 2.0, 3.0, 0.5, -1.0), BELOW_0_TOO),
        largest=4.0,
        only_exact=(0,),
    ),
    Function(
        "zeta",
        gamma.zeta,
        mpmath=_hurwitz_in_mpmath,
        operands="s x",
        where=f"s > 1 and {NO_POLE} and (x > 0 or s == mp.floor(s))",
        slope="-s * zeta(s + 1, x)",
        around=((2.0, 1.0, 3.0, 1.5, 7.25, 0.5), BELOW_0_TOO),
        largest=4.0,
    ),
    Function(
        "igamma",
        gamma.igamma,
        mpmath="mp.gammainc(a, 0, x, regularized=True)",
        operands="a x",
        where="a > 0 and x >= 0",
        slope="exp((a - 1) * log(x) - x - lgamma(a))",
        around=(MODERATE, MODERATE),
        largest=4.0,
    ),
    Function(
        "igammac",
        gamma.igammac,
        mpmath="mp.gammainc(a, x, regularized=True)",
        operands="a x",
        where="a > 0 and x >= 0",
        slope="-exp((a - 1) * log(x) - x - lgamma(a))",
        around=(MODERATE, MODERATE),
        largest=4.0,
    ),
    Function(
        "igamma_grad_a",
        gamma.igamma_grad_a,
        mpmath=_slope_in_a_in_mpmath,
        operands="a x",
        where="a > 0 and x >= 0",
        slope="exp((a - 1) * log(x) - x - lgamma(a)) * (log(x) - digamma(a))",
        around=(MODERATE, MODERATE),
        largest=4.0,
    ),
    Function(
        "regularized_incomplete_beta",
        gamma.betainc,
        mpmath="mp.betainc(a, b, 0, x, regularized=True)",
        operands="a b x",
        where="a > 0 and b > 0 and 0 <= x <= 1",
        slope="exp((a - 1) * log(x) + (b - 1) * log1p(-x) - lgamma(a) - lgamma(b) + lgamma(a + b))",
        around=(MODERATE, MODERATE, (0.0, 0.125, 0.5, 0.75, 1.0, -0.25)),
        largest=1.0,
    ),
)

BESSEL_FUNCTIONS = (
    Function(
        "bessel_i0e",
        _bessel_i0e,
        mpmath="mp.besseli(0, x) * mp.exp(-abs(x))",
        slope="bessel_i1e(x) - sign(x) * y",
        around=(BELOW_0_TOO,),
        largest=16.0,
        change=lambda x, e: e * np.ones_like(x),  # −1 ≤ e^−x (I₁(x) − I₀(x)) ≤ 0 for x ≥ 0, and it is even
        ulps=Ulps(Granted(16), Granted(16), Measured(5.87, None, 5.6, None)),
        parity="even",
        at_zero=1,
    ),
    Function(
        "bessel_i1e",
        _bessel_i1e,
        mpmath="mp.besseli(1, x) * mp.exp(-abs(x))",
        slope="bessel_i0e(x) - (sign(x) + 1/x) * y",
        around=(BELOW_0_TOO,),
        largest=16.0,
        change=lambda x, e: e * np.full_like(x, 0.5),  # its slope is largest at 0
        ulps=Ulps(Granted(64), Granted(32), Measured(18.2, None, 11.1, None)),
        zero_at=0.0,
        parity="odd",
    ),
)

SPECIAL = (*ERROR_FUNCTIONS, *GAMMA_FUNCTIONS, *BESSEL_FUNCTIONS)
