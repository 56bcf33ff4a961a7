"""Every kind keeps its promises: what is drawn, moved, put at the boundary or made simpler is in the domain."""

from dataclasses import replace
from inspect import isabstract
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import HealthCheck, find, given, settings
from hypothesis import strategies as st

import manual_grad
from autodiff_ref.judge import strategies
from autodiff_ref.judge.domains import RandomSource, draw
from autodiff_ref.judge.inputs import draw_arguments
from autodiff_ref.judge.lines.reduction import reduced
from autodiff_ref.judge.shrink import simplest
from autodiff_ref.verify import STRATA
from manual_grad import Derivation, positive_definite, reals, unit_vectors
from manual_grad.domains import Domain
from tests.autodiff_ref.judge.domains.kinds import CONSTRUCTORS, KINDS
from tests.combinations import few_or_many

ALL = pytest.mark.parametrize("leaf", KINDS.values(), ids=KINDS)
SIZES = st.fixed_dictionaries({"n": st.integers(1, 7), "d": st.integers(1, 7), "k": st.integers(1, 5)})
SEEDS = st.integers(0, 2**32)
FEW = settings(max_examples=few_or_many(8, 25), deadline=None, suppress_health_check=[HealthCheck.too_slow])
EXACT = {"symmetric", "positive_definite", "simplex", "simplex 1", "sorted_reals"}


def rows(leaf: Domain, sizes: dict[str, int], strata: list[str], seed: int) -> np.ndarray:
    return draw((leaf,), sizes, strata, RandomSource(np.random.default_rng(seed)))[0]


def below(kind: type[Domain]) -> set[type[Domain]]:
    """The kinds of this package that are made from one."""
    own = {each for each in kind.__subclasses__() if each.__module__.startswith("manual_grad.domains.")}
    return own.union(*map(below, own))


def test_every_kind_has_a_constructor_and_stands_in_these_tests() -> None:
    kinds = {kind for kind in below(Domain) if not kind.__name__.startswith("_") and not isabstract(kind)}
    assert kinds == {type(leaf) for leaf in KINDS.values()}
    assert len(kinds) >= 18


@ALL
@given(sizes=SIZES, seed=SEEDS)
@FEW
def test_batches_are_in_the_domain_in_every_stratum(leaf: Domain, sizes: dict[str, int], seed: int) -> None:
    sized = leaf.sized(sizes)
    strata = [*STRATA, "some zeros", "one zero"] * 3
    drawn = rows(leaf, sizes, strata, seed)
    assert drawn.shape == (len(strata), *sized.shape)
    for x, stratum in zip(drawn, strata, strict=True):
        assert sized.contains(x), (stratum, x)


@ALL
@pytest.mark.parametrize("stratum", STRATA)
def test_single_inputs_and_hypothesis_inputs_are_in_the_domain(leaf: Domain, stratum: str) -> None:
    sizes = {"n": 3, "d": 5, "k": 2}
    source = RandomSource(np.random.default_rng(0))
    for _ in range(5):
        (x,) = draw_arguments((leaf,), sizes, stratum, source)
        assert leaf.sized(sizes).contains(x)

    @settings(FEW, max_examples=few_or_many(3, 10))
    @given(strategies.arguments((leaf,), stratum))
    def check(args: tuple[Any, ...]) -> None:
        (x,) = args
        assert _at(leaf, x).contains(x)

    check()


def _at(leaf: Domain, x: Any) -> Domain:
    """The domain with the sizes of an array; that of its classes is not known."""
    return replace(leaf, dims=np.shape(x))


