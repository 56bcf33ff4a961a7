"""Inputs at which derivative rules go wrong: the strata of the domains, and always their edges.

0, ±1, ±2, halves, the ends of intervals, equal entries, singular matrices, huge and tiny numbers, and the constants that the
program compares with.
"""

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from autodiff_ref.judge.domains import ONE_ZERO, SOME_ZEROS, RandomSource, twins
from autodiff_ref.judge.inputs import draw_arguments
from autodiff_ref.judge.program.comparisons import WATCHED
from autodiff_ref.judge.program.plans import Plan
from manual_grad.domains import Domain
from manual_grad.domains.numbers import Intervals

DRAWN = ("ordinary", "ordinary", "small", "saturated", "far", SOME_ZEROS, ONE_ZERO)

PLAIN_EDGES = (0.0, 1.0, 2.0, -1.0, 0.5, -2.0, -0.5, 1.5, 3.0, 10.0, -10.0)
HUGE_AND_TINY = (1e200, -1e200, 1e-200)
EDGES = (*PLAIN_EDGES, *HUGE_AND_TINY)
"""every entry of an argument, or of all arguments, is set to these"""

PAIRED = (0.0, 1.0, -1.0, 2.0, -2.0, 0.5)
"""each two arguments are set to all pairs of these"""

PLAIN = (0.0, 0.5, 1.0, 1.0, 2.0, 2.0, 3.0, -1.0, -2.0)
PLAIN_INPUTS = 40

MOST_INPUTS = 140
MORE_INPUTS = 10
"""for each number that the program compares with"""

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
    """Numbers at which something happens, and those of a program with a little beside them.

    First what is beyond each of these, the largest first: near the small ones there are plain numbers.
    """
    found = dict.fromkeys(EDGES)
    for sign, outwards in ((1, 1), (-1, 1), (1, 0), (1, -1), (-1, 0)):  # of its negative too: −x may be what is compared
        for c in sorted(constants, key=abs, reverse=True):
            found[sign * (c + outwards * math.copysign(max(abs(c), 1.0) / 8, c))] = None
    return list(found)


def alternating(numbers: Sequence[float]) -> list[float]:
    """The numbers of `around`, a huge one and those of the program in turn with the plain ones.

    What is set alone is cut off after a while, and what a program does beyond a number shows at no plain one.
    """
    plain = [number for number in numbers if number in PLAIN_EDGES]
    huge, *rest = HUGE_AND_TINY
    special = [number for number in (huge, *numbers[len(EDGES) :], *rest) if number not in PLAIN_EDGES]
    return [x for pair in itertools.zip_longest(plain, special) for x in pair if x is not None]


def edge_inputs(domain: Args, sizes: Any, constants: Sequence[float], seed: int) -> Iterator[tuple[str, Args]]:
    """(where it comes from, the arguments), each once, the ordinary ones first."""
    seen: set[Any] = set()
    most = MOST_INPUTS + MORE_INPUTS * len(constants)
    for stratum, args in itertools.islice(_all(domain, sizes, constants, seed), most):
        key = tuple(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(args))
        if key not in seen:
            seen.add(key)
            yield stratum, args


def _all(domain: Args, sizes: Any, constants: Sequence[float], seed: int) -> Iterator[tuple[str, Args]]:
    """Every kind in turn, so that the first few inputs hold some of each: one argument alone is where most mistakes are."""
    *kinds, plain, alone = (iter(kind) for kind in _Edges(domain, sizes, constants, seed).kinds())
    turns = [plain, *kinds, alone, plain, alone]
    while turns:
        for kind in list(turns):
            found = next(kind, None)
            if found is None:
                turns = [each for each in turns if each is not kind]
            else:
                yield found


