"""`assert_backward_agrees`: backward passes in the style of courses; the wrong argument is named."""

from contextlib import nullcontext
from functools import partial
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pytest
from numpy import zeros

from autodiff_ref import UndecidedError, assert_backward_agrees
from autodiff_ref.judge.assertion import backward

_rng = np.random.default_rng(2)
X, W, B = _rng.standard_normal((4, 3)), _rng.standard_normal((3, 2)), _rng.standard_normal(2)


def affine_forward(x, w, b):
    out = x.reshape(x.shape[0], -1).dot(w) + b
    return out, (x, w, b)


def affine_backward(dout, cache):
    x, w, _ = cache
    dx = dout.dot(w.T).reshape(x.shape)
    dw = x.reshape(x.shape[0], -1).T.dot(dout)
    return dx, dw, np.sum(dout, axis=0)


def norm_forward(x, gamma, beta, settings):
    eps = settings.get("eps", 1e-5)
    mean, var = x.mean(axis=0), x.var(axis=0)
    settings["running"] = 0.9 * settings.get("running", np.zeros(x.shape[1])) + 0.1 * mean
    hat = (x - mean) / np.sqrt(var + eps)
    return gamma * hat + beta, (hat, gamma, 1 / np.sqrt(var + eps))


def norm_backward(dout, cache):
    hat, gamma, s = cache
    n = dout.shape[0]
    d = dout * gamma
    dx = s / n * (n * d - d.sum(axis=0) - hat * (d * hat).sum(axis=0))
    return dx, (dout * hat).sum(axis=0), dout.sum(axis=0)


def cell_forward(x, h, w, y):
    """Two outputs, and labels that are not differentiated by"""
    a = np.tanh(x @ w + h)
    return a, a[range(len(y)), y], {"a": a, "x": x, "w": w, "y": y}


def cell_backward(da, dpicked, cache):
    a, y = cache["a"], cache["y"]
    d = da.copy()
    d[range(len(y)), y] += dpicked
    d *= 1 - a**2
    return {"dw": cache["x"].T @ d, "dx": d @ cache["w"].T, "h": d}


class Affine:
    """A layer that keeps what its backward needs"""

    def __init__(self, factor=1.0):
        self.factor = factor

    def forward(self, x, w, b):
        self.kept = affine_forward(x, w, b)
        return self.kept[0]

    def backward(self, dout):
        return affine_backward(dout * self.factor, self.kept[1])


class Relu:
    def forward(self, x):
        self.mask = x <= 0
        out = x.copy()
        out[self.mask] = 0
        return out

    def backward(self, dout):
        dout[self.mask] = 0
        return dout


def relu_forward(x):
    return np.maximum(x, 0), x


def relu_backward(dout, cache):
    dx = np.array(dout, copy=True)
    dx[cache <= 0] = 0
    return dx


