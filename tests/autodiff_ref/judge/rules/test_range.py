"""A derivative that overflows or underflows where its function does not is a mistake; what rounding takes is accuracy."""

import jax
import jax.numpy as jnp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autodiff_ref import judge_rule
from autodiff_ref.judge.rules.edges import edge_inputs
from autodiff_ref.judge.rules.examining import OF_RANGE
from manual_grad import reals
from tests.combinations import few_or_many


def ruled(f, gradient):
    """f with a custom_vjp: its gradient is that function of its arguments."""

    @jax.custom_vjp
    def made(*xs):
        return f(*xs)

    made.defvjp(lambda *xs: (f(*xs), xs), lambda xs, bar: tuple(bar * g for g in gradient(*xs)))
    return made


def scaled_norm(x):
    largest = jnp.max(jnp.abs(x))
    return largest * jnp.sqrt(jnp.sum((x / largest) ** 2))


def log_cosh(x):
    return jnp.abs(x) + jnp.log1p(jnp.exp(-2 * jnp.abs(x))) - jnp.log(2.0)


def plain_hypot(x, y):
    return jnp.sqrt(x * x + y * y)


LARGE = st.floats(2.0**520, 2.0**900)
PAIRS = st.tuples(LARGE, LARGE).filter(lambda pair: 0.1 < pair[0] / pair[1] < 10)
HUNDREDS = st.floats(800.0, 1e5)

LOST = {
    "hypot by a rule that squares": (ruled(jnp.hypot, lambda x, y: (x / plain_hypot(x, y), y / plain_hypot(x, y))), PAIRS),
    "a norm, scaled by the largest": (scaled_norm, LARGE.map(lambda x: ([x, x / 4],))),
    "log cosh by sinh and cosh": (ruled(log_cosh, lambda x: (jnp.sinh(x) / jnp.cosh(x),)), HUNDREDS),
    "softplus by exp": (ruled(jax.nn.softplus, lambda x: (jnp.exp(x) / (1 + jnp.exp(x)),)), HUNDREDS),
    "log Σ exp by exp": (
        ruled(jax.nn.logsumexp, lambda x: (jnp.exp(x) / jnp.sum(jnp.exp(x)),)),
        HUNDREDS.map(lambda x: ([x, x - 1.0],)),
    ),
}
"""the value is right in float64, and the derivative is not"""

KEPT = {
    "hypot": (ruled(jnp.hypot, lambda x, y: (x / jnp.hypot(x, y), y / jnp.hypot(x, y))), PAIRS),
    "a norm, scaled by the largest": (
        ruled(scaled_norm, lambda x: (x / scaled_norm(x),)),
        LARGE.map(lambda x: ([x, x / 4],)),
    ),
    "log cosh": (ruled(log_cosh, lambda x: (jnp.tanh(x),)), HUNDREDS),
    "softplus": (jax.nn.softplus, HUNDREDS),
    "log Σ exp": (jax.nn.logsumexp, HUNDREDS.map(lambda x: ([x, x - 1.0],))),
    "a quotient": (lambda x, y: x / y, PAIRS),
}

LOST_WITH_THE_VALUE = {
    "hypot": (plain_hypot, PAIRS),
    "a norm": (jnp.linalg.norm, LARGE.map(lambda x: ([x, x / 4],))),
    "log cosh": (lambda x: jnp.log(jnp.cosh(x)), HUNDREDS),
    "softplus": (lambda x: jnp.log(1 + jnp.exp(x)), HUNDREDS),
    "log Σ exp": (lambda x: jnp.log(jnp.sum(jnp.exp(x))), HUNDREDS.map(lambda x: ([x, x - 1.0],))),
}
"""written so that the value overflows, too"""


@pytest.mark.parametrize("name", LOST)
@settings(max_examples=few_or_many(3, 40), deadline=None)
@given(st.data())
def test_a_derivative_that_leaves_the_range_where_its_function_does_not(name, data):
    f, inputs = LOST[name]
    report = judge_rule(f, at=[data.draw(inputs)])
    assert report.verdict in ("WRONG", "NaN"), report
    assert OF_RANGE in report.findings[0].note
    assert report.exit_code == 1


@pytest.mark.parametrize("name", KEPT)
@settings(max_examples=few_or_many(3, 40), deadline=None)
@given(st.data())
def test_a_derivative_that_keeps_to_the_range_is_right(name, data):
    f, inputs = KEPT[name]
    report = judge_rule(f, at=[data.draw(inputs)])
    assert report.verdict == "right", report


@pytest.mark.parametrize("name", LOST_WITH_THE_VALUE)
@settings(max_examples=few_or_many(3, 40), deadline=None)
@given(st.data())
def test_what_is_lost_along_with_the_value_is_accuracy(name, data):
    f, inputs = LOST_WITH_THE_VALUE[name]
    report = judge_rule(f, at=[data.draw(inputs)])
    assert report.verdict == "accuracy", report
    assert report.ok


@settings(max_examples=few_or_many(3, 40), deadline=None)
@given(st.floats(40.0, 700.0))
def test_what_rounding_takes_is_accuracy(x):
    """All exponents are in the range, and the digits of 1 cancel beside e^x."""
    rule = ruled(lambda x: jnp.exp(-x) + x, lambda x: ((1 + jnp.exp(x)) - jnp.exp(x) - jnp.exp(-x),))
    assert judge_rule(rule, at=[x]).verdict == "accuracy"


