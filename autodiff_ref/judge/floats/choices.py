"""Rounding bounds of comparisons, and of what chooses by them: sure where operands are further apart than their errors."""

from collections.abc import Callable, Sequence

import numpy as np

from autodiff_ref.judge.floats.context import Context
from autodiff_ref.judge.floats.values import Bounded, Discrete, Held, everywhere, is_exact, is_sure, surely, without_error
from autodiff_ref.judge.program.plans import Array, Equation, Rule, Step, Value

_OUTCOMES: dict[str, Callable[..., Array]] = {
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    # the same for reals: only NaN and the sign of 0 have another place in JAX's total order
    "eq_to": np.equal,
    "lt_to": np.less,
    "le_to": np.less_equal,
}


def _comparison(name: str) -> Rule:
    compare = _OUTCOMES[name]

    def rule(equation: Equation) -> Step:
        exact = equation.label

        def step(context: Context, x: Bounded, y: Bounded) -> Discrete:
            if x is y:  # NaN is what `x != x` asks for: data may hold some, and no real is
                return surely(compare(x.value, x.value) if exact else np.full(x.value.shape, bool(compare(0, 0))))
            chosen = context.choice(x, y) if name in ("eq", "ne") else None
            if chosen is not None:
                return Discrete(chosen.value if name == "eq" else ~chosen.value, chosen.sure)
            value = compare(x.value, y.value)
            apart, errors = gap_beyond(x, y)
            if everywhere(apart):
                return surely(value)
            sure = _are_told_apart(x, y, apart, errors)
            if not exact:
                context.notes(~sure | (x.value == y.value))
            return surely(value) if everywhere(sure) else Discrete(value, sure)

        return step

    return rule


def told_apart(x: Bounded, y: Bounded) -> Array:
    """Where a comparison comes out alike for the exact and for every computed value; an infinite constant is exact."""
    return _are_told_apart(x, y, *gap_beyond(x, y))


def gap_beyond(x: Bounded, y: Bounded) -> tuple[Array, Array]:
    """Where two values are further apart than their errors, which are twice those of each; and these errors."""
    errors = (2 + 2.0**-20) * (x.error + y.error)
    return np.abs(x.value - y.value) > errors, errors


def _are_told_apart(x: Bounded, y: Bounded, apart: Array, errors: Array) -> Array:
    return apart | (errors == 0) | ((x.value != y.value) & (errors < np.inf) & (np.isinf(x.value) | np.isinf(y.value)))


def picked(which: Array, cases: list[Array]) -> Array:
    """cases[which], entry by entry."""
    return np.where(which, cases[1], cases[0]) if len(cases) == 2 else np.choose(which, cases)


def either(cases: list[Bounded], chosen: Array, sure: Array) -> Bounded:
    """cases[chosen]; where that is not sure, as far off as any other case is."""
    value = picked(chosen, [case.value for case in cases])
    error = picked(chosen, [case.error for case in cases])
    if not everywhere(sure):
        unsure = ~sure
        unsure = np.broadcast_to(unsure, value.shape)
        worst = error
        for case in cases:
            worst = np.maximum(worst, np.abs(np.where(unsure, case.value, 0).astype(np.float64) - value) + 2 * case.error)
        error = np.where(unsure, 2 * worst, error)  # from the case at hand to the exact one, and to the computed one
    return Bounded(value, error)


def spread_over(which: Discrete, ndim: int) -> tuple[Array, Array]:
    """A choice, one for all entries or one each, as integers; and its certainty."""
    if which.value.ndim == ndim > 1:
        return which.value, which.sure
    between = (which.value.shape[0], *[1] * (ndim - 1)) if which.value.ndim == 1 else which.value.shape
    return which.value.reshape(between), np.asarray(which.sure).reshape(between)


def chosen(which: Discrete, cases: Sequence[Value]) -> Held:
    """cases[which], values or integers; which case is not sure is not known for integers, and an error of reals."""
    index, sure = spread_over(which, cases[0].value.ndim)
    exactly = is_sure(which) and all(is_exact(c) if isinstance(c, Bounded) else is_sure(c) for c in cases)
    if exactly:
        value = picked(index, [case.value for case in cases])
        return without_error(value) if isinstance(cases[0], Bounded) else surely(value)
    if isinstance(cases[0], Bounded):
        return either(list(cases), index, sure)
    value = picked(index, [case.value for case in cases])
    same = np.all([case.sure & (case.value == value) for case in cases], axis=0)
    return Discrete(value, same | (picked(index, [case.sure for case in cases]) & sure))


def _select(_: Equation) -> Step:
    def step(_: object, which: Discrete, *cases: Bounded) -> Bounded:
        if is_sure(which) and all(is_exact(case) for case in cases):
            chosen, _sure = spread_over(which, cases[0].value.ndim)
            return without_error(picked(chosen, [case.value for case in cases]))
        return either(list(cases), *spread_over(which, cases[0].value.ndim))

    return step


def _extreme(better: Callable[..., Array]) -> Callable[[Bounded, Bounded], Bounded]:
    def extreme(x: Bounded, y: Bounded) -> Bounded:
        value = (np.maximum if better is np.greater else np.minimum)(x.value, y.value)
        if is_exact(x) and is_exact(y):
            return without_error(value)
        first = better(x.value, y.value)
        error = np.where(told_apart(x, y), np.where(first, x.error, y.error), np.maximum(x.error, y.error))
        return Bounded(value, error)

    return extreme


greatest, least = _extreme(np.greater), _extreme(np.less)


def _choosing(better: Callable[..., Array]) -> Rule:
    """max and min: JAX differentiates them by asking which operand equals the result, so that is kept."""
    extreme = _extreme(better)

    def rule(equation: Equation) -> Step:
        exact = equation.label

        def step(context: Context, x: Bounded, y: Bounded) -> Bounded:
            made = extreme(x, y)
            sure = np.broadcast_to(told_apart(x, y), made.value.shape)
            equal = x.value == y.value
            if not exact:
                context.notes(equal | ~sure)
            context.choices.append((made, x, Discrete(better(x.value, y.value) | equal, sure)))
            context.choices.append((made, y, Discrete(better(y.value, x.value) | equal, sure)))
            return made

        return step

    return rule


def _clamp(equation: Equation) -> Step:
    exact = equation.label

    def step(context: Context, low: Bounded, x: Bounded, high: Bounded) -> Bounded:
        low, high = _ranked(low, x), _ranked(high, x)
        if not exact:
            context.notes((x.value == low.value) | (x.value == high.value))
        return least(greatest(low, x), high)

    return step


def _ranked(limit: Bounded, x: Bounded) -> Bounded:
    """A limit, which may be one number for all entries, with as many axes as x."""
    between = (limit.value.shape[0], *[1] * (x.value.ndim - 1)) if limit.value.ndim < x.value.ndim else limit.value.shape
    return Bounded(limit.value.reshape(between), np.reshape(limit.error, between))


CHOICES: dict[str, Rule] = {
    **{name: _comparison(name) for name in _OUTCOMES},
    "is_finite": lambda _: lambda _, x: Discrete(np.isfinite(x.value), x.error < np.inf),
    "select_n": _select,
    "max": _choosing(np.greater),
    "min": _choosing(np.less),
    "clamp": _clamp,
}
"""rules by the names of primitives"""
