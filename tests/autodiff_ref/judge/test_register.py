"""Teaching the judge a function: docs/extending.md, as it is written there."""

import re
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import scipy.special
from flint import arb
from jax.extend import core
from jax.interpreters import ad

from autodiff_ref import register, verify
from autodiff_ref.judge.balls import BALLS, precision
from autodiff_ref.judge.floats.table import FLOATS
from autodiff_ref.judge.functions import FUNCTIONS, Function
from autodiff_ref.judge.symbols.table import SYMBOLS
from manual_grad import Derivation, positives

PAGE = (Path(__file__).parents[3] / "docs" / "extending.md").read_text(encoding="utf-8")
NAMES = ("bessel_k0e", "bessel_k1e")


def primitive(name: str, f: Any) -> Any:
    made = core.Primitive(name)
    made.def_impl(lambda x: jnp.asarray(f(np.asarray(x))))
    made.def_abstract_eval(lambda x: x)
    return made


K0E, K1E = primitive(NAMES[0], scipy.special.k0e), primitive(NAMES[1], scipy.special.k1e)
ad.defjvp(K0E, lambda t, x: t * (K0E.bind(x) - K1E.bind(x)))


def scaled(x: Any) -> Any:
    return K0E.bind(x)


def right(x: Any, nabla: Any) -> Any:
    return K0E.bind(x) - K1E.bind(x)


def sign_lost(x: Any, nabla: Any) -> Any:
    return K0E.bind(x) + K1E.bind(x)


DERIVATION = Derivation("d e^x K₀(x)", scaled, "x", (positives(),), [right, sign_lost])


@pytest.fixture
def as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves the judge's tables as they were."""
    monkeypatch.setattr("autodiff_ref.judge.register.FUNCTIONS", dict(FUNCTIONS))
    for table in (BALLS, FLOATS, SYMBOLS):
        monkeypatch.setattr(table, "rules", dict(table.rules))


def rows() -> list[Function]:
    """What the page registers."""
    code, _ = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    found: list[Function] = []
    exec(code.replace("from autodiff_ref import register\n", ""), {"register": found.append})
    return found


@pytest.mark.usefixtures("as_before")
def test_what_has_no_row_is_undecided_by_name_and_decided_with_the_rows_of_the_page() -> None:
    before = verify(DERIVATION, examples=2, floats=False)
    assert {line.verdict for line in before.lines} == {"undecided"}
    assert all("`bessel_k0e`" in line.reason for line in before.lines)
    for row in rows():
        register(row)
    after = verify(DERIVATION)
    assert [line.verdict for line in after.lines] == ["proved", "refuted"], str(after)


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.name)
def test_the_rows_of_the_page_are_right(row: Function) -> None:
    other = {each.name: each.ball for each in rows()}
    with precision(200), mpmath.workprec(200):
        for point in row.around[0]:
            value, true = row.ball(arb(point)), row.truth(mpmath, mpmath.mpf(point))
            if true is None:
                assert not value.is_finite()
                continue
            assert abs(float(value) - float(true)) < 1e-14
            h = arb(2) ** -60
            quotient = (row.ball(arb(point) + h) - row.ball(arb(point) - h)) / (2 * h)
            slope = eval(row.slope, {}, {**other, "x": arb(point), "y": value})
            assert abs(quotient - slope) < 1e-30


def test_what_is_no_function_is_refused() -> None:
    with pytest.raises(TypeError, match="must be a function of balls, got 3"):
        register("bessel_k0e", 3)  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match="must be a function of balls, got None"):
        register("bessel_k0e")


def test_jax_knows_no_primitive_of_this_name() -> None:
    assert not hasattr(jax.lax, "bessel_k0e")
