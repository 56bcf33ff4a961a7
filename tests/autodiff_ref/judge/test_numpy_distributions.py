"""The rows of `scipy.stats`' distributions: they are SciPy's functions, and the slope of each cdf is the density."""

import jax
import numpy as np
import pytest
from scipy import stats

from autodiff_ref import assert_gradients_agree
from autodiff_ref.judge.numpy_code.distributions import DISTRIBUTIONS, METHODS, OF_SEVERAL, method_in_jax
from benchmarks.distributions import SHAPES, measure
from tests.combinations import chosen

LOC, SCALE = 0.375, 1.75
IN_BALLS = ("cdf", "sf", "logcdf", "logsf")
"""by ₂F₁, of which JAX's floats are no judge"""

USUAL = {"norm", "expon", "gamma", "logistic", "weibull_min", "uniform"}


def shapes_of(name):
    return SHAPES.get(name, [()])[0]


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_each_method_is_scipys_moved_and_stretched_inside_and_outside(name):
    distribution, row, shapes = getattr(stats, name), DISTRIBUTIONS[name], shapes_of(name)
    tried = 0
    for method in METHODS:
        if row.standard(method) is None or not hasattr(distribution, method):
            continue
        f = method_in_jax(distribution, method)
        assert f is not None
        where = {"loc": 2} if row.is_discrete else {"loc": LOC, "scale": SCALE}
        q = np.array([0.02, 0.3, 0.55, 0.97])
        inside = distribution.ppf(q, *shapes, **where)
        x = q if method in ("ppf", "isf") else np.array([-30.5, 1.25, 9.0, *inside])
        with jax.enable_x64(True), np.errstate(all="ignore"):
            found, wanted = f(x, *shapes, **where), getattr(distribution, method)(x, *shapes, **where)
        if name == "t" and method in IN_BALLS:
            assert method != "cdf" or measure(name, method, shapes, np.random.default_rng(0), count=8)[0] < 1
        else:
            np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-15)
        tried += 1
    assert tried >= 2


INVERSES = [name for name, row in DISTRIBUTIONS.items() if row.ppf is not None]
CUMULATIVE = [name for name, row in DISTRIBUTIONS.items() if row.standard("cdf") is not None and not row.is_discrete]


def middle(name):
    return getattr(stats, name).ppf(np.array([0.2, 0.45, 0.8]), *shapes_of(name), LOC, SCALE)


@pytest.mark.parametrize("name", chosen(CUMULATIVE, lambda name: name in USUAL))
def test_the_slope_of_each_cdf_is_the_density(name):
    distribution, args = getattr(stats, name), (*shapes_of(name), LOC, SCALE)
    x = middle(name)
    assert_gradients_agree(lambda x: distribution.pdf(x, *args), lambda x: np.sum(distribution.cdf(x, *args)), x)
    assert_gradients_agree(lambda x: -distribution.pdf(x, *args), lambda x: np.sum(distribution.sf(x, *args)), x)
    assert_gradients_agree(
        lambda x: -np.exp(distribution.logpdf(x, *args) - distribution.logsf(x, *args)),
        lambda x: np.sum(distribution.logsf(x, *args)),
        x,
    )
    for wrong in (
        lambda x: distribution.pdf(x, *args) * (1 + 1e-9),
        lambda x: distribution.pdf((x - LOC) / SCALE, *args[:-2]),  # without 1/scale
        lambda x: distribution.pdf(x, *args[:-1], SCALE * (1 + 1e-9)),
        lambda x: -distribution.pdf(x, *args),
    ):
        with pytest.raises(AssertionError, match="is not ∇"):
            assert_gradients_agree(wrong, lambda x: np.sum(distribution.cdf(x, *args)), x)


@pytest.mark.parametrize("name", chosen(INVERSES, lambda name: name in USUAL))
def test_the_slope_of_each_quantile_is_one_over_the_density(name):
    distribution, args = getattr(stats, name), (*shapes_of(name), LOC, SCALE)
    q = np.array([0.2, 0.45, 0.8])
    right = lambda q: 1 / distribution.pdf(distribution.ppf(q, *args), *args)  # noqa: E731
    assert_gradients_agree(right, lambda q: np.sum(distribution.ppf(q, *args)), q)
    assert_gradients_agree(
        lambda q: -1 / distribution.pdf(distribution.isf(q, *args), *args), lambda q: np.sum(distribution.isf(q, *args)), q
    )
    for wrong in (lambda q: right(q) * (1 + 1e-9), lambda q: right(q) / SCALE, lambda q: 1 / right(q)):
        with pytest.raises(AssertionError, match="is not ∇"):
            assert_gradients_agree(wrong, lambda q: np.sum(distribution.ppf(q, *args)), q)


COV = np.array([[2.0, 0.5, 0.0], [0.5, 1.0, 0.25], [0.0, 0.25, 1.5]])
POINTS = np.array([[0.5, 1.0, -1.0], [0.25, -0.75, 2.0]])
OF_SEVERAL_AT = {
    "multivariate_normal": [
        (POINTS, [0.5, 0.0, 1.0], COV),
        (POINTS[0], None, 2.0),
        (POINTS, [0.5, 0.0, 1.0], [1.0, 2.0, 3.0]),
        (0.5,),
    ],
    "multivariate_t": [(POINTS, [0.5, 0.0, 1.0], COV, 3.5), (POINTS[0], [0.0, 0.0, 0.0], COV, 2)],
    "dirichlet": [([0.2, 0.5, 0.3], [0.7, 2.0, 1.5]), ([0.2, 0.5], [0.7, 2.0, 1.5])],
    "multinomial": [([1, 4, 2], 7, [0.2, 0.5, 0.3]), ([[1, 4, 2], [0, 0, 7]], 7, [0.2, 0.5, 0.3])],
}


@pytest.mark.parametrize("name", OF_SEVERAL)
def test_distributions_of_several_variables_are_scipys(name):
    kind, log_density = OF_SEVERAL[name]
    for args in OF_SEVERAL_AT[name]:
        with jax.enable_x64(True):
            np.testing.assert_allclose(log_density(*args), getattr(getattr(stats, name), f"log{kind}")(*args), rtol=1e-9)


def test_another_distribution_of_a_known_name_is_another():
    class Own(stats.rv_continuous):
        def _pdf(self, x):
            return np.exp(-x)

    assert method_in_jax(Own(name="norm"), "pdf") is None
    assert method_in_jax(stats.norm, "pdf") is not None
    assert method_in_jax(stats.norm, "entropy") is None
