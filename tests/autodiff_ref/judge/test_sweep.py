"""The sweep in floats: what it finds the balls certify, what it could not have found is said."""

from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jax import lax
from jax.scipy import special

from autodiff_ref.judge.bench import Bench
from autodiff_ref.judge.functions import FUNCTIONS, Granted
from autodiff_ref.judge.inputs import STRATA, draw_inputs
from autodiff_ref.judge.search import sweep
from autodiff_ref.judge.search.batches import batches, draw_batch, number_of_shapes
from autodiff_ref.judge.search.climb import climb
from autodiff_ref.judge.search.sweep import Sweep
from autodiff_ref.verify import verify
from manual_grad import Derivation, bits, by_hand, classes, intervals, notes, one_hot, positives, reals, signs

jnp = jax.numpy


def half_square(x: Any) -> Any:
    return 0.5 * jnp.sum(x * x)


def identity(x: Any, nabla: Any = by_hand) -> Any:
    """x"""
    return 1 * x


def wrong_in_a_corner(x: Any, nabla: Any = by_hand) -> Any:
    """x, but 1.5 x where all entries are between 1.05 and 1.25"""
    return jnp.where(jnp.all(jnp.abs(x - 1.15) < 0.1), 1.5, 1.0) * x


def lossy(x: Any, nabla: Any = by_hand) -> Any:
    """((x + 2⁶⁰) − 2⁶⁰)"""
    return (x + 2.0**60) - 2.0**60


def bench_of(derivation: Derivation) -> Bench:
    return Bench(derivation, draw_inputs(derivation, seed=0, at_least=1)[:1], may_shrink=False)


CORNER = Derivation("∇ ½ x²", of=half_square, wrt="x", domain=(reals(3),), lines=[identity, wrong_in_a_corner], sizes={})


def test_a_mistake_in_a_corner_is_found_in_floats_and_certified_by_balls() -> None:
    """About 1 ordinary input in 2,000 shows it: the 64 of the balls do not."""
    assert verify(CORNER, floats=False).ok
    report = verify(CORNER)
    assert report.first_wrong_line == "wrong_in_a_corner"
    found = report.lines[1].counterexample
    assert found is not None
    assert np.all((found.args[0] > 1.05) & (found.args[0] < 1.25))


def test_the_same_seed_sweeps_the_same_inputs() -> None:
    first, second = (list(batches(notes.W11, seed=3, size=40, count=6)) for _ in range(2))
    assert all(
        np.array_equal(a, b) for x, y in zip(first, second, strict=True) for a, b in zip(x.leaves, y.leaves, strict=True)
    )
    other = next(batches(notes.W11, seed=4, size=40, count=1))
    assert not np.array_equal(other.leaves[0], first[0].leaves[0])


def test_every_shape_and_stratum_is_swept() -> None:
    made = list(batches(notes.W11, seed=0, size=70, count=number_of_shapes(notes.W11)))
    assert len({tuple(leaf.shape for leaf in batch.leaves) for batch in made}) == number_of_shapes(notes.W11) >= 5
    assert all(set(batch.strata) == set(STRATA) for batch in made)


@given(seed=st.integers(0, 2**32), stratum=st.sampled_from(sorted(STRATA)))
@settings(max_examples=30)
def test_batches_stay_in_the_domain(seed: int, stratum: str) -> None:
    domain = (reals("d"), signs("n"), bits("n"), intervals(-2, 3, "n"), positives("d"), classes("n", "k"), one_hot("n", "k"))
    batch = draw_batch(domain, {"n": 4, "d": 3, "k": 2}, [stratum], 20, np.random.default_rng(seed))
    _, y, b, z, p, c, h = batch.leaves
    assert set(np.unique(y)) <= {-1.0, 1.0}
    assert set(np.unique(b)) <= {0.0, 1.0}
    assert np.all((z > -2) & (z < 3))
    assert np.all(p > 0)
    assert set(np.unique(c)) <= {0, 1}
    assert np.all(h.sum(axis=-1) == 1)
    same = np.all(y == y[:, :1], axis=1)
    assert same.all() if stratum == "one label" else not same.any()


