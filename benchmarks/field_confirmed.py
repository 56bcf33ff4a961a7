"""Every WRONG and NaN of docs/field.md again, by mpmath alone: the judge has no part in it.

    python benchmarks/field_confirmed.py              all of docs/field.json; ends with 1 where one is not confirmed
    python benchmarks/field_confirmed.py spence       those whose function holds a word

Each function is written here once more, in mpmath, from its definition. Its derivative is a difference quotient from both
sides. The steps are 1e-25 and 1e-28 of the square of the smallest size in play; there are 80 digits, and more where sizes
differ. Both sides and both steps have to agree. JAX's value is that of `jax.jacrev` in float64, or of `jax.jacfwd` where
there is no reverse mode.
"""

import json
import pkgutil
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT)]

import jax  # noqa: E402
import mpmath as mp  # noqa: E402
import numpy as np  # noqa: E402

from autodiff_ref.judge.rules.expression import expression_of  # noqa: E402
from benchmarks.rules import of_kind  # noqa: E402

mp.mp.dps = 80
STEPS = ("1e-25", "1e-28")


# Functions of numbers and lists of numbers, from their definitions


def log_beta(a: Any, b: Any) -> Any:
    return mp.loggamma(a) + mp.loggamma(b) - mp.loggamma(a + b)


def log_sigmoid(x: Any) -> Any:
    return -mp.log1p(mp.exp(-x))


def log_choose(n: Any, k: Any) -> Any:
    return mp.loggamma(n + 1) - mp.loggamma(k + 1) - mp.loggamma(n - k + 1)


def beta_cdf(a: Any, b: Any, x: Any) -> Any:
    return mp.betainc(a, b, 0, x, regularized=True)


def beta_quantile(a: Any, b: Any, q: Any) -> Any:
    return mp.findroot(lambda x: beta_cdf(a, b, x) - q, mp.mpf("0.3"))


def log_of_gamma_quantile(a: Any, q: Any) -> Any:
    """log y with P(a, y) = q, where y is so small that P(a, y) = y^a / Γ(a + 1) to all digits."""
    found = (mp.log(q) + mp.loggamma(a + 1)) / a
    assert found < -300
    return found


def beta_entropy(a: Any, b: Any) -> Any:
    digamma = mp.digamma
    return log_beta(a, b) - (a - 1) * digamma(a) - (b - 1) * digamma(b) + (a + b - 2) * digamma(a + b)


def beta_kl(a: Any, b: Any, c: Any, d: Any) -> Any:
    digamma = mp.digamma
    return log_beta(c, d) - log_beta(a, b) + (a - c) * digamma(a) + (b - d) * digamma(b) + (c - a + d - b) * digamma(a + b)


def beta_log_prob(a: Any, b: Any, x: Any) -> Any:
    return (a - 1) * mp.log(x) + (b - 1) * mp.log(1 - x) - log_beta(a, b)


def beta_binomial(a: Any, b: Any, n: Any, k: Any) -> Any:
    return log_choose(n, k) + log_beta(k + a, n - k + b) - log_beta(a, b)


def gamma_poisson(a: Any, rate: Any, k: Any) -> Any:
    counts = mp.loggamma(k + a) - mp.loggamma(k + 1) - mp.loggamma(a)
    return counts + a * mp.log(rate / (1 + rate)) - k * mp.log(1 + rate)


def dagum(p: Any, a: Any, scale: Any, power: int) -> Any:
    return scale**power * p * mp.exp(log_beta(1 - mp.mpf(power) / a, p + mp.mpf(power) / a))


def kumaraswamy(a: Any, b: Any, power: int) -> Any:
    return b * mp.exp(log_beta(1 + mp.mpf(power) / a, b))


def kumaraswamy_beta(a: Any, b: Any, alpha: Any, beta: Any) -> Any:
    """Formula (12) of arXiv:1605.06197, with ten terms of its series, as numpyro has it."""
    first = (alpha / a - 1) * (mp.euler + mp.digamma(b) + 1 / b)
    second = mp.log(a * b) + log_beta(alpha, beta) + 1 / b - 1
    return first + second + (beta - 1) * b * sum(mp.exp(log_beta(m / a, b)) / (m + a * b) for m in range(1, 11))


def power_law_cdf(alpha: Any, low: Any, high: Any, x: Any) -> Any:
    if alpha == -1:
        return mp.log(x / low) / mp.log(high / low)
    return (x ** (1 + alpha) - low ** (1 + alpha)) / (high ** (1 + alpha) - low ** (1 + alpha))


def power_law_icdf(alpha: Any, low: Any, high: Any, q: Any) -> Any:
    if alpha == -1:
        return low * (high / low) ** q
    return (low ** (1 + alpha) + q * (high ** (1 + alpha) - low ** (1 + alpha))) ** (1 / (1 + alpha))


def laplace_cdf(loc: Any, scale: Any, x: Any) -> Any:
    z = (x - loc) / scale
    return mp.exp(z) / 2 if z < 0 else 1 - mp.exp(-z) / 2


def laplace_icdf(loc: Any, scale: Any, q: Any) -> Any:
    return loc + scale * (mp.log(2 * q) if q < mp.mpf(1) / 2 else -mp.log(2 - 2 * q))


def laplace_truncated(loc: Any, scale: Any, low: Any, high: Any, x: Any) -> Any:
    inside = laplace_cdf(loc, scale, high) - laplace_cdf(loc, scale, low)
    return -abs(x - loc) / scale - mp.log(2 * scale) - mp.log(inside)


def normal_cdf(z: Any) -> Any:
    return mp.erfc(-z / mp.sqrt(2)) / 2


def normal_log_prob(loc: Any, scale: Any, x: Any) -> Any:
    return -(((x - loc) / scale) ** 2) / 2 - mp.log(scale * mp.sqrt(2 * mp.pi))


def normal_below(loc: Any, scale: Any, high: Any, x: Any) -> Any:
    return normal_log_prob(loc, scale, x) - mp.log(normal_cdf((high - loc) / scale))


def student_cdf(df: Any, loc: Any, scale: Any, x: Any) -> Any:
    z = (x - loc) / scale
    tail = mp.betainc(df / 2, mp.mpf(1) / 2, 0, df / (df + z * z), regularized=True) / 2
    return tail if z < 0 else 1 - tail


def von_mises_cdf(loc: Any, concentration: Any, x: Any) -> Any:
    """∫ from −π of the density."""
    constant = 2 * mp.pi * mp.besseli(0, concentration)
    parts = [-mp.pi, (x - loc) / 2 - mp.pi / 2, x - loc]
    return mp.quad(lambda t: mp.exp(concentration * mp.cos(t)), parts) / constant


def normal_inverse_gaussian(loc: Any, scale: Any, tail: Any, skew: Any, x: Any) -> Any:
    z, root = (x - loc) / scale, mp.sqrt(tail**2 - skew**2)
    distance = mp.sqrt(1 + z * z)
    return mp.log(tail * mp.besselk(1, tail * distance) / (mp.pi * scale * distance)) + root + skew * z


def noncentral_chi2(df: Any, noncentrality: Any, x: Any) -> Any:
    order = df / 2 - 1
    front = -(x + noncentrality) / 2 + order / 2 * mp.log(x / noncentrality) - mp.log(2)
    return front + mp.log(mp.besseli(order, mp.sqrt(noncentrality * x)))


