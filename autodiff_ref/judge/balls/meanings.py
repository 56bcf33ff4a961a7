"""The functions that JAX's series and rational approximations stand for, over balls: see `walker.meanings`."""

from collections.abc import Callable
from typing import Any

import flint
import numpy as np
from flint import arb

from autodiff_ref.judge.balls.context import NAN, ONE, ZERO, Context
from autodiff_ref.judge.balls.functions import rule_of
from autodiff_ref.judge.balls.gamma import lgamma
from autodiff_ref.judge.balls.joined import by_slope, monotone
from autodiff_ref.judge.program.plans import Array, Equation, Rule, Step
from autodiff_ref.judge.program.structure import as_objects

HALF = arb(0.5)


def _ball(value: Any) -> arb:
    """A real, or an integer that JAX knows exactly."""
    return value if isinstance(value, arb) else arb(int(value))


_EI_BELOW_0, _EI_ABOVE_0 = monotone(arb.ei, -1), monotone(arb.ei, 1)


def expi(x: arb) -> arb:
    """Ei(x), whose slope is e^x / x."""
    return _EI_ABOVE_0(x) if x > 0 else _EI_BELOW_0(x) if x < 0 else NAN


_EXPINT = monotone(lambda n, x: x.expint(n), -1, -1)


def expn(n: Any, x: arb) -> arb:
    """E_n(x), for n ≥ 0 and x > 0, or n > 1 and x = 0; it falls in both."""
    n = _ball(n)
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


def poch(z: arb, m: Any) -> arb:
    """(z)_m = Γ(z + m)/Γ(z)"""
    return z.rising(_ball(m))


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "expi": expi,
    "expn": expn,
    "log_ndtr": monotone(_log_ndtr, 1),
    "ndtr": monotone(lambda x: (-x / arb(2).sqrt()).erfc() / 2, 1),
    "ndtri": monotone(_ndtri, 1),
    "erfcx": monotone(_erfcx, -1),
    "spence": monotone(_spence, -1),
    "owens_t": owens_t,
    "betaln": betaln,
    "poch": poch,
    "hyp1f1": lambda a, b, x: _ball(x).hypgeom_1f1(_ball(a), _ball(b)),
    "hyp2f1": lambda a, b, c, x: _ball(x).hypgeom_2f1(_ball(a), _ball(b), _ball(c)),
}


_SI = by_slope(arb.si, arb.sinc, steepest=1.0)
_CI = by_slope(arb.ci, lambda x: x.cos() / x)


def _sici(_: Equation) -> Step:
    """Si(x), and Ci(|x|)"""
    si, ci = np.frompyfunc(_SI, 1, 1), np.frompyfunc(lambda x: _CI(abs(x)) if x != 0 else NAN, 1, 1)

    def step(_: Any, x: Array) -> list[Array]:
        with np.errstate(all="ignore"):
            return [as_objects(si(x)), as_objects(ci(x))]

    return step


_FRESNEL = {
    "S": by_slope(arb.fresnel_s, lambda x: (x * x / 2).sin_pi(), steepest=1.0),
    "C": by_slope(arb.fresnel_c, lambda x: (x * x / 2).cos_pi(), steepest=1.0),
}


def _fresnel(_: Equation) -> Step:
    """∫₀^x sin(π t²/2) dt, and the same of cos"""
    functions = [np.frompyfunc(f, 1, 1) for f in _FRESNEL.values()]

    def step(_: Any, x: Array) -> list[Array]:
        with np.errstate(all="ignore"):
            return [as_objects(f(x)) for f in functions]

    return step


def _bessel_j(order: int) -> Callable[[arb], arb]:
    """J_k, whose slope is (J_(k−1) − J_(k+1))/2."""
    before, after = arb(order - 1), arb(order + 1)
    return by_slope(lambda z: z.bessel_j(arb(order)), lambda z: (z.bessel_j(before) - z.bessel_j(after)) / 2, 1.0)


def _bessel_jn(equation: Equation) -> Step:
    """J_0(z), …, J_v(z), along the first axis."""
    functions = [np.frompyfunc(_bessel_j(k), 1, 1) for k in range(equation.results[0].shape[0])]

    def step(_: Any, z: Array) -> Array:
        with np.errstate(all="ignore"):
            return np.stack([as_objects(function(z)) for function in functions])

    return step


def _exponent(x: arb) -> tuple[int, bool]:
    """e with 2^(e−1) ≤ x < 2^e for a number x > 0, and whether it is 2^(e−1)."""
    mantissa, exponent = x.man_exp()
    bits = int(mantissa).bit_length()
    return int(exponent) + bits, int(mantissa) == 1 << (bits - 1)


def _frexp(equation: Equation) -> Step:
    """x = m 2^e with ½ ≤ |m| < 1. It jumps at powers of 2: there the run is tied, across one it is unresolved."""
    label, integer = equation.label, equation.results[1].dtype

    def one(context: Context, x: arb) -> tuple[arb, int]:
        if x == 0:
            return ZERO, 0
        if not x.is_finite() or x.contains(0):
            context.unresolved = True
            return NAN, 0
        (low, is_power), (high, _) = _exponent(x.abs_lower()), _exponent(x.abs_upper())
        if low != high or (is_power and not x.is_exact()):
            context.unresolved = True
            return NAN, high
        if is_power and not label and context.tie(abs(x), arb(2) ** (low - 1)) < 0:
            low -= 1
        return x * arb(2) ** -low, low

    def step(context: Context, x: Array) -> list[Array]:
        parts = [one(context, entry) for entry in np.ravel(x)]
        mantissas = np.empty(len(parts), dtype=object)
        mantissas[:] = [m for m, _ in parts]
        return [mantissas.reshape(x.shape), np.array([e for _, e in parts], dtype=integer).reshape(x.shape)]

    return step


MEANINGS: dict[str, Rule] = {
    **{name: rule_of(f) for name, f in FUNCTIONS.items()},
    "ldexp": rule_of(lambda x, e: x * arb(2) ** _ball(e)),
    "frexp": _frexp,
    "sici": _sici,
    "fresnel": _fresnel,
    "bessel_jn": _bessel_jn,
}
"""rules for what is meant, by its name in `walker.meanings`"""
