"""Explanations: of each line of the notes, the rule that it follows by is named, and no other."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from typer.testing import CliRunner

from autodiff_ref.cli.app import app
from autodiff_ref.judge.explanation.changes import changes
from autodiff_ref.judge.explanation.explain import explain
from autodiff_ref.verify import Report, verify
from manual_grad import Derivation, notes, reals
from tests.combinations import exploring
from tests.derivations._few import few_inputs

W11 = {
    "line_0a": ("chain rule", "chain rule, log' = 1/·: ∇log_likelihood = Σ 1/probability ∇probability", "any real y"),
    "line_0b": ("substitution", "probability = sigmoid_of_margin", "any real y"),
    "line_1a": (
        "chain rule",
        "σ' = σ(1 − σ): ∇sigmoid_of_margin = sigmoid_of_margin (1 − sigmoid_of_margin) ∇margin",
        "any",
    ),
    "line_1b": ("cancellation", "a quotient is reduced", "any real y"),
    "line_1c": ("linearity", "∇margin = y ∇score, as y is held fixed", "any real y"),
    "line_2b": ("case analysis", "for each value of the labels", "y ∈ {−1, +1} only"),
    "line_3a": ("linearity", "∇score = w21[0] ∇hidden[0], as ∇hidden[1] = 0", "any real y"),
    "line_3b": ("chain rule", "σ' = σ(1 − σ): ∇hidden = hidden (1 − hidden) ∇preactivation", "any real y"),
    "line_3c": ("linearity", "∇preactivation[0] = x, as ∇preactivation[1] = 0", "any real y"),
}
OTHERS = {
    "line_3a_w12": ("linearity", "∇score = w21[1] ∇hidden[1], as ∇hidden[0] = 0", "any real y"),
    "line_3b_w12": ("chain rule", "σ' = σ(1 − σ)", "any real y"),
    "line_3c_w12": ("linearity", "∇preactivation[1] = x, as ∇preactivation[0] = 0", "any real y"),
    "line_3_w21": ("linearity", "∇score = hidden(w, x)", "any real y"),
    "claim_a": ("chain rule", "log' = 1/·", "any real y"),
    "claim_b": ("chain rule", "σ' = σ(1 − σ)", "any real y"),
    "claim_c": ("linearity", "∇product_yz = y", "any real y"),
    "claim_d": ("case analysis", "for each value of the labels", "y ∈ {−1, +1} only"),
    "claim_e": ("case analysis", "for each value of the labels", "y ∈ {−1, +1} only"),
}
RULES = W11 | OTHERS
PARTS = [
    notes.W11,
    pytest.param(notes.W12.with_lines(*notes.W12.lines[5:]), marks=pytest.mark.explore),
    notes.W21.with_lines(*notes.W21.lines[5:]),
    notes.RESIDUAL,
]


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """The verdict beside a rule is of a few inputs in balls."""

    def judged(derivation: Derivation, **options: Any) -> Report:
        return verify(derivation, **options, inputs=few_inputs(derivation), floats=exploring(), prove=exploring())

    monkeypatch.setattr("autodiff_ref.judge.explanation.explain.verify", judged)


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("derivation", PARTS, ids=lambda derivation: derivation.name)
def test_the_rule_of_each_line_of_the_notes_is_recognised(derivation: Derivation) -> None:
    shown = [
        each for each in explain(derivation) if derivation is notes.W11 or each.above != "jax.grad" or "claim" in each.label
    ]
    assert shown
    for each in shown:
        name, sentence, holds = RULES[each.label]
        assert each.rule.name == name, str(each)
        assert sentence in each.rule.sentence, str(each)
        assert each.holds.startswith(holds), str(each)
        assert each.verdict.verdict in ("agrees", "proved"), str(each)


def cube(x):
    """x³"""
    return x**3


def wrong(x, nabla):
    """2 x²"""
    return 2 * x**2


def odd(x, nabla):
    """2 x² + x²"""
    return 2 * x**2 + x**2


def three(x, nabla):
    """3 x²"""
    return 3 * x**2


def test_no_rule_is_named_where_none_holds() -> None:
    of = Derivation("d x³/dx", cube, "x", (reals(),), [wrong, odd, three])
    first, second, third = explain(of)
    assert first.rule.name == "not recognised"
    assert first.verdict.verdict == "refuted"
    assert first.verdict.diagnosis is not None
    assert first.holds == "no; both sides are defined for any real arguments"
    assert "  step holds  no; both sides are defined for any real arguments\n" in str(first)
    assert second.rule.name == "none", "it leaves the same to ∇, nothing, and does not equal the line above"
    assert second.holds == "no inputs but by chance"
    assert third.rule.name == "rewriting"


def half_square(w: Any, x: Any) -> Any:
    """½ w²"""
    return w**2 / 2


def dot(w: Any, x: Any) -> Any:
    """w x"""
    return w * x


@pytest.mark.parametrize(
    ("f", "slope", "rule"), [(half_square, lambda w, x: w, "worked out"), (dot, lambda w, x: x, "linearity")]
)
def test_only_the_derivative_of_a_linear_function_is_linearity(f: Any, slope: Any, rule: str) -> None:
    def under_nabla(w: Any, x: Any, nabla: Any) -> Any:
        """2 f ∇f"""
        return 2 * f(w, x) * nabla(f)(w, x)

    def worked_out(w: Any, x: Any) -> Any:
        """2 f f'"""
        return 2 * f(w, x) * slope(w, x)

    _, second = explain(
        Derivation("a square", lambda w, x: f(w, x) ** 2, "w", (reals(), reals()), [under_nabla, worked_out])
    )
    assert second.rule.name == rule


