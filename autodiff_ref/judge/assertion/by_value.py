"""Judges a gradient that cannot be traced: by what it returns, and by what it returns in more precise floats.

It may be off by twice what the reference may. Beyond that, it is called again in more precise floats: a rounding error
shrinks there, a mistake does not. In float32 that bound is wide where the reference cancels, and hides mistakes of many
parts in a million; so the candidate is always called in float64 as well. One that is further off there than float32 explains
may have rounded to float32 inside: then it is off at random, by another size and sign at neighbouring inputs, where a
mistake stays what it is. That is measured, at a few. So it is with kernels in float16 and bfloat16, which are called in
float64, or in float32 where they know nothing finer: what is off there by one share at all inputs is a mistake, and so is
an entry that is off where the others are right. A kernel that takes its own precision alone, or casts to it what it is
handed, is held to the bound of that.

A bound that is infinite allows nothing, and one as wide as the value itself shows nothing: such a component counts as right
only where it is close to the exact value, in its own floats or in more precise ones.

Some code has no more precise floats, as `math.exp`, or loses all of their digits too, as 1 − σ(z) at z = 50. What it is off
by there is no more than what it is off by with smaller arguments, where it is right: a mistake, which goes with the size of
the gradient, would be larger there by far, and seen.
"""

from collections.abc import Callable, Sequence

import jax
import numpy as np
from numpy.typing import DTypeLike

from autodiff_ref.judge.assertion.computed import Computed, Outside, coarse
from autodiff_ref.judge.assertion.exactly import MOST, TELLING, Exact, Gradient, exact_at, telling
from autodiff_ref.judge.assertion.finding import WHY, Finding, bound_of, different
from autodiff_ref.judge.assertion.sides import Side
from autodiff_ref.judge.assertion.steering import steer
from autodiff_ref.judge.program.equations import bits_of
from autodiff_ref.judge.program.plans import Array
from autodiff_ref.trees import PyTree

Again = Callable[[list[Array] | None], PyTree]
"""calls the candidate in more precise floats, at these arrays for those of the call, if any; None where it cannot"""

FINEST, FLOAT32 = 2.0**-52, 2.0**-23
"""eps of float64, which needs no finer floats to tell, and of float32"""

SHRINKS = 64
"""times, a rounding error at least, in more precise floats: 11 bits more at least"""

BEYOND = 32
"""Units of the precision that is judged, eps: more than a constant of it inside, or a last rounding to it, takes away."""

BEYOND_A_FACTOR = 4
"""The same, for what is one share at all inputs, or for a component beside others that are not rounded so."""

NOT_ROUNDED = 2.0**-8
"""eps: a component is closer than that where nothing inside was rounded to that precision"""

ONE_SHARE = 2.0**-6
"""by which shares at inputs far apart differ at most, where it is a factor"""

BEYOND_ROUNDING = 2.0**-10
"""Of a component that nothing bounds: more than rounding takes away where it has digits."""

SMALLER = tuple(2.0**-k for k in range(1, 11))
"""times what is differentiated by: from z = 700 down to where σ(z) has all its digits"""

AS_LARGE = 4
"""times, a rounding error may be as large as those with smaller arguments"""

NEIGHBOURS, NUDGE, FARTHEST = 4, 2.0**11, 0.25
"""inputs near by, and how near, relative, in eps: far in units of the precision that is judged, near for a mistake"""


def by_value(reference: Side, arrays: list[Array], given: int, computed: Computed, again: Again) -> Finding | None:
    """What speaks against a gradient that returned `computed`; None for nothing.

    Args:
        reference: the gradient by JAX.
        arrays: of the call, and of closures.
        given: how many are of the call.
        computed: what the candidate returned.
        again: calls it in more precise floats.
    """
    truth = exact_at(reference, arrays)
    if truth is None:
        return Finding("undecided", WHY["undefined" if reference.work <= MOST else "large"])
    outside, allowed = _assumed(reference, arrays, computed, truth)
    gaps = computed.gaps(truth)
    steer(gaps, allowed)
    eps = float(jax.numpy.finfo(computed.dtype).eps)
    shown = (
        (gaps <= telling(eps) * truth.size) | (np.isfinite(allowed) & (allowed <= telling(eps) * truth.size)) | (gaps == 0)
    )
    needs_finer = bool(outside) or eps > FINEST or not np.all(shown)
    more = None if not needs_finer or (finer := again(None)) is None else Computed.of(finer)
    finer_gaps = np.full(len(gaps), np.inf) if more is None else more.gaps(truth)
    lost = np.zeros(len(gaps), dtype=bool)
    if outside:
        stays = [k for k in outside.wrong + outside.open if not finer_gaps[k] <= gaps[k] / SHRINKS < np.inf]
        if stays and not _has_lost_digits(reference, arrays, given, gaps, stays, again):
            with np.errstate(all="ignore"):
                gross = ~(gaps <= BEYOND_ROUNDING * truth.size)
            wrong = [k for k in stays if k in set(outside.wrong) or gross[k]]
            if not wrong:
                return Finding("undecided", WHY["unbounded"])
            k, bounded = wrong[0], wrong[0] in set(outside.wrong)
            return different(
                wrong, computed, truth, float(allowed[k]) if bounded else 0.0, "assumed" if bounded else "unbounded"
            )
        lost[stays] = True
    elif more is not None and float(jax.numpy.finfo(more.dtype).eps) < eps <= 1 / SHRINKS:
        hidden = _hidden(reference, arrays, given, more, again, eps)
        if hidden is not None:
            return hidden
    shown = (shown & ~lost) | (finer_gaps <= TELLING * truth.size)
    if np.any(truth.matters(gaps, eps) & ~shown):
        return Finding("undecided", WHY["drowned" if eps <= FLOAT32 else "coarse"])
    return None


