"""The judge names the wrong line and only that, certifies it, and says what it cannot tell."""

import functools
import json
import random

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autodiff_ref
from autodiff_ref import verify
from autodiff_ref.judge.inputs import draw_inputs
from autodiff_ref.verify import Input, LineError
from manual_grad import (
    Derivation,
    Weights,
    constants,
    hidden,
    holds_when,
    indicator,
    notes,
    reals,
    score,
    sigmoid,
)
from tests.derivations._few import few_inputs
from tests.derivations._traces import traces
from tests.wrong import WRONG_LINES, planted_together

NOTES = {"w11": notes.W11, "w12": notes.W12, "w21": notes.W21, "residual": notes.RESIDUAL}


def of_w11(*lines, **options):
    """These lines in the notes' derivation by w11, judged in balls at a few inputs."""
    derivation = notes.W11.with_lines(*lines)
    return verify(derivation, traces=traces(notes.W11), **QUICK | {"inputs": few_inputs(derivation)} | options)


@functools.cache
def shrunk():
    """What is found of h2 for h1, made as small as can be."""
    wrong = WRONG["h2_for_h1"]
    return wrong, of_w11(*wrong.before[-1:], wrong.line, shrink=True, inputs=None).lines[-1].counterexample


QUICK = {"prove": False, "suspects": False, "shrink": False, "floats": False}
WRONG = {wrong.label: wrong for wrong in WRONG_LINES}


EVERY_LINE = [
    pytest.param(name, seed, marks=() if seed == 0 and name in ("w21", "residual") else pytest.mark.explore)
    for seed in range(5)
    for name in NOTES
]
"""w11 is judged by the command in test_readme.py, w12 at a few inputs below"""


@pytest.mark.parametrize(("name", "seed"), EVERY_LINE)
def test_every_line_of_the_notes_agrees(name, seed):
    report = verify(NOTES[name], seed=seed, traces=traces(NOTES[name]))
    assert report.ok, str(report)
    assert report.first_wrong_line is None
    assert report.exit_code == 0
    for line in report.lines:
        assert sum(line.inputs.values()) >= 60, f"{line.label} was decided at few inputs: {line.inputs}"


def test_every_line_by_w12_agrees_at_a_few_inputs():
    report = verify(notes.W12, inputs=few_inputs(notes.W12), traces=traces(notes.W12))
    assert report.ok, str(report)


@pytest.mark.parametrize("name", ["w11", "w12", "w21"])
def test_planted_mistakes_are_refuted_and_no_other_line(name):
    planted, mistakes = planted_together(NOTES[name])
    assert mistakes
    report = verify(planted, traces=traces(planted), inputs=few_inputs(planted), **QUICK)
    assert {line.label for line in report.lines if line.verdict == "refuted"} == mistakes, str(report)
    assert all(line.verdict in ("agrees", "within") for line in report.lines if line.label not in mistakes), str(report)
    assert report.first_wrong_line == next(label for label in planted.labels if label in mistakes)
    assert report.exit_code == 1


@pytest.mark.explore
@pytest.mark.parametrize("wrong", WRONG_LINES, ids=lambda wrong: wrong.label)
def test_a_planted_mistake_is_refuted_at_its_line(wrong):
    report = verify(wrong.planted, traces=traces(wrong.planted), suspects=False)
    assert report.first_wrong_line == wrong.label, str(report)
    assert report.exit_code == 1
    assert [line.verdict for line in report.lines].count("refuted") == 1, str(report)


# Labels: what equation (2) needs and equation (1) does not


@pytest.mark.parametrize(
    ("labels", "lines"),
    [
        pytest.param(constants(2.0, "n"), notes.W11.lines[4:6], id="y = 2"),
        pytest.param(constants(0.0, "n"), notes.W11.lines[4:6], id="y = 0", marks=pytest.mark.explore),
        pytest.param(reals("n"), notes.W11.lines[:6], id="real y"),
    ],
)
def test_equation_2_is_refuted_outside_its_labels_and_equation_1_is_not(labels, lines):
    domain = (*notes.DOMAIN[:2], labels)
    derivation = Derivation("∇ ll", notes.W11.of, "w11", domain, lines)
    report = verify(derivation, inputs=few_inputs(derivation), suspects=False, shrink=False, floats=False)
    assert [line.label for line in report.lines[-2:]] == ["line_1c", "line_2b"]
    assert {line.verdict for line in report.lines[:-1]} == {"proved"}, str(report)
    assert report.first_wrong_line == "line_2b"


