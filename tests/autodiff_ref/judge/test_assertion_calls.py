"""How the assertion calls both functions: keywords, (loss, gradient), state and randomness; and when nothing can be said."""

from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import errors as hypothesis_errors
from hypothesis import strategies as st

from autodiff_ref import UndecidedError, assert_backward_agrees, assert_gradients_agree, check_intermediates
from tests.compiled import compiled

W, X = np.array([1.0, -0.5]), np.array([[1.0, 2.0], [0.25, -1.0], [3.0, 0.5]])


def square(w):
    return jnp.sum(w**2)


# Keywords


def loss(w, x, power=2, axis=None):
    return jnp.sum(jnp.sum(jnp.abs(x @ w) ** power, axis=axis))


def gradient(w, x, power=2, scale=1.0):
    z = x @ w
    return scale * power * x.T @ (np.sign(z) * np.abs(z) ** (power - 1))


def test_keywords_are_handed_on_to_those_that_take_them():
    assert_gradients_agree(gradient, loss, W, X, power=3)
    assert_gradients_agree(gradient, loss, W, x=X, power=3, axis=0)
    assert_gradients_agree(gradient, loss, w=W, x=X, power=3)
    assert_gradients_agree(gradient, loss, W, X, scale=1.0)
    for wrong in ({"scale": 1 + 1e-9}, {"scale": -1.0, "axis": 0}):
        with pytest.raises(AssertionError, match=r"(?s)is not ∇loss.*power=3"):
            assert_gradients_agree(gradient, loss, W, X, power=3, **wrong)
    with pytest.raises(AssertionError, match="is not ∇loss"):
        assert_gradients_agree(gradient, loss, w=W, x=X, scale=1 + 1e-9)
    with pytest.raises(TypeError, match="neither `gradient` nor `loss` takes an argument 'rate'"):
        assert_gradients_agree(gradient, loss, W, X, rate=1)


def test_what_is_differentiated_by_may_be_a_keyword():
    def by_x(w, x):
        return 2 * np.outer(x @ w, w)

    assert_gradients_agree(by_x, loss, W, x=X, wrt="x")
    with pytest.raises(AssertionError, match=r"in x\["):
        assert_gradients_agree(lambda w, x: by_x(w, x) * [[1, 1], [1, 1], [1, 2]], loss, W, x=X, wrt="x")


def test_functions_that_return_their_value_and_gradient():
    def both(w):
        return np.sum(w**2), 2 * w

    assert_gradients_agree(both, both, W)
    assert_gradients_agree(lambda w: 2 * w, both, W)
    assert_gradients_agree(lambda w: compiled(both(w)[1]), both, W)
    with pytest.raises(AssertionError, match="-1 times"):
        assert_gradients_agree(lambda w: (both(w)[0], -2 * w), both, W)


# Numbers that are no floats


@pytest.mark.parametrize("dtype", [int, bool, np.int8, np.float32])
def test_integers_and_truth_values_are_numbers(dtype):
    x = np.array([1.0, -2.0, 3.0])
    relu = lambda x: jnp.sum(jnp.maximum(x, 0))  # noqa: E731
    assert_gradients_agree(lambda x: (x > 0).astype(dtype), relu, x)
    assert_gradients_agree(lambda x: compiled(x > 0).astype(dtype), relu, x)
    with pytest.raises(AssertionError, match=r"is not ∇"):
        assert_gradients_agree(lambda x: (x > 2).astype(dtype), relu, x)


# State


class Accumulates:
    def __init__(self):
        self.total, self.calls = 0.0, []

    def __call__(self, w):
        self.total = self.total + 2 * w
        self.calls.append(w)
        return self.total


def in_a_closure():
    total = 0.0

    def gradient(w):
        nonlocal total
        total = total + 2 * w
        return total

    return gradient


def in_a_default(w, kept={"total": 0.0}):  # noqa: B006
    kept["total"] = kept["total"] + 2 * w
    return kept["total"]


