"""Rounding bounds of solving and factoring hold for LAPACK, for XLA in batches and for NumPy, near singularity too."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.linalg as jsl
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodiff_ref.judge.floats.table import bounded
from tests.autodiff_ref.judge.test_rounding import DTYPES, excess, in_balls, traced
from tests.combinations import combinations

pytestmark = pytest.mark.rounding

INVERSE: Callable[..., Any] = jnp.linalg.inv
FUNCTIONS: dict[str, tuple[Callable[..., Any], Callable[..., Any] | None]] = {
    "inverse": (INVERSE, np.linalg.inv),
    "system": (lambda a: jnp.linalg.solve(a, a[0]), lambda a: np.linalg.solve(a, a[0])),
    "determinant": (jnp.linalg.det, None),
    "log |det|": (lambda a: jnp.linalg.slogdet(a)[1], None),
    "Cholesky": (lambda a: jnp.linalg.cholesky(a @ a.T), lambda a: np.linalg.cholesky(a @ a.T)),
    "system by Cholesky": (lambda a: jsl.cho_solve((jnp.linalg.cholesky(a @ a.T), True), a[0]), None),
    "lower triangle": (lambda a: jsl.solve_triangular(a, a.T, lower=True), None),
    "upper triangle, transposed": (lambda a: jsl.solve_triangular(a, a[1:].T, trans=1), None),
    "unit triangle": (lambda a: jsl.solve_triangular(a, a[0], lower=True, unit_diagonal=True), None),
}
"""by JAX, and by NumPy where it goes the same way; up to three rows JAX writes a determinant out"""
TOGETHER = {name: (jax.vmap(f), jax.jit(jax.vmap(f))) for name, (f, _) in FUNCTIONS.items()}


@st.composite
def matrices(draw: st.DrawFn, dtype: Any) -> np.ndarray:
    """Three of one size, of entries that are short or long, near a singular one by some power of ten or far from any."""
    n = draw(st.sampled_from((2, 3, 5)))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    made = random.standard_normal((3, n, n))
    if draw(st.booleans()):
        made = np.round(made * 4) / 4
    away = draw(st.sampled_from([0.0, 1.0, 1e-3, 1e-6]))
    if away:
        made[:, -1] = made[:, 0] + away * made[:, -1]
    return (made * 10.0 ** draw(st.integers(-3, 3))).astype(dtype)


@pytest.mark.parametrize(("name", "dtype"), combinations(sorted(FUNCTIONS), DTYPES))
@given(data=st.data())
def test_every_way_to_compute_it_stays_within_its_bound(name: str, dtype: Any, data: st.DataObject) -> None:
    f, by_numpy = FUNCTIONS[name]
    batch = data.draw(matrices(dtype))
    (value, error), *_ = bounded(traced(f, (batch[0],), dtype))(batch)
    with jax.enable_x64(dtype == np.float64):
        together, compiled = (np.asarray(way(batch)) for way in TOGETHER[name])
    for k, a in enumerate(batch):
        exact, decided = in_balls(f, (a,))
        if not decided or not (error[k] < np.inf).any():
            continue
        with jax.enable_x64(dtype == np.float64):
            ways = [value[k], together[k], compiled[k], np.asarray(f(a))]
        if by_numpy is not None:
            with suppress(np.linalg.LinAlgError):  # it finds the matrix singular
                ways.append(np.asarray(by_numpy(a), dtype))
        for way in ways:
            assert excess(way, error[k], exact) <= 1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_bound_says_something(name: str, dtype: Any) -> None:
    """Of well-conditioned matrices it knows some digits."""
    f = FUNCTIONS[name][0]
    batch = (4 * np.eye(4) + np.random.default_rng(0).standard_normal((5, 4, 4))).astype(dtype)
    (value, error), *_ = bounded(traced(f, (batch[0],), dtype))(batch)
    assert np.max(error / np.max(np.abs(value))) < 3e4 * np.finfo(dtype).eps


def test_where_rounding_may_choose_the_pivot_nothing_is_known() -> None:
    third = np.float64(1) / 3
    batch = np.array([[[1.0, 2.0], [3 * third, 5.0]], [[1.0, 2.0], [4.0, 5.0]]])
    (_, error), *_ = bounded(traced(lambda a: INVERSE(a * third), (batch[0],), np.float64))(batch)
    assert np.isinf(error[0]).all()
    assert (error[1] < 1e-13).all()
