"""Diagnosis: what it suspects is what was done, or it says nothing; what it cannot know it does not guess."""

import runpy
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodiff_ref.judge.bench import Bench
from autodiff_ref.judge.diagnosis.diagnose import diagnose
from autodiff_ref.judge.diagnosis.suspect import Diagnosis
from autodiff_ref.judge.diagnosis.terms import complement_of
from autodiff_ref.judge.inputs import draw_inputs
from autodiff_ref.verify import Report, verify
from manual_grad import Derivation, hidden, indicator, notes, positives, preactivation, reals, score, sigmoid
from tests.derivations import MODULES, likelihoods
from tests.derivations._few import few_inputs
from tests.mistakes import MISTAKES
from tests.wrong import WRONG_LINES

SAID = {
    "sign_flipped": "the sign of",
    "y_dropped": "the factor y is missing",
    "sigma_of_z_for_sigma_of_m": "the factor y is missing",
    "y_for_its_indicator": "y is read as 0 and 1, and is −1 and +1",
    "sigma_of_m_for_sigma_of_z": "the factor y is one too many",
    "one_over_p_lost": None,  # the reference, which it is judged against, knows no p
    "extra_slope": "(1 - s) is one too many",
    "hidden_slope_forgotten": "the factor hidden(w, x)[:, 0] (1 − hidden(w, x)[:, 0]) is missing",
    "slope_of_the_activation": "s * (1 - s) stands where hidden(w, x)[:, 0] (1 − hidden(w, x)[:, 0]) should",
    "a_for_h": "preactivation(w, x) stands where hidden(w, x) should",
    "slope_of_tanh": "the slope of tanh",
    "h2_for_h1": "index 1 stands where 0 should, in hidden(w, x)[:, 1]",
    "other_weight": "index 1 stands where 0 should, in w.w21[1]",
    "weight_forgotten": "the factor w21[0] is missing",
    "mean_for_sum": "a mean stands for a sum",
    "last_example_only": "only the last one along n counts",
    "one_h_for_every_example": "h * (1 - h) stands where hidden(w, x)[:, 0] (1 − hidden(w, x)[:, 0]) should",
    "logarithm_with_epsilon": "the term 1e-08 is one too many",
    "probability_clipped": None,  # seen by no ordinary input
    "other_weight_w12": "index 0 stands where 1 should, in w.w21[0]",
    "slope_where_there_is_none": "the factor 1 - h is one too many",
    "hidden_units_swapped": "hidden(w, x)[:, ::-1] stands where hidden(w, x) should",
}
"""what is to be said of each of the hand-written wrong lines, as far as the mistake itself goes; None for nothing"""

SAID_OF_BROKEN = {
    "forgot the label": "y",
    "kept the half": "the division by 2 is one too many",
    "added the penalty": "+ stands where − should",
    "decayed once an example": "the factor 1/n is missing",
    "forgot the decay": "the term −(decay * w) is missing",
    "averaged the examples": "a mean stands for a sum",
    "squared the sigmoid": "(1 − logistic_probability(w, x)) should",
    "took the other unit": "index 1 stands where 0 should",
    "multiplied by the weights": "w stands where v should",
    "forgot the direction": "the factor x @ v is missing",
    "kept the two": "the factor 2 is one too many",
    "turned the kink round": "< stands where > should",
    "forgot the kink": "the factor jnp.where(a(w, x) > 0, 1, 0) is missing",
    "let a leak through": "0.01 stands where 0 should",
    "cooled outside only": "the division by tau is missing",
    "multiplied by the temperature": "· stands where / should",
    "divided by n minus one": "the factor (n − 1)/n is missing",
    "took bits for signs": "t is read as −1 and +1, and is 0 and 1",
    "lost the second logarithm": "the term jnp.log(1 - p) is missing",
    "lost the half": "the factor 1/2 is missing",
    "averaged the offset": "a mean stands for a sum",
    "doubled the tanh": "the factor 1/2 is missing",
    "counted psi once": "the factor n is missing",
    "claimed for every x": None,
    "summed before multiplying": None,
}
"""the same for those of the other derivations' broken versions that take little time"""

BROKEN = [
    (derivation, label, SAID_OF_BROKEN[mistake])
    for module in MODULES
    for derivation, label in module.BROKEN
    if (mistake := derivation.name.rpartition(", ")[2]) in SAID_OF_BROKEN
]


