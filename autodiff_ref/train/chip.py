"""What autodiff cannot write for a GPU: ll and ∇ll in one pass over X; a whole epoch in one kernel, the weights on the chip.

The hand derivation knows what `jax.grad` does not say: once a block of examples is on the chip, its scores, residuals and
gradient need nothing else. `one_pass` reads X once; `epoch` takes all minibatch steps of an epoch in one launch, since what
a step needs of the step before, the weights, never leaves the chip. In Pallas, for Triton; `interpret=True` runs the same
program anywhere, which is how it is tested where there is no GPU.

Both are for the notes' net: one hidden layer of few units, one logistic output, float32. Whatever else goes to XLA.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import pallas as pl
from jaxtyping import Array, Float

from autodiff_ref.train.updates import Update, Values, update_of
from manual_grad.activations import activation_of, log_sigmoid_and_derivative
from manual_grad.mlp import Layer

Layers = tuple[Layer[Any], ...]

BLOCK = 128
"""Columns that a program holds at a time."""
PROGRAMS = 8 * 132
"""Programs of `one_pass`: eight for each of an H100's or H200's 132 processors, each looping over its blocks."""
UNITS, FEATURES = 8, 64
"""Nets up to this size: their weights and one block stay in registers. Measured at 30 features on one H200, by a prototype
(docs/training.md): 4.2 times `jit(value_and_grad)` at 2 units and 10^7 examples, 1.4 times at 8; more was not measured."""
ENOUGH = 100_000
"""Examples from which on one pass is worth a launch of so many programs."""
LONGEST = 1_024
"""The largest minibatch of `epoch`: one program holds all of it."""
NUMBER_BY_NUMBER = frozenset(
    (
        "abs",
        "add",
        "broadcast_in_dim",
        "convert_element_type",
        "div",
        "eq",
        "exp",
        "ge",
        "gt",
        "integer_pow",
        "le",
        "log",
        "lt",
        "max",
        "min",
        "mul",
        "ne",
        "neg",
        "pow",
        "rsqrt",
        "select_n",
        "sign",
        "sqrt",
        "square",
        "sub",
    )
)
INTERPRET = False
"""Whether `autodiff_ref.train.loop` has kernels interpreted; for tests."""


class Chip(NamedTuple):
    """The weights as a program holds them: one vector of inputs a unit, padded with zeros to a power of two."""

    w: tuple[Any, ...]
    b: tuple[Any, ...] | None
    v: tuple[Any, ...]
    v0: Any | None


def fits(layers: Layers) -> bool:
    """Whether a net is of the kind and the size that is written here."""
    if len(layers) != 2 or layers[1].w.shape[0] != 1 or any(leaf.dtype != np.float32 for leaf in jax.tree.leaves(layers)):
        return False
    units, inputs = layers[0].w.shape
    return units <= UNITS and inputs <= FEATURES


def to_chip(layers: Layers) -> Chip:
    """The weights, unit by unit."""
    (w, b), (v, v0) = layers
    room = _power_of_two(w.shape[1])
    padded = jnp.pad(w, ((0, 0), (0, room - w.shape[1])))
    units = range(w.shape[0])
    return Chip(
        tuple(padded[j] for j in units),
        None if b is None else tuple(b[j] for j in units),
        tuple(v[0, j] for j in units),
        None if v0 is None else v0[0],
    )


def from_chip(chip: Chip, inputs: int) -> Layers:
    """The weights as layers again."""
    first = Layer(jnp.stack(chip.w)[:, :inputs], None if chip.b is None else jnp.stack(chip.b))
    return first, Layer(jnp.stack(chip.v)[None], None if chip.v0 is None else chip.v0[None])


def of_block(chip: Chip, x: Any, y: Any, c: Any, hidden: str) -> tuple[Any, Chip]:
    """What each example of a block adds to ll, and ∇ll: r = c y σ(−yz), δ_j = r v_j s'(a_j), ∂w_j = x δ_j, ∂v_j = r·h_j

    Biases and v come by lanes, one an example, for whoever sums them up: that is one reduction less a block.
    """
    both = activation_of(hidden).both
    hs: list[Any] = []
    slopes: list[Any] = []
    z = 0.0 if chip.v0 is None else chip.v0
    for j, w in enumerate(chip.w):
        a = jnp.sum(w[:, None] * x, axis=0)
        h, slope = both(a if chip.b is None else a + chip.b[j])
        hs.append(h)
        slopes.append(slope)
        z = z + chip.v[j] * h
    log_p, r = log_sigmoid_and_derivative(y * z)
    log_p, r = c * log_p, c * (y * r)
    deltas = [r * v * slope for v, slope in zip(chip.v, slopes, strict=True)]
    return log_p, Chip(
        tuple(jnp.sum(delta[None, :] * x, axis=1) for delta in deltas),
        None if chip.b is None else tuple(deltas),
        tuple(r * h for h in hs),
        None if chip.v0 is None else r,
    )


def _triton() -> Any:
    from jax.experimental.pallas import triton  # here, since only a GPU's JAX need have it

    return triton


def _power_of_two(least: int) -> int:
    return 1 << max(0, (least - 1).bit_length())


def _padded(table: Any, rows: int, columns: int) -> Any:
    """For the interpreter, which clamps what a GPU masks: room for whole blocks."""
    return jnp.pad(table, ((0, max(0, rows - table.shape[0])), (0, columns)))


def _reader(table: Any, inputs: int, weighted: bool, size: int) -> Callable[[Any, Any], tuple[Any, Any, Any]]:
    """(x, y, c) of the `size` columns from `first` on, 0 from `end` on."""
    triton = _triton()
    room = _power_of_two(inputs)
    features = (jnp.arange(room) < inputs)[:, None]

    def read(first: Any, end: Any) -> tuple[Any, Any, Any]:
        inside = first + jnp.arange(size) < end
        x = triton.load(table.at[pl.ds(0, room), pl.ds(first, size)], mask=features & inside[None, :], other=0.0)
        y = triton.load(table.at[jnp.int32(inputs), pl.ds(first, size)], mask=inside, other=0.0)
        if not weighted:
            return x, y, inside.astype(x.dtype)
        return x, y, triton.load(table.at[jnp.int32(inputs + 1), pl.ds(first, size)], mask=inside, other=0.0)

    return read


def one_pass(
    layers: Layers,
    table: Float[Array, "rows room"],
    n: Any,
    *,
    hidden: str,
    interpret: bool = False,
    programs: int = PROGRAMS,
) -> tuple[Any, Layers]:
    """(ll, ∇ll) over the first n columns of a table, X read once. To be called under `jax.jit`.

    Args:
        layers: a net that `fits`.
        table: (d + 1, …) or (d + 2, …), one example a column: features, label, weight.
        n: how many columns count.
        hidden: the squashing function within.
        interpret: run it by Pallas's interpreter, anywhere.
        programs: each takes an equal share of the blocks.
    """
    inputs, weighted = layers[0].w.shape[1], table.shape[0] > layers[0].w.shape[1] + 1
    chip = to_chip(layers)
    flat, shape = jax.tree.flatten(chip)
    blocks = -(-table.shape[1] // BLOCK)
    programs = min(programs, blocks)
    each = -(-blocks // programs)
    if interpret:
        table = _padded(table, _power_of_two(inputs), (each * programs) * BLOCK)

    def program(*refs: Any) -> None:
        end, table_ref, *rest = refs
        weights, (ll_ref, *out) = rest[: len(flat)], rest[len(flat) :]
        chip = jax.tree.unflatten(shape, [ref[...] if ref.shape != (1,) else ref[0] for ref in weights])
        read, last = _reader(table_ref, inputs, weighted, BLOCK), end[0]
        mine = pl.program_id(0)

        def body(k: Any, total: Any) -> Any:
            columns = read((mine * each + k) * BLOCK, last)
            return jax.tree.map(jnp.add, total, of_block(chip, *columns, hidden))

        def none(leaf: Any) -> Any:
            return jnp.zeros(leaf.shape or (BLOCK,), jnp.float32)

        ll, total = jax.lax.fori_loop(0, each, body, (jnp.zeros(BLOCK, jnp.float32), jax.tree.map(none, chip)))
        ll_ref[mine] = jnp.sum(ll)
        for ref, weight, leaf in zip(out, jax.tree.leaves(chip), jax.tree.leaves(total), strict=True):
            if weight.shape:
                ref[mine, :] = leaf
            else:
                ref[mine] = jnp.sum(leaf)

    kinds = [jax.ShapeDtypeStruct((programs, *leaf.shape), jnp.float32) for leaf in flat]
    ll, *parts = pl.pallas_call(
        program,
        grid=(programs,),
        out_shape=[jax.ShapeDtypeStruct((programs,), jnp.float32), *kinds],
        interpret=interpret,
        **({} if interpret else {"compiler_params": _triton().CompilerParams(num_warps=4, num_stages=2)}),
    )(jnp.asarray(n, jnp.int32)[None], table, *(leaf if leaf.shape else leaf[None] for leaf in flat))
    total = jax.tree.unflatten(shape, [jnp.sum(part, axis=0) for part in parts])
    return jnp.sum(ll), from_chip(total, inputs)


def number_by_number(update: Update) -> bool:
    """Whether an optimiser changes each weight by its own gradient and past alone, as SGD and Adam do."""
    return update.operations is not None and update.operations <= NUMBER_BY_NUMBER


def update_on_chip(optimizer: Any, layers: Layers) -> tuple[Update, Values]:
    """The computation of an optimiser on the weights as a program holds them, and its numbers."""
    return update_of(optimizer, jax.eval_shape(to_chip, layers))


def epoch(
    update: Update,
    values: Values,
    layers: Layers,
    state: Any,
    table: Float[Array, "rows room"],
    decay: Any,
    batches: Any,
    order: Any,
    *,
    batch: int,
    hidden: str,
    interpret: bool = False,
) -> tuple[Layers, Any, Any]:
    """All steps over whole batches, in one kernel: (layers, state of the optimiser, ll). To be called under `jax.jit`.

    Args:
        update: of an optimiser that works `number_by_number`, from `update_on_chip`.
        values: its numbers.
        layers: a net that `fits`.
        state: of the optimiser.
        table: one example a column.
        decay: λ/N.
        batches: how many whole batches there are.
        order: their order, or None.
        batch: examples a step, a power of two up to `LONGEST`.
        hidden: the squashing function within.
        interpret: run it by Pallas's interpreter, anywhere.
    """
    inputs, weighted = layers[0].w.shape[1], table.shape[0] > layers[0].w.shape[1] + 1
    like = jax.tree.structure(layers)

    def is_net(tree: Any) -> bool:
        return jax.tree.structure(tree) == like

    chip = to_chip(layers)
    on_chip = jax.tree.map(lambda t: to_chip(t) if is_net(t) else t, state, is_leaf=is_net)
    flat, shape = jax.tree.flatten((chip, on_chip, values, jnp.asarray(decay, jnp.float32)))
    flat = [jnp.asarray(leaf) for leaf in flat]
    results = len(jax.tree.leaves((chip, on_chip)))
    if interpret:
        table = _padded(table, _power_of_two(inputs), 0)
    numbers = jnp.arange(table.shape[1] // batch, dtype=jnp.int32) if order is None else jnp.asarray(order, jnp.int32)

    def program(*refs: Any) -> None:
        count, numbers_ref, table_ref, *rest = refs
        given, (ll_ref, *out) = rest[: len(flat)], rest[len(flat) :]
        leaves = [ref[...] if kind.shape else ref[0] for ref, kind in zip(given, flat, strict=True)]
        chip, on_chip, values, decay = jax.tree.unflatten(shape, leaves)
        read = _reader(table_ref, inputs, weighted, batch)

        def body(k: Any, carry: Any) -> Any:
            chip, on_chip, ll = carry
            first = numbers_ref[k] * batch
            log_p, total = of_block(chip, *read(first, first + batch), hidden)
            chip, on_chip = _ascended(update.run, values, chip, on_chip, total, batch, decay)
            return chip, on_chip, ll + log_p

        chip, on_chip, ll = jax.lax.fori_loop(0, count[0], body, (chip, on_chip, jnp.zeros(batch, jnp.float32)))
        ll_ref[0] = jnp.sum(ll)
        for ref, leaf, kind in zip(out, jax.tree.leaves((chip, on_chip)), flat[:results], strict=True):
            if kind.shape:
                ref[...] = leaf
            else:
                ref[0] = leaf

    kinds = [jax.ShapeDtypeStruct(leaf.shape or (1,), leaf.dtype) for leaf in flat[:results]]
    ll, *found = pl.pallas_call(
        program,
        grid=(1,),
        out_shape=[jax.ShapeDtypeStruct((1,), jnp.float32), *kinds],
        interpret=interpret,
        **(
            {}
            if interpret
            else {"compiler_params": _triton().CompilerParams(num_warps=4 if batch <= 256 else 8, num_stages=1)}
        ),
    )(
        jnp.asarray(batches, jnp.int32)[None],
        numbers,
        table,
        *(leaf if leaf.shape else leaf[None] for leaf in flat),
    )
    leaves = [leaf if kind.shape else leaf[0] for leaf, kind in zip(found, flat[:results], strict=True)]
    chip, on_chip = jax.tree.unflatten(jax.tree.structure((chip, on_chip)), leaves)
    back = jax.tree.map(
        lambda t: from_chip(t, inputs) if isinstance(t, Chip) else t, on_chip, is_leaf=lambda t: isinstance(t, Chip)
    )
    return from_chip(chip, inputs), back, ll[0]


def _ascended(
    update: Callable[..., Any], values: Values, chip: Chip, state: Any, total: Chip, batch: int, decay: Any
) -> tuple[Chip, Any]:
    """The step along the mean gradient of a batch, less λ/N w on weights; as `autodiff_ref.train.loop` takes it."""
    mean = jax.tree.map(lambda g, p: (g if p.shape else jnp.sum(g)) / batch, total, chip)
    uphill = mean._replace(
        w=tuple(g - decay * w for g, w in zip(mean.w, chip.w, strict=True)),
        v=tuple(g - decay * v for g, v in zip(mean.v, chip.v, strict=True)),
    )
    step, state = update(values, jax.tree.map(jnp.negative, uphill), state, chip)
    return jax.tree.map(lambda p, u: (p + u).astype(p.dtype), chip, step), state
