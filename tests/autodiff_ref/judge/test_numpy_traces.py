"""What NumPy code makes of numbers is followed or refused: what is differentiated by never becomes a constant of a trace."""

import math

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import jv

from autodiff_ref import UndecidedError, assert_backward_agrees, assert_gradients_agree

LOSSES = {
    "linspace, from": lambda a: np.sum(np.linspace(a, 2.0, 5) ** 2),
    "linspace, to": lambda a: np.sum(np.linspace(0, a, 5, endpoint=False) ** 2),
    "linspace of arrays": lambda a: np.sum(np.linspace(np.array([a, 1.0]), a**2, 4, axis=1) ** 2),
    "the step of linspace": lambda a: np.linspace(0, a, 5, retstep=True)[1] ** 2,
    "arange, from": lambda a: np.sum(np.arange(a, 3) ** 2),
    "arange, by": lambda a: np.sum(np.arange(0, 2, a) ** 2),
    "arange, named": lambda a: np.sum(np.arange(start=a, stop=3, step=0.5) ** 2),
    "a list to polyval": lambda a: np.polyval([a, a**2], 2.0),
    "a list to convolve": lambda a: np.sum(np.convolve([a, 2.0, 1.0], [1.0, a], "same") ** 2),
    "a list to interp": lambda a: np.interp(1.3, [0.0, 1.0, 2.0], [1.0, a, 2 * a]),
    "a list to meshgrid": lambda a: np.sum(np.meshgrid([a, 2 * a], [1.0, 2.0])[0] ** 2),
    "float of a number": lambda a: float(a) ** 2,
    "count_nonzero": lambda a: a**2 * np.count_nonzero(np.array([a, -a, 1.0]) > 0),
}


def quotient(f, a, h=1e-3):
    return (8 * (f(a + h) - f(a - h)) - (f(a + 2 * h) - f(a - 2 * h))) / (12 * h)


@pytest.mark.parametrize("name", LOSSES)
def test_a_gradient_of_zero_is_wrong_and_what_is_said_of_it_is_what_differences_say(name):
    loss = LOSSES[name]
    with pytest.raises(AssertionError) as failed:
        assert_gradients_agree(lambda a: np.zeros(()), loss, 1.3)
    said = next(line.split()[-1] for line in str(failed.value).splitlines() if line.split()[0].startswith("∇"))
    assert float(said) == pytest.approx(quotient(loss, 1.3), rel=1e-6)


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 6), st.booleans(), st.floats(-2, 2), st.floats(-2, 2))
def test_linspace_between_ends_that_were_computed(count, endpoint, a, b):
    weights = np.arange(1.0, count + 1)

    def loss(ends):
        return np.sum(weights * np.linspace(ends[0], ends[1], count, endpoint=endpoint))

    def gradient(ends):
        share = np.arange(count) / max(count - endpoint, 1)
        return np.array([np.sum(weights * (1 - share)), np.sum(weights * share)])

    assert_gradients_agree(gradient, loss, np.array([a, b]))


DRAWN = {
    "default_rng": lambda mu: np.sum(np.random.default_rng(0).normal(mu, 1.0)),
    "RandomState": lambda mu: np.sum(np.random.RandomState(0).normal(mu, 1.0)),
}


@pytest.mark.parametrize("name", DRAWN)
def test_numbers_drawn_around_one_that_is_differentiated_by_are_no_constants(name):
    with pytest.raises(TypeError, match=r"`normal` draws numbers by some that are differentiated by at .*: draw by fixed"):
        assert_gradients_agree(lambda mu: np.zeros(1), DRAWN[name], np.array([0.3]))


def test_a_function_of_python_objects_is_no_constant():
    square = np.frompyfunc(lambda u: u * u, 1, 1)
    with pytest.raises(TypeError, match="takes numbers that are differentiated by out of their array"):
        assert_gradients_agree(lambda a: np.zeros(()), lambda a: float(square(a)), 1.3)


# Ratings of which some are missing: data with NaN