@pytest.mark.parametrize(
    "make", [Accumulates, lambda: Accumulates().__call__, in_a_closure, lambda: in_a_default, lambda: partial(Accumulates())]
)
def test_a_gradient_that_keeps_state_is_said_to_and_is_unharmed(make):
    keeps = make()
    with pytest.raises(AssertionError, match=r"returns something else when it is called again .*it keeps state"):
        assert_gradients_agree(keeps, square, W)
    assert isinstance(keeps(np.ones(2)), np.ndarray)


def test_randomness_is_noticed():
    rng = np.random.default_rng(0)
    place = r"is random, and draws numbers at test_assertion_calls\.py:\d+"
    for random in (lambda w: 2 * w * rng.uniform(), lambda w: compiled(2 * w) * (rng.random(2) < 0.5)):
        with pytest.raises(AssertionError, match=place):
            assert_gradients_agree(random, square, W)
    with pytest.raises(UndecidedError, match=f"the loss returns something else than what was traced of it: it {place}"):
        assert_gradients_agree(lambda w: 2 * w, lambda w: square(w) * rng.uniform(), W)


class Layer:
    """Keeps what backward needs, as layers do."""

    def forward(self, w):
        self.input = w
        return np.sum(w**2)

    def backward(self, factor=2.0):
        return factor * self.input


def test_a_cache_that_each_call_fills_anew_is_no_state():
    layer = Layer()
    assert_gradients_agree(lambda w: (layer.forward(w), layer.backward())[1], layer.forward, W)
    assert isinstance(layer.input, np.ndarray)
    with pytest.raises(AssertionError, match="is not ∇forward"):
        assert_gradients_agree(lambda w: (layer.forward(w), layer.backward(1.0))[1], layer.forward, W)
    assert isinstance(layer.input, np.ndarray)


# Nothing can be said of any example


def hinge(x):
    return jnp.sum(jnp.maximum(x, 0))


def on_a_kink(x):
    """max(x, 0) at 0, where one says 1 and JAX another number"""
    assert_gradients_agree(lambda x: jnp.where(x >= 0, 1.0, 0.0), hinge, x * np.zeros(1))


@pytest.mark.parametrize(
    ("strategy", "phases"),
    [
        (st.just(1.0), (Phase.generate,)),
        (st.sampled_from([1.0, 2.0, 3.0]), (Phase.generate,)),
        (st.floats(1, 2), (Phase.generate,)),
        (st.floats(1, 2), tuple(Phase)),
        (st.floats(1, 2), (Phase.explicit,)),
    ],
)
def test_a_test_whose_every_example_was_undecided_fails_and_says_why(strategy, phases):
    @settings(max_examples=100, database=None, phases=phases)
    @example(1.0)
    @given(strategy)
    def check(x):
        on_a_kink(x)

    with pytest.raises((UndecidedError, hypothesis_errors.Unsatisfiable), match="it lies on a kink") as failed:
        check()
    assert "examples" in str(failed.value) or "every example" in str(failed.value)


def test_undecided_examples_among_others_are_rejected():
    seen = []

    @settings(max_examples=30, database=None, suppress_health_check=list(HealthCheck))
    @given(st.integers(0, 3))
    def check(k):
        assert_gradients_agree(lambda x: jnp.where(x >= 0, 1.0, 0.0), hinge, np.full(1, max(k - 2.0, 0.0)))
        seen.append(k)

    check()
    assert set(seen) == {3}


def test_a_wrong_gradient_among_undecided_examples_is_found():
    @settings(max_examples=100, database=None)
    @given(st.integers(0, 3))
    def check(k):
        assert_gradients_agree(lambda x: jnp.where(x >= 0, 2.0, -1.0), lambda x: jnp.sum(jnp.abs(x)), np.full(1, float(k)))

    with pytest.raises(AssertionError, match="is not ∇"):
        check()