def focal(logits: Any, labels: Any, alpha: Any = -1, gamma: Any = 2) -> Any:
    p = mp.exp(log_sigmoid(logits))
    loss = -labels * log_sigmoid(logits) - (1 - labels) * log_sigmoid(-logits)
    loss *= (1 - (p * labels + (1 - p) * (1 - labels))) ** gamma
    return loss * (alpha * labels + (1 - alpha) * (1 - labels)) if alpha >= 0 else loss


def hyperbolic(x: Any) -> Any:
    return mp.sign(x) * (mp.sqrt(abs(x) + 1) - 1) + mp.mpf(1e-3) * x


def hyperbolic_inverse(x: Any) -> Any:
    eps = mp.mpf(1e-3)
    z = mp.sqrt(1 + 4 * eps * (eps + 1 + abs(x))) / 2 / eps - 1 / (2 * eps)
    return mp.sign(x) * (z * z - 1)


def lambda_returns(r: Any, discount: Any, v: Any, mix: Any) -> Any:
    values, returns, after = [hyperbolic_inverse(x) for x in v], list[Any](), None
    for k in reversed(range(len(r))):
        after = values[k] if after is None else after
        after = r[k] + discount[k] * ((1 - mix) * values[k] + mix * after)
        returns.append(hyperbolic(after))
    return returns[::-1]


def n_step_returns(r: Any, discount: Any, v: Any, n: int) -> Any:
    values, found = [hyperbolic_inverse(x) for x in v], list[Any]()
    for t in range(len(r)):
        last = min(t + n, len(r)) - 1
        after = values[last]
        for k in reversed(range(t, last + 1)):
            after = r[k] + discount[k] * after
        found.append(hyperbolic(after))
    return found


def quantile(a: Any, q: Any) -> Any:
    a, place = sorted(a), q * (len(a) - 1)
    k = min(int(mp.floor(place)), len(a) - 2)
    return a[k] + (place - k) * (a[k + 1] - a[k])


def l2_ball(x: Any, radius: Any = 1) -> Any:
    length = mp.sqrt(sum(v * v for v in x))
    return list(x) if length <= radius else [radius * v / length for v in x]


def spence(x: Any) -> Any:
    return mp.polylog(2, 1 - x).real if x > 0 else mp.zeta(2)


def rising(z: Any, m: Any) -> Any:
    return mp.fprod(z + k for k in range(int(m))) if m == int(m) and m >= 0 else mp.gammaprod([z + m], [z])


def power(x: Any, y: Any) -> Any:
    return mp.mpf(1) if y == 0 else mp.mpf(0) if x == 0 and y > 0 else x**y


def x_log(x: Any, log: Any) -> Any:
    return mp.mpf(0) if x == 0 else x * log


def normal_between(loc: Any, scale: Any, low: Any, high: Any, x: Any) -> Any:
    inside = normal_cdf((high - loc) / scale) - normal_cdf((low - loc) / scale)
    return normal_log_prob(loc, scale, x) - mp.log(inside)


def poisson_entropy(mu: Any) -> Any:
    logs = [k * mp.log(mu) - mu - mp.loggamma(k + 1) for k in range(120)]
    return -sum(mp.exp(log) * log for log in logs)


def householder(a: Any) -> Any:
    """R of LAPACK's QR factors of a matrix with two columns."""
    m = mp.matrix(a)
    for k in range(2):
        column = [m[i, k] for i in range(k, m.rows)]
        if not any(column[1:]):
            continue
        beta = -mp.sign(column[0] or 1) * mp.sqrt(sum(v * v for v in column))
        v = [column[0] - beta, *column[1:]]
        for j in range(k, 2):
            along = 2 * sum(v[i] * m[k + i, j] for i in range(len(v))) / sum(x * x for x in v)
            for i in range(len(v)):
                m[k + i, j] -= along * v[i]
    return [[m[i, j] if j >= i else mp.mpf(0) for j in range(2)] for i in range(2)]


def cholesky_concat(chol: Any, cols: Any) -> Any:
    """The Cholesky factor of a matrix of three rows, from that of its first two and the last column."""
    (a, _), (b, c) = chol
    (p,), (q,), (r,) = cols
    u = p / a
    v = (q - b * u) / c
    zero = mp.mpf(0)
    return [[a, zero, zero], [b, c, zero], [u, v, mp.sqrt(r - u * u - v * v)]]


def extreme_value(loc: Any, scale: Any, shape: Any, x: Any) -> tuple[Any, Any]:
    """(t, log t) with t = (1 + ξ z)^(−1/ξ)"""
    z = (x - loc) / scale
    log = -z if shape == 0 else -mp.log(1 + shape * z) / shape
    return mp.exp(log), log


def extreme_value_quantile(loc: Any, scale: Any, shape: Any, q: Any) -> Any:
    log = mp.log(-mp.log(q))
    return loc + scale * (-log if shape == 0 else mp.expm1(-shape * log) / shape)


def pareto_log_survival(loc: Any, scale: Any, shape: Any, x: Any) -> Any:
    z = (x - loc) / scale
    return -z if shape == 0 else -mp.log(1 + shape * z) / shape


def pareto_log_prob(loc: Any, scale: Any, shape: Any, x: Any) -> Any:
    return pareto_log_survival(loc, scale, shape, x) * (1 + shape) - mp.log(scale)


def pareto_quantile(loc: Any, scale: Any, shape: Any, q: Any) -> Any:
    log = mp.log(1 - q)
    return loc + scale * (-log if shape == 0 else mp.expm1(-shape * log) / shape)


def moyal_cdf(loc: Any, scale: Any, x: Any) -> Any:
    u = mp.exp(-(x - loc) / (2 * scale)) / mp.sqrt(2)
    return mp.mpf(0) if u > 1e8 else mp.erfc(u)  # below e^(−10^16)


def upper_gamma(a: Any, x: Any) -> Any:
    return mp.gammainc(a, x, mp.inf, regularized=True)


def stopping_ratio(cutpoints: Any, loc: Any, k: Any) -> Any:
    passed = sum(log_sigmoid(loc - c) for c in cutpoints[: int(k)])
    return passed + (log_sigmoid(cutpoints[int(k)] - loc) if k < len(cutpoints) else 0)


def two_pieces(z: Any, skew: Any, cdf: Callable[[Any], Any]) -> Any:
    if z < 0:
        return 2 / (1 + skew**2) * cdf(skew * z)
    return 1 - 2 * skew**2 / (1 + skew**2) * cdf(-z / skew)


def two_piece_student(df: Any, loc: Any, scale: Any, skew: Any, x: Any) -> Any:
    return two_pieces((x - loc) / scale, skew, lambda z: student_cdf(df, mp.mpf(0), mp.mpf(1), z))


def inverse_gaussian_survival(loc: Any, shape: Any, x: Any) -> Any:
    root = mp.sqrt(shape / x)
    return normal_cdf(root * (1 - x / loc)) - mp.exp(2 * shape / loc) * normal_cdf(-root * (1 + x / loc))


def continuous_bernoulli_cdf(logits: Any, x: Any) -> Any:
    return x if logits == 0 else mp.expm1(x * logits) / mp.expm1(logits)


