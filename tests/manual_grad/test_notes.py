"""The notes' equations are true: each line against jax.grad, as properties of random inputs, to rounding.

How far apart two computed values may be is derived in `tests.rounding`; `tests/test_rounding.py` shows that it catches
every planted mistake and a relative change of 1e-9.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

import autodiff_ref
from autodiff_ref import nabla
from autodiff_ref.judge.strategies import arguments
from manual_grad import (
    Weights,
    by_hand,
    equation_1,
    equation_2,
    indicator,
    notes,
    residual,
    sigmoid,
)
from tests.combinations import combinations, exploring
from tests.evaluation import (
    DERIVATIONS,
    DTYPES,
    ONE_SHAPE,
    WRT,
    Args,
    as_dtype,
    bound_of,
    difference_quotient,
    every_gradient,
    in_jax,
    many,
)
from tests.rounding import SIGMA, SLOPE, assert_within, bounds, exceeds, unit_roundoff

pytestmark = pytest.mark.rounding

inputs = arguments(notes.DOMAIN, sizes=ONE_SHAPE)
by_wrt = pytest.mark.parametrize("wrt", WRT)
by_dtype = pytest.mark.parametrize("dtype", DTYPES)


def jax_grad(args: Args, dtype: Any, wrt: str) -> Any:
    return getattr(autodiff_ref.grad(*as_dtype(args, dtype)), wrt)


# Equations (1) and (2), and all the others


@by_dtype
@given(args=inputs)
def test_equation_1_equals_jax_grad(args: Args, dtype: Any):
    """∇_{w11} ll = Σ (1 − σ(y w21ᵀh)) y ∇ w21ᵀh, by NumPy alone, ∇ w21ᵀh by hand."""
    b = bounds(args, dtype)
    got = equation_1(*as_dtype(args, dtype))
    assert got.dtype == dtype
    assert_within(
        got, jax_grad(args, dtype, "w11"), b.of_line("line_1c", "w11") + b.of_jax_grad("w11"), "equation (1)", args
    )


@by_dtype
@given(args=inputs)
def test_equation_2_equals_jax_grad(args: Args, dtype: Any):
    """∇_{w11} ll = Σ (I(y=1) − σ(w21ᵀh)) ∇ w21ᵀh, by NumPy alone, ∇ w21ᵀh by hand."""
    b = bounds(args, dtype)
    got = equation_2(*as_dtype(args, dtype))
    assert got.dtype == dtype
    assert_within(
        got, jax_grad(args, dtype, "w11"), b.of_line("line_2b", "w11") + b.of_jax_grad("w11"), "equation (2)", args
    )


@pytest.mark.parametrize(("wrt", "dtype"), combinations(WRT, DTYPES[::-1]))
@given(args=inputs)
def test_every_line_and_the_closed_form_equal_jax_grad(args: Args, wrt: str, dtype: Any):
    """All lines from 0a to the last, their ∇ by JAX, compiled; and `manual_grad.gradients`."""
    b, found = bounds(args, dtype), in_jax(every_gradient(wrt), args, dtype)
    want = jax_grad(args, dtype, wrt)
    assert len(found) == len(DERIVATIONS[wrt].lines) + 2
    for name, got in found.items():
        assert got.dtype == dtype
        assert_within(got, want, bound_of(name, b, wrt) + b.of_jax_grad(wrt), f"{name} by {wrt}", args)


@settings(max_examples=2)
@given(args=arguments(notes.DOMAIN, sizes={"n": 4, "d": 3}))
def test_the_lines_that_numpy_does_not_run_equal_jax_grad_where_nothing_is_compiled(args: Args):
    """Operation by operation, as one would type it, where XLA cannot rearrange anything. Slow, so for w11 alone, and for the
    lines above those that NumPy runs below.
    """
    b = bounds(args, np.float64)
    for line in notes.W11.lines[: 4 if not exploring() else None]:
        got = in_jax(lambda *own, line=line: line(*own, nabla("w11")), args, np.float64, jit=False)
        allowed = b.of_line(line.__name__, "w11") + b.of_jax_grad("w11")
        assert_within(got, jax_grad(args, np.float64, "w11"), allowed, line.__name__, args)


@by_dtype
@by_wrt
@given(args=inputs)
def test_every_line_that_leaves_by_hand_a_nabla_it_knows_equals_jax_grad_in_numpy(args: Args, wrt: str, dtype: Any):
    """Lines 1c to the last run on NumPy alone; those above leave ∇p, ∇σ(m) or ∇m, which by_hand does not know."""
    b, want = bounds(args, dtype), jax_grad(args, dtype, wrt)
    ran = []
    for line in DERIVATIONS[wrt].lines:
        try:
            got = line(*as_dtype(args, dtype), lambda f: by_hand(f, wrt))
        except NotImplementedError:
            continue
        ran.append(line.__name__)
        assert got.dtype == dtype
        allowed = b.of_line(line.__name__, wrt) + b.of_jax_grad(wrt)
        assert_within(got, want, allowed, f"{line.__name__} by {wrt} in NumPy", args)
    assert ran == DERIVATIONS[wrt].labels[4:]


@by_wrt
@settings(max_examples=15)
@given(args=inputs)
def test_every_line_equals_a_difference_quotient_in_50_digits(args: Args, wrt: str):
    """An oracle that is no automatic differentiation, nor anybody's formula for a gradient; jax.grad is judged too."""
    b, exact = bounds(args, np.float64), difference_quotient(args, wrt)
    for name, got in in_jax(every_gradient(wrt), args, np.float64).items():
        for k, allowed in enumerate(bound_of(name, b, wrt)):
            assert abs(float(got[k]) - exact[k]) <= allowed + 1e-27, (name, k, args)


