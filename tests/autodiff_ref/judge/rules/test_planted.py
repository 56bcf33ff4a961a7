"""Right rules are right, and wrong ones that are planted are found, with the rule named."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.extend import core
from jax.interpreters import ad, batching, mlir

from autodiff_ref import Relative, assert_rule, judge_rule
from manual_grad import intervals, positives, reals, symmetric
from tests.combinations import chosen, combinations


def with_rule(f, slope, name="ruled"):
    """A function of one array, entry by entry, with a custom_jvp."""

    def ruled(x):
        return f(x)

    ruled.__name__ = name
    made = jax.custom_jvp(ruled)

    @made.defjvp
    def its_rule(primals, tangents):
        (x,), (d,) = primals, tangents
        return made(x), slope(x) * d

    return made


def sigmoid_slope(x):
    return jax.nn.sigmoid(x) * jax.nn.sigmoid(-x)


RIGHT = {
    "sin": (jnp.sin, jnp.cos),
    "tanh": (jnp.tanh, lambda x: 1 - jnp.tanh(x) ** 2),
    "square": (lambda x: x * x, lambda x: 2 * x),
    "softplus": (lambda x: jnp.maximum(x, 0) + jnp.log1p(jnp.exp(-jnp.abs(x))), jax.nn.sigmoid),
    "sigmoid": (jax.nn.sigmoid, sigmoid_slope),
    "relu": (lambda x: jnp.maximum(x, 0), lambda x: jnp.where(x > 0, 1.0, 0.0)),
    "a constant with many digits": (lambda x: 0.1 * x, lambda x: jnp.full_like(x, 0.1)),
}

MISTAKES = {
    "a factor 1 + 1e-9": lambda slope: lambda x: slope(x) * (1 + 1e-9),
    "the sign": lambda slope: lambda x: -slope(x),
    "only at 0": lambda slope: lambda x: jnp.where(x == 0, slope(x) + 1, slope(x)),
    "only beyond 100": lambda slope: lambda x: jnp.where(x > 100, slope(x) + 1, slope(x)),
    "only below −100": lambda slope: lambda x: jnp.where(x < -100, 2.0, slope(x)),
    "only near 0.3": lambda slope: lambda x: jnp.where(jnp.abs(x - 0.3) < 1e-6, 2.0, slope(x)),
}

WRONG_IN = ("square", "sigmoid")


@pytest.mark.parametrize("name", RIGHT)
def test_right_rules_are_right(name):
    report = judge_rule(with_rule(*RIGHT[name]), domain=reals())
    assert report.ok, report
    assert report.counts["right"] >= 15
    assert not {"WRONG", "NaN"} & set(report.counts)


@pytest.mark.parametrize("mistake", MISTAKES)
@pytest.mark.parametrize("name", WRONG_IN)
def test_a_planted_mistake_is_found_and_its_rule_named(name, mistake):
    f, slope = RIGHT[name]
    report = judge_rule(with_rule(f, MISTAKES[mistake](slope)), domain=reals())
    assert report.verdict == "WRONG"
    assert report.exit_code == 1
    (finding,) = [each for each in report.findings if each.kind == "WRONG"]
    assert finding.rule == "ruled"
    assert "test_planted.py:" in finding.place


@settings(max_examples=8, deadline=None)
@given(st.integers(1, 40).map(lambda k: 2.0**-k), st.sampled_from([-1, 1]))
def test_a_factor_is_seen_whatever_its_size(distance, sign):
    f, slope = RIGHT["sin"]
    report = judge_rule(with_rule(f, lambda x: slope(x) * (1 + sign * distance)), domain=reals(), at=[0.5])
    assert report.verdict == "WRONG"
    assert report.findings[0].gap == pytest.approx(distance, rel=1)


def test_a_mistake_is_shown_at_a_simple_input():
    report = judge_rule(with_rule(jnp.sin, jnp.sin), domain=reals("n"))
    finding = report.findings[0]
    assert finding.at == "x=[0]"
    assert finding.jax == "0"
    assert finding.true.startswith("1.000")


def test_one_arguments_derivative_for_anothers():
    @jax.custom_vjp
    def product(x, y):
        return x * x * y

    product.defvjp(lambda x, y: (product(x, y), (x, y)), lambda r, c: (c * r[0] ** 2, c * 2 * r[0] * r[1]))
    report = judge_rule(product, domain=(reals(), reals()))
    assert report.verdict == "WRONG"
    assert "custom_vjp" in report.rules[0].kind


def test_only_at_second_order():
    stopped = with_rule(jnp.sin, lambda x: jax.lax.stop_gradient(jnp.cos(x)))
    assert judge_rule(stopped, domain=reals()).ok
    report = judge_rule(stopped, domain=reals(), order=2)
    assert [(f.kind, f.order) for f in report.findings] == [("WRONG", 2)]


def test_only_in_forward_mode():
    @jax.custom_jvp
    def f(x):
        return jnp.sin(x)

    @f.defjvp
    def rule(primals, tangents):
        (x,), (d,) = primals, tangents
        linear = jax.custom_derivatives.linear_call
        return f(x), linear(lambda c, v: c * v * 1.5, lambda c, v: c * v, jnp.cos(x), d)

    report = judge_rule(f, domain=reals())
    assert report.verdict == "WRONG"
    assert report.findings[0].note == "forward mode"


def test_a_rule_that_is_not_linear_in_the_cotangent():
    @jax.custom_vjp
    def cube(x):
        return x**3

    cube.defvjp(lambda x: (cube(x), x), lambda x, c: (3 * x**2 * jnp.sign(c),))
    assert "cotangent" in judge_rule(cube, domain=reals()).findings[0].note


def test_the_rule_within_is_named():
    wrong = with_rule(jnp.sin, lambda x: jnp.cos(x) * 1.001, "inner")
    report = judge_rule(lambda w, x: jnp.sum(wrong(w * x) ** 2), domain=(reals(), reals()))
    first = report.findings[0]
    assert (first.kind, first.rule) == ("WRONG", "inner")
    assert any("see the rule within" in f.note for f in report.findings[1:])


def test_within_measures_the_gap():
    near = with_rule(jnp.sin, lambda x: jnp.cos(x) * (1 + 1e-10))
    report = judge_rule(near, domain=reals(), within=Relative(1e-9))
    assert report.ok
    assert report.verdict == "within"
    assert report.findings[0].gap == pytest.approx(1e-10, rel=1e-3)
    assert not judge_rule(near, domain=reals(), within=Relative(1e-11)).ok


def test_assert_rule_raises_with_the_report():
    assert_rule(with_rule(jnp.sin, jnp.cos), domain=reals())
    with pytest.raises(AssertionError, match=r"WRONG: ruled .*reverse mode"):
        assert_rule(with_rule(jnp.sin, jnp.sin), domain=reals())


def test_nan_where_the_derivative_exists():
    report = judge_rule(with_rule(lambda x: x * x, lambda x: 2 * x * x / x), domain=reals())
    assert report.verdict == "NaN"
    assert report.findings[0].at == "x=0"


def test_a_kink_tells_the_convention():
    report = judge_rule(with_rule(*RIGHT["relu"]), domain=reals())
    assert report.counts["kink"] == 1
    assert any("JAX takes the left one" in note for note in report.notes)


def test_a_rule_within_is_shown_with_its_own_names_and_the_constants_it_is_handed():
    @jax.custom_jvp
    def power(a, t, b):
        return a * t**2 + b

    @power.defjvp
    def its_rule(primals, tangents):
        (a, t, b), (da, dt, db) = primals, tangents
        return power(a, t, b), da * t**2 + 3 * a * t * dt + db

    @jax.custom_vjp
    def scaled(factor, t):
        return factor * t

    scaled.defvjp(lambda factor, t: (factor * t, (factor, t)), lambda kept, c: (c * kept[1], c * kept[0] * 2))
    for f, at, name in (
        (lambda x: power(0.5, x, 3.0) + x, "a=0.5  t=1  b=3", "∂f/∂t"),
        (lambda x: scaled(x, 3.0) + scaled(0.25, x), "factor=0.25  t=0", "∂f/∂t"),
    ):
        found = judge_rule(f, domain=(reals(),)).findings[0]
        assert (found.at, found.name) == (at, name)


@pytest.mark.parametrize("step", [1e-6, 1e-10, 1e-14])
def test_the_slopes_beside_a_kink_are_shown_with_the_digits_in_which_they_differ(step):
    bent = with_rule(lambda x: jnp.where(x > 0, x * (1 + step), x), lambda x: jnp.where(x > 0, 1 + step, 1.0))
    (note,) = judge_rule(bent, domain=(reals(),)).notes
    left, right = re.findall(r"from the (?:left|right) ([\d.]+)", note)
    assert float(left) == 1 < float(right)


def test_stop_gradient_in_a_function_is_its_authors_statement():
    def f(x):
        return jnp.sin(x) * jax.lax.stop_gradient(x**2)

    assert judge_rule(f, domain=reals()).ok


def test_how_an_equation_is_solved_is_no_statement_of_the_author():
    """`jnp.linalg.inv` stops the gradient of the factors it solves by: the inverse is no constant for that."""

    def with_transposed(transposed):
        @jax.custom_jvp
        def total(a):
            return jnp.sum(jnp.linalg.inv(a))

        @total.defjvp
        def rule(primals, tangents):
            (a,), (d,) = primals, tangents
            x = jnp.linalg.inv(a)
            return total(a), -jnp.sum(x @ d @ (x.T if transposed else x))

        return total

    inputs = [np.array([[2.0, 1.0], [0.0, 1.0]])]
    assert judge_rule(with_transposed(False), at=inputs).verdict == "right"
    assert judge_rule(with_transposed(True), at=inputs).verdict == "WRONG"


def test_a_rule_that_counts_zeros_is_wrong_where_two_of_four_are_zero():
    def product(x):
        return x[0] * x[1] * x[2] * x[3]

    def slope(x):
        others = jnp.stack([x[1] * x[2] * x[3], x[0] * x[2] * x[3], x[0] * x[1] * x[3], x[0] * x[1] * x[2]])
        return jnp.where(jnp.sum(x == 0) > 1, 0.0, others)

    made = jax.custom_jvp(product)
    made.defjvp(lambda primals, tangents: (product(*primals), slope(*primals) @ tangents[0]))
    assert judge_rule(made, domain=(reals(4),)).verdict == "right"
    assert judge_rule(made, domain=(reals(4),), order=2).verdict == "WRONG"


def test_a_saved_value_is_wrong_to_second_order_where_the_slope_is_constant():
    """The second derivative is 0 everywhere: that it is not by the rule is no intent."""
    made = jax.custom_jvp(lambda x: 6 * x)
    made.defjvp(
        lambda primals, tangents: (6 * primals[0], 3 * jax.lax.stop_gradient(2 * primals[0]) / primals[0] * tangents[0])
    )
    assert judge_rule(made, domain=(positives(),), order=2).verdict == "WRONG"


def test_what_underflows_is_no_missing_value():
    """At 1e-200 the square is 0 in floats, and the quotient NaN."""
    made = with_rule(lambda x: 1 / x, lambda x: -1 / x * (x * x) / (x * x) / x)
    assert judge_rule(made, domain=positives()).ok


def test_integer_arguments():
    @jax.custom_vjp
    def power(x, n):
        return x**3 * n

    def back(held, c):
        x, n = held
        return 3 * x**2 * n * c, np.zeros((), jax.dtypes.float0)

    power.defvjp(lambda x, n: (power(x, n), (x, n)), back)
    report = judge_rule(power, at=[(1.5, np.int64(2)), (0.0, np.int64(1))])
    assert report.ok
    assert report.counts == {"right": 2}


def test_rules_meant_so():
    @jax.custom_vjp
    def half(x):
        return x

    half.defvjp(lambda x: (x, None), lambda _, c: (c / 2,))
    assert judge_rule(half, domain=reals()).verdict == "meant so"

    @jax.custom_vjp
    def step(x):
        return jnp.where(x > 0, 1.0, 0.0)

    step.defvjp(lambda x: (step(x), x), lambda x, c: (c / (1 + x * x),))
    assert judge_rule(step, domain=reals()).verdict == "meant so"
    damped = with_rule(jnp.sin, lambda x: 0.5 * jnp.cos(x))
    assert judge_rule(damped, domain=reals()).verdict == "WRONG"
    assert judge_rule(damped, domain=reals(), intent="damps").verdict == "meant so"


def test_a_function_of_balls_is_the_truth():
    def taylor(x):
        return x - x**3 / 6

    assert judge_rule(taylor, domain=intervals(0.0, 1.0)).verdict == "right"
    report = judge_rule(taylor, domain=intervals(0.0, 1.0), truth=lambda x: x.sin())
    assert report.verdict == "WRONG"
    assert judge_rule(jnp.sin, domain=intervals(0.0, 1.0), truth=lambda x: x.sin()).ok


def newton(sign):
    @jax.custom_jvp
    def root(a):
        return jax.lax.while_loop(lambda y: jnp.abs(y * y - a) > 1e-13 * a, lambda y: (y + a / y) / 2, a)

    @root.defjvp
    def rule(primals, tangents):
        y = root(primals[0])
        return y, sign * tangents[0] / (2 * y)

    return root


def test_implicit_rules_are_judged_by_their_equation():
    domain = positives()
    assert judge_rule(newton(1), domain=domain, solves=lambda y, a: y * y - a).ok
    assert judge_rule(newton(-1), domain=domain, solves=lambda y, a: y * y - a).verdict == "WRONG"


def test_an_iteration_is_not_called_wrong():
    assert "WRONG" not in judge_rule(newton(1), domain=positives()).counts


def bisection(factor):
    """√a within brackets that depend on a, in so many steps, and the derivative of √a."""

    @jax.custom_jvp
    def root(a):
        def halved(_, bracket):
            low, high = bracket
            middle = (low + high) / 2
            return jnp.where(middle * middle < a, middle, low), jnp.where(middle * middle < a, high, middle)

        return jax.lax.fori_loop(0, 60, halved, (0.0 * a, 1.0 + a))[0]

    root.defjvp(lambda primals, tangents: (root(*primals), factor / (2 * jnp.sqrt(primals[0])) * tangents[0]))
    return root


def test_a_bisection_of_so_many_steps_is_an_iteration():
    """Its steps have another derivative than what it finds."""
    assert "WRONG" not in judge_rule(bisection(1.0), domain=positives(), at=[2.0, 0.3]).counts
    report = judge_rule(bisection(2.0), domain=positives(), at=[2.0])
    assert report.verdict == "WRONG"
    assert (report.findings[0].at, float(report.findings[0].true)) == ("a=1", 0.5)


@pytest.mark.parametrize("bent", [jnp.abs, lambda x: jnp.maximum(x, 0)])
@pytest.mark.parametrize("others", [1, 2])
def test_where_one_argument_has_a_kink_the_others_are_judged(bent, others):
    """A kink in x, or in two arguments together, is no excuse for the derivative by another one."""

    def f(x, y, z):
        first = bent(x) if others == 1 else jnp.minimum(jnp.abs(x), jnp.abs(y))
        return first + jnp.sin(z) + (y if others == 1 else 0.0)

    made = jax.custom_jvp(f)

    @made.defjvp
    def rule(primals, tangents):
        x, y, z = primals
        right = jax.grad(f, argnums=(0, 1, 2))(x, y, z)
        by_z = jnp.where((x == 0) & (y == 0), -1.0, right[2])
        return f(x, y, z), right[0] * tangents[0] + right[1] * tangents[1] + by_z * tangents[2]

    report = judge_rule(made, at=[(0.0, 0.0, 0.5)])
    wrong = {e.name for e in report.entries if e.kind == "WRONG"}
    assert wrong == {"∂f/∂z"}
    assert {e.name for e in report.entries if e.kind == "kink"} >= {"∂f/∂x"}


@pytest.mark.parametrize("size", [1e-200, 1e-30, 1.0, 1e30, 1e200])
@pytest.mark.parametrize("sign", [1, pytest.param(-1, marks=pytest.mark.explore)])
def test_steps_are_right_at_every_size_of_the_argument(size, sign):
    """Relative to small numbers, and no larger than 1: a period and a step of ⌊x⌋ are seen at 1e200."""
    right = {
        "x/(1 + |x|)": (lambda x: x / (1 + jnp.abs(x)), lambda x: 1 / (1 + jnp.abs(x)) ** 2),
        "sin": (jnp.sin, jnp.cos),
        "⌊x⌋": (jnp.floor, jnp.zeros_like),
        "⌊x²⌋": (lambda x: jnp.floor(x * x), jnp.zeros_like),
        "a difference": (lambda x: jnp.stack([x, -x])[0] - sign * size, jnp.ones_like),
    }
    for name, (f, slope) in right.items():
        x = sign * size * 1.25
        good = judge_rule(with_rule(f, slope), at=[x])
        assert not {"WRONG", "NaN", "kink", "undecided"} & set(good.counts), (name, str(good))
        bad = judge_rule(with_rule(f, lambda x, slope=slope: slope(x) + 1.0 + 1e-3 * jnp.abs(slope(x))), at=[x])
        assert bad.counts.get("WRONG") or name.startswith("⌊"), (name, str(bad))


def test_a_rule_right_for_an_identity_excuses_nothing():
    """Only a rule that changes the gradient of what it returns as it is can be what is meant."""
    same = with_rule(lambda x: x, jnp.ones_like, "same")
    wrong = with_rule(jnp.sin, lambda x: 2 * jnp.cos(x), "wrong")
    assert judge_rule(lambda x: wrong(same(x)), domain=reals()).verdict == "WRONG"
    half = with_rule(lambda x: x, lambda x: 0.5 * jnp.ones_like(x), "half")
    assert judge_rule(lambda x: jnp.sin(half(x)), domain=reals()).verdict == "meant so"


def test_mistakes_that_cancel_are_told_as_that():
    double = with_rule(jnp.sin, lambda x: 2 * jnp.cos(x), "double")
    half = with_rule(jnp.arctan, lambda x: 0.5 / (1 + x * x), "half")
    report = judge_rule(lambda x: half(double(x)), domain=reals())
    assert report.verdict == "WRONG"
    assert {f.rule for f in report.findings if f.kind == "WRONG"} == {"double", "half"}
    assert all("f as a whole is right" in f.note for f in report.findings if f.kind == "WRONG")


def test_a_rule_that_raises_is_told_as_that():
    @jax.custom_jvp
    def f(x):
        return x * x

    @f.defjvp
    def rule(primals, tangents):
        raise NotImplementedError("no derivative by design")

    report = judge_rule(f, domain=reals())
    assert report.verdict == "raises"
    assert not report.ok
    assert report.exit_code == 3
    assert "no derivative by design" in str(report)


@pytest.mark.parametrize("within", [lambda x: x, jax.nn.softplus, with_rule(jnp.round, jnp.ones_like, "straight")])
def test_a_function_whose_derivative_raises_is_not_right_because_a_rule_within_is(within):
    @jax.custom_jvp
    def f(x):
        return jnp.sin(x) + within(x)

    @f.defjvp
    def rule(primals, tangents):
        raise TypeError("tangents must have the structure of primals")

    report = judge_rule(lambda x: 2 * f(x), domain=reals())
    assert report.verdict == "raises"
    assert report.exit_code == 3
    assert "the structure of primals" in report.row


@pytest.mark.parametrize("within", [lambda x: x, jax.nn.softplus])
def test_a_function_of_which_nothing_is_known_is_not_right_because_a_rule_within_is(within):
    def called(x):
        return jax.pure_callback(lambda y: np.asarray(np.sin(y)), jax.ShapeDtypeStruct((), jnp.float64), x)

    @jax.custom_jvp
    def f(x):
        return jax.lax.cond(x > -jnp.inf, called, jnp.sin, x)

    @f.defjvp
    def rule(primals, tangents):
        return f(*primals), -jnp.cos(primals[0]) * tangents[0]

    report = judge_rule(lambda x: 2 * f(x) + within(x), domain=reals())
    assert report.verdict in ("undecided", "WRONG")
    assert not report.ok


def test_a_second_derivative_that_raises_is_told_as_that():
    f = with_rule(jnp.sin, with_rule(jnp.cos, jnp.cos), "sine")
    assert judge_rule(f, domain=reals()).verdict == "right"

    @jax.custom_jvp
    def cosine(x):
        return jnp.cos(x)

    @cosine.defjvp
    def rule(primals, tangents):
        raise NotImplementedError("first order only")

    assert judge_rule(with_rule(jnp.sin, cosine), domain=reals()).verdict == "right"
    assert judge_rule(with_rule(jnp.sin, cosine), domain=reals(), order=2).verdict == "raises"


BEYOND = {"by its sign": -1.0, "by a millionth": 1.000001, "as there is no value": jnp.nan}


def of_two(f, factor, limit, place):
    """f of two arrays with a custom_vjp, whose gradient by one of them has a factor beyond a number."""

    @jax.custom_vjp
    def ruled(x, y):
        return f(x, y)

    def backward(kept, bar):
        slopes = list(jax.vjp(f, *kept)[1](bar))
        slopes[place] *= jnp.where(jnp.abs(kept[place]) > limit, factor, 1.0)
        return tuple(slopes)

    ruled.defvjp(lambda x, y: (f(x, y), (x, y)), backward)
    return ruled


@pytest.mark.parametrize(("how", "limit", "place"), combinations(BEYOND, [30.0, 100.0, 700.0], [0, 1]))
def test_a_mistake_beyond_a_number_is_found_where_both_arguments_at_that_number_hide_it(how, limit, place):
    of_difference = of_two(lambda x, y: jnp.mean((x - y) ** 2), BEYOND[how], limit, place)
    report = judge_rule(of_difference, domain=(reals(3), reals(3)))
    assert report.verdict == ("NaN" if how == "as there is no value" else "WRONG")


@pytest.mark.parametrize(
    ("limit", "numbers"),
    combinations([-100.0, 100.0, 1e4], [(), (3.0, 4.0, 5.0), (0.25, -7.0, 11.0, 20.0, 31.0)]),
)
def test_a_mistake_beyond_one_of_several_numbers_is_found(numbers, limit):
    def decibels(x, y):
        ratio = jnp.var(x) / jnp.var(y - x)
        return 10.0 * jnp.log10(ratio) + sum(jnp.sum(jnp.where(x > number, x - number, 0.0) ** 2) for number in numbers)

    @jax.custom_vjp
    def ruled(x, y):
        return decibels(x, y)

    def backward(kept, bar):
        by_x, by_y = jax.vjp(decibels, *kept)[1](bar)
        return jnp.where(kept[0] * np.sign(limit) > abs(limit), -by_x, by_x), by_y

    ruled.defvjp(lambda x, y: (decibels(x, y), (x, y)), backward)
    assert judge_rule(ruled, domain=(reals(4), reals(4))).verdict == "WRONG"


@pytest.mark.parametrize("limit", [100.0, 1e6])
def test_a_rule_without_a_value_beyond_a_number_is_no_matter_of_accuracy(limit):
    report = judge_rule(with_rule(jnp.sin, lambda x: jnp.where(jnp.abs(x) > limit, jnp.nan, jnp.cos(x))), domain=reals())
    assert report.verdict == "NaN"


def test_what_overflows_at_huge_arguments_along_with_its_value_is_accuracy():
    report = judge_rule(lambda x: jnp.exp(x) / jnp.exp(x), domain=reals())
    assert report.verdict == "accuracy"
    assert all("huge" in f.note or "in float64" in f.note for f in report.findings if f.kind == "accuracy")


@pytest.mark.parametrize("n", chosen([3, 5, 6, 7], (3, 6).__contains__))
def test_modes_that_differ_by_a_rounded_constant_are_both_right(n):
    """The transpose of an inverse Fourier transform is scaled by 1/n, which is rounded; then digits cancel."""
    report = judge_rule(lambda x: (jnp.fft.irfft(jnp.fft.rfft(x), n) - (1 - 2.0**-10) * x)[0], domain=(reals(n),))
    assert report.verdict == "right"
    assert set(report.counts) == {"right"}


def with_slope_times(factor, f):
    """f with a rule of its own: JAX's derivative of f, times a factor."""

    @jax.custom_jvp
    def ruled(x):
        return f(x)

    @ruled.defjvp
    def rule(primals, tangents):
        value, slope = jax.jvp(f, primals, tangents)
        return value, factor * slope

    return ruled