P, Q = np.array([[1.0, -0.5], [0.25, 2.0]]), np.array([[0.5, 1.0], [-1.0, 0.75], [2.0, 0.125]])
RATINGS = [
    np.ones((2, 3)),
    np.array([[5.0, np.nan, 3.0], [np.nan, 2.0, 1.0]]),
    np.array([[5.0, np.nan, np.nan], [4.0, 2.0, 1.0]]),
]


def masked(p, ratings):
    return np.sum(np.where(np.isnan(ratings), 0, ratings - p @ Q.T) ** 2)


def written(p, ratings):
    errors = ratings - p @ Q.T
    errors[np.isnan(ratings)] = 0
    return np.sum(errors**2)


def by_nansum(p, ratings):
    return np.nansum((ratings - p @ Q.T) ** 2)


def by_nanmean(p, ratings):
    return np.nanmean((ratings - p @ Q.T) ** 2) * np.sum(np.isfinite(ratings))


def of_ratings(p, ratings):
    return -2 * np.nan_to_num(ratings - p @ Q.T) @ Q


@pytest.mark.parametrize("loss", [masked, written, by_nansum, by_nanmean])
def test_what_is_missing_in_data_is_no_nan_of_the_gradient(loss):
    for ratings in (*RATINGS, RATINGS[0]):  # of one shape: a trace may not be taken for that of other masks
        assert_gradients_agree(of_ratings, loss, P, ratings)
        with pytest.raises(AssertionError, match="2 times what it should be"):
            assert_gradients_agree(lambda p, ratings: 2 * of_ratings(p, ratings), loss, P, ratings)


def test_comparisons_that_cannot_be_told_apart_and_change_nothing_are_no_kink():
    """np.allclose asks whether the numbers are equal, too."""
    onehot, x = np.eye(3)[[0, 2]], np.array([[0.5, -1.0, 0.25], [2.0, 0.0, 1.0]])

    def softmax(z):
        p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
        assert np.allclose(p.sum(axis=1), 1)
        return p

    def entropy(z):
        return -np.sum(onehot * np.log(softmax(z) + 1e-7))

    with pytest.raises(AssertionError, match=r"1e-07 at .* were 0"):
        assert_gradients_agree(lambda z: softmax(z) - onehot, entropy, x)


# A layer that returns two states, and one whose backward has settings

A, H, C, W = np.array([[0.5, -1.0]]), np.array([[1.0, 0.25]]), np.array([[-0.5, 2.0]]), np.array([[1.0, 2.0], [-1.0, 0.5]])


class Cell:
    def forward(self, x, h, c):
        self.gate = np.tanh(x @ W + h)
        return self.gate * c, c + self.gate

    def backward(self, dh, dc):
        dgate = (dh * self.c + dc) * (1 - self.gate**2)
        return dgate @ W.T, dgate, dh * self.gate + dc


class RightCell(Cell):
    def forward(self, x, h, c):
        self.c = c
        return super().forward(x, h, c)


class ForgetfulCell(RightCell):
    def backward(self, dh, dc):
        return super().backward(dh, np.zeros_like(dc))


def test_what_forward_returns_last_may_be_an_output():
    assert_backward_agrees((cell := RightCell()).forward, cell.backward, A, H, C)
    with pytest.raises(AssertionError, match="upstream"):
        assert_backward_agrees((cell := ForgetfulCell()).forward, cell.backward, A, H, C)


def test_what_forward_returns_last_may_be_a_cache_of_floats():
    def relu(x):
        return np.maximum(x, 0), x

    assert_backward_agrees(relu, lambda dout, cache: dout * (cache > 0), A)
    assert_backward_agrees(relu, lambda dout, data: dout * (data > 0), A)
    for wrong in (lambda dout, cache: dout * (cache < 0), lambda dx, dcache: dx * (dcache < 0)):
        with pytest.raises(AssertionError):
            assert_backward_agrees(relu, wrong, A)


class Scaled:
    def forward(self, x):
        self.x = x
        return np.tanh(x)

    def backward(self, dout, retain=True, scale=1.0):
        if retain:
            self.kept = dout
        return scale * dout * (1 - np.tanh(self.x) ** 2)


