"""The prover's identities: each row holds where it says so, and a proof names the rows that it used."""

import re
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from flint import arb, ctx, fmpq
from hypothesis import given
from hypothesis import strategies as st

from autodiff_ref import verify
from autodiff_ref.judge.explanation.explain import explain
from autodiff_ref.judge.functions import FUNCTIONS
from autodiff_ref.judge.symbols.prover import identities, worker
from autodiff_ref.judge.symbols.prover.identities import IDENTITIES, Identity, identity
from manual_grad import Derivation, notes, reals

PROVER = Path(identities.__file__).parent
SYMMETRIES = [f"{name} is {row.parity}" for name, row in FUNCTIONS.items() if row.parity]
ROWS = {name: identity(name) for name in (*IDENTITIES, *SYMMETRIES)}


def power(p: arb, q: arb) -> arb:
    """p^q for reals: nothing where p < 0 and q is no integer, or at 1/0."""
    exponent = int(float(q)) if float(q).is_integer() else None
    if exponent is not None and (p != 0 or exponent >= 0):
        return p**exponent
    return p**q if p > 0 else arb(0) if p == 0 and q > 0 else arb.nan()


SCOPE: dict[str, Any] = {
    **{name: row.ball for name, row in FUNCTIONS.items()},
    "power": power,
    "above": lambda p: arb(int(p > 0)),
    "sign": lambda p: arb(int(p > 0) - int(p < 0)),
    "abs": abs,
    "max": lambda a, b: a if a >= b else b,
    "min": lambda a, b: a if a <= b else b,
    "half": arb(fmpq(1, 2)),
    "log": lambda x: arb(x).log(),
}

KINDS = {
    "real": st.integers(-40, 40).map(lambda k: fmpq(k, 8)),
    "whole": st.integers(-4, 4).map(fmpq),
    "rational": st.sampled_from([fmpq(k, 6) for k in (-12, -6, -5, -3, -2, 0, 1, 2, 3, 4, 6, 9, 12)]),
    "bit": st.sampled_from([fmpq(0), fmpq(1)]),
}


def sides(row: Identity, values: dict[str, Any]) -> tuple[arb, arb]:
    """Both, in balls; nothing for one that is not defined."""
    scope = SCOPE | {name: arb(value) for name, value in values.items()}
    found = []
    for text in (row.left, row.right):
        try:
            found.append(arb(eval(text, {}, scope)))
        except ZeroDivisionError:
            found.append(arb.nan())
    return found[0], found[1]


def holds(row: Identity, values: dict[str, Any]) -> bool:
    return not row.where or bool(eval(row.where, {}, SCOPE | values))


@pytest.mark.parametrize("name", ROWS)
@given(data=st.data())
def test_an_identity_holds_where_it_says_so(name: str, data: st.DataObject) -> None:
    row = ROWS[name]
    values = {variable: data.draw(KINDS[kind], label=variable) for variable, kind in row.variables.items()}
    if not holds(row, values):
        return
    with_precision = ctx.prec
    ctx.prec = 200
    try:
        left, right = sides(row, values)
    finally:
        ctx.prec = with_precision
    if left.is_finite() and right.is_finite():
        assert left.overlaps(right)
        assert abs(left - right) < 1e-30


@pytest.mark.parametrize("name", ROWS)
def test_some_random_points_meet_an_identitys_condition_and_have_two_sides(name: str) -> None:
    """The test above would pass where none does."""
    row, rng = ROWS[name], np.random.default_rng(0)
    met = 0
    for _ in range(400):
        values = {
            variable: fmpq(int(rng.integers(2)))
            if kind == "bit"
            else fmpq(int(rng.integers(-9, 10)), 1 if kind == "whole" else 6)
            for variable, kind in row.variables.items()
        }
        met += holds(row, values) and all(side.is_finite() for side in sides(row, values))
    assert met >= 20


@pytest.mark.parametrize("name", [name for name, row in IDENTITIES.items() if row.counterexample])
def test_a_counterexample_breaks_an_identity(name: str) -> None:
    row = IDENTITIES[name]
    values = {variable: fmpq(round(2 * value), 2) for variable, value in row.counterexample.items()}
    assert set(values) == set(row.variables)
    assert not holds(row, values) or any(kind == "bit" and values[v] not in (0, 1) for v, kind in row.variables.items())
    left, right = sides(row, values)
    assert left.is_finite() != right.is_finite() or abs(left - right) > 1e-9


@pytest.mark.parametrize("name", [name for name, row in IDENTITIES.items() if row.where])
def test_an_identity_with_a_condition_prints_it(name: str) -> None:
    row = IDENTITIES[name]
    assert str(row).startswith(f"{name}: {row.equation}, where ")
    assert not re.search(r"[*!]|==|>=|<=", str(row).partition(", where ")[2])


def test_the_prover_names_rows_and_there_is_none_that_it_never_names() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in PROVER.glob("*.py") if path.name != "identities.py")
    assert set(re.findall(r'self\.use\("([^"]+)"\)', sources)) <= set(IDENTITIES)
    named = {name for name in IDENTITIES if f'"{name}"' in sources} | {row.name for row in identities.DEFINITIONS.values()}
    assert named == set(IDENTITIES)


