"""The model's own properties: probabilities, log-likelihood, residual; what it does with bad input; dtypes."""

from typing import Any

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from hypothesis import given

from autodiff_ref.judge.inputs import STRATA
from autodiff_ref.judge.strategies import arguments
from manual_grad import (
    Weights,
    equation_1,
    equation_2,
    grad_w11,
    grad_w12,
    grad_w21,
    hidden,
    indicator,
    log_likelihood,
    margin,
    notes,
    preactivation,
    probability,
    residual,
    score,
    sigmoid,
    value_and_grad,
)
from tests.evaluation import DTYPES, ONE_SHAPE, Args, as_dtype, exact_log_likelihood, in_jax
from tests.rounding import SIGMA, assert_within, bounds, unit_roundoff

pytestmark = pytest.mark.rounding

inputs = arguments(notes.DOMAIN, sizes=ONE_SHAPE)
by_dtype = pytest.mark.parametrize("dtype", DTYPES)
by_stratum = pytest.mark.parametrize("stratum", STRATA)


@by_dtype
@by_stratum
def test_the_probabilities_of_both_labels_sum_to_one(stratum: str, dtype: Any):
    """Σ_y p(y|x) = 1: both are σ of one computed z, within SIGMA u of numbers that sum to 1; u for the sum, and what
    XLA or the CPU flush.
    """

    @given(args=arguments(notes.DOMAIN, stratum, sizes=ONE_SHAPE))
    def check(args: Args):
        w, x, y = as_dtype(args, dtype)
        total = probability(w, x, y) + probability(w, x, -y)
        assert total.dtype == dtype
        assert_within(total, np.ones_like(y), (SIGMA + 1) * unit_roundoff(dtype), "Σ_y p(y|x)", args)

    check()


@by_stratum
def test_the_log_likelihood_is_at_most_zero_and_the_residual_at_most_one(stratum: str):
    """ll ≤ 0, 0 ≤ p ≤ 1, |I(y=1) − σ(z)| ≤ 1 with the sign of y; no slack, in any stratum, both dtypes."""

    @given(args=arguments(notes.DOMAIN, stratum, sizes=ONE_SHAPE))
    def check(args: Args):
        for dtype in DTYPES:
            w, x, y = as_dtype(args, dtype)
            assert log_likelihood(w, x, y) <= 0
            p, r = probability(w, x, y), residual(score(w, x), y)
            assert np.all((p >= 0) & (p <= 1))
            assert np.all((y * r >= 0) & (np.abs(r) <= 1))

    check()


@by_stratum
def test_the_expected_residual_under_the_model_is_exactly_zero(stratum: str):
    """E_{y∼p}[I(y=1) − σ(z)] = σ(z) σ(−z) − σ(−z) σ(z) = 0: the same two numbers multiplied, so to the bit."""

    @given(args=arguments(notes.DOMAIN, stratum, sizes=ONE_SHAPE))
    def check(args: Args):
        w, x, _ = args
        z = score(w, x)
        assert np.all(sigmoid(z) * residual(z, np.ones_like(z)) + sigmoid(-z) * residual(z, -np.ones_like(z)) == 0)

    check()


@given(args=inputs)
def test_the_expected_textbook_residual_under_the_model_is_zero(args: Args):
    """σ(z)(1 − σ(z)) + (1 − σ(z))(0 − σ(z)) = 0, with p(−1) = 1 − σ(z) to (2 SIGMA + 4) u"""
    w, x, _ = args
    z = score(w, x)
    r = [indicator(y * np.ones_like(z)) - sigmoid(z) for y in (1.0, -1.0)]
    expected = sigmoid(z) * r[0] + sigmoid(-z) * r[1]
    assert_within(expected, np.zeros_like(z), (2 * SIGMA + 4) * unit_roundoff(np.float64), "E[residual]", args)