@settings(max_examples=few_or_many(3, 40), deadline=None)
@given(HUNDREDS)
def test_a_derivative_that_is_right_up_to_rounding_may_be_lost_all_the_same(x):
    """0.1 is no 1/10: JAX's derivative is within an ulp as a real function, and NaN in float64."""
    rule = ruled(lambda x: jax.nn.softplus(x) / 10, lambda x: (0.1 * jnp.exp(x) / (1 + jnp.exp(x)),))
    assert judge_rule(rule, at=[x]).verdict == "NaN"


@settings(max_examples=few_or_many(3, 40), deadline=None)
@given(st.integers(40, 60), st.sampled_from([2.0, -1.0, 1 + 1e-9]))
def test_a_mistake_beside_a_far_larger_derivative_is_one(k, factor):
    slope = 2.0**k

    def plane(x, y):
        return slope * x + y

    assert judge_rule(ruled(plane, lambda x, y: (slope, 1.0)), at=[(0.5, 0.25)]).verdict == "right"
    assert judge_rule(ruled(plane, lambda x, y: (slope, factor)), at=[(0.5, 0.25)]).verdict == "WRONG"


@settings(max_examples=few_or_many(3, 40), deadline=None)
@given(st.integers(30, 250).map(lambda k: 10.0**-k), st.sampled_from([0.0, 1.0, -2.5]))
def test_steps_beside_tiny_numbers_are_as_small_as_these(width, x):
    """⌊x/w⌋ has a slope of 0, or jumps, however many of its steps lie near x."""
    assert judge_rule(jnp.floor_divide, at=[(x, width)]).ok


@settings(max_examples=8, deadline=None)
@given(st.integers(-45, -26).map(lambda k: 2.0**k), st.sampled_from([jnp.float32, jnp.float16]))
def test_what_a_program_that_casts_to_fewer_bits_rounds_away_is_accuracy(x, dtype):
    """x²/2 by a rule that computes ((1 + x)² − 1)/(2 + x): with the bits of float64 that is x, and with fewer 0."""

    def narrow(x):
        near = x.astype(dtype)
        return ((((1 + near) ** 2 - 1) / (2 + near)).astype(x.dtype),)

    report = judge_rule(ruled(lambda x: x * x / 2, narrow), at=[x])
    assert report.verdict == "accuracy", report


def test_each_argument_alone_is_huge_once_beside_the_numbers_of_a_program():
    """As in a density by five arguments whose program compares with ten numbers."""
    constants = [0.5 * 3**k for k in range(10)]
    inputs = [args for _, args in edge_inputs((reals(),) * 5, {}, constants, 0)]
    alone = [k for args in inputs for k in range(5) if [abs(x) > 1e100 for x in args] == [j == k for j in range(5)]]
    assert set(alone) == set(range(5))


@settings(max_examples=few_or_many(3, 40), deadline=None)
@given(st.floats(89.0, 100.0))
def test_what_overflows_in_a_cast_is_lost_with_the_value(x):
    """A kernel may compute in float32 whatever it is given."""
    in_float32 = ruled(lambda x: jnp.exp(x.astype(jnp.float32)), lambda x: (jnp.exp(x.astype(jnp.float32)).astype(x.dtype),))
    assert judge_rule(in_float32, at=[x]).verdict == "accuracy"
    shifted = ruled(jnp.sin, lambda x: (jnp.cos(x) * jnp.exp(x.astype(jnp.float32)) * jnp.exp(-x),))
    assert judge_rule(shifted, at=[x]).verdict == "NaN"


@pytest.mark.parametrize(("factor", "verdict"), [(1.0, "right"), (1.5, "WRONG")])
def test_a_root_by_steps_that_are_written_out_and_overflow_at_huge_numbers(factor, verdict):
    def root(a):
        x = jnp.ones_like(a)
        for _ in range(30):
            x = x - (x**3 + x - a) / (3 * x**2 + 1)
        return x

    assert judge_rule(ruled(root, lambda a: (factor / (3 * root(a) ** 2 + 1),)), domain=reals()).verdict == verdict


@given(st.floats(2.0**520, 2.0**900))
@settings(max_examples=few_or_many(2, 30))
def test_what_is_lost_where_another_value_overflows_is_accuracy(a):
    """The derivative of a is 1, and 0 · ∞ in a rule that makes those of a and of a² at once, from the latter."""
    f = jax.custom_vjp(lambda a: jnp.stack([a, a * a]))
    f.defvjp(lambda a: (f(a), (a, f(a))), lambda kept, bar: (bar[0] + 2 * bar[1] * kept[1][1] / kept[0],))
    report = judge_rule(f, at=[a])
    assert report.verdict == "accuracy", str(report)


@given(st.floats(60.0, 600.0))
@settings(max_examples=few_or_many(2, 30))
def test_each_mode_has_as_many_bits_as_its_digits_need(x):
    """−log(1 − σ(x)) is ∞ in floats, and its rule 0/0, where 1 − σ(x) needs more bits than the first precision has."""
    f = jax.custom_vjp(lambda x: -jnp.log(1 - jax.nn.sigmoid(x)))
    f.defvjp(lambda x: (f(x), jax.nn.sigmoid(x)), lambda p, bar: (bar * p * (1 - p) / (1 - p),))
    assert judge_rule(f, at=[x]).verdict == "accuracy"
