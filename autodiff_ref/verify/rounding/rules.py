"""Rounding bounds of arithmetic: sums, products, contractions, comparisons and what chooses by them.

Where P is written, it bounds |f(x') − f(x)|, x the exact operands and x' any computed ones: see `bounded`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from autodiff_ref.verify.rounding.values import (
    UPWARDS,
    Bounded,
    Discrete,
    are_short,
    flushed,
    format_of,
    is_exact,
    is_sure,
    is_zero,
    magnitude,
    reach,
    rounded,
    surely,
    without_error,
)
from autodiff_ref.verify.walker.plans import Array, Equation, Rule, Step


def _cast(x: Bounded, dtype: Any) -> Array:
    return x.value.astype(dtype, copy=False)


# Sums and products


def added(x: Bounded, y: Bounded, dtype: Any, ufunc: Callable[..., Array] = np.add) -> Bounded:
    """x ± y: P = e_x + e_y"""
    value = ufunc(_cast(x, dtype), _cast(y, dtype))
    if not is_exact(x) and not is_exact(y):
        return rounded(value, x.error + y.error)
    if not (is_exact(x) and is_exact(y)):
        return rounded(value, y.error if is_exact(x) else x.error)
    return without_error(value) if are_short(x.value, y.value) else rounded(value, 0.0)


def _add(ufunc: Callable[..., Array]) -> Rule:
    def rule(equation: Equation) -> Step:
        dtype = equation.results[0].dtype
        format_of(dtype)
        return lambda _, x, y: added(x, y, dtype, ufunc)

    return rule


def product(x: Bounded, y: Bounded, dtype: Any) -> Bounded:
    """x y: P = |x'| e_y + e_x |y|"""
    value = _cast(x, dtype) * _cast(y, dtype)
    if is_exact(x) and is_exact(y):
        if are_short(x.value, y.value):
            return without_error(value)
        propagated: Array | float = 0.0
    elif is_exact(x):
        propagated = np.abs(x.value) * y.error
    elif is_exact(y):
        propagated = x.error * np.abs(y.value)
    else:
        propagated = reach(x) * y.error + x.error * magnitude(y)
    return rounded(value, propagated, vanishes=_vanishing(value, x, y))


def _vanishing(value: Array, *factors: Bounded) -> Array:
    """Where a product is exactly 0 because a factor is; elsewhere a computed 0 may have been flushed."""
    zero = value == 0
    if zero.any():
        zero = zero & np.any([np.broadcast_to(is_zero(x), value.shape) for x in factors], axis=0)
    return zero


def _mul(equation: Equation) -> Step:
    dtype = equation.results[0].dtype
    format_of(dtype)
    return lambda _, x, y: product(x, y, dtype)


def quotient(x: Bounded, y: Bounded, dtype: Any) -> Bounded:
    """x / y: P = (e_x + |x/y| e_y) / |y'|; none is known where the divisor's interval holds 0."""
    value = _cast(x, dtype) / _cast(y, dtype)
    if is_exact(y):
        if is_exact(x) and are_short(x.value, y.value, value):
            return without_error(value)  # multiplied by the divisor it is the dividend, without rounding
        propagated = x.error / np.abs(y.value) if not is_exact(x) else 0.0
        return rounded(value, propagated, vanishes=_vanishing(value, x))
    size = np.abs(y.value)
    least, least_computed = size - y.error, size - 2 * y.error
    propagated = (x.error + magnitude(x) / least * y.error) / least_computed
    result = rounded(value, propagated, vanishes=_vanishing(value, x))
    return Bounded(result.value, np.where(least_computed > 0, result.error, np.inf))


def _div(equation: Equation) -> Step:
    dtype = equation.results[0].dtype
    format_of(dtype)
    return lambda _, x, y: quotient(x, y, dtype)


def _integer_pow(equation: Equation) -> Step:
    """xⁿ by repeated multiplication, in any order: |n| roundings at most, one more for 1/x^|n|."""
    n, dtype = int(equation.params["y"]), equation.results[0].dtype
    format_of(dtype)

    def step(_: Any, x: Bounded) -> Bounded:
        if is_exact(x) and n == 2 and are_short(x.value):
            return without_error(x.value * x.value)
        value = x.value.astype(dtype, copy=False) ** n
        size = np.abs(x.value).astype(np.float64)
        if n >= 0:
            propagated = n * (size + 2 * x.error) ** (n - 1) * x.error if n else 0.0
            return rounded(value, propagated, units=max(n - 1, 1), vanishes=_vanishing(value, x))
        least = size - 2 * x.error
        propagated = -n * np.abs(least) ** (n - 1) * x.error
        result = rounded(value, propagated, units=1 - n, vanishes=np.zeros((), dtype=bool))
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

    def step(_: Any, x: Bounded) -> Bounded:
        value = (1 - x.value) * (1 + x.value)
        return rounded(value.astype(dtype), 2 * reach(x) * x.error + 2 * format_of(dtype).u * reach(x) ** 2, units=3)

    return step


