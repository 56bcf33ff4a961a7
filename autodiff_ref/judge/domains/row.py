"""What the judge has to know of a kind of domain: one row for each kind answers all of it.

The whole interface is `Row`. A row draws any number of inputs at once, so that one method serves a single input, a batch of
thousands, and Hypothesis: what differs is the `Source` that the numbers come from.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

import numpy as np

from manual_grad.domains import Dim, Domain

Values = np.ndarray
"""A NumPy array."""

D = TypeVar("D", bound=Domain)

FARTHEST = 256
"""times its ordinary size, a real is moved in a climb"""


class Source(Protocol):
    """Where the numbers of inputs come from."""

    def integers(self, low: int, high: int, shape: tuple[int, ...]) -> Values:
        """Integers low, …, high in an array."""
        ...

    def units(self, shape: tuple[int, ...]) -> Values:
        """Short dyadic numbers from −1 to 1 in an array."""
        ...

    def places(self, most: int, asked: Values) -> Values:
        """For each input where `asked` is true, one of so many places."""
        ...


class Simple(Protocol):
    """Where the numbers of the simplest counterexamples come from. The first value of a choice counts as the simplest."""

    def choice(self, values: Sequence[float], shape: tuple[int, ...]) -> Values:
        """Some of these values in an array."""
        ...

    def numbers(self, shape: tuple[int, ...]) -> Values:
        """Short real numbers in an array."""
        ...


class Symbol(Protocol):
    """A real number that is open, or computed from such ones."""

    def __add__(self, other: "Self | int", /) -> "Self":
        """The sum."""
        ...

    def __radd__(self, other: "Self | int", /) -> "Self":
        """The sum, a number first."""
        ...

    def __mul__(self, other: "Self | int", /) -> "Self":
        """The product."""
        ...


class Symbols(Protocol):
    """What writes arguments for the prover."""

    def symbol(self, low: Fraction | None = None, high: Fraction | None = None) -> Symbol:
        """A new real number, strictly between bounds where there are any."""
        ...

    def choice(self, values: Sequence[int]) -> Symbol:
        """A new label: one of these values."""
        ...

    def outcomes(self, of: int) -> Sequence[Symbol]:
        """A new choice among so many: for each outcome a number that is 1 where it comes out, else 0."""
        ...

    def decimal(self, value: float) -> Symbol:
        """The number that a float's shortest decimal is."""
        ...


@dataclass(frozen=True)
class How:
    """How the inputs of a draw are to be: their strata, and how much larger than ordinary one argument is in each."""

    masks: Mapping[str, Values]
    """which inputs are of a stratum, for each stratum that occurs"""
    scale: Values
    """one number an input"""

    is_ordinary: bool = False
    """whether that is 1 in all of them"""

    def __len__(self) -> int:
        return len(self.scale)

    def are(self, *strata: str) -> Values:
        """Which inputs are of one of these strata."""
        found = [self.masks[name] for name in strata if name in self.masks]
        return np.logical_or.reduce(found) if found else np.zeros(len(self), dtype=bool)


def by_input(values: Values, shape: tuple[int, ...]) -> Values:
    """One number an input, to be broadcast over arrays of a shape."""
    return values.reshape(-1, *[1] * len(shape))


@cache
def ordinary_bound(shape: tuple[int, ...]) -> float:
    """The largest entry, to 1/8, with which two arrays multiplied and summed over the last axis stay below 5."""
    if not shape:
        return 4.0
    most = np.sqrt(5 / shape[-1])
    return float(np.floor(8 * most) / 8 if most >= 0.125 else 2.0 ** np.floor(np.log2(most)))


def simpler_reals(value: float) -> tuple[float, ...]:
    """0, ±1, or fewer digits."""
    return (0.0, np.sign(value), *rounded(value))


def rounded(value: float) -> Iterator[float]:
    """To 1, 2, … significant decimal digits."""
    return (float(f"{value:.{digits}e}") for digits in (0, 1, 2, 3, 5, 7, 11))


@dataclass(frozen=True)
class Misreading:
    """Labels taken for others by mistake."""

    planted: str
    """what is planted: 0 and 1 for −1 and +1"""
    f: Callable[[Any], Any]
    """the others, of the right ones; works on JAX's arrays too"""
    suspected: str = ""
    """what a line that reads them so did, with the name of the labels left out as {name}; nothing where f is not affine"""
    affine: tuple[float, float] = (1.0, 0.0)
    """f(y) = a y + b"""


def misread(planted: str, suspected: str, a: float, b: float) -> Misreading:
    """Labels y taken for a y + b."""
    return Misreading(planted, lambda y: a * y + b, suspected, (a, b))