@pytest.mark.parametrize("name", [name for name, row in FUNCTIONS.items() if row.known_symmetry])
def test_the_value_at_0_is_the_one_that_the_prover_is_told(name: str) -> None:
    row = FUNCTIONS[name]
    assert row.ball(arb(0)) == int(str(row.known_symmetry).split()[1])


def asked(nodes: list[list[Any]], a: int, b: int, prover: worker.Prover | None = None) -> dict[str, Any]:
    prover = prover or worker.Prover()
    prover.nodes[:] = nodes
    return prover.answer([[a, b]], 10**9)


X, Y, POSITIVE = ["symbol", 0, None, None], ["symbol", 1, None, None], ["symbol", 2, "0", None]

STEPS: dict[str, tuple[list[list[Any]], list[str]]] = {
    "log e^x = x": ([X, ["exp", 0], ["log", 1]], ["logarithm of an exponential"]),
    "σ(x) = 1 − σ(−x)": (
        [X, ["neg", 0], ["logistic", 1], ["number", "1", "1"], ["sub", 3, 2], ["logistic", 0]],
        ["σ", "cancelling a denominator", "exponentials add"],
    ),
    "sin² + cos² = 1": (
        [
            X,
            ["call", "sin", "odd 0", 0],
            ["call", "cos", "even 1", 0],
            ["mul", 1, 1],
            ["mul", 2, 2],
            ["add", 3, 4],
            ["number", "1", "1"],
        ],
        ["sine squared"],
    ),
    "sin(−x) = −sin x": (
        [
            X,
            ["neg", 0],
            ["call", "sin", "odd 0", 1],
            ["call", "sin", "odd 0", 0],
            ["neg", 3],
            ["add", 2, 3],
            ["number", "0", "1"],
        ],
        ["sin is odd"],
    ),
    "cos(x + y) = cos x cos y − sin x sin y": (
        [
            X,
            Y,
            *[["call", name, symmetry, k] for k in (0, 1) for name, symmetry in (("sin", "odd 0"), ("cos", "even 1"))],
            ["mul", 3, 5],
            ["mul", 2, 4],
            ["add", 0, 1],
            ["call", "cos", "even 1", 8],
            ["sub", 6, 7],
        ],
        ["cosine of a sum"],
    ),
    "log(p e^x) = log p + x": (
        [X, POSITIVE, ["exp", 0], ["mul", 1, 2], ["log", 3], ["log", 1], ["add", 5, 0], ["sub", 4, 6], ["number", "0", "1"]],
        ["logarithm of a product", "logarithm of an exponential"],
    ),
}


@pytest.mark.parametrize("step", STEPS)
def test_a_proof_names_what_it_used(step: str) -> None:
    nodes, wanted = STEPS[step]
    last = {"log e^x = x": (2, 0), "σ(x) = 1 − σ(−x)": (4, 5)}.get(step, (len(nodes) - 2, len(nodes) - 1))
    answer = asked(nodes, *last)
    assert answer["reason"] == ""
    assert set(wanted) <= set(answer["uses"]), answer["uses"]
    assert answer["left_out"] == []


def test_arithmetic_alone_uses_no_identity() -> None:
    nodes = [X, Y, ["add", 0, 1], ["mul", 2, 2], ["mul", 0, 0], ["mul", 0, 1], ["mul", 1, 1], ["add", 4, 5, 5, 6]]
    answer = asked(nodes, 3, 7)
    assert (answer["reason"], answer["uses"], answer["left_out"]) == ("", [], [])


def test_what_was_made_for_another_question_is_named_again() -> None:
    """Normal forms are kept from question to question, and with them what they rest on."""
    for nodes, _ in STEPS.values():
        for k in range(2, len(nodes)):
            doubled = [*nodes, ["add", k, k], ["number", "2", "1"], ["mul", k, len(nodes) + 1]]
            pair = len(nodes), len(nodes) + 2
            warm = worker.Prover()
            asked(doubled, k, 0, warm)
            asked(doubled, *pair, warm)
            fresh = asked(doubled, *pair)
            again = asked(doubled, *pair, warm)
            assert (again["reason"], again["uses"], again["left_out"]) == (fresh["reason"], fresh["uses"], fresh["left_out"])


def test_a_proof_says_where_it_says_nothing() -> None:
    def of(x: Any) -> Any:
        return jnp.sum(x * jnp.abs(x)) / 2

    def line_1(x: Any, nabla: Any) -> Any:
        """|x|"""
        return jnp.where(x > 0, x, -x)

    half = Derivation("∇ x|x|/2", of=of, wrt="x", domain=(reals("n"),), lines=[line_1])
    report = verify(half, examples=8, floats=False)
    proof = report.lines[0].proof
    assert proof is not None
    first = line_1.__code__.co_firstlineno
    assert f"equality in > (test_identities.py:{first + 2})" in proof.leaves_out
    assert "0 in |x|, as it comes about in a derivative" in proof.leaves_out
    assert {row.name for row in proof.uses} >= {"|x|", "sign of a product"}
    said = proof.to_dict()
    assert said["proved"]
    assert {"name": "|x|", "equation": "|x| = x sign(x)", "where": ""} in said["uses"]


def test_explain_prints_the_identities() -> None:
    (explanation,) = explain(notes.RESIDUAL, ["claim_b"])
    text = str(explanation)
    assert "  by          " in text
    assert explanation.to_dict()["proof"]["proved"]
    for row in explanation.to_dict()["proof"]["uses"]:
        assert f"{row['name']}: {row['equation']}" in text