def test_inputs_that_do_not_fulfil_where_are_not_swept() -> None:
    positive = Derivation("∇", of=half_square, wrt="x", domain=(reals(2),), lines=[identity], where=lambda x: np.all(x > 0))
    made = list(batches(positive, seed=0, size=200, count=1))
    assert 0 < len(made[0]) < 200
    assert np.all(made[0].leaves[0] > 0)


def with_an_if(x: Any) -> bool:
    if x[0] > x[1]:
        return bool(x[0] > 1)
    return bool(x[1] < 1)


MAPPED = [lambda x: jnp.sum(x * x) > 1, lambda x: x[0] > x[1], lambda x: (x > 0).any() & (x @ x > 0.5), lambda x: True]


@pytest.mark.parametrize("condition", [*MAPPED, lambda x: float(np.linalg.norm(x)) > 1, with_an_if])
def test_a_condition_is_asked_once_for_a_batch_where_jax_maps_it(condition: Any) -> None:
    asked = list[Any]()

    def where(x: Any) -> Any:
        asked.append(x)
        return condition(x)

    derivation = Derivation("∇", of=half_square, wrt="x", domain=(reals(2),), lines=[identity])
    (every,) = batches(derivation, seed=0, size=100, count=1)
    with jax.enable_x64(True):
        (kept,) = batches(replace(derivation, where=where), seed=0, size=100, count=1)
    assert (len(asked) == 1) == (condition in MAPPED)
    assert kept.leaves[0].tolist() == [x.tolist() for x in every.leaves[0] if condition(x)]


def test_no_line_is_wrong_at_an_input_that_a_condition_admits_only_in_a_batch() -> None:
    """As where it rounds otherwise."""

    def line(x: Any, nabla: Any = by_hand) -> Any:
        """x, but 2 x above 1.5"""
        return jnp.where(x > 1.5, 2.0, 1.0) * x

    def limited(x: Any) -> Any:
        return jnp.all(x < (1.5 if isinstance(x, np.ndarray) else 5))

    derivation = Derivation("∇ ½ x²", of=half_square, wrt="x", domain=(reals(2),), lines=[line], where=limited)
    report = verify(derivation, prove=False)
    assert report.lines[0].verdict == "undecided", str(report)
    assert "takes the branch “> 1.5”" in report.lines[0].reason


def grant_too_little_to_exp(monkeypatch: pytest.MonkeyPatch) -> None:
    exp, little = FUNCTIONS["exp"], Granted(1e-3)
    assert exp.ulps is not None
    monkeypatch.setitem(FUNCTIONS, "exp", replace(exp, ulps=exp.ulps._replace(single=little, double=little)))


def test_suspects_on_right_lines_are_cleared_by_balls(monkeypatch: pytest.MonkeyPatch) -> None:
    """With too little granted to exp there are suspects; none of them makes a right line wrong."""
    grant_too_little_to_exp(monkeypatch)

    def line_1(x: Any, nabla: Any = by_hand) -> Any:
        """eˣ"""
        return jnp.exp(x)

    def line_2(x: Any, nabla: Any = by_hand) -> Any:
        """(e^{x/2})²"""
        return jnp.exp(x / 2) ** 2

    derivation = Derivation("∇ Σ eˣ", of=lambda x: jnp.sum(jnp.exp(x)), wrt="x", domain=(reals(3),), lines=[line_1, line_2])
    report = verify(derivation)
    assert report.ok, str(report)
    swept = report.lines[1].floats
    assert swept is not None
    assert swept.suspects > 0
    assert swept.asked == {"equal": min(swept.suspects, sweep.MOST_SUSPECTS)}
    assert "suspects cleared by balls" in str(report)


