"""A line's value at one input, in balls: each precision, reading of the constants and way to decide ties once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import jax
import numpy as np
from flint import arb

from autodiff_ref.judge.balls import Context, exact, precision
from autodiff_ref.judge.balls.context import Moved, Reading, Ties, entrywise
from autodiff_ref.judge.program.comparisons import Site
from autodiff_ref.judge.program.plans import Array, Constant, Number, Plan
from autodiff_ref.trees import Arguments


@dataclass(frozen=True)
class Evaluation:
    """A line's value at one input and precision: one ball for each component, and what happened on the way."""

    values: tuple[arb, ...]
    tied: bool
    unresolved: bool


class Evaluator:
    """The line behind a plan, at one input."""

    def __init__(self, plan: Plan, args: Arguments, rounded: Sequence[bool] = ()) -> None:
        leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(args)]
        self._balls = list(map(as_balls, leaves))
        for k in np.flatnonzero(rounded):
            self._balls[k] = entrywise(lambda x: arb(float(x), float(np.spacing(abs(x)))), leaves[k])
        self._plan = plan
        self._made: dict[tuple[int, Reading, Ties], Evaluation] = {}

    @property
    def constants(self) -> frozenset[Constant]:
        """Those of its constants that are not surely meant as written."""
        return self._plan.constants

    def __call__(self, bits: int, constants: Reading, ties: Ties) -> Evaluation:
        """The line at a precision."""
        if not self.constants or (isinstance(constants, Moved) and constants.constant not in self.constants):
            constants = "exact"
        key = bits, constants, ties
        if key not in self._made:
            context = Context(constants=constants, ties=ties, met=self._plan.met if ties == "exact" else None)
            with precision(bits):
                outputs = self._plan.run(context, *self._balls)
            self._made[key] = Evaluation(tuple(numbers_of(outputs)), context.tied, context.unresolved)
        return self._made[key]


def evaluator(plan: Plan, args: Arguments, rounded: Sequence[bool] = ()) -> Evaluator:
    """The line behind a plan, at one input; the leaves that are `rounded` stand for numbers within an ulp of theirs."""
    return Evaluator(plan, args, rounded)


def note_comparisons(plan: Plan, args: Arguments, bits: int, met: dict[Site, int]) -> None:
    """Runs a plan at one input, and notes how the numbers compared that it compares."""
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(args)]
    with precision(bits):
        plan.run(Context(constants="exact", met=met), *map(as_balls, leaves))


def as_balls(leaf: np.ndarray) -> Array:
    """A leaf of arguments as a plan takes it: reals as balls of radius 0, others as they are."""
    return exact(leaf) if np.issubdtype(leaf.dtype, np.floating) else leaf


def numbers_of(outputs: Sequence[Array]) -> list[arb]:
    """All numbers that a plan returned, one after the other, as balls."""
    numbers: Iterator[Number] = (number for output in outputs for number in np.ravel(output))
    return [number if isinstance(number, arb) else arb(int(number)) for number in numbers]
