"""Every rule of the ball table is an interval function: f(x) ∈ F(X) for each point x of the balls X, wide or narrow.

Where f is not defined on all of X, F(X) is not finite. A rule that had to compare what cannot be told apart says so instead:
the run is `unresolved`. A rule of the table without a row here fails.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace
from typing import Any

import jax
import mpmath
import numpy as np
import pytest
from flint import arb
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mpf

from autodiff_ref.judge.balls import BALLS, Context, precision
from autodiff_ref.judge.balls.table import REFUSED
from autodiff_ref.judge.program.plans import Equation, Operand
from autodiff_ref.judge.program.walk import plan
from tests.autodiff_ref.judge.test_rules import RULES, numbers

WORKING = 560
"""bits of the references: points are exact in them, as sums of two doubles 500 bits apart at most"""

RADII = (0.0, 2.0**-300, 2.0**-60, 2.0**-10, 0.25, 1.0, 2.0**20)
AROUND = (0.0, 0.5, 1.0, -1.0, 2.0, -2.5, 3.0, 10.25, -10.25, 1e-3, 1e5, -1e5)
MODERATE = (0.0, 0.5, 1.0, -0.5, 2.0, 3.5, 7.25, 12.0)
BELOW_ZERO_TOO = (*MODERATE, -1.0, -1.5, -3.25, -7.75)


@dataclass(frozen=True)
class Row:
    """A function that works entry by entry: the same in mpmath, and around which numbers it is asked."""

    truth: Callable[..., Any]
    centres: tuple[tuple[float, ...], ...] = (AROUND,)
    largest: float = 2.0**20
    """the largest radius: mpmath does not get far with some functions"""
    params: tuple[tuple[str, Any], ...] = ()
    makes: Any = float
    takes: Any = float
    only_exact: tuple[int, ...] = ()
    """operands that are always numbers, as the order of a polygamma function"""
    result: int | None = None
    """which of several results it is"""
    loss: float = 2.0**6
    """how many times the width of {f(x): x ∈ X} a narrow F(X) may be"""


def within(f: Callable[..., Any], inside: Callable[..., bool]) -> Callable[..., Any]:
    """f where it is defined, None elsewhere."""
    return lambda *xs: f(*xs) if inside(*xs) else None


def positive(x: mpf) -> bool:
    return x > 0


def no_pole(x: mpf) -> bool:
    return x > 0 or x != mpmath.floor(x)


def power(x: mpf, y: mpf) -> Any:
    if x == 0:
        return None if y < 0 else mpf(int(y == 0))
    if x < 0:
        return x ** int(y) if y == mpmath.floor(y) else None
    return x**y


def truncated(x: mpf) -> mpf:
    return mpmath.floor(x) if x > 0 else mpmath.ceil(x)


def away(x: mpf) -> mpf:
    return mpmath.sign(x) * mpmath.floor(abs(x) + mpf(0.5))


def both(centres: tuple[float, ...]) -> tuple[tuple[float, ...], ...]:
    return centres, centres


def lgamma(x: mpf) -> mpf:
    return mpmath.loggamma(x).real if x > 0 else mpmath.log(abs(mpmath.gamma(x)))


def hurwitz(s: mpf, a: mpf) -> Any:
    """ζ(s, a), below a = 0 by its recurrence"""
    total = mpf(0)
    while a < 0:
        total, a = total + a ** -int(s), a + 1
    return total + mpmath.zeta(s, a)


def polygamma(m: mpf, x: mpf) -> mpf:
    return mpmath.digamma(x) if m == 0 else (-1) ** (int(m) + 1) * mpmath.factorial(m) * hurwitz(m + 1, x)


def incomplete(a: mpf, x: mpf) -> mpf:
    return mpmath.gammainc(a, 0, x, regularized=True)


def slope_in_a(a: mpf, x: mpf) -> mpf:
    with mpmath.workprec(2 * WORKING):
        h = mpf(2) ** -(WORKING // 2)
        return (incomplete(a + h, x) - incomplete(a - h, x)) / (2 * h)


def incomplete_beta(a: mpf, b: mpf, x: mpf) -> mpf:
    return mpmath.betainc(a, b, 0, x, regularized=True)


def scaled_bessel(order: int) -> Callable[[mpf], mpf]:
    return lambda x: mpmath.besseli(order, x) * mpmath.exp(-abs(x))


def compared(f: Callable[[mpf, mpf], bool]) -> Row:
    return Row(f, both(AROUND), makes=bool)


def normal(x: mpf) -> mpf:
    return mpmath.erfc(-x / mpmath.sqrt(2)) / 2


def log_normal(x: mpf) -> mpf:
    return mpmath.log1p(-normal(-x)) if x > 0 else mpmath.log(normal(x))


def owens_t(h: mpf, a: mpf) -> mpf:
    return mpmath.quad(lambda u: mpmath.exp(-h * h * (1 + u * u) / 2) / (1 + u * u), [0, a / 2, a]) / (2 * mpmath.pi)


def rising(z: mpf, m: mpf) -> Any:
    if m == mpmath.floor(m) and m >= 0:
        return mpmath.fprod(z + k for k in range(int(m)))
    return mpmath.gammaprod([z + m], [z])


def log_beta(a: mpf, b: mpf) -> mpf:
    return lgamma(a) + lgamma(b) - lgamma(a + b)


IN_UNIT = (0.0, 0.5, -0.5, 0.875, -0.99, 1.0, -1.0, 2.0)
NO_MORE_THAN_4 = 4.0

ENTRYWISE: dict[str, Row] = {
    "add": Row(lambda x, y: x + y, both(AROUND)),
    "add_any": Row(lambda x, y: x + y, both(AROUND)),
    "sub": Row(lambda x, y: x - y, both(AROUND)),
    "mul": Row(lambda x, y: x * y, both(AROUND)),
    "neg": Row(lambda x: -x),
    "square": Row(lambda x: x * x),
    "one_minus_square": Row(lambda x: 1 - x * x),
    "integer_pow": Row(lambda x: x**3, params=(("y", 3),)),
    "integer_pow, even": Row(lambda x: x**4, params=(("y", 4),)),
    "integer_pow, of a reciprocal": Row(within(lambda x: x**-3, lambda x: x != 0), params=(("y", -3),)),
    "select_n": Row(lambda which, x, y: x, ((0.0,), AROUND, AROUND), only_exact=(0,)),
    "div": Row(within(lambda x, y: x / y, lambda _, y: y != 0), both(AROUND)),
    "pow": Row(power, (AROUND, (0.0, 1.0, 2.0, 3.0, -1.0, -2.0, 0.5, -0.5, 2.5)), largest=1.0),
    "exp": Row(mpmath.exp),
    "exp2": Row(lambda x: mpf(2) ** x),
    "expm1": Row(mpmath.expm1),
    "log": Row(within(mpmath.log, positive)),
    "log1p": Row(within(mpmath.log1p, lambda x: x > -1)),
    "logistic": Row(lambda x: 1 / (1 + mpmath.exp(-x))),
    "sqrt": Row(within(mpmath.sqrt, lambda x: x >= 0)),
    "rsqrt": Row(within(lambda x: 1 / mpmath.sqrt(x), positive)),
    "cbrt": Row(lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x))),
    "sin": Row(mpmath.sin),
    "cos": Row(mpmath.cos),
    "tan": Row(mpmath.tan, ((*AROUND, 1.5707963267948966),)),
    "asin": Row(within(mpmath.asin, lambda x: abs(x) <= 1), (IN_UNIT,)),
    "acos": Row(within(mpmath.acos, lambda x: abs(x) <= 1), (IN_UNIT,)),
    "atan": Row(mpmath.atan),
    "sinh": Row(mpmath.sinh),
    "cosh": Row(mpmath.cosh),
    "tanh": Row(mpmath.tanh),
    "asinh": Row(mpmath.asinh),
    "acosh": Row(within(mpmath.acosh, lambda x: x >= 1)),
    "atanh": Row(within(mpmath.atanh, lambda x: abs(x) < 1), (IN_UNIT,)),
    "erf": Row(mpmath.erf),
    "erfc": Row(mpmath.erfc, largest=64.0),
    "erf_inv": Row(within(mpmath.erfinv, lambda x: abs(x) < 1), (IN_UNIT,)),
    "lgamma": Row(within(lgamma, no_pole), (BELOW_ZERO_TOO,), 16.0),
    "digamma": Row(within(mpmath.digamma, no_pole), (BELOW_ZERO_TOO,), 16.0),
    "igamma": Row(within(incomplete, lambda a, x: a > 0 and x >= 0), both(MODERATE), NO_MORE_THAN_4),
    "igammac": Row(
        within(lambda a, x: mpmath.gammainc(a, x, regularized=True), lambda a, x: a > 0 and x >= 0),
        both(MODERATE),
        NO_MORE_THAN_4,
    ),
    "igamma_grad_a": Row(within(slope_in_a, lambda a, x: a > 0 and x >= 0), both(MODERATE), NO_MORE_THAN_4),
    "regularized_incomplete_beta": Row(
        within(incomplete_beta, lambda a, b, x: a > 0 and b > 0 and 0 <= x <= 1),
        (MODERATE, MODERATE, (0.0, 0.125, 0.5, 0.75, 1.0, -0.25)),
        1.0,
    ),
    "zeta": Row(
        within(hurwitz, lambda s, a: s > 1 and no_pole(a) and (a > 0 or s == mpmath.floor(s))),
        ((2.0, 1.0, 3.0, 1.5, 7.25, 0.5), BELOW_ZERO_TOO),
        NO_MORE_THAN_4,
    ),
    "polygamma": Row(
        within(polygamma, lambda m, x: m >= 0 and m == mpmath.floor(m) and no_pole(x)),
        ((0.0, 1.0, 2.0, 3.0, 0.5, -1.0), BELOW_ZERO_TOO),
        NO_MORE_THAN_4,
        only_exact=(0,),
    ),
    "bessel_i0e": Row(scaled_bessel(0), (BELOW_ZERO_TOO,), 16.0),
    "bessel_i1e": Row(scaled_bessel(1), (BELOW_ZERO_TOO,), 16.0),
    "expi": Row(within(mpmath.ei, lambda x: x != 0), (BELOW_ZERO_TOO,), 16.0),
    "expn": Row(
        within(mpmath.expint, lambda n, x: n >= 0 and (x > 0 or (x == 0 and n > 1))),
        ((0.0, 1.0, 2.0, 3.0, 7.0, -1.0), BELOW_ZERO_TOO),
        NO_MORE_THAN_4,
        only_exact=(0,),
    ),
    "log_ndtr": Row(log_normal, (BELOW_ZERO_TOO,), 16.0),
    "ndtr": Row(normal, (BELOW_ZERO_TOO,), 16.0),
    "ndtri": Row(
        within(lambda p: mpmath.sqrt(2) * mpmath.erfinv(2 * p - 1), lambda p: 0 < p < 1), ((0.5, 0.25, 0.9, 0.0, 1.0),), 1.0
    ),
    "erfcx": Row(lambda x: mpmath.exp(x * x) * mpmath.erfc(x), (BELOW_ZERO_TOO,), 16.0),
    "spence": Row(
        within(lambda x: mpmath.polylog(2, 1 - x).real if x > 0 else mpmath.zeta(2), lambda x: x >= 0),
        (BELOW_ZERO_TOO,),
        16.0,
    ),
    "owens_t": Row(owens_t, ((0.0, 0.5, -1.5, 4.0), (0.0, 0.5, -0.75, 1.0, 3.0, -2.0)), 1.0),
    "betaln": Row(within(log_beta, lambda a, b: no_pole(a) and no_pole(b) and no_pole(a + b)), both(BELOW_ZERO_TOO), 4.0),
    "poch": Row(
        within(rising, lambda z, m: no_pole(z + m) or (m >= 0 and m == mpmath.floor(m))),
        (BELOW_ZERO_TOO, (0.0, 1.0, 2.0, 0.5, -0.5, 3.25)),
        1.0,
    ),
    "hyp1f1": Row(within(mpmath.hyp1f1, lambda a, b, x: no_pole(b)), (MODERATE, MODERATE, BELOW_ZERO_TOO), 1.0),
    "hyp2f1": Row(
        within(mpmath.hyp2f1, lambda a, b, c, x: no_pole(c) and x < 1),
        ((0.5, 1.0, 2.25), (0.5, 2.0, 3.25), (1.5, 2.5, 4.0), (0.0, 0.25, -0.5, 0.75, -2.0)),
        0.25,
        loss=2.0**16,
    ),
    "sici, Si": Row(mpmath.si, (BELOW_ZERO_TOO,), 16.0, result=0),
    "sici, Ci": Row(within(lambda x: mpmath.ci(abs(x)), lambda x: x != 0), (BELOW_ZERO_TOO,), 16.0, result=1),
    "fresnel, S": Row(mpmath.fresnels, (BELOW_ZERO_TOO,), 16.0, result=0),
    "fresnel, C": Row(mpmath.fresnelc, (BELOW_ZERO_TOO,), 16.0, result=1),
    "bessel_jn, 0": Row(lambda x: mpmath.besselj(0, x), (BELOW_ZERO_TOO,), 16.0, result=0),
    "bessel_jn, 2": Row(lambda x: mpmath.besselj(2, x), (BELOW_ZERO_TOO,), 16.0, result=2),
    "ldexp": Row(lambda x, e: x * mpf(2) ** e, (AROUND, (0.0, 3.0, -5.0)), only_exact=(1,)),
    "frexp, mantissa": Row(lambda x: mpmath.frexp(x)[0], result=0, makes=np.int32),
    "frexp, exponent": Row(lambda x: int(mpmath.frexp(x)[1]), result=1, makes=np.int32),
    "nextafter": Row(lambda x, y: x, both(AROUND)),
    "abs": Row(abs),
    "max": Row(max, both(AROUND)),
    "min": Row(min, both(AROUND)),
    "clamp": Row(lambda low, x, high: min(max(x, low), high), ((-1.0,), AROUND, (2.0,)), 1.0),
    "sign": Row(mpmath.sign),
    "floor": Row(mpmath.floor),
    "ceil": Row(mpmath.ceil),
    "round": Row(away, params=(("rounding_method", 0),)),
    "round, half to even": Row(mpmath.nint, params=(("rounding_method", 1),)),
    "rem": Row(within(lambda x, y: x - y * truncated(x / y), lambda _, y: y != 0), both(AROUND)),
    "atan2": Row(mpmath.atan2, both(AROUND)),
    "is_finite": Row(lambda _: True, makes=bool),
    "convert_element_type": Row(lambda x: int(truncated(x)), makes=np.int64),
    "eq": compared(lambda x, y: x == y),
    "ne": compared(lambda x, y: x != y),
    "lt": compared(lambda x, y: x < y),
    "le": compared(lambda x, y: x <= y),
    "gt": compared(lambda x, y: x > y),
    "ge": compared(lambda x, y: x >= y),
    "eq_to": compared(lambda x, y: x == y),
    "lt_to": compared(lambda x, y: x < y),
    "le_to": compared(lambda x, y: x <= y),
}

NOT_A_FUNCTION = {"iota", *REFUSED}
"""rules that take no operand, and those that refuse"""


def primitive_of(name: str) -> str:
    return name.partition(",")[0]


def exactly(value: mpf) -> arb:
    """A number of mpmath, exactly."""
    sign, mantissa, exponent, _ = value._mpf_
    return arb(-int(mantissa) if sign else int(mantissa)) * arb(2) ** int(exponent)


def as_ball(value: mpf) -> arb:
    """A number of mpmath, with what it may be off by: it is given to all but its last 100 bits."""
    return exactly(value) + arb(0, 1) * (abs(exactly(value)) + arb(2) ** -2000).upper() * arb(2) ** (100 - WORKING)


def holds(ball: Any, truth: Any) -> bool:
    """Whether a ball holds what is true, and is not finite where there is none."""
    if truth is None:
        return not ball.is_finite()
    if not isinstance(ball, arb):
        return bool(ball == truth)
    with precision(2 * WORKING):
        return not ball.is_finite() or ball.overlaps(as_ball(mpf(truth)))


@st.composite
def balls(draw: Any, centres: tuple[float, ...], largest: float, exact: bool) -> tuple[float, float]:
    """A middle and a radius."""
    centre = draw(st.sampled_from(centres) | st.floats(min(centres), max(centres)).map(lambda c: round(c, 6)))
    return centre, 0.0 if exact else draw(st.sampled_from([r for r in RADII if r <= largest]))


POINTS = (-1.0, 1.0, 0.0, 0.5)
"""where in a ball it is asked, in radii: its ends, its middle, and beside it"""


@cache
def rule(name: str) -> tuple[Any, Row]:
    row = ENTRYWISE[name]
    n = len(row.centres)
    operand = Operand((), np.dtype(row.takes), False)
    operands = (Operand((), np.dtype(bool), False), *[operand] * (n - 1)) if name == "select_n" else (operand,) * n
    made = Operand((3,) if name.startswith("bessel_jn") else (), np.dtype(row.makes), False)
    equation = Equation(SimpleNamespace(name=primitive_of(name)), dict(row.params), operands, (made, made))
    return BALLS.rules[primitive_of(name)](equation), row


def over(name: str, drawn: Any, bits: int) -> tuple[Any, bool]:
    """A rule over balls, and whether it could compare what it had to."""
    step, _ = rule(name)
    context = Context()
    with precision(bits):
        operands = [np.asarray(arb(c, r) if r else arb(c), dtype=object) for c, r in drawn]
        if name == "select_n":
            operands[0] = np.asarray(False)
        made = step(context, *operands)
    value = np.asarray(made if ENTRYWISE[name].result is None else made[ENTRYWISE[name].result])[()]
    return value, not context.unresolved


def check(name: str, drawn: Any, bits: int, points: Any) -> None:
    value, decided = over(name, drawn, bits)
    if not decided:
        return
    with mpmath.workprec(WORKING):
        for at in points:
            xs = [mpf(c) + mpf(r) * mpf(t) for (c, r), t in zip(drawn, at, strict=True)]
            truth = ENTRYWISE[name].truth(*xs)
            assert holds(value, truth), f"{name} over {drawn} with {bits} bits is {value}; at {at} radii it is {truth}"


@pytest.mark.parametrize("name", ENTRYWISE)
def test_a_function_of_a_point_lies_in_the_function_of_the_ball(name: str) -> None:
    row = ENTRYWISE[name]

    @given(st.data())
    def checked(data: Any) -> None:
        drawn = [data.draw(balls(centres, row.largest, k in row.only_exact)) for k, centres in enumerate(row.centres)]
        corner = [data.draw(st.sampled_from(POINTS) | st.floats(-1, 1)) for _ in drawn]
        other = [data.draw(st.sampled_from((-1.0, 1.0))) for _ in drawn]
        check(name, drawn, data.draw(st.sampled_from((53, 128, 256))), [corner, other])

    checked()


@pytest.mark.parametrize("name", ENTRYWISE)
def test_a_function_of_one_operand_is_tried_around_every_centre_with_every_radius(name: str) -> None:
    row = ENTRYWISE[name]
    if len(row.centres) == 1:
        for centre in row.centres[0]:
            for radius in (r for r in RADII if r <= row.largest):
                check(name, [(centre, radius)], 128, [[t] for t in POINTS])


def test_every_rule_of_the_table_is_among_them() -> None:
    known = {primitive_of(name) for name in (*ENTRYWISE, *RULES)} | NOT_A_FUNCTION
    assert set(BALLS.rules) - known == set()


def test_a_rule_that_is_0_around_0_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As ∛ once was: between balls `!=` means that they certainly differ."""

    def wrong(x: arb) -> arb:
        is_not_0 = x != 0
        return x.root(3) if is_not_0 else arb(0)

    monkeypatch.setitem(BALLS.rules, "cbrt", lambda _: lambda _, x: np.asarray(wrong(x[()]), dtype=object))
    rule.cache_clear()
    with pytest.raises(AssertionError, match="cbrt over"):
        test_a_function_of_one_operand_is_tried_around_every_centre_with_every_radius("cbrt")
    monkeypatch.undo()
    rule.cache_clear()


