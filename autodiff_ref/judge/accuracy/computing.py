"""How a line's value comes about: compiled by XLA, or by NumPy, in float64 or float32."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Literal

import jax
import numpy as np
from jax.stages import Wrapped
from numpy.typing import ArrayLike

from autodiff_ref.judge.lines.trace import with_nabla
from autodiff_ref.nabla import Nabla
from autodiff_ref.nabla import nabla as jax_nabla
from autodiff_ref.trees import Arguments, Function, PyTree
from manual_grad.derivation import Line

Values = np.ndarray
"""A NumPy array: inputs × components."""

Way = Literal["compiled", "numpy"]

BATCH = 64
"""So many inputs are mapped over at once: one compilation serves any number of them."""


class Compiled:
    """Lines compiled together by XLA, for one dtype: mapped over inputs of one shape, with JAX's ∇.

    Compiling a line takes a third of a second and more, so all lines are compiled as one function. In float32 JAX runs
    without its 64-bit types, as it does unless told otherwise.
    """

    def __init__(self, lines: Mapping[str, Line], wrt: str | None, dtype: str) -> None:
        self.dtype, self.wrt, self.lines = dtype, wrt, dict(lines)
        self.failed: dict[str, str] = {}
        """lines that JAX cannot compile in this dtype, and what it says; known once inputs have been computed"""
        self._mapped = self._together(self.lines)

    def __call__(self, inputs: Sequence[Arguments]) -> dict[str, Values]:
        """Each line at each input: (inputs, components)."""
        with jax.enable_x64(self.dtype == "float64"):
            batches = [self._batch(inputs[k : k + BATCH]) for k in range(0, len(inputs), BATCH)]
        return {label: np.concatenate([batch[label] for batch in batches]) for label in batches[0]}

    def _together(self, lines: Mapping[str, Line]) -> Wrapped:
        nabla = jax_nabla(self.wrt)

        def every_line(*args: PyTree) -> dict[str, PyTree]:
            return {label: with_nabla(line)(*args, nabla=nabla) for label, line in lines.items()}

        return jax.jit(jax.vmap(every_line))

    def _batch(self, inputs: Sequence[Arguments]) -> dict[str, Values]:
        padded = [*inputs, *[inputs[-1]] * (BATCH - len(inputs))]
        stacked = jax.tree.map(lambda *leaves: cast(np.stack(leaves), self.dtype), *padded)
        try:
            computed = self._mapped(*stacked)
        except Exception:
            self._leave_out_what_fails(stacked)
            computed = self._mapped(*stacked)
        return {label: _flat(value, BATCH)[: len(inputs)] for label, value in computed.items()}

    def _leave_out_what_fails(self, stacked: Arguments) -> None:
        """Finds the lines that cannot be compiled alone either.

        One cause is known: while a NumPy array that a line finds outside of itself is held by a float64 trace, JAX takes it
        as float64 in its 32-bit mode too, and then fails (as of jax 0.10).
        """
        for label, line in self.lines.items():
            try:
                self._together({label: line}).lower(*stacked)
            except Exception as error:
                first = str(error).strip().splitlines()[0].rstrip(":")
                hint = "; does it use an array made outside of it? make it within, with jnp" if "lower" in first else ""
                self.failed[label] = f"JAX cannot compile it in {self.dtype}: {first}{hint}"
        self.lines = {label: line for label, line in self.lines.items() if label not in self.failed}
        self._mapped = self._together(self.lines)


def by_numpy(line: Line, wrt: str | None, dtype: str, inputs: Sequence[Arguments]) -> Values | None:
    """A line at each input on NumPy alone: (inputs, components); None where it does not run on NumPy.

    It does where it is array-API code and leaves nothing to ∇, or only what its own default ∇ knows, as
    `manual_grad.by_hand` does.
    """
    default = _default_nabla(line)

    def nabla(f: Function, wrt: str | None = wrt) -> Function:
        if default is None:
            raise NotImplementedError(f"∇{getattr(f, '__name__', f)} is left to the ∇ that the line is handed")
        return default(f, wrt=wrt)

    rows: list[Values] = []
    with np.errstate(all="ignore"):
        for args in inputs:
            try:
                value = with_nabla(line)(*jax.tree.map(lambda leaf: cast(leaf, dtype), args), nabla=nabla)
            except Exception:  # whether it runs on NumPy is the very question
                return None
            if any(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(value)):
                return None
            rows.append(_flat(value, 1)[0])
    return np.stack(rows)


def _default_nabla(line: Line) -> Nabla | None:
    try:
        parameter = inspect.signature(line).parameters.get("nabla")
    except (TypeError, ValueError):
        return None
    return None if parameter is None or parameter.default is parameter.empty else parameter.default


def cast(leaf: ArrayLike, dtype: str) -> Values:
    """An array in the dtype, integers in the one of its width."""
    array = np.asarray(leaf)
    if np.issubdtype(array.dtype, np.floating):
        return array.astype(dtype)
    return array.astype("int64" if dtype == "float64" else "int32")


def _flat(value: PyTree, rows: int) -> Values:
    leaves = [np.asarray(leaf).astype(np.float64).reshape(rows, -1) for leaf in jax.tree.leaves(value)]
    return np.concatenate(leaves, axis=1)
