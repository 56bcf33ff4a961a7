"""Rows of the elementary functions: powers, exponentials and logarithms, circular and hyperbolic functions."""

import math
from types import ModuleType
from typing import SupportsInt

import jax
import jax.numpy as jnp
import numpy as np
from flint import arb
from jax import lax

from autodiff_ref.judge.functions import moving
from autodiff_ref.judge.functions.enclosing import ONE, ZERO, monotone, where_wide
from autodiff_ref.judge.functions.row import AROUND, IN_UNIT, Function, Granted, Measured, Mpf, Ulps

TINY, TINY64 = 2.0**-126, 2.0**-1022


def greatest(x: arb, y: arb) -> arb:
    """max(x, y): the very ball that is larger, since JAX differentiates it by asking which operand equals the result."""
    return x if x is y or x > y else y if y > x else x.max(y)


def least(x: arb, y: arb) -> arb:
    """min(x, y), as `greatest`."""
    return x if x is y or x < y else y if y < x else x.min(y)


def _logistic(z: arb) -> arb:
    return ONE / (ONE + (-z).exp())


def _cube_root(x: arb) -> arb:
    return ZERO if x == 0 else -((-x).root(3)) if x < 0 else x.root(3)


def _power(x: arb, y: arb | SupportsInt) -> arb:
    if not isinstance(y, arb):  # lax.pow takes integers
        return x ** int(y)
    if y.is_exact() and y.is_integer() and abs(y) < 2**31:
        return x ** int(float(y))
    return x**y


def _power_in_mpmath(mp: ModuleType, x: Mpf, y: Mpf) -> Mpf:
    if x == 0:
        return None if y < 0 else mp.mpf(int(y == 0))
    if x < 0:
        return x ** int(y) if y == mp.floor(y) else None
    return x**y


def _sigmoid_by_sign(z: jax.Array) -> jax.Array:
    e = jnp.exp(-jnp.abs(z))
    return jnp.where(z < 0, e / (1 + e), 1 / (1 + e))


POWERS = (
    Function(
        "div",
        lambda x, y: x / y,
        mpmath="x / y",
        operands="x y",
        where="y != 0",
        around=(AROUND, AROUND),
        symbol="written",
    ),
    Function(
        "pow",
        _power,
        mpmath=_power_in_mpmath,
        operands="x y",
        around=(AROUND, (0.0, 1.0, 2.0, 3.0, -1.0, -2.0, 0.5, -0.5, 2.5)),
        largest=1.0,
        numpy=np.power,
        ulps=Ulps(Granted(4), Granted(4), Measured(1, 1.73, 0.999, 1.13)),
        symbol="written",
    ),
    Function(
        "sqrt",
        arb.sqrt,
        mpmath="mp.sqrt(x)",
        where="x >= 0",
        slope="1 / (2*y)",
        numpy=np.sqrt,
        change=moving.sqrt,
        ulps=Ulps(Granted(2), Granted(2), Measured(1, 1, 0.995, 0.996)),
        zero_at=0.0,
        symbol="written",
        forms=(("x/√x", lambda x: x * lax.rsqrt(x)),),
    ),
    Function(
        "rsqrt",
        arb.rsqrt,
        mpmath="1 / mp.sqrt(x)",
        where="x > 0",
        slope="-y / (2*x)",
        numpy=lambda x: 1 / np.sqrt(x),
        change=moving.rsqrt,
        ulps=Ulps(Granted(8), Granted(8), Measured(2.57, None, 1.24, None)),
        symbol="written",
        forms=(("1/√x", lambda x: 1 / jnp.sqrt(x)),),
    ),
    Function(
        "cbrt",
        monotone(_cube_root, 1),
        mpmath="mp.sign(x) * mp.cbrt(abs(x))",
        slope="1 / (3*y**2)",
        numpy=np.cbrt,
        change=moving.cbrt,
        ulps=Ulps(Granted(8), Granted(16), Measured(1.52, 2.64, 4.6, 0.998)),
        zero_at=0.0,
        parity="odd",
    ),
    Function(
        "abs",
        lambda x: abs(x),
        mpmath="abs(x)",
        symbol="written",
        forms=(("√x²", lambda x: jnp.sqrt(x * x)), ("max(x, −x)", lambda x: jnp.maximum(x, -x))),
    ),
    Function(
        "max",
        greatest,
        mpmath="max(x, y)",
        operands="x y",
        around=(AROUND, AROUND),
        symbol="written",
        mistaken_for=(("min", jnp.minimum),),
        forms=(("(a + b + |a − b|)/2", lambda a, b: 0.5 * (a + b + jnp.abs(a - b))),),
    ),
    Function(
        "min",
        least,
        mpmath="min(x, y)",
        operands="x y",
        around=(AROUND, AROUND),
        symbol="written",
        mistaken_for=(("max", jnp.maximum),),
        forms=(("(a + b − |a − b|)/2", lambda a, b: 0.5 * (a + b - jnp.abs(a - b))),),
    ),
)

