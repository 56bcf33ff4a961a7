"""Code written for NumPy is traced as it stands, to the function it computes; what cannot be followed is refused."""

from typing import Any

import jax
import numpy as np
import pytest

from autodiff_ref.verify.assertions.numpy_code import through_numpy

W, X = np.array([[0.5, -1.0], [2.0, 0.25], [-0.75, 1.5]]), np.array([[1.0, 2.0, 0.5], [-1.0, 0.25, 3.0]])
K = np.array([1, 0])


def softmax_in_place(w, x, k):
    z = x @ w
    z -= z.max(axis=1, keepdims=True)
    p = np.exp(z)
    p /= p.sum(axis=1, keepdims=True)
    p[np.arange(len(x)), k] -= 1
    return p


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


def many_functions(w, x, k):
    a = np.where(x > 0, np.logaddexp(x, 1.0), np.tanh(x)) + np.einsum("ij,jk->ik", x, w).sum()
    return np.concatenate([a.ravel(), np.maximum(w, 0).reshape(-1), np.add.reduce(w), np.linalg.norm(x, axis=1)])


def out_of_place(w, x, k):
    z = np.empty_like(x)
    np.multiply(x, 3.0, out=z)
    return np.float64(2) * z.T @ x - x.T.dot(z) + np.clip(x, -1, 1).mean()


@pytest.mark.parametrize("f", [softmax_in_place, outer_products, through_a_view, many_functions, out_of_place])
def test_traced_code_computes_what_numpy_does(f: Any):
    with jax.enable_x64(True):
        traced = np.asarray(jax.jit(through_numpy(f))(W, X, K))
    np.testing.assert_allclose(traced, f(W.copy(), X.copy(), K), rtol=1e-14, atol=1e-14)


def writes_into_numpys(w, x, k):
    g = np.zeros(2)
    g[0] = x[0, 0]
    return g


def writes_through_a_transpose(w, x, k):
    t = w.T
    t += 1
    return w


def writes_after_a_transpose(w, x, k):
    t = w.T
    w += 1
    return t


@pytest.mark.parametrize("f", [
    writes_into_numpys,
    writes_through_a_transpose,
    writes_after_a_transpose,
    lambda w, x, k: np.asarray(w),
    lambda w, x, k: w if w[0, 0] > 0 else -w,
    lambda w, x, k: float(w[0, 0]) * w,
    lambda w, x, k: np.linalg.lstsq(x, x @ w, rcond=None)[3] + np.busday_count(w, w),
])  # fmt: skip
def test_what_cannot_be_followed_is_refused(f: Any):
    with pytest.raises((TypeError, ValueError)):
        jax.make_jaxpr(through_numpy(f))(W, X, K)
