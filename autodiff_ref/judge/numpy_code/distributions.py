"""What the distributions of `scipy.stats` mean: one row each, in JAX, of the standardised variable and the shape parameters.

A row says a real function, and not how SciPy computes it: `benchmarks/distributions.py` holds SciPy's values against rows.
A density is e to the logarithm of it; what a row leaves out follows from the rest, as sf = 1 − cdf.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy import special

Function = Callable[..., Any]

METHODS = ("pdf", "logpdf", "pmf", "logpmf", "cdf", "logcdf", "sf", "logsf", "ppf", "isf")
"""methods of distributions that are followed"""

HALF_LOG_2_PI = np.log(2 * np.pi) / 2


@dataclass(frozen=True)
class Distribution:
    """A distribution in its standard form, loc = 0 and scale = 1.

    Args:
        log_density: its logarithm, at z, given the shape parameters; of a discrete one that of the probability.
        low: the least z; a number, or a function of the shape parameters.
        high: the greatest z, likewise.
        inside: whether z, of the shape parameters, is one that the distribution takes, where two ends do not say it.
        is_discrete: whether it takes whole numbers alone.
        cdf: P(Z ≤ z)
        sf: P(Z > z)
        logcdf: its logarithm, where that has a name.
        logsf: likewise.
        ppf: the inverse of cdf.
        isf: the inverse of sf.
    """

    log_density: Function
    low: float | Function = -np.inf
    high: float | Function = np.inf
    inside: Function | None = None
    is_discrete: bool = False
    cdf: Function | None = None
    sf: Function | None = None
    logcdf: Function | None = None
    logsf: Function | None = None
    ppf: Function | None = None
    isf: Function | None = None

    def standard(self, method: str) -> Function | None:
        """A method of the standard form, inside of where the distribution lies; None where it is not known."""
        own, other = getattr(self, method, None), {"cdf": self.sf, "sf": self.cdf}
        if method in ("pdf", "pmf", "logpdf", "logpmf"):
            return self.log_density if method.startswith("log") else lambda *a: jnp.exp(self.log_density(*a))
        if own is not None:
            return own
        if method in ("logcdf", "logsf"):
            plain = self.standard(method.removeprefix("log"))
            return None if plain is None else lambda *a: jnp.log(plain(*a))
        if method == "isf":
            inverse = self.ppf
            return None if inverse is None else lambda q, *shapes: inverse(1 - q, *shapes)
        opposite = other.get(method)
        return None if opposite is None else lambda *a: 1 - opposite(*a)


def ndtr(z: Any) -> Any:
    """Φ(z), without JAX's choice of formulas, which at z = 1 hangs on the last bit of a constant."""
    return special.erfc(-z * np.sqrt(0.5)) / 2


def _log_beta(a: Any, b: Any) -> Any:
    return special.gammaln(a) + special.gammaln(b) - special.gammaln(a + b)


def _log_choose(n: Any, k: Any) -> Any:
    return special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1)


def _log_normal_density(z: Any) -> Any:
    return -(z**2) / 2 - HALF_LOG_2_PI


def _log_t_density(z: Any, df: Any) -> Any:
    return (
        special.gammaln((df + 1) / 2)
        - special.gammaln(df / 2)
        - jnp.log(np.pi * df) / 2
        - (df + 1) / 2 * jnp.log1p(z**2 / df)
    )


def _t_cdf(z: Any, df: Any) -> Any:
    """½ + z Γ((ν+1)/2) / (√ν Γ(½) Γ(ν/2)) ₂F₁(½, (ν+1)/2; 3/2; −y), y = z²/ν, after Pfaff's transformation.

    That takes −y to y/(1+y), below 1, where JAX's floats are right. Without π, of whose digits none must be missing.
    """
    y = z**2 / df
    log_factor = special.gammaln((df + 1) / 2) - special.gammaln(df / 2) - special.gammaln(0.5)
    return 0.5 + z * jnp.exp(log_factor) / jnp.sqrt(df * (1 + y)) * special.hyp2f1(0.5, 1 - df / 2, 1.5, y / (1 + y))


