"""The reference's own forward pass, judged by mpmath: what is differentiated is the nested function of the notes."""

from typing import Any

import jax
import mpmath
import numpy as np
import pytest
from hypothesis import given

import autodiff_ref
import manual_grad
from autodiff_ref import network
from autodiff_ref.judge.strategies import arguments
from manual_grad import notes
from tests.evaluation import DTYPES, ONE_SHAPE, Args, as_dtype, exact_log_likelihood, in_jax
from tests.rounding import SIGMA, assert_within, bounds, unit_roundoff

pytestmark = pytest.mark.rounding

inputs = arguments(notes.DOMAIN, sizes=ONE_SHAPE)
by_dtype = pytest.mark.parametrize("dtype", DTYPES)


@by_dtype
@given(args=inputs)
def test_the_log_likelihood_equals_the_nested_function_in_50_digits(args: Args, dtype: Any):
    """Σ log σ(y w21ᵀ[σ(w11ᵀx), σ(w12ᵀx)])"""
    w, x, y = args
    got = autodiff_ref.log_likelihood(*as_dtype(args, dtype))
    assert got.dtype == dtype
    with mpmath.workdps(50):
        exact = exact_log_likelihood([[mpmath.mpf(float(v)) for v in vector] for vector in w], x, y)
    assert abs(float(got) - exact) <= bounds(args, dtype).of_log_likelihood()


@by_dtype
@given(args=inputs)
def test_score_and_probability_equal_those_by_hand(args: Args, dtype: Any):
    """z = w21ᵀh to dz; p = σ(yz) to SIGMA + dz, |d log σ| ≤ 1. Twice, for both sides."""
    b, u = bounds(args, dtype), unit_roundoff(dtype)
    own = as_dtype(args, dtype)
    z, p = in_jax(reference, args, dtype)
    assert_within(z, manual_grad.score(*own[:2]), 2.002 * b.dz * u, "score", args)
    by_hand = manual_grad.probability(*own)
    assert_within(p, by_hand, 2.002 * (SIGMA + b.dz) * u * by_hand, "probability", args)


def reference(w: Any, x: Any, y: Any) -> tuple[Any, Any]:
    return network.score(w, x), network.probability(w, x, y)


@given(args=inputs)
def test_the_reference_takes_single_examples_and_plain_tuples(args: Args):
    w, x, y = args
    with jax.enable_x64(True):
        whole = network.score(tuple(w), x)
        assert whole.shape == (len(y),)
        b = bounds(args, np.float64)
        assert_within(network.score(w, x[0]), whole[0], 2.002 * b.dz[0] * unit_roundoff(np.float64), "one example", args)