class _Edges:
    """Inputs of one domain, by kinds."""

    def __init__(self, domain: Args, sizes: Any, constants: Sequence[float], seed: int) -> None:
        self.domain, self.sizes = domain, sizes
        self.source = RandomSource(np.random.default_rng(seed))
        self.leaves: list[Domain] = [leaf.sized(sizes) for leaf in jax.tree.leaves(domain)]
        self.everything = around(constants)
        self.base = [np.asarray(x) for x in jax.tree.leaves(draw_arguments(domain, sizes, "ordinary", self.source))]
        self.free = [k for k, leaf in enumerate(self.leaves) if leaf.varies]

    def kinds(self) -> Iterator[Iterator[tuple[str, Args]]]:
        """Drawn ones; all arguments at one number; their ends; two, all and one of them at some numbers."""
        yield self._drawn()
        yield self._together()
        yield self._at_ends()
        yield self._in_pairs()
        yield self._of_plain_numbers()
        yield self._alone()

    def _drawn(self) -> Iterator[tuple[str, Args]]:
        strata = [*DRAWN, *["equal"] * bool(twins(jax.tree.leaves(self.domain[0])))] if self.domain else []
        for stratum in strata:
            yield stratum, draw_arguments(self.domain, self.sizes, stratum, self.source)

    def _together(self) -> Iterator[tuple[str, Args]]:
        for number in self.everything:
            yield from self._made("edge", {k: self._throughout(k, number) for k in self.free})

    def _at_ends(self) -> Iterator[tuple[str, Args]]:
        for k in self.free:
            for number in _ends(self.leaves[k]):
                yield from self._made("end", {k: self._put(k, None, number)})
            for array in self.leaves[k].boundary():
                yield from self._made("boundary", {k: array})
            for places in _some_places(self.base[k].size):
                changed = self.base[k]
                for place in places:
                    changed = None if changed is None else self.leaves[k].put(changed, place, 0.0)
                yield from self._made("some at 0", {k: changed})
            for array in _matrices(self.leaves[k], self.base[k]):
                yield from self._made("singular", {k: array})

    def _in_pairs(self) -> Iterator[tuple[str, Args]]:
        for first, second in itertools.combinations(self.free, 2):
            for a, b in itertools.product(PAIRED if len(self.free) < 4 else PAIRED[:3], repeat=2):
                yield from self._made("edge", {first: self._put(first, None, a), second: self._put(second, None, b)})

    def _of_plain_numbers(self) -> Iterator[tuple[str, Args]]:
        """Every entry of every argument at a plain number of its own: formulas for special cases are chosen by several."""
        random = np.random.default_rng(37)
        if sum(self.base[k].size for k in self.free) < 2:
            return
        fitting = {k: [number for number in PLAIN if self._put(k, 0, number) is not None] or [1.0] for k in self.free}
        for _ in range(PLAIN_INPUTS):
            made = dict[int, Any]()
            for k in self.free:
                x: Any = self.base[k]
                for place in range(x.size):
                    number = float(random.choice(fitting[k]))
                    there = self.leaves[k].put(x, place if x.ndim else None, number)
                    x = x if there is None else there
                made[k] = x
            yield from self._made("plain", made)

    def _alone(self) -> Iterator[tuple[str, Args]]:
        for k in self.free:
            if self.base[k].size > 1:
                flat = np.array(self.base[k])
                flat.flat[1] = flat.flat[0]
                if self.leaves[k].contains(flat):
                    yield from self._made("equal entries", {k: flat})
        for number in alternating(self.everything):
            for k in self.free:
                if len(self.free) > 1:
                    yield from self._made("edge", {k: self._put(k, None, number)})
                if self.base[k].size > 1:
                    yield from self._made("edge", {k: self._put(k, 0, number)})

    def _made(self, stratum: str, changed: dict[int, Any]) -> Iterator[tuple[str, Args]]:
        if all(value is not None for value in changed.values()):
            made = [changed.get(k, x) for k, x in enumerate(self.base)]
            yield stratum, jax.tree.unflatten(jax.tree.structure(self.domain), made)

    def _throughout(self, k: int, number: float) -> Any:
        """A number everywhere; in a square matrix at one place, as one of equal entries is singular."""
        shape = self.base[k].shape
        is_square = len(shape) == 2 and 1 < shape[0] == shape[1]
        alone = self._put(k, 0, number) if is_square and number else None
        return self._put(k, None, number) if alone is None else alone

    def _put(self, k: int, place: int | None, number: float) -> Any:
        x = self.base[k]
        if x.dtype.kind in "iu" and number != int(number if abs(number) < 2**31 else 0):
            return None
        return self.leaves[k].put(x, place if x.ndim else None, number)


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
    return [array for array in some if leaf.contains(array)]