def test_a_line_that_is_not_proved_does_not_agree_while_suspects_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    grant_too_little_to_exp(monkeypatch)
    monkeypatch.setattr(sweep, "MOST_SUSPECTS", 10)

    def squared(x: Any, nabla: Any = by_hand) -> Any:
        return jnp.exp(x / 2) ** 2

    derivation = Derivation("∇ Σ eˣ", lambda x: jnp.sum(jnp.exp(x)), "x", (reals(3),), [squared])
    report = verify(derivation, prove=False)
    (line,) = report.lines
    assert line.floats is not None
    assert line.floats.left > 0
    assert (line.verdict, report.exit_code) == ("undecided", 3), str(report)
    assert "have not cleared all that floats suspect" in line.reason
    monkeypatch.undo()
    assert verify(derivation, prove=False).ok


def wrong_where_all_are_alike(x: Any, nabla: Any = by_hand) -> Any:
    """x, but more by some 10⁻¹⁵ where x is nearly a multiple of (1, …, 1): at 3 of 65,536 inputs a little"""
    cosine = jnp.sum(x) / jnp.sqrt(10 * jnp.sum(x * x) + 2.0**-99)
    return x * (1 + 1e-14 * jnp.maximum(cosine - 0.93, 0.0))


UPHILL = Derivation("∇ ½ x²", of=half_square, wrt="x", domain=(reals(10),), lines=[wrong_where_all_are_alike])


