"""The sums that training needs over a table of examples: ll and its gradient, by hand or by `jax.grad`, jitted.

A table holds one example a column, (d + 1, n) or (d + 2, n): the features, then the label, then where examples are
weighted the weight. One example a column keeps the fast axis long however narrow the net, and lets a minibatch be cut out
of the table without a copy of the rest.

`sum_over` is the one function a native kernel would replace: layers and a table in, ll and gradient out.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial, reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from autodiff_ref.train import chip
from autodiff_ref.train.chip import Count
from manual_grad._arrays import is_traced
from manual_grad.activations import activation_of
from manual_grad.mlp import Layer, is_narrow, terms_and_grad_columns

Layers = tuple[Layer[Any], ...]


class Form(NamedTuple):
    """The functions of a net."""

    hidden: str = "sigmoid"
    """What squashes within: "sigmoid", "tanh" or "relu"."""
    output: str = "classes"
    """"classes" for labels, "identity" for numbers."""


Table = Array | np.ndarray
"""One example a column: features, label, weight."""

Sums = tuple[Array, Layers]
"""ll and its gradient, summed over examples; within a loop ll by lanes, (block,), which add up to it."""

CACHE = 65_536
"""Bytes that the widest layer of a block may take, so that what is worked on stays in a core's caches."""

SHARE = 0.08
"""What the blocks may take of the memory of X, so that all that training needs beyond X stays below a tenth of it."""

SMALL, OF_SMALL = 10_000, 32
"""Where X has fewer numbers than `SMALL`, its memory does not matter, and a block is a minibatch of the default size: two
blocks of 16 for it take half as long again to compile and 9 % longer to run (200 × 4, two units)."""

WORK = 50_000_000
"""The least work for a thread, in examples · Σ_l units_l (inputs_l + 20), 20 for what a unit costs beside its products. Two
threads against one, on two processors: 65,536 × 30 with 64 units (215 million) 7.8 and 11.5 ms, 10^6 × 30 with 2 units (121
million) 14 and 18; but 262,144 × 30 with 2 units (32 million) 5.1 and 4.3, and 16,384 (2 million) 1.4 and 0.5."""

RANGE, RANGES = 25_000_000, 64
"""A sum is made of ranges of about this much work, a power of two of them and at most so many, whatever the processors."""


def by_hand(layers: Layers, xt: Array, y: Array, c: Array | None, form: Form, by_unit: bool = True) -> Sums:
    """What each example adds to ll, and ∇ll, by the δ recursion of `manual_grad.mlp`."""
    return terms_and_grad_columns(layers, xt, y, c, activation_of(form.hidden), form.output, by_unit=by_unit)


def by_hand_uncut(layers: Layers, columns: Array, form: Form) -> Sums:
    """The same of columns of a table as they stand, for an accelerator, where to cut X out of them is to copy it

    The first layer is given weights 0 for the rows of labels and of weights.
    """
    first, d = layers[0], layers[0].w.shape[1]
    wide = first._replace(w=jnp.pad(first.w, ((0, 0), (0, columns.shape[0] - d))))
    c = columns[d + 1] if columns.shape[0] > d + 1 else None
    net, (hidden, output) = (wide, *layers[1:]), form
    terms, (of_first, *rest) = terms_and_grad_columns(
        net, columns, columns[d], c, activation_of(hidden), output, by_unit=False
    )
    return terms, (of_first._replace(w=of_first.w[:, :d]), *rest)


def by_autodiff(layers: Layers, xt: Array, y: Array, c: Array | None, form: Form) -> Sums:
    """What each example adds to ll, and ∇ll, by `jax.grad` of the net, written afresh."""
    gradient, terms = jax.grad(_log_likelihood, has_aux=True)(layers, xt, y, c, form)
    return terms, gradient


def _log_likelihood(
    layers: Layers, xt: Float[Array, "d n"], y: Float[Array, " n"], c: Float[Array, " n"] | None, form: Form
) -> tuple[Float[Array, ""], Float[Array, " n"]]:
    squash = {"sigmoid": jax.nn.sigmoid, "tanh": jnp.tanh, "relu": jax.nn.relu}[form.hidden]
    h = xt
    for level, (w, b) in enumerate(layers):
        a = w @ h if b is None else w @ h + b[:, None]
        h = a if level == len(layers) - 1 else squash(a)
    if form.output == "identity":
        log_p = -((y - h[0]) ** 2) / 2
    elif h.shape[0] == 1:
        log_p = jax.nn.log_sigmoid(y * h[0])
    else:
        log_p = jnp.take_along_axis(jax.nn.log_softmax(h, axis=0), y.astype(int)[None], axis=0)[0]
    terms = log_p if c is None else c * log_p
    return jnp.sum(terms), terms


