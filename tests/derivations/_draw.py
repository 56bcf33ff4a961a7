"""Arguments from a derivation's domain, for checks in floats: sizes pairwise different, values of order 1."""

from typing import Any

import numpy as np

from manual_grad import Derivation
from manual_grad._arrays import map_leaves
from manual_grad.domains.labels import Bits, Classes, Constants, OneHot, Signs
from manual_grad.domains.numbers import Intervals, Positives, Reals


def drawn(derivation: Derivation, sizes: dict[str, int], rng: np.random.Generator) -> tuple[Any, ...]:
    """Random arguments of these sizes, in the derivation's domain, that fulfil its `where`."""
    for _ in range(1000):
        args = tuple(map_leaves(lambda domain: _value(domain, sizes, rng), part) for part in derivation.domain)
        if derivation.where is None or derivation.where(*args):
            return args
    raise ValueError(f"{derivation.name}: no arguments in 1,000 draws that fulfil its `where`")


def drawn_sizes(derivation: Derivation, rng: np.random.Generator) -> dict[str, int]:
    """A size from 2 on for each named dimension, no two the same."""
    sizes: dict[str, int] = {}
    for name in sorted(derivation.dim_names):
        low, high = derivation.sizes.get(name, (2, 6))
        free = [size for size in range(max(low, 2), high + 1) if size not in sizes.values()]
        sizes[name] = int(rng.choice(free))
    return sizes


def _value(domain: Any, sizes: dict[str, int], rng: np.random.Generator) -> Any:
    shape = tuple(sizes.get(dim, dim) for dim in domain.dims)
    match domain:
        case Reals():
            return rng.normal(size=shape)
        case Signs():
            return rng.choice([-1.0, 1.0], size=shape)
        case Bits():
            return rng.choice([0.0, 1.0], size=shape)
        case Intervals(low=low, high=high):
            return rng.uniform(low, high, size=shape)
        case Positives():
            return rng.uniform(0.25, 2.5, size=shape)
        case Classes(k=k):
            return rng.integers(sizes.get(k, k), size=shape)
        case OneHot():
            return np.eye(shape[1])[rng.integers(shape[1], size=shape[0])]
        case Constants(value=value):
            return np.broadcast_to(value, shape)
        case _:
            raise TypeError(f"no way to draw from {domain!r}")
