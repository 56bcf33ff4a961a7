"""The judge names the wrong line and only that, certifies it, and says what it cannot tell."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autodiff_ref
from autodiff_ref import verify
from autodiff_ref.verify import Input, LineError, reference
from manual_grad import (
    Derivation,
    Weights,
    constants,
    hidden,
    holds_when,
    indicator,
    notes,
    positives,
    reals,
    score,
    sigmoid,
    signs,
)
from tests.wrong import WRONG_LINES

NOTES = {"w11": notes.W11, "w12": notes.W12, "w21": notes.W21, "residual": notes.RESIDUAL}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", NOTES)
def test_every_line_of_the_notes_agrees(name, seed):
    report = verify(NOTES[name], seed=seed)
    assert report.ok, str(report)
    assert report.first_wrong_line is None
    assert report.exit_code == 0
    for line in report.lines:
        assert sum(line.inputs.values()) >= 60, f"{line.label} was decided at few inputs: {line.inputs}"


@pytest.mark.parametrize("wrong", WRONG_LINES, ids=lambda wrong: wrong.label)
def test_a_planted_mistake_is_refuted_at_its_line(wrong):
    report = verify(wrong.planted, suspects=False)
    assert report.first_wrong_line == wrong.label, str(report)
    assert report.exit_code == 1
    assert [line.verdict for line in report.lines].count("refuted") == 1, str(report)


# Labels: what equation (2) needs and equation (1) does not


@pytest.mark.parametrize("labels", [constants(2.0, "n"), constants(0.0, "n"), reals("n")], ids=["y = 2", "y = 0", "real y"])
def test_equation_2_is_refuted_outside_its_labels_and_equation_1_is_not(labels):
    domain = (*notes.DOMAIN[:2], labels)
    report = verify(Derivation("∇ ll", notes.W11.of, "w11", domain, notes.W11.lines[:6]))
    assert [line.verdict for line in report.lines[:5]] == ["proved"] * 5, str(report)
    assert report.first_wrong_line == "line_2b"


# Localisation


def doubled(line):
    def wrong(w, x, y, nabla):
        return 2 * line(w, x, y, nabla)

    wrong.__name__ = line.__name__
    return wrong


def test_lines_that_carry_a_mistake_on_are_not_blamed():
    lines = [*notes.W11.lines[:3], *map(doubled, notes.W11.lines[3:])]
    report = verify(notes.W11.with_lines(*lines))
    assert [line.label for line in report.lines if line.verdict == "refuted"] == ["line_1b"]
    assert "carries its mistake on" in report.lines[-1].reason
    assert not report.ok


def test_of_two_mistakes_both_are_blamed():
    def tripled(w, x, y, nabla):
        return 3 * notes.line_3a(w, x, y, nabla)

    lines = [*notes.W11.lines[:3], *map(doubled, notes.W11.lines[3:6]), tripled, *notes.W11.lines[7:]]
    report = verify(notes.W11.with_lines(*lines))
    assert [line.label for line in report.lines if line.verdict == "refuted"] == ["line_1b", "tripled"]


def test_a_mistake_that_cancels_an_earlier_one_is_named_too():
    lines = [*notes.W11.lines[:3], doubled(notes.line_1b), *notes.W11.lines[4:]]
    report = verify(notes.W11.with_lines(*lines))
    assert report.first_wrong_line == "line_1b"
    assert "makes a mistake that cancels its" in report.lines[4].reason
    assert report.lines[4].against == "line_1a"


def test_a_derivation_that_stops_early_is_told_what_is_left():
    report = verify(notes.W11.with_lines(*notes.W11.lines[:6]))
    assert report.ok
    assert report.notes == ["line_2b, the last line, leaves ∇score to the ∇ it is handed: something is still to be derived"]


def test_a_line_that_forgets_an_argument_is_told_which():
    def label_forgotten(w, x, y, nabla):
        return (1 - sigmoid(score(w, x))) @ nabla(score)(w, x)

    report = verify(notes.W11.with_lines(notes.line_0a, label_forgotten))
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
    if report.ok:  # one ulp of a constant is within what a constant can mean, and the report says so
        assert 1e-17 < report.lines[1].resolution < 1e-15
        assert "constants hide relative differences" in report.summary


def test_a_tenth_and_division_by_ten_agree():
    def tenth(z, nabla):
        return 0.1 * (20 * z)

    def division(z, nabla):
        return 20 * z / 10

    assert verify(Derivation("d z²/dz", square, "z", (reals(),), [tenth, division])).ok


def test_a_counterexample_is_small_certified_and_reproducible():
    wrong = next(wrong for wrong in WRONG_LINES if wrong.label == "h2_for_h1")
    report = verify(wrong.planted)
    found = next(line for line in report.lines if line.verdict == "refuted").counterexample
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
    wrong = next(wrong for wrong in WRONG_LINES if wrong.label == "sign_flipped")
    found = verify(wrong.planted).lines[wrong.planted.labels.index("sign_flipped")].counterexample
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


# Kinks and undefined values


def relu_sum(z):
    return jnp.sum(jnp.maximum(z, 0))


@pytest.mark.parametrize("at_zero", [0.0, 0.5, 1.0])
def test_no_convention_at_a_kink_is_called_wrong(at_zero):
    def slope(z, nabla):
        return jnp.where(z > 0, 1.0, jnp.where(z < 0, 0.0, at_zero))

    report = verify(Derivation("∇ Σ relu(z)", relu_sum, "z", (reals("n"),), [slope]))
    assert report.ok, str(report)
    assert report.lines[0].kinks > 0


def test_a_wrong_slope_away_from_the_kink_is():
    def slope(z, nabla):
        return jnp.where(z > 0, 1.0, 0.01)

    assert verify(Derivation("∇ Σ relu(z)", relu_sum, "z", (reals("n"),), [slope])).first_wrong_line == "slope"


def test_a_stable_form_in_two_branches_gives_evidence_where_they_meet():
    report = verify(notes.RESIDUAL)
    assert report.lines[-1].inputs["zeros"] == 6


def test_where_no_value_exists_nothing_is_decided():
    def root(z):
        return jnp.sqrt(-jnp.exp(z))

    def slope(z, nabla):
        return jnp.sqrt(-jnp.exp(z)) / 2

    report = verify(Derivation("d √−eᶻ/dz", root, "z", (reals(),), [slope]))
    assert report.lines[0].verdict == "undecided"
    assert report.exit_code == 3
    assert "undefined" in report.lines[0].reason


def test_a_line_without_a_value_at_most_inputs_is_not_called_right():
    """Equal at n = 1 only, where nothing is divided by 0: found by planting / for · in what JAX does for a ∇."""

    def slope(z, nabla):
        return 2 * z + 0 * jnp.sum(1 / (jnp.eye(len(z)) + 0 * z), axis=0)

    report = verify(Derivation("∇ Σ z²", lambda z: jnp.sum(z * z), "z", (reals("n"),), [slope]))
    assert report.lines[0].verdict == "undecided", str(report)
    assert "where only one of the lines has a value" in report.lines[0].reason


def test_a_singularity_that_can_be_removed_is_no_mistake():
    def slope(z, nabla):
        return 2 * z * z / z

    assert verify(Derivation("∇ Σ z²", lambda z: jnp.sum(z * z), "z", (reals("n"),), [slope])).ok


def test_a_predicate_that_nothing_fulfils_leaves_all_undecided():
    report = verify(Derivation("d z²/dz", square, "z", (reals(),), [line_2z], where=lambda z: z > 1e6))
    assert [line.verdict for line in report.lines] == ["undecided"]
    assert "fulfils `where`" in report.lines[0].reason


def test_a_primitive_without_a_rule_is_named():
    def of(z):
        return jax.scipy.special.i1e(z)

    def line(z, nabla):
        return nabla(of)(z)

    report = verify(Derivation("d i1e", of, "z", (positives(),), [line]))
    assert report.lines[0].verdict == "undecided"
    assert "`bessel_i1e`" in report.lines[0].reason
    assert "autodiff_ref.verify.register('bessel_i1e'" in report.lines[0].reason


def test_a_time_limit_leaves_lines_undecided():
    report = verify(notes.RESIDUAL, timeout=0.0)
    assert {line.verdict for line in report.lines} == {"undecided"}
    assert "time limit" in report.lines[0].reason


# The reference is judged as well


@jax.custom_jvp
def sigmoid_with_a_wrong_rule(z):
    return sigmoid(z)


sigmoid_with_a_wrong_rule.defjvp(
    lambda primals, tangents: (sigmoid(*primals), 2 * sigmoid(*primals) * (1 - sigmoid(*primals)) * tangents[0])
)


def test_a_wrong_derivative_inside_of_is_the_references():
    def of(z, y):
        return jnp.log(sigmoid_with_a_wrong_rule(y * z))

    report = verify(Derivation("d log σ", of, "z", (reals(), signs()), notes.RESIDUAL.lines))
    assert not report.ok
    assert report.first_wrong_line is None
    assert report.exit_code == 1
    assert report.reference.startswith("reference wrong: ∇of")


def test_a_wrong_derivative_inside_a_function_handed_to_nabla_is_the_references():
    def squashed(z, y):
        return sigmoid_with_a_wrong_rule(y * z)

    def line(z, y, nabla):
        return 1 / sigmoid(y * z) * nabla(squashed)(z, y)

    report = verify(notes.RESIDUAL.with_lines(line, *notes.RESIDUAL.lines[1:]))
    assert report.first_wrong_line is None
    assert report.reference.startswith("reference wrong: ∇squashed")


def test_a_miscompiled_gradient_is_named_as_such(monkeypatch):
    right = reference.compiled_values
    monkeypatch.setattr(reference, "compiled_values", lambda *args: [1.0001 * x for x in right(*args)])
    report = verify(notes.RESIDUAL)
    assert not report.ok
    assert report.first_wrong_line is None
    assert report.reference.startswith("reference wrong: compiled ∇log_probability")
    assert "op by op it is right" in report.reference


# Bad derivations


def test_a_line_of_the_wrong_shape_names_both_shapes():
    def too_many(w, x, y, nabla):
        return nabla(score)(w, x)

    with pytest.raises(LineError, match=r"too_many returns of shape \(4, 3\), and the gradient is of shape \(3,\)"):
        verify(notes.W11.with_lines(too_many))


def test_a_line_that_raises_says_where():
    def branches(w, x, y, nabla):
        return x[0] if y[0] > 0 else x[1]

    with pytest.raises(LineError, match=r"branches raised TracerBoolConversionError in test_judge.py:\d+: .*use `where`"):
        verify(notes.W11.with_lines(branches))


# Reports


def test_the_same_seed_gives_the_same_report_and_json_holds_it():
    wrong = WRONG_LINES[0].planted
    first, second = verify(wrong, seed=3).to_dict(), verify(wrong, seed=3).to_dict()
    assert first == second
    assert json.loads(json.dumps(first)) == first
    keys = "label formula verdict against reason inputs shapes power ulps counterexample difference diagnosis"
    assert set(first["lines"][0]) == set(keys.split())
    assert {"name", "ok", "first_wrong_line", "reference", "seed", "dtype", "lines"} <= set(first)


def test_a_report_prints_every_line_without_colour_and_in_html():
    report = verify(notes.RESIDUAL)
    for line in report.lines:
        assert line.label in str(report)
        assert line.formula in str(report)
    assert "\x1b" not in str(report)
    assert report._repr_html_().startswith("<pre>")


def test_given_inputs_are_the_only_ones_tried():
    inputs = [Input("mine", (np.array(0.5), np.array(1.0)))]
    report = verify(notes.RESIDUAL, inputs=inputs)
    assert report.lines[0].inputs == {"mine": 1}


@settings(max_examples=2, deadline=None)
@given(st.integers(0, 3))
def test_the_judge_may_be_called_inside_a_property_test(seed):
    def sign_lost(z, y, nabla):
        return indicator(y) + sigmoid(z)

    assert verify(notes.RESIDUAL.with_lines(notes.claim_a, sign_lost), seed=seed).first_wrong_line == "sign_lost"


def test_hidden_activations_can_be_derived_by_another_variable():
    def of(w, x):
        return jnp.sum(hidden(w, x))

    def line(w, x, nabla):
        """Σ h (1 − h) w"""
        h = hidden(w, x)
        return h[:, :1] * (1 - h[:, :1]) * w.w11 + h[:, 1:] * (1 - h[:, 1:]) * w.w12

    assert verify(Derivation("∇_x Σ h", of, "x", notes.DOMAIN[:2], [line])).ok


def test_lines_that_are_equal_only_where_both_vanish_are_not_called_equal():
    def of(x):
        return x * x + jnp.maximum(jnp.exp(x) - jnp.exp(x) * 1.0, x - x)

    def wrong(x, nabla):
        return 3 * x

    report = verify(Derivation("d x²/dx behind a tie", of, "x", (reals(),), [wrong]))
    assert report.lines[0].verdict == "undecided"
    assert "too few inputs with information" in report.lines[0].reason


def test_a_gradient_that_is_zero_everywhere_is_called_right():
    def of(z):
        return jnp.sum(jnp.floor(z))

    def zero(z, nabla):
        return 0 * z

    assert verify(Derivation("∇ Σ ⌊z⌋", of, "z", (reals("n"),), [zero])).ok


def test_after_a_line_that_cannot_be_judged_nobody_is_blamed():
    def of(x):
        return x**2 + 0 * jax.scipy.special.i1e(x)

    def tripled(x, nabla):
        return 3 * x

    def right(x, nabla):
        return 2 * x

    report = verify(Derivation("d x²/dx", of, "x", (reals(),), [tripled, right]))
    assert [line.verdict for line in report.lines] == ["undecided", "undecided"]
    assert "one of the two is wrong" in report.lines[1].reason


def test_a_part_of_the_gradient_that_is_always_zero_is_named():
    def of(w):
        return jnp.sum(w["a"] ** 2) + jnp.sum(jnp.exp(w["b"]) * jnp.exp(-w["b"]))

    def line(w, nabla):
        return {"a": 2 * w["a"], "b": 5.0 * (jnp.exp(w["b"]) * jnp.exp(-w["b"]) - 1)}

    report = verify(Derivation("∇ (a² + n)", of, None, ({"a": reals("n"), "b": reals("n")},), [line]))
    assert report.ok
    assert report.notes == ["the gradient by b is 0 at every input tried: a wrong factor in front of it makes no difference"]


def test_a_judge_that_fails_says_so_and_blames_nobody(monkeypatch):
    from autodiff_ref.verify.balls import BALLS

    def broken(equation):
        def step(context, x):
            raise ZeroDivisionError("planted")

        return step

    monkeypatch.setitem(BALLS.rules, "exp", broken)
    report = verify(notes.RESIDUAL)
    assert {line.verdict for line in report.lines} == {"undecided"}
    assert "the judge failed at an input: ZeroDivisionError: planted" in report.lines[0].reason
    assert "∇log_probability not checked (ZeroDivisionError: planted)" in report.reference


def test_a_function_that_closes_over_what_was_computed_is_judged_and_said_not_to_be_checked():
    def of(w, x):
        return jnp.sum(jnp.tanh(x @ w) ** 2)

    def line(w, x, nabla):
        t = jnp.tanh(x @ w)

        def contracted(w):
            return (2 * t) @ jnp.tanh(x @ w)

        return nabla(contracted)(w)

    report = verify(Derivation("∇ Σ tanh²", of, "w", (reals("d"), reals("n", "d")), [line]))
    assert report.ok
    assert "∇contracted not checked" in report.reference


def test_a_component_that_vanishes_beside_one_that_constants_limit_is_still_evidence():
    def of(w):
        return 0.1 * w["a"] ** 2 + jnp.exp(w["b"]) * jnp.exp(-w["b"])

    def line(w, nabla):
        return {"a": w["a"] / 5, "b": jnp.exp(w["b"]) * jnp.exp(-w["b"]) - 1}

    report = verify(Derivation("∇", of, None, ({"a": reals(), "b": reals()},), [line]))
    assert report.ok, str(report)
    assert report.lines[0].kinks == 0


def test_the_cut_of_the_angle_is_a_kink():
    def of(y, x):
        return jax.lax.atan2(y, x) ** 2 / 2

    def line(y, x, nabla):
        return -jax.lax.atan2(-y, x) * x / (x * x + y * y)

    derivation = Derivation("∂/∂y θ²/2", of, "y", (reals(), reals()), [line])
    inputs = [Input("cut", (np.array(0.0), np.array(-1.5))), Input("beside it", (np.array(0.5), np.array(-1.5)))]
    report = verify(derivation, inputs=inputs)
    assert report.ok, str(report)
    assert report.lines[0].kinks == 1
