"""Rounding bounds of LU and Cholesky factors and of triangular systems, made of those of sums, products and quotients.

They hold in whatever order the sums are taken and in whatever blocks, for a quotient by a reciprocal too, and for a system
that is solved by the inverse of the triangle, as XLA does where there are many. Where rounding may choose another pivot, or
a pivot of Cholesky may not be positive, nothing is known. Source: N. J. Higham, *Accuracy and Stability of Numerical
Algorithms*, 2nd ed., §§8.1, 9.3 and 10.1.
"""

from typing import NamedTuple

import numpy as np
from jax import lax
from numpy.typing import DTypeLike

from autodiff_ref.judge.floats.arithmetic import product, quotient
from autodiff_ref.judge.floats.context import Context
from autodiff_ref.judge.floats.functions import OF_FUNCTIONS
from autodiff_ref.judge.floats.sums import total
from autodiff_ref.judge.floats.values import Bounded, Discrete, format_of, without_error
from autodiff_ref.judge.program.plans import Array, Equation, Operand, Rule, Step


class _Grid(NamedTuple):
    """A matrix of bounded numbers that is filled piece by piece: arrays whose last two axes are rows and columns."""

    value: Array
    error: Array

    def at(self, rows: int | slice, columns: int | slice) -> Bounded:
        return Bounded(self.value[..., rows, columns], self.error[..., rows, columns])

    def put(self, rows: int | slice, columns: int | slice, x: Bounded) -> None:
        self.value[..., rows, columns], self.error[..., rows, columns] = x.value, x.error

    def turned(self) -> "_Grid":
        return _Grid(self.value.swapaxes(-1, -2), self.error.swapaxes(-1, -2))


def _grid(shape: tuple[int, ...], dtype: DTypeLike) -> _Grid:
    return _Grid(np.zeros(shape, dtype), np.zeros(shape))


def _read(x: Bounded) -> _Grid:
    return _Grid(x.value, np.broadcast_to(x.error, x.value.shape))


def _minus(x: Bounded) -> Bounded:
    return Bounded(-x.value, x.error)


def _plus_products(start: Bounded, factors: Bounded, rows: Bounded, dtype: DTypeLike) -> Bounded:
    """start_m + Σ_k u_k R_km, in any order"""
    count = factors.value.shape[-1]
    if not count:
        return start
    products = product(_along(factors), rows, dtype)
    shape = np.broadcast_shapes(start.value[..., None, :].shape[:-2], products.value.shape[:-2])
    parts = [(start.value[..., None, :], products.value), (start.error[..., None, :], products.error)]
    value, error = (
        np.concatenate([np.broadcast_to(part, (*shape, *part.shape[-2:])) for part in pair], axis=-2) for pair in parts
    )
    return total(Bounded(value, error), (value.ndim - 2,), count, dtype)


def _along(x: Bounded) -> Bounded:
    """One number for all entries of a row or column."""
    return Bounded(x.value[..., None], x.error[..., None])


def _cholesky(equation: Equation) -> Step:
    """A = L Lᵀ, of the lower triangle of A"""
    dtype, n = equation.results[0].dtype, equation.results[0].shape[-1]
    format_of(dtype)

    entry = Operand((), dtype, False)
    root = OF_FUNCTIONS["sqrt"](Equation(lax.sqrt_p, {"accuracy": None}, (entry,), (entry,)))

    def step(context: Context, x: Bounded) -> Bounded:
        a, lower = _read(x), _grid(x.value.shape, dtype)
        may_fail = np.zeros(x.value.shape[:-2], dtype=bool)  # then all of it is NaN
        for j in range(n):
            before, below = slice(0, j), slice(j, n)
            rows = lower.turned().at(before, below)
            lower.put(below, j, _plus_products(a.at(below, j), _minus(lower.at(j, before)), rows, dtype))
            pivot = lower.at(j, j)
            may_fail |= ~(pivot.value.astype(np.float64) - 2 * pivot.error > 0)
            lower.put(j, j, root(context, pivot))
            below = slice(j + 1, n)
            lower.put(below, j, quotient(lower.at(below, j), _along(lower.at(j, j)), dtype, by_reciprocal=True))
        may_fail |= ~(lower.error < np.inf).all(axis=(-2, -1))
        return Bounded(lower.value, np.where(may_fail[..., None, None], np.inf, lower.error))

    return step


