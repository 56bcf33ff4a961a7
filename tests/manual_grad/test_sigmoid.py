"""σ, log σ, σ' and the residual over the whole float range: accuracy in ulps, limits, dtypes, derivatives by JAX.

float64 values are judged by mpmath. For float32 the same formulas in float64 stand in for it, a million values in one
call: `test_the_float64_oracle_is_good_to_a_millionth_of_a_float32_ulp` holds them against mpmath first.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from manual_grad import log_sigmoid, log_sigmoid_derivative, residual, sigmoid, sigmoid_derivative
from tests.combinations import combinations
from tests.rounding import EXP, SIGMA, SLOPE, unit_roundoff

pytestmark = pytest.mark.rounding

Values = Any
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "σ": sigmoid,
    "log σ": log_sigmoid,
    "σ'": sigmoid_derivative,
    "d log σ": log_sigmoid_derivative,
    "residual": lambda z: residual(z, 1),
    "residual, y=-1": lambda z: residual(z, -1),
}
DTYPES = [np.float32, np.float64]
# What the issue allows σ, log σ and the residual, and what σ' claims in its docstring
ULPS = dict.fromkeys(FUNCTIONS, 4.0) | {"σ'": 6.0}


def true_value(name: str, z: float) -> Any:
    with mpmath.workprec(160):
        x = mpmath.mpf(float(z))
        t = mpmath.exp(-abs(x))
        upper, lower = 1 / (1 + t), t / (1 + t)  # σ(|x|) and σ(−|x|)
        positive = x >= 0
        return {
            "σ": upper if positive else lower,
            "log σ": -mpmath.log1p(t) if positive else x - mpmath.log1p(t),
            "σ'": upper * lower,
            "d log σ": lower if positive else upper,
            "residual": lower if positive else upper,
            "residual, y=-1": -(upper if positive else lower),
        }[name]


def in_float64(name: str, z: Values) -> Values:
    """The true values, as far as float64 goes: some 4 float64 ulps, 1e-8 float32 ulps."""
    z = z.astype(np.float64)
    t = np.exp(-np.abs(z))
    upper, lower = 1 / (1 + t), t / (1 + t)
    return {
        "σ": np.where(z >= 0, upper, lower),
        "log σ": np.minimum(z, 0) - np.log1p(t),
        "σ'": upper * lower,
        "d log σ": np.where(z >= 0, lower, upper),
        "residual": np.where(z >= 0, lower, upper),
        "residual, y=-1": -np.where(z >= 0, upper, lower),
    }[name]


def every_exponent(dtype: Any, each: int, seed: int = 0) -> Values:
    """Values of both signs in every binade, subnormals too, `each` a binade and four times as many from 2⁻² to 2¹⁰."""
    info, rng = np.finfo(dtype), np.random.default_rng(seed)
    exponents = np.arange(info.minexp - info.nmant, info.maxexp)
    exponents = np.concatenate([exponents, np.repeat(np.arange(-2, 10), 4)])
    with np.errstate(under="ignore"):
        magnitude = (np.exp2(exponents.astype(np.float64))[:, None] * (1 + rng.random((len(exponents), each)))).astype(dtype)
    assert np.all(np.isfinite(magnitude))
    return np.concatenate([magnitude.ravel(), -magnitude.ravel(), np.array([0.0, -0.0], dtype)])


def ulps_float32(name: str, got: Values, z: Values) -> Values:
    """Errors in float32 ulps of the true value, where that is normal."""
    true = in_float64(name, z)
    normal = np.abs(true) >= np.finfo(np.float32).tiny
    ulp = np.exp2(np.floor(np.log2(np.abs(true[normal]))) - np.finfo(np.float32).nmant)
    return np.abs(got[normal].astype(np.float64) - true[normal]) / ulp


def ulps_float64(name: str, got: Values, z: Values) -> Values:
    found = []
    for value, argument in zip(got, z, strict=True):
        true = true_value(name, argument)
        if abs(true) >= np.finfo(np.float64).tiny:
            ulp = mpmath.ldexp(1, mpmath.frexp(true)[1] - 1 - np.finfo(np.float64).nmant)
            found.append(float(abs(mpmath.mpf(float(value)) - true) / ulp))
    return np.array(found)


def under_jax(f: Callable[..., Any], z: Values, jit: bool = True) -> Values:
    with jax.enable_x64(z.dtype == np.float64):
        result = np.asarray((jax.jit(f) if jit else f)(jnp.asarray(z)))
    assert result.dtype == z.dtype
    return result


SWEEP_32 = every_exponent(np.float32, 1000)
SWEEP_64 = every_exponent(np.float64, 1)[::2]


def test_the_float64_oracle_is_good_to_a_millionth_of_a_float32_ulp():
    z = every_exponent(np.float32, 1, seed=1)[::5]
    for name in FUNCTIONS:
        for got, argument in zip(in_float64(name, z), z, strict=True):
            true = true_value(name, argument)
            if abs(true) >= np.finfo(np.float32).tiny:
                assert abs(mpmath.mpf(float(got)) - true) < abs(true) * 2.0**-24 * 1e-6, (name, argument)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_numpy_float32_is_within_4_ulps_at_every_exponent_and_sigma_prime_within_6(name: str):
    """Worst seen: σ 3.5, log σ 3.1, σ' 4.9 (NumPy's float32 exp is good to 2.4)."""
    assert ulps_float32(name, FUNCTIONS[name](SWEEP_32), SWEEP_32).max() <= ULPS[name]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_numpy_float64_is_within_4_ulps_at_every_exponent_and_sigma_prime_within_6(name: str):
    """Worst seen: σ 2.4, log σ 1.7, σ' 4.1."""
    assert ulps_float64(name, FUNCTIONS[name](SWEEP_64), SWEEP_64).max() <= ULPS[name]


