"""What the judge cannot tell, and says so: kinks, values that do not exist, primitives without a rule, a wrong reference."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from autodiff_ref import verify
from autodiff_ref.judge.balls import BALLS
from autodiff_ref.judge.functions import FUNCTIONS
from autodiff_ref.judge.lines import reference
from autodiff_ref.verify import Input, register
from manual_grad import (
    Derivation,
    integers,
    notes,
    positives,
    reals,
    sigmoid,
    signs,
)


def square(z):
    return z * z


def line_2z(z, nabla):
    """2 z"""
    return 2 * z


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


def log_sigmoid_sum(z):
    return jnp.sum(jax.nn.log_sigmoid(z))


@pytest.mark.parametrize(("at_zero", "verdict"), [(0.5, "agrees"), (1.0, "refuted")])
def test_what_a_line_says_where_it_compares_equal_numbers_counts_where_the_gradient_has_no_kink(at_zero, verdict):
    """JAX's log σ compares numbers at 0 too, but its slope is ½ whichever way."""

    def slope(z, nabla):
        return jnp.where(z == 0, at_zero, 1 / (1 + jnp.exp(z)))

    report = verify(Derivation("∇ Σ log σ(z)", log_sigmoid_sum, "z", (reals("n"),), [slope]), prove=False)
    assert report.lines[0].verdict == verdict, str(report)
    assert verdict == "agrees" or "z=[0]" in str(report)


def test_a_line_wrong_on_a_plane_is_wrong():
    def doubled(w, x, nabla):
        return jnp.where(w[0] == 0, 2.0, 1.0) * (jnp.cos(x @ w) @ x)

    derivation = Derivation(
        "∇ Σ sin(x w)", lambda w, x: jnp.sum(jnp.sin(x @ w)), "w", (reals("d"), reals("n", "d")), [doubled]
    )
    assert verify(derivation).first_wrong_line == "doubled"


def test_a_stable_form_in_two_branches_gives_evidence_where_they_meet():
    report = verify(notes.RESIDUAL)
    assert report.lines[-1].inputs["zeros"] == 6


@pytest.mark.parametrize("place", [1.0, -2.5, 0.0])
def test_a_line_wrong_at_one_number_that_it_names_is_wrong(place):
    def slope(z, nabla):
        return jnp.where(z == place, 7.0, 2 * z)

    report = verify(Derivation("∇ Σ z²", lambda z: jnp.sum(z * z), "z", (reals("n"),), [slope]))
    assert report.first_wrong_line == "slope", str(report)


def test_a_line_wrong_between_two_numbers_that_it_names_is_wrong():
    def slope(z, nabla):
        return jnp.where((z > 0.7) & (z < 0.7 + 2.0**-30), 2.001 * z, 2 * z)

    report = verify(Derivation("∇ Σ z²", lambda z: jnp.sum(z * z), "z", (reals("n"),), [slope]))
    assert report.first_wrong_line == "slope", str(report)


def test_a_slope_that_changes_at_a_number_without_a_jump_agrees_there():
    def huber(z):
        return jnp.sum(jnp.where(jnp.abs(z) < 1.5, z * z / 2, 1.5 * (jnp.abs(z) - 0.75)))

    def slope(z, nabla):
        return jnp.where(jnp.abs(z) <= 1.5, z, 1.5 * jnp.sign(z))

    report = verify(Derivation("∇ Σ huber", huber, "z", (reals("n"),), [slope]))
    assert report.ok, str(report)
    assert report.lines[0].inputs["compared"] == 4


def test_where_no_value_exists_nothing_is_decided():
    def root(z):
        return jnp.sqrt(-jnp.exp(z))

    def slope(z, nabla):
        return jnp.sqrt(-jnp.exp(z)) / 2

    report = verify(Derivation("d √−eᶻ/dz", root, "z", (reals(),), [slope]))
    assert report.lines[0].verdict == "undecided"
    assert report.exit_code == 3
    assert "where neither has a value" in report.lines[0].reason


def test_a_line_without_a_value_at_most_inputs_is_not_called_right():
    """Equal at n = 1 only, where nothing is divided by 0: found by planting / for · in what JAX does for a ∇."""

    def slope(z, nabla):
        return 2 * z + 0 * jnp.sum(1 / (jnp.eye(len(z)) + 0 * z), axis=0)

    report = verify(Derivation("∇ Σ z²", lambda z: jnp.sum(z * z), "z", (reals("n"),), [slope]))
    assert report.lines[0].verdict == "partial", str(report)
    assert "has no value (NaN or ∞)" in report.lines[0].reason
    assert (report.exit_code, report.ok) == (3, False)


@pytest.mark.parametrize("nothing", [lambda z: z / 0, lambda z: jnp.sqrt(-1 - z * z), lambda z: jnp.log(z - z)])
def test_of_a_line_without_a_value_at_any_input_that_is_said_and_a_short_input_shown(nothing):
    def slope(z):
        return 2 * z + nothing(z)

    report = verify(Derivation("∇ Σ z²", lambda z: jnp.sum(z * z), "z", (reals("n"),), [slope]))
    assert report.lines[0].verdict == "undecided"
    reason = report.lines[0].reason
    assert re.match(
        r"the line has no value \(NaN or ∞\) at any of the \d+ inputs tried at which the gradient exists", reason
    )
    assert len(reason.rpartition("as at ")[2]) < 20, reason


