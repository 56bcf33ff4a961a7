"""Numbers along which the accuracy at a single real number is measured."""

from collections.abc import Iterator

import numpy as np

FAR = 1000.0
"""the end of a path of real numbers"""


def geometric(low: float, high: float, ratio: float = 1.15) -> Iterator[float]:
    """Numbers from one to another, each that many times the one before."""
    value = low
    while value < high:
        yield short(value)
        value *= ratio
    yield high


def short(value: float) -> float:
    """The nearest number of 20 significant bits: exact in float32."""
    mantissa, exponent = np.frexp(value)
    return float(np.ldexp(np.round(np.ldexp(mantissa, 20)), exponent - 20))


_UNDERFLOW = (86.0, 87.0, 88.0, 90.0, 95.0, 104.0, 707.0, 708.0, 709.0, 711.0, 716.0, 746.0)
"""between these e^−t becomes subnormal, and 0: in float32 from 87.3 and 104 on, in float64 from 708.4 and 745"""


_UP = tuple(sorted({*geometric(0.25, FAR), *_UNDERFLOW}))


REALS = (*(-value for value in reversed(_UP)), 0.0, *_UP)
