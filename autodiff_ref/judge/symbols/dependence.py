"""What the entries of a value depend on, along its long axes: those of size n, or n m as a flattened (n, m) has.

- **free**: on no example, and they are the same along every long axis.
- **rows**: entry i along one long axis depends on example i, by one function for all i; along the others all are the same.
- **diagonal**: rows where i = j along two long axes, and 0 elsewhere: what ∇ hands to a function of all examples.
- **sum**: c + Σ_i t(example i), where c and t depend on no example otherwise. There is no long axis.
- **index**: entry i along a long axis is i.

Along an axis of size n m, the example is the quotient by m. What fits nowhere is unknown, and so is all that depends on it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jax.extend import core

from autodiff_ref.judge.functions import FUNCTIONS
from autodiff_ref.judge.program.movement import reshaped_from
from autodiff_ref.judge.program.plans import aval_of

Sizes = tuple[int, int]
"""the two sizes that one dimension has in two traces"""


@dataclass(frozen=True)
class Kind:
    """What a value's entries depend on; see above."""

    name: str
    axes: tuple[int, ...] = ()
    """the long axes along which entries differ"""
    is_zero: bool = False
    """of a free one: it is 0 throughout"""


FREE, ZERO, SUM = Kind("free"), Kind("free", is_zero=True), Kind("sum")
Known = Kind | None
"""None is unknown"""


def is_long(a: int, b: int, sizes: Sizes) -> bool:
    """Whether a number is n m at both sizes, for a whole number m."""
    return a > 0 and a % sizes[0] == 0 and a // sizes[0] * sizes[1] == b


def long_axes(shape: Sequence[int], other: Sequence[int], sizes: Sizes) -> tuple[int, ...]:
    """The axes of a shape whose length grows with n."""
    return tuple(k for k, (a, b) in enumerate(zip(shape, other, strict=True)) if is_long(a, b, sizes))


def step_kind(eqn: core.JaxprEqn, other: core.JaxprEqn, sizes: Sizes, kinds: Sequence[Known]) -> Known:
    """The kind of an equation's results, from those of its operands; `other` is the equation at the other size."""
    step = _Step(eqn, other, sizes)
    known = [kind for kind in kinds if kind is not None]
    if len(known) < len(kinds):
        return None
    if all(kind.name == "free" for kind in known) and not any((*step.long, *step.long_out)):
        return ZERO if step.name in LINEAR and known[0].is_zero else FREE
    rule = _RULES.get(step.name)
    return None if rule is None else rule(step, *known)


def product(a: Kind, b: Kind) -> Known:
    """The kind of a b, both of one shape."""
    names = {a.name, b.name}
    if "index" in names:
        return None
    if "sum" in names:
        return SUM if names == {"sum", "free"} else None
    axes = next((kind.axes for kind in (a, b) if kind.name == "diagonal"), a.axes or b.axes)
    name = next((name for name in ("diagonal", "rows") if name in names), "free")
    return Kind(name, axes) if {*a.axes, *b.axes} <= set(axes) else None


def contracted(kind: Kind, gone: set[int], long: set[int]) -> Known:
    """The kind after a sum along some axes, whose other axes keep their numbers; `long` are the long ones."""
    summed = gone & long
    if kind.name == "index":
        return None
    if not summed:
        return kind
    if kind.name == "diagonal" and len(summed) == 1 and summed < set(kind.axes):
        return Kind("rows", tuple(axis for axis in kind.axes if axis not in summed))
    is_sum = len(summed) == 1 if kind.name == "free" else summed == set(kind.axes)
    return SUM if is_sum and summed == long else None


