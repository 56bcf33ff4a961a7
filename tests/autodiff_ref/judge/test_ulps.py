"""Ulps: what one is, and that errors in them agree with mpmath."""

import math

import mpmath
import numpy as np
import pytest
from flint import arb
from hypothesis import assume, example, given
from hypothesis import strategies as st

from autodiff_ref.judge.accuracy.ulps import DTYPES, error_in_ulps, ulp, worst_component
from autodiff_ref.judge.balls import precision

pytestmark = pytest.mark.rounding

WIDTHS = {"float64": 64, "float32": 32}


def normal(dtype):
    info = np.finfo(dtype)
    largest, smallest = float(info.max) / 4, float(info.smallest_normal)
    return st.floats(-largest, largest, width=WIDTHS[dtype]).filter(lambda v: abs(v) >= smallest)


@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data(), steps=st.integers(0, 5))
def test_floats_next_to_each_other_are_one_ulp_apart(dtype, data, steps):
    value = np.dtype(dtype).type(data.draw(normal(dtype)))
    assume(math.frexp(float(value))[0] in (0.5, -0.5) or abs(math.frexp(float(value))[0]) < 1 - 2.0**-20)
    moved = value + steps * np.spacing(value)
    assert error_in_ulps(float(moved), arb(float(value)), dtype) == steps


@pytest.mark.parametrize("dtype", DTYPES)
@given(z=st.floats(-80, 80, width=32))
@example(z=-2.9694412938788387e-18)  # e^z is below 1, where floats are denser, and its double is 1
def test_an_error_is_what_mpmath_says(dtype, z):
    got = float(np.exp(np.dtype(dtype).type(z)))
    with precision(200), mpmath.workprec(200):
        true = mpmath.exp(mpmath.mpf(z))
        exponent = int(mpmath.floor(mpmath.log(true, 2)))
        expected = abs(mpmath.mpf(got) - true) / mpmath.mpf(2) ** (exponent - np.finfo(dtype).nmant)
        assert error_in_ulps(got, arb(z).exp(), dtype) == pytest.approx(float(expected), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
def test_below_the_smallest_normal_number_a_flush_costs_at_most_one_ulp(dtype):
    smallest = float(np.finfo(dtype).smallest_normal)
    assert ulp(arb(smallest) / 3, dtype) == ulp(arb(0), dtype) == smallest
    for share in (0.0, 0.01, 0.99):
        assert error_in_ulps(0.0, share * arb(smallest), dtype) == pytest.approx(share)
    assert error_in_ulps(0.0, arb(smallest), dtype) == 2.0 ** np.finfo(dtype).nmant


@pytest.mark.parametrize("dtype", DTYPES)
def test_nan_and_infinity_are_no_agreement(dtype):
    for wrong in (math.nan, math.inf, -math.inf):
        assert math.isnan(error_in_ulps(wrong, arb(1), dtype))
    assert math.isnan(worst_component(np.array([1.0, math.nan]), (arb(1), arb(1)), dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_where_the_truth_overflows_only_its_infinity_is_right(dtype):
    huge = arb(10) ** 400
    assert error_in_ulps(math.inf, huge, dtype) == error_in_ulps(-math.inf, -huge, dtype) == 0
    assert error_in_ulps(-math.inf, huge, dtype) == error_in_ulps(1.0, huge, dtype) == 2.0 ** (np.finfo(dtype).nmant + 1)


@pytest.mark.parametrize("dtype", DTYPES)
def test_more_than_all_digits_cannot_be_lost(dtype):
    everything = 2.0 ** (np.finfo(dtype).nmant + 1)
    assert error_in_ulps(1e-17, arb(0), dtype) == error_in_ulps(1e30, arb(1), dtype) == everything
    assert everything / 2 <= error_in_ulps(0.0, arb(1.75), dtype) < everything


def test_the_worst_component_counts_and_unknown_ones_do_not():
    assert worst_component(np.array([1.0, 1.0 + 2.0**-51]), (arb(1), arb(1)), "float64") == 2
    assert worst_component(np.array([1.0, 7.0]), (arb(1), None), "float64") == 0
    assert worst_component(np.array([7.0]), (None,), "float64") is None
