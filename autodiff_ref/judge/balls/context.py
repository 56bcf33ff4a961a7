"""What a run in balls knows: how constants are read, how ties are decided, and what it met on the way."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Literal

import flint
import numpy as np
from flint import arb

from autodiff_ref.judge.balls.limits import limit_of
from autodiff_ref.judge.functions.enclosing import NAN, ZERO
from autodiff_ref.judge.program.comparisons import Site
from autodiff_ref.judge.program.plans import (
    Array,
    Constant,
    Ending,
    State,
    Turn,
    as_objects,
    entrywise,
    is_short,
    loose,
    short_ones,
)


@dataclass(frozen=True)
class Moved:
    """A reading of the constants: one of them is moved by so many of its ulps, and all others are their doubles."""

    constant: Constant
    ulps: int

    def ulps_of(self, number: np.floating) -> float:
        """By how many ulps a number is moved."""
        return self.ulps if self.constant in loose(number) else 0


@dataclass(frozen=True)
class AllMoved:
    """A reading of the constants: each is moved by up to an ulp, by how much is drawn by this pattern.

    By any share of an ulp, not by one up or down: of two constants that matter alike, one in two signs would hide both.
    """

    pattern: int

    def ulps_of(self, number: np.floating) -> float:
        """By how many ulps a number is moved: -1 to 1."""
        (constant,) = loose(number)
        return blake2b(repr((self.pattern, constant)).encode(), digest_size=1).digest()[0] / 127.5 - 1


Reading = Literal["balls", "tables", "exact"] | Moved | AllMoved
"""A float constant of more than 24 bits is c ± ulp(c), or exactly its double, or that moved.

For "tables", each of n numbers of an array is off by n ulps of the largest: nodes and weights of a quadrature, and
coefficients of a fit, come from linear algebra, which is right in norm, to so many ulps.
"""

_OF_TABLES = 2.0**10
"""a number of a table may be off by so many of its own ulps at most, so that all but its last three digits count"""

Ties = Literal["exact", "left", "right", "mixed", "mixed back"]
"""comparisons of reals that tie: as they are, or as if the left operand were smaller, or the right one, or in turns"""


@dataclass
class Context:
    """How one run reads constants and decides ties, and what it met."""

    constants: Reading = "balls"
    ties: Ties = "exact"
    tied: bool = False
    """two reals compared were equal"""
    unresolved: bool = False
    """two reals compared could not be told apart at this precision"""
    met: dict[Site, int] | None = None
    """where to note how reals compared, by site; None for nowhere"""
    possible: dict[Site, int] | None = None
    """where to note how numbers in the balls may compare"""
    is_deciding: bool = False
    """whether it is computed for no other reason than to decide whether a loop goes on"""
    to_limits: bool = False
    """whether each loop goes on to what its state goes to"""
    is_endless: bool = False
    """whether a loop went to nothing, or to nothing near"""
    bounds: dict[int, tuple[float, float]] = field(default_factory=dict[int, tuple[float, float]])
    """of balls that stand for all of a domain, by their ids: its ends, which a ball holds only roughly"""
    undefined: arb = NAN
    zero: arb = ZERO

    decisions: dict[tuple[int, int], int] = field(default_factory=dict[tuple[int, int], int])
    """how each pair of reals that tied was decided, so that x > 0 and 0 < x are decided alike"""
    kept: list[arb] = field(default_factory=list[arb])
    """the reals of `decisions`: as long as they live, nothing else has their id"""

    def compare(self, a: arb, b: arb, *, label: bool) -> int:
        """−1, 0 or 1 as a < b, a = b or a > b, ties decided as `ties` says; a ball is equal to itself."""
        if a is b:
            return 0
        if a < b:
            return -1
        if a > b:
            return 1
        if not (a == b and a.is_exact() and b.is_exact()):
            self.unresolved = True
        elif label:
            return 0
        return self.tie(a, b)

    def tie(self, a: arb, b: arb) -> int:
        """Decides a tie: the same pair always in the same way, whichever comes first."""
        self.tied = True
        if self.ties == "exact":
            return 0
        if (id(b), id(a)) in self.decisions:
            return -self.decisions[id(b), id(a)]
        if (id(a), id(b)) not in self.decisions:
            odd = len(self.decisions).bit_count() % 2 == 1
            side = {"left": -1, "right": 1, "mixed": 1 if odd else -1, "mixed back": -1 if odd else 1}[self.ties]
            self.decisions[id(a), id(b)] = side
            self.kept.extend((a, b))
        return self.decisions[id(a), id(b)]

    def number(self, value: float) -> arb:
        """The real that a constant among a primitive's parameters stands for."""
        return constant(value, self)

    @contextmanager
    def in_a_loop(self) -> Generator[Ending]:
        """A loop within another one ends where it ends: to what each goes, turn by turn, would take too long."""
        asked, self.to_limits = self.to_limits, False
        try:
            yield self._limit if asked else lambda state, _: state
        finally:
            self.to_limits = asked

    def _limit(self, state: State, turn: Turn) -> State:
        """What a loop's state goes to; a tie on the way there is decided to either side."""
        before = self.tied, self.unresolved
        found = limit_of(state, turn)
        self.tied, self.unresolved = before
        if found is None:
            self.is_endless = True
            return state
        return found

    @contextmanager
    def deciding(self) -> Generator[Callable[[], bool]]:
        """Notices comparisons that tie or cannot be told; these make the whole run unresolved."""
        before = self.tied, self.unresolved, self.is_deciding
        self.tied = self.unresolved = False
        self.is_deciding = clear = True
        yield lambda: clear
        clear = not (self.tied or self.unresolved)
        self.is_deciding = before[2]
        self.tied, self.unresolved = before[0], before[1] or not clear


