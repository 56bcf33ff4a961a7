"""Falsehoods that a careless prover would prove, beside what is true: roots, logarithms, casts, ties, places, infinities."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.special import digamma

from manual_grad import bits, classes, intervals, positives, reals, signs
from tests.proving import compared_in_symbols

R, T, K = reals(), bits(), classes("n", 3)
inf = jnp.inf


def sigmoid_by_cases(x: Any) -> Any:
    return jnp.where(x < 0, jnp.exp(x), 1) / (1 + jnp.exp(-jnp.abs(x)))


def relu(x: Any) -> Any:
    return jnp.maximum(x, 0)


def taken(mode: str, place: int) -> Any:
    return lambda x: x.at[jnp.array([place])].get(mode=mode, fill_value=0)[0]


def turn(x: Any) -> Any:
    return jnp.stack([jnp.cos(x), -jnp.sin(x), jnp.sin(x), jnp.cos(x)]).reshape(2, 2)


TRUE = {
    "√x² = |x|": (lambda x: jnp.sqrt(x * x), jnp.abs, R),
    "√x² = x for x > 0": (lambda x: jnp.sqrt(x * x), lambda x: x, positives()),
    "(x²)^1.5 = |x|³": (lambda x: (x * x) ** 1.5, lambda x: jnp.abs(x) ** 3, R),
    "log x² = 2 log x for x > 0": (lambda x: jnp.log(x * x), lambda x: 2 * jnp.log(x), positives()),
    "e^(2 log(x+y)) = (x+y)²": (lambda x, y: jnp.exp(2 * jnp.log(x + y)), lambda x, y: (x + y) ** 2, R, R),
    "sinh asinh x = x": (lambda x: jnp.sinh(jnp.arcsinh(x)), lambda x: x, R),
    "artanh tanh x = x": (lambda x: jnp.arctanh(jnp.tanh(x)), lambda x: x, R),
    "x/x = 1": (lambda x: x / x, lambda x: 1 + 0 * x, R),
    "0.1 = 1/10": (lambda x: 0.1 * x, lambda x: x / 10, R),
    "a cast to float32": (lambda x: x.astype(jnp.float32).astype(float), lambda x: x, R),
    "σ by cases": (sigmoid_by_cases, lambda x: 1 / (1 + jnp.exp(-x)), R),
    "relu": (relu, lambda x: (x + jnp.abs(x)) / 2, R),
    "slope of relu of relu": (jax.grad(lambda x: relu(relu(x))), lambda x: jnp.where(x > 0, 1.0, 0.0), R),
    "slope of max(x, x)": (jax.grad(lambda x: jnp.maximum(x, x)), lambda x: 1 + 0 * x, R),
    "min of max": (lambda x: jnp.clip(x, -1, 2), lambda x: jnp.maximum(-1, jnp.minimum(2, x)), R),
    "Huber's slope": (lambda x: jnp.clip(x, -1, 1), lambda x: jnp.where(jnp.abs(x) <= 1, x, jnp.sign(x)), R),
    "Huber's slope for any δ": (
        lambda x, d: jnp.clip(x, -d, d),
        lambda x, d: jnp.where(jnp.abs(x) <= d, x, d * jnp.sign(x)),
        R,
        positives(),
    ),
    "slope of the ε-insensitive loss": (
        jax.grad(lambda x, e: jnp.maximum(jnp.abs(x) - e, 0.0)),
        lambda x, e: jnp.where(x > e, 1.0, 0.0) - jnp.where(x < -e, 1.0, 0.0),
        R,
        positives(),
    ),
    "one of two": (
        lambda x, d: jnp.where((d - x > 0) | (d + x > 0), 1.0, 2.0),
        lambda x, d: 1 + 0 * x,
        R,
        positives(),
    ),
    "not both": (lambda x, d: jnp.where((x - d > 0) & (x + d < 0), 1.0, 2.0), lambda x, d: 2 + 0 * x, R, positives()),
    "one condition follows": (lambda x: jnp.where((x > 1) & (x > 0), 1.0, 0.0), lambda x: jnp.where(x > 1, 1.0, 0.0), R),
    "first of two equal": (lambda x: 1.0 * jnp.argmax(jnp.stack([x, x])), lambda x: 0 * x, R),
    "sin² + cos²": (lambda x: jnp.sin(x) ** 2 + jnp.cos(x) ** 2, lambda x: 1 + 0 * x, R),
    "sin(x − y)": (
        lambda x, y: jnp.sin(x - y),
        lambda x, y: jnp.sin(x) * jnp.cos(y) - jnp.cos(x) * jnp.sin(y),
        R,
        R,
    ),
    "cos 3x": (lambda x: jnp.cos(3 * x), lambda x: 4 * jnp.cos(x) ** 3 - 3 * jnp.cos(x), R),
    "tan 2x": (lambda x: jnp.tan(2 * x), lambda x: 2 * jnp.tan(x) / (1 - jnp.tan(x) ** 2), R),
    "a turn by x, and one by y": (
        lambda x, y: turn(x) @ turn(y),
        lambda x, y: turn(x + y),
        R,
        R,
    ),
    "1/(1 + sin)": (lambda x: jnp.cos(x) / (1 + jnp.sin(x)), lambda x: (1 - jnp.sin(x)) / jnp.cos(x), R),
    "log p/(1 − p)": (lambda p: jnp.log(p / (1 - p)), lambda p: jnp.log(p) - jnp.log1p(-p), intervals(0, 1)),
    "ψ(α + 2)": (lambda x: digamma(x + 2), lambda x: digamma(x) + 1 / x + 1 / (x + 1), positives()),
    "ψ(α − 1)": (lambda x: digamma(x - 1), lambda x: digamma(x) - 1 / (x - 1), positives()),
    "log-sum-exp": (lambda x: jnp.logaddexp(x, 0), lambda x: jnp.log1p(jnp.exp(x)), R),
    "1 − tanh²": (lambda x: 1 - jnp.tanh(x) ** 2, lambda x: 1 / jnp.cosh(x) ** 2, R),
    "|1 − xy| in (−1, 1)": (lambda x, y: jnp.abs(1 - x * y), lambda x, y: 1 - x * y, intervals(-1, 1), intervals(-1, 1)),
    "|x − 1| from 1 on": (lambda x: jnp.abs(x - 1), lambda x: x - 1, intervals(1, 2)),
    "t² = 1 for signs": (lambda t: t * t, lambda t: 1 + 0 * t, signs()),
    "(−1)^t": (lambda t: jnp.power(-1.0, t), lambda t: 1 - 2 * t, T),
    "⌊t/2⌋ for bits": (lambda t: jnp.floor(t / 2), lambda t: 0 * t, T),
    "a label in int8": (lambda t: (t.astype(jnp.int8) * np.int8(100)).astype(float), lambda t: 100 * t, signs()),
    "beyond the end, clipped": (taken("clip", 7), lambda x: x[2], reals(3)),
    "beyond the end, filled": (taken("fill", 7), lambda x: 0 * x[2], reals(3)),
    "place −1": (lambda x: x[-1], lambda x: x[2], reals(3)),
    "max(x, −∞)": (lambda x: jnp.maximum(x, -inf), lambda x: x, R),
    "log(e^x + e^−∞)": (lambda x: jnp.logaddexp(x, -inf), lambda x: x, R),
    "softmax with a mask": (
        lambda x: jax.nn.softmax(jnp.where(np.array([True, False, True]), x, -inf)),
        lambda x: jnp.array([1 / (1 + jnp.exp(x[2] - x[0])), 0, 1 / (1 + jnp.exp(x[0] - x[2]))]),
        reals(3),
    ),
    "the entry that a label picks": (lambda x, k: x[k], lambda x, k: jax.nn.one_hot(k, 3) @ x, reals(3), K),
    "an entry of two labels": (
        lambda x, k: x[k[0], k[1]],
        lambda x, k: jax.nn.one_hot(k[0], 3) @ x @ jax.nn.one_hot(k[1], 3),
        reals(3, 3),
        K,
    ),
    "tanh of what a label picks": (
        lambda x, k: jnp.tanh(x[k]),
        lambda x, k: 1 - 2 / (1 + jnp.exp(2 * x[k])),
        reals(3),
        K,
    ),
    "added where a label says": (
        lambda x, k: jnp.zeros(3).at[k].add(x[:2]),
        lambda x, k: jax.nn.one_hot(k, 3).T @ x[:2],
        reals(3),
        K,
    ),
    "set where labels say": (
        lambda x, k: x.at[k[0]].set(0),
        lambda x, k: x * (1 - jax.nn.one_hot(k[0], 3)),
        reals(3),
        K,
    ),
    "labels from the end": (lambda x, k: x[-1 - k], lambda x, k: x[::-1][k], reals(3), K),
    "beyond the end, for some labels": (
        lambda x, k: x.at[k + 1].get(mode="clip"),
        lambda x, k: jnp.where(k == 0, x[1], x[2]),
        reals(3),
        K,
    ),
    "dropped beyond the end": (
        lambda x, k: jnp.zeros(3).at[k + 1].add(x[:2], mode="drop"),
        lambda x, k: jnp.concatenate([jnp.zeros(1), jax.nn.one_hot(k, 3).T[:2] @ x[:2]]),
        reals(3),
        K,
    ),
    "a window that a label moves": (
        lambda x, k: jax.lax.dynamic_slice(x, (k[0],), (2,)),
        lambda x, k: jnp.where(k[0] == 0, x[:2], x[1:]),
        reals(3),
        K,
    ),
    "the entry at the greatest": (lambda x: x[jnp.argmax(x)], lambda x: jnp.max(x), reals(3)),
    "∞ is not finite": (lambda x: jnp.where(jnp.isfinite(x), x, inf), lambda x: x, R),
}

FALSE = {
    "sin(x + y) for sin(x − y)": (
        lambda x, y: jnp.sin(x - y),
        lambda x, y: jnp.sin(x) * jnp.cos(y) + jnp.cos(x) * jnp.sin(y),
        R,
        R,
    ),
    "cos x for cos 2x": (lambda x: jnp.cos(2 * x), lambda x: 2 * jnp.cos(x) ** 2 + 1, R),
    "Huber's slope for a δ of any sign": (
        lambda x, d: jnp.clip(x, -d, d),
        lambda x, d: jnp.where(jnp.abs(x) <= d, x, d * jnp.sign(x)),
        R,
        R,
    ),
    "one of two, of any δ": (lambda x, d: jnp.where((d - x > 0) | (d + x > 0), 1.0, 2.0), lambda x, d: 1 + 0 * x, R, R),
    "√x² = x": (lambda x: jnp.sqrt(x * x), lambda x: x, R),
    "√x² = −x for x > 0": (lambda x: jnp.sqrt(x * x), lambda x: -x, positives()),
    "(x²)^1.5 = x³": (lambda x: (x * x) ** 1.5, lambda x: x**3, R),
    "(x²)^¼ = √x": (lambda x: (x * x) ** 0.25, lambda x: jnp.sqrt(x) * jnp.sign(x), R),
    "√((1 − x)²) = 1 − x": (lambda x: jnp.sqrt((1 - x) ** 2), lambda x: 1 - x, R),
    "log x² = log x": (lambda x: jnp.log(x * x), jnp.log, positives()),
    "log(x + y) = log x + log y": (lambda x, y: jnp.log(x + y), lambda x, y: jnp.log(x) + jnp.log(y), R, R),
    "log x² where x > 0 only": (lambda x: jnp.log(x**2), lambda x: jnp.where(x > 0, 2 * jnp.log(x), 0), R),
    "e^(2 log x) = 2x": (lambda x: jnp.exp(2 * jnp.log(x)), lambda x: 2 * x, positives()),
    "x^0.3333333333333333 = ∛x": (lambda x: x**0.3333333333333333, jnp.cbrt, positives()),
    "sin² − cos²": (lambda x: jnp.sin(x) ** 2 - jnp.cos(x) ** 2, lambda x: 1 + 0 * x, R),
    "sin² + cos² of two angles": (lambda x, y: jnp.sin(x) ** 2 + jnp.cos(y) ** 2, lambda x, y: 1 + 0 * x * y, R, R),
    "log p/(1 − p) beyond 1": (lambda p: jnp.log(p / (1 - p)), lambda p: jnp.log(p) - jnp.log(p - 1), intervals(0, 3)),
    "ψ(α + 2), a term short": (lambda x: digamma(x + 2), lambda x: digamma(x) + 1 / x, positives()),
    "arcsin sin x = x": (lambda x: jnp.arcsin(jnp.sin(x)), lambda x: x, R),
    "x/x = x": (lambda x: x / x, lambda x: x, R),
    "1/x² = 1/x": (lambda x: x**-2.0, lambda x: x**-1.0, R),
    "0.3333333333333333 = 1/3": (lambda x: 0.3333333333333333 * x, lambda x: x / 3, R),
    "the next double": (lambda x: np.nextafter(0.1, 1) * x, lambda x: 0.1 * x, R),
    "0.1 + 0.2 = 0.3": (lambda x: (0.1 + 0.2) * x, lambda x: 0.3 * x, R),
    "0.1 in float32, as a double": (lambda x: float(np.float32(0.1)) * x, lambda x: 0.1 * x, R),
    "a cast to int": (lambda x: x.astype(int).astype(float), lambda x: x, R),
    "⌊x⌋ = x": (jnp.floor, lambda x: x, R),
    "x // 1 = x": (lambda x: x // 1, lambda x: x, R),
    "x mod 1 = x": (lambda x: x % 1, lambda x: x, R),
    "t // 2 = t/2": (lambda t: (t.astype(int) // 2).astype(float), lambda t: t / 2, T),
    "200 t in int8": (lambda t: (t.astype(jnp.int8) * np.int8(100) * np.int8(2)).astype(float), lambda t: 200 * t, signs()),
    "t − 1 without a sign": (lambda t: (t.astype(jnp.uint8) - np.uint8(1)).astype(float), lambda t: t - 1, T),
    "−1 as uint8": (lambda t: t.astype(jnp.uint8).astype(float), lambda t: t, signs()),
    "127 k in int8": (
        lambda k: (k[0].astype(jnp.int8) * np.int8(127)).astype(float),
        lambda k: 127.0 * k[0],
        classes("n", 3),
    ),
    "10³⁰ t as an integer": (lambda t: (t * 1e30).astype(int).astype(float), lambda t: 1e30 * t, T),
    "x by cases": (lambda x: jnp.where(x > 0, x, -x), lambda x: x, R),
    "slope of relu": (jax.grad(relu), lambda x: 1 + 0 * x, R),
    "branches that are swapped": (lambda x: jnp.where(x > 0, 1.0, 2.0), lambda x: jnp.where(x > 0, 2.0, 1.0), R),
    "two conditions": (lambda x, y: jnp.where(x > y, 1.0, 0.0), lambda x, y: jnp.where(x * x > y * y, 1.0, 0.0), R, R),
    "a condition on a square": (lambda x: jnp.where(x * x > 0, 1.0, 0.0), lambda x: jnp.where(x > 0, 1.0, 0.0), R),
    "ties that are no null set": (lambda x: jnp.where(relu(x) == 0, 1.0, 0.0), lambda x: 0 * x, R),
    "≥ for > with a tie": (lambda x: jnp.where(relu(x) >= 0, 1.0, 0.0), lambda x: jnp.where(relu(x) > 0, 1.0, 0.0), R),
    "the bounds of max and min swapped": (
        lambda x: jnp.maximum(2, jnp.minimum(-1, x)),
        lambda x: jnp.minimum(-1, jnp.maximum(2, x)),
        R,
    ),
    "the other one follows": (
        lambda x: jnp.where((x > 1) & (x > 0), 1.0, 0.0),
        lambda x: jnp.where(x > 0, 1.0, 0.0),
        R,
    ),
    "second of two equal": (lambda x: 1.0 * jnp.argmax(jnp.stack([x, x])), lambda x: 1 + 0 * x, R),
    "place of the greatest": (lambda x: 1.0 * jnp.argmax(x), lambda x: 1.0 * jnp.argmin(x), reals(3)),
    "|½ − xy| in (−1, 1)": (lambda x, y: jnp.abs(0.5 - x * y), lambda x, y: 0.5 - x * y, intervals(-1, 1), intervals(-1, 1)),
    "|x| in (−1, 1)": (jnp.abs, lambda x: x, intervals(-1, 1)),
    "|x − 1| from ½ on": (lambda x: jnp.abs(x - 1), lambda x: x - 1, intervals(0.5, 2)),
    "t² = t for signs": (lambda t: t * t, lambda t: t, signs()),
    "t² = 1 for bits": (lambda t: t * t, lambda t: 1 + 0 * t, T),
    "k² = k for classes": (lambda k: 1.0 * k[0] * k[0], lambda k: 1.0 * k[0], classes("n", 3)),
    "beyond the end, clipped": (taken("clip", 7), lambda x: x[1], reals(3)),
    "beyond the end, filled": (taken("fill", 7), lambda x: x[2], reals(3)),
    "the entry before the one that a label picks": (lambda x, k: x[k], lambda x, k: x[k - 1], reals(3), K),
    "the entry of the other label": (lambda x, k: x[k[0], k[1]], lambda x, k: x[k[1], k[0]], reals(3, 3), K),
    "clipped, not wrapped": (lambda x, k: x.at[k + 1].get(mode="clip"), lambda x, k: x[(k + 1) % 3], reals(3), K),
    "not there for some labels": (lambda x, k: x.at[k + 1].get(mode="fill"), lambda x, k: x[k], reals(3), K),
    "set, not added": (
        lambda x, k: jnp.zeros(3).at[k].set(x[:2]),
        lambda x, k: jnp.zeros(3).at[k].add(x[:2]),
        reals(3),
        K,
    ),
    "set, in the other order": (
        lambda x, k: jnp.zeros(3).at[k].set(x[:2]),
        lambda x, k: jnp.zeros(3).at[k[::-1]].set(x[1::-1]),
        reals(3),
        K,
    ),
    "added, not dropped": (
        lambda x, k: jnp.zeros(3).at[k + 1].add(x[:2], mode="drop"),
        lambda x, k: jnp.zeros(3).at[k + 1].add(x[:2], mode="clip"),
        reals(3),
        K,
    ),
    "a window that a label moves": (
        lambda x, k: jax.lax.dynamic_slice(x, (k[0],), (2,)),
        lambda x, k: x[jnp.array([0, 1]) + k[0]],
        reals(3),
        K,
    ),
    "the entry at the least": (lambda x: x[jnp.argmin(x)], lambda x: jnp.max(x), reals(3)),
    "a place that is not there": (lambda x: x.at[jnp.array([7])].get(mode="fill")[0], lambda x: 0 * x[2], reals(3)),
    "place −1": (lambda x: x[-1], lambda x: x[0], reals(3)),
    "x + ∞ is finite": (lambda x: jnp.where(jnp.isfinite(x + inf), 1.0, 2.0), lambda x: 1 + 0 * x, R),
    "x + ∞ < ∞": (lambda x: jnp.where(x + inf < inf, 1.0, 2.0), lambda x: 1 + 0 * x, R),
    "NaN = NaN": (lambda x: jnp.where(0 * x + jnp.nan == jnp.nan, 1.0, 2.0), lambda x: 1 + 0 * x, R),
    "a mask that keeps": (
        lambda x: jax.nn.softmax(jnp.where(np.array([True, False, True]), x, inf)),
        lambda x: jnp.array([1.0, 0.0, 0.0]) * x,
        reals(3),
    ),
    "max(x, ∞)": (lambda x: jnp.minimum(jnp.maximum(x, inf), 3), lambda x: x, R),
    "∞ = −∞": (lambda x: jnp.where(0 * x + inf == -inf, 1.0, 2.0), lambda x: 1 + 0 * x, R),
}


@pytest.mark.parametrize("name", TRUE)
def test_what_is_true_is_proved(name: str) -> None:
    left, right, *domain = TRUE[name]
    assert compared_in_symbols(left, right, tuple(domain), {"n": 2}) == ""


@pytest.mark.parametrize("name", FALSE)
def test_what_is_false_is_not_proved(name: str) -> None:
    left, right, *domain = FALSE[name]
    reason = compared_in_symbols(left, right, tuple(domain), {"n": 2})
    assert reason
    assert "failed" not in reason
