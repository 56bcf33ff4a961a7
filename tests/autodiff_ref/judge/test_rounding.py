"""Rounding bounds: what eager JAX computes stays within them, for single primitives, random programs and all lines."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flint import arb
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import lax

from autodiff_ref.judge.balls import BALLS, Context, exact, precision
from autodiff_ref.judge.balls.table import REFUSED
from autodiff_ref.judge.floats.table import FLOATS, WITHOUT_BOUNDS, bounded
from autodiff_ref.judge.functions import FUNCTIONS, Granted
from autodiff_ref.judge.program.recognised import NAMES
from autodiff_ref.judge.program.walk import NoRuleError, plan
from tests.combinations import combinations, few_or_many

pytestmark = pytest.mark.rounding

DTYPES = [np.float32, np.float64]


def traced(f: Callable[..., Any], args: tuple[Any, ...], dtype: Any) -> Any:
    """The jaxpr of f for one input, in `dtype`."""
    with jax.enable_x64(dtype == np.float64):
        return jax.make_jaxpr(f)(*args)


def in_balls(f: Callable[..., Any], args: tuple[Any, ...]) -> tuple[list[Any], bool]:
    """f in balls at the same numbers, and whether every comparison was decided."""
    wide = [leaf.astype(np.float64) if leaf.dtype.kind == "f" else leaf for leaf in args]
    with jax.enable_x64(True):
        made = plan(jax.make_jaxpr(f)(*wide), BALLS)
    context = Context()
    with precision(400):
        outputs = made.run(context, *[exact(leaf) if leaf.dtype.kind == "f" else leaf for leaf in wide])
    values = [value if isinstance(value, arb) else arb(int(value)) for out in outputs for value in np.ravel(out)]
    return values, not (context.unresolved or context.tied)


def excess(value: Any, error: Any, balls: list[Any]) -> float:
    """The largest |value − exact| / error; entries without information do not count."""
    worst = 0.0
    with precision(400):
        for v, e, ball in zip(np.ravel(value), np.ravel(error), balls, strict=True):
            if e == np.inf or not ball.is_finite():
                continue
            distance = float(abs(arb(float(v)) - ball).abs_lower())
            worst = max(worst, distance / e if e else np.inf if distance else 0.0)
    return worst


def eagerly(f: Callable[..., Any], args: tuple[Any, ...], dtype: Any) -> Any:
    """f in JAX, one primitive after the other."""
    with jax.enable_x64(dtype == np.float64), jax.disable_jit():
        return np.asarray(f(*map(jnp.asarray, args)))


def check(f: Callable[..., Any], batch: tuple[Any, ...], dtype: Any) -> float:
    """How far eager JAX, and the value that the bound comes with, go beyond the bound; and how many entries have one."""
    one = tuple(leaf[0] for leaf in batch)
    (value, error), *_ = bounded(traced(f, one, dtype))(*batch)
    informed = 0
    for k in range(len(batch[0])):
        args = tuple(leaf[k] for leaf in batch)
        balls, decided = in_balls(f, args)
        if not decided:
            continue
        informed += int(np.sum(error[k] < np.inf))
        assert excess(value[k], error[k], balls) <= 1, (args, value[k], error[k], balls)
        assert excess(eagerly(f, args, dtype), error[k], balls) <= 1, (args, error[k], balls)
    return informed


ARGUMENTS = {
    "log": (0.01, 20), "log1p": (-0.9, 20), "sqrt": (0.01, 20), "rsqrt": (0.01, 20), "acosh": (1.01, 9),
    "atanh": (-0.9, 0.9), "asin": (-0.9, 0.9), "acos": (-0.9, 0.9), "erf_inv": (-0.9, 0.9),
    "lgamma": (0.1, 20), "digamma": (0.1, 20),
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "dtype"), combinations(sorted(name for name, row in FUNCTIONS.items() if row.change), DTYPES)
)
def test_a_function_of_an_exact_and_of_a_rounded_argument_stays_within_its_bound(name: str, dtype: Any) -> None:
    low, high = ARGUMENTS.get(name, (-9, 9))
    rng = np.random.default_rng(0)
    x = rng.uniform(low, high, (few_or_many(2, 4), 6)).astype(dtype)
    function = getattr(lax, name)
    assert check(function, (x,), dtype) == x.size
    third = np.asarray(3, dtype)
    assert check(lambda x: function((x / third) * third), (x,), dtype) == x.size


PROGRAM_STEPS: list[Callable[..., Any]] = [
    lambda a, b: a + b,
    lambda a, b: a - b,
    lambda a, b: a * b,
    lambda a, b: a / b,
    lambda a, b: jnp.maximum(a, b),
    lambda a, b: jnp.where(a < b, a, jnp.tanh(b)),
    lambda a, b: jnp.exp(a) * b,
    lambda a, b: jnp.log(jnp.abs(a)) + b,
    lambda a, b: jax.nn.sigmoid(a) - jax.nn.sigmoid(b),
    lambda a, b: jnp.sum(a * b) * b,
    lambda a, b: jnp.outer(a, b) @ a,
    lambda a, b: jnp.cumsum(a) + b[::-1],
    lambda a, b: jax.nn.softmax(a) * b,
    lambda a, b: a**3 - b**-2,
    lambda a, b: jnp.sqrt(jnp.abs(a)) + jnp.sin(b),
    lambda a, b: jnp.concatenate([a[1:], b[:1]]) * 0.1,
    lambda a, b: jax.nn.relu(a) + jnp.clip(b, -1.0, 1.0),
    lambda a, b: a[jnp.array([2, 0, 1])] + b.at[1].add(a[0]),
    lambda a, b: lax.cond(a[0] < b[0], lambda: a, lambda: b),
    lambda a, b: lax.scan(lambda c, r: (c * 0.5 + r, c), a[0], b)[1],
    lambda a, b: lax.fori_loop(0, 3, lambda _, c: jnp.cos(c) + b, a),
    lambda a, b: lax.while_loop(lambda c: jnp.sum(c) < 4, lambda c: c + 1.25, jnp.abs(a)) * b,
    lambda a, b: jnp.sort(a) + jnp.floor(b),
    lambda a, b: jnp.log1p(jnp.exp(a)) + jnp.max(b),
    lambda a, b: jax.grad(lambda a: jnp.sum(jnp.tanh(a) * b))(a),
    lambda a, b: a[jnp.argmax(b)] * b,
    lambda a, b: jnp.prod(a) + jnp.cumprod(b),
]
"""steps of random programs, on two vectors of 3"""


@st.composite
def programs(draw: st.DrawFn) -> tuple[Callable[..., Any], list[tuple[int, int, int]]]:
    """A function of two vectors of 3, made of a few steps, each of earlier values."""
    length = draw(st.integers(1, 4))
    steps = [
        (draw(st.integers(0, len(PROGRAM_STEPS) - 1)), draw(st.integers(0, k + 1)), draw(st.integers(0, k + 1)))
        for k in range(length)
    ]

    def program(a: Any, b: Any) -> Any:
        values = [a, b]
        for step, i, j in steps:
            values.append(PROGRAM_STEPS[step](values[i], values[j]))
        return values[-1]

    return program, steps


def vectors(seed: int, count: int, dtype: Any) -> tuple[Any, Any]:
    """Ordinary numbers, numbers far apart, short ones and zeros, in two batches of vectors."""
    rng = np.random.default_rng(seed)
    scale = 10.0 ** rng.integers(-3, 2, (2, count, 1))
    values = rng.normal(size=(2, count, 3)) * scale
    values[:, 1::4] = np.rint(values[:, 1::4])
    first, second = values.astype(dtype)
    return first, second


@settings(max_examples=few_or_many(12, 25))
@given(program=programs(), seed=st.integers(0, 10), dtype=st.sampled_from(DTYPES))
def test_random_programs_stay_within_their_bounds(program: Any, seed: int, dtype: Any) -> None:
    check(program[0], vectors(seed, 4, dtype), dtype)


@pytest.mark.parametrize(("step", "dtype"), combinations(range(len(PROGRAM_STEPS)), DTYPES))
def test_every_step_of_random_programs_has_bounds_on_ordinary_numbers(step: int, dtype: Any) -> None:
    assert check(PROGRAM_STEPS[step], vectors(1, few_or_many(2, 4), dtype), dtype) > 0


@pytest.mark.parametrize("dtype", DTYPES)
def test_division_by_one_number_may_be_multiplication_by_its_reciprocal(dtype: Any) -> None:
    """Even of JAX computed eagerly: XLA rewrites x / y where y is one number for all x."""
    assert check(lambda a: a / 49, (49 * np.arange(1.0, 61).reshape(4, 15).astype(dtype),), dtype) == 60
    assert check(lambda a: a / a[0], (np.random.default_rng(0).normal(size=(4, 60)).astype(dtype),), dtype) == 240
    (_, error), *_ = bounded(traced(lambda a: a / 8, (np.zeros(3, dtype),), dtype))(np.array([[1, 2, 3]], dtype))
    assert np.all(error == 0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_constant_that_may_mean_a_decimal_is_as_wide_as_its_ulp(dtype: Any) -> None:
    """In its own dtype: 0.1 in float32 has 24 bits, which in float64 would be short."""
    x = np.array([[1.0, 8.0]], dtype)
    _, error = bounded(traced(lambda a: a * np.asarray(0.1, dtype), (x[0],), dtype))(x)[0]
    assert np.all(error >= float(np.spacing(dtype(0.1))) * x)
    _, error = bounded(traced(lambda a: a * np.asarray(0.125, dtype), (x[0],), dtype))(x)[0]
    assert np.all(error == 0)


def test_a_bound_that_grants_too_little_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """exp granted a 100th of its ulps: the checks above fail."""
    exp = FUNCTIONS["exp"]
    assert exp.ulps is not None
    monkeypatch.setitem(FUNCTIONS, "exp", replace(exp, ulps=exp.ulps._replace(double=Granted(0.08))))
    x = np.linspace(-9, 9, 60).reshape(4, 15)
    with pytest.raises(AssertionError):
        check(jnp.exp, (x,), np.float64)


def test_compiled_code_that_xla_rewrites_may_leave_the_bounds() -> None:
    """exp(a) exp(b) is compiled to exp(a + b), which rounds its argument: up to 500 u off. Bounds are for eager code.

    jax 0.12 leaves it alone: whether it was rewritten is read in what was compiled.
    """
    rng = np.random.default_rng(0)
    a, b = rng.uniform(200, 350, (2, 1, 40))

    def product(a: Any, b: Any) -> Any:
        return jnp.exp(a) * jnp.exp(b)

    (_, error), *_ = bounded(traced(product, (a[0], b[0]), np.float64))(a, b)
    balls, _ = in_balls(product, (a[0], b[0]))
    with jax.enable_x64(True):
        compiled = np.asarray(jax.jit(product)(a[0], b[0]))
        is_rewritten = jax.jit(product).lower(a[0], b[0]).compile().as_text().count("exponential(") == 1
    assert excess(eagerly(product, (a[0], b[0]), np.float64), error[0], balls) <= 1
    assert (excess(compiled, error[0], balls) > 1) == is_rewritten


def test_without_information_the_error_is_infinite() -> None:
    f = partial(traced, args=(np.zeros(1),), dtype=np.float64)
    third = 1 / 3
    for function, x in [
        (lambda x: jnp.exp(x), 1e3),  # overflow
        (lambda x: 1 / (x * third * 3 - x), 0.7),  # a divisor that may be 0
        (lambda x: jnp.log(x * third * 3 - x), 0.7),
        (lambda x: jnp.log(x), -1.0),
    ]:
        assert bounded(f(function))(np.array([[x]]))[0].error.tolist() == [[np.inf]]


def test_a_select_by_a_doubtful_predicate_is_as_far_off_as_its_other_branch() -> None:
    def step(x: Any) -> Any:
        return jnp.where(x * 0.1 > 0.3, 1.0, 2.0)

    (_, error), *_ = bounded(traced(step, (np.zeros(1),), np.float64))(np.array([[3.0], [4.0]]))
    assert error[0, 0] >= 1
    assert error[1, 0] == 0


SUMMED: list[Callable[..., Any]] = [jnp.sum, lambda x: x @ jnp.ones_like(x), lambda x: jnp.cumsum(x)[-1],
                                    lambda x: jnp.zeros_like(x).at[jnp.array([0, 0, 0])].add(x)[0],
                                    lambda x: jnp.convolve(x, jnp.ones_like(x))[2]]  # fmt: skip


@pytest.mark.parametrize(("summed", "dtype"), combinations(SUMMED, DTYPES))
def test_a_sum_that_overflows_is_no_information_and_its_reciprocal_neither(summed: Any, dtype: Any) -> None:
    """In float32 too, whose errors are carried in float64: 1/∞ is no 0."""
    x = np.full((1, 3), 0.6 * np.finfo(dtype).max, dtype)
    (value, error), *_ = bounded(traced(lambda x: x[:1] / summed(x), (x[0],), dtype))(x)
    assert np.all(np.isinf(error)), (value, error)


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_flushed_to_zero_is_no_exact_zero(dtype: Any) -> None:
    """A difference or product of normal numbers that is subnormal: XLA makes it 0, NumPy does not."""
    tiny = np.finfo(dtype).tiny
    x = np.array([[1.5 * tiny, tiny, 0.25]], dtype)
    for function in (lambda x: x[0] - x[1], lambda x: x[0] * x[2]):
        (value, error), *_ = bounded(traced(function, (x[0],), dtype))(x)
        assert value[0] == 0
        assert error[0] >= 0.375 * tiny
    (value, error), *_ = bounded(traced(lambda x: x[0] * (x[1] - x[1]), (x[0],), dtype))(x)
    assert value[0] == error[0] == 0


def test_a_primitive_without_a_rule_is_named() -> None:
    with pytest.raises(NoRuleError, match="eigh"):
        bounded(traced(NEEDING_THEM["eigh"], (np.zeros(3),), np.float64))


NEEDING_THEM: dict[str, Callable[..., Any]] = {
    "igamma": lambda a: lax.igamma(a, a),
    "igammac": lambda a: lax.igammac(a, a),
    "igamma_grad_a": lambda a: lax.igamma_grad_a(a, a),
    "polygamma": lambda a: lax.polygamma(a, a),
    "nextafter": lambda a: lax.nextafter(a, 2 * a),
    "eigh": lambda a: lax.linalg.eigh(jnp.outer(a, a))[1],
    "svd": lambda a: lax.linalg.svd(jnp.outer(a, a), compute_uv=False),
    "qr": lambda a: lax.linalg.qr(jnp.outer(a, a))[1],
    "householder_product": lambda a: lax.linalg.householder_product(jnp.outer(a, a), a),
    "geqrf": lambda a: jnp.linalg.qr(jnp.outer(a, a), mode="raw")[1],
    "ormqr": lambda a: lax.linalg.ormqr(jnp.outer(a, a), a, a[:, None]),
    "tridiagonal_solve": lambda a: lax.linalg.tridiagonal_solve(a, a, a, a[:, None]),
    "regularized_incomplete_beta": lambda a: lax.betainc(a, a, a),
    "zeta": lambda a: lax.zeta(a, a),
}


@pytest.mark.parametrize("name", WITHOUT_BOUNDS)
def test_what_has_no_bound_says_so_by_name(name: str) -> None:
    with pytest.raises(NoRuleError, match=f"`{name}`"):
        bounded(traced(NEEDING_THEM[name], (np.ones(3),), np.float64))


def test_all_other_primitives_that_balls_know_have_rounding_bounds() -> None:
    assert {*BALLS.rules} - NAMES - {*REFUSED} - {*FLOATS.rules, *FLOATS.movement} == {*WITHOUT_BOUNDS}


def test_labels_stay_exact() -> None:
    """(1 + y)/2 == 1 is decided, for y = ±1"""
    (value, error), *_ = bounded(traced(lambda y: (1 + y) / 2 == 1, (np.zeros(2),), np.float64))(np.array([[1.0, -1.0]]))
    assert value.tolist() == [[True, False]]
    assert error.tolist() == [[0, 0]]


def test_a_product_that_has_no_entries_has_bounds():
    none = bounded(traced(lambda x, w: x @ w, (np.ones((0, 2)), np.ones(2)), np.float64))
    ((value, error),) = none(np.ones((1, 0, 2)), np.ones((1, 2)))
    assert value.shape[1:] == error.shape[1:] == (0,)
