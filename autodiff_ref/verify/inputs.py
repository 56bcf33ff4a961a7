"""Inputs from a domain, made by construction in strata: ordinary ones, saturated ones, n = 1, zeros and so on.

One sampler serves two sources of integers: NumPy's generator for sweeps, Hypothesis for tests (`strategies`).
Every value is a short dyadic number times a scale, exact in float32 too.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import jax
import numpy as np

from autodiff_ref.verify.errors import fulfils
from manual_grad.derivation import (
    Bits,
    Classes,
    Constants,
    Derivation,
    Dim,
    Domain,
    Intervals,
    OneHot,
    Positives,
    Reals,
    Signs,
)

Values = Any
"""A NumPy array."""

Sizes = Mapping[str, int]
"""What the named dimensions of a domain are."""

STRATA = {
    "ordinary": "values whose products over the last axis stay below 5, and both labels",
    "small": "the first argument, or one other, about 1e-3 of ordinary",
    "saturated": "the first argument, or one other, 4 to 24 times ordinary: σ within e^-5 … e^-100 of its limits",
    "far": "the first argument, or one other, 50 to 200 times ordinary, up to 1e3",
    "one label": "all labels the same",
    "equal": "arrays of one shape in the first argument equal",
    "zeros": "some arrays or entries exactly 0",
}


class Source(Protocol):
    """Where the numbers of an input come from."""

    def integers(self, low: int, high: int, shape: tuple[int, ...]) -> Values:
        """Integers low, …, high in an array."""
        ...

    def units(self, shape: tuple[int, ...]) -> Values:
        """Short dyadic numbers from −1 to 1 in an array."""
        ...

    def place(self, count: int) -> Callable[[], int]:
        """One of so many places, if it is asked for."""
        ...


class RandomSource:
    """Pseudo-random integers: for sweeps."""

    RESOLUTION = 2**20

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng

    def integers(self, low: int, high: int, shape: tuple[int, ...]) -> Values:
        """Integers low, …, high in an array, equally likely."""
        return self._rng.integers(low, high, shape, endpoint=True)

    def units(self, shape: tuple[int, ...]) -> Values:
        """k/2^20 in an array, equally likely."""
        return self.integers(-self.RESOLUTION, self.RESOLUTION, shape) / self.RESOLUTION

    def place(self, count: int) -> Callable[[], int]:
        """One of so many places, drawn when it is asked for."""
        return lambda: int(self.integers(0, count - 1, ()))


@dataclass(frozen=True)
class Input:
    """Arguments for a derivation's lines, and how they came about."""

    stratum: str
    args: tuple[Any, ...]
    """NumPy arrays in the structure of the domain: float64, labels too; class numbers int64"""
    main: bool = True
    """whether its named dimensions have the main sizes, and none is 1"""


class NoInputError(Exception):
    """Nothing that was drawn from the domain fulfils the derivation's `where`."""


def draw_arguments(domain: tuple[Any, ...], sizes: Sizes, stratum: str, source: Source) -> tuple[Any, ...]:
    """One input of a stratum: NumPy arrays in the structure of the domain."""
    leaves, structure = jax.tree.flatten(domain)
    first = len(jax.tree.leaves(domain[0]))
    real = [k for k, leaf in enumerate(leaves) if isinstance(leaf, Reals | Positives | Intervals)]
    scaled = _scaled_leaves(real, first, source)
    arrays = [np.array(_draw_leaf(leaf, sizes, stratum, k in scaled, source)) for k, leaf in enumerate(leaves)]
    free = [k for k in real if isinstance(leaves[k], Reals)]
    if stratum == "equal":
        for k in free:
            twins = [j for j in free if j < k < first and arrays[j].shape == arrays[k].shape]
            if twins:
                arrays[k] = arrays[twins[0]].copy()
    if stratum == "zeros" and free:
        _put_zeros([arrays[k] for k in free], source)
    return jax.tree.unflatten(structure, arrays)


def _scaled_leaves(real: list[int], first: int, source: Source) -> list[int]:
    """Which leaves a stratum's scale applies to: in two of three inputs the first argument's, else one of any."""
    of_first = [k for k in real if k < first]
    if not real or (of_first and int(source.integers(0, 2, ())) < 2):
        return of_first
    return [real[int(source.integers(0, len(real) - 1, ()))]]


