"""Inputs from a domain, made by construction in strata: ordinary ones, saturated ones, n = 1, zeros and so on.

One sampler serves two sources of integers: NumPy's generator for sweeps, Hypothesis for tests (`strategies`).
Every value is a short dyadic number times a scale, exact in float32 too.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import jax
import numpy as np

from autodiff_ref.judge.domains import ONE_ZERO, SOME_ZEROS, Sizes, draw, is_label, twins
from autodiff_ref.judge.domains import RandomSource as RandomSource
from autodiff_ref.judge.errors import fulfils
from autodiff_ref.trees import Arguments, Domains
from manual_grad.derivation import Derivation
from manual_grad.domains import Dim
from manual_grad.domains.domain import Source

STRATA = {
    "ordinary": "values whose products over the last axis stay below 5, and both labels",
    "small": "the first argument, or one other, about 1e-3 of ordinary",
    "saturated": "the first argument, or one other, 4 to 24 times ordinary: σ within e^-5 … e^-100 of its limits",
    "far": "the first argument, or one other, 50 to 200 times ordinary, up to 1e3",
    "one label": "all labels the same",
    "equal": "arrays of one shape in the first argument equal",
    "zeros": "some arrays or entries, or a single entry, exactly 0, or else at the boundary of their domain",
}


@dataclass(frozen=True)
class Input:
    """Arguments for a derivation's lines, and how they came about."""

    stratum: str
    args: Arguments
    """NumPy arrays in the structure of the domain: float64, labels too; class numbers and permutations int64"""
    main: bool = True
    """whether it is of the main sizes, where a mean is no sum; False where a named dimension was set to 1"""
    exact: bool = True
    """whether it is in the domain exactly; False where a unit vector has its length, say, up to rounding alone"""


class NoInputError(Exception):
    """Nothing that was drawn from the domain fulfils the derivation's `where`."""


def draw_arguments(domain: Domains, sizes: Sizes, stratum: str, source: Source) -> Arguments:
    """One input of a stratum: NumPy arrays in the structure of the domain."""
    structure, leaves = jax.tree.structure(domain), draw(domain, sizes, [stratum], source)
    return jax.tree.unflatten(structure, [np.asarray(leaf[0]) for leaf in leaves])


def is_exact(domain: Domains, sizes: Sizes) -> bool:
    """Whether inputs of these sizes are in the domain exactly."""
    leaves = [leaf.sized(sizes) for leaf in jax.tree.leaves(domain)]
    return all(leaf.is_exact() for leaf in leaves)


def dimension_names(domain: Domains) -> list[str]:
    """The named dimensions of a domain, in the order they appear in."""
    return list(dict.fromkeys(dim for dim in _dims(domain) if isinstance(dim, str)))


def _dims(domain: Domains) -> Iterator[Dim]:
    for leaf in jax.tree.leaves(domain):
        yield from leaf.every_dim


def main_sizes(domain: Domains, limits: Mapping[str, tuple[int, int]]) -> list[Sizes]:
    """Two choices of sizes ≥ 2, pairwise different and different from fixed dimensions as far as the limits allow.

    Equal sizes hide a transposed index, a size of 1 hides a mean for a sum, and one size for all inputs hides a 3 for it.
    """
    names, fixed = dimension_names(domain), {dim for dim in _dims(domain) if isinstance(dim, int)}
    least = dict[Dim, int]()
    for leaf in jax.tree.leaves(domain):
        for dim in leaf.tied():
            least[dim] = max(leaf.least, least.get(dim, 0))
    first = _different_sizes(names, fixed, limits, {}, least)
    return [first, _different_sizes(names[::-1], fixed, limits, first, least)] if names else [first]


def _different_sizes(
    names: list[str], fixed: set[int], limits: Mapping[str, tuple[int, int]], other: Sizes, least: Mapping[Dim, int]
) -> Sizes:
    taken, sizes = set(fixed), dict[str, int]()
    for name in names:
        low, high = limits.get(name, (2, 12))
        wanted = range(max(low, least.get(name, 3)), high + 1) or range(max(low, 2), high + 1) or [low]
        free = [size for size in wanted if size not in taken] or [*wanted]
        others = (size for size in (*free, *range(max(low, 2), high + 1)) if size != other.get(name))
        sizes[name] = next(others, free[0])
        taken.add(sizes[name])
    return sizes


LARGER = 7
"""Code that is written for small sizes, as x[:5] or `if len(x) < 5`, shows at sizes from here on."""


def larger_sizes(derivation: Derivation) -> Sizes | None:
    """Sizes beyond the main ones, pairwise different; None where the limits allow none or there are no named dimensions."""
    sizes = dict(main_sizes(derivation.domain, derivation.sizes)[0])
    before = dict(sizes)
    for name in sizes:
        low, high = derivation.sizes.get(name, (2, LARGER + len(sizes)))
        others = {size for other, size in sizes.items() if other != name}
        sizes[name] = next((size for size in range(max(low, LARGER), high + 1) if size not in others), sizes[name])
    return None if sizes == before else sizes


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