EXPONENTIALS = (
    Function(
        "exp",
        arb.exp,
        mpmath="mp.exp(x)",
        slope="y",
        numpy=np.exp,
        change=moving.exp,
        ulps=Ulps(Granted(12), Granted(8), Measured(5.52, 3.13, 1.89, 1.11)),
        zero_at=-math.inf,
        symbol="written",
        mistaken_for=(("e^−x", lambda x: jnp.exp(-x)),),
        forms=(
            ("1 + expm1", lambda x: 1 + jnp.expm1(x)),
            ("1/e^−x", lambda x: 1 / jnp.exp(-x)),
            ("(e^(x/2))²", lambda x: jnp.exp(x / 2) ** 2),
        ),
    ),
    Function(
        "exp2",
        lambda x: arb(2) ** x,
        mpmath="mpf(2) ** x",
        slope="y * log(2)",
        numpy=np.exp2,
        change=lambda x, e: np.exp2(x + 2 * e) * e,
        ulps=Ulps(Granted(8, 8), Granted(8, 8), Measured(1, 1.59, 1.22, 1.11)),
        zero_at=-math.inf,
        symbol="known",
    ),
    Function(
        "expm1",
        arb.expm1,
        mpmath="mp.expm1(x)",
        slope="1 + y",
        numpy=np.expm1,
        change=moving.exp,
        ulps=Ulps(Granted(16), Granted(16), Measured(7.03, 3.21, 4.59, 0.987)),
        zero_at=0.0,
        symbol="known",
        forms=(("e^x − 1", lambda x: jnp.exp(x) - 1),),
    ),
    Function(
        "log",
        arb.log,
        mpmath="mp.log(x)",
        where="x > 0",
        slope="1 / x",
        numpy=np.log,
        change=moving.log,
        ulps=Ulps(Granted(8), Granted(6), Measured(2.05, 3.2, 0.991, 1.06)),
        symbol="known",
        mistaken_for=(("log(1 + x)", jnp.log1p),),
        forms=(("log1p(x − 1)", lambda x: jnp.log1p(x - 1)), ("−log(1/x)", lambda x: -jnp.log(1 / x))),
    ),
    Function(
        "log1p",
        arb.log1p,
        mpmath="mp.log1p(x)",
        where="x > -1",
        slope="1 / (1 + x)",
        numpy=np.log1p,
        change=moving.log1p,
        ulps=Ulps(Granted(8), Granted(1024), Measured(3.63, 2.74, 217, 1.02)),
        zero_at=0.0,
        symbol="known",
        mistaken_for=(("log", jnp.log),),
        forms=(("log(1 + x)", lambda x: jnp.log(1 + x)),),
    ),
    Function(
        "logistic",
        where_wide(_logistic),
        mpmath="1 / (1 + mp.exp(-x))",
        slope="y * (1 - y)",
        numpy=lambda x: 1 / (1 + np.exp(-x)),
        change=moving.logistic,
        ulps=Ulps(Granted(8), Granted(8), Measured(2.48, None, 2.2, None)),
        zero_at=-math.inf,
        symbol="known",
        mistaken_for=(("tanh", jnp.tanh),),
        forms=(
            ("e^z/(1 + e^z) below 0, 1/(1 + e^−z) from 0 on", _sigmoid_by_sign),
            ("(1 + tanh(z/2))/2", lambda z: 0.5 * (1 + jnp.tanh(z / 2))),
            ("1/(1 + e^−z)", lambda z: 1 / (1 + jnp.exp(-z))),
            ("1 − σ(−z)", lambda z: 1 - jax.nn.sigmoid(-z)),
        ),
    ),
)