def continuous_bernoulli_quantile(logits: Any, q: Any) -> Any:
    return q if logits == 0 else mp.log1p(q * mp.expm1(logits)) / logits


def lambert_normal(loc: Any, scale: Any, tail: Any, x: Any) -> Any:
    """(z, u) with x = loc + scale u and u = z exp(δ z²/2)"""
    u = (x - loc) / scale
    return mp.sign(u) * mp.sqrt(mp.lambertw(tail * u * u).real / tail), u


def lambert_normal_log_prob(loc: Any, scale: Any, tail: Any, x: Any) -> Any:
    z, _ = lambert_normal(loc, scale, tail, x)
    slope = mp.exp(tail * z * z / 2) * (1 + tail * z * z)
    return normal_log_prob(mp.mpf(0), mp.mpf(1), z) - mp.log(slope * scale)


def generalized_normal_cdf(x: Any, beta: Any) -> Any:
    return (1 + mp.sign(x) * mp.gammainc(1 / beta, 0, abs(x) ** beta, regularized=True)) / 2


def hill_von_mises_cdf(loc: Any, concentration: Any, x: Any) -> Any:
    """What TFP and distrax compute: Hill's normal approximation for a concentration over 10.5 (ACM TOMS 3, 1977)."""
    if concentration <= mp.mpf("10.5"):
        return von_mises_cdf(loc, concentration, x)
    z = mp.sqrt(2 / mp.pi) * mp.exp(concentration) / mp.besseli(0, concentration) * mp.sin((x - loc) / 2)
    c = 24 * concentration
    inner = (c - 2 * z**2 - 16) / 3 - (z**4 + 7 * z**2 / 4 + mp.mpf(167) / 2) / (c - 56 - z**2 + 3)
    return normal_cdf(z - z**3 / inner**2)


def asymmetric_laplace_cdf(loc: Any, scale: Any, quantile: Any, x: Any) -> Any:
    """The density falls as exp((1 − q) z) to the left and exp(−q z) to the right; the cdf at loc is q."""
    z = (x - loc) / scale
    return quantile * mp.exp((1 - quantile) * z) if z < 0 else 1 - (1 - quantile) * mp.exp(-quantile * z)


def asymmetric_laplace_quantile(loc: Any, scale: Any, quantile: Any, u: Any) -> Any:
    if u < quantile:
        return loc + scale * mp.log(u / quantile) / (1 - quantile)
    return loc - scale * mp.log((1 - u) / (1 - quantile)) / quantile


def cauchy_between(loc: Any, scale: Any, low: Any, high: Any, x: Any) -> Any:
    below = mp.atan((low - loc) / scale)
    return (mp.atan((x - loc) / scale) - below) / (mp.atan((high - loc) / scale) - below)


def normal_between_variance(loc: Any, scale: Any, low: Any, high: Any) -> Any:
    a, b = (low - loc) / scale, (high - loc) / scale
    inside = normal_cdf(b) - normal_cdf(a)
    at_a, at_b = mp.npdf(a) / inside, mp.npdf(b) / inside
    return scale**2 * (1 + a * at_a - b * at_b - (at_a - at_b) ** 2)


def normal_quantile(q: Any) -> Any:
    return mp.sqrt(2) * mp.erfinv(2 * q - 1)


def relaxed_bernoulli(temperature: Any, logits: Any, x: Any) -> Any:
    """The logistic variable whose sigmoid is the cdf."""
    return temperature * (mp.log(x) - mp.log1p(-x)) - logits


def relaxed_bernoulli_cdf(temperature: Any, logits: Any, x: Any) -> Any:
    return mp.exp(log_sigmoid(relaxed_bernoulli(temperature, logits, x)))


def relaxed_bernoulli_log_prob(temperature: Any, logits: Any, x: Any) -> Any:
    z = relaxed_bernoulli(temperature, logits, x)
    return mp.log(temperature) + log_sigmoid(z) + log_sigmoid(-z) - mp.log(x) - mp.log1p(-x)


def weibull_cdf(concentration: Any, scale: Any, x: Any) -> Any:
    return -mp.expm1(-((x / scale) ** concentration))


def johnson_su_log_prob(skew: Any, tail: Any, loc: Any, scale: Any, x: Any) -> Any:
    z = (x - loc) / scale
    normal = normal_log_prob(mp.mpf(0), mp.mpf(1), skew + tail * mp.asinh(z))
    return normal + mp.log(tail / scale) - mp.log(1 + z * z) / 2


def student_pdf(x: Any, df: Any) -> Any:
    front = mp.exp(mp.loggamma((df + 1) / 2) - mp.loggamma(df / 2)) / mp.sqrt(df * mp.pi)
    return front * (1 + x * x / df) ** (-(df + 1) / 2)


def student_variance(df: Any, loc: Any, tril: Any) -> Any:
    return [df / (df - 2) * sum(v * v for v in row) for row in tril]


def halfspace(x: Any, a: Any, b: Any) -> Any:
    over = max(sum(u * v for u, v in zip(a, x, strict=True)) - b, mp.mpf(0))
    return [u - over * v / sum(w * w for w in a) for u, v in zip(x, a, strict=True)]


def simplex(x: Any, total: Any) -> Any:
    """max(x − τ, 0) with the τ at which the entries sum to the total."""
    largest = sorted(x, reverse=True)
    taus = [(sum(largest[:k]) - total) / k for k in range(1, len(x) + 1)]
    tau = [t for t, v in zip(taus, largest, strict=True) if v > t][-1]
    return [max(v - tau, mp.mpf(0)) for v in x]


def l1_ball(x: Any, radius: Any) -> Any:
    if sum(map(abs, x)) <= radius:
        return list(x)
    return [mp.sign(v) * u for u, v in zip(simplex([abs(v) for v in x], radius), x, strict=True)]


def group_lasso(x: Any, strength: Any, scaling: Any) -> Any:
    length = mp.sqrt(sum(v * v for v in x))
    return [max(1 - strength * scaling / length, mp.mpf(0)) * v for v in x]


def expm_of_two(m: Any) -> Any:
    """e^s (cosh q I + sinh q / q (M − s I)) with s half the trace and q² = s² − det M"""
    (a, b), (c, d) = m
    s = (a + d) / 2
    q = mp.sqrt(((a - d) / 2) ** 2 + b * c)
    even, odd = mp.exp(s) * mp.cosh(q), mp.exp(s) * (mp.sinh(q) / q if q else 1)
    return [[mp.re(even + odd * (a - s)), mp.re(odd * b)], [mp.re(odd * c), mp.re(even + odd * (d - s))]]


def cholesky_update(chol: Any, v: Any) -> Any:
    """The Cholesky factor of L Lᵀ + v vᵀ, of two rows"""
    (a, _), (b, c) = chol
    first = mp.sqrt(a * a + v[0] ** 2)
    below = (a * b + v[0] * v[1]) / first
    return [[first, mp.mpf(0)], [below, mp.sqrt(b * b + c * c + v[1] ** 2 - below**2)]]