@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_where_balls_alone_have_no_value_nothing_is_said_of_the_derivative(factor):
    """|z|² has a gradient, also where z is 0 for all x, as that of the mean of what is left when the mean is taken away."""

    def power(x):
        return jnp.sum(jnp.abs(jnp.fft.rfft(x - jnp.mean(x))) ** 2)

    report = judge_rule(with_slope_times(factor, power), domain=(reals(3),))
    assert report.verdict in ("undecided", "right" if factor == 1 else "WRONG")
    assert not report.counts.keys() & {"WRONG"} or factor == 2


def test_what_has_no_value_in_floats_either_has_no_derivative():
    assert judge_rule(lambda x: jnp.log(-1 - x * x) + x, domain=(reals(),)).verdict == "not differentiable"


OF_THREE = {
    "cross": lambda x: jnp.sum(jnp.cross(x, jnp.array([1.0, 2.0, 4.0]))),
    "a product": lambda x: jnp.sum(jnp.ones((2, 3)) @ jnp.sin(x)),
    "unpacked": lambda x: (lambda a, b, c: a * b + c)(*x),
}


@pytest.mark.parametrize("name", OF_THREE)
def test_a_mistake_in_a_function_of_three_numbers_alone_is_told(name):
    report = judge_rule(with_slope_times(2, OF_THREE[name]), domain=(reals("n"),))
    assert report.verdict == "WRONG"
    assert report.findings[0].rule == "ruled"


