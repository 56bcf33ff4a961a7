"""How accurate JAX's own functions are on this machine, primitive by primitive: the source of `verify/rounding/granted.py`.

    python benchmarks/ulps.py                  a sample of each function: under a minute
    python benchmarks/ulps.py --exhaustive     every float32 there is, in one function after the other: about an hour
    python benchmarks/ulps.py exp tanh         some functions only

Printed for each function and dtype: the largest |computed − exact| / (u |exact|) over results that are normal numbers, or
(u |exact| + what an argument off by u makes) where `Granted.argument` is used. Where a function has zeros besides x = 0,
that is over results of size 1 and more, with the largest |computed − exact| / u below that size next to it. Then where
these were met. Exact means: float64 functions of NumPy and SciPy for float32, which have 29 bits more; Arb balls of 200
bits for float64.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from typing import Any

import flint
import jax
import jax.numpy as jnp
import numpy as np
import scipy.special as sp
from flint import arb
from jax import lax

from autodiff_ref.verify.balls.functions import FUNCTIONS
from autodiff_ref.verify.rounding.functions import CHANGES
from autodiff_ref.verify.rounding.granted import FROM_ZERO_ON, GRANTED

EXACT_IN_FLOAT64: dict[str, Callable[..., Any]] = {
    "exp": np.exp,
    "exp2": np.exp2,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "logistic": lambda x: np.where(x < 0, np.exp(x) / (1 + np.exp(x)), 1 / (1 + np.exp(-x))),
    "tanh": np.tanh,
    "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "cbrt": np.cbrt,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "erf": sp.erf,
    "erfc": sp.erfc,
    "erf_inv": sp.erfinv,
    "lgamma": sp.gammaln,
    "digamma": sp.digamma,
    "pow": np.power,
    "atan2": np.arctan2,
}
"""the same functions in float64"""

TWO = ("pow", "atan2")
NEAR = 1.0


def inputs(name: str, dtype: Any, count: int, rng: np.random.Generator) -> list[Any]:
    """A sample: half over all exponents, half of ordinary size, and both around 0 and ±1."""
    bits = np.dtype(dtype).itemsize * 8
    raw = rng.integers(0, 2**bits, count // 4, dtype=np.uint64).astype(f"uint{bits}").view(dtype)
    ordinary = rng.uniform(-20, 20, count // 4).astype(dtype)
    wide = (rng.choice([-1, 1], count // 4) * 10 ** rng.uniform(-8, 3, count // 4)).astype(dtype)
    around = (
        rng.choice([-1, 0, 1, 2], count // 4) + rng.normal(size=count // 4) * 10 ** rng.uniform(-6, 0, count // 4)
    ).astype(dtype)
    x = np.concatenate([raw, ordinary, wide, around])
    x = _usable(name, x)
    if name == "pow":
        return [
            np.abs(x),
            np.concatenate([rng.uniform(-5, 5, len(x) // 2), rng.permutation(x)[: len(x) - len(x) // 2]]).astype(dtype),
        ]
    return [x, rng.permutation(x)] if name in TWO else [x]


def _usable(name: str, x: Any) -> Any:
    """Normal numbers, at which the function is granted anything."""
    usable = np.isfinite(x) & (np.abs(x) >= np.finfo(x.dtype).tiny)
    return x[usable & (x > 0) if name in FROM_ZERO_ON else usable]


def everything(name: str, step: int = 2**24) -> Iterator[list[Any]]:
    """Every normal float32."""
    for start in range(0, 2**32, step):
        x = np.arange(start, start + step, dtype=np.uint64).astype(np.uint32).view(np.float32)
        yield [_usable(name, x)]


def computed(name: str, args: list[Any]) -> Any:
    """The primitive on its own, as eager JAX computes it."""
    with jax.enable_x64(True):
        return np.asarray(getattr(lax, name)(*map(jnp.asarray, args)))


def errors(name: str, args: list[Any]) -> tuple[Any, Any]:
    """|computed − exact| / u and |exact|, in float64; NaN where a function is not defined or not finite."""
    value = computed(name, args)
    if value.dtype == np.float32:
        with np.errstate(all="ignore"):
            exact = EXACT_IN_FLOAT64[name](*[x.astype(np.float64) for x in args])
            fits = np.abs(exact) <= np.finfo(np.float32).max
            return np.where(fits, np.abs(value - exact) * 2.0**24, np.nan), np.abs(exact)
    difference, size = np.full(len(value), np.nan), np.full(len(value), np.nan)
    with flint.ctx.workprec(200):
        function = FUNCTIONS.get(name, arb.atan2)
        for k, (got, *at) in enumerate(zip(value.tolist(), *[x.tolist() for x in args], strict=True)):
            if name in ("sin", "cos", "tan") and abs(at[0]) > 2.0**500:
                continue
            exact = function(*map(arb, at))
            if exact.is_finite() and float(abs(exact)) <= np.finfo(np.float64).max:
                difference[k] = float(abs(arb(got) - exact) * arb(2) ** 53)
                size[k] = float(abs(exact))
    return difference, size


class Worst:
    """The largest errors met so far."""

    def __init__(self, name: str, dtype: Any) -> None:
        self.name, self.dtype, self.count, self.broken = name, np.dtype(dtype), 0, 0
        self.u = 2.0**-24 if self.dtype == np.float32 else 2.0**-53
        self.granted = GRANTED[name][0 if self.dtype == np.float32 else 1]
        self.relative, self.at = 0.0, ()
        self.absolute, self.absolute_at = 0.0, ()
        self.underflow = 0.0

    def update(self, args: list[Any]) -> None:
        difference, size = errors(self.name, args)
        tiny, u = float(np.finfo(self.dtype).tiny), self.u
        self.count += len(difference)
        infinite = np.isinf(difference) | (np.isnan(difference) & np.isfinite(size))
        self.broken += int(infinite.sum())
        difference = np.where(infinite, np.nan, difference)
        normal = size >= (NEAR if self.name in FROM_ZERO_ON else 4 * tiny)
        with np.errstate(all="ignore"):
            scale = size
            if self.granted.argument:  # as much again for an argument off by u
                at = args[0].astype(np.float64)
                scale = size + CHANGES[self.name](at, np.abs(at) * u) / u
            relative = np.where(normal & (scale > 0), difference / scale, 0)
        self._take("relative", "at", relative, args)
        self._take("absolute", "absolute_at", np.where(normal, 0, difference if self.name in FROM_ZERO_ON else 0), args)
        with np.errstate(over="ignore"):
            below = np.where(size < 4 * tiny, np.nan_to_num(difference, nan=0.0) * u / tiny, 0)
        self.underflow = max(self.underflow, float(np.max(below, initial=0)))

    def _take(self, what: str, at: str, values: Any, args: list[Any]) -> None:
        values = np.nan_to_num(values, nan=0.0)
        k = int(np.argmax(values)) if len(values) else -1
        if k >= 0 and values[k] > getattr(self, what):
            setattr(self, what, float(values[k]))
            setattr(self, at, tuple(float(x[k]) for x in args))

    def __str__(self) -> str:
        units, _, absolute = self.granted
        u, tiny = self.u, float(np.finfo(self.dtype).tiny)
        row = f"{self.name:9} {self.dtype!s:8} {self.count:>13,} inputs  {self.relative:9.3g} u at {self.at}"
        row += f"  granted {units:g}" + ("" if 2 * self.relative <= units else "  TOO LITTLE")
        if self.absolute:
            row += f"; near zeros {self.absolute:.3g} u at {self.absolute_at}, granted {absolute / u:g}"
            row += "" if 2 * self.absolute <= absolute / u else "  TOO LITTLE"
        row += f"; {self.broken} not finite" if self.broken else ""
        if self.underflow > 1 + absolute / tiny:
            row += f"; around 0 off by {self.underflow:.2g} times the smallest normal number: TOO LITTLE"
        return row


def main() -> None:
    """Measures, and prints a row a function and dtype."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("functions", nargs="*", default=list(GRANTED))
    parser.add_argument("--exhaustive", action="store_true", help="every float32")
    parser.add_argument(
        "--count", type=int, default=200_000, help="inputs of the sample in float64; ten times as many in float32"
    )
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    for name in options.functions:
        began = time.monotonic()
        single = Worst(name, np.float32)
        for part in (
            everything(name)
            if options.exhaustive and name not in TWO
            else [inputs(name, np.float32, 10 * options.count, rng)]
        ):
            single.update(part)
        print(single, flush=True)
        if not options.exhaustive:
            double = Worst(name, np.float64)
            double.update(inputs(name, np.float64, options.count, rng))
            print(double, f" [{time.monotonic() - began:.0f} s]", flush=True)


if __name__ == "__main__":
    main()
