"""Comparisons, and functions that jump as rounding does: a ball across the jump decides nothing, and says so."""

from collections.abc import Callable
from functools import partial

import numpy as np
from flint import arb

from autodiff_ref.judge.balls.context import Context, exact
from autodiff_ref.judge.balls.entrywise import rule_of
from autodiff_ref.judge.functions.enclosing import NAN, ZERO
from autodiff_ref.judge.program.plans import Array, Equation, OnOneEntry, Rule, Step, entrywise

OUTCOMES: dict[str, Callable[[int], bool]] = {
    "eq": lambda c: c == 0,
    "ne": lambda c: c != 0,
    "lt": lambda c: c < 0,
    "le": lambda c: c <= 0,
    "gt": lambda c: c > 0,
    "ge": lambda c: c >= 0,
    # the same for reals: only NaN and the sign of 0 have another place in JAX's total order
    "eq_to": lambda c: c == 0,
    "lt_to": lambda c: c < 0,
    "le_to": lambda c: c <= 0,
}


def _comparison(name: str) -> Rule:
    outcome = OUTCOMES[name]

    def rule(equation: Equation) -> Step:
        label = equation.label
        if equation.is_of_one_entry:
            no, yes = (np.full(equation.results[0].shape, value) for value in (False, True))
            return OnOneEntry(lambda context, a, b: yes if outcome(context.compare(a, b, label=label)) else no, asks=True)

        def step(context: Context, a: Array, b: Array) -> Array:
            if a is b:  # NaN is what `x != x` asks for: data may hold some, and no real is
                is_missing = np.asarray(np.frompyfunc(lambda u: label and u.is_nan(), 1, 1)(a), dtype=bool)
                return np.where(is_missing, name == "ne", outcome(0))
            decided = np.frompyfunc(lambda u, v: outcome(context.compare(u, v, label=label)), 2, 1)(a, b)
            return np.asarray(decided, dtype=bool)

        return step

    return rule


def _sign(equation: Equation) -> Step:
    label = equation.label
    return lambda context, x: entrywise(lambda u: arb(context.compare(u, ZERO, label=label)), x)


def _atan2(equation: Equation) -> Step:
    """The angle jumps from π to −π across the negative x axis: a tie of y with 0 there."""

    def one(context: Context, y: arb, x: arb) -> arb:
        on_the_cut = y == 0 and y.is_exact() and x < 0
        if on_the_cut and context.compare(y, ZERO, label=equation.label) < 0:
            return -arb.pi()
        return arb.atan2(y, x)

    return lambda context, y, x: entrywise(lambda u, v: one(context, u, v), y, x)


def _convert(equation: Equation) -> Step:
    source, target = equation.operands[0], equation.results[0]
    if not source.is_real:
        return OnOneEntry(lambda x: arb(int(x.item()))) if equation.is_of_one_entry else lambda _, x: exact(x)
    if target.is_real:
        return OnOneEntry(lambda x: x) if equation.is_of_one_entry else lambda _, x: x
    label = equation.label
    if target.dtype == np.bool_:
        return lambda context, x: np.asarray(entrywise(lambda u: context.compare(u, ZERO, label=label) != 0, x), dtype=bool)
    low, high = np.iinfo(target.dtype).min, np.iinfo(target.dtype).max

    def to_integer(context: Context, value: arb) -> int:
        return min(max(as_integer(_truncate(context, value, label=label)), low), high)

    return lambda context, x: np.asarray(entrywise(lambda u: to_integer(context, u), x)).astype(target.dtype)


def as_integer(value: arb) -> int:
    """An integer as Python's; of a ball that holds several one of them, and the run is unresolved then."""
    found = (value if value.is_exact() else value.mid().floor()).unique_fmpz()
    return 0 if found is None else int(found)


def _floor(context: Context, value: arb, *, label: bool, at_jump: Callable[[arb], arb] = lambda low: low) -> arb:
    """The largest integer up to a real. It jumps: at an integer the run is tied, across one it is unresolved.

    `at_jump` says which integer is taken at the very jump, as rounding to even does otherwise than floor.
    """
    low = value.floor()
    if not (value.is_finite() and low.is_exact()):
        context.unresolved = True
        return low if value.is_finite() else NAN
    if not value.is_exact() and value.overlaps(low):  # it ends at the jump
        context.unresolved = True
        return low.union(low - 1)
    if value != low:
        return low
    side = 0 if label else context.tie(value, low)
    return low - 1 if side < 0 else low if side > 0 else at_jump(low)


def _ceil(context: Context, value: arb, *, label: bool) -> arb:
    return -_floor(context, -value, label=label)


def _truncate(context: Context, value: arb, *, label: bool) -> arb:
    """The integer part, as a cast to int takes it."""
    if abs(value) < 1:
        return ZERO
    return _floor(context, value, label=label) if value > 0 else _ceil(context, value, label=label)


def _round(context: Context, value: arb, *, label: bool, to_even: bool) -> arb:
    def at_half(up: arb) -> arb:
        if to_even:
            return up if as_integer(up) % 2 == 0 else up - 1
        return up if value > 0 else up - 1

    return _floor(context, value + arb(0.5), label=label, at_jump=at_half)


def _rounding(f: Callable[..., arb]) -> Rule:
    """floor and the like jump, so that a ball across a jump decides nothing."""

    def rule(equation: Equation) -> Step:
        label = equation.label
        return lambda context, x: entrywise(lambda u: f(context, u, label=label), x)

    return rule


def _round_half(equation: Equation) -> Step:
    to_even = int(equation.params["rounding_method"]) == 1
    return _rounding(partial(_round, to_even=to_even))(equation)


def _is_finite(context: Context, value: arb) -> bool:
    """An infinite constant is not finite; a ball without a bound may be anything."""
    if not value.is_finite() and not (value == arb.pos_inf() or value == arb.neg_inf()):
        context.unresolved = True
    return value.is_finite()


def _remainder(equation: Equation) -> Step:
    """The remainder with the sign of the dividend."""
    label = equation.label

    def one(context: Context, a: arb, b: arb) -> arb:
        return a - b * _truncate(context, a / b, label=label)

    return lambda context, a, b: entrywise(lambda u, v: one(context, u, v), a, b)


def _divide(equation: Equation) -> Step:
    """A quotient. Where it is asked whether a loop goes on, x/0 is infinite as it is in floats: "while |term / sum| > ε"."""
    if equation.is_of_one_entry:
        return OnOneEntry(lambda context, x, y: _quotient(x, y) if context.is_deciding else x / y, asks=True)
    plain = rule_of(arb.__truediv__)(equation)

    def step(context: Context, x: Array, y: Array) -> Array:
        return entrywise(_quotient, x, y) if context.is_deciding else plain(context, x, y)

    return step


def _quotient(x: arb, y: arb) -> arb:
    return x.sgn() * arb.pos_inf() if y == 0 and x.is_finite() and not x.contains(0) else x / y


JUMPS: dict[str, Rule] = {
    "div": _divide,
    **{name: _comparison(name) for name in OUTCOMES},
    "sign": _sign,
    "atan2": _atan2,
    "convert_element_type": _convert,
    "is_finite": lambda _: lambda context, x: np.asarray(entrywise(lambda u: _is_finite(context, u), x), dtype=bool),
    "floor": _rounding(_floor),
    "ceil": _rounding(_ceil),
    "round": _round_half,
    "rem": _remainder,
}
"""rules that ask how reals compare"""
