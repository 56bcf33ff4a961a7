"""What the public strategies reach: inputs that can see a mistake. A strategy that cannot is a test that cannot fail."""

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

import autodiff_ref
from autodiff_ref.judge.inputs import STRATA
from autodiff_ref.judge.strategies import arguments
from manual_grad import notes, score
from tests.evaluation import WRT, Args, as_dtype


def draws(stratum: str, count: int) -> list[Args]:
    """As a test would meet them, the same ones every time; without shrinking, which has nothing to shrink."""
    found: list[Args] = []

    @seed(0)
    @settings(
        max_examples=count,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(args=arguments(notes.DOMAIN, stratum))
    def collect(args: Args):
        found.append(args)

    collect()
    return found


@pytest.fixture(scope="module")
def ordinary() -> list[Args]:
    return draws("ordinary", 300)


def scores(args: Args) -> tuple[Any, Any]:
    """(Σ_k |w_k x_ik|, |z_i|)"""
    w, x, _ = args
    return np.abs(x) @ np.abs(np.stack([w.w11, w.w12], axis=-1)), np.abs(score(w, x))


def test_the_main_strategy_has_both_labels_three_examples_three_features_and_different_weights(ordinary: list[Args]):
    for w, x, y in ordinary:
        n, d = x.shape
        assert n >= 2
        assert d >= 3
        assert n != d
        assert set(y) == {-1.0, 1.0}
        assert not np.array_equal(w.w11, w.w12)
        assert np.all(np.abs(w.w21) > 0)


def test_the_main_strategy_has_a_gradient_above_1e_3_in_95_percent_of_draws(ordinary: list[Args]):
    """Of each weight vector: no matter by which one a line is wrong, it shows."""
    for wrt in WRT:
        largest = np.array([np.abs(getattr(autodiff_ref.grad(*args), wrt)).max() for args in ordinary])
        assert np.mean(largest > 1e-3) >= 0.95, wrt


def test_the_main_strategy_stays_on_the_domain_of_the_rounding_bounds(ordinary: list[Args]):
    """|a| ≤ 5 and |z| ≤ 5, and reaches above 1 in a in most draws, in z in some"""
    a, z = (np.array([values.max() for values in column]) for column in zip(*map(scores, ordinary), strict=True))
    assert a.max() <= 5
    assert z.max() <= 5
    assert np.mean(a > 1) > 0.5
    assert z.max() > 1


def test_every_value_that_is_drawn_is_exact_in_float32(ordinary: list[Args]):
    """So float32 and float64 judge the same input, and the bounds hold for the input and not for a rounded one."""
    for args in ordinary:
        for exact, rounded in zip(args[1:], as_dtype(args[1:], np.float32), strict=True):
            assert np.array_equal(exact, rounded)
        assert all(np.array_equal(a, b) for a, b in zip(args[0], as_dtype(args[0], np.float32), strict=True))


def test_few_shapes_are_drawn(ordinary: list[Args]):
    assert len({x.shape for _, x, _ in ordinary}) == 2


@pytest.mark.parametrize(("stratum", "reaches"), [
    ("small", lambda args: max(np.abs(leaf).max() for leaf in args[0]) < 0.01),
    ("saturated", lambda args: scores(args)[0].max() > 5),
    ("far", lambda args: scores(args)[0].max() > 100),
    ("one label", lambda args: len(set(args[2])) == 1),
    ("equal", lambda args: np.array_equal(args[0].w11, args[0].w12)),
    ("zeros", lambda args: any(not leaf.any() for leaf in (*args[0], args[1]))),
])  # fmt: skip
def test_every_other_stratum_reaches_what_it_is_named_for(stratum: str, reaches: Any):
    """In a third of its draws at least; the ordinary one hardly ever is there"""
    assert np.mean([reaches(args) for args in draws(stratum, 60)]) > 1 / 3


def test_all_strata_are_named_above():
    assert set(STRATA) == {"ordinary", "small", "saturated", "far", "one label", "equal", "zeros"}


def test_a_wide_open_strategy_would_fail_here():
    """Entries up to 1e3 saturate everything: the gradient by w11 is below 1e-3 in most draws."""
    rng = np.random.default_rng(0)
    largest = []
    for w, x, y in draws("ordinary", 100):
        wide = [rng.uniform(-1e3, 1e3, vector.shape) for vector in w]
        largest.append(np.abs(autodiff_ref.grad(tuple(wide), rng.uniform(-1e3, 1e3, x.shape), y)[0]).max())
    assert np.mean(np.array(largest) > 1e-3) < 0.5
