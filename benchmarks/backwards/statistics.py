"""Likelihoods, kernels and matrix functions: `scipy.special` under several names, `np.linalg`, `einsum`."""

import numpy as np
import scipy.special as sp
from scipy import special
from scipy.special import digamma, expit, gammaln, log_ndtr, ndtr, softmax, xlogy

from backwards.case import Cases

CASES = Cases()
_rng = np.random.default_rng(5)
X, Y, V = _rng.standard_normal((5, 3)), _rng.standard_normal(5), _rng.standard_normal(3)
BITS, COUNTS = np.array([1.0, 0, 0, 1, 1]), np.array([0, 2, 1, 3, 1])
A = np.array([[2.0, 0.5, 0.25], [0.5, 1.5, -0.5], [0.25, -0.5, 1.0]])
POSITIVE, ALPHA = np.abs(X) + 0.5, np.array([0.5, 1.5, 2.0])


def bernoulli(w, x, y):
    return -np.sum(xlogy(y, expit(x @ w)) + special.xlog1py(1 - y, -expit(x @ w)))


@CASES.gradient(bernoulli, V, X, BITS)
def bernoulli_gradient(w, x, y):
    # wrong: return np.einsum("n,nd->d", sp.expit(x @ w), x)
    return np.einsum("n,nd->d", sp.expit(x @ w) - y, x)


def probit(w, x, y):
    return -np.sum(log_ndtr((2 * y - 1) * (x @ w)))


@CASES.gradient(probit, V, X, BITS)
def probit_gradient(w, x, y):
    sign = 2 * y - 1
    m = sign * (x @ w)
    ratio = np.exp(-0.5 * m * m) / np.sqrt(2 * np.pi) / ndtr(m)
    # wrong: return -ratio @ x
    return -(sign * ratio) @ x


def dirichlet(alpha, p):
    n = len(p)
    return n * (np.sum(gammaln(alpha)) - gammaln(alpha.sum())) - np.sum((alpha - 1) * np.log(p))


@CASES.gradient(dirichlet, ALPHA, POSITIVE / POSITIVE.sum(axis=1, keepdims=True))
def dirichlet_gradient(alpha, p):
    n = p.shape[0]
    # wrong: return n * digamma(alpha) - np.log(p).sum(axis=0)
    return n * (digamma(alpha) - digamma(np.sum(alpha))) - np.log(p).sum(axis=0)


def negative_binomial(params, counts):
    r, p = np.exp(params[0]), expit(params[1])
    ll = gammaln(counts + r) - gammaln(r) + r * np.log(1 - p) + counts * np.log(p)
    return -ll.sum()


@CASES.gradient(negative_binomial, np.array([0.25, -0.5]), COUNTS)
def negative_binomial_gradient(params, counts):
    r, p = np.exp(params[0]), expit(params[1])
    dr = np.sum(special.psi(counts + r) - special.psi(r) + np.log(1 - p))
    dp = np.sum(counts * (1 - p) - r * p)
    # wrong: return -np.array([dr, dp])
    return -np.array([dr * r, dp])


def poisson(w, x, counts):
    rate = np.exp(x @ w)
    return np.sum(rate - counts * np.log(rate) + gammaln(counts + 1))


@CASES.gradient(poisson, V, X, COUNTS)
def poisson_gradient(w, x, counts):
    total = np.zeros(len(w))
    for i in np.flatnonzero(counts >= 0):
        total += (np.exp(x[i] @ w) - counts[i]) * x[i]
    # wrong: return total / len(counts)
    return total


def gaussian(mean, cov, x):
    d = x - mean
    sign, logdet = np.linalg.slogdet(cov)
    return 0.5 * len(x) * logdet + 0.5 * np.sum(d * np.linalg.solve(cov, d.T).T)


@CASES.gradient(gaussian, V, A, X)
def gaussian_mean(mean, cov, x):
    # wrong: return -np.linalg.solve(cov, np.mean(x - mean, axis=0))
    return -np.linalg.solve(cov, np.sum(x - mean, axis=0))


@CASES.gradient(gaussian, V, A, X, wrt="cov")
def gaussian_covariance(mean, cov, x):
    inverse, d = np.linalg.inv(cov), x - mean
    scatter = np.einsum("ni,nj->ij", d, d)
    # wrong: return 0.5 * (len(x) * inverse - inverse @ scatter).T
    return 0.5 * (len(x) * inverse - inverse @ scatter @ inverse).T


def log_det_and_trace(a):
    return np.log(np.linalg.det(a)) + np.trace(a @ a)


@CASES.gradient(log_det_and_trace, A + 0.1 * np.triu(np.ones((3, 3))))
def log_det_gradient(a):
    g = 2 * a.T
    # wrong: g += np.linalg.inv(a)
    g += np.linalg.inv(a).T
    return g


def whitened(factor, x):
    return np.sum(np.linalg.solve(factor, x.T) ** 2) + 2 * np.sum(np.log(np.diag(factor)))


