"""`by_hand`, the ∇ of `manual_grad` itself, against JAX's."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given

from autodiff_ref import nabla
from autodiff_ref.judge.strategies import arguments
from manual_grad import Weights, by_hand, hidden, notes, preactivation, probability, score
from tests.evaluation import DTYPES, ONE_SHAPE, WRT, Args, as_dtype, in_jax
from tests.rounding import PRODUCTS, SLOPE, assert_within, bounds, unit_roundoff

pytestmark = pytest.mark.rounding

FUNCTIONS = [preactivation, hidden, score]
inputs = arguments(notes.DOMAIN, sizes=ONE_SHAPE)
SHAPES = {preactivation: (2,), hidden: (2,), score: ()}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("wrt", WRT)
@given(args=inputs)
def test_the_jacobians_by_hand_equal_those_by_jax(args: Args, wrt: str, dtype: Any):
    """∇a = x, ∇h = σ'(a) x, ∇z = w21 σ'(a) x; ∇_{w21} z = h, and 0 for a and h. By JAX, SLOPE + 3 and da for σ'.

    What is x or 0 is so to the bit.
    """
    w, x, y = args
    b, u = bounds(args, dtype), unit_roundoff(dtype)
    by_jax = in_jax(JACOBIANS[wrt], (w, x), dtype)
    for f in FUNCTIONS:
        got, want = by_hand(f, wrt)(*as_dtype((w, x), dtype)), by_jax[f.__name__]
        assert got.dtype == dtype
        assert got.shape == (len(y), *SHAPES[f], len(getattr(w, wrt)))
        if f is preactivation or (f is hidden and wrt == "w21"):
            allowed = 0.0
        elif wrt == "w21":
            allowed = 2 * b.rho_h * np.abs(want) * u
        else:
            j = ("w11", "w12").index(wrt)
            da = b.da[:, j].reshape((-1,) + (1,) * (got.ndim - 1))
            allowed = 1.001 * (2 * (SLOPE + da + PRODUCTS) + 3) * np.abs(want) * u
        assert_within(got, want, allowed, f"∇_{wrt} {f.__name__}", args)


def jacobians(wrt: str) -> Any:
    def of_all(w: Any, x: Any) -> dict[str, Any]:
        return {f.__name__: nabla(wrt)(f)(w, x) for f in FUNCTIONS}

    return of_all


JACOBIANS = {wrt: jacobians(wrt) for wrt in WRT}


def test_the_hidden_unit_that_a_weight_does_not_feed_has_a_zero_jacobian():
    w = Weights(np.array([0.5, -1.0]), np.array([0.25, 2.0]), np.array([1.5, -0.5]))
    x = np.array([[1.0, 0.5], [-0.25, 1.0], [2.0, 0.0]])
    for f in (preactivation, hidden):
        assert not by_hand(f, "w11")(w, x)[:, 1].any()
        assert by_hand(f, "w11")(w, x)[:, 0].any()
        assert not by_hand(f, "w12")(w, x)[:, 0].any()
        assert by_hand(f, "w12")(w, x)[:, 1].any()


def test_by_hand_says_what_it_knows_when_asked_for_anything_else():
    match = r"by_hand knows ∇ of hidden, preactivation, score by w11, w12, w21, and was asked for ∇_w11 probability: pass"
    with pytest.raises(NotImplementedError, match=match):
        by_hand(probability)
    with pytest.raises(NotImplementedError, match="∇_w13 score"):
        by_hand(score, "w13")
    with pytest.raises(NotImplementedError, match="<lambda>"):
        by_hand(lambda w, x: score(w, x))


def test_by_hand_takes_lists_of_integers():
    """As the examples do: the floating dtype of the others, or float64"""
    for f in FUNCTIONS:
        for wrt in WRT:
            got = by_hand(f, wrt)(Weights([0, 1], [1, 0], [4, 1]), [[1, 2], [3, 4]])
            assert got.dtype == np.float64
