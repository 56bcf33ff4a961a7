"""Specimens are what their reports say, and a part of them, one a kind, is judged; derivations have one wrong step each."""

import sys
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from first_wrong_step import problems, scored
from zoo.checkers import Trial, judged
from zoo.specimen import KINDS, check, specimens
from zoo.usual import usual_inputs

from autodiff_ref import nabla

pytestmark = pytest.mark.ci

EVERY = specimens()
NAMES = [specimen.name for specimen in EVERY]
QUICK = {
    "closed form": "numpyro_power_law_upper",
    "missing term": "tfnet_product_once",
    "order of factors": "diffusers_double_transpose",
    "cotangent": "tfnet_squared_difference",
    "broadcast": "notes_bias_mean",
    "index": "autograd_rollaxis",
    "boundary": "mooncake_xlogy",
    "fast path": "pytorch_ldexp_negative",
    "saved value": "pytorch_slogdet_twice",
    "second order": "tensorflow_elu_twice",
    "conjugate": "chainrules_abs2",
    "digits lost": "jax_expm1_tail",
}
"""one a kind that is judged fast"""


def named(kind):
    (specimen,) = [each for each in EVERY if each.name == QUICK[kind]]
    assert specimen.kind == kind
    return specimen


def test_there_are_enough_of_each_sort():
    assert len(EVERY) >= 60
    assert {specimen.kind for specimen in EVERY} == set(KINDS)
    assert sum(specimen.kind != "closed form" for specimen in EVERY) >= len(EVERY) / 2
    places = [(specimen.source.project, specimen.source.number, specimen.name) for specimen in EVERY]
    assert len(set(places)) == len(places)


@pytest.mark.parametrize("kind", QUICK)
def test_a_specimen_gives_what_was_reported_and_is_mended(kind):
    check(named(kind))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.skipif("config.getoption('--hypothesis-profile', None) != 'explore'", reason="the benchmark checks it as well")
def test_all_specimens_give_what_was_reported():
    for specimen in EVERY:
        check(specimen)


def test_a_specimen_that_is_not_what_was_reported_is_noticed():
    with pytest.raises(AssertionError, match="reported"):
        check(replace(named("boundary"), reported=0.5))
    with pytest.raises(AssertionError, match="mended"):
        check(replace(named("boundary"), mended=named("boundary").shipped))
    with pytest.raises(AssertionError, match="shipped"):
        check(replace(named("boundary"), shipped=named("boundary").mended))


@pytest.mark.parametrize("kind", QUICK)
def test_verify_finds_the_shipped_one_and_not_the_mended(kind):
    specimen = named(kind)
    found = judged("verify", Trial(specimen, specimen.shipped))
    assert found.said == ("passed" if specimen.not_found else "refused"), found.message
    mended = judged("verify", Trial(specimen, specimen.mended))
    assert mended.said == "passed", mended.message


@pytest.mark.parametrize("specimen", [s for s in EVERY if s.shipped is None], ids=lambda s: s.name)
def test_what_was_right_and_refused_is_right(specimen):
    assert judged("verify", Trial(specimen, specimen.mended)).said == "passed"


def test_a_user_has_inputs_for_all():
    for specimen in EVERY:
        shapes = [np.shape(x) for x in specimen.arguments]
        for args in usual_inputs(specimen):
            assert [np.ndim(x) for x in args] == [len(shape) for shape in shapes]


# First wrong step


@pytest.mark.parametrize("problem", problems(), ids=lambda p: p.name)
def test_only_the_step_that_is_said_to_be_wrong_is(problem):
    derivation = problem.derivation()
    dims = sorted({str(dim) for leaf in derivation.domain for dim in leaf.dims})
    sizes = {name: k for k, name in enumerate(dims, 3)}
    args = [_drawn(leaf.sized(sizes), np.random.default_rng(k)) for k, leaf in enumerate(derivation.domain)]
    with jax.enable_x64(True):
        above = np.asarray(jax.grad(derivation.of)(*args))
        for k, line in enumerate(derivation.lines, 1):
            value = np.asarray(line(*args, nabla=nabla(derivation.wrt)), float)
            assert np.allclose(above, value, rtol=1e-9) == (k != problem.first_wrong_line), k
            above = value
    assert 6 <= len(derivation.lines) <= 12


def _drawn(leaf, rng):
    kind = type(leaf).__name__
    if kind in ("Signs", "Bits"):
        return np.resize([1.0, -1.0 if kind == "Signs" else 0.0], leaf.dims)
    return rng.dirichlet(np.ones(leaf.dims[0])) if kind == "Simplex" else rng.uniform(0.5, 1.5, leaf.dims)


def test_the_scorer_counts_lines_and_false_alarms():
    some = problems()
    right = {p.name: p.first_wrong_line for p in some}
    told = scored(some, right)
    assert told["first wrong line named"] == told["wrong derivations"] >= 40
    assert not told["right ones called wrong"]
    everything = scored(some, dict.fromkeys(right, 1))
    assert len(everything["right ones called wrong"]) == everything["right derivations"]
    assert everything["first wrong line named"] == sum(line == 1 for line in right.values())
    assert scored(some, {})["not answered"] == list(right)
