"""`jax.grad` of the nested function: judged by difference quotients in 50 digits; sums, products, dtypes, compilations."""

from typing import Any

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from hypothesis import given, settings

import autodiff_ref
from autodiff_ref import network
from autodiff_ref.judge.inputs import STRATA
from autodiff_ref.judge.strategies import arguments
from manual_grad import Weights, notes
from tests.evaluation import DTYPES, ONE_SHAPE, WRT, Args, as_dtype, difference_quotient, exact_gradient, many
from tests.rounding import HIGHER_ORDER, PRODUCTS, assert_within, bounds, unit_roundoff

pytestmark = pytest.mark.rounding

inputs = arguments(notes.DOMAIN, sizes=ONE_SHAPE)
by_dtype = pytest.mark.parametrize("dtype", DTYPES)


@settings(max_examples=15)
@given(args=inputs)
def test_grad_equals_a_difference_quotient_in_50_digits(args: Args):
    """So that the reference is not believed either"""
    b, got = bounds(args, np.float64), autodiff_ref.grad(*args)
    for wrt in WRT:
        for k, exact in enumerate(difference_quotient(args, wrt)):
            assert abs(float(getattr(got, wrt)[k]) - exact) <= b.of_jax_grad(wrt)[k] + 1e-27, (wrt, k, args)


@by_dtype
@given(args=inputs)
def test_per_example_gradients_add_up_to_the_gradient(args: Args, dtype: Any):
    """Σ_i ∇ log p(y_i|x_i) = ∇ll, each with the bound of a sum of n"""
    own, b = as_dtype(args, dtype), bounds(args, dtype)
    whole, each = autodiff_ref.grad(*own), autodiff_ref.per_example_grad(*own)
    for wrt in WRT:
        rows = getattr(each, wrt)
        assert rows.shape == (len(own[2]), len(getattr(own[0], wrt)))
        assert rows.dtype == dtype
        assert_within(rows.sum(axis=0), getattr(whole, wrt), 2 * b.of_jax_grad(wrt), f"Σ of rows, {wrt}", args)


@by_dtype
@given(args=inputs)
def test_each_per_example_gradient_is_the_gradient_of_that_example(args: Args, dtype: Any):
    w, x, y = as_dtype(args, dtype)
    each = autodiff_ref.per_example_grad(w, x, y)
    for i in range(len(y)):
        alone = w, x[i : i + 1], y[i : i + 1]
        b, want = bounds(alone, dtype), autodiff_ref.grad(*alone)
        for wrt in WRT:
            got = getattr(each, wrt)[i]
            assert_within(got, getattr(want, wrt), 2 * b.of_jax_grad(wrt), f"row {i}, {wrt}", args)


@by_dtype
@given(args=inputs)
def test_value_and_grad_gives_the_value_and_the_gradient(args: Args, dtype: Any):
    own, b = as_dtype(args, dtype), bounds(args, dtype)
    value, gradient = autodiff_ref.value_and_grad(*own)
    assert_within(value, autodiff_ref.log_likelihood(*own), 2 * b.of_log_likelihood(), "ll", args)
    for wrt in WRT:
        want = getattr(autodiff_ref.grad(*own), wrt)
        assert_within(getattr(gradient, wrt), want, 2 * b.of_jax_grad(wrt), wrt, args)


@pytest.mark.parametrize("stratum", STRATA)
def test_the_reference_is_finite_everywhere(stratum: str):
    """Saturated and far beyond, where its values lose their digits: never NaN, never infinite"""

    @settings(max_examples=20)
    @given(args=arguments(notes.DOMAIN, stratum, sizes=ONE_SHAPE))
    def check(args: Args):
        for dtype in DTYPES:
            own = as_dtype(args, dtype)
            for f in (autodiff_ref.value_and_grad, autodiff_ref.per_example_grad):
                assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(f(*own)))

    check()


# The Hessian


