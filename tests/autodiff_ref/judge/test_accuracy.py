"""Errors of lines in ulps: small where a line keeps its digits, large where it does not, and NaN where it is NaN."""

import json
import re
from dataclasses import replace

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from autodiff_ref import verify
from autodiff_ref.judge.accuracy.computing import Compiled, by_numpy
from autodiff_ref.judge.accuracy.measure import accuracy
from autodiff_ref.judge.accuracy.survey import Surveyor
from autodiff_ref.judge.inputs import STRATA, Input
from manual_grad import Derivation, Weights, grad_w12, notes, reals

pytestmark = pytest.mark.rounding

DTYPES = ("float64", "float32")


def square(z):
    return z * z


def twice(z):
    """2 z"""
    return 2 * z


def twice_again(z):
    """2 z"""
    return 2 * z


def cancelling(z):
    """2 ((z + b) − b),  b = 2^60 (2 + cos z)"""
    b = 2.0**60 * (2 + jnp.cos(z))
    return 2 * ((z + b) - b)


def cancelling_by_a_constant(z):
    """2 ((z + 2^45) − 2^45)"""
    return 2 * ((z + 2.0**45) - 2.0**45)


def overflowing(z):
    """2 z e^(10 z²) / e^(10 z²)"""
    return 2 * z * jnp.exp(10 * z * z) / jnp.exp(10 * z * z)


SQUARE = Derivation(
    "d z²/dz",
    of=square,
    wrt="z",
    domain=(reals(),),
    lines=[twice, twice_again, cancelling, cancelling_by_a_constant, overflowing],
)


@pytest.fixture(scope="module")
def of_square():
    return accuracy(SQUARE)


@pytest.fixture(scope="module")
def of_residual():
    return accuracy(notes.RESIDUAL)


def test_the_accurate_residual_keeps_its_digits_in_every_stratum(of_residual):
    for dtype in DTYPES:
        for way in ("compiled", "numpy"):
            measured = of_residual["claim_e"][dtype][way]
            assert set(measured["strata"]) == set(STRATA) - {"equal"}
            assert measured["nan"] == 0
            assert all(stratum["worst"] <= 4 for stratum in measured["strata"].values())  # as its docstring says


def test_one_minus_sigma_loses_digits_and_the_stratum_is_named(of_residual):
    for dtype in DTYPES:
        measured = of_residual["claim_c"][dtype]["compiled"]
        assert measured["worst"] > 2.0**10
        assert measured["stratum"] in ("saturated", "far")
        assert measured["strata"]["small"]["worst"] <= 4
        assert measured["median"] < measured["worst"]


def test_a_cancelling_line_is_seen_to_lose_its_digits(of_square):
    for dtype in DTYPES:
        assert of_square["twice"][dtype]["compiled"]["worst"] == 0
        assert of_square["cancelling"][dtype]["compiled"]["median"] > 2.0**10


def is_folded(dtype):
    """Whether XLA makes 2 ((z + 2^45) − 2^45) into 2 z."""
    with jax.enable_x64(True):
        compiled = jax.jit(cancelling_by_a_constant).lower(jnp.zeros((), dtype)).compile()
    return " add(" not in compiled.as_text()


def test_each_way_of_computing_is_measured_as_it_is(of_square):
    for dtype in DTYPES:
        measured = of_square["cancelling_by_a_constant"][dtype]
        assert measured["numpy"]["median"] > 2.0**10
        if is_folded(dtype):  # jax 0.10's XLA subtracts the constants from each other before it adds
            assert measured["compiled"]["worst"] == 0
        else:
            assert measured["compiled"]["median"] > 2.0**10


def test_nan_is_counted_and_is_no_agreement(of_square):
    for dtype in DTYPES:
        measured = of_square["overflowing"][dtype]["compiled"]
        assert 0 < measured["nan"] < measured["inputs"]
        assert measured["nan"] == sum(stratum["nan"] for stratum in measured["strata"].values())
        assert measured["strata"]["far"]["nan"] > measured["strata"]["far"]["inputs"] / 2
        assert measured["worst"] < 2.0**10  # of the rest


