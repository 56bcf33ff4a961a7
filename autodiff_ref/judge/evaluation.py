"""A line's value at one input, in balls: each precision, reading of the constants and way to decide ties once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from flint import arb

from autodiff_ref.judge.balls import Context, exact, precision
from autodiff_ref.judge.balls.context import Moved, Reading, Ties
from autodiff_ref.judge.program.comparisons import Site
from autodiff_ref.judge.program.plans import Array, Constant, Number, Plan, entrywise
from autodiff_ref.trees import Arguments


@dataclass(frozen=True)
class Evaluation:
    """A line's value at one input and precision: one ball for each component, and what happened on the way."""

    values: tuple[arb, ...]
    tied: bool
    unresolved: bool
    decided: int = 0
    """pairs of equal reals that it decided to one side"""


def coarse_bits(significant: int) -> int:
    """The bits of balls that hold what XLA compiles in floats of so many bits, in whatever order and form it computes.

    With 40 bits each operation may err by 2^-40, some 10^4 ulps of a float64: only what computes something else leaves them.
    """
    return {24: 15, 11: 6, 8: 4}.get(significant, 40)


_IN_TURNS: dict[Ties, Ties] = {"mixed": "left", "mixed back": "right"}

_Way = tuple[int, Reading, Ties]
"""a precision, how constants are read, and how ties are decided"""


class Evaluator:
    """The line behind a plan, at one input."""

    def __init__(self, plan: Plan, args: Arguments, rounded: Sequence[bool] = ()) -> None:
        """The leaves that are `rounded` stand for numbers within an ulp of theirs."""
        leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(args)]
        self._balls = list(map(as_balls, leaves))
        for k in np.flatnonzero(rounded):
            self._balls[k] = entrywise(lambda x: arb(float(x), float(np.spacing(abs(x)))), leaves[k])
        self._plan = plan
        self._made: dict[_Way, Evaluation] = {}

    @property
    def constants(self) -> frozenset[Constant]:
        """Those of its constants that are not surely meant as written."""
        return self._plan.constants

    @property
    def iterates(self) -> bool:
        """Whether it holds a loop that a comparison ends."""
        return self._plan.iterates

    def at_limits(self) -> list[arb]:
        """Its values, as if its loops went on for ever; NaN where one of them goes nowhere."""
        return at_limits(self._plan, self._balls)

    def __call__(self, bits: int, constants: Reading, ties: Ties) -> Evaluation:
        """The line at a precision."""
        if not self.constants or (isinstance(constants, Moved) and constants.constant not in self.constants):
            constants = "exact"
        key = bits, constants, ties
        if key not in self._made and ties in _IN_TURNS:  # the first pair in turn goes to the side that all go to
            alike = self(bits, constants, _IN_TURNS[ties])
            if alike.decided <= 1:
                self._made[key] = alike
        if key not in self._made:
            context = Context(constants=constants, ties=ties, met=self._plan.met if ties == "exact" else None)
            with precision(bits):
                outputs = self._run(key, context)
            values, decided = tuple(numbers_of(outputs)), len(context.decisions)
            self._made[key] = Evaluation(values, context.tied, context.unresolved, decided)
        return self._made[key]

    def _run(self, way: _Way, context: Context) -> list[Any]:
        """The outputs; `way` is how they are computed, as the context says it."""
        del way
        return self._plan.run(context, *self._balls)


def at_limits(plan: Plan, arguments: Sequence[Any], constants: Reading = "exact") -> list[arb]:
    """What a program returns, as if its loops went on for ever; NaN where one of them goes nowhere."""
    context = Context(constants=constants, to_limits=True)
    values = numbers_of(plan.run(context, *map(as_balls, arguments)))
    return [arb.nan()] * len(values) if context.is_endless or context.unresolved else values


class FirstEvaluator(Evaluator):
    """A line at one input, from whose values others go on that were planned together with it."""

    def __init__(self, plan: Plan, args: Arguments) -> None:
        super().__init__(plan, args)
        self._values: dict[_Way, list[Any]] = {}

    def _run(self, way: _Way, context: Context) -> list[Any]:
        self._values[way] = self._plan.values(context, *self._balls)
        return self._plan.results(self._values[way])

    def values(self, way: _Way) -> tuple[list[Any], bool]:
        """All that it computed so, and whether compared reals were equal; nothing where it was not asked, or undecided."""
        found = self._made.get(way)
        return ([], False) if found is None or found.unresolved else (self._values[way], found.tied)


class NextEvaluator(Evaluator):
    """A line at one input that goes on from what another one computed there."""

    def __init__(self, plan: Plan, first: FirstEvaluator, rest: Plan) -> None:
        """`rest` is its plan without the steps of the first one: see `Plan.after`."""
        self._plan, self._balls, self._made = plan, first._balls, {}
        self._first, self._rest = first, rest

    def _run(self, way: _Way, context: Context) -> list[Any]:
        before, context.tied = self._first.values(way)
        if not before:
            return super()._run(way, context)
        return self._rest.results(self._rest.values(context, *self._balls, before=before))


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
