"""What the assertion decides in floats: shapes for which balls take long, and code that cannot be traced."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from autodiff_ref import UndecidedError, assert_gradients_agree
from autodiff_ref.judge.assertion import agreement, by_value, steering
from autodiff_ref.judge.assertion import exactly as truth
from autodiff_ref.judge.assertion.agreement import Pair
from autodiff_ref.judge.assertion.sides import Side
from tests.autodiff_ref.judge.test_assertions import log_sigmoid
from tests.compiled import compiled


def sum_of_sines(x):
    return jnp.sin(x).sum()


def test_large_shapes_are_compared_in_balls_once_and_then_in_floats_unless_these_leave_a_doubt(monkeypatch):
    def of(x):
        return (x - jnp.sin(x)).sum()

    def right(x):
        return 1 - jnp.cos(x)

    def off_beyond(x):
        return jnp.where(x > 3, 1 + 1e-13, 1.0) * right(x)

    looked, by_balls = [], Pair._by_balls
    monkeypatch.setattr(Pair, "_by_balls", lambda *args: (looked.append(1), by_balls(*args))[1])
    x = np.linspace(0.1, 1.4, 1000)
    for k in range(4):
        assert_gradients_agree(right, of, x + k / 8)
    assert len(looked) == 1
    assert_gradients_agree(right, of, x * 1e-8)  # no digit left
    assert len(looked) == 2
    assert_gradients_agree(off_beyond, of, x)
    for _ in range(2):
        with pytest.raises(AssertionError, match="certified"):
            assert_gradients_agree(off_beyond, of, x + 2)


def too_large_for_balls(monkeypatch):
    for module in (agreement, by_value, truth):
        monkeypatch.setattr(module, "MOST", 100)


def test_shapes_that_are_too_large_for_balls_are_decided_by_rounding_bounds(monkeypatch):
    too_large_for_balls(monkeypatch)
    x = np.linspace(0.1, 1.4, 6500)
    assert_gradients_agree(jnp.cos, sum_of_sines, x)
    for wrong in (lambda x: (1 + 1e-9) * jnp.cos(x), lambda x: -jnp.cos(x), lambda x: jnp.cos(x).at[7].add(1e-6)):
        with pytest.raises(AssertionError, match="the rounding of both sides together explains at most"):
            assert_gradients_agree(wrong, sum_of_sines, x)


def tanh_cancelling(x):
    """∇ Σ tanh, by numbers of which 5 digits cancel: 1 − tanh² + s − s"""
    s = jnp.sum(x**2) * 1e5
    return (1 - jnp.tanh(x) ** 2 + s) - s


def test_where_bounds_are_wide_floats_of_more_digits_tell(monkeypatch):
    too_large_for_balls(monkeypatch)
    x = np.linspace(0.1, 1.4, 6500)

    def loss(x):
        return jnp.sum(jnp.tanh(x))

    assert_gradients_agree(tanh_cancelling, loss, x)
    for wrong in (lambda x: 1.01 * tanh_cancelling(x), lambda x: tanh_cancelling(x).at[7].multiply(-1)):
        with pytest.raises(AssertionError, match="explains"):
            assert_gradients_agree(wrong, loss, x)


def softmax_of_rows(z):
    e = jnp.exp(z - jnp.max(z, axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def test_an_infinite_bound_allows_nothing_at_any_size(monkeypatch):
    """JAX differentiates a maximum by asking which entry equals it: of computed numbers no bound says so"""
    rng = np.random.default_rng(0)
    w, x, g = rng.normal(size=(4, 3)), rng.normal(size=(5, 4)), rng.normal(size=(5, 3))

    def loss(w, x, g):
        return jnp.sum(softmax_of_rows(x @ w) * g)

    def gradient(w, x, g, factor=1.0):
        p = softmax_of_rows(x @ w)
        return factor * x.T @ (p * (g - (p * g).sum(axis=1, keepdims=True)))

    def untraced(w, x, g, factor=1.0):
        return np.asarray(gradient(compiled(w), x, g, factor))

    for small in (False, True):
        if small:
            too_large_for_balls(monkeypatch)
        for right in (gradient, untraced):
            assert_gradients_agree(right, loss, w, x, g)
            for wrong in (
                lambda *args, right=right: -right(*args),
                lambda *args, right=right: right(*args) * (1 + 1e-6 * (np.arange(12).reshape(4, 3) == 7)),
                lambda *args, right=right: right(*args) * (np.arange(12).reshape(4, 3) != 7),
            ):
                with pytest.raises((AssertionError, UndecidedError)) as refused:
                    assert_gradients_agree(wrong, loss, w, x, g)
                assert refused.type is AssertionError


def test_the_rounding_of_what_is_not_traced_is_told_from_a_mistake_by_more_digits():
    """1 − σ(z) in plain NumPy loses digits that JAX's σ(−z) keeps: beyond twice its bound, and right."""

    def untraceable(z):
        return 1 - 1 / (1 + np.exp(-compiled(z)))

    def wrong(z):
        return untraceable(z) * (1 + 1e-3)

    for dtype, largest in ((np.float32, 12.0), (np.float64, 25.0)):
        z = np.array([largest, 0.5], dtype=dtype)
        assert_gradients_agree(untraceable, log_sigmoid, z)
        with pytest.raises(AssertionError, match="assumed"):
            assert_gradients_agree(wrong, log_sigmoid, z)


