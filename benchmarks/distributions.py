"""How far SciPy's distributions are from what is meant by them: the rows of `judge/numpy_code/distributions.py`.

    python benchmarks/distributions.py               each method of each distribution: about a minute
    python benchmarks/distributions.py t gamma       some distributions only

The row of a method is traced and evaluated in Arb balls, at quantiles from the middle of the distribution far into its
tails, for several parameters. Printed is where |SciPy − exact| is the largest share of what the judge puts down to rounding,
how many ulps of the exact value that is, and how many inputs were left out, at which one of the two is not finite or too
small. That says two things: whether a row is the function that SciPy computes, and whether SciPy's own rounding could make
the judge call a right gradient wrong.
"""

import argparse
import sys
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from scipy import stats

from autodiff_ref.judge.assertion.computed import coarse
from autodiff_ref.judge.assertion.exactly import floats, settled
from autodiff_ref.judge.balls import BALLS
from autodiff_ref.judge.comparing import evaluator
from autodiff_ref.judge.floats.table import bounded
from autodiff_ref.judge.numpy_code.distributions import DISTRIBUTIONS, METHODS, method_in_jax
from autodiff_ref.judge.program.pairs import where_followed
from autodiff_ref.judge.program.walk import plan_parts

SHAPES: dict[str, list[tuple[float, ...]]] = {
    "t": [(3.0,), (0.7,), (40.0,)],
    "gennorm": [(1.5,), (0.7,)],
    "skewnorm": [(2.0,), (-0.5,)],
    "exponnorm": [(1.5,), (0.3,)],
    "johnsonsu": [(0.5, 1.5)],
    "vonmises": [(0.4,), (12.0,)],
    "genextreme": [(0.3,), (-0.4,)],
    "gamma": [(0.4,), (1.0,), (7.5,), (90.0,)],
    "chi2": [(1.0,), (5.0,)],
    "invgamma": [(2.5,), (0.7,)],
    "lognorm": [(0.5,), (2.0,)],
    "weibull_min": [(0.7,), (2.5,)],
    "fisk": [(0.8,), (3.0,)],
    "f": [(3.0, 7.0)],
    "invgauss": [(0.6,), (3.0,)],
    "lomax": [(1.5,)],
    "genpareto": [(0.3,), (-0.4,)],
    "pareto": [(2.5,)],
    "beta": [(0.6, 0.8), (2.5, 7.0)],
    "powerlaw": [(1.7,)],
    "truncnorm": [(-1.0, 2.0), (0.5, 4.0)],
    "poisson": [(0.3,), (4.5,), (60.0,)],
    "bernoulli": [(0.3,)],
    "binom": [(9.0, 0.3)],
    "nbinom": [(2.5, 0.4)],
    "geom": [(0.2,)],
    "betabinom": [(9.0, 0.7, 2.5)],
}
"""shape parameters; none where a distribution has none"""

COUNT = 120
"""inputs of a method"""


def inputs(distribution: Any, shapes: tuple[float, ...], method: str, rng: np.random.Generator, count: int) -> np.ndarray:
    """Quantiles, in the middle and far in the tails; whole numbers for discrete distributions."""
    tail = 10 ** rng.uniform(-12, -1, count // 4)
    q = np.concatenate([rng.random(count // 2), tail, 1 - tail])
    if method in ("ppf", "isf"):
        return q
    with np.errstate(all="ignore"):
        x = distribution.ppf(q, *shapes)
    return x[np.isfinite(x)]


def programs() -> Iterator[tuple[str, str, tuple[float, ...]]]:
    """Each distribution, method and choice of parameters."""
    for name, row in DISTRIBUTIONS.items():
        for method in METHODS:
            if row.standard(method) is None or method in (("pdf", "logpdf") if row.is_discrete else ("pmf", "logpmf")):
                continue
            for shapes in SHAPES.get(name, [()]):
                yield name, method, shapes


def measure(
    name: str, method: str, shapes: tuple[float, ...], rng: np.random.Generator, *, count: int = COUNT
) -> tuple[float, float, float, int]:
    """(largest error as a share of what the judge puts down to rounding, in ulps, where, how many inputs were left out)"""
    distribution = getattr(stats, name)
    x = inputs(distribution, shapes, method, rng, count)
    with np.errstate(all="ignore"):
        theirs = getattr(distribution, method)(x, *shapes)
    f = method_in_jax(distribution, method)
    assert f is not None
    given = [x, *[np.full(len(x), shape) for shape in shapes]]
    with jax.enable_x64(True):
        closed = where_followed(jax.make_jaxpr(lambda *values: f(*values))(*given))
    (plan,) = plan_parts(closed, BALLS, [1], labels=[True] * len(given))
    value = evaluator(plan, tuple(given))
    at = settled(value)
    if at is None:
        return 0.0, np.nan, np.nan, len(x)
    exact, radius = floats(at)
    usable = np.isfinite(exact) & (np.abs(exact) > 1e-300) & np.isfinite(theirs)
    try:
        bound = bounded(closed)(*[each[None] for each in given])[0].error[0]
    except NotImplementedError:
        bound = np.zeros(len(x))
    with np.errstate(all="ignore"):
        gap = np.where(usable, np.abs(theirs - exact), 0.0)
        known = np.maximum(coarse(value, np.float64)(), np.where(np.isfinite(bound), bound, 0.0))
        share = np.nan_to_num(gap / (known + radius + 8 * np.spacing(np.abs(exact))), nan=0.0)
        ulps = np.nan_to_num(gap / np.spacing(np.abs(exact)), nan=0.0)
    worst = int(np.argmax(share))
    return float(share[worst]), float(ulps[worst]), float(x[worst]), int(np.sum(~usable))


def main() -> None:
    """Prints a row for each method."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("distributions", nargs="*")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng, refused = np.random.default_rng(options.seed), 0
    for name, method, shapes in programs():
        if options.distributions and name not in options.distributions:
            continue
        share, ulps, at, left_out = measure(name, method, shapes, rng)
        refused += share > 1
        said = "  MORE THAN ROUNDING" if share > 1 else ""
        print(
            f"{name:12} {method:7} {shapes!s:14} {share:8.2g} of what is allowed, {ulps:8.2g} ulps at {at:<12.6g} "
            f"{left_out:3} left out{said}",
            flush=True,
        )
    print(f"{refused} methods off by more than rounding explains")
    sys.exit(1 if refused else 0)


if __name__ == "__main__":
    main()
