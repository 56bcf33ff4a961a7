"""Inputs by the thousand, of one shape each batch, in the strata of `inputs`: drawn all at once, for the sweep in floats."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice

import jax
import numpy as np

from autodiff_ref.judge.domains import RandomSource, draw
from autodiff_ref.judge.inputs import Input, Sizes, all_sizes, is_exact, strata_of
from autodiff_ref.trees import Arguments, Domains, Structure
from manual_grad.derivation import Derivation
from manual_grad.domains.domain import Values


@dataclass(frozen=True)
class Batch:
    """Inputs of one shape."""

    strata: tuple[str, ...]
    """of each input"""
    leaves: list[Values]
    """the arguments' leaves, float64 (class numbers int64), each with the batch as its first axis"""
    structure: Structure
    main: bool = True
    """whether they are of the main sizes"""
    exact: bool = True
    """whether they are in the domain exactly"""

    def input(self, k: int) -> Input:
        """One of the inputs, with all that is known of it."""
        return Input(self.strata[k], self.args(k), self.main, self.exact)

    def __len__(self) -> int:
        return len(self.strata)

    def args(self, k: int) -> Arguments:
        """One of the inputs, as the judge takes it."""
        return jax.tree.unflatten(self.structure, [leaf[k] for leaf in self.leaves])

    def only(self, kept: Values) -> "Batch":
        """Some of the inputs."""
        return replace(self, strata=tuple(self.strata[k] for k in kept), leaves=[leaf[kept] for leaf in self.leaves])


def batches(derivation: Derivation, *, seed: int, size: int, count: int) -> Iterator[Batch]:
    """Batches of `size` inputs over all strata, reproducible from the seed: one for each shape, then of the main shapes.

    Those that do not fulfil the derivation's `where` are left out.
    """
    rng = np.random.default_rng([seed, 1])
    by_name = all_sizes(derivation)
    main = by_name.pop("main")
    shapes = [*main, *[sizes[0] for sizes in by_name.values()]]
    strata = strata_of(derivation)
    for k in range(count):
        sizes = shapes[k] if k < len(shapes) else main[k % len(main)]
        drawn = draw_batch(derivation.domain, sizes, strata, size, rng)
        yield _fulfilling(derivation, replace(drawn, main=sizes in main))


def number_of_shapes(derivation: Derivation) -> int:
    """How many shapes there are to try."""
    return sum(map(len, all_sizes(derivation).values()))


def _fulfilling(derivation: Derivation, batch: Batch) -> Batch:
    where = derivation.where
    if where is None:
        return batch
    return batch.only(np.array([k for k in range(len(batch)) if bool(where(*batch.args(k)))], dtype=int))


def draw_batch(domain: Domains, sizes: Sizes, strata: Sequence[str], count: int, rng: np.random.Generator) -> Batch:
    """Inputs of one shape, the strata in turns."""
    of = tuple(islice(cycle(strata), count))
    leaves = draw(domain, sizes, of, RandomSource(rng))
    return Batch(of, leaves, jax.tree.structure(domain), exact=is_exact(domain, sizes))
