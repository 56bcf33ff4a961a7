"""Layers as courses write them: `out, cache = forward(…)`, then `backward(dout, cache)`."""

import numpy as np
from scipy import special

from backwards.case import Cases

CASES = Cases()
_rng = np.random.default_rng(0)
X, W, B, Y = _rng.standard_normal((4, 3)), _rng.standard_normal((3, 2)), _rng.standard_normal(2), np.array([1, 0, 1, 1])
G, H = 0.5 + _rng.random(3), _rng.standard_normal((4, 3))


def affine_forward(x, w, b):
    out = x.reshape(x.shape[0], -1).dot(w) + b
    return out, (x, w, b)


@CASES.backward(affine_forward, X, W, B)
def affine_backward(dout, cache):
    x, w, b = cache
    dx = dout.dot(w.T).reshape(x.shape)
    dw = x.reshape(x.shape[0], -1).T.dot(dout)
    # wrong: db = np.mean(dout, axis=0)
    db = np.sum(dout, axis=0)
    return dx, dw, db


def relu_forward(x):
    return np.maximum(0, x), x


@CASES.backward(relu_forward, X)
def relu_by_mask(dout, cache):
    dx = dout.copy()
    # wrong: dx[dout <= 0] = 0
    dx[cache <= 0] = 0
    return dx


def leaky_forward(x, slope):
    out = x.copy()
    out[x < 0] *= slope
    return out, (x, slope)


@CASES.backward(leaky_forward, X, 0.1)
def leaky_backward(dout, cache):
    x, slope = cache
    mask = x < 0
    dx = np.array(dout, copy=True)
    # wrong: dx[~mask] *= slope
    dx[mask] *= slope
    return dx, np.sum(dout[mask] * x[mask])


def elu_forward(x):
    out = np.empty_like(x)
    mask = x > 0
    out[mask] = x[mask]
    out[~mask] = np.exp(x[~mask]) - 1
    return out, out


@CASES.backward(elu_forward, X)
def elu_backward(dout, cache):
    dx = np.ones_like(cache)
    # wrong: dx[cache < 0] = cache[cache < 0]
    dx[cache < 0] = cache[cache < 0] + 1
    return dx * dout


def sigmoid_forward(x):
    out = np.zeros_like(x)
    np.negative(x, out=out)
    np.exp(out, out=out)
    out += 1
    np.divide(1, out, out=out)
    return out, out


@CASES.backward(sigmoid_forward, X)
def sigmoid_backward(dout, cache):
    dx = np.subtract(1, cache)
    np.multiply(dx, cache, out=dx)
    # wrong: dx *= 2 * dout
    dx *= dout
    return dx


