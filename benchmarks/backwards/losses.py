"""Losses and their gradients: masks, labels as indices, weights, and functions that return (loss, gradients)."""

import numpy as np

from backwards.case import Cases

CASES = Cases()
_rng = np.random.default_rng(3)
X, Y, W = _rng.standard_normal((4, 3)), np.array([2, 0, 1, 2]), _rng.standard_normal((3, 3))
Z, BITS, SIGNS = _rng.standard_normal((4, 3)), np.array([1.0, 0, 0, 1]), np.array([1.0, -1, 1, -1])
V, P, T = _rng.standard_normal(3), 0.1 + 0.8 * _rng.random((4, 3)), _rng.integers(0, 2, (4, 3)).astype(float)


def cross_entropy(z, y):
    z = z - np.max(z, axis=1, keepdims=True)
    logp = z - np.log(np.sum(np.exp(z), axis=1, keepdims=True))
    return -np.mean(logp[range(y.shape[0]), y])


@CASES.gradient(cross_entropy, Z, Y)
def cross_entropy_gradient(z, y):
    m = y.shape[0]
    p = np.exp(z - z.max(axis=1)[:, None])
    p /= p.sum(axis=1)[:, None]
    p[range(m), y] -= 1
    # wrong: return p
    return p / m


def one_hot_cross_entropy(z, y):
    classes = y.max() + 1
    target = np.zeros((len(y), classes))
    target[np.arange(len(y)), y] = 1
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    return -(target * np.log(p)).sum()


@CASES.gradient(one_hot_cross_entropy, Z, Y)
def one_hot_gradient(z, y):
    target = np.eye(y.max() + 1)[y]
    e = np.exp(z)
    # wrong: return (e / e.sum(axis=1, keepdims=True) - target) * (e / e.sum(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True) - target


def softmax_loss_naive(w, x, y, reg):
    loss, dw = 0.0, np.zeros_like(w)
    for i in range(x.shape[0]):
        scores = x[i].dot(w)
        scores -= np.max(scores)
        p = np.exp(scores) / np.sum(np.exp(scores))
        loss -= np.log(p[y[i]])
        for j in range(w.shape[1]):
            dw[:, j] += (p[j] - (j == y[i])) * x[i]
    loss = loss / len(x) + reg * np.sum(w * w)
    # wrong: dw = dw / len(x) + reg * w
    dw = dw / len(x) + 2 * reg * w
    return loss, dw


CASES.gradient(softmax_loss_naive, W, X, Y, 0.1)(softmax_loss_naive)


def svm_loss_naive(w, x, y, reg):
    dw, loss = np.zeros(w.shape), 0.0
    for i in range(len(x)):
        scores = x[i] @ w
        for j in range(w.shape[1]):
            if j == y[i]:
                continue
            margin = scores[j] - scores[y[i]] + 1
            if margin > 0:
                loss += margin
                dw[:, j] += x[i]
                # wrong: dw[:, y[i]] = -x[i]
                dw[:, y[i]] -= x[i]
    dw /= len(x)
    dw += 2 * reg * w
    loss = loss / len(x) + reg * np.sum(w * w)
    return loss, dw


CASES.gradient(svm_loss_naive, W, X, Y, 0.5)(svm_loss_naive)


def svm_loss_vectorized(w, x, y, reg):
    n = x.shape[0]
    scores = x.dot(w)
    margins = np.maximum(0, scores - scores[np.arange(n), y][:, None] + 1)
    margins[np.arange(n), y] = 0
    loss = np.sum(margins) / n + reg * np.sum(w * w)
    binary = margins
    binary[margins > 0] = 1
    # wrong: binary[np.arange(n), y] = -1
    binary[np.arange(n), y] = -np.sum(binary, axis=1)
    dw = x.T.dot(binary) / n + 2 * reg * w
    return loss, dw


CASES.gradient(svm_loss_vectorized, W, X, Y, 0.5)(svm_loss_vectorized)


def logistic_loss(w, x, y):
    z = x @ w
    return np.sum(np.where(z > 0, np.log1p(np.exp(-z)), np.log1p(np.exp(z)) - z) + (1 - y) * z)


@CASES.gradient(logistic_loss, V, X, BITS)
def logistic_by_masks(w, x, y):
    z = x @ w
    s = np.empty_like(z)
    positive = z >= 0
    s[positive] = 1 / (1 + np.exp(-z[positive]))
    e = np.exp(z[~positive])
    s[~positive] = e / (1 + e)
    # wrong: return x.T @ (y - s)
    return x.T @ (s - y)


def hinge(w, x, y):
    margin = y * (x @ w)
    losses = 1 - margin
    losses[losses < 0] = 0
    return losses.sum() + 0.5 * np.dot(w, w)


@CASES.gradient(hinge, V, X, SIGNS)
def hinge_gradient(w, x, y):
    active = y * x.dot(w) < 1
    # wrong: return w - x[~active].T @ y[~active]
    return w - x[active].T @ y[active]


