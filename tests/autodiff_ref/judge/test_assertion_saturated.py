"""Code that cannot be traced, where all of its digits are lost: no false alarm, and no mistake is passed over."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import Phase, given, settings

from autodiff_ref import assert_gradients_agree
from autodiff_ref.judge import strategies
from autodiff_ref.judge.assertion.asserting import UndecidedError
from manual_grad import reals, signs
from tests.compiled import compiled

DOMAIN = reals("d"), reals("n", "d"), signs("n")


def log_sigmoid(z: Any) -> Any:
    return jax.nn.log_sigmoid(z)


def of_python(z: Any) -> Any:
    """σ(−z) as 1 − σ(z), in Python's floats"""
    return np.float64(1 - 1 / (1 + math.exp(-compiled(z))))


def in_its_own_floats(z: Any) -> Any:
    """The same in NumPy's, with a branch"""
    z = compiled(z)
    return 1 - 1 / (1 + np.exp(-z)) if z < 1e9 else z * 0


def zero(z: Any) -> Any:
    z = compiled(z)
    return z * 0 if z < 1e9 else z


def half_a_digit(z: Any) -> Any:
    """Right up to z = 30, and 1.5 times too large from there on, where floats still have digits"""
    z = compiled(z)
    return np.float64(math.exp(-z) / (1 + math.exp(-z)) * (1.5 if z > 30 else 1.0))


def outcome(candidate: Any, z: Any) -> str:
    try:
        assert_gradients_agree(candidate, log_sigmoid, z)
    except (AssertionError, UndecidedError) as error:
        return type(error).__name__
    return "agrees"


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("right", [of_python, in_its_own_floats])
def test_one_minus_sigmoid_is_never_refused(right: Any, dtype: Any):
    outcomes = [outcome(right, dtype(z)) for z in (0.5, 5, 20, 30, 37, 44, 50, 100, 300, 700)]
    assert set(outcomes) == {"agrees", "UndecidedError"}
    assert outcomes[:2] == ["agrees", "agrees"]
    assert outcomes[-1] == "UndecidedError"


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("z", [5, 20, 30, 50, 300])
def test_zero_for_it_is_refused_where_it_is_not_what_floats_make_of_it(z: float, dtype: Any):
    is_lost = math.exp(-z) < np.finfo(dtype).smallest_subnormal
    assert outcome(zero, dtype(z)) == ("UndecidedError" if is_lost else "AssertionError")


def test_a_mistake_in_saturation_alone_is_refused_where_the_code_has_digits():
    assert outcome(half_a_digit, np.float64(25.0)) == "agrees"
    assert outcome(half_a_digit, np.float64(31.0)) == "AssertionError"


def loss(w: Any, x: Any, y: Any) -> Any:
    return jnp.sum(jnp.log1p(jnp.exp(-y * (x @ w))))


def one_by_one(w: Any, x: Any, y: Any, factor: float = 1.0) -> Any:
    """Equation (1) in a loop of Python's"""
    w, made = compiled(w), np.zeros_like(w)
    for row, label in zip(x, y, strict=True):
        m = float(label * (row @ w))
        made -= factor * (1 - (1 / (1 + math.exp(-m)) if m > -700 else 0.0)) * label * row
    return made


@settings(max_examples=30, deadline=None)
@given(strategies.arguments(DOMAIN, "saturated"))
def test_a_loop_is_never_refused_in_saturation(args: Any):
    assert_gradients_agree(one_by_one, loss, *args)


@pytest.mark.parametrize("stratum", ["ordinary", "saturated"])
def test_a_loop_off_by_one_part_in_a_million_is_refused(stratum: str):
    @settings(max_examples=30, deadline=None, database=None, phases=[Phase.generate])
    @given(strategies.arguments(DOMAIN, stratum))
    def agrees(args: Any):
        assert_gradients_agree(lambda w, x, y: one_by_one(w, x, y, 1 + 1e-6), loss, *args)

    with pytest.raises(AssertionError, match="is not ∇"):
        agrees()