class Frame:
    """A table with the method by which those of pandas, polars and xarray become arrays."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return self.values

    def to_numpy(self):
        return self.values


def weighed(w, x):
    return np.sum((np.asarray(x) @ w) ** 2)


def by_w(w, x):
    return 2 * np.asarray(x).T @ (np.asarray(x) @ w)


TABLE, WEIGHTS = np.array([[1.0, 2.0], [0.5, -1.0], [3.0, 0.25]]), np.array([0.5, -0.75])
NO_ARRAYS = {
    "a frame": (Frame(TABLE), r"`x` is a Frame: hand in x\.to_numpy\(\)"),
    "a masked array": (np.ma.masked_array(TABLE, TABLE > 2), r"`x` is a MaskedArray: hand in x\.data"),
    "a matrix": (TABLE.view(np.matrix), r"`x` is a matrix: hand in np\.asarray\(x\)"),
    "more digits": (TABLE.astype(np.longdouble), r"`x` holds \w+, .*: hand in x\.astype\(np\.float64\)"),
}


@pytest.mark.parametrize("name", NO_ARRAYS)
def test_what_is_no_array_of_numpys_is_said_with_how_to_make_it_one(name):
    x, said = NO_ARRAYS[name]
    if name == "more digits" and x.dtype.itemsize == 8:
        pytest.skip("no floats of more digits here")
    for call in (
        lambda: assert_gradients_agree(by_w, weighed, WEIGHTS, x),
        lambda: assert_gradients_agree(by_w, weighed, WEIGHTS, x=x),
        lambda: assert_backward_agrees(lambda x, w: x @ w, lambda d, x, w: (np.outer(d, w), x.T @ d), x, WEIGHTS),
        lambda: check_intermediates(weighed, {"dw": by_w(WEIGHTS, TABLE)}, WEIGHTS, x),
    ):
        with pytest.raises(TypeError, match=said):
            call()
    with pytest.raises(TypeError, match=said.replace("`x`", r"`x\['table'\]`").split(":")[0]):
        assert_gradients_agree(by_w, weighed, WEIGHTS, {"table": x})


def test_a_frame_that_a_function_reads_from_its_closure_is_said_to_be_none():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(TABLE)
    with pytest.raises(TypeError, match=r"by `\.to_numpy\(\)`"):
        assert_gradients_agree(lambda w: by_w(w, TABLE), lambda w: ((frame @ w) ** 2).sum(), WEIGHTS)


@pytest.mark.parametrize("factor", [1.0, 1 + 1e-9])
def test_a_list_of_numbers_is_a_gradient_by_an_array(factor):
    def as_list(w, x):
        return [factor * d for d in by_w(w, x)]

    def both(w, x):
        return weighed(w, x), as_list(w, x)

    def rows(w, x):
        return (factor * 2 * np.outer(x @ w, w)).tolist()

    for candidate, wrt in ((as_list, None), (both, None), (rows, "x")):
        if factor == 1:
            assert_gradients_agree(candidate, weighed, WEIGHTS, TABLE, wrt=wrt)
        else:
            with pytest.raises(AssertionError, match=r"certified|1 times"):
                assert_gradients_agree(candidate, weighed, WEIGHTS, TABLE, wrt=wrt)


def test_an_array_that_is_returned_for_a_list_of_numbers_is_said_to_be_one():
    with pytest.raises(AssertionError, match=r"the first argument is a list of numbers: hand in np\.array of it"):
        assert_gradients_agree(by_w, weighed, WEIGHTS.tolist(), TABLE)


@dataclass
class Layers:
    w: np.ndarray


@pytest.mark.parametrize(
    ("first", "said"),
    [
        (Layers(WEIGHTS), r"^`p` is a Layers, .*: decorate Layers with jax\.tree_util\.register_dataclass, or hand in its"),
        (
            SimpleNamespace(w=WEIGHTS),
            r"^`p` is a SimpleNamespace, .* is an array, or a tuple, list or dict of arrays: hand in",
        ),
        ("w", r"^`p` is a str, "),
        (None, r"^the first argument is what is differentiated by, and holds no numbers"),
        ((), r"^the first argument is what is differentiated by, and holds no numbers"),
    ],
)
def test_what_cannot_be_differentiated_by_is_said_with_what_can(first, said):
    with pytest.raises(TypeError, match=said):
        assert_gradients_agree(lambda p: p, lambda p: np.sum(p.w**2), first)
