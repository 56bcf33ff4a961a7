"""What an iteration goes to, and the derivative of that: as if its loops did not stop where a tolerance says.

The rule of an iteration is that of the equation which it solves. It is neither the derivative of the last iterate nor, where
the loop stops, that of the solution; were the loops of both to go on for ever, it would be.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from flint import arb

from autodiff_ref.judge.balls import exact, precision
from autodiff_ref.judge.balls.context import AllMoved, Reading
from autodiff_ref.judge.rules.calls import FOUND
from autodiff_ref.judge.rules.subject import Subject, is_moderate

_BITS = 384
"""Half of them settle a loop."""

_STEPS = (64, 56)
"""The steps 2^-64 and 2^-56 of central quotients, relative to the argument"""

_WIDE = 4
"""and the step 2^-4 over which a value that stops short of its limit may have another slope"""

_COARSE = 1e-2
"""An iteration that is off by more approximates nothing."""

_TRIED = 3
"""inputs at which a loop goes nowhere, from which on that is no longer tried"""

_MOVED = (AllMoved(1), AllMoved(2))
"""other readings of the rounded constants"""


class Limits:
    """What the loops of a function and of JAX's derivative go to, at one input.

    Every number is NaN where a loop goes nowhere.
    """

    def __init__(self, subject: Subject, leaves: Sequence[np.ndarray]) -> None:
        self.are_meant = is_moderate(leaves)
        """whether so many steps, or a tolerance, is surely meant for such arguments"""
        self.coarse = _COARSE if subject.iterates else FOUND
        """the share by which a derivative is off that stops too early: a function that does not iterate has none to spare"""
        self._subject, self._leaves = subject, leaves
        self._is_endless = len(subject.endless) >= _TRIED
        self._by_jax = cache(self._by_jax_with)
        self._slopes = cache(self._slopes_with)
        self._reaches = cache(self._reaches_of)

    def by_jax(self, k: int, mode: str) -> arb:
        """An entry of JAX's derivative."""
        return self._by_jax(mode, "exact")[k]

    def slope(self, k: int) -> tuple[arb, arb]:
        """What this entry is, and an estimate of its error."""
        row, leaf, place = self._subject.place(k)
        value, other = (slopes[row] for slopes in self._slopes(leaf, place, "exact"))
        return value, abs(value - other).max(abs(value) * arb(10) ** -20)

    def reach(self, k: int, mode: str) -> arb:
        """How far the slope of a function may be off that is as far from the limit as this one is where it stops.

        And how far rounded constants leave open by what the two differ.
        """
        row, leaf, place = self._subject.place(k)
        gaps = [self._by_jax(mode, how)[k] - self._slopes(leaf, place, how)[0][row] for how in ("exact", *_MOVED)]
        return sum((abs(gap - gaps[0]) for gap in gaps[1:]), self._reaches(leaf, place)[row])

    def _values(self, leaves: Sequence[Any], mode: str = "", constants: Reading = "exact") -> list[arb]:
        """Those of the function, or of JAX's derivative by a mode; NaN from the first loop on that goes nowhere."""
        if self._is_endless:
            return [arb.nan()] * (len(self._subject.entries) if mode else sum(self._subject.out_sizes))
        values = self._subject.at_limits(leaves, self._leaves, mode, constants)
        if not any(value.is_finite() for value in values):
            self._is_endless = True
            if self.are_meant:
                self._subject.endless.append(self._leaves)
        return values

    def _by_jax_with(self, mode: str, constants: Reading) -> list[arb]:
        with precision(_BITS):
            return self._values(self._leaves, mode, constants)

    def _slopes_with(self, leaf: int, place: int, constants: Reading) -> list[list[arb]]:
        """By central quotients over each of the steps, of all outputs."""

        def of(step: arb) -> list[arb]:
            up, down = (self._values(moved, constants=constants) for moved in self._moved(leaf, place, step))
            return [(a - b) / (2 * step) for a, b in zip(up, down, strict=True)]

        with precision(_BITS):
            return [of(self._scale(leaf, place) * arb(2) ** -bits) for bits in _STEPS]

    def _reaches_of(self, leaf: int, place: int) -> list[arb]:
        with precision(_BITS):
            wide = self._scale(leaf, place) * arb(2) ** -_WIDE
            at = [self._leaves, *self._moved(leaf, place, wide)]
            stops = [self._subject.run(leaves, self._leaves)[0] for leaves in at]
            limits = [self._values(leaves) for leaves in at]
            rows = zip(zip(*stops, strict=True), zip(*limits, strict=True), strict=True)
            return [sum((abs(a - b) for a, b in zip(stop, limit, strict=True)), arb(0)) / wide for stop, limit in rows]

    def _scale(self, leaf: int, place: int) -> arb:
        x = abs(float(np.ravel(self._leaves[leaf])[place]))
        return arb(2.0 ** np.floor(np.log2(x)) if x else 1.0)

    def _moved(self, leaf: int, place: int, step: arb) -> list[list[Any]]:
        """The arguments, with one entry moved by a step to either side."""
        made = [list[Any](self._leaves) for _ in range(2)]
        for at, by in zip(made, (step, -step), strict=True):
            at[leaf] = exact(np.asarray(at[leaf], dtype=np.float64))
            at[leaf].flat[place] += by
        return made
