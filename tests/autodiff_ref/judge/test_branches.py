"""Branches: inputs are aimed at every comparison, however far out, narrow or oblique; one that nothing takes is named."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autodiff_ref import verify
from manual_grad import Derivation, intervals, nonnegatives, positives, reals


def squares(x):
    return jnp.sum(x * x)


VECTOR = (reals("n"),)


def judged(line, of=squares, domain=VECTOR, **more):
    return verify(Derivation("∇", of, "x", domain, [line], **more), floats=False, prove=False, suspects=False, shrink=False)


@settings(max_examples=4)
@given(st.integers(-12, 14), st.sampled_from([1.0, -1.0]))
def test_a_line_wrong_beyond_any_threshold_is_refuted(power, sign):
    threshold = 10.0**power

    def line(x, nabla):
        return jnp.where(sign * x > threshold, 3 * x, 2 * x)

    assert judged(line).first_wrong_line == "line"


@settings(max_examples=4)
@given(st.integers(-14, -1), st.integers(-3, 3).map(float))
def test_a_line_wrong_within_any_window_is_refuted(power, centre):
    def line(x, nabla):
        return jnp.where(jnp.abs(x - centre) < 10.0**power, 2 * x + 1, 2 * x)

    assert judged(line).first_wrong_line == "line"


@pytest.mark.parametrize(
    "condition",
    [
        lambda x: jnp.sum(x) > 1e6,
        lambda x: jnp.abs(x[0] + 2 * x[1] - 3) < 1e-7,
        lambda x: jnp.exp(x[0]) > 1e9,
        lambda x: jnp.sum(x * x) < 1e-9,
        lambda x: x[0] * x[1] < -1e8,
        lambda x: jnp.max(x) > 1e5,
    ],
    ids=["a half-space", "near a plane", "through exp", "a small ball", "a product", "a maximum"],
)
def test_a_line_wrong_in_a_region_of_any_form_is_refuted(condition):
    def line(x, nabla):
        return jnp.where(condition(x), 2 * x + 1, 2 * x)

    assert judged(line, sizes={"n": (2, 4)}).first_wrong_line == "line"


def test_a_right_line_with_a_branch_far_out_is_right():
    def line(x, nabla):
        return jnp.where(x > 1e10, x + x, 2 * x)

    report = judged(line)
    assert report.lines[0].verdict == "agrees", str(report)
    assert report.lines[0].inputs["aimed"] > 0


def test_a_branch_that_no_input_takes_is_named_with_its_place():
    """cos and sin of one number have squares that sum to 1, which neither balls over all numbers nor a search can tell."""

    def line(x, nabla):
        return jnp.where(jnp.cos(x) ** 2 + jnp.sin(x) ** 2 > 1.5, 7.0, 2 * x)

    report = judged(line)
    assert report.lines[0].verdict == "undecided", str(report)
    assert report.exit_code == 3
    assert "takes the branch “> 1.5” of `gt` at test_branches.py:" in report.lines[0].reason
    proved = verify(Derivation("∇", squares, "x", (reals("n"),), [line]), floats=False)
    assert proved.lines[0].verdict in ("proved", "undecided")


@pytest.mark.parametrize(
    ("domain", "condition"),
    [
        ((positives("n"),), lambda x: x < 0),
        ((nonnegatives("n"),), lambda x: x < -1),
        ((intervals(1, 2, "n"),), lambda x: x > 3),
    ],
)
def test_a_branch_that_the_domain_rules_out_is_not_asked_for(domain, condition):
    def line(x, nabla):
        return jnp.where(condition(x), 7.0, 2 * x)

    assert verify(Derivation("∇", squares, "x", domain, [line]), floats=False).ok


def test_a_branch_of_of_itself_is_aimed_at_too():
    def of(x):
        return jnp.sum(jnp.where(x > 1e4, x**3, x * x))

    def line(x, nabla):
        return 2 * x

    assert judged(line, of).first_wrong_line == "line"


def test_comparisons_in_loops_are_reached_by_scaling():
    def line(x, nabla):
        def step(carry, each):
            return carry, jnp.where(each > 1e5, 3 * each, 2 * each)

        return jax.lax.scan(step, 0.0, x)[1]

    assert judged(line).first_wrong_line == "line"


def test_the_same_seed_aims_at_the_same_inputs():
    def line(x, nabla):
        return jnp.where(x > 1e4, x + x, 2 * x)

    reports = [judged(line).to_dict() for _ in range(2)]
    assert reports[0] == reports[1]


def test_inputs_of_size_one_alone_are_no_evidence():
    def line(x, nabla):
        return 2 * x

    found = verify(
        Derivation("∇ (Σx)²", lambda x: jnp.sum(x) ** 2, "x", (reals("n"),), [line], where=lambda x: jnp.all(x[1:] == 0)),
        floats=False,
    )
    assert not found.ok, str(found)


@pytest.mark.parametrize("wanted", [10, 64, 150])
def test_examples_is_a_promise(wanted):
    def line(x, nabla):
        return jnp.where(x > 0, 2 * x, x + x)

    derivation = Derivation("∇", squares, "x", (reals("n"),), [line], where=lambda x: np.sum(x) > 0)
    report = verify(derivation, examples=wanted, floats=False, prove=False)
    assert report.ok
    assert sum(count for stratum, count in report.lines[0].inputs.items() if "=1" not in stratum) >= wanted


@settings(max_examples=4)
@given(st.floats(0.25, 8), st.floats(-6, -2), st.booleans())
def test_a_line_wrong_between_two_borders_is_refuted(border, exponent, inside):
    """Ordinary inputs take every branch of both comparisons, and none falls between the borders."""
    other = border * (1 - 10**exponent if inside else 1 + 10**exponent)

    def capped(x):
        return jnp.sum(jnp.minimum(x, border))

    def line(x, nabla):
        return jnp.where(3 * x < 3 * other, 1.0, 0.0)

    derivation = Derivation("∇ Σ min(x, c)", capped, "x", (reals("n"),), [line])
    report = verify(derivation, prove=False, floats=False, suspects=False, shrink=False, examples=8)
    assert report.first_wrong_line == "line", str(report)
    right = derivation.with_lines(lambda x, nabla: jnp.where(3 * x < 3 * border, 1.0, 0.0))
    assert verify(right, prove=False, floats=False, examples=8).ok


@pytest.mark.parametrize("first", [5, 6, 7])
def test_code_that_is_written_for_small_sizes_is_refuted(first):
    def line(x, nabla):
        return 2 * x if x.shape[0] < first else jnp.concatenate([2 * x[: first - 1], x[first - 1 :]])

    assert judged(line).first_wrong_line == "line"