def diagnosed(derivation: Derivation, label: str) -> Diagnosis | None:
    bench = Bench(derivation, few_inputs(derivation, each=2) or draw_inputs(derivation, seed=0), may_shrink=False)
    k = derivation.labels.index(label)
    return diagnose(bench, derivation.lines[k], derivation.lines[k - 1] if k else None)


def check(found: Diagnosis | None, expected: str | None) -> None:
    assert (found is None) == (expected is None), str(found)
    if found is not None and expected is not None:
        assert expected in found.sentence
        assert found.place, "a suggestion says where"


@pytest.mark.parametrize("wrong", WRONG_LINES, ids=lambda wrong: wrong.label)
def test_what_a_wrong_line_did_is_said_and_where(wrong: Any) -> None:
    found = diagnosed(wrong.planted, wrong.label)
    check(found, SAID[wrong.label])
    assert found is None or found.place.startswith("wrong.py:")


@pytest.mark.parametrize(("derivation", "label", "expected"), BROKEN, ids=[d.name for d, _, _ in BROKEN])
def test_what_a_broken_derivation_did_is_said(derivation: Derivation, label: str, expected: str | None) -> None:
    check(diagnosed(derivation, label), expected)


def test_most_hand_written_mistakes_are_named() -> None:
    assert sum(said is not None for said in SAID.values()) >= 20
    assert set(SAID) == {wrong.label for wrong in WRONG_LINES}
    assert len(BROKEN) >= len(SAID_OF_BROKEN), "each of them is judged"


def unrelated(w: Any, x: Any, y: Any, nabla: Any) -> Any:
    """Σ sin(w11ᵀx + y) x"""
    return jnp.sin(x @ w.w11 + y) @ x


def two_mistakes(w: Any, x: Any, y: Any, nabla: Any) -> Any:
    """Σ (I(y=1) + σ(z)) w21[1] h1 ∇ w11ᵀx"""
    h1 = hidden(w, x)[:, 0]
    return ((indicator(y) + sigmoid(score(w, x))) * w.w21[1] * h1) @ nabla(preactivation)(w, x)[:, 0]


@pytest.mark.parametrize("line", [unrelated, two_mistakes])
def test_nothing_is_said_of_a_line_that_no_small_change_puts_right(line: Any) -> None:
    derivation = notes.W11.with_lines(*notes.W11.lines[:7], line)
    assert diagnosed(derivation, line.__name__) is None


def test_of_two_repairs_as_likely_the_one_in_the_words_of_the_line_is_said() -> None:
    """What `hidden` calls its value inside, and what the line calls it, are one value."""
    mistake = next(mistake for mistake in MISTAKES if mistake.line.__name__ == "slope_of_the_activation")
    k = mistake.derivation.labels.index(mistake.instead_of)
    found = diagnosed(mistake.derivation.with_lines(*mistake.derivation.lines[:k], mistake.line), mistake.line.__name__)
    assert found is not None
    assert found.sentence == "sigmoid(net.hidden(w, x)) stands where net.hidden(w, x) should"


# What the right line calls too is right


def step(z: Any) -> Any:
    """σ(z), with a comparison that a change of one sign turns into σ(−z)"""
    t = jnp.exp(jnp.where(z < 0, z, -z))
    return jnp.where(z < 0, t, 1) / (1 + t)


def turned(z: Any) -> Any:
    """σ(−z)"""
    t = jnp.exp(jnp.where(z < 0, z, -z))
    return jnp.where(z > 0, t, 1) / (1 + t)


def of_slope(z: Any) -> Any:
    return step(z) * (1 - step(z))


def squared(z: Any, nabla: Any) -> Any:
    """σ(z)²"""
    return step(z) * step(z)


def written_out(z: Any, nabla: Any) -> Any:
    """σ(−z)²"""
    return turned(z) * (1 - step(z))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (squared, "step(z) stands where 1 - step(z) should, in step(z) * step(z)"),
        (
            written_out,
            "the minus in -z is one too many, in jnp.where(z < 0, z, -z)",
        ),  # the right line does not call `turned`
    ],
)
def test_nothing_is_suspected_inside_of_what_the_right_line_calls_too(line: Any, expected: str) -> None:
    derivation = Derivation("a slope", equals=of_slope, domain=(reals(),), lines=[line])
    found = diagnosed(derivation, line.__name__)
    assert found is not None
    assert found.sentence == expected
    own, helper = (f.__code__.co_firstlineno for f in (line, turned))
    assert found.place.removeprefix("test_diagnosis.py:") == str(own + 2 if line is squared else helper + 2)


