"""Where a program compares reals, in the user's own file; and which outcomes of each comparison inputs have met."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import dropwhile, islice, takewhile
from pathlib import Path
from types import CodeType
from typing import Protocol, TypeVar

import jax
import numpy as np
from jax.extend import core

from autodiff_ref.judge.program.plans import Array, Number, Operand, Step
from autodiff_ref.nabla import nabla

_JAX = Path(jax.__file__).parent
_NABLA = nabla.__code__.co_filename
_JUDGE = Path(__file__).parents[1]

_LIBRARY = {"scipy", "nn", "linalg.py", "special.py"}
"""parts of JAX's paths where functions are implemented, and not only called: their branches are tried, but not asked for"""

_NUMPY = ("_src", "numpy")
"""the folder of jax.numpy's functions"""

_ONE_STEP = {
    *("abs", "absolute", "fabs", "sign", "maximum", "minimum", "fmax", "fmin", "clip", "where", "select", "piecewise"),
    *("greater", "greater_equal", "less", "less_equal", "equal", "not_equal"),
}
"""those of them that are one comparison by name, so that their user makes it; the others are implementations"""

_MACHINERY = {
    *("source_info_util.py", "core.py", "pjit.py", "traceback_util.py", "array_methods.py", "lax.py", "api.py"),
    *("ufunc_api.py", "util.py", "indexing.py", "vectorize.py"),
}
"""files of JAX that every equation has come through"""

_BOUNDARIES = {"pjit.py", "custom_derivatives.py", "ad_checkpoint.py"}
"""files of JAX that trace functions on their own"""

_Frame = tuple[CodeType, int]

Spot = tuple[tuple[str, str, int], ...]
"""places in code: file, function, instruction"""

LESS, EQUAL, GREATER, OPEN = 1, 2, 4, 8
"""outcomes of a comparison a ? b, to be added up; an open one is of balls that overlap"""

ALL = LESS | EQUAL | GREATER

EQUALITIES = ("eq", "ne")

WATCHED = (*EQUALITIES, "lt", "le", "gt", "ge", "max", "min", "abs", "sign", "clamp")
"""primitives that take one of two branches by how reals compare"""


@dataclass(frozen=True)
class Site:
    """A comparison of reals in a program; the same one at every shape that the program is traced at."""

    primitive: str
    place: str
    """mine.py:12"""
    spot: Spot
    """see `spot_of`"""
    number: float | None
    """the number that it compares with, if it is one"""
    part: str
    """of a `clamp`, which of its two comparisons"""
    is_jaxs: bool
    """whether it stands in the code of a function of JAX's"""

    def __str__(self) -> str:
        function = self.spot[0][1].partition(".<locals>")[0] if self.spot else ""
        within = f" in JAX's `{function}`, called" if self.is_jaxs and function else ""
        return f"the comparison `{self.primitive}`{within} at {self.place}"

    def unmet(self, outcomes: int) -> list[str]:
        """Its branches that none of these outcomes takes, for people."""
        if self.primitive in EQUALITIES:
            sides = {"equal": outcomes & EQUAL, "different": outcomes & (LESS | GREATER)}
        elif self.primitive in ("lt", "ge"):
            sides = {"<": outcomes & LESS, "≥": outcomes & (EQUAL | GREATER)}
        elif self.primitive in ("le", "gt"):
            sides = {"≤": outcomes & (LESS | EQUAL), ">": outcomes & GREATER}
        else:
            sides = {"<": outcomes & LESS, ">": outcomes & GREATER}
        return [self._said(side) for side, met in sides.items() if not met]

    def wanted(self, outcomes: int) -> list[int]:
        """Outcomes still to be met, so that every branch is taken and the border between them tried."""
        return [outcome for outcome in (LESS, GREATER, EQUAL) if not outcomes & outcome]

    def _said(self, side: str) -> str:
        with_number = "" if self.number is None else f" {self.number:g}"
        branch = (
            f"{side}{with_number}" if side in ("<", ">", "≤", "≥") else side + (f" to{with_number}" if with_number else "")
        )
        return f"the branch “{branch}” of `{self.primitive}` at {self.place}"