def _draw_leaf(leaf: Domain, sizes: Sizes, stratum: str, scaled: bool, source: Source) -> Values:
    shape = tuple(size_of(dim, sizes) for dim in leaf.dims)
    match leaf:
        case Constants(value=value):
            return np.broadcast_to(np.asarray(value, dtype=np.float64), shape)
        case Signs():
            return 2.0 * _draw_bits(shape, stratum, source) - 1.0
        case Bits():
            return _draw_bits(shape, stratum, source)
        case Classes(k=k):
            return _draw_classes(shape, size_of(k, sizes), stratum, source)
        case OneHot():
            return np.eye(shape[-1])[_draw_classes(shape[:1], shape[-1], stratum, source)]
        case Intervals(low=low, high=high):
            return _draw_between(low, high, shape, stratum, source)
        case Positives():
            return 2.0 ** (2 * np.asarray(source.units(shape))) * (_scale(stratum, source) if scaled else 1.0)
        case _:
            return np.asarray(source.units(shape)) * ordinary_bound(shape) * (_scale(stratum, source) if scaled else 1.0)


def ordinary_bound(shape: tuple[int, ...]) -> float:
    """The largest entry, to 1/8, with which two arrays multiplied and summed over the last axis stay below 5."""
    if not shape:
        return 4.0
    most = np.sqrt(5 / shape[-1])
    return float(np.floor(8 * most) / 8 if most >= 0.125 else 2.0 ** np.floor(np.log2(most)))


def stratum_scale(stratum: str) -> tuple[int, int]:
    """The smallest and largest multiple of ordinary values; a small one is that of 2^-10."""
    return {"saturated": (4, 24), "far": (50, 200)}.get(stratum, (1, 1))


def _scale(stratum: str, source: Source) -> float:
    low, high = stratum_scale(stratum)
    return int(source.integers(low, high, ())) * (2.0**-10 if stratum == "small" else 1.0)


def _draw_between(low: float, high: float, shape: tuple[int, ...], stratum: str, source: Source) -> Values:
    share = (1 + np.asarray(source.units(shape))) / 2
    if stratum in ("saturated", "far"):
        share = np.where(share < 0.5, share**8, 1 - (1 - share) ** 8)
    margin = 2.0**-20 if stratum == "far" else 2.0**-6
    return low + (high - low) * (margin + (1 - 2 * margin) * share)


def _draw_bits(shape: tuple[int, ...], stratum: str, source: Source) -> Values:
    bits = np.asarray(source.integers(0, 1, shape), dtype=np.float64)
    if stratum == "one label":
        return np.full(shape, bits.flat[0])
    if bits.size >= 2:
        other = source.place(bits.size)
        if bits.min() == bits.max():
            bits.flat[other()] = 1 - bits.flat[0]
    return bits


def _draw_classes(shape: tuple[int, ...], k: int, stratum: str, source: Source) -> Values:
    numbers = np.asarray(source.integers(0, k - 1, shape), dtype=np.int64)
    return np.full(shape, numbers.flat[0]) if stratum == "one label" else numbers


def _put_zeros(arrays: list[Values], source: Source) -> None:
    """Sets one array to 0 throughout, and about a third of the entries of all."""
    for array in arrays:
        array[np.asarray(source.integers(0, 2, array.shape)) == 0] = 0.0
    arrays[int(source.integers(0, len(arrays) - 1, ()))][...] = 0.0


def size_of(dim: Dim, sizes: Sizes) -> int:
    """What a dimension is."""
    return sizes[dim] if isinstance(dim, str) else dim


def dimension_names(domain: tuple[Any, ...]) -> list[str]:
    """The named dimensions of a domain, in the order they appear in."""
    return list(dict.fromkeys(dim for dim in _dims(domain) if isinstance(dim, str)))


def _dims(domain: tuple[Any, ...]) -> Iterator[Dim]:
    for leaf in jax.tree.leaves(domain):
        yield from leaf.dims
        if isinstance(leaf, Classes):
            yield leaf.k


def main_sizes(domain: tuple[Any, ...], limits: Mapping[str, tuple[int, int]]) -> list[Sizes]:
    """Two choices of sizes ≥ 2, pairwise different and different from fixed dimensions as far as the limits allow.

    Equal sizes hide a transposed index, a size of 1 hides a mean for a sum, and one size for all inputs hides a 3 for it.
    """
    names, fixed = dimension_names(domain), {dim for dim in _dims(domain) if isinstance(dim, int)}
    first = _different_sizes(names, fixed, limits, {})
    return [first, _different_sizes(names[::-1], fixed, limits, first)] if names else [first]


