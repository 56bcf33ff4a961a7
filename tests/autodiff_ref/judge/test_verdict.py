"""Equal or different: what `compare` says of two functions at one input."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from autodiff_ref.judge.balls import BALLS
from autodiff_ref.judge.comparing import compare, evaluator
from autodiff_ref.judge.program.walk import plan


def outcome(f, g, *args):
    args = tuple(np.asarray(arg, dtype=float) for arg in args)
    with jax.enable_x64(True):
        plans = [plan(jax.make_jaxpr(h)(*args), BALLS) for h in (f, g)]
    return compare(*[evaluator(made, args) for made in plans]).outcome


CASES = {
    "a tenth": (lambda w: 0.1 * w, lambda w: w / 10, 3.0, "equal"),
    "a part in 10^9": (lambda w: w, lambda w: w * (1 + 1e-9), 3.0, "different"),
    "saturated": (lambda z: 1 - jax.nn.sigmoid(z), lambda z: jax.nn.sigmoid(-z), 1000.0, "equal"),
    "saturated and wrong": (lambda z: 1 - jax.nn.sigmoid(z), lambda z: 2 * jax.nn.sigmoid(-z), 700.0, "different"),
    "below the smallest float": (lambda z: 1 - jax.nn.sigmoid(z), lambda z: 2 * jax.nn.sigmoid(-z), 1000.0, "equal"),
    "a part in 10^17": (lambda w: w, lambda w: w * (1 + 1 / (100 + 1e17 * (w * w + 1))), 3.0, "equal"),
    "float32": (lambda w: w / 3, lambda w: w.astype(jnp.float32) / 3, 0.5, "equal"),
    "undefined": (lambda x: 1 / x, lambda x: 1 / x, 0.0, "undefined"),
    "compared and undefined": (lambda x: jnp.where(1 / x > 0, 1.0, 2.0) / x, lambda x: 1 / x, 0.0, "undefined"),
    "undefined in one": (lambda x: x * x / x, lambda x: x, 0.0, "undefined in one"),
    "undefined in part": (lambda x: jnp.stack([1 / x, x]), lambda x: jnp.stack([1 / x, x + 1]), 0.0, "different"),
    "undefined in part, else equal": (lambda x: jnp.stack([1 / x, x]), lambda x: jnp.stack([x, x]), 0.0, "undefined in one"),
    "relu at 0": (jax.grad(jax.nn.relu), lambda x: jnp.where(x >= 0, 1.0, 0.0), 0.0, "kink"),
    "abs at 0": (jax.grad(jnp.abs), jnp.sign, 0.0, "kink"),
    "floor at an integer": (jnp.floor, lambda x: jnp.ceil(x) - 1, 2.0, "kink"),
    "floor elsewhere": (jnp.floor, lambda x: jnp.ceil(x) - 1, 2.25, "equal"),
    "stable sigmoid at 0": (
        lambda z: jnp.where(z >= 0, 1 / (1 + jnp.exp(-z)), jnp.exp(z) / (1 + jnp.exp(z))),
        jax.nn.sigmoid,
        0.0,
        "equal",
    ),
    "atan2 is odd in y": (lambda x: lax.atan2(x, 2.0), lambda x: -lax.atan2(-x, 2.0), 1.5, "equal"),
}


@pytest.mark.parametrize("name", CASES)
def test_two_functions_of_one_variable(name):
    f, g, point, expected = CASES[name]
    assert outcome(f, g, point) == expected


def test_signs_that_differ_at_two_ties_are_a_kink():
    """Equal almost everywhere, and all-left and all-right alike: only ties decided in turns tell."""

    def strict(x, y):
        return jnp.where((x > 0) ^ (y > 0), 1.0, 0.0)

    def weak(x, y):
        return jnp.where((x >= 0) ^ jnp.less(0, y), 1.0, 0.0)

    assert outcome(strict, weak, 0.0, 0.0) == "kink"
    assert outcome(strict, weak, 1.0, -1.0) == "equal"
