"""Dataclasses as arguments, as Equinox's modules are: their fields are differentiated by, what is static stays as it is."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from jax.nn import log_sigmoid, sigmoid

from autodiff_ref import assert_gradients_agree, nabla, verify
from autodiff_ref.judge.counterexample import leaf_names
from autodiff_ref.judge.explanation.explain import explain
from autodiff_ref.verify import strategies
from manual_grad import Derivation, contract, reals, signs


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Params:
    w: Any
    b: Any
    link: str = field(default="logit", metadata={"static": True})


def score(params, x):
    assert params.link == "logit"
    return x @ params.w + params.b


def log_likelihood(params, x, y):
    """ll"""
    return jnp.sum(log_sigmoid(y * score(params, x)))


def residual(params, x, y):
    return (y == 1) - sigmoid(score(params, x))


def with_nabla(params, x, y, nabla):
    """Σ g ∇z"""
    return contract(residual(params, x, y), nabla(score)(params, x))


def closed(params, x, y):
    """(Xᵀ g, 1ᵀ g)"""
    g = residual(params, x, y)
    return Params(x.T @ g, jnp.sum(g))


def with_a_mean(params, x, y):
    """(Xᵀ g, 1ᵀ g / n)"""
    g = residual(params, x, y)
    return Params(x.T @ g, jnp.mean(g))


DOMAIN = (Params(reals("d"), reals()), reals("n", "d"), signs("n"))
WHOLE = Derivation("∇ ll", of=log_likelihood, domain=DOMAIN, lines=[with_nabla, closed, with_a_mean])


def w_with_nabla(params, x, y, nabla):
    """Σ g ∇_w z"""
    return residual(params, x, y) @ nabla(score)(params, x)


def w_closed(params, x, y):
    """Xᵀ g"""
    return x.T @ residual(params, x, y)


def test_a_line_returns_the_same_dataclass_and_a_wrong_field_is_named():
    report = verify(WHOLE)
    assert [line.verdict for line in report.lines] == ["proved", "proved", "refuted"], str(report)
    found = report.lines[2].counterexample
    assert found.component == "gradient.b"
    assert "Params(w=np.array([0.0]), b=np.array(0.0), link='logit')" in found.example
    shown: list[Any] = []
    exec(found.snippet.replace("print(", "shown.append("), {"shown": shown})
    right, wrong = shown
    assert float(right.b) != float(wrong.b)


@pytest.mark.parametrize("wrt", ["w", "params.w"])
def test_a_field_is_differentiated_by(wrt):
    report = verify(Derivation("∇_w ll", of=log_likelihood, wrt=wrt, domain=DOMAIN, lines=[w_with_nabla, w_closed]))
    assert [line.verdict for line in report.lines] == ["proved", "proved"], str(report)


def numpy_loss(x, params, y):
    return np.sum(np.log1p(np.exp(-y * (x @ params.w + params.b))))


def numpy_by_b(x, params, y):
    """−1ᵀ g, written in place"""
    total = np.zeros(())
    total += np.sum((y == 1) - 1 / (1 + np.exp(-(x @ params.w + params.b))))
    return -total


def test_numpy_code_takes_them_and_any_argument_may_be_one():
    domain = DOMAIN[1], DOMAIN[0], DOMAIN[2]
    report = verify(Derivation("∇_b", of=numpy_loss, wrt="params.b", domain=domain, lines=[numpy_by_b]))
    assert [line.verdict for line in report.lines] == ["proved"], str(report)


@jax.tree_util.register_dataclass
@dataclass
class Layer:
    w: Any
    activation: Callable[[Any], Any]  # no static field: JAX takes the function for a leaf


def net(model, x):
    return jnp.sum(model["layers"][0].activation(x @ model["layers"][0].w))


def layer_closed(model, x):
    """Xᵀ (1 − h²)"""
    return x.T @ (1 - model["layers"][0].activation(x @ model["layers"][0].w) ** 2)


def layer_squared(model, x):
    """Xᵀ (1 − h)²"""
    return x.T @ (1 - model["layers"][0].activation(x @ model["layers"][0].w)) ** 2


def whole_closed(model, x):
    return {"layers": [Layer(layer_closed(model, x), model["layers"][0].activation)]}


MODEL = {"layers": [Layer(reals("d"), jnp.tanh)]}
NESTED = Derivation(
    "∇", of=net, wrt="model.layers.0.w", domain=(MODEL, reals("n", "d")), lines=[layer_closed, layer_squared]
)


def test_functions_within_are_left_alone_and_a_path_names_a_field():
    report = verify(NESTED)
    assert [line.verdict for line in report.lines] == ["proved", "refuted"], str(report)
    found = report.lines[1].counterexample
    assert found.entry.startswith("∂/∂model.layers.0.w[")
    assert "activation=tanh" in found.snippet
    assert "import tanh" in found.snippet


def test_a_derivative_by_everything_leaves_functions_out():
    report = verify(Derivation("∇", of=net, domain=NESTED.domain, lines=[whole_closed]))
    assert [line.verdict for line in report.lines] == ["proved"], str(report)


@dataclass(init=False)
class Slope:
    """With a constructor of its own, as `equinox.nn.Linear` has one."""

    w: Any

    def __init__(self, size: int) -> None:
        self.w = reals(size)


def _slope_of(_: Any, leaves: Any) -> Slope:
    made = object.__new__(Slope)
    (made.w,) = leaves
    return made


jax.tree_util.register_pytree_with_keys(Slope, lambda slope: (((jax.tree_util.GetAttrKey("w"), slope.w),), None), _slope_of)


def square(slope, x):
    return jnp.sum(x * slope.w) ** 2


def half(slope, x):
    return jnp.sum(x * slope.w) * x


SQUARE = Derivation("∇", of=square, wrt="w", domain=(Slope(2), reals(2)), lines=[half])


def test_a_program_makes_what_has_a_constructor_of_its_own_in_the_structure_of_the_domain():
    (line,) = verify(SQUARE, suspects=False).lines
    shown: list[Any] = []
    exec(line.counterexample.snippet.replace("print(", "shown.append("), {"shown": shown})
    assert "jax.tree.structure(SQUARE.domain)" in line.counterexample.example
    assert np.allclose(np.asarray(shown[0]), 2 * np.asarray(shown[1]))


def test_strategies_assertions_and_explain_take_them():
    @settings(max_examples=3, deadline=None)
    @given(strategies.arguments(DOMAIN))
    def agrees(arguments):
        assert_gradients_agree(closed, log_likelihood, *arguments)
        assert_gradients_agree(w_closed, log_likelihood, *arguments, wrt="params.w")

    @settings(max_examples=3, deadline=None)
    @given(strategies.arguments((MODEL, reals("n", "d"))))
    def has_its_function(arguments):
        assert_gradients_agree(layer_closed, net, *arguments, wrt="model.layers.0.w")

    agrees()
    has_its_function()
    assert explain(WHOLE, ["closed"])[0].verdict.verdict == "proved"


def test_nabla_by_a_field_of_any_argument():
    p, x, y = Params(np.array([0.5, -1.0]), np.array(0.25)), np.eye(2), np.array([1.0, -1.0])
    expected = closed(p, x, y)
    assert np.allclose(nabla("params.w")(log_likelihood)(p, x, y), expected.w, rtol=1e-5)
    assert np.allclose(nabla("b")(log_likelihood)(p, x, y), expected.b, rtol=1e-5)
    assert nabla(None)(log_likelihood)(p, x, y).link == "logit"
    with pytest.raises(TypeError, match=r"∇ is by 'params.q'"):
        nabla("params.q")(log_likelihood)(p, x, y)


@dataclass
class Unknown:
    w: Any


@pytest.mark.parametrize(
    ("first", "wrt", "error", "said"),
    [
        (Unknown(reals("d")), "w", TypeError, "register its class"),
        (Params(reals("d"), 0.5), "w", TypeError, "the domain holds 0.5.*static field"),
        (reals, "w", TypeError, "the domain holds <function reals"),
        ({"w": reals}, "w", TypeError, "the domain holds <function reals"),
        (DOMAIN[0], "params.q", ValueError, "there is no 'q' in it, but .'w', 'b', 'link'"),
        (DOMAIN[0], "q", ValueError, "nor is it a field"),
    ],
)
def test_what_cannot_be_used_is_said_at_once(first, wrt, error, said):
    with pytest.raises(error, match=said):
        Derivation("d", of=log_likelihood, wrt=wrt, domain=(first, *DOMAIN[1:]), lines=[closed])


def test_fields_of_one_name_are_told_apart():
    p = Params(np.zeros(1), np.zeros(()))
    assert leaf_names((p, p), ["net", "dot"]) == ("net.w", "net.b", "dot.w", "dot.b")
    assert leaf_names((p, np.zeros(1)), ["net", "x"]) == ("w", "b", "x")
    assert leaf_names(({"layers": [p, p]},), ["net"])[2] == "net.layers[1].w"
