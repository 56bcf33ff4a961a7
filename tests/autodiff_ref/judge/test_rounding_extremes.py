"""Rounding bounds far out: where sums cancel, numbers are lost, powers underflow, products overflow in another order."""

import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from autodiff_ref.judge.floats.sums import gamma_of
from autodiff_ref.judge.floats.table import bounded
from tests.autodiff_ref.judge.test_rounding import DTYPES, check, programs, traced, vectors

pytestmark = pytest.mark.rounding

SINGLE, DOUBLE = DTYPES


def lost(a: Any, b: Any) -> Any:
    """(a + b) − a: b, of which a took all digits, so that the error is as large as b."""
    return (a + b) - a


FAR: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "exp(x + 2e) where exp(x) is 0": (lambda a, b: jnp.exp(lost(a, b) - 900), (2.0**61, 250)),
    "exp2": (lambda a, b: jnp.exp2(lost(a, b) - 1300), (2.0**61, 250)),
    "expm1": (lambda a, b: jnp.expm1(lost(a, b) - 900) + 1, (2.0**61, 250)),
    "pow": (lambda t, a, b: t ** (lost(a, b) - 1120), (2, 2.0**60, 120)),
    "pow of a lost base": (lambda a, b: lost(a, b) ** -2.5, (1.0, 3.0 - 2.0**-52)),
    "rsqrt": (lambda a, b: lax.rsqrt(lost(a, b) + 2e300), (1e307, 1e299)),
    "acosh": (lambda a, b: lax.acosh(lost(a, b) + 2.0**551), (2.0**600, 2.0**547.5)),
    "asinh": (lambda a, b: lax.asinh(lost(a, b) + 2.0**551), (2.0**600, 2.0**547.5)),
    "1/x": (lambda a, b: (lost(a, b) + 2.0**651) ** -1, (2.0**700, 2.0**647.5)),
    "float32 of what is too small for it": (lambda a: a.astype(jnp.float32), (1e-50,)),
    "integers of 25 bits": (lambda a: a * 0 + jnp.asarray(2**24 + 1).astype(jnp.float32), (1.0,)),
    "half precision of what is too small for it": (lambda a: lax.reduce_precision(a, 5, 10), (7.5e-7,)),
    "of a normal one": (lambda a: lax.reduce_precision(a, 5, 10), (0.1,)),
    "inner product of huge and tiny numbers": (lambda a, b: jnp.dot(a, b), ([1.1e300, 1.9e300], [3.1e-308, 2.9e-308])),
    "cumulative products": (jnp.cumprod, ([1e-200, 1e-200, 1e200],)),
}  # fmt: skip


@pytest.mark.parametrize("name", FAR)
def test_far_out_a_bound_holds_and_says_something(name: str) -> None:
    f, args = FAR[name]
    assert check(f, tuple(np.asarray([a], DOUBLE) for a in args), DOUBLE) > 0


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_a_mask_takes_out_is_exact_and_the_rest_has_bounds(dtype: Any) -> None:
    def weights(a: Any, b: Any) -> Any:
        kept = jnp.array([[True, False, False], [True, True, False], [True, True, True]])
        return jax.nn.softmax(jnp.where(kept, jnp.outer(a, b), -jnp.inf), axis=-1)

    assert check(weights, vectors(0, 3, dtype), dtype) > 0
    a, b = (np.asarray(each[0]) for each in vectors(0, 3, dtype))
    (values, errors), *_ = bounded(traced(weights, (a, b), dtype))(a[None], b[None])
    masked = ~np.tri(3, dtype=bool)
    assert np.all(values[0][masked] == 0)
    assert np.all(errors[0][masked] == 0)
    assert np.all(errors[0][~masked] < 100 * np.finfo(dtype).eps)


def test_an_infinity_that_overflowed_or_meets_another_one_is_none() -> None:
    huge, far = np.array([1.5e308]), np.array([np.inf])
    for f, args in (
        (lambda a, b: a + b, (huge, huge)),
        (lambda a, b: a - b, (far, far)),
        (lambda a, b: lost(a, a) + b, (huge, far)),
    ):
        (_, error), *_ = bounded(traced(f, tuple(x[0] for x in args), DOUBLE))(*args)
        assert error[0] == np.inf


NOTHING_KNOWN: dict[str, tuple[Callable[..., Any], Any]] = {
    "an inner product that overflows in one order": (
        lambda a: jnp.dot(a, jnp.array([1e108, 1e108, 1.5e108])), [1e200, 1e200, -1e200]),
    "a product of which parts overflow": (jnp.prod, [1e-200, 1e200, -1e-200, 1e200]),
    "a product with an exact 0 of which parts overflow": (jnp.prod, [0.0, 1e200, 1e200]),
    "cumulative products": (lambda a: jnp.cumprod(a)[-1], [1e-200, 1e200, -1e-200, 1e200]),
    "cumulative products backwards": (lambda a: lax.cumprod(a, reverse=True)[0], [1e-200, 1e200, -1e-200, 1e200]),
    "products at a place": (
        lambda a: jnp.ones(1, a.dtype).at[jnp.array([0, 0, 0, 0])].mul(a)[0], [1e-200, 1e200, -1e-200, 1e200]),
    "half precision beyond its largest number": (lambda a: lax.reduce_precision(a[0], 5, 10), [70000.0]),
    "a remainder by 0": (lambda a: lax.rem(a[0], a[1]), [1.0, 0.0]),
    "a number that may round to infinity": (lambda a: a[0] * a[1], [np.finfo(DOUBLE).max / 2, 2.0]),
    "an integer of no number": (lambda a: (jnp.zeros(1) * (a * 1e300)).astype(int)[0] * 1.0, [1e300]),
    "a number too large for an integer": (lambda a: a[0].astype(jnp.int32) * 1.0, [1e11]),
    "an input that is no number": (lambda a: jnp.max(a), [np.nan, 1.0]),
    "a constant that is none": (lambda a: jnp.where(a[0] > 0, a[0], jnp.nan), [-1.0]),
    "the root of what may be negative": (lambda a: jnp.sqrt(lost(a[0], a[1])), [1.0, 2.0**-60]),
    "the arcsine of what may be more than 1": (lambda a: jnp.arcsin(a[0] + a[1]), [1.0, -(2.0**-60)]),
    "0 times what may be infinite": (lambda a: (a - a)[0] / lost(2.0 * a[0], a[0] * 2.0**-54), [1.0]),
}  # fmt: skip