def hessian_scale(args: Args, v: Any, wrt: str) -> tuple[Any, Any]:
    """(Σ_i of the absolute values of all terms of (∇²ll · v), their K): what bounds its rounding error.

    With ' for the derivative along v: z' = Σ_j w21'[j] h_j + w21[j] σ'(a_j) a_j', a_j' = w1j'ᵀx, and

        (r σ'(a) w21[j] x)' = (−σ'(z) z' σ'(a) w21[j] + r σ''(a) a' w21[j] + r σ'(a) w21'[j]) x
        (r h)'              = −σ'(z) z' h + r σ'(a) a'

    with |σ''| ≤ σ' and |a'| ≤ Σ|w1j' x|. Of each factor the relative error is below ρ of jax.grad's residual, that of its
    own derivative, r (1 − r), below (1 + e^|m|) times as much, and h (1 − h)'s below SIGMA (1 + e^|a|) + 2 + da. A term has
    one residual and at most three other factors, and twice as many multiplications as the gradient's.
    """
    w, x, y = args
    b = bounds(args, np.float64)
    h, r, n = b.h, np.abs(b.r), len(y)
    slope, slope_z = h * (1 - h), r * (1 - r)
    da = np.stack([np.abs(x) @ np.abs(v[0]), np.abs(x) @ np.abs(v[1])], axis=-1)
    dz = h @ np.abs(v[2]) + (slope * da) @ np.abs(w.w21)
    if wrt == "w21":
        terms = slope_z[:, None] * dz[:, None] * h + r[:, None] * slope * da
    else:
        j = ("w11", "w12").index(wrt)
        per_row = slope_z * dz * slope[:, j] * abs(w.w21[j]) + r * slope[:, j] * (da[:, j] * abs(w.w21[j]) + abs(v[2][j]))
        terms = per_row[:, None] * np.abs(x)
    rest = np.max([b.rho_rest(name, "textbook")[:, 0] for name in ("w11", "w12")], axis=0)
    own = x.shape[-1] + 2  # of a' and of the sum z'
    k = b.rho_exp_of_difference * (1 + np.exp(np.abs(b.m))) + 3 * rest + 2 * PRODUCTS + n + own
    k = k + 2 * (np.abs(b.m) + np.abs(b.a).max(axis=-1))
    return terms, k


def exact_hessian_vector_product(args: Args, v: Any, wrt: str) -> list[Any]:
    """(∇ll(w + s v) − ∇ll(w − s v)) / 2s by equation (2), in 50 digits with s = 2⁻⁵³: its error is about s² = 1e-32."""
    w, x, y = args
    with mpmath.workdps(50):
        s = mpmath.mpf(2) ** -53

        def at(sign: int) -> list[Any]:
            moved = [
                [mpmath.mpf(float(a)) + sign * s * mpmath.mpf(float(b)) for a, b in zip(vector, along, strict=True)]
                for vector, along in zip(w, v, strict=True)
            ]
            return exact_gradient((Weights(*moved), x, y), wrt)

        return [(p - q) / (2 * s) for p, q in zip(at(1), at(-1), strict=True)]


@settings(max_examples=20)
@given(args=inputs, other=inputs)
def test_the_hessian_vector_product_is_the_derivative_of_the_gradient_along_v(args: Args, other: Args):
    """∇²ll · v against a difference quotient of equation (2) in 50 digits, within u Σ K_i |terms| as derived above"""
    w = args[0]
    v = Weights(*(np.resize(along, vector.shape) for along, vector in zip(other[0], w, strict=True)))
    got = autodiff_ref.hessian_vector_product(*args, v)
    for wrt in WRT:
        terms, k = hessian_scale(args, v, wrt)
        allowed = HIGHER_ORDER * (terms * k[:, None]).sum(axis=0) * unit_roundoff(np.float64) + 1e-27
        for j, exact in enumerate(exact_hessian_vector_product(args, v, wrt)):
            assert abs(float(getattr(got, wrt)[j]) - exact) <= allowed[j], (wrt, j, args, v)


def test_the_bound_of_the_hessian_sees_a_relative_change_of_1e_9_and_another_direction():
    """At every one of 50 inputs, in some component"""
    for args in many(50, n=4, d=3, largest=5.0):
        w = args[0]
        v = Weights(w.w12, w.w11, w.w21[::-1])
        want = autodiff_ref.hessian_vector_product(*args, v)
        for changed in (
            jax.tree.map(lambda leaf: leaf * (1 + 1e-9), want),
            autodiff_ref.hessian_vector_product(*args, w),
            jax.tree.map(np.negative, want),
        ):
            seen = []
            for wrt in WRT:
                terms, k = hessian_scale(args, v, wrt)
                allowed = HIGHER_ORDER * (terms * k[:, None]).sum(axis=0) * unit_roundoff(np.float64)
                seen.append(np.abs(getattr(changed, wrt) - getattr(want, wrt)) > 2 * allowed)
            assert np.concatenate(seen).any()


