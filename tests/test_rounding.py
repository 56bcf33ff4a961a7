"""The bounds of `tests.rounding` judged: never below what is seen, not far above it, and sharp enough to see mistakes.

The sweep stretches 300 ordinary inputs until Σ|w x| and Σ|w21 h| reach 8, for n = 4, d = 3. In float32 they are judged by
float64, in float64 forty of them by mpmath. What takes compiling is compiled together, once a process.
"""

from functools import cache
from typing import Any

import jax
import numpy as np
import pytest

from autodiff_ref import nabla, network
from manual_grad import Weights
from tests.evaluation import (
    DTYPES,
    WRT,
    Args,
    as_dtype,
    bound_of,
    every_gradient,
    exact_gradient,
    in_jax,
    many,
    mapped,
    stacked,
)
from tests.rounding import assert_within, bounds, exceeds
from tests.wrong import WRONG_LINES, Wrong

pytestmark = pytest.mark.rounding


@cache
def sweep() -> list[Args]:
    return list(many(300, n=4, d=3, largest=8.0))


@pytest.mark.parametrize("wrt", WRT)
def test_the_float64_terms_are_exact_enough_to_judge_float32(wrt: str):
    for args in sweep()[:10]:
        b = bounds(args, np.float32)
        for k, exact in enumerate(exact_gradient(args, wrt)):
            assert abs(float(b.terms(wrt).sum(axis=0)[k]) - exact) < 1e-4 * b.of_closed_form(wrt)[k]


@pytest.mark.parametrize("wrt", WRT)
def test_no_float32_error_exceeds_its_bound_and_the_bound_is_at_most_30_times_the_worst(wrt: str):
    """The worst of 300 inputs reaches 5 to 12% of its bound: signs of errors differ, and no function is at its worst."""
    inputs, (_, found, _) = evaluated(np.float32, "ordinary")
    judged = [bounds(args, np.float32) for args in inputs]
    exact = np.stack([b.terms(wrt).sum(axis=0) for b in judged])
    for name, got in found[wrt].items():
        allowed = np.stack([bound_of(name, b, wrt) for b in judged])
        used = np.abs(got - exact) / allowed
        assert used.max() <= 1, (name, inputs[int(used.max(axis=1).argmax())])
        assert used.max() >= 1 / 30, f"{name}: the bound is {1 / used.max():.0f} times the worst error seen"


@pytest.mark.parametrize("wrt", WRT)
def test_no_float64_error_exceeds_its_bound(wrt: str):
    inputs, (_, found, _) = evaluated(np.float64, "ordinary")
    exact = [exact_gradient(args, wrt) for args in inputs[:40]]
    for name, got in found[wrt].items():
        for i, args in enumerate(inputs[:40]):
            for k, allowed in enumerate(bound_of(name, bounds(args, np.float64), wrt)):
                assert abs(float(got[i, k]) - exact[i][k]) <= allowed, (name, k, args)


def refuted(wrong: Wrong, dtype: Any, args: Args, got: Any, want: Weights[Any]) -> bool:
    """By the check that the right line passes in `tests/manual_grad/test_notes.py`."""
    b, wrt = bounds(args, dtype), wrong.derivation.wrt or ""
    return exceeds(got, getattr(want, wrt), b.of_line(wrong.instead_of, wrt) + b.of_jax_grad(wrt))


# 1e-8 is below float32's resolution of 1 + 1e-8: floats cannot see log(p + 1e-8) there
SEEN = [
    pytest.param(wrong, dtype, id=f"{wrong.mistake}, {dtype.__name__}")
    for wrong in WRONG_LINES
    for dtype in DTYPES
    if not (wrong.mistake == "log(p + 1e-8)" and dtype == np.float32)
]


@pytest.mark.parametrize(("wrong", "dtype"), SEEN)
def test_every_wrong_version_is_refuted_at_every_input_of_the_sweep(wrong: Wrong, dtype: Any):
    inputs, (want, right, got) = evaluated(dtype, wrong.sees)
    wrt = wrong.derivation.wrt or ""
    for i, args in enumerate(inputs[:100]):
        of_this = jax.tree.map(lambda leaf, i=i: leaf[i], want)
        assert refuted(wrong, dtype, args, got[wrong.label][i], of_this), args
        assert not refuted(wrong, dtype, args, right[wrt][wrong.instead_of][i], of_this), args


def all_versions(w: Any, x: Any, y: Any) -> tuple[Any, Any, Any]:
    """jax.grad; the right lines by weight vector; the wrong ones."""
    wrong = {v.label: v.line(w, x, y, nabla(v.derivation.wrt)) for v in WRONG_LINES}
    return jax.grad(network.log_likelihood)(w, x, y), {wrt: every_gradient(wrt)(w, x, y) for wrt in WRT}, wrong


