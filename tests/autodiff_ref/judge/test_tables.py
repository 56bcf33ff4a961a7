"""The tables against each other: random programs mean the same in balls, with rounding bounds, in symbols, and in JAX."""

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
import pytest
from flint import arb
from hypothesis import given, settings
from hypothesis import strategies as st

from autodiff_ref.judge.balls import precision
from autodiff_ref.judge.floats.table import bounded
from autodiff_ref.judge.program.walk import plan
from autodiff_ref.judge.symbols.expressions import Context, Expressions
from autodiff_ref.judge.symbols.prover import ring
from autodiff_ref.judge.symbols.prover.nodes import Graph
from autodiff_ref.judge.symbols.prover.polynomials import UnprovableError
from autodiff_ref.judge.symbols.table import SYMBOLS
from tests.autodiff_ref.judge.test_prover import at_point
from tests.autodiff_ref.judge.test_rounding import PROGRAM_STEPS, eagerly, excess, in_balls, programs, traced, vectors

NOT_WRITTEN = {18: "cond", 21: "while", 22: "sort"}
"""the steps of random programs, by number, that symbols say nothing of, since these branch on values"""


@pytest.fixture(autouse=True, scope="module")
def small_limit() -> Iterator[None]:
    """What grows is given up soon: the prover's own limit is its process's time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ring, "LARGEST", 200)
        yield


def in_symbols(f: Any, args: tuple[Any, ...]) -> list[arb]:
    """f as normal forms, and these at the numbers of `args`; an entry of which no normal form is found is not a number."""
    expressions = Expressions()
    symbols = [np.array([expressions.symbol() for _ in leaf], dtype=object) for leaf in args]
    at = {
        node.id: arb(float(x))
        for nodes, leaf in zip(symbols, args, strict=True)
        for node, x in zip(nodes, leaf, strict=True)
    }
    made = plan(traced(f, args, np.float64), SYMBOLS)
    outputs = [node for out in made.run(Context(expressions), *symbols) for node in np.ravel(out)]
    graph = Graph()
    graph.nodes = expressions.nodes
    return [_value(graph, node.id, at) for node in outputs]


def _value(graph: Graph, node: int, at: Any) -> arb:
    try:
        return at_point(graph, graph.value(node), at)
    except UnprovableError:
        return arb.nan()


def compare(f: Any, args: tuple[Any, ...]) -> int:
    """Asserts that every table and eager JAX agree on f at `args`; how many entries symbols had a value for."""
    balls, decided = in_balls(f, args)
    if not decided:
        return 0
    value, error = bounded(traced(f, args, np.float64))(*[leaf[None] for leaf in args])[0]
    assert excess(value[0], error[0], balls) <= 1, (args, value, error, balls)
    assert excess(eagerly(f, args, np.float64), error[0], balls) <= 1, (args, error, balls)
    try:
        with precision(400):
            symbolic = in_symbols(f, args)
            pairs = [(s, b) for s, b in zip(symbolic, balls, strict=True) if s.is_finite() and b.is_finite()]
            assert all(s.overlaps(b) for s, b in pairs), (args, pairs)
    except NotImplementedError:  # of this program, symbols say nothing
        return 0
    return len(pairs)


@settings(max_examples=30)
@given(program=programs(), seed=st.integers(0, 50))
def test_random_programs_mean_the_same_in_every_table(program: Any, seed: int) -> None:
    a, b = vectors(seed, 1, np.float64)
    compare(program[0], (a[0], b[0]))


@pytest.mark.parametrize("step", range(len(PROGRAM_STEPS)))
def test_every_step_means_the_same_in_every_table(step: int) -> None:
    a, b = vectors(3, 1, np.float64)
    assert (compare(PROGRAM_STEPS[step], (a[0], b[0])) > 0) == (step not in NOT_WRITTEN)


def test_a_table_that_means_something_else_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SYMBOLS.rules, "exp", SYMBOLS.rules["expm1"])
    with pytest.raises(AssertionError):
        compare(lambda a, b: jax.numpy.exp(a) * b, (np.array([0.5, 1.0, 2.0]), np.ones(3)))