GRADIENTS: dict[str, Callable[..., Sums]] = {"hand": by_hand, "autodiff": by_autodiff}


def gradient_of(name: str) -> Callable[..., Sums]:
    """The function that computes ll and its gradient: "hand" or "autodiff"."""
    if name not in GRADIENTS:
        raise ValueError(f"gradient must be hand or autodiff, got {name!r}")
    return GRADIENTS[name]


WHOLE = 1 << 30
"""The block of an accelerator: all examples at once, in one call."""


def accelerated(table: object = None) -> bool:
    """Whether a table, or what is not on any device yet, is worked on by an accelerator: a GPU, or whatever is no CPU."""
    if isinstance(table, jax.Array) and not is_traced(table):
        return any(device.platform != "cpu" for device in table.devices())
    return jax.default_backend() != "cpu"


def block_of(layers: Layers, table: Table, n: int | None = None) -> int:
    """How many columns to work on at a time: a power of two, by the widest layer and by the memory of X, n examples.

    From 128 to 2,048 by the caches. Measured over these for 4 to 300 features, 2 to 64 units, both precisions
    (benchmarks/gradients.py --blocks): within a fifth of the best, where 128 for all is up to 1.6 times slower (4 features),
    2,048 up to 2.5 (30, float64).

    Fewer, and 16 at least, where X is small or the net wide, but 32 where X has fewer than 10,000 numbers. The estimate of
    what a block takes, in numbers an example: 5 for each unit, 8 more, twice the inputs of each layer that is multiplied as
    one matrix product, and two copies of the example's column, which jax 0.12 makes: one in the loop, one for what is left
    over after it.
    """
    if accelerated(table):
        return WHOLE
    rows, examples = table.shape[0], n or table.shape[1]
    shapes = [layer.w.shape for layer in layers]
    fits = CACHE // (max(rows, *(units for units, _ in shapes)) * table.dtype.itemsize)
    if (rows - 1) * examples < SMALL:
        return OF_SMALL
    numbers = 8 + 2 * rows + sum(5 * shape[0] + (0 if is_narrow(shape) else 2 * shape[1]) for shape in shapes)
    allowed = max(16, int(SHARE * (rows - 1) * examples / numbers))
    return min(2_048, max(128, _power_of_two(fits)), _power_of_two(allowed))


def _power_of_two(most: int) -> int:
    return 1 << max(0, most.bit_length() - 1)


def sums(layers: Layers, table: Table, *, form: Form, gradient: str, block: int | None = None) -> Sums:
    """ll and ∇ll over all columns of a table, block by block. To be called under `jax.jit`.

    The columns left over after whole blocks are a block of their own: nothing is padded and nothing dropped.
    """
    lanes, total = lane_sums(layers, table, 0, table.shape[1], form, gradient, block or block_of(layers, table))
    return jnp.sum(lanes), total


def lane_sums(layers: Layers, table: Table, start: Count, count: int, form: Form, gradient: str, block: int) -> Sums:
    """ll by lanes and ∇ll over `count` columns from `start` on: lane k adds up the k-th examples of all blocks

    Whoever loops over this adds lane to lane, and sums the lanes once at the end: a sum within every step takes XLA on CPU
    two kernels more.
    """
    d = layers[0].w.shape[1]
    compute = gradient_of(gradient)

    def of_block(first: Count, size: int) -> Sums:
        columns = jax.lax.dynamic_slice_in_dim(table, first, size, axis=1)
        if block == WHOLE and gradient == "hand":
            return by_hand_uncut(layers, columns, form)
        c = columns[d + 1] if table.shape[0] > d + 1 else None
        return compute(layers, columns[:d], columns[d], c, form)

    whole, rest = divmod(count, block)
    if whole == 0:
        return of_block(start, rest)
    total = of_block(start, block)
    if whole > 1:
        total = jax.lax.fori_loop(
            1, whole, lambda k, total: jax.tree.map(jnp.add, total, of_block(start + k * block, block)), total
        )
    return add(total, of_block(start + whole * block, rest)) if rest else total


