"""Functions that a library made: what lies below the floats, loops that no precision ends, and whose a comparison is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jax.extend import core

from autodiff_ref import verify
from autodiff_ref.judge.balls import BALLS, Context, exact
from autodiff_ref.judge.bench import Bench
from autodiff_ref.judge.branches import Branches
from autodiff_ref.judge.floats import context, control
from autodiff_ref.judge.floats.table import FLOATS
from autodiff_ref.judge.floats.together import Together
from autodiff_ref.judge.floats.values import surely
from autodiff_ref.judge.inputs import draw_inputs
from autodiff_ref.judge.program.walk import plan
from manual_grad import Derivation, intervals, nonnegatives, positives, reals
from tests.autodiff_ref.judge.test_truth import kinds, truth_at


def by_jax(f, **keywords):
    """A derivation with f's own derivative as the line."""

    def line(x, nabla):
        return (jax.grad if jax.eval_shape(f, x).shape == () else jax.jacobian)(f)(x)

    return Derivation("by JAX", f, None, lines=[line], **keywords)


# What is smaller than any float is no difference: a quotient has no digits there


@settings(max_examples=10)
@given(st.floats(750.0, 1e5))
@example(7466.0)
def test_a_derivative_below_the_smallest_float_accuses_nobody(x):
    truth = truth_at(lambda x: 1 - jnp.exp(-x), x)
    assert not truth.wrong
    assert not truth.missing


# Where one derivative does not exist there is no gradient, and no line lacks it


@pytest.mark.parametrize(
    "f",
    [jax.scipy.special.xlogy, lambda x, y: jnp.sqrt(x) * (1 + y), lambda x, y: jnp.mod(1 + x, y)],
    ids=["xlogy", "√", "mod"],
)
def test_entries_beside_one_that_diverges_are_not_lacking(f):
    truth = truth_at(f, 0.0, 0.0)
    assert "none" in kinds(truth)
    assert not truth.missing
    assert all(entry.is_partial for entry in truth.entries)


def test_a_line_without_a_value_where_one_derivative_diverges_is_no_partial_one():
    def of(v):
        return jnp.sqrt(v[0]) + v[1]

    def line(v, nabla):
        return jnp.stack([0.5 / jnp.sqrt(v[0]), v[0] / v[0]])

    assert verify(Derivation("√x + y", of, None, (nonnegatives(2),), [line])).ok


def test_a_line_without_a_value_where_the_gradient_exists_is_partial():
    def of(v):
        return jnp.sum(v**2)

    def line(v, nabla):
        return jnp.stack([2 * v[0], 2 * v[1] * v[0] / v[0]])

    assert verify(Derivation("Σ x²", of, None, (nonnegatives(2),), [line])).lines[0].verdict == "partial"


# A loop whose end no precision decides has no value, and is nobody's mistake


@jax.custom_jvp
def exponential(x):
    return jnp.exp(x)


@exponential.defjvp
def _series(primals, tangents):
    """e^x, halved up to three times while sin² x + cos² x > 1: the two are equal, and no precision says so."""
    (x,), (t,) = primals, tangents

    def goes_on(state):
        return (jnp.sin(x) ** 2 + jnp.cos(x) ** 2 > 1) & (state[0] < 3)

    return exponential(x), jax.lax.while_loop(goes_on, lambda state: (state[0] + 1, state[1] / 2), (0, jnp.exp(x)))[1] * t


@jax.custom_jvp
def of_a_series(x):
    return jnp.exp(x)


@of_a_series.defjvp
def _added_up(primals, tangents):
    """Σ x^k/k!, added up while a term is more than an ulp of a sum that begins with 0: the first ratio is 1/0."""
    (x,), (t,) = primals, tangents

    def goes_on(state):
        total, term, _ = state
        return jnp.abs(term) / jnp.abs(total) > 2.0**-53

    def add(state):
        total, term, k = state
        return total + term, term * x / (k + 1), k + 1

    return of_a_series(x), jax.lax.while_loop(goes_on, add, (0.0 * x, 1.0 + 0.0 * x, 0.0))[0] * t


def test_a_loop_that_no_precision_ends_has_no_value():
    with jax.enable_x64(True):
        is_above = lambda x: jnp.sin(x) ** 2 + jnp.cos(x) ** 2 > 1  # noqa: E731
        closed = jax.make_jaxpr(lambda x: jax.lax.while_loop(lambda v: is_above(v), lambda v: v - 1, x))(1.5)
    context = Context()
    (value,) = plan(closed, BALLS).run(context, exact(np.array(1.5)))
    assert context.unresolved
    assert not value[()].is_finite()