def pool_forward(x, size):
    n, h, w = x.shape
    out = np.zeros((n, h // size, w // size))
    for i in range(out.shape[1]):
        for j in range(out.shape[2]):
            out[:, i, j] = np.max(x[:, i * size : (i + 1) * size, j * size : (j + 1) * size], axis=(1, 2))
    return out, (x, size)


def pool_backward(dout, cache):
    x, size = cache
    dx = np.zeros_like(x)
    for k in range(x.shape[0]):
        for i in range(dout.shape[1]):
            for j in range(dout.shape[2]):
                window = x[k, i * size : (i + 1) * size, j * size : (j + 1) * size]
                mask = window == window.max()
                dx[k, i * size : (i + 1) * size, j * size : (j + 1) * size] += mask * dout[k, i, j]
    return dx


def sine(x):
    return np.sin(x)


def sine_backward(dout, x):
    return dout * np.cos(x)


CASES = {
    "affine": (affine_forward, affine_backward, (X, W, B)),
    "batch normalisation": (norm_forward, norm_backward, (X, np.array([0.5, 2.0, 1.5]), np.array([0.0, 1.0, -1.0]), {})),
    "two outputs, a dict": (cell_forward, cell_backward, (X, _rng.standard_normal((4, 2)), W, np.array([1, 0, 0, 1]))),
    "relu": (relu_forward, relu_backward, (X,)),
    "max-pooling": (pool_forward, pool_backward, (_rng.standard_normal((2, 4, 4)), 2)),
    "no cache": (sine, sine_backward, (X,)),
}


def scaled(returned, which, factor):
    if isinstance(returned, dict):
        return {key: factor * value if k == which else value for k, (key, value) in enumerate(returned.items())}
    if isinstance(returned, tuple):
        return tuple(factor * value if k == which else value for k, value in enumerate(returned))
    return factor * returned


@pytest.mark.parametrize("name", CASES)
def test_right_ones_pass_and_a_mistake_in_one_argument_is_named(name):
    forward, backward, args = CASES[name]
    assert_backward_agrees(forward, backward, *args)
    named = {
        "affine": ["x", "w", "b"],
        "batch normalisation": ["x", "gamma", "beta"],
        "two outputs, a dict": ["w", "x", "h"],
    }
    for which, argument in enumerate(named.get(name, ["x"])):
        for factor in (-1.0, 1 + 1e-6):
            wrong = lambda *a, w=which, f=factor: scaled(backward(*a), w, f)  # noqa: E731
            with pytest.raises(AssertionError, match=rf"is not ∇{forward.__name__}\n  in {argument}\["):
                assert_backward_agrees(forward, wrong, *args)


def test_what_is_wrong_is_said_of_the_parameter():
    def doubled(dout, cache):
        dx, dw, db = affine_backward(dout, cache)
        return dx, dw / len(dx), db

    with pytest.raises(AssertionError) as failed:
        assert_backward_agrees(affine_forward, doubled, X, W, B)
    assert "  w is 0.25 times what it should be: 1/4" in str(failed.value)
    assert "  right: b, x" in str(failed.value)

    def unsummed(dout, cache):
        return *affine_backward(dout, cache)[:2], dout

    with pytest.raises(AssertionError, match=r"its sum over axis 0 is that gradient"):
        assert_backward_agrees(affine_forward, unsummed, X, W, B)

    def transposed(dout, cache):
        dx, dw, db = affine_backward(dout, cache)
        return dx, dw.T, db

    square = W @ W.T + np.triu(np.ones((3, 3)))
    with pytest.raises(AssertionError, match=r"\n  w is transposed\n"):
        assert_backward_agrees(affine_forward, transposed, X, square, np.ones(3))


def test_a_layer_may_keep_what_its_backward_needs():
    layers = Affine(), Affine(1 + 1e-9), Relu()
    assert_backward_agrees(layers[0].forward, layers[0].backward, X, W, B)
    assert_backward_agrees(layers[2].forward, layers[2].backward, X)
    with pytest.raises(AssertionError, match="is not ∇forward"):
        assert_backward_agrees(layers[1].forward, layers[1].backward, X, W, B)


def test_wrong_forms_are_said():
    with pytest.raises(AssertionError, match="returns 4 gradients, and forward has 3 arguments of floats: x, w, b"):
        assert_backward_agrees(affine_forward, lambda d, c: (*affine_backward(d, c), d), X, W, B)
    with pytest.raises(AssertionError, match="returns a gradient 'dv', and forward has the arguments x, w, b"):
        assert_backward_agrees(affine_forward, lambda d, c: {"dv": d}, X, W, B)
    with pytest.raises(TypeError, match="`backward` must be a function"):
        assert_backward_agrees(affine_forward, 3, X, W, B)  # pyright: ignore
    with pytest.raises(
        TypeError, match=r"^`affine_backward` stands first .*write assert_backward_agrees\(affine_forward, aff"
    ):
        assert_backward_agrees(affine_backward, affine_forward, X, W, B)
    with pytest.raises(TypeError, match=r"^`sine_backward` stands first and looks like the backward pass, and `sine` like"):
        assert_backward_agrees(sine_backward, sine, X)
    with pytest.raises(ZeroDivisionError):  # a mistake of another kind stays what it is
        assert_backward_agrees(affine_forward, lambda d, c: 1 / 0, X, W, B)
    whole = np.arange(12).reshape(4, 3)
    with pytest.raises(
        AssertionError, match=r"has 2 arguments of floats: w, b\. An array of whole .*in x\.astype\(float\)$"
    ):
        assert_backward_agrees(affine_forward, affine_backward, whole, W, B)


KEPT = [kept for count in range(3) for kept in combinations("xwb", count)]


@pytest.mark.parametrize("kept", KEPT)
@pytest.mark.parametrize("by_name", [True, False])
def test_a_gradient_that_is_missing_is_named_and_none_in_its_place_is_not_judged(kept, by_name):
    def backward(dout, cache, *, fills):
        by_all = dict(zip("xwb", affine_backward(dout, cache), strict=True))
        parts = {name: part if name in kept else None for name, part in by_all.items() if fills or name in kept}
        return parts if by_name else tuple(parts.values())

    missing = [name for name in "xwb" if name not in kept] if by_name else list("xwb"[len(kept) :])
    came = f"returns {len(kept)} gradient{'s' * (len(kept) != 1)}, and forward has 3 arguments of floats: x, w, b"
    with pytest.raises(AssertionError, match=rf"{came}\. There is none by {', '.join(missing)}: return it, or None"):
        assert_backward_agrees(affine_forward, partial(backward, fills=False), X, W, B)
    if kept:
        assert_backward_agrees(affine_forward, partial(backward, fills=True), X, W, B)
    else:
        with pytest.raises(AssertionError, match=r"returns None alone, .*nothing is left to be judged"):
            assert_backward_agrees(affine_forward, partial(backward, fills=True), X, W, B)


def test_a_setting_is_handed_in_by_its_name():
    def forward(x, slope):
        return np.where(x > 0, x, slope * x), (x, slope)

    def backward(dout, cache):
        x, slope = cache
        return np.where(x > 0, dout, slope * dout)

    with pytest.raises(AssertionError, match=r"There is none by slope: .*slope=…$"):
        assert_backward_agrees(forward, backward, X, 0.25)
    assert_backward_agrees(forward, backward, X, slope=0.25)


def test_a_forward_that_draws_is_told_from_a_backward_that_is_wrong():
    def drops(x):
        mask = np.random.uniform(size=x.shape) < 0.5  # noqa: NPY002 (as users write it)
        return x * mask, mask

    def adds(dout, x):
        return dout * np.cos(x) + np.random.normal(size=x.shape)  # noqa: NPY002

    with pytest.raises(
        UndecidedError, match=r"drops returns something else .* draws numbers at test_assertion_backward\.py:\d+"
    ):
        assert_backward_agrees(drops, lambda dout, mask: dout * mask, X)
    with pytest.raises(
        AssertionError, match=r"adds returns something else .* draws numbers at test_assertion_backward\.py:\d+"
    ):
        assert_backward_agrees(sine, adds, X)


def test_what_makes_arrays_may_be_imported_by_its_name():
    def forward(x):
        out = zeros(x.shape)
        for k, row in enumerate(x):
            out[k] = row**2
        return out, x

    assert_backward_agrees(forward, lambda dout, x: 2 * x * dout, X)


def test_upstream_gradients_are_no_argument_of_a_test(monkeypatch):
    """An argument drawn as a test draws it must not be the upstream gradient: `dout <= 0` for `x <= 0` would be right."""
    monkeypatch.setattr(backward, "UPSTREAM", 1)

    def by_the_wrong_mask(dout, cache):
        dx = dout.copy()
        dx[dout <= 0] = 0
        return dx

    for seed in range(3):
        with pytest.raises(AssertionError, match="is not ∇relu_forward"):
            assert_backward_agrees(relu_forward, by_the_wrong_mask, np.random.default_rng(seed).standard_normal((4, 3)))


def embedding(table, ids):
    return table[ids], (table.shape, ids)


def test_none_may_stand_for_the_gradient_by_whole_numbers():
    """As PyTorch's Functions return it"""

    def by_table(dout, cache):
        gradient = np.zeros(cache[0])
        np.add.at(gradient, cache[1], dout)
        return gradient, None

    ids = np.array([1, 1, 3])
    assert_backward_agrees(embedding, by_table, X, ids)
    with pytest.raises(AssertionError, match=r"is not ∇embedding"):
        assert_backward_agrees(embedding, lambda dout, cache: (2 * by_table(dout, cache)[0], None), X, ids)


def test_a_gradient_by_whole_numbers_is_refused_and_none_is_what_to_return():
    with pytest.raises(AssertionError, match="return None in its place"):
        assert_backward_agrees(embedding, lambda dout, cache: (np.zeros(cache[0]), np.zeros(3)), X, np.array([1, 1, 3]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("masked", [False, True])
def test_what_is_float64_at_the_end_may_be_made_of_float32(dtype, masked):
    """q kᵀ is rounded to float32; NumPy's √d is an np.float64, so the rest is in float64; and −∞ has no rounding bound"""

    def attention(q, k, v):
        scores = q @ k.T / np.sqrt(q.shape[1])
        if masked:
            scores = np.where(np.tri(len(q)) > 0, scores, -np.inf)
        p = np.exp(scores - scores.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        return p @ v, (q, k, v, p)

    def back(dout, cache):
        q, k, v, p = cache
        dp = dout @ v.T
        ds = p * (dp - (dp * p).sum(axis=1, keepdims=True)) / np.sqrt(q.shape[1])
        return ds @ k, ds.T @ q, p.T @ dout

    given = [np.random.default_rng(k).standard_normal((3, 4)).astype(dtype) for k in range(3)]
    assert_backward_agrees(attention, back, *given)
    for k in range(3):
        with pytest.raises(AssertionError, match="is not ∇attention"):
            assert_backward_agrees(
                attention, lambda d, c, k=k: [g * (1 + 1e-9 * (i == k)) for i, g in enumerate(back(d, c))], *given
            )


class States(NamedTuple):
    h: object
    c: object


def recurrent_step(x, w):
    h, c = np.tanh(x @ w), x**2
    return h, c, (x, w, h)


def recurrent_step_backward(dh, dc, cache):
    x, w, h = cache
    d = dh * (1 - h**2)
    return d @ w.T + 2 * x * dc, x.T @ d


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize(
    ("together", "apart"),
    [
        (lambda h, c: (h, c), lambda d: (d[0], d[1])),
        (lambda h, c: [h, c], lambda d: (d[0], d[1])),
        (lambda h, c: {"h": h, "c": c}, lambda d: (d["h"], d["c"])),
        (States, lambda d: (d.h, d.c)),
        (lambda h, c: (h, {"kept": [c]}), lambda d: (d[0], d[1]["kept"][0])),
    ],
)
def test_an_output_may_be_several_arrays_and_so_is_its_upstream_gradient(together, apart, swapped):
    """As the state (h, c) of an LSTM."""

    def forward(x, w):
        *both, cache = recurrent_step(x, w)
        return together(*both), cache

    def backward_of_both(d, cache):
        return recurrent_step_backward(*(apart(d)[::-1] if swapped else apart(d)), cache)

    with pytest.raises(AssertionError, match="backward_of_both is not") if swapped else nullcontext():
        assert_backward_agrees(forward, backward_of_both, X[:3], np.eye(3) + 0.5)


def test_a_list_of_numbers_is_one_output():
    assert_backward_agrees(
        lambda x: [x[0] * 2, x[1] * x[0]], lambda d, x: np.array([2 * d[0] + x[1] * d[1], d[1] * x[0]]), B
    )
