"""Paths through the domain of a derivation, along which its lines lose their digits: one number runs, labels are held.

A derivation may name its own (`Derivation.paths`). Else, where it differentiates by a single number, that number runs; where
by more, the reals of the first argument are scaled by t, from a few ordinary inputs.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from autodiff_ref.verify.inputs import RandomSource, all_sizes, draw_arguments
from manual_grad.derivation import (
    Bits,
    Classes,
    Derivation,
    Domain,
    Intervals,
    OneHot,
    Positives,
    Reals,
    Signs,
    argument_names,
    field_names,
)

BASES = 3
"""from so many ordinary inputs a path starts, where what does not run along it is real"""

FAR = 1000.0
"""the end of a path of real numbers"""


@dataclass(frozen=True)
class Path:
    """One number runs through `grid`, labels are held; the rest is as in one of a few inputs."""

    along: str
    """what runs: z"""
    given: str
    """what the labels are: y=+1; empty where there are none"""
    grid: tuple[float, ...]
    bases: tuple[Callable[[float], tuple[Any, ...]], ...]
    """the arguments at a number, exact in float32, from each base"""

    @property
    def name(self) -> str:
        """As a report says it: z, y=+1."""
        return ", ".join(part for part in (self.along, self.given) if part)

    def where(self, region: object) -> str:
        """A region of its numbers in words: for z ≥ 708, y=−1."""
        given = f", {self.given}" if self.given else ""
        return f"for {self.along} {region}{given}"


def paths_of(derivation: Derivation, seed: int = 0) -> list[Path]:
    """The paths of a derivation, each for every label; none where no real number can run."""
    named = derivation.paths or {}
    if named:
        return [path for along, at in named.items() for path in _for_labels(derivation, along, REALS, [at])]
    leaves = jax.tree.leaves(derivation.domain)
    own = _own_number(derivation)
    if own is not None:
        k, along = own
        grid = grid_of(leaves[k])
        only_labels = all(isinstance(leaf, Signs | Bits) for j, leaf in enumerate(leaves) if j != k)
        drawn = _ordinary(derivation, seed, 1 if only_labels else BASES)
        return _for_labels(derivation, along, grid, [_with_leaf(base, k) for base in drawn])
    first = range(len(jax.tree.leaves(derivation.domain[0])))
    reals = [k for k in first if isinstance(leaves[k], Reals)]
    if not reals:
        return []
    name = (argument_names(derivation.of) or ["the first argument"])[0]
    drawn = _ordinary(derivation, seed, BASES)
    return _for_labels(derivation, f"t ({name} is scaled by it)", REALS, [_scaled(base, reals) for base in drawn])


# The numbers that run


def _geometric(low: float, high: float, ratio: float = 1.15) -> Iterator[float]:
    value = low
    while value < high:
        yield short(value)
        value *= ratio
    yield high


def short(value: float) -> float:
    """The nearest number of 20 significant bits: exact in float32."""
    mantissa, exponent = np.frexp(value)
    return float(np.ldexp(np.round(np.ldexp(mantissa, 20)), exponent - 20))


_UNDERFLOW = (86.0, 87.0, 88.0, 90.0, 95.0, 104.0, 707.0, 708.0, 709.0, 711.0, 716.0, 746.0)
"""between these e^−t becomes subnormal, and 0: in float32 from 87.3 and 104 on, in float64 from 708.4 and 745"""

_UP = tuple(sorted({*_geometric(0.25, FAR), *_UNDERFLOW}))
REALS = (*(-value for value in reversed(_UP)), 0.0, *_UP)


def grid_of(domain: Domain) -> tuple[float, ...]:
    """The numbers to try, in order."""
    match domain:
        case Intervals(low=low, high=high):
            towards = tuple(_geometric(2.0**-20, 0.5, 1.4))
            share = (*towards, *(1 - s for s in reversed(towards[:-1])))
            return tuple(float(np.float32(low + (high - low) * s)) for s in share)
        case Positives():
            return tuple(_geometric(2.0**-20, FAR, 1.25))
        case _:
            return REALS


# What a path starts from


def _own_number(derivation: Derivation) -> tuple[int, str] | None:
    """Where the single real number is that a derivation differentiates by, and its name."""
    wrt, position = derivation.wrt, 0
    names, fields = argument_names(derivation.of) or [], field_names(derivation.domain[0])
    for k, argument in enumerate(derivation.domain):
        for path, leaf in jax.tree_util.tree_leaves_with_path(argument):
            name = names[k] if k < len(names) else f"argument {k}"
            of_field = bool(path) and k == 0 and wrt in fields and jax.tree_util.keystr(path[:1], simple=True) == wrt
            meant = of_field or (not path and (name == wrt or (wrt is None and k == 0)))
            if meant and leaf.dims == () and isinstance(leaf, Reals | Positives | Intervals):
                return position, str(wrt or name)
            position += 1
    return None


def _ordinary(derivation: Derivation, seed: int, count: int) -> list[tuple[Any, ...]]:
    """Ordinary inputs of one example, where there are labels to tell what an example is."""
    leaves = jax.tree.leaves(derivation.domain)
    sizes = dict(all_sizes(derivation)["main"][0])
    for leaf in leaves:
        if isinstance(leaf, Signs | Bits | Classes | OneHot) and leaf.dims and isinstance(leaf.dims[0], str):
            sizes[leaf.dims[0]] = derivation.sizes.get(leaf.dims[0], (1, 1))[0]
    source = RandomSource(np.random.default_rng(seed))
    return [draw_arguments(derivation.domain, sizes, "ordinary", source) for _ in range(count)]


def _with_leaf(base: tuple[Any, ...], k: int) -> Callable[[float], tuple[Any, ...]]:
    leaves, structure = jax.tree.flatten(base)
    return lambda value: jax.tree.unflatten(structure, [np.asarray(value) if j == k else v for j, v in enumerate(leaves)])


def _scaled(base: tuple[Any, ...], reals: Sequence[int]) -> Callable[[float], tuple[Any, ...]]:
    leaves, structure = jax.tree.flatten(base)
    return lambda t: jax.tree.unflatten(structure, [t * v if j in reals else v for j, v in enumerate(leaves)])


def _for_labels(
    derivation: Derivation, along: str, grid: Sequence[float], bases: Sequence[Callable[[float], tuple[Any, ...]]]
) -> list[Path]:
    """A path for each value of the labels, all of them the same; class numbers stay as they are."""
    leaves = jax.tree.leaves(derivation.domain)
    if any(isinstance(leaf, Signs) for leaf in leaves):
        values, kind = (-1.0, 1.0), Signs
    elif any(isinstance(leaf, Bits) for leaf in leaves):
        values, kind = (0.0, 1.0), Bits
    else:
        return [Path(along, "", tuple(grid), tuple(_rounded(at, {}) for at in bases))]
    held = [k for k, leaf in enumerate(leaves) if isinstance(leaf, kind)]
    names = argument_names(derivation.of) or []
    places = [k for k, argument in enumerate(derivation.domain) if isinstance(argument, kind)]
    name = names[places[0]] if places and places[0] < len(names) else "labels"
    return [
        Path(
            along,
            f"{name}={f'{value:+g}' if kind is Signs else f'{value:g}'}".replace("-", "−"),
            tuple(grid),
            tuple(_rounded(at, dict.fromkeys(held, value)) for at in bases),
        )
        for value in values
    ]


def _rounded(at: Callable[[float], tuple[Any, ...]], held: dict[int, float]) -> Callable[[float], tuple[Any, ...]]:
    """The same arguments with labels held and real numbers rounded to float32."""

    def arguments(value: float) -> tuple[Any, ...]:
        leaves, structure = jax.tree.flatten(at(value))
        arrays = [np.asarray(leaf) for leaf in leaves]
        for k, array in enumerate(arrays):
            if k in held:
                arrays[k] = np.full(array.shape, held[k])
        return exact_in_float32(jax.tree.unflatten(structure, arrays))

    return arguments


def exact_in_float32(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The same arguments with every real number rounded to float32."""

    def rounded(leaf: Any) -> Any:
        array = np.asarray(leaf)
        return array.astype(np.float32).astype(np.float64) if np.issubdtype(array.dtype, np.floating) else array

    return jax.tree.map(rounded, args)