def wald(mean: Any) -> Any:
    """By Michael, Schucany and Haas, with the two numbers that the key gives."""
    with jax.enable_x64(True):
        of_normal, of_uniform = jax.random.split(jax.random.key(0))
        y, z = mp.mpf(float(jax.random.normal(of_normal))) ** 2, mp.mpf(float(jax.random.uniform(of_uniform)))
    x = mean + mean**2 * y / 2 - mean / 2 * mp.sqrt(4 * mean * y + mean**2 * y**2)
    return x if z <= mean / (mean + x) else mean**2 / x


IN_MPMATH: dict[str, Callable[..., Any]] = {
    "optax.sigmoid_focal_loss(reals(), intervals(0., 1., closed=True))": focal,
    "optax.sigmoid_focal_loss(": lambda x, y: focal(x, y, mp.mpf(1) / 4, mp.mpf(3) / 2),
    "rlax.transformed_lambda_returns": lambda r, d, v: lambda_returns(r, d, v, mp.mpf(1) / 2),
    "rlax.transformed_n_step_returns": lambda r, d, v: n_step_returns(r, d, v, 2),
    "rlax.power": lambda x: mp.sign(x) * ((abs(x) / mp.sqrt(2) + 1) ** 2 - 1) / mp.sqrt(2),
    "rlax.signed_expm1": lambda x: mp.sign(x) * mp.expm1(abs(x)),
    "rlax.signed_hyperbolic": hyperbolic,
    "rlax.signed_logp1": lambda x: mp.sign(x) * mp.log1p(abs(x)),
    "distrax.Laplace(reals(), positives()).cdf": laplace_cdf,
    "distrax.VonMises(intervals(-3.1, 3.1), positives()).cdf": hill_von_mises_cdf,
    "numpyro.distributions.BernoulliLogits": lambda x, y: log_sigmoid(x) if y == 1 else log_sigmoid(-x),
    "numpyro.distributions.Bernoulli(": lambda x, y: log_sigmoid(x) if y == 1 else log_sigmoid(-x),
    "numpyro.distributions.BinomialLogits": lambda x, n, k: (
        log_choose(n, k) + k * log_sigmoid(x) + (n - k) * log_sigmoid(-x)
    ),
    "numpyro.distributions.Beta(positives(), positives()).cdf": beta_cdf,
    "numpyro.distributions.Beta(positives(), positives()).entropy": beta_entropy,
    "numpyro.distributions.BetaBinomial": beta_binomial,
    "numpyro.distributions.BetaNegativeBinomial": lambda a, b, n, k: (
        mp.loggamma(n + k) - mp.loggamma(n) - mp.loggamma(k + 1) + log_beta(a + k, b + n) - log_beta(a, b)
    ),
    "numpyro.distributions.BetaProportion(intervals(0., 1.), positives()).cdf": (
        lambda mean, c, x: beta_cdf(mean * c, (1 - mean) * c, x)
    ),
    "numpyro.distributions.BetaProportion": lambda mean, c: beta_entropy(mean * c, (1 - mean) * c),
    "numpyro.distributions.Dagum(positives(), positives(), positives()).mean": lambda p, a, b: dagum(p, a, b, 1),
    "numpyro.distributions.Dagum(positives(), positives(), positives()).variance": lambda p, a, b: (
        dagum(p, a, b, 2) - dagum(p, a, b, 1) ** 2
    ),
    "numpyro.distributions.GammaPoisson": gamma_poisson,
    "numpyro.distributions.Kumaraswamy(positives(), positives()).mean": lambda a, b: kumaraswamy(a, b, 1),
    "numpyro.distributions.Kumaraswamy(positives(), positives()).variance": lambda a, b: (
        kumaraswamy(a, b, 2) - kumaraswamy(a, b, 1) ** 2
    ),
    "numpyro.distributions.Laplace(loc=reals(), scale=positives()).cdf": laplace_cdf,
    "numpyro.distributions.Laplace(loc=reals(), scale=positives()).icdf": laplace_icdf,
    "numpyro.distributions.NegativeBinomial2": lambda mean, c, k: gamma_poisson(c, c / mean, k),
    "numpyro.distributions.NegativeBinomialProbs": lambda n, p, k: gamma_poisson(n, 1 / p - 1, k),
    "numpyro.distributions.NegativeBinomialLogits": lambda n, x, k: gamma_poisson(n, mp.exp(-x), k),
    "numpyro.distributions.DoublyTruncatedPowerLaw(reals(), constants(1.), intervals(2.5, 20.)).cdf": power_law_cdf,
    "numpyro.distributions.DoublyTruncatedPowerLaw(constants(-1.)": power_law_cdf,
    "numpyro.distributions.DoublyTruncatedPowerLaw(reals(), constants(1.), intervals(2.5, 20.)).icdf": power_law_icdf,
    "numpyro.distributions.TruncatedDistribution(numpyro.distributions.Laplace": laplace_truncated,
    "numpyro.distributions.TruncatedNormal(reals(), positives(), high=constants(1.)).log_prob": normal_below,
    "numpyro.distributions.Gumbel(loc=reals(), scale=positives()).cdf": lambda m, s, x: mp.exp(-mp.exp(-(x - m) / s)),
    "numpyro.distributions.StudentT(positives(), loc=reals(), scale=positives()).cdf": student_cdf,
    "numpyro.distributions.kl_divergence(numpyro.distributions.Beta": beta_kl,
    "numpyro.distributions.kl_divergence(numpyro.distributions.Kumaraswamy": kumaraswamy_beta,
    "distrax.Beta(positives(), positives()).entropy": beta_entropy,
    "distrax.Beta(positives(), positives()).kl_divergence": beta_kl,
    "tfp.distributions.Beta(concentration1=positives(), concentration0=positives()).cdf": beta_cdf,
    "tfp.distributions.Beta(concentration1=positives(), concentration0=positives()).log_cdf": lambda a, b, x: mp.log(
        beta_cdf(a, b, x)
    ),
    "tfp.distributions.Beta(concentration1=positives(), concentration0=positives()).log_survival": lambda a, b, x: mp.log(
        1 - beta_cdf(a, b, x)
    ),
    "tfp.distributions.NormalInverseGaussian": normal_inverse_gaussian,
    "tfp.distributions.NoncentralChi2": noncentral_chi2,
    "tfp.distributions.StudentT(df=positives(), loc=reals(), scale=positives()).cdf": student_cdf,
    "tfp.math.dawsn": lambda x: 1 / (2 * x) + 1 / (4 * x**3) + 3 / (8 * x**5),
    "tfp.distributions.GeneralizedExtremeValue(loc=reals(), scale=positives(), concentration=reals()).log_prob": (
        lambda m, s, c, x: (1 + c) * extreme_value(m, s, c, x)[1] - extreme_value(m, s, c, x)[0] - mp.log(s)
    ),
    "tfp.distributions.GeneralizedExtremeValue(loc=reals(), scale=positives(), concentration=reals()).cdf": (
        lambda m, s, c, x: mp.exp(-extreme_value(m, s, c, x)[0])
    ),
    "tfp.distributions.GeneralizedExtremeValue(loc=reals(), scale=positives(), concentration=reals()).log_cdf": (
        lambda m, s, c, x: -extreme_value(m, s, c, x)[0]
    ),
    "tfp.distributions.GeneralizedExtremeValue(loc=reals(), scale=positives(), concentration=reals()).log_survival": (
        lambda m, s, c, x: mp.log(-mp.expm1(-extreme_value(m, s, c, x)[0]))
    ),
    "tfp.distributions.GeneralizedExtremeValue(loc=reals(), scale=positives(), concentration=reals()).quantile": (
        extreme_value_quantile
    ),
    "tfp.distributions.GeneralizedPareto(loc=reals(), scale=positives(), concentration=reals()).log_prob": pareto_log_prob,
    "tfp.distributions.GeneralizedPareto(loc=reals(), scale=positives(), concentration=reals()).cdf": (
        lambda m, s, c, x: -mp.expm1(pareto_log_survival(m, s, c, x))
    ),
    "tfp.distributions.GeneralizedPareto(loc=reals(), scale=positives(), concentration=reals()).log_cdf": (
        lambda m, s, c, x: mp.log(-mp.expm1(pareto_log_survival(m, s, c, x)))
    ),
    "tfp.distributions.GeneralizedPareto(loc=reals(), scale=positives(), concentration=reals()).log_survival": (
        pareto_log_survival
    ),
    "tfp.distributions.GeneralizedPareto(loc=reals(), scale=positives(), concentration=reals()).quantile": pareto_quantile,
    "tfp.distributions.GeneralizedNormal(loc=reals(), scale=positives(), power=positives()).log_prob": (
        lambda m, s, p, x: -((abs(x - m) / s) ** p) - mp.log(2 * s) - mp.loggamma(1 + 1 / p)
    ),
    "tfp.distributions.GeneralizedNormal(loc=reals(), scale=positives(), power=positives()).cdf": (
        lambda m, s, p, x: generalized_normal_cdf((x - m) / s, p)
    ),
    "tfp.distributions.GeneralizedNormal(loc=reals(), scale=positives(), power=positives()).log_cdf": (
        lambda m, s, p, x: mp.log(generalized_normal_cdf((x - m) / s, p))
    ),
    "tfp.distributions.GeneralizedNormal(loc=reals(), scale=positives(), power=positives()).log_survival": (
        lambda m, s, p, x: mp.log(1 - generalized_normal_cdf((x - m) / s, p))
    ),
    "tfp.distributions.Geometric(logits=reals()).log_prob": lambda x, k: log_sigmoid(x) + k * log_sigmoid(-x),
    "tfp.distributions.LambertWNormal(loc=reals(), scale=positives(), tailweight=positives()).log_prob": (
        lambert_normal_log_prob
    ),
    "tfp.distributions.LambertWNormal(loc=reals(), scale=positives(), tailweight=positives()).cdf": (
        lambda m, s, t, x: normal_cdf(lambert_normal(m, s, t, x)[0])
    ),
    "tfp.distributions.LambertWNormal(loc=reals(), scale=positives(), tailweight=positives()).log_cdf": (
        lambda m, s, t, x: mp.log(normal_cdf(lambert_normal(m, s, t, x)[0]))
    ),
    "tfp.distributions.LambertWNormal(loc=reals(), scale=positives(), tailweight=positives()).log_survival": (
        lambda m, s, t, x: mp.log(normal_cdf(-lambert_normal(m, s, t, x)[0]))
    ),
    "tfp.distributions.ContinuousBernoulli(logits=reals()).cdf": continuous_bernoulli_cdf,
    "tfp.distributions.ContinuousBernoulli(logits=reals()).log_cdf": lambda x, y: mp.log(continuous_bernoulli_cdf(x, y)),
    "tfp.distributions.ContinuousBernoulli(logits=reals()).log_survival": (
        lambda x, y: mp.log(1 - continuous_bernoulli_cdf(x, y))
    ),
    "tfp.distributions.ContinuousBernoulli(logits=reals()).quantile": continuous_bernoulli_quantile,
    "tfp.distributions.Gumbel(loc=reals(), scale=positives()).cdf": lambda m, s, x: mp.exp(-mp.exp(-(x - m) / s)),
    "tfp.distributions.Laplace(loc=reals(), scale=positives()).cdf": laplace_cdf,
    "tfp.distributions.Moyal(loc=reals(), scale=positives()).cdf": moyal_cdf,
    "tfp.distributions.NegativeBinomial(total_count=positives(), logits=reals()).cdf": (
        lambda n, x, k: beta_cdf(n, 1 + k, mp.exp(log_sigmoid(-x)))
    ),
    "tfp.distributions.NegativeBinomial(total_count=positives(), logits=reals()).log_cdf": (
        lambda n, x, k: mp.log(beta_cdf(n, 1 + k, mp.exp(log_sigmoid(-x))))
    ),
    "tfp.distributions.NegativeBinomial(total_count=positives(), logits=reals()).log_survival": (
        lambda n, x, k: mp.log(1 - beta_cdf(n, 1 + k, mp.exp(log_sigmoid(-x))))
    ),
    "tfp.distributions.Beta(concentration1=positives(), concentration0=positives()).quantile": beta_quantile,
    "tfp.distributions.SigmoidBeta(concentration1=positives(), concentration0=positives()).cdf": lambda a, b, x: beta_cdf(
        a, b, mp.exp(log_sigmoid(x))
    ),
    "tfp.distributions.SigmoidBeta(concentration1=positives(), concentration0=positives()).quantile": (
        lambda a, b, q: (lambda x: mp.log(x / (1 - x)))(beta_quantile(a, b, q))
    ),
    "tfp.distributions.Chi(df=positives()).quantile": lambda df, q: mp.exp(
        (mp.log(2) + log_of_gamma_quantile(df / 2, q)) / 2
    ),
    "tfp.distributions.ExpGamma(concentration=positives(), log_rate=reals()).quantile": (
        lambda a, r, q: log_of_gamma_quantile(a, q) - r
    ),
    "tfp.distributions.ExpInverseGamma(concentration=positives(), log_scale=reals()).log_cdf": (
        lambda a, r, x: mp.log(upper_gamma(a, mp.exp(r - x)))
    ),
    "tfp.distributions.Chi(df=positives()).log_cdf": lambda df, x: mp.log1p(
        -mp.gammainc(df / 2, x * x / 2, mp.inf, regularized=True)
    ),
    "tfp.distributions.Kumaraswamy(concentration1=positives(), concentration0=positives()).log_cdf": (
        lambda a, b, x: mp.log(-mp.expm1(b * mp.log1p(-(x**a))))
    ),
    "tfp.distributions.StudentT(df=positives(), loc=reals(), scale=positives()).log_cdf": (
        lambda df, m, s, x: mp.log(student_cdf(df, m, s, x))
    ),
    "tfp.distributions.StudentT(df=positives(), loc=reals(), scale=positives()).log_survival": (
        lambda df, m, s, x: mp.log(1 - student_cdf(df, m, s, x))
    ),
    "numpyro.distributions.StudentT(positives(), loc=reals(), scale=positives()).icdf": lambda df, m, s, q: (
        m if q == 0.5 else m + s * mp.findroot(lambda z: student_cdf(df, mp.mpf(0), mp.mpf(1), z) - q, 0.1)
    ),
    "tfp.distributions.Poisson(log_rate=reals()).log_cdf": lambda r, k: mp.log(upper_gamma(k + 1, mp.exp(r))),
    "tfp.distributions.SigmoidBeta(concentration1=positives(), concentration0=positives()).log_cdf": lambda a, b, x: mp.log(
        beta_cdf(a, b, mp.exp(log_sigmoid(x)))
    ),
    "tfp.distributions.SigmoidBeta(concentration1=positives(), concentration0=positives()).log_survival": (
        lambda a, b, x: mp.log(1 - beta_cdf(a, b, mp.exp(log_sigmoid(x))))
    ),
    "tfp.distributions.TwoPieceNormal(loc=reals(), scale=positives(), skewness=positives()).log_cdf": (
        lambda m, s, g, x: mp.log(two_pieces((x - m) / s, g, normal_cdf))
    ),
    "tfp.distributions.TwoPieceStudentT(df=positives(), loc=reals(), scale=positives(), skewness=positives()).log_cdf": (
        lambda *args: mp.log(two_piece_student(*args))
    ),
    "tfp.distributions.TwoPieceStudentT(df=positives(), loc=reals(), scale=positives(), skewness=positives()).log_surv": (
        lambda *args: mp.log(1 - two_piece_student(*args))
    ),
    "tfp.distributions.VonMises(loc=reals(), concentration=positives()).log_cdf": (
        lambda m, c, x: mp.log(hill_von_mises_cdf(m, c, x))
    ),
    "tfp.distributions.VonMises(loc=reals(), concentration=positives()).log_survival": (
        lambda m, c, x: mp.log(1 - hill_von_mises_cdf(m, c, x))
    ),
    "tfp.distributions.Chi(df=positives()).log_survival": lambda df, x: mp.log(upper_gamma(df / 2, x * x / 2)),
    "tfp.distributions.ExpGamma(concentration=positives(), log_rate=reals()).log_survival": (
        lambda a, r, x: mp.log(upper_gamma(a, mp.exp(r + x)))
    ),
    "tfp.distributions.ExpInverseGamma(concentration=positives(), log_scale=reals()).log_survival": (
        lambda a, r, x: mp.log1p(-upper_gamma(a, mp.exp(r - x)))
    ),
    "tfp.distributions.Gamma(concentration=positives(), log_rate=reals()).log_survival": (
        lambda a, r, x: mp.log(upper_gamma(a, mp.exp(r) * x))
    ),
    "tfp.distributions.Geometric(logits=reals()).log_survival": lambda x, k: (k + 1) * log_sigmoid(-x),
    "tfp.distributions.Gumbel(loc=reals(), scale=positives()).log_survival": (
        lambda m, s, x: mp.log(-mp.expm1(-mp.exp(-(x - m) / s)))
    ),
    "tfp.distributions.HalfNormal(scale=positives()).log_survival": lambda s, x: mp.log(mp.erfc(x / (s * mp.sqrt(2)))),
    "tfp.distributions.InverseGaussian(loc=positives(), concentration=positives()).log_survival": (
        lambda m, c, x: mp.log(inverse_gaussian_survival(m, c, x))
    ),
    "tfp.distributions.Moyal(loc=reals(), scale=positives()).log_survival": lambda m, s, x: mp.log1p(-moyal_cdf(m, s, x)),
    "tfp.math.cholesky_concat": cholesky_concat,
    "tfp.math.betainc": beta_cdf,
    "tfp.math.bessel_iv_ratio": lambda v, z: mp.besseli(v, z) / mp.besseli(v - 1, z),
    "tfp.math.log_bessel_ive": lambda v, z: mp.log(mp.besseli(v, z)) - z,
    "tfp.math.bessel_ive": lambda v, z: mp.besseli(v, z) * mp.exp(-z),
    "tfp.math.log_bessel_kve": lambda v, z: mp.log(mp.besselk(v, z)) + z,
    "tfp.math.bessel_kve": lambda v, z: mp.besselk(v, z) * mp.exp(z),
    "tfp.math.lbeta": log_beta,
    "jax.numpy.ldexp": lambda x: 8 * x,
    "jax.numpy.quantile": quantile,
    "jax.numpy.power(nonnegatives(), 0.0)": lambda x: power(x, mp.mpf(0)),
    "jax.numpy.power(reals(), 0.)": lambda x: power(x, mp.mpf(0)),
    "jax.numpy.power": power,
    "jax.numpy.pow": power,
    "jax.numpy.vander": lambda x: [[v**k for k in reversed(range(len(x)))] for v in x],
    "jax.scipy.special.betaln": log_beta,
    "jax.scipy.special.beta": lambda a, b: mp.exp(log_beta(a, b)),
    "jax.scipy.special.i0": lambda x: mp.besseli(0, x),
    "jax.scipy.special.spence": spence,
    "jax.scipy.special.xlogy": lambda x, y: x_log(x, mp.log(y) if y else mp.ninf),
    "jax.scipy.special.xlog1py": lambda x, y: x_log(x, mp.log1p(y) if y > -1 else mp.ninf),
    "jax.scipy.special.expn(0": lambda x: mp.exp(-x) / x,
    "jax.scipy.special.sici(reals())[0]": mp.si,
    "jax.scipy.special.poch": rising,
    "jax.scipy.stats.beta.logpdf": lambda x, a, b: beta_log_prob(a, b, x),
    "jax.scipy.stats.beta.pdf": lambda x, a, b: mp.exp(beta_log_prob(a, b, x)),
    "jax.scipy.stats.betabinom.logpmf(integers(0, 4), 4": lambda k, a, b: beta_binomial(a, b, 4, k),
    "jax.scipy.stats.betabinom.pmf(integers(0, 4), 4": lambda k, a, b: mp.exp(beta_binomial(a, b, 4, k)),
    "jax.scipy.stats.gennorm.cdf": generalized_normal_cdf,
    "jax.scipy.stats.poisson.entropy": poisson_entropy,
    "jax.numpy.linalg.qr(reals(3, 2))[1]": householder,
    "numpyro.distributions.TruncatedNormal(reals(), positives(), low=constants(-1.), high=constants(2.)).log_prob": (
        normal_between
    ),
    "jax.scipy.cluster.vq.vq": lambda x, codes: [min(mp.norm(mp.matrix(a) - mp.matrix(c)) for c in codes) for a in x],
    "jaxopt.projection.projection_l2_ball": l2_ball,
    "optax.projections.projection_halfspace": halfspace,
    "optax.bias_correction": lambda moment, decay, count: moment / (1 - power(decay, count)),
    "jaxopt.projection.projection_simplex": simplex,
    "jaxopt.projection.projection_l1_ball": l1_ball,
    "jaxopt.prox.prox_group_lasso": group_lasso,
    "numpyro.distributions.AsymmetricLaplace(loc=reals(), scale=positives(), asymmetry=positives()).mean": lambda m, s, k: (
        m + s / k - s * k
    ),
    "numpyro.distributions.AsymmetricLaplaceQuantile(loc=reals(), scale=positives(), quantile=intervals(0., 1.)).cdf": (
        asymmetric_laplace_cdf
    ),
    "numpyro.distributions.AsymmetricLaplaceQuantile(loc=reals(), scale=positives(), quantile=intervals(0., 1.)).icdf": (
        asymmetric_laplace_quantile
    ),
    "numpyro.distributions.AsymmetricLaplaceQuantile(loc=reals(), scale=positives(), quantile=intervals(0., 1.)).mean": (
        lambda m, s, q: m + s / q - s / (1 - q)
    ),
    "numpyro.distributions.Beta(positives(), positives()).icdf": beta_quantile,
    "numpyro.distributions.BetaProportion(intervals(0., 1.), positives()).icdf": lambda mean, c, q: beta_quantile(
        mean * c, (1 - mean) * c, q
    ),
    "numpyro.distributions.BetaProportion(intervals(0., 1.), positives()).mean": lambda mean, c: mean,
    "numpyro.distributions.HalfCauchy(scale=positives()).cdf": lambda s, x: 2 * mp.atan(x / s) / mp.pi,
    "numpyro.distributions.MultivariateStudentT(positives(), loc=reals(3), scale_tril=lower_triangular(3)).variance": (
        student_variance
    ),
    "numpyro.distributions.NegativeBinomial2(positives(), positives()).mean": lambda mean, c: mean,
    "numpyro.distributions.NegativeBinomial2(positives(), positives()).variance": lambda mean, c: mean + mean**2 / c,
    "numpyro.distributions.NegativeBinomialProbs(positives(), intervals(0., 1.)).mean": lambda n, p: n * p / (1 - p),
    "numpyro.distributions.NegativeBinomialProbs(positives(), intervals(0., 1.)).variance": lambda n, p: (
        n * p / (1 - p) ** 2
    ),
    "numpyro.distributions.RelaxedBernoulliLogits(positives(), reals()).log_prob": relaxed_bernoulli_log_prob,
    "numpyro.distributions.RelaxedBernoulliLogits(positives(), reals()).cdf": relaxed_bernoulli_cdf,
    "numpyro.distributions.Weibull(positives(), positives()).cdf": lambda s, c, x: weibull_cdf(c, s, x),
    "numpyro.distributions.TruncatedNormal(reals(), positives(), low=constants(-1.), high=constants(2.)).variance": (
        normal_between_variance
    ),
    "jax.random.wald(jax.random.key(0), positives())": wald,
    "jax.numpy.hypot": lambda x, y: mp.sqrt(x * x + y * y),
    "jax.numpy.poly(reals(3))": lambda z: [mp.mpf(1), -sum(z), z[0] * z[1] + z[0] * z[2] + z[1] * z[2], -z[0] * z[1] * z[2]],
    "jax.numpy.linalg.matrix_power(reals(2, 2), 3)": lambda a: (mp.matrix(a) * mp.matrix(a) * mp.matrix(a)).tolist(),
    "jax.scipy.special.hyp2f1": mp.hyp2f1,
    "jax.scipy.stats.pareto.pdf": lambda x, b: b * x ** (-b - 1),
    "jax.scipy.stats.t.pdf": student_pdf,
    "jax.scipy.linalg.expm(reals(2, 2))": expm_of_two,
    "tfp.math.cholesky_update": cholesky_update,
    "tfp.math.atan_difference": lambda x, y: mp.atan(x) - mp.atan(y),
    "tfp.distributions.JohnsonSU(skewness=reals(), tailweight=positives(), loc=reals(), scale=positives()).log_prob": (
        johnson_su_log_prob
    ),
    "tfp.distributions.JohnsonSU(skewness=reals(), tailweight=positives(), loc=reals(), scale=positives()).mean": (
        lambda skew, tail, m, s: m - s * mp.exp(1 / (2 * tail**2)) * mp.sinh(skew / tail)
    ),
    "tfp.distributions.HalfCauchy(loc=reals(), scale=positives()).cdf": lambda m, s, x: 2 * mp.atan((x - m) / s) / mp.pi,
    "tfp.distributions.InverseGamma(concentration=positives(), scale=positives()).cdf": lambda a, s, x: upper_gamma(
        a, s / x
    ),
    "tfp.distributions.InverseGamma(concentration=positives(), scale=positives()).log_survival": lambda a, s, x: mp.log1p(
        -upper_gamma(a, s / x)
    ),
    "tfp.distributions.RelaxedBernoulli(temperature=positives(), logits=reals()).cdf": relaxed_bernoulli_cdf,
    "tfp.distributions.RelaxedBernoulli(temperature=positives(), logits=reals()).log_cdf": lambda *args: log_sigmoid(
        relaxed_bernoulli(*args)
    ),
    "tfp.distributions.RelaxedBernoulli(temperature=positives(), logits=reals()).log_survival": lambda *args: log_sigmoid(
        -relaxed_bernoulli(*args)
    ),
    "tfp.distributions.TwoPieceNormal(loc=reals(), scale=positives(), skewness=positives()).cdf": lambda m, s, g, x: (
        two_pieces((x - m) / s, g, normal_cdf)
    ),
    "tfp.distributions.TwoPieceStudentT(df=positives(), loc=reals(), scale=positives(), skewness=positives()).cdf": (
        two_piece_student
    ),
    "tfp.distributions.Weibull(concentration=positives(), scale=positives()).cdf": weibull_cdf,
    "tfp.distributions.Weibull(concentration=positives(), scale=positives()).log_cdf": lambda *args: mp.log(
        weibull_cdf(*args)
    ),
    "tfp.distributions.Weibull(concentration=positives(), scale=positives()).log_survival": lambda c, s, x: -((x / s) ** c),
    "tfp.distributions.TruncatedCauchy(reals(), positives(), constants(-1.), constants(2.)).cdf": cauchy_between,
    "tfp.distributions.LambertWNormal(loc=reals(), scale=positives(), tailweight=positives()).quantile": (
        lambda m, s, tail, q: (lambda z: m + s * z * mp.exp(tail * z * z / 2))(normal_quantile(q))
    ),
    "tfp.distributions.HalfStudentT(df=positives(), loc=reals(), scale=positives()).cdf": (
        lambda *args: 2 * student_cdf(*args) - 1
    ),
    "tfp.distributions.HalfStudentT(df=positives(), loc=reals(), scale=positives()).log_cdf": (
        lambda *args: mp.log(2 * student_cdf(*args) - 1)
    ),
    "tfp.distributions.HalfStudentT(df=positives(), loc=reals(), scale=positives()).log_survival": (
        lambda *args: mp.log(2 - 2 * student_cdf(*args))
    ),
    "tfp.distributions.JohnsonSU(skewness=reals(), tailweight=positives(), loc=reals(), scale=positives()).log_cdf": (
        lambda skew, tail, m, s, x: mp.log(normal_cdf(skew + tail * mp.asinh((x - m) / s)))
    ),
    "tfp.distributions.JohnsonSU(skewness=reals(), tailweight=positives(), loc=reals(), scale=positives()).log_survival": (
        lambda skew, tail, m, s, x: mp.log(normal_cdf(-skew - tail * mp.asinh((x - m) / s)))
    ),
    "tfp.distributions.StoppingRatioLogistic(": stopping_ratio,
    "tfp.distributions.ExpInverseGamma(concentration=positives(), log_scale=reals()).quantile": (
        lambda a, s, q: s - log_of_gamma_quantile(a, 1 - q)
    ),
    "tfp.distributions.BetaQuotient(": lambda a, b, c, d: a / (a + b) * (c + d - 1) / (c - 1),
}
"""by the beginning of what is typed; the longest that fits counts"""