# Localisation


def doubled(line):
    def wrong(w, x, y, nabla):
        return 2 * line(w, x, y, nabla)

    wrong.__name__ = line.__name__
    return wrong


def test_lines_that_carry_a_mistake_on_are_not_blamed():
    report = of_w11(*notes.W11.lines[2:3], *map(doubled, notes.W11.lines[3:6]))
    assert [line.label for line in report.lines if line.verdict == "refuted"] == ["line_1b"]
    assert "carries its mistake on" in report.lines[-1].reason
    assert not report.ok


def test_of_two_mistakes_both_are_blamed():
    def tripled(w, x, y, nabla):
        return 3 * notes.line_3a(w, x, y, nabla)

    report = of_w11(*notes.W11.lines[2:3], *map(doubled, notes.W11.lines[3:6]), tripled, *notes.W11.lines[7:8])
    assert [line.label for line in report.lines if line.verdict == "refuted"] == ["line_1b", "tripled"]


def test_a_mistake_that_cancels_an_earlier_one_is_named_too():
    report = of_w11(notes.line_1a, doubled(notes.line_1b), notes.line_1c)
    assert report.first_wrong_line == "line_1b"
    assert "line_1b is corrected, or its mistake is cancelled" in report.lines[2].reason
    assert report.lines[2].against == "line_1a"


def test_a_derivation_that_stops_early_is_told_what_is_left():
    report = of_w11(notes.line_2b)
    assert report.ok
    assert report.notes == ["line_2b, the last line, leaves ∇score to the ∇ it is handed: something is still to be derived"]


def test_a_line_that_forgets_an_argument_is_told_which():
    def label_forgotten(w, x, y, nabla):
        return (1 - sigmoid(score(w, x))) @ nabla(score)(w, x)

    report = of_w11(notes.line_0a, label_forgotten)
    assert report.lines[1].reason == "does not depend on y, as line_0a does"


# Certified, without a tolerance


def square(z):
    return z * z


def line_2z(z, nabla):
    """2 z"""
    return 2 * z


@pytest.mark.parametrize("factor", [1 + 1e-9, 1 - 1e-12, 1 + 2**-52])
def test_no_factor_is_too_near_to_one_to_be_seen(factor):
    def nearly(z, nabla):
        return factor * 2 * z

    report = verify(Derivation("d z²/dz", square, "z", (reals(),), [line_2z, nearly]))
    assert report.first_wrong_line == ("nearly" if factor != 1 + 2**-52 else None)
    assert ("an approximation that a library's function makes" in " ".join(str(report).split())) == (not report.ok)
    if report.ok:  # one ulp of a constant is within what a constant can mean, and the report says so
        assert report.lines[1].verdict == "within"
        assert report.lines[1].apart == pytest.approx(1.0)
        assert "within 1 ulps" in str(report)


@pytest.mark.parametrize("size", [3, 4, 5])
def test_a_size_that_only_happens_to_be_right_is_refuted(size):
    """Where n = 1 is not allowed, other inputs must tell n from a number."""

    def mean_for_sum(x, nabla):
        return 2 * size * jnp.mean(x) * jnp.ones_like(x)

    derivation = Derivation("∇ (Σ x)²", lambda x: jnp.sum(x) ** 2, "x", (reals("n"),), [mean_for_sum], sizes={"n": (2, 5)})
    report = verify(derivation, floats=False, suspects=False)
    assert report.first_wrong_line == "mean_for_sum", str(report)


def test_a_tenth_and_division_by_ten_agree():
    def tenth(z, nabla):
        return 0.1 * (20 * z)

    def division(z, nabla):
        return 20 * z / 10

    assert verify(Derivation("d z²/dz", square, "z", (reals(),), [tenth, division])).ok


def test_a_counterexample_is_small_certified_and_reproducible():
    wrong, found = shrunk()
    assert found is not None
    assert found.stratum == "simplest"
    w, x, y = found.args
    assert x.shape == (1, 1)
    assert all(float(v).is_integer() for leaf in (*w, x, y) for v in np.ravel(leaf))
    with jax.enable_x64(True):
        nabla = autodiff_ref.nabla("w11")
        by_float = float(wrong.line(w, x, y, nabla)[0]), float(wrong.right(w, x, y, nabla)[0])
    np.testing.assert_allclose([float(found.value), float(found.expected)], by_float, rtol=1e-14)
    assert abs(float(found.value) - float(found.expected)) >= float(found.difference) * 0.99
    assert len(found.value.lstrip("-0.")) >= 29


