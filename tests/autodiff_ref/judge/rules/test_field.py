"""Wrong derivatives of the kinds that public code has, each made again here or met in jax and optax themselves."""

import jax
import jax.numpy as jnp
import jax.scipy.special as special
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autodiff_ref import judge_rule
from manual_grad import bits, intervals, positives, reals
from tests.combinations import few_or_many


def of_kind(report, kind):
    return [entry for entry in report.entries if entry.kind == kind]


def bernoulli(logits, labels):
    """log p(label), written with two kinks at 0 that cancel"""
    return logits * labels - jnp.maximum(logits, 0) - jnp.log1p(jnp.exp(-jnp.abs(logits)))


def test_the_bernoulli_pattern_at_logits_0():
    report = judge_rule(bernoulli, domain=(reals(), bits()))
    assert report.verdict == "WRONG"
    found = {entry.at: (entry.jax[:4], entry.true[:4]) for entry in of_kind(report, "WRONG")}
    assert found["logits=0  labels=1"] == ("1.00", "0.50")
    assert found["logits=0  labels=0"] == ("0", "-0.5")


def test_a_sign_wrong_on_one_branch():
    @jax.custom_jvp
    def cdf(x, high):
        return jnp.where(high > 2, jnp.log(x) / jnp.log(high), x / high)

    @cdf.defjvp
    def rule(primals, tangents):
        (x, high), (dx, dhigh) = primals, tangents
        by_x = jnp.where(high > 2, 1 / (x * jnp.log(high)), 1 / high)
        by_high = jnp.where(high > 2, jnp.log(x) / (high * jnp.log(high) ** 2), -x / high**2)
        return cdf(x, high), by_x * dx + by_high * dhigh

    report = judge_rule(cdf, domain=(positives(), positives()))
    (finding,) = [each for each in report.findings if each.kind == "WRONG"]
    assert finding.rule == "cdf"
    assert finding.name == "∂f/∂high"
    assert float(finding.jax) == pytest.approx(-float(finding.true))


def is_mended(f, at, true):
    """Whether the JAX that is installed has the derivative right: versions differ."""
    with jax.enable_x64(True):
        return bool(np.isclose(jax.grad(f)(*at), true, rtol=1e-9))


@pytest.mark.ci
def test_betaln_hessian_where_its_arguments_are_equal():
    report = judge_rule(special.betaln, at=[(2.0, 2.0)], order=2)
    if is_mended(jax.grad(special.betaln), (2.0, 2.0), 13 / 36):
        assert report.ok
        return
    wrong = {entry.name: (entry.jax[:7], entry.true[:7]) for entry in of_kind(report, "WRONG") if entry.order == 2}
    assert wrong["∂(∂f/∂a)/∂a"] == ("0.03864", "0.36111")
    assert wrong["∂(∂f/∂b)/∂a"] == ("0.03864", "-0.2838")


@pytest.mark.ci
def test_spence():
    report = judge_rule(special.spence, at=[1.5, 1.0])
    if is_mended(special.spence, (1.0,), -1.0):
        assert report.ok
        return
    assert [(e.at, e.true[:6]) for e in of_kind(report, "NaN")] == [("x=1.5", "-0.810")]
    assert [(e.at, e.jax, e.true[:4]) for e in of_kind(report, "WRONG")] == [("x=1", "0", "-1.0")]


def test_hypot_of_huge_numbers():
    report = judge_rule(jnp.hypot, at=[(1e200, 1e200)])
    if is_mended(jnp.hypot, (1e200, 1e200), np.sqrt(0.5)):
        assert report.ok
        return
    assert report.verdict == "WRONG"
    assert {(e.name, e.jax[:6], e.true[:6]) for e in of_kind(report, "WRONG")} == {
        ("∂f/∂x1", "1.0606", "0.7071"),
        ("∂f/∂x2", "1.0606", "0.7071"),
    }


