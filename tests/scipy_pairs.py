"""Losses and gradients that use SciPy, as people write them, and what they get wrong. All of our own writing."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from scipy import special, stats
from scipy.optimize import rosen, rosen_der
from scipy.spatial import distance
from scipy.spatial.distance import cdist, pdist, squareform
from scipy.special import logsumexp, softmax
from scipy.stats import multivariate_normal, norm

from tests.numpy_pairs import Pair

Function = Callable[..., Any]


_rng = np.random.default_rng(5)
X = _rng.normal(size=(5, 3))
W = _rng.normal(size=3)
SEEN = _rng.normal(size=5) * 2 + 1
POSITIVE = np.abs(SEEN) + 0.25
COUNTS = np.array([0, 3, 1, 2, 1])
SIGNS = np.array([1.0, -1.0, 1.0, 1.0, -1.0])


def probit(w, x, s):
    return np.sum(stats.norm.logcdf(s * (x @ w)))


def probit_gradient(w, x, s):
    z = s * (x @ w)
    return x.T @ (s * norm.pdf(z) / norm.cdf(z))


def probit_swapped(w, x, s):
    z = s * (x @ w)
    return x.T @ (s * norm.pdf(z) / norm.sf(z))


def censored(p, x, y):
    """A tobit model."""
    mean, s = x @ p[:-1], np.exp(p[-1])
    return np.where(y > 0, norm.logpdf(y, loc=mean, scale=s), norm.logcdf(-mean / s)).sum()


def censored_gradient(p, x, y):
    mean, s = x @ p[:-1], np.exp(p[-1])
    z, a = (y - mean) / s, -mean / s
    ratio = norm.pdf(a) / norm.cdf(a)
    return np.append(x.T @ np.where(y > 0, z, -ratio) / s, np.where(y > 0, z**2 - 1, -ratio * a).sum())


def censored_without_scale(p, x, y):
    mean, s = x @ p[:-1], np.exp(p[-1])
    z, a = (y - mean) / s, -mean / s
    ratio = norm.pdf(a) / norm.cdf(a)
    return np.append(x.T @ np.where(y > 0, z, -ratio), np.where(y > 0, z**2 - 1, -ratio * a).sum())


def student(p, x):
    return stats.t.logpdf(x, *p).sum()


def student_gradient(p, x, loc=1.0):
    v, m, s = p
    z = loc * (x - m) / s
    by_v = (
        special.digamma((v + 1) / 2)
        - special.digamma(v / 2)
        - 1 / v
        - np.log1p(z**2 / v)
        + (v + 1) * z**2 / (v * (v + z**2))
    )
    by_z = -(v + 1) * z / (v + z**2)
    return np.array([by_v.sum() / 2, -by_z.sum() / s, (-by_z * z - 1).sum() / s])


def gamma(p, x):
    return stats.gamma(p[0], scale=1 / p[1]).logpdf(x).sum()


def gamma_gradient(p, x):
    return np.array([(np.log(p[1] * x) - special.psi(p[0])).sum(), (p[0] / p[1] - x).sum()])


def beta(p, x):
    return stats.beta.logpdf(x, p[0], p[1]).sum()


def beta_gradient(p, x):
    both = special.digamma(p.sum())
    return np.array([np.log(x) - special.digamma(p[0]) + both, np.log1p(-x) - special.digamma(p[1]) + both]).sum(axis=1)


def poisson(w, x, k):
    return -stats.poisson.logpmf(k, np.exp(x @ w)).sum()


def poisson_gradient(w, x, k):
    return x.T @ (np.exp(x @ w) - k)


def binomial(w, x, k):
    return stats.binom.logpmf(k, 4, special.expit(x @ w)).sum()


def binomial_gradient(w, x, k):
    return x.T @ (k - 4 * special.expit(x @ w))


def survival(p, t, died):
    z = (np.log(t) - p[1]) / np.exp(p[0])
    return np.sum(np.where(died, norm.logpdf(z) - p[0] - np.log(t), norm.logsf(z)))


def survival_gradient(p, t, died):
    z = (np.log(t) - p[1]) / np.exp(p[0])
    hazard = norm.pdf(z) / norm.sf(z)
    return np.array([np.where(died, z**2 - 1, hazard * z).sum(), np.where(died, z, hazard).sum() / np.exp(p[0])])


COVARIANCE = np.array([[2.0, 0.5, 0.0], [0.5, 1.0, 0.25], [0.0, 0.25, 1.5]])


def normal_of_mean(mean, x, cov):
    return multivariate_normal(mean, cov).logpdf(x).sum()


def normal_of_covariance(cov, x):
    return multivariate_normal.logpdf(x, mean=np.zeros(3), cov=cov).sum()


def covariance_gradient(cov, x):
    inverse = np.linalg.inv(cov)
    return (inverse @ (x.T @ x) @ inverse - len(x) * inverse) / 2


def improvement(x, best):
    m, s = np.sin(x), 1 + x**2
    z = (m - best) / s
    return ((m - best) * norm.cdf(z) + s * norm.pdf(z)).sum()


def improvement_gradient(x, best, by_s=2.0):
    z = (np.sin(x) - best) / (1 + x**2)
    return norm.cdf(z) * np.cos(x) + norm.pdf(z) * by_s * x


def kernel(z, x):
    return np.exp(-0.5 * cdist(z, x, "sqeuclidean")).sum()


def kernel_gradient(z, x, factor=1.0):
    k = np.exp(-0.5 * cdist(z, x, metric="sqeuclidean"))
    return factor * (k @ x - k.sum(axis=1, keepdims=True) * z)


def matern(z, x):
    d = np.sqrt(3) * distance.cdist(z, x)
    return ((1 + d) * np.exp(-d)).sum()


def matern_gradient(z, x):
    d = np.sqrt(3) * distance.cdist(z, x)
    return (-3 * np.exp(-d)[:, :, None] * (z[:, None] - x)).sum(axis=1)


def stress(y, target):
    return ((pdist(y) - target) ** 2).sum()


def stress_gradient(y, target):
    d = squareform(pdist(y)) + np.eye(len(y))
    pull = 2 * (1 - squareform(target) / d) * (1 - np.eye(len(y)))
    return pull.sum(axis=1)[:, None] * y - pull @ y


def blocks(z, x):
    return cdist(z, x, "cityblock").sum()


def default(v, act=np.tanh, total=logsumexp):
    return total(act(v))


HELD = {"tanh": np.tanh, "logsumexp": logsumexp, "zeros": np.zeros, "parts": [norm.logpdf, {"sf": norm.sf}]}
SCALED = partial(norm.logpdf, scale=2.0)


def from_a_dict(v):
    out = HELD["zeros"](len(v))
    out[:] = HELD["tanh"](v)
    return HELD["logsumexp"](out)


def from_a_list(v):
    return HELD["parts"][0](v).sum() + HELD["parts"][1]["sf"](v).sum()


class Layer:
    """With its activation as an attribute."""

    cdf = staticmethod(norm.cdf)

    def __init__(self):
        self.slope = norm.pdf

    def loss(self, v):
        return self.cdf(v).sum()

    def gradient(self, v):
        return self.slope(v)


LAYER = Layer()


def of_tanh(v):
    return softmax(np.tanh(v)) * (1 - np.tanh(v) ** 2)


PAIRS = {
    "norm.logcdf": Pair(probit, probit_gradient, (W, X, SIGNS), (probit_swapped,)),
    "a censored model": Pair(
        censored, censored_gradient, (np.array([0.3, -0.2, 0.5, 0.1]), X, np.maximum(SEEN, 0)), (censored_without_scale,)
    ),
    "t, positional loc and scale": Pair(
        student, student_gradient, (np.array([3.5, 0.5, 1.2]), SEEN), (lambda p, x: student_gradient(p[[0, 2, 1]], x),)
    ),
    "a frozen gamma": Pair(
        gamma, gamma_gradient, (np.array([1.5, 0.75]), POSITIVE), (lambda p, x: gamma_gradient(p[::-1], x),)
    ),
    "beta": Pair(
        beta,
        beta_gradient,
        (np.array([2.5, 1.25]), special.expit(SEEN)),
        (lambda p, x: beta_gradient(p, 1 - x)[::-1] * 1.5,),
    ),
    "poisson.logpmf": Pair(poisson, poisson_gradient, (W, X, COUNTS), (lambda w, x, k: x.T @ (x @ w - k),)),
    "binom.logpmf": Pair(
        binomial, binomial_gradient, (W, X, COUNTS), (lambda w, x, k: x.T @ (k - 3 * special.expit(x @ w)),)
    ),
    "norm.logsf": Pair(survival, survival_gradient, (np.array([0.1, 0.4]), POSITIVE, SIGNS > 0)),
    "multivariate_normal, frozen": Pair(
        normal_of_mean,
        lambda m, x, cov: np.linalg.solve(cov, (x - m).T).sum(axis=1),
        (np.array([0.25, 0.5, -0.75]), X, COVARIANCE),
        (lambda m, x, cov: (cov @ (x - m).T).sum(axis=1),),
    ),
    "multivariate_normal, by its covariance": Pair(
        normal_of_covariance, covariance_gradient, (COVARIANCE, X), (lambda c, x: 2 * covariance_gradient(c, x),)
    ),
    "expected improvement": Pair(
        improvement, improvement_gradient, (SEEN, 0.3), (lambda x, best: improvement_gradient(x, best, by_s=0.0),)
    ),
    "cdist, squared": Pair(kernel, kernel_gradient, (X[:2] + 0.1, X), (lambda z, x: kernel_gradient(z, x, 2.0),)),
    "cdist": Pair(matern, matern_gradient, (X[:2] + 0.1, X), (lambda z, x: matern_gradient(z, x) / 3,)),
    "cdist of a point from itself": Pair(matern, matern_gradient, (X[:2].copy(), X[:3])),
    "pdist and squareform": Pair(
        stress, stress_gradient, (X[:4, :2], pdist(X[1:])), (lambda y, t: stress_gradient(y, 2 * t),)
    ),
    "cityblock": Pair(blocks, lambda z, x: np.sign(z[:, None] - x).sum(axis=1), (X[:2] + 0.1, X)),
    "rosen": Pair(rosen, rosen_der, (np.array([0.5, -1.0, 2.0, 0.25]),)),
    "logsumexp": Pair(logsumexp, softmax, (W,)),
    "a method of a distribution": Pair(norm(1.0, 2.0).logpdf, lambda z: -(z - 1) / 4, (0.7,), (lambda z: -(z - 1) / 2,)),
    "a partial": Pair(SCALED, lambda z: -z / 4, (0.7,), (lambda z: -z,)),
    "a default argument": Pair(default, of_tanh, (W,)),
    "a dict of functions": Pair(from_a_dict, of_tanh, (W,)),
    "a list in a dict": Pair(from_a_list, lambda v: -v - norm.pdf(v), (W,), (lambda v: -v + norm.pdf(v),)),
    "attributes": Pair(LAYER.loss, LAYER.gradient, (W,), (lambda v: LAYER.slope(v) / 2,)),
}
