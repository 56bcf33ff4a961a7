"""Functions that work entry by entry, in Arb."""

from collections.abc import Callable
from typing import Any

import numpy as np
from flint import arb

from autodiff_ref.verify.balls.context import ONE, ZERO
from autodiff_ref.verify.balls.order import greatest, least
from autodiff_ref.verify.walker.plans import Equation, Rule, Step
from autodiff_ref.verify.walker.structure import as_objects


def rule_of(f: Callable[..., arb]) -> Rule:
    """The rule for a primitive that is f of each entry."""
    ufunc: dict[int, np.ufunc] = {}

    def rule(equation: Equation) -> Step:
        n = len(equation.operands)
        applied = ufunc.setdefault(n, np.frompyfunc(f, n, 1))
        return lambda _, *operands: as_objects(applied(*operands))

    return rule


def _logistic(z: arb) -> arb:
    return ONE / (ONE + (-z).exp())


def _cbrt(x: arb) -> arb:
    if x.contains(0):
        return arb(0, x.abs_upper().root(3).upper()) if x != 0 else ZERO
    return -((-x).root(3)) if x < 0 else x.root(3)


def _lgamma(x: arb) -> arb:
    """log |Γ(x)|"""
    return x.lgamma() if x > 0 else abs(x.gamma()).log()


def _power(x: arb, y: Any) -> arb:
    if not isinstance(y, arb):  # lax.pow takes integers
        return x ** int(y)
    if y.is_exact() and y.is_integer() and abs(y) < 2**31:
        return x ** int(float(y))
    return x**y


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "div": lambda x, y: x / y,
    "pow": _power,
    "exp": arb.exp,
    "exp2": lambda x: arb(2) ** x,
    "expm1": arb.expm1,
    "log": arb.log,
    "log1p": arb.log1p,
    "logistic": _logistic,
    "sqrt": arb.sqrt,
    "rsqrt": arb.rsqrt,
    "cbrt": _cbrt,
    "sin": arb.sin,
    "cos": arb.cos,
    "tan": arb.tan,
    "asin": arb.asin,
    "acos": arb.acos,
    "atan": arb.atan,
    "sinh": arb.sinh,
    "cosh": arb.cosh,
    "tanh": arb.tanh,
    "asinh": arb.asinh,
    "acosh": arb.acosh,
    "atanh": arb.atanh,
    "erf": arb.erf,
    "erfc": arb.erfc,
    "erf_inv": arb.erfinv,
    "lgamma": _lgamma,
    "digamma": arb.digamma,
    "igamma": lambda a, x: x.gamma_lower(a, 1),
    "igammac": lambda a, x: x.gamma_upper(a, 1),
    "regularized_incomplete_beta": lambda a, b, x: x.beta_lower(a, b, 1),
    "zeta": lambda s, a: s.zeta(a),
    "polygamma": lambda m, x: (m + 1).gamma() * (m + 1).zeta(x) * (1 if int(float(m)) % 2 else -1),
    "abs": lambda x: abs(x),
    "max": greatest,
    "min": least,
}
"""functions of balls by the names of the primitives that apply them entry by entry"""
