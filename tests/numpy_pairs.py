"""Losses and their gradients in plain NumPy, as people write them: a feature of NumPy each. All of our own writing."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.special as sc

from autodiff_ref import assert_gradients_agree
from autodiff_ref.judge.assertion.agreement import pair_of
from autodiff_ref.judge.assertion.sides import Call


@dataclass(frozen=True)
class Pair:
    """A loss of w and data, its gradient by w, arguments, and gradients that are wrong."""

    loss: Callable[..., Any]
    gradient: Callable[..., Any]
    args: tuple[Any, ...]
    wrong: tuple[Callable[..., Any], ...] = ()

    def assert_followed_and_right(self) -> None:
        """Both are traced, not judged by their values, and agree."""
        traced = pair_of(self.gradient, self.loss, None, Call.of(self.args))
        assert traced.candidate is not None
        assert_gradients_agree(self.gradient, self.loss, *self.args)


_rng = np.random.default_rng(3)
X = _rng.standard_normal((4, 3))
Y = np.array([2, 0, 1, 2])
T = np.array([1.0, -1.0, 1.0, 1.0])
W = _rng.standard_normal((3, 3))
V = _rng.standard_normal(3)


# softmax regression, the label's entry by range and in place


def softmax_loss(w, x, y):
    z = x @ w
    z -= np.max(z, axis=1, keepdims=True)
    p = np.exp(z) / np.sum(np.exp(z), axis=1, keepdims=True)
    return -np.sum(np.log(p[range(len(y)), y])) / len(y)


def softmax_gradient(w, x, y):
    z = x @ w
    e = np.exp(z - z.max(1)[:, None])
    d = e / e.sum(axis=1, keepdims=True)
    d[range(x.shape[0]), y] -= 1
    d /= len(y)
    return x.T.dot(d)


# the same, row by row


def rows_loss(w, x, y):
    total = 0.0
    for i in range(x.shape[0]):
        s = x[i].dot(w)
        s -= np.max(s)
        total += -np.log(np.exp(s[y[i]]) / np.sum(np.exp(s)))
    return total / x.shape[0] + 0.5 * np.sum(w * w)


def rows_gradient(w, x, y):
    dw = np.zeros(w.shape)
    for i in range(x.shape[0]):
        s = x[i].dot(w)
        s -= np.max(s)
        p = np.exp(s) / np.sum(np.exp(s))
        for j in range(w.shape[1]):
            dw[:, j] += (p[j] - (1 if j == y[i] else 0)) * x[i]
    return dw / len(x) + w


# a hinge over classes, by if and continue


def hinge_loss(w, x, y):
    loss = 0.0
    for i in range(len(x)):
        scores = x[i] @ w
        for j in range(w.shape[1]):
            if j == y[i]:
                continue
            margin = scores[j] - scores[y[i]] + 1
            if margin > 0:
                loss += margin
    return loss


def hinge_gradient(w, x, y):
    scores = x @ w
    right = scores[np.arange(len(x)), y].reshape(-1, 1)
    margins = np.maximum(0, scores - right + 1)
    margins[np.arange(len(x)), y] = 0
    mask = np.zeros_like(margins)
    mask[margins > 0] = 1
    mask[np.arange(len(x)), y] = -mask.sum(axis=1)
    return x.T @ mask


# ReLU by a mask that writes


def relu_loss(w, x):
    z = x @ w
    out = z.copy()
    out[z <= 0] = 0
    return (out**2).sum()


def relu_gradient(w, x):
    z = x @ w
    d = 2 * np.maximum(z, 0)
    d[z < 0] = 0
    return x.T @ d


# a leaky one, by a masked product in place


def leaky_loss(w, x):
    z = x @ w
    z[z < 0] *= 0.25
    return np.sum(z * z)


def leaky_gradient(w, x):
    z = x @ w
    slope = np.ones_like(z)
    slope[z < 0] = 0.25
    return x.T @ (2 * slope**2 * z)


# logistic regression, scalars out of arrays


def logistic_loss(w, x, t):
    loss = np.float64(0)
    for row, label in zip(x, t, strict=True):
        m = label * row.dot(w)
        loss += np.log1p(np.exp(-m)) if m > 0 else -m + np.log1p(np.exp(m))
    return loss


def logistic_gradient(w, x, t):
    g = np.zeros(len(w))
    for i, label in enumerate(t):
        m = float(label * (x[i] @ w))
        g -= label * x[i] / (1 + np.exp(m))
    return g


# a recurrent net through time, states in a buffer


def recurrent_loss(w, x):
    h = np.zeros((len(x) + 1, w.shape[0]))
    for t in range(len(x)):
        h[t + 1] = np.tanh(w @ h[t] + x[t])
    return np.sum(h[1:] ** 2) / 2


def recurrent_gradient(w, x):
    n = len(x)
    h = np.zeros((n + 1, w.shape[0]))
    for t in range(n):
        h[t + 1, :] = np.tanh(w.dot(h[t]) + x[t])
    dw, later = np.zeros_like(w), np.zeros(w.shape[0])
    for t in reversed(range(n)):
        d = (h[t + 1] + later) * (1 - h[t + 1] ** 2)
        dw += np.outer(d, h[t])
        later = w.T @ d
    return dw


# embeddings: np.add.at


def embedding_loss(w, y):
    return np.sum(np.sin(w[y]) ** 2)


def embedding_gradient(w, y):
    g = np.zeros_like(w)
    np.add.at(g, y, np.sin(2 * w[y]))
    return g


# max-pooling by windows, the place of the largest


def pool_loss(w):
    out = np.zeros((2, 2))
    for i in range(2):
        for j in range(2):
            out[i, j] = w[2 * i : 2 * i + 2, 2 * j : 2 * j + 2].max()
    return np.sum(out * np.array([[1.0, 2.0], [3.0, 4.0]]))


def pool_gradient(w):
    g, up = np.zeros_like(w), np.array([[1.0, 2.0], [3.0, 4.0]])
    for i in range(2):
        for j in range(2):
            window = w[2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
            r, c = np.unravel_index(int(np.argmax(window)), window.shape)
            g[2 * i + r, 2 * j + c] += up[i, j]
    return g


# batch normalisation


def norm_loss(w, g):
    mean = w.mean(axis=0)
    var = np.var(w, axis=0)
    return np.sum(g * (w - mean) / np.sqrt(var + 1e-5))


def norm_gradient(w, g):
    n = len(w)
    centred = w - np.mean(w, axis=0)
    s = 1 / np.sqrt((centred**2).mean(axis=0) + 1e-5)
    hat = centred * s
    return s / n * (n * g - g.sum(axis=0) - hat * np.sum(g * hat, axis=0))


# Dirichlet: special functions


def dirichlet_loss(w, x):
    a = np.exp(w)
    return sc.gammaln(a.sum()) - np.sum(sc.gammaln(a)) + np.sum((a - 1) * np.log(np.abs(x[0]) + 0.5))


def dirichlet_gradient(w, x):
    a = np.exp(w)
    return a * (sc.psi(a.sum()) - sc.digamma(a) + np.log(np.abs(x[0]) + 0.5))


# a Gaussian: linear algebra


def gauss_loss(w, x):
    s = w @ w.T + np.eye(3)
    return 0.5 * len(x) * np.linalg.slogdet(s)[1] + 0.5 * np.einsum("ni,ij,nj->", x, np.linalg.inv(s), x)


def gauss_gradient(w, x):
    s = w @ w.T + np.eye(3)
    p = np.linalg.inv(s)
    by_s = 0.5 * len(x) * p - 0.5 * p @ (x.T @ x) @ p
    return (by_s + by_s.T) @ w


# views, out= and a transposed write


def views_loss(w, x):
    buffer = np.empty((3, 3))
    np.multiply(w, 2.0, out=buffer)
    t = buffer.T
    t[0] += x[0]
    flat = buffer.ravel()
    flat[4] = 0
    return np.sum(np.exp(buffer * 0.25))


def views_gradient(w, x):
    b = 2 * w
    b[:, 0] += x[0]
    b[1, 1] = 0.0
    g = 0.5 * np.exp(0.25 * b)
    g.reshape(-1)[4] = 0
    return g


# a while loop, and a clipped value


def newton_loss(w, x):
    s = np.sum(w**2) + 1
    r, k = s, 0
    while k < 8:
        r = 0.5 * (r + s / r)
        k += 1
    return r * np.clip(x[0] @ w, -50, 50).sum()


def newton_gradient(w, x):
    s = np.sum(w**2) + 1.0
    r, dr = s, 1.0
    for _ in range(8):
        r, dr = 0.5 * (r + s / r), 0.5 * (dr + 1 / r - s * dr / r**2)
    return dr * 2 * w * (x[0] @ w).sum() + r * np.outer(x[0], np.ones(3))


# dropout by a mask that is handed in, and log-sum-exp


def dropout_loss(w, x, keep):
    h = np.tanh(x @ w) * keep / 0.5
    return sc.logsumexp(h, axis=1).sum()


def dropout_gradient(w, x, keep):
    h = np.tanh(x @ w)
    a = h * keep * 2
    p = np.exp(a - sc.logsumexp(a, axis=1, keepdims=True))
    return x.T @ (p * keep * 2 * (1 - h * h))


KEEP = _rng.random((4, 3)) < 0.5

PAIRS = {
    "range as an index": Pair(softmax_loss, softmax_gradient, (W, X, Y)),
    "row by row": Pair(rows_loss, rows_gradient, (W, X, Y)),
    "if and continue": Pair(hinge_loss, hinge_gradient, (W, X, Y)),
    "a mask that writes": Pair(relu_loss, relu_gradient, (W, X)),
    "a masked product in place": Pair(leaky_loss, leaky_gradient, (W, X)),
    "scalars": Pair(logistic_loss, logistic_gradient, (V, X, T)),
    "a buffer of states": Pair(recurrent_loss, recurrent_gradient, (W / 2, X)),
    "np.add.at": Pair(embedding_loss, embedding_gradient, (W, Y)),
    "argmax of windows": Pair(pool_loss, pool_gradient, (_rng.standard_normal((4, 4)),)),
    "batch normalisation": Pair(norm_loss, norm_gradient, (_rng.standard_normal((5, 2)), _rng.standard_normal((5, 2)))),
    "special functions": Pair(dirichlet_loss, dirichlet_gradient, (V / 4, X)),
    "linear algebra": Pair(gauss_loss, gauss_gradient, (W, X)),
    "views and out=": Pair(views_loss, views_gradient, (W, X)),
    "while": Pair(newton_loss, newton_gradient, (W, X)),
    "a mask handed in": Pair(dropout_loss, dropout_gradient, (W, X, KEEP)),
}


# windows of a view, and strides set by hand


def windows_loss(w, k):
    padded = np.pad(w, ((1, 1), (1, 1)))
    seen = np.lib.stride_tricks.sliding_window_view(padded, (3, 3))
    step = w.strides[1]
    pairs = np.lib.stride_tricks.as_strided(w, shape=(3, 2, 2), strides=(w.strides[0], step, step))
    return np.einsum("ijab,ab->ij", seen, k).sum() ** 2 + np.prod(pairs, axis=-1).sum()


def windows_gradient(w, k):
    padded, total = np.pad(w, 1), 0.0
    for a in range(3):
        for b in range(3):
            total += k[a, b] * padded[a : a + 3, b : b + 3].sum()
    g = np.zeros((5, 5))
    for a in range(3):
        for b in range(3):
            g[a : a + 3, b : b + 3] += 2 * total * k[a, b]
    g = g[1:-1, 1:-1]
    g[:, :-1] += w[:, 1:]
    g[:, 1:] += w[:, :-1]
    return g


# lists of numbers, and arrays joined


def lists_loss(w, x):
    rows = [w[i] * (i + 1) for i in range(3)]
    joined = np.c_[np.vstack(rows), np.ones(3)]
    return np.mean([row.sum() for row in rows]) + np.sum((joined @ np.r_[x[0], 1.0]) ** 2) + np.max([r[0] for r in rows])


def lists_gradient(w, x):
    scale = np.arange(1, 4)[:, None]
    d = 2 * ((scale * w) @ x[0] + 1)
    g = scale * np.outer(d, x[0]) + scale / 3 * np.ones((1, 3))
    k = int(np.argmax([(i + 1) * w[i, 0] for i in range(3)]))
    g[k, 0] += k + 1
    return g


# functions of one number, put to many


def by_entry_loss(w):
    f = np.vectorize(lambda v: v * v if v > 0 else 0.1 * v)
    return np.sum(f(w)) + np.sum(np.apply_along_axis(lambda r: np.exp(r) / np.exp(r).sum(), 1, w)[:, 0])


def by_entry_gradient(w):
    p = np.exp(w) / np.exp(w).sum(axis=1, keepdims=True)
    return np.where(w > 0, 2 * w, 0.1) + p * ((np.arange(3) == 0) - p[:, :1])


# means of groups, by masks of labels


def groups_loss(w, y):
    total = 0.0
    for k in np.unique(y):
        total += np.mean(w[y == k]) ** 3
    return total


def groups_gradient(w, y):
    g = np.empty_like(w)
    for k in set(y.tolist()):
        chosen = y == k
        g[chosen] = 3 * np.mean(w[chosen]) ** 2 / (chosen.sum() * w.shape[1])
    return g


PAIRS |= {
    "windows and strides": Pair(windows_loss, windows_gradient, (W, _rng.standard_normal((3, 3)))),
    "lists and joins": Pair(lists_loss, lists_gradient, (W, X)),
    "np.vectorize": Pair(by_entry_loss, by_entry_gradient, (W,)),
    "masks of labels": Pair(groups_loss, groups_gradient, (_rng.standard_normal((4, 2)), Y)),
}