def bisected(f, low, high):
    """The root of an increasing function between two numbers."""

    def step(ends):
        middle = (ends[0] + ends[1]) / 2
        return jnp.where(f(middle) > 0, ends[0], middle), jnp.where(f(middle) > 0, middle, ends[1])

    return jax.lax.while_loop(lambda ends: ends[1] - ends[0] > 1e-12, step, (low, high))[0]


@pytest.mark.parametrize(("share", "verdict"), [(1.0, ""), (-1.0, "WRONG"), (0.0, "WRONG"), (1.1, "WRONG")])
def test_an_iteration_is_judged_by_what_it_approximates(share, verdict):
    """The value of a bisection is constant piece by piece; its rule is by the theorem of implicit functions."""

    @jax.custom_jvp
    def root(a):
        return bisected(lambda y: y**3 + y - a, -8.0 + 0 * a, 8.0 + 0 * a)

    @root.defjvp
    def rule(primals, tangents):
        y = root(primals[0])
        return y, share * tangents[0] / (3 * y * y + 1)

    report = judge_rule(root, domain=(intervals(1.0, 5.0),))
    assert report.verdict == verdict or (not verdict and "WRONG" not in report.counts)


@settings(max_examples=2, deadline=None)
@given(st.sampled_from([40, 45, 60, 200]), st.sampled_from([1.0, 1.0, 1.1]))
def test_a_bisection_of_any_number_of_steps_is_near_what_it_finds(steps, share):
    """However coarse its tolerance, or finer than balls of 160 bits tell; and float64 loses no digits of its rule."""

    @jax.custom_vjp
    def root(a):
        def halved(_, ends):
            middle = (ends[0] + ends[1]) / 2
            is_low = middle**3 + a * middle < 10
            return jnp.where(is_low, middle, ends[0]), jnp.where(is_low, ends[1], middle)

        return sum(jax.lax.fori_loop(0, steps, halved, (0.0, 10.0))) / 2

    def forward(a):
        y = root(a)
        return y, (y, a)

    root.defvjp(forward, lambda kept, g: (-share * g * kept[0] / (3 * kept[0] ** 2 + kept[1]),))
    report = judge_rule(root, domain=(intervals(0.1, 5.0),))
    assert report.verdict == ("within" if share == 1 else "WRONG")
    assert "accuracy" not in report.counts
    assert share != 1 or "undecided" not in report.counts