RULES_IN_MPMATH: dict[str, Callable[..., Any]] = {
    "_bessel_iv_ratio_custom_gradient": lambda v, z: mp.besseli(v, z) / mp.besseli(v - 1, z),
    "_betainc_custom_gradient": beta_cdf,
    "_stdtr_custom_gradient": lambda df, t: student_cdf(df, mp.mpf(0), mp.mpf(1), t),
    "_von_mises_cdf": lambda x, concentration: von_mises_cdf(mp.mpf(0), concentration, x),
    "xlogy": lambda x, y: x * mp.log(y) if x else mp.mpf(0),
    "_log_bessel_ive_custom_gradient": lambda v, z: mp.log(mp.besseli(v, z)) - z,
}
"""rules that are wrong in functions that are right as a whole; what JAX says of them is taken from the page"""


# One row


def in_mpmath(name: str) -> Callable[..., Any] | None:
    fitting = [key for key in IN_MPMATH if name.startswith(key)]
    return IN_MPMATH[max(fitting, key=len)] if fitting else None


def arguments(at: str) -> list[Any]:
    """Nested lists of floats, of a text as "x=[1 2]  y=0.5"."""
    parts = re.split(r"  (?=[\w ]+=)", at)
    return [json.loads(re.sub(r"(?<=[\d.\]]) +(?=[-\d\[])", ", ", part.partition("=")[2])) for part in parts]


