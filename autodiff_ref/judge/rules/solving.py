"""Implicit rules: f(a) solves F(y, a) = 0, so that ∂y/∂a = −(∂F/∂y)⁻¹ ∂F/∂a, whatever f does to find y."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from autodiff_ref.judge.counterexample import readable
from autodiff_ref.judge.rules.findings import Entry, Kind
from autodiff_ref.judge.rules.naming import shown_name

ITERATED = 1e-6
"""A value that is found by iteration is off, and so is the derivative there: relative to the largest entry."""


def examine_solution(
    f: Callable[..., Any],
    equation: Callable[..., Any],
    args: tuple[Any, ...],
    names: Sequence[str],
    held: Sequence[int],
    allowed: float | None,
    compiled: dict[Any, Any],
) -> list[Entry]:
    """One entry for each of the Jacobian, in float64: by JAX, and by the equation; `compiled` keeps programs by shape."""
    leaves, structure = jax.tree.flatten(args)
    by = tuple(k for k in range(len(leaves)) if k not in held)
    at, rule = readable(args, names), shown_name(f)
    limit = ITERATED if allowed is None else allowed

    def flat(*xs: Any) -> Any:
        return jax.numpy.concatenate([jax.numpy.ravel(x) for x in jax.tree.leaves(f(*jax.tree.unflatten(structure, xs)))])

    def residual(y: Any, *xs: Any) -> Any:
        shaped, position = [], 0
        for shape in shapes:
            size = math.prod(shape)
            shaped.append(jax.numpy.reshape(y[position : position + size], shape))
            position += size
        left = equation(jax.tree.unflatten(form, shaped), *jax.tree.unflatten(structure, xs))
        return jax.numpy.concatenate([jax.numpy.ravel(x) for x in jax.tree.leaves(left)])

    with jax.enable_x64(True):
        parts, form = jax.tree.flatten(jax.eval_shape(f, *args))
        shapes = [part.shape for part in parts]

        def derivatives(*xs: Any) -> Any:
            y = flat(*xs)
            by_args = jax.jacfwd(residual, tuple(k + 1 for k in by))(y, *xs)
            return jax.jacfwd(residual, 0)(y, *xs), by_args, jax.jacrev(flat, by)(*xs)

        made = compiled.setdefault(tuple(np.shape(leaf) for leaf in leaves), jax.jit(derivatives))
        by_y, by_args, by_jax = made(*leaves)
    by_y = np.asarray(by_y)
    if by_y.shape[0] != by_y.shape[1]:
        raise ValueError(f"{rule}: solves has {by_y.shape[0]} equations for {by_y.shape[1]} unknowns")
    found = list[Entry]()
    for k, right, jacobian in zip(by, by_args, by_jax, strict=True):
        right, jacobian = (np.asarray(x).reshape(len(by_y), -1) for x in (right, jacobian))
        try:
            true = -np.linalg.solve(by_y, right)
        except np.linalg.LinAlgError:
            true = np.full(right.shape, np.nan)
        largest = float(np.max(np.abs(true), initial=0.0))
        for i, j in np.ndindex(true.shape):
            index = "".join(f"[{p}]" for p in np.unravel_index(j, np.shape(leaves[k])))
            name = f"∂f{f'[{i}]' if len(by_y) > 1 else ''}/∂{names[k]}{index}"
            here, there = float(jacobian[i, j]), float(true[i, j])
            kind: Kind = "right"
            gap = abs(here - there) / largest if largest else abs(here - there)
            if not math.isfinite(there):
                kind, gap = "not differentiable", 0.0
            elif not math.isfinite(here):
                kind = "NaN"
            elif gap > limit:
                kind = "WRONG"
            elif gap > 1e-12:
                kind = "within"
            found.append(Entry(kind, rule, name, at, repr(here), repr(there), gap, "by the equation, in float64"))
    return found