# What works on arrays


@cache
def planned(name: str) -> tuple[Any, Any, Any]:
    inputs, f, truth = RULES[name]
    with jax.enable_x64(True):
        args = inputs(np.random.default_rng(0))
        return plan(jax.make_jaxpr(f)(*args), BALLS), inputs, truth


def symmetric(x: Any, name: str) -> Any:
    """What is factored: the mean of a matrix and its transpose, or its lower triangle mirrored."""
    lower = np.tril(x) + np.swapaxes(np.tril(x, -1), -1, -2)
    return lower if "lower" in name else (x + np.swapaxes(x, -1, -2)) / 2


@pytest.mark.parametrize("name", RULES)
@settings(max_examples=12)
@given(seed=st.integers(0, 2**16), radius=st.sampled_from(RADII[:-1]), sparse=st.booleans())
def test_a_rule_at_points_lies_in_the_rule_over_balls(name: str, seed: int, radius: float, sparse: bool) -> None:
    made, inputs, truth = planned(name)
    rng = np.random.default_rng(seed)
    args = inputs(rng)
    radii = [np.where(rng.random(x.shape) < (0.3 if sparse else 1.1), radius, 0.0) for x in args]
    context = Context()
    with precision(128):
        outputs = made.run(
            context,
            *[np.frompyfunc(lambda c, r: arb(c, r) if r else arb(c), 2, 1)(*pair) for pair in zip(args, radii, strict=True)],
        )
    if context.unresolved:
        return
    with mpmath.workprec(WORKING):
        for sign in (-1.0, 1.0, None):
            where = [rng.uniform(-1, 1, x.shape) if sign is None else sign for x in args]
            points = [
                numbers(x) + numbers(r) * numbers(np.broadcast_to(t, x.shape))
                for x, r, t in zip(args, radii, where, strict=True)
            ]
            if name.startswith("cholesky"):
                points = [symmetric(x, name) for x in points]
            try:
                expected = truth(*points)
            except (ValueError, ZeroDivisionError):  # no Cholesky factor, no solution
                continue
            for output, wanted in zip(outputs, expected, strict=True):
                for value, true in zip(np.ravel(output), np.ravel(wanted), strict=True):
                    if not (isinstance(true, mpf) and mpmath.isinf(true)):
                        assert holds(value, true), f"{name}: {value}, {true}"