def test_a_singularity_that_can_be_removed_is_no_mistake_and_the_line_is_partial():
    def slope(z, nabla):
        return 2 * z * z / z

    report = verify(Derivation("∇ Σ z²", lambda z: jnp.sum(z * z), "z", (reals("n"),), [slope]))
    assert (report.lines[0].verdict, report.first_wrong_line, report.ok) == ("partial", None, False)
    assert (report.exit_code, report.outcome) == (3, "all lines right wherever they have a value")
    assert "at which the gradient exists, as at z=[0 0 0]" in report.lines[0].reason, report.lines[0].reason


def test_a_predicate_that_nothing_fulfils_leaves_all_undecided():
    report = verify(Derivation("d z²/dz", square, "z", (reals(),), [line_2z], where=lambda z: z > 1e6))
    assert [line.verdict for line in report.lines] == ["undecided"]
    assert "fulfils `where`" in report.lines[0].reason


def test_a_primitive_without_a_rule_is_named(monkeypatch):
    monkeypatch.delitem(BALLS.rules, "bessel_i1e")

    def of(z):
        return jax.scipy.special.i1e(z)

    def line(z, nabla):
        return nabla(of)(z)

    report = verify(Derivation("d i1e", of, "z", (positives(),), [line]))
    assert report.lines[0].verdict == "undecided"
    assert "`bessel_i1e`" in report.lines[0].reason
    assert "autodiff_ref.register('bessel_i1e'" in report.lines[0].reason


def test_a_rule_that_is_registered_decides_the_line(monkeypatch):
    """As the judge's own of these two: e^−|x| I₀(x) and e^−|x| I₁(x)."""

    def of(z):
        return jax.scipy.special.i0e(z)

    def line(z, nabla):
        return jax.scipy.special.i1e(z) - jax.scipy.special.i0e(z)

    def sign_lost(z, nabla):
        return jax.scipy.special.i1e(z) + jax.scipy.special.i0e(z)

    derivation = Derivation("d i0e", of, "z", (positives(),), [line, sign_lost])
    for name in ("bessel_i1e", "bessel_i0e"):
        monkeypatch.setitem(FUNCTIONS, name, FUNCTIONS[name])
    monkeypatch.setattr(BALLS, "rules", {name: rule for name, rule in BALLS.rules.items() if "bessel" not in name})
    for name, order in (("bessel_i1e", 1), ("bessel_i0e", 0)):
        before = verify(derivation, examples=1)
        assert {each.verdict for each in before.lines} == {"undecided"}
        assert f"`{name}`" in before.lines[0].reason
        register(name, lambda x, order=order: x.bessel_i(order) * (-abs(x)).exp())
    after = verify(derivation)
    assert [each.verdict for each in after.lines] == ["proved", "refuted"], str(after)


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


def test_an_ulp_of_a_compiled_function_is_no_miscompilation():
    """2⁻³ is exact, and its ball has no width: XLA's exp2, compiled for several numbers, is an ulp off there."""

    def scaled(x, k):
        return jnp.sum(x * jnp.exp2(k))

    def line(x, k, nabla):
        return jnp.exp2(k)

    report = verify(Derivation("x 2ᵏ", scaled, "x", (reals("n"), integers(-3, 3, "n")), [line]))
    assert report.ok, str(report)


# Nothing is blamed without evidence


def test_a_tie_at_every_input_hides_no_mistake():
    """max(eˣ − eˣ, 0) is 0: JAX's derivative of it hangs on how 0 and 0 compare, and difference quotients do not."""

    def of(x):
        return x * x + jnp.maximum(jnp.exp(x) - jnp.exp(x) * 1.0, x - x)

    def wrong(x, nabla):
        return 3 * x

    def right(x, nabla):
        return 2 * x

    report = verify(Derivation("d x²/dx behind a tie", of, "x", (reals(),), [wrong, right]))
    assert [line.verdict for line in report.lines] == ["refuted", "proved"], str(report)


def test_a_gradient_that_is_zero_everywhere_is_called_right():
    def of(z):
        return jnp.sum(jnp.floor(z))

    def zero(z, nabla):
        return 0 * z

    assert verify(Derivation("∇ Σ ⌊z⌋", of, "z", (reals("n"),), [zero])).ok


def test_after_a_line_that_cannot_be_judged_nobody_is_blamed(monkeypatch):
    for name in ("bessel_i1e", "bessel_i0e"):
        monkeypatch.setitem(FUNCTIONS, name, FUNCTIONS[name])
    monkeypatch.setattr(BALLS, "rules", {name: rule for name, rule in BALLS.rules.items() if "bessel" not in name})

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
    def broken(equation):
        def step(context, x):
            raise ZeroDivisionError("planted")

        return step

    monkeypatch.setitem(BALLS.rules, "exp", broken)
    report = verify(notes.RESIDUAL)
    assert {line.verdict for line in report.lines} == {"undecided"}
    assert "the judge failed at an input: ZeroDivisionError: planted" in report.lines[0].reason
    assert "∇log_probability not checked (ZeroDivisionError: planted)" in report.reference, report.reference


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


def test_a_gradient_is_not_said_to_be_0_where_balls_do_not_know_it():
    """Where −1e30 stands for −∞, a sum of exponentials has terms of which all are the largest."""

    def masked(x):
        never = jnp.full(1, -1e30)
        last = jnp.concatenate([x[:1], never, never])
        return jax.nn.logsumexp(jax.nn.logsumexp(jnp.stack([last, jnp.concatenate([never, last[:-1]])]), axis=0))

    def slope(x):
        """(1, 0, 0)"""
        return jnp.concatenate([jnp.ones(1), jnp.zeros(2)]) + 0 * x

    report = verify(Derivation("∇_x", masked, "x", (reals(3),), [slope]), prove=False, floats=False, examples=8)
    assert report.ok, str(report)
    assert not report.notes, str(report)