def test_the_program_of_a_counterexample_runs_and_the_example_is_python():
    _, found = shrunk()
    assert found is not None
    printed: list[str] = []
    exec(compile(found.snippet, "snippet", "exec"), {"print": lambda value: printed.append(str(value))})
    assert len(printed) == 2
    assert printed[0] != printed[1]
    scope = {"example": lambda args: args, "Weights": Weights, "np": np}
    args = eval(found.example.removeprefix("@"), scope)
    assert jax.tree.structure(args) == jax.tree.structure(found.args)


def test_a_line_may_be_right_at_some_labels_and_lines_with_a_condition_are_judged_there():
    @holds_when(lambda z, y: y == 1)
    def for_positives(z, y, nabla):
        """σ(−z), for y = 1"""
        return sigmoid(-z)

    assert verify(notes.RESIDUAL.with_lines(notes.claim_a, for_positives)).ok
    del for_positives.valid
    assert verify(notes.RESIDUAL.with_lines(notes.claim_a, for_positives)).first_wrong_line == "for_positives"


# Bad derivations


def test_a_line_of_the_wrong_shape_names_both_shapes():
    def too_many(w, x, y, nabla):
        return nabla(score)(w, x)

    with pytest.raises(LineError, match=r"too_many returns shape \(4, 3\), and the gradient has shape \(3,\)"):
        verify(notes.W11.with_lines(too_many))


def test_a_condition_that_raises_at_some_inputs_costs_no_verdict():
    """Where it first raises while a counterexample is shrunk."""

    def where(z):
        if float(z).is_integer():
            raise ArithmeticError("not for whole numbers")
        return True

    def doubled(z, nabla):
        return 4 * z

    for each in draw_inputs(Derivation("d z²/dz", square, "z", (reals(),), [doubled]), seed=0):
        assert each.args[0] == 0 or not float(each.args[0]).is_integer()
    derivation = Derivation("d z²/dz", square, "z", (reals(),), [doubled], where=lambda z: z == 0 or where(z))
    report = verify(derivation, floats=False, suspects=False)
    assert report.first_wrong_line == "doubled"
    assert report.lines[0].counterexample.args[0] % 1 != 0


def test_a_line_that_raises_says_where():
    def branches(w, x, y, nabla):
        return x[0] if y[0] > 0 else x[1]

    with pytest.raises(LineError, match=r"branches raised TracerBoolConversionError in test_judge.py:\d+: .*use `where`"):
        verify(notes.W11.with_lines(branches))


GENERATOR = np.random.default_rng(0)

DRAWS = {
    "NumPy's": lambda: np.random.uniform(1, 2),  # noqa: NPY002 (as users write it)
    "a generator": lambda: GENERATOR.uniform(1, 2),
    "unseeded": lambda: np.random.default_rng().uniform(1, 2),
    "Python's": lambda: random.uniform(1, 2),
}


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("which", ["first", "second", "of"])
def test_a_function_that_draws_is_named_with_the_place_and_is_not_refuted(draw, which):
    functions = {
        "of": lambda z: z * z,
        "first": lambda z: 2 * z,
        "second": lambda z: z + z,
    }
    functions[which] = lambda z, plain=functions[which], factor=DRAWS[draw]: plain(z) * factor()
    for name, function in functions.items():
        function.__name__ = name
    derivation = Derivation("d", functions["of"], "z", (reals(),), [functions["first"], functions["second"]])
    place = rf"test_judge\.py:{DRAWS[draw].__code__.co_firstlineno}"
    with pytest.raises(LineError, match=rf"^d: `{which}` returns something else .*is random, and draws numbers at {place}"):
        verify(derivation, floats=False, suspects=False, prove=False)


def test_what_is_drawn_from_a_fixed_seed_is_a_constant():
    def line(z):
        return 2 * z * np.random.default_rng(7).uniform(1, 2)

    def of(z):
        return z * z * np.random.default_rng(7).uniform(1, 2)

    def refuted(z):
        return line(z) + z

    derivation = Derivation("d", of, "z", (reals(),), [line, refuted])
    report = verify(derivation, floats=False, suspects=False, prove=False)
    assert [entry.verdict for entry in report.lines] == ["agrees", "refuted"]


