"""The plain pieces of training: `start`, `step`, `epoch`. For people who write their own loop; `fit` is made of them."""

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from autodiff_ref.train import chip, kernels
from autodiff_ref.train.capacity import least
from autodiff_ref.train.chip import Count
from autodiff_ref.train.kernels import (
    Form,
    Layers,
    Table,
    batch_sums,
    block_of,
    gradient_of,
    lane_sums,
    launch_for,
    left_over,
    ranges_of,
    span_sums,
    sum_over,
    whole_sums,
)
from autodiff_ref.train.updates import Update, Values, update_of
from autodiff_ref.train.values import whole
from autodiff_ref.trees import PyTree
from manual_grad.activations import activation_of
from manual_grad.mlp import OUTPUTS

AT_A_TIME = 4
"""Steps that an accelerator is given at a time. 64 units, 781 batches of 128: 9.3 ms one by one, 7.2 by 4, 6.9 by 8."""


@dataclass(frozen=True)
class Recipe:
    """What a step does, fixed while a function is compiled.

    Args:
        optimizer: a pair init, update, such as `sgd(0.5)` or any of optax's; it descends, and is handed −∇.
        hidden: the squashing function within: "sigmoid", "tanh" or "relu".
        gradient: "hand" for the δ recursion, "autodiff" for `jax.grad`.
        block: examples worked on at a time within a batch, which bounds the memory a step needs; by default as many as stay
            in the cache.
        output: "classes", or "identity" for numbers in the place of labels.

    Raises:
        ValueError: `hidden`, `gradient` or `output` is unknown.
    """

    optimizer: Any
    hidden: str = "sigmoid"
    gradient: str = "hand"
    block: int | None = None
    output: str = "classes"

    def __post_init__(self) -> None:
        activation_of(self.hidden)
        gradient_of(self.gradient)
        if self.output not in OUTPUTS:
            raise ValueError(f"output must be one of {', '.join(OUTPUTS)}, got {self.output!r}")

    @property
    def form(self) -> Form:
        """The functions of the net."""
        return Form(self.hidden, self.output)


class State(NamedTuple):
    """What a step changes."""

    layers: Layers
    optimizer: PyTree


class Plan(NamedTuple):
    """What is compiled for: a recipe without the numbers of its optimiser. Equal plans share a compilation."""

    update: Update
    form: Form
    gradient: str
    block: int


def plan_of(recipe: Recipe, layers: Layers, table: Table, n: int | None = None) -> tuple[Plan, Values]:
    """The plan of a recipe for a net and a table, and the numbers of its optimiser.

    Raises:
        TypeError: the optimiser asks for more than (gradient, state, parameters).
    """
    update, values = update_of(recipe.optimizer, layers)
    return Plan(update, recipe.form, recipe.gradient, recipe.block or block_of(layers, table, n)), values


def start(recipe: Recipe, layers: Layers) -> State:
    """The state before the first step. The layers are copied: `epoch` gives their memory away."""
    own = jax.tree.map(lambda p: jax.device_put(p if isinstance(p, jax.Array) else np.asarray(p), may_alias=False), layers)
    return State(own, recipe.optimizer.init(own))


def ascend(plan: Plan, values: Values, state: State, gradient: Layers, decay: Array | float) -> State:
    """w ← w + step of the optimiser along ∇(mean ll) − λ/N W"""
    uphill = tuple(g._replace(w=g.w - decay * layer.w) for g, layer in zip(gradient, state.layers, strict=True))
    downhill = jax.tree.map(jnp.negative, uphill)
    change, optimizer = plan.update.run(values, downhill, state.optimizer, state.layers)
    return State(jax.tree.map(lambda p, u: (p + u).astype(p.dtype), state.layers, change), optimizer)


def along(plan: Plan, values: Values, state: State, total: Layers, count: Count, decay: Array | float) -> State:
    """The step along the gradient `total`, a sum over `count` examples."""
    return ascend(plan, values, state, jax.tree.map(lambda g: (g / count).astype(g.dtype), total), decay)


