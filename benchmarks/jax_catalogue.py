"""Functions of JAX that nobody here wrote, each with the domain of its arguments: what `jax_functions.py` judges.

A row names the function as a user calls it. Its arguments are those of the callable; the gradient is by all of them, or by
those that `by` names. Where a function is defined at an end of its domain, the domain is closed there.
"""

import inspect
from collections import namedtuple
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import nn
from jax.scipy import special as sp
from jax.scipy import stats

from manual_grad import (
    Derivation,
    classes,
    integers,
    intervals,
    lower_triangular,
    nonnegatives,
    orthogonal,
    permutations,
    positive_definite,
    positives,
    reals,
    simplex,
    sorted_reals,
    symmetric,
    unit_vectors,
)
from manual_grad.domains import Domain


@dataclass(frozen=True)
class Row:
    """A function, the domains of its arguments, and by which of them it is differentiated."""

    name: str
    """as a user calls it: jax.nn.relu, with the options that matter"""
    of: Callable[..., Any]
    domains: tuple[Domain, ...]
    by: tuple[str, ...] = ()
    """names of arguments; all of them where it is empty"""
    note: str = ""

    @property
    def module(self) -> str:
        """jax.nn, jax.numpy, jax.scipy.special or jax.scipy.stats."""
        return next(module for module in MODULES if self.name.startswith(module))

    @property
    def arguments(self) -> list[str]:
        """The names of the arguments; one with a default is none."""
        return [p.name for p in inspect.signature(self.of).parameters.values() if p.default is p.empty]

    def derivation(self) -> Derivation:
        """The function, with its own derivative by JAX as the only line."""
        names, of = self.arguments, self.of
        by = [name for name in names if name in (self.by or names)]
        others = [name for name in names if name not in by]
        domains = dict(zip(names, self.domains, strict=True))
        bundle = namedtuple("bundle", by)
        is_single = len(by) == 1

        def whole(first: Any, *rest: Any) -> Any:
            given = {**({by[0]: first} if is_single else first._asdict()), **dict(zip(others, rest, strict=True))}
            return of(**given)

        def by_jax(first: Any, *rest: Any, nabla: Any) -> Any:
            is_scalar = jax.eval_shape(whole, first, *rest).shape == ()
            return (jax.grad if is_scalar else jax.jacobian)(whole)(first, *rest)

        whole.__name__ = self.name
        parameters = [by[0] if is_single else "all", *others]
        whole.__signature__ = inspect.Signature(  # pyright: ignore[reportFunctionMemberAccess]
            [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in parameters]
        )
        first = domains[by[0]] if is_single else bundle(**{name: domains[name] for name in by})
        return Derivation(self.name, whole, None, (first, *[domains[name] for name in others]), [by_jax])


MODULES = ("jax.nn", "jax.numpy", "jax.scipy.special", "jax.scipy.stats")

_REAL, _POSITIVE, _FROM_0, _UNIT = reals(), positives(), nonnegatives(), intervals(0, 1, closed=True)
_OPEN_UNIT, _VECTOR, _MATRIX, _SQUARE = intervals(0, 1), reals("n"), reals("n", "m"), reals("n", "n")
_EVEN = np.array([True, False, True, True, False])
"""a mask"""


def catalogue() -> Iterator[Row]:
    """All rows, a module after the other."""
    yield from _nn()
    yield from _special()
    yield from _numpy()
    yield from _linear_algebra()
    yield from _stats()


