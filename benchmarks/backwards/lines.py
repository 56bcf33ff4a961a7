"""Lines of derivations, in NumPy."""

import numpy as np

from backwards.case import Cases
from manual_grad import classes, intervals, reals

CASES = Cases()
_rng = np.random.default_rng(8)
X, V, Z, Y, G = (
    _rng.standard_normal((4, 3)), _rng.standard_normal(3), _rng.standard_normal((4, 3)),
    np.array([0, 2, 1, 2]), _rng.standard_normal((4, 3)),
)  # fmt: skip


def relu_loss(x, w):
    h = x @ w
    h[h <= 0] = 0
    return 0.5 * np.sum(h**2)


@CASES.line(relu_loss, "w", (reals("n", "d"), reals("d")), X, V)
def relu_line(x, w):
    """Xᵀ(h ∘ 1[h > 0])"""
    h = x @ w
    dh = h.copy()
    # wrong: dh[h > 0] = 0
    dh[h <= 0] = 0
    return x.T @ dh


def cross_entropy(z, y):
    p = np.exp(z) / np.sum(np.exp(z), axis=1, keepdims=True)
    return -np.sum(np.log(p[range(len(y)), y])) / len(y)


@CASES.line(cross_entropy, "z", (reals("m", "k"), classes("m", "k")), Z, Y)
def softmax_line(z, y):
    """(P − Y)/m"""
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    p[range(len(y)), y] -= 1
    # wrong: p /= z.shape[1]
    p /= len(y)
    return p


def normalised_loss(x, gamma, g):
    xhat = (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + 0.5)
    return np.sum(g * gamma * xhat)


@CASES.line(normalised_loss, "x", (reals("n", "d"), reals("d"), reals("n", "d")), X, V, G)
def batch_norm_line(x, gamma, g):
    """γ/(n s) (n G − 1ΣG − x̂ Σ G x̂)"""
    n, s = len(x), np.sqrt(x.var(axis=0) + 0.5)
    xhat, d = (x - x.mean(axis=0)) / s, g * gamma
    # wrong: return (n * d - xhat * np.sum(d * xhat, axis=0)) / (n * s)
    return (n * d - d.sum(axis=0) - xhat * np.sum(d * xhat, axis=0)) / (n * s)


def recurrent_loss(w, x):
    h, out = np.zeros(x.shape[0]), np.zeros_like(x)
    for t in range(x.shape[1]):
        h = np.tanh(w * h + x[:, t])
        out[:, t] = h
    return 0.5 * np.sum(out**2)


@CASES.line(recurrent_loss, "w", (reals(), reals("n", "t")), 0.5, X)
def through_time_line(w, x):
    """Σ_t δ_t h_{t−1}"""
    n, steps = x.shape
    h = np.zeros((n, steps + 1))
    for t in range(steps):
        h[:, t + 1] = np.tanh(w * h[:, t] + x[:, t])
    dw, dh = 0.0, np.zeros(n)
    for t in reversed(range(steps)):
        da = (dh + h[:, t + 1]) * (1 - h[:, t + 1] ** 2)
        dw += np.sum(da * h[:, t])
        # wrong: dh = da
        dh = da * w
    return dw


def tied_weights(w, x):
    return 0.5 * np.sum((np.einsum("nd,hd,he->ne", x, w, w) - x) ** 2)


@CASES.line(tied_weights, "w", (reals("h", "d"), reals("n", "d")), X[:2], Z)
def tied_weights_line(w, x):
    """W(xᵀr + rᵀx)"""
    r = np.einsum("nh,he->ne", x @ w.T, w) - x
    # wrong: return np.einsum("nd,nh->hd", r, x @ w.T)
    return np.einsum("nd,nh->hd", r, x @ w.T) + np.einsum("nd,nh->hd", x, r @ w.T)


def scattered_loss(x, g):
    out = np.zeros(x.shape[0] + x.shape[1] - 1)
    for i in range(x.shape[0]):
        out[i : i + x.shape[1]] += x[i] * g[i]
    return 0.5 * np.sum(out * out)


@CASES.line(scattered_loss, "x", (reals("n", "d"), reals("n", "d")), X, G)
def overlap_add_line(x, g):
    """out[i + j] g[i, j]"""
    places = np.arange(x.shape[0])[:, None] + np.arange(x.shape[1])
    out = np.zeros(x.shape[0] + x.shape[1] - 1)
    # wrong: out[places] += x * g
    np.add.at(out, places, x * g)
    return out[places] * g


def ridge(w, x, y):
    r = np.subtract(x @ w, y)
    return 0.5 * np.dot(r, r) + 0.05 * np.linalg.norm(w) ** 2


@CASES.line(ridge, "w", (intervals(0.25, 2.0, "d"), reals("n", "d"), reals("n")), np.abs(V) + 0.25, X, G[:, 0])
def ridge_line(w, x, y):
    """Xᵀ(Xw − y) + λw"""
    r = np.empty(len(y))
    np.subtract(x @ w, y, out=r)
    # wrong: return x.T @ r + 0.05 * w
    return x.T @ r + 0.1 * w


def second_largest_gap(x, y):
    e = np.exp(x)
    return np.sum(np.log(np.cumsum(e, axis=1))) - np.sum(np.take_along_axis(x, y[:, None], axis=1))


@CASES.line(second_largest_gap, "x", (reals("m", "k"), classes("m", "k")), Z, Y)
def plackett_luce_line(x, y):
    """Σ_{j ≥ i} softmax − one-hot"""
    e = np.exp(x)
    # wrong: g = e * np.cumsum(1 / np.cumsum(e, axis=1), axis=1)
    g = e * np.cumsum((1 / np.cumsum(e, axis=1))[:, ::-1], axis=1)[:, ::-1]
    g[np.arange(len(y)), y] -= 1
    return g
