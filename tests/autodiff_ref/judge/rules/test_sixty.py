"""A wrong rule planted in each of sixty right ones is found, and the rule named; the right ones are right."""

import inspect

import jax
import jax.numpy as jnp
import pytest
from jax import nn
from jax.scipy import special
from jax.scipy.special import gammaln, xlogy

from autodiff_ref import judge_rule
from manual_grad import intervals, positives, reals

REAL, POSITIVE, UNIT = reals(), positives(), intervals(0.0, 1.0)


def ruled(f, slopes, forward=1.0):
    """f with a custom_jvp: `slopes(*args)` is a derivative by each argument; forward mode says `forward` times as much."""

    def function(*args):
        return f(*args)

    function.__name__ = "planted"
    function.__signature__ = inspect.signature(f)
    made = jax.custom_jvp(function)

    @made.defjvp
    def its_rule(primals, tangents):
        by = slopes(*primals)
        if forward == 1.0:
            return made(*primals), sum(s * d for s, d in zip(by, tangents, strict=True))
        linear = jax.custom_derivatives.linear_call
        parts = [linear(lambda c, v: c * v * forward, lambda c, v: c * v, s, d) for s, d in zip(by, tangents, strict=True)]
        return made(*primals), sum(parts)

    return made


def slopes_of(f, count):
    return lambda *args: jax.grad(f, argnums=tuple(range(count)))(*args)


def changed(change):
    """A mistake in the derivative by the first argument."""

    def plant(f, count):
        right = slopes_of(f, count)

        def slopes(x, *rest):
            first, *others = right(x, *rest)
            return [change(x, first), *others]

        return ruled(f, slopes)

    return plant


def in_turn(f, count):
    return ruled(f, lambda *args: slopes_of(f, count)(*args)[::-1])


def at_second_order(f, count):
    right = slopes_of(f, count)
    return ruled(f, lambda *args: right(*map(jax.lax.stop_gradient, args)))


def in_forward_mode(f, count):
    return ruled(f, slopes_of(f, count), forward=1.5)


PLANT = {
    "a factor 1 + 1e-9": changed(lambda x, slope: slope * (1 + 1e-9)),
    "the sign": changed(lambda x, slope: -slope),
    "only at 0": changed(lambda x, slope: jnp.where(x == 0, slope + 1, slope)),
    "only beyond 100": changed(lambda x, slope: jnp.where(x > 100, slope + 1, slope)),
    "one argument's for another's": in_turn,
    "only at second order": at_second_order,
    "only in forward mode": in_forward_mode,
}