def step(recipe: Recipe, state: State, batch: Float[Array, "rows m"], decay: float = 0.0) -> tuple[State, Float[Array, ""]]:
    """One step along the mean gradient of a batch: w ← w + η (1/m Σ c_i ∇log σ(y_i z_i) − λ/N W)

    Args:
        recipe: what a step does.
        state: from `start`, or the step before.
        batch: (d + 1, m) or (d + 2, m), one example a column: features, label, and its weight relative to the mean weight.
        decay: λ/N, the weight decay an example.

    Returns:
        The new state, and ll summed over the batch at the old weights.

    Example:
        >>> from autodiff_ref.train import sgd
        >>> from manual_grad.mlp import Layer
        >>> recipe = Recipe(sgd(1.0))
        >>> state = start(recipe, (Layer(jnp.zeros((2, 1))), Layer(jnp.array([[4.0, -4.0]]))))
        >>> state, ll = step(recipe, state, jnp.array([[1.0], [1.0]]))
        >>> state.layers[0].w.tolist()
        [[0.5], [-0.5]]
    """
    plan, values = plan_of(recipe, state.layers, batch)
    return _step(plan, values, state, batch, decay)


@partial(jax.jit, static_argnums=0)
def _step(plan: Plan, values: Values, state: State, batch: Array, decay: Array | float) -> tuple[State, Array]:
    count = batch.shape[1]
    lanes, total = lane_sums(state.layers, batch, 0, count, plan.form, plan.gradient, plan.block)
    return along(plan, values, state, total, count, decay), jnp.sum(lanes)


