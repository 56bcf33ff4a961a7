"""The closed forms: symmetries of the model, sums over examples, NumPy and JAX, jit and vmap, saturation."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autodiff_ref
from autodiff_ref.judge.inputs import STRATA
from autodiff_ref.judge.strategies import arguments
from manual_grad import Weights, grad_w11, grad_w12, grad_w21, log_likelihood, notes, value_and_grad
from tests.evaluation import (
    CLOSED_FORMS,
    DTYPES,
    ONE_SHAPE,
    WRT,
    Args,
    as_dtype,
    difference_quotient,
    exact_gradient,
    in_jax,
    many,
)
from tests.rounding import Bounds, assert_within, bounds, exceeds, unit_roundoff

pytestmark = pytest.mark.rounding

inputs = arguments(notes.DOMAIN, sizes=ONE_SHAPE)
by_dtype = pytest.mark.parametrize("dtype", DTYPES)


def gradient(w: Any, x: Any, y: Any) -> Weights[Any]:
    return value_and_grad(w, x, y)[1]


def assert_gradients_within(got: Any, want: Any, allowed: dict[str, Any], what: str, args: Any) -> None:
    for wrt, a, b in zip(WRT, got, want, strict=True):
        assert_within(a, b, allowed[wrt], f"{what}, ∇ by {wrt}", args)


def closed(b: Bounds) -> dict[str, Any]:
    return {wrt: b.of_closed_form(wrt) for wrt in WRT}


def closed_and_jax(b: Bounds) -> dict[str, Any]:
    return {wrt: b.of_closed_form(wrt) + b.of_jax_grad(wrt) for wrt in WRT}


def twice(allowed: dict[str, Any]) -> dict[str, Any]:
    return {wrt: 2 * value for wrt, value in allowed.items()}


# Against jax.grad, and against no derivative at all


@by_dtype
@given(args=inputs)
def test_the_closed_forms_in_numpy_equal_jax_grad(args: Args, dtype: Any):
    """grad_w11, grad_w12, grad_w21, and value_and_grad, in the dtype of the arguments"""
    own, b = as_dtype(args, dtype), bounds(args, dtype)
    want = autodiff_ref.grad(*own)
    for got in (Weights(grad_w11(*own), grad_w12(*own), grad_w21(*own)), gradient(*own)):
        assert {leaf.dtype for leaf in got} == {np.dtype(dtype)}
        assert_gradients_within(got, want, closed_and_jax(b), "closed form", args)


@settings(max_examples=15)
@given(args=inputs)
def test_the_closed_forms_equal_a_difference_quotient_in_50_digits(args: Args):
    """(ll(w + s e) − ll(w − s e)) / 2s of the nested function; no derivative, by hand or by machine, is involved."""
    b = bounds(args, np.float64)
    for wrt, got in zip(WRT, gradient(*args), strict=True):
        for k, exact in enumerate(difference_quotient(args, wrt)):
            assert abs(float(got[k]) - exact) <= b.of_closed_form(wrt)[k] + 1e-27, (wrt, k, args)


@settings(max_examples=5)
@given(args=inputs)
def test_the_difference_quotient_equals_equation_2_in_50_digits(args: Args):
    """To 25 digits, which no mistake in either oracle survives; the quotient's own error is below 1e-27."""
    for wrt in WRT:
        for quotient, exact in zip(difference_quotient(args, wrt), exact_gradient(args, wrt), strict=True):
            assert abs(quotient - exact) <= 1e-25


@given(args=inputs)
def test_value_and_grad_gives_the_log_likelihood_and_the_three_gradients(args: Args):
    """(ll, ∇ll): the value to the bit; the gradients in another order of multiplication, so to rounding"""
    ll, got = value_and_grad(*args)
    assert ll == log_likelihood(*args)
    want = Weights(grad_w11(*args), grad_w12(*args), grad_w21(*args))
    assert_gradients_within(got, want, twice(closed(bounds(args, np.float64))), "value_and_grad", args)