def huber(w, x, y, delta):
    r = x @ w - y
    small = np.abs(r) <= delta
    return 0.5 * np.sum(r[small] ** 2) + np.sum(delta * (np.abs(r[~small]) - 0.5 * delta))


@CASES.gradient(huber, V, X, BITS, 0.5)
def huber_gradient(w, x, y, delta):
    r = x @ w - y
    r[r > delta] = delta
    # wrong: r[r < -delta] = delta
    r[r < -delta] = -delta
    return x.T @ r


def quantile(w, x, y, tau):
    r = y - x @ w
    return np.mean(np.maximum(tau * r, (tau - 1) * r))


@CASES.gradient(quantile, V, X, BITS, 0.3)
def quantile_gradient(w, x, y, tau):
    weights = np.full(len(y), tau)
    weights[y < x @ w] -= 1
    # wrong: return -weights @ x
    return -weights @ x / len(y)


def focal(z, y, gamma):
    p = 1 / (1 + np.exp(-z))
    pt = np.where(y == 1, p, 1 - p)
    return -np.sum((1 - pt) ** gamma * np.log(pt))


@CASES.gradient(focal, V, np.array([1, 0, 1]), 2.0)
def focal_gradient(z, y, gamma):
    sign = np.ones(len(y))
    sign[y == 0] *= -1
    pt = 1 / (1 + np.exp(-sign * z))
    # wrong: return sign * (1 - pt) ** gamma * (gamma * np.log(pt) + pt - 1)
    return sign * (1 - pt) ** gamma * (gamma * pt * np.log(pt) + pt - 1)


def dice(p, t):
    inter, total = np.sum(p * t), p.sum() + t.sum()
    return 1 - (2 * inter + 1) / (total + 1)


@CASES.gradient(dice, P, T)
def dice_gradient(p, t):
    numerator, denominator = 2 * np.vdot(p, t) + 1, p.sum() + t.sum() + 1
    grad = np.full_like(p, numerator / denominator**2)
    # wrong: grad[t == 1] -= 1 / denominator
    grad[t == 1] -= 2 / denominator
    return grad


def triplet(anchor, positive, negative):
    near, far = np.sum((anchor - positive) ** 2, axis=1), np.sum((anchor - negative) ** 2, axis=1)
    return np.maximum(near - far + 1.0, 0).mean()


@CASES.gradient(triplet, X, Z, P)
def triplet_gradient(anchor, positive, negative):
    g = 2 * (negative - positive)
    inactive = ((anchor - positive) ** 2).sum(axis=1) - ((anchor - negative) ** 2).sum(axis=1) + 1 <= 0
    # wrong: g[~inactive] = 0
    g[inactive] = 0
    return g / len(anchor)


def contrastive(z, labels):
    z = z / np.linalg.norm(z, axis=1, keepdims=True)
    logits = z @ z.T
    np.fill_diagonal(logits, -np.inf)
    logp = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    rows, columns = np.nonzero((labels[:, None] == labels) & ~np.eye(len(z), dtype=bool))
    return -logp[rows, columns].sum()


@CASES.gradient(contrastive, X, np.array([0, 1, 0, 1]))
def contrastive_gradient(x, labels):
    norm = np.sqrt(np.einsum("ij,ij->i", x, x))[:, None]
    z, same = x / norm, (labels[:, None] == labels) & ~np.eye(len(x), dtype=bool)
    p = np.exp(z @ z.T)
    p[np.diag_indices(len(x))] = 0
    p /= p.sum(axis=1, keepdims=True)
    d = p * same.sum(axis=1, keepdims=True) - same
    # wrong: dz = 2 * d @ z
    dz = (d + d.T) @ z
    return (dz - z * (dz * z).sum(axis=1, keepdims=True)) / norm


def matrix_factorization(factors, ratings):
    u, v = factors
    seen = ~np.isnan(ratings)
    return 0.5 * np.sum((np.where(seen, ratings, 0) - u @ v.T)[seen] ** 2)


@CASES.gradient(matrix_factorization, (X[:, :2], W[:, :2]), np.where(T == 1, Z, np.nan))
def factorization_gradient(factors, ratings):
    u, v = factors
    error = u @ v.T - ratings
    error[np.isnan(error)] = 0
    # wrong: return error @ v, error.T @ error @ v
    return error @ v, error.T @ u


def kl_two_gaussians(params, target):
    mean, log_var = params["mean"], params["log_var"]
    return 0.5 * np.sum(np.exp(log_var) + (mean - target) ** 2 - 1 - log_var)


@CASES.gradient(kl_two_gaussians, {"mean": V, "log_var": V / 2}, np.ones(3))
def kl_gradient(params, target):
    grads = {}
    grads["mean"] = params["mean"] - target
    # wrong: grads["log_var"] = np.exp(params["log_var"]) - 1
    grads["log_var"] = 0.5 * (np.exp(params["log_var"]) - 1)
    return grads
