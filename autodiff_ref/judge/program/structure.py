"""Rules that hold in every arithmetic on arrays of objects: summing and contracting, with nothing but `+` and `*`."""

import math
import operator
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from autodiff_ref.judge.program.discrete import DISCRETE
from autodiff_ref.judge.program.movement import INDEXED, MOVEMENT, select
from autodiff_ref.judge.program.plans import Array, Equation, Number, OnOneEntry, Rule, RunContext, Step, as_objects
from autodiff_ref.judge.program.scattering import scatter

__all__ = ["ALGEBRA", "DISCRETE", "MOVEMENT", "axes_last", "cumulative", "elementwise", "reduction", "scatter"]

# Sums, products and contractions


def axes_last(x: Array, axes: tuple[int, ...]) -> Array:
    """The axes to be reduced, as one at the end."""
    kept = [axis for axis in range(x.ndim) if axis not in axes]
    moved = x.transpose([*kept, *axes])
    return moved.reshape([x.shape[axis] for axis in kept] + [math.prod(x.shape[axis] for axis in axes)])


def reduction_by(ufunc: np.ufunc, initial: Number) -> Rule:
    """A primitive that reduces `axes` by a ufunc whose order does not matter."""

    def rule(equation: Equation) -> Step:
        axes = tuple(int(axis) for axis in equation.params["axes"])
        return lambda _, x: as_objects(ufunc.reduce(x, axis=axes, initial=initial))

    return rule


def reduction(f: Callable[[Array], Array | Number]) -> Rule:
    """A primitive that reduces `axes` by f, which maps the entries to be reduced, the last axis, to one."""

    def rule(equation: Equation) -> Step:
        axes = tuple(int(axis) for axis in equation.params["axes"])
        return lambda _, x: as_objects(f(axes_last(x, axes)))

    return rule


class Contraction:
    """A `dot_general` as one product of matrices; its operands may have further axes in front of their own."""

    def __init__(self, equation: Equation, before: int = 0) -> None:
        """With so many axes in front."""
        (left_sum, right_sum), (left_batch, right_batch) = equation.params["dimension_numbers"]
        left, right = (operand.shape for operand in equation.operands)
        left_free = [k for k in range(len(left)) if k not in (*left_sum, *left_batch)]
        right_free = [k for k in range(len(right)) if k not in (*right_sum, *right_batch)]
        self.summed = math.prod(left[k] for k in left_sum)
        front, batch = range(before), [*[-1] * before, *(left[k] for k in left_batch)]
        self._left_order = [*front, *(before + k for k in (*left_batch, *left_free, *left_sum))]
        self._right_order = [*front, *(before + k for k in (*right_batch, *right_sum, *right_free))]
        self._left_shape = [*batch, math.prod(left[k] for k in left_free), self.summed]
        self._right_shape = [*batch, self.summed, math.prod(right[k] for k in right_free)]

    def left(self, x: Array) -> Array:
        """The left operand, as matrices whose columns are summed over."""
        return x.transpose(self._left_order).reshape(self._left_shape)

    def right(self, x: Array) -> Array:
        """The right operand, as matrices whose rows are summed over."""
        return x.transpose(self._right_order).reshape(self._right_shape)


def _dot_general(equation: Equation) -> Step:
    contraction, shape = Contraction(equation), equation.results[0].shape

    def step(context: RunContext, x: Array, y: Array) -> Array:
        if not contraction.summed:
            return np.full(shape, context.zero, dtype=object)
        return np.matmul(contraction.left(x), contraction.right(y)).reshape(shape)

    return step


def cumulative(f: Callable[[Number, Number], Number]) -> Rule:
    """A primitive that joins the entries along an axis one after the other by f."""
    joined = np.frompyfunc(f, 2, 1)

    def rule(equation: Equation) -> Step:
        axis, backwards = equation.params["axis"], equation.params["reverse"]

        def step(_: object, x: Array) -> Array:
            flipped = np.flip(x, axis) if backwards else x
            made = joined.accumulate(flipped, axis, dtype=object)
            return np.flip(made, axis) if backwards else made

        return step

    return rule


def convolution_pairs(equation: Equation) -> Array:
    """The left operand's entry that meets entry r of the right one in output o, at [r, o]; −1 where none does.

    A convolution is bilinear: JAX convolves the numbers of the left operand's places with each entry of the right one.
    """
    left, right = equation.operands
    with jax.enable_x64(True):
        numbers = jnp.arange(1.0, 1.0 + np.prod(left.shape)).reshape(left.shape)
        units = jnp.eye(int(np.prod(right.shape))).reshape((-1, *right.shape))
        params = {**equation.params, "preferred_element_type": None}
        partners = np.asarray(jax.vmap(lambda unit: equation.primitive.bind(numbers, unit, **params))(units))
    return partners.astype(np.int64).reshape(len(units), -1) - 1


def _convolution(equation: Equation) -> Step:
    pairs = convolution_pairs(equation)

    def step(context: RunContext, x: Array, y: Array) -> Array:
        flat_x, flat_y = np.ravel(x), np.ravel(y)
        result = np.full(pairs.shape[1], context.zero, dtype=object)
        for row, weight in zip(pairs, flat_y, strict=True):
            met = row >= 0
            result[met] = result[met] + flat_x[row[met]] * weight
        return result.reshape(equation.results[0].shape)

    return step


def elementwise(f: Callable[..., Any]) -> Rule:
    """A primitive that works entry by entry on operands of one shape; f takes objects, and arrays of them."""

    def rule(equation: Equation) -> Step:
        if equation.is_of_one_entry:
            return OnOneEntry(f)
        return lambda _, *operands: as_objects(f(*operands))

    return rule


def _select(equation: Equation) -> Step:
    if equation.is_of_one_entry:
        return OnOneEntry(lambda which, *cases: cases[which.item()])
    return lambda _, which, *cases: as_objects(select(which, *cases))


def _integer_pow(equation: Equation) -> Step:
    """By squaring: Arb's own power takes a logarithm where a ball is centred on 0, and has no value there."""
    exponent = int(equation.params["y"])

    def power(x: Number) -> Number:
        made, square, left = None, x, abs(exponent)
        while left:
            if left % 2:
                made = square if made is None else made * square
            left //= 2
            square = square * square if left else square
        return x**exponent if made is None else made if exponent > 0 else 1 / made

    return elementwise(power)(equation)


ALGEBRA: dict[str, Rule] = {
    **INDEXED,
    "add": elementwise(operator.add),
    "add_any": elementwise(operator.add),
    "sub": elementwise(operator.sub),
    "mul": elementwise(operator.mul),
    "neg": elementwise(operator.neg),
    "square": elementwise(lambda x: x * x),
    "one_minus_square": elementwise(lambda x: 1 - x * x),
    "integer_pow": _integer_pow,
    "select_n": _select,
    "dot_general": _dot_general,
    "conv_general_dilated": _convolution,
    "cumsum": cumulative(operator.add),
    "cumprod": cumulative(operator.mul),
    "scatter-add": scatter(lambda old, new: old + new),
    "scatter-sub": scatter(lambda old, new: old - new),
    "scatter-mul": scatter(lambda old, new: old * new),
    "scatter": scatter(lambda _, new: new),
}
"""rules on reals that need only `+` and `*`"""