# Dtypes, structures, compilations

W = Weights(np.array([0.5, -1.0, 2.0]), np.array([0.25, 2.0, -0.5]), np.array([1.5, -0.5]))
X = np.array([[1.0, 0.5, 0.0], [-0.25, 1.0, 1.5], [2.0, 0.0, 0.5], [0.5, -1.0, 0.25]])
Y = np.array([1.0, -1.0, 1.0, -1.0])
CALLS: list[Any] = [
    (autodiff_ref.log_likelihood, (W, X, Y)),
    (autodiff_ref.grad, (W, X, Y)),
    (autodiff_ref.value_and_grad, (W, X, Y)),
    (autodiff_ref.per_example_grad, (W, X, Y)),
    (autodiff_ref.hessian_vector_product, (W, X, Y, W)),
]
by_call = pytest.mark.parametrize(("f", "args"), CALLS, ids=lambda value: getattr(value, "__name__", ""))


@by_call
@by_dtype
def test_numpy_comes_back_as_numpy_in_its_own_precision(f: Any, args: Any, dtype: Any):
    """float64 is computed in float64 without a global switch, which stays off"""
    leaves = jax.tree.leaves(f(*as_dtype(args, dtype)))
    assert all(isinstance(leaf, np.ndarray) and leaf.dtype == dtype for leaf in leaves)
    assert not jax.config.jax_enable_x64


@by_call
def test_jax_arrays_come_back_as_jax_arrays_of_their_dtype(f: Any, args: Any):
    for dtype in DTYPES:
        with jax.enable_x64(dtype == np.float64):
            leaves = jax.tree.leaves(f(*jax.tree.map(lambda leaf, t=dtype: jnp.asarray(leaf, t), args)))
        assert all(isinstance(leaf, jax.Array) and leaf.dtype == dtype for leaf in leaves)


@by_call
def test_plain_lists_and_integers_are_computed_in_float64(f: Any, args: Any):
    as_lists = (tuple(leaf.tolist() for leaf in args[0]), X.tolist(), Y.astype(int).tolist())
    as_lists = (*as_lists, *(tuple(leaf.tolist() for leaf in v) for v in args[3:]))
    got, want = jax.tree.leaves(f(*as_lists)), jax.tree.leaves(f(*args))
    assert all(a.dtype == np.float64 for a in got)
    assert all(np.array_equal(a, b) for a, b in zip(got, want, strict=True))


def test_a_gradient_has_the_structure_of_the_weights():
    assert isinstance(autodiff_ref.grad(W, X, Y), Weights)
    assert type(autodiff_ref.grad(tuple(W), X, Y)) is tuple
    assert type(autodiff_ref.per_example_grad(tuple(W), X, Y)) is tuple


@by_call
def test_one_compilation_serves_all_inputs_of_a_shape_and_dtype(f: Any, args: Any, monkeypatch: pytest.MonkeyPatch):
    """Tracing runs the Python of the nested function; a call that finds its compilation does not."""
    traced = []
    score = network.score
    monkeypatch.setattr(network, "score", lambda w, x: traced.append(1) or score(w, x))
    rng, n = np.random.default_rng(0), 7  # n = 7 is used nowhere else, so nothing is compiled yet
    v = args[3:]

    def call(dtype: Any) -> int:
        before = len(traced)
        f(*as_dtype((W, rng.random((n, 3)), np.ones(n), *v), dtype))
        return len(traced) - before

    assert call(np.float64) > 0
    assert call(np.float64) == 0
    assert call(np.float32) > 0
    assert [call(dtype) for dtype in (np.float64, np.float32, np.float64)] == [0, 0, 0]


def test_labels_are_not_checked_here():
    """The reference computes what it is given: at y = 0 every p is 1/2 and the gradient 0."""
    assert autodiff_ref.log_likelihood(W, X, 0 * Y) == pytest.approx(-4 * np.log(2), rel=1e-15, abs=0)
    assert not any(leaf.any() for leaf in autodiff_ref.grad(W, X, 0 * Y))
