"""Factorisations of matrices and triangular systems, for solving, inverses and determinants."""

from collections.abc import Callable
from typing import TypeVar

import numpy as np
from flint import arb

from autodiff_ref.judge.balls.context import Context
from autodiff_ref.judge.functions.enclosing import ZERO
from autodiff_ref.judge.program.plans import Array, Equation, Rule, Step

T = TypeVar("T")


def _each(f: Callable[..., T], *stacks: Array) -> list[T]:
    """f of each matrix of stacks of them; leading axes say which."""
    lead = stacks[0].shape[:-2]
    return [f(*[stack[index] for stack in stacks]) for index in np.ndindex(lead)]


def _cholesky(equation: Equation) -> Step:
    """A = L Lᵀ, of the lower triangle of A: L_jj² = A_jj − Σ_k L_jk², L_ij L_jj = A_ij − Σ_k L_ik L_jk."""

    def one(a: Array) -> Array:
        n = len(a)
        lower = np.full((n, n), ZERO, dtype=object)
        for j in range(n):
            lower[j, j] = (a[j, j] - sum((v * v for v in lower[j, :j]), start=ZERO)).sqrt()
            for i in range(j + 1, n):
                below = a[i, j] - sum((u * v for u, v in zip(lower[i, :j], lower[j, :j], strict=True)), start=ZERO)
                lower[i, j] = below / lower[j, j]
        return lower

    return lambda _, a: np.array(_each(one, a), dtype=object).reshape(equation.results[0].shape)


def _triangular_solve(equation: Equation) -> Step:
    """X with A X = B, or X A = B, for a triangular A or its transpose."""
    params = equation.params

    def one(a: Array, b: Array) -> Array:
        # X A = B is Aᵀ Xᵀ = Bᵀ
        transposed = params["transpose_a"] != (not params["left_side"])
        a, b = (a.T if transposed else a), (b if params["left_side"] else b.T)
        lower = params["lower"] != transposed
        rows = range(len(a)) if lower else range(len(a) - 1, -1, -1)
        x = np.full(b.shape, ZERO, dtype=object)
        for i in rows:
            known = slice(0, i) if lower else slice(i + 1, len(a))
            for k in range(b.shape[1]):
                left = b[i, k] - sum((u * v for u, v in zip(a[i, known], x[known, k], strict=True)), start=ZERO)
                x[i, k] = left if params["unit_diagonal"] else left / a[i, i]
        return x if params["left_side"] else x.T

    return lambda _, a, b: np.array(_each(one, a, b), dtype=object).reshape(equation.results[0].shape)


def _lu(equation: Equation) -> Step:
    """P A = L U by rows, the largest pivot of each column first: L below the diagonal, U on and above it."""
    label = equation.label

    def one(context: Context, a: Array) -> tuple[Array, list[int], list[int]]:
        lu, (rows, columns) = np.array(a, dtype=object), a.shape
        pivots, order = list[int](), list(range(rows))
        for k in range(min(rows, columns)):
            pivot = k
            for i in range(k + 1, rows):
                if context.compare(abs(lu[i, k]), abs(lu[pivot, k]), label=label) > 0:
                    pivot = i
            pivots.append(pivot)
            lu[[k, pivot]], order[k], order[pivot] = lu[[pivot, k]], order[pivot], order[k]
            for i in range(k + 1, rows):
                lu[i, k] = lu[i, k] / lu[k, k] if not _is_zero(lu[i, k]) else ZERO
                lu[i, k + 1 :] = lu[i, k + 1 :] - lu[i, k] * lu[k, k + 1 :]
        return lu, pivots, order

    def step(context: Context, a: Array) -> list[Array]:
        parts = zip(*_each(lambda a: one(context, a), a), strict=True)
        return [
            np.array(list(part), dtype=object if result.is_real else result.dtype).reshape(result.shape)
            for part, result in zip(parts, equation.results, strict=True)
        ]

    return step


def _is_zero(x: arb) -> bool:
    return bool(x == 0)


MATRICES: dict[str, Rule] = {"cholesky": _cholesky, "triangular_solve": _triangular_solve, "lu": _lu}
"""rules for matrices"""
