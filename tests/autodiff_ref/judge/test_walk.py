"""The walker: what ordinary model code makes of a jaxpr, against JAX's own floats."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from autodiff_ref.judge.balls import BALLS, exact, precision
from autodiff_ref.judge.program.walk import NoRuleError, plan
from tests.autodiff_ref.judge.test_balls import evaluate, evaluate_all
from tests.combinations import chosen

X = np.array([0.5, -1.25, 2.0, 0.75])
M = np.array([[2.0, 0.5, -1.0], [0.25, 3.0, 0.5], [1.0, -0.5, 4.0]])
DISTINCT = np.random.default_rng(0).permutation(32).reshape(1, 2, 4, 4) / 8
IMAGE = np.arange(32.0).reshape(1, 2, 4, 4) % 7 / 4


def newton(x):
    return lax.fori_loop(0, 3, lambda _, v: v - (v * v - x) / (2 * v), 1.0 + 0 * x)


def convolve(x):
    kernel = jnp.arange(16.0).reshape(2, 2, 2, 2) / 8
    return lax.conv_general_dilated(x, kernel, (2, 1), "SAME")


def settles(x, reverse):
    """A loop that changes nothing after three turns, and stacks what it carries."""

    def turn(carry, _):
        y, turns = carry
        goes_on = turns < 3
        return (jnp.where(goes_on, jnp.sin(y) + y, y), jnp.where(goes_on, turns + 1, turns)), (y, turns + jnp.stack([y, -y]))

    return lax.scan(turn, (x[0], 0), None, length=7, reverse=reverse)[1]


@jax.custom_jvp
def doubled(x):
    return 2 * x


doubled.defjvps(lambda t, _, x: 2 * t + 0 * x)

MODELS = {
    "product over a last axis": (lambda x: jnp.prod(x, axis=-1), DISTINCT[0, :, :2, 1:] + 0.25),
    "softmax": (jax.nn.softmax, X),
    "logsumexp": (jax.nn.logsumexp, X),
    "log softmax": (jax.nn.log_softmax, X),
    "relu": (jax.nn.relu, X),
    "gelu": (jax.nn.gelu, X),
    "exact gelu": (lambda x: jax.nn.gelu(x, approximate=False), X),
    "silu": (jax.nn.silu, X),
    "softplus": (jax.nn.softplus, X),
    "elu": (jax.nn.elu, X),
    "leaky relu": (jax.nn.leaky_relu, X),
    "layer norm": (lambda x: (x - x.mean()) / jnp.sqrt(jnp.var(x) + 0.125), X),
    "norm": (jnp.linalg.norm, X),
    "x**y": (lambda x: jnp.abs(x) ** (x + 0.25), X),
    "clip": (lambda x: jnp.clip(x, -1, 1) * x, X),
    "max and min": (lambda x: jnp.max(x) * jnp.min(x) * x, X),
    "prod": (jnp.prod, X),
    "cumsum": (jnp.cumsum, X),
    "cumprod": (jnp.cumprod, X),
    "cummax": (lambda x: lax.cummax(x) * x, X),
    "cumlogsumexp": (lax.cumlogsumexp, X),
    "sort": (lambda x: jnp.sort(x) * x, X),
    "median": (jnp.median, X),
    "take": (lambda x: jnp.take(x, jnp.array([3, 0, 0])) ** 2, X),
    "scatter": (lambda x: x.at[jnp.array([1, 1])].add(x[:2] ** 2).at[0].multiply(3.0).at[2].subtract(x[0]), X),
    "dynamic slice": (lambda x: lax.dynamic_slice(x, (jnp.argmax(x),), (2,)) ** 2, X),
    "one hot": (lambda x: jax.nn.one_hot(jnp.array([1, 3]), 4) @ x**2, X),
    "einsum": (lambda m: jnp.einsum("ij,kj->ik", m, m), M),
    "batched dot": (lambda m: jnp.einsum("bi,bi->b", m, m**2), M),
    "fori": (lambda x: newton(jnp.abs(x)), X),
    "scan": (lambda x: lax.scan(lambda c, v: (jnp.tanh(c + v), c * v), 0.5, x), X),
    "scan that settles": (lambda x: (settles(x, False), settles(x, True)), X),
    "cond": (lambda x: lax.cond(x[0] > 0, jnp.sin, jnp.cos, x), X),
    "map": (lambda x: lax.map(lambda v: v**3, x), X),
    "remat": (jax.checkpoint(lambda x: jnp.sin(x) * jnp.exp(x)), X),
    "custom jvp": (lambda x: doubled(x) ** 2, X),
    "vmap": (jax.vmap(lambda v: v * jnp.tanh(v)), X),
    "convolution": (convolve, IMAGE),
    "grouped convolution": (
        lambda x: lax.conv_general_dilated(x, jnp.ones((4, 1, 2, 2)) / 4, (1, 1), "VALID", feature_group_count=2),
        IMAGE,
    ),
    "max pooling": (lambda x: lax.reduce_window(x, -jnp.inf, lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID"), DISTINCT),
    "overlapping, padded pooling": (
        lambda x: lax.reduce_window(x, jnp.inf, lax.min, (1, 1, 3, 3), (1, 1, 2, 1), "SAME"),
        DISTINCT,
    ),
    "average pooling": (lambda x: lax.reduce_window(x, 0.0, lax.add, (1, 1, 2, 2), (1, 1, 2, 2), "SAME") / 4, IMAGE),
    "top k": (lambda x: lax.top_k(x, 2)[0] ** 2 * x[lax.top_k(x, 2)[1]], X),
    "interpolation": (lambda x: jnp.interp(x, jnp.array([-2.0, 0.0, 1.0, 3.0]), jnp.array([1.0, 0.0, 2.0, -1.0])), X),
    "solve": (lambda m: jnp.linalg.solve(m, m.T @ m), M),
    "log determinant": (lambda m: jnp.linalg.slogdet(m)[1], M),
    "inverse": (lambda m: jnp.linalg.inv(jnp.stack([m, m.T + 1])), M),
    "cholesky": (lambda m: jnp.linalg.cholesky(m @ m.T + jnp.eye(3)), M),
    "triangular solve": (lambda m: jax.scipy.linalg.solve_triangular(m, X[:3], trans=1, lower=True), M),
    "copysign": (lambda x: jnp.copysign(x + 3, jnp.sin(5 * x)) * jnp.signbit(x), X),
    "gamma": (jax.scipy.special.gamma, X),
    "nan to num": (lambda x: jnp.nan_to_num(x**2), X),
    "fill value": (lambda x: x.at[jnp.array([1, 9])].get(mode="fill", fill_value=2.5), X),
}


def agrees(f, x):
    with jax.enable_x64(True):
        expected = [np.asarray(leaf) for leaf in jax.tree.leaves(jax.jit(f)(x))]
    values, context = evaluate_all(f, x, bits=128)
    assert not context.unresolved
    for found, wanted in zip(values, expected, strict=True):
        np.testing.assert_allclose(np.vectorize(float, otypes=[float])(found), wanted, rtol=1e-9, atol=1e-12)


LIKE_OTHERS = {
    "log softmax",
    "exact gelu",
    "silu",
    "softplus",
    "elu",
    "leaky relu",
    "norm",
    "cumsum",
    "batched dot",
    "map",
    "vmap",
    "average pooling",
    "inverse",
}
"""made of primitives that the others have, and tried in the profile `explore`"""


@pytest.mark.parametrize("name", chosen(MODELS, lambda name: name not in LIKE_OTHERS))
def test_values_and_derivatives_are_jaxs(name):
    """In one program, since each compilation costs. Of a vector, the Jacobian says all that the gradient does."""
    f, x = MODELS[name]

    def all_of_them(x):
        tangent = jax.jvp(f, (x,), (jnp.ones_like(x),))[1]
        if x.ndim == 1:
            return f(x), tangent, jax.jacobian(f)(x)
        return f(x), tangent, jax.grad(lambda x: sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(f(x))))(x)

    agrees(all_of_them, x)


@pytest.mark.parametrize("name", ["softmax", "silu", "layer norm", "x**y", "scan", "einsum", "prod"])
def test_hessians_are_jaxs(name):
    f, x = MODELS[name]
    agrees(jax.hessian(lambda x: sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(f(x)))), x)


# What would make the judge wrong


def test_the_sign_of_zero_is_a_tie():
    sides = {float(evaluate(lambda x: jnp.copysign(1.0, x), np.array(0.0), ties=ties)[0][()]) for ties in ("left", "right")}
    assert sides == {-1, 1}


def test_applying_a_function_at_indices_is_not_setting_them():
    with pytest.raises(NotImplementedError, match="apply"):
        evaluate(lambda x: x.at[jnp.array([1])].apply(jnp.sin), X)


def test_branches_of_equal_text_are_not_merged():
    def branch(constant):
        return lambda x: lax.cond(x[0] > 0, lambda v: v * constant, lambda v: v, x)

    value, _ = evaluate(lambda x: branch(np.arange(4.0))(x) - branch(np.arange(4.0) + 1)(x), X)
    np.testing.assert_array_equal([float(v) for v in value], -X)


def test_integers_wrap_around_as_in_jax():
    value, _ = evaluate(lambda k: (k + k).astype(jnp.int32) + jnp.int32(2**31 - 1), np.array(1, dtype=np.int32))
    assert int(value[()]) == 1 - 2**31


def test_labels_stay_labels_through_a_scan():
    def count(y):
        return lax.scan(lambda c, v: (c + v, jnp.where(c == 0.0, 1.0, 2.0)), 0.0, y)[1]

    value, context = evaluate(count, np.array([0.0, 1.0, -1.0]), labels=[True])
    assert [float(v) for v in value] == [1, 1, 2]
    assert not context.tied


def test_under_vmap_each_row_leaves_a_loop_when_it_is_done():
    def halvings(x):
        return lax.while_loop(lambda v: v[0] > 1.0, lambda v: (v[0] / 2, v[1] + 1.0), (x, 0.0))[1] * x

    agrees(jax.vmap(halvings), np.array([0.75, 5.0, 20.0]))


@pytest.mark.parametrize(
    "solve", [jnp.linalg.solve, lambda a, b: jax.scipy.linalg.cho_solve((jnp.linalg.cholesky(a), True), b)]
)
def test_a_solution_solves_to_the_last_bit_of_its_balls(solve):
    a, b = M @ M.T, np.arange(6.0).reshape(3, 2)
    x, _ = evaluate(solve, a, b, bits=256)
    with precision(256):
        residual = exact(a) @ x - exact(b)
    assert all(entry.contains(0) and entry.rad() < 1e-60 for entry in residual.ravel())


def test_a_loop_whose_end_hangs_on_a_tie_is_unresolved():
    value, context = evaluate(lambda x: lax.while_loop(lambda v: v != 0.0, lambda v: v - 0.5, x), np.array(1.0), ties="left")
    assert context.unresolved
    assert value is not None


def test_a_primitive_without_a_rule_is_named_with_the_way_to_add_one(monkeypatch):
    monkeypatch.delitem(BALLS.rules, "bessel_i0e")
    with jax.enable_x64(True):
        closed = jax.make_jaxpr(jax.scipy.special.i0e)(X)
    with pytest.raises(NoRuleError, match=r"bessel_i0e.*register"):
        plan(closed, BALLS)


def test_what_no_output_needs_needs_no_rule():
    def wasteful(x):
        lax.linalg.schur(jnp.outer(x, x))
        return x + 1

    agrees(wasteful, X)


def test_complex_numbers_are_pairs_of_reals_and_complex_inputs_are_refused():
    agrees(lambda x: jnp.real(jnp.exp(1j * x)), X)
    with pytest.raises(NotImplementedError, match="complex"):
        evaluate(lambda z: jnp.real(z), X + 1j)


DRAWS = {
    "a normal number": lambda key, x: x * jax.random.normal(key, x.shape),
    "dropout": lambda key, x: jnp.where(jax.random.bernoulli(key, 0.5, x.shape), 2 * x, 0),
    "split keys": lambda key, x: sum(x * jax.random.uniform(each, x.shape) for each in jax.random.split(key, 3)),
    "a key folded in": lambda key, x: x + jax.random.gumbel(jax.random.fold_in(key, 7)),
    "a place": lambda key, x: x[jax.random.randint(key, (), 0, x.size)],
    "a permutation": lambda key, x: jax.random.permutation(key, x) * jnp.arange(x.size),
    "in single precision": lambda key, x: x * jax.random.uniform(key, x.shape, jnp.float32),
    "by vmap": lambda key, x: jax.vmap(lambda each, y: y * jax.random.normal(each))(jax.random.split(key, x.size), x),
    "under jit": lambda key, x: jax.jit(lambda y: y * jax.random.laplace(key))(x),
    "in a scan": lambda key, x: lax.scan(
        lambda h, each: (jnp.tanh(h + jax.random.normal(each)), h), x, jax.random.split(key, 3)
    )[1],
    "in a scan backwards": lambda key, x: lax.scan(
        lambda h, each: (h * jax.random.normal(each), h), x, jax.random.split(key, 3), reverse=True
    )[1],
    "in a loop that splits": lambda key, x: lax.fori_loop(
        0, 3, lambda _, c: (c[0] * jax.random.uniform(c[1]), jax.random.split(c[1])[0]), (x, key)
    )[0],
    "in a scan of no input": lambda key, x: (
        x + lax.scan(lambda h, each: (jnp.exp(h) + jax.random.normal(each), None), 0.5, jax.random.split(key, 3))[0]
    ),
    "in a loop that folds in": lambda key, x: lax.fori_loop(
        0, 3, lambda i, h: h + jax.random.normal(jax.random.fold_in(key, i)), x
    ),
}
KEYS = {"a key": jax.random.key, "a raw key": jax.random.PRNGKey}


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("name", DRAWS)
def test_what_random_keys_that_are_known_give_is_known(name, kind):
    key = KEYS[kind](3)
    agrees(lambda x: DRAWS[name](key, x), X)
    agrees(lambda x: DRAWS[name](KEYS[kind](3), x), X)


def test_random_keys_that_hang_on_an_input_are_refused():
    with pytest.raises(NotImplementedError, match="random keys"):
        evaluate(lambda x, n: x * jax.random.normal(jax.random.key(n), x.shape), X, np.int64(3))


def test_a_rule_that_fails_is_named(monkeypatch):
    def fails(_):
        def step(*_):
            raise ZeroDivisionError("planted")

        return step

    monkeypatch.setitem(BALLS.rules, "exp", fails)
    with pytest.raises(ZeroDivisionError, match="planted") as raised:
        evaluate(jnp.exp, X)
    assert raised.value.__notes__ == ["in the rule for the primitive `exp`"]