def test_the_step_from_a_wrong_line_to_a_right_one_does_not_hold() -> None:
    def before(x, nabla):
        """∇x³"""
        return nabla(cube)(x)

    def wrong_with_nabla(x, nabla):
        """2 ∇x³"""
        return 2 * nabla(cube)(x)

    _, second, third = explain(Derivation("d x³/dx", cube, "x", (reals(),), [before, wrong_with_nabla, three]))
    assert second.holds == "no inputs but by chance"
    assert (third.verdict.against, third.verdict.verdict in ("agrees", "proved")) == ("before", True)
    assert third.holds == "no; both sides are defined for any real arguments"


def slope_of_the_wrong_function(w, x, y, nabla):
    """Σ (1 − σ(m)) ∇σ(m)"""
    return (1 - notes.sigmoid(notes.margin(w, x, y))) @ nabla(notes.sigmoid_of_margin)(w, x, y)


@pytest.mark.usefixtures("few")
def test_a_rule_holds_between_the_functions_under_nabla_whatever_stands_in_front() -> None:
    """The judge says that the line is wrong; that ∇p = ∇σ(m) is so all the same."""
    planted = notes.W11.with_lines(notes.line_0a, slope_of_the_wrong_function)
    found = explain(planted, ["slope_of_the_wrong_function"])[0]
    assert found.rule.name == "substitution"
    assert found.verdict.verdict == "refuted"
    assert found.holds == "no; both sides are defined for y ∈ {−1, +1}"


def test_changes_are_whole_pieces_of_the_formulas() -> None:
    assert changes("Σ (1 − σ(m)) ∇m", "Σ (1 − σ(m)) y ∇ w21ᵀh") == (("∇m", "y ∇ w21ᵀh"),)
    for old, new in changes("Σ (1 − σ(m)) y ∇ w21ᵀh", "Σ (I(y=1) − σ(w21ᵀh)) ∇ w21ᵀh"):
        for text in (old, new):
            assert text.count("(") == text.count(")")
    assert changes("a", "b + c d e f") == (("a", "b + c d e f"),)


FACTORS = [
    "Σ_i",
    "y",
    "+",
    "w21[0]",
    "(1 − σ(m))",
    "σ(m)(1 − σ(m))",
    "∇m",
    "∇ log Z",
    "∇Z",
    "1/Z",
    "−∇_w log det Z",
    "d σ(m)/dm",
]


@given(st.lists(st.sampled_from(FACTORS), min_size=1), st.lists(st.sampled_from(FACTORS), min_size=1))
@example(["y", "∇ log Z"], ["y", "1/Z", "∇Z"])
def test_no_factor_is_cut(old, new) -> None:
    for pieces in changes(" ".join(old), " ".join(new)):
        for piece, factors in zip(pieces, (old, new), strict=True):
            ends = range(len(factors) + 1)
            assert any(piece == " ".join(factors[i:j]) for i in ends for j in ends if i <= j)


def run(*arguments):
    return CliRunner().invoke(app, ["explain", *arguments])


def test_the_command_explains_a_line_as_json() -> None:
    result = run("claim_d", "--json")
    assert result.exit_code == 0
    (found,) = json.loads(result.stdout)["explanations"]
    assert (found["line"], found["above"]["label"]) == ("claim_d", "claim_c")
    assert found["rule"]["name"] == "case analysis"
    assert found["changed"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("line_9z",), "line_3c"),
        (("manual_grad.notes:RESIDUAL", "line_1b"), "claim_e"),
        (("nowhere.py", "line_1"), "nowhere.py"),
        (("manual_grad.notes:NONE", "line_1"), "RESIDUAL"),
        (("a", "b", "c"), "a b c"),
        (("line_1", __file__), f"the file comes first, then the line: explain {__file__} line_1"),
    ],
)
def test_an_unknown_line_or_target_names_the_known_ones(arguments, said) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr


def test_an_unknown_label_raises() -> None:
    with pytest.raises(ValueError, match="claim_a"):
        explain(notes.RESIDUAL, ["claim_z"])
