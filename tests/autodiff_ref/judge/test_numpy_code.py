"""Code written for NumPy is traced as it stands, to the function it computes; what cannot be followed is refused."""

import math
import queue
import threading
from typing import Any

import jax
import numpy as np
import pytest
import scipy.special as sc
from jax.extend import core
from scipy.special import expit, logsumexp

from autodiff_ref.judge.assertion.sides import Call, trace_candidate
from tests.compiled import compiled

W, X = np.array([[0.5, -1.0], [2.0, 0.25], [-0.75, 1.5]]), np.array([[1.0, 2.0, 0.5], [-1.0, 0.25, 3.0]])
K = np.array([1, 0])
OTHER = W * 1.015625 + 0.0078125, X * 0.75 - 0.03125, K


def traced(f: Any, *args: Any) -> Any:
    """f by way of its trace, and whether the trace holds at other arguments."""
    call = Call.of(args)
    side = trace_candidate(f, None, call, [False] + [True] * (len(call.arrays) - 1), None)
    assert side.numpy_code
    program = jax.jit(core.jaxpr_as_fun(side.wide))

    def at(*others: Any) -> Any:
        arrays = Call.of(others).as_numpy([])
        assert side.holds(arrays)
        with jax.enable_x64(True):
            made = program(*arrays)
        return [np.asarray(part) for part in made[: len(jax.tree.leaves(side.shapes))]]

    return at, side


def softmax_in_place(w, x, k):
    z = x @ w
    z -= z.max(axis=1, keepdims=True)
    p = np.exp(z)
    p /= p.sum(axis=1, keepdims=True)
    p[np.arange(len(x)), k] -= 1
    return p


def range_as_an_index(w, x, k):
    p = x @ w
    p[range(len(x)), k] *= 3
    p[[0, 1], [1, 0]] += w[[0, 2], 1]
    return p[[1, 0]] - p[range(2)]


def outer_products(w, x, k):
    g = np.zeros_like(w)
    for row, d in zip(x, softmax_in_place(w, x, k), strict=True):
        g += np.outer(row, d)
    return g


def through_a_view(w, x, k):
    z = x @ w
    row = z[0]
    row *= 2
    z[1, :] = row
    alias = z
    alias += 1
    return z


def through_other_views(w, x, k):
    z = np.array(w)
    t = z.T
    t += x * 2
    flat = z.reshape(-1)
    flat[1::2] = 7 * w[:, 0]
    z.ravel()[0] = w[2, 1]
    z[1:][0, 0] += 1
    np.split(z, 3)[2][...] = w[0]
    d = z[:2].diagonal()
    last = z[::-1][0]
    last[:] += d
    return z, t, flat


def copies_are_no_views(w, x, k):
    z = w.copy()
    y, v, u = z[[0, 1]], np.array(z), z.flatten()
    y += 1
    v *= 2
    u[0] = 5
    z[0, 0] = 3
    return z, y, v, u


def many_functions(w, x, k):
    a = np.where(x > 0, np.logaddexp(x, 1.0), np.tanh(x)) + np.einsum("ij,jk->ik", x, w).sum()
    parts = [a.ravel(), np.maximum(w, 0).reshape(-1), np.add.reduce(w), np.linalg.norm(x, axis=1)]
    return np.concatenate([*parts, np.hstack([w, w]).ravel(), np.clip(x, -1, 1).ravel(), np.std(w, axis=0, ddof=1)])


def out_of_place(w, x, k):
    z = np.empty_like(x)
    np.multiply(x, 3.0, out=z)
    np.exp(w.T, out=z)
    np.add(z, 1, z)
    h = np.full(x.shape, 0.5)
    np.divide(x, w.T, out=h, where=x > 0)
    return np.float64(2) * z.T @ x - x.T.dot(h) + np.clip(x, -1, 1).mean()


def masks(w, x, k):
    out = w.copy()
    out[w <= 0] = 0
    out[w > 1] *= 0.5
    kept = w[w > 0]
    z = np.zeros_like(w)
    z[w > 0] = kept**2
    z[z == 0] = w[z == 0]
    return out, z, np.sum(np.log(kept))


