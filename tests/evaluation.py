"""Running formulas in NumPy or JAX, in float32 or float64, and inputs by the hundred for the tests that need a sweep."""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from autodiff_ref.verify.inputs import RandomSource, draw_arguments
from manual_grad import Weights, notes

DTYPES = [np.float32, np.float64]
WRT = ("w11", "w12", "w21")
DERIVATIONS = {"w11": notes.W11, "w12": notes.W12, "w21": notes.W21}

Args = tuple[Any, Any, Any]


def as_dtype(args: Any, dtype: Any) -> Any:
    """NumPy arrays of that dtype; the strategies' values are exact in both."""
    return jax.tree.map(lambda leaf: np.asarray(leaf, dtype=dtype), args)


@cache
def _jitted(f: Callable[..., Any]) -> Callable[..., Any]:
    return jax.jit(f)


def in_jax(f: Callable[..., Any], args: Any, dtype: Any, jit: bool = True) -> Any:
    """f(*args) under JAX in `dtype`, as NumPy arrays; compiled once a function, shape and dtype."""
    with jax.enable_x64(dtype == np.float64):
        arrays = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype=dtype), args)
        return jax.tree.map(np.asarray, (_jitted(f) if jit else f)(*arrays))


def many(count: int, n: int, d: int, largest: float = 8.0, seed: int = 0) -> Iterator[Args]:
    """Ordinary inputs, stretched until Σ_k |w_k x_ik| and Σ_j |w21_j| reach up to `largest`."""
    rng = np.random.default_rng(seed)
    source = RandomSource(rng)
    for _ in range(count):
        w, x, y = draw_arguments(notes.DOMAIN, {"n": n, "d": d}, "ordinary", source)
        stretch = [rng.uniform(0.2, 1) * largest / most for most in (5, 5, 3)]
        w = Weights(*(vector * factor for vector, factor in zip(w, stretch, strict=True)))
        yield as_dtype(as_dtype((w, x, y), np.float32), np.float64)  # exact in both


def stacked(inputs: list[Args]) -> Any:
    """One batch of inputs of one shape, to be mapped over by `jax.vmap`."""
    return jax.tree.map(lambda *leaves: np.stack(leaves), *inputs)