class Row(Generic[D]):
    """What the judge knows of one kind of domain.

    Every `leaf` is a domain of that kind, its sizes numbers (`Domain.sized`) unless said otherwise. Arrays that hold many
    inputs have these as their first axis.
    """

    known: ClassVar[bool] = False
    """whether values are known exactly, so that comparing them is exact: labels, whole numbers and constants"""
    varies: ClassVar[bool] = True
    """whether there is more than one value"""
    scales: ClassVar[bool] = False
    """whether it is among those that the strata "small", "saturated" and "far" are about"""
    linear: ClassVar[bool] = False
    """whether it holds all multiples of its elements, 0 among them"""
    free: ClassVar[bool] = False
    """whether any number may stand in any place"""
    least: ClassVar[int] = 3
    """the smallest size that tied dimensions have in ordinary inputs"""
    two_values: ClassVar[tuple[float, ...]] = ()
    """the two labels, where there are two"""
    misreadings: ClassVar[tuple["Misreading", ...]] = ()
    """how labels of this kind are taken for others by mistake"""

    # Drawing

    def draw(self, leaf: D, how: How, source: Source) -> Values:
        """Elements of the domain, one an input: (inputs, *shape). Short dyadic numbers, exact in float32, where possible."""
        raise NotImplementedError

    def contains(self, leaf: D, x: Values) -> bool:
        """Whether an array is an element of the domain."""
        raise NotImplementedError

    def is_exact(self, leaf: D) -> bool:
        """Whether what is drawn is in the domain exactly, and not only up to rounding."""
        return True

    def boundary(self, leaf: D) -> list[Values]:
        """Elements at which something special happens: 0, the ends, equal entries, singular matrices."""
        return []

    def edge(self, leaf: D, x: Values, mask: Values, source: Source) -> Values:
        """Elements put on the boundary, where `mask` has an entry of theirs, or at the entries that it has."""
        points = np.stack(self.boundary(leaf))
        chosen = points[np.asarray(source.integers(0, len(points) - 1, (len(x),)))]
        return np.where(by_input(np.any(mask.reshape(len(x), -1), axis=1), x.shape[1:]), chosen, x)

    def inner(self, leaf: D, x: Values) -> Values:
        """Elements with their zeros taken away, where that leaves them in the domain."""
        return x

    # Searching

    def moved(self, leaf: D, x: Values, step: Values, along: Values, rng: np.random.Generator) -> Values:
        """Elements beside others. The sizes of `leaf` may be names.

        Args:
            leaf: the domain.
            x: its elements, one an input.
            step: a step for each entry in units of its size, 0 for half of them.
            along: the difference of two other elements, or 0.
            rng: for moves that are none of the two.
        """
        return x

    def put(self, leaf: D, x: Values, place: int | None, number: float) -> Values | None:
        """An element with a number at a place (counted through the array), or everywhere; None where there is none.

        The sizes of `leaf` may be names.
        """
        changed = np.array(x)
        changed.flat[slice(None) if place is None else place] = number
        changed = self.mended(leaf, changed, place)
        return changed if self.contains(leaf, changed) and np.any(changed == number) else None

    def mended(self, leaf: D, x: Values, place: int | None = None) -> Values:
        """An array made an element of the domain, after an entry was changed or positions along an axis were left out."""
        return x

    # Making counterexamples simpler

    def simple(self, leaf: D, simple: Simple) -> Values:
        """An element made of few and short numbers."""
        raise NotImplementedError

    def simpler(self, leaf: D, value: float) -> Iterable[float]:
        """Entries that may be simpler than this one, the simplest first. The sizes of `leaf` may be names."""
        return ()

    def simpler_arrays(self, leaf: D, x: Values) -> Iterable[Values]:
        """Elements that may be simpler than this one, where its entries depend on each other."""
        return ()

    def tied(self, leaf: D) -> set[Dim]:
        """Dimensions along which positions are not alike: entries depend on each other, or a label counts along them."""
        return set()

    def can_cut(self, leaf: D) -> bool:
        """Whether positions along tied dimensions may be left out, with what is left `mended`."""
        return False

    # Writing

    def symbols(self, leaf: D, write: Symbols) -> Values:
        """An array of symbols for the prover.

        They stand for all elements, or for more than these. The boundary may be left out, since balls look there.

        Raises:
            NotImplementedError: there is none.
        """
        return each(leaf.shape, write.symbol)

    def bounds(self, leaf: D) -> tuple[float, float]:
        """Two numbers between which all entries of all elements lie. The sizes of `leaf` may be names."""
        return -np.inf, np.inf

    def grid(self, leaf: D) -> tuple[float, ...]:
        """Numbers along which the accuracy at a single real number is measured."""
        return ()

    def said(self, leaf: D, name: str) -> str:
        """What it says of an argument, where that is not "any real number": x > 0."""
        return ""


def each(shape: tuple[int, ...], make: Callable[[], object]) -> Values:
    """An array of objects, each made anew."""
    made = np.empty(shape, dtype=object)
    for index in np.ndindex(shape):
        made[index] = make()
    return made