def test_nothing_is_said_of_a_right_line() -> None:
    assert diagnosed(notes.W11, "line_3b") is None
    assert all(line.diagnosis is None for line in verify(notes.RESIDUAL).lines)


TANH = jnp.tanh

SLOPES: list[tuple[Any, Any, str | None]] = [
    (lambda z: TANH(z) - TANH(z) ** 2, lambda z: 1 - TANH(z) ** 2, "the slope of σ, with u = TANH(z), stands"),
    (
        lambda z: 1 - sigmoid(z) ** 2,
        lambda z: sigmoid(z) * (1 - sigmoid(z)),
        "the slope of tanh, with u = sigmoid(z), stands",
    ),
    (lambda z: z * jnp.cos(z), lambda z: (z + 1) * jnp.cos(z), None),
    (lambda z: jnp.exp(z) * z**2, lambda z: (jnp.exp(z) + 1) * z**2, None),
    (lambda z: (z**2 + 1) / (3 + z**4), lambda z: z**2 / (3 + z**4), None),
]
"""A line, what it should be, and what is to be said of slopes: they are named where the line has one, and not where it lost
or has too much of a 1."""


@pytest.mark.parametrize(("line", "right", "expected"), SLOPES)
def test_a_slope_is_named_where_the_line_has_one(line: Any, right: Any, expected: str | None) -> None:
    def truth(z: Any) -> Any:
        return right(z)

    found = verify(Derivation("a slope", equals=truth, domain=(reals(),), lines=[line])).lines[0].diagnosis
    said = found.sentence if found else ""
    assert expected in said if expected else "slope of" not in said
    assert found or expected is None


def wave(a: Any) -> Any:
    return jnp.sin(jnp.log1p(a))


def damped(x: Any, r: Any) -> Any:
    d = jnp.tanh(x)
    return jnp.sin(d) + jnp.cos(d)


SAID_OF_A_PAIR: list[tuple[Any, Any, str]] = [
    (
        lambda x, r: wave(r) * jnp.cos(x),
        lambda x, r: wave(r) * (jnp.log(2 + 2 * r) - jnp.log(2.0)),
        "jnp.cos(x) stands where jnp.log1p(a) in wave(r) should",
    ),
    (
        damped,
        lambda x, r: 2 * jnp.sin(jnp.tanh(x) / (2 * r)) * jnp.cos(jnp.tanh(x) / (2 * r)) + jnp.cos(jnp.tanh(x)),
        "the division by r is missing at jnp.tanh(x), in jnp.sin(d)",
    ),
    (
        lambda x, r: r * (1 - sigmoid(x)),
        lambda x, r: r * sigmoid(x) * (1 - sigmoid(x)),
        "the factor sigmoid(x) is missing",
    ),
    (
        lambda x, r: jnp.sin(r) - sigmoid(wave(x)),
        lambda x, r: jnp.sin(r) - sigmoid(-wave(x)),
        "the sign of wave(x) is wrong",
    ),
]
"""A line of two numbers, what it should be, and what is to be said."""


@pytest.mark.parametrize(("line", "right", "expected"), SAID_OF_A_PAIR)
def test_what_is_said_is_in_the_words_of_the_line_and_so_is_the_place(line: Any, right: Any, expected: str) -> None:
    def truth(x: Any, r: Any) -> Any:
        return right(x, r)

    derivation = Derivation("a pair", equals=truth, domain=(positives(), positives()), lines=[line])
    found = diagnosed(derivation, derivation.labels[0])
    assert found is not None
    assert found.sentence == expected
    first = line.__code__.co_firstlineno
    assert first <= int(found.place.rpartition(":")[2]) <= first + 2


def gram(k: Any, v: Any, s: Any) -> Any:
    return k @ k.T + jnp.eye(2)


