"""What autodiff cannot write for a GPU: ll and ∇ll in one pass over X; a whole epoch in one kernel, the weights on the chip.

The hand derivation knows what `jax.grad` does not say: once a block of examples is on the chip, its scores, residuals and
gradient need nothing else. `one_pass` reads X once; `epoch` takes all minibatch steps of an epoch in one launch, since what
a step needs of the step before, the weights, never leaves the chip. In Pallas, for Triton; `interpret=True` runs the same
program anywhere, which is how it is tested where there is no GPU.

Both are for the notes' net: one hidden layer of few units, one logistic output, float32. Whatever else goes to XLA. How a
kernel is spread over the GPU, and which nets have one, is by what was measured on one H200 (docs/training.md).
"""

from collections.abc import Callable
from functools import lru_cache, partial
from importlib.util import find_spec
from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import pallas as pl
from jaxtyping import Array, Float

from autodiff_ref.train.optimizers import Transformation
from autodiff_ref.train.updates import Update, Values, update_of
from autodiff_ref.trees import Function, PyTree, Structure
from manual_grad.activations import activation_of, log_sigmoid_and_derivative
from manual_grad.mlp import Layer

Layers = tuple[Layer[Any], ...]

TRITON = find_spec("jax.experimental.pallas.triton") is not None
"""Whether this JAX still has what the kernels are written for; jax 0.11 says that it will go."""
PROCESSORS = 132
"""Of an H100 or H200."""
ENOUGH = 100_000
"""Examples from which on one pass is worth a launch of so many programs."""
FEW = 2
"""Up to so many units, each is worked on by itself, by sums of products; more are multiplied as one matrix."""
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


class Launch(NamedTuple):
    """How a kernel is spread over a GPU."""

    columns: int
    """Examples that a program works on at a time."""
    warps: int
    """Of 32 threads, for each program."""
    programs: int = 1
    lanes: int | None = None
    """How many partial sums of a unit's ∂w a program keeps until its end, one an example by default: adding up across
    threads costs more than adding in each."""
    ahead: bool = False
    """Whether the next block is asked for before this one is worked on."""


Ref = Any
"""What Pallas hands a kernel for an array: it is read and written by index. Its class is private to JAX."""

Count = Array | int
"""A number of examples, or of one of them; under `jit` a traced one."""

_Block = tuple[Array, Array, Array | None]
"""features, labels and weights of some examples"""


class Chip(NamedTuple):
    """The weights as a program holds them, by groups of units: one unit each, w (inputs,), or all in one, w (units, inputs)

    Padded with zeros: inputs and units to powers of two.
    """

    w: tuple[Array, ...]
    b: tuple[Array, ...] | None
    v: tuple[Array, ...]
    v0: Array | None