def softmax_forward(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    return p, p


@CASES.backward(softmax_forward, X)
def softmax_by_jacobians(dout, cache):
    dx = np.empty_like(cache)
    for k, (p, d) in enumerate(zip(cache, dout)):
        p = p.reshape(-1, 1)
        # wrong: dx[k] = np.diagflat(p * (1 - p)) @ d
        dx[k] = (np.diagflat(p) - p @ p.T) @ d
    return dx


@CASES.backward(softmax_forward, X)
def softmax_by_einsum(dout, cache):
    jacobian = -np.einsum("ni,nj->nij", cache, cache)
    i = np.arange(cache.shape[1])
    jacobian[:, i, i] += cache
    # wrong: return np.einsum("nij,nj->ni", jacobian, cache)
    return np.einsum("nij,nj->ni", jacobian, dout)


def batchnorm_forward(x, gamma, beta, settings):
    mode, momentum = settings.get("mode", "train"), settings.get("momentum", 0.9)
    running = settings.get("running_mean", np.zeros(x.shape[1]))
    if mode == "train":
        mean, var = x.mean(axis=0), x.var(axis=0)
        settings["running_mean"] = momentum * running + (1 - momentum) * mean
    else:
        mean, var = running, np.ones(x.shape[1])
    std = np.sqrt(var + 1e-5)
    xhat = (x - mean) / std
    return gamma * xhat + beta, (xhat, gamma, std, x - mean)


@CASES.backward(batchnorm_forward, X, G, np.zeros(3), {"mode": "train"})
def batchnorm_in_steps(dout, cache):
    xhat, gamma, std, xmu = cache
    n = dout.shape[0]
    dgamma, dbeta = np.sum(dout * xhat, axis=0), np.sum(dout, axis=0)
    dxhat = dout * gamma
    dvar = np.sum(dxhat * xmu, axis=0) * -0.5 * std**-3
    dmean = -np.sum(dxhat, axis=0) / std + dvar * np.mean(-2 * xmu, axis=0)
    # wrong: dx = dxhat / std + dvar * 2 * xmu + dmean / n
    dx = dxhat / std + dvar * 2 * xmu / n + dmean / n
    return dx, dgamma, dbeta


@CASES.backward(batchnorm_forward, X, G, np.zeros(3), {"mode": "train"})
def batchnorm_simplified(dout, cache):
    xhat, gamma, std, _ = cache
    n = len(dout)
    d = dout * gamma
    # wrong: d -= d.mean(axis=0)
    d -= d.mean(axis=0) + xhat * np.sum(d * xhat, axis=0) / n
    d /= std
    return {"dx": d, "dgamma": (dout * xhat).sum(0), "dbeta": dout.sum(0)}


def layernorm_forward(x, gamma, beta):
    xt = x.T
    mu, std = xt.mean(axis=0), np.sqrt(xt.var(axis=0) + 1e-5)
    xhat = ((xt - mu) / std).T
    return gamma * xhat + beta, (xhat, gamma, std)


@CASES.backward(layernorm_forward, X, G, np.zeros(3))
def layernorm_backward(dout, cache):
    xhat, gamma, std = cache
    dh, d = (dout * gamma).T, xhat.shape[1]
    dx = (dh - dh.mean(0) - xhat.T * (dh * xhat.T).sum(0) / d) / std
    # wrong: return dx.T, (dout * xhat).sum(axis=0), dout
    return dx.T, (dout * xhat).sum(axis=0), dout.sum(axis=0)


def dropout_forward(x, p, seed):
    rng = np.random.RandomState(seed)
    mask = (rng.rand(*x.shape) < p) / p
    return x * mask, mask


@CASES.backward(dropout_forward, X, np.asarray(0.5).item(), 3)
def dropout_backward(dout, cache):
    # wrong: return dout * (cache > 0), None
    return dout * cache, None


def embedding_forward(x, table):
    return table[x], (x, table)


@CASES.backward(embedding_forward, np.array([[0, 2], [2, 1]]), X)
def embedding_by_add_at(dout, cache):
    x, table = cache
    dtable = np.zeros_like(table)
    # wrong: dtable[x] += dout
    np.add.at(dtable, x, dout)
    return dtable


@CASES.backward(embedding_forward, np.array([0, 2, 2, 3]), X)
def embedding_by_loop(dout, cache):
    x, table = cache
    grads = {"dtable": np.zeros(table.shape)}
    for k in range(len(x)):
        # wrong: grads["dtable"][x[k]] = dout[k]
        grads["dtable"][x[k]] += dout[k]
    return grads


def gelu_forward(x):
    cdf = 0.5 * (1 + special.erf(x / np.sqrt(2)))
    return x * cdf, (x, cdf)


@CASES.backward(gelu_forward, X)
def gelu_backward(dout, cache):
    x, cdf = cache
    pdf = np.exp(-0.5 * x**2) / np.sqrt(2 * np.pi)
    # wrong: return dout * (cdf + pdf)
    return dout * (cdf + x * pdf)


def l2_normalise_forward(x):
    norm = np.linalg.norm(x, axis=1, keepdims=True)
    return x / norm, (x / norm, norm)


@CASES.backward(l2_normalise_forward, X)
def l2_normalise_backward(dout, cache):
    unit, norm = cache
    # wrong: return dout / norm
    return (dout - unit * np.sum(dout * unit, axis=1, keepdims=True)) / norm


def bilinear_forward(x, w, h):
    return np.einsum("ni,ij,nj->n", x, w, h), (x, w, h)


@CASES.backward(bilinear_forward, X, _rng.standard_normal((3, 3)), H)
def bilinear_backward(dout, cache):
    x, w, h = cache
    dx = dout[:, None] * (h @ w.T)
    # wrong: dw = np.einsum("n,ni,nj->ji", dout, x, h)
    dw = np.einsum("n,ni,nj->ij", dout, x, h)
    dh = np.einsum("n,ni,ij->nj", dout, x, w)
    return dx, dw, dh


def two_heads_forward(x, w, y):
    a = np.tanh(x @ w)
    return a, a[range(len(y)), y], {"a": a, "x": x, "w": w, "y": y}


@CASES.backward(two_heads_forward, X, W, Y)
def two_heads_backward(da, dpicked, cache):
    a, y = cache["a"], cache["y"]
    d = da.copy()
    # wrong: d[range(len(y)), y] = dpicked
    d[range(len(y)), y] += dpicked
    d *= 1 - a**2
    return {"x": d @ cache["w"].T, "w": cache["x"].T @ d}


def maxout_forward(x):
    pieces = x.reshape(len(x), -1, 2)
    which = pieces.argmax(axis=2)
    return pieces.max(axis=2), (which, x.shape)


@CASES.backward(maxout_forward, _rng.standard_normal((3, 4)))
def maxout_backward(dout, cache):
    which, shape = cache
    dx = np.zeros(shape)
    pieces = dx.reshape(shape[0], -1, 2)
    i, j = np.indices(which.shape)
    # wrong: pieces[i, j, 1 - which] = dout
    pieces[i, j, which] = dout
    return dx


def film_forward(x, gamma, beta):
    out = np.full(x.shape, 1.0)
    out *= x
    out[:, [0, 2]] *= gamma
    out[:, [0, 2]] += beta
    return out, (x, gamma)


@CASES.backward(film_forward, X, np.array([0.5, 2.0]), np.array([1.0, -1.0]))
def film_backward(dout, cache):
    x, gamma = cache
    dx = dout.copy()
    # wrong: dx[:, [0, 1]] *= gamma
    dx[:, [0, 2]] *= gamma
    return dx, np.sum(dout[:, [0, 2]] * x[:, [0, 2]], axis=0), dout[:, [0, 2]].sum(axis=0)