def until_still(step, start):
    """What a step leaves as it is, to 1e-12."""
    ends = jax.lax.while_loop(
        lambda ab: jnp.abs(ab[0] - ab[1]) > 1e-12, lambda ab: (ab[1], step(ab[1])), (start, step(start))
    )
    return ends[1]


@settings(max_examples=2, deadline=None)
@given(st.floats(0.1, 0.9))
def test_a_rule_that_iterates_too_may_end_at_another_step_for_another_cotangent(a):
    """The adjoint of a fixed point is one itself, and is found to a tolerance that does not grow with the cotangent."""

    def step(a, y):
        return jnp.cos(a * y) / 2

    fixed = jax.custom_vjp(lambda a: until_still(lambda y: step(a, y), jnp.zeros(())))

    def backward(kept, g):
        a, y = kept
        by_y = jax.grad(step, 1)(a, y)
        return (jax.grad(step)(a, y) * until_still(lambda w: g + by_y * w, g),)

    fixed.defvjp(lambda a: (fixed(a), (a, fixed(a))), backward)
    report = judge_rule(fixed, domain=(intervals(0.1, 1.0),), at=[(a,), (0.5,)])
    assert "WRONG" not in report.counts
    assert report.counts["within"]


@settings(max_examples=2, deadline=None)
@given(st.integers(2, 3), st.sampled_from([0.5, 0.25, 2.0]))
def test_symmetric_and_triangular_arguments_move_within_their_domain(n, share):
    """A rule may say what it likes of an entry that cannot move alone: the sum over both triangles is what counts."""

    def energy(a):
        return jnp.sum(jnp.tril(a) ** 2)

    made = jax.custom_jvp(energy)
    made.defjvp(lambda p, t: (energy(p[0]), jnp.sum(2 * share * jnp.tril(p[0], -1) * t[0]
                              + 2 * (1 - share) * jnp.triu(p[0], 1) * t[0] + 2 * jnp.eye(n) * p[0] * t[0])))  # fmt: skip
    assert judge_rule(made, domain=(symmetric(n),)).verdict == "right"
    if share != 1:
        assert judge_rule(made, domain=(reals(n, n),)).verdict == "WRONG"


