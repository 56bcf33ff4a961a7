"""A program in NumPy floats, for thousands of variants at several inputs at once: the filter in front of the balls.

Values carry two axes in front: the variant (1 where all are the same), then the input.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

from autodiff_ref.judge.diagnosis.variant import Node, Program
from autodiff_ref.judge.functions import FUNCTIONS
from autodiff_ref.judge.program.movement import reshaped_from
from autodiff_ref.judge.program.plans import Params

Array = np.ndarray
Shapes = Sequence[tuple[int, ...]]

LEAD = 2
"""axes in front of a value's own"""


def evaluated(program: Program, leaves: Sequence[Array]) -> dict[int, Array]:
    """Every slot's value at stacked inputs: `leaves` carry the axis of inputs only."""
    values = {slot: np.asarray(array)[(None,) * LEAD] for slot, array in program.constants.items()}
    values.update({slot: np.asarray(leaf)[None] for slot, leaf in zip(program.inputs, leaves, strict=True)})
    for node in program.nodes:
        values.update(zip(node.targets, apply(program, node, [values[s] for s in node.sources]), strict=True))
    return values


def outputs_with(program: Program, base: dict[int, Array], slot: int, variants: Array, nodes: Sequence[int]) -> Array:
    """The outputs, (variant, input, component), with one slot's value replaced; `nodes` are those downstream of it."""
    changed = {slot: variants}

    def value(source: int) -> Array:
        return changed[source] if source in changed else base[source]

    for k in nodes:
        node = program.nodes[k]
        changed.update(zip(node.targets, apply(program, node, [value(s) for s in node.sources]), strict=True))
    return flat([value(slot) for slot in program.outputs])


def flat(outputs: Sequence[Array]) -> Array:
    """Outputs side by side: (variant, input, component)."""
    lead = np.broadcast_shapes(*[output.shape[:LEAD] for output in outputs])
    return np.concatenate([np.broadcast_to(o, lead + o.shape[LEAD:]).reshape(*lead, -1) for o in outputs], axis=LEAD)


def apply(program: Program, node: Node, operands: list[Array]) -> list[Array]:
    """One node's results."""
    shapes = [program.shapes[s] for s in node.sources]
    results = [program.shapes[t] for t in node.targets]
    return applied(node.primitive, node.params, operands, shapes, results)


def applied(
    primitive: core.Primitive, params: Params, operands: list[Array], shapes: Shapes, results: Shapes
) -> list[Array]:
    """A primitive's results on values with leading axes; by NumPy where there is a rule, by jax.vmap elsewhere."""
    with np.errstate(all="ignore"):
        exact = primitive.name in _ON_INTEGERS
        if primitive.name in _ELEMENTWISE and all(exact or o.dtype.kind in "fb" for o in operands):
            rank = max((len(shape) for shape in shapes), default=0)
            return [np.asarray(_ELEMENTWISE[primitive.name](*[lifted(o, rank) for o in operands]))]
        if primitive.name in _RULES:
            return _RULES[primitive.name](params, operands, shapes, results)
    return _by_jax(primitive, params, operands)


def has_rule(node: Node) -> bool:
    """Whether NumPy computes it, on floats."""
    return node.name in _ELEMENTWISE or node.name in _RULES


def elementwise(name: str, *operands: Array) -> Array:
    """An elementwise primitive on floats of any shapes that broadcast."""
    rank = max(operand.ndim - LEAD for operand in operands)
    with np.errstate(all="ignore"):
        return np.asarray(_ELEMENTWISE[name](*[lifted(operand, rank) for operand in operands]))


def lifted(value: Array, rank: int) -> Array:
    """A value with axes of size 1 put between its leading ones and its own, up to a rank."""
    own = value.ndim - LEAD
    return value if own >= rank else value.reshape(*value.shape[:LEAD], *[1] * (rank - own), *value.shape[LEAD:])