SAID_WITH_ITS_PLACE: list[tuple[Any, Any, str]] = [
    (lambda k, v, s: v * s / s + v * s, lambda k, v, s: v * s / s + v * s / s, "the factor s is one too many, in v * s"),
    (lambda k, v, s: v / s + v * s, lambda k, v, s: v / s + 2 * v * s, "the factor 2 is missing at v * s"),
    (lambda k, v, s: v * (s - 1) * (s + 1), lambda k, v, s: v * (s - 1) * (s**2 + 1), "s stands where s² should, in s + 1"),
    (lambda k, v, s: -v * s + -v * jnp.sin(s), lambda k, v, s: v * s + -v * jnp.sin(s), "one too many, in -v * s"),
    (
        lambda k, v, s: v * jnp.sin(s * 1.0) + v * jnp.cos(s) - v * jnp.exp(s) + v * jnp.log(s),
        lambda k, v, s: v * jnp.sin(s * 1.0) + v * jnp.cos(s) - v * jnp.exp(s) - v * jnp.log(s),
        "+ stands where − should, in … + v * jnp.log(s)",
    ),
    (
        lambda k, v, s: gram(k, v, s) @ v + v,
        lambda k, v, s: jnp.linalg.solve(gram(k, v, s), v) + v,
        "gram(k, v, s) stands where gram(k, v, s)⁻¹ should",
    ),
    (lambda k, v, s: k.T @ v + v, lambda k, v, s: k @ v + v, "k.T stands where k should"),
    (
        lambda k, v, s: 2 * jnp.linalg.inv(k),
        lambda k, v, s: 2 * jnp.linalg.inv(k).T,
        "inv(k) stands where jnp.linalg.inv(k)ᵀ",
    ),
    (lambda k, v, s: jnp.where(v > 0, v, 0.0), lambda k, v, s: jnp.where(v > 0, v, 1.0), "0 stands where 1 should"),
    (lambda k, v, s: jnp.where(v < s, v, s), lambda k, v, s: jnp.where(v < -s, v, s), "the sign of s is wrong, in v < s"),
    (lambda k, v, s: v * jnp.sqrt(v @ v), lambda k, v, s: v * (v @ v), "should: sqrt is one too many"),
]
"""A line of a matrix, a vector and a number, what it should be, and how what is said ends or where it stands."""


@pytest.mark.parametrize(("line", "right", "expected"), SAID_WITH_ITS_PLACE)
def test_what_is_said_has_one_meaning(line: Any, right: Any, expected: str) -> None:
    def truth(k: Any, v: Any, s: Any) -> Any:
        return right(k, v, s)

    derivation = Derivation("several", equals=truth, domain=(reals(2, 2), reals(2), positives()), lines=[line])
    found = diagnosed(derivation, derivation.labels[0])
    assert found is not None
    assert expected in found.sentence


def test_a_mistake_that_few_inputs_show_is_found_where_they_do() -> None:
    def hinge(v: Any, t: Any) -> Any:
        return jnp.where(v @ v - t @ t + 0.125 > 0, v, t)

    def without_its_margin(v: Any, t: Any) -> Any:
        return jnp.where(v @ v - t @ t > 0, v, t)

    derivation = Derivation("a margin", equals=hinge, domain=(reals("d"), reals("d")), lines=[without_its_margin])
    found = verify(derivation, floats=False, prove=False).lines[0].diagnosis
    assert found is None or "v @ v" in found.sentence


def test_a_step_inside_of_a_functions_call_is_not_called_by_its_name() -> None:
    def about(x: Any, m: Any) -> Any:
        return jnp.mean((x - m) ** 2)

    def variance(x: Any, m: Any) -> Any:
        return jnp.var(x)

    derivation = Derivation("about m", equals=about, domain=(reals("n"), reals()), lines=[variance])
    found = diagnosed(derivation, "variance")
    assert found is None or "jnp.var(x) stands" not in found.sentence


def square(z: Any) -> Any:
    return z * z


def nearly(z: Any, nabla: Any) -> Any:
    """2.000000002 z"""
    return 2 * (1 + 1e-9) * z


def doubled(z: Any, nabla: Any) -> Any:
    """4 z"""
    return 4 * z


def report_of(*lines: Any) -> Report:
    return verify(Derivation("d z²/dz", square, "z", (reals(),), list(lines)), examples=8)


def test_the_report_and_its_json_carry_the_suspect() -> None:
    report = report_of(doubled)
    found = report.lines[0].diagnosis
    assert found is not None
    assert f"suspect: {found}" in str(report)
    assert report.to_dict()["lines"][0]["diagnosis"] == {
        "kind": "constant",
        "sentence": found.sentence,
        "place": found.place,
    }
    assert found.place.startswith("test_diagnosis.py:")


def test_a_constant_that_is_slightly_off_is_seen() -> None:
    found = report_of(nearly).lines[0].diagnosis
    assert found is not None
    assert found.kind == "constant"


