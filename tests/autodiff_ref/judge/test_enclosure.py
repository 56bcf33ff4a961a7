"""Every rule of the ball table is an interval function: f(x) ∈ F(X) for each point x of the balls X, wide or narrow.

Where f is not defined on all of X, F(X) is not finite. A rule that had to compare what cannot be told apart says so instead:
the run is `unresolved`. A rule of the table without a row here fails.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from types import SimpleNamespace
from typing import Any

import jax
import mpmath
import numpy as np
import pytest
from flint import arb
from hypothesis import example, given, settings
from hypothesis import strategies as st
from mpmath import mpf

from autodiff_ref.judge.balls import BALLS, Context, precision
from autodiff_ref.judge.balls.table import REFUSED
from autodiff_ref.judge.functions import FUNCTIONS, Function
from autodiff_ref.judge.functions.row import AROUND, BELOW_0_TOO
from autodiff_ref.judge.program.plans import Equation, OnOneEntry, Operand
from autodiff_ref.judge.program.walk import plan
from tests.autodiff_ref.judge.test_rules import RULES, numbers
from tests.combinations import few_or_many

WORKING = 560
"""bits of the references: points are exact in them, as sums of two doubles 500 bits apart at most"""

RADII = (0.0, 2.0**-300, 2.0**-60, 2.0**-10, 0.25, 1.0, 2.0**20)


@dataclass(frozen=True)
class Row:
    """A rule that works entry by entry: the same in mpmath, and around which numbers it is asked."""

    truth: Callable[..., Any]
    centres: tuple[Sequence[float], ...] = (AROUND,)
    largest: float = 2.0**20
    params: tuple[tuple[str, Any], ...] = ()
    makes: Any = float
    takes: Any = float
    only_exact: tuple[int, ...] = ()
    result: int | None = None
    """which of several results it is"""
    loss: float = 2.0**6


def row_of(function: Function) -> Row:
    return Row(
        partial(function.truth, mpmath),
        function.around,
        function.largest,
        only_exact=function.only_exact,
        loss=function.widest,
    )


def within(f: Callable[..., Any], inside: Callable[..., bool]) -> Callable[..., Any]:
    """f where it is defined, None elsewhere."""
    return lambda *xs: f(*xs) if inside(*xs) else None


def truncated(x: mpf) -> mpf:
    return mpmath.floor(x) if x > 0 else mpmath.ceil(x)


def away(x: mpf) -> mpf:
    return mpmath.sign(x) * mpmath.floor(abs(x) + mpf(0.5))


def both(centres: tuple[float, ...]) -> tuple[tuple[float, ...], ...]:
    return centres, centres


def compared(f: Callable[[mpf, mpf], bool]) -> Row:
    return Row(f, both(AROUND), makes=bool)


ENTRYWISE: dict[str, Row] = {
    **{name: row_of(function) for name, function in FUNCTIONS.items()},
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
    "sici, Si": Row(mpmath.si, (BELOW_0_TOO,), 16.0, result=0),
    "sici, Ci": Row(within(lambda x: mpmath.ci(abs(x)), lambda x: x != 0), (BELOW_0_TOO,), 16.0, result=1),
    "fresnel, S": Row(mpmath.fresnels, (BELOW_0_TOO,), 16.0, result=0),
    "fresnel, C": Row(mpmath.fresnelc, (BELOW_0_TOO,), 16.0, result=1),
    "bessel_jn, 0": Row(lambda x: mpmath.besselj(0, x), (BELOW_0_TOO,), 16.0, result=0),
    "bessel_jn, 2": Row(lambda x: mpmath.besselj(2, x), (BELOW_0_TOO,), 16.0, result=2),
    "ldexp": Row(lambda x, e: x * mpf(2) ** e, (AROUND, (0.0, 3.0, -5.0)), only_exact=(1,)),
    "frexp, mantissa": Row(lambda x: mpmath.frexp(x)[0], result=0, makes=np.int32),
    "frexp, exponent": Row(lambda x: int(mpmath.frexp(x)[1]), result=1, makes=np.int32),
    "nextafter": Row(lambda x, y: x, both(AROUND)),
    "clamp": Row(lambda low, x, high: min(max(x, low), high), ((-1.0,), AROUND, (2.0,)), 1.0),
    "sign": Row(mpmath.sign),
    "floor": Row(mpmath.floor),
    "ceil": Row(mpmath.ceil),
    "round": Row(away, params=(("rounding_method", 0),)),
    "round, half to even": Row(mpmath.nint, params=(("rounding_method", 1),)),
    "rem": Row(within(lambda x, y: x - y * truncated(x / y), lambda _, y: y != 0), both(AROUND)),
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


def as_ball(value: mpf, size: mpf) -> arb:
    """A number of mpmath, with what it may be off by: all but the last 100 bits of a number of this size are right."""
    return exactly(value) + arb(0, 1) * (abs(exactly(size)) + arb(2) ** -2000).upper() * arb(2) ** (100 - WORKING)


def holds(ball: Any, truth: Any, size: Any = None) -> bool:
    """Whether a ball holds what is true, and is not finite where there is none.

    The truth is known up to what is lost in a number of its own size, or of the size of the entries beside it.
    """
    if truth is None:
        return not ball.is_finite()
    if not isinstance(ball, arb):
        return bool(ball == truth)
    with precision(2 * WORKING):
        return not ball.is_finite() or ball.overlaps(as_ball(mpf(truth), mpf(truth if size is None else size)))


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
        if isinstance(step, OnOneEntry):
            operands = [x.item() if x.dtype == object else x for x in operands]
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
    # functions of one operand are tried at all centres and radii below
    examples = few_or_many(5 if len(row.centres) == 1 else 12, settings.default.max_examples)

    @settings(max_examples=examples)
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
@settings(max_examples=few_or_many(4, 12))
@example(seed=12, radius=0.0, sparse=False)  # of a matrix in blocks the eigenvectors begin with 0
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
                largest = max((abs(x) for x in np.ravel(wanted) if mpmath.isfinite(x)), default=mpf(0))
                for value, true in zip(np.ravel(output), np.ravel(wanted), strict=True):
                    if not (isinstance(true, mpf) and mpmath.isinf(true)):
                        assert holds(value, true, largest), f"{name}: {value}, {true}"


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
        if seen == few_or_many(5, 10):
            break
    assert seen >= 5