def exact(x: Any) -> Any:
    return [exact(v) for v in x] if isinstance(x, list) else mp.mpf(x)


def flat(x: Any) -> list[Any]:
    return [leaf for v in x for leaf in flat(v)] if isinstance(x, list | tuple) else [x]


def moved(args: Sequence[Any], argument: int, place: int, step: Any) -> list[Any]:
    """The arguments, with one entry of one of them moved."""
    count = -1

    def walk(x: Any) -> Any:
        nonlocal count
        if isinstance(x, list):
            return [walk(v) for v in x]
        count += 1
        return x + step if count == place else x

    return [walk(arg) if k == argument else arg for k, arg in enumerate(args)]


def smallest(args: Sequence[Any]) -> Any:
    """The least size in play: of 1 and of every argument that is not 0."""
    return min([mp.mpf(1), *(abs(x) for x in flat(list(args)) if x)])


def digits(args: Sequence[Any]) -> int:
    """80, and four times those between the largest and the smallest size: steps are the square of the smallest."""
    largest = max([mp.mpf(1), *(abs(x) for x in flat(list(args)))])
    return 80 + 4 * len(str(int(largest / smallest(args))))


def true_slope(f: Callable[..., Any], args: Sequence[Any], argument: int, place: int, row: int) -> list[Any]:
    """The quotients that have a value, from both sides and with both steps."""
    found = list[Any]()
    size = smallest(args) ** 2  # two small arguments may multiply to the scale of the function
    here = flat(f(*args))[row]
    for step in STEPS:
        for sign in (1, -1):
            h = sign * mp.mpf(step) * size
            try:
                there = flat(f(*moved(args, argument, place, h)))[row]
            except (ValueError, ZeroDivisionError):
                continue
            if isinstance(there, mp.mpf) and mp.isfinite(there):
                found.append((there - here) / h)
    return found


