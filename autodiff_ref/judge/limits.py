"""What an iteration goes to, and the derivative of that: as if its loops did not stop where a tolerance says.

The rule of an iteration is that of the equation which it solves. It is neither the derivative of the last iterate nor, where
the loop stops, that of the solution; were the loops of both to go on for ever, it would be.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from flint import arb

from autodiff_ref.judge.balls import Context, exact, precision
from autodiff_ref.judge.balls.context import AllMoved, Reading
from autodiff_ref.judge.evaluation import Evaluator, as_balls, at_limits, numbers_of
from autodiff_ref.judge.program.plans import Plan
from autodiff_ref.judge.truth import Truth, place_of

BITS = 384
"""Half of them settle a loop."""

SHORT = 1e-4
"""An iteration that stops farther than this share from its limit is taken for what it is where it stops."""

_STEPS = (64, 56)
"""The steps 2^-64 and 2^-56 of central quotients, relative to the argument"""

_WIDE = 4
"""and the step 2^-4 over which a value that stops short of its limit may have another slope"""

_MOVED = (AllMoved(1), AllMoved(2))
"""other readings of the rounded constants"""

Values = Callable[[Sequence[Any], str, Reading], list[arb]]
"""values(arguments, mode, constants) -> those of the function, or, by a mode, of its derivative as it is given"""


def agree(u: arb, v: arb, error: arb | int = 0) -> bool:
    """Whether what two iterations go to is the same, to 20 digits."""
    return bool(abs(u - v) <= (abs(v) * arb(10) ** -20).max(arb(error)))


def scale_of(leaf: np.ndarray, place: int) -> float:
    """The power of 2 to which steps of an entry are relative: 1 for 0."""
    x = abs(float(np.ravel(leaf)[place]))
    return float(2.0 ** np.floor(np.log2(x))) if x else 1.0


class Limits:
    """What the loops of a function and of its derivative, as it is given, go to at one input.

    Every number is NaN where a loop goes nowhere.
    """

    def __init__(
        self,
        values: Values,
        stops: Callable[[Sequence[Any]], list[arb]],
        place: Callable[[int], tuple[int, int, int]],
        arguments: Sequence[np.ndarray],
    ) -> None:
        """Args:
        values: where loops go on.
        stops: the values of the function where they do not.
        place: of an entry of the Jacobian: the output, the leaf, and the entry of that.
        arguments: the input.
        """
        self._values, self._stops, self._place, self._arguments = values, stops, place, arguments
        self._given = cache(self._given_by)
        self._slopes = cache(self._slopes_by)
        self._reaches = cache(self._reaches_by)

    def given(self, k: int, mode: str = "given") -> arb:
        """An entry of the derivative as it is given."""
        return self._given(mode, "exact")[k]

    def slope(self, k: int) -> tuple[arb, arb]:
        """What this entry is, and an estimate of its error."""
        row, leaf, place = self._place(k)
        value, other = (slopes[row] for slopes in self._slopes(leaf, place, "exact"))
        return value, abs(value - other)

    def reach(self, k: int, mode: str) -> arb:
        """How far the slope of a function may be off that is as far from the limit as this one is where it stops.

        And how far rounded constants leave open by what the two differ.
        """
        row, leaf, place = self._place(k)
        gaps = [self._given(mode, how)[k] - self._slopes(leaf, place, how)[0][row] for how in ("exact", *_MOVED)]
        return sum((abs(gap - gaps[0]) for gap in gaps[1:]), self._reaches(leaf, place)[row])

    def _given_by(self, mode: str, constants: Reading) -> list[arb]:
        with precision(BITS):
            return self._values(self._arguments, mode, constants)

    def _slopes_by(self, leaf: int, place: int, constants: Reading) -> list[list[arb]]:
        """By central quotients over each of the steps, of all outputs."""

        def of(step: arb) -> list[arb]:
            up, down = (self._values(moved, "", constants) for moved in self._moved(leaf, place, step))
            return [(a - b) / (2 * step) for a, b in zip(up, down, strict=True)]

        with precision(BITS):
            return [of(self._scale(leaf, place) * arb(2) ** -bits) for bits in _STEPS]

    def _reaches_by(self, leaf: int, place: int) -> list[arb]:
        with precision(BITS):
            wide = self._scale(leaf, place) * arb(2) ** -_WIDE
            at = [self._arguments, *self._moved(leaf, place, wide)]
            stops = zip(*[self._stops(arguments) for arguments in at], strict=True)
            limits = zip(*[self._values(arguments, "", "exact") for arguments in at], strict=True)
            rows = zip(stops, limits, strict=True)
            return [sum((abs(a - b) for a, b in zip(stop, limit, strict=True)), arb(0)) / wide for stop, limit in rows]

    def _scale(self, leaf: int, place: int) -> arb:
        return arb(scale_of(self._arguments[leaf], place))

    def _moved(self, leaf: int, place: int, step: arb) -> list[list[Any]]:
        """The arguments, with one entry moved by a step to either side."""
        made = [list[Any](self._arguments) for _ in range(2)]
        for at, by in zip(made, (step, -step), strict=True):
            at[leaf] = exact(np.asarray(at[leaf], dtype=np.float64))
            at[leaf].flat[place] += by
        return made


def with_limits(
    truth: Truth, function: Plan, gradient: Evaluator, arguments: Sequence[Any], by: Sequence[int], out_sizes: Sequence[int]
) -> Truth:
    """The truth, where JAX's derivative of an iteration is taken for right if it is that of what the iteration goes to."""
    if not (truth.wrong and function.iterates):
        return truth
    leaves = [np.asarray(leaf) for leaf in arguments]

    def place(k: int) -> tuple[int, int, int]:
        row, which, entry = place_of(k, out_sizes, [leaves[leaf].size for leaf in by])
        return row, by[which], entry

    limits = Limits(
        lambda at, mode, constants: gradient.at_limits() if mode else at_limits(function, at, constants),
        lambda at: numbers_of(function.run(Context(constants="exact"), *map(as_balls, at))),
        place,
        leaves,
    )
    entries, wrong = list(truth.entries), list[int]()
    for k in truth.wrong:
        given, (slope, error) = limits.given(k), limits.slope(k)
        old = entries[k]
        assert old.value is not None
        if agree(given, slope, error) and bool(abs(truth.by_jax[k] - slope) <= abs(slope) * arb(SHORT)):
            entries[k] = replace(old, value=truth.by_jax[k], error=0.0)
            continue
        if bool(abs(old.value - slope) <= abs(slope) * arb(SHORT)):  # what else is judged stops short of it too
            entries[k] = replace(old, value=slope, error=float(abs(old.value - slope).abs_upper()))
        wrong.append(k)
    is_confirmed = not (wrong or truth.missing) and all(entry.kind == "known" for entry in entries)
    return replace(truth, entries=() if is_confirmed else tuple(entries), wrong=tuple(wrong))