@pytest.mark.parametrize("stratum", STRATA)
def test_the_closed_forms_are_right_in_every_stratum(stratum: str):
    """In 50 digits, saturated and far beyond too. What underflows is at most a smallest normal number a factor, times
    what it is multiplied with: n (1 + |w21|)(1 + |x|) of them.
    """

    @settings(max_examples=25)
    @given(args=arguments(notes.DOMAIN, stratum, sizes=ONE_SHAPE))
    def check(args: Args):
        w, x, y = args
        with np.errstate(over="ignore"):
            b = bounds(args, np.float64)
            underflow = len(y) * (1 + np.abs(w.w21).max()) * (1 + np.abs(x).max()) * np.finfo(np.float64).tiny
            allowed = {wrt: value + underflow for wrt, value in closed(b).items()}
        for wrt, got in zip(WRT, gradient(*args), strict=True):
            for k, exact in enumerate(exact_gradient(args, wrt)):
                assert abs(float(got[k]) - exact) <= allowed[wrt][k], (wrt, k, args)

    check()


def test_the_closed_form_keeps_the_digits_that_autodiff_of_the_usual_sigmoid_loses():
    """At a = z = 40, r σ'(a) = e^−80: jax.grad of the reference gives 0, since its σ' is s(1 − s)."""
    args = Weights(np.array([40.0]), np.array([0.0]), np.array([40.0, 0.0])), np.array([[1.0]]), np.array([1.0])
    got, allowed = grad_w11(*args), bounds(args, np.float64).of_closed_form("w11")
    exact = exact_gradient(args, "w11")[0]
    assert abs(float(got[0]) - exact) <= allowed[0] < 1e-12 * exact
    assert autodiff_ref.grad(*args).w11[0] == 0


# Symmetries


@given(args=inputs)
def test_flipping_y_and_w21_together_leaves_the_gradients_by_w11_and_w12_unchanged(args: Args):
    """(y, w21) → (−y, −w21): m, and so r w21, are the same numbers; ∇_{w21} ll changes its sign. To the bit."""
    w, x, y = args
    flipped = w._replace(w21=-w.w21)
    for f in (grad_w11, grad_w12):
        assert np.array_equal(f(w, x, y), f(flipped, x, -y))
    assert np.array_equal(grad_w21(w, x, y), -grad_w21(flipped, x, -y))


@given(args=inputs)
def test_swapping_hidden_units_swaps_the_gradients(args: Args):
    """(w11, w12, w21) → (w12, w11, reversed w21); the order of the sum in w21ᵀh may change its rounding"""
    w, x, y = args
    swapped = gradient(Weights(w.w12, w.w11, w.w21[::-1]), x, y)
    want = Weights(swapped.w12, swapped.w11, swapped.w21[::-1])
    assert_gradients_within(gradient(*args), want, twice(closed(bounds(args, np.float64))), "swapped", args)


@given(args=inputs, data=st.data())
def test_permuting_the_examples_changes_nothing_beyond_rounding(args: Args, data: st.DataObject):
    """Σ_i in another order"""
    w, x, y = args
    order = data.draw(st.permutations(range(len(y))), label="order")
    allowed = twice(closed(bounds(args, np.float64)))
    assert_gradients_within(gradient(w, x[order], y[order]), gradient(*args), allowed, "permuted", args)


@given(args=inputs, data=st.data())
def test_the_gradient_of_a_union_is_the_sum_of_the_gradients(args: Args, data: st.DataObject):
    """∇ll(A ∪ B) = ∇ll(A) + ∇ll(B), and so for the value"""
    w, x, y = args
    cut = data.draw(st.integers(1, len(y) - 1), label="first example of B")
    parts = [value_and_grad(w, x[part], y[part]) for part in (slice(cut), slice(cut, None))]
    each = [bounds((w, x[part], y[part]), np.float64) for part in (slice(cut), slice(cut, None))]
    whole, b, u = value_and_grad(*args), bounds(args, np.float64), unit_roundoff(np.float64)
    for wrt, got, one, two in zip(WRT, whole[1], parts[0][1], parts[1][1], strict=True):
        allowed = b.of_closed_form(wrt) + sum(part.of_closed_form(wrt) for part in each) + u * np.abs(one + two)
        assert_within(one + two, got, allowed, f"A ∪ B, ∇ by {wrt}", args)
    total = parts[0][0] + parts[1][0]
    allowed = b.of_log_likelihood() + sum(part.of_log_likelihood() for part in each) + u * abs(total)
    assert_within(total, whole[0], allowed, "A ∪ B, ll", args)


@given(args=inputs)
def test_an_example_that_counts_twice_adds_its_gradient(args: Args):
    """So a sum is meant and no mean: doubling the table doubles the gradient."""
    w, x, y = args
    doubled = (w, np.concatenate([x, x]), np.concatenate([y, y]))
    allowed = {
        wrt: value + 2 * closed(bounds(args, np.float64))[wrt] for wrt, value in closed(bounds(doubled, np.float64)).items()
    }
    assert_gradients_within(gradient(*doubled), [2 * leaf for leaf in gradient(*args)], allowed, "doubled", args)


