"""Arguments that are no arrays, by the rule (`nondiff_argnums`): found by trying, or given as constants."""

import functools

import jax
import jax.numpy as jnp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autodiff_ref import judge_rule
from autodiff_ref.judge.rules.named import not_reached
from manual_grad import reals
from manual_grad.domains import constants

KINDS = (jax.custom_jvp, jax.custom_vjp)


def sums_powers(kind, place, count, factor=1.0):
    """Σ xᵏ with k at one place among `count` arguments."""

    def value(power, xs):
        return sum(jnp.sum(x**power) for x in xs)

    def slope(power, x):
        return factor * power * x ** (power - 1)

    def split(args):
        return args[place], [x for k, x in enumerate(args) if k != place]

    def ruled(*args):
        assert isinstance(args[place], int)
        return value(*split(args))

    parameters = ", ".join(f"x{k}" for k in range(count))
    named = eval(f"lambda {parameters}: ruled({parameters})", {"ruled": ruled})
    made = kind(named, nondiff_argnums=(place,))
    if kind is jax.custom_jvp:

        def jvp(power, primals, tangents):
            return value(power, primals), sum(jnp.sum(slope(power, x) * d) for x, d in zip(primals, tangents, strict=True))

        made.defjvp(jvp)
    else:
        made.defvjp(
            lambda *args: (value(*split(args)), split(args)[1]),
            lambda power, xs, bar: tuple(bar * slope(power, x) for x in xs),
        )
    return made


@settings(max_examples=8, deadline=None)
@given(st.sampled_from(KINDS), st.integers(2, 3), st.data())
def test_they_are_found_by_trying_and_a_mistake_with_them(kind, count, data):
    place = data.draw(st.integers(0, count - 1), "place")
    right, wrong = (judge_rule(sums_powers(kind, place, count, factor)) for factor in (1.0, 1 + 1e-9))
    assert right.ok, str(right)
    assert "constants(" in right.domain
    assert wrong.verdict == "WRONG", str(wrong)


@pytest.mark.parametrize("kind", KINDS)
def test_they_may_be_given(kind):
    wrong = sums_powers(kind, 0, 2, 0.5)
    for told in ({"domain": (constants(4), reals())}, {"at": [(4, 2.0), (4, 1.0)]}):
        assert judge_rule(sums_powers(kind, 0, 2), **told).ok
        assert judge_rule(wrong, **told).verdict == "WRONG"
    with pytest.raises(ValueError, match="x0 is no array"):
        judge_rule(wrong, domain=(reals(), reals()))
    with pytest.raises(ValueError, match="every input in at is to hold 4 as argument 0"):
        judge_rule(wrong, at=[(4, 2.0), (3, 2.0)])


def test_the_program_of_a_finding_holds_their_value():
    snippet = judge_rule(sums_powers(jax.custom_vjp, 0, 2, 0.5), domain=(constants(4), reals())).findings[0].snippet
    assert "(4, x1)" in snippet


def test_a_rule_that_takes_a_function_is_undecided_and_its_row_says_how_to_judge_it():
    @functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
    def applied(f, x):
        return f(x)

    applied.defjvp(lambda f, primals, tangents: jax.jvp(f, primals, tangents))
    report = not_reached(applied, "mine.applied")
    assert report.exit_code == 3
    assert '(f is no array): write the call, as "mine.applied(…, reals(n))"' in report.row
    assert report.rules[0].place.partition(":")[0].endswith("test_statics.py")


def test_an_argument_that_is_left_to_its_default_hides_no_other_name():
    @jax.custom_jvp
    def scaled(x, factor=2.0):
        return jnp.abs(x) * factor

    scaled.defjvp(lambda primals, tangents: (scaled(*primals), 3 * tangents[0]))
    finding = judge_rule(lambda x: scaled(x) + 1, domain=reals()).findings[0]
    assert finding.at.startswith("x=")
    assert finding.name == "∂f/∂x"
