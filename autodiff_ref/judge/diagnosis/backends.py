"""Where small expressions over the values of two lines are computed: in NumPy for thousands, traced by JAX for a few.

Those few are then decided in balls.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from autodiff_ref.judge.diagnosis import batched
from autodiff_ref.judge.diagnosis.batched import LEAD
from autodiff_ref.judge.diagnosis.variant import Node, Program

Value = Any
"""An array: NumPy's for the one backend, JAX's for the other."""

REDUCTIONS: dict[str, Callable[[Any, Value, int], Value]] = {
    "reduce_sum": lambda lib, x, axis: lib.sum(x, axis=axis, keepdims=True),
    "reduce_prod": lambda lib, x, axis: lib.prod(x, axis=axis, keepdims=True),
    "reduce_max": lambda lib, x, axis: lib.max(x, axis=axis, keepdims=True),
    "reduce_min": lambda lib, x, axis: lib.min(x, axis=axis, keepdims=True),
    "cumsum": lambda lib, x, axis: lib.cumsum(x, axis=axis),
    "cumprod": lambda lib, x, axis: lib.cumprod(x, axis=axis),
    "sort": lambda lib, x, axis: lib.sort(x, axis=axis),
}
"""what is computed along one axis"""

WRONG, RIGHT = 0, 1
"""whose slot it is"""


class Backend(Protocol):
    """Where expressions are computed."""

    @property
    def program(self) -> Program:
        """The wrong line's, at these shapes."""
        ...

    @property
    def sizes(self) -> Mapping[str, int]:
        """Of the named dimensions."""
        ...

    def slot(self, side: int, slot: int) -> Value:
        """A value of one of the two lines."""
        ...

    def number(self, value: float) -> Value:
        """A constant."""
        ...

    def f(self, name: str, *operands: Value) -> Value:
        """An elementwise primitive, on shapes that broadcast."""
        ...

    def bind(self, node: Node, operands: Sequence[Value], **params: object) -> Value:
        """A node's primitive on other operands, or with other parameters; its first result."""
        ...

    def take(self, value: Value, axis: int, index: int) -> Value:
        """One entry along an axis."""
        ...

    def column(self, value: Value, rank: int) -> Value:
        """Axes of size 1 behind a value's own, up to a rank."""
        ...

    def transpose(self, value: Value) -> Value:
        """The last two axes swapped."""
        ...

    def inverse(self, value: Value) -> Value:
        """Of each matrix along the last two axes; NaN where there is none."""
        ...

    def flip(self, value: Value, axis: int) -> Value:
        """An axis backwards."""
        ...

    def reduce(self, name: str, value: Value, axis: int) -> Value:
        """The sum, the largest, … along an axis counted from the end, which is kept with size 1."""
        ...

    def like(self, value: Value, slot: int) -> Value:
        """A value broadcast to the shape of a slot of the wrong line."""
        ...

    def alike(self, operands: Sequence[Value]) -> Sequence[Value]:
        """Values broadcast to one shape."""
        ...


Expression = Callable[[Backend], Value]