@ALL
def test_the_same_seed_draws_the_same(leaf: Domain) -> None:
    sizes = {"n": 3, "d": 5, "k": 4}
    first, again, other = (rows(leaf, sizes, [*STRATA] * 20, seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other) or not leaf.varies


@ALL
@given(sizes=SIZES, seed=SEEDS)
@FEW
def test_moves_of_a_climb_stay_in_the_domain(leaf: Domain, sizes: dict[str, int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rows(leaf, sizes, [*STRATA] * 3, seed)
    start = x
    for _ in range(5):
        step = rng.normal(size=x.shape) * 2.0 ** -rng.integers(0, 12, (len(x), *[1] * (x.ndim - 1)))
        x = leaf.moved(x, step * rng.integers(0, 2, x.shape), x[rng.permutation(len(x))] - x, rng)
        assert all(leaf.sized(sizes).contains(each) for each in x)
    assert x.dtype == start.dtype


@pytest.mark.parametrize("name", [name for name in KINDS if name.split()[0] not in ("constants", "classes", "one_hot")])
def test_moves_of_a_climb_move(name: str) -> None:
    leaf, rng = KINDS[name], np.random.default_rng(0)
    x = rows(leaf, {"n": 4, "d": 5}, ["ordinary"] * 100, 0)
    moved = leaf.moved(x, 0.1 * rng.normal(size=x.shape), 0 * x, rng)
    assert np.any(moved != x, axis=tuple(range(1, x.ndim))).mean() > 0.1


@ALL
@given(sizes=SIZES)
@FEW
def test_boundaries_are_in_the_domain(leaf: Domain, sizes: dict[str, int]) -> None:
    sized = leaf.sized(sizes)
    for x in sized.boundary():
        assert np.shape(x) == sized.shape
        assert sized.contains(x)


ON_THE_BOUNDARY = {
    "reals": lambda x: np.any(x == 0),
    "nonnegatives": lambda x: np.any(x == 0),
    "intervals": lambda x: np.any(x == 0),
    "intervals 1": lambda x: np.any((x == -1) | (x == 2)),
    "intervals 2": lambda x: np.any((x == 0.5) | (x == 0.75)),
    "sorted_reals": lambda x: np.any(np.diff(x) == 0),
    "integers": lambda x: np.any((x == 0) | (x == 20)),
    "symmetric": lambda x: np.linalg.matrix_rank(x) < len(x) or repeats(np.linalg.eigvalsh(x)),
    "positive_definite": lambda x: repeats(np.linalg.eigvalsh(x)),
    "lower_triangular 1": lambda x: np.any(np.diag(x) == 0),
    "orthogonal": lambda x: np.count_nonzero(x) == len(x),
    "simplex": lambda x: any(len(set(row)) < len(row) for row in x),
    "unit_vectors 1": lambda x: np.abs(x).max() == 1,
    "permutations": lambda x: np.all(np.diff(x) == 1) or np.all(np.diff(x) == -1),
}


def repeats(values: np.ndarray) -> bool:
    return bool(np.any(np.diff(np.sort(values)) < 1e-12 * np.abs(values).max()))


@pytest.mark.parametrize("name", ON_THE_BOUNDARY)
@given(seed=SEEDS)
@settings(FEW, max_examples=few_or_many(5, 10))
def test_the_stratum_of_zeros_is_on_the_boundary(name: str, seed: int) -> None:
    leaf = KINDS[name]
    at = [bool(ON_THE_BOUNDARY[name](x)) for x in rows(leaf, {"n": 4, "d": 5}, ["zeros"] * 40, seed)]
    assert np.mean(at) >= 0.25
    ordinary = [bool(ON_THE_BOUNDARY[name](x)) for x in rows(leaf, {"n": 4, "d": 5}, ["ordinary"] * 40, seed)]
    assert np.mean(ordinary) < np.mean(at)


@pytest.mark.parametrize("name", ["symmetric", "lower_triangular 1"])
def test_singular_matrices_are_met_other_than_0(name: str) -> None:
    found = [x for x in rows(KINDS[name], {"d": 4}, ["zeros"] * 60, 0) if np.any(x)]
    assert any(np.linalg.matrix_rank(x) < 4 for x in found)


@given(seed=SEEDS, n=st.integers(1, 6), d=st.integers(1, 6))
@FEW
def test_a_single_zero_is_the_only_one(seed: int, n: int, d: int) -> None:
    domain = (reals("d"), reals("n", "d"))
    w, x = draw(domain, {"n": n, "d": d}, ["one zero"] * 20, RandomSource(np.random.default_rng(seed)))
    assert np.all(np.count_nonzero(w == 0, axis=1) + np.count_nonzero(x == 0, axis=(1, 2)) == 1)


def test_a_single_zero_is_met_in_every_place() -> None:
    w, x = draw((reals(3), reals(2, 3)), {}, ["zeros"] * 300, RandomSource(np.random.default_rng(0)))
    single = (np.count_nonzero(w == 0, axis=1) + np.count_nonzero(x == 0, axis=(1, 2))) == 1
    places = np.concatenate([w, x.reshape(-1, 6)], axis=1)[single]
    assert np.all((places == 0).any(axis=0))


@pytest.mark.parametrize("name", sorted(EXACT))
@given(sizes=SIZES, seed=SEEDS)
@FEW
def test_what_is_drawn_is_exact_in_float32(name: str, sizes: dict[str, int], seed: int) -> None:
    x = rows(KINDS[name], sizes, ["ordinary", "one label", "equal"] * 3, seed)
    if name in ("simplex", "simplex 1", "positive_definite"):
        assert np.array_equal(x.astype(np.float32), x)
    if "simplex" in name:
        assert np.all(x.sum(axis=-1) == 1)


@given(d=st.integers(5, 40), seed=SEEDS)
@FEW
def test_from_five_entries_on_unit_vectors_and_orthogonal_matrices_are_exact(d: int, seed: int) -> None:
    u = rows(unit_vectors("d"), {"d": d}, [*STRATA] * 2, seed) * 2.0**24
    q = rows(KINDS["orthogonal"], {"d": d}, [*STRATA] * 2, seed) * 2.0**24
    assert np.array_equal(u, np.round(u))
    assert np.array_equal(q, np.round(q))
    for row in u.astype(int).tolist():
        assert sum(k * k for k in row) == 2**48
    for matrix in q[:3].astype(int).astype(object):
        assert np.array_equal(matrix @ matrix.T, np.eye(d, dtype=int).astype(object) * 2**48)


@given(seed=SEEDS)
@FEW
def test_unit_vectors_and_orthogonal_matrices_differ(seed: int) -> None:
    for name in ("unit_vectors 1", "orthogonal"):
        drawn = rows(KINDS[name], {"d": 5}, ["ordinary"] * 30, seed)
        assert len({x.tobytes() for x in drawn}) > 25
        assert np.mean([np.count_nonzero(x) / x.size for x in drawn]) > 0.5


# Simpler


def anything(*args: Any, nabla: Any = None) -> Any:
    return jax.numpy.zeros(())


def derivation(*domain: Any, **options: Any) -> Derivation:
    return Derivation("", anything, None, domain, [anything], **options)


@ALL
def test_the_simplest_arguments_are_in_the_domain(leaf: Domain) -> None:
    seen: list[Any] = []

    def differs(args: tuple[Any, ...]) -> bool:
        seen.append(args[0])
        return args[0].size > 1

    found = simplest(derivation(leaf), differs)
    assert seen
    assert all(_at(leaf, x).contains(x) for x in seen)
    assert found is not None or not leaf.dims


@ALL
@given(sizes=SIZES, seed=SEEDS)
@settings(FEW, max_examples=few_or_many(5, 10))
def test_reduced_arguments_are_in_the_domain(leaf: Domain, sizes: dict[str, int], seed: int) -> None:
    (x,) = draw_arguments((leaf,), sizes, "far", RandomSource(np.random.default_rng(seed)))
    rng, seen = np.random.default_rng(seed), list[Any]()

    def differs(args: tuple[Any, ...]) -> bool:
        seen.append(args[0])
        return bool(rng.integers(0, 2))

    (found,) = reduced(derivation(leaf), (x,), differs)
    assert all(_at(leaf, each).contains(each) for each in (*seen, found))
    assert digits_in(found) <= digits_in(x)


def digits_in(x: Any) -> int:
    return sum(len(repr(abs(v)).strip("0.")) for v in np.ravel(x).tolist())


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("nonnegatives", [[0.0]]),
        ("sorted_reals", [[0.0]]),
        ("integers", [0.0]),
        ("permutations", [0]),
        ("symmetric", [[0.0]]),
        ("positive_definite", [[1.0]]),
        ("lower_triangular", [[1.0]]),
        ("simplex", [[1.0]]),
    ],
)
def test_what_differs_everywhere_is_reduced_to_the_simplest(name: str, wanted: Any) -> None:
    (x,) = draw_arguments((KINDS[name],), {"n": 4, "d": 5}, "ordinary", RandomSource(np.random.default_rng(0)))
    (found,) = reduced(derivation(KINDS[name]), (x,), lambda args: True)
    assert found.tolist() == wanted


@ALL
def test_numbers_are_put_where_the_domain_allows_it(leaf: Domain) -> None:
    sizes = {"n": 3, "d": 5, "k": 4}
    (x,) = draw_arguments((leaf,), sizes, "ordinary", RandomSource(np.random.default_rng(0)))
    for number in (-1.0, 0.0, 0.5, 1.0, 3.0):
        for place in (None, *range(x.size)):
            put = leaf.put(x, place, number)
            if put is not None:
                assert leaf.sized(sizes).contains(put)
                assert np.any(put == number)


def test_a_failing_test_shrinks_to_a_short_element() -> None:
    for name in ("symmetric", "simplex", "permutations", "orthogonal", "lower_triangular"):
        leaf = KINDS[name]
        (x,) = find(strategies.arguments((leaf,), sizes={n: 3 for n in ("n", "d") if n in leaf.dims}), lambda args: True)
        assert _at(leaf, x).contains(x)
        assert digits_in(x) <= 18, (name, x)


def test_each_kind_of_domain_is_documented() -> None:
    table = (Path(__file__).parents[4] / "docs" / "domains.md").read_text(encoding="utf-8")
    constructors = {name for name in manual_grad.__all__ if name.islower() and isinstance(example_of(name), Domain)}
    assert constructors == set(CONSTRUCTORS)
    assert all(f"| `{name}(" in table for name in constructors)


def example_of(name: str) -> Any:
    """What a constructor makes, of whichever arguments it takes; None for other functions."""
    for arguments in (("d",), (0, 1, "d"), ("d", "k"), (2.0, "d")):
        try:
            return getattr(manual_grad, name)(*arguments)
        except Exception:
            continue
    return None


def test_a_singular_matrix_is_not_positive_definite_although_its_factorization_ends():
    """√2 √2 is more than 2 in floats."""
    domain = positive_definite(2)
    assert not domain.contains(np.array([[2.0, 2.0], [2.0, 2.0]]))
    assert domain.contains(np.array([[2.0, 1.999], [1.999, 2.0]]))
