"""What a function with a rule returns while it is differentiated: its rule computes the value anew, perhaps another one.

`jax.value_and_grad(f)` then returns another value than f, and every function of f has a wrong derivative.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from flint import arb

from autodiff_ref.judge.balls import BALLS
from autodiff_ref.judge.comparing import PRECISIONS, TINY, ULP, evaluator, share_of, shown_number
from autodiff_ref.judge.program.plans import OutOfTimeError, Plan
from autodiff_ref.judge.program.walk import plan
from autodiff_ref.judge.readings import is_in_reach
from autodiff_ref.judge.rules.calls import FOUND
from autodiff_ref.judge.rules.findings import Entry
from autodiff_ref.judge.rules.iterating import iterates

_ROUNDED = 2.0**10 * ULP
"""so little may be put down to rounding"""


def by_some(f: Callable[..., list[Any]], xs: Sequence[Any], by: Sequence[int]) -> tuple[Callable[..., list[Any]], list[Any]]:
    """A function as one of some of its leaves alone, and these leaves."""

    def of(*moved: Any) -> list[Any]:
        given = list(xs)
        for k, x in zip(by, moved, strict=True):
            given[k] = x
        return f(*given)

    return of, [xs[k] for k in by]


def both_values(
    f: Callable[..., list[Any]], shapes: Sequence[Any], by: Sequence[int], *, forward: bool
) -> tuple[Plan, bool] | None:
    """The program of a function's values and after these what they are while it is differentiated; and whether it iterates.

    None where both are one program, or balls have no rule for it. What fails is said where the derivative is judged.

    Args:
        f: of array leaves; returns a list of arrays.
        shapes: of its leaves.
        by: the leaves that it is differentiated by.
        forward: whether its rule is that of `jax.custom_jvp`.
    """

    def differentiated(xs: Sequence[Any]) -> list[Any]:
        of, at = by_some(f, xs, by)
        if forward:
            return list(jax.jvp(of, at, [jax.numpy.ones_like(x) for x in at])[0])
        return list(jax.vjp(of, *at)[0])

    with jax.enable_x64(True):
        try:
            closed = jax.make_jaxpr(lambda *xs: [*f(*xs), *differentiated(xs)])(*shapes)
            made = plan(closed, BALLS)
        except Exception:
            return None
    half = len(made.outputs) // 2
    return None if made.outputs[:half] == made.outputs[half:] else (made, iterates(closed.jaxpr))


def other_values(
    values: tuple[Plan, bool], leaves: Sequence[np.ndarray], sizes: Sequence[int], rule: str, at: str, *, allowed: float
) -> list[Entry]:
    """One entry for each value that the rule has another number for.

    Args:
        values: what `both_values` returns.
        leaves: the arguments of the function.
        sizes: of the arrays that it returns.
        rule: what it is called.
        at: the arguments, for people.
        allowed: the relative difference up to which the rule may be off.
    """
    program, approximates = values
    run = evaluator(program, (*leaves,))
    try:
        found = next((made for bits in PRECISIONS[:3] if not (made := run(bits, "exact", "exact")).unresolved), None)
        if found is None:
            return []
        half = len(found.values) // 2
        pairs = list(zip(found.values[:half], found.values[half:], strict=True))
        largest = max((abs(value) for value, _ in pairs if value.is_finite()), default=arb(0))
        apart = [k for k, (value, other) in enumerate(pairs) if _are_apart(value, other, largest, allowed)]
        if approximates:  # two iterations for one number stop at different places
            apart = [k for k in apart if share_of(pairs[k][1], pairs[k][0]) > FOUND]
        if not apart:
            return []
        loose, rounded = run(128, "tables", "exact").values, run(53, "exact", "exact").values
    except OutOfTimeError:
        raise
    except Exception:  # numbers so large that balls refuse them
        return []
    names = _names(sizes)
    entries = list[Entry]()
    for k in apart:
        value, other = pairs[k]
        gap = abs(value - other)
        share = share_of(other, value)
        if is_in_reach(gap, loose[k].rad() + loose[k + half].rad(), largest):
            continue
        if is_rounding(gap, share, rounded[k].rad() + rounded[k + half].rad()):
            continue
        entries.append(Entry("value", rule, names[k], at, shown_number(other), shown_number(value), share))
    return entries


def is_rounding(gap: arb, share: float, off: arb) -> bool:
    """Whether a gap, of so small a share, is no more than rounding may take; an infinite bound explains nothing."""
    return share <= _ROUNDED and off.is_finite() and bool(gap <= off)


def _are_apart(value: arb, other: arb, largest: arb, allowed: float) -> bool:
    if not value.is_finite() or not other.is_finite():
        return False
    gap = abs(value - other)
    return bool(gap > TINY) and bool(gap > largest * arb(10) ** -25) and share_of(other, value) > max(allowed, ULP)


def _names(sizes: Sequence[int]) -> list[str]:
    several = len(sizes) > 1
    return [
        f"f{f'.{i}' if several else ''}{f'[{k}]' if size > 1 else ''}" for i, size in enumerate(sizes) for k in range(size)
    ]
