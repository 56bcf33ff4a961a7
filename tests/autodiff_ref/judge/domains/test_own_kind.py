"""A user's kind of domain, in a user's file: docs/extending.md, as it is written there."""

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from typer.testing import CliRunner

from autodiff_ref import assert_derivation, assert_gradients_agree, verify
from autodiff_ref.cli.app import app
from autodiff_ref.verify import strategies
from manual_grad import Derivation, Domain, reals

PAGE = (Path(__file__).parents[4] / "docs" / "extending.md").read_text(encoding="utf-8")
_, KIND = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)

RULE = """

import jax, jax.numpy as jnp

@jax.custom_jvp
def squared_length(a):
    return -jnp.trace(a @ a)

@squared_length.defjvp
def rule(primals, tangents):
    (a,), (da,) = primals, tangents
    return squared_length(a), 2 * jnp.sum(a * da)  # right for skew-symmetric matrices alone
"""


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the user's file holds."""
    path = tmp_path_factory.mktemp("own") / "own_kind.py"
    path.write_text(KIND + RULE, encoding="utf-8")
    sys.path.insert(0, str(path.parent))
    import own_kind  # pyright: ignore[reportMissingImports]

    sys.path.remove(str(path.parent))
    return {"path": path, **vars(own_kind)}


def squared_length(a: Any) -> Any:
    return -jnp.trace(a @ a)


def minus_twice_transposed(a: Any, nabla: Any) -> Any:
    """−2 Aᵀ"""
    return -2 * a.T


def twice(a: Any, nabla: Any) -> Any:
    """2 A, since Aᵀ = −A"""
    return 2 * a


def once(a: Any, nabla: Any) -> Any:
    """A"""
    return a


def derivation(domain: Domain, *lines: Any) -> Derivation:
    return Derivation("∇ −tr A²", squared_length, "a", (domain,), lines)


def test_lines_are_right_or_wrong_by_the_kind(mine: dict[str, Any]) -> None:
    report = verify(derivation(mine["skew"]("d"), minus_twice_transposed, twice, once))
    assert [line.verdict for line in report.lines] == ["proved", "agrees", "refuted"], str(report)
    (counterexample,) = report.lines[2].counterexample.args  # pyright: ignore[reportOptionalMemberAccess]
    assert np.array_equal(counterexample, -counterexample.T)
    of_reals = verify(derivation(reals("d", "d"), minus_twice_transposed, twice))
    assert [line.verdict for line in of_reals.lines] == ["proved", "refuted"]


def test_assertions_take_its_elements(mine: dict[str, Any]) -> None:
    assert_derivation(derivation(mine["skew"]("d"), twice))
    seen = list[np.ndarray]()

    @settings(max_examples=5, deadline=None)
    @given(strategies.arguments((mine["skew"](4),)))
    def check(args: tuple[Any, ...]) -> None:
        seen.append(args[0])
        assert_gradients_agree(lambda a: 2 * a, squared_length, *args)

    check()
    assert all(np.array_equal(a, -a.T) for a in seen)
    assert any(np.count_nonzero(a) == 12 for a in seen)


@pytest.mark.parametrize(("domain", "code"), [("skew(3)", 0), ("skew(d)", 0), ("reals(3, 3)", 1), ("skewed(3)", 2)])
def test_a_rule_is_judged_on_it(mine: dict[str, Any], domain: str, code: int) -> None:
    found = CliRunner().invoke(app, ["rules", f"{mine['path']}:squared_length", "--domain", domain])
    assert found.exit_code == code, found.output
    assert code != 2 or "is none of" in found.output


@pytest.mark.parametrize("name", ["draw", "contains", "simple"])
def test_a_kind_that_does_not_say_enough_is_refused_by_name(mine: dict[str, Any], name: str) -> None:
    lacking = {each: vars(mine["Skew"])[each] for each in ("draw", "contains", "simple") if each != name}
    with pytest.raises(TypeError, match=f"abstract method '?{name}"):
        dataclass(frozen=True)(type("Lacking", (Domain,), lacking))(("d", "d"))


def test_a_kind_that_says_no_more_is_taken_to_hold_its_entries_together(mine: dict[str, Any]) -> None:
    """So a proof at one size is not extended to all sizes."""
    assert mine["skew"]("d").tied() == {"d"}
    assert reals("d", "d").tied() == set()
