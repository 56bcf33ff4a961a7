"""Rules of iterations: of their results, and not of what they hand on beside these."""

import jax
import jax.numpy as jnp
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from autodiff_ref import judge_rule
from autodiff_ref.judge.rules.findings import Entry, RuleReport
from autodiff_ref.judge.rules.iterating import ITERATES
from manual_grad import classes, reals
from tests.combinations import few_or_many


def solved(factor):
    """y with y³ + y = a, and how many digits the last step has changed, of which the rule says nothing."""

    @jax.custom_jvp
    def solve(start, a):
        def turn(state):
            y, _ = state
            step = (y**3 + y - a) / (3 * y * y + 1)
            return y - step, step

        y, step = lax.while_loop(lambda state: jnp.abs(state[1]) > 1e-8, turn, (start, jnp.ones_like(start)))
        return y, jnp.log(jnp.abs(step) + 1e-40)

    @solve.defjvp
    def its_rule(primals, tangents):
        y, step = solve(*primals)
        return (y, step), (factor * tangents[1] / (3 * y * y + 1), jnp.zeros_like(step))

    return lambda a: solve(jnp.full_like(a, 2.0), a)[0]


@settings(max_examples=few_or_many(3, 40), deadline=None)
@given(st.integers(1, 15).map(lambda k: k / 8))
def test_by_products_of_an_iteration_are_not_held_against_its_rule(a):
    assert judge_rule(solved(1.0), at=[a]).ok
    assert judge_rule(solved(1.5), at=[a]).verdict == "WRONG"


def scores(factor, turns):
    """log Σ exp over rows, added up in one pass, and the row that has a label picked on the way; a counted loop."""

    @jax.custom_vjp
    def loss(x, label):
        def turn(state):
            k, top, total, picked = state
            new = jnp.where(x[k] > top, x[k], top)
            return k + 1, new, total * jnp.exp(top - new) + jnp.exp(x[k] - new), jnp.where(k == label, x[k], picked)

        first = (jnp.zeros((), int), jnp.full_like(x[0], -1e9), x[0] * 0, x[0] * 0)
        _, top, total, picked = turns(turn, first, len(x))
        return top + jnp.log(total) - picked

    def bwd(kept, g):
        x, label = kept
        return factor * g * (jax.nn.softmax(x) - jax.nn.one_hot(label, len(x))), None

    loss.defvjp(lambda x, label: (loss(x, label), (x, label)), bwd)
    return loss


def by_scan(turn, first, count):
    return lax.scan(lambda state, _: (turn(state), None), first, None, length=count)[0]


def by_while(turn, first, count):
    return lax.while_loop(lambda state: state[0] < count, turn, first)


@settings(max_examples=few_or_many(3, 20), deadline=None)
@given(st.sampled_from([by_scan, by_while]), st.integers(-9, -1))
def test_a_loop_that_counts_is_no_iteration(turns, power):
    """The larger of two numbers, and what a label picks, are exact: a mistake of one part in 1e9 shows."""
    domain = (reals("n"), classes(3))
    assert judge_rule(scores(1.0, turns), domain=domain).ok
    assert judge_rule(scores(1.0 + 10.0**power, turns), domain=domain).verdict == "WRONG"


@settings(max_examples=few_or_many(3, 20), deadline=None)
@given(st.sampled_from([jnp.where, lax.cond, "flag"]), st.sampled_from([0.5, 2.0, 3.0]))
def test_a_choice_by_the_state_is_an_iteration(choose, a):
    """√a by bisection, with its rule, is right, though no step of it has that slope."""

    @jax.custom_jvp
    def root(a):
        def turn(state, _):
            low, high = state
            middle = (low + high) / 2
            above = middle**2 > a
            if choose is lax.cond:
                return lax.cond(
                    above, lambda low, mid, high: (low, mid), lambda low, mid, high: (mid, high), low, middle, high
                ), None
            return (jnp.where(above, low, middle), jnp.where(above, middle, high)), None

        def step(state, _):
            y, done = state
            new = (y + a / y) / 2
            return (jnp.where(done, y, new), done | (jnp.abs(new - y) < 1e-9)), None

        if choose == "flag":
            return lax.scan(step, (a, jnp.bool_(False)), None, length=40)[0][0]
        return lax.scan(turn, (a * 0, a + 1), None, length=60)[0][0]

    root.defjvps(lambda t, y, a: t / (2 * y))
    assert judge_rule(root, at=[a]).ok


@given(st.integers(0, 9), st.integers(0, 9), st.integers(0, 20))
def test_a_rule_that_is_off_more_often_than_right_is_not_called_right(off, right, beside):
    """By one argument; that it is right by another one is no comfort."""
    by_x = [Entry("undecided", "f", "∂f/∂x[0]", "x=[1]", note=ITERATES)] * off
    by_x += [Entry("right", "f", "∂f/∂x[0]", "x=[1]")] * right
    report = RuleReport("f", "", 1, entries=(*by_x, *[Entry("right", "f", "∂f/∂y", "y=1")] * beside))
    assert (report.verdict == "right") == (off <= right and right + beside > 0)