def test_quantile_at_an_entry():
    report = judge_rule(lambda q: jnp.quantile(jnp.array([1.0, 2.0, 3.0]), q), domain=intervals(0.0, 1.0))
    (entry,) = of_kind(report, "WRONG")
    assert (entry.at, entry.jax, entry.true[:4]) == ("q=0.5", "0", "2.00")


def test_power_0_at_0():
    report = judge_rule(lambda x: x**0.0, domain=reals())
    (entry,) = of_kind(report, "NaN")
    assert (entry.at, entry.true) == ("x=0", "0")


def test_poch():
    report = judge_rule(special.poch, at=[(0.0, 0.0), (-2.0, 1.0)])
    missing = {(e.at, e.name): e.true[:4] for e in of_kind(report, "NaN")}
    assert missing["z=0  m=0", "∂f/∂z"] == "0"
    assert missing["z=-2  m=1", "∂f/∂z"] == "1.00"
    assert report.findings[0].rule == "poch"


def test_focal_loss_by_its_labels():
    report = judge_rule(optax.sigmoid_focal_loss, at=[(0.0, 1.0), (0.0, 0.0)])
    wrong = {e.at: e.jax[:6] for e in of_kind(report, "WRONG")}
    assert wrong == {"logits=0  labels=1": "0.3465", "logits=0  labels=0": "-0.346"}


# What must not be called wrong


@pytest.mark.parametrize(
    ("name", "f", "at"),
    [
        ("expi", special.expi, [0.5, -2.0, 3.0]),
        ("exp1", special.exp1, [0.5, 2.0]),
        ("log_ndtr", special.log_ndtr, [-30.0, -2.0, 0.0, 3.0]),
        ("owens_t", special.owens_t, [(0.5, 0.25), (2.0, -1.5)]),
        ("hyp1f1", special.hyp1f1, [(1.0, 2.0, 0.5)]),
    ],
)
def test_a_series_is_not_wrong(name, f, at):
    report = judge_rule(f, at=at)
    assert report.ok, report
    assert not {"WRONG", "NaN"} & set(report.counts)


@settings(max_examples=few_or_many(4, 40), deadline=None)
@given(st.integers(48, 56))
def test_of_a_rule_no_more_is_asked_than_of_the_functions_in_it(k):
    """The derivative of i1e is cut off at 2⁻⁵²: an ulp or two, of a function that is itself off by as many."""
    report = judge_rule(special.i1e, domain=(reals(),), at=[2.0**-k])
    assert report.ok, report

    @jax.custom_jvp
    def ruled(x):
        return special.i1e(x)

    ruled.defjvp(lambda primals, tangents: (ruled(*primals), (1 + 2.0**-44) * jax.jvp(special.i1e, primals, tangents)[1]))
    assert judge_rule(ruled, domain=(reals(),), at=[2.0**-k]).verdict == "WRONG"


@pytest.mark.parametrize("f", [jnp.sort, jnp.median])
def test_no_gradient_at_ties_is_no_mistake(f):
    report = judge_rule(f, at=[[1.0, 1.0, 2.0], [3.0, 1.0, 2.0]])
    assert report.ok
    assert report.counts["kink"]


def test_scaling_a_gradient_is_meant_so():
    assert judge_rule(lambda x: optax.scale_gradient(x, 0.5) ** 2, domain=reals()).verdict == "meant so"


def test_a_rule_that_is_meant_so_explains_the_whole_at_every_input():
    """Also at inputs at which the rule receives the same argument as before."""
    report = judge_rule(lambda x, y: optax.scale_gradient(x, 0.5) * y, at=[(1.0, 2.0), (1.0, 3.0), (1.0, -1.0)])
    assert report.verdict == "meant so"
    assert "WRONG" not in report.counts


def clip_gradient(limit):
    @jax.custom_vjp
    def clip(x):
        return x

    clip.defvjp(lambda x: (x, None), lambda _, c: (jnp.clip(c, -limit, limit),))
    return clip


def test_clipping_a_gradient_is_meant_so():
    assert judge_rule(clip_gradient(0.5), domain=reals()).verdict == "meant so"
    assert judge_rule(clip_gradient(1.5), domain=reals(), intent="clips").verdict == "meant so"
