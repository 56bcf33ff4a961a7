"""Inputs reach what they are made to reach."""

import random
import time

import jax
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

import autodiff_ref
from autodiff_ref.judge import strategies
from autodiff_ref.judge.domains import inexact_flags
from autodiff_ref.judge.inputs import NoInputError, draw_inputs, main_sizes
from autodiff_ref.judge.search.batches import batches
from autodiff_ref.verify import STRATA
from manual_grad import (
    Derivation,
    bits,
    classes,
    constants,
    hidden,
    intervals,
    notes,
    one_hot,
    orthogonal,
    positives,
    preactivation,
    reals,
    score,
    signs,
    unit_vectors,
)
from tests.combinations import exploring, few_or_many

QUICK = settings(max_examples=few_or_many(25, 60), deadline=None, suppress_health_check=[HealthCheck.too_slow])


def by_stratum(derivation, seed=0):
    found = {}
    for given_input in draw_inputs(derivation, seed=seed):
        found.setdefault(given_input.stratum, []).append(given_input.args)
    return found


def test_a_sweep_of_the_notes_covers_every_stratum():
    found = by_stratum(notes.W11)
    assert set(found) == {*STRATA, "larger", "n=1", "d=1", "all=1"}
    assert sum(map(len, found.values())) >= 64


def test_a_sweep_is_reproducible_and_depends_on_its_seed():
    first, again, other = draw_inputs(notes.W11, seed=1), draw_inputs(notes.W11, seed=1), draw_inputs(notes.W11, seed=2)
    for a, b in zip(first, again, strict=True):
        assert all(np.array_equal(u, v) for u, v in zip(jax.tree.leaves(a.args), jax.tree.leaves(b.args), strict=True))
    assert not np.array_equal(first[0].args[1], other[0].args[1])


@pytest.mark.parametrize("seed", range(3))
def test_strata_of_the_notes_are_what_they_say(seed):
    found = by_stratum(notes.W11, seed)
    for w, x, y in found["ordinary"]:
        assert np.abs(preactivation(w, x)).max() <= 5
        assert np.abs(score(w, x)).max() <= 5
        assert set(y) == {-1.0, 1.0}
        assert x.shape[0] >= 2
        assert x.shape[1] >= 3
    assert any(np.abs(preactivation(w, x)).max() > 100 for w, x, _ in found["far"])
    assert any(np.abs(hidden(w, x) - 0.5).max() > 0.4999 for w, x, _ in found["saturated"])
    assert any(max(np.abs(v).max() for v in w) < 2e-3 for w, x, _ in found["small"])
    assert all(len(set(y)) == 1 for _, _, y in found["one label"])
    assert all(np.array_equal(w.w11, w.w12) for w, _, _ in found["equal"])
    zeros = [[np.count_nonzero(leaf == 0) for leaf in (*w, x)] for w, x, _ in found["zeros"]]
    assert sum(sum(counts) == 1 for counts in zeros) == 2, "a single entry"
    assert sum(any(not leaf.any() for leaf in (*w, x)) for w, x, _ in found["zeros"]) == 4, "whole arrays"
    assert all(x.shape[0] == 1 for _, x, _ in found["n=1"])
    assert all(x.shape[1] == 1 for _, x, _ in found["d=1"])
    assert all(x.shape == (1, 1) for _, x, _ in found["all=1"])


def test_some_entries_of_a_lone_array_are_zero():
    """Neither one nor all: a line that counts zeros is wrong where two of four are 0."""

    def half_squared(x):
        return x @ x / 2

    def line(x, nabla):
        return x + jax.numpy.where(jax.numpy.sum(x == 0) == 2, 1.0, 0.0)

    report = autodiff_ref.verify(Derivation("lone", of=half_squared, wrt="x", domain=(reals(4),), lines=[line]))
    assert report.first_wrong_line == "line", str(report)


def test_main_sizes_differ_from_each_other_and_from_fixed_ones():
    for sizes in main_sizes((reals("a", 3), reals("b", "c", 4)), {}):
        assert len({*sizes.values(), 3, 4}) == 5


