"""The accuracy granted to functions that are not rounded correctly, at least twice what `benchmarks/ulps.py` measures.

The command prints the largest errors beside what is granted here, and says where that is too little:

    python benchmarks/ulps.py                    a sample, float32 and float64
    python benchmarks/ulps.py --library numpy    the same of NumPy's own functions
    python benchmarks/ulps.py --exhaustive       every normal float32
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
    "log": (Granted(8), Granted(6)),
    "log1p": (Granted(8), Granted(1024)),
    "logistic": (Granted(8), Granted(8)),
    "tanh": (Granted(16), Granted(32)),
    "sqrt": (Granted(2), Granted(2)),
    "rsqrt": (Granted(8), Granted(8)),
    "cbrt": (Granted(8), Granted(16)),
    "sin": (Granted(8), Granted(4)),
    "cos": (Granted(8), Granted(4)),
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
    "bessel_i0e": (Granted(16), Granted(16)),
    "bessel_i1e": (Granted(64), Granted(32)),
    "pow": (Granted(4), Granted(4)),
    "atan2": (Granted(8), Granted(8)),
}
"""for float32 and for float64"""

FROM_ZERO_ON = ("lgamma", "digamma")
"""functions to which nothing is granted below 0: JAX reflects there, and loses every digit between poles far out"""


class Measured(NamedTuple):
    """The largest errors seen, in u, relative as `Granted` has it; None where NumPy has no such function."""

    jax_single: float
    numpy_single: float | None
    jax_double: float
    numpy_double: float | None


MEASURED: dict[str, Measured] = {
    "exp": Measured(5.52, 3.13, 1.89, 1.11),
    "exp2": Measured(1, 1.59, 1.22, 1.11),
    "expm1": Measured(7.03, 3.21, 4.59, 0.987),
    "log": Measured(2.05, 3.2, 0.991, 1.06),
    "log1p": Measured(3.63, 2.74, 217, 1.02),
    "logistic": Measured(2.48, None, 2.2, None),
    "tanh": Measured(4.9, 1.77, 6.92, 1.44),
    "sqrt": Measured(1, 1, 0.995, 0.996),
    "rsqrt": Measured(2.57, None, 1.24, None),
    "cbrt": Measured(1.52, 2.64, 4.6, 0.998),
    "sin": Measured(1.06, 2.28, 0.992, 0.982),
    "cos": Measured(1.06, 1.9, 0.985, 0.975),
    "tan": Measured(1.18, 2.95, 0.993, 1),
    "asin": Measured(2.47, 4.18, 1.9, 1.29),
    "acos": Measured(2.78, 2.68, 1.95, 1.46),
    "atan": Measured(1.31, 2.92, 0.99, 0.982),
    "sinh": Measured(3.45, 0.815, 2.5, 0.489),
    "cosh": Measured(1.85, 2.93, 1.89, 1.5),
    "asinh": Measured(3.58, 1.09, 2.5, 1.07),
    "acosh": Measured(3.78, 1.95, 3.45, 1.02),
    "atanh": Measured(2.74, 2, 132, 1.04),
    "erf": Measured(6.71, None, 1.35, None),
    "erfc": Measured(3.36, None, 3.71, None),
    "erf_inv": Measured(1.99, None, 13.2, None),
    "lgamma": Measured(37.2, None, 20.3, None),
    "digamma": Measured(15, None, 12, None),
    "bessel_i0e": Measured(5.87, None, 5.6, None),
    "bessel_i1e": Measured(18.2, None, 11.1, None),
    "pow": Measured(1, 1.73, 0.999, 1.13),
    "atan2": Measured(1.96, 3.53, 0.993, 1.47),
}
"""On an AMD EPYC with AVX-512, jax 0.10.1, NumPy 2.4.6: 200,000 inputs in float32 and 20,000 in float64 each."""

EXHAUSTIVE = ("exp", "log", "log1p", "expm1", "tanh", "logistic", "erf", "erfc", "sin", "cos")
"""functions of which JAX's float32 was measured at every one of the 4,261,412,864 normal numbers"""