def _nn() -> Iterator[Row]:
    for name in [
        "relu",
        "relu6",
        "silu",
        "sigmoid",
        "softplus",
        "log_sigmoid",
        "elu",
        "celu",
        "selu",
        "leaky_relu",
        "hard_tanh",
        "hard_sigmoid",
        "hard_silu",
        "squareplus",
        "mish",
        "soft_sign",
        "sparse_plus",
        "sparse_sigmoid",
        "tanh",
        "identity",
    ]:
        yield Row(f"jax.nn.{name}", _of_x(getattr(nn, name)), (_REAL,))
    yield Row("jax.nn.gelu", lambda x: nn.gelu(x), (_REAL,))
    yield Row("jax.nn.gelu(approximate=False)", lambda x: nn.gelu(x, approximate=False), (_REAL,))
    yield Row("jax.nn.elu by alpha", lambda x, alpha: nn.elu(x, alpha), (_REAL, _POSITIVE))
    yield Row("jax.nn.celu by alpha", lambda x, alpha: nn.celu(x, alpha), (_REAL, _POSITIVE))
    yield Row("jax.nn.leaky_relu by slope", lambda x, slope: nn.leaky_relu(x, slope), (_REAL, _OPEN_UNIT))
    yield Row("jax.nn.squareplus by b", lambda x, b: nn.squareplus(x, b), (_REAL, _FROM_0))
    yield Row("jax.nn.log1mexp", lambda x: nn.log1mexp(x), (_POSITIVE,))
    yield Row("jax.nn.softmax", lambda x: nn.softmax(x), (_VECTOR,))
    yield Row("jax.nn.log_softmax", lambda x: nn.log_softmax(x), (_VECTOR,))
    yield Row("jax.nn.softmax(where=…)", lambda x: nn.softmax(x, where=_EVEN), (reals(5),))
    yield Row("jax.nn.softmax(axis=0)", lambda x: nn.softmax(x, axis=0), (reals("n", 2),))
    yield Row("jax.nn.logsumexp", lambda x: nn.logsumexp(x), (_VECTOR,))
    yield Row("jax.nn.logsumexp(b=…)", lambda x, b: nn.logsumexp(x, b=b), (_VECTOR, positives("n")))
    yield Row("jax.nn.logmeanexp", lambda x: nn.logmeanexp(x), (_VECTOR,))
    yield Row("jax.nn.standardize", lambda x: nn.standardize(x), (_VECTOR,))
    yield Row("jax.nn.glu", lambda x: nn.glu(x), (reals(4),))
    yield Row(
        "jax.nn.dot_product_attention",
        lambda q, k, v: nn.dot_product_attention(q, k, v),
        (reals(2, 1, 2), reals(3, 1, 2), reals(3, 1, 2)),
    )
    yield Row(
        "jax.nn.dot_product_attention(is_causal=True)",
        lambda q, k, v: nn.dot_product_attention(q, k, v, is_causal=True),
        (reals(3, 1, 2), reals(3, 1, 2), reals(3, 1, 2)),
    )


