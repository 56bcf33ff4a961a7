"""Inputs by the thousand, of one shape each batch, in the strata of `inputs`: drawn all at once, for the sweep in floats."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice

import jax
import numpy as np

from autodiff_ref.judge.domains import RandomSource, draw
from autodiff_ref.judge.errors import fulfils
from autodiff_ref.judge.inputs import Input, Sizes, all_sizes, is_exact, strata_of
from autodiff_ref.trees import Arguments, Domains, Function, Structure
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
        meant = fulfilled(derivation.where, "`where`", derivation, drawn)
        yield replace(drawn, main=sizes in main).only(np.flatnonzero(meant))


def number_of_shapes(derivation: Derivation) -> int:
    """How many shapes there are to try."""
    return sum(map(len, all_sizes(derivation).values()))


def fulfilled(condition: Function | None, said: str, derivation: Derivation, batch: Batch) -> Values:
    """Which inputs of a batch fulfil a condition: asked once for all of them where JAX can map it, else one by one.

    Asked for all, it may round otherwise than for one.
    """
    if condition is None:
        return np.ones(len(batch), dtype=bool)
    try:
        with jax.enable_x64(True):
            answers = np.asarray(jax.vmap(condition)(*jax.tree.unflatten(batch.structure, batch.leaves)))
    except Exception:  # it has an `if`, or is NumPy's: nothing that is wrong with it
        answers = np.empty(0)
    if answers.shape == (len(batch),):
        return answers.astype(bool)
    return np.array([fulfils(condition, said, derivation, batch.args(k)) for k in range(len(batch))], dtype=bool)


def draw_batch(domain: Domains, sizes: Sizes, strata: Sequence[str], count: int, rng: np.random.Generator) -> Batch:
    """Inputs of one shape, the strata in turns."""
    of = tuple(islice(cycle(strata), count))
    leaves = draw(domain, sizes, of, RandomSource(rng))
    return Batch(of, leaves, jax.tree.structure(domain), exact=is_exact(domain, sizes))
