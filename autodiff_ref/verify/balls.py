"""Ball arithmetic: a table for the walker in which every real is an Arb ball, an interval sure to hold the true value.

What two lines' balls say is certified: disjoint ones differ; whatever overlaps at 30 digits is equal as far as 30 digits go.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import flint
import numpy as np
from flint import arb

from autodiff_ref.verify.plans import Array, Equation, Rule, Step, is_short
from autodiff_ref.verify.structure import ALGEBRA, DISCRETE, MOVEMENT, as_objects, axes_last, reduction, scatter

ZERO, ONE, NAN = arb(0), arb(1), arb.nan()


@dataclass
class Context:
    """How one run reads constants and decides ties, and what it met."""

    constants: Literal["balls", "exact"] = "balls"
    """a float constant of more than 24 bits is c ± ulp(c), or exactly its double"""
    ties: Literal["exact", "left", "right", "mixed", "mixed back"] = "exact"
    """comparisons of reals that tie: as they are, or as if the left operand were smaller, or the right one, or in turns"""
    tied: bool = False
    """two reals compared were equal"""
    unresolved: bool = False
    """two reals compared could not be told apart at this precision"""
    undefined: Any = NAN
    zero: Any = ZERO

    decisions: dict[tuple[int, int], int] = field(default_factory=dict[tuple[int, int], int])
    """how each pair of reals that tied was decided, so that x > 0 and 0 < x are decided alike"""
    kept: list[Any] = field(default_factory=list[Any])
    """the reals of `decisions`: as long as they live, nothing else has their id"""

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
        return self.tie(a, b)

    def tie(self, a: Any, b: Any) -> int:
        """Decides a tie: the same pair always in the same way, whichever comes first."""
        self.tied = True
        if self.ties == "exact":
            return 0
        if (id(b), id(a)) in self.decisions:
            return -self.decisions[id(b), id(a)]
        if (id(a), id(b)) not in self.decisions:
            odd = len(self.decisions).bit_count() % 2 == 1
            side = {"left": -1, "right": 1, "mixed": 1 if odd else -1, "mixed back": -1 if odd else 1}[self.ties]
            self.decisions[id(a), id(b)] = side
            self.kept.extend((a, b))
        return self.decisions[id(a), id(b)]

    def number(self, value: Any) -> arb:
        """The real that a constant among a primitive's parameters stands for."""
        return _constant(value, self)

    @contextmanager
    def deciding(self) -> Generator[Callable[[], bool]]:
        """Notices comparisons that tie or cannot be told; these make the whole run unresolved."""
        before = self.tied, self.unresolved
        self.tied = self.unresolved = False
        clear = True
        yield lambda: clear
        clear = not (self.tied or self.unresolved)
        self.tied, self.unresolved = before[0], before[1] or not clear


@contextmanager
def precision(bits: int) -> Generator[None]:
    """Ball arithmetic with this many bits."""
    with flint.ctx.workprec(bits):
        yield


def exact(values: Array) -> Array:
    """Numbers as balls of radius 0, integers beyond 2^53 too."""
    array = np.asarray(values)
    if np.issubdtype(array.dtype, np.floating):
        return _map(lambda value: arb(float(value)), array)
    return _map(lambda value: arb(int(value)), array)


def _map(f: Callable[..., Any], *arrays: Array) -> Array:
    return as_objects(np.frompyfunc(f, len(arrays), 1)(*arrays))


def _constant(value: Any, context: Context | None, dtype: Any = np.float64) -> arb:
    double = float(value)  # NumPy's scalars lose their type on the way here
    if double == 0:
        return ZERO
    number = np.dtype(dtype).type(double)
    if not np.isfinite(double) or context is None or context.constants == "exact" or is_short(number):
        return arb(double)
    return arb(double, float(np.spacing(np.abs(number))))


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


def _atan2(equation: Equation) -> Step:
    """The angle jumps from π to −π across the negative x axis: a tie of y with 0 there."""

    def one(context: Context, y: arb, x: arb) -> arb:
        on_the_cut = y == 0 and y.is_exact() and x < 0
        if on_the_cut and context.compare(y, ZERO, label=equation.label) < 0:
            return -arb.pi()
        return arb.atan2(y, x)

    return lambda context, y, x: _map(lambda u, v: one(context, u, v), y, x)


def _sign(equation: Equation) -> Step:
    label = equation.label
    return lambda context, x: _map(lambda u: arb(context.compare(u, ZERO, label=label)), x)


def _convert(equation: Equation) -> Step:
    source, target = equation.operands[0], equation.results[0]
    if not source.is_real:
        return lambda _, x: exact(x)
    if target.is_real:
        return lambda _, x: x
    label = equation.label
    if target.dtype == np.bool_:
        return lambda context, x: np.asarray(_map(lambda u: context.compare(u, ZERO, label=label) != 0, x), dtype=bool)
    low, high = np.iinfo(target.dtype).min, np.iinfo(target.dtype).max

    def to_integer(context: Context, value: arb) -> int:
        return min(max(as_integer(_truncate(context, value, label=label)), low), high)

    return lambda context, x: np.asarray(_map(lambda u: to_integer(context, u), x)).astype(target.dtype)


def as_integer(value: arb) -> int:
    """An exact integer as Python's."""
    found = value.unique_fmpz()
    return 0 if found is None else int(found)


def _floor(context: Context, value: arb, *, label: bool, at_jump: Callable[[arb], arb] = lambda low: low) -> arb:
    """The largest integer up to a real. It jumps: at an integer the run is tied, across one it is unresolved.

    `at_jump` says which integer is taken at the very jump, as rounding to even does otherwise than floor.
    """
    low = value.floor()
    if not (value.is_finite() and low.is_exact()):
        context.unresolved = True
        return low.mid().floor() if value.is_finite() else ZERO
    if not (value.is_exact() and value == low):
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
        return lambda context, x: _map(lambda u: f(context, u, label=label), x)

    return rule


def _round_half(equation: Equation) -> Step:
    to_even = int(equation.params["rounding_method"]) == 1
    return _rounding(partial(_round, to_even=to_even))(equation)


def _is_finite(context: Context, value: arb) -> bool:
    """An infinite constant is not finite; a ball without a bound may be anything."""
    if not value.is_finite() and not (value == arb.pos_inf() or value == arb.neg_inf()):
        context.unresolved = True
    return value.is_finite()


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
    label = all(operand.label for operand in equation.operands[:n_keys])

    def comes_before(context: Context, rows: list[Array], i: int, j: int) -> bool:
        for row, is_real in zip(rows[:n_keys], reals, strict=False):
            a, b = row[i], row[j]
            order = context.compare(a, b, label=label) if is_real else int(a > b) - int(a < b)
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


def _remainder(equation: Equation) -> Step:
    """The remainder with the sign of the dividend."""
    label = equation.label

    def one(context: Context, a: arb, b: arb) -> arb:
        return a - b * _truncate(context, a / b, label=label)

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
            "atan2": _atan2,
            "convert_element_type": _convert,
            "is_finite": lambda _: lambda context, x: np.asarray(_map(lambda u: _is_finite(context, u), x), dtype=bool),
            "floor": _rounding(_floor),
            "ceil": _rounding(_ceil),
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
        return _map(lambda value: _constant(value, context, values.dtype), values)


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
