"""What a specimen is, and how the files are read.

A file holds a function and its derivative twice: as it was shipped and as it was mended, in our own code. The figures of
the report stand beside it: where it was seen, what came out. They are checked: the shipped code gives what was reported, the
mended code what mpmath says.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

import jax
import mpmath
import numpy as np

KINDS = (
    "closed form",
    "missing term",
    "order of factors",
    "cotangent",
    "broadcast",
    "index",
    "boundary",
    "fast path",
    "saved value",
    "second order",
    "conjugate",
    "digits lost",
    "right but refused",
)
"""Of the mistake. The first is a wrong formula; in the others the formula is mostly right, and what is around it is not."""

Gradient = Callable[..., Any]


@dataclass(frozen=True)
class Source:
    """Where a mistake was reported."""

    project: str
    """owner/name on GitHub, or a package"""
    number: int | None
    """of the issue or pull request; None where it was seen by running the version named"""
    sentence: str
    """what was wrong, in our words"""
    version: str = ""
    """as the report has it; empty where it has none"""
    code: str = "reconstructed from the report's description"
    """how we know the code as it was shipped"""

    @property
    def name(self) -> str:
        """pytorch/pytorch#196696"""
        return self.project if self.number is None else f"{self.project}#{self.number}"

    @property
    def link(self) -> str:
        """As Markdown."""
        return self.name if self.number is None else f"[{self.name}](https://github.com/{self.project}/issues/{self.number})"


@dataclass(frozen=True)
class Specimen:
    """A derivative as it was shipped and as it was mended.

    Derivatives have the shape of the value, then that of the argument `wrt`. Of order 2, the gradients are right, and what
    is judged is what JAX gets by differentiating them once more.
    """

    kind: str
    source: Source
    function: Callable[..., Any]
    mended: Gradient
    shipped: Gradient | None
    """None where the right derivative was refused"""
    domain: tuple[Any, ...]
    at: tuple[Any, ...]
    """where it was seen, or a place like it"""
    truth: Callable[[], Any]
    """one entry of the derivative there, by mpmath"""
    entry: tuple[int, ...] = ()
    reported: float | None = None
    """what the report says came out there"""
    wrt: str = ""
    """the first argument where it is empty"""
    order: int = 1
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    usual: Callable[[np.random.Generator], tuple[Any, ...]] | None = None
    """inputs that a user would try, where ordinary random ones are none"""
    live: Callable[[], Any] | None = None
    """the same entry as the library itself has it today"""
    not_found: str = ""
    """why ours does not find it, where it does not"""
    name: str = ""
    """of its file"""

    def __post_init__(self) -> None:
        assert self.kind in KINDS, self.kind
        assert (self.shipped is None) == (self.kind == "right but refused")

    @cached_property
    def position(self) -> int:
        """Of the argument that it is differentiated by."""
        names = list(inspect.signature(self.function).parameters)
        return names.index(self.wrt) if self.wrt else 0

    @property
    def variable(self) -> str:
        """The name of that argument."""
        return list(inspect.signature(self.function).parameters)[self.position]

    @property
    def arguments(self) -> tuple[Any, ...]:
        """Those of `at`, as arrays."""
        return tuple(as_array(x) for x in self.at)

    def differentiated(self, gradient: Gradient) -> Gradient:
        """The derivative that is judged: the gradient itself, or of order 2 what JAX gets from it."""
        return gradient if self.order == 1 else jax.jacfwd(gradient, self.position)

    @property
    def judged(self) -> Callable[..., Any]:
        """What the judged derivative is the derivative of."""
        return self.function if self.order == 1 else jax.jacrev(self.function, self.position)

    def true_entry(self) -> float:
        """By mpmath, with 50 digits."""
        with mpmath.workdps(50):
            return float(self.truth())

    def entry_of(self, gradient: Gradient) -> float:
        """The same entry of a gradient's derivative, in float64."""
        with jax.enable_x64(True):
            return float(np.asarray(self.differentiated(gradient)(*self.arguments))[self.entry])


def check(specimen: Specimen) -> None:
    """That the shipped code gives the figure of the report, and is wrong; and that the mended code gives mpmath's.

    Raises:
        AssertionError: it is not so.
    """
    true = specimen.true_entry()
    mended = specimen.entry_of(specimen.mended)
    assert abs(mended - true) <= (1e-9 * abs(true) or 1e-12), f"{specimen.name}: mended {mended!r}, true {true!r}"
    if specimen.shipped is None:
        return
    shipped, reported = specimen.entry_of(specimen.shipped), specimen.reported
    assert not abs(shipped - true) <= 1e-8 * abs(true), f"{specimen.name}: shipped {shipped!r}, true {true!r}"
    if reported is not None:
        same = abs(shipped - reported) <= 2e-4 * abs(reported) or (np.isnan(shipped) and np.isnan(reported))
        assert same, f"{specimen.name}: shipped {shipped!r}, reported {reported!r}"


def as_array(x: Any) -> np.ndarray:
    """Real numbers as float64; integers in lists are class numbers, and stay."""
    array = np.asarray(x)
    return array if array.dtype.kind in "iu" and array.ndim else array.astype(np.float64)


FOLDER = Path(__file__).parent / "specimens"


def specimens(names: Sequence[str] = ()) -> list[Specimen]:
    """All of them, or those named, by kind and name."""
    from dataclasses import replace

    files = sorted(path.stem for path in FOLDER.glob("[a-z]*.py"))
    found = [
        replace(import_module(f"zoo.specimens.{name}").SPECIMEN, name=name) for name in files if not names or name in names
    ]
    return sorted(found, key=lambda specimen: (KINDS.index(specimen.kind), specimen.name))