def _log_f_density(z: Any, n: Any, d: Any) -> Any:
    return (
        n / 2 * jnp.log(n) + d / 2 * jnp.log(d) + (n / 2 - 1) * jnp.log(z) - (n + d) / 2 * jnp.log(d + n * z)
    ) - _log_beta(n / 2, d / 2)


def _log_genextreme_density(z: Any, c: Any) -> Any:
    log_t = jnp.log1p(-c * z) / c
    return -jnp.exp(log_t) + (1 - c) * log_t


def _invgauss_cdf(z: Any, mu: Any) -> Any:
    root = jnp.sqrt(z)
    return ndtr((z / mu - 1) / root) + jnp.exp(2 / mu + special.log_ndtr(-(z / mu + 1) / root))


def _of_bits(k: Any, p: Any) -> Any:
    return k * jnp.log(p) + (1 - k) * jnp.log1p(-p)


def _log_nbinom(k: Any, n: Any, p: Any) -> Any:
    lead = special.gammaln(n + k) - special.gammaln(k + 1) - special.gammaln(n)
    return lead + n * jnp.log(p) + k * jnp.log1p(-p)


def _half_power(q: Any) -> Any:
    """The quantile of the Laplace distribution."""
    return jnp.where(q > 0.5, -jnp.log(2 * (1 - q)), jnp.log(2 * q))


