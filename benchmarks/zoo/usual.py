"""Inputs that a user would try: random ones of ordinary size, the same for every checker."""

import zlib
from typing import Any

import jax
import numpy as np

from autodiff_ref.judge.inputs import main_sizes
from manual_grad.domains import Domain
from zoo.specimen import Specimen, as_array

TRIES = 3
"""inputs a specimen, each of which a checker may refuse"""


def usual_inputs(specimen: Specimen) -> list[tuple[Any, ...]]:
    """Drawn from a seed that the name gives."""
    rng = np.random.default_rng(zlib.crc32(specimen.name.encode()))
    if specimen.usual is not None:
        return [tuple(map(as_array, specimen.usual(rng))) for _ in range(TRIES)]
    sizes = main_sizes(specimen.domain, specimen.sizes)[0]
    leaves, structure = jax.tree.flatten(specimen.domain)
    found = [[_drawn(leaf.sized(sizes), rng) for leaf in leaves] for _ in range(TRIES)]
    return [jax.tree.unflatten(structure, drawn) for drawn in found]


def _drawn(leaf: Domain, rng: np.random.Generator) -> Any:
    """One element, as one would write it into a test: normal, uniform, a coin, a die."""
    name, shape = type(leaf).__name__, leaf.dims
    given: Any = leaf
    if name == "Reals":
        return rng.normal(size=shape)
    if name in ("Positives", "Nonnegatives"):
        return rng.uniform(0.5, 2.0, shape)
    if name == "Intervals":
        return rng.uniform(given.low, given.high, shape)
    if name == "SortedReals":
        return np.sort(rng.normal(size=shape))
    if name == "Signs":
        return rng.choice([-1.0, 1.0], shape)
    if name == "Bits":
        return rng.choice([0.0, 1.0], shape)
    if name == "Classes":
        return rng.integers(0, given.k, shape)
    if name == "Integers":
        return rng.integers(given.low, given.high, shape, endpoint=True).astype(float)
    if name == "OneHot":
        return np.eye(shape[-1])[rng.integers(0, shape[-1], shape[:-1])]
    if name == "Simplex":
        return rng.dirichlet(np.ones(shape[-1]), shape[:-1])
    if name == "PositiveDefinite":
        a = rng.normal(size=(shape[0], shape[0]))
        return a @ a.T + np.eye(shape[0])
    if name == "LowerTriangular":
        return np.tril(rng.normal(size=(shape[0], shape[0])), -1) + np.diag(rng.uniform(0.5, 2.0, shape[0]))
    raise NotImplementedError(f"{name}: say what a user would try with usual=")
