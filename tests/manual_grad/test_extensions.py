"""The closed forms of `manual_grad.extensions` equal JAX's derivatives on NumPy and on JAX arrays, and keep their digits."""

import importlib
import pkgutil
from functools import cache

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import manual_grad.extensions
from autodiff_ref import verify
from autodiff_ref.judge import strategies
from autodiff_ref.nabla import staged_nabla
from manual_grad import Derivation
from manual_grad._arrays import leaves
from manual_grad.derivation import label_of
from manual_grad.extensions import activations, gauss_newton, hessian, hessian_vector, net, per_example, probit
from tests.derivations._few import few_inputs
from tests.derivations._traces import traces
from tests.shown import output_of

FILES = [module.name for module in pkgutil.iter_modules(manual_grad.extensions.__path__)]
DERIVATIONS = {
    f"{name}:{own}": value
    for name in FILES
    for own, value in vars(importlib.import_module(f"manual_grad.extensions.{name}")).items()
    if isinstance(value, Derivation)
}
SMALL = {"n": 3, "d": 4, "k": 2, "m": 3, "e": 2, "t": 5, "h": 3}


def sizes_of(derivation):
    return {
        name: min(max(SMALL[name], derivation.sizes.get(name, (1, 9))[0]), derivation.sizes.get(name, (1, 9))[1])
        for name in derivation.dim_names
    }


@cache
def compiled(name):
    """(the closed form, JAX's derivative), compiled together, which takes less than one by one."""
    derivation = DERIVATIONS[name]
    by_jax = staged_nabla(derivation.wrt)(derivation.of)
    return jax.jit(lambda *args: (derivation.lines[-1](*args), by_jax(*args)))


@pytest.mark.parametrize("name", DERIVATIONS)
def test_a_closed_form_equals_the_derivative_by_jax(name):
    derivation = DERIVATIONS[name]
    closed = derivation.lines[-1]

    @settings(deadline=None, max_examples=3)
    @given(strategies.arguments(derivation.domain, sizes=sizes_of(derivation), where=derivation.where))
    def agree(args):
        with jax.enable_x64(True):
            on_jax, by_jax = jax.tree.map(np.asarray, compiled(name)(*args))
        on_numpy = closed(*args)
        size = max(float(np.max(np.abs(leaf))) for leaf in leaves(by_jax))
        for ours, jaxs, theirs in zip(leaves(on_numpy), leaves(on_jax), leaves(by_jax), strict=True):
            assert isinstance(ours, np.ndarray | np.generic), f"{label_of(closed)} of NumPy arrays is {type(ours)}"
            np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-10 * (1 + size))
            np.testing.assert_allclose(jaxs, theirs, rtol=1e-9, atol=1e-10 * (1 + size))

    agree()


def test_no_extension_is_without_a_derivation():
    """`net` is the model that several share."""
    assert {name.partition(":")[0] for name in DERIVATIONS} == {*FILES} - {"net"}
    assert len(DERIVATIONS) >= 50


def test_every_line_and_function_says_its_formula():
    for name, derivation in DERIVATIONS.items():
        for line in (derivation.of, *derivation.lines):
            assert (line.__doc__ or "").strip(), f"{name}: {label_of(line)} has no docstring"


@pytest.mark.parametrize("name", ["activations:SILU", "poisson:POISSON"])
def test_the_judge_proves_an_extension(name):
    report = verify(DERIVATIONS[name])
    assert report.ok, str(report)
    assert all(line.verdict == "proved" for line in report.lines)


ROUNDED = {"activations:GELU", "probit:PROBIT"}
"""those whose constants are rounded, as √(2π): they are right to within an ulp"""


@pytest.mark.ci
@pytest.mark.parametrize("name", DERIVATIONS)
def test_the_judge_calls_every_extension_right(name):
    """At one input of each stratum; `manual-grad verify manual_grad.extensions` looks further, and proves."""
    derivation = DERIVATIONS[name]
    report = verify(derivation, inputs=few_inputs(derivation), traces=traces(derivation), floats=False, prove=False)
    allowed = {"agrees", "within"} if name in ROUNDED else {"agrees"}
    assert report.reference_is_right, str(report)
    assert {line.verdict for line in report.lines} <= allowed, str(report)


# Against jax.hessian and jax.jvp, and what is said of them


@jax.jit
def hessian_by_jax(v, w, weights, x, y):
    return jax.hessian(lambda v, w: net.log_likelihood(weights._replace(v=v, w=w), x, y), argnums=(0, 1))(v, w)


@jax.jit
def product_by_jax(weights, dot, x, y):
    return jax.jvp(lambda at: jax.grad(net.log_likelihood)(at, x, y), (weights,), (dot,))[1]


DRAWN = strategies.arguments(net.DOMAIN, sizes={"n": 3, "d": 4, "k": 2})


