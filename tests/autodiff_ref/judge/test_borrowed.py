"""A line that differentiates by itself is told of; one that leaves it to ∇ is not."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.special import logsumexp

from autodiff_ref import verify
from autodiff_ref.judge.borrowed import borrowed
from autodiff_ref.judge.inputs import draw_inputs
from autodiff_ref.judge.lines.trace import trace_line, trace_reference
from autodiff_ref.judge.lines.traces import Traces
from manual_grad import Derivation, notes, reals
from tests.derivations import hessian


def sines(x: Any) -> Any:
    return jnp.sum(jnp.sin(x))


@jax.custom_jvp
def own_rule(x: Any) -> Any:
    return jnp.sin(x)


own_rule.defjvp(lambda primals, tangents: (own_rule(*primals), jnp.cos(primals[0]) * tangents[0]))


@jax.custom_vjp
def own_pullback(x: Any) -> Any:
    return jnp.sin(x)


own_pullback.defvjp(lambda x: (own_pullback(x), x), lambda x, ct: (jnp.cos(x) * ct,))


def pulled(x: Any) -> Any:
    value, pull = jax.vjp(sines, x)
    return pull(jnp.ones_like(value))[0]


BORROW = {
    "jax.grad": [
        lambda x, nabla: jax.grad(sines)(x),
        lambda x, nabla: jax.value_and_grad(sines)(x)[1],
        lambda x, nabla: jax.jit(jax.grad(sines))(x),
        lambda x, nabla: jax.vmap(jax.grad(jnp.sin))(x),
        lambda x, nabla: jnp.vectorize(jax.grad(jnp.sin))(x),
        lambda x, nabla: jax.jit(lambda x: jax.vmap(jax.grad(jnp.sin))(x))(x),
        lambda x, nabla: jax.lax.scan(lambda carry, v: (carry, jax.grad(jnp.sin)(v)), 0.0, x)[1],
        lambda x, nabla: jax.lax.map(jax.grad(jnp.sin), x),
        lambda x, nabla: jax.lax.cond(x[0] > 0, jax.grad(sines), jnp.cos, x),
        lambda x, nabla: jax.grad(lambda x: jnp.sum(own_rule(x)))(x),
        lambda x, nabla: jax.grad(lambda x: jnp.sum(own_pullback(x)))(x),
        lambda x, nabla: nabla(sines)(x) + 0 * jax.grad(sines)(x),
        lambda x, nabla: jax.grad(lambda x: 3 * x[0])(x),
        lambda x, nabla: jax.grad(lambda x: jnp.sum(nabla(sines)(x)))(x),
        lambda x, nabla: jax.checkpoint(jax.grad(sines))(x),
    ],
    "jax.vjp": [lambda x, nabla: pulled(x), lambda x, nabla: jax.jit(pulled)(x)],
    "jax.jvp": [lambda x, nabla: jax.jvp(jnp.sin, (x,), (jnp.ones_like(x),))[1]],
    "jax.jacfwd": [lambda x, nabla: jax.jacfwd(sines)(x), lambda x, nabla: jax.hessian(sines)(x) @ x],
    "jax.jacrev": [lambda x, nabla: jax.jacrev(sines)(x), lambda x, nabla: jax.jacobian(sines)(x)],
    "jax.linearize": [lambda x, nabla: jax.linearize(jnp.sin, x)[1](jnp.ones_like(x))],
}

DERIVE = [
    lambda x, nabla: jnp.cos(x),
    lambda x, nabla: nabla(sines)(x),
    lambda x, nabla: nabla(jax.jit(sines))(x),
    lambda x, nabla: jax.jit(lambda x: nabla(sines)(x))(x),
    lambda x, nabla: nabla(lambda x: jnp.sum(own_rule(x)))(x),
    lambda x, nabla: nabla(lambda x: jnp.sum(nabla(sines)(x)))(x),
    lambda x, nabla: jnp.stack([nabla(jnp.sin, wrt=None)(v) for v in x]),
    lambda x, nabla: jax.vmap(nabla(jnp.sin, wrt=None))(x),
    lambda x, nabla: own_rule(x) + own_pullback(x) + jax.nn.relu(x) + jax.nn.softmax(x) + logsumexp(x),
    lambda x, nabla: jax.nn.silu(x) + jax.scipy.special.digamma(1 + x**2) + jax.nn.gelu(x),
    lambda x, nabla: jax.lax.scan(lambda carry, v: (carry + v, jnp.cos(v)), 0.0, x)[1],
    lambda x, nabla: jnp.linalg.solve(jnp.eye(3) + jnp.outer(x, x), x),
    lambda x, nabla: jax.lax.custom_linear_solve(lambda v: 2 * v, x, lambda _, b: b / 2),
    lambda x, nabla: x + nabla(sines)(np.ones(3)),
]


def found(line: Any) -> list[Any]:
    derivation = Derivation("∇ Σ sin", of=sines, wrt="x", domain=(reals("n"),), lines=[line])
    traces, args = Traces(derivation), (np.array([0.5, 1.0, -2.0]),)
    shapes = trace_reference(derivation, args, traces.nabla).shapes
    return borrowed(trace_line(derivation, line, args, shapes, traces.nabla).closed)


@pytest.mark.parametrize(("transformation", "k"), [(name, k) for name, lines in BORROW.items() for k in range(len(lines))])
def test_a_line_that_differentiates_by_itself_is_told_of(transformation: str, k: int) -> None:
    line = BORROW[transformation][k]
    (use,) = found(line)
    assert use.transformation == transformation
    assert use.place == f"test_borrowed.py:{line.__code__.co_firstlineno}" or "pulled" in line.__code__.co_names
    assert "jax.grad" in use.of("line_1")


@pytest.mark.parametrize("k", range(len(DERIVE)))
def test_a_line_that_leaves_it_to_nabla_is_not_told_of(k: int) -> None:
    assert found(DERIVE[k]) == []


@pytest.mark.parametrize("derivation", [notes.W11, hessian.LOGISTIC], ids=["w11", "a Hessian"])
def test_no_line_of_a_derivation_that_leaves_it_to_nabla_is_told_of(derivation: Derivation) -> None:
    traces, args = Traces(derivation), draw_inputs(derivation, seed=0, at_least=1)[0].args
    assert [borrowed(traces.line(line, args).closed) for line in derivation.lines] == [[]] * len(derivation.lines)


def test_a_report_says_it_and_where() -> None:
    def line_1(x: Any, nabla: Any) -> Any:
        """∇ Σ sin"""
        return nabla(sines)(x)

    def line_2(x: Any, nabla: Any) -> Any:
        """by machine"""
        return jax.grad(sines)(x)

    report = verify(
        Derivation("∇ Σ sin", of=sines, wrt="x", domain=(reals("n"),), lines=[line_1, line_2]), examples=8, floats=False
    )
    place = f"test_borrowed.py:{line_2.__code__.co_firstlineno + 2}"
    sentence = f"line_2 calls jax.grad itself ({place}): what it differentiates is not derived by hand"
    assert sentence in report.notes
    assert not any("line_1 calls" in note for note in report.notes)
