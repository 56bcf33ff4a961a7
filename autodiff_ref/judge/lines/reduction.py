"""From an input at which two lines differ to a simpler one beside it, for mistakes that no simple input shows."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import jax
import numpy as np

from autodiff_ref.judge.errors import is_admitted
from autodiff_ref.judge.shrink import MOST_SHAPES, Differs
from autodiff_ref.trees import Arguments
from manual_grad.derivation import Derivation
from manual_grad.domains import Domain

TRIES = 400
"""inputs that are tried"""

Leaves = list[np.ndarray]


def reduced(derivation: Derivation, args: Arguments, differs: Differs) -> Arguments:
    """The arguments with examples and dimensions left out and numbers made shorter, while the lines differ there."""
    leaves, structure = jax.tree.flatten(args)
    domains: list[Domain] = jax.tree.leaves(derivation.domain)
    left = TRIES

    def still(candidate: Leaves) -> bool:
        nonlocal left
        left -= 1
        arguments = jax.tree.unflatten(structure, candidate)
        return left >= 0 and is_admitted(derivation, arguments) and differs(arguments)

    leaves = _with_fewer(derivation, domains, [np.asarray(leaf) for leaf in leaves], still)
    for k, domain in enumerate(domains):
        for whole in _simpler_arrays(domain, leaves[k]):
            if still([*leaves[:k], whole, *leaves[k + 1 :]]):
                leaves = [*leaves[:k], whole, *leaves[k + 1 :]]
                break
        for place in range(leaves[k].size):
            for simpler in _simpler_at(domain, leaves[k], place):
                if still([*leaves[:k], simpler, *leaves[k + 1 :]]):
                    leaves = [*leaves[:k], simpler, *leaves[k + 1 :]]
                    break
    return jax.tree.unflatten(structure, leaves)


def _with_fewer(derivation: Derivation, domains: list[Domain], leaves: Leaves, still: Callable[[Leaves], bool]) -> Leaves:
    """One position of each named dimension alone where that will do, else one position after the other left out."""
    whole = {dim for domain in domains for dim in domain.tied() if not domain.can_cut()}
    sizes = {
        dim: size
        for domain, leaf in zip(domains, leaves, strict=True)
        for dim, size in zip(domain.dims, leaf.shape, strict=True)
        if isinstance(dim, str) and dim not in whole
    }
    shapes = {_shape(leaves)}
    for name, size in sizes.items():
        fewest, shrinks = derivation.sizes.get(name, (1, 1))[0], True
        while shrinks:
            shrinks = False
            for kept in _fewer(size, fewest):
                candidate = [_taken(leaf, domain, name, kept) for domain, leaf in zip(domains, leaves, strict=True)]
                shapes.add(_shape(candidate))
                if len(shapes) <= MOST_SHAPES and still(candidate):
                    leaves, size, shrinks = candidate, len(kept), True
                    break
    return leaves


def _fewer(size: int, fewest: int) -> Iterator[list[int]]:
    """Some of so many positions: each alone, then all but one."""
    if fewest == 1 < size:
        yield from ([k] for k in range(size))
    if fewest < size > 2:
        yield from ([k for k in range(size) if k != left_out] for left_out in reversed(range(size)))


def _taken(leaf: np.ndarray, domain: Domain, name: str, positions: list[int]) -> np.ndarray:
    """An element of the domain made of some positions of another."""
    for axis, dim in enumerate(domain.dims):
        leaf = np.take(leaf, positions, axis) if dim == name else leaf
    return domain.mended(leaf) if name in domain.tied() else leaf


def _shape(leaves: Leaves) -> tuple[tuple[int, ...], ...]:
    return tuple(leaf.shape for leaf in leaves)


def _simpler_arrays(domain: Domain, x: np.ndarray) -> Iterator[np.ndarray]:
    """Elements of a domain whose entries depend on each other that may be simpler than this one, the simplest first."""
    for simpler in replace(domain, dims=x.shape).simpler_arrays(x):
        if np.array_equal(simpler, x):
            return
        yield simpler


def _simpler_at(domain: Domain, x: np.ndarray, place: int) -> Iterator[np.ndarray]:
    """The same with one entry made simpler, the simplest first."""
    for value in domain.simpler(x.flat[place]):
        if value == x.flat[place]:
            return
        changed = domain.put(x, place, value)
        if changed is not None:
            yield changed
