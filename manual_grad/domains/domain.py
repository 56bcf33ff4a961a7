"""What a domain is: the set that an argument of a derivation is drawn from, and its shape.

A kind of domain is a class that says everything of its elements: how to draw them, what lies at the boundary, how to make
one simpler, how the prover writes them. A kind of your own is a subclass of `Domain`. Elements are drawn for any number of
inputs at once, so that one method serves a single input, a batch of thousands, and Hypothesis: what differs is the `Source`
that the numbers come from.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from typing import Any, ClassVar, Protocol, Self, cast

import numpy as np

from manual_grad._arrays import Array

Dim = int | str
"""A size: a number, or a name that stands for one size everywhere in a derivation."""

Values = np.ndarray
"""A NumPy array."""

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


@dataclass(frozen=True)
class Domain(ABC):
    """The set that an argument is drawn from, and its shape. A subclass is a kind of domain.

    A kind must say how to `draw` an element, what it `contains`, and which elements are `simple`. All else has a default
    that is safe. Where a size may still be a name, the method says so; elsewhere sizes are numbers (`Domain.sized`). An
    array that holds the elements of many inputs has these as its first axis. `docs/extending.md` adds a kind.

    Raises:
        ValueError: a size is neither a positive int nor a name.

    Example:
        >>> from manual_grad import reals
        >>> x = reals("n", "d").sized({"n": 3, "d": 2})
        >>> x.shape, isinstance(x, Domain)
        ((3, 2), True)
    """

    dims: tuple[Dim, ...]
    """the shape of its arrays: sizes, or names of sizes"""

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
    misreadings: ClassVar[tuple[Misreading, ...]] = ()
    """how labels of this kind are taken for others by mistake"""

    def __post_init__(self) -> None:
        for dim in self.dims:
            if not is_size(dim):
                raise ValueError(f"a dimension is a positive int or a name, got {dim!r} in {self.dims!r}")

    @classmethod
    def examples(cls) -> tuple[Self, ...]:
        """A few domains of this kind, on which the tests try what it says. Names of sizes are n, d and k."""
        return (cls(("n",)),)

    @property
    def every_dim(self) -> tuple[Dim, ...]:
        """The sizes it depends on: those of its axes, and any other."""
        return self.dims

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of its arrays, where every size is a number."""
        if not all(isinstance(dim, int) for dim in self.dims):
            raise ValueError(f"{self} has no shape before its sizes are numbers: {type(self).__name__}.sized gives them")
        return cast("tuple[int, ...]", self.dims)

    def sized(self, sizes: Mapping[str, int]) -> Self:
        """The same domain with numbers for the named sizes."""
        return replace(self, dims=tuple([size_of(dim, sizes) for dim in self.dims]))

    # Drawing

    @abstractmethod
    def draw(self, how: How, source: Source) -> Values:
        """Elements, one an input: an array (inputs, …). Short dyadic numbers, which float32 holds, where possible."""

    @abstractmethod
    def contains(self, x: Values) -> bool:
        """Whether an array is an element of the domain. Its sizes may be names."""

    def is_exact(self) -> bool:
        """Whether what is drawn is in the domain exactly, and not only up to rounding."""
        return True

    def boundary(self) -> list[Values]:
        """Elements at which something special happens: 0, the ends, equal entries, singular matrices."""
        return []

    def edge(self, x: Values, mask: Values, source: Source) -> Values:
        """Elements put on the boundary, where `mask` has an entry of theirs, or at the entries that it has."""
        points = np.stack(self.boundary())
        chosen = points[np.asarray(source.integers(0, len(points) - 1, (len(x),)))]
        return np.where(by_input(np.any(mask.reshape(len(x), -1), axis=1), x.shape[1:]), chosen, x)

    def inner(self, x: Values) -> Values:
        """Elements with their zeros taken away, where that leaves them in the domain."""
        return x

    @staticmethod
    def part(x: Array) -> Array:
        """What of a square matrix moves on the domain: the symmetric part of a symmetric one. Takes any library's arrays.

        A rule that reads one triangle of a symmetric matrix is judged as a function of this part.
        """
        return x

    # Searching

    def moved(self, x: Values, step: Values, along: Values, rng: np.random.Generator) -> Values:
        """Elements beside others. Its sizes may be names.

        Args:
            x: its elements, one an input.
            step: a step for each entry in units of its size, 0 for half of them.
            along: the difference of two other elements, or 0.
            rng: for moves that are none of the two.
        """
        return x

    def put(self, x: Values, place: int | None, number: float) -> Values | None:
        """An element with a number at a place (counted through the array), or everywhere; None where there is none.

        Its sizes may be names.
        """
        changed = np.array(x)
        changed.flat[slice(None) if place is None else place] = number
        changed = self.mended(changed, place)
        return changed if self.contains(changed) and np.any(changed == number) else None

    def mended(self, x: Values, place: int | None = None) -> Values:
        """An array made an element of the domain, after an entry was changed or positions along an axis were left out."""
        return x

    # Making counterexamples simpler

    @abstractmethod
    def simple(self, simple: Simple) -> Values:
        """An element made of few and short numbers."""

    def simpler(self, value: float) -> Iterable[float]:
        """Entries that may be simpler than this one, the simplest first. Its sizes may be names."""
        return ()

    def simpler_arrays(self, x: Values) -> Iterable[Values]:
        """Elements that may be simpler than this one, where its entries depend on each other."""
        return ()

    def tied(self) -> set[Dim]:
        """Dimensions along which positions are not alike: entries depend on each other, or a label counts along them."""
        return {*self.dims}

    def can_cut(self) -> bool:
        """Whether positions along tied dimensions may be left out, with what is left `mended`."""
        return False

    # Writing

    def symbols(self, write: Symbols) -> Values:
        """An array of symbols for the prover.

        They stand for all elements, or for more than these. The boundary may be left out, since balls look there.

        Raises:
            NotImplementedError: there is none.
        """
        return each(self.shape, write.symbol)

    def bounds(self) -> tuple[float, float]:
        """Two numbers between which all entries of all elements lie. Its sizes may be names."""
        return -np.inf, np.inf

    def grid(self) -> tuple[float, ...]:
        """Numbers along which the accuracy at a single real number is measured."""
        return ()

    def said(self, name: str) -> str:
        """What it says of an argument, where that is not "any real number": x > 0."""
        return ""


class Entrywise(Domain):
    """A kind whose entries do not depend on each other."""

    def tied(self) -> set[Dim]:
        """None."""
        return set()


def size_of(dim: Dim, sizes: Mapping[str, int]) -> int:
    """What a dimension is."""
    return sizes[dim] if isinstance(dim, str) else int(dim)


def is_size(dim: object) -> bool:
    """Whether it is a positive int or a name."""
    return isinstance(dim, str) or (isinstance(dim, int) and not isinstance(dim, bool) and dim >= 1)


def needs_an_axis(domain: Domain, name: str) -> None:
    """Raises ValueError where a domain, whose constructor is called so, has no axis."""
    if not domain.dims:
        raise ValueError(f'{name} needs at least one dimension, as in {name}("d")')


def each(shape: tuple[int, ...], make: Callable[[], object]) -> Values:
    """An array of objects, each made anew."""
    made = np.empty(shape, dtype=object)
    for index in np.ndindex(shape):
        made[index] = make()
    return made