def _special() -> Iterator[Row]:
    def row(name: str, of: Callable[..., Any], *domains: Domain, by: str = "", note: str = "") -> Row:
        return Row(f"jax.scipy.special.{name}", of, domains, tuple(by.split()), note)

    not_a_pole = intervals(-0.9, -0.1)
    yield row("gammaln", lambda x: sp.gammaln(x), _POSITIVE)
    yield row("gammaln, x < 0", lambda x: sp.gammaln(x), not_a_pole)
    yield row("loggamma", lambda x: sp.loggamma(x), _POSITIVE)
    yield row("digamma", lambda x: sp.digamma(x), _POSITIVE)
    yield row("digamma, x < 0", lambda x: sp.digamma(x), not_a_pole)
    yield row("gamma", lambda x: sp.gamma(x), _POSITIVE)
    yield row("gamma, x < 0", lambda x: sp.gamma(x), not_a_pole)
    yield row("gammasgn", lambda x: sp.gammasgn(x), not_a_pole)
    yield row("factorial", lambda n: sp.factorial(n), _FROM_0)
    yield row("gammainc by x", lambda a, x: sp.gammainc(a, x), _POSITIVE, _POSITIVE, by="x")
    yield row("gammainc by a", lambda a, x: sp.gammainc(a, x), _POSITIVE, _POSITIVE, by="a")
    yield row("gammaincc by x", lambda a, x: sp.gammaincc(a, x), _POSITIVE, _POSITIVE, by="x")
    yield row("gammaincc by a", lambda a, x: sp.gammaincc(a, x), _POSITIVE, _POSITIVE, by="a")
    yield row("betainc by x", lambda a, b, x: sp.betainc(a, b, x), _POSITIVE, _POSITIVE, _OPEN_UNIT, by="x")
    yield row("betainc by a and b", lambda a, b, x: sp.betainc(a, b, x), _POSITIVE, _POSITIVE, _OPEN_UNIT, by="a b")
    yield row("betaln", lambda a, b: sp.betaln(a, b), _POSITIVE, _POSITIVE)
    yield row("beta", lambda a, b: sp.beta(a, b), _POSITIVE, _POSITIVE)
    yield row("erf", lambda x: sp.erf(x), _REAL)
    yield row("erfc", lambda x: sp.erfc(x), _REAL)
    yield row("erfcx", lambda x: sp.erfcx(x), _REAL)
    yield row("erfinv", lambda x: sp.erfinv(x), intervals(-1, 1, closed=True))
    yield row("logit", lambda p: sp.logit(p), _UNIT)
    yield row("expit", lambda x: sp.expit(x), _REAL)
    yield row("xlogy", lambda x, y: sp.xlogy(x, y), _FROM_0, _POSITIVE)
    yield row("xlogy, y ≥ 0", lambda x, y: sp.xlogy(x, y), _FROM_0, _FROM_0)
    yield row("xlog1py", lambda x, y: sp.xlog1py(x, y), _FROM_0, intervals(-1, 50, closed=True))
    yield row("entr", lambda x: sp.entr(x), _FROM_0)
    yield row("entr, any x", lambda x: sp.entr(x), _REAL)
    yield row("kl_div", lambda p, q: sp.kl_div(p, q), _FROM_0, _POSITIVE)
    yield row("rel_entr", lambda p, q: sp.rel_entr(p, q), _FROM_0, _POSITIVE)
    yield row("multigammaln, d = 3", lambda a: sp.multigammaln(a, 3), intervals(1, 50))
    for n in (0, 1, 3):
        yield row(f"polygamma, n = {n}", lambda x, n=n: sp.polygamma(n, x), _POSITIVE)
    yield row("zeta by x", lambda x, q: sp.zeta(x, q), intervals(1.125, 20), _POSITIVE, by="x")
    yield row("zeta by q", lambda x, q: sp.zeta(x, q), intervals(1.125, 20), _POSITIVE, by="q")
    for name in ("i0", "i0e", "i1", "i1e", "ndtr", "log_ndtr"):
        yield row(name, _of_x(getattr(sp, name)), _REAL)
    yield row("ndtri", lambda p: sp.ndtri(p), _UNIT)
    yield row("expi", lambda x: sp.expi(x), _POSITIVE)
    yield row("expi, x < 0", lambda x: sp.expi(x), intervals(-50, 0))
    yield row("exp1", lambda x: sp.exp1(x), _POSITIVE)
    for n in (0, 1, 2, 5):
        note = "the derivative by JAX is NaN everywhere: it asks for n = −1" if n == 0 else ""
        yield row(f"expn, n = {n}", lambda x, n=n: sp.expn(n, x), _POSITIVE if n < 2 else _FROM_0, note=note)
    yield row("spence", lambda x: sp.spence(x), _FROM_0)
    yield row("poch", lambda z, m: sp.poch(z, m), _POSITIVE, _POSITIVE)
    yield row("hyp1f1 by x", lambda a, b, x: sp.hyp1f1(a, b, x), _POSITIVE, _POSITIVE, intervals(-8, 8), by="x")
    yield row("hyp1f1 by a", lambda a, b, x: sp.hyp1f1(a, b, x), _POSITIVE, _POSITIVE, intervals(-8, 8), by="a")
    yield row("hyp1f1 by b", lambda a, b, x: sp.hyp1f1(a, b, x), _POSITIVE, _POSITIVE, intervals(-8, 8), by="b")
    yield row(
        "hyp2f1 by x",
        lambda a, b, c, x: sp.hyp2f1(a, b, c, x),
        _POSITIVE,
        _POSITIVE,
        _POSITIVE,
        intervals(-0.9, 0.9),
        by="x",
    )
    yield row("sici, Si", lambda x: sp.sici(x)[0], _REAL)
    yield row("sici, Ci", lambda x: sp.sici(x)[1], _POSITIVE)
    yield row("fresnel, S", lambda x: sp.fresnel(x)[0], _REAL)
    yield row("fresnel, C", lambda x: sp.fresnel(x)[1], _REAL)
    yield row("softmax", lambda x: sp.softmax(x), _VECTOR)
    yield row("log_softmax", lambda x: sp.log_softmax(x), _VECTOR)
    yield row("logsumexp", lambda x: sp.logsumexp(x), _VECTOR)
    yield row("logsumexp(b=…, return_sign=True)", lambda x, b: sp.logsumexp(x, b=b, return_sign=True)[0], _VECTOR, _VECTOR)
    yield row("bessel_jn", lambda z: sp.bessel_jn(z, v=3, n_iter=20)[3], _POSITIVE)
    yield row("owens_t", lambda h, a: sp.owens_t(h, a), _REAL, _REAL)


