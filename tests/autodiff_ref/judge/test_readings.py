"""Constants stand for real numbers within an ulp: the same one wherever they stand, and no mistake hides behind that."""

from fractions import Fraction
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autodiff_ref import assert_gradients_agree
from autodiff_ref.judge.balls import BALLS
from autodiff_ref.judge.balls.context import AllMoved
from autodiff_ref.judge.comparing import compare, evaluator
from autodiff_ref.judge.mutation import mistakes
from autodiff_ref.judge.program.walk import plan
from autodiff_ref.judge.readings import MARGIN, MOST, PATTERNS, share_at_once
from autodiff_ref.judge.trial.trial import trial
from manual_grad import Derivation, reals

X = np.array([3.0, -1.25, 7.0])
TENTHS = [k / 10 for k in (1, 3, 7, 9, 11, 13, 17, 19, 21, 23)]


def compared(f, g, *args):
    with jax.enable_x64(True):
        plans = [plan(jax.make_jaxpr(h)(*args), BALLS) for h in (f, g)]
    return compare(*[evaluator(made, args) for made in plans])


def second_moment(factor):
    """Moves by the square of what the factor misses, as a variance does by a mistake in the mean."""
    return lambda x: jnp.mean((x - factor * jnp.mean(x)) ** 2)


CASES = {
    "a tenth": (lambda x: 0.1 * x, lambda x: x / 10, "equal"),
    "added up beforehand": (lambda x: (0.1 + 0.2) * x, lambda x: 0.1 * x + 0.2 * x, "equal"),
    "multiplied beforehand": (lambda x: (0.67 * 0.67) * x, lambda x: 4489 * x / 10_000, "equal"),
    "a mistake that enters squared": (second_moment(1 + 1e-6), second_moment(1), "different"),
    "a mistake that enters squared, below an ulp": (second_moment(1 + 1e-9), second_moment(1), "equal"),
    "a mistake that enters squared, within an ulp": (second_moment(1 + 2**-52), second_moment(1), "equal"),
    "less than an ulp of what stands on both lines": (lambda x: 0.1 * x, lambda x: (0.1 + 2.0**-70 / x) * x, "equal"),
    "the same constant, negative and doubled": (lambda x: x * 0.2 - 0.1, lambda x: 2 * (-0.1) * (0.5 - x), "equal"),
    "ten constants": (lambda x: sum(c * x for c in TENTHS), lambda x: sum(round(10 * c) * x / 10 for c in TENTHS), "equal"),
    "ten constants, a part in 10^9": (
        lambda x: sum(c * x for c in TENTHS),
        lambda x: sum(round(10 * c) * x / 10 for c in TENTHS) * (1 + 1e-9),
        "different",
    ),
    "nothing but what constants leave": (lambda x: jnp.sin(1e30 * 0.1 * x), lambda x: jnp.sin(1e29 * x), "unclear"),
    "in float32": (lambda x: x.astype(jnp.float32) * 0.1, lambda x: x / 10, "equal"),
    "in float32, a part in 10^6": (lambda x: x.astype(jnp.float32) * 0.1, lambda x: x / 10 * (1 + 1e-6), "different"),
    "in a loop": (
        lambda x: jax.lax.fori_loop(0, 3, lambda _, v: 0.1 * v, x),
        lambda x: x / 1000,
        "equal",
    ),
    "in a loop, a part in 10^9": (
        lambda x: jax.lax.fori_loop(0, 3, lambda _, v: 0.1 * (1 + 1e-9) * v, x),
        lambda x: x / 1000,
        "different",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_lines_with_constants_are_equal_or_different(name):
    f, g, expected = CASES[name]
    assert compared(f, g, X).outcome == expected
    assert compared(g, f, X).outcome == expected


def test_what_constants_leave_is_said_with_how_far_apart_the_lines_are_as_written():
    found = compared(lambda x: 0.1 * x, lambda x: x / 10, X)
    assert found.gap == pytest.approx(float(Fraction(0.1) * 10 - 1), rel=1e-6)
    assert found.ulps == pytest.approx(0.25)
    same = compared(lambda x: 0.1 * (x + x), lambda x: 0.2 * x, X)
    assert (same.outcome, same.gap, same.ulps) == ("equal", 0, 0)


@pytest.mark.parametrize(("times", "outcome"), [(1, "equal"), (27, "different")])
def test_below_the_smallest_normal_number_that_number_is_an_ulp(times, outcome):
    """e^−750 is cut off at 1e-308, half the smallest normal number, and 27 of it are above it."""
    found = compared(lambda x: times * jnp.exp(jnp.maximum(-x, -709)), lambda x: times * jnp.exp(-x), np.array([750.0]))
    assert found.outcome == outcome
    assert found.ulps < 1


def test_a_branch_that_hangs_on_the_reading_is_a_kink():
    def three_times(x):
        return jnp.where(3 * x > 0.3, 1.0, 2.0)

    def once(x):
        return jnp.where(x >= 0.1, 1.0, 2.0)

    point = np.array(np.nextafter(0.1, 0))  # below 0.1 as written, and may be above what 0.3/3 may mean
    assert compared(three_times, once, point).outcome in ("kink", "equal")
    assert compared(three_times, lambda x: 3 - once(x), point).outcome == "kink"
    assert compared(three_times, lambda x: 3 - once(x), np.array(0.11)).outcome == "different"


decimals = st.integers(-999, 999).filter(bool).map(lambda k: k / 100)


@settings(max_examples=60)
@given(decimals, decimals, st.floats(-8, 8).filter(lambda x: abs(x) > 1e-3))
def test_constants_worked_out_beforehand_are_never_refuted_and_a_part_in_a_thousand_million_always_is(a, b, x):
    point, p, q = np.array(x), round(100 * a), round(100 * b)

    def folded(x):
        return (a * b) * x + (a / b) * x * x + (a - b)

    def written(x):
        return a * (b * x) + a * x * x / b + a - b

    def integers(x):
        return p * q * x / 10_000 + p * x * x / q + (p - q) / 100

    for f, g in ((folded, written), (written, integers), (folded, integers)):
        assert compared(f, g, point).outcome == "equal"
        assert compared(f, lambda x, g=g: (1 + 1e-9) * g(x), point).outcome == "different" or abs(g(x)) < 1e-3


def test_two_constants_that_matter_among_many_hide_each_other_in_no_pattern():
    """c₁ x − c₂ x is moved by up to two ulps."""
    for numbers in np.random.default_rng(0).uniform(0.5, 1.0, (1000, 2)):
        moved = [[AllMoved(pattern).ulps_of(c) for c in numbers] for pattern in range(PATTERNS)]
        assert MARGIN * share_at_once(MOST + 1) * sum(abs(a - b) for a, b in moved) > 2


@pytest.mark.parametrize("n", [2, 30])
@pytest.mark.parametrize(("back", "forth"), [(0, 1e-3), (0, 1e-8), (1e-5, 1e-5)])
def test_no_difference_quotient_is_a_derivative_however_many_constants_its_function_has(n, back, forth):
    """In f(x + h) − f(x) a constant of f is the same number in both terms."""
    model = SimpleNamespace(constants=np.random.default_rng(n).uniform(0.5, 2.0, n))

    def function(x):
        return np.sum(np.log1p(np.exp(x * model.constants)))

    def quotient(x):
        return (function(x + forth) - function(x - back)) / (back + forth)

    def derivative(x):
        return np.sum(model.constants / (1 + np.exp(-x * model.constants)))

    x = np.float64(0.75)
    assert_gradients_agree(derivative, function, x)
    with pytest.raises(AssertionError, match="certified"):
        assert_gradients_agree(quotient, function, x)


def test_a_mutant_within_an_ulp_of_constants_is_counted_apart(monkeypatch):
    def line(z, nabla):
        return 0.3 * z

    derivation = Derivation("d 0.15 z²/dz", lambda z: 0.15 * z * z, "z", (reals(),), [line])
    seen = trial(derivation, seed=0, most=20)
    assert seen.count()["within an ulp"] == 0
    monkeypatch.setattr(mistakes, "TINY", 1 + 2**-52)
    tried = trial(derivation, seed=0, most=20)
    assert tried.count()["within an ulp"] == 2
    assert tried.ok
    assert "within an ulp of constants" in tried.summary
    assert tried.to_dict()["within_an_ulp"] == 2
    assert "ulps, which constants or rounding explain" in " ".join(str(tried).split())


def bisected_third(x):
    """x/3, by halvings of an interval whose length is the constant 1/3: one of them meets x/3 itself, in some readings."""
    low, width = x * 0, 1 / 3
    for _ in range(50):
        width = width / 2
        low = jnp.where(3 * (low + width) <= x, low + width, low)
    return low + width


@pytest.mark.parametrize("share", [1e-5, -1e-5, 1e-9])
@pytest.mark.parametrize("numerator", [1, 3, 5, 21])
def test_a_difference_far_beyond_what_a_bisection_leaves_is_seen_though_its_comparisons_hang_on_the_reading(
    share, numerator
):
    point = np.array([numerator / 32])
    assert compared(bisected_third, lambda x: x / 3 * (1 + share), point).outcome == "different"
    assert compared(bisected_third, bisected_third, point).outcome == "equal"


def test_a_branch_that_turns_only_where_several_constants_move_together_is_a_kink():
    tenths = (0.1, 0.3, 0.6, 0.9)
    together = sum(Fraction(float(np.spacing(c))) for c in tenths)
    threshold = together * Fraction(9, 10) - sum(map(Fraction, tenths))  # above 0 as written; below it if all are less
    high = float(threshold)
    point = np.array([1.0, high, float(threshold - Fraction(high))])

    def summed(x):
        return jnp.where(sum(c * x[0] for c in tenths) + x[1] + x[2] > 0.0, x[0], 2 * x[0])

    assert compared(summed, lambda x: 3 * x[0] - summed(x) * (1 + 1e-5), point).outcome == "kink"