def test_what_backward_need_not_be_handed_is_not_handed_to_it():
    assert_backward_agrees((layer := Scaled()).forward, layer.backward, A)


def test_a_quarter_of_a_circle_by_math():
    """math.hypot of a number is followed as that of NumPy is."""
    assert_gradients_agree(lambda a: a / math.hypot(a, 2.0), lambda a: math.hypot(float(a), 2.0), 1.5)


def test_nothing_is_said_where_data_are_missing_in_the_gradient_alone():
    with pytest.raises((AssertionError, UndecidedError)):
        assert_gradients_agree(lambda p, ratings: -2 * (ratings - p @ Q.T) @ Q, masked, P, RATINGS[1])


# Data of the module and of objects: what floats compute from these alone is off by their rounding

_rng = np.random.default_rng(0)
DATA = _rng.standard_normal((50, 4))
_drawn = _rng.standard_normal(50)
NEARLY_ORTHOGONAL = _drawn - DATA @ np.linalg.lstsq(DATA, _drawn, rcond=None)[0] * (1 - 1e-9)


class Holder:
    def __init__(self):
        self.held = {"pair": [(DATA, NEARLY_ORTHOGONAL)]}


HOLDER = Holder()


def linear(w):
    return np.sum(NEARLY_ORTHOGONAL * (DATA @ w))


def of_linear(w):
    return DATA.T @ NEARLY_ORTHOGONAL


def of_linear_held(w):
    x, y = HOLDER.held["pair"][0]
    return x.T @ y


def of_linear_in_jax(w):
    return jnp.dot(DATA.T, NEARLY_ORTHOGONAL)


@pytest.mark.parametrize("gradient", [of_linear, of_linear_held, of_linear_in_jax])
def test_what_floats_compute_from_data_alone_is_no_difference(gradient):
    w = np.array([0.5, -1.0, 2.0, 0.25])
    assert_gradients_agree(gradient, linear, w)
    with pytest.raises(AssertionError):
        assert_gradients_agree(lambda w: gradient(w) * (1 + 1e-6), linear, w)


def test_a_mistake_of_1e_12_beside_data_of_the_module_is_seen():
    def loss(w):
        return np.sum((DATA @ w - NEARLY_ORTHOGONAL) ** 2)

    def gradient(w):
        return 2 * (DATA.T @ DATA @ w - DATA.T @ NEARLY_ORTHOGONAL)

    w = np.array([0.5, -1.0, 2.0, 0.25])
    assert_gradients_agree(gradient, loss, w)
    with pytest.raises(AssertionError, match="certified"):
        assert_gradients_agree(lambda w: gradient(w) * (1 + 1e-12), loss, w)


def test_what_code_that_is_not_followed_makes_of_data_is_rounded():
    """JAX has no Bessel functions of the first kind; J₀(x) + J₂(x) = 2 J₁(x)/x, near a zero of J₁."""

    def loss(w, x):
        return w @ (2 * jv(1, x) / x)

    def gradient(w, x):
        return jv(0, x) + jv(2, x)

    w, x = np.array([1.0, 2.0]), np.array([3.8317, 7.0156])
    with pytest.raises(UndecidedError, match="numbers that floats computed"):
        assert_gradients_agree(gradient, loss, w, x)
    with pytest.raises(AssertionError):
        assert_gradients_agree(lambda w, x: gradient(w, x) * 1.01, loss, w, x)


# np.matrix, whose `*` is a product of matrices, and of which each part is a matrix

SQUARE = np.array([[2.0, -1.0, 0.5], [0.25, 3.0, 1.0], [1.0, -0.5, 4.0]])