def _numpy() -> Iterator[Row]:
    def row(name: str, of: Callable[..., Any], *domains: Domain, by: str = "", note: str = "") -> Row:
        return Row(f"jax.numpy.{name}", of, domains, tuple(by.split()), note)

    # of one number
    for name in [
        "sin",
        "cos",
        "tan",
        "sinh",
        "cosh",
        "tanh",
        "arctan",
        "arcsinh",
        "exp",
        "exp2",
        "expm1",
        "square",
        "cbrt",
        "sinc",
        "abs",
        "sign",
        "positive",
        "negative",
        "floor",
        "ceil",
        "rint",
        "trunc",
        "nan_to_num",
        "deg2rad",
        "rad2deg",
        "real",
        "conj",
        "i0",
        "angle",
        "fabs",
    ]:
        yield row(name, _of_x(getattr(jnp, name)), _REAL)
    yield row("round", lambda x: jnp.round(x, 1), _REAL)
    for name in ("log", "log2", "log10"):
        yield row(name, _of_x(getattr(jnp, name)), _FROM_0)
    yield row("sqrt", lambda x: jnp.sqrt(x), _FROM_0)
    yield row("reciprocal", lambda x: jnp.reciprocal(x), _REAL)
    yield row("log1p", lambda x: jnp.log1p(x), intervals(-1, 50, closed=True))
    yield row("arcsin", lambda x: jnp.arcsin(x), intervals(-1, 1, closed=True))
    yield row("arccos", lambda x: jnp.arccos(x), intervals(-1, 1, closed=True))
    yield row("arctanh", lambda x: jnp.arctanh(x), intervals(-1, 1, closed=True))
    yield row("arccosh", lambda x: jnp.arccosh(x), intervals(1, 50, closed=True))
    yield row("modf", lambda x: jnp.modf(x)[0], _REAL)
    yield row("frexp", lambda x: jnp.frexp(x)[0], _REAL)
    yield row("clip", lambda x: jnp.clip(x, -1.0, 2.0), _REAL)
    yield row("piecewise", lambda x: jnp.piecewise(x, [x < 0, x >= 0], [lambda v: -(v**2), lambda v: v**2]), _REAL)
    yield row("select", lambda x: jnp.select([x > 1, x > 0], [2 * x - 1, x**2], 0.0), _REAL)
    yield row("interp by x", lambda x: jnp.interp(x, np.array([-1.0, 0.0, 2.0]), np.array([0.5, -1.0, 1.0])), _REAL)
    # of two or three
    for name in [
        "add",
        "subtract",
        "multiply",
        "hypot",
        "arctan2",
        "logaddexp",
        "logaddexp2",
        "maximum",
        "minimum",
        "fmax",
        "fmin",
        "copysign",
    ]:
        yield row(name, _of_xy(getattr(jnp, name)), _REAL, _REAL)
    yield row("divide", lambda x, y: jnp.divide(x, y), _REAL, _REAL)
    yield row("power", lambda x, y: jnp.power(x, y), _POSITIVE, _REAL)
    yield row("power, x ≥ 0", lambda x, y: jnp.power(x, y), _FROM_0, _POSITIVE)
    for exponent in (0, 1, 2, -3):
        yield row(f"power, y = {exponent}", lambda x, y=exponent: jnp.power(x, y), _REAL)
    for exponent in (0.0, 1.0, 2.0, 1.5):
        yield row(f"power, y = {exponent}", lambda x, y=exponent: jnp.power(x, y), _FROM_0)
    yield row("float_power", lambda x, y: jnp.float_power(x, y), _POSITIVE, _REAL)
    for name in ("mod", "fmod", "floor_divide"):
        yield row(name, _of_xy(getattr(jnp, name)), _REAL, _POSITIVE)
    yield row("mod, any y", lambda x, y: jnp.mod(x, y), _REAL, _REAL)
    yield row("divmod", lambda x, y: jnp.divmod(x, y)[1], _REAL, _POSITIVE)
    yield row("heaviside", lambda x, y: jnp.heaviside(x, y), _REAL, _REAL)
    yield row("nextafter", lambda x, y: jnp.nextafter(x, y), _REAL, _REAL)
    yield row("ldexp", lambda x: jnp.ldexp(x, 3), _REAL)
    yield row("where", lambda x, y: jnp.where(x > y, x, y**2), _REAL, _REAL)
    yield row("clip by all", lambda x, low, high: jnp.clip(x, low, high), _REAL, _REAL, _REAL)
    # of vectors
    for name in [
        "sum",
        "mean",
        "prod",
        "max",
        "min",
        "ptp",
        "std",
        "var",
        "median",
        "cumsum",
        "cumprod",
        "sort",
        "nansum",
        "nanmean",
        "nanprod",
        "nanmax",
        "nanmin",
        "nanstd",
        "nanvar",
        "nancumsum",
        "nancumprod",
        "nanmedian",
        "average",
        "unwrap",
        "flip",
        "gradient",
    ]:
        yield row(name, _of_x(getattr(jnp, name)), _VECTOR if name not in ("gradient", "unwrap") else reals(4))
    yield row("std(ddof=1)", lambda x: jnp.std(x, ddof=1), reals(3))
    yield row("var(ddof=1)", lambda x: jnp.var(x, ddof=1), reals(3))
    yield row("sum(where=…)", lambda x: jnp.sum(x, where=_EVEN), reals(5))
    yield row("max(where=…)", lambda x: jnp.max(x, where=_EVEN, initial=-1.0), reals(5))
    yield row("average(weights=…)", lambda x, weights: jnp.average(x, weights=weights), _VECTOR, positives("n"))
    yield row("average on a simplex", lambda x, weights: jnp.average(x, weights=weights), _VECTOR, simplex("n"))
    yield row("median of 4", lambda x: jnp.median(x), reals(4))
    yield row("median of sorted", lambda x: jnp.median(x), sorted_reals(5))
    yield row("quantile", lambda x: jnp.quantile(x, 0.25), reals(4))
    yield row("quantile by q", lambda x, q: jnp.quantile(x, q), reals(4), _UNIT, by="q")
    yield row("percentile", lambda x: jnp.percentile(x, 40.0), reals(4))
    yield row("nanquantile", lambda x: jnp.nanquantile(x, 0.25), reals(4))
    yield row("quantile(method='nearest')", lambda x: jnp.quantile(x, 0.375, method="nearest"), reals(4))
    yield row("partition", lambda x: jnp.partition(x, 1)[1], reals(4))
    yield row("diff", lambda x: jnp.diff(x), reals(4))
    yield row("ediff1d", lambda x: jnp.ediff1d(x), reals(4))
    yield row("roll", lambda x: jnp.roll(x, 1), _VECTOR)
    yield row("pad(mode='reflect')", lambda x: jnp.pad(x, 2, mode="reflect"), reals(4))
    yield row("pad(mode='linear_ramp')", lambda x: jnp.pad(x, 2, mode="linear_ramp"), reals(4))
    yield row("pad(mode='maximum')", lambda x: jnp.pad(x, 2, mode="maximum"), reals(4))
    yield row("tile", lambda x: jnp.tile(x, 2), _VECTOR)
    yield row("repeat", lambda x: jnp.repeat(x, 2), _VECTOR)
    yield row("take", lambda x: jnp.take(x, np.array([0, 2, 2])), reals(4))
    yield row("take by a permutation", lambda x, p: jnp.take(x, p), _VECTOR, permutations("n"), by="x")
    yield row("take by classes", lambda x, i: jnp.take(x, i), reals("k"), classes("n", "k"), by="x")
    yield row("insert", lambda x: jnp.insert(x, 1, 3.0), reals(4))
    yield row("vander", lambda x: jnp.vander(x), reals(3))
    yield row("diag", lambda x: jnp.diag(x), _VECTOR)
    yield row("tril", lambda x: jnp.tril(x), _SQUARE)
    yield row("cov", lambda x: jnp.cov(x), reals(2, 3))
    yield row("corrcoef", lambda x: jnp.corrcoef(x), reals(2, 3))
    yield row("trapezoid", lambda y, x: jnp.trapezoid(y, x), _VECTOR, sorted_reals("n"))
    yield row("polyval", lambda p, x: jnp.polyval(p, x), reals(4), _REAL)
    yield row("polyder", lambda p: jnp.polyder(p), reals(4))
    yield row("polyint", lambda p: jnp.polyint(p), reals(4))
    yield row("polymul", lambda a, b: jnp.polymul(a, b), reals(3), reals(2))
    yield row("poly", lambda zeros: jnp.poly(zeros), reals(3))
    yield row("interp by all", lambda x, xp, fp: jnp.interp(x, xp, fp), _REAL, sorted_reals(3), reals(3))
    yield row("convolve", lambda a, v: jnp.convolve(a, v), reals(4), reals(2))
    yield row("correlate", lambda a, v: jnp.correlate(a, v, mode="full"), reals(4), reals(2))
    for name in ("dot", "inner", "outer", "vdot", "kron", "vecdot"):
        yield row(name, _of_xy(getattr(jnp, name)), _VECTOR, _VECTOR)
    yield row("cross", lambda a, b: jnp.cross(a, b), reals(3), reals(3))
    yield row("matmul", lambda a, b: jnp.matmul(a, b), _MATRIX, reals("m", 2))
    yield row("matvec", lambda a, b: jnp.matvec(a, b), _MATRIX, reals("m"))
    yield row("tensordot", lambda a, b: jnp.tensordot(a, b), _MATRIX, _MATRIX)
    yield row("einsum", lambda a, b: jnp.einsum("ij,j->i", a, b), _MATRIX, reals("m"))
    yield row("trace", lambda a: jnp.trace(a), _SQUARE)
    yield row("histogram(weights=…)", lambda w: jnp.histogram(np.array([0.1, 0.6, 0.7]), 2, (0, 1), weights=w)[0], reals(3))
    yield row("bincount(weights=…)", lambda w: jnp.bincount(np.array([0, 2, 2]), weights=w, length=3), reals(3))
    yield row("linspace", lambda a, b: jnp.linspace(a, b, 4), _REAL, _REAL)
    yield row("logspace", lambda a, b: jnp.logspace(a, b, 3), intervals(-5, 5), intervals(-5, 5))
    yield row("geomspace", lambda a, b: jnp.geomspace(a, b, 3), _POSITIVE, _POSITIVE)
    yield row("apply_along_axis", lambda x: jnp.apply_along_axis(jnp.sum, 0, x), _MATRIX)