@pytest.mark.parametrize(
    ("names", "limits"),
    [("a", {}), ("a", {"a": (2, 5)}), ("a", {"a": (2, 3)}), ("a", {"a": (1, 2)}), ("abc", {}), ("abcd", {"b": (3, 9)})],
)
def test_each_size_is_another_in_the_other_choice(names, limits):
    first, second = main_sizes((reals(*names),), limits)
    for name in names:
        low, high = limits.get(name, (1, 99))
        assert all(max(low, 2) <= sizes[name] <= high for sizes in (first, second))
        assert first[name] != second[name] or (low, high) == (1, 2)


@pytest.mark.parametrize("fixed", [(2, 2), (1, 1), (7, 7)])
def test_a_dimension_of_one_size_has_that_size(fixed):
    assert main_sizes((reals("a"),), {"a": fixed}) == [{"a": fixed[0]}, {"a": fixed[0]}]


def domain_of_every_kind():
    return (
        {"r": reals("n"), "p": positives("n")},
        intervals(-1, 2, "n"),
        bits("n"),
        signs("n"),
        classes("n", "k"),
        one_hot("n", "k"),
        constants(2.5, "n"),
    )


@pytest.mark.parametrize("stratum", STRATA)
def test_every_domain_holds_in_every_stratum(stratum):
    @QUICK
    @given(strategies.arguments(domain_of_every_kind(), stratum))
    def check(args):
        first, between, bit, sign, number, row, constant = args
        k = row.shape[1]
        assert np.all(first["p"] > 0)
        assert np.all((between > -1) & (between < 2))
        assert set(bit) <= {0.0, 1.0}
        assert set(sign) <= {-1.0, 1.0}
        assert number.dtype == np.int64
        assert np.all((number >= 0) & (number < k))
        assert np.array_equal(row.sum(axis=1), np.ones(len(row)))
        assert set(row.ravel()) <= {0.0, 1.0}
        assert np.array_equal(constant, np.full(len(row), 2.5))
        assert np.all(np.isfinite(np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(args)])))

    check()


def test_the_main_strategy_can_see_a_mistake():
    seen = {"all": 0, "large": 0}

    @settings(max_examples=few_or_many(100, 200), deadline=None, database=None)
    @given(strategies.arguments(notes.DOMAIN))
    def look(args):
        w, x, y = args
        assert set(y) == {-1.0, 1.0}
        assert x.shape[0] >= 2
        assert x.shape[1] >= 3
        assert not np.array_equal(w.w11, w.w12)
        assert not np.array_equal(w.w11, w.w21)
        assert np.abs(preactivation(w, x)).max() <= 5
        gradient = autodiff_ref.grad(w, x, y)
        seen["all"] += 1
        seen["large"] += max(np.abs(part).max() for part in gradient) > 1e-3

    look()
    assert seen["large"] >= 0.95 * seen["all"]


def test_sizes_and_predicates_are_kept():
    @QUICK
    @given(strategies.arguments(notes.DOMAIN, sizes={"n": 1}, where=lambda w, x, y: y[0] == 1))
    def check(args):
        assert args[1].shape[0] == 1
        assert args[2][0] == 1

    check()


def test_limits_on_sizes_are_kept():
    limited = Derivation("∇", notes.W11.of, "w11", notes.DOMAIN, notes.W11.lines, sizes={"n": (2, 3)})
    assert {len(each.args[1]) for each in draw_inputs(limited, seed=0)} <= {2, 3}


def test_unknown_strata_and_sizes_are_refused():
    with pytest.raises(ValueError, match="no stratum 'odd': choose one of 'ordinary'"):
        strategies.arguments(notes.DOMAIN, "odd")
    with pytest.raises(ValueError, match=r"sizes names \['m'\], the domain has \['d', 'n'\]"):
        strategies.arguments(notes.DOMAIN, sizes={"m": 3})


def test_a_predicate_that_nothing_fulfils_is_an_error():
    never = Derivation("∇", notes.W11.of, "w11", notes.DOMAIN, notes.W11.lines, where=lambda w, x, y: False)
    with pytest.raises(NoInputError, match="fulfils `where`"):
        draw_inputs(never, seed=0)


