"""Claims that are no gradient: a Newton step, a Hessian-vector product, a value."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.nn import log_sigmoid, sigmoid

from autodiff_ref import verify
from autodiff_ref.judge.explanation.explain import explain
from autodiff_ref.judge.html import of_report
from manual_grad import Derivation, positives, reals, signs

DOMAIN = (reals("d"), positives(), reals("n", "d"), signs("n"))


def log_posterior(w, lam, x, y):
    """ll − λ/2 ‖w‖²"""
    return jnp.sum(log_sigmoid(y * (x @ w))) - lam / 2 * (w @ w)


def gradient(w, lam, x, y, nabla):
    return nabla(log_posterior)(w, lam, x, y)


def newton_step(w, lam, x, y, nabla):
    """−(∇²f)⁻¹ ∇f"""
    return -jnp.linalg.solve(nabla(gradient)(w, lam, x, y), gradient(w, lam, x, y, nabla))


def _solved(w, lam, x, y, sign=1):
    s = sigmoid(x @ w)
    hessian = x.T @ ((s * (1 - s))[:, None] * x) + sign * lam * jnp.eye(len(w))
    return jnp.linalg.solve(hessian, x.T @ ((y == 1) - s) - lam * w)


def closed(w, lam, x, y):
    """(Xᵀ diag(q) X + λI)⁻¹ (Xᵀ g − λw)"""
    return _solved(w, lam, x, y)


def forgot_the_sign(w, lam, x, y):
    """(Xᵀ diag(q) X − λI)⁻¹ (Xᵀ g − λw)"""
    return _solved(w, lam, x, y, sign=-1)


def hessian_times_v(w, v, x, y):
    """∇²ll v"""
    return jax.jvp(jax.grad(lambda w: jnp.sum(log_sigmoid(y * (x @ w)))), (w,), (v,))[1]


def product(w, v, x, y):
    """−Xᵀ (q ∘ Xv)"""
    s = sigmoid(x @ w)
    return -x.T @ (s * (1 - s) * (x @ v))


def forgot_the_complement(w, v, x, y):
    """−Xᵀ (σ ∘ Xv)"""
    return -x.T @ (sigmoid(x @ w) * (x @ v))


NEWTON = Derivation("Newton's step", equals=newton_step, domain=DOMAIN, lines=[closed], sizes={"d": (1, 2)})
PRODUCT = Derivation(
    "∇²ll v",
    equals=hessian_times_v,
    domain=(reals("d"), reals("d"), reals("n", "d"), signs("n")),
    lines=[product, forgot_the_complement],
)


def test_a_newton_step_is_right_and_one_of_the_wrong_sign_is_refuted_at_its_line():
    report = verify(NEWTON.with_lines(closed, forgot_the_sign))
    assert [line.verdict for line in report.lines] == ["proved", "refuted"]
    assert report.first_wrong_line == "forgot_the_sign"
    assert report.lines[0].against == "newton_step"
    assert "∇ of gradient, log_posterior checked by difference quotients" in report.reference


def test_a_first_line_that_is_wrong_is_refuted_against_what_it_is_to_equal():
    report = verify(NEWTON.with_lines(forgot_the_sign), suspects=False)
    found = report.lines[0].counterexample
    assert (report.first_wrong_line, found.against) == ("forgot_the_sign", "newton_step")
    assert found.entry == found.component
    assert found.component.startswith("newton_step[")


@pytest.fixture(scope="module")
def report():
    return verify(PRODUCT)


def test_a_product_is_proved_and_the_report_says_that_it_is_no_gradient(report):
    assert [line.verdict for line in report.lines] == ["proved", "refuted"]
    assert "claim      no gradient: each line is to equal hessian_times_v" in str(report)
    assert "∂/∂" not in str(report)
    assert "jax.jvp in test_equals.py" in report.reference
    entry = report.to_dict()
    assert entry["claim"] == {"kind": "equals", "function": "hessian_times_v", "by": None, "reference": "hessian_times_v"}
    assert "no gradient: each line is to equal hessian_times_v" in of_report(entry)


def test_explain_says_what_the_first_line_is_to_equal():
    first, second = explain(PRODUCT)
    assert "is to equal hessian_times_v  ∇²ll v" in str(first)
    assert "line above  product  −Xᵀ (q ∘ Xv)" in str(second)
    assert first.to_dict()["claim"]["kind"] == "equals"


def test_the_snippet_prints_both_values(report):
    assert "print(forgot_the_complement(*in_jax))" in report.lines[1].counterexample.snippet


def softmax(w, x):
    """e^{Xw} / Σ e^{Xw}"""
    e = np.exp(x @ w)
    return e / e.sum()


def shifted(w, x):
    """softmax(Xw − max), written in place"""
    z = x @ w
    e = np.exp(z - z.max())
    e /= e.sum()
    return e


def test_numpy_code_that_differentiates_nothing():
    report = verify(Derivation("softmax", equals=softmax, domain=(reals("d"), reals("n", "d")), lines=[shifted]))
    assert [line.verdict for line in report.lines] == ["proved"], str(report)


def relu_step(w, x, nabla):
    return w - nabla(lambda w, x: jnp.sum(jnp.maximum(x @ w, 0)))(w, x)


def with_less(w, x):
    return w - x.T @ (x @ w > 0)


def with_less_or_equal(w, x):
    return w - x.T @ (x @ w >= 0)


def test_at_a_kink_of_what_a_nabla_stands_before_either_derivative_is_right():
    domain = (reals("d"), reals("n", "d"))
    report = verify(Derivation("step", equals=relu_step, domain=domain, lines=[with_less, with_less_or_equal]))
    assert report.ok, str(report)


def short(w, x):
    return (x @ w)[:1]


def test_a_line_of_another_shape_is_told_which_shape_is_wanted():
    derivation = Derivation("softmax", equals=softmax, domain=(reals("d"), reals("n", "d")), lines=[short])
    with pytest.raises(ValueError, match=r"short returns shape \(1,\), and `softmax`, which it is to equal, shape \(\d"):
        verify(derivation)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"of": softmax, "equals": shifted}, "and not both"),
        ({}, "give `of`"),
        ({"equals": 3}, "`equals` must be a function, got 3"),
    ],
)
def test_a_derivation_says_what_is_derived_once(arguments, said):
    with pytest.raises(TypeError, match=said):
        Derivation("d", **arguments, domain=(reals("d"), reals("n", "d")), lines=[short])


def test_a_line_may_not_be_called_like_what_it_is_to_equal():
    with pytest.raises(ValueError, match="rename the line"):
        Derivation("d", equals=softmax, domain=(reals("d"), reals("n", "d")), lines=[softmax])


def test_a_domain_is_needed():
    with pytest.raises(TypeError, match="`domain` is missing"):
        Derivation("d", equals=softmax, lines=[short])