def _signed(ufunc: Callable[[Array], Array]) -> Rule:
    return lambda _: lambda _, x: Bounded(ufunc(x.value), x.error)


# Sums and contractions, in any order


def _gamma(n: int, dtype: Any) -> float:
    """γ_n = n u / (1 − n u)"""
    u = format_of(dtype).u
    return n * u / (1 - n * u)


def total(x: Bounded, axes: tuple[int, ...], roundings: int, dtype: Any) -> Bounded:
    """The sum over axes (those of arrays with the batch in front), in any order: P = Σ e, and γ Σ |x'|."""
    value = x.value.sum(axes, dtype=dtype)
    if is_exact(x) and are_short(x.value) and are_short(value):
        return without_error(value)
    tiny = format_of(dtype).tiny
    size = reach(x).sum(axes)
    error = (x.error.sum(axes) + _gamma(roundings, dtype) * size + (roundings > 0) * tiny * (roundings + 1)) * UPWARDS
    return Bounded(flushed(value), np.where(size == 0, 0.0, error))


def _reduce_sum(equation: Equation) -> Step:
    axes = tuple(int(axis) + 1 for axis in equation.params["axes"])
    dtype = equation.results[0].dtype
    count = int(np.prod([equation.operands[0].shape[axis - 1] for axis in axes]))
    format_of(dtype)
    if not axes:
        return lambda _, x: x
    return lambda _, x: total(x, axes, max(count - 1, 0), dtype)


def _cumsum(equation: Equation) -> Step:
    axis, backwards, dtype = equation.params["axis"] + 1, equation.params["reverse"], equation.results[0].dtype
    gamma, tiny = _gamma(equation.operands[0].shape[axis - 1], dtype), format_of(dtype).tiny

    def summed(x: Array) -> Array:
        flipped = np.flip(x, axis) if backwards else x
        made = np.cumsum(flipped, axis)
        return np.flip(made, axis) if backwards else made

    def step(_: Any, x: Bounded) -> Bounded:
        size = summed(reach(x))
        error = (summed(x.error) + gamma * size + tiny * x.value.shape[axis]) * UPWARDS
        return Bounded(flushed(summed(x.value)), np.where(size == 0, 0.0, error))

    return step


def _along(combine: Callable[[Bounded, Bounded], Bounded], *, accumulate: bool) -> Rule:
    """A reduction, or accumulation, one entry after the other."""

    def rule(equation: Equation) -> Step:
        params = equation.params
        axes = (params["axis"] + 1,) if accumulate else tuple(int(axis) + 1 for axis in params["axes"])
        backwards = accumulate and params["reverse"]
        format_of(equation.results[0].dtype)

        def step(_: Any, x: Bounded) -> Bounded:
            value, error = _at_the_end(x.value, axes), _at_the_end(np.asarray(x.error), axes)
            parts = [Bounded(value[..., k], error[..., k]) for k in range(value.shape[-1])]
            parts = parts[::-1] if backwards else parts
            made = [parts[0]]
            for part in parts[1:]:
                made.append(combine(made[-1], part))
            if not accumulate:
                return made[-1]
            made = made[::-1] if backwards else made
            return Bounded(np.stack([p.value for p in made], axes[0]), np.stack([p.error for p in made], axes[0]))

        return step

    return rule


def _at_the_end(x: Array, axes: tuple[int, ...]) -> Array:
    kept = [axis for axis in range(x.ndim) if axis not in axes]
    return np.transpose(x, [*kept, *axes]).reshape([*[x.shape[axis] for axis in kept], -1])