@pytest.mark.parametrize("name", NOTHING_KNOWN)
def test_what_another_order_may_lose_is_no_information(name: str) -> None:
    f, x = NOTHING_KNOWN[name]
    batch = np.array([x])
    (_, error), *_ = bounded(traced(f, (batch[0],), DOUBLE))(batch)
    assert np.all(np.isinf(error)), error


def test_a_comparison_with_an_infinity_of_one_order_is_not_sure() -> None:
    f, x = NOTHING_KNOWN["an inner product that overflows in one order"]
    batch = np.array([x])
    (_, error), *_ = bounded(traced(lambda a: jnp.where(f(a) > 1e308, 1.0, 2.0), (batch[0],), DOUBLE))(batch)
    assert error[0] >= 1


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_product_holds_in_any_order(dtype: Any) -> None:
    """Where a part is flushed to zero that would have been multiplied by the rest."""
    tiny = np.finfo(dtype).tiny
    x = np.array([[tiny * 8, 2.0**-9, 2.0**30, 3.0]], dtype)
    (_, error), *_ = bounded(traced(jnp.prod, (x[0],), dtype))(x)
    exact = float(np.prod(x.astype(np.float64)))
    orders = [np.prod(flushed_one_by_one(x[0][list(order)])) for order in itertools.permutations(range(4))]
    assert 0.0 in orders
    assert max(abs(float(made) - exact) for made in orders) <= error[0] < np.inf


def flushed_one_by_one(x: Any) -> Any:
    """The product of numbers from left to right, subnormal ones flushed to zero."""
    made = x[0]
    for factor in x[1:]:
        made = made * factor
        made = made if abs(made) >= np.finfo(x.dtype).tiny else x.dtype.type(0)
    return made


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("summed", [jnp.sum, lambda x: jnp.zeros_like(x).at[jnp.zeros(x.shape, int)].add(x)[0]])
def test_many_short_numbers_are_not_added_exactly(summed: Callable[..., Any], dtype: Any) -> None:
    """30,000 × 31.96875, as many negatives, and 1/32: in float32 the partial sums have more than 24 digits."""
    most = 31.96875
    x = np.concatenate([np.full(30_000, most), [1 / 32], np.full(30_000, -most)]).astype(dtype)[None]
    (value, error), *_ = bounded(traced(summed, (x[0],), dtype))(x)
    assert np.all(abs(float(value[0]) - 1 / 32) <= error)
    assert (error[0] == 0) == (dtype == np.float64)
    (value, error), *_ = bounded(traced(summed, (x[0, :10_000],), dtype))(x[:, :10_000])
    assert value[0] == 10_000 * most
    assert error[0] == 0


@pytest.mark.parametrize("n", [2**23, 2**24, 2**24 + 2])
def test_of_more_numbers_than_float32_has_digits_nothing_is_known(n: int) -> None:
    assert gamma_of(n, np.float32) == np.inf
    assert 0 < gamma_of(n, np.float64) < 1e-8
    vector = jax.ShapeDtypeStruct((n,), np.float32)
    bounded(jax.make_jaxpr(jnp.dot)(vector, vector))


def test_of_a_sum_of_too_many_numbers_nothing_is_known() -> None:
    x = np.broadcast_to(np.float32(1), (1, 4096, 4096))
    (_, error), *_ = bounded(jax.make_jaxpr(jnp.sum)(jax.ShapeDtypeStruct(x.shape[1:], x.dtype)))(x)
    assert error[0] == np.inf


@pytest.mark.parametrize("dtype", [np.float16, jnp.bfloat16])
@pytest.mark.parametrize("f", [lambda a: a * 2, lambda a: a.astype(np.float32) * 2])
def test_half_precision_has_no_bounds_and_says_so(f: Callable[..., Any], dtype: Any) -> None:
    with pytest.raises(NotImplementedError, match=f"no rounding bounds in {np.dtype(dtype)}"):
        bounded(jax.make_jaxpr(f)(np.zeros(2, dtype)))(np.ones((1, 2), dtype))


def test_remainders_of_a_number_of_unknown_sign_are_two_divisors_apart() -> None:
    a, b = np.array([2.0**55]), np.array([-2.75])
    (_, error), *_ = bounded(traced(lambda a, b: lax.rem(lost(a, b), 3.0), (a[0], b[0]), DOUBLE))(a, b)
    assert 6 <= error[0] < 6.1


@settings(max_examples=15)
@given(program=programs(), seed=st.integers(0, 20), dtype=st.sampled_from(DTYPES))
def test_random_programs_of_lost_and_large_numbers_stay_within_their_bounds(program: Any, seed: int, dtype: Any) -> None:
    """Arguments up to ±1000 and more; one of them is what a sum has left of it."""
    a, b = vectors(seed, 3, dtype)
    scale = dtype(2.0 ** (np.random.default_rng(seed).integers(0, 8)) / np.finfo(dtype).eps)
    check(lambda a, b: program[0](lost(scale * abs(b), 100 * a), 100 * b), (a, b), dtype)
