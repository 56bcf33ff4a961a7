"""The general net: its gradient equals `jax.grad`, is accurate where textbook forms are not, and holds the notes' net."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import manual_grad
from autodiff_ref import nabla, verify
from manual_grad import Weights, mlp, reals
from manual_grad._arrays import leaves, map_leaves
from manual_grad.activations import ACTIVATIONS, log_sigmoid_and_derivative, sigmoid_and_derivative
from manual_grad.derivation import Derivation
from manual_grad.domains.labels import Signs
from manual_grad.domains.numbers import Positives
from manual_grad.extensions import depth
from manual_grad.mlp import Layer
from tests.combinations import combinations
from tests.manual_grad.test_sigmoid import SWEEP_32, SWEEP_64, ulps_float32, ulps_float64, under_jax

SHAPES = {  # widths with inputs first: narrow and wide on either side of the rules in `mlp`, shallow and deep
    "logistic regression": (3, 1),
    "the notes' net": (3, 2, 1),
    "deep": (4, 3, 5, 2, 1),
    "wide": (5, 9, 1),
    "many inputs": (70, 2, 1),
}


def draw(seed, sizes, bias, n=6):
    """A net and a batch whose scores stay moderate: nothing saturates, so every weight matters."""
    random = np.random.default_rng(seed)
    layers = tuple(
        Layer(random.standard_normal((units, inputs)) / np.sqrt(inputs), random.standard_normal(units) if bias else None)
        for inputs, units in pairwise(sizes)
    )
    y = np.where(np.arange(n) % 2 == 0, 1.0, -1.0)
    return layers, random.standard_normal((n, sizes[0])), y, random.uniform(0.5, 2.0, n)


def penalised(layers, x, y, hidden, decay, c):
    squash = {"sigmoid": jax.nn.sigmoid, "tanh": jnp.tanh, "relu": jax.nn.relu}[hidden]
    h = x
    for level, (w, b) in enumerate(layers):
        a = h @ w.T + (0 if b is None else b)
        h = squash(a) if level < len(layers) - 1 else a
    penalty = sum(jnp.sum(layer.w**2) for layer in layers)
    return -jnp.sum(c * jnp.logaddexp(0.0, -y * h[:, 0])) - decay / 2 * penalty


jitted = jax.jit(jax.value_and_grad(penalised), static_argnums=3)


def by_jax(layers, x, y, hidden, decay, c):
    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, jitted(layers, x, y, hidden, decay, c))


EPS = np.finfo(np.float64).eps


def assert_close(got, want, ulps):
    """Componentwise, in ulps of the largest entry of each array."""
    assert jax.tree.structure(got) == jax.tree.structure(want)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        unit = np.finfo(np.float64).eps * max(1e-300, float(np.max(np.abs(b))))
        assert a.shape == b.shape
        assert float(np.max(np.abs(np.asarray(a) - b))) <= ulps * unit, f"got {a}, want {b}"


@pytest.mark.parametrize(("sizes", "bias"), combinations(SHAPES.values(), [True, False]))
@pytest.mark.parametrize("hidden", ACTIVATIONS)
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**32), decay=st.sampled_from([0.0, 0.5]), weighted=st.booleans())
def test_the_recursion_equals_jax_grad(sizes, bias, hidden, seed, decay, weighted):
    layers, x, y, c = draw(seed, sizes, bias)
    got = mlp.value_and_grad(layers, x, y, hidden=hidden, weight_decay=decay, example_weights=c if weighted else None)
    want = by_jax(layers, x, y, hidden, decay, c if weighted else np.ones_like(c))
    # each entry sums 6 products through at most 4 layers of at most 70 terms; their errors add up to well under 1000 ulps
    assert_close(got, want, ulps=1000)
    value = mlp.log_likelihood(layers, x, y, hidden=hidden, weight_decay=decay, example_weights=c if weighted else None)
    assert_close((value,), (got[0],), ulps=16)


def test_the_comparison_sees_a_flipped_sign():
    layers, x, y, c = draw(0, (3, 2, 1), True)
    got = mlp.value_and_grad(layers, x, y)
    wrong = got[0], (got[1][0]._replace(b=-got[1][0].b), got[1][1])
    with pytest.raises(AssertionError):
        assert_close(wrong, by_jax(layers, x, y, "sigmoid", 0.0, np.ones_like(c)), ulps=1000)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_two_units_and_no_biases_are_the_notes_net(seed):
    """In ulps of the terms that are added up, of which little may be left."""
    random = np.random.default_rng(seed)
    w = Weights(random.standard_normal(3), random.standard_normal(3), random.standard_normal(2))
    _, x, y, _ = draw(seed, (3, 2, 1), False)
    ll, (first, second) = mlp.value_and_grad(mlp.from_notes(w), x, y)
    got, want = (ll, first.w[0], first.w[1], second.w[0]), manual_grad.value_and_grad(w, x, y)
    terms = [manual_grad.value_and_grad(w, x[i : i + 1], y[i : i + 1]) for i in range(len(y))]
    for a, b, *parts in zip(got, jax.tree.leaves(want), *map(jax.tree.leaves, terms), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=16 * EPS * np.max(sum(np.abs(part) for part in parts)))
    sizes = np.abs(manual_grad.hidden(w, x)) @ np.abs(w.w21)
    assert np.all(np.abs(mlp.score(mlp.from_notes(w), x) - manual_grad.score(w, x)) <= 16 * EPS * sizes)


@pytest.mark.parametrize("a", [-700.0, -40.0, 40.0, 700.0])
@pytest.mark.parametrize("hidden", ["sigmoid", "tanh"])
def test_gradients_keep_their_digits_where_units_saturate(a, hidden):
    a = a if hidden == "sigmoid" else a / 2
    layers = (Layer([[a]]), Layer([[1.0]]))
    _, (first, _) = mlp.value_and_grad(layers, [[1.0]], [1.0], hidden=hidden)
    with mpmath.workdps(700):
        squash = mpmath.tanh if hidden == "tanh" else lambda v: 1 / (1 + mpmath.exp(-v))
        slope = 1 - squash(mpmath.mpf(a)) ** 2 if hidden == "tanh" else squash(a) * (1 - squash(mpmath.mpf(a)))
        want = slope / (1 + mpmath.exp(squash(mpmath.mpf(a))))
        assert abs(float(first.w[0, 0] / want) - 1) < 16 * np.finfo(np.float64).eps


BOTH = {
    "σ": lambda a: sigmoid_and_derivative(a)[0],
    "σ'": lambda a: sigmoid_and_derivative(a)[1],
    "log σ": lambda m: log_sigmoid_and_derivative(m)[0],
    "d log σ": lambda m: log_sigmoid_and_derivative(m)[1],
}


@pytest.mark.parametrize("name", BOTH)
def test_a_function_and_its_derivative_at_once_are_as_accurate_as_one_by_one(name):
    """Within the ulps that the docstrings say, at every exponent. Worst seen: σ 3.2, σ' 4.3; log σ 3.6 compiled, 4.1 so on
    a GPU, and in NumPy's float32 6.8 over all margins from 2⁻⁸ to 64.
    """
    ulps = {"σ": 4, "σ'": 6, "log σ": 4, "d log σ": 4}[name]
    assert ulps_float32(name, BOTH[name](SWEEP_32), SWEEP_32).max() <= (7 if name == "log σ" else ulps)
    compiled = 5 if name == "log σ" and jax.default_backend() != "cpu" else ulps
    assert ulps_float32(name, under_jax(BOTH[name], SWEEP_32, True), SWEEP_32).max() <= compiled
    assert ulps_float64(name, BOTH[name](SWEEP_64[::7]), SWEEP_64[::7]).max() <= ulps
    with np.errstate(over="raise", invalid="raise"):
        assert np.isfinite(BOTH[name](SWEEP_64)).all()


ONE_BY_ONE = {
    **{name: (row.both, lambda a, row=row: (row.value(a), row.slope(a))) for name, row in ACTIVATIONS.items()},
    "log sigmoid": (log_sigmoid_and_derivative, lambda m: (manual_grad.log_sigmoid(m), manual_grad.sigmoid(-m))),
}


def verdict_of(both, one_by_one):
    """The judge's: are they the same functions of real numbers?"""

    def at_once(a):
        return jnp.stack(both(a))

    def alone(a):
        return jnp.stack(one_by_one(a))

    (line,) = verify(Derivation("both at once", equals=alone, domain=(reals("n"),), lines=[at_once])).lines
    return line.verdict


