"""The prover: what is proved is true, whatever is false is not, and the derivations are proved that can be."""

import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import jax.numpy as jnp
import pytest
from flint import arb, fmpq
from hypothesis import given, settings
from hypothesis import strategies as st

from autodiff_ref.judge.functions import FUNCTIONS
from autodiff_ref.judge.mutation.mutants import mutants
from autodiff_ref.judge.proving import proofs, writing
from autodiff_ref.judge.symbols import expressions, process
from autodiff_ref.judge.symbols.prover import ring, worker
from autodiff_ref.judge.symbols.prover.nodes import Graph
from autodiff_ref.judge.symbols.prover.polynomials import Poly, UnprovableError
from autodiff_ref.judge.symbols.prover.shared import with_shared_closed
from autodiff_ref.judge.symbols.prover.worker import answered
from autodiff_ref.verify import verify
from manual_grad import Derivation, intervals, notes, positives, reals
from tests.derivations import (
    batch_norm,
    hessian,
    hessian_vector,
    likelihoods,
    recurrent,
    relu,
    small,
    softmax,
    temperature,
    three_layers,
    weight_decay,
)
from tests.derivations._traces import traces
from tests.proving import false_versions, proofs_of, related, unproved

PROVED = {
    "W11": notes.W11,
    "W12": notes.W12,
    "W21": notes.W21,
    "RESIDUAL": notes.RESIDUAL,
    "softmax": softmax.SOFTMAX,
    "three layers": three_layers.THREE_LAYERS,
    "weight decay": weight_decay.WEIGHT_DECAY,
    "hessian": hessian.LOGISTIC,
    "hessian, a block": hessian.W21_W21,
    "hessian, the other block": hessian.W21_W11,
    "hessian times a vector": hessian_vector.HESSIAN_VECTOR,
    "relu": relu.RELU,
    "temperature": temperature.BY_TAU,
    "batch norm": batch_norm.BATCH_NORM,
    "labels 0 and 1": likelihoods.BITS,
    "class numbers": softmax.PICKED,
    "entropy": likelihoods.ENTROPY,
    "Huber's loss": small.HUBER,
    "focal loss": likelihoods.FOCAL,
    "a line for x > 0": small.CUBED_SIZE,
    "gamma": likelihoods.GAMMA,
    "recurrent": recurrent.RECURRENT,
}


@pytest.mark.parametrize("name", PROVED)
def test_every_line_is_proved(name: str) -> None:
    derivation = PROVED[name]
    assert unproved(derivation, traces=traces(derivation), work=100_000_000, total=sys.maxsize) == {}


@pytest.mark.parametrize("name", PROVED)
def test_what_is_false_is_never_proved(name: str) -> None:
    """A sample; `benchmarks/proofs.py` asks about every line."""
    derivation = PROVED[name]
    line = derivation.lines[-1]
    false = false_versions(derivation, line)
    planted = [mutant.line for mutant in mutants(derivation, line, seed=7, most=3)]
    for k, mutant in enumerate(planted):
        mutant.__name__ = f"mutant_{k}"
    together = derivation.with_lines(line, *false, *planted)
    asked = proofs_of(together, traces=traces(derivation), work=4_000_000, total=sys.maxsize)
    proved = [wrong for wrong in (*false, *planted) if not asked.proof(wrong, line).reason]
    differ = [wrong.__name__ for wrong in proved if related(together, wrong, line, enough=60, most=150).differences]
    assert differ == []
    assert len(proved) < 4, "most mistakes are some"


def test_a_line_that_takes_too_much_work_says_so() -> None:
    reasons = unproved(three_layers.THREE_LAYERS, work=1_000)
    assert reasons["line_1"] == "ran out of its budget of work at n=3 p=4 d=5 q=2"