def _by_jax(primitive: core.Primitive, params: Params, operands: list[Array]) -> list[Array]:
    lead = np.broadcast_shapes(*[o.shape[:LEAD] for o in operands]) if operands else (1, 1)
    count = int(np.prod(lead))
    padded = 1 << (count - 1).bit_length()  # few different sizes: each is compiled
    rows = [np.broadcast_to(o, lead + o.shape[LEAD:]).reshape(count, *o.shape[LEAD:]) for o in operands]
    rows = [np.concatenate([row, np.repeat(row[:1], padded - count, axis=0)]) for row in rows]
    with jax.enable_x64(True):
        if operands:
            made = jax.vmap(lambda *args: primitive.bind(*args, **params))(*map(jnp.asarray, rows))
        else:
            made = jax.tree.map(lambda leaf: leaf[None], primitive.bind(**params))
    parts = made if primitive.multiple_results else [made]
    return [np.asarray(part)[:count].reshape(*lead, *part.shape[1:]) for part in parts]


def _logistic(x: Array) -> Array:
    t = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, t) / (1 + t)


_ELEMENTWISE: dict[str, Callable[..., Array]] = {
    **{name: row.numpy for name, row in FUNCTIONS.items() if row.numpy is not None},
    "add": np.add,
    "add_any": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "neg": np.negative,
    "logistic": _logistic,
    "abs": np.abs,
    "sign": np.sign,
    "max": np.maximum,
    "min": np.minimum,
    "square": np.square,
    "one_minus_square": lambda x: 1 - x * x,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
    "eq": np.equal,
    "ne": np.not_equal,
    "and": np.logical_and,
    "or": np.logical_or,
    "not": np.logical_not,
    "stop_gradient": lambda x: x,
    "copy": lambda x: x,
    "copy_p": lambda x: x,
    "optimization_barrier": lambda x: x,
}
"""on floats and booleans"""

_ON_INTEGERS = {
    "add",
    "sub",
    "mul",
    "neg",
    "max",
    "min",
    "lt",
    "le",
    "gt",
    "ge",
    "eq",
    "ne",
    "copy",
    "stop_gradient",
    "sign",
}
"""those that are the same for integers of one type"""


def _at(axes: Sequence[int]) -> tuple[int, ...]:
    return tuple(LEAD + int(axis) for axis in axes)


def _dot_general(params: Params, operands: list[Array], shapes: Shapes, results: Shapes) -> list[Array]:
    (left_sum, right_sum), (left_batch, right_batch) = params["dimension_numbers"]
    letters = iter("abcdefghijklmnopqrstuvwxyz")
    left = [next(letters) for _ in shapes[0]]
    right = [""] * len(shapes[1])
    for i, j in zip((*left_sum, *left_batch), (*right_sum, *right_batch), strict=True):
        right[j] = left[i]
    right = [letter or next(letters) for letter in right]
    batch = [left[i] for i in left_batch]
    kept = [c for i, c in enumerate(left) if i not in (*left_sum, *left_batch)]
    kept += [c for j, c in enumerate(right) if j not in (*right_sum, *right_batch)]
    spec = f"...{''.join(left)},...{''.join(right)}->...{''.join(batch + kept)}"
    return [np.einsum(spec, *[np.asarray(o, dtype=np.float64) for o in operands])]


def _broadcast(params: Params, operands: list[Array], shapes: Shapes, results: Shapes) -> list[Array]:
    x, shape = operands[0], params["shape"]
    between = [1] * len(shape)
    for axis, size in zip(params["broadcast_dimensions"], shapes[0], strict=True):
        between[int(axis)] = size
    lead = x.shape[:LEAD]
    return [np.broadcast_to(x.reshape(*lead, *between), (*lead, *shape))]


def _squeeze(params: Params, operands: list[Array], shapes: Shapes, results: Shapes) -> list[Array]:
    return [operands[0].reshape(*operands[0].shape[:LEAD], *results[0])]


def _reshape(params: Params, operands: list[Array], shapes: Shapes, results: Shapes) -> list[Array]:
    order = reshaped_from("reshape", params)
    moved = operands if order is None else [np.transpose(operands[0], (0, 1, *_at(order)))]
    return _squeeze(params, moved, shapes, results)


