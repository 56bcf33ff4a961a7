"""Every rule of rounding bounds against balls, by the tables that the rules of balls are tested by: none is left out."""

from typing import Any

import jax
import numpy as np
import pytest
from jax import lax

from autodiff_ref.judge.floats.table import FLOATS, WITHOUT_BOUNDS
from tests.autodiff_ref.judge.test_balls import ENTRYWISE
from tests.autodiff_ref.judge.test_rounding import DTYPES, check
from tests.autodiff_ref.judge.test_rules import RULES
from tests.combinations import combinations

pytestmark = pytest.mark.rounding

UNSEEN = {"add_any", "one_minus_square", "iota"}
"""what no program asks for by itself: sums of cotangents, what JAX asks for from 0.12 on, and what is known beforehand"""

NAMES = {name: name.partition(",")[0].partition(" ")[0] for name in (*RULES, *ENTRYWISE)}
"""cases by name, and their primitives"""

JUDGED = sorted(
    name for name, primitive in NAMES.items() if primitive not in {*WITHOUT_BOUNDS, "expm"} and name != "pow by an integer"
)
"""those that have bounds; a power by integers that are no constants has none, nor has JAX's program for e^A, which solves"""


def batch(name: str, dtype: Any) -> tuple[Any, list[Any]]:
    """A function of arrays, and several inputs."""
    if name == "rem":  # multiples of 1/16 are too often multiples of each other, where it jumps
        return lax.rem, list(np.random.default_rng(0).uniform(1, 9, (2, 3, 4)).astype(dtype))
    if name in RULES:
        inputs, f, _ = RULES[name]
        drawn = [inputs(np.random.default_rng(seed)) for seed in range(2)]
        return f, [np.stack(leaves).astype(dtype) for leaves in zip(*drawn, strict=True)]
    f, _, points = ENTRYWISE[name]
    return f, [np.array([points, points[::-1]], dtype)]


@pytest.mark.parametrize(("name", "dtype"), combinations(JUDGED, DTYPES))
def test_what_is_computed_of_exact_and_of_rounded_operands_is_within_the_bound(name: str, dtype: Any) -> None:
    f, leaves = batch(name, dtype)
    third = np.asarray(3, dtype)

    def first(*xs: Any) -> Any:
        return jax.tree.leaves(f(*xs))[0]

    assert check(first, tuple(leaves), dtype) > 0
    check(lambda *xs: first(*[(x / third) * third for x in xs]), tuple(leaves), dtype)


def test_every_rule_is_among_them() -> None:
    assert {*FLOATS.rules} - {NAMES[name] for name in JUDGED} <= UNSEEN