def test_the_default_nabla_of_each_line_is_by_the_weight_vector_it_is_for():
    """`line_3c_w12(w, x, y)` and its like are called without ∇: for w12 it is by_hand's ∇_{w12}, elsewhere ∇_{w11}."""
    w = Weights(np.array([0.5, -1.0]), np.array([0.25, 2.0]), np.array([1.5, -0.5]))
    x, y = np.array([[1.0, 0.5], [-0.25, 1.0], [2.0, 0.0]]), np.array([1.0, -1.0, 1.0])
    for wrt in WRT:
        b = bounds((w, x, y), np.float64)
        for line in DERIVATIONS[wrt].lines[6:] if wrt != "w11" else notes.W11.lines[4:]:
            allowed = b.of_line(line.__name__, wrt) + b.of_jax_grad(wrt)
            assert_within(line(w, x, y), jax_grad((w, x, y), np.float64, wrt), allowed, line.__name__)


# The condition under which each line is true, from both sides


@by_wrt
@given(args=inputs, value=st.sampled_from([2.0, -0.5, 0.0]))
def test_lines_0a_to_equation_1_are_true_for_any_real_y(args: Args, value: float, wrt: str):
    """Labels are checked where values are known; compiled, the lines see y = 2, −1/2 and 0."""
    w, x, y = args
    args = (w, x, np.where(y > 0, value, y))
    b, found = bounds(args, np.float64), in_jax(every_gradient(wrt), args, np.float64)
    for label in ("line_0a", "line_0b", "line_1a", "line_1b", "line_1c"):
        allowed = b.of_line(label, wrt) + b.of_jax_grad(wrt)
        assert_within(found[label], found["jax.grad"], allowed, f"{label} by {wrt} at y = {value}", args)


@by_wrt
@by_dtype
@pytest.mark.parametrize("value", [2.0, -0.5, 0.0])
def test_equation_2_and_what_follows_are_refuted_where_y_is_not_a_sign(value: float, wrt: str, dtype: Any):
    """There I(y=1) − σ(z) is −σ(z), whatever y. Seen at every input of a sweep, so it is seen by the check above."""
    for w, x, y in many(20, n=4, d=3, largest=5.0):
        args = (w, x, np.where(y > 0, value, y))
        b, found = bounds(args, dtype), in_jax(every_gradient(wrt), args, dtype)
        for line in DERIVATIONS[wrt].lines[5:]:
            label = line.__name__
            assert exceeds(found[label], found["jax.grad"], b.of_line(label, wrt) + b.of_jax_grad(wrt)), (label, args)


# The scalar claim