def sites_of(
    eqn: core.JaxprEqn, operands: tuple[Operand, ...], known: list[Array | None], calls: Sequence[core.JaxprEqn] = ()
) -> list[Site]:
    """The comparisons that an equation makes: none of labels, of infinities, or within what is left to ∇.

    Args:
        eqn: the equation.
        operands: what is known of its operands.
        known: the operands that are constants.
        calls: the equations that called the function it stands in, the outermost first.
    """
    if eqn.primitive.name not in WATCHED or all(operand.label for operand in operands) or not operands[-1].is_real:
        return []
    if any(value is not None and not np.all(np.isfinite(value)) for value in known):
        return []
    if any(code.co_filename == _NABLA for each in (eqn, *calls) for code, _ in _traced_under(each)):
        return []
    frames = _frames(eqn, calls)
    users = next((k for k, (code, _) in enumerate(frames) if _is_users(code.co_filename)), len(frames))
    above = frames[:users]
    place = _place(frames[users] if users < len(frames) else next(_telling(above), None))
    is_jaxs = any(_is_implementation(code) for code, _ in above)
    numbers = [float(np.ravel(v)[0]) for v in known if v is not None and v.size and np.all(v == np.ravel(v)[0])]
    parts = ("low", "high") if eqn.primitive.name == "clamp" else ("",)
    number = numbers[0] if numbers and eqn.primitive.name != "clamp" else None
    return [Site(eqn.primitive.name, place, spot_of(eqn, calls), number, part, is_jaxs) for part in parts]


def spot_of(eqn: core.JaxprEqn, calls: Sequence[core.JaxprEqn] = ()) -> Spot:
    """Where an equation was traced: the innermost place that tells, and the innermost one in the user's own files."""
    frames = _frames(eqn, calls)
    users = [frame for frame in frames if _is_users(frame[0].co_filename)]
    spots = (*islice(_telling(frames), 1), *users[:1])
    return tuple((code.co_filename, code.co_qualname, instruction) for code, instruction in spots)


def users_code(eqn: core.JaxprEqn) -> CodeType | None:
    """The user's function in which an equation was traced, the innermost one; None where there is none."""
    return next((code for code, _ in _frames(eqn) if _is_users(code.co_filename)), None)


def _telling(frames: list[_Frame]) -> Iterator[_Frame]:
    """The frames that are not those of JAX's own machinery, which all equations have in common."""
    return (frame for frame in frames if not _is_jaxs(frame[0].co_filename) or not _is_machinery(frame[0]))


def _is_machinery(code: CodeType) -> bool:
    return _is_machinery_file(code.co_filename)


@cache
def _is_machinery_file(file: str) -> bool:
    parts = Path(file).parts
    return parts[-1] in _MACHINERY or "interpreters" in parts


@cache
def _is_jaxs(file: str) -> bool:
    return _JAX in Path(file).parents


def _frames(eqn: core.JaxprEqn, calls: Sequence[core.JaxprEqn] = ()) -> list[_Frame]:
    """The code that was running when an equation was traced, and where in it, the innermost first.

    What JAX compiles it traces once, and keeps with the place of the call that was first: only the frames within are those
    of every call, and after them come those of the equation that called it here.
    """
    found = list[_Frame]()
    for depth, each in enumerate((eqn, *reversed(calls))):
        frames = _traced_under(each)
        if depth < len(calls):
            inner = list(dropwhile(_is_calling, frames))
            frames = list(takewhile(lambda frame: not _is_boundary(frame), inner))
        found += frames
        if any(_is_users(code.co_filename) for code, _ in found):
            break
    return found


def _is_calling(frame: _Frame) -> bool:
    """Whether a frame is of the machinery by which JAX calls what it traces on its own."""
    return _is_jaxs(frame[0].co_filename) and Path(frame[0].co_filename).parent.name in ("_src", "interpreters", "jax")


def _traced_under(eqn: core.JaxprEqn) -> list[_Frame]:
    """All the code that was running when an equation was traced first."""
    traceback = eqn.source_info.traceback
    return [] if traceback is None else list(zip(*traceback.raw_frames(), strict=True))


def _is_boundary(frame: _Frame) -> bool:
    """Whether a frame is where JAX begins to trace a function on its own."""
    return _is_jaxs(frame[0].co_filename) and Path(frame[0].co_filename).name in _BOUNDARIES


