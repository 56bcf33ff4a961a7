"""Factorisations of matrices and triangular systems, for solving, inverses and determinants."""

import numpy as np
from flint import arb

from autodiff_ref.judge.balls.context import Context
from autodiff_ref.judge.functions.enclosing import ZERO
from autodiff_ref.judge.program.matrices import cholesky, each_matrix, triangular_solve
from autodiff_ref.judge.program.plans import Array, Equation, Rule, Step


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
        parts = zip(*each_matrix(lambda a: one(context, a), a), strict=True)
        return [
            np.array(list(part), dtype=object if result.is_real else result.dtype).reshape(result.shape)
            for part, result in zip(parts, equation.results, strict=True)
        ]

    return step


def _is_zero(x: arb) -> bool:
    return bool(x == 0)


MATRICES: dict[str, Rule] = {"cholesky": cholesky(arb.sqrt), "triangular_solve": triangular_solve, "lu": _lu}
"""rules for matrices"""