def test_equal_functions_have_equal_ulps(of_square):
    assert of_square["twice"] == of_square["twice_again"]


def test_lines_of_jax_do_not_run_on_numpy(of_square, of_residual):
    assert of_square["overflowing"]["float64"]["numpy"] is None
    assert of_square["twice"]["float64"]["numpy"]["worst"] == 0
    assert of_residual["claim_b"]["float64"]["numpy"] is None  # leaves ∇yz, which by_hand does not know
    assert of_residual["claim_c"]["float64"]["numpy"] is not None


def test_a_default_nabla_is_asked_for_the_derivative_in_question():
    args = (Weights(np.array([0.5, -1.0]), np.array([0.25, 2.0]), np.array([1.0, -0.5])), np.eye(2), np.array([1.0, -1.0]))
    (row,) = by_numpy(notes.line_2b, "w12", "float64", [args])
    np.testing.assert_allclose(row, grad_w12(*args), rtol=1e-12)


def test_errors_agree_with_mpmath_for_a_scalar():
    inputs = [Input("given", (np.asarray(z), np.asarray(y))) for z in (0.25, 3.0, 9.5, 20.0, 33.0) for y in (-1.0, 1.0)]
    found = accuracy(notes.RESIDUAL.with_lines(notes.claim_c), inputs=inputs)["claim_c"]
    for dtype in DTYPES:
        measured = found[dtype]["compiled"]
        with jax.enable_x64(dtype == "float64"), mpmath.workdps(40):
            errors = []
            for z, y in (given.args for given in inputs):
                got = jax.jit(notes.claim_c)(jnp.asarray(z, dtype=dtype), jnp.asarray(y, dtype=dtype))
                true = mpmath.mpf(float(y)) / (1 + mpmath.exp(mpmath.mpf(float(y * z))))
                ulp = mpmath.mpf(2) ** (mpmath.floor(mpmath.log(abs(true), 2)) - np.finfo(dtype).nmant)
                errors.append(float(abs(mpmath.mpf(float(got)) - true) / ulp))
        assert measured["worst"] == pytest.approx(max(errors))
        assert measured["median"] == pytest.approx(np.median(errors))
        assert measured["inputs"] == len(inputs)


def test_compiling_lines_together_changes_none_of_them():
    inputs = [(np.asarray(z), np.asarray(y)) for z in (-40.0, -3.0, 0.5, 800.0) for y in (-1.0, 1.0)]
    lines = {line.__name__: line for line in (notes.claim_a, notes.claim_c, notes.claim_d)}
    together = Compiled(lines, "z", "float64")(inputs)
    for label, line in lines.items():
        np.testing.assert_array_equal(together[label], Compiled({label: line}, "z", "float64")(inputs)[label])


TWO = np.array([2.0, 0.0])


def twice_by_an_array(z):
    """2 z, the 2 from an array made outside"""
    return jnp.sum(z * TWO[None, :])


def test_a_line_that_jax_cannot_compile_is_left_out_with_the_reason():
    """As long as JAX fails at this; should it no longer, it must be measured."""
    derivation = SQUARE.with_lines(twice, twice_by_an_array)
    found, surveyor = accuracy(derivation), Surveyor(derivation)
    assert found["twice"]["float32"]["compiled"]["worst"] == 0
    assert found["twice_by_an_array"]["float64"]["compiled"]["worst"] == 0
    measured = found["twice_by_an_array"]["float32"]["compiled"]
    ((survey,),) = [surveyor.survey("float32")]
    left_out = "twice_by_an_array" in survey.left_out
    assert left_out == (measured is None)
    assert left_out != ("twice_by_an_array" in [curve.label for curve in survey.curves])
    assert not left_out or "JAX cannot compile it in float32" in survey.left_out["twice_by_an_array"]