FUNCTIONS = {
    "sin": (jnp.sin, REAL),
    "cos": (lambda x: jnp.cos(x), REAL),
    "tanh": (jnp.tanh, REAL),
    "arctan": (jnp.arctan, REAL),
    "arcsinh": (jnp.arcsinh, REAL),
    "x²": (lambda x: x * x, REAL),
    "x³": (lambda x: x**3, REAL),
    "x⁵ − x": (lambda x: x**5 - x, REAL),
    "1/(1 + x²)": (lambda x: 1 / (1 + x * x), REAL),
    "√(1 + x²)": (lambda x: jnp.sqrt(1 + x * x), REAL),
    "e^−x²": (lambda x: jnp.exp(-x * x), REAL),
    "x e^−x²": (lambda x: x * jnp.exp(-x * x), REAL),
    "σ": (nn.sigmoid, REAL),
    "softplus": (nn.softplus, REAL),
    "silu": (lambda x: x * nn.sigmoid(x), REAL),
    "mish": (lambda x: x * jnp.tanh(nn.softplus(x)), REAL),
    "gelu": (lambda x: nn.gelu(x, approximate=False), REAL),
    "gelu by tanh": (lambda x: nn.gelu(x, approximate=True), REAL),
    "squareplus": (lambda x: nn.squareplus(x), REAL),
    "erf": (special.erf, REAL),
    "erfc": (special.erfc, REAL),
    "ndtr": (special.ndtr, REAL),
    "log ndtr": (lambda x: special.log_ndtr(x), intervals(-5.0, 150.0)),
    "sin cos": (lambda x: jnp.sin(jnp.cos(x)), REAL),
    "sin x²": (lambda x: jnp.sin(x * x), intervals(-5.0, 150.0)),
    "i0e": (special.i0e, intervals(0.5, 150.0)),
    "log": (jnp.log, POSITIVE),
    "log1p": (jnp.log1p, POSITIVE),
    "√x": (jnp.sqrt, POSITIVE),
    "1/x": (lambda x: 1 / x, POSITIVE),
    "1/√x": (lambda x: jax.lax.rsqrt(x), POSITIVE),
    "x log x": (lambda x: x * jnp.log(x), POSITIVE),
    "log Γ": (gammaln, POSITIVE),
    "digamma": (special.digamma, POSITIVE),
    "exp1": (special.exp1, intervals(0.5, 150.0)),
    "x^1.5": (lambda x: x**1.5, POSITIVE),
    "logit": (special.logit, UNIT),
    "entropy": (lambda x: -xlogy(x, x) - xlogy(1 - x, 1 - x), UNIT),
    "arcsin": (jnp.arcsin, UNIT),
    "arctanh": (jnp.arctanh, UNIT),
    "erf⁻¹": (special.erfinv, UNIT),
    "ndtri": (special.ndtri, UNIT),
    "x y": (lambda x, y: x * y, (REAL, REAL)),
    "x² y": (lambda x, y: x * x * y, (REAL, REAL)),
    "x/y": (lambda x, y: x / y, (REAL, POSITIVE)),
    "x^y": (lambda x, y: x**y, (POSITIVE, REAL)),
    "atan2": (lambda x, y: jnp.arctan2(x, y), (REAL, POSITIVE)),
    "√(1 + x² + 2 y²)": (lambda x, y: jnp.sqrt(1 + x * x + 2 * y * y), (REAL, REAL)),
    "log(e^x + e^2y)": (lambda x, y: jnp.logaddexp(x, 2 * y), (REAL, REAL)),
    "sin x e^y": (lambda x, y: jnp.sin(x) * jnp.exp(y), (REAL, REAL)),
    "x σ(y x)": (lambda x, y: x * nn.sigmoid(y * x), (REAL, REAL)),
    "log-likelihood of a normal": (lambda x, s: -0.5 * (x / s) ** 2 - jnp.log(s), (REAL, POSITIVE)),
    "cross entropy": (lambda x, y: nn.softplus(x) - x * y, (REAL, UNIT)),
    "squared difference": (lambda x, y: (x - 3 * y) ** 2, (REAL, REAL)),
    "relative entropy": (lambda x, y: x * (jnp.log(x) - jnp.log(y)), (POSITIVE, POSITIVE)),  # of x / y the slope overflows
    "Γ density": (lambda x, a: (a - 1) * jnp.log(x) - x - gammaln(a), (POSITIVE, POSITIVE)),
    "x y − log(1 + x²)": (lambda x, y: x * y - jnp.log1p(x * x), (REAL, REAL)),
    "tanh(x + 2 y)": (lambda x, y: jnp.tanh(x + 2 * y), (REAL, REAL)),
    "a x²/(1 + y²)": (lambda x, y: x * x / (1 + y * y), (REAL, REAL)),
    "cos(x y)": (lambda x, y: jnp.cos(x * y), (REAL, REAL)),
}


def domain_of(name):
    domain = FUNCTIONS[name][1]
    return domain if isinstance(domain, tuple) else (domain,)


def kinds_for(name):
    """The mistakes that show on its domain: in a rule of one argument none is taken for another, log has no value at 0."""
    domain = domain_of(name)
    kinds = ["a factor 1 + 1e-9", "the sign", "only at second order", "only in forward mode"]
    kinds += ["one argument's for another's"] * 3 if len(domain) == 2 else []
    kinds += ["only at 0"] if domain[0] == REAL else []
    reaches = domain[0] in (REAL, POSITIVE) or getattr(domain[0], "high", 0) > 100
    return kinds + ["only beyond 100"] * reaches


PLANTED = [(name, kinds[k % len(kinds)]) for k, name in enumerate(FUNCTIONS) for kinds in (kinds_for(name),)]

FEW = [*{kind: (name, kind) for name, kind in PLANTED}.values()]
"""one of each kind"""


def report_of(made, name, mistake=""):
    return judge_rule(made, domain=domain_of(name), order=2 if mistake == "only at second order" else 1)


def found(name, mistake):
    f, count = FUNCTIONS[name][0], len(domain_of(name))
    report = report_of(PLANT[mistake](f, count), name, mistake)
    finding = next(each for each in report.findings if each.kind == "WRONG")
    assert report.verdict == "WRONG"
    assert finding.rule == "planted"
    assert "test_sixty.py:" in finding.place
    if mistake == "only in forward mode":
        assert finding.note == "forward mode"
    if mistake == "only at second order":
        assert finding.order == 2


def right(name):
    f, count = FUNCTIONS[name][0], len(domain_of(name))
    report = report_of(ruled(f, slopes_of(f, count)), name)
    assert report.ok, report
    assert report.counts["right"] >= 10


def test_there_are_sixty_and_every_kind_is_planted():
    assert len(PLANTED) == 60
    assert {kind for _, kind in PLANTED} == set(PLANT)


@pytest.mark.parametrize(("name", "mistake"), FEW)
def test_a_mistake_of_each_kind_is_found(name, mistake):
    right(name)
    found(name, mistake)


@pytest.mark.explore
@pytest.mark.parametrize(("name", "mistake"), PLANTED)
def test_each_of_sixty_mistakes_is_found(name, mistake):
    right(name)
    found(name, mistake)