CIRCULAR = (
    Function(
        "sin",
        arb.sin,
        mpmath="mp.sin(x)",
        slope="cos(x)",
        numpy=np.sin,
        change=lambda x, e: np.minimum(np.abs(np.cos(x)) + 2 * e, 1) * e,
        ulps=Ulps(Granted(8), Granted(4), Measured(1.06, 2.28, 0.992, 0.982)),
        zero_at=0.0,
        parity="odd",
        mistaken_for=(("cos", jnp.cos),),
        forms=(("2 sin(x/2) cos(x/2)", lambda x: 2 * jnp.sin(x / 2) * jnp.cos(x / 2)),),
    ),
    Function(
        "cos",
        arb.cos,
        mpmath="mp.cos(x)",
        slope="-sin(x)",
        numpy=np.cos,
        change=lambda x, e: np.minimum(np.abs(np.sin(x)) + 2 * e, 1) * e,
        ulps=Ulps(Granted(8), Granted(4), Measured(1.06, 1.9, 0.985, 0.975)),
        parity="even",
        at_zero=1,
        mistaken_for=(("sin", jnp.sin),),
        forms=(("1 − 2 sin²(x/2)", lambda x: 1 - 2 * jnp.sin(x / 2) ** 2),),
    ),
    Function(
        "tan",
        arb.tan,
        mpmath="mp.tan(x)",
        slope="1 + y**2",
        around=((*AROUND, 1.5707963267948966),),
        numpy=np.tan,
        change=moving.tan,
        ulps=Ulps(Granted(8), Granted(8), Measured(1.18, 2.95, 0.993, 1)),
        zero_at=0.0,
        symbol="known",
    ),
    Function(
        "asin",
        arb.asin,
        mpmath="mp.asin(x)",
        where="abs(x) <= 1",
        slope="1 / sqrt(1 - x**2)",
        around=(IN_UNIT,),
        numpy=np.arcsin,
        change=moving.asin,
        ulps=Ulps(Granted(16, 0, 4 * TINY), Granted(16, 0, 4 * TINY64), Measured(2.47, 4.18, 1.9, 1.29)),
        zero_at=0.0,
        parity="odd",
    ),
    Function(
        "acos",
        arb.acos,
        mpmath="mp.acos(x)",
        where="abs(x) <= 1",
        slope="-1 / sqrt(1 - x**2)",
        around=(IN_UNIT,),
        numpy=np.arccos,
        change=moving.asin,
        ulps=Ulps(Granted(16), Granted(16), Measured(2.78, 2.68, 1.95, 1.46)),
    ),
    Function(
        "atan",
        arb.atan,
        mpmath="mp.atan(x)",
        slope="1 / (1 + x**2)",
        numpy=np.arctan,
        change=lambda x, e: e / (1 + moving.nearest(x, e) ** 2),
        ulps=Ulps(Granted(8), Granted(8), Measured(1.31, 2.92, 0.99, 0.982)),
        zero_at=0.0,
        parity="odd",
    ),
    Function(
        "atan2",
        arb.atan2,
        mpmath="mp.atan2(y, x)",
        operands="y x",
        around=(AROUND, AROUND),
        numpy=np.arctan2,
        ulps=Ulps(Granted(8), Granted(8), Measured(1.96, 3.53, 0.993, 1.47)),
    ),
)

HYPERBOLIC = (
    Function(
        "sinh",
        arb.sinh,
        mpmath="mp.sinh(x)",
        slope="cosh(x)",
        numpy=np.sinh,
        change=lambda x, e: np.cosh(moving.farthest(x, e)) * e,
        ulps=Ulps(Granted(8, 8), Granted(8, 8), Measured(3.45, 0.815, 2.5, 0.489)),
        zero_at=0.0,
        symbol="known",
    ),
    Function(
        "cosh",
        arb.cosh,
        mpmath="mp.cosh(x)",
        slope="sinh(x)",
        numpy=np.cosh,
        change=lambda x, e: np.sinh(moving.farthest(x, e)) * e,
        ulps=Ulps(Granted(8, 8), Granted(8, 8), Measured(1.85, 2.93, 1.89, 1.5)),
        symbol="known",
    ),
    Function(
        "tanh",
        where_wide(arb.tanh),
        mpmath="mp.tanh(x)",
        slope="1 - y**2",
        numpy=np.tanh,
        change=moving.tanh,
        ulps=Ulps(Granted(16), Granted(32), Measured(4.9, 1.77, 6.92, 1.44)),
        zero_at=0.0,
        symbol="known",
        mistaken_for=(("σ", jax.nn.sigmoid),),
        forms=(
            ("2σ(2z) − 1", lambda z: 2 * jax.nn.sigmoid(2 * z) - 1),
            ("expm1(2z)/(expm1(2z) + 2)", lambda z: jnp.expm1(2 * z) / (jnp.expm1(2 * z) + 2)),
        ),
    ),
    Function(
        "asinh",
        where_wide(arb.asinh),
        mpmath="mp.asinh(x)",
        slope="1 / sqrt(1 + x**2)",
        numpy=np.arcsinh,
        change=lambda x, e: e / np.hypot(1, moving.nearest(x, e)),
        ulps=Ulps(Granted(16), Granted(16), Measured(3.58, 1.09, 2.5, 1.07)),
        zero_at=0.0,
        symbol="known",
    ),
    Function(
        "acosh",
        arb.acosh,
        mpmath="mp.acosh(x)",
        where="x >= 1",
        slope="1 / sqrt(x**2 - 1)",
        numpy=np.arccosh,
        change=moving.acosh,
        ulps=Ulps(Granted(16), Granted(16), Measured(3.78, 1.95, 3.45, 1.02)),
    ),
    Function(
        "atanh",
        arb.atanh,
        mpmath="mp.atanh(x)",
        where="abs(x) < 1",
        slope="1 / (1 - x**2)",
        around=(IN_UNIT,),
        numpy=np.arctanh,
        change=moving.atanh,
        ulps=Ulps(Granted(16), Granted(1024), Measured(2.74, 2, 132, 1.04)),
        zero_at=0.0,
        symbol="known",
    ),
)

ELEMENTARY = (*POWERS, *EXPONENTIALS, *CIRCULAR, *HYPERBOLIC)