@CASES.gradient(whitened, np.linalg.cholesky(A) + np.triu(np.full((3, 3), 0.1), 1), X)
def whitened_gradient(factor, x):
    z = np.linalg.solve(factor, x.T)
    g = -2 * np.linalg.inv(factor).T @ z @ z.T
    i = np.arange(len(factor))
    # wrong: g[i, i] = 2 / np.diag(factor)
    g[i, i] += 2 / np.diag(factor)
    return g


def rbf_process(theta, x, y):
    scale, noise = np.exp(theta)
    squares = np.sum(x**2, axis=1)
    distance = squares[:, None] + squares[None, :] - 2 * x @ x.T
    k = np.exp(-0.5 * distance / scale**2)
    k[np.diag_indices_from(k)] += noise
    return 0.5 * y @ np.linalg.solve(k, y) + 0.5 * np.linalg.slogdet(k)[1]


@CASES.gradient(rbf_process, np.array([0.25, -0.5]), X, Y)
def rbf_process_gradient(theta, x, y):
    scale, noise = np.exp(theta[0]), np.exp(theta[1])
    difference = x[:, np.newaxis, :] - x[np.newaxis, :, :]
    distance = np.einsum("ijk,ijk->ij", difference, difference)
    kernel = np.exp(-0.5 * distance / scale**2)
    inverse = np.linalg.inv(kernel + noise * np.eye(len(x)))
    alpha = inverse @ y
    outer = inverse - np.outer(alpha, alpha)
    # wrong: return np.array([0.5 * np.sum(outer * kernel * distance) / scale**3, 0.5 * noise * np.trace(outer)])
    return np.array([0.5 * np.sum(outer * kernel * distance) / scale**2, 0.5 * noise * np.trace(outer)])


def mixture(params, x):
    log_p = -0.5 * np.sum((x[:, None, :] - params["means"]) ** 2, axis=2)
    log_p = log_p + params["logits"] - special.logsumexp(params["logits"])
    return -np.sum(special.logsumexp(log_p, axis=1))


@CASES.gradient(mixture, {"means": X[:2] + 1, "logits": V[:2]}, X)
def mixture_gradients(params, x):
    difference = x[:, None, :] - params["means"][None]
    pi = softmax(params["logits"])
    r = softmax(np.log(pi) - 0.5 * (difference**2).sum(-1), axis=1)
    grads = {"means": -np.einsum("nk,nkd->kd", r, difference)}
    # wrong: grads["logits"] = pi - r.mean(axis=0)
    grads["logits"] = len(x) * pi - r.sum(axis=0)
    return grads


def ridge_leave_one_out(penalty, x, y):
    hat = x @ np.linalg.inv(x.T @ x + penalty * np.eye(x.shape[1])) @ x.T
    return np.sum(((y - hat @ y) / (1 - np.diag(hat))) ** 2)


@CASES.gradient(ridge_leave_one_out, 0.5, X, Y)
def leave_one_out_gradient(penalty, x, y):
    inverse = np.linalg.inv(x.T.dot(x) + penalty * np.identity(x.shape[1]))
    half = x.dot(inverse)
    hat, dhat = half.dot(x.T), -half.dot(half.T)
    residual, leverage = y - hat.dot(y), 1 - np.diag(hat)
    e = residual / leverage
    # wrong: de = (-dhat.dot(y) - e * np.diag(dhat)) / leverage
    de = (-dhat.dot(y) + e * np.diag(dhat)) / leverage
    return 2 * np.sum(e * de)


def von_mises(params, angles):
    mu, kappa = params
    return -kappa * np.sum(np.cos(angles - mu)) + len(angles) * np.log(2 * np.pi * special.i0(kappa))


@CASES.gradient(von_mises, np.array([0.5, 1.5]), Y)
def von_mises_gradient(params, angles):
    mu, kappa = params[0], params[1]
    grad = np.empty(2)
    grad[0] = -kappa * np.sin(angles - mu).sum()
    # wrong: grad[1] = -np.cos(angles - mu).sum() + special.i1(kappa) / special.i0(kappa)
    grad[1] = -np.cos(angles - mu).sum() + angles.size * special.i1(kappa) / special.i0(kappa)
    return grad


def spectral_penalty(a):
    return np.sum(np.linalg.svd(a, compute_uv=False))


@CASES.gradient(spectral_penalty, X)
def spectral_penalty_gradient(a):
    u, _, vt = np.linalg.svd(a, full_matrices=False)
    # wrong: return u @ vt.T
    return u @ vt


def beta_regression(w, x, y):
    mu = sp.expit(x @ w)
    return -np.sum(-sp.betaln(4 * mu, 4 * (1 - mu)) + (4 * mu - 1) * np.log(y) + (4 * (1 - mu) - 1) * np.log(1 - y))


@CASES.gradient(beta_regression, V, X, 0.1 + 0.8 * _rng.random(5))
def beta_regression_gradient(w, x, y):
    mu = expit(x @ w)
    ratio = digamma(4 * mu) - digamma(4 * (1 - mu))
    d = 4 * (ratio - np.log(y) + np.log1p(-y))
    # wrong: return x.T @ (d * mu)
    return x.T @ (d * mu * (1 - mu))
