"""Rounding bounds of functions: how far f moves over the interval its argument is known to lie in, and the granted ulps."""

import jax.numpy as jnp
import numpy as np
from jax.extend import core
from numpy.typing import DTypeLike

from autodiff_ref.judge.floats.values import Bounded, format_of, is_exact, is_zero, magnitude, rounded
from autodiff_ref.judge.functions import FUNCTIONS, Function, Granted
from autodiff_ref.judge.functions.moving import BARELY, farthest, nearest
from autodiff_ref.judge.program.plans import Array, Equation, Params, Rule, Step


def computed(primitive: core.Primitive, params: Params, *arrays: Array) -> Array:
    """A primitive entry by entry: by NumPy where it can, float32 in float64; else as JAX computes it on its own.

    NumPy takes a hundredth of the time for a few hundred numbers: JAX takes 50 µs to begin. A bound is good for both, since
    any computed value lies within it.
    """
    function = FUNCTIONS[primitive.name].numpy
    if function is not None:
        return function(*[x.astype(np.float64, copy=False) for x in arrays]).astype(arrays[0].dtype, copy=False)
    shape = np.broadcast_shapes(*[array.shape for array in arrays])
    flat = [jnp.asarray(np.broadcast_to(array, shape).ravel()) for array in arrays]
    return np.asarray(primitive.bind(*flat, **params)).reshape(shape)


def granted(name: str, dtype: DTypeLike) -> Granted:
    """What a function is granted in a dtype."""
    ulps = FUNCTIONS[name].ulps
    assert ulps is not None, name
    return ulps.single if np.dtype(dtype) == np.float32 else ulps.double


def rule_of(row: Function) -> Rule:
    """The rule of a function of one operand.

    Raises:
        TypeError: no bound is known of how far it moves, or nothing is granted to it.
    """
    name, change = row.name, row.change
    if change is None or row.ulps is None:
        raise TypeError(f"no rounding bound is known for {name!r}")

    def rule(equation: Equation) -> Step:
        grant, u = granted(name, equation.results[0].dtype), format_of(equation.results[0].dtype).u

        def step(_: object, x: Bounded) -> Bounded:
            value = computed(equation.primitive, equation.params, x.value)
            at = x.value.astype(np.float64, copy=False)
            e = x.error + grant.argument * u * np.abs(at) if grant.argument else x.error
            propagated = 0.0 if is_exact(x) and not grant.argument else change(at, e) * (1 + 2.0**-20)
            if row.granted_above > -np.inf:
                propagated = np.where(at - 2 * e > row.granted_above, propagated, np.inf)
            made = rounded(value, propagated, grant.units, vanishes=lambda: _stays_zero(row, x, value))
            return Bounded(made.value, made.error + grant.absolute) if grant.absolute else made

        return step

    return rule


def _stays_zero(row: Function, x: Bounded, value: Array) -> Array:
    """Where a function is exactly 0: at an exact 0, or the exponential at −∞."""
    zero = value == 0
    if not zero.any() or row.zero_at is None:
        return zero & False
    if row.zero_at == 0:
        return zero & is_zero(x)
    return zero & (x.value == row.zero_at) & (x.error == 0)


def _pow(equation: Equation) -> Step:
    """x^y = e^{y log x} for x > 0, where y log x moves by at most m and is below its 2m more: P = m e^{y log x + 2m}.

    For an integer y and an x that may be negative, as `integer_pow`.
    """
    grant = granted("pow", equation.results[0].dtype)
    if not equation.operands[1].is_real:
        raise NotImplementedError("no rounding bounds for `pow` by integers that are no constants")

    def step(_: object, x: Bounded, y: Bounded) -> Bounded:
        value = computed(equation.primitive, equation.params, x.value, y.value)
        if is_exact(x) and is_exact(y):
            return rounded(value, 0.0, grant.units, vanishes=lambda: (value == 0) & (x.value == 0))
        u, v = x.value.astype(np.float64), y.value.astype(np.float64)
        low = u - 2 * x.error
        size = np.maximum(np.abs(np.log(np.abs(low))), np.abs(np.log(u + 2 * x.error)))
        moved = size * y.error + magnitude(y) * x.error / low
        by_log = np.exp(v * np.log(u) + 2 * moved) * moved * (1 + 2.0**-10)  # |value| may be 0 where this is not
        far = np.where(v >= 1, farthest(u, x.error), nearest(u, x.error))
        is_integer = (v == np.rint(v)) & (y.error == 0)
        by_power = np.abs(v) * far ** (v - 1) * x.error
        propagated = np.where(low > 0, by_log, np.where(is_integer, by_power, np.inf))
        return rounded(value, propagated, grant.units, vanishes=lambda: (value == 0) & is_zero(x))

    return step


def _atan2(equation: Equation) -> Step:
    """|∇ atan2| = 1/r, r the distance from the origin; across the cut, x < 0 with y ≈ 0, it jumps by 2π."""
    grant = granted("atan2", equation.results[0].dtype)

    def step(_: object, y: Bounded, x: Bounded) -> Bounded:
        value = computed(equation.primitive, equation.params, y.value, x.value)
        if is_exact(x) and is_exact(y):
            return rounded(value, 0.0, grant.units, vanishes=lambda: (value == 0) & (y.value == 0))
        moved = np.hypot(x.error, y.error)
        r = np.hypot(x.value.astype(np.float64), y.value.astype(np.float64)) * BARELY - 2 * moved
        cut = (x.value - 2 * x.error < 0) & (np.abs(y.value) <= 2 * y.error)
        propagated = np.where(r > 0, moved / r, np.inf) + np.where(cut, 2 * np.pi, 0.0)
        return rounded(value, propagated, grant.units, vanishes=lambda: (value == 0) & is_zero(y))

    return step


OF_FUNCTIONS: dict[str, Rule] = {
    **{name: rule_of(row) for name, row in FUNCTIONS.items() if row.change is not None},
    "pow": _pow,
    "atan2": _atan2,
}
"""rules of rounding for functions by the names of primitives"""
