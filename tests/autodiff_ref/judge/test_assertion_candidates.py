"""Candidates of every kind: pytrees, jitted and untraceable code, closures made anew, what is read and changes."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from autodiff_ref import assert_gradients_agree
from autodiff_ref.judge.assertion import agreement
from tests.autodiff_ref.judge.test_assertions import W, X, gradient_of_square, square
from tests.compiled import compiled


class Net(NamedTuple):
    w: Any
    b: Any


def output(net, x):
    return jnp.sum(jnp.tanh(x @ net.w + net.b))


def right(net, x):
    slope = 1 - np.tanh(x @ net.w + net.b) ** 2
    return Net(x.T @ slope, slope.sum())


NET = Net(W, np.array(0.25))


def test_pytrees_fields_and_arguments():
    assert_gradients_agree(right, output, NET, X)
    assert_gradients_agree(lambda net, x: right(net, x).b, output, NET, X, wrt="b")
    assert_gradients_agree(lambda w, x: 2 * np.outer(x @ w, w), square, W, X, wrt="x")
    assert_gradients_agree(lambda p, x: {"w": right(Net(**p), x).w, "b": right(Net(**p), x).b},
                           lambda p, x: output(Net(**p), x), NET._asdict(), X)  # fmt: skip
    with pytest.raises(AssertionError, match=r"in gradient.b|in net.b"):
        assert_gradients_agree(lambda net, x: right(net, x)._replace(b=right(net, x).b / 3), output, NET, X)
    with pytest.raises(AssertionError, match=r"in x\[1, 0\]"):
        assert_gradients_agree(lambda w, x: np.outer(x @ w, w), square, W, X, wrt="x")


def test_a_jacobian():
    assert_gradients_agree(lambda z: np.diag(np.cos(z)), jnp.sin, W)
    with pytest.raises(AssertionError, match=r"in x\[1, 1\]"):
        assert_gradients_agree(lambda z: np.diag(np.sin(z)), jnp.sin, W)


def test_float64_is_computed_in_float64_whatever_jax_is_set_to():
    seen = []

    def gradient(x):
        seen.append(x.dtype if isinstance(x, jax.core.Tracer) else jnp.asarray(x).dtype)
        return jnp.cos(x)

    assert not jax.config.read("jax_enable_x64")
    assert_gradients_agree(gradient, lambda x: jnp.sin(x).sum(), X)
    assert set(seen) == {np.dtype(np.float64)}


def test_jax_arrays_keep_their_precision():
    seen = []

    def gradient(x):
        if not isinstance(x, jax.core.Tracer):
            seen.append(x.dtype)
        return jnp.cos(x)

    assert_gradients_agree(gradient, lambda x: jnp.sin(x).sum(), jnp.asarray(X))
    assert set(seen) == {np.dtype(np.float32)}


def test_a_line_is_handed_nabla():
    def line(w, x, nabla):
        return nabla(square)(w, x)

    assert_gradients_agree(line, square, W, X)


def in_place(w, x):
    """It cannot be traced."""
    w, g = compiled(w), np.zeros(len(w))
    for row in x:
        g += 2 * float(row @ w) * np.asarray(row)
    return g


def test_what_cannot_be_traced_is_judged_by_its_value_and_the_message_says_assumed():
    def wrong(w, x):
        return in_place(w, x) * (1 + 1e-9)

    assert_gradients_agree(in_place, square, W, X)
    with pytest.raises(AssertionError, match="assumed since wrong is not traced"):
        assert_gradients_agree(wrong, square, W, X)


def test_what_does_something_else_when_it_is_traced_is_judged_by_what_it_returns():
    def honest_when_traced(w, x):
        return gradient_of_square(w, x) * (1 if isinstance(w, jax.core.Tracer) else 1.001)

    def wrong_when_traced(w, x):
        return gradient_of_square(w, x) * (1.001 if isinstance(w, jax.core.Tracer) else 1)

    with pytest.raises(AssertionError, match="it computes something else"):
        assert_gradients_agree(honest_when_traced, square, W, X)
    assert_gradients_agree(wrong_when_traced, square, W, X)


# What closures hold


def test_functions_made_anew_on_each_call_are_traced_once(monkeypatch):
    traces, trace = [], agreement.trace_candidate
    monkeypatch.setattr(agreement, "trace_candidate", lambda *args: (traces.append(1), trace(*args))[1])

    def check(x, factor=2.0):
        def gradient(w):
            return factor * x.T @ (x @ w)

        assert_gradients_agree(gradient, lambda w: square(w, x), W)

    check(X)
    for k in range(5):
        check(X + k)
    assert len(traces) == 1
    with pytest.raises(AssertionError):
        check(X, factor=3.0)
    check(X)


def test_partials_methods_and_jitted_closures():
    class Model:
        def __init__(self, factor):
            self.factor = factor

        def gradient(self, w, x):
            return self.factor * x.T @ (x @ w)

    assert_gradients_agree(partial(gradient_of_square, x=X), partial(square, x=X), W)
    assert_gradients_agree(Model(2).gradient, square, W, X)
    assert_gradients_agree(jax.jit(lambda w: gradient_of_square(w, X)), jax.jit(lambda w: square(w, X)), W)
    assert_gradients_agree(jax.grad(square), square, W, X)
    with pytest.raises(AssertionError):
        assert_gradients_agree(Model(3).gradient, square, W, X)


def test_what_a_function_reads_may_change_between_calls():
    class Holder:
        factor = 2.0

    def gradient(w, x):
        return Holder.factor * x.T @ (x @ w)

    def loss(w, x):
        return (Holder.factor / 2) * square(w, x)

    assert_gradients_agree(gradient, loss, W, X)
    Holder.factor = 6.0
    assert_gradients_agree(gradient, loss, W, X)  # traced afresh before it is called wrong


def test_a_gradient_is_wrong_when_what_the_loss_reads_has_changed():
    class Model:
        factor = 1.0

        def loss(self, w, x):
            return self.factor * square(w, x)

    model, stretch = Model(), {"factor": 1.0}

    def stretched(w, x):
        return stretch["factor"] * square(w, x)

    for loss in (model.loss, stretched):
        assert_gradients_agree(gradient_of_square, loss, W, X)
    model.factor = stretch["factor"] = 3.0
    for loss in (model.loss, stretched):
        with pytest.raises(AssertionError):
            assert_gradients_agree(gradient_of_square, loss, W, X)


@given(arrays(np.float64, 4, elements=st.floats(-3, 3), unique=True))
def test_the_order_that_numpy_asks_for_is_followed(a):
    def loss(a):
        return np.sum(np.arange(4) * np.sort(a))

    def ranks(a):
        return np.argsort(np.argsort(a)).astype(float)

    assert_gradients_agree(ranks, loss, a)
    with pytest.raises(AssertionError, match="certified: as real functions they differ by at least 1"):
        assert_gradients_agree(lambda a: ranks(a) + 1, loss, a)


@pytest.mark.parametrize("dtype", [np.int64, np.int8, bool])
def test_features_may_be_integers_which_are_exact(dtype):
    rng = np.random.default_rng(0)

    def loss(w, x):
        return np.sum((x @ w) ** 2)

    def gradient(w, x):
        return 2 * x.T @ (x @ w)

    for shape in ((4, 3), (400, 30)):  # in balls, and with rounding bounds
        x = rng.integers(-3, 4, shape).astype(dtype)
        for _ in range(2):
            w = rng.normal(size=shape[1])
            assert_gradients_agree(gradient, loss, w, x)
            assert_gradients_agree(gradient, loss, jax.numpy.asarray(w), jax.numpy.asarray(x))
        with pytest.raises(AssertionError, match="is not ∇loss"):
            assert_gradients_agree(lambda w, x: gradient(w, x) * (1 + 1e-11), loss, w, x)