class _Step:
    """One equation, at both sizes."""

    def __init__(self, eqn: core.JaxprEqn, other: core.JaxprEqn, sizes: Sizes) -> None:
        self.name, self.params = eqn.primitive.name, eqn.params
        pairs = zip([*eqn.invars, *eqn.outvars], [*other.invars, *other.outvars], strict=True)
        long = [long_axes(aval_of(a).shape, aval_of(b).shape, sizes) for a, b in pairs]
        self.long, self.long_out = long[: len(eqn.invars)], long[len(eqn.invars) :]
        self.shapes = [aval_of(atom).shape for atom in eqn.invars]
        self.results = [aval_of(var) for var in eqn.outvars]

    # Entry by entry

    def elementwise(self, *kinds: Kind) -> Known:
        """Any function of entries at one place."""
        names = {kind.name for kind in kinds}
        axes = {kind.axes for kind in kinds if kind.axes}
        if names == {"free"}:
            return FREE
        return Kind("rows", axes.pop()) if names <= {"free", "rows"} and len(axes) == 1 else None

    def linear(self, kind: Kind, *_: Kind) -> Known:
        """−x, and what is nothing to a real number; a sum that is made an integer is none."""
        is_real = np.issubdtype(self.results[0].dtype, np.floating)
        return None if kind.name == "index" or (kind.name == "sum" and not is_real) else kind

    def added(self, *kinds: Kind) -> Known:
        """add, sub"""
        if kinds[0].name == "index":
            return kinds[0] if kinds[1].is_zero else None
        return self._joined(kinds) if self._is_linear(kinds) else self.elementwise(*kinds)

    def selected(self, which: Kind, *cases: Kind) -> Known:
        """select_n"""
        if not self._is_linear(cases):
            return self.elementwise(which, *cases)
        made = self._joined(cases)
        if made is None or made.name == "sum":
            return made if which.name == "free" else None
        return made if which.name in ("free", "rows") and set(which.axes) <= set(made.axes) else None

    @staticmethod
    def _is_linear(kinds: Sequence[Kind]) -> bool:
        """Whether sums, or diagonals, are added, which is not done entry by entry."""
        return any(kind.name in ("sum", "diagonal") for kind in kinds)

    @staticmethod
    def _joined(kinds: Sequence[Kind]) -> Known:
        """Of values that are added or stand side by side: sums beside free ones, or diagonals beside zeros."""
        first = next(kind for kind in kinds if kind.name in ("sum", "diagonal"))
        fits = all(kind == first or kind.is_zero or (first == SUM and kind.name == "free") for kind in kinds)
        return first if fits else None

    def multiplied(self, a: Kind, b: Kind) -> Known:
        """mul"""
        return product(a, b)

    def divided(self, a: Kind, b: Kind) -> Known:
        """div"""
        return product(a, b) if b.name in ("free", "rows") else None

    def compared(self, a: Kind, b: Kind) -> Known:
        """eq: of two indices, an identity matrix."""
        if a.name != "index" or b.name != "index":
            return self.elementwise(a, b)
        axes = tuple(sorted({*a.axes, *b.axes}))
        is_square = len(axes) == 2 and self.results[0].shape[axes[0]] == self.results[0].shape[axes[1]]
        return Kind("diagonal", axes) if is_square else None

    # Moving data

    def moved(self, kind: Kind, to: Callable[[int], int | None]) -> Known:
        """The same along other axes; unknown where an axis along which entries differ does not stay one."""
        if kind.name == "sum":
            return None if any(self.long_out) else SUM
        axes = [to(axis) for axis in kind.axes]
        return None if None in axes else replace(kind, axes=tuple(axis for axis in axes if axis is not None))

    def broadcast(self, kind: Kind, *_: Kind) -> Known:
        """broadcast_in_dim"""
        return self.moved(kind, lambda axis: int(self.params["broadcast_dimensions"][axis]))

    def transposed(self, kind: Kind) -> Known:
        """transpose"""
        return self.moved(kind, [int(axis) for axis in self.params["permutation"]].index)

    def reshaped(self, kind: Kind, *_: Kind) -> Known:
        """reshape, squeeze, expand_dims: a long axis is found again behind as many entries as before."""
        shape, before = self.results[0].shape, self.shapes[0]
        if reshaped_from(self.name, self.params) is not None:
            return None

        def to(axis: int) -> int | None:
            ahead = np.prod(before[:axis], dtype=int)
            return next((k for k in self.long_out[0] if np.prod(shape[:k], dtype=int) == ahead), None)

        return self.moved(kind, to) if len(self.long[0]) == len(self.long_out[0]) else None

    def within(self, kind: Kind, *_: Kind) -> Known:
        """Slices, parts and reversals along axes that are not long."""
        kept = all(result.shape[axis] == self.shapes[0][axis] for result in self.results for axis in self.long[0])
        turned = set(self.params["dimensions"]) if self.name == "rev" else set[int]()
        return kind if kept and not turned & set(self.long[0]) else None

    def unstacked(self, kind: Kind) -> Known:
        """unstack"""
        gone = int(self.params["axis"])
        return None if gone in self.long[0] else self.moved(kind, lambda axis: axis - (axis > gone))

    def side_by_side(self, *kinds: Kind) -> Known:
        """concatenate, stack, pad: along an axis that is not long."""
        made = self._joined(kinds) if self._is_linear(kinds) else self.elementwise(*kinds)
        if made is None:
            return None
        if self.name == "stack":
            new = int(self.params["axis"])
            return None if new in self.long_out[0] else self.moved(made, lambda axis: axis + (axis >= new))
        parts = self.shapes[: 1 if self.name == "pad" else None]
        kept = all(part[axis] == self.results[0].shape[axis] for part in parts for axis in self.long_out[0])
        if self.name == "pad":
            kept = kept and not any(any(self.params["padding_config"][axis]) for axis in self.long_out[0])
        return self.moved(made, lambda axis: axis) if kept else None

    def iota(self) -> Known:
        """iota"""
        axis = int(self.params["dimension"])
        return Kind("index", (axis,)) if axis in self.long_out[0] else FREE

    # Sums and what is like them

    def reduced(self, kind: Kind) -> Known:
        """A maximum, a product and so on, along axes that are not long."""
        gone = {int(axis) for axis in self.params["axes"]}
        fits = kind.name in ("free", "rows") and not gone & set(self.long[0])
        return self.moved(kind, lambda axis: axis - sum(g < axis for g in gone)) if fits else None

    def accumulated(self, kind: Kind, *more: Kind) -> Known:
        """cumsum and its like, sort: along an axis that is not long."""
        along = int(self.params["axis"] if "axis" in self.params else self.params["dimension"])
        return kind if kind.name in ("free", "rows") and along not in self.long[0] and not more else None

    def summed(self, kind: Kind) -> Known:
        """reduce_sum"""
        gone = {int(axis) for axis in self.params["axes"]}
        left = contracted(kind, gone, set(self.long[0]))
        return None if left is None else self.moved(left, lambda axis: axis - sum(g < axis for g in gone))

    def dot(self, left: Kind, right: Kind) -> Known:
        """dot_general: both operands spread over all axes, the result's first, multiplied and summed over the last ones."""
        (left_sum, right_sum), (left_batch, right_batch) = self.params["dimension_numbers"]
        left_free = [k for k in range(len(self.shapes[0])) if k not in (*left_sum, *left_batch)]
        right_free = [k for k in range(len(self.shapes[1])) if k not in (*right_sum, *right_batch)]
        place = {axis: k for k, axis in enumerate((*left_batch, *left_free))}
        right_place = {axis: k for k, axis in enumerate(right_batch)}
        right_place |= {axis: len(place) + k for k, axis in enumerate(right_free)}
        last = len(place) + len(right_free)
        place |= {axis: last + k for k, axis in enumerate(left_sum)}
        right_place |= {axis: last + k for k, axis in enumerate(right_sum)}
        long = {place[k] for k in self.long[0]} | {right_place[k] for k in self.long[1]}
        made = product(
            replace(left, axes=tuple(place[axis] for axis in left.axes)),
            replace(right, axes=tuple(right_place[axis] for axis in right.axes)),
        )
        made = None if made is None else contracted(made, set(range(last, last + len(left_sum))), long)
        return None if made is None else self.moved(made, lambda axis: axis)


