"""Gradients in plain NumPy, of losses in plain NumPy: the right ones pass, each mistake fails and is named."""

import math
import re
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import linalg, signal, special

from autodiff_ref import UndecidedError, assert_gradients_agree, check_intermediates
from autodiff_ref.judge.assertion import agreement
from autodiff_ref.judge.assertion import undecided as undecided_module
from autodiff_ref.judge.assertion.agreement import pair_of
from autodiff_ref.judge.assertion.exactly import exact_at
from autodiff_ref.judge.assertion.sides import Call
from autodiff_ref.judge.numpy_code import Levels, through_numpy
from tests.combinations import exploring, few_or_many
from tests.numpy_pairs import PAIRS, V, W, X, Y

MISTAKES = {
    "sign": lambda g: -g,
    "a mean for a sum": lambda g: g / 4,
    "one entry": lambda g: g * (1 + 1e-6 * (np.arange(g.size).reshape(g.shape) == g.size // 2)),
    "another place": lambda g: g[::-1],
}


@pytest.mark.parametrize("name", PAIRS)
def test_right_gradients_pass_and_wrong_ones_fail(name):
    pair = PAIRS[name]
    pair.assert_followed_and_right()
    here = pair.gradient(*[a.copy() for a in pair.args])
    k = list(PAIRS).index(name)
    mistakes = list(MISTAKES.values())
    for mistake in mistakes if exploring() else (mistakes[k % 4], mistakes[(k + 1) % 4]):
        if name == "argmax of windows" and mistake is MISTAKES["one entry"]:
            continue  # that entry is 0
        if np.array_equal(mistake(here), here):
            continue
        with pytest.raises(AssertionError, match=r"is not ∇.*loss"):
            assert_gradients_agree(lambda *args, m=mistake: m(pair.gradient(*args)), pair.loss, *pair.args)


@pytest.mark.parametrize("name", ["if and continue", "scalars", "argmax of windows", "a masked product in place"])
def test_at_other_inputs_other_branches_are_taken(name):
    pair, rng = PAIRS[name], np.random.default_rng(1)
    for k in range(few_or_many(2, 4)):
        args = rng.standard_normal(pair.args[0].shape), *pair.args[1:]
        assert_gradients_agree(pair.gradient, pair.loss, *args)
        with pytest.raises(AssertionError):
            assert_gradients_agree(lambda *a, k=k: pair.gradient(*a) * (1 + 1e-5 * (k + 1)), pair.loss, *args)


def test_where_the_same_branches_are_taken_nothing_is_traced_again(monkeypatch):
    pair, made = PAIRS["if and continue"], []
    assert_gradients_agree(pair.gradient, pair.loss, *pair.args)
    trace = agreement.trace_reference
    monkeypatch.setattr(agreement, "trace_reference", lambda *args: (made.append(1), trace(*args))[1])
    for k in range(3):
        assert_gradients_agree(pair.gradient, pair.loss, pair.args[0] * (1 + 1e-6 * k), *pair.args[1:])
    assert not made


def absolute(w):
    total = 0.0
    for v in w:
        total += v if v > 0 else -v
    return total


def test_a_branch_taken_where_reals_tie_is_a_kink():
    w = np.array([1.0, 0.0, -2.0])
    assert_gradients_agree(np.sign, absolute, w + 0.5)
    with pytest.raises(UndecidedError, match="it lies on a kink"):
        assert_gradients_agree(lambda w: np.where(w >= 0, 1.0, -1.0), absolute, w)
    with pytest.raises(AssertionError):
        assert_gradients_agree(lambda w: np.where(w >= 0, 1.0, 1.0), absolute, w + 0.5)


@pytest.mark.parametrize("w", [0.75, 1.0, 2.5])
def test_a_guard_whose_rounding_nothing_bounds_hides_no_mistake(w):
    """JAX's Γ compares numbers on the way, some of which are equal; what the guard compares is far apart."""

    def loss(w):
        return 1 / max(1e-15, special.gamma(w) / special.gamma(w / 2))

    def gradient(w):
        return loss(w) * (special.digamma(w / 2) / 2 - special.digamma(w))

    assert_gradients_agree(gradient, loss, np.float64(w))
    with pytest.raises(AssertionError, match="certified"):
        assert_gradients_agree(lambda w: gradient(w) * (1 + 1e-9), loss, np.float64(w))


def test_a_sum_of_no_entries_depends_on_nothing_and_is_no_kink():
    def loss(w, x):
        chosen = x[x[:, 0] > 10] @ w
        return chosen.sum() if chosen.sum() > 0 else (w**2).sum()

    x = np.arange(6.0).reshape(3, 2)
    for right in (lambda w, x: 2 * w, lambda w, x: 2 * w + x[x[:, 0] > 10].T @ (x[x[:, 0] > 10] @ w)):
        assert_gradients_agree(right, loss, np.array([0.5, -1.0]), x)
    with pytest.raises(AssertionError, match="every component is 2 times"):
        assert_gradients_agree(lambda w, x: 4 * w + x[x[:, 0] > 10].sum(axis=0), loss, np.array([0.5, -1.0]), x)


class Network:
    """Two layers with caches, as courses write them."""

    def __init__(self, hidden, classes):
        rng = np.random.default_rng(0)
        self.params = {
            "W1": rng.standard_normal((3, hidden)),
            "b1": np.zeros(hidden),
            "W2": rng.standard_normal((hidden, classes)),
            "b2": np.zeros(classes),
        }

    def loss(self, params, x, y, reg=0.1):
        a = x.dot(params["W1"]) + params["b1"]
        h = np.maximum(a, 0)
        scores = h.dot(params["W2"]) + params["b2"]
        scores -= scores.max(axis=1, keepdims=True)
        p = np.exp(scores)
        p /= p.sum(axis=1, keepdims=True)
        self.cache = a, h, p
        loss = -np.log(p[np.arange(len(y)), y]).mean()
        loss += 0.5 * reg * (np.sum(params["W1"] ** 2) + np.sum(params["W2"] ** 2))
        d = p.copy()
        d[np.arange(len(y)), y] -= 1
        d /= len(y)
        grads = {"W2": h.T @ d + reg * params["W2"], "b2": d.sum(axis=0)}
        dh = d.dot(params["W2"].T)
        dh[a <= 0] = 0
        grads["W1"] = x.T.dot(dh) + reg * params["W1"]
        grads["b1"] = np.sum(dh, axis=0)
        return loss, grads


def test_a_class_that_returns_its_loss_and_gradients():
    net = Network(5, 3)
    params = {name: value + 0.1 for name, value in net.params.items()}
    assert_gradients_agree(net.loss, net.loss, params, X, Y)
    assert isinstance(net.cache[0], np.ndarray)
    for name, mistake in (("W1", 2.0), ("b1", -1.0), ("b2", 0.25), ("W2", 1.001)):

        def wrong(*args, name=name, mistake=mistake):
            loss, grads = net.loss(*args)
            return loss, {**grads, name: mistake * grads[name]}

        with pytest.raises(AssertionError, match=rf"in params\['{name}'\]"):
            assert_gradients_agree(wrong, net.loss, params, X, Y)


def test_arrays_in_closures_are_followed_like_arguments():
    def made(x, y, factor=1.0):
        def loss(w):
            z = x @ w
            z -= np.max(z, axis=1, keepdims=True)
            return -np.sum(z[range(len(y)), y] - np.log(np.exp(z).sum(axis=1)))

        def gradient(w):
            z = np.exp(x @ w)
            z /= z.sum(axis=1, keepdims=True)
            z[range(len(y)), y] -= 1
            return factor * x.T @ z

        return gradient, loss

    for k in range(3):
        assert_gradients_agree(*made(X + k, Y), W)
        with pytest.raises(AssertionError, match=r"1\.25 times"):
            assert_gradients_agree(*made(X + k, Y, 1.25), W)


VIEWS = {
    "the same": (lambda t: t, lambda t: t),
    "transposed": (lambda t: t, lambda t: t.T),
    "backwards": (lambda t: t, lambda t: t[::-1, ::-1]),
    "two views": (lambda t: t[:2], lambda t: t[:2].T),
    "flat": (lambda t: t, lambda t: t.reshape(-1)),
    "of memory of another order": (lambda t: t.T.copy().T, lambda t: t),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("view", VIEWS)
def test_what_is_written_into_one_array_of_a_closure_is_read_in_another_that_shares_its_memory(view, dtype):
    weights = np.array([[1.0, -2.0, 0.5], [3.0, 0.25, -1.0], [0.75, 2.0, 4.0]], dtype)
    first, second = VIEWS[view]

    def made():
        memory = np.full((3, 3), 0.5, dtype)
        written, seen = first(memory), second(memory)

        def loss(x):
            written[...] = (weights * x)[: len(written)]
            return np.sum(np.sin(seen) * weights.ravel()[: seen.size].reshape(seen.shape))

        return loss

    def gradient(x):
        written, seen = first(at := np.arange(9).reshape(3, 3)), second(at)
        if not np.shares_memory(written, seen):
            return np.zeros_like(x)
        factor, value = np.zeros(9, dtype), np.full(9, 0.5, dtype)
        factor[written.ravel()] = weights[: len(written)].ravel()
        value[written.ravel()] = (weights * x)[: len(written)].ravel()
        slope = np.zeros(9, dtype)
        slope[seen.ravel()] = np.cos(value[seen.ravel()]) * weights.ravel()[: seen.size] * factor[seen.ravel()]
        return np.stack([np.sum(slope[k::3]) for k in range(3)])

    x = np.array([0.5, -0.25, 1.5], dtype)
    assert_gradients_agree(gradient, made(), x)
    with pytest.raises(AssertionError):
        assert_gradients_agree(lambda x: gradient(x) * np.array([1, 1, 1 + 1e-4], dtype) + dtype(1e-4), made(), x)


def in_a_try(a, b):
    try:
        return bool(np.all(np.asarray(a) == b))
    except Exception:
        return False


@pytest.mark.parametrize("equal", [np.array_equal, np.array_equiv, in_a_try], ids=lambda f: f.__name__)
def test_code_that_catches_what_a_tracer_raises_takes_the_branch_that_it_takes(equal):
    def loss(w, mode):
        return np.sum(w**2) if equal(mode, np.array([1.0, 0.0])) else np.sum(w**3)

    def gradient(w, mode):
        return 2 * w if mode[0] else 3 * w**2

    w = np.array([1.5, 2.5])
    for mode in ([0.0, 1.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0]):
        assert_gradients_agree(gradient, loss, w, np.array(mode))
        with pytest.raises(AssertionError):
            assert_gradients_agree(lambda w, mode: gradient(w, mode[::-1]), loss, w, np.array(mode))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_precisions(dtype):
    pair = PAIRS["range as an index"]
    args = pair.args[0].astype(dtype), pair.args[1].astype(dtype), pair.args[2]
    assert_gradients_agree(pair.gradient, pair.loss, *args)
    with pytest.raises(AssertionError):
        assert_gradients_agree(lambda *a: pair.gradient(*a) * dtype(1.0001), pair.loss, *args)


SPD = X.T @ X + np.eye(X.shape[1])


def enumerated(x):
    total = np.zeros(())
    for (i, j), value in np.ndenumerate(x):
        total += value * value * (i + 2 * j)
    return total


FOLLOWED = {
    "np.ndenumerate": enumerated,
    "np.fromiter": lambda a: np.fromiter((row @ row for row in a), dtype=float).prod(),
    "np.compress, np.extract": lambda a: np.compress([True, False, True], a, axis=0).prod() + np.extract(a > 0.5, a).prod(),
    "np.choose": lambda a: np.choose(np.array([0, 2, 1]), a).prod(),
    "round, in a branch": lambda a: (a[0, 0] ** 2 if round(a[0, 0]) > 100 else a[1, 1] ** 3) + 0 * round(a[0, 1], 1),
    "scipy.special": lambda a: np.sum(special.expm1(a) + special.log_expit(a) + special.cosm1(a) + special.log1p(a**2)),
    "scipy.linalg.solve": lambda a: linalg.solve(a, a[0]).sum() + linalg.inv(a).sum() + linalg.det(a),
    "scipy.linalg.solve_triangular": lambda a: linalg.solve_triangular(np.tril(a), np.arange(3.0), lower=True).sum(),
    "scipy.linalg.cho_solve": lambda a: linalg.cho_solve(linalg.cho_factor(a), np.arange(3.0)).sum(),
    "scipy.linalg.cholesky": lambda a: linalg.cholesky(a, lower=True)[2, 1],
}


@pytest.mark.parametrize("name", FOLLOWED)
def test_functions_of_numpy_and_scipy_are_followed(name):
    loss, symmetric = FOLLOWED[name], "cho" in name
    pair = pair_of(lambda a: a, loss, None, Call.of((SPD,)))
    assert pair.reference.plan is not None
    assert pair.follows(loss(SPD.copy()))
    truth = exact_at(pair.reference, pair.of_arrays)
    assert truth is not None
    gradient = truth.high.reshape(SPD.shape)
    for i, j in np.ndindex(*SPD.shape):
        step = np.zeros_like(SPD)
        step[i, j] = 1e-6
        step = step + step.T if symmetric else step  # SciPy reads one triangle
        difference = (loss(SPD + step) - loss(SPD - step)) / 2e-6
        assert np.sum(gradient * step) / 1e-6 == pytest.approx(difference, rel=1e-5, abs=1e-5 * np.abs(gradient).max()), (
            i,
            j,
        )


def test_what_jax_says_of_its_tracers_is_not_said_again():
    def by_numbers(w):
        return np.histogram(w, bins=2)[1].sum() + np.add.reduceat(w, [0, 1]).sum()

    with pytest.raises(TypeError, match=r"test_assertion_numpy\.py:\d+") as failed:
        assert_gradients_agree(lambda w: w, by_numbers, np.arange(3.0))
    assert "Trac" not in str(failed.value).replace("traced", "")


WEIGHTS = np.array([[1.0, 0.0, 0.0], [-0.5, 2.0, 0.0], [0.25, 1.5, -1.0]])
SYMMETRIC = np.array([[4.0, 1.0, -0.5], [1.0, 3.0, 0.25], [-0.5, 0.25, 5.0]])


def of_factor(a):
    return np.sum(WEIGHTS * np.linalg.cholesky(a))


def by_halves(a):
    factor = np.linalg.cholesky(a)
    product = np.tril(factor.T @ WEIGHTS)
    product[np.diag_indices(3)] *= 0.5
    inverse = np.linalg.inv(factor)
    found = inverse.T @ product @ inverse
    return (found + found.T) / 2


def in_one_triangle(a):
    return 2 * np.tril(by_halves(a)) - np.diag(np.diag(by_halves(a)))


def by_eigenvectors(a):
    vectors = np.linalg.eigh(a)[1]
    return vectors @ np.diag([1.0, 2.0, 3.0]) @ vectors.T


def test_a_gradient_by_a_symmetric_matrix_may_stand_in_one_triangle_or_in_both():
    spectrum = lambda a: np.sum(np.linalg.eigvalsh(a) * np.array([1.0, 2.0, 3.0]))  # noqa: E731
    for right, of in (
        (by_halves, of_factor),
        (in_one_triangle, of_factor),
        (by_eigenvectors, spectrum),
        (lambda a: 2 * np.tril(by_eigenvectors(a)) - np.diag(np.diag(by_eigenvectors(a))), spectrum),
    ):
        assert_gradients_agree(right, of, SYMMETRIC)
        for wrong in (lambda a, right=right: right(a) * (1 + 1e-5), lambda a: np.tril(by_halves(a))):
            with pytest.raises(AssertionError):
                assert_gradients_agree(wrong, of, SYMMETRIC)
    bilinear = lambda a: a[0] @ a[1]  # noqa: E731 (it reads the whole matrix: its gradient is not by halves)
    whole = lambda a: np.stack([a[1], a[0], 0 * a[2]])  # noqa: E731
    assert_gradients_agree(whole, bilinear, SYMMETRIC)
    with pytest.raises(AssertionError):
        assert_gradients_agree(lambda a: (whole(a) + whole(a).T) / 2, bilinear, SYMMETRIC)
    assert_gradients_agree(lambda a, b: in_one_triangle(b), lambda a, b: a * of_factor(b) / a, 2.0, SYMMETRIC, wrt="b")


def test_of_a_product_a_symmetric_factor_has_a_gradient_by_all_its_entries():
    """Cholesky's factor is of A B Aᵀ: that A is symmetric here lets no transposed gradient pass."""
    of = lambda a: np.sum(WEIGHTS * np.linalg.cholesky(a @ np.diag([1.0, 2.0, 3.0]) @ a.T + np.eye(3)))  # noqa: E731

    def right(a):
        return 2 * by_halves(a @ np.diag([1.0, 2.0, 3.0]) @ a.T + np.eye(3)) @ a @ np.diag([1.0, 2.0, 3.0])

    assert_gradients_agree(right, of, SYMMETRIC)
    with pytest.raises(AssertionError):
        assert_gradients_agree(lambda a: right(a).T, of, SYMMETRIC)


FLATTENED = {
    "np.ravel": np.ravel,
    "np.reshape": lambda a, order: np.reshape(a, (6,), order=order),
    "ravel": lambda a, order: a.ravel(order),
    "flatten": lambda a, order: a.flatten(order=order),
}


@pytest.mark.parametrize("order", "CFAK")
@pytest.mark.parametrize("name", FLATTENED)
def test_entries_are_read_in_the_order_that_is_asked_for(name, order):
    if name == "np.reshape" and order == "K":
        return  # NumPy has no such order there
    flattened, matrix, weights = FLATTENED[name], np.arange(6.0).reshape(2, 3) - 0.7, np.arange(1.0, 7.0)
    for layout in (lambda a: a, np.transpose):
        read = flattened(layout(np.arange(6).reshape(matrix.shape)), order)
        places = np.empty(6, int)
        places[read] = np.arange(6)

        def loss(w, layout=layout):
            return np.sum(flattened(layout(np.asarray(w)), order) ** 2 * weights)

        assert_gradients_agree(lambda w, at=places: 2 * w * weights[at].reshape(2, 3), loss, matrix)
        with pytest.raises(AssertionError, match="is not ∇loss"):
            assert_gradients_agree(lambda w, at=places: 2 * w * weights[at[::-1]].reshape(2, 3), loss, matrix)


def test_what_is_written_into_a_reordered_view_is_written_to_its_array():
    def loss(w):
        kept = np.array(w)
        kept.reshape(2, 3, order="F")[0] *= 3
        return np.sum(kept**2)

    factors = np.array([9.0, 1.0, 9.0, 1.0, 9.0, 1.0])
    assert_gradients_agree(lambda w: 2 * w * factors, loss, np.arange(6.0) - 1.3)
    with pytest.raises(AssertionError, match="is not ∇loss"):
        assert_gradients_agree(lambda w: 2 * w * np.sort(factors), loss, np.arange(6.0) - 1.3)


@pytest.mark.parametrize("join", [np.concatenate, np.hstack])
def test_lists_of_numbers_are_joined_with_arrays(join):
    def loss(w):
        return np.sum(join(([-1.0], w[1:], [w[0], 2.0])) ** 2)

    w = np.array([0.5, -1.5, 2.0])
    assert_gradients_agree(lambda w: 2 * w, loss, w)
    with pytest.raises(AssertionError, match="is not ∇loss"):
        assert_gradients_agree(lambda w: 2 * w * (1 + 1e-5 * (w == 0.5)), loss, w)


FEATURES = np.random.default_rng(8).standard_normal((4, 3))


def squared_distances(w):
    """Of all pairs, as ‖a‖² + ‖b‖² − 2 a·b, which is 0 on the diagonal only up to rounding."""
    x = FEATURES @ w
    squares = (x**2).sum(axis=1)
    return x, np.maximum(squares[:, None] + squares - 2 * x @ x.T, 0)


def kernel_of_embedding(w):
    return np.exp(-squared_distances(w)[1]).sum()


def kernel_of_embedding_gradient(w):
    x, distances = squared_distances(w)
    k = np.exp(-distances)
    return FEATURES.T @ (4 * (k @ x - k.sum(axis=1)[:, None] * x))


def test_what_is_0_for_one_reading_of_the_constants_is_decided_for_that_one():
    w = np.random.default_rng(9).standard_normal((3, 2))
    assert_gradients_agree(kernel_of_embedding_gradient, kernel_of_embedding, w)
    for wrong in (lambda w: kernel_of_embedding_gradient(w) * (1 + 1e-9), lambda w: -kernel_of_embedding_gradient(w)):
        with pytest.raises(AssertionError, match="is not ∇kernel_of_embedding"):
            assert_gradients_agree(wrong, kernel_of_embedding, w)


@pytest.mark.parametrize("p", [0.5, 0.25])
def test_a_gradient_that_is_0_where_the_gradient_of_the_loss_is_rounding_of_a_constant_is_right(p):
    """cos(πp) at ½ is the rounding of π, sin(π(p − ½)) is 0, and tan has no value at ½ for all of π's readings."""

    def slope(p):
        cotangent = -1 / np.tan(np.pi * p)
        return np.sum(np.pi * (1 + cotangent**2))

    def curvature(p):
        angle = np.pi * (p - 0.5)
        return 2 * np.pi**2 * np.sin(angle) / np.cos(angle) ** 3

    assert_gradients_agree(curvature, slope, np.array([p, 0.3]))
    with pytest.raises(AssertionError):
        assert_gradients_agree(lambda p: curvature(p) + 1e-12, slope, np.array([p, 0.3]))


def test_an_array_that_is_made_read_only_is_followed_and_not_written_into():
    def loss(w, write=False):
        copied = np.array(w, dtype=float)
        copied.setflags(write=False)
        if write:
            copied[0] = 1.0
        return np.sum(copied**3)

    assert_gradients_agree(lambda w: 3 * w**2, loss, V)
    with pytest.raises(TypeError, match="read-only"):
        assert_gradients_agree(lambda w: 3 * w**2, loss, V, write=True)


def test_the_iterator_over_all_entries_of_an_array_is_taken_for_an_array():
    entries = X[0].flat
    assert_gradients_agree(lambda w: np.array(entries), lambda w: np.dot(entries, w), V)


@pytest.mark.parametrize("root", [np.emath.sqrt, lambda x: np.sqrt(x + 0j)])
@pytest.mark.parametrize("part", [np.real, np.imag])
@given(t=st.floats(-4, 4).filter(lambda t: abs(t) > 1e-3))
@settings(deadline=None, max_examples=few_or_many(10, 200))
def test_roots_of_negative_numbers_are_imaginary(root, part, t):
    """As in a damped oscillation."""

    def loss(t):
        return np.sum(part(np.exp(root(t / 3))))

    def gradient(t):
        return part(np.exp(root(t / 3)) / (6 * root(t / 3)))

    assert_gradients_agree(gradient, loss, np.array([t, 2.0]))
    if gradient(np.array([t]))[0] != 0:
        with pytest.raises(AssertionError):
            assert_gradients_agree(lambda t: 1.000001 * gradient(t), loss, np.array([t]))


HOLDERS = {
    "an attribute": (SimpleNamespace(held=X), lambda h: h.held),
    "an attribute of an attribute": (SimpleNamespace(data=SimpleNamespace(held=X)), lambda h: h.data.held),
    "a dict": ({"held": X}, lambda h: h["held"]),
    "a list of a dict": ({"all": [Y, X]}, lambda h: h["all"][1]),
    "a tuple": (SimpleNamespace(pair=(Y, X)), lambda h: h.pair[1]),
}


@pytest.mark.parametrize("name", HOLDERS)
def test_methods_of_arrays_that_objects_hold_are_followed(name):
    """`self.x.dot(w)`: compiled code, which asks what it is handed for its numbers."""
    holder, read = HOLDERS[name]

    def loss(w):
        z = read(holder).dot(w)
        z -= read(holder).sum(axis=1)
        return np.sum(z**2)

    def gradient(w):
        start = -read(holder).sum(axis=1)
        start += read(holder).dot(w)
        return 2 * read(holder).T.dot(start)

    assert_gradients_agree(gradient, loss, V)
    check_intermediates(loss, {"dw": gradient(V)}, V)
    assert read(holder) is X
    assert pair_of(gradient, loss, None, Call.of((V,))).candidate is not None
    with pytest.raises(AssertionError, match="certified"):
        assert_gradients_agree(lambda w: gradient(w) * (1 + 1e-12), loss, V)
    with pytest.raises(AssertionError, match="dw is not"):
        check_intermediates(loss, {"dw": gradient(V) * (1 + 1e-12)}, V)


def test_an_array_that_an_object_holds_may_not_be_written_into():
    holder = SimpleNamespace(total=np.zeros(3))

    def loss(w):
        holder.total += w
        return np.sum(holder.total**2)

    with pytest.raises((TypeError, UndecidedError)):
        assert_gradients_agree(lambda w: 2 * w, loss, V)


def test_the_function_of_another_library_that_stops_the_trace_is_named():
    def loss(w, x):
        return np.sum(signal.fftconvolve(w, x))

    x = np.arange(6.0)
    with pytest.raises(TypeError, match=r"`loss` cannot be traced: scipy\.signal\._signaltools\.fftconvolve asks for the"):
        assert_gradients_agree(lambda w, x: w, loss, x + 0.5, x)


def nearly_singular(seed):
    """A matrix whose last row is its first up to one part in 10⁹ to 10¹⁶."""
    random = np.random.default_rng(seed)
    n = random.integers(2, 6)
    a = random.standard_normal((n, n))
    a[-1] = a[0] + 10.0 ** random.integers(-16, -8) * a[-1]
    return a


def times_log_determinant(t, a):
    return t * np.linalg.slogdet(a)[1]


def log_determinant(t, a):
    return np.linalg.slogdet(a)[1]


def test_a_right_gradient_is_not_called_wrong_where_a_matrix_is_singular_but_for_rounding():
    """Nothing bounds what rounding does to it there, and that is said of the two equal functions."""
    why = set()
    for seed in range(few_or_many(12, 400)):
        try:
            assert_gradients_agree(log_determinant, times_log_determinant, 0.75, nearly_singular(seed), wrt="t")
        except UndecidedError as error:
            why.add("the two are equal there, and nothing bounds the rounding errors" in str(error))
    assert why == {True}
    with pytest.raises(AssertionError, match="is not ∇times_log_determinant"):
        assert_gradients_agree(
            lambda t, a: log_determinant(t, a) * (1 + 1e-9), times_log_determinant, 0.75, nearly_singular(0), wrt="t"
        )


NUMBERS_BESIDE_ARRAYS = {
    "a product of two numbers": lambda w, c: 2 * c * w,
    "a negative one": lambda w, c: -c * w,
    "abs": lambda w, c: abs(c - 1) * w,
    "np.abs is NumPy's": lambda w, c: np.abs(c - 1) * w,
    "math": lambda w, c: math.sqrt(c) * w,
    "math.log to a base": lambda w, c: math.log(c + 2, 2) * w,
    "np.sqrt is NumPy's": lambda w, c: np.sqrt(c) * w,
    "float": lambda w, c: float(np.sqrt(c)) * w,
    "np.float64 is NumPy's": lambda w, c: np.asarray(c) * w,
    "a quotient": lambda w, c: w / (1 + c / 3),
    "a power": lambda w, c: (w * w) ** c,
    "where": lambda w, c: np.where(w > 0, w, c * w[0]),
    "a bound": lambda w, c: w * np.maximum(w, c),
    "clip": lambda w, c: w * np.clip(w, -c, c),
    "a sum of floats": lambda w, c: float(w.sum()) * c * w,
    "an array of float64 is wider": lambda w, c: c * w + np.ones(len(w)),
}


@pytest.mark.parametrize("number", [0.1, 3, np.float64(0.1), np.float32(0.1)], ids=repr)
@pytest.mark.parametrize("name", NUMBERS_BESIDE_ARRAYS)
def test_a_number_of_pythons_takes_on_the_dtype_of_the_array_beside_it(name, number):
    """As NumPy has it (NEP 50): 2 * 0.1 * w is float32 where w is, and float64 where the number is an np.float64"""
    f, w = NUMBERS_BESIDE_ARRAYS[name], np.array([0.5, -1.25, 3.0], np.float32)
    numbers = {"w": w, "c": number}
    levels = Levels((), numbers, (), {"w": False, "c": False})
    function, _ = through_numpy(f, [], levels, lambda _: f)
    with jax.enable_x64(True):
        made = jax.make_jaxpr(function)(**numbers)
    assert made.out_avals[0].dtype == f(w, number).dtype


@pytest.mark.parametrize("number", [0.1, 3])
def test_a_setting_that_is_a_number_of_pythons_rounds_with_the_array_it_is_multiplied_with(number):
    """reg * W is rounded to float32 where W is float32, whatever else is added in float64"""

    def loss(w, reg):
        return np.maximum(w, 0).sum() + reg * (w * w).sum()

    def gradient(w, reg):
        mask = np.zeros(w.shape)
        mask[w > 0] = 1
        return mask + 2 * reg * w

    w = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
    assert_gradients_agree(gradient, loss, w, number)
    with pytest.raises(AssertionError):
        assert_gradients_agree(lambda w, reg: gradient(w, reg) * (1 + 1e-7), loss, w, number)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_nan_where_the_loss_itself_has_no_value_is_no_mistake():
    """The mean over no examples: JAX's gradient of it is 0."""

    def loss(w, x):
        return np.mean((x @ w) ** 2)

    def gradient(w, x):
        return 2 * x.T @ (x @ w) / len(x)

    with pytest.raises(UndecidedError, match="Choose an input at which the loss has a derivative"):
        assert_gradients_agree(gradient, loss, np.ones(2), np.ones((0, 2)))
    with pytest.raises(AssertionError, match="returns NaN where the gradient is finite"):
        assert_gradients_agree(lambda w, x: gradient(w, x) * np.nan, loss, np.ones(2), np.ones((1, 2)))


JOINED = {
    "concatenate": lambda a, b: np.concatenate([[-np.inf, a[0]], [a[1] * b[0], b[1]], [np.inf]])[1:4],
    "hstack": lambda a, b: np.hstack([[1.0], [a[0], a[1] * b[0]], [b[1]]])[1:],
    "vstack": lambda a, b: np.vstack([[1.0, a[0]], [a[1] * b[0], b[1]]]).ravel()[1:],
    "stack": lambda a, b: np.stack([[1.0, a[0]], [a[1] * b[0], b[1]]], axis=0).ravel()[1:],
    "column_stack": lambda a, b: np.column_stack([[1.0, a[1] * b[0]], [a[0], b[1]]]).ravel()[1:],
    "dstack": lambda a, b: np.dstack([[1.0, a[1] * b[0]], [a[0], b[1]]]).ravel()[1:],
    "tuples": lambda a, b: np.concatenate(((a[0],), (a[1] * b[0], b[1]))),
    "append": lambda a, b: np.append([a[0]], [a[1] * b[0], b[1]]),
}


@pytest.mark.parametrize("join", JOINED)
def test_lists_of_computed_numbers_are_joined(join):
    """As the ends of intervals, [[-∞], [a, b], [∞]]: NumPy asks no number in them who computes."""
    a, b, weights = np.array([0.5, -1.0]), np.array([2.0, 0.25]), np.array([1.0, -2.0, 3.0])

    def loss(a, b):
        return np.sum(weights * JOINED[join](a, b) ** 2)

    def gradient(a, b):
        return 2 * weights[:2] * np.concatenate([[a[0]], [a[1] * b[0] ** 2]])

    assert_gradients_agree(gradient, loss, a, b)
    with pytest.raises(AssertionError):
        assert_gradients_agree(lambda a, b: gradient(a, b) * [1, 1 + 1e-9], loss, a, b)


NOT_FINITE = {"nan": np.nan, "inf": np.inf, "-inf": -np.inf}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", NOT_FINITE)
@given(place=st.tuples(st.integers(0, 2), st.integers(0, 1)), kind=st.sampled_from(["x", "w", "a dict", "a number"]))
@settings(deadline=None, max_examples=few_or_many(8, 40), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_number_that_is_not_finite_is_named_with_its_place(name, place, kind, monkeypatch):
    monkeypatch.setattr(undecided_module, "currently_in_test_context", lambda: False)
    number, (row, column) = NOT_FINITE[name], place
    w, x = np.array([0.5, -1.0]), np.array([[1.0, 2.0], [0.25, 0.5], [-1.0, 0.75]])
    factor = 1.0
    match kind:
        case "x":
            x[place], said = number, f"x[{row}, {column}]"
        case "w":
            w[column], said = number, f"w[{column}]"
        case "a dict":
            x[place], said = number, f"rows[{row}, {column}]"
        case _:
            factor, said = np.float64(number), "factor"

    def rows_of(x):
        return x["rows"] if kind == "a dict" else x

    def loss(w, x, factor):
        return factor * np.sum((rows_of(x) @ w) ** 2)

    def gradient(w, x, factor):
        return 2 * factor * rows_of(x).T @ (rows_of(x) @ w)

    with pytest.raises(UndecidedError, match=re.escape(f"at this input, where {said} is {name}")):
        assert_gradients_agree(gradient, loss, w, {"rows": x} if kind == "a dict" else x, factor)


def test_of_many_numbers_that_are_not_finite_the_first_are_named():
    w = np.array([1.0, np.nan, np.inf, np.nan, np.nan])
    with pytest.raises(
        UndecidedError, match=r"where w\[1\] is nan, w\[2\] is inf, w\[3\] is nan, and 1 more are not finite"
    ):
        assert_gradients_agree(lambda w: 2 * w, lambda w: np.sum(w**2), w)
    assert_gradients_agree(lambda w: np.ones_like(w), lambda w: np.nansum(w[:1]) + np.sum(w[1:]), np.ones(5))
