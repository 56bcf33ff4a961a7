"""Training on several devices, of one process or of many: each takes its share of every batch, one sum over all a step.

A table is dealt so that each device holds, side by side, its columns of every batch; a step is the step of
`autodiff_ref.train.loop` with the sums of all devices added by one `psum`. The weights are the same on every device.
"""

from collections.abc import Iterator
from functools import partial
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from autodiff_ref.train.chip import Count
from autodiff_ref.train.examples import Passes
from autodiff_ref.train.kernels import lane_sums
from autodiff_ref.train.loop import Plan, Recipe, State, along, plan_of
from autodiff_ref.train.shuffle import Segment
from autodiff_ref.train.updates import Values

AXIS = "data"
HEARTBEAT = 10
"""Seconds after which a process that is no longer there is given up, and with it all others."""


def join(coordinator: str, processes: int, number: int) -> None:
    """Makes this process one of several that train together; before JAX is used for anything else.

    Args:
        coordinator: host:port of process 0.
        processes: how many there are.
        number: which one this is, from 0.

    Raises:
        ValueError: a number is out of its range.
    """
    if processes < 2 or not 0 <= number < processes:
        raise ValueError(f"processes must be at least 2 and process_id below it, got {processes} and {number}")
    if ":" not in coordinator:
        raise ValueError(f"coordinator must be host:port, got {coordinator!r}")
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(coordinator, num_processes=processes, process_id=number, heartbeat_timeout_seconds=HEARTBEAT)


def mesh_of(devices: int) -> Mesh:
    """The first devices in one row.

    Raises:
        ValueError: there are not so many.
    """
    there = jax.devices()
    if devices > len(there):
        more = (
            f'; before JAX is first used, jax.config.update("jax_num_cpu_devices", {devices}) makes as many of a processor'
            if there[0].platform == "cpu"
            else ""
        )
        raise ValueError(f"devices must be at most {len(there)}, the devices that JAX has here, got {devices}{more}")
    return jax.make_mesh((devices,), (AXIS,), devices=there[:devices], axis_types=(jax.sharding.AxisType.Auto,))


def dealt(segment: Segment, inputs: int, batch: int, devices: int) -> Float[np.ndarray, "rows n"]:
    """The columns of a segment in the order of training, with their weights, each device's share of every batch together.

    The last batch is filled up with zeros, of weight 0.
    """
    table, n = segment.table, segment.n
    steps = -(-n // batch)
    full = np.zeros((inputs + 2, steps * batch), table.dtype)
    full[: len(table), :n] = table[:, :n]
    if len(table) == inputs + 1:
        full[inputs + 1, :n] = 1
    if segment.order is not None:
        whole = n // batch
        batches = full[:, : whole * batch].reshape(len(full), whole, batch)
        full[:, : whole * batch] = batches[:, segment.order[:whole]].reshape(len(full), -1)
    by_device = full.reshape(len(full), steps, devices, batch // devices).transpose(0, 2, 1, 3)
    return np.ascontiguousarray(by_device).reshape(len(full), -1)


T = TypeVar("T")


def put(mesh: Mesh, spec: PartitionSpec, tree: T) -> T:
    """Arrays on the devices of a mesh, of which a process hands over its own part alone."""
    sharding = NamedSharding(mesh, spec)

    def one(leaf: ArrayLike) -> jax.Array:
        array = np.asarray(leaf)
        return jax.make_array_from_callback(array.shape, sharding, lambda index: array[index])

    return jax.tree.map(one, tree)


@partial(jax.jit, static_argnames=("plan", "batch", "mesh"), donate_argnames="state")
def sharded_epoch(
    plan: Plan,
    values: Values,
    state: State,
    table: Float[Array, "rows n"],
    decay: Array | float,
    n: Count,
    *,
    batch: int,
    mesh: Mesh,
) -> tuple[State, Array]:
    """One pass over a table that is `dealt` to the devices of a mesh: the steps of `epoch`, and ll."""
    local = batch // mesh.size

    def run(values: Values, state: State, table: Array, decay: Array | float, n: Count) -> tuple[State, Array]:
        def one(k: Array, carry: tuple[State, Array]) -> tuple[State, Array]:
            state, ll = carry
            lanes, total = lane_sums(state.layers, table, k * local, local, plan.form, plan.gradient, plan.block)
            more, total = jax.lax.psum((jnp.sum(lanes), total), AXIS)
            return along(plan, values, state, total, jnp.minimum(batch, n - k * batch), decay), ll + more

        return jax.lax.fori_loop(0, table.shape[1] // local, one, (state, jnp.zeros((), table.dtype)))

    everywhere = PartitionSpec()
    shares = (everywhere, everywhere, PartitionSpec(None, AXIS), everywhere, everywhere)
    return jax.shard_map(run, mesh=mesh, in_specs=shares, out_specs=(everywhere, everywhere), check_vma=False)(
        values, state, table, decay, n
    )


def passes(
    recipe: Recipe, state: State, examples: Passes, numbers: range, decay: float, batch: int, mesh: Mesh
) -> Iterator[tuple[State, float]]:
    """Epoch by epoch: the state and ll."""
    inputs = state.layers[0].w.shape[1]
    everywhere = PartitionSpec()
    state = put(mesh, everywhere, jax.tree.map(np.asarray, state))
    for number in numbers:
        total = 0.0
        for segment in examples.epoch(number):
            table = dealt(segment, inputs, batch, mesh.size)
            plan, values = plan_of(recipe, state.layers, table, max(1, table.shape[1] // mesh.size))
            state, ll = sharded_epoch(
                plan,
                put(mesh, everywhere, values),
                state,
                put(mesh, PartitionSpec(None, AXIS), table),
                put(mesh, everywhere, np.asarray(decay, table.dtype)),
                put(mesh, everywhere, np.asarray(segment.n)),
                batch=batch,
                mesh=mesh,
            )
            total += float(ll)
        yield state, total