def _different_sizes(names: list[str], fixed: set[int], limits: Mapping[str, tuple[int, int]], other: Sizes) -> Sizes:
    taken, sizes = set(fixed), dict[str, int]()
    for name in names:
        low, high = limits.get(name, (2, 12))
        wanted = range(max(low, 3), high + 1) or range(max(low, 2), high + 1) or [low]
        free = [size for size in wanted if size not in taken] or [*wanted]
        others = (size for size in (*free, *range(max(low, 2), high + 1)) if size != other.get(name))
        sizes[name] = next(others, free[0])
        taken.add(sizes[name])
    return sizes


def all_sizes(derivation: Derivation) -> dict[str, list[Sizes]]:
    """The sizes to try, by stratum: the main ones, each named dimension at 1, and all of them at 1."""
    domain, limits = derivation.domain, derivation.sizes
    main = main_sizes(domain, limits)
    found = {"main": main}
    single = [name for name in dimension_names(domain) if limits.get(name, (1, 1))[0] == 1]
    for name in single:
        found[f"{name}=1"] = [{**main[0], name: 1}]
    if len(single) > 1:
        found["all=1"] = [{**main[0], **dict.fromkeys(single, 1)}]
    return found


def sweep(derivation: Derivation, *, seed: int, at_least: int = 64) -> list[Input]:
    """Inputs over all strata, at least so many, reproducible from the seed.

    Raises:
        NoInputError: no input that was drawn fulfils the derivation's `where`.
        LineError: that raises.
    """
    source = RandomSource(np.random.default_rng(seed))
    plan = _plan(derivation, at_least)
    inputs = [Input(name, args, "=1" not in name) for name, stratum, sizes in plan for args in _draw_where(derivation, stratum, sizes, source)]
    if not inputs:
        raise NoInputError(f"none of {len(plan)} × {TRIES} inputs drawn from the domain fulfils `where`")
    return inputs


def further(derivation: Derivation, *, seed: int) -> Iterator[Input]:
    """More ordinary inputs of the main sizes, without end unless `where` refuses too many; reproducible from the seed."""
    source = RandomSource(np.random.default_rng([seed, 7]))
    main = main_sizes(derivation.domain, derivation.sizes)
    refused = k = 0
    while refused < 5:
        drawn = list(_draw_where(derivation, "ordinary", main[k % len(main)], source))
        refused, k = (0 if drawn else refused + 1), k + 1
        yield from (Input("ordinary", args) for args in drawn)


TRIES = 50
"""How often an input is drawn again until it fulfils `where`."""


def _draw_where(derivation: Derivation, stratum: str, sizes: Sizes, source: Source) -> Iterator[tuple[Any, ...]]:
    """One input that fulfils the derivation's `where`, or none."""
    for _ in range(TRIES):
        args = draw_arguments(derivation.domain, sizes, stratum, source)
        if derivation.where is None or fulfils(derivation.where, "`where`", derivation, args):
            yield args
            return


def _plan(derivation: Derivation, at_least: int) -> list[tuple[str, str, Sizes]]:
    """(name in the report, stratum, sizes) of each input to be drawn."""
    by_name = all_sizes(derivation)
    main = by_name.pop("main")
    plan = [(s, s, main[k % len(main)]) for s in strata_of(derivation) for k in range(6)]
    plan += [(name, stratum, sizes[0]) for name, sizes in by_name.items() for stratum in _AT_SIZE_ONE]
    missing = max(0, at_least - len(plan))
    return plan + [("ordinary", "ordinary", main[k % len(main)]) for k in range(missing)]


def strata_of(derivation: Derivation) -> list[str]:
    """The strata that differ from "ordinary" for a domain."""
    leaves = jax.tree.leaves(derivation.domain)
    has_labels = any(isinstance(leaf, Signs | Bits | Classes | OneHot) for leaf in leaves)
    of_first = [leaf.dims for leaf in jax.tree.leaves(derivation.domain[0]) if isinstance(leaf, Reals)]
    has_twins = len(set(of_first)) < len(of_first)
    applies = {"one label": has_labels, "equal": has_twins}
    return [stratum for stratum in STRATA if applies.get(stratum, True)]


_AT_SIZE_ONE = ("ordinary", "ordinary", "small", "saturated", "far", "zeros")