def _assumed(
    reference: Side, arrays: list[Array], computed: Computed, truth: Exact, *, wide: bool = False
) -> tuple[Outside, Array]:
    """What is off by more than twice the reference's bound, in its own floats or in float64; and that."""
    allowed = twice_the_bound(reference, arrays, computed.dtype, wide=wide)
    return computed.outside(truth.high, truth.radius, [lambda: allowed]), allowed


def twice_the_bound(reference: Side, arrays: list[Array], dtype: DTypeLike, *, wide: bool = False) -> Array:
    """Twice how far the reference may be off: by its rounding bounds; where these are infinite, by what balls lose.

    Floats coarser than float32 have no rounding rules: their bound is that of float64 in their units, to first order.
    """
    units = float(jax.numpy.finfo(dtype).eps) / FINEST if wide or jax.numpy.finfo(dtype).eps > FLOAT32 else 1.0

    def otherwise() -> Array:
        if reference.work > MOST:
            return np.full(sum(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(reference.shapes)), np.inf)
        return coarse(Gradient(reference, arrays).value(), bits_of(dtype))() / units

    allowed = 2 * units * bound_of(reference, arrays, otherwise, wide=wide or units > 1)
    return allowed if np.all(np.isfinite(allowed)) else np.where(np.isfinite(allowed), allowed, 2 * units * otherwise())


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
        value = again(smaller)
        truth = None if value is None else exact_at(reference, [*smaller, *arrays[given:]])
        if value is None or truth is None:
            continue
        computed = Computed.of(value)
        if not _assumed(reference, [*smaller, *arrays[given:]], computed, truth, wide=wide)[0]:
            worst = np.maximum(worst, computed.gaps(truth))
    return all(gaps[k] <= AS_LARGE * worst[k] for k in components)


def _hidden(reference: Side, arrays: list[Array], given: int, more: Computed, again: Again, eps: float) -> Finding | None:
    """A mistake that shows in more precise floats, whose bound is narrow; None where it may be a rounding inside.

    Args:
        reference: the gradient by JAX.
        arrays: of the call, and of closures.
        given: how many are of the call.
        more: what the candidate returned in more precise floats.
        again: calls it in such.
        eps: of the precision that is judged, to which it may round inside.
    """
    wide = [x.astype(np.float64) if x.dtype.kind == "f" else x for x in arrays]
    truth = exact_at(reference, wide)
    if truth is None:
        return None
    # a kernel of lower precision may well compute in float32, whatever it is handed
    allowed = twice_the_bound(reference, wide, more.dtype if eps <= FLOAT32 else np.float32, wide=True)
    known = np.where(np.isfinite(allowed), allowed, 0.0)
    beyond = more.gaps(truth) - known
    far = beyond > BEYOND_A_FACTOR * eps * truth.size
    if not far.any() or _casts(reference, wide, given, more, again, eps):
        return None
    others_are_right = np.mean(beyond <= NOT_ROUNDED * eps * truth.size) >= 0.5
    shares = [_share(more, truth.high)]
    rng, nudge = np.random.default_rng(0), min(FARTHEST, NUDGE * eps)
    for _ in range(NEIGHBOURS):
        near = [
            x if fixed or x.dtype.kind != "f" else _moved(x, rng, nudge)
            for x, fixed in zip(wide[:given], reference.labels, strict=True)
        ]
        value, there = again(near), exact_at(reference, [*near, *wide[given:]])
        if value is None or there is None:
            return None
        shares.append(_share(Computed.of(value), there.high))
    least, most = np.min(shares, axis=0), np.max(shares, axis=0)
    with np.errstate(all="ignore"):
        nearest, farthest = np.minimum(np.abs(least), np.abs(most)), np.maximum(np.abs(least), np.abs(most))
        stays = (least * most > 0) & (nearest >= farthest / 2)
        is_factor = stays & (nearest >= (1 - ONE_SHARE) * farthest) & (nudge == FARTHEST)
    told = stays & ((beyond > BEYOND * eps * truth.size) | others_are_right)
    wrong = [int(k) for k in np.flatnonzero(far & (told | is_factor))]
    if not wrong or _has_lost_digits(reference, wide, given, more.gaps(truth), wrong, again, wide=True):
        return None
    wrong.sort(key=lambda k: -abs(shares[0][k]))
    return different(wrong, more, truth, float(known[wrong[0]]), "finer")


def _casts(reference: Side, wide: list[Array], given: int, more: Computed, again: Again, eps: float) -> bool:
    """Whether a candidate casts what it is handed to the precision that is judged: two inputs so near are one to it."""
    rng = np.random.default_rng(1)
    wiggled = [
        x if fixed or x.dtype.kind != "f" else _moved(x, rng, eps / 64, to=np.float64 if eps <= FLOAT32 else np.float32)
        for x, fixed in zip(wide[:given], reference.labels, strict=True)
    ]
    value = again(wiggled)
    return value is None or np.array_equal(Computed.of(value).values, more.values, equal_nan=True)


def _moved(x: Array, rng: np.random.Generator, nudge: float, *, to: DTypeLike = np.float32) -> Array:
    """An array near by, that float32 holds too."""
    return (x * (1 + nudge * rng.uniform(-1, 1, x.shape))).astype(to).astype(np.float64)


def _share(computed: Computed, exact: Array) -> Array:
    """(computed − exact) / exact; 0 where that is no number."""
    with np.errstate(all="ignore"):
        return np.nan_to_num((computed.values - exact) / exact, nan=0.0, posinf=0.0, neginf=0.0)
