"""Lines that hold for what an iteration goes to, and not where it stops."""

import jax.numpy as jnp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from autodiff_ref import verify
from manual_grad import Derivation, intervals
from tests.combinations import few_or_many
from tests.iterations import by_newton, of_the_equation


def implicitly(tolerance, factor=1.0, of_rule=1.0):
    """∇ of x² where x + exp(x) = a; the last line puts a − x for exp(x), times a factor."""
    solution = of_the_equation(by_newton, tolerance, of_rule)

    def line_1(a, nabla):
        """2 x ∇x"""
        return 2 * solution(a) * nabla(solution)(a)

    def line_2(a):
        """2 x / (1 + exp(x))"""
        return 2 * solution(a) / (1 + jnp.exp(solution(a)))

    def line_3(a):
        """2 x / (1 + a − x)"""
        return factor * 2 * solution(a) / (1 + a - solution(a))

    lines = [line_1, line_2, line_3]
    return Derivation("implicitly", lambda a: solution(a) ** 2, wrt="a", domain=(intervals(-1, 2),), lines=lines)


def verdicts(derivation):
    return [line.verdict for line in verify(derivation, suspects=False).lines]


@settings(max_examples=few_or_many(2, 8), deadline=None)
@given(st.integers(3, 7))
def test_where_an_iteration_stops_is_no_mistake(digits):
    assert verdicts(implicitly(10.0**-digits)) == ["agrees", "agrees", "within"]


@settings(max_examples=few_or_many(2, 8), deadline=None)
@given(st.integers(3, 7), st.sampled_from([1 + 1e-9, 1.001, -1.0]))
def test_a_mistake_is_one_wherever_an_iteration_stops(digits, factor):
    assert verdicts(implicitly(10.0**-digits, factor))[2] == "refuted"


def test_a_wrong_rule_of_an_iteration_is_not_held_against_a_line():
    report = verify(implicitly(1e-5, of_rule=1.0001), suspects=False)
    assert [line.verdict for line in report.lines] == ["undecided", "agrees", "within"]
    assert "JAX's derivative by a" in str(report)
    assert not report.ok


def settled(a):
    """0, to which a goes by halves."""
    return lax.while_loop(lambda x: jnp.abs(x) > 1e-3, lambda x: x / 2, a)


@pytest.mark.parametrize("of", [lambda a: settled(a), lambda a: 1 + settled(a)], ids=["0", "1"])
def test_what_goes_to_nothing_near_is_compared_where_it_stops(of):
    def line(a):
        return of(a) + settled(a)

    derivation = Derivation("halves", equals=of, domain=(intervals(1, 2),), lines=[line])
    assert verdicts(derivation) == ["refuted"]
