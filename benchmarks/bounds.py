"""Rounding bounds against balls, far out: at arguments of any size, of which sums may have lost any part, in several orders.

    python benchmarks/bounds.py                          500 inputs a primitive and dtype: seconds
    python benchmarks/bounds.py --count 20000 --seed 1   minutes
    python benchmarks/bounds.py exp prod                 some only

An argument is x = b + c, computed as (a + b) − a + c, so that its error is anything from an ulp of it to all of it; and as
b + c, as another order would. Sums and products are taken as they are, and by joining two parts at random, subnormal ones
flushed to zero or not. Printed: how often an error is finite, the largest |computed − exact| / error over both orders, and
how often it is more than 1: never, where the bounds are sound. It ends with 1 if they are not.
"""

import argparse
import itertools
import sys
from collections.abc import Callable
from functools import reduce
from operator import add, mul
from typing import Any

import flint
import jax
import jax.numpy as jnp
import numpy as np
from flint import arb
from jax import lax

from autodiff_ref.judge.floats.table import bounded
from autodiff_ref.judge.functions import FUNCTIONS

BITS = 2200
"""so that a sum of floats is exact"""

TERMS = 6

ENTRYWISE: dict[str, tuple[Callable[..., Any], Callable[..., Any], int]] = {
    **{name: (getattr(lax, name), row.ball, 1) for name, row in FUNCTIONS.items() if row.change is not None},
    **{f"x^{n}": (lambda x, n=n: lax.integer_pow(x, n), lambda x, n=n: x**n, 1)
       for n in (-5, -2, -1, 2, 3, 7)},
    "div": (lax.div, lambda x, y: x / y, 2),
    "mul": (lax.mul, mul, 2),
    "sub": (lax.sub, lambda x, y: x - y, 2),
    "pow": (lax.pow, FUNCTIONS["pow"].ball, 2),
    "atan2": (lax.atan2, arb.atan2, 2),
}  # fmt: skip
"""a primitive, the same in balls, and how many arguments it takes"""

JOINED: dict[str, tuple[Callable[..., Any], Callable[[Any, Any], Any], bool]] = {
    "sum": (jnp.sum, add, False), "prod": (jnp.prod, mul, False),
    "cumsum": (jnp.cumsum, add, True), "cumprod": (jnp.cumprod, mul, True),
}  # fmt: skip
"""what joins numbers, how two are joined, and whether each first part of them is an output"""


def sizes(count: Any, dtype: Any, rng: np.random.Generator) -> Any:
    """Numbers of any size, of ordinary size, and near 1."""
    largest = np.log2(float(np.finfo(dtype).max))
    kind = rng.integers(0, 3, count)
    exponents = np.select(
        [kind == 0, kind == 1], [rng.uniform(2 - largest, largest - 4, count), rng.uniform(-10, 12, count)]
    )
    return rng.choice([-1, 1], count) * 2.0 ** (exponents + rng.uniform(0, 1e-3, count))


def normal(x: Any, dtype: Any) -> Any:
    """In a dtype: no subnormal number, and none within 8 of overflow."""
    info = np.finfo(dtype)
    return np.where(np.abs(x) < 4 * float(info.tiny), 0, np.clip(x, -float(info.max) / 8, float(info.max) / 8)).astype(dtype)


def eagerly(f: Callable[..., Any], args: list[Any]) -> Any:
    """f in JAX, one primitive after the other."""
    with jax.enable_x64(True), jax.disable_jit():
        return np.asarray(f(*map(jnp.asarray, args)))


def bounds_of(f: Callable[..., Any], args: list[Any]) -> Any:
    """The values of f and their errors, for rows of arguments."""
    with jax.enable_x64(True):
        closed = jax.make_jaxpr(f)(*[x[0] for x in args])
    return bounded(closed)(*args)[0]


