"""Judges a gradient that cannot be traced: by what it returns, and by what it returns in more precise floats.

It may be off by twice what the reference may. Beyond that, it is called again in more precise floats: a rounding error
shrinks there, a mistake does not. In float32 that bound is wide where the reference cancels, and hides mistakes of many
parts in a million; so the candidate is always called in float64 as well. One that is further off there than float32 explains
may have rounded to float32 inside: then it is off at random, by another size and sign at neighbouring inputs, where a
mistake stays what it is. That is measured, at a few.

Some code has no more precise floats, as `math.exp`, or loses all of their digits too, as 1 − σ(z) at z = 50. What it is off
by there is no more than what it is off by with smaller arguments, where it is right: a mistake, which goes with the size of
the gradient, would be larger there by far, and seen.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autodiff_ref.verify.assertions.computed import Computed, coarse, floats, settled
from autodiff_ref.verify.assertions.finding import WHY, Finding, bound_of, off
from autodiff_ref.verify.assertions.sides import Side
from autodiff_ref.verify.assertions.steering import steer
from autodiff_ref.verify.verdict import Evaluation
from autodiff_ref.verify.walker.plans import Array

Again = Callable[[list[Array] | None], Any]
"""calls the candidate in more precise floats, at these arrays for those of the call, if any; None where it cannot"""

SHRINKS = 64
"""times, a rounding error at least, in more precise floats: 11 bits more at least"""

BEYOND_FLOAT32 = 2.0**-18
"""Of a component: more than a float32 constant inside, or a last rounding to float32, takes away."""

SMALLER = tuple(2.0**-k for k in range(1, 11))
"""times what is differentiated by: from z = 700 down to where σ(z) has all its digits"""

AS_LARGE = 4
"""times, a rounding error may be as large as those with smaller arguments"""

NEIGHBOURS, NUDGE = 4, 2.0**-12
"""inputs near by, and how near, relative: far in units of float32, near for a mistake"""


def by_value(reference: Side, arrays: list[Array], given: int, computed: Computed, again: Again) -> Finding | None:
    """What speaks against a gradient that returned `computed`; None for nothing.

    Args:
        reference: the gradient by JAX.
        arrays: of the call, and of closures.
        given: how many are of the call.
        computed: what the candidate returned.
        again: calls it in more precise floats.
    """
    at = settled(reference.at(arrays))
    if at is None:
        return Finding("undecided", WHY["undefined"])
    found, allowed = _assumed(reference, arrays, computed, at)
    gaps, size = computed.gaps(at), np.abs(floats(at)[0])
    steer(gaps, allowed)
    finer = again(None) if found is not None or computed.dtype == np.float32 else None
    more = None if finer is None else Computed.of(finer)
    if found is not None:
        shrunk = np.full(len(gaps), np.inf) if more is None else more.gaps(at)
        if not all(shrunk[k] <= gaps[k] / SHRINKS < np.inf for k in found.components):
            if not _has_lost_digits(reference, arrays, given, gaps, found.components, again):
                return found
            allowed[list(found.components)] = np.inf
    elif more is not None and more.dtype == np.float64:
        hidden = _hidden(reference, arrays, given, more, again)
        if hidden is not None:
            return hidden
    if not np.any((gaps <= 2.0**-10 * size) | (allowed <= 0.5 * size)):
        return Finding("undecided", WHY["drowned"])
    return None


def _assumed(
    reference: Side, arrays: list[Array], computed: Computed, at: Evaluation, *, wide: bool = False
) -> tuple[Finding | None, Array]:
    """What is off by more than twice the reference's bound, in its own floats or in float64; and that."""
    otherwise = coarse(reference.at(arrays), computed.dtype)
    allowed = 2 * bound_of(reference, arrays, otherwise, wide=wide)
    return off(computed, at, [lambda: allowed], assumed=True), allowed


def _has_lost_digits(
    reference: Side,
    arrays: list[Array],
    given: int,
    gaps: Array,
    components: Sequence[int],
    again: Again,
    *,
    wide: bool = False,
) -> bool:
    """Whether these components are off by no more than with smaller arguments, where all of the gradient is right."""
    worst = np.zeros(len(gaps))
    for factor in SMALLER:
        smaller = [
            x if fixed else x * x.dtype.type(factor) for x, fixed in zip(arrays[:given], reference.labels, strict=True)
        ]
        value, at = again(smaller), settled(reference.at([*smaller, *arrays[given:]]))
        if value is None or at is None:
            continue
        computed = Computed.of(value)
        if _assumed(reference, [*smaller, *arrays[given:]], computed, at, wide=wide)[0] is None:
            worst = np.maximum(worst, computed.gaps(at))
    return all(gaps[k] <= AS_LARGE * worst[k] for k in components)


def _hidden(reference: Side, arrays: list[Array], given: int, more: Computed, again: Again) -> Finding | None:
    """A mistake that shows in float64, whose bound is narrow; None where it may be a rounding to float32 inside."""
    wide = [x.astype(np.float64) if x.dtype.kind == "f" else x for x in arrays]
    wanted = reference.at(wide)
    at = settled(wanted)
    if at is None:
        return None
    allowed = 2 * bound_of(reference, wide, coarse(wanted, np.float64), wide=True)
    far = more.gaps(at) > allowed + BEYOND_FLOAT32 * np.abs(floats(at)[0])
    if not far.any():
        return None
    shares = [_share(more, floats(at)[0])]
    rng = np.random.default_rng(0)
    for _ in range(NEIGHBOURS):
        near = [
            x if fixed or x.dtype.kind != "f" else x * (1 + NUDGE * rng.uniform(-1, 1, x.shape))
            for x, fixed in zip(wide[:given], reference.labels, strict=True)
        ]
        value, there = again(near), settled(reference.at([*near, *wide[given:]]))
        if value is None or there is None:
            return None
        shares.append(_share(Computed.of(value), floats(there)[0]))
    least, most = np.min(shares, axis=0), np.max(shares, axis=0)
    with np.errstate(all="ignore"):
        stays = (least * most > 0) & (np.minimum(np.abs(least), np.abs(most)) >= np.maximum(np.abs(least), np.abs(most)) / 2)
    wrong = [int(k) for k in np.flatnonzero(far & stays)]
    if not wrong or _has_lost_digits(reference, wide, given, more.gaps(at), wrong, again, wide=True):
        return None
    wrong.sort(key=lambda k: -abs(shares[0][k]))
    return Finding(
        "different",
        "",
        tuple(wrong),
        more.values,
        floats(at)[0],
        allowed=float(allowed[wrong[0]]),
        assumed=True,
        finer=True,
    )


def _share(computed: Computed, exact: Array) -> Array:
    """(computed − exact) / exact; 0 where that is no number."""
    with np.errstate(all="ignore"):
        return np.nan_to_num((computed.values - exact) / exact, nan=0.0, posinf=0.0, neginf=0.0)
