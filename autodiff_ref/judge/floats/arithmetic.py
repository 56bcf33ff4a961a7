"""Rounding bounds of arithmetic: sums, products, quotients and powers, entry by entry.

Where P is written, it bounds |f(x') − f(x)|, x the exact operands and x' any computed ones: see `values`.
"""

from collections.abc import Callable
from functools import reduce

import numpy as np
from numpy.typing import DTypeLike

from autodiff_ref.judge.floats.values import (
    Bounded,
    anywhere,
    are_short,
    everywhere,
    format_of,
    is_exact,
    is_zero,
    magnitude,
    reach,
    rounded,
    without_error,
)
from autodiff_ref.judge.program.plans import Array, Equation, Rule, Step


def cast(x: Bounded, dtype: DTypeLike) -> Array:
    """Its value in a dtype."""
    return x.value.astype(dtype, copy=False)


def added(x: Bounded, y: Bounded, dtype: DTypeLike, ufunc: Callable[..., Array] = np.add) -> Bounded:
    """x ± y: P = e_x + e_y. An infinity that is exact, as a mask is, stays one."""
    value = ufunc(cast(x, dtype), cast(y, dtype))
    if is_exact(x) and is_exact(y) and are_short(x.value, y.value):
        return without_error(value)
    propagated = 0.0 if is_exact(x) else x.error
    if not is_exact(y):
        propagated = propagated + y.error

    def is_infinite() -> Array:
        exact = [np.isinf(each.value) & (each.error == 0) for each in (x, y)]
        known = [(magnitude(each) < np.inf) | is_inf for each, is_inf in zip((x, y), exact, strict=True)]
        return (exact[0] | exact[1]) & known[0] & known[1] & ~np.isnan(value)

    return rounded(value, propagated, is_infinite=is_infinite)


def _add(ufunc: Callable[..., Array]) -> Rule:
    def rule(equation: Equation) -> Step:
        dtype = equation.results[0].dtype
        format_of(dtype)
        return lambda _, x, y: added(x, y, dtype, ufunc)

    return rule


def product(x: Bounded, y: Bounded, dtype: DTypeLike) -> Bounded:
    """x y: P = |x'| e_y + e_x |y| ≤ |x̂| e_y + e_x (|ŷ| + 3 e_y)"""
    value = cast(x, dtype) * cast(y, dtype)
    if is_exact(x):
        if is_exact(y):
            if are_short(x.value, y.value):
                return without_error(value)
            propagated: Array | float = 0.0
        else:
            propagated = np.abs(x.value) * y.error
    elif is_exact(y):
        propagated = x.error * np.abs(y.value)
    else:
        propagated = np.abs(x.value) * y.error + x.error * (np.abs(y.value) + 3 * y.error)
    return rounded(value, propagated, vanishes=lambda: _vanishing(value, x, y))


def _vanishing(value: Array, *factors: Bounded) -> Array:
    """Where a product is exactly 0 because a factor is; elsewhere a computed 0 may have been flushed."""
    zero = value == 0
    return zero & reduce(np.logical_or, map(is_zero, factors)) if anywhere(zero) else zero


def _mul(equation: Equation) -> Step:
    dtype = equation.results[0].dtype
    format_of(dtype)
    return lambda _, x, y: product(x, y, dtype)


def quotient(x: Bounded, y: Bounded, dtype: DTypeLike, *, by_reciprocal: bool = False) -> Bounded:
    """x / y: P = (e_x + |x/y| e_y) / |y'|; none is known where the divisor's interval holds 0.

    `by_reciprocal` is for a single divisor of many: XLA multiplies by 1/y, which rounds twice, and is 0 for the largest y.
    """
    value, units = cast(x, dtype) / cast(y, dtype), 2.0 if by_reciprocal else 1.0
    size = np.abs(y.value)
    if is_exact(y):
        is_simple = not by_reciprocal or bool(np.all(np.frexp(size)[0] == 0.5))
        if is_simple and is_exact(x) and are_short(x.value, y.value, value):
            return without_error(value)  # multiplied by the divisor it is the dividend, without rounding
        propagated = x.error / size if not is_exact(x) else 0.0
        result, known = rounded(value, propagated, units, lambda: _vanishing(value, x)), np.ones((), dtype=bool)
    else:
        least, least_computed = size - y.error, size - 2 * y.error
        propagated = (x.error + magnitude(x) / least * y.error) / least_computed
        result, known = rounded(value, propagated, units, lambda: _vanishing(value, x)), least_computed > 0
    if by_reciprocal:
        known = known & (size + 2 * y.error < 0.5 / format_of(dtype).tiny)
    return result if everywhere(known) else Bounded(result.value, np.where(known, result.error, np.inf))


def _div(equation: Equation) -> Step:
    dtype = equation.results[0].dtype
    format_of(dtype)
    by_reciprocal = equation.operands[1].shape == () != equation.operands[0].shape
    return lambda _, x, y: quotient(x, y, dtype, by_reciprocal=by_reciprocal)


def _integer_pow(equation: Equation) -> Step:
    """xⁿ by repeated multiplication, in any order: |n| roundings at most, one more for 1/x^|n|."""
    n, dtype = int(equation.params["y"]), equation.results[0].dtype
    format_of(dtype)

    def step(_: object, x: Bounded) -> Bounded:
        if is_exact(x) and n == 2 and are_short(x.value):
            return without_error(x.value * x.value)
        value = x.value.astype(dtype, copy=False) ** n
        size = np.abs(x.value).astype(np.float64, copy=False)
        if n >= 0:
            propagated = n * (size + 2 * x.error) ** (n - 1) * x.error if n else 0.0
            return rounded(value, propagated, units=max(n - 1, 1), vanishes=lambda: _vanishing(value, x))
        least = size - 2 * x.error
        propagated = -n * np.abs(least) ** n * (x.error / least)  # the power n − 1 may underflow where this does not
        result = rounded(value, propagated, units=1 - n, vanishes=lambda: np.zeros((), dtype=bool))
        is_normal = (least > 0) & (np.abs(least) ** -n > 2 * format_of(dtype).tiny)  # else it may be flushed, and 1/0
        return Bounded(result.value, np.where(is_normal, result.error, np.inf))

    return step


def _square(equation: Equation) -> Step:
    dtype = equation.results[0].dtype
    format_of(dtype)
    return lambda _, x: product(x, x, dtype)


def _one_minus_square(equation: Equation) -> Step:
    """1 − x², or (1 − x)(1 + x): three roundings of |1 − x²| or one of x² as well."""
    dtype = equation.results[0].dtype
    format_of(dtype)

    def step(_: object, x: Bounded) -> Bounded:
        value = (1 - x.value) * (1 + x.value)
        return rounded(value.astype(dtype), 2 * reach(x) * x.error + 2 * format_of(dtype).u * reach(x) ** 2, units=3)

    return step


def _signed(ufunc: Callable[[Array], Array]) -> Rule:
    return lambda _: lambda _, x: Bounded(ufunc(x.value), x.error)


ARITHMETIC: dict[str, Rule] = {
    "add": _add(np.add),
    "add_any": _add(np.add),
    "sub": _add(np.subtract),
    "mul": _mul,
    "div": _div,
    "neg": _signed(np.negative),
    "abs": _signed(np.abs),
    "square": _square,
    "integer_pow": _integer_pow,
    "one_minus_square": _one_minus_square,
}
"""rules by the names of primitives"""