def cancelling(x):
    return jnp.sum((1 + x) * (1 + x) - 1 - 2 * x)


def hidden_in_float32(x, factor=1.0):
    """2x, which JAX computes as 2(1 + x) − 2: in float32 that may be off by a part in 1000 at x = 1e-3."""
    made = np.zeros_like(x)
    for k, v in enumerate(compiled(x)):
        made[k] = float(v) * 2 * factor
    return made


def test_a_mistake_that_the_bound_of_float32_hides_is_seen_in_float64():
    x = np.array([1e-3, 3e-4], dtype=np.float32)
    assert_gradients_agree(hidden_in_float32, cancelling, x)
    with pytest.raises(AssertionError, match="called in float64"):
        assert_gradients_agree(lambda x: hidden_in_float32(x, 1.0001), cancelling, x)


def test_rounding_to_float32_inside_is_no_such_mistake():
    def rounds_inside(x):
        return np.asarray((compiled(x).astype(np.float32) + np.float32(1)) * 2 - 2, dtype=x.dtype)

    x = np.array([1e-3, 3e-4], dtype=np.float32)
    with np.errstate(all="ignore"):
        assert np.max(np.abs(rounds_inside(x.astype(np.float64)) / (2 * x) - 1)) > 2.0**-17
    assert_gradients_agree(rounds_inside, cancelling, x)


def test_at_later_inputs_of_a_shape_floats_tell_and_the_bound_of_the_candidate_is_seldom_needed(monkeypatch):
    bounds, bounded = [], Side.bounded
    monkeypatch.setattr(Side, "bounded", lambda self, *a, **k: (bounds.append(self.own), bounded(self, *a, **k))[1])
    x = np.linspace(0.1, 1.4, 3000)
    for k in range(6):
        assert_gradients_agree(jnp.cos, sum_of_sines, x + k / 64)
    assert len(bounds) == 5
    assert len(set(map(id, bounds))) == 1


def test_hypothesis_is_told_how_far_apart_both_sides_are_and_climbs():
    """A mistake in one direction of eight: 4 of 8 tests of 100 examples at random find it, 7 of 8 that are told."""

    def sum_of_squares(x):
        return (x**2).sum()

    def cut_short(x):
        projection = max(float(np.mean(compiled(x) * np.array([1, -1, 1, 1, -1, -1, 1, -1]))), 0.0)
        return 2 * x * (1 + 1e-16 * (projection / 40) ** 4)

    @seed(0)
    @settings(max_examples=400, database=None, deadline=None, phases=[Phase.generate, Phase.target])
    @given(arrays(np.float64, 8, elements=st.floats(-256, 256)))
    def agrees(x):
        assert_gradients_agree(lambda x: 2 * np.asarray(x), sum_of_squares, x)
        assert_gradients_agree(cut_short, sum_of_squares, x)

    with pytest.raises(AssertionError, match="assumed"):
        agrees()


def test_what_is_climbed_on_is_the_largest_difference_in_units_of_its_bound(monkeypatch):
    told = []
    monkeypatch.setattr(steering, "target", lambda height, label: told.append((height, label)))

    @settings(max_examples=1, database=None, deadline=None)
    @given(st.just(np.array([4.0, 2.0, 1.0, 0.0])))
    def once(gaps):
        steering.steer(gaps, np.array([2.0, np.inf, 4.0, 0.0]))

    once()
    assert told == [(2.0, "difference / rounding bound, assertion 1")]
    steering.steer(np.ones(1), np.ones(1))  # outside of Hypothesis
    assert len(told) == 1
