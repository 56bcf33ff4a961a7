"""The rules of balls: each holds the true value, by mpmath to 50 digits, and is narrow."""

from functools import partial

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from flint import arb
from hypothesis import given
from hypothesis import strategies as st
from jax import lax

from autodiff_ref.judge.balls import BALLS, Context, exact, precision
from autodiff_ref.judge.functions import FUNCTIONS
from autodiff_ref.judge.program.walk import plan


def evaluate(f, *args, **options):
    """f at `args` in balls, and the context it ran in."""
    values, context = evaluate_all(f, *args, **options)
    return values[0], context


def evaluate_all(f, *args, bits=256, labels=(), **options):
    """All leaves of what f returns, and the context it ran in."""
    with jax.enable_x64(True):
        made = plan(jax.make_jaxpr(f)(*args), BALLS, labels=labels)
    context = Context(**options)
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(args)]
    with precision(bits):
        balls = [exact(leaf) if leaf.dtype.kind == "f" else leaf for leaf in leaves]
        return made.run(context, *balls), context


def as_ball(value):
    """A number of mpmath as a ball of a few units of its 50th digit."""
    with precision(400):
        return arb(mpmath.nstr(value, 60, strip_zeros=False)) + arb(0, 1e-50) * max(1.0, float(abs(value)))


ANY = (-3.5, -1.0, -0.25, 0.0, 0.5, 1.0, 2.0, 7.25)
POSITIVE = (1e-3, 0.5, 1.0, 2.0, 30.5)
UNIT = (-0.75, -0.5, 0.0, 0.125, 0.875)

POINTS = {
    "log": POSITIVE,
    "log1p": (-0.5, 0.0, 1e-12, 3.0),
    "logistic": (*ANY, 1000.0, -1000.0),
    "acosh": (1.0, 1.5, 9.0),
    **dict.fromkeys(("sin", "cos"), (*ANY, 1e10)),
    **dict.fromkeys(("asin", "acos", "atanh", "erf_inv"), UNIT),
    "erfc": (*ANY, 20.0),
    "sqrt": (0.0, *POSITIVE),
    "rsqrt": POSITIVE,
    "lgamma": (-3.5, -0.25, 0.5, 1.0, 2.0, 30.5),
    "digamma": (-3.5, -0.25, 0.5, 1.0, 30.5),
}
"""where functions of one operand are asked that are not defined everywhere"""


def by_row(name):
    """A primitive of one operand, and its row's own word for it in mpmath."""
    return getattr(lax, name), partial(FUNCTIONS[name].truth, mpmath), POINTS.get(name, ANY)


ENTRYWISE = {
    **{name: by_row(name) for name, row in FUNCTIONS.items() if row.arity == 1 and not row.library},
    "igamma_grad_a": (
        lambda x: lax.igamma_grad_a(2.5, x),
        lambda x: FUNCTIONS["igamma_grad_a"].truth(mpmath, 2.5, x),
        (0.5, 1.0, 2.0, 30.5),
    ),
    "square": (lax.square, lambda x: x * x, ANY),
    "integer_pow": (lambda x: lax.integer_pow(x, -3), lambda x: x**-3, POSITIVE),
    "igamma": (lambda x: lax.igamma(2.5, x), lambda x: mpmath.gammainc(2.5, 0, x, regularized=True), POSITIVE),
    "igammac": (lambda x: lax.igammac(2.5, x), lambda x: mpmath.gammainc(2.5, x, regularized=True), POSITIVE),
    "zeta": (lambda x: lax.zeta(2.5, x), lambda x: mpmath.zeta(2.5, x), POSITIVE),
    "polygamma": (lambda x: lax.polygamma(1.0, x), lambda x: mpmath.polygamma(1, x), POSITIVE),
    "regularized_incomplete_beta": (
        lambda x: lax.betainc(2.0, 3.5, x),
        lambda x: mpmath.betainc(2, 3.5, 0, x, regularized=True),
        (0.125, 0.5, 0.875),
    ),
    "pow": (lambda x: lax.pow(x, 2.5), lambda x: x**2.5, POSITIVE),
    "pow of a negative base": (lambda x: lax.pow(x, 3.0), lambda x: x**3, ANY),
    "pow by an integer": (lambda x: lax.pow(x, 3), lambda x: x**3, ANY),
}


@pytest.mark.parametrize("name", ENTRYWISE)
def test_a_rule_holds_the_true_value_and_is_narrow(name):
    f, truth, points = ENTRYWISE[name]
    values, context = evaluate(f, np.array(points))
    assert (context.tied, context.unresolved) == (False, False)
    with mpmath.workdps(70):
        for point, value in zip(points, values, strict=True):
            expected = as_ball(truth(mpmath.mpf(point)))
            assert value.overlaps(expected), f"{name}({point}): {value}, expected {expected}"
            assert value == 0 or value.rel_accuracy_bits() > 180, f"{name}({point}) is wide: {value}"