def divided_by_nothing(w: Any, x: Any, t: Any, nabla: Any) -> Any:
    """Σ (t/p − (1 − t)/(1 − p)) ∇p, with p = e^min(z, 0), which is 1 from z = 0 on"""
    p = jnp.exp(jnp.minimum(x @ w, 0))
    return (t / p - (1 - t) / (1 - p)) @ nabla(likelihoods.probability)(w, x)


def test_infinite_values_of_a_wrong_line_are_passed_over_in_silence() -> None:
    """Warnings are errors here: they would be noted as a search that failed."""
    report = verify(likelihoods.BITS.with_lines(divided_by_nothing), examples=16, prove=False, floats=False)
    assert report.first_wrong_line == "divided_by_nothing"
    assert not any("could not be looked into" in note for note in report.notes), report.notes


def energy(x: Any, a: Any) -> Any:
    return x @ a @ x


def taken_for_symmetric(x: Any, a: Any) -> Any:
    """2 A x"""
    return 2 * a @ x


def scaled(w: Any, k: Any) -> Any:
    return jnp.sum(w * k)


def of_the_last_entry(w: Any, k: Any) -> Any:
    return k[-1, -1]


def test_a_size_may_stand_twice_in_a_shape() -> None:
    """As in that of a square matrix: the single entry that is left is that of a 1 by 1 matrix."""
    of = Derivation("∇ xᵀAx", of=energy, wrt="x", domain=(reals("d"), reals("d", "d")), lines=[taken_for_symmetric])
    report = verify(of, examples=16, prove=False, floats=False)
    assert report.first_wrong_line == "taken_for_symmetric"
    assert not any("could not be looked into" in note for note in report.notes), report.notes
    of = Derivation("∂/∂w Σ w K", of=scaled, wrt="w", domain=(reals(), reals("n", "n")), lines=[of_the_last_entry])
    found = verify(of, examples=16, prove=False, floats=False).lines[0].diagnosis
    assert found is not None
    assert found.sentence == "only the last one along n counts"


def test_a_search_that_fails_is_said_and_costs_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: Any) -> None:
        raise RuntimeError("no such thing")

    monkeypatch.setattr("autodiff_ref.judge.derivations.diagnose", failing)
    report = report_of(doubled)
    assert report.first_wrong_line == "doubled"
    assert "what doubled did could not be looked into: RuntimeError: no such thing" in report.notes


def test_after_its_share_of_work_nothing_is_said() -> None:
    wrong = next(wrong for wrong in WRONG_LINES if wrong.label == "weight_forgotten")
    bench = Bench(wrong.planted, draw_inputs(wrong.planted, seed=0), may_shrink=False)
    assert diagnose(bench, wrong.line, wrong.before[-1], work=2e5) is None


def test_a_line_that_sorts_as_numpy_does_is_diagnosed():
    def loss(a):
        return jnp.arange(a.shape[0]) @ jnp.sort(a)

    def ranks(a):
        return np.argsort(np.argsort(a)).astype(float)

    def ranks_from_1(a):
        return np.argsort(np.argsort(a)) + 1.0

    sorting = Derivation("∇ of a sorted sum", of=loss, wrt="a", domain=(reals("d"),), lines=[ranks, ranks_from_1])
    report = verify(sorting, prove=False, floats=False, examples=8)
    assert report.lines[0].verdict == "agrees"
    assert "the term 1 is one too many" in str(report.lines[1].diagnosis)


@pytest.mark.parametrize(
    ("factor", "said"),
    [(1.7, "is 1.7 times too small"), (1 / 1.7, "is 1.7 times too large"), (-1.7, "should be −1.7 times as large")],
)
def test_a_factor_without_a_name_is_told_by_a_number_above_1(factor, said):
    def line_1(x):
        s = jax.nn.sigmoid(x)
        return 0.625 * factor * s * (1 - s) - 0.5 * jax.nn.sigmoid(-x)

    def line_2(x):
        s = jax.nn.sigmoid(x)
        return 0.625 * s * (1 - s) - 0.5 * jax.nn.sigmoid(-x)

    def loss(x):
        return jnp.sum(0.625 * factor * jax.nn.sigmoid(x) + 0.5 * jnp.log1p(jnp.exp(-x)))

    report = verify(Derivation("two terms", of=loss, wrt="x", domain=(reals("d"),), lines=[line_1, line_2]))
    assert f"0.625 * s * (1 - s) {said}" in str(report)


