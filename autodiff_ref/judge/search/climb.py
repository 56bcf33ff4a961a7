"""A second, adaptive search in floats: from the inputs at which two lines are furthest apart, uphill on difference / bound.

As Hypothesis's `target()` climbs in anyone's property test (`assertions.steering`), but hundreds of inputs at a time: each
generation moves the best inputs so far, by Gaussian steps of many sizes and by differences of two others, and keeps the best
of all. What shows at one input in 10^6 is found where the way up to it begins at one in 10^4.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from autodiff_ref.judge.program.plans import Array
from autodiff_ref.judge.search.batches import Batch
from manual_grad.domains import Domain

PARENTS = 16
"""inputs that are moved"""

GENERATION = 256
"""inputs that are computed at a time"""


@dataclass(frozen=True)
class Climbed:
    """Where a climb ended."""

    best: Batch
    """the best inputs, first the very best"""
    heights: Array
    """how far two lines are apart there, in units of their bounds"""
    inputs: int
    """how many were computed"""


def climb(
    domain: Sequence[Domain], start: Batch, height: Callable[[Batch], Array], *, generations: int, seed: int
) -> Climbed:
    """Climbs from some inputs of one shape.

    Args:
        domain: the leaves of the derivation's domain.
        start: the inputs to begin at.
        height: what to climb on, for each input of a batch; −1 where there is nothing to be said.
        generations: how often.
        seed: of the moves.
    """
    rng = np.random.default_rng([seed, 2])
    best, heights = start, height(start)
    for _ in range(generations):
        children = _moved(domain, best, GENERATION, rng)
        everyone = np.concatenate([heights, height(children)])
        kept = np.argsort(-everyone, kind="stable")[:PARENTS]
        best, heights = _joined(best, children).only(kept), everyone[kept]
    return Climbed(best, heights, generations * GENERATION)


def _joined(first: Batch, second: Batch) -> Batch:
    leaves = [np.concatenate(pair) for pair in zip(first.leaves, second.leaves, strict=True)]
    return replace(first, strata=(*first.strata, *second.strata), leaves=leaves)


def _moved(domain: Sequence[Domain], parents: Batch, count: int, rng: np.random.Generator) -> Batch:
    """Children of some inputs: of each leaf half of the entries are moved, all by steps of one size."""
    rows, one, other = rng.integers(0, len(parents), (3, count))
    by_difference = rng.integers(0, 2, count) == 1
    sizes = 2.0 ** -rng.integers(0, 12, count)
    leaves: list[Array] = []
    for leaf, values in zip(domain, parents.leaves, strict=True):
        x = values[rows]
        by_row = (count, *[1] * (x.ndim - 1))
        step = rng.normal(size=x.shape) * sizes.reshape(by_row) * (rng.integers(0, 2, x.shape) == 1)
        along = np.where(by_difference.reshape(by_row), values[one] - values[other], 0)
        leaves.append(leaf.moved(x, step, along, rng))
    return replace(parents, strata=("climbed",) * count, leaves=leaves)