@by_dtype
@given(args=inputs)
def test_the_log_likelihood_equals_the_nested_function_in_50_digits(args: Args, dtype: Any):
    """ll = Σ log σ(y w21ᵀ[σ(w11ᵀx), σ(w12ᵀx)])"""
    w, x, y = args
    with mpmath.workdps(50):
        exact = exact_log_likelihood([[mpmath.mpf(float(v)) for v in vector] for vector in w], x, y)
    allowed = bounds(args, dtype).of_log_likelihood()
    for got in (log_likelihood(*as_dtype(args, dtype)), in_jax(log_likelihood, args, dtype)):
        assert got.dtype == dtype
        assert abs(float(got) - exact) <= allowed


@given(args=inputs)
def test_a_single_example_gives_the_row_of_the_batch(args: Args):
    """x of shape (d,) and a label: every function of the model gives what it gives for that row, a batch of one"""
    w, x, y = args
    for f in (preactivation, hidden, score):
        assert np.array_equal(f(w, x[0]), f(w, x[:1])[0])
    for f in (margin, probability):
        assert np.array_equal(f(w, x[0], y[0]), f(w, x[:1], y[:1])[0])
    assert log_likelihood(w, x[0], y[0]) == log_likelihood(w, x[:1], y[:1])


def test_the_indicator_is_one_where_y_is_one_and_has_the_dtype_of_y():
    for dtype in DTYPES:
        got = indicator(np.array([1, -1, 0, 2, 0.5], dtype))
        assert got.dtype == dtype
        assert got.tolist() == [1, 0, 0, 0, 0]


# Bad input

W = Weights(np.array([0.5, -1.0, 2.0]), np.array([1.0, 0.0, 1.0]), np.array([1.0, -1.0]))
X, Y = np.array([[1.0, 2.0, 3.0], [0.0, 1.0, 0.0]]), np.array([1.0, -1.0])
WITHOUT_LABELS = [preactivation, hidden, score]
WITH_LABELS = [margin, probability, log_likelihood, grad_w11, grad_w12, grad_w21, value_and_grad, equation_1, equation_2]


def everywhere(w: Any, x: Any, error: type[Exception], match: str, y: Any = Y) -> None:
    for f in WITHOUT_LABELS:
        with pytest.raises(error, match=match):
            f(w, x)
    for f in WITH_LABELS:
        with pytest.raises(error, match=match):
            f(w, x, y)


def with_labels(y: Any, match: str) -> None:
    for f in WITH_LABELS:
        with pytest.raises(ValueError, match=match):
            f(W, X, y)


def test_the_valid_input_that_the_bad_ones_are_made_of_is_accepted():
    for f in WITHOUT_LABELS:
        f(W, X)
    for f in WITH_LABELS:
        f(W, X, Y)


def test_labels_0_and_1_are_refused_with_the_formula_that_maps_them():
    with_labels(np.array([0.0, 1.0]), r"labels must be −1 or \+1, got \{0\.0, 1\.0\}: map 0 to −1 with 2\*y − 1")
    with pytest.raises(ValueError, match=r"2\*y − 1"):
        residual(np.zeros(2), np.array([0, 1]))


@pytest.mark.parametrize("labels", [[2.0, 1.0], [0.0, 0.0], [1.0, np.nan], [1.0, np.inf], [1.0, 1 + 2**-52]])
def test_other_labels_than_signs_are_refused(labels: list[float]):
    with_labels(np.array(labels), "labels must be −1 or ")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_infinity_are_refused_by_name_and_place(bad: float):
    x = X.copy()
    x[1, 2] = bad
    everywhere(W, x, ValueError, rf"x must be finite, got {bad} at index \(1, 2\)")
    for name in Weights._fields:
        vector = getattr(W, name).copy()
        vector[1] = bad
        everywhere(W._replace(**{name: vector}), X, ValueError, rf"{name} must be finite, got {bad} at index \(1,\)")