def buffers(w, x, k):
    a = np.zeros((3, 2))
    b = np.empty(6)
    c = np.ones_like(w)
    d = np.full((2,), w[0, 0])
    e = np.array([w[0, 0], w[1, 1] ** 2, 3.0])
    f = np.asarray([row * 2 for row in w])
    for i in range(len(w)):
        a[i, :] = w[i] ** 2
        b[2 * i : 2 * i + 2] = a[i]
        c[i] += a[i].sum()
    g = np.array(w, copy=True)
    g[0] = 0
    one_hot = np.eye(2)[k]
    h = np.asarray(w)
    return a, b, c, d, e, f, g, one_hot @ w.T, h


def scattered(w, x, k):
    g = np.zeros(3)
    np.add.at(g, [0, 0, 2], w[:, 0])
    np.subtract.at(g, k, w[:2, 1])
    h = np.zeros((3, 2))
    h[[0, 0, 1]] += w  # NumPy counts the last of equal indices alone
    np.add.at(h, (k, slice(None)), x @ w)
    return g, h, np.bincount([0, 2, 2], weights=w[:, 1])


def in_place_functions(w, x, k):
    a = w[:2].copy()
    np.fill_diagonal(a, w[2, 0])
    b = w.copy()
    b.fill(2.0)
    np.copyto(b, w, where=w > 0)
    c = w.copy()
    c.sort(axis=0)
    d = np.zeros_like(w)
    np.put_along_axis(d, np.argmax(w, axis=1)[:, None], w.max(axis=1, keepdims=True), axis=1)
    return a, b, c, d


def branches_on_what_varies(w, x, k):
    if w[0, 0] > 0 and not (w < -5).any():
        w = w * w[0, 0]
    total = 0.0
    for row in w:
        total = total + (max(row[0], 0.0) if row[0] < row[1] else min(row.sum(), 1.5))
    while total > 1:
        total = total / 2
    return w * total


def sizes_and_labels_from_data(w, x, k):
    g = np.zeros((int(k.max()) + 2, len(k)))
    for i in range(len(x)):
        for c in range(2):
            if c == k[i]:
                g[i, c] = x[i] @ w[:, c]
    for c in np.unique(k):
        g[2] += w[c] * np.sum(k == c)
    n = int(np.sum(k))
    return g[: n + 1], {1: w[0]}.get(k[0], w[1])


def numbers_of_python(w, x, k):
    made = []
    for row in w:
        v = float(row[0])
        made.append(math.exp(-v) / (1 + math.exp(-v)) + math.sqrt(abs(v)) + math.log(v * v + 1, 2) + math.atan2(v, 2))
        assert isinstance(v, float)
        assert isinstance(row, np.ndarray)
    return np.array(made) + w[0].item(1) + w.tolist()[1][0] + round(2.5)


def of_scipy(w, x, k):
    p = np.abs(w) + 0.5
    made = [sc.digamma(p), sc.psi(p), sc.expit(w), expit(w), sc.gammaln(p), sc.erf(w), sc.xlogy(p, p), sc.log_ndtr(w)]
    return np.stack(made), logsumexp(w, axis=1), sc.softmax(w, axis=1), sc.log_softmax(w, axis=0), sc.logsumexp(w)


def of_linalg(w, x, k):
    a = x @ w + 3 * np.eye(2)
    q = np.linalg.solve(a, x) + np.linalg.inv(a) @ x
    return q, np.linalg.slogdet(a)[1], np.linalg.det(a), np.linalg.norm(w), np.linalg.cholesky(a @ a.T), np.trace(a)


def tuples_and_dicts(w, x, k):
    cache = {"w": w, "z": x @ w}
    cache["h"] = np.tanh(cache["z"])
    z, h = (cache[name] for name in ("z", "h"))
    return {"dw": x.T @ (1 - h**2), "all": (z, [h])}


class Network:
    def __init__(self, w):
        self.w, self.cache = w, None

    def forward(self, x):
        self.cache = x, self._activate(x @ self.w)
        return self.cache[1]

    @staticmethod
    def _activate(z):
        out = np.zeros(z.shape)
        out[z > 0] = z[z > 0]
        return out

    def backward(self, d):
        x, h = self.cache
        d = d * (h > 0)
        d[h <= 0] = 0.0
        return x.T @ d


def classes_with_caches(w, x, k):
    net = Network(w)
    h = net.forward(x)
    return net.backward(2 * h)