@pytest.mark.parametrize("name", ONE_BY_ONE)
def test_both_at_once_are_proved_the_functions_that_they_are_one_by_one(name):
    assert verdict_of(*ONE_BY_ONE[name]) == "proved"


def test_that_check_notices_an_exponential_that_is_cut_off_where_it_would_overflow():
    """No test in floats saw it in σ'(−709) = 1e-308, and times a feature of 27 it refuted a line of `extensions.softmax`."""

    def cut_off(a):
        e = jnp.exp(jnp.minimum(-a, 709))
        return 1 / (1 + e), e / (1 + e) ** 2

    assert verdict_of(cut_off, ONE_BY_ONE["sigmoid"][1]) != "proved"


def test_that_check_refutes_one_minus_sigma():
    assert ulps_float32("d log σ", 1 - BOTH["σ"](SWEEP_32), SWEEP_32).max() > 1000


@pytest.mark.parametrize(("name", "first", "second"), [("σ", 1 / 4, 0.0), ("σ'", 0.0, -1 / 8), ("log σ", 1 / 2, -1 / 4)])
def test_derivatives_by_jax_of_both_at_once_are_exact_at_zero(name, first, second):
    slope = jax.grad(BOTH[name])
    assert float(slope(0.0)) == first
    assert float(jax.grad(slope)(0.0)) == second