def _dot_general(equation: Equation) -> Step:
    """Σ_k x_k y_k in any order: P = Σ (|x'| e_y + e_x |y|), and γ_n Σ |x'| |y'|."""
    (left_sum, right_sum), (left_batch, right_batch) = equation.params["dimension_numbers"]
    left, right = equation.operands
    if not (left.is_real and right.is_real):
        raise NotImplementedError("no rounding bounds for `dot_general` of integers into floats: convert them first")
    left_free = [k for k in range(len(left.shape)) if k not in (*left_sum, *left_batch)]
    right_free = [k for k in range(len(right.shape)) if k not in (*right_sum, *right_batch)]
    left_order = [0, *(k + 1 for k in (*left_batch, *left_free, *left_sum))]
    right_order = [0, *(k + 1 for k in (*right_batch, *right_sum, *right_free))]
    batch = [left.shape[k] for k in left_batch]
    summed = int(np.prod([left.shape[k] for k in left_sum]))
    left_shape = [-1, *batch, int(np.prod([left.shape[k] for k in left_free])), summed]
    right_shape = [-1, *batch, summed, int(np.prod([right.shape[k] for k in right_free]))]
    shape, dtype = equation.results[0].shape, equation.results[0].dtype
    gamma, tiny = _gamma(summed, dtype), format_of(dtype).tiny

    def step(_: Any, x: Bounded, y: Bounded) -> Bounded:
        if not summed:
            return without_error(np.zeros((1, *shape), dtype))

        def lefts(array: Array) -> Array:
            return np.transpose(array, left_order).reshape(left_shape)

        def rights(array: Array) -> Array:
            return np.transpose(array, right_order).reshape(right_shape)

        value = np.matmul(lefts(_cast(x, dtype)), rights(_cast(y, dtype)))
        size, other = lefts(reach(x)), rights(reach(y))
        error = np.matmul(size, gamma * other if is_exact(y) else gamma * other + rights(y.error))
        if not is_exact(x):
            error += np.matmul(lefts(x.error), other)
        error = error * UPWARDS + 2 * summed * tiny
        zero = value == 0
        if zero.any():
            error[zero & (~np.matmul(size != 0, other != 0))] = 0.0  # every product has a factor that is exactly 0
        return Bounded(flushed(value).reshape((-1, *shape)), error.reshape((-1, *shape)))

    return step


# Comparisons, and what chooses

_OUTCOMES: dict[str, Callable[..., Array]] = {
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
}


def _comparison(name: str) -> Rule:
    compare = _OUTCOMES[name]

    def rule(_: Equation) -> Step:
        def step(context: Any, x: Bounded, y: Bounded) -> Discrete:
            if x is y:  # NaN is what `x != x` asks for, and no real is
                return surely(np.full(x.value.shape, bool(compare(0, 0))))
            chosen = context.choice(x, y) if name in ("eq", "ne") else None
            if chosen is not None:
                return Discrete(chosen.value if name == "eq" else ~chosen.value, chosen.sure)
            value = compare(x.value, y.value)
            return surely(value) if is_exact(x) and is_exact(y) else Discrete(value, _told_apart(x, y))

        return step

    return rule


def _told_apart(x: Bounded, y: Bounded) -> Array:
    """Where a comparison comes out alike for the exact and for every computed value; an infinite constant is exact."""
    errors = (2 + 2.0**-20) * (x.error + y.error)
    apart = np.abs(x.value - y.value) > errors
    return apart | (errors == 0) | ((x.value != y.value) & (errors < np.inf) & (np.isinf(x.value) | np.isinf(y.value)))


def either(cases: list[Bounded], chosen: Array, sure: Array) -> Bounded:
    """cases[chosen]; where that is not sure, as far off as any other case is."""
    shape = np.broadcast_shapes(*[case.value.shape for case in cases], chosen.shape)
    indices = np.broadcast_to(chosen, shape)
    value = np.choose(indices, [case.value for case in cases])
    error = np.choose(indices, [case.error for case in cases])
    unsure = np.broadcast_to(~sure, shape)
    if unsure.any():
        worst = error
        for case in cases:
            worst = np.maximum(worst, np.abs(np.where(unsure, case.value, 0).astype(np.float64) - value) + 2 * case.error)
        error = np.where(unsure, 2 * worst, error)  # from the case at hand to the exact one, and to the computed one
    return Bounded(value, error)


def spread_over(which: Discrete, ndim: int) -> tuple[Array, Array]:
    """A choice, one for all entries or one each, as integers; and its certainty."""
    between = (which.value.shape[0], *[1] * (ndim - 1)) if which.value.ndim == 1 else which.value.shape
    return which.value.reshape(between).astype(np.intp), np.asarray(which.sure).reshape(between)


