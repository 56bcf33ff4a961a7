"""The assertion fails on every gradient that is wrong at an input, and on no right one, however little floats show there."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import autodiff_ref
from autodiff_ref import UndecidedError, assert_derivation, assert_gradients_agree
from autodiff_ref.judge import strategies
from autodiff_ref.judge.inputs import RandomSource, draw_arguments
from autodiff_ref.verify import STRATA
from manual_grad import equation_1, equation_2, grad_w11, indicator, log_likelihood, notes, sigmoid
from tests.combinations import combinations, few_or_many
from tests.compiled import compiled
from tests.evaluation import ONE_SHAPE, as_dtype
from tests.wrong import WRONG_LINES

FEW = settings(max_examples=few_or_many(2, 3), suppress_health_check=list(HealthCheck))


def square(w, x):
    return ((x @ w) ** 2).sum()


def gradient_of_square(w, x):
    return 2 * x.T @ (x @ w)


W, X = np.array([1.0, -0.5]), np.array([[1.0, 2.0], [0.25, -1.0], [3.0, 0.5]])


def with_jax_nabla(line, wrt="w11"):
    """A line of the notes as a plain gradient function, compiled."""

    def gradient(w, x, y):
        return line(w, x, y, nabla=autodiff_ref.nabla(wrt))

    gradient.__name__ = line.__name__
    return jax.jit(gradient)


OF_W11 = [
    with_jax_nabla(notes.line_1a),
    equation_1,
    equation_2,
    notes.line_3b,
    grad_w11,
    jax.jit(grad_w11),
]


# Right ones pass


@pytest.mark.parametrize(("stratum", "dtype"), combinations(STRATA, [np.float64, np.float32]))
def test_right_gradients_of_the_notes_pass_in_every_stratum_or_overflow(stratum: str, dtype: Any):
    @FEW
    @given(strategies.arguments(notes.DOMAIN, stratum, sizes=ONE_SHAPE))
    def check(args):
        for gradient in OF_W11:
            value = gradient(*as_dtype(args, dtype))
            if np.all(np.isfinite(value)):  # 0a, 0b and 1a divide by p and σ, which underflow
                assert_gradients_agree(gradient, log_likelihood, *as_dtype(args, dtype), wrt="w11")

    check()


@pytest.mark.parametrize("sizes", [{"n": 1, "d": 3}, {"n": 4, "d": 1}, {"n": 1, "d": 1}])
def test_right_gradients_pass_at_sizes_of_one(sizes: dict[str, int]):
    @FEW
    @given(strategies.arguments(notes.DOMAIN, "small", sizes=sizes))
    def check(args):
        for gradient in OF_W11:
            assert_gradients_agree(gradient, log_likelihood, *args, wrt="w11")

    check()


def log_sigmoid(z):
    return jnp.sum(jax.nn.log_sigmoid(z))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("form", [
    lambda z: jax.nn.sigmoid(-z),
    lambda z: 1 - jax.nn.sigmoid(z),
    lambda z: 1 / (1 + jnp.exp(z)),
    lambda z: jnp.exp(-z) * jax.nn.sigmoid(z),
    lambda z: 1 / (1 + np.exp(z)),
    lambda z: 1 - 1 / (1 + np.exp(-z)),
], ids=range(6))  # fmt: skip
def test_saturation_is_no_false_alarm(form: Any, dtype: Any):
    """True values down to e^-69 = 1e-30, of which 1 − σ(z) has no digit left"""
    for z in (1.0, 16.0, 37.0, 69.0, -40.0, 0.0):
        assert_gradients_agree(form, log_sigmoid, np.array([z, 0.5], dtype=dtype))


def test_a_mistake_under_saturation_is_found_where_floats_have_no_digit_left():
    z = np.array([40.0])
    for wrong in (lambda z: 2 * (1 - jax.nn.sigmoid(z)), lambda z: jnp.exp(-z) ** 2, lambda z: 0 * z):
        assert float(wrong(z)[0]) < 1e-16
        with pytest.raises(AssertionError, match=r"certified: as real functions they differ by at least 4\.2e-18"):
            assert_gradients_agree(wrong, log_sigmoid, z)


@pytest.mark.parametrize("value", [0.0, 1e-300, 1e200, 1e308])
def test_zeros_and_huge_values_are_no_false_alarm(value: float):
    args = np.full(2, value), np.ones((1, 2))
    with np.errstate(over="ignore"):
        assert_gradients_agree(gradient_of_square, square, *args)
        if value:
            with pytest.raises(AssertionError):
                assert_gradients_agree(lambda w, x: -gradient_of_square(w, x), square, *args)


def test_compiled_code_may_round_otherwise():
    """XLA turns exp(a) exp(b) into exp(a + b), some 500 ulps away"""
    a = np.array([400.3, -300.7]), np.array([-399.9, 301.1])
    of = lambda a, b: jnp.sum(jnp.exp(a + b))  # noqa: E731
    for candidate in (lambda a, b: jnp.exp(a) * jnp.exp(b), jax.jit(lambda a, b: jnp.exp(a) * jnp.exp(b))):
        assert_gradients_agree(candidate, of, *a)


# Wrong ones fail


ONE_OF_A_KIND = {
    "sign_flipped",
    "sigma_of_z_for_sigma_of_m",
    "one_over_p_lost",
    "mean_for_sum",
    "last_example_only",
    "h2_for_h1",
    "logarithm_with_epsilon",
    "probability_clipped",
    "other_weight_w12",
    "hidden_units_swapped",
}
"""by which weights, at which inputs, and how much of the gradient is wrong: the others are like one of these"""


@pytest.mark.parametrize(
    ("wrong", "dtype"),
    [
        pytest.param(
            wrong,
            dtype,
            id=f"{wrong.label}-{dtype.__name__}",
            marks=() if wrong.label in ONE_OF_A_KIND and k % 2 == wide else pytest.mark.explore,
        )
        for k, wrong in enumerate(WRONG_LINES)
        for wide, dtype in enumerate((np.float32, np.float64))
    ],
)
def test_each_mistake_in_the_notes_fails(wrong: Any, dtype: Any):
    source = RandomSource(np.random.default_rng(0))
    args = draw_arguments(notes.DOMAIN, {"n": 4, "d": 3}, wrong.sees, source)
    if wrong.sees == "saturated":  # p is clipped from |z| = 16.1 on
        for weights, value in zip(args[0], (0.0, 0.0, 20.0), strict=True):
            weights[:] = value
    wrt = wrong.derivation.wrt
    is_compiled = dtype == np.float32  # the others run one operation at a time
    candidate = with_jax_nabla(wrong.line, wrt) if is_compiled else wrong.line
    with pytest.raises(AssertionError, match=rf"(?s){wrong.label} is not ∇log_likelihood by .*at w11="):
        assert_gradients_agree(candidate, log_likelihood, *as_dtype(args, dtype), wrt=wrt)


@pytest.mark.parametrize("c", [1e-3, 1e-6, 1e-9, 1e-12, 1e-15])
@pytest.mark.parametrize("n", [1, 10, 1000])
def test_the_smallest_relative_mistakes_are_found(c: float, n: int):
    x = np.linspace(0.1, 1.4, n)
    assert_gradients_agree(jnp.cos, lambda x: jnp.sin(x).sum(), x)
    with pytest.raises(AssertionError, match=r"difference +\d"):
        assert_gradients_agree(lambda x: (1 + c) * jnp.cos(x), lambda x: jnp.sin(x).sum(), x)


def test_one_wrong_component_of_many_is_named():
    def gradient(w, x):
        return gradient_of_square(w, x).at[1].add(1e-9) if isinstance(w, jax.Array) else gradient_of_square(w, x)

    with pytest.raises(AssertionError, match=r"in w\[1\]\n(?s:.*)the other 1 of 2 components agree"):
        assert_gradients_agree(jax.jit(gradient), square, W, X)


def test_the_message_says_what_to_act_on():
    with pytest.raises(AssertionError) as failed:
        assert_gradients_agree(lambda w, x: gradient_of_square(w, x) / 3, square, W, X)
    assert str(failed.value) == (
        "lambda w, x: gradient_of_square(w, x) / 3 is not ∇square\n"
        "  in w[0]\n"
        "    <lambda>    5.625\n"
        "    ∇square     16.875\n"
        "    difference  11.2; certified: as real functions they differ by at least 1.1e+1\n"
        "  and in 1 more of 2 components: w[1]\n"
        "  at w=[1 -0.5]  x=[[1 2] [0.25 -1] [3 0.5]]\n"
        "  every component is 0.3333333 times what it should be: 1/3, and 3 is the length of x along axis 0\n"
        "  next: write its steps as lines of a Derivation; verify(…) then names the first wrong one"
    )


# Nothing can be said


def hinge(w, x):
    return jnp.sum(jnp.maximum(x @ w, 0))


def test_on_a_kink_the_two_sides_may_take_different_derivatives():
    def one(w, x):
        return x.T @ (x @ w >= 0).astype(x.dtype)

    def same(w, x):
        return x.T @ jnp.where(x @ w > 0, 1.0, jnp.where(x @ w == 0, 0.5, 0.0))

    assert_gradients_agree(one, hinge, W + 0.125, X)
    assert_gradients_agree(same, hinge, 0 * W, X)
    with pytest.raises(UndecidedError, match=r"nothing can be said of one and ∇hinge at this input: it lies on a kink"):
        assert_gradients_agree(one, hinge, 0 * W, X)


def test_inside_given_an_undecided_input_is_rejected():
    seen = []

    @settings(max_examples=10, database=None)
    @given(st.sampled_from([0.0, 1.0]))
    def check(scale):
        assert_gradients_agree(lambda w, x: x.T @ (x @ w >= 0).astype(x.dtype), hinge, scale * (W + 0.125), X)
        seen.append(scale)

    check()
    assert set(seen) == {1.0}


def test_a_gradient_that_does_not_exist_is_undecided():
    with pytest.raises(UndecidedError, match="does not exist"):
        assert_gradients_agree(lambda z: 0.5 / jnp.sqrt(z), lambda z: jnp.sum(jnp.sqrt(z)), np.zeros(2))


def test_a_value_drowned_in_rounding_is_undecided_where_nothing_is_traced():
    def untraceable(z):
        return np.array([1 - 1 / (1 + float(np.exp(-v))) for v in compiled(z)])

    def loss(z):
        return jnp.sum(z - jnp.log(1 + jnp.exp(z)) + 0 * z)

    assert_gradients_agree(untraceable, loss, np.array([1.0]))
    with pytest.raises(UndecidedError, match="smaller there than the rounding errors"):
        assert_gradients_agree(untraceable, loss, np.array([60.0]))


# What is no gradient


@pytest.mark.parametrize(("returned", "message"), [
    (lambda w, x: gradient_of_square(w, x)[:1], r"returns shape \(1,\); the gradient .* has shape \(2,\)"),
    (lambda w, x: 0.0, r"returns shape \(\)"),
    (lambda w, x: (gradient_of_square(w, x), 1.0), "return it in the same structure"),
    (lambda w, x: np.array(["a", "b"]), "returns <U1; a gradient is made of real numbers"),
    (lambda w, x: gradient_of_square(w, x) + 0j, "returns complex128"),
    (lambda w, x: gradient_of_square(w, x) * np.nan, r"<lambda> +nan"),
    (lambda w, x: gradient_of_square(w, x) * np.inf, r"<lambda> +inf"),
], ids=range(7))  # fmt: skip
def test_wrong_forms_are_said(returned: Any, message: str):
    with pytest.raises(AssertionError, match=message):
        assert_gradients_agree(returned, square, W, X)


def test_wrong_uses_are_said():
    with pytest.raises(TypeError, match="`candidate` must be a function, got array"):
        assert_gradients_agree(W, square, W, X)
    with pytest.raises(TypeError, match="has no argument of that name"):
        assert_gradients_agree(gradient_of_square, square, W, X, wrt="v")
    for whole, made in ((np.array([1, 2]), r"w\.astype\(float\)"), (3, r"float\(w\)")):
        with pytest.raises(TypeError, match=rf"^`w` holds whole numbers \(int64\), .*floating numbers: make it {made}$"):
            assert_gradients_agree(gradient_of_square, square, whole, X)
    with pytest.raises(TypeError, match=r"^`x` holds whole numbers"):
        assert_gradients_agree(gradient_of_square, square, W, np.ones((3, 2), int), wrt="x")
    with pytest.raises(AssertionError, match=r"swapped, write assert_gradients_agree\(gradient_of_square, square, …\)$"):
        assert_gradients_agree(square, gradient_of_square, W, X)


# assert_derivation


def sign_lost(z, y, nabla):
    """I(y=1) + σ(z)"""
    return indicator(y) + sigmoid(z)


SIGN_LOST = notes.RESIDUAL.with_lines(*notes.RESIDUAL.lines[:1], sign_lost, name="the sign lost")


def test_assert_derivation_passes_and_fails_with_the_report():
    assert_derivation(notes.RESIDUAL, examples=20)
    with pytest.raises(AssertionError, match=r"(?s)the sign lost is not verified\n.*REFUTED.*wrong first at sign_lost"):
        assert_derivation(SIGN_LOST, examples=20, shrink=False)


def test_assert_derivation_inside_given():
    @settings(max_examples=2, deadline=None, database=None)
    @given(st.integers(0, 3))
    def check(seed):
        assert_derivation(notes.RESIDUAL, seed=seed, examples=10, prove=False, floats=False)
        with pytest.raises(AssertionError):
            assert_derivation(SIGN_LOST, seed=seed, examples=10, prove=False, suspects=False, shrink=False, floats=False)

    check()


def doubled_in_place(w):
    w *= 2
    return w


def one_by_one(w):
    for k, v in enumerate(compiled(w)):
        w[k] = 2 * v
    return w


@pytest.mark.parametrize("right", [doubled_in_place, one_by_one], ids=["traced", "not traced"])
def test_a_gradient_that_writes_into_its_argument_is_judged_where_it_was_called(right):
    w = np.array([1.0, 2.0, 3.0])
    for _ in range(2):
        assert_gradients_agree(right, lambda w: jnp.sum(w**2), w)
        with pytest.raises(AssertionError, match=r"at w=\[1 2 3\]"):
            assert_gradients_agree(lambda w: 2 * right(w), lambda w: jnp.sum(w**2), w)
    assert w.tolist() == [1, 2, 3]


def test_a_gradient_wrong_at_equal_numbers_only_is_wrong_there():
    with pytest.raises(AssertionError, match="certified"):
        assert_gradients_agree(lambda w: jnp.where(w == 0, 7.0, 2 * w), lambda w: jnp.sum(w**2), np.array([0.0, 1.0]))


@settings(max_examples=few_or_many(3, 6))
@given(st.integers(1, 3), st.integers(2, 4), st.sampled_from([0.0, 1.0, -2.5]))
def test_where_equal_numbers_make_no_kink_a_wrong_gradient_is_refuted(m, k, z):
    """z − max z ties, and the loss is smooth: how the tie is decided cancels."""

    def probabilities(z):
        e = jnp.exp(z - jnp.max(z, axis=1, keepdims=True))
        return e / jnp.sum(e, axis=1, keepdims=True)

    def loss(z):
        return -jnp.sum(jnp.log(probabilities(z)[:, 0]))

    def right(z):
        return probabilities(z) - jnp.eye(k)[0]

    equal = np.full((m, k), z)
    assert_gradients_agree(right, loss, equal)
    with pytest.raises(AssertionError, match="certified"):
        assert_gradients_agree(lambda z: 2 * right(z), loss, equal)


def absolute(w):
    return jnp.sum(jnp.abs(w))


def sign(w, at_0):
    return jnp.where(w == 0, at_0, jnp.sign(w))


def test_at_a_kink_another_derivative_than_jax_s_is_undecided():
    w = np.array([0.0, 3.0])
    assert_gradients_agree(lambda w: sign(w, jax.grad(jnp.abs)(0.0)), absolute, w)
    with pytest.raises(UndecidedError, match="kink"):
        assert_gradients_agree(lambda w: sign(w, 0.25), absolute, w)


@settings(max_examples=few_or_many(5, 25))
@given(st.integers(2, 4).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n - 1))), st.sampled_from([0.5, -2.0, 3.0]))
def test_a_kink_in_one_entry_hides_no_mistake_in_another(place, x):
    n, k = place
    w = np.where(np.arange(n) == k, 0.0, x)
    with pytest.raises(AssertionError, match="certified"):
        assert_gradients_agree(lambda w: jnp.where(w == x, 3.0, 1.0) * sign(w, 0.25), absolute, w)