@dataclass(frozen=True)
class Floats:
    """NumPy, with the axes of variants and inputs in front."""

    program: Program
    sizes: Mapping[str, int]
    values: tuple[dict[int, Value], dict[int, Value]]

    def slot(self, side: int, slot: int) -> Value:
        """Its values at all inputs."""
        return self.values[side][slot]

    def number(self, value: float) -> Value:
        """The constant with axes of size 1 in front."""
        return np.full((1,) * LEAD, float(value))

    def f(self, name: str, *operands: Value) -> Value:
        """By the rule in NumPy of the diagnosis."""
        return batched.elementwise(name, *operands)

    def bind(self, node: Node, operands: Sequence[Value], **params: object) -> Value:
        """By the rule in NumPy of its primitive, or mapped by JAX where there is none; its first result."""
        shapes = [operand.shape[LEAD:] for operand in operands]
        results = [self.program.shapes[t] for t in node.targets]
        return batched.applied(node.primitive, {**node.params, **params}, list(operands), shapes, results)[0]

    def take(self, value: Value, axis: int, index: int) -> Value:
        """One entry along an axis of a value, counted without the axes in front."""
        return np.take(value, index, axis=axis + LEAD if axis >= 0 else axis)

    def column(self, value: Value, rank: int) -> Value:
        """Axes of size 1 behind it, up to a rank without the axes in front."""
        return value.reshape(*value.shape, *[1] * (rank + LEAD - value.ndim))

    def transpose(self, value: Value) -> Value:
        """The last two axes swapped."""
        return np.swapaxes(value, -1, -2)

    def inverse(self, value: Value) -> Value:
        """Of each matrix along the last two axes; NaN where there is none."""
        try:
            return np.linalg.inv(value)
        except np.linalg.LinAlgError:
            return np.full(value.shape, np.nan)

    def flip(self, value: Value, axis: int) -> Value:
        """An axis backwards, counted without the axes in front."""
        return np.flip(value, axis + LEAD)

    def reduce(self, name: str, value: Value, axis: int) -> Value:
        """Along an axis counted from the end."""
        return REDUCTIONS[name](np, value, axis)

    def like(self, value: Value, slot: int) -> Value:
        """Broadcast to the shape of a slot behind the axes in front."""
        shape = self.program.shapes[slot]
        lifted = batched.lifted(value, len(shape))
        return np.broadcast_to(lifted, lifted.shape[:LEAD] + shape)

    def alike(self, operands: Sequence[Value]) -> Sequence[Value]:
        """With those of lower rank lifted."""
        rank = max(operand.ndim for operand in operands) - LEAD
        return np.broadcast_arrays(*[batched.lifted(operand, rank) for operand in operands])


@dataclass(frozen=True)
class Traced:
    """JAX."""

    program: Program
    sizes: Mapping[str, int]
    values: tuple[Mapping[int, Value], Mapping[int, Value]]

    def slot(self, side: int, slot: int) -> Value:
        """Its traced value at one input."""
        return self.values[side][slot]

    def number(self, value: float) -> Value:
        """The constant in float64."""
        return jnp.asarray(value, dtype=jnp.float64)

    def f(self, name: str, *operands: Value) -> Value:
        """By the function of jax.numpy."""
        return _JAX[name](*operands)

    def bind(self, node: Node, operands: Sequence[Value], **params: object) -> Value:
        """By its primitive; its first result."""
        made = node.primitive.bind(*operands, **{**node.params, **params})
        return made[0] if node.primitive.multiple_results else made

    def take(self, value: Value, axis: int, index: int) -> Value:
        """One entry along an axis."""
        return jax.lax.index_in_dim(value, index, axis, keepdims=False)

    def column(self, value: Value, rank: int) -> Value:
        """Axes of size 1 behind its own, up to a rank."""
        return value.reshape(*value.shape, *[1] * (rank - value.ndim))

    def transpose(self, value: Value) -> Value:
        """The last two axes swapped."""
        return jnp.swapaxes(value, -1, -2)

    def inverse(self, value: Value) -> Value:
        """Of each matrix along the last two axes."""
        return jnp.linalg.inv(value)

    def flip(self, value: Value, axis: int) -> Value:
        """An axis backwards."""
        return jnp.flip(value, axis)

    def reduce(self, name: str, value: Value, axis: int) -> Value:
        """Along an axis counted from the end."""
        return REDUCTIONS[name](jnp, value, axis)

    def like(self, value: Value, slot: int) -> Value:
        """Broadcast to the shape of a slot."""
        return jnp.broadcast_to(value, self.program.shapes[slot])

    def alike(self, operands: Sequence[Value]) -> Sequence[Value]:
        """By jax.numpy."""
        return jnp.broadcast_arrays(*operands)


_JAX: dict[str, Callable[..., jax.Array]] = {
    "add": jnp.add,
    "sub": jnp.subtract,
    "mul": jnp.multiply,
    "div": jnp.divide,
    "neg": jnp.negative,
    "exp": jnp.exp,
    "log": jnp.log,
    "logistic": jax.nn.sigmoid,
    "tanh": jnp.tanh,
    "sqrt": jnp.sqrt,
    "sin": jnp.sin,
    "cos": jnp.cos,
    "max": jnp.maximum,
    "min": jnp.minimum,
    "pow": jnp.power,
    "abs": jnp.abs,
    "lt": jnp.less,
    "gt": jnp.greater,
    "le": jnp.less_equal,
    "ge": jnp.greater_equal,
    "eq": jnp.equal,
    "ne": jnp.not_equal,
}