def add(total: Sums, more: Sums) -> Sums:
    """The sum of two, the second of which may have fewer lanes."""
    (lanes, one), (few, other) = total, more
    return lanes.at[: few.shape[0]].add(few), jax.tree.map(jnp.add, one, other)


def _window(table: Table, first: Count, end: Count, size: int) -> tuple[Array, Array]:
    """Where `size` columns begin that hold those from `first` to before `end`, and which of them these are."""
    start = jnp.clip(first, 0, table.shape[1] - size)
    at = start + jnp.arange(size)
    return start, (at >= first) & (at < end)


def left_over(
    layers: Layers, table: Table, first: Count, end: Count, size: int, form: Form, gradient: str, block: int
) -> Sums:
    """ll by lanes and ∇ll over the columns from `first` to before `end`, at most `size` of them; both may be traced

    The window is `size` columns wide whatever is left. Columns in it that are not asked for are set to 0 and have weight 0:
    they add exactly nothing.
    """
    d = layers[0].w.shape[1]
    start, inside = _window(table, first, end, size)
    columns = jnp.where(inside, jax.lax.dynamic_slice_in_dim(table, start, size, axis=1), 0)
    weighted = columns if table.shape[0] > d + 1 else jnp.concatenate([columns, inside.astype(columns.dtype)[None]])
    return lane_sums(layers, weighted, 0, size, form, gradient, block)


def batch_sums(layers: Layers, table: Table, first: Count, end: Count, size: int, form: Form, gradient: str) -> Sums:
    """As `left_over`, in one block, for an accelerator: what is cut out of the table is small, and each launch counts."""
    d = layers[0].w.shape[1]
    start, inside = _window(table, first, end, size)

    def rows(number: int, count: int) -> Array:
        return jnp.where(inside, jax.lax.dynamic_slice_in_dim(table[number : number + count], start, size, axis=1), 0)

    c = rows(d + 1, 1)[0] if table.shape[0] > d + 1 else inside.astype(table.dtype)
    compute = partial(by_hand, by_unit=False) if gradient == "hand" else gradient_of(gradient)
    return compute(layers, rows(0, d), rows(d, 1)[0], c, form)


def span_sums(layers: Layers, table: Table, first: Count, end: Count, *, form: Form, gradient: str, block: int) -> Sums:
    """ll and ∇ll over the columns from `first` to before `end`, which are traced: blocks, and what is left over."""
    block = min(block, table.shape[1])
    whole = (end - first) // block

    def of_block(k: Array, total: Sums) -> Sums:
        more = lane_sums(layers, table, first + k * block, block, form, gradient, block)
        return jax.tree.map(jnp.add, total, more)

    none = jnp.zeros(block, table.dtype), jax.tree.map(lambda p: jnp.zeros(p.shape, p.dtype), layers)
    total = jax.lax.fori_loop(0, whole, of_block, none)
    done = first + whole * block
    lanes, total = jax.lax.cond(
        done < end,
        lambda: add(total, left_over(layers, table, done, end, block, form, gradient, block)),
        lambda: total,
    )
    return jnp.sum(lanes), total


_span = jax.jit(span_sums, static_argnames=("form", "gradient", "block"))


def threads() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _work(layers: Layers, n: int) -> int:
    return n * sum(layer.w.shape[0] * (layer.w.shape[1] + 20) for layer in layers)


