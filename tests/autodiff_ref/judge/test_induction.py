"""From two sizes to every size: what is a sum of one term, or one term a row, and what only looks like it."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import autodiff_ref
from autodiff_ref.judge.proving import proofs
from autodiff_ref.judge.symbols.induction import input_kind, is_one_term_for_all
from autodiff_ref.verify import verify
from manual_grad import Derivation, notes, reals
from tests.derivations import batch_norm, softmax, weight_decay
from tests.derivations._few import few_inputs

DIMS = (("d",), ("n", "d"), ("n",))
D = 2


def arguments(n: int, seed: int = 0) -> tuple[Any, ...]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=D), rng.normal(size=(n, D)), rng.normal(size=n)


def is_one_term(f: Any, sizes: tuple[int, int] = (3, 5)) -> bool:
    with jax.enable_x64(True):
        first, second = (jax.make_jaxpr(f)(*arguments(n)) for n in sizes)
    return is_one_term_for_all(first, second, len(first.out_avals), [input_kind(dims, "n") for dims in DIMS], sizes)


def hidden(w: Any, x: Any) -> Any:
    return jnp.tanh(x[:, :, None] * w)


SUMS = {
    "a sum": lambda w, x, y: jnp.sum(jnp.tanh(x @ w) * y),
    "a contraction": lambda w, x, y: y @ x,
    "a sum and what no example is in": lambda w, x, y: 3 * y @ x - w / 2,
    "a sum of ones": lambda w, x, y: w * jnp.sum(jnp.ones(len(y))),
    "a gradient": lambda w, x, y: jax.grad(lambda w: jnp.sum(jax.nn.log_sigmoid(y * (x @ w))))(w),
    "∇ of a function of all examples": lambda w, x, y: y @ autodiff_ref.nabla("w")(lambda w, x: jnp.tanh(x @ w))(w, x),
    "∇ of several numbers an example": lambda w, x, y: jnp.einsum("n,nkld->d", y, autodiff_ref.nabla("w")(hidden)(w, x)),
    "a Hessian": lambda w, x, y: jax.hessian(lambda w: jnp.sum(jnp.exp(x @ w)))(w),
    "a sum, chosen": lambda w, x, y: jnp.where(w > 0, y @ x, w),
    "a softmax in each row": lambda w, x, y: jnp.sum(jax.nn.softmax(x * w, axis=1), axis=0),
    "sorted in each row": lambda w, x, y: jnp.sum(jnp.sort(x, axis=1)[:, ::-1] * y[:, None], axis=0),
    "put side by side": lambda w, x, y: jnp.sum(jnp.concatenate([x, y[:, None]], axis=1) ** 2),
}

ROWS = {
    "one a row": lambda w, x, y: jnp.exp(x @ w) / (1 + y * y),
    "its slope": lambda w, x, y: jax.grad(lambda y: jnp.sum(jnp.maximum(y, 0) ** 2))(y),
}

NEITHER = {
    "a mean": lambda w, x, y: jnp.mean(x @ w),
    "a factor n": lambda w, x, y: len(y) * w,
    "a power n": lambda w, x, y: jnp.sum(jax.lax.integer_pow(y, len(y))),
    "the square of a sum": lambda w, x, y: jnp.sum(y) ** 2,
    "each with each": lambda w, x, y: jnp.sum(y[:, None] * y),
    "a sum in every row": lambda w, x, y: jnp.sum(jnp.exp(y - jnp.sum(y))),
    "a sum, in every row added": lambda w, x, y: jnp.sum(y + jnp.sum(y)),
    "a sum n times": lambda w, x, y: jnp.sum(jnp.broadcast_to(y, (len(y), len(y)))),
    "the greatest": lambda w, x, y: jnp.max(y),
    "a softmax over the examples": lambda w, x, y: jax.nn.softmax(y) @ x,
    "the first two": lambda w, x, y: jnp.sum(y[:2]),
    "all but one": lambda w, x, y: jnp.sum(y[1:]),
    "one of them": lambda w, x, y: y[0],
    "neighbours": lambda w, x, y: jnp.sum(y * jnp.roll(y, 1)),
    "the other way round": lambda w, x, y: y * y[::-1],
    "pushed by one": lambda w, x, y: y * jax.lax.pad(y, 0.0, [(1, -1, 0)]),
    "running sums": lambda w, x, y: jnp.cumsum(y),
    "in order": lambda w, x, y: jnp.sort(y),
    "a weight for each place": lambda w, x, y: jnp.sum(y * jnp.arange(len(y))),
    "places above a number": lambda w, x, y: jnp.sum(jnp.where(jnp.arange(len(y)) < 7, y, 0.0)),
    "places next to each other": lambda w, x, y: y @ jnp.eye(len(y), k=1) @ y,
    "a matrix turned": lambda w, x, y: jnp.sum(x.reshape(D, -1)[0]),
    "halves": lambda w, x, y: jnp.sum(jnp.concatenate([y, y]).reshape(-1, 2)[:, 0] * y),
    "a sum made an integer": lambda w, x, y: jnp.sum(y).astype(int),
    "a sum below a bound": lambda w, x, y: jnp.minimum(jnp.sum(y), 1),
    "one over a sum": lambda w, x, y: w / jnp.sum(y),
    "the condition is a sum": lambda w, x, y: jnp.where(jnp.sum(y) > 0, w, 0 * w),
}


@pytest.mark.parametrize("name", SUMS)
def test_a_sum_of_one_term_is_known_and_adds_up(name: str) -> None:
    f = SUMS[name]
    assert is_one_term(f)

    @jax.jit
    def left_overs(w: Any, x: Any, y: Any) -> list[Any]:
        """f of some, and of the others, less f of all, which is c"""
        return [f(w, x[:k], y[:k]) + f(w, x[k:], y[k:]) - f(w, x, y) for k in (2, 3)]

    w = arguments(7)[0]
    with jax.enable_x64(True):
        left_over = [np.asarray(value) for seed in (1, 2) for value in left_overs(w, *arguments(7, seed)[1:])]
    for other in left_over[1:]:
        np.testing.assert_allclose(other, left_over[0], atol=1e-12)


@pytest.mark.parametrize("name", ROWS)
def test_one_term_a_row_is_known_and_depends_on_that_row(name: str) -> None:
    f = jax.jit(ROWS[name])
    assert is_one_term(ROWS[name])
    w, x, y = arguments(7)
    with jax.enable_x64(True):
        whole = np.asarray(f(w, x, y))
        for i in range(7):
            np.testing.assert_allclose(np.asarray(f(w, x[i : i + 1], y[i : i + 1]))[0], whole[i], rtol=1e-12)


@pytest.mark.parametrize("name", NEITHER)
def test_nothing_else_is_taken_for_one(name: str) -> None:
    assert not is_one_term(NEITHER[name])


@pytest.mark.parametrize("derivation", [notes.W21, softmax.SOFTMAX, weight_decay.WEIGHT_DECAY], ids=lambda d: d.name)
def test_lines_are_proved_for_every_number_of_examples(derivation: Derivation) -> None:
    report = verify(derivation, inputs=few_inputs(derivation), floats=False, suspects=False)
    assert {line.proof.every for line in report.lines if line.proof} == {"n"}, str(report)
    assert "for every n at " in report.summary["proved"]


def test_batch_normalisation_mixes_its_examples() -> None:
    report = verify(batch_norm.BATCH_NORM, inputs=few_inputs(batch_norm.BATCH_NORM), floats=False, suspects=False)
    assert {line.verdict for line in report.lines} == {"proved"}
    assert not any(line.proof.every == "n" for line in report.lines if line.proof), str(report)


def test_what_is_true_of_three_examples_only_is_not_proved_for_more() -> None:
    def total(x: Any) -> Any:
        return jnp.sum(x * x)

    def thirds(x: Any, nabla: Any) -> Any:
        return 6 * x / len(x)

    three = Derivation("∇ Σ x²", of=total, wrt="x", domain=(reals("n"),), lines=[thirds], sizes={"n": (3, 3)})
    report = verify(three, floats=False)
    assert report.lines[0].verdict == "proved"
    assert report.lines[0].proof is not None
    assert report.lines[0].proof.scope == " at n=3"


def test_a_failure_to_look_further_is_said_and_loses_no_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise KeyError("axes")

    monkeypatch.setattr(proofs, "is_one_term_for_all", broken)
    report = verify(notes.W21, inputs=few_inputs(notes.W21), floats=False)
    assert {line.verdict for line in report.lines} == {"proved"}
    assert "for which sizes the lines hold could not be looked into: KeyError: 'axes'" in report.notes


def test_a_line_with_a_condition_of_its_own_is_proved_at_its_shape_only() -> None:
    def twice(x: Any, nabla: Any) -> Any:
        return x + x

    twice.valid = lambda x: jnp.sum(x) > 0  # pyright: ignore[reportFunctionMemberAccess]
    squares = Derivation("∇ Σ x²", of=lambda x: jnp.sum(x * x), wrt="x", domain=(reals("n"),), lines=[twice])
    report = verify(squares, floats=False)
    assert str(report.lines[0].proof) == "proved at n=3"