@pytest.mark.parametrize("seed", [2, 4])
def test_the_climb_finds_what_the_sweep_comes_near(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    report = verify(UPHILL, seed=seed, shrink=False, prove=False, suspects=False)
    assert report.first_wrong_line == "wrong_where_all_are_alike"
    found = report.lines[0].counterexample
    assert found is not None
    assert found.stratum == "climbed"
    assert found.args[0].sum() / np.sqrt(10 * np.sum(found.args[0] ** 2)) > 0.93
    monkeypatch.setattr(sweep, "MOST_GENERATIONS", 0)
    assert verify(UPHILL, seed=seed, prove=False).ok


def test_a_climb_stays_in_the_domain_and_never_comes_down() -> None:
    domain = (reals("d"), signs("n"), bits("n"), intervals(-2, 3, "n"), positives("d"), classes("n", "k"), one_hot("n", "k"))
    start = draw_batch(domain, {"n": 4, "d": 3, "k": 2}, list(STRATA), 16, np.random.default_rng(0))
    computed: list[Any] = []

    def height(batch: Any) -> Any:
        computed.append(batch)
        return 1 - np.abs(batch.leaves[0].sum(axis=1) - 7)

    climbed = climb(domain, start, height, generations=6, seed=0)
    assert climbed.inputs == sum(map(len, computed)) - len(start)
    assert climbed.heights[0] == climbed.heights.max() >= height(start).max()
    assert climbed.heights[0] > 1 - 1e-3
    for batch in computed:
        x, y, b, z, p, c, h = batch.leaves
        assert batch is computed[0] or np.array_equal(x.astype(np.float32), x)
        assert np.all(np.isfinite(x))
        assert set(np.unique(y)) <= {-1.0, 1.0}
        assert set(np.unique(b)) <= {0.0, 1.0}
        assert np.all((z > -2) & (z < 3))
        assert np.all(p > 0)
        assert set(np.unique(c)) <= {0, 1}
        assert np.all(h.sum(axis=-1) == 1)


def test_a_climb_keeps_to_where_and_to_what_a_line_claims() -> None:
    def line(x: Any, nabla: Any = by_hand) -> Any:
        """x, but 2 x above 1.5, where it does not claim to hold"""
        return jnp.where(x > 1.5, 2.0, 1.0) * x

    domain, limited = (reals(2),), lambda x: bool(np.all(x < 1.5))
    derivation = Derivation("∇ ½ x²", of=half_square, wrt="x", domain=domain, lines=[line])
    assert verify(derivation, prove=False, shrink=False).first_wrong_line == "line"
    reports = [verify(replace(derivation, where=limited), prove=False)]
    line.valid = limited  # pyright: ignore[reportFunctionMemberAccess]
    reports.append(verify(derivation, prove=False))
    assert [report.lines[0].verdict for report in reports] == ["undecided", "agrees"], str(reports)
    assert "takes the branch “> 1.5”" in reports[0].lines[0].reason  # `where` leaves it out, and the line does not say so


def test_turns_of_loops_count_towards_the_budget_and_every_shape_is_still_tried() -> None:
    def slow(x: Any) -> Any:
        return lax.while_loop(lambda v: jnp.any(v > 1), lambda v: 0.96875 * v, jnp.exp(jnp.abs(x)))

    def line(x: Any) -> Any:
        return 2 * x + 0 * slow(x)

    derivation = Derivation("∇ x²", of=lambda x: jnp.sum(x**2), wrt="x", domain=(reals("n"),), lines=[line])
    sweep = Sweep(bench_of(derivation))
    before = len(sweep.batches)
    found = sweep.compare(line, None)
    assert not found.suspects
    assert number_of_shapes(derivation) <= len(sweep.batches) < before
    assert {batch.leaves[0].shape[1] for batch in sweep.batches} >= {1, 3, 4}


@pytest.mark.parametrize(
    ("factor", "verdict"), [(1.0, "within"), pytest.param(1 + 1e-9, "refuted", marks=pytest.mark.explore)]
)
def test_what_a_series_of_jax_is_off_by_is_no_suspicion_that_is_left(factor: float, verdict: str) -> None:
    """JAX's log Φ is off by 4e-9 of itself at −20, so that floats suspect thousands of inputs; balls take what is meant."""

    def line(x: Any) -> Any:
        return factor * jnp.exp(-(x**2) / 2) / jnp.sqrt(2 * jnp.pi) / special.ndtr(x)

    log_phi = Derivation("log Φ′", of=lambda x: jnp.sum(special.log_ndtr(x)), wrt="x", domain=(reals("n"),), lines=[line])
    entry = verify(log_phi, prove=False).lines[0]
    assert entry.verdict == verdict
    if factor == 1:
        assert entry.floats is not None
        assert entry.floats.suspects > entry.floats.asked.total() > 0
        assert "nearer ones are within what JAX's log_ndtr, ndtr may be off by" in str(entry.floats)


def relu_by(slope_at_0: float) -> Derivation:
    """∇ Σ max(x, 0), by hand with a slope at 0 that is a convention; JAX takes 0."""

    def line(x: Any, nabla: Any = by_hand) -> Any:
        """1 where x > 0"""
        return jnp.where(x > 0, 1.0, jnp.where(x < 0, 0.0, slope_at_0))

    return Derivation("∇ relu", of=lambda x: jnp.sum(jax.nn.relu(x)), wrt="x", domain=(reals(3),), lines=[line])


def test_kinks_are_counted_and_are_neither_suspects_nor_evidence() -> None:
    derivation = relu_by(0.5)
    swept = Sweep(bench_of(derivation), count=2_000)
    found = swept.compare(derivation.lines[0], None)
    zeros = sum(int(np.any(batch.leaves[0] == 0, axis=1).sum()) for batch in swept.batches)
    assert found.kinks == zeros > 50
    assert found.suspects == 0
    assert not found.differences
    assert found.inputs.total() + found.kinks == sum(map(len, swept.batches))
    assert "more on kinks" in str(found)


def test_where_both_take_the_same_slope_a_tie_is_no_kink() -> None:
    found = Sweep(bench_of(relu_by(0.0)), count=500).compare(relu_by(0.0).lines[0], None)
    assert (found.kinks, found.suspects) == (0, 0)


def test_what_differs_whichever_way_a_tie_falls_is_found_among_the_kinks() -> None:
    def line(x: Any, nabla: Any = by_hand) -> Any:
        """1.5 x; max(0 x₀, 0) ties at every input and makes no difference"""
        return 1.5 * x + jnp.maximum(0 * x[0], 0)

    derivation = Derivation("∇ ½ x²", of=half_square, wrt="x", domain=(reals(3),), lines=[line])
    found = Sweep(bench_of(derivation), count=500).compare(line, None)
    assert found.kinks > 0
    assert found.suspects == 0
    assert len(found.differences) == 1


def test_labels_and_constants_are_compared_exactly_and_never_tie() -> None:
    def line(y: Any, nabla: Any = by_hand) -> Any:
        """2 y where y ≥ 1, else y: wrong for y = 1"""
        return jnp.where(y >= 1, 2 * y, y)

    derivation = Derivation("∇ ½ y²", of=lambda y: half_square(y), wrt="y", domain=(signs(3),), lines=[line])
    found = Sweep(bench_of(derivation), count=100).compare(line, None)
    assert found.suspects > 0
    assert found.kinks == 0
    assert found.differences


def test_components_that_are_zero_and_ones_that_drown_are_named() -> None:
    def of(w: Any, x: Any) -> Any:
        return jnp.sum(w[:2] * x[:2]) + 0 * w[2]

    def line(w: Any, x: Any, nabla: Any = by_hand) -> Any:
        """[x₁, (x₂ + 2⁶⁰) − 2⁶⁰, 0]"""
        return jnp.stack([x[0], lossy(x[1]), 0 * x[2]])

    report = verify(Derivation("∇_w", of=of, wrt="w", domain=(reals(3), reals(3)), lines=[line]))
    power = report.lines[0].power
    assert power is not None
    assert power.zero == ("w[2]",)
    assert power.drowned == ("w[1]",)
    assert power.share > 0.5
    assert "w[2] is 0 at every input" in str(report)
    assert "rounding hides such a mistake in w[1] at every input" in str(report)
    assert report.to_dict()["lines"][0]["power"] == {
        "relative": 1e-6, "share": power.share, "zero": ["w[2]"], "drowned": ["w[1]"]
    }  # fmt: skip


def test_low_power_is_said() -> None:
    report = verify(Derivation("∇ ½ x²", of=half_square, wrt="x", domain=(reals(2),), lines=[lossy]))
    assert report.lines[0].power is not None
    assert report.lines[0].power.share == 0
    assert "would have shown in floats at 0% of the inputs only" in str(report)


def test_a_line_without_rounding_bounds_is_said_by_name() -> None:
    def of(x: Any) -> Any:
        return jnp.sum(x * jax.lax.igamma(jnp.full(x.shape, 2.5), x))

    def line(x: Any, nabla: Any = by_hand) -> Any:
        """∇"""
        return nabla(of)(x)

    report = verify(Derivation("∇ x P(5/2, x)", of=of, wrt="x", domain=(positives(2),), lines=[line]))
    assert report.ok, str(report)
    assert "line not swept in floats (no rule for the primitive `igamma` in rounding bounds)" in " ".join(
        str(report).split()
    )
    assert report.lines[0].power is None


def test_given_inputs_are_not_swept() -> None:
    report = verify(notes.RESIDUAL, inputs=draw_inputs(notes.RESIDUAL, seed=0)[:8])
    assert all(line.floats is None for line in report.lines)


@settings(max_examples=2, suppress_health_check=list(HealthCheck), deadline=None)
@given(seed=st.integers(0, 100))
def test_verify_works_inside_a_given(seed: int) -> None:
    assert verify(notes.RESIDUAL, seed=seed).ok


def test_the_budget_bounds_the_sweep_and_not_the_clock() -> None:
    bench = bench_of(notes.W11)
    small, large = (Sweep(bench, budget=budget).batches for budget in (40_000_000, 160_000_000))
    assert sum(map(len, large)) == 4 * sum(map(len, small))
