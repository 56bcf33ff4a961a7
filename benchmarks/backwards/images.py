"""Convolutions, pooling and what else is done to images."""

import numpy as np

from backwards.case import Cases

CASES = Cases()
_rng = np.random.default_rng(1)
X, K, B = _rng.standard_normal((2, 2, 4, 4)), _rng.standard_normal((2, 2, 2, 2)), _rng.standard_normal(2)
IMAGE, PATCH, SIGNAL = _rng.standard_normal((4, 5)), _rng.standard_normal((2, 3)), _rng.standard_normal(6)


def conv_naive_forward(x, w, b):
    n, _, h, width = x.shape
    f, _, hh, ww = w.shape
    out = np.zeros((n, f, h - hh + 1, width - ww + 1))
    for i in range(out.shape[2]):
        for j in range(out.shape[3]):
            patch = x[:, :, i : i + hh, j : j + ww]
            out[:, :, i, j] = np.tensordot(patch, w, axes=([1, 2, 3], [1, 2, 3])) + b
    return out, (x, w, b)


@CASES.backward(conv_naive_forward, X, K, B)
def conv_naive_backward(dout, cache):
    x, w, b = cache
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            d = dout[:, :, i, j]
            dw += np.tensordot(d, x[:, :, i : i + 2, j : j + 2], axes=(0, 0))
            # wrong: dx[:, :, i : i + 2, j : j + 2] = np.tensordot(d, w, axes=(1, 0))
            dx[:, :, i : i + 2, j : j + 2] += np.tensordot(d, w, axes=(1, 0))
    return dx, dw, dout.sum(axis=(0, 2, 3))


def im2col(x, size):
    n, c, h, w = x.shape
    rows, columns = h - size + 1, w - size + 1
    i = np.repeat(np.arange(size), size).reshape(-1, 1) + np.repeat(np.arange(rows), columns)
    j = np.tile(np.arange(size), size).reshape(-1, 1) + np.tile(np.arange(columns), rows)
    return i, j, rows, columns


def conv_columns_forward(x, w):
    i, j, rows, columns = im2col(x, w.shape[2])
    cols = x[:, :, i, j].reshape(x.shape[0], -1, rows * columns)
    out = np.einsum("fk,nkp->nfp", w.reshape(len(w), -1), cols)
    return out.reshape(x.shape[0], len(w), rows, columns), (x, w, cols)


@CASES.backward(conv_columns_forward, X, K)
def conv_by_columns(dout, cache):
    x, w, cols = cache
    i, j, _, _ = im2col(x, w.shape[2])
    d = dout.reshape(*dout.shape[:2], -1)
    dcols = np.einsum("fk,nfp->nkp", w.reshape(len(w), -1), d).reshape(x.shape[0], x.shape[1], *i.shape)
    dx = np.zeros(x.shape)
    # wrong: dx[:, :, i, j] += dcols
    np.add.at(dx, (slice(None), slice(None), i, j), dcols)
    return dx, np.einsum("nfp,nkp->fk", d, cols).reshape(w.shape)


def strided_forward(x, w):
    shape = x.shape[0] - w.shape[0] + 1, x.shape[1] - w.shape[1] + 1, *w.shape
    windows = np.lib.stride_tricks.as_strided(x, shape, x.strides * 2)
    return np.einsum("ijkl,kl->ij", windows, w), (x, w)


@CASES.backward(strided_forward, IMAGE, PATCH)
def strided_backward(dout, cache):
    x, w = cache
    padded = np.pad(dout, [(n - 1, n - 1) for n in w.shape])
    # wrong: flipped = w
    flipped = w[::-1, ::-1]
    dx = np.zeros_like(x)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            dx[i, j] = np.sum(padded[i : i + w.shape[0], j : j + w.shape[1]] * flipped)
    return dx, None


