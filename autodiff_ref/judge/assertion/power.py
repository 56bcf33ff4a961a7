"""Whether an input has the power to tell a gradient that is known by its value alone from others.

Where the gradient is 0 a kernel that returns zeros is right, where its entries are equal one that mixes them up is, and
where it is symmetric one that transposes it is. At another input of the same shapes, whose entries all differ, that is
seen: so such an input is refused, unless the gradient is so at every input, as the gradient of a sum. A symmetric matrix
often cannot be exchanged for another input: so the kernel is called beside it too, where symmetry is lost.
"""

from collections.abc import Callable
from itertools import islice

import jax
import numpy as np

from autodiff_ref.judge.assertion.exactly import exact_at
from autodiff_ref.judge.assertion.factor import expected_at, others_of
from autodiff_ref.judge.assertion.sides import Side
from autodiff_ref.judge.assertion.symmetric import is_symmetric
from autodiff_ref.judge.program.plans import Array

SAME = 2.0**-40
"""share of the largest entry by which equal entries differ at most"""

TRIED = 2
"""other inputs: at one of them at least the gradient must be otherwise"""


SKEW = 1 / 8
"""share of the entries above the diagonal that is added to them where symmetry is to be lost: definite matrices stay so"""


def without_power(reference: Side, arrays: list[Array], given: int, agrees_at: Callable[[list[Array]], bool]) -> str:
    """Which mistakes an input cannot show, and what to do; nothing where it can show them.

    Args:
        reference: the gradient by JAX.
        arrays: of the call, and of closures.
        given: how many are of the call.
        agrees_at: whether the candidate is the gradient at other arrays of the call.
    """
    here = exact_at(reference, arrays)
    if here is None:
        return ""
    leaves = jax.tree_util.tree_leaves_with_path(reference.shapes)
    found = [_patterns(part) for part in _parts(here.high, reference)]
    if not any(found):
        return ""
    others = [
        [_patterns(part) for part in _parts(there, reference)]
        for other in islice(others_of([*map(_filled, arrays[:given])], reference.labels), TRIED)
        if (there := expected_at(reference, [*other, *arrays[given:]])) is not None
    ]
    for k, ((path, _), seen) in enumerate(zip(leaves, found, strict=True)):
        where = f" in {jax.tree_util.keystr(path)}" if path else ""
        for pattern, hidden in seen.items():
            if all(pattern in other[k] for other in others):
                continue
            way_on = "Choose an input whose numbers are all different, and none of them 0"
            if pattern == SYMMETRIC and any(map(is_symmetric, arrays[:given])):
                if agrees_at([_skewed(x) for x in arrays[:given]]):
                    continue
                way_on = (
                    "Hand in a matrix that is not symmetric. If the function is of symmetric matrices alone, take "
                    "(S + S.T)/2 for its argument S in it: then its gradient is symmetric everywhere"
                )
            return f"it is an input without power: the gradient{where} {pattern} there, and {hidden} would pass. {way_on}"
    return ""


def _skewed(x: Array) -> Array:
    """An array near by, that is not symmetric where this one is."""
    if not (is_symmetric(x) and jax.numpy.issubdtype(x.dtype, np.floating)):
        return x
    rows, columns = np.indices(x.shape[-2:])
    return np.where(rows < columns, x * (1 + SKEW * (1 + rows + 2 * columns) / (3 * x.shape[-1])), x).astype(x.dtype)


def _filled(x: Array) -> Array:
    """Numbers in the place of zeros, where an array holds nothing else: labels would not all be 0."""
    return x if np.any(x) or x.dtype.kind != "f" else np.linspace(0.25, 0.75, x.size, dtype=x.dtype).reshape(x.shape)


def _parts(flat: Array, reference: Side) -> list[Array]:
    shapes = [leaf.shape for leaf in jax.tree.leaves(reference.shapes)]
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]
    return [part.reshape(shape) for part, shape in zip(np.split(flat, ends), shapes, strict=True)]


SYMMETRIC = "is symmetric"


def _patterns(part: Array) -> dict[str, str]:
    """What an array looks like, and code that this hides."""
    found: dict[str, str] = {}
    if part.size and not np.any(part):
        return {"is 0": "code that returns zeros"}
    slack = SAME * np.max(np.abs(part), initial=0.0)
    along = [axis for axis, size in enumerate(part.shape) if size > 1 and _is_equal(part, axis, slack)]
    if len(along) == sum(size > 1 for size in part.shape) > 0:
        return {"has equal entries": "code that mixes them up"}
    for axis in along:
        found[f"has equal entries along axis {axis}"] = "code that mixes them up"
    if part.ndim == 2 and part.shape[0] == part.shape[1] > 1 and np.all(np.abs(part - part.T) <= slack):
        found[SYMMETRIC] = "code that transposes it"
    return found


def _is_equal(part: Array, axis: int, slack: float) -> bool:
    return bool(np.all(np.ptp(part, axis=axis) <= slack))