def test_lines_that_take_too_much_work_together_say_so() -> None:
    """The first takes all of it, and those after it are not even asked about."""
    reasons = unproved(three_layers.THREE_LAYERS, total=100_000)
    assert set(reasons.values()) == {"the lines together ran out of their budget of work at n=3 p=4 d=5 q=2"}
    assert list(reasons) == three_layers.THREE_LAYERS.labels


def test_a_step_that_takes_too_much_work_is_proved_at_the_smallest_shape() -> None:
    """The first step leaves too little for the second one, but where that is small."""
    first, second, *_ = three_layers.THREE_LAYERS.lines
    for total, shape in ((400_000, "n=2 p=2 d=2 q=2"), (sys.maxsize, "n=3 p=4 d=5 q=2")):
        proofs = proofs_of(three_layers.THREE_LAYERS, total=total)
        assert not proofs.proof(first, None).reason
        found = proofs.proof(second, first)
        assert (found.reason, found.shape) == ("", shape)


@pytest.mark.parametrize(("times", "shape"), [(1, "n=2 p=2 d=2 q=2"), (2, "n=2 p=2 d=2 q=2"), (30, "n=3 p=4 d=5 q=2")])
def test_how_much_work_a_large_shape_is_worth_the_smallest_one_says(monkeypatch, times: int, shape: str) -> None:
    """This step takes 3.3 times as much at the large one, which is more than it is given first."""
    monkeypatch.setattr(proofs, "FIRST", 200_000)
    monkeypatch.setattr(proofs, "TIMES", times)
    found = proofs_of(three_layers.THREE_LAYERS).proof(three_layers.THREE_LAYERS.lines[0], None)
    assert (found.reason, found.shape) == ("", shape)


SLOWED = """
import time
from prover.polynomials import Budget
spend = Budget.spend
def spend_slowly(self, work):
    time.sleep(0.00002)
    spend(self, work)
Budget.spend = spend_slowly
main()
"""


