"""Lines that claim less than equality: `within` so much, or under a condition; and how that is printed."""

import jax.numpy as jnp
import pytest

from autodiff_ref import verify
from manual_grad import Derivation, holds_when, reals, within


def of(x):
    return jnp.sum(jnp.tanh(x))


def exact(x, nabla):
    return 1 - jnp.tanh(x) ** 2


def times(factor):
    def line(x, nabla):
        return (1 - jnp.tanh(x) ** 2) * factor

    return line


def judged(*lines):
    return verify(Derivation("∇ Σ tanh", of, "x", (reals("n"),), lines), suspects=False)


@pytest.mark.parametrize(
    ("claim", "factor", "verdict"),
    [
        (None, 1 + 2.0**-52, "within"),
        (None, 1 + 1e-13, "refuted"),
        ({"ulps": 4}, 1 + 3 * 2.0**-52, "within"),
        ({"ulps": 4}, 1 + 1e-13, "refuted"),
        ({"relative": 1e-6}, 1 + 1e-7, "within"),
        ({"relative": 1e-6}, 1 + 1e-5, "refuted"),
        ({"relative": 1e-6}, 1.0, "proved"),
    ],
)
def test_a_line_is_right_as_far_as_it_claims(claim, factor, verdict):
    line = times(factor) if claim is None else within(**claim)(times(factor))
    report = judged(line)
    assert report.lines[0].verdict == verdict, str(report)
    if verdict == "within":
        assert report.lines[0].apart == pytest.approx((factor - 1) * 2.0**52, rel=0.01)
        assert f"within {report.lines[0].apart:.2g} ulps" in str(report)


def test_a_line_behind_an_approximation_is_judged_by_the_last_exact_one():
    def again(x, nabla):
        return 1 - jnp.tanh(x) ** 2

    def wrong(x, nabla):
        return 1 + jnp.tanh(x) ** 2

    report = judged(exact, within(relative=1e-6)(times(1 + 1e-7)), again, wrong)
    assert [line.verdict for line in report.lines] == ["proved", "within", "proved", "refuted"], str(report)
    assert report.lines[2].against == "exact"


def test_the_condition_of_a_line_is_printed_beside_its_verdict():
    @holds_when(lambda x: jnp.all(x > 0))
    def for_positives(x, nabla):
        return jnp.abs(1 - jnp.tanh(x) ** 2)

    report = judged(exact, for_positives)
    assert report.ok, str(report)
    assert "against exact, where jnp.all(x > 0)" in " ".join(str(report).split())
    assert report.to_dict()["lines"][1]["condition"] == "jnp.all(x > 0)"
