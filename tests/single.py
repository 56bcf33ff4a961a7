"""The sweep in float32: the lines traced in it, at the same inputs rounded to it."""

from typing import Any

import jax
import numpy as np

from autodiff_ref.nabla import nabla
from autodiff_ref.verify.bench import Bench
from autodiff_ref.verify.rounding.table import BoundedProgram
from autodiff_ref.verify.sweep.batches import Batch
from autodiff_ref.verify.sweep.search import Sweep
from autodiff_ref.verify.trace import REFERENCE, label_flags, shape_key, with_nabla
from manual_grad.derivation import Line


class Single(Sweep):
    """A sweep in float32, of the same inputs rounded to it."""

    def __init__(self, bench: Bench, **options: Any) -> None:
        self.traced = dict[Any, BoundedProgram | str]()
        super().__init__(bench, **options)
        self.batches = [
            Batch(b.strata, [_single(leaf).astype(leaf.dtype) for leaf in b.leaves], b.structure) for b in self.batches
        ]

    def function(self, line: Line | None, args: tuple[Any, ...]) -> BoundedProgram | str:
        """The line traced in float32."""
        flat, structure = jax.tree.flatten(args)
        by, of = nabla(self.derivation.wrt), self.derivation.of
        key = REFERENCE if line is None else line.__name__, shape_key(args)

        def gradient(*leaves: Any) -> Any:
            given = jax.tree.unflatten(structure, leaves)
            if line is None:
                return by(of)(*given)
            return with_nabla(line)(*given, nabla=by)

        if key not in self.traced:
            try:
                with jax.enable_x64(False):
                    closed = jax.make_jaxpr(gradient)(*map(_single, flat))
                self.traced[key] = InSingle(closed, label_flags(self.derivation.domain), None)
            except Exception as error:
                self.traced[key] = f"{type(error).__name__}: {str(error).partition(':')[0]}"
        return self.traced[key]


class InSingle(BoundedProgram):
    """Rounds its inputs to float32."""

    def with_ties(self, *leaves: Any) -> Any:
        """The outputs, and where they may lie on kinks."""
        return super().with_ties(*map(_single, leaves))


def _single(leaf: Any) -> Any:
    array = np.asarray(leaf)
    return array.astype(np.float32 if array.dtype.kind == "f" else np.int32)
