"""Lines that are written in NumPy, as functions that JAX can trace.

A line is traced once a shape, for all inputs of that shape. So NumPy code may read, write and mask arrays as it likes, and
what it computes must not be decided by numbers that are handed in: there is no trace of `if x[0] > 0` for all inputs.
"""

import functools

import jax
import numpy as np
from jax.core import Tracer

from autodiff_ref.judge.numpy_code import Levels, NotFollowedError, standing, through_numpy
from autodiff_ref.judge.numpy_code.mapping import bare
from autodiff_ref.nabla import Nabla
from autodiff_ref.trees import Function, PyTree


def in_numpy(f: Function, *, thoroughly: bool = False) -> Function:
    """f, written for NumPy, as a function of the same arguments that JAX can trace; `thoroughly` as for `through_numpy`.

    Raises:
        NotFollowedError: on use, where f does what cannot be followed, or numbers decide what it computes.
    """

    @functools.wraps(f)
    def traced(*args: PyTree, **keywords: PyTree) -> PyTree:
        args = bare(args)
        if not any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(args)):
            return f(*args, **keywords)
        numbers = jax.tree.map(_some_numbers, args)
        levels = Levels(numbers, {}, _is_data(numbers), {})
        function, assumptions = through_numpy(f, [], levels, lambda held: f, thoroughly=thoroughly, for_all_inputs=True)
        if "nabla" in keywords:
            keywords["nabla"] = _for_numpy(keywords["nabla"])
        value = function(*jax.tree.map(jax.numpy.asarray, args), **keywords)
        if assumptions:
            raise NotFollowedError(
                "numbers that are handed in decide what is computed",
                "a line is traced once for all inputs of a shape: choose by np.where, or multiply by a mask",
                place=assumptions[0].place,
            )
        return value

    return traced


def _for_numpy(nabla: Nabla) -> Nabla:
    """The same ∇, the derivatives of which NumPy code can compute with."""

    @functools.wraps(nabla)
    def gradient_of(f: Function, *by: str | None, **named: str | None) -> Function:
        jacobian = nabla(f, *by, **named)

        def followed(*args: PyTree) -> PyTree:
            value = jacobian(*bare(args))
            numbers = jax.tree.map(_some_numbers, value)
            return standing(value, numbers, _is_data(numbers))

        return followed

    return gradient_of


def _is_data(numbers: PyTree) -> PyTree:
    return jax.tree.map(lambda leaf: not np.issubdtype(leaf.dtype, np.floating), numbers)


def _some_numbers(leaf: PyTree) -> PyTree:
    """Numbers of the shape of an argument, for code that runs along with its trace; none of them is 0, 1 or another's."""
    array = leaf if isinstance(leaf, Tracer) else np.asarray(leaf)
    if not np.issubdtype(array.dtype, np.floating):
        return np.zeros(array.shape, array.dtype)
    return 0.375 + np.arange(array.size, dtype=array.dtype).reshape(array.shape) / 64
