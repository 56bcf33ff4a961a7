"""Rules of balls for library functions of several results, and for what reads the exponent of a float."""

from collections.abc import Callable

import numpy as np
from flint import arb, arb_mat

from autodiff_ref.judge.balls.context import Context
from autodiff_ref.judge.balls.entrywise import rule_of
from autodiff_ref.judge.functions.enclosing import NAN, ZERO, by_slope
from autodiff_ref.judge.functions.library import as_ball
from autodiff_ref.judge.program.plans import Array, Equation, Rule, Step, as_objects

_SI = by_slope(arb.si, arb.sinc, steepest=1.0)
_CI = by_slope(arb.ci, lambda x: x.cos() / x)


def _sici(_: Equation) -> Step:
    """Si(x), and Ci(|x|)"""
    si, ci = np.frompyfunc(_SI, 1, 1), np.frompyfunc(lambda x: _CI(abs(x)) if x != 0 else NAN, 1, 1)

    def step(_: object, x: Array) -> list[Array]:
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

    def step(_: object, x: Array) -> list[Array]:
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

    def step(_: object, z: Array) -> Array:
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


def _expm(equation: Equation) -> Step:
    """e^A of square matrices, Σ Aᵏ/k!"""
    shape = equation.results[0].shape

    def step(_: object, a: Array) -> Array:
        matrices = np.reshape(a, (-1, *shape[-2:]))
        return as_objects([arb_mat(matrix.tolist()).exp().entries() for matrix in matrices]).reshape(shape)

    return step


MEANINGS: dict[str, Rule] = {
    "ldexp": rule_of(lambda x, e: x * arb(2) ** as_ball(e)),
    "frexp": _frexp,
    "sici": _sici,
    "fresnel": _fresnel,
    "bessel_jn": _bessel_jn,
    "expm": _expm,
}
"""rules for what is meant, by its name in `recognised.CALLED`"""