FOLLOWED = [
    softmax_in_place,
    range_as_an_index,
    outer_products,
    through_a_view,
    through_other_views,
    copies_are_no_views,
    many_functions,
    out_of_place,
    masks,
    buffers,
    scattered,
    in_place_functions,
    branches_on_what_varies,
    sizes_and_labels_from_data,
    numbers_of_python,
    of_scipy,
    of_linalg,
    tuples_and_dicts,
    classes_with_caches,
]


@pytest.mark.parametrize("f", FOLLOWED)
def test_traced_code_computes_what_numpy_does(f: Any):
    at, _ = traced(f, W, X, K)
    for args in ((W, X, K), OTHER):
        wanted = jax.tree.leaves(f(*[a.copy() for a in args]))
        for ours, theirs in zip(at(*args), wanted, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-13, atol=1e-13)
            assert ours.dtype == np.asarray(theirs).dtype or np.asarray(theirs).dtype.kind != "f"


@pytest.mark.parametrize(
    ("f", "args"),
    [
        (masks, (-W, X, K)),
        (branches_on_what_varies, (-W, X, K)),
        (sizes_and_labels_from_data, (W, X, 1 - K)),
        (through_a_view, None),
    ],
)
def test_where_another_branch_mask_or_size_is_taken_a_trace_does_not_hold(f, args):
    _, side = traced(f, W, X, K)
    if args is None:
        assert not side.assumptions
    else:
        assert not side.holds(Call.of(args).as_numpy([]))
        assert all(assumption.place.startswith("test_numpy_code.py:") for assumption in side.assumptions)


def test_labels_that_only_choose_entries_are_no_assumption():
    def chosen(w, x, k):
        p = x @ w
        return p[np.arange(2), k], p[0, k[1]], np.eye(2)[k] * p, p[range(len(k)), k]

    at, side = traced(chosen, W, X, K)
    assert not side.assumptions
    for ours, theirs in zip(at(W, X, 1 - K), chosen(W, X, 1 - K), strict=True):
        np.testing.assert_allclose(ours, theirs)


def test_what_makes_arrays_is_itself_again_and_was_so_for_other_threads():
    before = {name: getattr(np, name) for name in ("zeros", "array", "asarray", "empty_like")}, math.exp, sc.logsumexp
    looks = queue.SimpleQueue()  # a list would be as before again after each trace

    def look():
        looks.put((type(np.zeros(2)), type(np.array([1.0])), math.exp(0.0)))

    def f(w, x, k):
        look()
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        return np.exp(w[0]) + np.zeros(2)

    traced(f, W, X, K)
    seen = [looks.get_nowait() for _ in range(looks.qsize())]
    here, elsewhere = seen[::2], seen[1::2]
    assert {kinds[:2] for kinds in here} > {(np.ndarray, np.ndarray)}, "arrays were never stood in for"
    assert set(elsewhere) == {(np.ndarray, np.ndarray, 1.0)}
    assert before == ({name: getattr(np, name) for name in before[0]}, math.exp, sc.logsumexp)
    assert "float" not in globals()

    def fails(w, x, k):
        raise KeyError("no")

    with pytest.raises(TypeError, match="KeyError"):
        traced(fails, W, X, K)
    assert before == ({name: getattr(np, name) for name in before[0]}, math.exp, sc.logsumexp)


OUTSIDE = np.zeros(2)


def writes_outside(w, x, k):
    np.add(OUTSIDE, w[0], out=OUTSIDE)
    return OUTSIDE


@pytest.mark.parametrize(("f", "said"), [
    (writes_outside, r"written into at test_numpy_code.py:\d+: make it within, by np.zeros"),
    (lambda w, x, k: compiled(w), r"test_numpy_code.py:\d+|compiled.py:\d+"),
    (lambda w, x, k: np.linalg.lstsq(x, x @ w, rcond=None)[3] + np.busday_count(w, w), r"test_numpy_code.py:\d+"),
    (lambda w, x, k: np.frompyfunc(abs, 1, 1)(w), r"cannot be followed .* at test_numpy_code.py:\d+: write it with other"),
    (lambda w, x, k: w @ w, r"matmul.*at test_numpy_code.py:\d+"),
])  # fmt: skip
def test_what_cannot_be_followed_is_refused_with_its_place_and_the_way_on(f: Any, said: str):
    with pytest.raises(TypeError, match=said) as refused:
        traced(f, W, X, K)
    assert "Tracer" not in str(refused.value)
