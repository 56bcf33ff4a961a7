"""The plain pieces of training: `start`, `step`, `epoch`. For people who write their own loop; `fit` is made of them."""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from autodiff_ref.train.kernels import Layers, block_of, gradient_of, lane_sums, sum_over
from autodiff_ref.train.values import whole
from manual_grad.activations import activation_of


@dataclass(frozen=True)
class Recipe:
    """What a step does, fixed while a function is compiled.

    Args:
        optimizer: a pair init, update, such as `sgd(0.5)` or any of optax's; it descends, and is handed −∇.
        hidden: the squashing function within: "sigmoid", "tanh" or "relu".
        gradient: "hand" for the δ recursion, "autodiff" for `jax.grad`.
        block: examples worked on at a time within a batch, which bounds the memory a step needs; by default as many as stay
            in the cache.

    Raises:
        ValueError: `hidden` or `gradient` is unknown.
    """

    optimizer: Any
    hidden: str = "sigmoid"
    gradient: str = "hand"
    block: int | None = None

    def __post_init__(self) -> None:
        activation_of(self.hidden)
        gradient_of(self.gradient)


class State(NamedTuple):
    """What a step changes."""

    layers: Layers
    optimizer: Any


def start(recipe: Recipe, layers: Layers) -> State:
    """The state before the first step. The layers are copied: `epoch` gives their memory away."""
    own = jax.tree.map(lambda p: jnp.array(p, copy=True), layers)
    return State(own, recipe.optimizer.init(own))


def ascend(recipe: Recipe, state: State, gradient: Layers, decay: Any) -> State:
    """w ← w + step of the optimiser along ∇(mean ll) − λ/N W"""
    uphill = tuple(g._replace(w=g.w - decay * layer.w) for g, layer in zip(gradient, state.layers, strict=True))
    downhill = jax.tree.map(jnp.negative, uphill)
    change, optimizer = recipe.optimizer.update(downhill, state.optimizer, state.layers)
    return State(jax.tree.map(lambda p, u: (p + u).astype(p.dtype), state.layers, change), optimizer)


def _step(recipe: Recipe, state: State, table: Any, first: Any, count: int, decay: Any) -> tuple[State, Any]:
    """The step over `count` columns from `first` on, and ll by lanes."""
    block = recipe.block or block_of(state.layers, table)
    lanes, total = lane_sums(state.layers, table, first, count, recipe.hidden, recipe.gradient, block)
    mean = jax.tree.map(lambda g: g / count, total)
    return ascend(recipe, state, mean, decay), lanes


@partial(jax.jit, static_argnums=0)
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
    state, lanes = _step(recipe, state, batch, 0, batch.shape[1], decay)
    return state, jnp.sum(lanes)


def epoch(
    recipe: Recipe,
    state: State,
    table: Float[Any, "rows n"],
    decay: float = 0.0,
    *,
    batch_size: int,
    order: Int[Any, " batches"] | None = None,
) -> tuple[State, Float[Array, ""]]:
    """One pass over a table, one step a batch, in one compiled loop

    The examples left over after whole batches are a batch of their own, the last, with the mean over just these.

    Args:
        recipe: what a step does.
        state: from `start`, or the epoch before. Its buffers are given away: use what comes back.
        table: (d + 1, n) or (d + 2, n), one example a column.
        decay: λ/N, the weight decay an example.
        batch_size: examples a step; all of them where there are fewer.
        order: the n // batch_size whole batches by number, 0 the first columns; by default as they stand.

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
    batches = table.shape[1] // whole("batch_size", batch_size, 1)
    if order is not None:
        order = _checked_order(order, batches)
    return _epoch(recipe, state, table, decay, batch_size, order)


def _checked_order(order: Any, batches: int) -> Any:
    if np.shape(order) != (batches,):
        raise ValueError(f"order has shape {np.shape(order)}: it must be ({batches},), one number for each whole batch")
    if isinstance(order, jax.Array):  # traced, or on a device: `_epoch` looks at its numbers
        return order
    order = np.asarray(order)
    if order.dtype.kind not in "iu":
        raise TypeError(f"order must be whole numbers, got dtype {order.dtype}")
    if batches and not 0 <= order.min() <= order.max() < batches:
        raise ValueError(f"order has numbers from {order.min()} to {order.max()}: the batches are 0 to {batches - 1}")
    return order


@partial(jax.jit, static_argnums=(0, 4), donate_argnums=1)
def _epoch(
    recipe: Recipe, state: State, table: Float[Array, "rows n"], decay: Any, batch_size: int, order: Any
) -> tuple[State, Float[Array, ""]]:
    batches, rest = divmod(table.shape[1], batch_size)
    given, order = order is not None, jnp.arange(batches) if order is None else order

    def one(carry: tuple[State, Any], k: Any) -> tuple[tuple[State, Any], None]:
        state, lanes = carry
        state, more = _step(recipe, state, table, k * batch_size, batch_size, decay)
        return (state, lanes + more), None

    lanes = jnp.zeros(min(batch_size, recipe.block or block_of(state.layers, table)), table.dtype)
    if batches:
        (state, lanes), _ = jax.lax.scan(one, (state, lanes), order)
    ll = jnp.sum(lanes)
    if rest:
        state, more = _step(recipe, state, table, batches * batch_size, rest, decay)
        ll = ll + jnp.sum(more)
    return state, jnp.where(jnp.all((order >= 0) & (order < batches)), ll, jnp.nan) if given else ll


_ascend = jax.jit(ascend, static_argnums=0)


def full_step(recipe: Recipe, state: State, table: Float[Array, "rows n"], decay: float = 0.0) -> tuple[State, float]:
    """The step over all examples of a large table, on every processor. Arguments as for `step`; not for use under jit."""
    ll, total = sum_over(state.layers, table, hidden=recipe.hidden, gradient=recipe.gradient, block=recipe.block)
    mean = jax.tree.map(lambda g: g / table.shape[1], total)
    return _ascend(recipe, state, mean, decay), ll