DISTRIBUTIONS: dict[str, Distribution] = {
    "norm": Distribution(_log_normal_density, cdf=ndtr, sf=lambda z: ndtr(-z), logcdf=special.log_ndtr,
                         logsf=lambda z: special.log_ndtr(-z), ppf=special.ndtri, isf=lambda q: -special.ndtri(q)),
    "t": Distribution(_log_t_density, cdf=_t_cdf, sf=lambda z, df: _t_cdf(-z, df)),
    "cauchy": Distribution(lambda z: -jnp.log(np.pi) - jnp.log1p(z**2), cdf=lambda z: jnp.arctan2(1.0, -z) / np.pi,
                           sf=lambda z: jnp.arctan2(1.0, z) / np.pi, ppf=lambda q: -1 / jnp.tan(np.pi * q),
                           isf=lambda q: 1 / jnp.tan(np.pi * q)),
    "logistic": Distribution(lambda z: jax.nn.log_sigmoid(z) + jax.nn.log_sigmoid(-z), cdf=jax.nn.sigmoid,
                             sf=lambda z: jax.nn.sigmoid(-z),
                             logcdf=jax.nn.log_sigmoid, logsf=lambda z: jax.nn.log_sigmoid(-z),
                             ppf=special.logit, isf=lambda q: -special.logit(q)),
    "laplace": Distribution(lambda z: -jnp.abs(z) - jnp.log(2.0),
                            cdf=lambda z: jnp.where(z > 0, 1 - jnp.exp(-jnp.abs(z)) / 2, jnp.exp(-jnp.abs(z)) / 2),
                            sf=lambda z: jnp.where(z > 0, jnp.exp(-jnp.abs(z)) / 2, 1 - jnp.exp(-jnp.abs(z)) / 2),
                            ppf=_half_power, isf=lambda q: -_half_power(q)),
    "gumbel_r": Distribution(lambda z: -z - jnp.exp(-z), cdf=lambda z: jnp.exp(-jnp.exp(-z)), logcdf=lambda z: -jnp.exp(-z),
                             sf=lambda z: -jnp.expm1(-jnp.exp(-z)), ppf=lambda q: -jnp.log(-jnp.log(q))),
    "gumbel_l": Distribution(lambda z: z - jnp.exp(z), cdf=lambda z: -jnp.expm1(-jnp.exp(z)), logsf=lambda z: -jnp.exp(z),
                             sf=lambda z: jnp.exp(-jnp.exp(z)), ppf=lambda q: jnp.log(-jnp.log1p(-q))),
    "hypsecant": Distribution(lambda z: -jnp.log(np.pi * jnp.cosh(z)), cdf=lambda z: 2 / np.pi * jnp.arctan(jnp.exp(z)),
                              sf=lambda z: 2 / np.pi * jnp.arctan(jnp.exp(-z))),
    "gennorm": Distribution(lambda z, b: jnp.log(b / 2) - special.gammaln(1 / b) - jnp.abs(z) ** b),
    "skewnorm": Distribution(lambda z, a: jnp.log(2.0) + _log_normal_density(z) + special.log_ndtr(a * z)),
    "exponnorm": Distribution(lambda z, k: (1 / (2 * k) - z) / k - jnp.log(k) + special.log_ndtr(z - 1 / k)),
    "johnsonsu": Distribution(lambda z, a, b: jnp.log(b) - jnp.log1p(z**2) / 2 + _log_normal_density(a + b * jnp.arcsinh(z)),
                              cdf=lambda z, a, b: ndtr(a + b * jnp.arcsinh(z)),
                              sf=lambda z, a, b: ndtr(-(a + b * jnp.arcsinh(z)))),
    "vonmises": Distribution(lambda z, kappa: kappa * (jnp.cos(z) - 1) - jnp.log(2 * np.pi * special.i0e(kappa))),
    "genextreme": Distribution(_log_genextreme_density, inside=lambda z, c: c * z < 1,
                               logcdf=lambda z, c: -jnp.exp(jnp.log1p(-c * z) / c),
                               cdf=lambda z, c: jnp.exp(-jnp.exp(jnp.log1p(-c * z) / c)),
                               sf=lambda z, c: -jnp.expm1(-jnp.exp(jnp.log1p(-c * z) / c))),
    # of positive numbers
    "expon": Distribution(lambda z: -z, 0, cdf=lambda z: -jnp.expm1(-z), sf=lambda z: jnp.exp(-z), logsf=lambda z: -z,
                          ppf=lambda q: -jnp.log1p(-q), isf=lambda q: -jnp.log(q)),
    "gamma": Distribution(lambda z, a: (a - 1) * jnp.log(z) - z - special.gammaln(a), 0,
                          cdf=lambda z, a: special.gammainc(a, z), sf=lambda z, a: special.gammaincc(a, z)),
    "chi2": Distribution(lambda z, df: (df / 2 - 1) * jnp.log(z) - z / 2 - special.gammaln(df / 2) - df / 2 * jnp.log(2.0),
                         0, cdf=lambda z, df: special.gammainc(df / 2, z / 2),
                         sf=lambda z, df: special.gammaincc(df / 2, z / 2)),
    "invgamma": Distribution(lambda z, a: -(a + 1) * jnp.log(z) - special.gammaln(a) - 1 / z, 0,
                             cdf=lambda z, a: special.gammaincc(a, 1 / z), sf=lambda z, a: special.gammainc(a, 1 / z)),
    "lognorm": Distribution(lambda z, s: _log_normal_density(jnp.log(z) / s) - jnp.log(s * z), 0,
                            cdf=lambda z, s: ndtr(jnp.log(z) / s), sf=lambda z, s: ndtr(-jnp.log(z) / s),
                            logcdf=lambda z, s: special.log_ndtr(jnp.log(z) / s),
                            logsf=lambda z, s: special.log_ndtr(-jnp.log(z) / s),
                            ppf=lambda q, s: jnp.exp(s * special.ndtri(q))),
    "weibull_min": Distribution(lambda z, c: jnp.log(c) + (c - 1) * jnp.log(z) - z**c, 0,
                                cdf=lambda z, c: -jnp.expm1(-(z**c)), sf=lambda z, c: jnp.exp(-(z**c)),
                                logsf=lambda z, c: -(z**c), ppf=lambda q, c: (-jnp.log1p(-q)) ** (1 / c)),
    "fisk": Distribution(lambda z, c: jnp.log(c) - (c + 1) * jnp.log(z) - 2 * jnp.log1p(z**-c), 0,
                         cdf=lambda z, c: 1 / (1 + z**-c),  # SciPy's sf is 1 − cdf, and loses its digits where that is small
                         ppf=lambda q, c: (1 / q - 1) ** (-1 / c)),
    "f": Distribution(_log_f_density, 0, cdf=lambda z, n, d: special.betainc(n / 2, d / 2, n * z / (n * z + d))),
    "halfnorm": Distribution(lambda z: jnp.log(2 / np.pi) / 2 - z**2 / 2, 0, cdf=lambda z: special.erf(z / jnp.sqrt(2.0)),
                             sf=lambda z: special.erfc(z / jnp.sqrt(2.0))),
    "halfcauchy": Distribution(lambda z: jnp.log(2 / np.pi) - jnp.log1p(z**2), 0, cdf=lambda z: 2 / np.pi * jnp.arctan(z),
                               sf=lambda z: 2 / np.pi * jnp.arctan2(1.0, z)),
    "rayleigh": Distribution(lambda z: jnp.log(z) - z**2 / 2, 0, cdf=lambda z: -jnp.expm1(-(z**2) / 2),
                             sf=lambda z: jnp.exp(-(z**2) / 2), logsf=lambda z: -(z**2) / 2),
    "maxwell": Distribution(lambda z: jnp.log(2 / np.pi) / 2 + 2 * jnp.log(z) - z**2 / 2, 0),
    "invgauss": Distribution(lambda z, mu: -HALF_LOG_2_PI - 1.5 * jnp.log(z) - (z / mu - 1) ** 2 / (2 * z), 0,
                             cdf=_invgauss_cdf),
    "lomax": Distribution(lambda z, c: jnp.log(c) - (c + 1) * jnp.log1p(z), 0, sf=lambda z, c: (1 + z) ** -c,
                          logsf=lambda z, c: -c * jnp.log1p(z)),
    "genpareto": Distribution(lambda z, c: -(1 + 1 / c) * jnp.log1p(c * z), inside=lambda z, c: (z >= 0) & (c * z > -1),
                              logsf=lambda z, c: -jnp.log1p(c * z) / c, sf=lambda z, c: (1 + c * z) ** (-1 / c)),
    "pareto": Distribution(lambda z, b: jnp.log(b) - (b + 1) * jnp.log(z), 1, sf=lambda z, b: z**-b,
                           logsf=lambda z, b: -b * jnp.log(z), ppf=lambda q, b: (1 - q) ** (-1 / b)),
    # between two ends
    "uniform": Distribution(lambda z: 0 * z, 0, 1, cdf=lambda z: z, sf=lambda z: 1 - z, ppf=lambda q: q,
                            isf=lambda q: 1 - q),
    "beta": Distribution(lambda z, a, b: (a - 1) * jnp.log(z) + (b - 1) * jnp.log1p(-z) - _log_beta(a, b), 0, 1,
                         cdf=lambda z, a, b: special.betainc(a, b, z), sf=lambda z, a, b: special.betainc(b, a, 1 - z)),
    "powerlaw": Distribution(lambda z, a: jnp.log(a) + (a - 1) * jnp.log(z), 0, 1, cdf=lambda z, a: z**a,
                             ppf=lambda q, a: q ** (1 / a)),
    "truncnorm": Distribution(
        lambda z, a, b: _log_normal_density(z) - jnp.log(ndtr(b) - ndtr(a)), lambda a, b: a, lambda a, b: b,
        cdf=lambda z, a, b: (ndtr(z) - ndtr(a)) / (ndtr(b) - ndtr(a)),
        sf=lambda z, a, b: (ndtr(b) - ndtr(z)) / (ndtr(b) - ndtr(a))),
    # of whole numbers
    "poisson": Distribution(lambda k, mu: k * jnp.log(mu) - mu - special.gammaln(k + 1), 0, is_discrete=True,
                            cdf=lambda k, mu: special.gammaincc(k + 1, mu), sf=lambda k, mu: special.gammainc(k + 1, mu)),
    "bernoulli": Distribution(_of_bits, 0, 1, is_discrete=True),
    "binom": Distribution(lambda k, n, p: _log_choose(n, k) + k * jnp.log(p) + (n - k) * jnp.log1p(-p), 0, lambda n, p: n,
                          is_discrete=True),
    "nbinom": Distribution(_log_nbinom, 0, is_discrete=True, cdf=lambda k, n, p: special.betainc(n, k + 1, p),
                           sf=lambda k, n, p: special.betainc(k + 1, n, 1 - p)),
    "geom": Distribution(lambda k, p: (k - 1) * jnp.log1p(-p) + jnp.log(p), 1, is_discrete=True,
                         sf=lambda k, p: (1 - p) ** k, logsf=lambda k, p: k * jnp.log1p(-p)),
    "betabinom": Distribution(lambda k, n, a, b: _log_choose(n, k) + _log_beta(k + a, n - k + b) - _log_beta(a, b), 0,
                              lambda n, a, b: n, is_discrete=True),
}  # fmt: skip
"""by SciPy's names"""