def _slice(params: Params, operands: list[Array], shapes: Shapes, results: Shapes) -> list[Array]:
    starts, limits = params["start_indices"], params["limit_indices"]
    strides = params["strides"] or [1] * len(starts)
    window = tuple(slice(int(a), int(b), int(s)) for a, b, s in zip(starts, limits, strides, strict=True))
    return [operands[0][(slice(None),) * LEAD + window]]


def _reduce(f: Callable[..., Array]) -> Callable[..., list[Array]]:
    return lambda params, operands, shapes, results: [np.asarray(f(operands[0], axis=_at(params["axes"])))]


def _select(params: Params, operands: list[Array], shapes: Shapes, results: Shapes) -> list[Array]:
    which, *cases = [lifted(o, len(results[0])) for o in operands]
    if len(cases) == 2:
        return [np.where(which.astype(bool), cases[1], cases[0])]
    return [np.select([which == k for k in range(len(cases))], cases)]


def _together(f: Callable[..., Array], axis: str) -> Callable[..., list[Array]]:
    def rule(params: Params, operands: list[Array], shapes: Shapes, results: Shapes) -> list[Array]:
        lead = np.broadcast_shapes(*[o.shape[:LEAD] for o in operands])
        return [f([np.broadcast_to(o, lead + o.shape[LEAD:]) for o in operands], axis=LEAD + params[axis])]

    return rule


def _convert(params: Params, operands: list[Array], shapes: Shapes, results: Shapes) -> list[Array]:
    target = np.dtype(params["new_dtype"])
    # a cast to a shorter float is the identity on reals
    return [operands[0].astype(np.float64 if target.kind == "f" else target)]


def _iota(params: Params, operands: list[Array], shapes: Shapes, results: Shapes) -> list[Array]:
    axis, shape = params["dimension"], results[0]
    row = np.arange(shape[axis], dtype=params["dtype"]).reshape([-1 if k == axis else 1 for k in range(len(shape))])
    return [np.broadcast_to(row, (1,) * LEAD + tuple(shape))]


def _clamp(params: Params, operands: list[Array], shapes: Shapes, results: Shapes) -> list[Array]:
    low, x, high = [lifted(o, len(results[0])) for o in operands]
    return [np.minimum(np.maximum(x, low), high)]


def _cumulative(f: Callable[..., Array]) -> Callable[..., list[Array]]:
    def rule(params: Params, operands: list[Array], shapes: Shapes, results: Shapes) -> list[Array]:
        axis = LEAD + params["axis"]
        x = np.flip(operands[0], axis) if params["reverse"] else operands[0]
        summed = f(x, axis=axis)
        return [np.flip(summed, axis) if params["reverse"] else summed]

    return rule


def _split(params: Params, operands: list[Array], shapes: Shapes, results: Shapes) -> list[Array]:
    return list(np.split(operands[0], np.cumsum(params["sizes"])[:-1], axis=LEAD + params["axis"]))


_RULES: dict[str, Callable[..., list[Array]]] = {
    "dot_general": _dot_general,
    "broadcast_in_dim": _broadcast,
    "reshape": _reshape,
    "squeeze": _squeeze,
    "expand_dims": _squeeze,
    "transpose": lambda params, operands, shapes, results: [np.transpose(operands[0], (0, 1, *_at(params["permutation"])))],
    "slice": _slice,
    "rev": lambda params, operands, shapes, results: [np.flip(operands[0], _at(params["dimensions"]))],
    "reduce_sum": _reduce(np.sum),
    "reduce_prod": _reduce(np.prod),
    "reduce_max": _reduce(np.max),
    "reduce_min": _reduce(np.min),
    "select_n": _select,
    "concatenate": _together(np.concatenate, "dimension"),
    "stack": _together(np.stack, "axis"),
    "unstack": lambda params, operands, shapes, results: [
        np.asarray(part) for part in np.moveaxis(operands[0], LEAD + params["axis"], 0)
    ],
    "split": _split,
    "iota": _iota,
    "clamp": _clamp,
    "cumsum": _cumulative(np.cumsum),
    "cumprod": _cumulative(np.cumprod),
    "convert_element_type": _convert,
    "integer_pow": lambda params, operands, shapes, results: [np.asarray(operands[0]) ** int(params["y"])],
}
"""rule(params, operands, their shapes, the results' shapes) -> results"""