def test_a_rule_that_is_told_of_zeros_and_drops_too_much():
    """Wrong only where one of its tangents is a symbolic zero."""

    def with_factor(factor):
        @jax.custom_jvp
        def product(x, y):
            return x * y

        def rule(primals, tangents):
            (x, y), (dx, dy) = primals, tangents
            is_zero = [type(d) is jax.custom_derivatives.SymbolicZero for d in (dx, dy)]
            by_x = 0 * x if is_zero[0] else y * dx * (factor if is_zero[1] else 1)
            return x * y, by_x + (0 * y if is_zero[1] else x * dy)

        product.defjvp(rule, symbolic_zeros=True)
        return product

    domain = (reals(), reals())
    assert judge_rule(with_factor(1), domain=domain).verdict == "right"
    report = judge_rule(with_factor(2), domain=domain)
    assert report.verdict == "WRONG"
    assert {f.name for f in report.findings if f.kind == "WRONG"} == {"∂f/∂x"}


def test_what_a_rule_keeps_has_to_be_a_residual():
    kept: list[object] = []

    @jax.custom_vjp
    def leaks(x):
        return jnp.sin(x)

    def forward(x):
        kept.append(x)
        return jnp.sin(x), ()

    leaks.defvjp(forward, lambda _, c: (jnp.cos(kept[-1]) * c,))
    report = judge_rule(leaks, domain=reals())
    assert "residuals" in {finding.kind for finding in report.findings}
    assert report.exit_code == 1
    assert "leaked tracer" in str(report)

    @jax.custom_vjp
    def keeps(x):
        return jnp.sin(x)

    keeps.defvjp(lambda x: (jnp.sin(x), x), lambda x, c: (jnp.cos(x) * c,))
    assert judge_rule(keeps, domain=reals()).verdict == "right"


