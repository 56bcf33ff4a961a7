"""The truth at one input: what difference quotients say where a function is smooth, tied, kinked, or JAX is wrong."""

import flint
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autodiff_ref import verify
from autodiff_ref.judge.balls import BALLS
from autodiff_ref.judge.comparing import evaluator
from autodiff_ref.judge.program.plans import Plan
from autodiff_ref.judge.program.walk import plan
from autodiff_ref.judge.truth import Truth, place_of, places, truth_of
from manual_grad import Derivation, nonnegatives, reals


def truth_at(f, *args):
    args = tuple(np.asarray(arg, dtype=float) for arg in args)
    with jax.enable_x64(True):
        value = jax.make_jaxpr(f)(*args)
        gradient = jax.make_jaxpr(lambda *args: jax.tree.leaves(jax.jacobian(f, argnums=tuple(range(len(args))))(*args)))(
            *args
        )
    plans = [plan(closed, BALLS) for closed in (value, gradient)]
    sizes = [int(np.prod(aval.shape)) for aval in value.out_avals]
    return truth_of(plans[0], args, range(len(args)), evaluator(plans[1], args), sizes)


def kinds(truth: Truth) -> list[str]:
    return [entry.kind for entry in truth.entries] or ["known"] * len(truth.by_jax)


def values(truth: Truth) -> list[float]:
    known = [entry.value for entry in truth.entries if entry.value is not None]
    return [float(value) for value in (known if truth.entries else truth.by_jax)]


# No more bits than decide


def bits_of(monkeypatch, f, *args):
    """The precisions in which plans are run."""
    found, run = set(), Plan.run

    def noted(self, context, *given):
        found.add(flint.ctx.prec)
        return run(self, context, *given)

    monkeypatch.setattr(Plan, "run", noted)
    return truth_at(f, *args), found


@pytest.mark.parametrize("x", [0.5, 1.0, 2.0, 3.0])
def test_a_quotient_of_a_smooth_function_takes_few_bits_at_a_tie_too(monkeypatch, x):
    truth, bits = bits_of(monkeypatch, lambda v, y: jnp.where(v == x, y * jnp.sin(v), jnp.sin(v) * y) + y, x, 1.0)
    assert truth.tied
    assert kinds(truth) == ["known", "known"]
    assert not truth.wrong
    assert max(bits - {2400}) <= 512  # the values at the input itself, whatever is asked there, have all bits
    assert sum(1 for each in bits if each == 2400) <= 1


@pytest.mark.parametrize("x", [1.0, 2.0])
def test_a_value_that_jax_lacks_at_ordinary_numbers_is_not_looked_for_in_more_bits_than_quotients_have(monkeypatch, x):
    truth, bits = bits_of(monkeypatch, lambda v: jnp.sqrt((v - x) ** 2 * (v - x) ** 2), x)
    assert kinds(truth) == ["known"]
    assert truth.missing == (0,)
    assert max(bits) <= 2400


# Smooth functions: JAX is confirmed, whatever its form

SMOOTH = {
    "sum of products": lambda x: jnp.sum(x[:-1] * x[1:]),
    "saturating": lambda x: jnp.sum(jax.nn.log_sigmoid(40 * x)),
    "erf, whose derivative has a rounded constant": lambda x: jnp.sum(jax.scipy.special.erf(x)),
    "a Jacobian": lambda x: jnp.outer(jnp.sin(x), x),
    "a safe quotient": lambda x: jnp.sum(jnp.where(x == 0, 1.0, jnp.sin(x) / jnp.where(x == 0, 1.0, x))),
}


@pytest.mark.parametrize("name", SMOOTH)
@settings(max_examples=15)
@given(st.lists(st.integers(-8, 8).map(lambda k: k / 4), min_size=3, max_size=3))
def test_jax_is_confirmed_where_it_is_right(name, x):
    truth = truth_at(SMOOTH[name], x)
    assert truth.confirmed
    assert not truth.wrong