def test_the_residual_keeps_its_digits_where_the_label_is_certain():
    _, (layer,) = mlp.value_and_grad((Layer([[40.0]]),), [[1.0]], [1.0])
    with mpmath.workdps(60):
        assert float(layer.w[0, 0] / (1 / (1 + mpmath.exp(40)))) == pytest.approx(1, abs=1e-15)


def test_a_weight_of_two_is_the_example_twice_and_of_zero_none():
    layers, x, y, _ = draw(1, (3, 2, 1), True)
    got = mlp.value_and_grad(layers, x, y, example_weights=[2, 1, 1, 1, 0, 1])
    rows = [0, 0, 1, 2, 3, 5]
    assert_close(got, mlp.value_and_grad(layers, x[rows], y[rows]), ulps=16)


def test_the_same_lines_run_under_jit():
    layers, x, y, c = draw(2, (4, 3, 2, 1), True)
    want = mlp.value_and_grad(layers, x, y, hidden="tanh", weight_decay=0.25, example_weights=c)
    with jax.enable_x64(True):
        got = jax.jit(
            lambda layers, x, y, c: mlp.value_and_grad(layers, x, y, hidden="tanh", weight_decay=0.25, example_weights=c)
        )(layers, x, y, c)
    assert_close(got, want, ulps=64)


DERIVATIONS = {name: value for name, value in vars(depth).items() if isinstance(value, Derivation)}


def inputs(derivation, seed=0):
    random = np.random.default_rng(seed)
    size = {"n": 4, "d": 5, "k": 3, "m": 2}

    def one(domain):
        values = random.standard_normal([size.get(dim, dim) for dim in domain.dims])
        if isinstance(domain, Signs):
            return jnp.asarray(np.where(values > 0, 1.0, -1.0))
        return jnp.asarray(np.abs(values) if isinstance(domain, Positives) else values)

    return tuple(map_leaves(one, argument) for argument in derivation.domain)


