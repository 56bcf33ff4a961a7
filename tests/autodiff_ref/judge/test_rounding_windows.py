"""Rounding bounds of windows, of what depends on the order of many entries, and of sums at places."""

import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from autodiff_ref.judge.floats.table import bounded
from tests.autodiff_ref.judge.test_rounding import DTYPES, check, traced, vectors
from tests.combinations import combinations

pytestmark = pytest.mark.rounding

POOL = {"window_dimensions": (2,), "window_strides": (1,), "padding": "VALID"}


def pooled(a: Any) -> Any:
    return lax.reduce_window(a, -jnp.inf, lax.max, **POOL)


WINDOWS_AND_ORDERS: dict[str, Callable[..., Any]] = {
    "sum pooling": lambda a: lax.reduce_window(a / 3, 0.0, lax.add, (2,), (1,), [(1, 1)]),
    "max pooling": lambda a: pooled(a / 3),
    "min pooling, padded": lambda a: lax.reduce_window(a / 3, jnp.inf, lax.min, (2,), (2,), [(1, 0)]),
    "its gradient": jax.grad(lambda a: jnp.sum(pooled(a / 3) ** 2)),
    "its derivative": lambda a: jax.jvp(pooled, (a / 3,), (jnp.cos(a),))[1],
    "top_k": lambda a: lax.top_k(a / 3, 2)[0],
    "places of top_k": lambda a: a[lax.top_k(a / 3, 2)[1]],
    "scatter-add": lambda a: (a / 3).at[jnp.array([1, 1, 2])].add(jnp.sin(a)),
    "scatter-add of a batch's own places": lambda a: (a / 3).at[jnp.argsort(a)[:2]].add(a[0] / 7),
    "cumlogsumexp": lambda a: lax.cumlogsumexp(a / 3),
    "cumlogsumexp, backwards": lambda a: lax.cumlogsumexp(a * 9, reverse=True),
    "searchsorted": lambda a: jnp.searchsorted(jnp.array([-1.0, 0.0, 1.0]), a / 3) * a,
}


@pytest.mark.parametrize(("name", "dtype"), combinations(WINDOWS_AND_ORDERS, DTYPES))
def test_windows_orders_and_sums_at_places_stay_within_their_bounds(name: str, dtype: Any) -> None:
    assert check(WINDOWS_AND_ORDERS[name], vectors(2, 6, dtype)[:1], dtype) > 0


def test_what_a_doubtful_window_might_have_chosen_is_unknown() -> None:
    """Two entries of a window within rounding of each other: the gradient may go to either."""
    a = np.array([[1.0, 1.0 + 2.0**-52, 9.0]])
    gradient = traced(jax.grad(lambda a: jnp.sum(pooled(a / 3 * 3))), (a[0],), np.float64)
    ((_, error),), tied = bounded(gradient).with_ties(a)
    assert np.isinf(error[0]).tolist() == [True, True, False]
    assert tied.all()


def test_sums_at_places_hold_in_any_order() -> None:
    """10⁸ + 1 − 10⁸ − 1 in float32: 0 in one order, −1 in another."""
    updates = np.array([[1e8, 1.0, -1e8, -1.0]], np.float32) / 3

    def summed(u: Any) -> Any:
        return jnp.zeros(2, u.dtype).at[jnp.array([0, 0, 0, 0])].add(u)

    (value, error), *_ = bounded(traced(summed, (updates[0],), np.float32))(updates)
    orders = [np.cumsum(updates[0][list(order)], dtype=np.float32)[-1] for order in itertools.permutations(range(4))]
    assert len(set(orders)) > 1
    exact = float(updates.astype(np.float64).sum())
    assert all(abs(float(made) - exact) <= error[0, 0] for made in orders)
    assert value[0, 1] == error[0, 1] == 0
