"""Paths through the domain of a derivation, along which its lines lose their digits: one number runs, the rest is held.

A derivation may name its own (`Derivation.paths`). Else, where it differentiates by a single number, that number runs; where
by more, the reals of the first argument are scaled by t, from a few ordinary inputs. Where labels tell what an example is,
there are paths of one example, for each value of its label, and one of several examples with labels of every kind: a sum
over examples, and lines in which examples meet, may lose digits that none of them loses alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import jax
import numpy as np

from autodiff_ref.judge.accuracy.regions import Region
from autodiff_ref.judge.domains import Sizes, is_label
from autodiff_ref.judge.inputs import RandomSource, all_sizes, draw_arguments
from autodiff_ref.trees import Arguments
from manual_grad.derivation import Derivation, argument_names
from manual_grad.domains import Domain
from manual_grad.domains.grids import REALS

BASES = 3
"""from so many ordinary inputs a path starts, where what does not run along it is real"""


@dataclass(frozen=True)
class Path:
    """One number runs through `grid`, labels are held; the rest is as in one of a few inputs."""

    along: str
    """what runs: z"""
    given: str
    """how many examples there are, and what the labels are: n=1, y=+1; empty where there are none"""
    grid: tuple[float, ...]
    bases: tuple[Callable[[float], Arguments], ...]
    """the arguments at a number, exact in float32, from each base"""

    @property
    def name(self) -> str:
        """As a report says it: z, y=+1."""
        return ", ".join(part for part in (self.along, self.given) if part)

    @property
    def symbol(self) -> str:
        """What runs, without what it stands for: t of "t (w is scaled by it)"."""
        return self.along.partition(" (")[0]

    @property
    def meaning(self) -> str:
        """What it stands for, where its name does not say it: w is scaled by it."""
        return self.along.partition(" (")[2].removesuffix(")")

    def where(self, region: Region) -> str:
        """A region of its numbers in words: 7.32 ≤ z ≤ 708 (y=−1)."""
        return region.of(self.symbol) + (f" ({self.given})" if self.given else "")


def paths_of(derivation: Derivation, seed: int = 0) -> list[Path]:
    """The paths of a derivation, each for every label; none where no real number can run."""
    named = derivation.paths or {}
    if named:
        return [path for along, at in named.items() for path in _for_labels(derivation, along, REALS, [at])]
    fewest, *several = _sizes(derivation)
    found = _paths(derivation, seed, *fewest)
    return found + [path for given, sizes in several for path in _paths(derivation, seed, given, sizes, is_one=False)]


def _paths(derivation: Derivation, seed: int, given: str, sizes: Sizes, *, is_one: bool = True) -> list[Path]:
    """The paths at some sizes, where the derivation names none."""
    leaves = jax.tree.leaves(derivation.domain)
    own = _own_number(derivation)
    if own is not None:
        k, along = own
        grid = leaves[k].grid()
        only_labels = all(leaf.two_values for j, leaf in enumerate(leaves) if j != k)
        drawn = _ordinary(derivation, seed, 1 if only_labels else BASES, sizes)
        return _for_labels(derivation, along, grid, [_with_leaf(base, k) for base in drawn], given, is_one=is_one)
    first = range(len(jax.tree.leaves(derivation.domain[0])))
    reals = [k for k in first if leaves[k].linear]
    if not reals:
        return []
    name = (argument_names(derivation.of) or ["the first argument"])[0]
    drawn = _ordinary(derivation, seed, BASES, sizes)
    scaled = [_scaled(base, reals) for base in drawn]
    return _for_labels(derivation, f"t ({name} is scaled by it)", REALS, scaled, given, is_one=is_one)


# What a path starts from


def _own_number(derivation: Derivation) -> tuple[int, str] | None:
    """Where the single real number is that a derivation differentiates by, and its name."""
    wrt, position = derivation.wrt, 0
    names = argument_names(derivation.of) or []
    for k, argument in enumerate(derivation.domain):
        for path, leaf in jax.tree_util.tree_leaves_with_path(argument):
            name = names[k] if k < len(names) else f"argument {k}"
            field = jax.tree_util.keystr(path, simple=True, separator=".")
            of_field = bool(path) and k == 0 and wrt == field
            meant = of_field or wrt == ".".join(filter(None, [name, field])) or (not path and wrt is None and k == 0)
            if meant and leaf.dims == () and leaf.grid():
                return position, str(wrt or name)
            position += 1
    return None


def _sizes(derivation: Derivation) -> list[tuple[str, Sizes]]:
    """As few examples as there may be, and several, where there are labels to tell what an example is."""
    main = all_sizes(derivation)["main"][0]
    labels = [leaf for leaf in jax.tree.leaves(derivation.domain) if is_label(leaf) and leaf.dims]
    dims = dict.fromkeys(leaf.dims[0] for leaf in labels if isinstance(leaf.dims[0], str))
    fewest = {**main, **{dim: derivation.sizes.get(dim, (1, 1))[0] for dim in dims}}
    if fewest == main:
        return [("", main)]
    return [(", ".join(f"{dim}={sizes[dim]}" for dim in dims), sizes) for sizes in (fewest, main)]


def _ordinary(derivation: Derivation, seed: int, count: int, sizes: Sizes) -> list[Arguments]:
    """Ordinary inputs of some sizes."""
    source = RandomSource(np.random.default_rng(seed))
    return [draw_arguments(derivation.domain, sizes, "ordinary", source) for _ in range(count)]


def _with_leaf(base: Arguments, k: int) -> Callable[[float], Arguments]:
    leaves, structure = jax.tree.flatten(base)
    return lambda value: jax.tree.unflatten(structure, [np.asarray(value) if j == k else v for j, v in enumerate(leaves)])


def _scaled(base: Arguments, reals: Sequence[int]) -> Callable[[float], Arguments]:
    leaves, structure = jax.tree.flatten(base)
    return lambda t: jax.tree.unflatten(structure, [t * v if j in reals else v for j, v in enumerate(leaves)])


def _for_labels(
    derivation: Derivation,
    along: str,
    grid: Sequence[float],
    bases: Sequence[Callable[[float], Arguments]],
    given: str = "",
    *,
    is_one: bool = True,
) -> list[Path]:
    """A path for each value of the labels, all of them the same; one with labels of both kinds for several examples.

    Class numbers stay as they are.
    """
    leaves = jax.tree.leaves(derivation.domain)
    values: tuple[float, ...] = next((leaf.two_values for leaf in leaves if leaf.two_values), ())
    if not values:
        return [Path(along, given, tuple(grid), tuple(_rounded(at, {}) for at in bases))]
    held = [k for k, leaf in enumerate(leaves) if leaf.two_values == values]
    names = argument_names(derivation.of) or []
    places = [k for k, leaf in enumerate(derivation.domain) if isinstance(leaf, Domain) and leaf.two_values == values]
    name = names[places[0]] if places and places[0] < len(names) else "labels"
    if not is_one:
        return [Path(along, f"{given}, {name} of both kinds", tuple(grid), tuple(_rounded(at, {}) for at in bases))]
    shown = [f"{name}={f'{value:+g}' if -1 in values else f'{value:g}'}".replace("-", "−") for value in values]
    return [
        Path(
            along,
            f"{given}, {said}" if given else said,
            tuple(grid),
            tuple(_rounded(at, dict.fromkeys(held, value)) for at in bases),
        )
        for value, said in zip(values, shown, strict=True)
    ]


def _rounded(at: Callable[[float], Arguments], held: dict[int, float]) -> Callable[[float], Arguments]:
    """The same arguments with labels held and real numbers rounded to float32."""

    def arguments(value: float) -> Arguments:
        leaves, structure = jax.tree.flatten(at(value))
        arrays = [np.asarray(leaf) for leaf in leaves]
        for k, array in enumerate(arrays):
            if k in held:
                arrays[k] = np.full(array.shape, held[k])
        return exact_in_float32(jax.tree.unflatten(structure, arrays))

    return arguments


def exact_in_float32(args: Arguments) -> Arguments:
    """The same arguments with every real number rounded to float32."""

    def rounded(leaf: np.ndarray) -> np.ndarray:
        array = np.asarray(leaf)
        return array.astype(np.float32).astype(np.float64) if np.issubdtype(array.dtype, np.floating) else array

    return jax.tree.map(rounded, args)