def test_a_condition_says_yes_or_no_of_all_arguments():
    def line(w):
        return 2 * w

    of, domain = (lambda w: (w * w).sum()), (reals("d"),)
    for answer, said in ((lambda w: w > 0, r"shape \(\d,\), .*write \(…\)\.all\(\)"), (lambda w: None, "nothing, .*a bool")):
        with pytest.raises(LineError, match=rf"^d: `where` returns {said}.*\(test_judge\.py:\d+\)$"):
            verify(Derivation("d", of, "w", domain, [line], where=answer))
        with pytest.raises(LineError, match=rf"^d: `valid` of line returns {said}"):
            verify(Derivation("d", of, "w", domain, [holds_when(answer)(line)]))
    for answer in (lambda w: (w > 0).all(), lambda w: w[:1] > 0):
        assert verify(Derivation("d", of, "w", domain, [line], where=answer), examples=8).ok


# Reports


def sign_lost(z, y, nabla):
    return indicator(y) + sigmoid(z)


def test_the_same_seed_gives_the_same_report_and_json_holds_it():
    wrong = notes.RESIDUAL.with_lines(notes.claim_a, sign_lost)
    first, second = verify(wrong, seed=3).to_dict(), verify(wrong, seed=3).to_dict()
    assert 0 < first.pop("sweep_seconds") < 60
    second.pop("sweep_seconds")
    assert first == second
    assert json.loads(json.dumps(first)) == first
    keys = "label formula latex verdict against condition reason inputs within_ulps kinks shapes power floats ulps"
    assert set(first["lines"][0]) == {*keys.split(), "counterexample", "difference", "diagnosis", "proof"}
    assert {"name", "ok", "first_wrong_line", "reference", "seed", "lines"} <= set(first)


def test_a_report_prints_every_line_without_colour_and_in_html():
    report = verify(notes.RESIDUAL)
    for line in report.lines:
        assert line.label in str(report)
        assert line.formula in str(report)
    assert "\x1b" not in str(report)
    assert '<section class="manual-grad">' in report._repr_html_()


def test_given_inputs_are_the_only_ones_tried():
    inputs = [Input("mine", (np.array(0.5), np.array(1.0)))]
    report = verify(notes.RESIDUAL, inputs=inputs)
    assert report.lines[0].inputs == {"mine": 1}


@settings(max_examples=2, deadline=None)
@given(st.integers(0, 3))
def test_the_judge_may_be_called_inside_a_property_test(seed):
    assert verify(notes.RESIDUAL.with_lines(notes.claim_a, sign_lost), seed=seed, **QUICK).first_wrong_line == "sign_lost"


def test_hidden_activations_can_be_derived_by_another_variable():
    def of(w, x):
        return jnp.sum(hidden(w, x))

    def line(w, x, nabla):
        """Σ h (1 − h) w"""
        h = hidden(w, x)
        return h[:, :1] * (1 - h[:, :1]) * w.w11 + h[:, 1:] * (1 - h[:, 1:]) * w.w12

    assert verify(Derivation("∇_x Σ h", of, "x", notes.DOMAIN[:2], [line])).ok


def noisy(sign, kind):
    """Σ_i (w x_i + ε_i)², with ε drawn by a key that the lines share."""
    key = kind(0)

    def noise(x):
        return jax.random.normal(key, x.shape)

    def loss(w, x):
        return jnp.sum((w * x + noise(x)) ** 2)

    def line_1(w, x, nabla):
        return jnp.sum(2 * (w * x + noise(x)) * x)

    def line_2(w, x, nabla):
        return 2 * w * jnp.sum(x * x) + sign * 2 * jnp.sum(noise(x) * x)

    return Derivation("noisy", of=loss, lines=(line_1, line_2), domain=(reals(), reals("n")))


@pytest.mark.parametrize("kind", [jax.random.key, jax.random.PRNGKey])
def test_lines_that_draw_by_one_key_are_proved_for_these_numbers_and_a_mistake_is_named(kind):
    report = verify(noisy(1, kind))
    assert [line.verdict for line in report.lines] == ["proved", "proved"]
    assert not report.notes
    assert "for every" not in str(report), "the numbers are others at every size"
    entry = verify(noisy(-1, kind)).lines[1]
    assert entry.verdict == "refuted"
    assert entry.diagnosis is not None
    assert "+ stands where − should" in str(entry.diagnosis), "as the sign is a number"
