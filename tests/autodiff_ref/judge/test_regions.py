"""Regions along a path: their ends are found, luck is bridged, and paths stay in the domain."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodiff_ref.judge.accuracy.paths import paths_of
from autodiff_ref.judge.accuracy.regions import LEVELS, Region, find_regions
from manual_grad import Derivation, bits, intervals, notes, positives, reals, signs

REALS = reals().grid()


def regions_of(error, grid=REALS, dtype="float64"):
    errors = {}

    def measure(wanted):
        errors.update({(label, value): error(value) for label, values in wanted.items() for value in values})

    measure({"line": grid})
    return find_regions(["line"], grid, errors, measure, dtype)["line"]


@given(st.floats(1.0, 400.0), st.floats(1.5, 2.4))
def test_the_ends_of_a_region_are_found_to_three_digits(low, factor):
    high = low * factor
    found = regions_of(lambda value: 2.0**20 if low <= value <= high else 1.0)
    (region,) = found["lost"]
    assert region.low == pytest.approx(low, rel=2e-3)
    assert region.high == pytest.approx(high, rel=2e-3)
    assert not found["no digit"]
    assert not found["nan"]


def test_levels_are_nested_and_a_region_may_reach_the_end_of_the_path():
    found = regions_of(lambda value: math.nan if value > 700 else 2.0 ** max(0.0, value))
    assert [level for level in LEVELS if found[level]] == list(LEVELS)
    assert [round(found[level][0].low) for level in LEVELS] == [10, 52, 700]
    assert all(found[level][0].high is None for level in LEVELS)
    assert str(found["nan"][0]) == "≥ 700"


def test_a_small_error_between_large_ones_is_luck():
    lucky = REALS[len(REALS) // 2 + 40]
    found = regions_of(lambda value: 1.0 if value == lucky or value < 2 else 2.0**30)
    assert len(found["lost"]) == 1


def test_where_nothing_is_lost_there_is_no_region_and_where_all_is_there_is_one():
    assert not any(regions_of(lambda value: None if value < 0 else 1024.0).values())
    assert regions_of(lambda value: 1025.0)["lost"] == [Region(None, None)]
    assert str(Region(None, None)) == "everywhere"


@pytest.mark.parametrize(
    ("region", "said"),
    [
        (Region(None, None), "z is any number"),
        (Region(-2.0, None), "z ≥ −2"),
        (Region(None, 2.0), "z ≤ 2"),
        (Region(-7.32, 708.4), "−7.32 ≤ z ≤ 708"),
        (Region(-1.7701, -1.7699), "z ≈ −1.77"),
    ],
)
def test_a_region_is_said_as_a_condition(region, said):
    assert region.of("z") == said


# Paths


def d(function, domain, wrt="z"):
    return Derivation("d", of=function, wrt=wrt, domain=domain, lines=[lambda *args: args[0]])


def test_a_single_number_runs_for_each_label():
    paths = paths_of(notes.RESIDUAL)
    assert [path.name for path in paths] == ["z, y=−1", "z, y=+1"]
    for path, sign in zip(paths, (-1.0, 1.0), strict=True):
        (at,) = path.bases
        assert [float(leaf) for leaf in at(37.0)] == [37.0, sign]
        assert (path.grid[0], path.grid[-1]) == (-1000.0, 1000.0)


def test_a_derivation_names_its_own_paths():
    paths = paths_of(notes.W11)
    assert [path.name for path in paths] == ["z, y=−1", "z, y=+1", "a, y=−1", "a, y=+1"]
    z, a = paths[1].bases[0](3.0), paths[3].bases[0](3.0)
    assert notes.score(*z[:2]) == 3.0
    assert notes.preactivation(*a[:2]).tolist() == [[3.0, 3.0]]
    assert z[2] == a[2] == 1.0


def test_else_the_reals_of_the_first_argument_are_scaled_at_one_example_and_at_several():
    def of(w, x, t):
        return t @ (x @ w)

    paths = paths_of(d(of, (reals("d"), reals("n", "d"), bits("n")), wrt="w"))
    assert [path.along for path in paths] == ["t (w is scaled by it)"] * 3
    assert [path.given for path in paths[:2]] == ["n=1, t=0", "n=1, t=1"]
    n, kinds = paths[2].given.removeprefix("n=").split(", ")
    assert (kinds, int(n) >= 2) == ("t of both kinds", True)
    for at in paths[2].bases:
        _, x, t = at(1.0)
        assert x.shape[0] == int(n)
        assert set(t.tolist()) == {0.0, 1.0}
    for at in paths[0].bases:
        (w, x, t), (twice, same, _) = at(1.0), at(2.0)
        assert (twice == 2 * w).all()
        assert (same == x).all()
        assert t.tolist() == [0.0]
        assert len(w) >= 2


@pytest.mark.parametrize(
    "derivation",
    [
        notes.W11,
        notes.RESIDUAL,
        d(lambda p, y: p * y, (intervals(0.1, 0.7), signs()), wrt="p"),
        d(lambda v, y: v * y, (positives(), signs()), wrt="v"),
        d(lambda w, x: w @ x, (reals("d"), positives("d")), wrt="w"),
    ],
)
def test_every_input_of_a_path_is_exact_in_float32_and_in_its_domain(derivation):
    for path in paths_of(derivation):
        assert list(path.grid) == sorted(set(path.grid))
        for at in path.bases:
            for value in path.grid[::7]:
                for leaf in map(np.asarray, _leaves(at(value))):
                    assert (leaf.astype(np.float32).astype(np.float64) == leaf).all()


@pytest.mark.parametrize(("leaf", "low", "high"), [(intervals(0.1, 0.7), 0.1, 0.7), (positives(), 0, math.inf)])
def test_a_grid_stays_off_the_ends_of_an_open_domain(leaf, low, high):
    assert all(low < value < high for value in leaf.grid())


def test_a_derivation_without_reals_has_no_path():
    assert paths_of(d(lambda y: y, (signs("n"),), wrt="y")) == []


def _leaves(args):
    for arg in args:
        if isinstance(arg, tuple):
            yield from _leaves(arg)
        else:
            yield arg
