"""The sweep in float32: the lines traced in it, at the same inputs rounded to it."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from autodiff_ref.judge.bench import Bench
from autodiff_ref.judge.lines.trace import with_nabla
from autodiff_ref.judge.search.batches import Batch
from autodiff_ref.judge.search.sweep import Computed, Sweep
from autodiff_ref.nabla import nabla
from manual_grad.derivation import Line


class Single(Sweep):
    """A sweep in float32, of the same inputs rounded to it."""

    def __init__(self, bench: Bench, **options: Any) -> None:
        super().__init__(bench, **options)
        self.batches = [
            Batch(b.strata, [_single(leaf).astype(leaf.dtype) for leaf in b.leaves], b.structure) for b in self.batches
        ]

    def traced(self, line: Line | None, args: tuple[Any, ...]) -> tuple[Any, int]:
        """The line's jaxpr in float32."""
        flat, structure = jax.tree.flatten(args)
        by, of = nabla(self.derivation.wrt), self.derivation.of

        def gradient(*leaves: Any) -> Any:
            given = jax.tree.unflatten(structure, leaves)
            if line is None:
                return by(of)(*given)
            return with_nabla(line)(*given, nabla=by)

        with jax.enable_x64(False):
            closed = jax.make_jaxpr(gradient)(*map(_single, flat))
        return closed, len(closed.out_avals)

    def computed(self, lines: Sequence[Line | None], batch: Batch) -> list[Computed]:
        """Climbed inputs are rounded too."""
        return super().computed(lines, Batch(batch.strata, [_single(leaf) for leaf in batch.leaves], batch.structure))


def _single(leaf: Any) -> Any:
    array = np.asarray(leaf)
    return array.astype(np.float32 if array.dtype.kind == "f" else np.int32)