def test_the_checks_of_symmetries_refute_what_is_no_symmetry():
    """Flipping y alone, swapping the hidden weights alone, leaving an example out, halving: seen at every input."""
    for w, x, y in many(50, n=4, d=3):
        want = gradient(w, x, y)
        allowed = twice(closed(bounds((w, x, y), np.float64)))
        for other in (
            gradient(w, x, -y),
            gradient(Weights(w.w12, w.w11, w.w21), x, y),
            gradient(w, x[:-1], y[:-1]),
            [leaf / 2 for leaf in want],
        ):
            assert any(exceeds(a, b, allowed[wrt]) for wrt, a, b in zip(WRT, other, want, strict=True))


# NumPy and JAX, compiled or not, mapped, scanned


@by_dtype
@given(args=inputs)
def test_numpy_and_compiled_jax_agree_on_the_closed_forms(args: Args, dtype: Any):
    """The same hand formula twice, each within its bound, both in the dtype of the arguments"""
    allowed = twice(closed(bounds(args, dtype)))
    compiled = in_jax(gradient, args, dtype)
    assert {leaf.dtype for leaf in compiled} == {np.dtype(dtype)}
    assert_gradients_within(gradient(*as_dtype(args, dtype)), compiled, allowed, "NumPy and JAX", args)


@by_dtype
@settings(max_examples=5)
@given(args=arguments(notes.DOMAIN, sizes={"n": 4, "d": 3}))
def test_jit_vmap_scan_and_eager_agree_on_the_closed_forms(args: Args, dtype: Any):
    """vmap and scan go over the examples one by one; their sum has the whole batch's bound"""
    allowed = twice(closed(bounds(args, dtype)))
    eager = in_jax(gradient, args, dtype, jit=False)
    for name, f in (("jit", gradient), ("vmap", by_vmap), ("scan", by_scan)):
        got = in_jax(f, args, dtype)
        assert {leaf.dtype for leaf in got} == {np.dtype(dtype)}
        assert_gradients_within(got, eager, allowed, name, args)


def by_vmap(w: Any, x: Any, y: Any) -> Any:
    each = jax.vmap(lambda row, label: gradient(w, row[None], label[None]))(x, y)
    return jax.tree.map(lambda leaf: jnp.sum(leaf, axis=0), each)


def by_scan(w: Any, x: Any, y: Any) -> Any:
    def step(total: Any, example: Any) -> tuple[Any, None]:
        row, label = example
        return jax.tree.map(jnp.add, total, gradient(w, row[None], label[None])), None

    return jax.lax.scan(step, jax.tree.map(jnp.zeros_like, w), (x, y))[0]


@by_dtype
@given(args=inputs)
def test_jax_grad_of_the_hand_written_log_likelihood_equals_its_closed_form(args: Args, dtype: Any):
    """`log_likelihood` itself may be differentiated: JAX's derivatives of manual_grad's σ and log σ are as good as the
    forms the bound of line 3a assumes, SLOPE of σ' and of d log σ.
    """
    b = bounds(args, dtype)
    found = in_jax(jax_grad_by_hand_written, args, dtype)
    allowed = {wrt: b.of_closed_form(wrt) + b.of_line("line_0a", wrt) for wrt in WRT}
    assert_gradients_within(found, gradient(*as_dtype(args, dtype)), allowed, "jax.grad(log_likelihood)", args)


def jax_grad_by_hand_written(w: Any, x: Any, y: Any) -> Any:
    return jax.grad(log_likelihood)(w, x, y)


@pytest.mark.parametrize("wrt", WRT)
def test_a_column_of_labels_or_weights_never_broadcasts(wrt: str):
    """(n, 1) labels would make an (n, n) table and a wrong sum: refused when traced too"""
    w, x, y = Weights(np.ones(3), np.ones(3), np.ones(2)), np.ones((4, 3)), np.ones(4)
    for bad in ((w, x, y[:, None]), (w._replace(w11=np.ones((3, 1))), x, y)):
        with pytest.raises(ValueError, match="has shape"):
            CLOSED_FORMS[wrt](*bad)
        with pytest.raises(ValueError, match="has shape"):
            jax.eval_shape(CLOSED_FORMS[wrt], *bad)