def test_a_derivative_by_such_a_loop_is_undecided_and_the_comparison_is_named():
    report = verify(by_jax(exponential, domain=(intervals(0.5, 2),)))
    (line,) = report.lines
    assert line.verdict == "undecided"
    assert report.reference_is_right
    assert all("calls jax.grad itself" in note for note in report.notes)
    assert "the comparison `gt` at test_library.py" in line.reason


def test_what_a_series_that_ends_in_time_leaves_out_is_no_mistake_of_the_reference():
    report = verify(by_jax(of_a_series, domain=(intervals(0.5, 2),)))
    assert report.reference_is_right
    assert "takes the branch" in report.lines[0].reason  # |term|, which is positive throughout


# Comparisons: of JAX's own function or of its user's, each at its place


def sites(f, *args):
    with jax.enable_x64(True):
        return plan(jax.make_jaxpr(f)(*args), BALLS).sites


@pytest.mark.parametrize("f", [lambda x: jnp.maximum(x, 0), lambda x: jnp.clip(x, 0, 1), jax.jit(lambda x: jnp.abs(x) + 1)])
def test_a_comparison_that_the_user_asks_for_by_name_is_at_his_place(f):
    found = sites(f, 0.5)
    assert found
    assert all(site.place.startswith("test_library.py:") and not site.is_jaxs for site in found)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: jnp.interp(x, np.array([0.0, 1.0]), np.array([0.0, 1.0])),
        lambda x: jnp.interp(0.5, jnp.stack([x, x + 1]), np.array([0.0, 1.0])),
        jax.nn.log1mexp,
        lambda x: jnp.mod(x, 2.0),
    ],
    ids=["interp", "interp by xp", "log1mexp", "mod"],
)
def test_comparisons_within_a_function_of_jax_are_its_own(f):
    found = sites(lambda x: f(x), 0.5)
    assert found
    assert all(site.place.startswith("test_library.py:") and site.is_jaxs for site in found)


def test_two_comparisons_within_one_call_are_told_apart():
    found = sites(lambda x: jnp.interp(x, np.array([0.0, 1.0]), np.array([0.0, 1.0])), 0.5)
    assert len({site for site in found if site.primitive in ("lt", "gt")}) >= 2


def test_loops_and_branches_know_who_called_them():
    found = sites(jax.jit(lambda x: jax.lax.cond(x[0] > 0, jnp.max, jnp.min, x)), np.array([1.0, 2.0]))
    assert all(site.place.startswith("test_library.py:") for site in found)


# Inputs that say nothing: a proof makes up for them


def bump(x):
    return jnp.where(jnp.abs(x - 3) < 0.25, jnp.sin(x), 0.0)


def test_a_proof_makes_up_for_inputs_at_which_all_vanishes():
    def slope(x, nabla):
        return jnp.where(jnp.abs(x - 3) < 0.25, jnp.cos(x), 0.0)

    derivation = Derivation("a bump", bump, None, (reals(),), [slope])
    assert verify(derivation).lines[0].verdict == "proved"
    assert verify(derivation, prove=False).lines[0].verdict == "undecided"


def test_without_a_proof_there_are_too_few():
    def slope(x, nabla):
        return jnp.where(jnp.abs(x - 3) < 0.25, jnp.sin(2 * x) / (2 * jnp.sin(x)) + 0 * jax.scipy.special.erf(x), 0.0)

    (line,) = verify(Derivation("a bump", bump, None, (reals(),), [slope])).lines
    assert line.verdict in ("undecided", "proved")
    assert line.verdict == "proved" or "too few inputs" in line.reason


# Work on integers is exact, whoever does it

WHOLE = {
    "argmax": lambda a: jnp.argmax(a, axis=1),
    "argmin": lambda a: jnp.argmin(a, axis=0),
    "cumsum": lambda a: jnp.cumsum(a, axis=1),
    "cumsum backwards": lambda a: jax.lax.cumsum(a, 0, reverse=True),
    "clamp": lambda a: jax.lax.clamp(-1, a, 2),
    "any and all": lambda a: (jnp.any(a > 0, axis=0), jnp.all(a > -3), jnp.sum(a, axis=1)),
    "of truth values": lambda a: (jnp.argmax(a > 0, axis=1), jnp.cumsum(a > 0, axis=0)),
}


