"""Whether two gradients differ by no more than the rounding of their input makes them.

p − y is the gradient of −Σ y log p where Σ y = 1. Labels that were normalised in floats sum to 1 up to rounding, and there
the two differ by (Σ y − 1) p. So a float of the input that is not short stands for a real number near by, as a float
constant does. To first order, moving the input by some ulps changes the difference d by its reach. A difference beyond that
is a mistake: of a gradient that is wrong by a factor, d changes by as small a share as the gradient itself does.
"""

import zlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from autodiff_ref.judge.program.plans import Array, short_ones

ULPS = 8
"""by so many an entry is moved: numbers that were normalised in floats are some ulps from those that are"""

MARGIN = 2
"""times the reach, a difference is put down to the input"""

RANDOM = 4
"""ways to move all of the entries at once"""

MOST = 6
"""arrays that are moved one by one"""

CERTAIN = 2.0**16
"""times the largest reach of the first two moves: no other move explains that"""

Move = Callable[[list[Array]], list[Array]]
"""arrays, and these moved by ulps; arrays of equal entries are moved alike"""


def beyond_rounding(
    difference: Callable[[Move], Array | None], here: Array, arrays: Sequence[Array], components: Sequence[int]
) -> list[int]:
    """The components in which two gradients differ by more than the rounding of the input explains.

    Args:
        difference: of the two at the input, moved; None where it cannot be had.
        here: the same at the input as it is.
        arrays: the input.
        components: those that differ there, the relatively worst first.

    Returns:
        Those of the components, in their order; all of them where one of them differs by far more.
    """
    places = list(components)
    if not np.all(np.isfinite(here[places])):
        return places
    size, together, apart = np.abs(here[places]), np.zeros(len(places)), np.zeros(len(places))
    for k, (move, is_of_one) in enumerate(_moves(arrays)):
        there = difference(move)
        if there is None:
            continue
        with np.errstate(all="ignore"):
            change = np.nan_to_num(np.abs(there - here)[places], nan=0.0, posinf=0.0)
        together, apart = (together, apart + change) if is_of_one else (np.maximum(together, change), apart)
        if k == 1 and np.any(size > CERTAIN * np.max(together)):
            return places
    return [place for place, far in zip(places, size > MARGIN * (together + apart), strict=True) if far]


def _moves(arrays: Sequence[Array]) -> Iterator[tuple[Move, bool]]:
    """Ways to move an input, and whether only one array of it is moved: by a common factor, as by dividing by a sum."""
    yield _moving(lambda x: np.sign(x) * _random(x, 0, ULPS // 2)), False
    for seed in range(RANDOM):
        yield _moving(lambda x, s=seed: _random(x, s, -ULPS)), False
    rounded = {_key(x): x for x in arrays if x.dtype.kind == "f" and not np.all(short_ones(x))}
    for key in list(rounded)[:MOST]:
        yield _moving(lambda x, k=key: np.sign(x) * (ULPS if _key(x) == k else 0)), True


def _moving(ulps_of: Callable[[Array], Array]) -> Move:
    """A move of each array of floats by so many ulps of each of its entries that is not short."""

    def moved(x: Array) -> Array:
        if x.dtype.kind != "f":
            return x
        with np.errstate(all="ignore"):
            far = x + ulps_of(x).astype(x.dtype) * np.abs(np.spacing(x))
            return np.where(short_ones(x), x, far).astype(x.dtype)

    return lambda arrays: [moved(x) for x in arrays]


def _random(x: Array, seed: int, least: int) -> Array:
    """Some ulps for each entry, up to `ULPS`; the same for arrays of the same entries."""
    rng = np.random.default_rng((seed, zlib.crc32(np.ascontiguousarray(x).tobytes())))
    return rng.integers(least, ULPS, x.shape, endpoint=True)


def _key(x: Array) -> tuple[object, ...]:
    return x.dtype.str, x.shape, zlib.crc32(np.ascontiguousarray(x).tobytes())