@pytest.mark.parametrize(
    ("f", "point"), [(lax.log, 0.0), (lax.log, -1.0), (lax.sqrt, -1.0), (lax.rsqrt, 0.0), (lax.lgamma, -2.0)]
)
def test_outside_of_a_functions_domain_no_ball_is_finite(f, point):
    value, _ = evaluate(f, np.array(point))
    assert not value[()].is_finite()


@given(st.floats(-20, 20), st.sampled_from(["exp", "tanh", "logistic", "sin", "erf", "cbrt", "expm1"]))
def test_balls_of_any_precision_share_the_exact_value(point, name):
    f = ENTRYWISE[name][0]
    coarse, fine = (evaluate(f, np.array(point), bits=bits)[0][()] for bits in (128, 512))
    assert coarse.overlaps(fine)
    # a few bits above a tiny argument Arb is better than the precision asks for, and need not be better still with more
    assert fine.rad() <= coarse.rad() or fine.rel_accuracy_bits() >= 500


# What jumps


@pytest.mark.parametrize(
    ("f", "numpy"), [(jnp.floor, np.floor), (jnp.ceil, np.ceil), (jnp.round, np.round), (jnp.trunc, np.trunc)]
)
def test_rounding_of_labels_is_exact(f, numpy):
    points = np.array([-2.5, -2.0, -1.5, -0.5, -0.25, 0.0, 0.5, 1.0, 1.5, 2.5, 3.75])
    values, context = evaluate(f, points, labels=[True])
    np.testing.assert_array_equal([float(v) for v in values], numpy(points))
    assert (context.tied, context.unresolved) == (False, False)


@pytest.mark.parametrize(("f", "point"), [(jnp.floor, 2.0), (jnp.ceil, 2.0), (jnp.round, 2.5), (jnp.trunc, -3.0)])
def test_rounding_of_a_real_ties_where_it_jumps(f, point):
    sides = {float(evaluate(f, np.array(point), ties=ties)[0][()]) for ties in ("left", "right")}
    assert len(sides) == 2
    assert evaluate(f, np.array(point))[1].tied


def test_round_does_not_jump_at_an_integer():
    assert not evaluate(jnp.round, np.array(2.0))[1].tied


def test_a_cast_of_zero_to_bool_is_a_tie():
    assert evaluate(lambda x: x.astype(bool) * 2.0, np.array(0.0))[1].tied


def test_a_cast_to_int_truncates_and_stays_in_range():
    values, _ = evaluate(lambda x: x.astype(jnp.int32), np.array([-2.75, 0.5, 2.75, 1e12, -1e12]))
    assert values.tolist() == [-2, 0, 2, 2**31 - 1, -(2**31)]


def test_rem_has_the_sign_of_the_dividend():
    values, _ = evaluate(lax.rem, np.array([5.5, -5.5, 5.5]), np.array([2.0, 2.0, -2.0]))
    assert [float(v) for v in values] == [1.5, -1.5, 1.5]


def test_a_ball_without_a_bound_does_not_decide_is_finite():
    _, context = evaluate(lambda x: jnp.where(jnp.isfinite(1 / (x - x)), 1.0, 2.0), np.array(3.0))
    assert context.unresolved
    value, context = evaluate(lambda x: jnp.where(jnp.isfinite(x - jnp.inf), 1.0, 2.0), np.array(3.0))
    assert float(value[()]) == 2
    assert not context.unresolved


# Ties


def test_a_pair_that_ties_is_decided_alike_whichever_comes_first():
    def one_of_both(x, y):
        return jnp.where(x > y, 1.0, 0.0) + jnp.where(y >= x, 1.0, 0.0)

    for ties in ("left", "right", "mixed", "mixed back"):
        value, context = evaluate(one_of_both, np.array(1.0), np.array(1.0), ties=ties)
        assert context.tied
        assert float(value[()]) == 1


def test_sorting_labels_with_reals_beside_them_is_no_tie():
    _, context = evaluate(
        lambda k, x: lax.sort((k, x), num_keys=1)[1],
        np.array([1.0, 0.0, 1.0]),
        np.array([3.0, 2.0, 1.0]),
        labels=[True, False],
    )
    assert not context.tied


# Constants


@pytest.mark.parametrize("dtype", [jnp.float64, jnp.float32])
def test_a_tenth_may_mean_one_tenth(dtype):
    value, _ = evaluate(lambda w: w.astype(dtype) * 0.1, np.array(3.0))
    with precision(256):
        assert value[()].overlaps(arb(3) / 10)
        assert not value[()].overlaps(arb(3) / 10 * (1 + arb(10) ** (-6)))


def test_a_root_of_a_constant_is_not_its_double():
    value, _ = evaluate(lambda w: w * lax.sqrt(2.0), np.array(1.0))
    with precision(256):
        assert value[()].overlaps(arb(2).sqrt())
        assert value[()].rel_accuracy_bits() > 240


def test_integers_beyond_floats_stay_exact():
    value, _ = evaluate(lambda k: k.astype(float), np.array(2**60 + 1))
    with precision(256):
        assert value[()] == arb(2**60) + 1
