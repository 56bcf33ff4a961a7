"""Gradients by a symmetric matrix of which one triangle is read: they may stand in that triangle, or in both by halves."""

from collections.abc import Callable

import jax
import numpy as np
from numpy.typing import ArrayLike

from autodiff_ref.judge.assertion.calling import first_of, second_of, value_of
from autodiff_ref.judge.assertion.sides import Side
from autodiff_ref.judge.program.equations import primitives_in
from autodiff_ref.nabla import split_arguments
from autodiff_ref.trees import Arguments, Function, PyTree
from manual_grad.derivation import label_of

OF_A_TRIANGLE = {"cholesky", "eigh"}
"""primitives that take a matrix to be symmetric; NumPy's functions read one triangle of it, JAX's both by halves"""


def of_symmetric(
    candidate: Function, of: Function, reference: Side, wrt: str | None, args: Arguments, keywords: dict[str, PyTree]
) -> tuple[Function, Function] | None:
    """Both functions by the symmetric part of each matrix that is symmetric here; None where that is no other question.

    Their gradients agree where the sums of both triangles do.
    """
    if (
        wrt in keywords
        or getattr(candidate, "by_symmetric", False)
        or OF_A_TRIANGLE.isdisjoint(primitives_in(reference.wide.jaxpr))
    ):
        return None
    variable, arguments_of = split_arguments(of, wrt, args)
    leaves, structure = jax.tree.flatten(variable)

    def at(k: int, x: np.ndarray) -> np.ndarray:
        moved = jax.tree.unflatten(structure, [x if j == k else leaf for j, leaf in enumerate(leaves)])
        with jax.enable_x64(True):
            found = first_of(value_of(of, wrt, arguments_of(moved), keywords), reference.variable)
        return np.concatenate([np.ravel(part) for part in jax.tree.leaves(found)])

    chosen = [
        is_symmetric(leaf) and is_read_as_symmetric(lambda x, k=k: at(k, x), np.asarray(leaf))
        for k, leaf in enumerate(leaves)
    ]
    if not any(chosen):
        return None

    def mirrored(tree: PyTree) -> PyTree:
        parts = jax.tree.leaves(tree)
        made = [(x + x.swapaxes(-1, -2)) / 2 if mirror else x for x, mirror in zip(parts, chosen, strict=True)]
        return jax.tree.unflatten(structure, made)

    def value(*args: PyTree, **keywords: PyTree) -> PyTree:
        variable, rebuild = split_arguments(of, wrt, args)
        return of(*rebuild(mirrored(variable)), **keywords)

    def gradient(*args: PyTree, **keywords: PyTree) -> PyTree:
        return mirrored(second_of(value_of(candidate, wrt, args, keywords), reference.variable))

    for made, f in ((value, of), (gradient, candidate)):
        made.__name__, made.__wrapped__, made.by_symmetric = label_of(f), f, True  # pyright: ignore
    return gradient, value


def is_read_as_symmetric(value: Callable[[np.ndarray], np.ndarray], x: np.ndarray) -> bool:
    """Whether a function reads one triangle of a matrix, or both by halves: tried beside a symmetric matrix x.

    A function of A Aᵀ has a gradient by all entries of A, whether A is symmetric here or not.
    """
    rng, size = np.random.default_rng(0), np.max(np.abs(x), initial=0.0) / 64
    step = size * rng.uniform(-1, 1, x.shape)
    beside = x + size * rng.uniform(-1, 1, x.shape)
    upper, lower = np.triu(step, 1), np.tril(step, -1)
    here, one, other, above, below = (
        value((beside + moved).astype(x.dtype)) for moved in (0 * step, step, step.swapaxes(-1, -2), upper, lower)
    )
    most = 2.0**10 * float(jax.numpy.finfo(x.dtype).eps) * np.max(np.abs(here), initial=0.0)
    return any(np.max(np.abs(a - b), initial=0.0) <= most for a, b in ((one, other), (above, here), (below, here)))


def is_symmetric(leaf: ArrayLike) -> bool:
    """Whether it is a symmetric matrix, or a stack of such; not of one entry."""
    x = np.asarray(leaf)
    return x.ndim >= 2 and x.shape[-1] == x.shape[-2] > 1 and np.array_equal(x, np.swapaxes(x, -1, -2))
