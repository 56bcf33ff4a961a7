"""Rules with loops: judged by all that they compute, in the turns that matter, and within a limit of time."""

import contextlib
import time

import jax
import jax.numpy as jnp
import jax.scipy.special as special
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autodiff_ref import judge_rule
from autodiff_ref.judge.balls import BALLS, Context, precision
from autodiff_ref.judge.evaluation import as_balls, evaluator, numbers_of
from autodiff_ref.judge.program.plans import Plan
from autodiff_ref.judge.program.walk import plan
from autodiff_ref.judge.rules import running
from autodiff_ref.judge.rules.subject import subject
from manual_grad import intervals, positives
from tests.combinations import few_or_many


def exp_by_series(x):
    """A sum that is added up until a term is small beside it: at first it is 0."""

    def more(state):
        total, term, k = state
        return (k < 200) & (jnp.abs(term) / jnp.abs(total) > 1e-40)

    def step(state):
        total, term, k = state
        return total + term, term * x / (k + 1), k + 1

    return jax.lax.while_loop(more, step, (0.0 * x, 1.0 + 0.0 * x, 0))[0]


def exp_by(factor):
    ruled = jax.custom_jvp(lambda x: jnp.exp(x))
    ruled.defjvp(lambda xs, ds: (jnp.exp(xs[0]), exp_by_series(xs[0]) * factor * ds[0]))
    return ruled


@settings(max_examples=few_or_many(3, 40), deadline=None)
@given(st.floats(0.25, 3.0))
def test_a_rule_with_a_series_is_judged_by_its_own_digits(x):
    """1/0 is ∞ in the question whether the series goes on, so that it is not only floats that say what it is."""
    assert judge_rule(exp_by(1.0), at=[x]).verdict in ("right", "within")
    assert judge_rule(exp_by(1 + 1e-9), at=[x]).verdict == "WRONG"
    assert judge_rule(exp_by(1 + 1e-2), at=[x]).verdict == "WRONG"


@settings(max_examples=few_or_many(2, 20), deadline=None)
@given(st.integers(30, 99).map(lambda k: 10.0**-k))
def test_a_series_that_stops_too_early(a):
    """The terms of ∂₂F₁/∂a are as small as a is, so that JAX adds up one of them."""
    report = judge_rule(special.hyp2f1, at=[(a, 1.5, 1.0, 0.25)])
    (entry,) = [e for e in report.entries if e.kind == "WRONG"]
    assert entry.name == "∂f/∂a"


@settings(max_examples=few_or_many(2, 20), deadline=None)
@given(st.floats(250.0, 300.0))
def test_a_series_of_so_many_terms_may_not_be_meant_for_large_numbers(x):
    """∂₁F₁/∂a is cut off after 250 terms, and half of it is missing there."""
    counts = judge_rule(special.hyp1f1, at=[(0.25, 0.75, x)]).counts
    assert counts["undecided"]
    assert "WRONG" not in counts


def runs_on(x, turns):
    """x² ended after so many turns, in a loop that runs on, as libraries write it to make a while loop differentiable."""

    def turn(state, _):
        total, k = state
        return jax.lax.cond(k < turns, lambda: (total + x, k + 1), lambda: (total, k)), k

    return jax.lax.scan(turn, (0.0 * x, 0), None, length=40)


@settings(max_examples=few_or_many(3, 40), deadline=None)
@given(st.integers(0, 45))
def test_a_loop_that_has_ended_is_not_run_on(turns):
    """What it carries and what it stacks is the same as if it were."""
    with jax.enable_x64(True):
        closed = jax.make_jaxpr(lambda x: runs_on(x, turns))(0.75)
    made, bodies = plan(closed, BALLS), []
    (scan,) = [step for step, *_, name in made.steps if name == "scan"]
    body = next(cell.cell_contents for cell in scan.step.__closure__ if hasattr(cell.cell_contents, "body")).body
    run = body.run
    body.run = lambda *given: bodies.append(1) or run(*given)
    with precision(128), jax.enable_x64(True):
        found = numbers_of(made.run(Context(), as_balls(jnp.asarray(0.75))))
        wanted = [float(value) for leaf in jax.tree.leaves(runs_on(0.75, turns)) for value in jnp.ravel(leaf)]
    assert [float(x) for x in found] == wanted
    assert len(bodies) <= min(turns + 2, 40)


