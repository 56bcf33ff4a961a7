"""A computed value and how far it may be from the exact one: what travels through a line in `rounding.table`.

An error is good for every way in which a line may be computed primitive by primitive. With x̂ the value at hand, x the exact
one and |x̂ − x| ≤ e, any other evaluation (sums in another order, a product not rounded before it is added, NumPy for JAX)
gives some x' with |x' − x| ≤ e as well. So |x| ≤ |x̂| + e and |x'| ≤ |x̂| + 2e: a rule bounds the difference between f(x') and
f(x) for all of these, and adds the rounding of f(x'). Errors are carried in float64, whatever the line computes in.

Arrays have one more axis in front than the jaxpr says, the batch; it is 1 for what is the same for all inputs.
"""

from collections.abc import Callable
from typing import NamedTuple, overload

import numpy as np
from numpy.typing import DTypeLike

from autodiff_ref.judge.program.plans import Array, Value


class Bounded(NamedTuple):
    """Reals: computed values, in their dtype, and bounds of their errors, in float64; infinity is no information."""

    value: Array
    error: Array


class Discrete(NamedTuple):
    """Integers or booleans, and where they are surely those of the exact computation."""

    value: Array
    sure: Array


Held = Bounded | Discrete
"""what travels through a plan"""


class Format(NamedTuple):
    """A binary format."""

    u: float
    """half the distance from 1 to the next number"""
    tiny: float
    """the smallest normal number"""
    largest: float
    below_overflow: float
    """u largest / 2: smaller errors are of values that do not overflow"""
    short: float
    """short numbers are multiples of its reciprocal, and smaller than it"""


_MAX, _MAX32 = float(np.finfo(np.float64).max), float(np.finfo(np.float32).max)


_FORMATS: dict[np.dtype[np.generic], Format] = {
    np.dtype(np.float64): Format(2.0**-53, 2.0**-1022, _MAX, 2.0**-54 * _MAX, 2.0**12),
    np.dtype(np.float32): Format(2.0**-24, 2.0**-126, _MAX32, 2.0**-25 * _MAX32, 2.0**5),
}

UPWARDS = 1 + 2.0**-40
"""The bounds are computed in floats themselves: fewer than 2^10 roundings between two uses of this factor."""


def format_of(dtype: DTypeLike) -> Format:
    """The format of a dtype.

    Raises:
        NotImplementedError: it is neither float32 nor float64.
    """
    found = _FORMATS.get(np.dtype(dtype))
    if found is None:
        raise NotImplementedError(f"no rounding bounds in {np.dtype(dtype)}: only float32 and float64 have them")
    return found


# Exact values: their errors and certainties are one number spread over the shape, and so recognised at no cost

_ZERO, _TRUE = np.zeros(1), np.ones(1, dtype=bool)
_ZERO.flags.writeable = _TRUE.flags.writeable = False


def without_error(value: Array) -> Bounded:
    """Reals known exactly."""
    return Bounded(value, np.ndarray(value.shape, np.float64, _ZERO, 0, (0,) * value.ndim))


def surely(value: Array) -> Discrete:
    """Integers or booleans known exactly."""
    return Discrete(value, np.ndarray(value.shape, np.bool_, _TRUE, 0, (0,) * value.ndim))


def is_exact(x: Bounded) -> bool:
    """Whether all entries were made by `without_error`."""
    return x.error.base is _ZERO


def is_sure(x: Discrete) -> bool:
    """Whether all entries were made by `surely`."""
    return x.sure.base is _TRUE


def anywhere(condition: Array) -> bool:
    """Whether a condition holds somewhere: `any`, in half the time."""
    return bool(np.count_nonzero(condition))


def everywhere(condition: Array) -> bool:
    """Whether a condition holds everywhere: `all`, in half the time."""
    return condition.base is _TRUE or np.count_nonzero(condition) == condition.size


def greatest_of(values: Array) -> float:
    """The largest entry, or 0; NaN where there is one. Not by `np.vdot`, which wakes BLAS's threads, and they spin on."""
    return np.maximum.reduce(values, axis=None, initial=0.0)


def are_short(*arrays: Array) -> bool:
    """Whether the sum or product of two of these is exact: multiples of 2^-12 below 2^12 (float32: 2^-5, 2^5)."""
    for array in arrays:
        limit = format_of(array.dtype).short
        scaled = array * limit
        if anywhere(scaled != np.rint(scaled)) or not greatest_of(np.abs(array)) < limit:
            return False
    return True


def add_exactly(count: int, *arrays: Array) -> bool:
    """Whether every sum of at most so many of these numbers is exact: short ones whose sum has no more digits than 1/u."""
    if not are_short(*arrays):
        return False
    return all(count * format_of(array.dtype).short ** 2 <= 1 / format_of(array.dtype).u for array in arrays)


