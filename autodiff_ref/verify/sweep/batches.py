"""Inputs by the thousand, of one shape each batch, in the strata of `inputs`: drawn all at once, for the sweep in floats."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from autodiff_ref.verify.inputs import (
    STRATA,
    Sizes,
    all_sizes,
    ordinary_bound,
    size_of,
    strata_of,
    stratum_scale,
)
from manual_grad.derivation import (
    Bits,
    Classes,
    Constants,
    Derivation,
    Domain,
    Intervals,
    OneHot,
    Positives,
    Reals,
    Signs,
)

Values = Any
"""A NumPy array, the batch first."""

RESOLUTION = 2**20
"""Every value is a multiple of 2^-20 times a scale, exact in float32 too."""


@dataclass(frozen=True)
class Batch:
    """Inputs of one shape."""

    strata: tuple[str, ...]
    """of each input"""
    leaves: list[Values]
    """the arguments' leaves, float64 (class numbers int64), each with the batch as its first axis"""
    structure: Any

    def __len__(self) -> int:
        return len(self.strata)

    def args(self, k: int) -> tuple[Any, ...]:
        """One of the inputs, as the judge takes it."""
        return jax.tree.unflatten(self.structure, [leaf[k] for leaf in self.leaves])

    def only(self, kept: Values) -> "Batch":
        """Some of the inputs."""
        return Batch(tuple(self.strata[k] for k in kept), [leaf[kept] for leaf in self.leaves], self.structure)


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
        yield _fulfilling(derivation, draw_batch(derivation.domain, sizes, strata, size, rng))


def number_of_shapes(derivation: Derivation) -> int:
    """How many shapes there are to try."""
    return sum(map(len, all_sizes(derivation).values()))


def _fulfilling(derivation: Derivation, batch: Batch) -> Batch:
    where = derivation.where
    if where is None:
        return batch
    return batch.only(np.array([k for k in range(len(batch)) if bool(where(*batch.args(k)))], dtype=int))


def draw_batch(domain: tuple[Any, ...], sizes: Sizes, strata: Sequence[str], count: int, rng: np.random.Generator) -> Batch:
    """Inputs of one shape, the strata in turns; drawn as `inputs.draw_arguments` draws one."""
    leaves, structure = jax.tree.flatten(domain)
    first = len(jax.tree.leaves(domain[0]))
    of = np.arange(count) % len(strata)
    in_stratum = {name: of == k for k, name in enumerate(strata)}
    for name in STRATA:
        in_stratum.setdefault(name, np.zeros(count, dtype=bool))
    scales = _scales(leaves, first, in_stratum, count, rng)
    arrays = [_draw(leaf, sizes, in_stratum, scale, count, rng) for leaf, scale in zip(leaves, scales, strict=True)]
    free = [k for k, leaf in enumerate(leaves) if isinstance(leaf, Reals)]
    for k in free:
        twin = next((j for j in free if j < k < first and arrays[j].shape == arrays[k].shape), None)
        if twin is not None:
            arrays[k][in_stratum["equal"]] = arrays[twin][in_stratum["equal"]]
    rows = np.flatnonzero(in_stratum["zeros"])
    if free and len(rows):
        throughout = rng.integers(0, len(free), len(rows))
        for place, k in enumerate(free):
            arrays[k][rows] *= rng.integers(0, 3, (len(rows), *arrays[k].shape[1:])) > 0
            arrays[k][rows[throughout == place]] = 0.0
    return Batch(tuple(strata[int(k)] for k in of), arrays, structure)


def _scales(
    leaves: list[Any], first: int, in_stratum: dict[str, Values], count: int, rng: np.random.Generator
) -> list[Values]:
    """For each leaf, its scale in every input: that of the first argument in two of three inputs, else of one leaf."""
    scale = np.ones(count)
    for name, rows in in_stratum.items():
        low, high = stratum_scale(name)
        scale[rows] = rng.integers(low, high, int(rows.sum()), endpoint=True) * (2.0**-10 if name == "small" else 1.0)
    real = [k for k, leaf in enumerate(leaves) if isinstance(leaf, Reals | Positives | Intervals)]
    of_first = [k for k in real if k < first]
    whole = (rng.integers(0, 3, count) < 2) & bool(of_first)
    one = np.array(real or [-1])[rng.integers(0, max(len(real), 1), count)]
    return [np.where(np.where(whole, k in of_first, one == k), scale, 1.0) for k in range(len(leaves))]


def _unit(shape: tuple[int, ...], rng: np.random.Generator) -> Values:
    return rng.integers(-RESOLUTION, RESOLUTION, shape, endpoint=True) / RESOLUTION


def _draw(
    leaf: Domain, sizes: Sizes, in_stratum: dict[str, Values], scale: Values, count: int, rng: np.random.Generator
) -> Values:
    shape = tuple(size_of(dim, sizes) for dim in leaf.dims)
    by_row = scale.reshape(-1, *[1] * len(shape))
    match leaf:
        case Constants(value=value):
            return np.array(np.broadcast_to(np.asarray(value, dtype=np.float64), (count, *shape)))
        case Signs():
            return 2.0 * _bits(shape, in_stratum["one label"], count, rng) - 1.0
        case Bits():
            return _bits(shape, in_stratum["one label"], count, rng)
        case Classes(k=k):
            return _classes(shape, size_of(k, sizes), in_stratum["one label"], count, rng)
        case OneHot():
            return np.eye(shape[-1])[_classes(shape[:1], shape[-1], in_stratum["one label"], count, rng)]
        case Intervals(low=low, high=high):
            share = (1 + _unit((count, *shape), rng)) / 2
            at_ends = (in_stratum["saturated"] | in_stratum["far"]).reshape(by_row.shape)
            share = np.where(at_ends, np.where(share < 0.5, share**8, 1 - (1 - share) ** 8), share)
            margin = np.where(in_stratum["far"], 2.0**-20, 2.0**-6).reshape(by_row.shape)
            return low + (high - low) * (margin + (1 - 2 * margin) * share)
        case Positives():
            return 2.0 ** (2 * _unit((count, *shape), rng)) * by_row
        case _:
            return _unit((count, *shape), rng) * ordinary_bound(shape) * by_row


def _bits(shape: tuple[int, ...], one_label: Values, count: int, rng: np.random.Generator) -> Values:
    """Zeros and ones: both, but where all are to be the same."""
    bits = rng.integers(0, 2, (count, max(int(np.prod(shape)), 1))).astype(np.float64)
    first = bits[:, 0].copy()
    if bits.shape[1] >= 2:
        alike = bits.min(axis=1) == bits.max(axis=1)
        bits[alike, rng.integers(0, bits.shape[1], int(alike.sum()))] = 1 - first[alike]
    bits[one_label] = first[one_label, None]
    return bits.reshape(count, *shape)


def _classes(shape: tuple[int, ...], k: int, one_label: Values, count: int, rng: np.random.Generator) -> Values:
    numbers = rng.integers(0, k, (count, max(int(np.prod(shape)), 1)))
    numbers[one_label] = numbers[one_label, :1]
    return numbers.reshape(count, *shape)
