"""A rule computes the value of its function anew, and may have another one: nothing but the value shows it."""

import jax
import jax.numpy as jnp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autodiff_ref import judge_rule
from manual_grad import reals

FUNCTIONS = {
    "sin": (jnp.sin, jnp.cos),
    "exp": (jnp.exp, jnp.exp),
    "softplus": (jax.nn.softplus, jax.nn.sigmoid),
    "cube": (lambda x: x**3, lambda x: 3 * x**2),
}
FORMS = ("custom_jvp", "custom_vjp")


def with_value(form, name, other):
    """A function and a right rule, whose own copy of the value is `other`."""
    f, slope = FUNCTIONS[name]
    made = getattr(jax, form)(lambda x: f(x))
    if form == "custom_jvp":
        made.defjvp(lambda primals, tangents: (other(f, *primals), slope(*primals) * tangents[0]))
    else:
        made.defvjp(lambda x: (other(f, x), x), lambda x, bar: (slope(x) * bar,))
    return made


@settings(max_examples=10, deadline=None)
@given(
    st.sampled_from(FORMS),
    st.sampled_from(sorted(FUNCTIONS)),
    st.integers(1, 40).map(lambda k: 2.0**-k),
    st.sampled_from([-1, 1]),
)
def test_a_factor_is_seen_whatever_its_size(form, name, distance, sign):
    report = judge_rule(with_value(form, name, lambda f, x: f(x) * (1 + sign * distance)), domain=reals(), at=[0.5])
    assert report.verdict == "value", str(report)
    assert report.findings[0].gap == pytest.approx(distance, rel=1)
    assert "WRONG" not in report.counts


OTHERS = {
    "a branch is another one": (lambda f, x: jnp.where(x == 0, 0.5, f(x)), "value"),
    "the same in other words": (lambda f, x: 0.5 * f(x) + f(x) / 2, "right"),
    "a constant worked out in floats": (lambda f, x: f(x) * (0.1 * 10.000000000000002), "right"),
    "the function itself": (lambda f, x: f(x), "right"),
}


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("form", FORMS)
def test_what_differs_at_one_input_is_found_and_what_is_written_otherwise_is_not(form, other):
    value, verdict = OTHERS[other]
    report = judge_rule(with_value(form, "softplus", value), domain=reals("n"))
    assert report.verdict == verdict, str(report)


def test_the_rule_within_is_named_and_a_program_shows_it(capsys):
    inner = with_value("custom_vjp", "sin", lambda f, x: f(x) + 0.25)

    def f(x):
        return inner(2 * x)

    report = judge_rule(f, domain=reals(), at=[0.5])
    finding = next(finding for finding in report.findings if finding.kind == "value")
    assert "test_values.py:" in finding.place
    assert "by the rule" in str(finding)
    with jax.enable_x64(True):
        exec(finding.snippet.replace('jax.config.update("jax_enable_x64", True)', ""), {"f": f})
    assert "while it is differentiated" in capsys.readouterr().out


def test_a_rule_in_a_loop_is_seen_by_what_the_whole_returns():
    inner = with_value("custom_jvp", "sin", lambda f, x: f(x) + 0.25)

    def f(x):
        return jax.lax.fori_loop(0, 3, lambda _, total: total + inner(x), x)

    finding = next(finding for finding in judge_rule(f, domain=reals(), at=[0.5]).findings if finding.kind == "value")
    assert float(finding.jax) - float(finding.true) == pytest.approx(0.75)


def newton(x, steps):
    return jax.lax.fori_loop(0, steps, lambda _, y: 0.5 * (y + x / y), 0.5 * (1 + x))


@pytest.mark.parametrize(("steps", "verdict"), [(6, "right"), (1, "value")])
def test_two_iterations_for_one_number_stop_at_different_places(steps, verdict):
    """The backward half takes more steps than the function does; with one step it finds no digit."""

    @jax.custom_vjp
    def root(x):
        return jax.lax.while_loop(lambda y: jnp.abs(y * y - x) > 1e-7 * x, lambda y: 0.5 * (y + x / y), 0.5 * (1 + x))

    root.defvjp(lambda x: (newton(x, steps), jnp.sqrt(x)), lambda y, bar: (bar / (2 * y),))
    report = judge_rule(root, at=[4.0, 9.0])
    assert ("value" in report.counts) == (verdict == "value"), str(report)