@pytest.mark.parametrize("stratum", STRATA)
def test_arguments_shrink_to_short_numbers(stratum):
    """To a failing test whose numbers can be read: at most four different sizes among all entries of the smallest input."""
    for seed in range(few_or_many(1, 4)):
        w, x, y = find(
            strategies.arguments(notes.DOMAIN, stratum),
            lambda args: np.abs(args[0].w11).max() >= 2.0**-11 and args[2][0] == 1,
            settings=settings(QUICK, max_examples=300, database=None),
            random=random.Random(seed),
        )
        assert y[0] == 1
        sizes = set(np.abs(np.concatenate([np.ravel(leaf) for leaf in (*w, x)])).tolist()) - {0.0}
        assert len(sizes) <= 4, (w, x)


def test_large_arrays_can_be_drawn():
    @QUICK
    @given(strategies.arguments(notes.DOMAIN, sizes={"n": 400, "d": 50}))
    def check(args):
        w, x, _ = args
        assert np.abs(preactivation(w, x)).max() <= 5
        assert np.mean(np.abs(x) > 0) > 0.5

    check()


def test_drawing_takes_little_beside_what_hypothesis_takes():
    """At most 6 times as long as one integer; lists of integers took 10 to 20 times."""

    def seconds(strategy):
        @settings(QUICK, max_examples=60, database=None, phases=[Phase.generate])
        @given(strategy)
        def run(value):
            pass

        since = time.process_time()
        run()
        return time.process_time() - since

    seconds(strategies.arguments(notes.DOMAIN))
    ratios = [seconds(strategies.arguments(notes.DOMAIN)) / seconds(st.integers(0, 10**6)) for _ in range(3)]
    assert min(ratios) < 6, ratios


# What is promised where few inputs fulfil `where`


def drawn_where(where, **options):
    return draw_inputs(Derivation("∇", notes.W11.of, "w11", notes.DOMAIN, notes.W11.lines, where=where), seed=0, **options)


@pytest.mark.parametrize("at_least", [1, 64, 200])
def test_there_are_as_many_inputs_of_the_main_sizes_as_were_asked_for(at_least):
    found = draw_inputs(notes.W11, seed=0, at_least=at_least)
    assert sum(given.main for given in found) == found.of_main_sizes >= at_least
    assert found.drawn == found.fulfilled == len(found)
    for each in found:
        assert each.main == (each.args[1].shape[0] > 1 and each.args[1].shape[1] > 1)
        assert each.exact


def test_draws_go_on_until_there_are_as_many_as_were_asked_for():
    found = drawn_where(lambda w, x, y: np.sum(x) > 0 and np.sum(w.w11) > 0)
    assert found.of_main_sizes >= 64
    assert found.drawn > 2 * found.fulfilled


def test_strata_that_never_fulfil_where_are_made_up_for_by_others():
    found = drawn_where(lambda w, x, y: np.all(np.abs(x) < 2.0**-9))
    assert found.of_main_sizes >= 64
    assert {each.stratum for each in found if each.main} <= {"small", "zeros"}


def test_a_predicate_that_holds_at_size_one_alone_leaves_none_of_the_main_sizes():
    found = drawn_where(lambda w, x, y: x.shape[0] == 1)
    assert len(found) > 0
    assert found.of_main_sizes == 0
    assert found.drawn <= 50 * 82


def test_draws_end():
    found = drawn_where(lambda w, x, y: np.sum(x) > 8 and np.sum(w.w11) > 1)
    assert 0 < found.fulfilled == len(found) < found.drawn <= 100 * 82 + 50
    if not exploring():  # twice as long
        return
    again = drawn_where(lambda w, x, y: np.sum(x) > 8 and np.sum(w.w11) > 1)
    assert (again.drawn, len(again)) == (found.drawn, len(found))


@pytest.mark.parametrize(("d", "exact"), [(1, True), (2, False), (4, False), (5, True), (9, True)])
def test_what_is_in_the_domain_up_to_rounding_alone_says_so(d, exact):
    for domain in ((unit_vectors("n", d),), (reals("n"), orthogonal(d))):
        derivation = Derivation("", lambda *args: 0.0, None, domain, [lambda *args: 0.0])
        assert {given.exact for given in draw_inputs(derivation, seed=0)} == {exact}
        assert all(any(inexact_flags(domain, one.args)) != exact for one in draw_inputs(derivation, seed=0))
        assert {batch.input(0).exact for batch in batches(derivation, seed=0, size=4, count=2)} == {exact}
