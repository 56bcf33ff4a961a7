"""Gather and scatter at places that labels decide: for every place that comes into question, where it is the one.

A label takes few values, so an index that is made of one does too. What is gathered is then one of few entries, the one that
the index says (`pick`); what is scattered goes to each of few places, if that is the one.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from autodiff_ref.judge.program.places import scattered
from autodiff_ref.judge.program.plans import Array, Equation, Rule, Step
from autodiff_ref.judge.program.structure import ALGEBRA
from autodiff_ref.judge.symbols.expressions import Context, Node, NotSymbolicError
from autodiff_ref.judge.symbols.outcomes import integers_of
from autodiff_ref.judge.symbols.primitives import chosen, compared, nodes_of, settled

MOST = 64
"""places that may come into question for one index"""


def is_open(indices: Array) -> bool:
    """Whether labels decide some of these integers."""
    return np.asarray(indices).dtype == object


class _Indices:
    """Rows of an index array, each with the places that come into question for it."""

    def __init__(self, rows: Array) -> None:
        """Takes an array of nodes whose last axis holds the entries of one index."""
        self.rows = rows.reshape(-1, rows.shape[-1])
        self.shape = rows.shape
        self._values = [[integers_of(node) for node in row] for row in self.rows]
        self.candidates = [list(itertools.product(*values)) for values in self._values]
        if max(map(len, self.candidates), default=0) > MOST:
            raise NotSymbolicError(f"more than {MOST} places come into question for one index")

    @property
    def most(self) -> int:
        """The largest number of places that come into question for a row."""
        return max(map(len, self.candidates), default=0)

    def at(self, c: int, dtype: DTypeLike) -> Array:
        """All rows at their place number c, or their last one."""
        return np.array([row[min(c, len(row) - 1)] for row in self.candidates], dtype=dtype).reshape(self.shape)

    def is_at(self, row: int, c: int) -> Node:
        """Whether a row's place is number c."""
        here = self.rows[row][0].expressions.one
        for node, value in zip(self.rows[row], self.candidates[row][c], strict=True):
            here = here * compared("eq", node, node.expressions.number(value))
        return here

    def picked(self, row: int, entries: Sequence[Node]) -> Node:
        """Of what stands at each place, what stands at the row's own."""
        return self._picked(row, 0, list(entries))

    def _picked(self, row: int, axis: int, entries: list[Node]) -> Node:
        if all(entry is entries[0] for entry in entries):
            return entries[0]
        node, values = self.rows[row][axis], self._values[row][axis]
        each = len(entries) // len(values)
        parts = [self._picked(row, axis + 1, entries[k * each : (k + 1) * each]) for k in range(len(values))]
        if len(parts) == 1:
            return parts[0]
        return node.expressions.node("pick", node.id, " ".join(map(str, values)), *[part.id for part in parts])


def _gather(equation: Equation) -> Step:
    step = ALGEBRA["gather"](equation)
    offsets = equation.params["dimension_numbers"].offset_dims
    shape, dtype = equation.results[0].shape, equation.operands[1].dtype
    batch = [axis for axis in range(len(shape)) if axis not in offsets]

    def open_step(context: Context, x: Array, indices: Array) -> Array:
        if not is_open(indices):
            return step(context, x, indices)
        rows = _Indices(nodes_of(context, indices))
        gathered = [step(context, x, rows.at(c, dtype)) for c in range(rows.most)]
        made = np.empty(shape, dtype=object)
        for position in np.ndindex(shape):
            row = _number([position[axis] for axis in batch], [shape[axis] for axis in batch])
            made[position] = rows.picked(row, [part[position] for part in gathered[: len(rows.candidates[row])]])
        return made

    return open_step


def _number(position: Sequence[int], shape: Sequence[int]) -> int:
    return int(np.ravel_multi_index(tuple(position), tuple(shape))) if shape else 0


def _scatter(name: str, combine: Callable[[Node, Node], Node]) -> Rule:
    def rule(equation: Equation) -> Step:
        step = ALGEBRA[name](equation)
        target, indexed, update = equation.operands
        dimensions, mode = equation.params["dimension_numbers"], equation.params["mode"]
        scatter_axes = [axis for axis in range(len(update.shape)) if axis not in dimensions.update_window_dims]

        def open_step(context: Context, x: Array, indices: Array, updates: Array) -> Array:
            if not is_open(indices):
                return step(context, x, indices, updates)
            rows = _Indices(nodes_of(context, indices))
            where = [
                scattered(rows.at(c, indexed.dtype), target.shape, update.shape, dimensions, mode).ravel()
                for c in range(rows.most)
            ]
            result: Any = np.array(x).ravel()
            added: Any = updates
            for k, position in enumerate(np.ndindex(update.shape)):
                row = _number([position[axis] for axis in scatter_axes], [update.shape[axis] for axis in scatter_axes])
                for c in range(len(rows.candidates[row])):
                    to = where[c][k]
                    if to >= 0:
                        here = rows.is_at(row, c)
                        result[to] = chosen(here, result[to], combine(result[to], added[position]))
            return result.reshape(x.shape)

        return open_step

    return rule


def _window(name: str, data: int) -> Rule:
    """dynamic_slice and dynamic_update_slice: the first operands are data, the others say where one window begins."""

    def rule(equation: Equation) -> Step:
        step = ALGEBRA[name](equation)
        shape, dtypes = equation.results[0].shape, [operand.dtype for operand in equation.operands[data:]]

        def open_step(context: Context, *operands: Array) -> Array:
            if not any(is_open(start) for start in operands[data:]):
                return step(context, *operands)
            starts = [nodes_of(context, start)[()] for start in operands[data:]]
            rows = _Indices(np.array([starts], dtype=object))
            parts = [
                step(context, *operands[:data], *[np.asarray(v, dtype=t) for v, t in zip(place, dtypes, strict=True)])
                for place in rows.candidates[0]
            ]
            made = np.empty(shape, dtype=object)
            for position in np.ndindex(shape):
                made[position] = rows.picked(0, [part[position] for part in parts])
            return made

        return open_step

    return rule


PLACES: dict[str, Rule] = {
    "gather": _gather,
    "scatter": _scatter("scatter", lambda _, new: new),
    "scatter-add": _scatter("scatter-add", lambda old, new: old + new),
    "scatter-sub": _scatter("scatter-sub", lambda old, new: old - new),
    "scatter-mul": _scatter("scatter-mul", lambda old, new: old * new),
    "dynamic_slice": _window("dynamic_slice", 1),
    "dynamic_update_slice": _window("dynamic_update_slice", 2),
}
"""rules for reals; for integers, see `discrete_place`"""


def discrete_place(name: str) -> Rule:
    """The same for data that are integers or truth values."""

    def rule(equation: Equation) -> Step:
        step = PLACES[name](equation)
        reals = {"gather": (0,), "dynamic_slice": (0,), "dynamic_update_slice": (0, 1)}.get(name, (0, 2))

        def open_step(context: Context, *operands: Array) -> Array:
            data = [nodes_of(context, operand) if k in reals else operand for k, operand in enumerate(operands)]
            return settled(step(context, *data), equation.results[0].dtype)

        return open_step

    return rule