def test_a_slow_machine_gives_the_same_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some lines are proved and some run out of work, in a worker as it is and in one that is many times slower."""
    monkeypatch.setattr(proofs, "WORK", 2_500)
    reports: list[dict[str, Any]] = []
    for start in (process._START, process._START.removesuffix("main()\n") + SLOWED):
        monkeypatch.setattr(process, "_START", start)
        monkeypatch.setattr(proofs, "PROVER", prover := process.Process())
        report = verify(notes.RESIDUAL, examples=8, floats=False)
        prover.kill()
        reports.append(report.to_dict() | {"sweep_seconds": 0})
    assert reports[0] == reports[1]
    assert {line["verdict"] for line in reports[0]["lines"]} == {"proved", "agrees"}, reports[0]
    assert any("budget of work" in line["reason"] for line in reports[0]["lines"])


def test_what_the_prover_knows_already_costs_nothing_and_answers_alike() -> None:
    """Its caches hold nothing half made where it ran out of work: with more, it goes on from there."""
    nodes: list[list[Any]] = [["symbol", k, None, None] for k in range(4)]
    nodes += [["add", *range(4)], ["pow", 4, "5"], ["mul", 5, 5], ["pow", 4, "10"]]
    at_once, again = worker.Prover(), worker.Prover()
    at_once.nodes[:] = again.nodes[:] = nodes
    answer = at_once.answer([[6, 7]], 10**9)
    work = answer["work"]
    assert answer["reason"] == ""
    assert again.answer([[6, 7]], work // 4)["reason"] == "ran out of its budget of work"
    assert again.answer([[6, 7]], work)["reason"] == ""
    assert again.answer([[6, 7]], work)["work"] < work // 4


def test_a_prover_that_hangs_is_stopped_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    hangs = process._START.removesuffix("main()\n") + "import time\ntime.sleep(60)\n"
    monkeypatch.setattr(process, "_START", hangs)
    monkeypatch.setattr(process, "GUARD", 0.3)
    answer = process.Process().ask([["number", "1", "1"]], [(0, 0)], 100, process.Account(1000))
    assert answer.result(20).reason == "was stopped by the clock after 0.3 s, long before its budget of work was spent"


class NeverAnswers:
    """A prover that takes every question and leaves it at that."""

    def __init__(self) -> None:
        self.questions = 0

    def ask(self, *_: Any) -> Future[process.Answer]:
        self.questions += 1
        return Future()

    def kill(self) -> None:
        """There is no process."""


def test_nobody_waits_for_proofs_beyond_the_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proofs, "PROVER", prover := NeverAnswers())
    began = time.monotonic()
    report = verify(notes.RESIDUAL, floats=False, timeout=3)
    assert time.monotonic() - began < 9
    assert prover.questions == 5
    assert [line.verdict for line in report.lines] == ["agrees"] * 5, str(report)
    assert "claim_e: not proved: the time limit of 3 s was over" in str(report).replace("\n  ", " ")


def test_after_the_time_limit_the_prover_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proofs, "PROVER", prover := NeverAnswers())
    late = proofs_of(notes.RESIDUAL, until=time.monotonic(), over="it is late")
    assert late.proof(notes.RESIDUAL.lines[0], None).reason == "it is late"
    assert prover.questions == 0


def test_arguments_that_cannot_be_written_are_a_reason_and_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expressions, "LARGEST", 2)
    report = verify(notes.RESIDUAL, examples=8)
    assert {line.verdict for line in report.lines} == {"agrees"}
    assert {str(line.proof) for line in report.lines} == {"not proved: more than 2 operations in symbols"}


def test_a_mistake_of_the_judge_in_writing_arguments_is_called_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise IndexError("no such size")

    monkeypatch.setattr(writing, "proof_sizes", broken)
    report = verify(notes.RESIDUAL, examples=8)
    assert {line.verdict for line in report.lines} == {"agrees"}
    assert {str(line.proof) for line in report.lines} == {"not proved: the judge failed: IndexError: no such size"}


def test_a_line_that_does_not_take_the_shape_of_proofs_says_so() -> None:
    def only_of_two(x: Any, nabla: Any) -> Any:
        if len(x) != 2:
            raise ValueError("two numbers, please")
        return 2 * x

    two = Derivation("∇ Σ x²", of=lambda x: (x * x).sum(), wrt="x", domain=(reals("n"),), lines=[only_of_two])
    assert "two numbers, please" in proofs_of(two).proof(only_of_two, None).reason


def test_a_line_is_proved_where_it_claims_to_hold_and_nowhere_else() -> None:
    assert unproved(small.CUBED_SIZE) == {}
    everywhere = small.CUBED_SIZE.with_lines(*small.CUBED_SIZE.lines[:2], small.claimed_for_every_x)
    assert unproved(everywhere) == {"claimed_for_every_x": "the normal forms differ"}


def test_a_condition_that_jax_cannot_trace_is_no_condition() -> None:
    def halved(x: Any, nabla: Any) -> Any:
        return jnp.abs(x)

    def at_once(x: Any, nabla: Any) -> Any:
        return x

    at_once.valid = lambda x: float(x) > 0  # pyright: ignore[reportFunctionMemberAccess]
    half = Derivation("∇ x|x|/2", of=lambda x: x * jnp.abs(x) / 2, wrt="x", domain=(reals(),), lines=[halved, at_once])
    reason = unproved(half)["at_once"]
    assert reason == "the normal forms differ; JAX cannot trace its condition: ConcretizationTypeError"


def test_constants_that_stand_for_others_are_named_as_the_cause() -> None:
    reason = unproved(likelihoods.PROBIT)["probit_2"]
    assert reason.startswith("the normal forms differ at n=3; it takes 1.1283791670955126, 1.4142135623730951, 2.50662")


def test_a_report_says_what_was_proved_and_what_was_not() -> None:
    report = verify(notes.RESIDUAL, examples=8)
    assert [line.verdict for line in report.lines] == ["proved"] * 5
    assert report.summary["proved"] == "for all labels"
    assert {line.verdict for line in verify(notes.RESIDUAL, examples=8, prove=False).lines} == {"agrees"}


def test_a_whole_power_of_a_sum_comes_back_from_its_logarithm() -> None:
    nodes: list[list[Any]] = [["symbol", 0, None, None], ["symbol", 1, None, None], ["number", "2", "1"]]
    nodes += [["add", 0, 1], ["log", 3], ["mul", 2, 4], ["exp", 5], ["pow", 3, "2"]]
    graph = Graph()
    graph.nodes = nodes
    assert graph.is_equal(6, 7)


def test_a_power_that_would_never_end_is_given_up_soon() -> None:
    nodes: list[list[Any]] = [["symbol", 0, "0", None], ["number", "1000000000", "7"]]
    nodes += [["log", 0], ["mul", 1, 2], ["exp", 3]]
    graph = Graph()
    graph.nodes = nodes
    with pytest.raises(UnprovableError, match="too large"):
        graph.value(4)


# What both sides share


def kalman(a: Any, q: Any, y: Any) -> tuple[Any, Any]:
    """What a filter of three steps did not expect, and how much it might have been off."""
    mean, variance, found = 0.0, 1.0, []
    for k in range(3):
        mean, variance = a * mean, a * a * variance + q
        off, scale = y[k] - mean, variance + 1
        found.append((off, scale))
        mean, variance = mean + variance / scale * off, variance / scale
    return jnp.stack([off for off, _ in found]), jnp.stack([scale for _, scale in found])


def off(a: Any, q: Any, y: Any) -> Any:
    return kalman(a, q, y)[0]


def scale(a: Any, q: Any, y: Any) -> Any:
    return kalman(a, q, y)[1]


def likelihood(a: Any, q: Any, y: Any) -> Any:
    v, s = kalman(a, q, y)
    return -0.5 * jnp.sum(jnp.log(s) + v * v / s)


def by_off_and_scale(a: Any, q: Any, y: Any, nabla: Any) -> Any:
    """−½ Σ (1/s − v²/s²) ∇s − Σ v/s ∇v"""
    v, s = kalman(a, q, y)
    by_scale, by_off = nabla(scale)(a, q, y), nabla(off)(a, q, y)
    return -0.5 * jnp.sum((1 / s - v * v / s**2) * by_scale) - jnp.sum(v / s * by_off)


def hidden(w: Any, m: Any, u: Any, x: Any) -> Any:
    return jnp.tanh(x @ w)


def reconstruction(w: Any, m: Any, u: Any, x: Any) -> Any:
    z = hidden(w, m, u, x) @ m
    return -0.5 * jnp.sum((x - z @ u) ** 2) - 0.5 * jnp.sum(z * z)


def by_hidden(w: Any, m: Any, u: Any, x: Any, nabla: Any) -> Any:
    """⟨((x − zU)Uᵀ − z)Mᵀ, ∇h⟩"""
    z = hidden(w, m, u, x) @ m
    return jnp.tensordot(((x - z @ u) @ u.T - z) @ m.T, nabla(hidden)(w, m, u, x), axes=2)


def in_full(w: Any, m: Any, u: Any, x: Any) -> Any:
    """Xᵀ(((x − zU)Uᵀ − z)Mᵀ ∘ (1 − h²))"""
    h = hidden(w, m, u, x)
    return x.T @ ((((x - h @ m @ u) @ u.T - h @ m) @ m.T) * (1 - h * h))


KALMAN = Derivation("∂ll/∂a", likelihood, "a", (intervals(-1, 1), positives(), reals(3)), [by_off_and_scale])
ENCODER = Derivation(
    "∇_W of an autoencoder",
    reconstruction,
    "w",
    (reals("d", "h"), reals("h", "k"), reals("k", "d"), reals("n", "d")),
    [by_hidden, in_full],
)


@pytest.mark.parametrize("derivation", [KALMAN, ENCODER], ids=["Kalman", "encoder"])
def test_what_both_sides_share_need_not_be_multiplied_out(derivation: Derivation) -> None:
    assert unproved(derivation, work=500_000) == {}


def test_what_both_sides_share_is_closed_and_opened_where_a_part_of_it_stands_elsewhere() -> None:
    x, y = ["symbol", 0, None, None], ["symbol", 1, None, None]
    nodes = [x, y, ["add", 0, 1], ["mul", 2, 2], ["exp", 3], ["mul", 4, 2], ["mul", 2, 4]]
    largest, alone = with_shared_closed(nodes, [(5, 6)])
    assert largest[2] == alone[2] == ["call", "node 2", None, 0, 1]
    assert largest[3] == ["call", "node 3", None, 0, 1]
    assert alone[3] == ["mul", 2, 2]
    assert with_shared_closed([x, y, ["add", 0, 1], ["add", 1, 0]], [(2, 3)]) == []


# Random expressions: a normal form has the value of the expression

UNARY = ("neg", "exp", "log", "log1p", "logistic", "tanh", "abs", "sign", "sinh", "cosh")
BINARY = ("add", "sub", "mul", "div", "max", "min", "gt", "le", "power")


@st.composite
def graphs(draw: Any) -> list[list[Any]]:
    """Three inputs (the last one positive), small numbers, and up to ten operations on them and on each other."""
    nodes: list[list[Any]] = [["symbol", 0, None, None], ["symbol", 1, None, None], ["symbol", 2, "0", None]]
    nodes += [["number", "1", "1"], ["number", "-3", "2"]]
    for _ in range(draw(st.integers(2, 10))):
        operation = draw(st.sampled_from([*UNARY, *BINARY, "pow", "select", "call"]))
        pick = st.integers(0, len(nodes) - 1)
        if operation == "pow":
            nodes.append(["pow", draw(pick), draw(st.sampled_from(("2", "3", "-1", "1/2", "-1/2", "-2")))])
        elif operation == "select":
            nodes.append(["gt", draw(pick), draw(pick)])
            nodes.append(["select", len(nodes) - 1, draw(pick), draw(pick)])
        elif operation == "call":
            nodes.append(["call", draw(st.sampled_from(("sin", "cos", "erf", "digamma"))), None, draw(pick)])
        else:
            nodes.append([operation, *[draw(pick) for _ in range(2 if operation in BINARY else 1)]])
    return nodes


def sign(x: arb) -> arb:
    return arb(1) if x > 0 else arb(-1) if x < 0 else arb(0) if x == 0 else arb.nan()


def truth(x: arb) -> arb:
    """1 for a positive number, 0 for a negative one; nothing where it cannot be told, or at a tie."""
    return arb(1) if x > 0 else arb(0) if x < 0 else arb.nan()


def greatest(values: list[arb], k: int) -> arb:
    """1 where entry k is greater than all others, 0 where some other one is greater; nothing at a tie."""
    if any(value > values[k] for value in values):
        return arb(0)
    return arb(1) if all(values[k] > v for j, v in enumerate(values) if j != k) else arb.nan()


DIRECT = {
    **{name: row.ball for name, row in FUNCTIONS.items()},
    "neg": lambda x: -x,
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "sign": sign,
    "power": lambda x, y: x**y,
    "gt": lambda x, y: truth(x - y),
    "le": lambda x, y: truth(y - x),
}


def direct(nodes: list[list[Any]], at: list[arb]) -> list[arb]:
    """All nodes at a point, operation by operation."""
    values: list[arb] = []
    for operation, *rest in nodes:
        if operation == "symbol":
            values.append(at[rest[0]])
        elif operation == "number":
            values.append(arb(fmpq(int(rest[0]), int(rest[1]))))
        elif operation == "pow":
            x, q = values[rest[0]], fmpq(*map(int, rest[1].split("/")))
            values.append(x ** int(q.p) if q.q == 1 else x ** arb(q))
        elif operation == "select":
            which, otherwise, value = (values[k] for k in rest)
            values.append(value if which == 1 else otherwise if which == 0 else arb.nan())
        elif operation == "call":
            values.append(FUNCTIONS[rest[0]].ball(values[rest[2]]))
        else:
            values.append(DIRECT[operation](*[values[k] for k in rest]))
    return values


def at_point(graph: Graph, p: Poly, at: list[arb]) -> arb:
    """A normal form at a point, generator by generator."""

    def generator(number: int, exponent: Any) -> arb:
        made = graph.ring.generators[number]
        match made.kind:
            case "symbol":
                value = at[made.key]
            case "bit":
                kind, terms = made.key
                if isinstance(kind, tuple):  # ("greatest", differences of the values to the first): is it number `terms`?
                    beyond = [at_point(graph, dict(part), at) for part in kind[1]]
                    return greatest(beyond, terms)
                base = at_point(graph, dict(terms), at)
                return truth(base) if kind == "above" else arb(1) if base == 0 else arb(0) if base != 0 else arb.nan()
            case "exp":
                value = at_point(graph, made.base, at).exp()
            case "log":
                value = at_point(graph, made.base, at).log()
            case "prime":
                value = arb(made.key)
            case "power":
                value = at_point(graph, made.base, at)
            case _:
                name, _, arguments = made.key
                name = {"sine": "sin", "cosine": "cos"}.get(made.kind, name)
                value = FUNCTIONS[name].ball(*[at_point(graph, dict(part), at) for part in arguments])
        return (
            value ** int(exponent)
            if exponent.denominator == 1
            else value ** arb(fmpq(exponent.numerator, exponent.denominator))
        )

    total = arb(0)
    for m, c in p.items():
        term = arb(c)
        for number, exponent in m:
            factor = generator(number, exponent)
            if factor == 0 and factor.is_exact():
                term = arb(0)
                break
            term *= factor
        total += term
    return total


@pytest.fixture(scope="module")
def small_limit() -> Iterator[None]:
    """What grows is given up soon."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ring, "LARGEST", 200)
        yield


