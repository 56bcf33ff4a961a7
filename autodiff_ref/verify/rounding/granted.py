"""The accuracy granted to functions that are not rounded correctly, at least twice what `benchmarks/ulps.py` measures.

The command prints the largest errors beside what is granted here, and says where that is too little:

    python benchmarks/ulps.py                  a sample, float32 and float64
    python benchmarks/ulps.py --exhaustive     every normal float32
"""

from typing import NamedTuple


class Granted(NamedTuple):
    """|computed − f(x)| ≤ units u |f(x)| + |f(x (1 + argument u)) − f(x)| + absolute, and the smallest normal number.

    `argument` is for functions that are computed from another one of a rounded argument, as sinh x is from e^x and 2^x from
    e^{x log 2}; `absolute` for functions with zeros, at which nothing relative holds.
    """

    units: float
    argument: float = 0.0
    absolute: float = 0.0


_TINY, _U = 2.0**-126, 2.0**-24
_TINY64, _U64 = 2.0**-1022, 2.0**-53

GRANTED: dict[str, tuple[Granted, Granted]] = {
    "exp": (Granted(12), Granted(8)),
    "exp2": (Granted(8, 8), Granted(8, 8)),
    "expm1": (Granted(16), Granted(16)),
    "log": (Granted(6), Granted(6)),
    "log1p": (Granted(8), Granted(1024)),
    "logistic": (Granted(8), Granted(8)),
    "tanh": (Granted(16), Granted(32)),
    "sqrt": (Granted(2), Granted(2)),
    "rsqrt": (Granted(8), Granted(8)),
    "cbrt": (Granted(8), Granted(16)),
    "sin": (Granted(4), Granted(4)),
    "cos": (Granted(4), Granted(4)),
    "tan": (Granted(8), Granted(8)),
    "asin": (Granted(16, 0, 4 * _TINY), Granted(16, 0, 4 * _TINY64)),
    "acos": (Granted(16), Granted(16)),
    "atan": (Granted(8), Granted(8)),
    "sinh": (Granted(8, 8), Granted(8, 8)),
    "cosh": (Granted(8, 8), Granted(8, 8)),
    "asinh": (Granted(16), Granted(16)),
    "acosh": (Granted(16), Granted(16)),
    "atanh": (Granted(16), Granted(1024)),
    "erf": (Granted(16), Granted(8)),
    "erfc": (Granted(16, 16), Granted(16, 16)),
    "erf_inv": (Granted(16, 16), Granted(64, 64)),
    "lgamma": (Granted(128, 0, 128 * _U), Granted(128, 0, 128 * _U64)),
    "digamma": (Granted(64, 0, 64 * _U), Granted(64, 0, 64 * _U64)),
    "pow": (Granted(4), Granted(4)),
    "atan2": (Granted(8), Granted(8)),
}
"""for float32 and for float64"""

FROM_ZERO_ON = ("lgamma", "digamma")
"""functions to which nothing is granted below 0: JAX reflects there, and loses every digit between poles far out"""