def _linear_algebra() -> Iterator[Row]:
    def row(name: str, of: Callable[..., Any], *domains: Domain, by: str = "", note: str = "") -> Row:
        return Row(f"jax.numpy.linalg.{name}", of, domains, tuple(by.split()), note)

    linalg = jnp.linalg
    yield row("det, 2 × 2", lambda a: linalg.det(a), reals(2, 2))
    yield row("det, 3 × 3", lambda a: linalg.det(a), reals(3, 3))
    yield row("det, 4 × 4", lambda a: linalg.det(a), reals(4, 4))
    yield row("det of positive definite", lambda a: linalg.det(a), positive_definite(3))
    yield row("slogdet", lambda a: linalg.slogdet(a)[1], reals(3, 3))
    yield row("slogdet of positive definite", lambda a: linalg.slogdet(a)[1], positive_definite(3))
    yield row("inv", lambda a: linalg.inv(a), reals(2, 2))
    yield row("inv of positive definite", lambda a: linalg.inv(a), positive_definite(3))
    yield row("inv of orthogonal", lambda a: linalg.inv(a), orthogonal(3))
    yield row("solve", lambda a, b: linalg.solve(a, b), reals(3, 3), reals(3))
    yield row("solve of lower triangular", lambda a, b: linalg.solve(a, b), lower_triangular(3), reals(3))
    yield row("cholesky", lambda a: linalg.cholesky(a), positive_definite(3))
    yield row("eigvalsh", lambda a: linalg.eigvalsh(a), symmetric(2))
    yield row("eigh, vectors", lambda a: linalg.eigh(a)[1], symmetric(2))
    yield row("svdvals", lambda a: linalg.svdvals(a), reals(2, 3))
    rank = "the derivative exists for the entries of R that are 0, and for the first by a[0][0]: a matrix of rank 0"
    yield row("qr, R", lambda a: linalg.qr(a)[1], reals(3, 2), note=rank)
    cut = "where it takes a small singular value for 0, the derivative by JAX is as if that were 0"
    yield row("pinv", lambda a: linalg.pinv(a), reals(3, 2), note=cut)
    yield row("lstsq", lambda a, b: linalg.lstsq(a, b)[0], reals(3, 2), reals(3))
    yield row("matrix_power, 3", lambda a: linalg.matrix_power(a, 3), reals(2, 2))
    yield row("matrix_power, -2", lambda a: linalg.matrix_power(a, -2), reals(2, 2))
    yield row("multi_dot", lambda a, b, c: linalg.multi_dot([a, b, c]), reals(2, 3), reals(3, 2), reals(2))
    yield row("norm", lambda x: linalg.norm(x), _VECTOR)
    yield row("norm on the sphere", lambda x: linalg.norm(x), unit_vectors(5))
    yield row("norm(ord=1)", lambda x: linalg.norm(x, 1), _VECTOR)
    yield row("norm(ord=3)", lambda x: linalg.norm(x, 3), _VECTOR)
    yield row("norm(ord=inf)", lambda x: linalg.norm(x, jnp.inf), _VECTOR)
    yield row("norm(ord=-inf)", lambda x: linalg.norm(x, -jnp.inf), _VECTOR)
    yield row("norm(ord=0)", lambda x: linalg.norm(x, 0), _VECTOR)
    yield row("norm(ord='fro')", lambda x: linalg.norm(x, "fro"), _MATRIX)
    yield row("norm of a matrix(ord=1)", lambda x: linalg.norm(x, 1), _MATRIX)
    yield row("norm of a matrix(ord=inf)", lambda x: linalg.norm(x, jnp.inf), _MATRIX)
    yield row("norm(ord='nuc')", lambda x: linalg.norm(x, "nuc"), reals(2, 2))
    yield row("cond", lambda x: linalg.cond(x), reals(2, 2))
    yield row("tensorsolve", lambda a, b: linalg.tensorsolve(a, b), reals(2, 2), reals(2))


