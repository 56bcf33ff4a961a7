"""The ulps granted to functions: at least twice what the installed JAX and NumPy take of them, in a sample."""

from typing import Any

import flint
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special as sp
from flint import arb
from jax import lax

from autodiff_ref.judge.functions import FUNCTIONS, Ulps

pytestmark = pytest.mark.rounding

GRANTED: dict[str, Ulps] = {name: row.ulps for name, row in FUNCTIONS.items() if row.ulps is not None}
IN_NUMPY = {name: row.numpy for name, row in FUNCTIONS.items() if row.numpy is not None}

SINGLES, DOUBLES = 4_000, 300
"""inputs of a function"""

EXACTLY: dict[str, Any] = {**IN_NUMPY, "erf": sp.erf, "erfc": sp.erfc, "erf_inv": sp.erfinv, "lgamma": sp.gammaln,
                           "digamma": sp.digamma, "bessel_i0e": sp.i0e, "bessel_i1e": sp.i1e}  # fmt: skip
"""the functions in float64, which has 29 bits more than float32"""

OF_NUMPY = [name for name in IN_NUMPY if name not in ("logistic", "rsqrt")]
"""functions that NumPy has itself"""


def sample(name: str, dtype: Any, count: int) -> list[Any]:
    """Numbers over all exponents, of ordinary size, and around 0, ±1 and 2; a second argument for what takes two."""
    rng = np.random.default_rng(0)
    part, bits = count // 4, np.dtype(dtype).itemsize * 8
    x = np.concatenate([
        rng.integers(0, 2**bits, part, dtype=np.uint64).astype(f"uint{bits}").view(dtype),
        rng.uniform(-20, 20, part).astype(dtype),
        (rng.choice([-1, 1], part) * 10 ** rng.uniform(-8, 3, part)).astype(dtype),
        (rng.choice([-1, 0, 1, 2], part) + rng.normal(size=part) * 10 ** rng.uniform(-6, 0, part)).astype(dtype),
    ])  # fmt: skip
    x = x[np.isfinite(x) & (np.abs(x) >= np.finfo(dtype).tiny)]
    x = x[x > FUNCTIONS[name].granted_above]
    if name == "pow":
        return [np.abs(x), rng.uniform(-5, 5, len(x)).astype(dtype)]
    return [x, rng.permutation(x)] if name == "atan2" else [x]


def in_balls(name: str, args: list[Any], value: Any) -> tuple[Any, Any]:
    """|value − exact| and |exact|; NaN where a function is not defined, or where balls would need more bits."""
    off, size = np.full(len(value), np.nan), np.full(len(value), np.nan)
    with flint.ctx.workprec(200):
        function = FUNCTIONS[name].ball
        for k, (got, *at) in enumerate(zip(value.tolist(), *[x.tolist() for x in args], strict=True)):
            exact = arb("nan") if name in ("sin", "cos", "tan") and abs(at[0]) > 2.0**100 else function(*map(arb, at))
            if exact.is_finite() and exact.rel_accuracy_bits() > 80 and float(abs(exact)) <= np.finfo(np.float64).max:
                off[k], size[k] = float(abs(arb(got) - exact)), float(abs(exact))
    return off, size


def worst(name: str, dtype: Any, library: str) -> float:
    """The largest |computed − exact| over the half of what is granted, beyond the smallest normal number."""
    args = sample(name, dtype, SINGLES if dtype == np.float32 else DOUBLES)
    with jax.enable_x64(True), np.errstate(all="ignore"):
        value = np.asarray(getattr(lax, name)(*map(jnp.asarray, args)) if library == "jax" else IN_NUMPY[name](*args))
        assert value.dtype == dtype
        wide = [x.astype(np.float64) for x in args]
        if dtype == np.float32:
            exact = EXACTLY[name](*wide)
            off, size = np.abs(value - exact), np.abs(exact)
        else:
            off, size = in_balls(name, args, value)
        u, (units, argument, absolute) = np.finfo(dtype).eps / 2, GRANTED[name][dtype == np.float64]
        moved = FUNCTIONS[name].change(wide[0], argument * u * np.abs(wide[0])) if argument else 0.0
        allowed = (units * u * size + moved + absolute) / 2 + np.finfo(dtype).tiny
        known = np.isfinite(size) & (size <= (1 - 8 * units * u) * np.finfo(dtype).max)  # else it may round to infinity
        assert known.sum() > len(value) / 5, known.sum()
        return float(np.max(off[known] / allowed[known]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", GRANTED)
def test_at_least_twice_what_jax_takes_is_granted(name: str, dtype: Any) -> None:
    assert worst(name, dtype, "jax") <= 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", OF_NUMPY)
def test_at_least_twice_what_numpy_takes_is_granted(name: str, dtype: Any) -> None:
    assert worst(name, dtype, "numpy") <= 1


@pytest.mark.parametrize("library", ["jax", "numpy"])
def test_too_few_granted_ulps_are_noticed(monkeypatch: pytest.MonkeyPatch, library: str) -> None:
    """A quarter of an ulp: no function is rounded better than to half a one."""
    for name in ("exp", "log", "tanh"):
        single, double = (grant._replace(units=0.25) for grant in GRANTED[name][:2])
        monkeypatch.setitem(GRANTED, name, GRANTED[name]._replace(single=single, double=double))
        assert worst(name, np.float32, library) > 1, name


@pytest.mark.parametrize("name", GRANTED)
def test_at_least_twice_what_the_long_command_measured_is_granted(name: str) -> None:
    """Of its 220,000 inputs, or of every float32; what is installed may differ from what was measured then: see above."""
    single, double, (jax_single, numpy_single, jax_double, numpy_double) = GRANTED[name]
    assert single.units >= 2 * max(jax_single, numpy_single or 0.0) > 0
    assert double.units >= 2 * max(jax_double, numpy_double or 0.0) > 0
