"""Functions that work entry by entry, in Arb."""

from collections.abc import Callable
from typing import Any

import numpy as np
from flint import arb

from autodiff_ref.judge.balls import gamma
from autodiff_ref.judge.balls.context import ONE, ZERO
from autodiff_ref.judge.balls.joined import by_slope, monotone, where_wide
from autodiff_ref.judge.balls.order import greatest, least
from autodiff_ref.judge.program.plans import Array, Equation, Rule, Step
from autodiff_ref.judge.program.structure import as_objects


def rule_of(f: Callable[..., arb]) -> Rule:
    """The rule for a primitive that is f of each entry."""
    ufunc: dict[int, np.ufunc] = {}

    def rule(equation: Equation) -> Step:
        n = len(equation.operands)
        applied = ufunc.setdefault(n, np.frompyfunc(f, n, 1))

        def step(_: Any, *operands: Array) -> Array:
            with np.errstate(all="ignore"):  # Arb estimates in doubles, and NumPy would see these overflow
                return as_objects(applied(*operands))

        return step

    return rule


def _logistic(z: arb) -> arb:
    return ONE / (ONE + (-z).exp())


def _cube_root(x: arb) -> arb:
    return ZERO if x == 0 else -((-x).root(3)) if x < 0 else x.root(3)


def _power(x: arb, y: Any) -> arb:
    if not isinstance(y, arb):  # lax.pow takes integers
        return x ** int(y)
    if y.is_exact() and y.is_integer() and abs(y) < 2**31:
        return x ** int(float(y))
    return x**y


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


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "div": lambda x, y: x / y,
    "pow": _power,
    "exp": arb.exp,
    "exp2": lambda x: arb(2) ** x,
    "expm1": arb.expm1,
    "log": arb.log,
    "log1p": arb.log1p,
    "logistic": where_wide(_logistic),
    "sqrt": arb.sqrt,
    "rsqrt": arb.rsqrt,
    "cbrt": monotone(_cube_root, 1),
    "sin": arb.sin,
    "cos": arb.cos,
    "tan": arb.tan,
    "asin": arb.asin,
    "acos": arb.acos,
    "atan": arb.atan,
    "sinh": arb.sinh,
    "cosh": arb.cosh,
    "tanh": where_wide(arb.tanh),
    "asinh": where_wide(arb.asinh),
    "acosh": arb.acosh,
    "atanh": arb.atanh,
    "erf": where_wide(arb.erf),
    "erfc": where_wide(arb.erfc, -1),
    "erf_inv": arb.erfinv,
    "lgamma": gamma.lgamma,
    "digamma": gamma.digamma,
    "igamma": gamma.igamma,
    "igammac": gamma.igammac,
    "igamma_grad_a": gamma.igamma_grad_a,
    "regularized_incomplete_beta": gamma.betainc,
    "zeta": gamma.zeta,
    "polygamma": gamma.polygamma,
    "bessel_i0e": _bessel_i0e,
    "bessel_i1e": _bessel_i1e,
    "abs": lambda x: abs(x),
    "max": greatest,
    "min": least,
}
"""functions of balls by the names of the primitives that apply them entry by entry"""