def ranges_of(layers: Layers, n: int) -> int:
    """How many ranges the examples are summed in: a power of two, by the work and not by the processors."""
    return min(RANGES, 1 << max(0, (_work(layers, n) // RANGE).bit_length() - 1))


def workers_for(layers: Layers, table: Table, n: int | None = None) -> int:
    """How many threads to share the examples among: one a processor, fewer where there is little work."""
    examples: int = table.shape[1] if n is None else n
    return max(1, min(threads(), _work(layers, examples) // WORK, ranges_of(layers, examples)))


def sum_over(
    layers: Layers,
    table: Float[Array, "rows n"],
    *,
    hidden: str = "sigmoid",
    output: str = "classes",
    gradient: str = "hand",
    block: int | None = None,
    workers: int | None = None,
    n: int | None = None,
) -> tuple[float, Layers]:
    """(ll, ∇ll) = Σ_i (c_i log σ(y_i z_i), its gradient), over the columns of a table, on every processor

    The columns are summed in ranges, as many as the work asks for, each block by block. XLA runs the loop over blocks on one
    thread, so the ranges are shared among threads. Their sums are added in the order of the ranges: the result is the same
    every time, on any number of processors.

    Args:
        layers: the net.
        table: (d + 1, n) or (d + 2, n), one example a column: features, label, weight.
        hidden: the squashing function within.
        output: "classes", or "identity" for numbers in the place of labels.
        gradient: "hand" or "autodiff".
        block: columns worked on at a time; by default as many as stay in the cache.
        workers: threads; by default one a processor, fewer where there is little work.
        n: how many columns count, the first ones; by default all. What is compiled does not depend on it.

    Returns:
        ll and its gradient as NumPy arrays, summed over the examples and not averaged.

    Raises:
        ValueError: `gradient` or `hidden` is unknown.

    Example:
        >>> net = (Layer(np.zeros((2, 1), np.float32)), Layer(np.array([[4, -4]], np.float32)))
        >>> sum_over(net, np.array([[1.0], [1.0]], np.float32))[1][0].w.tolist()
        [[0.5], [-0.5]]

    Source: Σ_i of the notes' log-likelihood.
    """
    gradient_of(gradient)
    form = Form(hidden, output)
    n = table.shape[1] if n is None else n
    if accelerated(table):
        launch = None if block is not None else launch_for(layers, n, form, gradient)
        ll, total = whole_sums(layers, table, n, form=form, gradient=gradient, launch=launch, full=n == table.shape[1])
        return float(ll), jax.tree.map(np.asarray, total)
    block, parts = block or block_of(layers, table, n), ranges_of(layers, n)
    workers = workers or workers_for(layers, table, n)
    bounds = [min(n, -(-n // block // parts) * block * k) for k in range(parts)] + [n]
    wide = jnp.result_type(float) == np.float64

    def part(k: int) -> Sums:
        with jax.enable_x64(wide):  # a setting of the thread
            result = _span(layers, table, bounds[k], bounds[k + 1], form=form, gradient=gradient, block=block)
            return jax.tree.map(np.asarray, result)

    if workers == 1 or parts == 1:
        found = map(part, range(parts))
    else:
        with ThreadPoolExecutor(min(workers, parts)) as pool:
            found = list(pool.map(part, range(parts)))
    ll, total = reduce(lambda one, more: jax.tree.map(np.add, one, more), found)
    return float(ll), total


def launch_for(layers: Layers, n: int, form: Form, gradient: str) -> chip.Launch | None:
    """How an accelerator runs the kernel that reads X once; None where XLA does better, or there is no such kernel."""
    by_kernel = gradient == "hand" and form.output == "classes" and n >= chip.ENOUGH
    return chip.one_pass_launch(layers) if by_kernel else None


@partial(jax.jit, static_argnames=("form", "gradient", "launch", "full"))
def whole_sums(
    layers: Layers, table: Array, n: Count, *, form: Form, gradient: str, launch: chip.Launch | None, full: bool
) -> Sums:
    """ll and ∇ll over the first n columns in one call: by the kernel that reads X once, or by XLA."""
    if launch is not None:
        return chip.one_pass(layers, table, None if full else n, hidden=form.hidden, launch=launch, interpret=chip.INTERPRET)
    if full:  # nothing to leave out
        return sums(layers, table, form=form, gradient=gradient, block=WHOLE)
    lanes, total = left_over(layers, table, 0, n, table.shape[1], form, gradient, WHOLE)
    return jnp.sum(lanes), total


@partial(jax.jit, static_argnames=("hidden",))
def mean_log_likelihood(layers: Layers, table: Float[Array, "rows n"], *, hidden: str = "sigmoid") -> Float[Array, ""]:
    """1/n Σ_i c_i log σ(y_i z_i)

    XLA drops the gradient, which is not asked for.
    """
    return sums(layers, table, form=Form(hidden), gradient="hand")[0] / table.shape[1]


@partial(jax.jit, static_argnames=("form", "block"))
def mean_over(layers: Layers, table: Float[Array, "rows room"], n: Count, *, form: Form, block: int) -> Float[Array, ""]:
    """1/n Σ_i c_i log σ(y_i z_i) over the first n columns; what is compiled does not depend on n."""
    return span_sums(layers, table, 0, n, form=form, gradient="hand", block=block)[0] / n