OF_MATRICES = {
    "products": (lambda x: np.sum(np.power(np.matrix(SQUARE) * np.matrix(x), 2)), lambda x: 2 * SQUARE.T @ SQUARE @ x),
    "powers": (lambda x: np.trace(np.matrix(x) ** 3), lambda x: 3 * np.asarray(np.matrix(x) ** 2).T),
    "inverses": (lambda x: np.trace(np.matrix(x).I), lambda x: -np.asarray(np.matrix(x).I ** 2).T),
    "a row": (lambda x: (np.matrix(x)[0] * np.matrix(x)[0].T)[0, 0], lambda x: 2 * x * np.eye(3)[:, [0]]),
    "a sum": (lambda x: (np.matrix(x).sum(axis=0) * np.matrix(SQUARE)).sum(), lambda x: np.tile(SQUARE.sum(axis=1), (3, 1))),
    "scaled": (lambda x: (2 * np.matrix(x)).A1.sum(), lambda x: np.full_like(x, 2)),
    "multiplied": (lambda x: np.multiply(np.matrix(x), np.matrix(x)).sum(), lambda x: 2 * x),
    "a list": (lambda x: sum(np.matrix(x).flatten().tolist()[0]), np.ones_like),
    "a product in place": (
        lambda x: (np.matrix(x).copy().__imul__(np.matrix(SQUARE))).sum(),
        lambda x: np.ones((3, 3)) @ SQUARE.T,
    ),
}


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize("name", OF_MATRICES)
def test_matrices(name):
    loss, gradient = OF_MATRICES[name]
    assert_gradients_agree(gradient, loss, SQUARE + 1)
    with pytest.raises(AssertionError, match="2 times what it should be"):
        assert_gradients_agree(lambda x: 2 * gradient(x), loss, SQUARE + 1)


class Wrapped:
    """A class of the user's around an array"""

    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return np.array(self.array)


def test_a_class_around_an_array():
    assert_gradients_agree(lambda w: 2 * w, lambda w: np.sum(np.asarray(Wrapped(w)) ** 2), A)
    assert_gradients_agree(lambda w: np.asarray(Wrapped(A)), lambda w: np.sum(w * np.add(Wrapped(A), 0)), A)


def test_a_branch_without_what_is_differentiated_by_is_named():
    def rotated(w):
        angle = np.linalg.norm(w)
        if angle < 1e-8:
            return np.array([1.0, 0.0])
        return np.array([np.cos(angle), np.sin(angle)])

    with pytest.raises(
        AssertionError, match=r"after what rotated decides at test_numpy_traces.py:\d+, it does not depend on"
    ):
        assert_gradients_agree(lambda w: np.ones((2, 2)), rotated, np.zeros(2))
    with pytest.raises(AssertionError) as failed:
        assert_gradients_agree(lambda w: np.ones((2, 2)), rotated, np.ones(2))
    assert "decides" not in str(failed.value)


@pytest.mark.parametrize("seed", range(6))
def test_data_of_float32_that_an_object_holds_hide_no_mistake_of_float64(seed):
    rng = np.random.default_rng(seed)

    class Fit:
        x, y = rng.standard_normal((6, 3)).astype(np.float32), rng.standard_normal(6).astype(np.float32)

        def loss(self, w):
            return np.sum((self.x @ w - self.y) ** 2)

        def gradient(self, w):
            return 2 * self.x.T @ (self.x @ w - self.y)

    fit, w = Fit(), rng.standard_normal(3)
    assert_gradients_agree(fit.gradient, fit.loss, w)
    with pytest.raises(AssertionError, match="certified"):
        assert_gradients_agree(lambda w: fit.gradient(w) * (1 + 1e-9), fit.loss, w)


def test_a_function_of_scipy_within_a_decorator_is_named():
    linalg = pytest.importorskip("scipy.linalg")
    with pytest.raises(TypeError, match=r"scipy\.linalg\._solvers\.solve_sylvester asks for the numbers"):
        assert_gradients_agree(lambda a: a, lambda a: np.sum(linalg.solve_sylvester(a, SQUARE, SQUARE)), SQUARE)


def test_arrays_made_by_the_class_are_refused_with_what_to_write():
    def loss(w):
        made = np.ndarray((2, 3))
        made[...] = w
        return np.sum(made**2)

    with pytest.raises(TypeError, match=r"or by np\.ndarray\(…\), is written into at .*: make it within, by np\.zeros"):
        assert_gradients_agree(lambda w: 4 * w, loss, np.ones(3))