LINEAR = ("neg", "convert_element_type", "copy", "copy_p", "stop_gradient", "reduce_precision")

_ENTRYWISE = (
    *(FUNCTIONS.keys() - {"div"}),
    *("integer_pow", "square", "one_minus_square", "sign", "floor", "ceil", "round", "rem", "clamp", "is_finite"),
    *("ne", "lt", "le", "gt", "ge", "and", "or", "not", "xor"),
)

_RULES: dict[str, Callable[..., Known]] = {
    **dict.fromkeys(_ENTRYWISE, _Step.elementwise),
    **dict.fromkeys(LINEAR, _Step.linear),
    **dict.fromkeys(("add", "add_any", "sub"), _Step.added),
    "mul": _Step.multiplied,
    "div": _Step.divided,
    "eq": _Step.compared,
    "select_n": _Step.selected,
    "broadcast_in_dim": _Step.broadcast,
    "transpose": _Step.transposed,
    **dict.fromkeys(("reshape", "squeeze", "expand_dims"), _Step.reshaped),
    **dict.fromkeys(("slice", "rev", "split"), _Step.within),
    "unstack": _Step.unstacked,
    **dict.fromkeys(("concatenate", "stack", "pad"), _Step.side_by_side),
    "iota": _Step.iota,
    **dict.fromkeys(
        ("reduce_max", "reduce_min", "reduce_prod", "reduce_and", "reduce_or", "argmax", "argmin"), _Step.reduced
    ),
    **dict.fromkeys(("cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp", "sort"), _Step.accumulated),
    "reduce_sum": _Step.summed,
    "dot_general": _Step.dot,
}