def _select(_: Equation) -> Step:
    def step(_: Any, which: Discrete, *cases: Bounded) -> Bounded:
        chosen, sure = spread_over(which, cases[0].value.ndim)
        if is_sure(which) and all(is_exact(case) for case in cases):
            return without_error(np.choose(chosen, [case.value for case in cases]))
        return either(list(cases), chosen, sure)

    return step


def _extreme(better: Callable[..., Array]) -> Callable[[Bounded, Bounded], Bounded]:
    def extreme(x: Bounded, y: Bounded) -> Bounded:
        value = (np.maximum if better is np.greater else np.minimum)(x.value, y.value)
        if is_exact(x) and is_exact(y):
            return without_error(value)
        first = better(x.value, y.value)
        error = np.where(_told_apart(x, y), np.where(first, x.error, y.error), np.maximum(x.error, y.error))
        return Bounded(value, error)

    return extreme


greatest, least = _extreme(np.greater), _extreme(np.less)


def _choosing(better: Callable[..., Array]) -> Rule:
    """max and min: JAX differentiates them by asking which operand equals the result, so that is kept."""
    extreme = _extreme(better)

    def rule(_: Equation) -> Step:
        def step(context: Any, x: Bounded, y: Bounded) -> Bounded:
            made = extreme(x, y)
            sure = np.broadcast_to(_told_apart(x, y), made.value.shape)
            equal = x.value == y.value
            context.choices.append((made, x, Discrete(better(x.value, y.value) | equal, sure)))
            context.choices.append((made, y, Discrete(better(y.value, x.value) | equal, sure)))
            return made

        return step

    return rule


def _extreme_of_rows(better: Callable[..., Array]) -> Rule:
    """The largest entry: as far off as any entry that may be it."""
    largest = better is np.greater

    def rule(equation: Equation) -> Step:
        axes = tuple(int(axis) + 1 for axis in equation.params["axes"])

        def step(_: Any, x: Bounded) -> Bounded:
            value = x.value.max(axes) if largest else x.value.min(axes)
            if is_exact(x):
                return without_error(value)
            best = np.expand_dims(value, axes)
            own = np.where(x.value == best, x.error, 0).max(axes, keepdims=True)
            candidate = np.abs(x.value - best) <= 2 * (x.error + own)
            unknown = ~(x.error < np.inf)
            error = np.where(candidate | unknown, x.error, 0).max(axes)
            return Bounded(value, error)

        return step

    return rule


def _position(better: Callable[..., Array]) -> Rule:
    """argmax and argmin: sure where no other entry can be as good."""

    def rule(equation: Equation) -> Step:
        axes = tuple(int(axis) + 1 for axis in equation.params["axes"])
        dtype = equation.results[0].dtype

        def step(_: Any, x: Bounded) -> Discrete:
            value, error = _at_the_end(x.value, axes), _at_the_end(np.asarray(x.error), axes)
            found = (np.argmax if better is np.greater else np.argmin)(value, axis=-1)
            if is_exact(x):
                return surely(found.astype(dtype))
            at = found[..., None]
            best, own = np.take_along_axis(value, at, -1), np.take_along_axis(error, at, -1)
            apart = np.abs(value - best) > 2 * (error + own)
            np.put_along_axis(apart, at, True, -1)
            return Discrete(found.astype(dtype), apart.all(axis=-1))

        return step

    return rule


def _clamp(_: Equation) -> Step:
    return lambda _, low, x, high: least(greatest(_ranked(low, x), x), _ranked(high, x))


def _ranked(limit: Bounded, x: Bounded) -> Bounded:
    """A limit, which may be one number for all entries, with as many axes as x."""
    between = (limit.value.shape[0], *[1] * (x.value.ndim - 1)) if limit.value.ndim < x.value.ndim else limit.value.shape
    return Bounded(limit.value.reshape(between), np.reshape(limit.error, between))


# Jumps, and conversions


def _sign(_: Equation) -> Step:
    def step(_: Any, x: Bounded) -> Bounded:
        value = np.sign(x.value)
        if is_exact(x):
            return without_error(value)
        known = (np.abs(x.value) > 2 * x.error) | (x.error == 0)
        return Bounded(value, np.where(known, 0.0, 2.0))

    return step


