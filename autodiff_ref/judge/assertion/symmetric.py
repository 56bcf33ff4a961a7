"""Gradients by a symmetric matrix of which one triangle is read: they may stand in that triangle, or in both by halves."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from autodiff_ref.judge.assertion.calling import second_of, value_of, variable_of
from autodiff_ref.judge.assertion.sides import Side
from autodiff_ref.nabla import split_arguments
from manual_grad.derivation import label_of

Function = Callable[..., Any]

OF_A_TRIANGLE = {"cholesky", "eigh"}
"""primitives that take a matrix to be symmetric; NumPy's functions read one triangle of it, JAX's both by halves"""


def of_symmetric(
    candidate: Function, of: Function, reference: Side, wrt: str | None, args: tuple[Any, ...], keywords: dict[str, Any]
) -> tuple[Function, Function] | None:
    """Both functions by the symmetric part of each matrix that is symmetric here; None where that is no other question.

    Their gradients agree where the sums of both triangles do.
    """
    if wrt in keywords or getattr(candidate, "by_symmetric", False) or not _reads_a_triangle(reference.wide.jaxpr):
        return None
    leaves, structure = jax.tree.flatten(variable_of(of, wrt, args, keywords))
    chosen = [_is_symmetric(leaf) for leaf in leaves]
    if not any(chosen):
        return None

    def mirrored(tree: Any) -> Any:
        parts = jax.tree.leaves(tree)
        made = [(x + x.swapaxes(-1, -2)) / 2 if mirror else x for x, mirror in zip(parts, chosen, strict=True)]
        return jax.tree.unflatten(structure, made)

    def value(*args: Any, **keywords: Any) -> Any:
        variable, rebuild = split_arguments(of, wrt, args)
        return of(*rebuild(mirrored(variable)), **keywords)

    def gradient(*args: Any, **keywords: Any) -> Any:
        return mirrored(second_of(value_of(candidate, wrt, args, keywords), reference.variable))

    for made, f in ((value, of), (gradient, candidate)):
        made.__name__, made.__wrapped__, made.by_symmetric = label_of(f), f, True  # pyright: ignore
    return gradient, value


def _reads_a_triangle(jaxpr: Any) -> bool:
    for eqn in jaxpr.eqns:
        if eqn.primitive.name in OF_A_TRIANGLE:
            return True
        parts = [part for value in eqn.params.values() for part in (value if isinstance(value, tuple | list) else [value])]
        inner = [getattr(part, "jaxpr", part) for part in parts]
        if any(hasattr(part, "eqns") and _reads_a_triangle(part) for part in inner):
            return True
    return False


def _is_symmetric(leaf: Any) -> bool:
    x = np.asarray(leaf)
    return x.ndim >= 2 and x.shape[-1] == x.shape[-2] > 1 and np.array_equal(x, np.swapaxes(x, -1, -2))
