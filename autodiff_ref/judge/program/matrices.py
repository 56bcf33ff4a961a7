"""Cholesky factors and triangular systems, for whatever arithmetic has +, −, · and /; and linear systems as such."""

from collections.abc import Callable
from math import prod
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

from autodiff_ref.judge.program.plans import Array, Equation, Rule, Step, aval_of
from autodiff_ref.judge.program.standins import solves_by_lu

T = TypeVar("T")

LINEAR_SYSTEM = core.Primitive("linear_system")
"""x with A x = b, of the columns of A as rows, and b: what a table may have a rule for in the place of how JAX solves it"""
LINEAR_SYSTEM.multiple_results = True
LARGEST_SYSTEM = 64
"""Unknowns of a linear system that is written out as one."""


def each_matrix(f: Callable[..., T], *stacks: Array) -> list[T]:
    """f of each matrix of stacks of them; leading axes say which."""
    return [f(*[stack[index] for stack in stacks]) for index in np.ndindex(stacks[0].shape[:-2])]


def _less_products(start: Any, ones: Array, others: Array) -> Any:
    for u, v in zip(ones, others, strict=True):
        start = start - u * v
    return start


def cholesky(root: Callable[[Any], Any]) -> Rule:
    """A = L Lᵀ, of the lower triangle of A: L_jj² = A_jj − Σ_k L_jk², L_ij L_jj = A_ij − Σ_k L_ik L_jk."""

    def rule(equation: Equation) -> Step:
        def one(zero: Any, a: Array) -> Array:
            n = len(a)
            lower = np.full((n, n), zero, dtype=object)
            for j in range(n):
                lower[j, j] = root(_less_products(a[j, j], lower[j, :j], lower[j, :j]))
                for i in range(j + 1, n):
                    lower[i, j] = _less_products(a[i, j], lower[i, :j], lower[j, :j]) / lower[j, j]
            return lower

        def step(context: Any, a: Array) -> Array:
            made = each_matrix(lambda matrix: one(context.zero, matrix), a)
            return np.array(made, dtype=object).reshape(equation.results[0].shape)

        return step

    return rule


def triangular_solve(equation: Equation) -> Step:
    """X with A X = B, or X A = B, for a triangular A or its transpose."""
    params = equation.params

    def one(a: Array, b: Array) -> Array:
        # X A = B is Aᵀ Xᵀ = Bᵀ
        transposed = params["transpose_a"] != (not params["left_side"])
        a, b = (a.T if transposed else a), (b if params["left_side"] else b.T)
        lower = params["lower"] != transposed
        rows = range(len(a)) if lower else range(len(a) - 1, -1, -1)
        x = np.empty(b.shape, dtype=object)
        for i in rows:
            known = slice(0, i) if lower else slice(i + 1, len(a))
            for k in range(b.shape[1]):
                left = _less_products(b[i, k], a[i, known], x[known, k])
                x[i, k] = left if params["unit_diagonal"] else left / a[i, i]
        return x if params["left_side"] else x.T

    return lambda _, a, b: np.array(each_matrix(one, a, b), dtype=object).reshape(equation.results[0].shape)


def system_of(eqn: core.JaxprEqn) -> core.ClosedJaxpr | None:
    """Of a system that JAX solves by LU: the columns of A as rows, by the constants of A x; None where they are too many."""
    lengths, matvec = eqn.params["const_lengths"], eqn.params["jaxprs"].matvec
    unknowns = eqn.invars[sum(lengths) :]
    shape, dtype = aval_of(unknowns[0]).shape, aval_of(unknowns[0]).dtype
    size = prod(shape)
    if len(unknowns) > 1 or not 0 < size <= LARGEST_SYSTEM or not solves_by_lu(eqn):
        return None
    product = core.jaxpr_as_fun(matvec)

    def rows(*constants: jax.Array) -> jax.Array:
        units = jnp.eye(size, dtype=dtype).reshape(size, *shape)
        return jax.vmap(lambda x: product(*constants, x)[0])(units).reshape(size, size)

    constants = [aval_of(atom) for atom in eqn.invars[: lengths.matvec]]
    with jax.enable_x64(True):
        return jax.make_jaxpr(rows)(*[jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in constants])
