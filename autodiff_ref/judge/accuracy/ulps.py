"""Errors in ulps: how far a computed value is from the true one, which a ball holds.

One ulp (unit in the last place) is the distance between neighbouring floats near the true value v:

    2^(e−p+1)  for 2^e ≤ |v| < 2^(e+1), with p = 53 bits in float64 and 24 in float32

XLA flushes subnormal numbers to 0, so that below the smallest normal number N its neighbouring floats are 0 and N: an ulp is
N there, for every way of computing, and neither a flush nor a subnormal result costs more than one. No error counts more
than 2^p ulps: then no digit is right, and there is nothing left to lose. For a true 0 that is computed as 1e-17, or 1 that
is computed as 3, this is so.
"""

import math

import numpy as np
from flint import arb

from autodiff_ref.judge.balls import precision
from autodiff_ref.judge.comparing import PRECISIONS, evaluator
from autodiff_ref.judge.program.plans import Plan
from autodiff_ref.trees import Arguments

Values = np.ndarray
"""A NumPy array."""

DTYPES = ("float64", "float32")

LOST = 2.0**10
"""ulps: three decimal digits are gone"""

Truth = tuple[arb | None, ...]
"""A line's true value: for each component a ball far narrower than an ulp, or None where none was found."""


def true_value(plan: Plan, args: Arguments) -> Truth:
    """What a line is at an input as a function of real numbers, at growing precision.

    Constants are taken as their doubles: that 0.1 is not 1/10 was decided when the line was written. In float32 rounding
    them is an error of the computation.
    """
    found: Truth = ()
    line = evaluator(plan, args)
    for bits in PRECISIONS:
        at = line(bits, "exact", "exact")
        with precision(bits):
            found = tuple(v if not at.unresolved and _is_narrow(v) else None for v in at.values)
        if None not in found:
            break
    return found


def _is_narrow(value: arb) -> bool:
    """Whether a ball's radius is below 2^-10 ulps of float64, and so of float32."""
    return value.is_finite() and bool(value.rad() <= 2.0**-10 * arb(ulp(value, "float64")))


def ulp(true: arb, dtype: str) -> float:
    """The distance between neighbouring floats at a true value; below the smallest normal number, that number.

    Example:
        >>> ulp(arb(1), "float64") == 2.0**-52
        True
    """
    info = np.finfo(dtype)
    magnitude = abs(true).mid()
    smallest, largest = float(info.smallest_normal), float(info.max)
    if magnitude < smallest:
        return smallest
    exponent = math.frexp(float(min(magnitude, arb(largest))))[1] - 1
    if magnitude < arb(2) ** exponent:  # the conversion to a float rounded it up to a power of two
        exponent -= 1
    return math.ldexp(1.0, exponent - info.nmant)


def error_in_ulps(computed: float, true: arb, dtype: str) -> float:
    """|computed − true| in ulps, at most 2^p; NaN for a NaN, or an infinity where the truth is finite in `dtype`.

    Where the truth overflows, the infinity of its sign is right, and nothing else has a digit that is.

    Example:
        >>> error_in_ulps(1.0 + 2.0**-51, arb(1), "float64")
        2.0
    """
    info = np.finfo(dtype)
    most = 2.0 ** (info.nmant + 1)
    if math.isnan(computed):
        return math.nan
    if abs(true) > float(info.max):
        return 0.0 if computed == (math.inf if true > 0 else -math.inf) else most
    if math.isinf(computed):
        return math.nan
    with precision(PRECISIONS[-1]):
        error = abs(arb(computed) - true).mid() / arb(ulp(true, dtype))
        return min(float(error), most)


def worst_component(computed: Values, truth: Truth, dtype: str) -> float | None:
    """The error of a gradient at an input: of its worst component, NaN if one is; None where no truth is known."""
    pairs = zip(np.ravel(computed), truth, strict=True)
    errors = [error_in_ulps(float(value), true, dtype) for value, true in pairs if true is not None]
    if not errors:
        return None
    return math.nan if any(map(math.isnan, errors)) else max(errors)