@settings(max_examples=30)
@given(st.floats(-1e3, 1e3).filter(lambda z: abs(z) > 1e-6))
def test_numbers_of_any_size_are_confirmed(z):
    assert truth_at(lambda x: jnp.tanh(x) + x**3, z).confirmed


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1.0, 1e30, 1e100])
def test_steps_are_taken_relative_to_each_number(scale):
    """Beside 1 the branch |x| < scale is nothing; a step of 2^-100 would leave it."""
    truth = truth_at(lambda x: jnp.sum(jnp.where(jnp.abs(x) < scale, 3 * x, x * x)), [scale / 2, 1.5])
    assert truth.confirmed


# Ties

AT_TIES = {
    "softplus of kinks": (lambda x: jnp.maximum(x, 0) + jnp.log1p(jnp.exp(-jnp.abs(x))), 0.0, ["known"], [0.5]),
    "|x|": (jnp.abs, 0.0, ["kink"], []),
    "x |x|": (lambda x: x * jnp.abs(x), 0.0, ["known"], [0.0]),
    "largest of two": (lambda x: jnp.max(x) + x[2], [1.0, 1.0, -2.0], ["kink", "kink", "known"], [1.0]),
    "min(|x|, |y|) has partial derivatives and no gradient": (
        lambda x: jnp.minimum(jnp.abs(x[0]), jnp.abs(x[1])) + x[2] ** 2,
        [0.0, 0.0, 3.0],
        ["kink", "kink", "known"],
        [6.0],
    ),
    "a jump": (lambda x: jnp.where(x >= 0, x, 5.0), 0.0, ["none"], []),
    "√x at its end": (jnp.sqrt, 0.0, ["none"], []),
    "x log x at its end": (lambda x: x * jnp.log(x), 0.0, ["none"], []),
    "x √x at its end": (lambda x: x * jnp.sqrt(x), 0.0, ["known"], [0.0]),
    "‖x‖² by the norm": (lambda x: jnp.linalg.norm(x) ** 2, [0.0, 0.0], ["known", "known"], [0.0, 0.0]),
    "ReLU's Jacobian": (jax.nn.relu, [0.0, 2.0], ["kink", "known", "known", "known"], [0.0, 0.0, 1.0]),
}


@pytest.mark.parametrize("name", AT_TIES)
def test_at_ties_and_ends(name):
    f, point, expected, known = AT_TIES[name]
    truth = truth_at(f, point)
    assert kinds(truth) == expected
    assert values(truth) == pytest.approx(known, abs=1e-40)


@settings(max_examples=25)
@given(
    st.lists(st.integers(-3, 3).map(float), min_size=4, max_size=4),
    st.lists(st.integers(-4, 4).map(lambda k: k / 2), min_size=4, max_size=4),
)
def test_a_sum_of_kinks_has_kinks_where_the_numbers_say(x, c):
    """Σ c |x − round(x)| with integers: a kink wherever c is not 0."""
    centre = np.array(x)
    truth = truth_at(lambda x: jnp.sum(np.array(c) * jnp.abs(x - centre)), x)
    assert kinds(truth) == ["known" if k == 0 else "kink" for k in c]


# JAX is wrong


@jax.custom_jvp
def wrong_beyond_100(x):
    return jnp.sin(x)


wrong_beyond_100.defjvp(lambda p, t: (wrong_beyond_100(*p), jnp.where(p[0] > 100, 2.0, 1.0) * jnp.cos(p[0]) * t[0]))


def test_a_wrong_rule_is_seen_where_it_is_wrong():
    right, wrong = (truth_at(lambda x: jnp.sum(wrong_beyond_100(x) * x), [point, 0.5]) for point in (99.0, 101.0))
    assert right.confirmed
    assert wrong.wrong == (0,)
    assert float(wrong.entries[0].value) == pytest.approx(101 * np.cos(101) + np.sin(101))
    assert not wrong.tied