@overload
def lifted(value: Discrete | Array) -> Discrete: ...
@overload
def lifted(value: Bounded) -> Bounded: ...
def lifted(value: Held | Array) -> Held:
    """A known integer array as a discrete value, the same for all inputs; others as they are."""
    return surely(np.asarray(value)[None]) if isinstance(value, np.ndarray) else value


def aligned(*operands: Value) -> list[Value]:
    """Operands of a primitive that works entry by entry: a single number an input is one for all entries."""
    ndim = max((x.value.ndim for x in operands), default=0)
    return [x if x.value.ndim == ndim or x.value.shape == (1,) else _with_axes(x, ndim) for x in operands]


def _with_axes(x: Held, ndim: int) -> Held:
    value = x.value.reshape(x.value.shape[0], *[1] * (ndim - 1))
    if isinstance(x, Bounded):
        return without_error(value) if is_exact(x) else Bounded(value, x.error.reshape(value.shape))
    return surely(value) if is_sure(x) else Discrete(value, x.sure.reshape(value.shape))


def leaf(value: Array) -> Bounded:
    """An input: exact, except that a subnormal number may be flushed to zero when it is read."""
    size = np.abs(value)
    small = size < format_of(value.dtype).tiny
    if not anywhere(small) or not anywhere(subnormal := small & (size > 0)):
        return without_error(value)
    return Bounded(np.where(subnormal, value.dtype.type(0), value), np.where(subnormal, size, 0).astype(np.float64))


def magnitude(x: Bounded) -> Array:
    """At least |x| for the exact x."""
    size = np.abs(x.value).astype(np.float64, copy=False)
    return size if is_exact(x) else size + x.error


def reach(x: Bounded) -> Array:
    """At least |x'| for every computed x'."""
    size = np.abs(x.value).astype(np.float64, copy=False)
    return size if is_exact(x) else size + 2 * x.error


def flushed(value: Array) -> Array:
    """Subnormal numbers as XLA on CPU leaves them: zero."""
    small = np.abs(value) < format_of(value.dtype).tiny
    return np.where(small, value.dtype.type(0), value) if anywhere(small) else value


def rounded(
    value: Array,
    propagated: Array | float,
    units: float = 1.0,
    vanishes: Callable[[], Array] | None = None,
    is_infinite: Callable[[], Array] | None = None,
) -> Bounded:
    """What a primitive returns.

    With P = `propagated` ≥ |f(x') − f(x)| and |f(x')| ≤ |f(x̂)| + 2P, the error is at most P + units u (|f(x̂)| + 2P), and
    the smallest normal number more where the result is flushed to zero.

    Args:
        value: f(x̂) as computed.
        propagated: P, in float64.
        units: of the last place, each u relative.
        vanishes: where the result is exactly zero and no rounding happens; where a computed 0 without P is one by default.
        is_infinite: where it is exactly infinite, and has not overflowed.
    """
    u, tiny, largest, below_overflow, _ = format_of(value.dtype)
    share = units * u * (1 + 8 * units * u) * UPWARDS
    size = np.abs(value).astype(np.float64, copy=False)
    error = size * share
    error += propagated * (UPWARDS + 2 * share)
    error += tiny
    is_finite = greatest_of(error) < below_overflow  # |value| ≤ error / u, so that its size is told too
    if is_finite and np.minimum.reduce(size, axis=None, initial=np.inf) >= tiny:
        return Bounded(value, error)  # the usual case: no zero, nothing to flush, no NaN, and nothing overflows in any order
    if not is_finite:
        error = np.where(size + 2 * error < largest, error, np.inf)
        if is_infinite is not None:
            np.copyto(error, 0.0, where=is_infinite())
    zero = size == 0
    exact = zero & (propagated == 0) if vanishes is None else vanishes() & (error < np.inf)  # 0 ∞ is NaN
    np.copyto(error, 0.0, where=exact)
    if np.count_nonzero(size < tiny) > np.count_nonzero(zero):
        value = flushed(value)
    return Bounded(value, error)


def unless_overflown(error: Array, size: Array, dtype: DTypeLike) -> Array:
    """The error of a sum of numbers whose sizes add up to `size`; none is known where some order of it may overflow."""
    return np.where(size < format_of(dtype).largest / 2, error, np.inf)


def without_nan(error: Array) -> Array:
    """NaN, as of ∞ − ∞, is no information: ∞."""
    return error if everywhere(error < np.inf) else np.where(error < np.inf, error, np.inf)


def is_zero(x: Bounded) -> Array:
    """Where a real is exactly 0."""
    zero = x.value == 0
    return zero if is_exact(x) else zero & (x.error == 0)


def at_the_end(x: Array, axes: tuple[int, ...]) -> Array:
    """Some axes as one, the last."""
    kept = [axis for axis in range(x.ndim) if axis not in axes]
    return np.transpose(x, [*kept, *axes]).reshape([*[x.shape[axis] for axis in kept], -1])
