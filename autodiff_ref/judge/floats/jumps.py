"""Rounding bounds of functions that jump, and of conversions."""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from numpy.typing import DTypeLike

from autodiff_ref.judge.floats.arithmetic import cast, quotient
from autodiff_ref.judge.floats.context import Context
from autodiff_ref.judge.floats.values import (
    Bounded,
    Discrete,
    everywhere,
    format_of,
    is_exact,
    is_sure,
    is_zero,
    leaf,
    reach,
    rounded,
    surely,
    without_error,
)
from autodiff_ref.judge.program.plans import Array, Equation, Rule, Step


def _sign(equation: Equation) -> Step:
    exact = equation.label

    def step(context: Context, x: Bounded) -> Bounded:
        value = np.sign(x.value)
        if not exact:
            context.notes(np.abs(x.value) <= 2 * x.error)
        if is_exact(x):
            return without_error(value)
        known = (np.abs(x.value) > 2 * x.error) | (x.error == 0)
        return Bounded(value, np.where(known, 0.0, 2.0))

    return step


def _jump(f: Callable[[Array], Array]) -> Rule:
    """A function that grows in steps: as far off as its values over [x̂ − 2e, x̂ + 2e]."""

    def rule(equation: Equation) -> Step:
        exact = equation.label

        def step(context: Context, x: Bounded) -> Bounded:
            if not exact:
                below, above = np.nextafter(x.value - 2 * x.error, -np.inf), np.nextafter(x.value + 2 * x.error, np.inf)
                context.notes(f(below) != f(above))
            if is_exact(x):
                return without_error(f(x.value))
            low, high = f(x.value - 2 * x.error), f(x.value + 2 * x.error)
            return Bounded(f(x.value), np.asarray(high - low, dtype=np.float64))

        return step

    return rule


def _half_away(x: Array) -> Array:
    return np.trunc(x) + np.sign(x) * (np.abs(x - np.trunc(x)) >= 0.5)


def _round(equation: Equation) -> Step:
    return _jump(np.rint if int(equation.params["rounding_method"]) == 1 else _half_away)(equation)


def _rem(equation: Equation) -> Step:
    """a − b trunc(a/b): P = e_a + |q| e_b while the quotient's integer part q is sure; else any in (−|b|, |b|)."""
    dtype = equation.results[0].dtype
    format_of(dtype)

    def step(_: object, a: Bounded, b: Bounded) -> Bounded:
        value = np.fmod(cast(a, dtype), cast(b, dtype))
        if is_exact(a) and is_exact(b):
            return (
                leaf(value) if everywhere(np.isfinite(value)) else Bounded(value, np.where(np.isfinite(value), 0.0, np.inf))
            )
        share = quotient(a, b, np.float64)
        low, high = np.trunc(share.value - 2 * share.error), np.trunc(share.value + 2 * share.error)
        error = a.error + np.abs(high) * b.error
        return rounded(value, np.where(low == high, error, 2 * reach(b)))

    return step


def _convert(equation: Equation) -> Step:
    source, target = equation.operands[0], equation.results[0]
    if target.is_real:
        format_of(target.dtype)
        return _to_float(source.is_real, source.dtype, target.dtype)
    if target.dtype == np.bool_:
        return _to_bool
    low, high = np.iinfo(target.dtype).min, np.iinfo(target.dtype).max

    def cast(value: Array) -> Array:
        return np.clip(np.nan_to_num(np.trunc(value)), low, high).astype(target.dtype)

    def fits(value: Array) -> Array:
        return (value > low - 1) & (value < high + 1)

    def to_integer(_: object, x: Bounded) -> Discrete:
        value = cast(x.value)
        if is_exact(x) and everywhere(fits(x.value)):
            return surely(value)
        first, last = x.value - 2 * x.error, x.value + 2 * x.error
        return Discrete(value, fits(first) & fits(last) & (cast(first) == cast(last)))  # NaN fits nowhere

    return to_integer


def _to_bool(_: object, x: Bounded) -> Discrete:
    value = x.value != 0
    return surely(value) if is_exact(x) else Discrete(value, (np.abs(x.value) > 2 * x.error) | (x.error == 0))


def _to_float(from_real: bool, source: DTypeLike, dtype: DTypeLike) -> Step:
    def from_float(_: object, x: Bounded) -> Bounded:
        value = x.value.astype(dtype)
        lossless = np.finfo(dtype).bits >= jnp.finfo(source).bits
        if lossless or (is_exact(x) and np.array_equal(value, x.value)):
            return Bounded(value, x.error)
        return rounded(value, np.asarray(x.error), vanishes=lambda: (value == 0) & is_zero(x))

    def from_integer(_: object, x: Discrete) -> Bounded:
        value = x.value.astype(dtype)
        exact = source == np.bool_ or np.all(np.abs(value) < 1 / format_of(dtype).u)  # beyond it, its last digit may be lost
        made = without_error(value) if exact else rounded(value, 0.0)
        if is_sure(x):
            return made
        if source == np.bool_:
            return Bounded(value, np.where(x.sure, 0.0, 1.0))
        return Bounded(value, np.where(x.sure, made.error, np.inf))

    return from_float if from_real else from_integer


JUMPS: dict[str, Rule] = {
    "sign": _sign,
    "floor": _jump(np.floor),
    "ceil": _jump(np.ceil),
    "round": _round,
    "rem": _rem,
    "convert_element_type": _convert,
}
"""rules by the names of primitives"""