_BELOW = {
    "pdf": 0.0,
    "pmf": 0.0,
    "logpdf": -np.inf,
    "logpmf": -np.inf,
    "cdf": 0.0,
    "logcdf": -np.inf,
    "sf": 1.0,
    "logsf": 0.0,
}
_ABOVE = {**_BELOW, "cdf": 1.0, "logcdf": 0.0, "sf": 0.0, "logsf": -np.inf}
"""values of methods below the least and above the greatest number that a distribution takes"""


def method_in_jax(distribution: Any, method: str) -> Function | None:
    """A method of one of SciPy's distributions, of the same arguments, in JAX; None where there is no row for it."""
    theirs = sys.modules["scipy.stats"]
    row = DISTRIBUTIONS.get(str(distribution.name))
    if row is None or type(getattr(theirs, distribution.name, None)) is not type(distribution):  # another of that name
        return None
    standard = row.standard(method)
    if standard is None:
        return None

    def of(x: Any, *args: Any, **keywords: Any) -> Any:
        shapes, loc, scale = distribution._parse_args(*args, **keywords)
        x, loc, scale, *shapes = (_real(value) for value in (x, loc, scale, *shapes))
        if method in ("ppf", "isf"):
            return loc + scale * standard(x, *shapes)
        return _placed(row, method, standard, x, loc, scale, shapes)

    return of