def _place(frame: _Frame | None) -> str:
    """A place in a file, as mine.py:12."""
    if frame is None:
        return "an unknown place"
    code, instruction = frame
    line = next(islice(code.co_positions(), instruction // 2, None), (code.co_firstlineno,))[0]
    return f"{Path(code.co_filename).name}:{line}"


@cache
def _is_implementation(code: CodeType) -> bool:
    """Whether code is of a function that JAX computes in steps of its own, and no name for a primitive."""
    parts = Path(code.co_filename).parts
    if _LIBRARY.intersection(parts):
        return True
    name = code.co_qualname.partition(".")[0]
    return parts[-3:-1] == _NUMPY and not _is_machinery(code) and name not in _ONE_STEP


@cache
def _is_users(file: str) -> bool:
    return not file.startswith("<") and not _is_jaxs(file) and _JUDGE not in Path(file).parents


T = TypeVar("T")


def compared(site: Site, operands: Sequence[T]) -> tuple[T, T | float]:
    """What a comparison compares: of |x| and sign x, x with 0."""
    match site.primitive:
        case "abs" | "sign":
            return operands[0], 0.0
        case "clamp":
            return operands[1], operands[0] if site.part == "low" else operands[2]
        case _:
            return operands[0], operands[1]


def outcomes_of(site: Site, operands: Sequence[Array]) -> int:
    """How the operands of a comparison compare, over all entries, as far as balls can tell."""
    u, v = compared(site, operands)
    if not isinstance(u, np.ndarray):  # it stands in no array
        return _order(u, v)
    return sum({_order(x, y) for x, y in np.broadcast(u, v)})


def possible_outcomes(site: Site, operands: Sequence[Array], bounds: Mapping[int, tuple[float, float]]) -> int:
    """How they may compare, over all entries and all numbers in the balls; `bounds` are of some balls, by their ids."""
    found = 0
    for u, v in np.broadcast(*compared(site, operands)):
        may = _may(u, v)
        if id(u) in bounds:
            may &= ~_outside(bounds[id(u)], v, LESS, GREATER)
        if id(v) in bounds:
            may &= ~_outside(bounds[id(v)], u, GREATER, LESS)
        found |= may
    return found


def _outside(ends: tuple[float, float], other: Number, below: int, above: int) -> int:
    """Which outcomes no number between two ends has, compared with another one."""
    low, high = ends
    outside = (below if other <= low else 0) | (above if other >= high else 0)
    return outside | (EQUAL if other < low or other > high else 0)


def _order(u: Number, v: Number) -> int:
    """How two balls certainly compare, if they do."""
    return EQUAL if u is v else LESS if u < v else GREATER if u > v else EQUAL if u == v else OPEN


def _may(u: Number, v: Number) -> int:
    """How numbers in two balls may compare."""
    return (0 if u >= v else LESS) | (0 if u <= v else GREATER) | (0 if u < v or u > v else EQUAL)


class Watching(Protocol):
    """What a run that watches comparisons says of where to note them."""

    @property
    def met(self) -> dict[Site, int] | None:
        """For each site, the outcomes met so far; None for nowhere."""
        ...

    @property
    def possible(self) -> dict[Site, int] | None:
        """For each site, the outcomes that are possible for some numbers in the balls."""
        ...

    @property
    def bounds(self) -> Mapping[int, tuple[float, float]]:
        """Of balls that stand for all of a domain, by their ids: its ends."""
        ...


class Watched:
    """A step that compares reals, and notes the outcomes where a run wants to know them."""

    def __init__(self, step: Step, sites: list[Site]) -> None:
        self.step, self.sites = step, sites

    def __call__(self, context: Watching, *operands: Array) -> Array | list[Array]:
        """What the step returns."""
        met = context.met
        if context.possible is not None:
            for site in self.sites:
                context.possible[site] = context.possible.get(site, 0) | possible_outcomes(site, operands, context.bounds)
        if met is not None:
            for site in self.sites:
                if met.get(site, 0) & ALL != ALL:
                    met[site] = met.get(site, 0) | outcomes_of(site, operands)
        return self.step(context, *operands)
