"""Data that meet a condition up to rounding, as labels that sum to 1: right gradients pass, and mistakes are seen."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autodiff_ref import UndecidedError, assert_gradients_agree
from autodiff_ref.judge.assertion.rounded_inputs import beyond_rounding


def soft_labels(z, y):
    return -np.sum(y * (z - np.log(np.exp(z).sum(axis=-1, keepdims=True))))


def probabilities_less_labels(z, y):
    p = np.exp(z)
    return p / p.sum(axis=-1, keepdims=True) - y


def embedding(y, p):
    """t-SNE's divergence."""
    near = 1 / (1 + ((y[:, None] - y[None]) ** 2).sum(axis=2)) * (1 - np.eye(len(y)))
    return np.sum(p * np.log((p + np.eye(len(y))) / (near / near.sum() + np.eye(len(y)))))


def attraction(y, p):
    near = 1 / (1 + ((y[:, None] - y[None]) ** 2).sum(axis=2)) * (1 - np.eye(len(y)))
    pull = (p - near / near.sum()) * near
    return 4 * (pull.sum(axis=1)[:, None] * y - pull @ y)


def along_a_direction(x, u):
    """The length of the part of x that is orthogonal to a unit vector u."""
    return np.sqrt(np.sum((x - (x @ u) * u) ** 2))


def orthogonal_part(x, u):
    rest = x - (x @ u) * u
    return rest / np.sqrt(np.sum(rest**2))


def normalised(array, axis=None):
    return array / array.sum(axis=axis, keepdims=True)


def of_labels(rng):
    return rng.standard_normal((3, 4)), normalised(rng.random((3, 4)) + 0.05, axis=1)


def of_points(rng):
    near = rng.random((4, 4)) + 0.05
    return rng.standard_normal((4, 2)), normalised((near + near.T) * (1 - np.eye(4)))


def of_unit_vectors(rng):
    u = rng.standard_normal(4)
    return rng.standard_normal(4), u / np.sqrt(np.sum(u**2))


PAIRS = {
    "labels that sum to 1": (soft_labels, probabilities_less_labels, of_labels),
    "affinities that sum to 1": (embedding, attraction, of_points),
    "a unit vector": (along_a_direction, orthogonal_part, of_unit_vectors),
}
MISTAKES = {
    "a factor": lambda g: g * (1 + 1e-9),
    "one entry": lambda g: g * (1 + 1e-9 * (np.arange(g.size).reshape(g.shape) == 1)),
    "a summand": lambda g: g + 1e-9,
    "a sign": lambda g: -g,
    "another place": lambda g: g[::-1],
}


@pytest.mark.parametrize("name", PAIRS)
@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6), mistake=st.sampled_from(sorted(MISTAKES)))
def test_right_gradients_pass_where_a_condition_is_met_up_to_rounding_and_mistakes_are_seen(name, seed, mistake):
    loss, gradient, drawn = PAIRS[name]
    args = drawn(np.random.default_rng(seed))
    assert_gradients_agree(gradient, loss, *args)
    with pytest.raises(AssertionError, match="is not ∇"):
        assert_gradients_agree(lambda *a: MISTAKES[mistake](gradient(*a)), loss, *args)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_precisions_many_labels_and_labels_in_closures(dtype):
    rng = np.random.default_rng(3)
    z, y = rng.standard_normal((2, 300)).astype(dtype), normalised(rng.random((2, 300)).astype(dtype), axis=1)
    assert_gradients_agree(probabilities_less_labels, soft_labels, z, y)
    assert_gradients_agree(lambda z: probabilities_less_labels(z, y), lambda z: soft_labels(z, y), z)
    for wrong in (lambda z, y: probabilities_less_labels(z, y) * dtype(1.0001), lambda z, y: y - y / len(y)):
        with pytest.raises(AssertionError, match="is not ∇"):
            assert_gradients_agree(wrong, soft_labels, z, y)


def test_a_condition_that_is_not_met_is_no_rounding():
    rng = np.random.default_rng(4)
    z, y = of_labels(rng)
    for far in (y * (1 + 1e-12), rng.random(y.shape), np.array([0.5, 0.25, 0.125, 0.0625]) * np.ones((3, 1))):
        with pytest.raises(AssertionError, match="is not ∇soft_labels"):
            assert_gradients_agree(probabilities_less_labels, soft_labels, z, far)


def test_where_the_gradient_is_the_rounding_of_the_input_nothing_can_be_said():
    rng = np.random.default_rng(5)
    x, y = rng.standard_normal((6, 2)), rng.standard_normal(6)
    loss = lambda w, x, y: np.sum((x @ w - y) ** 2)  # noqa: E731
    right = lambda w, x, y: 2 * x.T @ (x @ w - y)  # noqa: E731
    at_least = np.linalg.lstsq(x, y)[0]
    assert_gradients_agree(right, loss, at_least, x, y)
    for wrong in (lambda *a: right(*a) * 1.5, lambda *a: 0 * right(*a), lambda *a: -right(*a)):
        with pytest.raises(UndecidedError, match="so small there that the rounding of the input makes as much of it"):
            assert_gradients_agree(wrong, loss, at_least, x, y)
        with pytest.raises(AssertionError, match="is not ∇"):
            assert_gradients_agree(wrong, loss, at_least + 1e-3, x, y)


def test_short_numbers_are_meant_as_written():
    def off(x, by):
        return lambda move: move([x])[0] - x + by

    x, y = np.array([0.5, 0.25, 3.0]), np.array([0.1, 0.2, 0.7])
    for array, by, components, far in (
        (x, 1e-17, [0, 1, 2], [0, 1, 2]),
        (y, 1e-17, [0, 1, 2], []),
        (y, 1e-14, [2, 0, 1], [2, 0, 1]),
    ):
        here = np.full(3, by)
        assert beyond_rounding(off(array, by), here, [array], components) == far
        assert beyond_rounding(lambda move: None, here, [array], components) == components