def at_infinities(f: Function, method: str, x: np.ndarray) -> Function:
    """A method of a distribution at numbers some of which are −∞ or ∞: those of x, which NumPy has."""
    limits = np.where(x < 0, _BELOW[method], _ABOVE[method])

    def of(traced: Any, *args: Any, **keywords: Any) -> Any:
        finite = np.isfinite(x)
        return jnp.where(finite, f(jnp.where(finite, traced, 0.625), *args, **keywords), limits)

    return of


def _placed(row: Distribution, method: str, standard: Function, x: Any, loc: Any, scale: Any, shapes: list[Any]) -> Any:
    """A method at x of the distribution that is moved by loc and stretched by scale."""
    low, high = (end(*shapes) if callable(end) else end for end in (row.low, row.high))
    z, is_density = (x - loc) / scale, method in ("pdf", "logpdf", "pmf", "logpmf")
    if row.is_discrete:
        z, whole = (z, z == jnp.floor(z)) if is_density else (jnp.floor(z), True)
        is_below = z < low
        is_inside = ~is_below & ~(z > high) & whole
    elif row.inside is not None:
        is_inside = row.inside(z, *shapes)
        is_below = ~is_inside & (z < 0)
    elif row.low == -np.inf and row.high == np.inf:
        return _stretched(method, standard(z, *shapes), scale)
    else:  # as x is compared, data are compared exactly where loc is known
        is_below = x < loc + low * scale
        is_inside = ~is_below & ~(x > loc + high * scale) if row.high != np.inf else ~is_below
    z = jnp.where(is_inside, z, _within(low, high))  # no derivative is NaN outside
    value = standard(z, *shapes)
    value = value if row.is_discrete else _stretched(method, value, scale)
    return jnp.where(is_inside, value, jnp.where(is_below, _BELOW[method], _ABOVE[method]))


def _stretched(method: str, value: Any, scale: Any) -> Any:
    return value - jnp.log(scale) if method == "logpdf" else value / scale if method == "pdf" else value


