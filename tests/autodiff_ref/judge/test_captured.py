"""Functions that compute the same have one key, others have another; the arrays they hold can be exchanged."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from autodiff_ref.judge.assertion.captured import captured, with_arrays

X = np.array([1.0, 2.0])


def key(f: Any) -> Any:
    return captured(f)[0]


def closed_over(x, factor=2.0, index=0, f=jnp.sin):
    return lambda w: factor * f(w) + x[index]


def nested(x):
    inner = closed_over(x)
    return lambda w: inner(w) + 1


def test_functions_made_anew_have_the_same_key_whatever_their_arrays():
    assert key(closed_over(X)) == key(closed_over(X + 1))
    assert key(nested(X)) == key(nested(X + 1))
    assert key(partial(jnp.dot, X)) == key(partial(jnp.dot, X + 1))
    assert key(jax.jit(closed_over(X))) == key(jax.jit(closed_over(X + 1)))
    assert hash(key(closed_over(X))) == hash(key(closed_over(X + 1)))


@pytest.mark.parametrize("other", [
    closed_over(X, factor=3.0),
    closed_over(X, index=1),
    closed_over(X, f=jnp.cos),
    closed_over(X[:1]),
    closed_over(X.astype(np.float32)),
    closed_over(np.array([1, 2])),
    lambda w: 2.0 * jnp.sin(w) + X[0],
], ids=range(7))  # fmt: skip
def test_other_functions_have_another(other: Any):
    assert key(other) != key(closed_over(X))


def test_numbers_among_the_globals_are_part_of_the_key():
    space: dict[str, Any] = {"scale": 1.0}
    exec("def f(w): return scale * w", space)
    before = key(space["f"])
    assert before == key(space["f"])
    space["scale"] = 2.0
    assert before != key(space["f"])


READ = """
def helper(w): return scale * w
def by_helper(w): return helper(w)
def in_a_generator(w): return sum(scale * x for x in w)
def in_a_dict(w): return settings["scale"] * w
def of_an_object(w): return holder.scale * w
"""


class Holder:
    def __init__(self, scale):
        self.scale = scale

    def method(self, w):
        return self.scale * w


@pytest.mark.parametrize("name", ["by_helper", "in_a_generator", "in_a_dict", "of_an_object", "method"])
def test_numbers_that_helpers_generators_dicts_and_objects_hold_are_part_of_the_key(name):
    space: dict[str, Any] = {"scale": 1.0, "settings": {"scale": 1.0}, "holder": Holder(1.0)}
    exec(READ, space)
    f = space["holder"].method if name == "method" else space[name]
    before = key(f)
    assert before == key(f)
    space["scale"] = space["settings"]["scale"] = space["holder"].scale = 2.0
    assert before != key(f)


@pytest.mark.parametrize(
    "f", [closed_over(X), nested(X), partial(lambda x, w: x[0] + w, X), jax.jit(nested(X))], ids=range(4)
)
def test_arrays_can_be_exchanged(f: Any):
    found = captured(f)[1]
    assert len(found) == 1
    assert found[0] is X
    w = np.float64(0.5)
    moved = with_arrays(f, [X + 10])
    assert float(moved(w)) == pytest.approx(float(f(w)) + 10)
    assert float(with_arrays(f, found)(w)) == float(f(w))


def test_a_function_that_holds_itself_has_a_key():
    def factorial(n, x=X):
        return x[0] if n == 0 else n * factorial(n - 1)

    assert key(factorial) == key(factorial)
    assert with_arrays(factorial, captured(factorial)[1])(3) == 6.0


def test_what_jax_makes_of_a_function_has_its_key():
    def loss(w):
        return jnp.sum(w)

    assert key(jax.grad(loss)) == key(jax.grad(loss))