@pytest.mark.parametrize("name", WHOLE)
@settings(max_examples=20)
@given(a=st.lists(st.lists(st.integers(-4, 4), min_size=3, max_size=3), min_size=2, max_size=2).map(np.array))
def test_whole_numbers_are_what_jax_makes_of_them(name, a):
    with jax.enable_x64(True):
        closed = jax.make_jaxpr(WHOLE[name])(a)
        wanted = core.jaxpr_as_fun(closed)(a)
    found = plan(closed, BALLS, labels=[True]).run(Context(), a)
    in_floats = plan(closed, FLOATS, labels=[True]).run(context.Context(), surely(np.stack([a, a + 1])))
    for ours, in_batch, theirs in zip(found, in_floats, wanted, strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)
        np.testing.assert_array_equal(in_batch.value[0], theirs)
        assert in_batch.value.dtype == theirs.dtype
        assert np.all(in_batch.sure)


# A batch in floats: inputs that take another branch are not waited for


def test_a_loop_does_not_run_for_inputs_that_another_branch_is_for(monkeypatch):
    monkeypatch.setattr(control, "LOOP_LIMIT", 10**9)

    def of(x):
        def small(x):
            return jax.lax.while_loop(lambda v: jnp.abs(v) > 1e-3, lambda v: v * v, x)

        return jax.lax.cond(jnp.abs(x) < 0.5, small, lambda x: x, x)

    with jax.enable_x64(True):
        closed = jax.make_jaxpr(of)(1.0)
    ((outputs, _),) = Together([closed], [1], labels=[False])(np.array([0.25, 3.0, -0.125, 1.0]))
    values, errors = outputs[0]
    np.testing.assert_allclose(values, [0.25**8, 3.0, 0.125**4, 1.0])
    assert np.all(errors < 1e-15)


@pytest.mark.parametrize("whole", [False, True])
def test_a_loop_under_vmap_ends_for_each_row_by_itself_and_says_nothing_of_the_row_whose_end_hangs_on_rounding(whole):
    def halved(x):
        turns, half = jax.lax.while_loop(lambda c: c[1] > 1, lambda c: (c[0] + 1, c[1] / 2), (0, x / 3 * 3))
        return turns if whole else half

    with jax.enable_x64(True):
        closed = jax.make_jaxpr(jax.vmap(halved))(np.ones(3))
    x = np.array([[0.5, 5.0, 1.0], [3.0, 0.25, 1.5]])
    ((outputs, _),) = Together([closed], [1], labels=[False])(x)
    values, errors = outputs[0]
    unsure = np.array([[False, False, True], [False, False, False]])  # 1 / 3 * 3 > 1?
    assert np.array_equal(errors == np.inf, unsure)
    wanted = np.array([[0, 3, 0], [2, 0, 1]])
    np.testing.assert_allclose(values[~unsure], (wanted if whole else x / 2.0**wanted)[~unsure])


# Whether a branch can be taken at all


@pytest.mark.parametrize(
    ("domain", "condition", "is_ruled_out"),
    [
        (reals(), lambda x: x > 2.0**70, False),
        (reals(), lambda x: jnp.sin(x) > 2, True),
        (positives(), lambda x: x > 1e300, False),
        (positives(), lambda x: jnp.cos(x) < -2, True),
        (intervals(0, 1), lambda x: x > 2, True),
        (intervals(0, 1), lambda x: x > 0.75, False),
    ],
)
def test_a_branch_is_ruled_out_only_where_no_float_of_the_domain_takes_it(domain, condition, is_ruled_out):
    def of(x):
        return jnp.where(condition(x), 2 * x, x)

    derivation = by_jax(of, domain=(domain,))
    bench = Bench(derivation, draw_inputs(derivation, seed=0)[:1], may_shrink=False)
    traced = bench.traces.of(bench.inputs[0].args)
    (site,) = traced.plan.sites
    branches = site.unmet(0)
    ruled_out = [Branches(bench)._is_ruled_out(site, branch, lambda args: [traced]) for branch in branches]
    assert any(ruled_out) == is_ruled_out


# Eigenvectors with entries that are 0 are vectors all the same


@pytest.mark.parametrize("diagonal", [[1.0, 0.0], [0.0, 1.0], [3.0, -2.0, 1.0]])
def test_eigenvalues_of_diagonal_matrices_have_their_derivatives(diagonal):
    truth = truth_at(lambda a: jnp.linalg.eigvalsh(a), np.diag(diagonal))
    assert truth.confirmed
    assert not truth.missing