def largest_difference(derivation):
    with jax.enable_x64(True):
        arguments, d = inputs(derivation), nabla(derivation.wrt)

        @jax.jit
        def together(*arguments):
            return d(derivation.of)(*arguments), {line.__name__: line(*arguments, nabla=d) for line in derivation.lines}

        want, got = together(*arguments)
        return {
            label: max(float(jnp.max(jnp.abs(a - b))) for a, b in zip(leaves(value), leaves(want), strict=True))
            for label, value in got.items()
        }


def test_the_derivations_are_all_here():
    assert len(DERIVATIONS) == 8


@pytest.mark.parametrize("name", DERIVATIONS)
def test_every_line_of_the_recursion_equals_jax_grad(name):
    for label, difference in largest_difference(DERIVATIONS[name]).items():
        assert difference < 1e-13, f"{name}: {label} is off by {difference}"


def test_a_wrong_line_is_seen():
    def transposed(layer, h, c, nabla=None):
        return Layer((c.mT @ h), jnp.sum(c, axis=0))

    wrong = depth.SIGMOID_BY_LAYER.with_lines(transposed)
    assert largest_difference(wrong)["transposed"] > 0.01


NET = (Layer([[1.0], [1.0]], [0.0, 0.0]), Layer([[1.0, 1.0]]))
BAD = {
    "not a sequence": (lambda: mlp.score(Layer([[1.0]]), [[1.0]]), TypeError, "sequence"),
    "not layers": (lambda: mlp.score([[[1.0]]], [[1.0]]), TypeError, "Layer"),
    "no layers": (lambda: mlp.score([], [[1.0]]), TypeError, "at least one"),
    "text": (lambda: mlp.score(NET, [["a"]]), TypeError, "real numbers"),
    "one example": (lambda: mlp.score(NET, [1.0]), ValueError, r"\(n, d\)"),
    "no examples": (lambda: mlp.score(NET, np.empty((0, 1))), ValueError, "at least one example"),
    "other inputs": (lambda: mlp.score(NET, [[1.0, 2.0]]), ValueError, "layer 1: w"),
    "layers do not fit": (lambda: mlp.score((NET[0], Layer([[1.0]])), [[1.0]]), ValueError, "layer 2: w"),
    "bias": (lambda: mlp.score((Layer([[1.0]], [0.0, 0.0]),), [[1.0]]), ValueError, "layer 1: b"),
    "a class too many": (lambda: mlp.log_likelihood(NET[:1], [[1.0], [2.0]], [0, 2]), ValueError, "classes 0 to 1"),
    "half a class": (lambda: mlp.log_likelihood(NET[:1], [[1.0]], [0.5]), ValueError, "classes 0 to 1"),
    "NaN in x": (lambda: mlp.score(NET, [[np.nan]]), ValueError, "x must be finite"),
    "inf in w": (lambda: mlp.score((Layer([[np.inf]]),), [[1.0]]), ValueError, "layer 1: w must be finite"),
    "labels 0 and 1": (lambda: mlp.log_likelihood(NET, [[1.0], [2.0]], [0, 1]), ValueError, "−1 or \\+1"),
    "too few labels": (lambda: mlp.log_likelihood(NET, [[1.0], [2.0]], [1]), ValueError, "y has shape"),
    "activation": (lambda: mlp.score(NET, [[1.0]], "relu6"), ValueError, "sigmoid, tanh, relu"),
    "activation is a function": (lambda: mlp.score(NET, [[1.0]], np.tanh), TypeError, "by name"),
    "negative decay": (lambda: mlp.log_likelihood(NET, [[1.0]], [1], weight_decay=-1), ValueError, "weight_decay"),
    "negative weight": (lambda: mlp.log_likelihood(NET, [[1.0]], [1], example_weights=[-1]), ValueError, "at least 0"),
    "weights' shape": (lambda: mlp.log_likelihood(NET, [[1.0]], [1], example_weights=[1, 1]), ValueError, "weights has"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments_are_refused_by_name(name):
    call, error, message = BAD[name]
    with pytest.raises(error, match=message):
        call()
