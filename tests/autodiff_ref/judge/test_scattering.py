"""Where scattered updates go is where JAX puts them, dropped ones included."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from autodiff_ref.judge.program.scattering import places
from tests.once import compiled_once

X, I = jnp.ones((4, 5, 3)), jnp.array([0, 2, 1])  # noqa: E741 (the index)

SCATTERS = {
    "rows": lambda x, i: x.at[i].add(1.0),
    "columns": lambda x, i: x.at[:, i].add(1.0, mode="drop"),
    "windows": lambda x, i: x.at[:, i, :2].set(1.0, mode="clip"),
    "a diagonal": lambda x, i: x.at[i, :, i].mul(2.0, mode="drop"),
    "pairs": lambda x, i: x.at[i[:, None], i].add(1.0, mode="clip"),
    "an entry of a slice": lambda x, i: x.at[1:3, i[0]].add(1.0),
    "a window from an index": lambda x, i: x.at[i[0], 1:4].max(1.0, mode="clip"),
    "a batch of rows": lambda x, i: jax.vmap(lambda row: row.at[i].add(1.0))(x),
    "a batch with indices of its own": jax.vmap(lambda x, i: x.at[i].add(1.0)),
    "the transpose of a gather": jax.grad(lambda x, i: x[i].sum()),
    "a batch of transposes": jax.vmap(jax.grad(lambda x, i: x[i, i].sum())),
    "a Jacobian": jax.jacobian(lambda x, i: x[i]),
}


def scatters(jaxpr):
    for equation in jaxpr.eqns:
        if equation.primitive.name.startswith("scatter"):
            yield equation
        for value in equation.params.values():
            yield from scatters(value.jaxpr) if hasattr(value, "jaxpr") else ()


def by_jax(indices, target, update, dimensions, mode):
    """The transpose of scatter-add collects what stands at each update's place."""
    numbered = np.arange(1.0, 1.0 + np.prod(target), dtype=np.float32).reshape(target)

    @compiled_once
    def transposed(indices, numbered):
        def scatter_add(updates):
            return lax.scatter_add(jnp.zeros(target), indices, updates, dimensions, mode=mode)

        return jax.vjp(scatter_add, jnp.zeros(update))[1](numbered)

    (found,) = transposed(indices, numbered)
    return np.asarray(found).astype(int) - 1


@pytest.mark.parametrize("name", SCATTERS)
def test_each_update_goes_where_jax_puts_it(name):
    index = np.tile(I, (4, 1)) if name.startswith("a batch with") or name == "a batch of transposes" else I
    found = list(scatters(jax.make_jaxpr(SCATTERS[name])(X, index).jaxpr))
    assert found
    random = np.random.default_rng(0)
    for equation in found:
        target, indices, update = (var.aval.shape for var in equation.invars)
        kind = target, update, equation.params["dimension_numbers"], equation.params["mode"]
        in_bounds = kind[3] == lax.GatherScatterMode.PROMISE_IN_BOUNDS
        for low, high in ((0, 2),) if in_bounds else ((0, 2), (-4, 8)):
            drawn = random.integers(low, high, indices)
            np.testing.assert_array_equal(places(drawn, *kind), by_jax(drawn, *kind))