def jump(f: Callable[[Array], Array]) -> Rule:
    """A function that grows in steps: as far off as its values over [x̂ − 2e, x̂ + 2e]."""

    def rule(_: Equation) -> Step:
        def step(_: Any, x: Bounded) -> Bounded:
            if is_exact(x):
                return without_error(f(x.value))
            low, high = f(x.value - 2 * x.error), f(x.value + 2 * x.error)
            return Bounded(f(x.value), np.asarray(high - low, dtype=np.float64))

        return step

    return rule


def _half_away(x: Array) -> Array:
    return np.trunc(x) + np.sign(x) * (np.abs(x - np.trunc(x)) >= 0.5)


def _round(equation: Equation) -> Step:
    return jump(np.rint if int(equation.params["rounding_method"]) == 1 else _half_away)(equation)


def _rem(equation: Equation) -> Step:
    """a − b trunc(a/b): P = e_a + |q| e_b while the quotient's integer part is sure."""
    dtype = equation.results[0].dtype
    format_of(dtype)

    def step(_: Any, a: Bounded, b: Bounded) -> Bounded:
        value = np.fmod(_cast(a, dtype), _cast(b, dtype))
        if is_exact(a) and is_exact(b):
            return without_error(value)
        share = quotient(a, b, np.float64)
        low, high = np.trunc(share.value - 2 * share.error), np.trunc(share.value + 2 * share.error)
        error = a.error + np.abs(high) * b.error
        return rounded(value, np.where((low == high) & (low * high >= 0), error, reach(b) + np.abs(value)))

    return step


def _convert(equation: Equation) -> Step:
    source, target = equation.operands[0], equation.results[0]
    if target.is_real:
        format_of(target.dtype)
        return _to_float(source.is_real, source.dtype, target.dtype)
    low, high = (0, 1) if target.dtype == np.bool_ else (np.iinfo(target.dtype).min, np.iinfo(target.dtype).max)

    def to_integer(_: Any, x: Bounded) -> Discrete:
        def cast(value: Array) -> Array:
            if target.dtype == np.bool_:
                return value != 0
            return np.clip(np.nan_to_num(np.trunc(value)), low, high).astype(target.dtype)

        value = cast(x.value)
        if is_exact(x):
            return surely(value)
        if target.dtype == np.bool_:
            return Discrete(value, (np.abs(x.value) > 2 * x.error) | (x.error == 0))
        return Discrete(value, cast(x.value - 2 * x.error) == cast(x.value + 2 * x.error))

    return to_integer


def _to_float(from_real: bool, source: Any, dtype: Any) -> Step:
    def from_float(_: Any, x: Bounded) -> Bounded:
        value = x.value.astype(dtype)
        lossless = np.finfo(dtype).bits >= np.finfo(source).bits
        if lossless or (is_exact(x) and np.array_equal(value, x.value)):
            return Bounded(value, x.error)
        return rounded(value, np.asarray(x.error))

    def from_integer(_: Any, x: Discrete) -> Bounded:
        value = x.value.astype(dtype)
        exact = source == np.bool_ or np.all(np.abs(value) <= 1 / format_of(dtype).u)
        made = without_error(value) if exact else rounded(value, 0.0)
        if is_sure(x):
            return made
        if source == np.bool_:
            return Bounded(value, np.where(x.sure, 0.0, 1.0))
        return Bounded(value, np.where(x.sure, made.error, np.inf))

    return from_float if from_real else from_integer


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
    "reduce_sum": _reduce_sum,
    "reduce_prod": _along(lambda x, y: product(x, y, x.value.dtype), accumulate=False),
    "cumprod": _along(lambda x, y: product(x, y, x.value.dtype), accumulate=True),
    "cummax": _along(greatest, accumulate=True),
    "cummin": _along(least, accumulate=True),
    "cumsum": _cumsum,
    "dot_general": _dot_general,
    **{name: _comparison(name) for name in _OUTCOMES},
    "is_finite": lambda _: lambda _, x: Discrete(np.isfinite(x.value), x.error < np.inf),
    "select_n": _select,
    "max": _choosing(np.greater),
    "min": _choosing(np.less),
    "reduce_max": _extreme_of_rows(np.greater),
    "reduce_min": _extreme_of_rows(np.less),
    "argmax": _position(np.greater),
    "argmin": _position(np.less),
    "clamp": _clamp,
    "sign": _sign,
    "floor": jump(np.floor),
    "ceil": jump(np.ceil),
    "round": _round,
    "rem": _rem,
    "convert_element_type": _convert,
}
"""rules of rounding by the names of primitives"""