def test_a_backward_half_that_changes_what_it_is_handed():
    class Count:
        """A pytree that is handed on as it is."""

        used = 0

    jax.tree_util.register_pytree_node(Count, lambda count: ((), count), lambda count, _: count)

    @jax.custom_vjp
    def f(x):
        return jnp.sin(x)

    def backward(held, c):
        x, count = held
        count.used += 1
        return (jnp.cos(x) * c * min(count.used, 2),)

    f.defvjp(lambda x: (jnp.sin(x), (x, Count())), backward)
    assert "two answers" in str(judge_rule(f, domain=reals()))


def test_what_is_computed_stands_beside_what_is_true():
    report = judge_rule(with_rule(jnp.sin, lambda x: jnp.cos(x) + 0.1), at=[0.0])
    assert report.findings[0].floats == "1.1 in float64, 1.100000023841858 in float32"


def primitive_of(name, f):
    """A primitive of another library, with a rule of its own that is right or wrong by a factor."""

    def made(factor):
        known = core.Primitive(name)
        known.def_impl(f)
        known.def_abstract_eval(lambda x: x)
        mlir.register_lowering(known, mlir.lower_fun(f, multiple_results=False))
        ad.defjvp(known, lambda d, x: factor * jnp.cos(x) * d)
        batching.defvectorized(known)
        return known.bind

    return made