scores = st.floats(-8, 8, width=32)
signs = st.sampled_from([-1.0, 1.0])


def case_analysis(z: float, y: float, dtype: Any) -> tuple[Any, Any, float]:
    """(1 − σ(yz)) y, I(y=1) − σ(z), and what rounding allows between them.

    Errors of σ by SIGMA u relative, so at most SIGMA u; those of the subtractions and the product with y: 3 u |y| in all.
    """
    z, y = dtype(z), dtype(y)
    return notes.claim_c(z, y), notes.claim_d(z, y), (1 + abs(float(y))) * (SIGMA + 3) * unit_roundoff(dtype)


@by_dtype
@given(z=scores, y=signs)
@example(z=0.0, y=1.0)
def test_the_case_analysis_holds_for_both_labels(z: float, y: float, dtype: Any):
    """(1 − σ(yz)) y = I(y=1) − σ(z)"""
    left, right, allowed = case_analysis(z, y, dtype)
    assert left.dtype == right.dtype == dtype
    assert_within(left, right, allowed, "(1 − σ(yz)) y", (z, y))


@by_dtype
@pytest.mark.parametrize("y", [0.0, 2.0, -2.0, 0.5])
@given(z=scores)
def test_the_case_analysis_fails_for_what_is_no_label(z: float, y: float, dtype: Any):
    """At y = 0 it says 0 = −σ(z), at y > 0 that a positive number equals −σ(z); at y = −2 it is true at one z only."""
    left, right, allowed = case_analysis(z, y, dtype)
    # −2σ(2z) = −σ(z) where 2(1 + e^−z) = 1 + e^−2z, which is at e^−z = 1 + √2
    assume(y != -2.0 or abs(z + np.log(1 + np.sqrt(2))) > 1e-3)
    assert abs(float(left) - float(right)) > allowed


@by_dtype
@given(z=scores, y=signs)
@example(z=0.0, y=1.0)
@example(z=-0.0, y=-1.0)
def test_d_log_sigma_of_yz_by_z_is_the_residual(z: float, y: float, dtype: Any):
    """d log σ(yz)/dz = I(y=1) − σ(z): every line of the claim, its ∇ by JAX, against jax.grad of manual_grad's log σ(yz)
    and of JAX's own −logaddexp(0, −yz).

    Absolute errors, since values are at most 1: SIGMA + 1 of a difference from 1; SLOPE of jax.grad (the exponent
    −m − L of logaddexp's is wrong by (L (SIGMA + 1) + |m|) u); 2 SIGMA + SLOPE + 3 where 1/σ meets σ'.
    """
    found = in_jax(scalar_claims, (z, y), dtype)
    u, m = unit_roundoff(dtype), y * z
    loss, value = np.logaddexp(0.0, -m), 1 / (1 + np.exp(m))
    by_jax = [SLOPE * u * value, (SLOPE + loss * (SIGMA + 1) + abs(m)) * u * value]
    allowed = dict.fromkeys(("claim_b", "claim_c", "claim_d"), 2 * (SIGMA + 1) * u)
    allowed |= {"claim_a": (2 * SIGMA + SLOPE + 3) * u * value, "claim_e": SIGMA * u * value}
    for name, own in allowed.items():
        for want, of_want in zip(found["jax.grad"], by_jax, strict=True):
            assert_within(found[name], want, own + of_want, name, (z, y))


def scalar_claims(z: Any, y: Any) -> dict[str, Any]:
    found: dict[str, Any] = {line.__name__: line(z, y, nabla("z")) for line in notes.RESIDUAL.lines}
    found["jax.grad"] = [
        jax.grad(notes.log_probability)(z, y),
        jax.grad(lambda z: -jnp.logaddexp(jnp.zeros_like(z), -y * z))(z),
    ]
    return found


@given(z=scores, y=signs)
def test_the_accurate_residual_is_the_indicator_minus_sigma(z: float, y: float):
    """y σ(−yz) = I(y=1) − σ(z), in NumPy alone"""
    allowed = (2 * SIGMA + 1) * unit_roundoff(np.float64)
    assert_within(residual(z, y), indicator(y) - sigmoid(z), allowed, "residual", (z, y))