# Along paths


def regions(curve, level):
    return [(region.low, region.high) for region in curve.regions[level]]


@pytest.mark.parametrize(
    ("dtype", "underflow", "nothing_left"), [("float64", (708, 746), 36.7), ("float32", (87, 104), 16.6)]
)
def test_where_the_last_claim_of_the_notes_loses_its_digits(dtype, underflow, nothing_left):
    negative, positive = Surveyor(notes.RESIDUAL).survey(dtype)
    at = {curve.label: curve for curve in positive.curves}
    # 1/σ · σ' is 0/0 once e^z has underflowed; XLA flushes subnormals, other machines need not
    ((low, high),) = regions(at["claim_a"], "nan")
    assert low is None
    assert underflow[0] <= -high <= underflow[1]
    for label in ("claim_b", "claim_c", "claim_d"):
        ((low, high),) = regions(at[label], "lost")
        assert 6 < low < 9
        assert underflow[0] <= high <= underflow[1]
        ((low, _),) = regions(at[label], "no digit")
        assert low == pytest.approx(nothing_left, abs=0.4)
    assert not any(at["claim_e"].regions.values())
    assert at["claim_e"].worst <= 4
    at = {curve.label: curve for curve in negative.curves}
    assert not any(at["claim_d"].regions.values())
    assert regions(at["claim_c"], "lost")


def test_the_region_of_nan_and_that_of_lost_digits_of_a_planted_line():
    (found,) = Surveyor(SQUARE).survey()
    at = {curve.label: curve for curve in found.curves}
    (below, above) = at["overflowing"].regions["nan"]
    assert below.low is None
    assert above.high is None
    assert above.low == pytest.approx(8.408, abs=0.01)  # 2 z e^(10 z²) is the largest float
    lost = regions(at["cancelling"], "lost")
    assert lost[0][0] is lost[-1][1] is None  # z + b is rounded to multiples of 256 and coarser
    assert not any(at["twice"].regions.values())


# In the judge's report


def test_a_report_has_ulps_where_they_were_asked_for():
    report = verify(notes.RESIDUAL, examples=8, accuracy=True, prove=False, suspects=False)
    written = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    ulps = {line["label"]: line["ulps"] for line in written["lines"]}
    assert ulps["claim_e"]["float64"]["compiled"]["worst"] <= 4
    assert {region["given"] for region in ulps["claim_c"]["float32"]["compiled"]["regions"]} == {"y=−1", "y=+1"}
    said = " ".join(str(report).split())
    assert re.search(r"float64, compiled, claim_a: NaN where z ≥ 7\d\d \(y=−1\), z ≤ −7\d\d \(y=\+1\)", said)
    lost = r"no digit right where 36\.\d ≤ z ≤ 7\d\d \(y=\+1\); more than 2\^10 ulps off where 7\."
    assert re.search(f"float64, compiled, claim_d: {lost}", said)
    assert "float64, compiled, claim_e: nowhere along z more than 2^10 ulps off" in said
    assert re.search(
        r"float32, compiled, worst error in ulps at the inputs tried \(median\): claim_a .* claim_e [\d.]+ \([\d.]+\)", said
    )
    assert all(line.ulps is None for line in verify(notes.RESIDUAL, examples=8, prove=False, suspects=False).lines)


def test_where_no_input_is_left_in_float32_a_report_says_so():
    only = SQUARE.with_lines(twice)
    picky = replace(only, where=lambda z: float(z) == 0.1)
    report = verify(picky, inputs=[Input("given", (np.asarray(0.1),))], accuracy=True, prove=False, suspects=False)
    assert report.ok
    assert "accuracy was not measured: no input fulfils `where` once it is rounded to float32" in report.notes
    assert report.lines[0].ulps is None