def test_a_primitive_of_another_library_is_judged_by_what_it_does():
    sine = primitive_of("their_sine", jnp.sin)
    assert judge_rule(lambda x: 2 * sine(1.0)(x), domain=reals()).verdict == "right"
    assert judge_rule(lambda x: 2 * sine(1.5)(x), domain=reals()).verdict == "WRONG"


def test_a_branch_that_calls_python_matters_only_where_it_is_taken():
    def checked(x):
        told = jax.ShapeDtypeStruct((), x.dtype)
        failing = lambda x: jax.pure_callback(lambda x: x, told, jax.lax.stop_gradient(x))  # noqa: E731
        return jax.lax.cond(x > 50, failing, lambda x: x, x) ** 2

    report = judge_rule(checked, at=[1.0, 2.0])
    assert report.verdict == "right"
    assert judge_rule(checked, at=[60.0]).counts.get("undecided")


@pytest.mark.parametrize(("first", "second"), [(1.0, 1.0), (1.0, 2.0), (2.0, 1.0), (2.0, 2.0)])
def test_a_mistake_at_two_plain_numbers_together_is_found(first, second):
    """As where a series for a special case is chosen by a = 1 and b = 2."""

    def f(a, b, x):
        return a * b * jnp.sin(x)

    made = jax.custom_jvp(f)

    @made.defjvp
    def rule(primals, tangents):
        a, b, x = primals
        by_x = jnp.where((a == first) & (b == second), 1.01, 1.0) * a * b * jnp.cos(x)
        return f(a, b, x), b * jnp.sin(x) * tangents[0] + a * jnp.sin(x) * tangents[1] + by_x * tangents[2]

    assert judge_rule(made, domain=(positives(), positives(), reals())).verdict == "WRONG"


@pytest.mark.parametrize("coefficient", [0.1, 1 / 3])
def test_what_rounded_coefficients_leave_open_is_no_mistake(coefficient):
    """A rule by the differential equation of a function that its program approximates, as erfcx' = 2x erfcx − 2/√π."""

    def near(x):
        return 1 + x * (1 + x * (1 / 2 + x * (1 / 6 + x * coefficient * (1 / 24) / coefficient)))

    made = with_rule(near, lambda x: 1 + x * (1 + x * (1 / 2 + x * (1 / 6))))
    assert judge_rule(made, domain=intervals(0.0, 1.0)).ok
    wrong = with_rule(near, lambda x: (1 + x * (1 + x * (1 / 2 + x * (1 / 6)))) * (1 + 1e-9))
    assert judge_rule(wrong, domain=intervals(0.0, 1.0)).verdict == "WRONG"


