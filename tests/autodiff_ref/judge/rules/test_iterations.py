"""Rules of iterations: of their results, and not of what they hand on beside these."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from jax import lax

from autodiff_ref import judge_rule
from autodiff_ref.judge.rules.findings import Entry, RuleReport
from autodiff_ref.judge.rules.iterating import ITERATES
from manual_grad import classes, reals
from tests.combinations import few_or_many
from tests.iterations import by_bisection, by_newton, by_secants, by_substitution, of_the_equation


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


ITERATIONS = st.sampled_from([by_newton, by_secants, by_bisection, by_substitution])
ARGUMENTS = st.integers(-40, 40).map(lambda k: k / 16)


@settings(max_examples=few_or_many(12, 200), deadline=None)
@given(ITERATIONS, st.integers(3, 12), ARGUMENTS)
def test_the_rule_of_what_an_iteration_goes_to_is_right_whatever_its_tolerance(iteration, digits, a):
    assume(iteration is not by_secants or a != 1)  # its first guess is the solution, and its turns end in 0/0
    report = judge_rule(of_the_equation(iteration, 10.0**-digits, 1.0), at=[a])
    assert {"right", "within", "not differentiable"} >= report.counts.keys()


@settings(max_examples=few_or_many(12, 200), deadline=None)
@given(ITERATIONS, ARGUMENTS, st.sampled_from([-1.0, 1.5, 1.01, 1 + 1e-6]))
def test_a_small_mistake_in_the_rule_of_an_iteration_is_found(iteration, a, factor):
    report = judge_rule(of_the_equation(iteration, 1e-12, factor), at=[a, a + 1 / 3])
    assert report.verdict == "WRONG"


def a_fixed_point(its_adjoint, factor=1.0):
    """z = tanh(W z / 4 + b), and for the derivative an iteration in the backward half, as the guide of JAX has it."""

    def turn(w, b, z):
        return jnp.tanh(jnp.tanh(w) @ z / 4 + b)

    def settled(step, start):
        return lax.while_loop(
            lambda s: jnp.max(jnp.abs(s[1] - s[0])) > 1e-7, lambda s: (s[1], step(s[1])), (start, step(start))
        )[1]

    point = jax.custom_vjp(lambda w, b: settled(lambda z: turn(w, b, z), jnp.zeros_like(b)))

    def forward(w, b):
        z = point(w, b)
        return z, (w, b, z)

    def backward(kept, bar):
        w, b, z = kept
        _, by_z = jax.vjp(lambda z: turn(w, b, z), z)
        _, by_arguments = jax.vjp(lambda w, b: turn(w, b, z), w, b)
        adjoint = its_adjoint(lambda u: by_z(u)[0] + bar, jnp.zeros_like(bar), settled)
        return tuple(factor * x for x in by_arguments(adjoint))

    point.defvjp(forward, backward)
    return point


W, B = [[1.0, 0.5], [-0.75, 2.0]], [0.25, -0.5]


@pytest.mark.parametrize(
    "its_adjoint",
    [
        lambda step, start, settled: settled(step, start),
        lambda step, start, _: lax.fori_loop(0, 20, lambda _, u: step(u), start),
    ],
    ids=["to a tolerance", "so many turns"],
)
def test_a_rule_that_iterates_for_its_adjoint(its_adjoint):
    assert judge_rule(a_fixed_point(its_adjoint), at=[(np.array(W), np.array(B))]).ok
    assert judge_rule(a_fixed_point(its_adjoint, 1.001), at=[(np.array(W), np.array(B))]).verdict == "WRONG"


def test_conjugate_gradients_end_exactly():
    """In as many turns as there are numbers: one more would divide 0 by 0."""

    def solved(factor):
        def by_turns(m, b):
            def turn(state):
                x, rest, way = state
                step = rest @ rest / (way @ m @ way)
                left = rest - step * m @ way
                return x + step * way, left, left + left @ left / (rest @ rest) * way

            return lax.while_loop(lambda state: state[1] @ state[1] > 1e-16, turn, (jnp.zeros_like(b), b, b))[0]

        solve = jax.custom_vjp(by_turns)

        def backward(kept, bar):
            m, x = kept
            adjoint = by_turns(m, bar)
            return -factor * jnp.outer(adjoint, x), factor * adjoint

        solve.defvjp(lambda m, b: (x := solve(m, b), (m, x)), backward)
        return lambda r, b: solve(r @ r.T + jnp.eye(2), b)

    at = [(np.array(W), np.array(B))]
    assert judge_rule(solved(1.0), at=at).ok
    assert judge_rule(solved(1.01), at=at).verdict == "WRONG"


def test_what_is_halved_until_it_is_small_goes_to_no_limit_that_counts():
    """A loop that brings its argument into reach would go to 0."""

    def log(factor):
        def reduced(x):
            return lax.while_loop(lambda s: s[0] > 1, lambda s: (s[0] / 2, s[1] + 1), (x, 0 * x))

        made = jax.custom_jvp(lambda x: jnp.log(reduced(x)[0]) + reduced(x)[1] * jnp.log(2.0))
        made.defjvp(lambda primals, tangents: (made(*primals), factor * tangents[0] / primals[0]))
        return made

    assert judge_rule(log(1.0), at=[5.0, 3.0, 0.75]).verdict in ("right", "within")
    assert judge_rule(log(1.5), at=[5.0, 3.0, 0.75]).verdict == "WRONG"


def test_where_most_entries_are_undecided_so_is_the_verdict():
    """The rule of an exact solution, and Euler's steps to it: at 0 alone both are 0."""

    def decay(x):
        return lax.while_loop(lambda s: s[1] < 0.9, lambda s: (s[0] - s[0] ** 3 / 8, s[1] + 1 / 8), (x, 0 * x))[0]

    made = jax.custom_jvp(decay)
    made.defjvp(lambda p, t: (made(*p), (1 + 2 * p[0] ** 2) ** -1.5 * t[0]))
    assert judge_rule(made, at=[0.0]).ok
    assert judge_rule(made, at=[0.0, 0.5, 0.75, 1.0]).verdict == "undecided"


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
