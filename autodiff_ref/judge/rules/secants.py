"""What an iteration to a tolerance approximates, by difference quotients over steps far larger than that tolerance.

The value of a bisection is constant piece by piece, and that of a truncated series has another slope than what it
approaches. But over a step h both are off by no more than their tolerance τ, so that a quotient is off by τ/h at most.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autodiff_ref.judge.balls import precision
from autodiff_ref.judge.comparing import ULP
from autodiff_ref.judge.limits import scale_of
from autodiff_ref.judge.rules.calls import FOUND
from autodiff_ref.judge.rules.subject import Subject

_WIDEST = (4, 7)
"""central quotients with the steps 2^-k, 2^-(k+1), …, relative to the argument, from each of these k on"""

_BEYOND = 20
"""and of quotients beyond a guard, from 2^-20 on"""

_LEVELS = 4
"""so many steps, extrapolated to 0"""

_BITS = (160, 640)
"""tried in turn: a bisection of 200 steps compares numbers that 160 bits do not tell apart"""


@dataclass(frozen=True)
class Secant:
    """A derivative by quotients over large steps."""

    value: float
    error: float
    """an estimate, by how far the last extrapolations differ, and by what an ulp of the value makes of it"""
    scatter: float
    """by how far the last two quotients differ that are extrapolated: of noise as a tolerance's, that takes away nothing"""
    reach: float
    """how far the quotient over the widest step would be off if no more than three digits of the value were right"""


def secants(subject: Subject, leaves: Sequence[np.ndarray], leaf: int, place: int) -> list[Secant | None]:
    """The derivative of each output by one entry of a leaf; None where the function has no value nearby."""
    scale = scale_of(leaves[leaf], place)
    found: list[Secant | None] = [None] * sum(subject.out_sizes)
    for widest in _WIDEST:
        steps = [scale * 2.0 ** -(widest + k) for k in range(_LEVELS)]
        values = [[_values(subject, leaves, leaf, place, sign * step) for sign in (1, -1)] for step in steps]
        every = np.array([value for pair in values for end in pair for value in end])
        largest = float(
            np.max(np.abs(every[np.isfinite(every)]), initial=1.0)
        )  # a value near 0 may be a difference of larger ones
        for i, old in enumerate(found):
            ends = [(up[i], down[i]) for up, down in values]
            if not all(np.isfinite(v) for pair in ends for v in pair):
                continue
            made = _extrapolated(ends, steps, largest)
            if old is None or made.error < old.error:
                found[i] = made
    return found


def beyond_guards(subject: Subject, leaves: Sequence[np.ndarray], leaf: int, place: int) -> list[tuple[float, ...]]:
    """The slopes of each output by one entry of a leaf to the left and to the right, over steps of some millionths.

    They do not see what a function does within 1e-8 of an input, as where it is constant for `x < eps`.
    """
    x = float(np.ravel(leaves[leaf])[place])
    steps = [max(abs(x), 1.0) * 2.0 ** -(_BEYOND + k) for k in range(_LEVELS)]
    at = [np.array([_values(subject, leaves, leaf, place, sign * step) for step in steps]) for sign in (-1.0, 1.0)]
    return [
        tuple(_slope(side[:, i], steps) * sign for side, sign in zip(at, (-1.0, 1.0), strict=True))
        for i in range(at[0].shape[1])
    ]


def _slope(values: np.ndarray, steps: Sequence[float]) -> float:
    """How values grow with their steps, extrapolated to steps of 0: a polynomial's slope, beyond a jump at 0."""
    return float(np.polyfit(np.array(steps) / steps[0], values, len(steps) - 1)[-2] / steps[0])


def _values(subject: Subject, leaves: Sequence[np.ndarray], leaf: int, place: int, step: float) -> list[float]:
    moved = [np.array(x) for x in leaves]
    moved[leaf] = moved[leaf].astype(np.float64)
    moved[leaf].flat[place] += step
    for bits in _BITS:
        with precision(bits):
            values, unresolved = subject.run(moved, leaves)
            if not unresolved:
                return [float(v) if v.is_finite() else float("nan") for v in values]
    return [float("nan")] * sum(subject.out_sizes)


def _extrapolated(ends: Sequence[tuple[float, float]], steps: Sequence[float], norm: float) -> Secant:
    """Richardson's: a central quotient errs by a series in h², so that halving h takes away one term after the other."""
    row = [(up - down) / (2 * step) for (up, down), step in zip(ends, steps, strict=True)]
    largest = max(abs(v) for pair in ends for v in pair)
    before, scatter = row[-1], 0.0
    for level in range(1, len(steps)):
        *_, last, before = row
        scatter = abs(before - last)
        row = [fine + (fine - coarse) / (4.0**level - 1) for coarse, fine in itertools.pairwise(row)]
    rounding = largest * ULP / steps[-1]
    return Secant(row[0], abs(row[0] - before) + rounding, scatter + rounding, 2 * FOUND * norm / steps[0])
