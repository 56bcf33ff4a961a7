"""From an input at which two lines differ to a simpler one beside it, for mistakes that no simple input shows."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import numpy as np

from autodiff_ref.verify.errors import is_admitted
from autodiff_ref.verify.shrink import MOST_SHAPES, Differs
from manual_grad.derivation import Bits, Classes, Derivation, Domain, Intervals, OneHot, Positives, Reals, Signs

TRIES = 400
"""inputs that are tried"""

Leaves = list[np.ndarray]


def reduced(derivation: Derivation, args: tuple[Any, ...], differs: Differs) -> tuple[Any, ...]:
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
        for index in np.ndindex(leaves[k].shape):
            given = leaves[k][index]
            for value in (simpler for simpler in _simpler(domain, given) if simpler != given):
                candidate = [leaf.copy() if j == k else leaf for j, leaf in enumerate(leaves)]
                candidate[k][index] = value
                if still(candidate):
                    leaves = candidate
                    break
    return jax.tree.unflatten(structure, leaves)


def _with_fewer(derivation: Derivation, domains: list[Domain], leaves: Leaves, still: Callable[[Leaves], bool]) -> Leaves:
    """One position of each named dimension alone where that will do, else one position after the other left out."""
    counts = {domain.k for domain in domains if isinstance(domain, Classes)}
    counts |= {domain.dims[-1] for domain in domains if isinstance(domain, OneHot)}
    sizes = {
        dim: size
        for domain, leaf in zip(domains, leaves, strict=True)
        for dim, size in zip(domain.dims, leaf.shape, strict=True)
        if isinstance(dim, str) and dim not in counts
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
    for axis, dim in enumerate(domain.dims):
        leaf = np.take(leaf, positions, axis) if dim == name else leaf
    return leaf


def _shape(leaves: Leaves) -> tuple[tuple[int, ...], ...]:
    return tuple(leaf.shape for leaf in leaves)


def _simpler(domain: Domain, value: Any) -> Iterable[float]:
    """Values of the domain that may be simpler than this one, the simplest first."""
    match domain:
        case Signs():
            return (1.0,)
        case Bits() | Classes():
            return (0,)
        case Reals():
            return (0.0, np.sign(value), *_rounded(value))
        case Positives():
            return (1.0, *(short for short in _rounded(value) if short > 0))
        case Intervals(low=low, high=high):
            return (short for short in _rounded(value) if low < short < high)
        case _:
            return ()


def _rounded(value: float) -> Iterator[float]:
    """To 1, 2, … significant decimal digits."""
    return (float(f"{value:.{digits}e}") for digits in (0, 1, 2, 3, 5, 7, 11))
