"""A mistake planted in the backward half of rules of all kinds is found, and the rule named; right ones pass.

Matrices, gathers, branches, loops, pytrees, labels, several outputs: `test_sixty` has functions of numbers.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from autodiff_ref import judge_rule
from manual_grad import classes, positives, reals
from manual_grad.domains import Classes
from tests.combinations import listed


def is_real(leaf):
    return jnp.issubdtype(jnp.asarray(leaf).dtype, jnp.floating)


def ruled(f, change, *, stops=False):
    """f with a custom_vjp.

    Args:
        f: a function of pytrees of arrays.
        change: (real leaves, their cotangents, the cotangent of the value, its pullback) -> what the rule says.
        stops: whether the rule is blind to what it is itself a function of.
    """

    @jax.custom_vjp
    def planted(*args):
        return f(*args)

    def forward(*args):
        kept = jax.tree.map(lambda leaf: lax.stop_gradient(leaf) if stops and is_real(leaf) else leaf, args)
        return f(*args), kept

    def backward(args, bar):
        leaves, structure = jax.tree.flatten(args)
        real = [k for k, leaf in enumerate(leaves) if is_real(leaf)]

        def of_real(*xs):
            given = dict(zip(real, xs, strict=True))
            return f(*jax.tree.unflatten(structure, [given.get(k, leaf) for k, leaf in enumerate(leaves)]))

        xs = [leaves[k] for k in real]
        pull = jax.vjp(of_real, *xs)[1]
        said = dict(zip(real, change(xs, list(pull(bar)), bar, pull), strict=True))
        nothing = [np.zeros(np.shape(leaf), jax.dtypes.float0) for leaf in leaves]
        return tuple(jax.tree.unflatten(structure, [said.get(k, none) for k, none in enumerate(nothing)]))

    planted.defvjp(forward, backward)
    return planted


def added(bar):
    return sum(jnp.sum(leaf) for leaf in jax.tree.leaves(bar))


def in_first(change):
    return lambda xs, gradients, bar, pull: [change(xs[0], gradients[0], bar), *gradients[1:]]


def right(xs, gradients, bar, pull):
    return gradients


MISTAKES = {
    "a factor 1 + 1e-9": in_first(lambda x, g, bar: g * (1 + 1e-9)),
    "the sign": in_first(lambda x, g, bar: -g),
    "only at 0": in_first(lambda x, g, bar: jnp.where(x == 0, g + added(bar), g)),
    "only beyond 100": in_first(lambda x, g, bar: jnp.where(x > 100, g + added(bar), g)),
    "the last entry": in_first(lambda x, g, bar: jnp.ravel(g).at[-1].multiply(2.0).reshape(jnp.shape(g))),
    "the last argument": lambda xs, gradients, bar, pull: [*gradients[:-1], gradients[-1] * 2],
    "no linear function of the cotangent": lambda xs, gradients, bar, pull: pull(
        jax.tree.map(lambda leaf: leaf * jnp.abs(leaf), bar)
    ),
}


def recurrent(u, xs):
    return lax.scan(lambda h, x: (jnp.tanh(u * h + x), None), 0.0 * u, xs)[0]


FUNCTIONS = {
    "tr AB": (lambda a, b: jnp.trace(a @ b), (reals(2, 3), reals(3, 2))),
    "log |det A|": (lambda a: jnp.linalg.slogdet(a)[1], (reals(2, 2),)),
    "A⁻¹b": (jnp.linalg.solve, (reals(2, 2), reals(2))),
    "A⁻¹": (jnp.linalg.inv, (reals(2, 2),)),
    "a gather": (lambda x, i: x[i] ** 2, (reals(4), classes(2, 4))),
    "a scatter": (lambda x, i: jnp.zeros(4).at[i].add(x**2), (reals(3), classes(3, 4))),
    "sums by segment": (lambda x, s: jax.ops.segment_sum(x * x, s, 3), (reals(4), classes(4, 3))),
    "where": (lambda x: jnp.where(x > 1, x * x, 2 * x - 1), (reals("n"),)),
    "cond": (lambda x: lax.cond(x > 0.5, lambda x: x * x, jnp.sin, x), (reals(),)),
    "a pytree": (lambda p, x: jnp.tanh(p["w"] @ x + p["b"]), ({"w": reals(2), "b": reals()}, reals(2))),
    "fori_loop": (lambda x, y: lax.fori_loop(0, 3, lambda k, v: v * x + y, x), (reals(), reals())),
    "scan": (recurrent, (reals(), reals(3))),
    "cumsum": (lambda x: jnp.cumsum(x**2), (reals(3),)),
    "max": (lambda x: 2 * jnp.max(x), (reals(3),)),
    "cross-entropy": (lambda z, y: jax.nn.logsumexp(z) - z[y], (reals(3), Classes((), 3))),
    "a layer norm": (lambda x, g: (x - x.mean()) / jnp.sqrt(x.var() + 0.125) * g, (reals(3), reals(3))),
    "attention": (lambda q, k: jax.nn.softmax(q @ k.T) @ k, (reals(1, 2), reals(2, 2))),
    "a convolution": (lambda x, w: jnp.convolve(x, w, mode="valid"), (reals(4), reals(2))),
    "norms of rows": (lambda x: jnp.sqrt(jnp.sum(x * x, axis=1) + 0.25), (reals(2, 2),)),
    "two outputs": (lambda x, y: (x * y, jnp.sin(x)), (reals(), reals())),
    "a mask": (lambda x, m: jnp.sum(jnp.where(m > 0, x**3, 0.0)), (reals(3), classes(3, 2))),
    "a polynomial": (jnp.polyval, (reals(3), reals())),
}

BENT = ("a gather", "A⁻¹", "cond", "a pytree", "scan", "cross-entropy", "attention", "a layer norm", "a mask", "two outputs")
"""they have a second derivative"""

FEW = (
    ("cond", "a factor 1 + 1e-9"),
    ("a mask", "the sign"),
    ("fori_loop", "only at 0"),
    ("A⁻¹b", "only beyond 100"),
    ("a scatter", "the last entry"),
    ("a pytree", "the last argument"),
    ("two outputs", "no linear function of the cotangent"),
)
"""a function for each mistake, each of another kind; the others are `explore`"""


@pytest.mark.parametrize("name", listed([("a pytree",), ("a gather",), ("max",)], FUNCTIONS))
def test_right_rules_pass(name):
    f, domain = FUNCTIONS[name]
    report = judge_rule(ruled(f, right), domain=domain)
    assert report.ok, report


@pytest.mark.parametrize(("name", "mistake"), listed(FEW, FUNCTIONS, MISTAKES))
def test_planted_mistakes_are_found_and_the_rule_is_named(name, mistake):
    f, domain = FUNCTIONS[name]
    report = judge_rule(ruled(f, MISTAKES[mistake]), domain=domain)
    assert report.verdict == "WRONG", report
    assert report.findings[0].rule == "planted"


@pytest.mark.parametrize("name", listed([("cross-entropy",)], BENT))
def test_a_rule_that_is_blind_to_what_it_depends_on_is_wrong_at_second_order(name):
    """Also where the function stops a gradient itself, as the largest of several numbers in log Σ exp."""
    f, domain = FUNCTIONS[name]
    report = judge_rule(ruled(f, right, stops=True), domain=domain, order=2)
    assert {finding.order for finding in report.findings if finding.kind == "WRONG"} == {2}, report
    assert judge_rule(ruled(f, right), domain=domain, order=2).ok


@pytest.mark.parametrize("kind", [jax.random.key, jax.random.PRNGKey])
def test_a_rule_that_takes_a_random_key_is_judged_alone_with_the_key_that_it_is_given(kind):
    def dropout(factor):
        @jax.custom_vjp
        def ruled(key, x, rate):
            return jnp.where(jax.random.bernoulli(key, 0.5, x.shape), x / rate, 0)

        def forward(key, x, rate):
            return ruled(key, x, rate), (key, x, rate)

        def backward(kept, bar):
            key, x, rate = kept
            mask = jax.random.bernoulli(key, 0.5, x.shape)
            return None, bar * mask / rate * factor, -jnp.sum(bar * mask * x) / rate**2

        ruled.defvjp(forward, backward)
        return lambda x: 3 * ruled(kind(1), jnp.sin(x), 0.5)

    report = judge_rule(dropout(1.0), domain=reals("n"))
    assert (report.verdict, [rule.judged for rule in report.rules]) == ("right", [True])
    report = judge_rule(dropout(1 + 1e-9), domain=reals("n"))
    assert report.verdict == "WRONG"
    assert report.findings[0].rule == "ruled"
    assert "rate=0.5" in report.findings[0].at


def test_a_surrogate_by_one_of_several_arguments_is_wrong_and_told_how_to_say_so():
    @jax.custom_vjp
    def quantised(x, step):
        return jnp.round(x / step) * step

    def forward(x, step):
        return quantised(x, step), (x, step)

    quantised.defvjp(forward, lambda kept, bar: (bar, bar * jnp.round(kept[0] / kept[1])))
    report = judge_rule(quantised, domain=(reals(), positives()))
    assert report.verdict == "WRONG"
    assert (
        "by this argument the derivative is 0 throughout: a rule that is meant as a surrogate says so"
        in report.findings[0].note
    )
    assert judge_rule(quantised, domain=(reals(), positives()), intent="straight through").verdict == "meant so"
    assert "surrogate" not in str(
        judge_rule(ruled(lambda x, y: x * y, lambda xs, made, bar, pull: made[::-1]), domain=(reals(),) * 2)
    )


def test_an_argument_by_which_the_rule_gives_nothing_is_told_how_to_say_so():
    rotated = jax.custom_vjp(lambda x, place: x * jnp.cos(place))
    rotated.defvjp(lambda *xs: (rotated(*xs), xs), lambda xs, bar: (bar * jnp.cos(xs[1]), None))
    report = judge_rule(rotated, domain=(reals(), reals()))
    assert report.verdict == "WRONG"
    assert "JAX has 0 by this argument throughout: if it is an integer, say so by domain=" in report.findings[0].note
    assert judge_rule(rotated, domain=(reals(), classes(5))).verdict == "right"