def one_pass_launch(layers: Layers) -> Launch | None:
    """How to run `one_pass` on a net; None where it is not of the kind or the size that is written here."""
    if not _is_the_notes_net(layers):
        return None
    units, inputs = layers[0].w.shape
    if units <= FEW and inputs <= 64:
        columns = 128 if inputs <= 32 else 64
        return Launch(columns, 1, 16 * PROCESSORS, columns // 4)
    if units <= 64 and inputs <= 32:
        return Launch(64, 4, (8 if units <= 16 else 4) * PROCESSORS)
    return None


def epoch_launch(layers: Layers, batch: int) -> Launch | None:
    """How to run `epoch` on a net; None where the net or the batch is not of the kind or the size that is written here."""
    if not _is_the_notes_net(layers) or batch & (batch - 1):
        return None
    units, inputs = layers[0].w.shape
    if units <= FEW and inputs <= 32 and batch <= 1024:
        return Launch(min(batch, 512), 4 if batch <= 256 else 8, ahead=batch <= 256)
    if units <= 16 and inputs <= 32 and 16 <= batch <= 128:
        return Launch(batch, 4, ahead=True)
    return None


def _is_the_notes_net(layers: Layers) -> bool:
    if not TRITON or len(layers) != 2 or layers[1].w.shape[0] != 1:
        return False
    return all(leaf.dtype == np.float32 for leaf in jax.tree.leaves(layers))


def _groups(units: int) -> tuple[int | slice, ...]:
    """The units of each group: their numbers, or all of them."""
    return tuple(range(units)) if units <= FEW else (slice(None),)


def _with_padding(units: int) -> int:
    """The rows of w: a GPU multiplies matrices of 16 rows and more."""
    return units if units <= FEW else max(16, _power_of_two(units))


def padded(layers: Layers) -> Layers:
    """The weights with units and inputs of weight 0, as a kernel takes them."""
    (w, b), (v, v0) = layers
    units, inputs = w.shape
    more = _with_padding(units) - units
    first = Layer(jnp.pad(w, ((0, more), (0, _power_of_two(inputs) - inputs))), None if b is None else jnp.pad(b, (0, more)))
    return first, Layer(jnp.pad(v, ((0, 0), (0, more))), v0)


def unpadded(layers: Layers, units: int, inputs: int) -> Layers:
    """The weights without the units and inputs that `padded` put there."""
    (w, b), (v, v0) = layers
    return Layer(w[:units, :inputs], None if b is None else b[:units]), Layer(v[:, :units], v0)


def read_net(net: Layers) -> Chip:
    """The weights by groups, of padded arrays or of what a kernel is given of them."""
    (w, b), (v, v0) = net
    groups = _groups(w.shape[0])
    return Chip(
        tuple(w[group, :] for group in groups),
        None if b is None else tuple(b[group] for group in groups),
        tuple(v[0, group] for group in groups),
        None if v0 is None else v0[0],
    )


def read_with_padding(net: Layers) -> Chip:
    """The weights by groups, of what a kernel is given of a net as it is: to make it `padded` takes a launch an array."""
    load = partial(_triton().load, other=0.0)
    (w, b), (v, v0) = net
    units, inputs = w.shape
    column = jnp.arange(_power_of_two(inputs))
    of_output = None if v0 is None else v0[0]
    if units <= FEW:
        one_by_one = range(units)
        return Chip(
            tuple(load(w.at[k, column], mask=column < inputs) for k in one_by_one),
            None if b is None else tuple(b[k] for k in one_by_one),
            tuple(v[0, k] for k in one_by_one),
            of_output,
        )
    unit = jnp.arange(_with_padding(units))
    there = unit < units
    return Chip(
        (load(w.at[unit[:, None], column[None, :]], mask=there[:, None] & (column < inputs)[None, :]),),
        None if b is None else (load(b.at[unit], mask=there),),
        (load(v.at[0, unit], mask=there),),
        of_output,
    )


def write_net(net: Layers, chip: Chip) -> None:
    """Puts the weights where a kernel leaves them."""
    (w, b), (v, v0) = net
    for k, group in enumerate(_groups(w.shape[0])):
        w[group, :] = chip.w[k]
        v[0, group] = chip.v[k]
        if b is not None and chip.b is not None:
            b[group] = chip.b[k]
    if v0 is not None:
        v0[0] = chip.v0


_Terms = tuple[Array, Chip]
"""what examples add to ll, and to ∇ll"""


class Arithmetic(NamedTuple):
    """What is done within a block."""

    hidden: str
    """The squashing function."""
    lanes: int | None
    """As in `Launch`."""
    precision: jax.lax.Precision | jax.lax.DotAlgorithmPreset
    """Of products of matrices."""

    def scores(self, w: Array, x: Array) -> Array:
        """W X, (units, examples), or wᵀX of one unit, (examples,)"""
        if w.ndim == 1:
            return jnp.sum(w[:, None] * x, axis=0)
        return self._product(w, x, 0)

    def outer(self, delta: Array, x: Array) -> Array:
        """Δ Xᵀ, (units, inputs), or the terms of Xδ of one unit, (inputs, lanes)"""
        if delta.ndim > 1:
            return self._product(delta, x, 1)
        terms = delta[None, :] * x
        inputs, examples = terms.shape
        if self.lanes in (None, examples):
            return terms
        return jnp.sum(jnp.reshape(terms, (inputs, self.lanes, examples // self.lanes)), axis=2)

    def _product(self, one: Array, other: Array, axis: int) -> Array:
        over = (((1,), (axis,)), ((), ()))
        return jax.lax.dot_general(one, other, over, precision=self.precision, preferred_element_type=jnp.float32)

    def of_block(self, chip: Chip, x: Array, y: Array, c: Array | None) -> tuple[Array, Chip]:
        """What each example of a block adds to ll, and what ∇ll is the sum of

        r = c y σ(−yz), Δ_j = r v_j s'(a_j), ∂W = Δ Xᵀ, ∂b = Δ 1, ∂v_j = Σ r h_j: see `total_of` for the sums.
        """
        both = activation_of(self.hidden).both
        hs: list[Array] = []
        slopes: list[Array] = []
        z = 0.0 if chip.v0 is None else chip.v0
        for k, (w, v) in enumerate(zip(chip.w, chip.v, strict=True)):
            a = self.scores(w, x)
            h, slope = both(a if chip.b is None else a + _column(chip.b[k]))
            hs.append(h)
            slopes.append(slope)
            z = z + (v * h if h.ndim == 1 else jnp.sum(_column(v) * h, axis=0))
        log_p, r = log_sigmoid_and_derivative(y * z)
        r = y * r
        if c is not None:
            log_p, r = c * log_p, c * r
        deltas = [r * _column(v) * slope for v, slope in zip(chip.v, slopes, strict=True)]
        return log_p, Chip(
            tuple(self.outer(delta, x) for delta in deltas),
            None if chip.b is None else tuple(deltas),
            tuple(r * h for h in hs),
            None if chip.v0 is None else r,
        )


def _column(number: Array) -> Array:
    """One number for each unit of a group, to be multiplied with (units, examples)"""
    return number[:, None] if number.ndim else number


def total_of(terms: Chip, chip: Chip) -> Chip:
    """∇ll of a program, in the shapes of its weights: terms are added up over their lanes."""
    return jax.tree.map(lambda g, p: g if g.shape == p.shape else jnp.sum(g, axis=-1), terms, chip)


def _precision(interpret: bool) -> jax.lax.Precision | jax.lax.DotAlgorithmPreset:
    """Of products of matrices on the chip: three of TF32 make up one of float32."""
    return jax.lax.Precision.HIGHEST if interpret else jax.lax.DotAlgorithmPreset.TF32_TF32_F32_X3


def _triton() -> ModuleType:
    from jax.experimental.pallas import triton  # here, since only a GPU's JAX need have it

    return triton


def _power_of_two(least: int) -> int:
    return 1 << max(0, (least - 1).bit_length())


def _with_room(table: Array, rows: int, columns: int) -> Array:
    """For the interpreter, which clamps what a GPU masks: room for whole blocks."""
    return jnp.pad(table, ((0, max(0, rows - table.shape[0])), (0, columns)))


def _reader(table: Ref, inputs: int, weighted: bool, size: int) -> Callable[..., _Block]:
    """(x, y, c) of the `size` columns from `first` on; with an `end`, 0 from there on. c is None where all weights are 1."""
    triton = _triton()
    room = _power_of_two(inputs)
    features = (jnp.arange(room) < inputs)[:, None]

    def read(first: Count, end: Count | None = None) -> _Block:
        at, kept = pl.ds(first, size), features
        other: dict[str, Any] = {}
        if end is not None:
            inside = first + jnp.arange(size) < end
            kept, other = features & inside[None, :], {"mask": inside, "other": 0.0}
        if end is None and room == inputs:
            x = triton.load(table.at[pl.ds(0, room), at])
        else:  # places one by one where they go beyond the table, which jax 0.12 allows no slice, masked or not
            places = pl.ds(0, room) if room <= table.shape[0] else jnp.arange(room)
            x = triton.load(table.at[places, at], mask=kept, other=0.0)
        y = triton.load(table.at[jnp.int32(inputs), at], **other)
        if weighted:
            return x, y, triton.load(table.at[jnp.int32(inputs + 1), at], **other)
        return x, y, None if end is None else other["mask"].astype(x.dtype)

    return read


def one_pass(
    layers: Layers,
    table: Float[Array, "rows room"],
    n: Count | None,
    *,
    hidden: str,
    launch: Launch,
    interpret: bool = False,
) -> tuple[Array, Layers]:
    """(ll, ∇ll) over the first n columns of a table, X read once. To be called under `jax.jit`.

    Args:
        layers: a net.
        table: (d + 1, …) or (d + 2, …), one example a column: features, label, weight.
        n: how many columns count; None for all.
        hidden: the squashing function within.
        launch: how it is spread over the GPU: `one_pass_launch`.
        interpret: run it by Pallas's interpreter, anywhere.
    """
    (units, inputs), weighted = layers[0].w.shape, table.shape[0] > layers[0].w.shape[1] + 1
    width, size = table.shape[1], launch.columns
    programs = min(launch.programs, -(-width // size))
    rows, room = _with_padding(units), _power_of_two(inputs)
    flat, shape = jax.tree.flatten(layers)
    arithmetic = Arithmetic(hidden, launch.lanes, _precision(interpret))
    if interpret:
        table = _with_room(table, room, size)

    def program(*refs: Ref) -> None:
        n_ref, table_ref, *rest = refs
        net, (w_out, numbers_out) = jax.tree.unflatten(shape, rest[: len(flat)]), rest[len(flat) :]
        chip, read = read_with_padding(net), _reader(table_ref, inputs, weighted, size)
        end = jnp.int32(width) if n is None else n_ref[0]
        mine, whole = pl.program_id(0), jax.lax.div(end, jnp.int32(size))

        def added(total: _Terms, first: Count, end: Count | None = None) -> _Terms:
            return jax.tree.map(jnp.add, total, arithmetic.of_block(chip, *read(first, end)))

        kinds = jax.eval_shape(lambda: arithmetic.of_block(chip, *read(0)))
        total = jax.tree.map(lambda kind: jnp.zeros(kind.shape, jnp.float32), kinds)
        blocks = jax.lax.div(whole - mine + (programs - 1), jnp.int32(programs))
        total = jax.lax.fori_loop(0, blocks, lambda k, total: added(total, (k * programs + mine) * size), total)
        if n is not None or width % size:  # columns left over after whole blocks
            here = (mine == jax.lax.rem(whole, jnp.int32(programs))) & (whole * size < end)
            left = jax.lax.convert_element_type(here, jnp.int32)
            total = jax.lax.fori_loop(0, left, lambda _, total: added(total, whole * size, end), total)
        ll, terms = total
        g = total_of(terms, chip)
        numbers_out[mine, 0, 0] = jnp.sum(ll)
        if g.v0 is not None:
            numbers_out[mine, 0, 1] = g.v0
        for k, group in enumerate(_groups(units)):
            w_out[mine, group, :] = g.w[k]
            numbers_out[mine, 1, group] = g.v[k]
            if g.b is not None:
                numbers_out[mine, 2, group] = g.b[k]

    parts = [(programs, rows, room), (programs, 3, max(2, rows))]
    w, numbers = pl.pallas_call(
        program,
        grid=(programs,),
        out_shape=[jax.ShapeDtypeStruct(part, jnp.float32) for part in parts],
        interpret=interpret,
        **({} if interpret else {"compiler_params": _triton().CompilerParams(num_warps=launch.warps, num_stages=2)}),
    )(jnp.zeros(1, jnp.int32) if n is None else jnp.asarray(n, jnp.int32)[None], table, *flat)

    def summed(parts: Array) -> Array:
        return jnp.sum(parts, axis=0)

    (_, b), (_, v0) = layers
    first = Layer(summed(w[:, :units, :inputs]), None if b is None else summed(numbers[:, 2, :units]))
    last = Layer(summed(numbers[:, 1:2, :units]), None if v0 is None else summed(numbers[:, 0, 1:2]))
    return summed(numbers[:, 0, 0]), (first, last)


def number_by_number(update: Update) -> bool:
    """Whether an optimiser changes each weight by its own gradient and past alone, as SGD and Adam do."""
    return update.operations is not None and update.operations <= NUMBER_BY_NUMBER


def update_on_chip(optimizer: Transformation, layers: Layers) -> tuple[Update, Values]:
    """The computation of an optimiser on the weights as a program holds them, and its numbers."""
    leaves, shape = jax.tree.flatten(layers)
    return update_of(optimizer, _kinds_on_chip(shape, tuple(leaf.shape for leaf in leaves)))


@lru_cache(maxsize=64)
def _kinds_on_chip(shape: Structure, sizes: tuple[tuple[int, ...], ...]) -> Chip:
    """The shapes of a net as a program holds it; kept, since every epoch asks."""
    net = jax.tree.unflatten(shape, [jax.ShapeDtypeStruct(size, np.float32) for size in sizes])
    return jax.eval_shape(lambda net: read_net(padded(net)), net)


def epoch(
    update: Update,
    values: Values,
    layers: Layers,
    state: PyTree,
    table: Float[Array, "rows room"],
    decay: Array | float,
    n: Count | None,
    order: Array | None,
    *,
    batch: int,
    hidden: str,
    launch: Launch,
    interpret: bool = False,
) -> tuple[Layers, PyTree, Array]:
    """All steps of an epoch, in one kernel: (layers, state of the optimiser, ll). To be called under `jax.jit`.

    Args:
        update: of an optimiser that works `number_by_number`, from `update_on_chip`.
        values: its numbers.
        layers: a net.
        state: of the optimiser.
        table: one example a column.
        decay: λ/N.
        n: how many columns count; those left over after whole batches are the last batch.
        order: of the whole batches, or None.
        batch: examples a step.
        hidden: the squashing function within.
        launch: how it runs on the GPU: `epoch_launch`.
        interpret: run it by Pallas's interpreter, anywhere.
    """
    (units, inputs), weighted = layers[0].w.shape, table.shape[0] > layers[0].w.shape[1] + 1
    columns, ahead = launch.columns, launch.ahead
    arithmetic = Arithmetic(hidden, launch.lanes, _precision(interpret))
    like = jax.tree.structure(layers)

    def is_net(tree: PyTree) -> bool:
        return jax.tree.structure(tree) == like

    def each(at_net: Function, at_number: Function, *trees: PyTree) -> PyTree:
        """Both functions, over the nets and over the other leaves of trees."""
        return jax.tree.map(lambda *t: at_net(*t) if is_net(t[0]) else at_number(*t), *trees, is_leaf=is_net)

    carried, shape = jax.tree.flatten(each(padded, jnp.atleast_1d, (layers, state)))
    given, given_shape = jax.tree.flatten(jax.tree.map(jnp.atleast_1d, (values, jnp.asarray(decay, jnp.float32))))
    if interpret:
        table = _with_room(table, _power_of_two(inputs), batch)
    numbers = jnp.zeros(1, jnp.int32) if order is None else jnp.asarray(order, jnp.int32)

    def program(*refs: Ref) -> None:
        n_ref, numbers_ref, table_ref, *rest = refs
        net, more, (ll_ref, *out) = rest[: len(carried)], rest[len(carried) : -len(carried) - 1], rest[-len(carried) - 1 :]
        chip, on_chip = each(read_net, lambda ref: ref[0], jax.tree.unflatten(shape, net))
        values, decay = jax.tree.unflatten(given_shape, [ref[0] for ref in more])
        read, end = _reader(table_ref, inputs, weighted, columns), n_ref[0]
        whole = jax.lax.div(end, jnp.int32(batch))
        parts = range(0, batch, columns)

        def place(k: Count) -> Array:
            """Where the k-th batch begins; the last one where there is none, since nothing else may be read."""
            number = jnp.minimum(k, whole - 1)
            if order is not None:
                number = jnp.minimum(numbers_ref[jnp.maximum(number, 0)], whole - 1)
            return jnp.maximum(number, 0) * batch

        def stepped(
            chip: Chip, on_chip: PyTree, ll: Array, blocks: list[_Block], count: Count
        ) -> tuple[Chip, PyTree, Array]:
            """The step along the mean gradient over the blocks of a batch."""
            log_p, terms = arithmetic.of_block(chip, *blocks[0])
            for block in blocks[1:]:
                log_p, terms = jax.tree.map(jnp.add, (log_p, terms), arithmetic.of_block(chip, *block))
            mean = jax.tree.map(lambda g: g / count, total_of(terms, chip))
            if units > FEW:  # units of weight 0 stay so: what they are off by is no one's
                mean = mean._replace(v=(jnp.where(jnp.arange(_with_padding(units)) < units, mean.v[0], 0.0),))
            chip, on_chip = _ascended(update.run, values, chip, on_chip, mean, decay)
            return chip, on_chip, ll + log_p

        def body(k: Array, carry: PyTree) -> PyTree:
            chip, on_chip, ll, here, first, following = carry
            after = read(following) if ahead else None
            blocks = [here if ahead else read(first)] + [read(first + part) for part in parts[1:]]
            return *stepped(chip, on_chip, ll, blocks, batch), after, following, place(k + 2)

        first = place(0)
        carry = chip, on_chip, jnp.zeros(columns, jnp.float32), read(first) if ahead else None, first, place(1)
        chip, on_chip, ll, *_ = jax.lax.fori_loop(0, whole, body, carry)

        def last_step(_: object, carry: PyTree) -> PyTree:
            chip, on_chip, ll = carry
            blocks = [read(whole * batch + part, end) for part in parts]
            return stepped(chip, on_chip, ll, blocks, end - whole * batch)

        left = jax.lax.convert_element_type(whole * batch < end, jnp.int32)
        chip, on_chip, ll = jax.lax.fori_loop(0, left, last_step, (chip, on_chip, ll))
        ll_ref[0] = jnp.sum(ll)

        def put(ref: Ref, number: Array) -> None:
            ref[0] = number

        each(write_net, put, jax.tree.unflatten(shape, out), (chip, on_chip))

    kinds = [jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in carried]
    parameters = {} if interpret else {"compiler_params": _triton().CompilerParams(num_warps=launch.warps, num_stages=1)}
    ll, *found = pl.pallas_call(
        program, grid=(1,), out_shape=[jax.ShapeDtypeStruct((1,), jnp.float32), *kinds], interpret=interpret, **parameters
    )(jnp.asarray(n, jnp.int32)[None], numbers, table, *carried, *given)
    back = partial(unpadded, units=units, inputs=inputs)
    layers, state = each(back, lambda leaf: leaf[0], jax.tree.unflatten(shape, found))
    return layers, state, ll[0]


def _ascended(
    update: Callable[..., tuple[PyTree, PyTree]], values: Values, chip: Chip, state: PyTree, mean: Chip, decay: Array
) -> tuple[Chip, PyTree]:
    """The step along a mean gradient, less λ/N w on weights; as `autodiff_ref.train.loop` takes it."""

    def less(gradients: PyTree, weights: PyTree) -> PyTree:
        return jax.tree.map(lambda g, w: g - decay * w, gradients, weights)

    uphill = mean._replace(w=less(mean.w, chip.w), v=less(mean.v, chip.v))
    step, state = update(values, jax.tree.map(jnp.negative, uphill), state, chip)
    return jax.tree.map(lambda p, u: (p + u).astype(p.dtype), chip, step), state