def _stats() -> Iterator[Row]:
    def rows(family: str, kinds: str, of_kind: Callable[[Any], Callable[..., Any]], *domains: Domain) -> Iterator[Row]:
        for kind in kinds.split():
            yield Row(f"jax.scipy.stats.{family}.{kind}", of_kind(getattr(getattr(stats, family), kind)), domains)

    def located(f: Any) -> Callable[..., Any]:
        return lambda x, loc, scale: f(x, loc, scale)

    def plain(f: Any) -> Callable[..., Any]:
        return lambda x: f(x)

    def by_location(family: str, kinds: str) -> Iterator[Row]:
        for kind in kinds.split():
            f = getattr(getattr(stats, family), kind)
            yield Row(f"jax.scipy.stats.{family}.{kind} by x and loc", lambda x, loc, f=f: f(x, loc), (_REAL, _REAL))

    densities, tails = "logpdf pdf", "cdf logcdf sf logsf"
    yield from rows("norm", f"{densities} {tails}", located, _REAL, _REAL, _POSITIVE)
    yield from rows("norm", "ppf isf", plain, _UNIT)
    yield from rows("cauchy", densities, located, _REAL, _REAL, _POSITIVE)
    yield from rows("cauchy", tails, plain, _REAL)
    yield from rows("cauchy", "ppf isf", plain, _UNIT)
    yield from rows("logistic", densities, located, _REAL, _REAL, _POSITIVE)
    yield from rows("logistic", "cdf sf", plain, _REAL)
    yield from rows("logistic", "ppf isf", plain, _UNIT)
    yield from rows("laplace", f"{densities} cdf", located, _REAL, _REAL, _POSITIVE)
    yield from rows("gumbel_l", densities, located, _REAL, _REAL, _POSITIVE)
    yield from rows("gumbel_l", tails, plain, _REAL)
    yield from by_location("gumbel_l", densities)
    yield from rows("gumbel_l", "ppf", plain, _UNIT)
    yield from rows("gumbel_r", densities, located, _REAL, _REAL, _POSITIVE)
    yield from rows("gumbel_r", tails, plain, _REAL)
    yield from by_location("gumbel_r", densities)
    yield from rows("gumbel_r", "ppf", plain, _UNIT)
    yield from rows("expon", f"{densities} {tails}", plain, _FROM_0)
    yield from rows("expon", "ppf", plain, _UNIT)
    yield from rows("uniform", densities, located, _REAL, _REAL, _POSITIVE)
    yield from rows("uniform", "cdf", plain, intervals(-0.25, 1.25))
    yield from rows("uniform", "ppf", plain, _UNIT)
    yield from rows("chi2", densities, lambda f: lambda x, df: f(x, df), _POSITIVE, _POSITIVE)
    yield from rows("chi2", tails, lambda f: lambda x: f(x, 3.0), _POSITIVE)
    yield from rows("gamma", densities, lambda f: lambda x, a: f(x, a), _POSITIVE, _POSITIVE)
    yield from rows("gamma", tails, lambda f: lambda x: f(x, 2.5), _POSITIVE)
    yield from rows("beta", densities, lambda f: lambda x, a, b: f(x, a, b), _OPEN_UNIT, _POSITIVE, _POSITIVE)
    yield from rows("beta", tails, lambda f: lambda x: f(x, 2.0, 3.0), _OPEN_UNIT)
    yield from rows("pareto", densities, lambda f: lambda x, b: f(x, b), intervals(1, 50), _POSITIVE)
    yield from rows("pareto", tails, lambda f: lambda x, b: f(x, b), intervals(1, 50), _POSITIVE)
    yield from rows("pareto", "ppf", lambda f: lambda x: f(x, 2.0), _UNIT)
    yield from rows("t", densities, lambda f: lambda x, df: f(x, df), _REAL, _POSITIVE)
    yield from rows("gennorm", densities, lambda f: lambda x, beta: f(x, beta), _REAL, _POSITIVE)
    yield from rows("gennorm", "cdf", lambda f: lambda x: f(x, 1.5), _REAL)
    yield from rows("truncnorm", f"{densities} {tails}", lambda f: lambda x: f(x, -1.0, 2.0), intervals(-1, 2))
    yield from rows("vonmises", densities, lambda f: lambda x, kappa: f(x, kappa), _REAL, _FROM_0)
    yield from rows("wrapcauchy", densities, lambda f: lambda x, c: f(x, c), intervals(0, 6), _OPEN_UNIT)
    yield from rows("bernoulli", "logpmf pmf", lambda f: lambda k, p: f(k, p), integers(0, 1), _OPEN_UNIT)
    yield from rows("binom", "logpmf pmf", lambda f: lambda p: f(2.0, 5.0, p), _OPEN_UNIT)
    yield from rows("betabinom", "logpmf pmf", lambda f: lambda a, b: f(2.0, 5.0, a, b), _POSITIVE, _POSITIVE)
    yield from rows("nbinom", "logpmf pmf", lambda f: lambda n, p: f(3.0, n, p), _POSITIVE, _OPEN_UNIT)
    yield from rows("geom", "logpmf pmf", lambda f: lambda p: f(3.0, p), _OPEN_UNIT)
    yield from rows("poisson", "logpmf pmf cdf", lambda f: lambda mu: f(3.0, mu), _POSITIVE)
    yield from rows("poisson", "entropy", lambda f: lambda mu: f(mu), _POSITIVE)
    yield from rows("dirichlet", densities, lambda f: lambda x, alpha: f(x, alpha), simplex(3), positives(3))
    yield from rows("multinomial", "logpmf pmf", lambda f: lambda p: f(np.array([1, 2, 0]), 3, p), simplex(3))
    yield from rows(
        "multivariate_normal",
        densities,
        lambda f: lambda x, mean, cov: f(x, mean, cov),
        reals(2),
        reals(2),
        positive_definite(2),
    )
    yield Row("jax.scipy.stats.sem", lambda x: stats.sem(x), (reals(4),))
    yield Row("jax.scipy.stats.gaussian_kde", lambda x, at: stats.gaussian_kde(x)(at), (reals(4), reals(2)))


def _of_x(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda x: f(x)


def _of_xy(f: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda x, y: f(x, y)