def _within(low: Any, high: Any) -> Any:
    """Some number between two ends."""
    if isinstance(low, float | int) and low == -np.inf:
        return 0.0
    return low + 1.0 if isinstance(high, float | int) and high == np.inf else (low + high) / 2


def _real(value: Any) -> Any:
    array = jnp.asarray(value)
    return array if jnp.issubdtype(array.dtype, jnp.floating) else array.astype(float)


# Of several variables


def log_normal_of_several(x: Any, mean: Any = None, cov: Any = 1, allow_singular: bool = False) -> Any:
    """`multivariate_normal.logpdf`, by Cholesky's factor of the covariance."""
    if allow_singular:
        raise NotImplementedError("allow_singular=True")
    square, log_root, d = _whitened(x, mean, cov)
    return jnp.squeeze(-square / 2 - log_root - d * HALF_LOG_2_PI)


def _whitened(x: Any, centre: Any, shape: Any) -> tuple[Any, Any, int]:
    """(x − c)ᵀ S⁻¹ (x − c) of each point, ½ log |S|, and the number of coordinates; S may be one variance, or several."""
    x, shape = _real(x), _real(shape)
    centre = jnp.zeros(jnp.shape(shape)[:1] or 1) if centre is None else jnp.atleast_1d(_real(centre))
    d = centre.shape[0]
    shape = shape * jnp.eye(d) if shape.ndim == 0 else jnp.diag(shape) if shape.ndim == 1 else shape
    points = _points(x, d) - centre
    factor = jnp.linalg.cholesky(shape)
    white = jax.scipy.linalg.solve_triangular(factor, points.reshape(-1, d).T, lower=True)
    square = jnp.sum(white**2, axis=0).reshape(points.shape[:-1])
    return square, jnp.sum(jnp.log(jnp.diagonal(factor))), d


def _points(x: Any, d: int) -> Any:
    """Points of d coordinates each, as SciPy reads an array."""
    if x.ndim == 0:
        return x.reshape(1, 1)
    return x if x.ndim > 1 else x[:, None] if d == 1 else x[None, :]


def log_t_of_several(x: Any, loc: Any = None, shape: Any = 1, df: Any = 1) -> Any:
    """`multivariate_t.logpdf`"""
    df = _real(df)
    square, log_root, d = _whitened(x, loc, shape)
    lead = special.gammaln((df + d) / 2) - special.gammaln(df / 2) - d / 2 * jnp.log(df * np.pi)
    return jnp.squeeze(lead - log_root - (df + d) / 2 * jnp.log1p(square / df))


def log_dirichlet(x: Any, alpha: Any) -> Any:
    """`dirichlet.logpdf`, where the last of the numbers that sum to 1 may be left out."""
    x, alpha = _real(x), _real(alpha)
    if x.shape[0] + 1 == alpha.shape[0]:
        x = jnp.concatenate([x, 1 - jnp.sum(x, axis=0, keepdims=True)])
    lead = special.gammaln(jnp.sum(alpha)) - jnp.sum(special.gammaln(alpha))
    return jnp.squeeze(lead + jnp.sum(((alpha - 1) * jnp.log(x.T)).T, axis=0))


def log_multinomial(x: Any, n: Any, p: Any) -> Any:
    """`multinomial.logpmf`"""
    x, n, p = _real(x), _real(n), _real(p)
    p = jnp.concatenate([p[..., :-1], 1 - jnp.sum(p[..., :-1], axis=-1, keepdims=True)], axis=-1)  # as SciPy reads p
    return special.gammaln(n + 1) + jnp.sum(x * jnp.log(p) - special.gammaln(x + 1), axis=-1)


OF_SEVERAL: dict[str, tuple[str, Function]] = {
    "multivariate_normal": ("pdf", log_normal_of_several),
    "multivariate_t": ("pdf", log_t_of_several),
    "dirichlet": ("pdf", log_dirichlet),
    "multinomial": ("pmf", log_multinomial),
}
"""by SciPy's names: whether they have densities or probabilities, and the logarithm of that"""
