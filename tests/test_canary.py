"""Two computations that jaxlib 0.10.2 gets wrong on CPU without a word, and which the requirements exclude it for."""

import jax
import jax.numpy as jnp
import pytest

pytestmark = pytest.mark.rounding


def test_a_vmapped_product_of_16385_rows_is_right_in_its_last_row():
    """|I r|² = 16384² at r = (16384, 0, 0); jaxlib 0.10.2 is off by 5e5."""
    with jax.enable_x64(True):
        i = jnp.arange(16385.0)
        rows = jnp.stack((i, 0 * i, 0 * i), axis=1)
        squares = jax.jit(jax.vmap(lambda row: jnp.sum((jnp.eye(3) @ row) ** 2)))(rows)
        assert float(squares[-1]) == 16384.0**2


def test_the_sum_of_a_broadcast_column_counts_every_entry():
    """Σ over (2, 1024, 1024) ones is 2²¹, every time; in jaxlib 0.10.2 threads race for it."""
    with jax.enable_x64(True):
        total = jax.jit(lambda column: jnp.sum(jnp.broadcast_to(column, (2, 1024, 1024))))
        column = jnp.ones((1024, 1))
        assert [float(total(column)) for _ in range(3)] == [2.0**21] * 3