def ratio(value: float, error: float, exact: Any) -> float:
    """|value − exact| / error, 0 where nothing is known or exact."""
    if not error < np.inf or not exact.is_finite():
        return 0.0
    distance = float(abs(arb(value) - exact).abs_lower()) if np.isfinite(value) else np.inf
    return distance / error if error else np.inf if distance else 0.0


def entrywise(name: str, dtype: Any, count: int, rng: np.random.Generator) -> tuple[float, list[float]]:
    """The share of finite errors, and all ratios."""
    f, exactly, arity = ENTRYWISE[name]
    args: list[Any] = []
    for _ in range(arity):
        c = sizes(count, dtype, rng)
        with np.errstate(over="ignore"):
            b = c * 2.0 ** rng.uniform(-60, 2, count) * rng.choice([-1, 1], count)
            a = np.abs(b) / np.finfo(dtype).eps * 2.0 ** rng.uniform(-3, 3, count)
        args += [normal(x, dtype) for x in (a, b, c)]
    triples = range(0, 3 * arity, 3)
    value, error = bounds_of(
        lambda *x: f(*[((x[k] + x[k + 1]) - x[k]) + x[k + 2] for k in triples]), [x[:, None] for x in args]
    )
    with np.errstate(all="ignore"):
        other = eagerly(lambda *x: f(*[x[k + 1] + x[k + 2] for k in triples]), args)
    ratios: list[float] = []
    with flint.ctx.workprec(400):
        for i in range(count):
            at = [arb(float(args[k + 1][i])) + arb(float(args[k + 2][i])) for k in triples]
            if name in ("sin", "cos", "tan") and abs(at[0]) > 2.0**120:
                continue
            exact = exactly(*at)
            ratios += [ratio(float(made), float(error[i, 0]), exact) for made in (value[i, 0], other[i])]
    return float(np.mean(error < np.inf)), ratios


def at_random(parts: list[Any], join: Callable[[Any, Any], Any], rng: np.random.Generator) -> Any:
    """All joined, two at a time."""
    parts = list(parts)
    while len(parts) > 1:
        x, y = (parts.pop(int(rng.integers(len(parts)))) for _ in range(2))
        made = join(x, y)
        parts.append(made * 0 if abs(made) < np.finfo(made.dtype).tiny and rng.random() < 0.8 else made)
    return parts[0]


def joined(name: str, dtype: Any, count: int, rng: np.random.Generator) -> tuple[float, list[float]]:
    """The share of finite errors, and all ratios."""
    f, join, is_cumulative = JOINED[name]
    x = sizes((count, TERMS), dtype, rng)
    x[rng.random(x.shape) < 0.05] = 0
    x[::3, 1] = -x[::3, 0]
    x = normal(x, dtype)
    value, error = (part.reshape(count, -1) for part in bounds_of(f, [x]))
    ratios: list[float] = []
    with np.errstate(all="ignore"), flint.ctx.workprec(BITS):
        for row, values, errors in zip(x, value, error, strict=True):
            exact = list(itertools.accumulate([arb(float(term)) for term in row], join))
            lengths = range(1, TERMS + 1) if is_cumulative else [TERMS]
            for length, made, e in zip(lengths, values, errors, strict=True):
                others = [at_random(list(row[:length]), join, rng) for _ in range(4)]
                ratios += [ratio(float(each), float(e), exact[length - 1]) for each in (made, *others)]
    return float(np.mean(error < np.inf)), ratios


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=[*ENTRYWISE, *JOINED])
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    beyond = 0
    for name, dtype in itertools.product(options.names, (np.float32, np.float64)):
        rng = np.random.default_rng(options.seed)
        known, ratios = (joined if name in JOINED else entrywise)(name, dtype, options.count, rng)
        too_far = sum(each > 1 for each in ratios)
        beyond += too_far
        row = f"{name:10} {np.dtype(dtype).name:8} {len(ratios):8,} values, errors finite {known:4.0%}"
        print(f"{row}, largest share of the error {reduce(max, ratios, 0.0):.3f}, {too_far} beyond", flush=True)
    sys.exit(beyond > 0)


if __name__ == "__main__":
    main()