@pytest.mark.parametrize("jit", [True, False], ids=["jit", "eager"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_jax_float32_is_within_4_ulps_at_every_exponent_and_sigma_prime_within_6(name: str, jit: bool):
    """Worst seen: σ 2.4, log σ 2.9, σ' 4.0."""
    assert ulps_float32(name, under_jax(FUNCTIONS[name], SWEEP_32, jit), SWEEP_32).max() <= ULPS[name]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_jax_float64_is_within_4_ulps_at_every_exponent_and_sigma_prime_within_6(name: str):
    """Worst seen: σ 2.7, log σ 2.6, σ' 4.1."""
    assert ulps_float64(name, under_jax(FUNCTIONS[name], SWEEP_64), SWEEP_64).max() <= ULPS[name]


@pytest.mark.parametrize(("name", "textbook"), [
    ("σ", lambda z: 1 - 1 / (1 + np.exp(z))),
    ("log σ", lambda z: np.log(1 / (1 + np.exp(-z)))),
    ("σ'", lambda z: (1 / (1 + np.exp(-z))) * (1 - 1 / (1 + np.exp(-z)))),
    ("residual", lambda z: 1 - 1 / (1 + np.exp(-z))),
])  # fmt: skip
def test_the_textbook_forms_fail_the_same_check(name: str, textbook: Callable[..., Any]):
    with np.errstate(all="ignore"):
        assert ulps_float32(name, textbook(SWEEP_32), SWEEP_32).max() > 1000
        assert ulps_float64(name, textbook(SWEEP_64), SWEEP_64).max() > 1000


# The constants of tests/rounding.py: relative errors in units of u, wherever the true value is normal


def as_functions_of_one_variable() -> dict[str, tuple[Callable[..., Any], str, float]]:
    """(function, what it computes, its constant) of all that the bounds of `tests.rounding` rest on, JAX's own included."""
    return {
        "sigmoid": (sigmoid, "σ", SIGMA),
        "log_sigmoid": (log_sigmoid, "log σ", SIGMA),
        "sigmoid_derivative": (sigmoid_derivative, "σ'", SLOPE),
        "jax.grad(sigmoid)": (jax.vmap(jax.grad(sigmoid)), "σ'", SLOPE),
        "jax.grad(log_sigmoid)": (jax.vmap(jax.grad(log_sigmoid)), "d log σ", SLOPE),
        "jax.lax.logistic": (jax.lax.logistic, "σ", SIGMA),
        "-logaddexp(0, -z)": (lambda z: -jnp.logaddexp(0.0, -z), "log σ", SIGMA),
    }


@pytest.mark.parametrize("name", as_functions_of_one_variable())
def test_the_relative_errors_that_the_rounding_bounds_assume_hold_under_jax(name: str):
    f, what, constant = as_functions_of_one_variable()[name]
    assert relative_error_float32(what, under_jax(f, SWEEP_32), SWEEP_32) <= constant
    # jax.nn's own forms leave the normal range earlier than ours: |z| ≤ 700
    z = SWEEP_64[np.abs(SWEEP_64) <= 700]
    errors = relative_errors_float64(what, under_jax(f, z), z)
    assert errors.max() <= constant


@pytest.mark.parametrize("name", ["sigmoid", "log_sigmoid", "sigmoid_derivative"])
def test_the_relative_errors_that_the_rounding_bounds_assume_hold_under_numpy(name: str):
    f, what, constant = as_functions_of_one_variable()[name]
    assert relative_error_float32(what, f(SWEEP_32), SWEEP_32) <= constant
    assert relative_errors_float64(what, f(SWEEP_64), SWEEP_64).max() <= constant


def test_the_relative_error_that_the_rounding_bounds_assume_of_exp_holds():
    z = np.linspace(-87, 87, 400_001, dtype=np.float32)
    true = np.exp(z.astype(np.float64))
    for got in (np.exp(z), under_jax(jnp.exp, z)):
        assert np.max(np.abs(got - true) / true) / unit_roundoff(np.float32) <= EXP
    z = np.linspace(-700, 700, 2001)
    for got in (np.exp(z), under_jax(jnp.exp, z)):
        errors = [abs(mpmath.mpf(float(g)) / mpmath.exp(mpmath.mpf(float(a))) - 1) for g, a in zip(got, z, strict=True)]
        assert max(errors) / unit_roundoff(np.float64) <= EXP


def relative_error_float32(name: str, got: Values, z: Values) -> float:
    true = in_float64(name, z)
    normal = np.abs(true) >= np.finfo(np.float32).tiny
    return float(np.max(np.abs(got[normal] - true[normal]) / np.abs(true[normal])) / unit_roundoff(np.float32))


def relative_errors_float64(name: str, got: Values, z: Values) -> Values:
    found = []
    for value, argument in zip(got, z, strict=True):
        true = true_value(name, argument)
        if abs(true) >= np.finfo(np.float64).tiny:
            found.append(float(abs(mpmath.mpf(float(value)) / true - 1)) / unit_roundoff(np.float64))
    return np.array(found)


# Limits, range, warnings, dtypes

finite = st.floats(allow_nan=False, allow_infinity=False)
LIMITS = {
    "σ": (0.0, 1.0),
    "log σ": (-np.inf, 0.0),
    "σ'": (0.0, 0.0),
    "d log σ": (1.0, 0.0),
    "residual": (1.0, 0.0),
    "residual, y=-1": (0.0, -1.0),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_infinite_arguments_give_the_limits(name: str, dtype: Any):
    z = np.array([-np.inf, np.inf], dtype)
    with np.errstate(all="raise"):
        assert tuple(FUNCTIONS[name](z)) == LIMITS[name]
    assert tuple(under_jax(FUNCTIONS[name], z)) == LIMITS[name]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_nan_gives_nan(name: str, dtype: Any):
    z = np.array([np.nan, np.nan], dtype)
    assert np.isnan(FUNCTIONS[name](z)).all()
    assert np.isnan(under_jax(FUNCTIONS[name], z)).all()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_finite_argument_overflows_is_invalid_or_gives_nan(name: str):
    """A result too small for a normal number may underflow, which NumPy does not warn of by default."""
    for z in (SWEEP_32, SWEEP_64, *(np.array([s * np.finfo(t).max for s in (-1, 1)], t) for t in DTYPES)):
        with np.errstate(over="raise", invalid="raise", divide="raise"):
            assert np.all(np.isfinite(FUNCTIONS[name](z)))
        assert np.all(np.isfinite(under_jax(FUNCTIONS[name], z)))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_results_too_small_for_a_normal_number_are_wrong_by_less_than_one(name: str):
    """NumPy goes through the subnormals, XLA flushes them to 0; neither gives more than the smallest normal number."""
    tiny = np.finfo(np.float32).tiny
    true = in_float64(name, SWEEP_32)
    small = np.abs(true) < tiny
    assert small.sum() > 1000 or name == "log σ"
    for got in (FUNCTIONS[name](SWEEP_32), under_jax(FUNCTIONS[name], SWEEP_32)):
        assert np.all(np.abs(got[small] - true[small]) <= tiny)


@given(z=finite)
@example(z=0.0)
@example(z=-745.2)
@example(z=1.7e308)
@example(z=9.273385559745981e-12)
def test_sigma_and_its_slopes_stay_in_their_ranges(z: float):
    assert 0 <= sigmoid(z) <= 1
    assert log_sigmoid(z) <= 0
    # the maximum 1/4 is met up to the 6 ulps that σ' is accurate to
    assert 0 <= sigmoid_derivative(z) <= 0.25 + 6 * np.spacing(0.25)
    assert 0 <= residual(z, 1) <= 1
    assert -1 <= residual(z, -1) <= 0


@given(z=finite)
@example(z=40.0)
def test_sigma_of_minus_z_is_the_slope_of_log_sigma_and_the_residual_is_odd_in_y_and_z(z: float):
    """d log σ(z) = σ(−z); y σ(−yz) at (z, −1) is minus that at (−z, +1). The same operations, so to the bit."""
    assert log_sigmoid_derivative(z) == sigmoid(-z) == residual(z, 1) == -residual(-z, -1)
    assert sigmoid_derivative(z) == sigmoid_derivative(-z)


@given(z=st.floats(-700, 700))
@example(z=0.0)
def test_sigma_of_z_and_of_minus_z_sum_to_one(z: float):
    """Σ_y σ(yz) = 1: errors of SIGMA u on numbers that sum to 1, and u of the sum."""
    assert abs(sigmoid(z) + sigmoid(-z) - 1) <= (SIGMA + 1) * unit_roundoff(np.float64)


@given(a=finite, b=finite)
def test_sigma_does_not_decrease_beyond_rounding(a: float, b: float):
    low, high = sorted((a, b))
    assert sigmoid(low) <= sigmoid(high) * (1 + 4 * SIGMA * unit_roundoff(np.float64)) + np.finfo(np.float64).tiny


@pytest.mark.parametrize(("name", "shape", "dtype"), combinations(FUNCTIONS, [(), (0,), (3,), (2, 3)], DTYPES))
def test_shape_and_dtype_are_kept(name: str, shape: tuple[int, ...], dtype: Any):
    z = np.ones(shape, dtype)
    for result in (FUNCTIONS[name](z), under_jax(FUNCTIONS[name], z)):
        assert np.shape(result) == shape
        assert result.dtype == dtype


def test_integers_and_booleans_are_converted_to_the_default_floating_dtype():
    for f in FUNCTIONS.values():
        assert f(np.array([0, 1])).dtype == f([0, 1]).dtype == f(np.array([False, True])).dtype == np.float64
        assert f(np.array([0, 1])).tolist() == f(np.array([0.0, 1.0])).tolist()
        assert f(jnp.array([0, 1])).dtype == jnp.float32


@pytest.mark.parametrize("bad", [np.array([1j]), np.array(["1"]), "1", None], ids=["complex", "strings", "string", "None"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_is_not_a_real_number_is_a_type_error(name: str, bad: Any):
    with pytest.raises(TypeError, match="expected real numbers, got an array of dtype"):
        FUNCTIONS[name](bad)


# Derivatives by JAX

AROUND_ZERO = [0.0, -0.0, 5e-324, -5e-324, 1e-300, -1e-300, 1e-9, -1e-9, 2.0**-30, -(2.0**-30)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_the_first_three_derivatives_by_jax_are_exact_at_zero(zero: float, dtype: Any):
    """σ' = 1/4, σ'' = 0, σ''' = −1/8; (log σ)' = 1/2, −1/4, 0"""
    z = np.array(zero, dtype)
    for f, derivatives in ((sigmoid, (0.25, 0.0, -0.125)), (log_sigmoid, (0.5, -0.25, 0.0))):
        for value in derivatives:
            f = jax.grad(f)
            assert float(under_jax(f, z)) == value


def test_that_check_refutes_the_form_with_min_and_abs():
    """min(z, 0) − log1p(e^−|z|), the usual stable form, differentiates to 1 at 0."""
    usual = jax.grad(lambda z: jnp.minimum(z, 0) - jnp.log1p(jnp.exp(-jnp.abs(z))))
    assert float(under_jax(usual, np.array(0.0))) != 0.5


def second_derivatives(z: float) -> tuple[Any, Any]:
    """σ'' = σ'(1 − 2σ), (log σ)'' = −σ'"""
    with mpmath.workprec(160):
        x = mpmath.mpf(float(z))
        t = mpmath.exp(-abs(x))
        slope = t / (1 + t) ** 2
        return slope * (1 - t) / (1 + t) * (-1 if x > 0 else 1), -slope


# Differentiating once more scales SLOPE's terms and adds two products; the worst seen is 7.3
SECOND = SLOPE + 4


@pytest.mark.parametrize("dtype", DTYPES)
def test_first_and_second_derivatives_by_jax_are_right_everywhere(dtype: Any):
    """First ones relatively within SLOPE u; second ones within SECOND u of σ'(z), their scale: σ'' crosses 0 at 0."""
    u = unit_roundoff(dtype)
    sweep = (SWEEP_64 if dtype == np.float64 else SWEEP_32[::211]).astype(dtype)
    limit = -np.log(np.finfo(dtype).tiny) - 2
    z = np.concatenate([np.array(AROUND_ZERO, dtype), sweep[np.abs(sweep) < limit]])
    for f, first, index in ((sigmoid, "σ'", 0), (log_sigmoid, "d log σ", 1)):
        one = under_jax(jax.vmap(jax.grad(f)), z)
        two = {
            "reverse over reverse": under_jax(jax.vmap(jax.grad(jax.grad(f))), z),
            "forward over reverse": under_jax(jax.vmap(jax.jacfwd(jax.grad(f))), z),
        }
        for k, argument in enumerate(z):
            true = true_value(first, argument)
            assert abs(float(one[k]) - true) <= SLOPE * u * true, (first, argument)
            scale = true_value("σ'", argument)
            for how, values in two.items():
                difference = abs(float(values[k]) - second_derivatives(argument)[index])
                assert difference <= SECOND * u * scale, (first, how, argument, float(difference / u / scale))


def test_derivatives_by_jax_beyond_the_normal_range_are_their_limits_and_never_nan():
    for dtype in DTYPES:
        z = np.array([-np.inf, -np.finfo(dtype).max, -1e4, 1e4, np.finfo(dtype).max, np.inf], dtype)
        assert under_jax(jax.vmap(jax.grad(sigmoid)), z).tolist() == [0.0] * 6
        assert under_jax(jax.vmap(jax.grad(log_sigmoid)), z).tolist() == [1.0] * 3 + [0.0] * 3
        for f in (sigmoid, log_sigmoid):
            assert under_jax(jax.vmap(jax.grad(jax.grad(f))), z).tolist() == [0.0] * 6


def test_the_slope_keeps_its_digits_where_s_times_one_minus_s_is_zero():
    """From z = 37 on JAX's own derivative of σ, s(1 − s), is exactly 0 in float64; e^−40 is not."""
    z = np.array([40.0])
    assert under_jax(jax.vmap(jax.grad(jax.nn.sigmoid)), z)[0] == 0
    assert sigmoid_derivative(z)[0] == pytest.approx(np.exp(-40.0), rel=SLOPE * unit_roundoff(np.float64), abs=0)