# How narrow


JUMPING = {"round", "convert_element_type", "is_finite", "floor", "ceil", "sign", "rem"}
SMOOTH = [name for name, row in ENTRYWISE.items() if primitive_of(name) not in JUMPING and row.makes is float]


@pytest.mark.parametrize("name", SMOOTH)
def test_over_a_narrow_ball_a_function_is_hardly_wider_than_its_values(name: str) -> None:
    """Between the ends of the balls f moves by about |f'| times the radius, and by what f(X) was rounded."""
    row, rng, seen = ENTRYWISE[name], np.random.default_rng(len(name)), 0
    for _ in range(25):
        centres = [
            rng.choice(c) + (0.0 if k in row.only_exact else rng.uniform(0.05, 0.4)) for k, c in enumerate(row.centres)
        ]
        radii = [0.0 if k in row.only_exact else 2.0**-100 for k in range(len(centres))]
        value, decided = over(name, list(zip(centres, radii, strict=True)), 256)
        with mpmath.workprec(WORKING):
            middle = row.truth(*map(mpf, centres))
            moved = [
                row.truth(*[mpf(c) + (mpf(r) if k == j else 0) for k, (c, r) in enumerate(zip(centres, radii, strict=True))])
                for j in range(len(centres))
            ]
        if not decided or middle is None or None in moved:
            continue
        with mpmath.workprec(WORKING), precision(256):
            spread = exactly(sum((abs(at - middle) for at in moved), start=mpf(0)))
            assert value.is_finite(), f"{name} over {centres}"
            assert value.rad() <= row.loss * spread + arb(2) ** -200 * (1 + abs(value)), (
                f"{name} over {centres}: {value}, {spread}"
            )
            seen += 1
    assert seen >= 5