def epoch(
    recipe: Recipe,
    state: State,
    table: Table,
    decay: float = 0.0,
    *,
    batch_size: int,
    order: Int[Array | np.ndarray, " batches"] | None = None,
    n: int | None = None,
) -> tuple[State, Float[Array, ""]]:
    """One pass over a table, one step a batch, in one compiled loop

    The examples left over after whole batches are a batch of their own, the last, with the mean over just these.

    Args:
        recipe: what a step does.
        state: from `start`, or the epoch before. Its buffers are given away: use what comes back.
        table: (d + 1, n) or (d + 2, n), one example a column.
        decay: λ/N, the weight decay an example.
        batch_size: examples a step; all of them where there are fewer.
        order: the n // batch_size whole batches by number, 0 the first columns; by default as they stand. It may be longer:
            as long as the table has room for whole batches.
        n: how many columns count, the first ones; by default all. What is compiled depends on the table's width, on
            `batch_size` and on the recipe without the numbers of its optimiser, and not on n.

    Returns:
        The new state, and ll summed over the epoch, each batch at the weights it met. ll is NaN where `order` is a JAX array
        with a number that no batch has: its values are not fetched to be looked at beforehand.

    Raises:
        TypeError: `batch_size` or a number in `order` is no whole number.
        ValueError: `batch_size` is below 1, `order` does not have one number for each whole batch, or one that no batch has.

    Example:
        >>> from autodiff_ref.train import sgd
        >>> from manual_grad.mlp import Layer
        >>> recipe = Recipe(sgd(1.0))
        >>> state = start(recipe, (Layer(jnp.zeros((1, 1))),))
        >>> state, ll = epoch(recipe, state, jnp.array([[1.0, -2.0, 4.0], [1.0, -1.0, -1.0]]), batch_size=2)
    """
    width: int = table.shape[1]
    n = width if n is None else n
    batch = min(n, whole("batch_size", batch_size, 1))
    if order is not None:
        order = _checked_order(order, n // batch, width // batch)
    whole_batches = kernels.accelerated(table) and recipe.block in (None, kernels.WHOLE)
    if whole_batches and recipe.gradient == "hand" and recipe.output == "classes":
        launch = chip.epoch_launch(state.layers, batch)
        on_chip = None if launch is None else chip.update_on_chip(recipe.optimizer, state.layers)
        if on_chip is not None and chip.number_by_number(on_chip[0]):
            update, values = on_chip
            sent = _sent(values, decay, n, table)
            return _epoch_on_chip(update, sent, state, table, batch, order, recipe.hidden, launch)
    plan, values = plan_of(recipe, state.layers, table, n if n == width else least(n))
    if whole_batches:
        return _epoch_by_launches(plan, _sent(values, decay, n, table), state, table, batch, order)
    return _epoch(plan, values, state, table, decay, n, batch, order)


class Numbers(NamedTuple):
    """What a step takes beside examples and weights."""

    values: Values
    """Of the optimiser."""
    decay: Array | float
    n: Count


def _sent(values: Values, decay: Array | float, n: Count, table: Table) -> Numbers:
    """Numbers in the memory of an accelerator, each sent there once: a call waits for every one that it brings along

    An epoch of 25 steps took 0.25 ms on an H200, and 0.37 where it brought them.
    """
    return Numbers(tuple(map(_there, values)), _there(decay, table.dtype), _there(n, np.dtype(np.int32)))


def _there(number: ArrayLike, dtype: np.dtype[Any] | None = None) -> Array:
    if isinstance(number, jax.Array):
        return number
    array = np.asarray(number, dtype)
    return _kept_there(array.tobytes(), array.dtype)


@lru_cache(maxsize=256)
def _kept_there(written: bytes, dtype: np.dtype[Any]) -> Array:
    return jnp.asarray(np.frombuffer(written, dtype)[0])


def _checked_order(order: Array | np.ndarray, batches: int, most: int) -> Array | np.ndarray:
    if np.shape(order) not in ((batches,), (most,)):
        raise ValueError(f"order has shape {np.shape(order)}: it must be ({batches},), one number for each whole batch")
    if isinstance(order, jax.Array):  # traced, or on a device: `_epoch` looks at its numbers
        return order
    order = np.asarray(order)
    if order.dtype.kind not in "iu":
        raise TypeError(f"order must be whole numbers, got dtype {order.dtype}")
    named = order[:batches]
    if batches and not 0 <= named.min() <= named.max() < batches:
        raise ValueError(f"order has numbers from {named.min()} to {named.max()}: the batches are 0 to {batches - 1}")
    return order


@partial(jax.jit, static_argnums=(0, 6), donate_argnums=2)
def _epoch(
    plan: Plan,
    values: Values,
    state: State,
    table: Float[Array, "rows n"],
    decay: Array | float,
    n: Count,
    batch: int,
    order: Array | None,
) -> tuple[State, Float[Array, ""]]:
    batches = n // batch
    settings = plan.form, plan.gradient, plan.block

    def one(k: Array, carry: tuple[State, Array]) -> tuple[State, Array]:
        state, lanes = carry
        first = (k if order is None else order[k]) * batch
        more, total = lane_sums(state.layers, table, first, batch, *settings)
        return along(plan, values, state, total, batch, decay), lanes + more

    lanes = jnp.zeros(min(batch, plan.block), table.dtype)
    state, lanes = jax.lax.fori_loop(0, batches, one, (state, lanes))
    return _completed(plan, values, state, jnp.sum(lanes), table, decay, n, batch, order)


@partial(jax.jit, static_argnums=(0, 4), donate_argnums=2)
def _epoch_by_launches(
    plan: Plan, numbers: Numbers, state: State, table: Float[Array, "rows n"], batch: int, order: Array | None
) -> tuple[State, Array]:
    """As `_epoch`, for an accelerator, which is kept waiting by whatever its host has to be asked

    So there are as many steps as the table has room for, the last one over what is left; those beyond n change nothing.
    """
    values, decay, n = numbers
    batches = n // batch

    def one(k: Array, carry: tuple[State, Array]) -> tuple[State, Array]:
        state, lanes = carry
        number = k if order is None else jnp.where(k < batches, order[jnp.minimum(k, order.shape[0] - 1)], k)
        first = number * batch
        count = jnp.minimum(n - first, batch)
        more, total = batch_sums(state.layers, table, first, first + count, batch, plan.form, plan.gradient)
        after = along(plan, values, state, total, jnp.maximum(count, 1), decay)
        return jax.tree.map(partial(jnp.where, count > 0), after, state), lanes + more

    lanes = jnp.zeros(batch, table.dtype)
    steps = -(-table.shape[1] // batch)
    state, lanes = jax.lax.fori_loop(0, steps, one, (state, lanes), unroll=AT_A_TIME)
    return state, _unless_misnumbered(jnp.sum(lanes), order, batches)


@partial(jax.jit, static_argnums=(0, 4, 6, 7), donate_argnums=2)
def _epoch_on_chip(
    update: Update,
    numbers: Numbers,
    state: State,
    table: Array,
    batch: int,
    order: Array | None,
    hidden: str,
    launch: chip.Launch,
) -> tuple[State, Array]:
    values, decay, n = numbers
    options: dict[str, Any] = {"batch": batch, "hidden": hidden, "launch": launch, "interpret": chip.INTERPRET}
    layers, optimizer, ll = chip.epoch(update, values, *state, table, decay, n, order, **options)
    return State(layers, optimizer), _unless_misnumbered(ll, order, n // batch)


def _completed(
    plan: Plan,
    values: Values,
    state: State,
    ll: Array,
    table: Array,
    decay: Array | float,
    n: Count,
    batch: int,
    order: Array | None,
) -> tuple[State, Array]:
    """An epoch with the step over what is left after whole batches."""
    batches = n // batch

    def rest() -> tuple[State, Array]:
        first = batches * batch
        lanes, total = left_over(state.layers, table, first, n, batch, plan.form, plan.gradient, plan.block)
        return along(plan, values, state, total, n - first, decay), jnp.sum(lanes)

    if batch > 1:
        state, more = jax.lax.cond(n % batch > 0, rest, lambda: (state, jnp.zeros((), table.dtype)))
        ll = ll + more
    return state, _unless_misnumbered(ll, order, batches)


def _unless_misnumbered(ll: Array, order: Array | None, batches: Count) -> Any:
    """ll, or NaN where `order` has a number that no batch has."""
    if order is None:
        return ll
    numbered = (order >= 0) & (order < batches) | (jnp.arange(order.shape[0]) >= batches)
    return jnp.where(jnp.all(numbered), ll, jnp.nan)


@partial(jax.jit, static_argnums=0, donate_argnums=2)
def _full(plan: Plan, values: Values, state: State, table: Array, decay: Array | float, n: Count) -> tuple[State, Array]:
    ll, total = span_sums(state.layers, table, 0, n, form=plan.form, gradient=plan.gradient, block=plan.block)
    return along(plan, values, state, total, n, decay), ll


@partial(jax.jit, static_argnums=(0, 4, 5), donate_argnums=2)
def _full_by_launches(
    plan: Plan, numbers: Numbers, state: State, table: Array, launch: chip.Launch | None, full: bool
) -> tuple[State, Array]:
    """As `_full`, for an accelerator: the step is taken there as well."""
    values, decay, n = numbers
    ll, total = whole_sums(state.layers, table, n, form=plan.form, gradient=plan.gradient, launch=launch, full=full)
    return along(plan, values, state, total, n, decay), ll


_ascend = jax.jit(along, static_argnums=0, donate_argnums=2)


def full_step(
    recipe: Recipe, state: State, table: Float[Array, "rows n"], decay: float = 0.0, *, n: int | None = None
) -> tuple[State, float]:
    """The step over all examples of a table, on every processor where there is enough work. Not for use under jit.

    Arguments as for `epoch`; the state's buffers are given away.
    """
    width = table.shape[1]
    n = width if n is None else n
    plan, values = plan_of(recipe, state.layers, table, n if n == width else least(n))
    if kernels.accelerated(table) and plan.block == kernels.WHOLE:
        launch = launch_for(state.layers, n, plan.form, plan.gradient)
        state, ll = _full_by_launches(plan, _sent(values, decay, n, table), state, table, launch, n == width)
        return state, float(ll)
    if ranges_of(state.layers, n) == 1:
        state, ll = _full(plan, values, state, table, decay, n)
        return state, float(ll)
    ll, total = sum_over(state.layers, table, **plan.form._asdict(), gradient=plan.gradient, block=plan.block, n=n)
    return _ascend(plan, values, state, total, n, decay), ll
