"""Where data is put, and where it is taken from, is where JAX does so, dropped and filled entries included."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from autodiff_ref.judge.program.places import POINTED_AT, scattered
from autodiff_ref.judge.program.plans import Equation, Operand

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


GATHERS = {
    "rows": lambda x, i: x[i],
    "columns, filled with 7": lambda x, i: x.at[:, i].get(mode="fill", fill_value=7),
    "windows": lambda x, i: x.at[:, i, :2].get(mode="clip"),
    "a diagonal": lambda x, i: x.at[i, :, i].get(mode="fill", fill_value=7),
    "pairs": lambda x, i: x[i[:, None], i],
    "a window from an index": lambda x, i: x.at[i[0], 1:4].get(mode="clip"),
    "a batch with indices of its own": jax.vmap(lambda x, i: x[i]),
    "by unsigned integers": lambda x, i: x.at[i.astype(jnp.uint8)].get(mode="clip"),
    "along an axis": lambda x, i: jnp.take_along_axis(x, i[None, :, None], axis=1),
    "a window": lambda x, i: lax.dynamic_slice(x, i, (2, 3, 1)),
    "a window for each": lambda x, i: jax.vmap(lambda k: lax.dynamic_slice(x, (k, 0, k), (1, 2, 2)))(i),
    "a window of all": lambda x, i: lax.dynamic_slice(x, i, x.shape),
    "a window written": lambda x, i: lax.dynamic_update_slice(x, 7 * x[:2, :3, :1], i),
    "an entry written": lambda x, i: x.at[i[0], i[1], i[2]].set(7.0) + lax.dynamic_update_slice(x, x[:1, :1, :1], i),
}


def equations(jaxpr, names):
    for equation in jaxpr.eqns:
        if equation.primitive.name in names or equation.primitive.name.startswith(names):
            yield equation
        for value in equation.params.values():
            yield from equations(value.jaxpr, names) if hasattr(value, "jaxpr") else ()


def by_jax(indices, target, update, dimensions, mode):
    """The transpose of scatter-add collects what stands at each update's place."""
    numbered = np.arange(1.0, 1.0 + np.prod(target), dtype=np.float32).reshape(target)

    @jax.jit
    def transposed(indices, numbered):
        def scatter_add(updates):
            return lax.scatter_add(jnp.zeros(target), indices, updates, dimensions, mode=mode)

        return jax.vjp(scatter_add, jnp.zeros(update))[1](numbered)

    (found,) = transposed(indices, numbered)
    return np.asarray(found).astype(int) - 1


@pytest.mark.parametrize("name", SCATTERS)
def test_each_update_goes_where_jax_puts_it(name):
    index = np.tile(I, (4, 1)) if name.startswith("a batch with") or name == "a batch of transposes" else I
    found = list(equations(jax.make_jaxpr(SCATTERS[name])(X, index).jaxpr, ("scatter",)))
    assert found
    random = np.random.default_rng(0)
    for equation in found:
        target, indices, update = (var.aval.shape for var in equation.invars)
        kind = target, update, equation.params["dimension_numbers"], equation.params["mode"]
        in_bounds = kind[3] == lax.GatherScatterMode.PROMISE_IN_BOUNDS
        for low, high in ((0, 2),) if in_bounds else ((0, 2), (-4, 8)):
            drawn = random.integers(low, high, indices)
            np.testing.assert_array_equal(scattered(drawn, *kind), by_jax(drawn, *kind))
            np.testing.assert_array_equal(scattered(np.stack([drawn, drawn + 1]), *kind)[0], scattered(drawn, *kind))


@pytest.mark.parametrize("name", GATHERS)
def test_each_entry_is_taken_from_where_jax_takes_it(name):
    """For one input, and for a batch of them at once."""
    index = np.tile(I, (4, 1)) if name.startswith("a batch with") else I
    found = list(equations(jax.make_jaxpr(GATHERS[name])(X, index).jaxpr, tuple(POINTED_AT)))
    assert found
    random = np.random.default_rng(0)
    for equation in found:
        data, places_of = POINTED_AT[equation.primitive.name]
        operands, results = (
            tuple(Operand(v.aval.shape, v.aval.dtype, False) for v in of) for of in (equation.invars, equation.outvars)
        )
        places = places_of(Equation(equation.primitive, equation.params, operands, results))
        arrays = [random.standard_normal(o.shape).astype(np.float32) for o in operands[:data]]
        flat = np.concatenate([array.ravel() for array in arrays])
        fill = equation.params.get("fill_value")
        batch = [
            [random.integers(0 if o.dtype.kind == "u" else low, high, o.shape).astype(o.dtype) for o in operands[data:]]
            for low, high in ((0, 2), (0, 2), (-4, 8), (-4, 8), (-9, 99))
        ]
        expected = [
            np.asarray(equation.primitive.bind(*arrays, *map(jnp.asarray, each), **equation.params)) for each in batch
        ]
        for taken, theirs in zip(
            [*(places(*each) for each in batch), *places(*map(np.stack, zip(*batch, strict=True)))],
            expected * 2,
            strict=True,
        ):
            outside = np.nan if fill is None else fill
            np.testing.assert_array_equal(np.where(taken < 0, outside, flat[taken]), theirs)