def _triangular_solve(equation: Equation) -> Step:
    """X with A X = B, or X A = B, for a triangular A or its transpose: by substitution, or by the inverse of A"""
    params, dtype = equation.params, equation.results[0].dtype
    format_of(dtype)
    transposed = params["transpose_a"] != (not params["left_side"])  # X A = B is Aᵀ Xᵀ = Bᵀ
    lower, unit_diagonal = params["lower"] != transposed, params["unit_diagonal"]

    def turned(x: Bounded, turn: bool) -> _Grid:
        return _read(x).turned() if turn else _read(x)

    def solved(a: _Grid, b: _Grid) -> _Grid:
        n = b.value.shape[-2]
        x = _grid((*np.broadcast_shapes(a.value.shape[:-2], b.value.shape[:-2]), *b.value.shape[-2:]), dtype)
        for i in range(n) if lower else range(n - 1, -1, -1):
            known = slice(0, i) if lower else slice(i + 1, n)
            left = _plus_products(b.at(i, slice(None)), _minus(a.at(i, known)), x.at(known, slice(None)), dtype)
            x.put(i, slice(None), left if unit_diagonal else quotient(left, _along(a.at(i, i)), dtype, by_reciprocal=True))
        return x

    def by_inverse(a: _Grid, b: _Grid) -> _Grid:
        """The inverse is that of a triangle whose rows were divided by its diagonal first: two roundings more an entry."""
        n, every = b.value.shape[-2], slice(None)
        divided = _Grid(a.value, a.error + 4 * format_of(dtype).u * (np.abs(a.value).astype(np.float64) + 2 * a.error))
        inverse = solved(divided, _read(without_error(np.broadcast_to(np.eye(n, dtype=dtype), a.value.shape))))
        x = _grid((*np.broadcast_shapes(a.value.shape[:-2], b.value.shape[:-2]), *b.value.shape[-2:]), dtype)
        none = without_error(np.zeros(x.value[..., 0, :].shape, dtype))
        for i in range(n):
            used = slice(0, i + 1) if lower else slice(i, n)
            x.put(i, every, _plus_products(none, inverse.at(i, used), b.at(used, every), dtype))
        return x

    def step(_: object, first: Bounded, second: Bounded) -> Bounded:
        a, b = turned(first, transposed), turned(second, not params["left_side"])
        x = solved(a, b)
        found = _Grid(x.value, np.maximum(x.error, by_inverse(a, b).error))
        return Bounded(*(found if params["left_side"] else found.turned()))

    return step


def _lu(equation: Equation) -> Step:
    """P A = L U by rows, the largest pivot of each column first: L below the diagonal, U on and above it"""
    lu, pivots, permutation = equation.results
    rows, columns = lu.shape[-2:]
    dtype = lu.dtype
    format_of(dtype)

    def step(_: object, x: Bounded) -> list[Bounded | Discrete]:
        a = _Grid(np.array(x.value), np.array(_read(x).error))
        sure = np.ones(a.value.shape[:-2], dtype=bool)
        order = np.broadcast_to(np.arange(rows), a.value.shape[:-1]).copy()
        chosen = np.zeros((*a.value.shape[:-2], min(rows, columns)), dtype=np.int64)
        for k in range(min(rows, columns)):
            before, below, after = slice(0, k), slice(k, rows), slice(k + 1, columns)
            a.put(below, k, _plus_products(a.at(below, k), _minus(a.at(before, k)), a.turned().at(before, below), dtype))
            pivot, clear = _largest(Bounded(a.value[..., k:, k], a.error[..., k:, k]))
            sure &= clear
            chosen[..., k] = pivot + k
            swapped = np.broadcast_to(np.arange(rows), a.value.shape[:-1]).copy()
            np.put_along_axis(swapped, pivot[..., None] + k, k, -1)
            swapped[..., k] = pivot + k
            for array in a:
                array[...] = np.take_along_axis(array, swapped[..., None], -2)
            order = np.take_along_axis(order, swapped, -1)
            a.put(k, after, _plus_products(a.at(k, after), _minus(a.at(k, before)), a.at(before, after), dtype))
            below = slice(k + 1, rows)
            a.put(below, k, quotient(a.at(below, k), _along(a.at(k, k)), dtype, by_reciprocal=True))
        error = np.where(sure[..., None, None], a.error, np.inf)
        found = [(chosen, pivots), (order, permutation)]
        return [
            Bounded(a.value, error),
            *[Discrete(v.astype(kind.dtype), np.broadcast_to(sure[..., None], v.shape)) for v, kind in found],
        ]

    return step


def _largest(x: Bounded) -> tuple[Array, Array]:
    """The place of the first greatest |x| along the last axis, and whether every computation finds it."""
    size = np.abs(x.value).astype(np.float64)
    place = np.argmax(size, axis=-1)
    at = place[..., None]
    least = (np.take_along_axis(size, at, -1) - 2 * np.take_along_axis(x.error, at, -1))[..., 0]
    others = size + 2 * x.error
    ties_are_exact = (x.error == 0).all(axis=-1)
    np.put_along_axis(others, at, -1.0, -1)
    return place, (least > others.max(axis=-1)) | ties_are_exact


MATRICES: dict[str, Rule] = {"cholesky": _cholesky, "triangular_solve": _triangular_solve, "lu": _lu}
"""rules for matrices"""
