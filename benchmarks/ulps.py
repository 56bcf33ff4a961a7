"""How accurate JAX's and NumPy's functions are here: the source of `ulps` in the rows of `judge/functions/`.

    python benchmarks/ulps.py                    a sample of each function, float32 and float64: some minutes
    python benchmarks/ulps.py --exhaustive       every normal float32, one function after the other: about 3 minutes each
    python benchmarks/ulps.py --library numpy    NumPy's own, where it has it: NumPy code is held to the same bounds
    python benchmarks/ulps.py exp tanh           some functions only

Printed for each function and dtype: the largest |computed − exact| / (u |exact|) over results that are normal numbers, or
(u |exact| + what an argument off by u makes) where `Granted.argument` is used. Where a function has zeros besides x = 0,
that is over results of size 1 and more, with the largest |computed − exact| / u below that size next to it. Then where
these were met. Exact means: for float64, Arb balls of 200 bits; for float32, float64 functions of NumPy and SciPy, with 29
bits more, and balls again for the inputs that look worst: what is printed is what balls say of those.
"""

import argparse
import heapq
import sys
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

from autodiff_ref.judge.functions import FUNCTIONS

GRANTED = {name: row.ulps for name, row in FUNCTIONS.items() if row.ulps is not None}
IN_NUMPY = {name: row.numpy for name, row in FUNCTIONS.items() if row.numpy is not None}
FROM_ZERO_ON = [name for name, row in FUNCTIONS.items() if row.granted_above == 0]

EXACT_IN_FLOAT64: dict[str, Callable[..., Any]] = {
    **IN_NUMPY,
    "logistic": lambda x: np.where(x < 0, np.exp(x) / (1 + np.exp(x)), 1 / (1 + np.exp(-x))),
    "erf": sp.erf,
    "erfc": sp.erfc,
    "erf_inv": sp.erfinv,
    "lgamma": sp.gammaln,
    "digamma": sp.digamma,
    "bessel_i0e": sp.i0e,
    "bessel_i1e": sp.i1e,
}
"""the same functions in float64"""

OF_NUMPY = {name: function for name, function in IN_NUMPY.items() if name not in ("logistic", "rsqrt")}
"""functions that NumPy has itself"""

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


STEP = 2**22
"""float32 numbers in a part"""


def everything(name: str) -> Iterator[list[Any]]:
    """Every normal float32."""
    for start in range(0, 2**32, STEP):
        x = np.arange(start, start + STEP, dtype=np.uint64).astype(np.uint32).view(np.float32)
        yield [_usable(name, x)]


def computed(name: str, args: list[Any], library: str) -> Any:
    """The primitive on its own, as eager JAX computes it; or NumPy's function."""
    if library == "numpy":
        with np.errstate(all="ignore"):
            return OF_NUMPY[name](*args)
    with jax.enable_x64(True):
        return np.asarray(getattr(lax, name)(*map(jnp.asarray, args)))


def errors(name: str, args: list[Any], library: str) -> tuple[Any, Any]:
    """|computed − exact| / u and |exact|, in float64; NaN where a function is not defined or not finite."""
    value = computed(name, args, library)
    if value.dtype == np.float32:
        with np.errstate(all="ignore"):
            exact = EXACT_IN_FLOAT64[name](*[x.astype(np.float64) for x in args])
            fits = np.abs(exact) <= np.finfo(np.float32).max
            return np.where(fits, np.abs(value - exact) * 2.0**24, np.nan), np.where(fits, np.abs(exact), np.nan)
    return in_balls(name, args, value)


def in_balls(name: str, args: list[Any], value: Any) -> tuple[Any, Any]:
    """|value − exact| / u, of value's own u, and |exact|, from balls."""
    u, largest = float(np.finfo(value.dtype).eps) / 2, float(np.finfo(value.dtype).max)
    difference, size = np.full(len(value), np.nan), np.full(len(value), np.nan)
    with flint.ctx.workprec(200):
        function = FUNCTIONS[name].ball
        for k, (got, *at) in enumerate(zip(value.tolist(), *[x.tolist() for x in args], strict=True)):
            if name in ("sin", "cos", "tan") and abs(at[0]) > 2.0**500:
                continue
            exact = function(*map(arb, at))
            if exact.is_finite() and exact.rel_accuracy_bits() > 80 and float(abs(exact)) <= largest:
                difference[k] = float(abs(arb(got) - exact) / arb(u))
                size[k] = float(abs(exact))
    return difference, size


ASKED = 32
"""of the inputs that look worst in float32, how many are shown to the balls"""