def by_jax(name: str, args: Sequence[Any], argument: int, note: str) -> np.ndarray:
    """JAX's Jacobian by one argument, flattened to (outputs, entries)."""
    function = expression_of(name).function() if "(" in name else pkgutil.resolve_name(name)
    forward, share = note.startswith("forward"), -2.0 if "cotangent" in note else 1.0
    with jax.enable_x64(True):
        given = [np.asarray(x, dtype=np.float64) for x in args]

        def out_of(*every: Any) -> Any:
            return jax.numpy.concatenate([jax.numpy.ravel(out) for out in jax.tree.leaves(function(*every))])

        def of(x: Any) -> Any:
            return out_of(*[x if k == argument else value for k, value in enumerate(given)])

        try:
            if forward:  # by all arguments at once, as it was asked: a tangent of 0 times ∞ is no number
                by_all = jax.jacfwd(out_of, tuple(range(len(given))))
                made = jax.jit(by_all)(*given)[argument]
            else:
                made = jax.jit(jax.jacrev(lambda x: share * of(x)))(given[argument]) / share
        except Exception:
            made = jax.jacfwd(of)(given[argument])
        return np.asarray(made).reshape(np.shape(made)[0], -1)


def index_of(text: str, shape: Sequence[int]) -> int:
    places = tuple(int(k) for k in re.findall(r"\[(\d+)\]", text))
    return int(np.ravel_multi_index(places, tuple(shape))) if places else 0


