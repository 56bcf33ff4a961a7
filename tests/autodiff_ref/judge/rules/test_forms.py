"""A mistake is found in whatever form JAX lets people write a rule, and wherever it is called."""

import functools
import re
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from autodiff_ref import judge_rule
from manual_grad import reals
from manual_grad.domains import Classes
from tests.combinations import listed


def vjp_with_a_static_argument(factor):
    @functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
    def ruled(power, x):
        return x**power

    ruled.defvjp(lambda power, x: (x**power, x), lambda power, x, bar: (bar * power * x ** (power - 1) * factor,))
    return lambda x: ruled(3, x)


def jvp_with_a_static_argument(factor):
    @functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
    def ruled(x, power):
        return x**power

    @ruled.defjvp
    def its_rule(power, primals, tangents):
        (x,), (d,) = primals, tangents
        return ruled(x, power), factor * power * x ** (power - 1) * d

    return lambda x: ruled(x, 3)


def custom_gradient(factor):
    @jax.custom_gradient
    def ruled(x):
        return jnp.sin(x), lambda bar: (bar * jnp.cos(x) * factor,)

    return ruled


def broadcast(factor):
    @jax.custom_vjp
    def ruled(x, b):
        return x + b

    ruled.defvjp(lambda x, b: (x + b, None), lambda _, bar: (bar, factor * bar.sum(0)))
    return ruled


def in_scan(factor):
    ruled = custom_gradient(factor)
    return lambda x: lax.scan(lambda h, _: (ruled(h) + x, None), x, None, length=3)[0]


def in_vmap(factor):
    return lambda x: jax.vmap(custom_gradient(factor))(x)


def in_jit(factor):
    return jax.jit(lambda x: jnp.sum(jax.jit(custom_gradient(factor))(x) ** 2))


def in_cond(factor):
    ruled = custom_gradient(factor)
    return lambda x: lax.cond(x > 0, ruled, lambda x: 2 * x, x)


def symbolic_zeros(factor):
    """Wrong only where the second argument stands still."""

    @jax.custom_vjp
    def ruled(x, y):
        return x * y

    def forward(x, y):
        return x.value * y.value, (x.value, y.value, y.perturbed)

    ruled.defvjp(forward, lambda kept, bar: (bar * kept[1] * (1 if kept[2] else factor), bar * kept[0]), symbolic_zeros=True)
    return ruled


def where_equal(factor):
    """Wrong only where both arguments are equal."""

    @jax.custom_jvp
    def ruled(x, y):
        return (x - y) ** 2 + x

    @ruled.defjvp
    def its_rule(primals, tangents):
        (x, y), (dx, dy) = primals, tangents
        slope = 2 * (x - y)
        return ruled(x, y), jnp.where(x == y, factor, 1.0) * (slope + 1) * dx - slope * dy

    return ruled


def of_a_dictionary(factor):
    @jax.custom_vjp
    def ruled(x):
        return {"sin": jnp.sin(x), "cos": jnp.cos(x)}

    ruled.defvjp(lambda x: (ruled(x), x), lambda x, bar: (bar["sin"] * jnp.cos(x) - bar["cos"] * jnp.sin(x) * factor,))
    return ruled


def with_a_whole_number(factor):
    """Wrong only where that is 2."""

    @jax.custom_vjp
    def ruled(x, k):
        return x ** (k + 1)

    def backward(kept, bar):
        x, k = kept
        return bar * (k + 1) * x**k * jnp.where(k == 2, factor, 1.0), np.zeros((), jax.dtypes.float0)

    ruled.defvjp(lambda x, k: (x ** (k + 1), (x, k)), backward)
    return ruled


def by_its_value(factor):
    """ELU keeps its value, and not its argument, as a residual."""

    @jax.custom_vjp
    def ruled(x):
        return jnp.where(x > 0, x, jnp.expm1(x))

    ruled.defvjp(lambda x: (ruled(x), ruled(x)), lambda y, bar: (jnp.where(y > 0, bar, bar * (y + 1) * factor),))
    return ruled


NUMBER = (reals(),)
FORMS = {
    "vjp, nondiff_argnums": (vjp_with_a_static_argument, NUMBER),
    "jvp, nondiff_argnums": (jvp_with_a_static_argument, NUMBER),
    "custom_gradient": (custom_gradient, NUMBER),
    "broadcasting": (broadcast, (reals(3, 2), reals(2))),
    "scan": (in_scan, NUMBER),
    "vmap": (in_vmap, (reals(3),)),
    "jit": (in_jit, (reals(2),)),
    "cond": (in_cond, NUMBER),
    "symbolic zeros": (symbolic_zeros, (reals(), reals())),
    "equal arguments": (where_equal, (reals(), reals())),
    "a dictionary": (of_a_dictionary, NUMBER),
    "a whole number": (with_a_whole_number, (reals(), Classes((), 5))),
    "residuals": (by_its_value, (reals("n"),)),
}

FEW = [("vjp, nondiff_argnums",), ("custom_gradient",), ("symbolic zeros",), ("a whole number",)]


@pytest.mark.parametrize("form", listed(FEW, FORMS))
def test_right_rules_pass_and_wrong_ones_are_found(form):
    of, domain = FORMS[form]
    assert judge_rule(of(1.0), domain=domain).ok
    for factor in (1 + 1e-9, -1.0):
        assert judge_rule(of(factor), domain=domain).verdict == "WRONG"


class Pair(NamedTuple):
    scale: Any
    shift: Any


HELD = {
    "a dict": (lambda a, b: {"scale": a, "shift": b}, lambda p: (p["scale"], p["shift"]), "scale"),
    "a dict of dicts": (
        lambda a, b: {"u": {"w": a}, "v": {"w": b}},
        lambda p: (p["u"]["w"], p["v"]["w"]),
        r"p\['u'\]\['w'\]",
    ),
    "a NamedTuple": (Pair, lambda p: (p.scale, p.shift), "scale"),
    "a tuple": (lambda a, b: (a, b), lambda p: p, r"p\[0\]"),
}


@pytest.mark.parametrize("name", HELD)
def test_the_leaves_of_an_argument_of_a_rule_within_are_named_by_their_keys(name):
    made, parts, said = HELD[name]

    @jax.custom_vjp
    def scaled(p, x):
        scale, shift = parts(p)
        return scale * x + shift

    scaled.defvjp(lambda p, x: (scaled(p, x), (p, x)), lambda kept, g: (made(2 * g * kept[1], g), g * parts(kept[0])[0]))
    report = judge_rule(lambda a, b, x: scaled(made(a, b), x) ** 2, domain=(reals(), reals(), reals()))
    assert re.search(rf"∂f/∂{said}:", str(report)), str(report)
    assert "argument 0" not in str(report)
