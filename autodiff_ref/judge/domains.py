"""Inputs drawn from a domain: any number at once, each in a stratum, all of one shape."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import jax
import numpy as np

from autodiff_ref.trees import Arguments, Domains
from manual_grad.domains import Domain
from manual_grad.domains.domain import How, Source, Values

Sizes = Mapping[str, int]
"""What the named dimensions of a domain are."""

SOME_ZEROS, ONE_ZERO = "some zeros", "one zero"
"""the two sorts of the stratum "zeros" """


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

    def places(self, most: int, asked: Values) -> Values:
        """For each input where `asked` is true, one of so many places, equally likely."""
        return self.integers(0, most - 1, (int(asked.sum()),))


def is_label(leaf: Domain) -> bool:
    """Whether a domain holds labels, of which there is more than one."""
    return leaf.known and leaf.varies


def label_flags(domain: Domains) -> list[bool]:
    """For each leaf of the arguments, whether it holds labels or constants, which are known exactly."""
    return [leaf.known for leaf in jax.tree.leaves(domain)]


def inexact_flags(domain: Domains, args: Arguments) -> list[bool]:
    """For each leaf of some arguments, whether it need be in its domain up to rounding alone, as a unit vector of 3 floats.

    Two lines that are equal on the domain may then differ by what moving its entries by an ulp changes in them.
    """
    pairs = zip(jax.tree.leaves(domain), jax.tree.leaves(args), strict=True)
    return [not replace(leaf, dims=np.shape(x)).is_exact() for leaf, x in pairs]


def draw(domain: Domains, sizes: Sizes, strata: Sequence[str], source: Source) -> list[Values]:
    """Inputs of one shape, one for each stratum named: the leaves of the arguments, each with the inputs as its first axis.

    Args:
        domain: a derivation's domain.
        sizes: of its named dimensions.
        strata: names of `inputs.STRATA`; the two sorts of "zeros" may be named as well.
        source: where the numbers come from.
    """
    leaves: list[Domain] = [leaf.sized(sizes) for leaf in jax.tree.leaves(domain)]
    first = len(jax.tree.leaves(domain[0]))
    names = np.array(strata)
    masks: dict[str, Values] = {name: names == name for name in dict.fromkeys(strata)}
    scales = _scales(leaves, first, masks, len(strata), source)
    hows = {id(scale): How(masks, scale, bool(np.all(scale == 1))) for scale in scales}
    arrays = [np.array(leaf.draw(hows[id(scale)], source)) for leaf, scale in zip(leaves, scales, strict=True)]
    if "equal" in masks:
        _make_equal(leaves[:first], arrays, masks["equal"])
    zeros = How(masks, scales[0]).are("zeros", SOME_ZEROS, ONE_ZERO)
    if zeros.any():
        _put_at_boundary(leaves, arrays, np.flatnonzero(zeros), names, source)
    return arrays


def stratum_scale(stratum: str) -> tuple[int, int]:
    """The smallest and largest multiple of ordinary values; a small one is that of 2^-10."""
    return {"saturated": (4, 24), "far": (50, 200)}.get(stratum, (1, 1))


def _scales(
    leaves: Sequence[Domain], first: int, masks: Mapping[str, Values], count: int, source: Source
) -> Sequence[Values]:
    """For each leaf, its scale in every input: that of the first argument in two of three inputs, else of one leaf."""
    scale = np.ones(count)
    for name in ("saturated", "far"):
        if name in masks:
            scale[masks[name]] = source.integers(*stratum_scale(name), (int(masks[name].sum()),))
    if "small" in masks:
        scale[masks["small"]] = 2.0**-10
    real = [k for k, leaf in enumerate(leaves) if leaf.scales]
    if not real or np.all(scale == 1):
        return [np.ones(count)] * len(leaves)
    of_first = [k for k in real if k < first]
    whole = (np.asarray(source.integers(0, 2, (count,))) < 2) & bool(of_first)
    one = np.array(real)[np.asarray(source.integers(0, len(real) - 1, (count,)))]
    return [np.where(np.where(whole, k in of_first, one == k), scale, 1.0) for k in range(len(leaves))]


def twins(leaves: Sequence[Domain]) -> list[tuple[int, int]]:
    """The domains that are the same as an earlier one, of those that are no labels: (earlier, later)."""
    found: list[tuple[int, int]] = []
    for k, leaf in enumerate(leaves):
        if not leaf.known:
            found += [(j, k) for j in range(k) if leaves[j] == leaf][:1]
    return found


def _make_equal(leaves: Sequence[Domain], arrays: list[Values], rows: Values) -> None:
    for j, k in twins(leaves):
        arrays[k][rows] = arrays[j][rows]


def _put_at_boundary(leaves: Sequence[Domain], arrays: list[Values], rows: Values, names: Values, source: Source) -> None:
    """Puts about a third of the entries, and one array throughout, at the boundary of their domain: mostly, at 0.

    Where there is but one array, of three entries or more, it is so throughout in half of them only: otherwise two of
    three entries never were 0. In half of the inputs a single entry of one array instead, and no other is 0.
    """
    edged = [k for k, leaf in enumerate(leaves) if leaf.boundary()]
    if not edged:
        return
    count = len(rows)
    single = np.asarray(source.integers(0, 1, (count,))) == 1
    single = (single | (names[rows] == ONE_ZERO)) & (names[rows] != SOME_ZEROS)
    is_lone = len(edged) == 1 and int(np.prod(leaves[edged[0]].shape)) > 2
    chosen = np.asarray(source.integers(0, len(edged) - 1, (count,)))
    if is_lone:
        chosen = np.where(single, 0, (np.cumsum(~single) + 1) % 2)  # the first is throughout
    for place, k in enumerate(edged):
        leaf, x = leaves[k], arrays[k][rows]
        by_row = (count, *[1] * len(leaf.shape))
        entry = np.asarray(source.integers(0, max(x[0].size, 1) - 1, (count,)))
        is_entry = np.arange(x[0].size).reshape(1, *leaf.shape) == entry.reshape(by_row)
        third = np.asarray(source.integers(0, 2, x.shape)) == 0
        here, alone = (chosen == place).reshape(by_row), single.reshape(by_row)
        mask = np.where(alone, is_entry & here, third | here)
        arrays[k][rows] = leaf.edge(np.where(alone, leaf.inner(x), x), mask, source)