def max_pool_forward(x, size):
    n, c, h, w = x.shape
    out = np.max(x.reshape(n, c, h // size, size, w // size, size), axis=(3, 5))
    return out, (x, size)


@CASES.backward(max_pool_forward, X, 2)
def max_pool_by_mask(dout, cache):
    x, size = cache
    dx = np.zeros_like(x)
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            window = x[:, :, i * size : (i + 1) * size, j * size : (j + 1) * size]
            mask = window == np.amax(window, axis=(2, 3), keepdims=True)
            into = dx[:, :, i * size : (i + 1) * size, j * size : (j + 1) * size]
            # wrong: into += mask * dout[:, :, j, i][:, :, None, None]
            into += mask * dout[:, :, i, j][:, :, None, None]
    return dx


@CASES.backward(max_pool_forward, X, 2)
def max_pool_by_argmax(dout, cache):
    x, size = cache
    dx = np.zeros_like(x)
    n, c, h, w = dout.shape
    for k in range(n):
        for channel in range(c):
            for i in range(h):
                for j in range(w):
                    patch = x[k, channel, i * size : i * size + size, j * size : j * size + size]
                    a, b = np.unravel_index(patch.argmax(), patch.shape)
                    # wrong: dx[k, channel, i * size + b, j * size + a] = dout[k, channel, i, j]
                    dx[k, channel, i * size + a, j * size + b] = dout[k, channel, i, j]
    return dx


def average_pool_forward(x):
    return 0.25 * (x[..., ::2, ::2] + x[..., 1::2, ::2] + x[..., ::2, 1::2] + x[..., 1::2, 1::2]), x.shape


@CASES.backward(average_pool_forward, X)
def average_pool_backward(dout, cache):
    dx = np.empty(cache)
    for a in (0, 1):
        for b in (0, 1):
            dx[..., a::2, b::2] = dout
    # wrong: dx /= 2
    dx /= 4
    return dx


def upsample_forward(x):
    return x.repeat(2, axis=0).repeat(2, axis=1), x.shape


@CASES.backward(upsample_forward, IMAGE)
def upsample_backward(dout, cache):
    h, w = cache
    # wrong: return dout.reshape(h, 2, w, 2).mean(axis=(1, 3))
    return dout.reshape(h, 2, w, 2).sum(axis=(1, 3))


def pad_forward(x, width):
    return np.pad(x, width), width


@CASES.backward(pad_forward, IMAGE, 1)
def pad_backward(dout, cache):
    if cache == 0:
        return dout
    # wrong: return dout[: -2 * cache, : -2 * cache]
    return dout[cache:-cache, cache:-cache]


def convolve_forward(x, k):
    return np.convolve(x, k, mode="valid"), (x, k)


@CASES.backward(convolve_forward, SIGNAL, np.array([0.5, -1.0, 2.0]))
def convolve_backward(dout, cache):
    x, k = cache
    # wrong: dx = np.convolve(dout, k, mode="full")
    dx = np.convolve(dout, k[::-1], mode="full")
    dk = np.array([np.dot(dout, x[len(k) - 1 - j : len(x) - j]) for j in range(len(k))])
    return dx, dk


def total_variation(x):
    across, down = np.diff(x, axis=1), np.diff(x, axis=0)
    return np.sqrt(across[:-1] ** 2 + down[:, :-1] ** 2 + 0.1).sum()


@CASES.gradient(total_variation, IMAGE)
def total_variation_gradient(x):
    a, d = x[:-1, 1:] - x[:-1, :-1], x[1:, :-1] - x[:-1, :-1]
    r = np.sqrt(a**2 + d**2 + 0.1)
    g = np.zeros_like(x)
    g[:-1, :-1] -= (a + d) / r
    g[:-1, 1:] += a / r
    # wrong: g[1:, 1:] += d / r
    g[1:, :-1] += d / r
    return g


def depthwise_forward(x, w):
    out = np.empty((x.shape[0], x.shape[1], 3, 3))
    for i in range(3):
        for j in range(3):
            np.einsum("ncij,cij->nc", x[:, :, i : i + 2, j : j + 2], w, out=out[:, :, i, j])
    return out, (x, w)


@CASES.backward(depthwise_forward, X, _rng.standard_normal((2, 2, 2)))
def depthwise_backward(dout, cache):
    x, w = cache
    dx, dw = np.zeros(x.shape), np.zeros(w.shape)
    i = 0
    while i < 3:
        for j in range(3):
            dw += (x[:, :, i : i + 2, j : j + 2] * dout[:, :, i, j, None, None]).sum(axis=0)
            view = dx[:, :, i : i + 2, j : j + 2]
            # wrong: view = view + w * dout[:, :, i, j, None, None]
            view += w * dout[:, :, i, j, None, None]
        i += 1
    return dx, dw
