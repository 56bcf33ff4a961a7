"""Inputs at which derivative rules go wrong: the strata of the domains, and always their edges.

0, ±1, ±2, halves, the ends of intervals, equal entries, singular matrices, huge and tiny numbers, and the constants that the
program compares with.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from autodiff_ref.judge.domains import RandomSource, row_of
from autodiff_ref.judge.domains.drawing import ONE_ZERO, SOME_ZEROS, twins
from autodiff_ref.judge.inputs import draw_arguments
from autodiff_ref.judge.program.comparisons import WATCHED
from autodiff_ref.judge.program.plans import Plan
from manual_grad.domains import Domain, Intervals

DRAWN = ("ordinary", "ordinary", "small", "saturated", "far", SOME_ZEROS, ONE_ZERO)

EDGES = (0.0, 1.0, -1.0, 0.5, 2.0, -2.0, -0.5, 1.5, 3.0, 10.0, -10.0, 1e200, -1e200, 1e-200)
"""every entry of an argument, or of all arguments, is set to these"""

PAIRED = (0.0, 1.0, -1.0, 2.0, -2.0, 0.5)
"""each two arguments are set to all pairs of these"""

MOST_INPUTS = 140
MOST_CONSTANTS = 10

Args = tuple[Any, ...]


def constants_of(plans: Iterable[Any]) -> list[float]:
    """The numbers that programs compare with, the smallest first."""
    found: set[float] = set()
    for made in plans:
        for _, sources, _, name in made.steps if isinstance(made, Plan) else ():
            if name in WATCHED or (made.sites and name in ("sub", "add")):  # as in |x − 0.3| < 1e-6
                for array in (made.known[slot] for slot in sources if slot in made.known):
                    numbers = np.unique(array.astype(np.float64)) if array.dtype.kind in "fiu" else np.empty(0)
                    found.update(float(x) for x in numbers[np.isfinite(numbers)][:4])
    return sorted((x for x in found if abs(x) < 1e300), key=abs)[:MOST_CONSTANTS]


def around(constants: Sequence[float]) -> list[float]:
    """Numbers at which something happens, and a little beside them."""
    found = dict.fromkeys(EDGES)
    for c in constants:
        beside = max(abs(c), 1.0) / 8
        found.update(dict.fromkeys((c, c + beside, c - beside, -c)))
    return list(found)


def edge_inputs(domain: Args, sizes: Any, constants: Sequence[float], seed: int) -> Iterator[tuple[str, Args]]:
    """(where it comes from, the arguments), each once, the ordinary ones first."""
    seen: set[Any] = set()
    for stratum, args in itertools.islice(_all(domain, sizes, constants, seed), MOST_INPUTS):
        key = tuple(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(args))
        if key not in seen:
            seen.add(key)
            yield stratum, args


def _all(domain: Args, sizes: Any, constants: Sequence[float], seed: int) -> Iterator[tuple[str, Args]]:
    source = RandomSource(np.random.default_rng(seed))
    leaves: list[Domain] = [leaf.sized(sizes) for leaf in jax.tree.leaves(domain)]
    structure = jax.tree.structure(domain)
    strata = [*DRAWN, *["equal"] * bool(twins(jax.tree.leaves(domain[0])))] if domain else []
    for stratum in strata:
        yield stratum, draw_arguments(domain, sizes, stratum, source)
    base = [np.asarray(x) for x in jax.tree.leaves(draw_arguments(domain, sizes, "ordinary", source))]
    free = [k for k, leaf in enumerate(leaves) if row_of(leaf).varies]

    def made(changed: dict[int, Any]) -> Args | None:
        if any(value is None for value in changed.values()):
            return None
        return jax.tree.unflatten(structure, [changed.get(k, x) for k, x in enumerate(base)])

    def put(k: int, place: int | None, number: float) -> Any:
        x = base[k]
        if x.dtype.kind in "iu" and number != int(number if abs(number) < 2**31 else 0):
            return None
        return row_of(leaves[k]).put(leaves[k], x, place if x.ndim else None, number)

    everything = around(constants)
    for k in free:
        for number in _ends(leaves[k]):
            yield from _given("end", made({k: put(k, None, number)}))
        for array in row_of(leaves[k]).boundary(leaves[k]):
            yield from _given("boundary", made({k: array}))
        for places in _some_places(base[k].size):
            changed = base[k]
            for place in places:
                changed = None if changed is None else row_of(leaves[k]).put(leaves[k], changed, place, 0.0)
            yield from _given("some at 0", made({k: changed}))
        for array in _matrices(leaves[k], base[k]):
            yield from _given("singular", made({k: array}))
    for number in everything:
        yield from _given("edge", made({k: put(k, None, number) for k in free}))
    if len(free) > 1:
        for first, second in itertools.combinations(free, 2):
            for a, b in itertools.product(PAIRED if len(free) < 4 else PAIRED[:3], repeat=2):
                yield from _given("edge", made({first: put(first, None, a), second: put(second, None, b)}))
    for k in free:
        if len(free) > 1:
            for number in everything:
                yield from _given("edge", made({k: put(k, None, number)}))
        if base[k].size > 1:
            for number in everything:
                yield from _given("edge", made({k: put(k, 0, number)}))
            flat = np.array(base[k])
            flat.flat[1] = flat.flat[0]
            if row_of(leaves[k]).contains(leaves[k], flat):
                yield "equal entries", made({k: flat}) or ()


def _given(stratum: str, args: Args | None) -> Iterator[tuple[str, Args]]:
    if args is not None:
        yield stratum, args


def _some_places(size: int) -> list[tuple[int, ...]]:
    """Of several entries the last one, the first two and the last two: a rule may count zeros, or stop at the first."""
    return [places for places in ((size - 1,), (0, 1), (size - 2, size - 1)) if len(places) < size]


def _ends(leaf: Domain) -> list[float]:
    """The ends of an interval, numbers next to them, halves and quarters."""
    if not isinstance(leaf, Intervals):
        return []
    width = leaf.high - leaf.low
    shares = (0.5, 0.25, 0.75, 2.0**-20, 1 - 2.0**-20, 2.0**-40, 1 - 2.0**-40)
    return [leaf.low, leaf.high, *(leaf.low + width * share for share in shares)]


def _matrices(leaf: Domain, x: np.ndarray) -> list[np.ndarray]:
    """Square matrices: the identity, and two that are singular."""
    if x.ndim != 2 or x.shape[0] != x.shape[1]:
        return []
    n = len(x)
    some = [np.eye(n), np.outer(np.arange(1.0, n + 1), np.arange(1.0, n + 1)), np.diag(np.arange(float(n)))]
    return [array for array in some if row_of(leaf).contains(leaf, array)]
