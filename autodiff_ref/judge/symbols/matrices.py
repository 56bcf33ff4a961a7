"""Matrices in symbols: linear systems by Cramer's rule, so that nothing is divided by but the determinant."""

from collections.abc import Callable, Iterator
from functools import cache

import numpy as np

from autodiff_ref.judge.program.matrices import LINEAR_SYSTEM, cholesky, triangular_solve
from autodiff_ref.judge.program.plans import Array, Equation, Rule, Step
from autodiff_ref.judge.symbols.expressions import Context, Node, NotSymbolicError


def _is_zero(node: Node) -> bool:
    return node.known == 0


def _linear_system(equation: Equation) -> Step:
    """x_k = Σ_i b_i C_ik / det A, with the cofactors C, for each block of A that shares no unknown with the others."""

    def step(context: Context, columns: Array, b: Array) -> list[Array]:
        a, right = columns.T, np.ravel(b)
        x = np.full(right.shape, context.zero, dtype=object)
        for rows, unknowns in _blocks(a):
            minor = _minors(a[np.ix_(rows, unknowns)], context.expressions.one)
            every = tuple(range(len(rows)))
            determinant = minor(every, every)
            for k in every:
                others = every[:k] + every[k + 1 :]
                total = context.zero
                for i in every:
                    cofactor = minor(every[:i] + every[i + 1 :], others)
                    term = right[rows[i]] * cofactor
                    total = total + term if (i + k) % 2 == 0 else total - term
                x[unknowns[k]] = total / determinant
        return [x.reshape(equation.results[0].shape)]

    return step


def _blocks(a: Array) -> Iterator[tuple[list[int], list[int]]]:
    """The rows and unknowns of A that belong together.

    Raises:
        NotSymbolicError: some of them are not as many as the others, so that A is singular.
    """
    left = set(range(len(a)))
    used = np.array([[not _is_zero(entry) for entry in row] for row in a])
    while left:
        rows, unknowns = {min(left)}, set[int]()
        while True:
            reached = {int(k) for i in rows for k in np.flatnonzero(used[i])}
            back = {int(i) for k in reached for i in np.flatnonzero(used[:, k])}
            if reached == unknowns and back <= rows:
                break
            rows, unknowns = rows | back, reached
        if len(rows) != len(unknowns):
            raise NotSymbolicError("a linear system is singular")
        left -= rows
        yield sorted(rows), sorted(unknowns)


def _minors(a: Array, one: Node) -> Callable[[tuple[int, ...], tuple[int, ...]], Node]:
    """The determinants of parts of A, by the rows and columns that are kept; along the first row, each once."""

    @cache
    def minor(rows: tuple[int, ...], columns: tuple[int, ...]) -> Node:
        if not rows:
            return one
        first, rest = rows[0], rows[1:]
        total = one - one
        for sign, column in enumerate(columns):
            if not _is_zero(a[first, column]):
                term = a[first, column] * minor(rest, columns[:sign] + columns[sign + 1 :])
                total = total + term if sign % 2 == 0 else total - term
        return total

    return minor


MATRICES: dict[str, Rule] = {
    "cholesky": cholesky(lambda u: u.expressions.node("pow", u.id, "1/2")),
    "triangular_solve": triangular_solve,
    LINEAR_SYSTEM.name: _linear_system,
}
"""rules for matrices"""