@cache
def evaluated(dtype: Any, stratum: str) -> tuple[list[Args], tuple[Any, Any, Any]]:
    inputs = sweep()
    if stratum == "saturated":
        inputs = [saturated(args) for args in inputs]
    return inputs, in_jax(mapped(all_versions), stacked(inputs), dtype)


def saturated(args: Args) -> Args:
    """w21 stretched to max |z| = 20, and there the label that makes p = e^−20, which a clip at 1e-7 holds up."""
    w, x, y = args
    m = bounds(args, np.float64).m
    worst = int(np.abs(m).argmax())
    w = w._replace(w21=np.float64(np.float32(w.w21 * 20 / np.abs(m[worst]))))
    return w, x, np.where(np.arange(len(y)) == worst, -np.sign(m) * y, y)


@pytest.mark.parametrize("wrong", [w for w in WRONG_LINES if w.mistake == "log(p + 1e-8)"], ids=["log(p + 1e-8)"])
def test_float32_cannot_see_an_epsilon_of_1e_8_where_p_is_ordinary(wrong: Wrong):
    """Written down so that nobody takes the silence of float32 for a proof."""
    inputs, (want, _, got) = evaluated(np.float32, "ordinary")
    found = got[wrong.label]
    seen = [refuted(wrong, np.float32, args, found[i], Weights(*(v[i] for v in want))) for i, args in enumerate(inputs)]
    assert not any(seen)


@pytest.mark.parametrize("wrt", WRT)
def test_a_relative_change_of_1e_9_is_refuted_in_float64_at_every_input_and_component(wrt: str):
    """For each line and the closed form: a change by 1e-9 exceeds both bounds and what rounding has already used."""
    inputs, (want, right, _) = evaluated(np.float64, "ordinary")
    for name, values in right[wrt].items():
        changed = values * (1 + 1e-9)
        for i, args in enumerate(inputs[:100]):
            b = bounds(args, np.float64)
            allowed = bound_of(name, b, wrt) + b.of_jax_grad(wrt)
            difference = np.abs(changed[i] - getattr(want, wrt)[i])
            assert np.all(difference > allowed), (name, args)


def test_the_largest_constant_on_the_domain_is_the_one_on_the_page():
    """K = Σ|t| K_i / Σ|t|: usual values and the largest, from the bounds themselves at one example each."""
    inputs = [(w, x[:1], y[:1]) for w, x, y in sweep()]
    u = np.finfo(np.float64).eps / 2
    k = [
        b.of_line("line_3c", "w11") / np.abs(b.terms("w11")).sum(axis=0) / u for b in (bounds(a, np.float64) for a in inputs)
    ]
    assert 30 < np.median(k) < 300
    worst = Weights(np.array([8.0]), np.array([8.0]), np.array([4.0, 4.0])), np.array([[1.0]]), np.array([1.0])
    b = bounds(worst, np.float64)
    largest = float(b.of_line("line_3c", "w11")[0] / abs(b.terms("w11")[0, 0]) / u)
    assert 1e4 < largest < 5e4


def test_assert_within_fails_with_the_component_both_values_and_what_is_allowed():
    assert_within(np.array([1.0, 2.0]), np.array([1.0, 2.25]), 0.25, "∇")
    with pytest.raises(
        AssertionError, match=r"∇, component \[1\]: .*2\.0.* against .*2\.5.*, 0\.5 apart where .* 0\.25; at here"
    ):
        assert_within(np.array([1.0, 2.0]), np.array([1.0, 2.5]), 0.25, "∇", "here")
    with pytest.raises(AssertionError, match="nan"):
        assert_within(np.array([np.nan]), np.array([1.0]), 1e300, "∇")
    with pytest.raises(AssertionError, match="shape"):
        assert_within(np.array([1.0]), np.array(1.0), 1.0, "∇")
    assert exceeds(np.array([np.nan]), np.array([0.0]), np.inf)


@pytest.mark.parametrize("wrong", WRONG_LINES, ids=lambda wrong: wrong.mistake)
def test_a_wrong_line_is_planted_between_right_ones(wrong: Wrong):
    planted, derivation = wrong.planted, wrong.derivation
    assert [*wrong.before, wrong.right, *wrong.after] == list(derivation.lines)
    assert len(planted.lines) == len(derivation.lines)
    assert [label for label in planted.labels if label not in derivation.labels] == [wrong.label]
    assert planted.labels.index(wrong.label) == derivation.labels.index(wrong.instead_of)
    assert wrong.line.__doc__
    w, x, y = as_dtype(sweep()[0], np.float32)
    shape = jax.eval_shape(lambda: wrong.line(w, x, y, nabla(derivation.wrt))).shape
    assert shape == getattr(w, derivation.wrt or "").shape