class Worst:
    """The largest errors met so far."""

    def __init__(self, name: str, dtype: Any, library: str = "jax") -> None:
        self.name, self.dtype, self.library = name, np.dtype(dtype), library
        self.count = self.broken = 0
        self.u, self.tiny = float(np.finfo(dtype).eps) / 2, float(np.finfo(dtype).tiny)
        self.granted = GRANTED[name][0 if self.dtype == np.float32 else 1]
        self.relative: list[tuple[float, tuple[float, ...]]] = []
        self.absolute: list[tuple[float, tuple[float, ...]]] = []
        """near zeros of the function"""
        self.underflow = 0.0

    def update(self, args: list[Any]) -> None:
        """Takes in some inputs."""
        difference, size = errors(self.name, args, self.library)
        self.count += len(difference)
        infinite = np.isinf(difference) | (np.isnan(difference) & np.isfinite(size))
        self.broken += int(infinite.sum())
        relative, absolute = self._kinds(np.where(infinite, np.nan, difference), size, args)
        self._take(self.relative, relative, args)
        self._take(self.absolute, absolute, args)
        with np.errstate(over="ignore"):
            below = np.where(size < 4 * self.tiny, np.nan_to_num(difference, nan=0.0) * self.u / self.tiny, 0)
        self.underflow = max(self.underflow, float(np.max(below, initial=0)))

    def _kinds(self, difference: Any, size: Any, args: list[Any]) -> tuple[Any, Any]:
        """Errors relative to the value, and, where a function has zeros, absolute ones below 1."""
        near = self.name in FROM_ZERO_ON
        normal = size >= (NEAR if near else 4 * self.tiny)
        with np.errstate(all="ignore"):
            scale = size
            if self.granted.argument:  # as much again for an argument off by u
                at = args[0].astype(np.float64)
                scale = size + FUNCTIONS[self.name].change(at, np.abs(at) * self.u) / self.u
            relative = np.where(normal & (scale > 0), difference / scale, 0)
        return np.nan_to_num(relative, nan=0.0), np.nan_to_num(np.where(normal, 0, difference if near else 0), nan=0.0)

    def _take(self, kept: list[tuple[float, tuple[float, ...]]], values: Any, args: list[Any]) -> None:
        """Keeps the worst: a few of each part, so that one region does not crowd out the others."""
        few = np.argpartition(values, -min(4, len(values)))[-4:] if len(values) else []
        kept += [(float(values[k]), tuple(float(x[k]) for x in args)) for k in few if values[k] > 0]
        kept[:] = heapq.nlargest(ASKED, kept)

    def settle(self) -> None:
        """In float32, what looked worst is measured again, in balls."""
        if self.dtype == np.float32:
            for place, kept in enumerate((self.relative, self.absolute)):
                if kept:
                    args = [np.array(column, self.dtype) for column in zip(*[at for _, at in kept], strict=True)]
                    found = in_balls(self.name, args, computed(self.name, args, self.library))
                    values = self._kinds(*found, args)[place]
                    kept[:] = sorted(zip(values.tolist(), [at for _, at in kept], strict=True), reverse=True)

    def __str__(self) -> str:
        units, _, absolute = self.granted
        worst, at = self.relative[0] if self.relative else (0.0, ())
        row = f"{self.name:9} {self.library:5} {self.dtype!s:8} {self.count:>13,} inputs  {worst:9.3g} u at {at}"
        row += f"  granted {units:g}" + ("" if 2 * worst <= units else "  TOO LITTLE")
        if self.absolute:
            near, near_at = self.absolute[0]
            row += f"; near zeros {near:.3g} u at {near_at}, granted {absolute / self.u:g}"
            row += "" if 2 * near <= absolute / self.u else "  TOO LITTLE"
        row += f"; {self.broken} not finite" if self.broken else ""
        if self.underflow > 1 + absolute / self.tiny:
            row += f"; around 0 off by {self.underflow:.2g} times the smallest normal number: TOO LITTLE"
        return row


def measured(name: str, dtype: Any, library: str, parts: Iterator[list[Any]], *, of: int) -> Worst:
    """The worst of all parts; says on stderr how far it is."""
    worst, began, said = Worst(name, dtype, library), time.monotonic(), time.monotonic()
    for done, part in enumerate(parts, 1):
        worst.update(part)
        if time.monotonic() - said > 10:
            said = time.monotonic()
            left = (said - began) / done * (of - done)
            print(f"  {name}: {done} of {of} parts, {left:.0f} s left; so far {worst}", file=sys.stderr, flush=True)
    worst.settle()
    return worst


def main() -> None:
    """Measures, and prints a row a function and dtype."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("functions", nargs="*", default=list(GRANTED))
    parser.add_argument("--exhaustive", action="store_true", help="every float32")
    parser.add_argument("--library", choices=["jax", "numpy"], default="jax")
    parser.add_argument(
        "--count", type=int, default=200_000, help="inputs of the sample in float64; ten times as many in float32"
    )
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    for name in options.functions:
        if options.library == "numpy" and name not in OF_NUMPY:
            continue
        began = time.monotonic()
        if options.exhaustive and name not in TWO:
            print(measured(name, np.float32, options.library, everything(name), of=2**32 // STEP), flush=True)
            continue
        for dtype, count in ((np.float32, 10 * options.count), (np.float64, options.count)):
            print(measured(name, dtype, options.library, iter([inputs(name, dtype, count, rng)]), of=1), flush=True)
        print(f"  {name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