@pytest.mark.usefixtures("small_limit")
@settings(max_examples=60)
@given(graphs(), st.lists(st.integers(-24, 24), min_size=2, max_size=2), st.integers(1, 24), st.booleans())
def test_a_normal_form_has_the_value_of_its_expression(
    nodes: list[list[Any]], first: list[int], last: int, adds_angles: bool
) -> None:
    at = [arb(fmpq(k, 8)) + arb(fmpq(1, 37)) for k in (*first, last)]
    values = direct(nodes, at)
    graph = Graph(adds_angles=adds_angles)
    graph.nodes = nodes
    for k, value in enumerate(values):
        if not value.is_finite():
            continue
        try:
            found = at_point(graph, graph.value(k), at)
        except UnprovableError:
            continue
        assert not found.is_finite() or found.overlaps(value), (nodes[: k + 1], at, str(graph.value(k)), found, value)


@pytest.mark.usefixtures("small_limit")
@settings(max_examples=60)
@given(st.data())
def test_what_is_equal_whatever_its_shared_parts_are_is_equal(data: st.DataObject) -> None:
    nodes = data.draw(graphs(), label="nodes")
    pairs = [(a, b) for a in range(len(nodes)) for b in range(a)]
    at = [arb(fmpq(k, 8)) + arb(fmpq(1, 37)) for k in (3, -11, 6)]
    values = direct(nodes, at)
    for a, b in pairs:
        for closed in with_shared_closed(nodes, [(a, b)]):
            if answered(Graph(closed), [(a, b)]) == "" and values[a].is_finite() and values[b].is_finite():
                assert values[a].overlaps(values[b]), (nodes, closed, a, b)
