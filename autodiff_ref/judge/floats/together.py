"""Several lines with rounding bounds at once: a step that they share, as most of the net itself, is computed once."""

from collections.abc import Sequence
from functools import reduce

import jax
import numpy as np
from jax.extend import core

from autodiff_ref.judge.floats.table import FLOATS, Bounded, Context, read, written
from autodiff_ref.judge.program.plans import Array, Plan
from autodiff_ref.judge.program.walk import plan_together

Result = tuple[list[Bounded], Array]
"""outputs, flat; and for each input whether it may lie on a kink"""


class Together:
    """Jaxprs of the same inputs, planned as one, and run on many inputs at once.

    Args:
        closeds: what `jax.make_jaxpr` returns, as `bounded` takes it.
        widths: how many of the outputs of each to compute.
        labels: for each input, whether it holds labels or other exactly known values.
    """

    def __init__(self, closeds: Sequence[core.ClosedJaxpr], widths: Sequence[int], *, labels: Sequence[bool]) -> None:
        self._shapes = [
            [tuple(aval.shape) for aval in closed.out_avals[:width]] for closed, width in zip(closeds, widths, strict=True)
        ]
        self._plans, self._whole = plan_together(closeds, FLOATS, widths, labels=labels)
        self._last_uses = _last_uses(self._whole)
        self.looped = 0
        """how many numbers `while` loops have computed so far, which no jaxpr says beforehand"""
        self._needed = [frozenset() if isinstance(plan, Exception) else _made_in(plan) for plan in self._plans]

    def __call__(self, *leaves: Array) -> list[Result | NotImplementedError]:
        """What each jaxpr returns at inputs that have the batch as their first axis; or why it has no bounds.

        Raises:
            Exception: a rule failed. Run alone, each jaxpr says whether it is the one.
        """
        inputs = [np.asarray(value) for value in leaves]
        batch, context = len(inputs[0]) if inputs else 1, Context()
        ties = dict[int, Array]()
        values = self._whole.template(context)
        nowhere = context.tied
        with np.errstate(all="ignore"), jax.enable_x64(True):
            for slot, array in zip(self._whole.inputs, inputs, strict=True):
                values[slot] = read(array)
            for (step, sources, targets, _), over in zip(self._whole.steps, self._last_uses, strict=True):
                context.tied = nowhere
                made = step(context, *[values[slot] for slot in sources])
                for target, part in zip(targets, made if isinstance(made, list) else [made], strict=True):
                    values[target] = part
                if context.tied is not nowhere:
                    ties[targets[0]] = context.tied
                for slot in over:  # its memory, still in the cache, serves the next step
                    values[slot] = None
        self.looped += context.looped
        results: list[Result | NotImplementedError] = []
        for plan, shapes, needed in zip(self._plans, self._shapes, self._needed, strict=True):
            if isinstance(plan, NotImplementedError):
                results.append(plan)
                continue
            outputs = [written(values[slot], batch, shape) for slot, shape in zip(plan.outputs, shapes, strict=True)]
            tied = reduce(np.logical_or, [ties[slot] for slot in needed & ties.keys()], nowhere)
            results.append((outputs, np.broadcast_to(tied, batch)))
        return results


def _made_in(plan: Plan) -> frozenset[int]:
    """The first result of each of its steps."""
    return frozenset(targets[0] for _, _, targets, _ in plan.steps)


def _last_uses(plan: Plan) -> list[list[int]]:
    """For each step, the values that no later one needs."""
    kept, seen, last_uses = {*plan.outputs, *plan.known}, set[int](), list[list[int]]()
    for _, sources, targets, _ in reversed(plan.steps):
        over = {*sources, *targets} - kept - seen
        seen |= over
        last_uses.append(sorted(over))
    return last_uses[::-1]