ALONG = {
    "softmax": ("jax.nn.softmax(s, axis={})", ("n", "m"), ("n", "m")),
    "attention": ("jax.nn.softmax(s, axis={})", ("b", "n", "m"), ("b", "n", "m")),
    "logsumexp": ("s - jax.nn.logsumexp(s, axis={}, keepdims=True)", ("n", "m"), ("n", "m")),
    "cumsum": ("jnp.cumsum(s, axis={})", ("n", "m"), ("n", "m")),
    "sum": ("s * jnp.sum(s, axis={}, keepdims=True)", ("n", "m"), ("n", "m")),
    "mean": ("s - s.mean(axis={}, keepdims=True)", ("n", "m"), ("n", "m")),
    "largest": ("s - s.max(axis={}, keepdims=True)", ("b", "n", "m"), ("b", "n", "m")),
    "of a square": ("s.sum(axis={})", ("n", "n"), ("n",)),
    "standardised": ("jax.nn.standardize(s, axis={})", ("n", "m"), ("n", "m")),
}
"""what is computed along an axis, and the dimensions of s and of what is multiplied by it"""


@pytest.mark.parametrize("meant", [-1, -2])
@pytest.mark.parametrize("name", ALONG)
def test_what_goes_along_the_wrong_axis_is_said(name: str, meant: int, tmp_path: Path) -> None:
    step, dims, others = ALONG[name]
    path = tmp_path / "mine.py"
    lines = {"right": step.format(meant), "wrong": step.format(-3 - meant)}
    rows = [f"def {name}(s, c):\n    return c * jnp.sin({text})\n" for name, text in lines.items()]
    path.write_text("\n".join(["import jax", "import jax.numpy as jnp", "", *rows]))
    mine = runpy.run_path(str(path))
    entry = verify(
        Derivation("axis", equals=mine["right"], domain=(reals(*dims), reals(*others)), lines=[mine["wrong"]])
    ).lines[0]
    assert entry.verdict == "refuted"
    assert entry.diagnosis is not None
    assert "goes along the wrong axis" in entry.diagnosis.sentence
    assert f"axis={-3 - meant}" in entry.diagnosis.sentence


@given(
    number=st.one_of(st.integers(0, 40), st.sampled_from([0.5, 2.0, 0.1, 0.7, 1.0, 1e-3])),
    rest=st.sampled_from(["r", "a * b", "(a + b)", "f(a - 1)", "a[0, 1]", "-r", "a - b", "-(a - 2 * b)", "b * r / b"]),
    form=st.sampled_from(["{c} - {u}", "{c} + {u}", "{u} - {c}", "{u} + {c}", "-{u}", "{u}", "({c} - {u})"]),
)
def test_the_text_of_a_complement_is_worth_one_less_the_value_and_is_a_factor(number, rest, form):
    text = form.format(c=number, u=rest)
    made = complement_of(text)
    values = {"a": Each([0.25, 3.0]), "b": 5.5, "r": 1.75, "f": lambda x: 2 * x[0, 1]}
    worth = [eval(each.replace("−", "-"), values) for each in (text, f"2 * {made}")]
    assert np.allclose(2 * (1 - worth[0]), worth[1]), (text, made)
    assert form == "{u}" or not made.startswith("(1 − ("), (text, made)


@pytest.mark.parametrize("text", ["1 + b // 2", "-b // 2", "2 - (a if b else 3)", "(b > 2) + 1", "--r", "-r * b - -b / r"])
def test_the_text_of_a_complement_keeps_its_brackets(text):
    values = {"a": 0.25, "b": 5.5, "r": 1.75}
    assert np.isclose(1 - eval(text, values), eval(complement_of(text).replace("−", "-"), values)), complement_of(text)


class Each(np.ndarray):
    """An array that has an entry [0, 1]."""

    def __new__(cls, values):
        """One row."""
        return np.array([values]).view(cls)


def test_a_term_that_holds_a_number_is_said_without_one_less_than_it():
    def loss(z, rho):
        return jnp.sum(z ** (2 - rho)) / (2 - rho)

    def wrong(z, rho):
        return 1 / z**rho

    derivation = Derivation("d", loss, "z", (positives("n"), reals()), [lambda z, rho: z ** (1 - rho), wrong])
    assert "(2 - rho))" not in str(verify(derivation, seed=0))
