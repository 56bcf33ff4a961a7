"""What a loop goes to: its state, once further turns change it no more."""

from collections.abc import Callable
from typing import Any

import flint
import numpy as np
from flint import arb

from autodiff_ref.judge.program.plans import State, Turn, as_objects

_STILL = 3
"""turns in a row that change nothing: a series may have terms that are 0 in between"""

_SLOW = 64
"""so many turns have to bring a loop nearer to its limit by a factor of 2^-8, or it is given up"""

_NEAR = arb(2) ** -4
"""a loop that stops where its tolerance says is not far from its limit"""


def limit_of(ended: State, turn: Turn) -> State | None:
    """What a loop's state goes to, to half of the bits at hand; None where it goes to nothing, or to nothing near.

    Each turn begins at the middles of balls, since an iteration with a limit forgets where it was before. What counts
    turns, and what is no real, stays as it was where the loop ended.
    """
    first = _reals(ended)
    state, reals, steps = _mapped(arb.mid, ended), first, [arb(0)] * len(first)
    counts, far, still, turns = list[bool](), arb("inf"), 0, 0
    while still < _STILL:
        state = _mapped(arb.mid, turn(state))
        before, reals, steps_before = reals, _reals(state), steps
        steps = [arb(0) if a == b else a - b for a, b in zip(reals, before, strict=True)]
        if not all(step.is_finite() for step in steps):  # 0/0 of two turns that are alike
            if not still:
                return None
            reals = before
            break
        least = _largest([*reals, *first]) * arb(2) ** -(flint.ctx.prec // 2)
        counts = [step == old and abs(step) > least for step, old in zip(steps, steps_before, strict=True)]
        moved = _largest([step for step, counted in zip(steps, counts, strict=True) if not counted])
        still = still + 1 if moved <= least else 0
        turns += 1
        if turns % _SLOW == 0:
            if moved > far * arb(2) ** -8:
                return None
            far = moved
    found = [a if counted else b for a, b, counted in zip(first, reals, counts, strict=True)]
    if any(abs(a - b) > _NEAR * _largest([*found, arb(1)]) for a, b in zip(first, found, strict=True)):
        return None
    rest = iter(found)
    return _mapped(lambda _: next(rest), ended)


def _largest(numbers: list[arb]) -> arb:
    return max((abs(x) for x in numbers if x.is_finite()), default=arb(0))


def _mapped(f: Callable[[arb], arb], state: State) -> State:
    """The state with f of each of its reals."""

    def of_one(value: Any) -> Any:
        if isinstance(value, arb):
            return f(value)
        return as_objects(np.frompyfunc(f, 1, 1)(value)) if value.dtype == object else value

    return [of_one(value) for value in state]


def _reals(state: State) -> list[arb]:
    """All of its reals, one after the other."""
    return [
        x for value in state if isinstance(value, arb) or value.dtype == object for x in np.ravel(np.asarray(value, object))
    ]