@contextmanager
def precision(bits: int) -> Generator[None]:
    """Ball arithmetic with this many bits."""
    with flint.ctx.workprec(bits):
        yield


def exact(values: Array) -> Array:
    """Numbers as balls of radius 0, integers beyond 2^53 too."""
    array = np.asarray(values)
    if np.issubdtype(array.dtype, np.floating):
        return as_objects(_BALL(array))
    return entrywise(lambda value: arb(int(value)), array)


_BALL = np.frompyfunc(arb, 1, 1)
_WIDE_BALL = np.frompyfunc(lambda value, width: (arb(value, width) if width else arb(value)) if value else ZERO, 2, 1)


def constant(value: float, context: Context | None, dtype: np.dtype[np.floating] | type[np.floating] = np.float64) -> arb:
    """The real that a float constant stands for: itself if it is short, else c ± ulp(c), so that 0.1 may mean 1/10.

    Or another reading of it, as the context says.
    """
    double = float(value)  # NumPy's scalars lose their type on the way here
    if double == 0:
        return ZERO
    number = np.dtype(dtype).type(double)
    if not np.isfinite(double) or context is None or context.constants == "exact" or is_short(number):
        return arb(double)
    ulp = _ulp(np.abs(number))
    if isinstance(context.constants, str):
        return arb(double, ulp)
    return arb(double) + arb(np.copysign(ulp, double)) * context.constants.ulps_of(number)


def constants(values: Array, context: Context | None) -> Array:
    """Float constants as balls."""
    reading = "exact" if context is None else context.constants
    with np.errstate(over="ignore"):
        ulps = np.spacing(np.abs(values)).astype(np.float64)
    if reading in ("exact", "balls") and np.all(np.isfinite(ulps)):
        widths = 0.0 if reading == "exact" else np.where(short_ones(values), 0.0, ulps)
        return as_objects(_WIDE_BALL(values.astype(np.float64), widths))
    if reading != "tables" or values.size < 2 or not np.all(np.isfinite(values)):
        return entrywise(lambda value: constant(value, context, values.dtype), values)
    largest = _ulp(np.max(np.abs(values))) * values.size

    def of_table(value: float) -> arb:
        read = constant(value, context, values.dtype)
        return arb(read.mid(), (read.rad() * arb(_OF_TABLES)).min(arb(largest)))

    return entrywise(of_table, values)


def _ulp(number: np.floating) -> float:
    """The distance to the next float; of the largest one, to the one before."""
    with np.errstate(over="ignore"):
        above = float(np.spacing(number))
    return above if np.isfinite(above) else float(number - np.nextafter(number, np.zeros_like(number)))
