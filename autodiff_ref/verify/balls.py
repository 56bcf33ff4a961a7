"""Ball arithmetic: a table for the walker in which every real is an Arb ball, an interval sure to hold the true value.

What two lines' balls say is certified: disjoint ones differ; whatever overlaps at 30 digits is equal as far as 30 digits go.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import flint
import numpy as np
from flint import arb

from autodiff_ref.verify.structure import ALGEBRA, DISCRETE, MOVEMENT, as_objects, axes_last, reduction, scatter
from autodiff_ref.verify.walk import Array, Equation, Rule, Step, is_short

ZERO, ONE, NAN = arb(0), arb(1), arb.nan()


@dataclass
class Context:
    """How one run reads constants and decides ties, and what it met."""

    constants: Literal["balls", "exact"] = "balls"
    """a float constant of more than 24 bits is c ± ulp(c), or exactly its double"""
    ties: Literal["exact", "left", "right"] = "exact"
    """comparisons of reals that tie: as they are, or as if the left operand were a little smaller, or the right one"""
    tied: bool = False
    """two reals compared were equal"""
    unresolved: bool = False
    """two reals compared could not be told apart at this precision"""
    undefined: Any = NAN
    zero: Any = ZERO

    def compare(self, a: arb, b: arb, *, label: bool) -> int:
        """−1, 0 or 1 as a < b, a = b or a > b, ties decided as `ties` says; a ball is equal to itself."""
        if a is b:
            return 0
        if a < b:
            return -1
        if a > b:
            return 1
        if not (a == b and a.is_exact() and b.is_exact()):
            self.unresolved = True
        elif label:
            return 0
        self.tied = True
        return {"exact": 0, "left": -1, "right": 1}[self.ties]


@contextmanager
def precision(bits: int) -> Generator[None]:
    """Ball arithmetic with this many bits."""
    with flint.ctx.workprec(bits):
        yield


def exact(values: Array) -> Array:
    """Floats as balls of radius 0."""
    return _map(lambda value: arb(float(value)), np.asarray(values, dtype=np.float64))


def _map(f: Callable[..., Any], *arrays: Array) -> Array:
    return as_objects(np.frompyfunc(f, len(arrays), 1)(*arrays))


def _constant(value: float, context: Context | None) -> arb:
    value = float(value)
    if not np.isfinite(value) or context is None or context.constants == "exact" or is_short(value):
        return arb(value)
    return arb(value, float(np.spacing(abs(value))))


# Comparisons

_OUTCOMES: dict[str, Callable[[int], bool]] = {
    "eq": lambda c: c == 0,
    "ne": lambda c: c != 0,
    "lt": lambda c: c < 0,
    "le": lambda c: c <= 0,
    "gt": lambda c: c > 0,
    "ge": lambda c: c >= 0,
}


def _comparison(name: str) -> Rule:
    outcome = _OUTCOMES[name]

    def rule(equation: Equation) -> Step:
        label = equation.label

        def step(context: Context, a: Array, b: Array) -> Array:
            if a is b:  # NaN is what `x != x` asks for, and no real is
                return np.full(np.shape(a), outcome(0))
            decided = np.frompyfunc(lambda u, v: outcome(context.compare(u, v, label=label)), 2, 1)(a, b)
            return np.asarray(decided, dtype=bool)

        return step

    return rule


def _sign(equation: Equation) -> Step:
    label = equation.label
    return lambda context, x: _map(lambda u: arb(context.compare(u, ZERO, label=label)), x)


def _convert(equation: Equation) -> Step:
    source, target = equation.operands[0], equation.results[0]
    if not source.is_real:
        return lambda _, x: exact(x)
    if target.is_real:
        return lambda _, x: x
    if target.dtype == np.bool_:
        return lambda context, x: _map(lambda u: context.compare(u, ZERO, label=True) != 0, x).astype(bool)
    return lambda context, x: _map(lambda u: _truncate(context, u), x).astype(target.dtype)


def _truncate(context: Context, value: arb) -> int:
    """The integer part, as a cast to int takes it."""
    return int(float(_integral(context, value.floor() if value > 0 else value.ceil())))


def _integral(context: Context, value: arb) -> arb:
    """The integer a rounding function gave; where its ball holds several, the middle one, and the run is unresolved."""
    if value.is_exact():
        return value
    context.unresolved = True
    return value.mid().floor() if value.is_finite() else ZERO


def _rounding(f: Callable[[arb], arb]) -> Rule:
    """floor and ceil jump, so that a ball across a jump decides nothing."""
    return lambda _: lambda context, x: _map(lambda u: _integral(context, f(u)), x)


def _round_half(equation: Equation) -> Step:
    to_even = int(equation.params["rounding_method"]) == 1

    def one(context: Context, value: arb) -> arb:
        below = _integral(context, value.floor())
        order = context.compare(value - below, arb(0.5), label=equation.label)
        if order == 0:
            up = int(float(below)) % 2 != 0 if to_even else value > 0
            return below + 1 if up else below
        return below + 1 if order > 0 else below

    return lambda context, x: _map(lambda u: one(context, u), x)


def _clamp(_: Equation) -> Step:
    return lambda _, low, x, high: _map(lambda a, u, b: _least(_greatest(a, u), b), low, x, high)


# Reductions and sorting by value


def _extreme(better: int) -> Rule:
    def rule(equation: Equation) -> Step:
        axes = tuple(int(axis) for axis in equation.params["axes"])

        def position(context: Context, row: Array) -> int:
            best = 0
            for k in range(1, len(row)):
                if context.compare(row[k], row[best], label=equation.label) == better:
                    best = k
            return best

        def step(context: Context, x: Array) -> Array:
            rows = axes_last(x, axes)
            flat = rows.reshape(-1, rows.shape[-1])
            found = np.array([position(context, row) for row in flat], dtype=equation.results[0].dtype)
            return found.reshape(rows.shape[:-1])

        return step

    return rule


def _reduce_pairwise(f: Callable[[arb, arb], arb]) -> Rule:
    return reduction(lambda rows: np.frompyfunc(f, 2, 1).reduce(rows, axis=-1))


def _accumulate_pairwise(f: Callable[[arb, arb], arb]) -> Rule:
    def rule(equation: Equation) -> Step:
        axis, backwards = equation.params["axis"], equation.params["reverse"]

        def step(_: Context, x: Array) -> Array:
            flipped = np.flip(x, axis) if backwards else x
            made = np.frompyfunc(f, 2, 1).accumulate(flipped, axis, dtype=object)
            return np.flip(made, axis) if backwards else made

        return step

    return rule


def _sort(equation: Equation) -> Step:
    """Sorts the rows of all operands by the first `num_keys` ones."""
    axis, n_keys = equation.params["dimension"], equation.params["num_keys"]
    reals = [operand.is_real for operand in equation.operands]

    def comes_before(context: Context, rows: list[Array], i: int, j: int) -> bool:
        for row, is_real in zip(rows[:n_keys], reals, strict=False):
            a, b = row[i], row[j]
            order = context.compare(a, b, label=equation.label) if is_real else int(a > b) - int(a < b)
            if order:
                return order < 0
        return False

    def order_of(context: Context, rows: list[Array]) -> list[int]:
        order: list[int] = []
        for i in range(len(rows[0])):
            place = len(order)
            while place and comes_before(context, rows, i, order[place - 1]):
                place -= 1
            order.insert(place, i)
        return order

    def step(context: Context, *operands: Array) -> list[Array]:
        moved = [np.moveaxis(operand, axis, -1) for operand in operands]
        sorted_rows = [np.array(operand) for operand in moved]
        for index in np.ndindex(moved[0].shape[:-1]):
            order = order_of(context, [operand[index] for operand in moved])
            for made, operand in zip(sorted_rows, moved, strict=True):
                made[index] = operand[index][order]
        return [np.moveaxis(made, -1, axis) for made in sorted_rows]

    return step


# Functions


def _function(f: Callable[..., arb]) -> Rule:
    ufunc: dict[int, np.ufunc] = {}

    def rule(equation: Equation) -> Step:
        n = len(equation.operands)
        applied = ufunc.setdefault(n, np.frompyfunc(f, n, 1))
        return lambda _, *operands: as_objects(applied(*operands))

    return rule


def _greatest(x: arb, y: arb) -> arb:
    """max(x, y): the very ball that is larger, since JAX differentiates it by asking which operand equals the result."""
    return x if x is y or x > y else y if y > x else x.max(y)


def _least(x: arb, y: arb) -> arb:
    """min(x, y), as `_greatest`."""
    return x if x is y or x < y else y if y < x else x.min(y)


def _logistic(z: arb) -> arb:
    return ONE / (ONE + (-z).exp())


def _cbrt(x: arb) -> arb:
    return -((-x).root(3)) if x < 0 else x.root(3)


def _power(x: arb, y: arb) -> arb:
    if y.is_exact() and y.is_integer() and abs(y) < 2**31:
        return x ** int(float(y))
    return x**y


def _remainder(equation: Equation) -> Step:
    """The remainder with the sign of the dividend."""

    def one(context: Context, a: arb, b: arb) -> arb:
        return a - b * arb(_truncate(context, a / b))

    return lambda context, a, b: _map(lambda u, v: one(context, u, v), a, b)


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
    "atan2": lambda y, x: arb.atan2(y, x),
    "sinh": arb.sinh,
    "cosh": arb.cosh,
    "tanh": arb.tanh,
    "asinh": arb.asinh,
    "acosh": arb.acosh,
    "atanh": arb.atanh,
    "erf": arb.erf,
    "erfc": arb.erfc,
    "erf_inv": arb.erfinv,
    "lgamma": arb.lgamma,
    "digamma": arb.digamma,
    "polygamma": lambda m, x: (m + 1).gamma() * (m + 1).zeta(x) * (1 if int(float(m)) % 2 else -1),
    "abs": lambda x: abs(x),
    "max": _greatest,
    "min": _least,
}
"""functions of balls by the names of the primitives that apply them entry by entry"""


class BallTable:
    """The rules by which the walker computes in balls."""

    name = "balls"
    movement = MOVEMENT
    discrete = DISCRETE
    rules: dict[str, Rule]

    def __init__(self) -> None:
        self.rules = {
            **ALGEBRA,
            **{name: _comparison(name) for name in _OUTCOMES},
            **{name: _function(f) for name, f in FUNCTIONS.items()},
            "sign": _sign,
            "convert_element_type": _convert,
            "is_finite": lambda _: lambda _, x: np.asarray(_map(lambda u: u.is_finite(), x), dtype=bool),
            "floor": _rounding(arb.floor),
            "ceil": _rounding(arb.ceil),
            "round": _round_half,
            "rem": _remainder,
            "clamp": _clamp,
            "reduce_sum": reduction(lambda rows: np.add.reduce(rows, axis=-1, initial=ZERO)),
            "reduce_prod": reduction(lambda rows: np.multiply.reduce(rows, axis=-1, initial=ONE)),
            "reduce_max": _reduce_pairwise(_greatest),
            "reduce_min": _reduce_pairwise(_least),
            "argmax": _extreme(1),
            "argmin": _extreme(-1),
            "cummax": _accumulate_pairwise(_greatest),
            "cummin": _accumulate_pairwise(_least),
            "cumlogsumexp": _accumulate_pairwise(lambda x, y: (x.exp() + y.exp()).log()),
            "sort": _sort,
            "scatter-min": scatter(_least),
            "scatter-max": scatter(_greatest),
            "iota": lambda eqn: lambda _: exact(DISCRETE["iota"](eqn)(None)),
        }

    def constant(self, values: Array, context: Context | None) -> Array:
        """Float constants as balls: exact with at most 24 significant bits, else c ± ulp(c), so that 0.1 may mean 1/10."""
        return _map(lambda value: _constant(value, context), values)


BALLS = BallTable()


def register(primitive: str, function: Callable[..., arb]) -> None:
    """Teaches the judge a primitive that works entry by entry.

    Args:
        primitive: its name, as the report says it.
        function: the same function of balls (`flint.arb`), one for each operand; it returns a ball.

    Raises:
        TypeError: `function` is not callable.

    Example:
        The judge has no rule for the Bessel function I₀ scaled by e^−|x|; Arb has I₀:

        >>> register("bessel_i0e", lambda x: x.bessel_i(0) * (-abs(x)).exp())
    """
    if not callable(function):
        raise TypeError(f"the rule for {primitive!r} must be a function of balls, got {function!r}")
    BALLS.rules[primitive] = _function(function)