class Drawn(list[Input]):
    """The inputs of a sweep, and what was drawn to get them."""

    def __init__(self, inputs: Iterable[Input], *, drawn: int) -> None:
        super().__init__(inputs)
        self.drawn = drawn
        """how many were drawn; those that do not fulfil the derivation's `where` are left out"""
        self.fulfilled = len(self)
        """how many of them fulfil it"""

    @property
    def of_main_sizes(self) -> int:
        """How many there are of the main sizes."""
        return sum(given.main for given in self)


TRIES = 50
"""How often, on average, an input may be drawn until it fulfils `where`."""


def draw_inputs(derivation: Derivation, *, seed: int, at_least: int = 64) -> Drawn:
    """Inputs over all strata, reproducible from the seed: at least so many of the main sizes, some of size 1, one larger.

    Where few inputs fulfil the derivation's `where`, there may be fewer: then 50 to 100 were drawn for each one wanted.

    Raises:
        NoInputError: no input that was drawn fulfils the derivation's `where`.
        LineError: that raises.
    """
    source = RandomSource(np.random.default_rng(seed))
    plan = _plan(derivation, at_least)
    inputs, drawn, hopeful = list[Input](), 0, list[_Planned]()
    for planned in plan:
        found, tries = _draw_where(derivation, planned, source)
        inputs, drawn, hopeful = [*inputs, *found], drawn + tries, [*hopeful, *[planned] * (planned.main and bool(found))]
    wanted, most = at_least - len(hopeful), drawn + TRIES * len(plan)
    for planned in itertools.cycle(hopeful):  # where some strata do not fulfil it, those that did are drawn again
        if wanted <= 0 or drawn >= most:
            break
        found, tries = _draw_where(derivation, planned, source)
        inputs, drawn, wanted = [*inputs, *found], drawn + tries, wanted - len(found)
    if not inputs:
        raise NoInputError(f"none of {drawn:,} inputs drawn from the domain fulfils `where`")
    return Drawn(inputs, drawn=drawn)


def further(derivation: Derivation, *, seed: int) -> Iterator[Input]:
    """More ordinary inputs of the main sizes, without end unless `where` refuses too many; reproducible from the seed."""
    source = RandomSource(np.random.default_rng([seed, 7]))
    main = main_sizes(derivation.domain, derivation.sizes)
    refused = k = 0
    while refused < 5:
        found, _ = _draw_where(derivation, _Planned("ordinary", "ordinary", main[k % len(main)], True), source)
        refused, k = (0 if found else refused + 1), k + 1
        yield from found


@dataclass(frozen=True)
class _Planned:
    """An input to be drawn."""

    name: str
    """its stratum in the report"""
    stratum: str
    sizes: Sizes
    main: bool


def _draw_where(derivation: Derivation, planned: _Planned, source: Source) -> tuple[list[Input], int]:
    """One input that fulfils the derivation's `where`, or none; and how many were drawn."""
    for k in range(TRIES):
        args = draw_arguments(derivation.domain, planned.sizes, planned.stratum, source)
        if derivation.where is None or fulfils(derivation.where, "`where`", derivation, args):
            return [Input(planned.name, args, planned.main, is_exact(derivation.domain, planned.sizes))], k + 1
    return [], TRIES


def _plan(derivation: Derivation, at_least: int) -> list[_Planned]:
    """The inputs to be drawn: all strata at the main sizes, some at size 1, and ordinary ones until they are enough."""
    by_name = all_sizes(derivation)
    main = by_name.pop("main")
    plan = [_Planned(s, _sort(s, k), main[k % len(main)], True) for s in strata_of(derivation) for k in range(6)]
    plan += [_Planned(name, stratum, sizes[0], False) for name, sizes in by_name.items() for stratum in _AT_SIZE_ONE]
    larger = larger_sizes(derivation)
    plan += [_Planned("larger", "ordinary", larger, True)] if larger is not None else []
    missing = max(0, at_least - sum(planned.main for planned in plan))
    return plan + [_Planned("ordinary", "ordinary", main[k % len(main)], True) for k in range(missing)]


def _sort(stratum: str, k: int) -> str:
    """Of the stratum "zeros", both sorts in turns."""
    return (SOME_ZEROS, SOME_ZEROS, ONE_ZERO, ONE_ZERO)[k % 4] if stratum == "zeros" else stratum


def strata_of(derivation: Derivation) -> list[str]:
    """The strata that differ from "ordinary" for a domain."""
    has_labels = any(is_label(leaf) for leaf in jax.tree.leaves(derivation.domain))
    applies = {"one label": has_labels, "equal": bool(twins(jax.tree.leaves(derivation.domain[0])))}
    return [stratum for stratum in STRATA if applies.get(stratum, True)]


_AT_SIZE_ONE = ("ordinary", "ordinary", "small", "saturated", "far", "zeros")
