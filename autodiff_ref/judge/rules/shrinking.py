"""A finding's input made simple: other numbers for its arguments, one after the other, as long as it stays."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from manual_grad.domains import Domain

Args = tuple[Any, ...]
Change = Callable[[Args], Args | None]
"""an input made simpler; None where it is as simple already, or would leave its domain"""

SIMPLE = (0.0, 1.0, -1.0, 2.0, -2.0, 0.5)


def simpler_inputs(domain: Args, args: Args) -> Iterator[Change]:
    """Changes to try in turn, each on the simplest input so far: fewer entries, whole arguments, single entries, digits."""
    leaves = jax.tree.leaves(domain)
    names = dict.fromkeys(dim for leaf in leaves for dim in leaf.every_dim if isinstance(dim, str))
    for size in (1, 2) if names else ():
        yield lambda now, size=size: _cut(domain, now, dict.fromkeys(names, size))
    for k, leaf in enumerate(leaves):
        for number in SIMPLE:
            yield lambda now, k=k, leaf=leaf, number=number: _put(leaf, now, k, None, number)
        x = np.asarray(jax.tree.leaves(args)[k])
        for digits in (3, 1, 0):
            yield lambda now, k=k, leaf=leaf, digits=digits: _rounded(leaf, now, k, digits)
        if x.size > 1:
            for place in range(min(x.size, 6)):
                for number in SIMPLE[:3]:
                    yield lambda now, k=k, leaf=leaf, place=place, number=number: _put(leaf, now, k, place, number)


def _replaced(now: Args, k: int, array: Any) -> Args | None:
    leaves, structure = jax.tree.flatten(now)
    old = np.asarray(leaves[k])
    if array is None or (np.shape(array) == old.shape and np.array_equal(array, old)):
        return None
    leaves[k] = np.asarray(array, dtype=old.dtype)
    return jax.tree.unflatten(structure, leaves)


def _put(leaf: Domain, now: Args, k: int, place: int | None, number: float) -> Args | None:
    x = np.asarray(jax.tree.leaves(now)[k])
    if not leaf.varies or (place is not None and place >= x.size):
        return None
    simpler = SIMPLE[: SIMPLE.index(number) + 1]
    if any(np.all((x if place is None else x.flat[place]) == there) for there in simpler):
        return None  # it is as simple already
    return _replaced(now, k, leaf.put(x, place, number))


def _rounded(leaf: Domain, now: Args, k: int, digits: int) -> Args | None:
    x = np.asarray(jax.tree.leaves(now)[k])
    if x.dtype.kind != "f" or np.all(np.isin(x, SIMPLE)):
        return None
    made = np.round(x * 2.0**digits) / 2.0**digits
    made = leaf.mended(made)
    return _replaced(now, k, made) if leaf.contains(made) else None


def _cut(domain: Args, now: Args, sizes: dict[Any, int]) -> Args | None:
    """The first positions along every named dimension."""
    leaves, structure = jax.tree.flatten(now)
    known = [(leaf, np.asarray(x)) for leaf, x in zip(jax.tree.leaves(domain), leaves, strict=True)]
    dims = [(None,) * (x.ndim - len(leaf.dims)) + leaf.dims for leaf, x in known]  # a batch has one more, in front
    left = {
        d: min(sizes.get(d, n), n) for of, (_, x) in zip(dims, known, strict=True) for d, n in zip(of, x.shape, strict=True)
    }
    made = list[Any]()
    for of, (leaf, x) in zip(dims, known, strict=True):
        cut = leaf.mended(
            np.array(x[tuple(slice(0, n if d is None else left[d]) for d, n in zip(of, x.shape, strict=True))])
        )
        named = {d for d in leaf.every_dim if isinstance(d, str)}
        if not (leaf.sized(left) if named <= left.keys() else leaf).contains(cut):
            return None
        made.append(cut)
    if all(np.shape(a) == np.shape(b) for a, b in zip(made, leaves, strict=True)):
        return None
    return jax.tree.unflatten(structure, made)