@settings(max_examples=8, deadline=None)
@given(st.floats(0.1, 10.0), st.integers(0, 4), st.sampled_from([-1, 1]))
def test_constants_worked_out_in_floats_may_be_some_ulps_apart(constant, ulps, sign):
    """A rule by other constants than the value has, as (2l + 1) √l times a Clebsch-Gordan coefficient for √3."""
    constant = constant + 2.0**-40 if np.float64(constant) == np.float32(constant) else constant

    def f(x):
        return constant * x

    off = constant + sign * ulps * np.spacing(constant)
    assert judge_rule(with_rule(f, lambda x: off), domain=reals()).ok
    for k in (9, 1000, 10**6):
        off = constant + sign * k * np.spacing(constant)
        assert judge_rule(with_rule(f, lambda x, off=off: off), domain=reals()).verdict == "WRONG"


def less_a_line(off):
    rule = with_rule(jax.scipy.special.gammaln, lambda x: jax.scipy.special.digamma(x) * (1 + off))
    return lambda x, slope: rule(x) - slope * x


OFF = {"right": less_a_line(0.0), "within": less_a_line(4e-15), "WRONG": less_a_line(1e-9)}


@given(st.floats(0.3, 9.0) | st.integers(1, 9).map(float), st.integers(0, 9))
def test_what_a_rule_is_off_by_within_what_is_allowed_may_grow_where_digits_cancel(x, lost):
    slope = float(jax.scipy.special.digamma(x)) * (1 - 10.0**-lost)
    for kind, f in OFF.items():
        report = judge_rule(f, at=[(x, slope)])
        assert set(report.counts) == {kind, "right"}, str(report)


def affine_in_the_cotangent(slope, off):
    """Its backward half adds what it should multiply by the cotangent, which a cotangent of 1 does not show."""
    made = jax.custom_vjp(lambda x: jnp.sin(x))
    made.defvjp(lambda x: (jnp.sin(x), x), lambda x, bar: (bar * slope(x) * (1 + off) + 0.25 * (bar - 1),))
    return made


@pytest.mark.parametrize("off", [0.0, 1e-7])
def test_a_faint_mistake_hides_no_gross_one_and_the_program_shows_the_cotangent(off, capsys):
    f = affine_in_the_cotangent(jnp.cos, off)
    finding = judge_rule(f, domain=reals(), at=[0.5]).findings[0]
    assert finding.note.startswith("reverse mode with a cotangent of −2"), finding.note
    assert finding.gap > 0.1
    with jax.enable_x64(True):
        exec(finding.snippet.replace('jax.config.update("jax_enable_x64", True)', ""), {"f": f})
    shown = [line for line in capsys.readouterr().out.splitlines() if line.startswith("JAX")]
    assert f"{float(finding.jax):.6g}"[:5] in shown[0]
    assert finding.floats.startswith(f"{float(finding.jax):.6g}"[:5])


@settings(max_examples=8, deadline=None)
@given(st.integers(30, 52).map(lambda k: 2.0**-k), st.sampled_from([0.0, 1.0]), st.floats(0.5, 4.0))
def test_a_function_that_is_constant_within_a_hair_is_no_reason_to_call_its_rule_wrong(width, centre, power):
    """`jnp.where(abs(x − c) < eps, value at c, …)`: the rule is right wherever a float of ordinary size is."""

    def f(x):
        near = jnp.abs(x - centre) < width
        return jnp.where(near, jnp.exp(power * centre), jnp.exp(power * jnp.where(near, 2.0, x)))

    guarded = with_rule(f, lambda x: power * jnp.exp(power * x))
    report = judge_rule(guarded, domain=reals(), at=[centre])
    assert "WRONG" not in report.counts, str(report)
    wrong = with_rule(f, lambda x: power * jnp.exp(power * x) * jnp.where(jnp.abs(x - centre) < width, 1.01, 1.0))
    assert judge_rule(wrong, domain=reals(), at=[centre]).verdict == "WRONG"


@settings(max_examples=6, deadline=None)
@given(st.integers(16, 40), st.integers(16, 40), st.floats(0.5, 3.0))
def test_tables_of_nodes_and_weights_are_right_in_norm(nodes, others, x):
    """∫ exp(x t) dt over (−1, 1) by one quadrature, and its derivative by another: eigenvalues are off by some ulps."""

    def moment(count, power):
        t, w = np.polynomial.legendre.leggauss(count)
        return lambda x: jnp.exp(x[..., None] * t) @ (w * t**power)

    slope = moment(others, 1)
    assert judge_rule(with_rule(moment(nodes, 0), slope), at=[x]).ok
    assert judge_rule(with_rule(moment(nodes, 0), lambda x: slope(x) * (1 + 1e-9)), at=[x]).verdict == "WRONG"


@settings(max_examples=2, deadline=None)
@given(st.integers(3, 4), st.sampled_from([1e200, -1e180]))
def test_where_another_value_of_the_function_overflows_nothing_is_missing(n, a):
    """The rule of a recurrence multiplies its states, and at such numbers these are infinite."""

    def states(a):
        return jax.lax.scan(lambda y, x: (a * y + x,) * 2, 1.0, jnp.arange(1.0, n + 1))[1]

    made = jax.custom_vjp(states)

    def backward(kept, g):
        a, y = kept
        _, lam = jax.lax.scan(lambda c, each: (each + a * c,) * 2, 0.0, g, reverse=True)
        return (jnp.sum(lam * jnp.concatenate([jnp.ones(1), y[:-1]])),)

    made.defvjp(lambda a: (made(a), (a, made(a))), backward)
    report = judge_rule(made, domain=(reals(),), at=[(a,)])
    assert not {"NaN", "WRONG"} & set(report.counts)