def by_modes(x, y):
    """Of what its derivatives share, a loop and a tie at 0."""
    return exp_by(1.0)(x) * jnp.maximum(x, 0.0) * y + jnp.sin(y)


def turns_of(modes, monkeypatch):
    """How often plans are run, those of loops each turn, while the derivative by each mode is evaluated."""
    runs, whole = [], Plan.values

    def values(self, *given, **more):
        runs.append(self)
        return whole(self, *given, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Plan, "values", values)
        found = [mode(bits, "exact", "exact") for mode in modes for bits in (128, 512)]
    return len(runs), found


@settings(max_examples=few_or_many(4, 40), deadline=None)
@given(st.sampled_from([0.0, 0.5, -1.5, 2.0]), st.floats(-3.0, 3.0))
def test_what_modes_share_is_computed_once_and_each_has_its_own_values(x, y):
    leaves = [np.asarray(x), np.asarray(y)]
    made = subject(lambda x, y: [by_modes(x, y)], leaves, (0, 1), ("x", "y"))
    together = made.modes(leaves)
    alone = {mode: evaluator(planned, (*leaves,)) for mode, planned in made.derivatives.items()}
    assert len(alone) == 3
    with pytest.MonkeyPatch.context() as patch:
        few, found = turns_of(together.values(), patch)
        many, wanted = turns_of([alone[mode] for mode in together], patch)
    for at, true in zip(found, wanted, strict=True):
        assert at.unresolved == true.unresolved
        assert [str(v) for v in at.values] == [str(v) for v in true.values]
    assert found[0].unresolved or few < many


@pytest.mark.parametrize("seconds", [0.5, pytest.param(1.0, marks=pytest.mark.explore)])
def test_the_limit_of_time_holds_within_an_evaluation(seconds):
    """So many turns in balls of 2,400 bits take minutes."""

    def slow(x):
        return jax.lax.fori_loop(0, 90_000, lambda k, y: jnp.sin(y) + x, x)

    start = time.process_time()
    report = judge_rule(slow, at=[0.5, 0.25], seconds=seconds)
    assert report.verdict == "undecided"
    assert "the time was up in the middle of an evaluation" in report.findings[0].note
    assert time.process_time() - start < 4 * seconds + 3


def test_there_is_a_limit_without_being_told(monkeypatch):
    seen = []
    monkeypatch.setattr(running, "ending_by", lambda end: seen.append(end) or contextlib.nullcontext())
    judge_rule(jnp.sin, at=[0.5])
    assert seen[0] - time.process_time() <= 20
    judge_rule(jnp.sin, at=[0.5], seconds=None)
    assert seen[-1] == float("inf")


@pytest.mark.explore
@pytest.mark.parametrize(
    ("f", "domain"),
    [
        (lambda x: special.betainc(2.5, 0.75, x), (intervals(0.05, 0.95),)),
        (special.hyp2f1, (positives(), positives(), positives(), intervals(0.0, 0.9))),
        (special.zeta, (positives(), positives())),
    ],
)
def test_special_functions_take_five_seconds_of_processor_time_at_most(f, domain):
    start = time.process_time()
    judge_rule(f, domain=domain)
    assert time.process_time() - start < 5


def counted(x):
    return jax.lax.while_loop(lambda k: k < x, lambda k: k + 1, 0.0 * x)


def halved(x):
    return jax.lax.while_loop(lambda s: s[0] < jnp.abs(x), lambda s: (s[0] + 1, s[1] / 2), (0.0, x))[1]


@pytest.mark.parametrize(
    ("f", "value", "sizes"),
    [
        (counted, 3.0, (1e200,)),
        (halved, 0.375, (1e200, -1e200, 1e12)),
        (lambda x: special.gammainc(x, x), 0.5768099188731565, (1e200,)),
    ],
    ids=["counted", "halved", "by XLA's series"],
)
def test_what_may_not_end_in_floats_is_not_run(f, value, sizes):
    """1e200 + 1 is 1e200: a loop would count for ever, and XLA adds up Γ's series; no limit of time breaks it off there."""
    made = subject(lambda x: [f(x)], [np.float64(3.0)], (0,), ("x",))
    for size in sizes:
        assert np.isnan(made.in_floats([np.float64(size)])).all()
    assert made.in_floats([np.float64(3.0)]) == pytest.approx(value, rel=1e-6)