def test_shapes_that_do_not_fit_are_refused_with_both():
    everywhere(W, X[:, :2], ValueError, r"w11 has shape \(3,\) and x has shape \(2, 2\)")
    everywhere(W._replace(w12=np.ones(2)), X, ValueError, r"w12 has shape \(2,\) and x has shape \(2, 3\)")
    everywhere(W._replace(w11=np.ones((1, 3))), X, ValueError, r"w11 has shape \(1, 3\) and x has shape \(2, 3\)")
    everywhere(W._replace(w21=np.ones(3)), X, ValueError, r"w21 has shape \(3,\): it must be \(2,\)")
    everywhere(W, np.array(1.0), ValueError, "x must be .n, d., one example a row, got the number 1.0")
    with_labels(np.ones(3), r"y has shape \(3,\) and x has shape \(2, 3\)")
    with_labels(np.ones((2, 1)), r"y has shape \(2, 1\) and x has shape \(2, 3\)")


def test_no_examples_and_no_features_are_refused():
    everywhere(W, np.ones((0, 3)), ValueError, r"x has shape \(0, 3\): give at least one example", np.ones(0))
    empty = W._replace(w11=np.ones(0), w12=np.ones(0))
    everywhere(empty, np.ones((2, 0)), ValueError, r"x has shape \(2, 0\): give at least one example and one feature")


def test_what_is_not_weights_or_not_numbers_is_a_type_error():
    everywhere(tuple(W), X, TypeError, r"w must be Weights\(w11, w12, w21\), got tuple")
    everywhere(W, X.astype(complex), TypeError, "expected real numbers, got an array of dtype complex128")
    everywhere(W, X.astype(str), TypeError, "expected real numbers, got an array of dtype")


def test_a_batch_gradient_of_a_single_example_says_how_to_make_it_a_batch():
    for f in (grad_w11, grad_w12, grad_w21, value_and_grad):
        with pytest.raises(ValueError, match=r"wrap a single example as \[x\]"):
            f(W, X[0], Y[0])


def test_jax_arrays_are_checked_too_and_traced_ones_only_for_their_shapes():
    w, x, y = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), (W, X, Y))
    for f in WITH_LABELS:
        with pytest.raises(ValueError, match=r"2\*y − 1"):
            f(w, x, (y + 1) / 2)
        with pytest.raises(ValueError, match="x must be finite"):
            f(w, x * jnp.inf, y)
        jax.eval_shape(f, w, x, (y + 1) / 2)
        with pytest.raises(ValueError, match="y has shape"):
            jax.eval_shape(f, w, x, y[:1])


def test_bad_input_is_left_as_it_was():
    """A gradient function changes none of its arguments, whether it fails or not."""
    for y in (Y, np.array([0.0, 1.0])):
        before = jax.tree.map(np.copy, (W, X, y))
        for f in WITH_LABELS:
            try:
                f(W, X, y)
            except ValueError:
                assert y is not Y
        assert all(map(np.array_equal, jax.tree.leaves(before), jax.tree.leaves((W, X, y))))


# The rule for integers: they take the floating dtype of the other arguments


@by_dtype
def test_integers_take_the_floating_dtype_of_the_other_arguments(dtype: Any):
    w = as_dtype(W, dtype)
    want = [f(w, X.astype(dtype), Y.astype(dtype)) for f in WITH_LABELS]
    for x, y in ((X.astype(int), Y.astype(np.int8)), (X.astype(int).tolist(), [1, -1])):
        got = [f(w, x, y) for f in WITH_LABELS]
        for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
            assert a.dtype == b.dtype == dtype
            assert np.array_equal(a, b)


def test_integers_alone_become_float64_in_numpy():
    w = Weights([1, 0, 2], [0, 0, 1], [1, -1])
    got = value_and_grad(w, X.astype(int), [1, -1])
    assert {leaf.dtype for leaf in jax.tree.leaves(got)} == {np.dtype(np.float64)}


def test_a_numpy_table_goes_with_traced_weights():
    """`jax.grad(log_likelihood)(w, numpy_x, numpy_y)`"""
    w = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), W)
    got = jax.jit(lambda w: jax.grad(log_likelihood)(w, X.astype(np.float32), Y.astype(np.float32)))(w)
    assert isinstance(got, Weights)
    assert [leaf.shape for leaf in got] == [(3,), (3,), (2,)]