@settings(deadline=None, max_examples=3)
@given(DRAWN)
def test_the_blocks_of_the_hessian_are_those_of_jax_hessian(args):
    weights, x, y = args
    with jax.enable_x64(True):
        (vv, vw), (_, ww) = hessian_by_jax(weights.v, weights.w, weights, x, y)
    for ours, theirs in ((hessian.hessian_vv, vv), (hessian.hessian_vw, vw), (hessian.hessian_ww, ww)):
        np.testing.assert_allclose(ours(*args), theirs, atol=1e-12)


@settings(deadline=None, max_examples=3)
@given(DRAWN, st.integers(0, 2**32 - 1))
def test_pearlmutters_product_is_jax_jvp_of_the_gradient(args, seed):
    weights, x, y = args
    random = np.random.default_rng(seed)
    dot = net.Net(*(np.asarray(random.standard_normal(np.shape(leaf))) for leaf in weights))
    with jax.enable_x64(True):
        theirs = product_by_jax(weights, dot, x, y)
    for ours, by_jax in zip(hessian_vector.hessian_vector_product(weights, dot, x, y), theirs, strict=True):
        np.testing.assert_allclose(ours, by_jax, atol=1e-12)


@settings(deadline=None, max_examples=3)
@given(DRAWN)
def test_the_empirical_fisher_is_the_fisher_on_average_over_the_labels_only(args):
    weights, x, y = args
    p = 1 / (1 + np.exp(-net.score(weights, x)))
    j = gauss_newton.jacobian(weights, x)
    averaged = sum(
        np.tensordot(share[:, None, None] * net.g_of(weights, x, label)[:, None, None] ** 2 * j, j, axes=((0,), (0,)))
        for share, label in ((p, np.ones_like(y)), (1 - p, -np.ones_like(y)))
    )
    np.testing.assert_allclose(averaged, gauss_newton.fisher(weights, x), atol=1e-13)


def test_the_empirical_fisher_is_another_matrix():
    weights = net.Net(np.array([[0.0]]), np.array([0.0]), np.array([2.0]), np.array(1.0))
    x, y = np.array([[1.0]]), np.array([1.0])  # z = 2, J = ½
    sigma = 1 / (1 + np.exp(-2.0))
    assert gauss_newton.fisher(weights, x).item() == pytest.approx(sigma * (1 - sigma) / 4)
    assert gauss_newton.empirical_fisher(weights, x, y).item() == pytest.approx((1 - sigma) ** 2 / 4)


@settings(deadline=None, max_examples=3)
@given(DRAWN)
def test_squared_norms_are_those_of_the_gradients_of_the_examples(args):
    norms = np.sum(per_example.gradients(*args) ** 2, axis=(1, 2))
    np.testing.assert_allclose(per_example.squared_norms(*args), norms, rtol=1e-12)


# Accuracy


@pytest.mark.parametrize("z", [-1e8, -40.0, -10.0, -3.0, -0.5, 0.0, 0.5, 3.0, 10.0, 37.0])
def test_the_residual_of_probit_keeps_its_digits_in_both_tails(z):
    with mpmath.workdps(60):
        u = mpmath.mpf(z)
        # for large −z by the asymptotic series, which mpmath's erfc is too small for
        mills = mpmath.npdf(u) / mpmath.ncdf(u) if z > -1e4 else -u * (1 + 1 / u**2)
    assert float(probit.residual(np.array([z]), np.array([1.0]))[0]) == pytest.approx(float(mills), rel=4e-15)
    with jax.enable_x64(True):
        assert float(probit.residual(jnp.array([z]), jnp.array([1.0]))[0]) == pytest.approx(float(mills), rel=4e-15)


SLOPES = {
    "tanh": (activations.tanh_slope, lambda a: mpmath.sech(a) ** 2),
    "softplus": (activations.softplus_slope, lambda a: 1 / (1 + mpmath.exp(-a))),
    "silu": (activations.silu_slope, lambda a: mpmath.diff(lambda t: t / (1 + mpmath.exp(-t)), a)),
    "gelu": (activations.gelu_slope, lambda a: mpmath.ncdf(a) + a * mpmath.npdf(a)),
}


@pytest.mark.parametrize("name", SLOPES)
@pytest.mark.parametrize("a", [-30.0, -9.0, -3.0, -0.25, 0.0, 0.25, 3.0, 9.0, 30.0])
def test_the_slopes_of_activations_keep_their_digits(name, a):
    slope, exact = SLOPES[name]
    with mpmath.workdps(60):
        expected = float(exact(mpmath.mpf(a)))
    # e^(−a²/2) loses a² ulps: the argument is rounded
    assert float(slope(np.array(a))) == pytest.approx(expected, rel=1e-13)


@pytest.mark.skipif("config.getoption('--hypothesis-profile', None) != 'explore'", reason="takes minutes")
def test_the_judge_calls_all_extensions_right():
    assert output_of("manual-grad verify manual_grad.extensions")[1] == 0