def test_a_factor_of_a_part_in_a_thousand_million_is_seen():
    @jax.custom_jvp
    def f(x):
        return jnp.exp(x)

    f.defjvp(lambda p, t: (f(*p), (1 + 1e-9) * jnp.exp(p[0]) * t[0]))
    assert truth_at(f, 0.7).wrong == (0,)


# What the report makes of it


def softplus(z):
    return jnp.sum(jnp.maximum(z, 0) + jnp.log1p(jnp.exp(-jnp.abs(z))))


@pytest.mark.parametrize(("at_zero", "verdict"), [(0.5, "right"), (0.0, "refuted"), (1.0, "refuted")])
def test_a_line_is_judged_by_the_gradient_that_exists_at_a_tie(at_zero, verdict):
    def slope(z, nabla):
        """σ(z)"""
        return jnp.where(z == 0, at_zero, jax.nn.sigmoid(z))

    report = verify(Derivation("∇ Σ softplus", softplus, "z", (reals("n"),), [slope]), floats=False)
    assert report.ok == (verdict == "right"), str(report)
    assert report.ok or report.first_wrong_line == "slope"
    assert "At a tie JAX takes another value than the gradient" in " ".join(report.notes)


@pytest.mark.parametrize(("at_zero", "side"), [(0.0, "left"), (1.0, "right"), (0.5, "between"), (7.0, "outside")])
def test_the_convention_at_a_kink_is_said(at_zero, side):
    def slope(z, nabla):
        return jnp.where(z == 0, at_zero, jnp.where(z > 0, 1.0, 0.0))

    report = verify(Derivation("∇ Σ relu", lambda z: jnp.sum(jnp.maximum(z, 0)), "z", (reals("n"),), [slope]), floats=False)
    assert report.ok
    assert set(report.lines[0].conventions) == {side}


@pytest.mark.parametrize(("says_so", "verdict"), [(False, "partial"), (True, "proved")])
def test_a_line_without_a_value_where_the_gradient_exists_is_partial(says_so, verdict):
    from manual_grad import holds_when

    def quotient(x, nabla):
        return jnp.prod(x) / x

    line = holds_when(lambda x: jnp.all(x != 0))(quotient) if says_so else quotient
    report = verify(Derivation("∇ Πx", lambda x: jnp.prod(x), "x", (reals("n"),), [line], sizes={"n": (2, 4)}), floats=False)
    assert report.lines[0].verdict == verdict, str(report)
    assert report.exit_code == (0 if says_so else 3)


def test_a_patch_behind_a_quotient_is_refuted():
    def quotient(x, nabla):
        return jnp.prod(x) / x

    def patched(x, nabla):
        return jnp.where(x == 0, 0.0, jnp.prod(x) / jnp.where(x == 0, 1.0, x))

    lines = [quotient, patched]
    report = verify(Derivation("∇ Πx", lambda x: jnp.prod(x), "x", (reals("n"),), lines, sizes={"n": (2, 4)}), floats=False)
    assert [line.verdict for line in report.lines] == ["partial", "refuted"]


@pytest.mark.parametrize(("power", "slope_at_zero", "right"), [(1.5, 0.0, True), (1.5, 1.0, False), (2.0, 0.0, True)])
def test_at_the_end_of_a_domain_the_one_sided_derivative_is_the_truth(power, slope_at_zero, right):
    def slope(x, nabla):
        return jnp.where(x == 0, slope_at_zero, power * jnp.where(x == 0, 1.0, x) ** (power - 1))

    derivation = Derivation("∇ Σ x^p", lambda x: jnp.sum(x**power), "x", (nonnegatives("n"),), [slope])
    assert verify(derivation, floats=False, prove=False).ok == right


SIZES = st.lists(st.integers(0, 3), min_size=1, max_size=3)


@given(SIZES, SIZES)
def test_each_entry_stands_in_one_place_of_the_flat_gradient(out_sizes, in_sizes):
    table = places(out_sizes, in_sizes)
    starts = np.cumsum([0, *in_sizes])
    for k in range(table.size):
        row, leaf, entry = place_of(k, out_sizes, in_sizes)
        assert table[row, starts[leaf] + entry] == k