def confirmed(name: str, finding: dict[str, Any]) -> str:
    """Why a finding is not confirmed; empty where it is. Prints both values."""
    within = f"in {name} at " in finding["note"]
    f = RULES_IN_MPMATH.get(finding["rule"]) if within else in_mpmath(name)
    if f is None:
        return "it is not written in mpmath here"
    args = arguments(finding["at"])
    names = re.findall(r"(?:^|  )([\w ]+)=", finding["at"])
    output, _, by = finding["name"].partition("/∂")
    argument = names.index(re.match(r"[\w ]+", by)[0])  # pyright: ignore[reportOptionalSubscript]
    place = index_of(by, np.shape(args[argument]))
    given = [exact(x) for x in args]
    mp.mp.dps = digits(given)
    values = f(*given)
    row = index_of(output, np.shape(np.array(values, dtype=object)))
    slopes = true_slope(f, given, argument, place, row)
    if len(slopes) < len(STEPS):
        return "it has no quotient"
    true = slopes[-1]
    scale = max(abs(true), mp.mpf("1e-300"))
    if any(abs(slope - true) > mp.mpf("1e-15") * max(scale, mp.mpf("1e-5")) for slope in slopes):
        return f"quotients differ: {[mp.nstr(slope, 12) for slope in slopes]}"
    of_rule = float("nan") if finding["jax"] == "no value" else float(finding["jax"] or "nan")
    jax_says = of_rule if within else float(by_jax(name, args, argument, finding["note"])[row, place])
    gap = abs(jax_says - true) / scale
    print(f"{name[:100]:100} {finding['name']:18} JAX {jax_says!r:24} true {mp.nstr(true, 17):24} off {float(gap):.1e}")
    return "" if not np.isfinite(jax_says) or gap > 1e-10 else "JAX has the right value"


def main(words: Sequence[str]) -> int:
    """Confirms what is asked for; 1 where something is not confirmed."""
    rows = json.loads((ROOT / "docs/field.json").read_text(encoding="utf-8"))["rows"]
    failed = list[str]()
    count = 0
    asked = [row for row in rows if all(word in row["name"] for word in words)]
    for row, finding in (*of_kind(asked, "WRONG"), *of_kind(asked, "NaN")):
        count += 1
        try:
            why = confirmed(row["name"], finding)
        except Exception as error:
            why = f"{type(error).__name__}: {error}"
        if why:
            failed.append(f"{row['name']} at {finding['at']}, {finding['name']}: {why}")
    print(f"\n{count - len(failed)} of {count} confirmed")
    for each in failed:
        print("NOT CONFIRMED", each)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
