"""What a hand derivation is: a function, an argument to differentiate it by, the domain of its arguments, and lines.

This module holds no formula. The judge (`autodiff_ref.verify`) imports it and nothing else of `manual_grad`.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from manual_grad._arrays import Array, leaves, map_leaves, namespace, parts
from manual_grad.claims import Line as Line
from manual_grad.claims import Within as Within
from manual_grad.claims import condition_text as condition_text
from manual_grad.claims import holds_when as holds_when
from manual_grad.claims import label_of as label_of
from manual_grad.claims import original_of as original_of
from manual_grad.claims import within as within

Dim = int | str
"""A size: a number, or a name that stands for one size everywhere in a derivation."""


@dataclass(frozen=True)
class Domain:
    """The set an argument is drawn from, and its shape. Made by `reals`, `signs` and the other functions below."""

    dims: tuple[Dim, ...]

    def __post_init__(self) -> None:
        for dim in self.dims:
            if not _is_size(dim):
                raise ValueError(f"a dimension is a positive int or a name, got {dim!r} in {self.dims!r}")


def _is_size(dim: Any) -> bool:
    return isinstance(dim, str) or (isinstance(dim, int) and not isinstance(dim, bool) and dim >= 1)


@dataclass(frozen=True)
class Reals(Domain):
    """Any real numbers."""


@dataclass(frozen=True)
class Signs(Domain):
    """Labels −1 and +1, as floats."""


@dataclass(frozen=True)
class Bits(Domain):
    """Labels 0 and 1, as floats."""


@dataclass(frozen=True)
class Intervals(Domain):
    """Real numbers with low < value < high."""

    low: float
    high: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if not -np.inf < self.low < self.high < np.inf:
            raise ValueError(f"an interval needs finite low < high, got low={self.low} and high={self.high}")


@dataclass(frozen=True)
class Positives(Domain):
    """Real numbers above 0."""


@dataclass(frozen=True)
class Classes(Domain):
    """Integer class numbers 0, …, k−1."""

    k: Dim

    def __post_init__(self) -> None:
        super().__post_init__()
        if not _is_size(self.k):
            raise ValueError(f"the number of classes is a positive int or a name, got k={self.k!r}")


@dataclass(frozen=True)
class OneHot(Domain):
    """Rows with a single 1 and zeros elsewhere, as floats."""


@dataclass(frozen=True)
class Constants(Domain):
    """One fixed value."""

    value: Any


def reals(*dims: Dim) -> Reals:
    """Real numbers in an array of shape `dims`: `reals("n", "d")` is (n, d), `reals()` a single number."""
    return Reals(dims)


def signs(*dims: Dim) -> Signs:
    """Labels −1 and +1, as floats."""
    return Signs(dims)


def bits(*dims: Dim) -> Bits:
    """Labels 0 and 1, as floats."""
    return Bits(dims)


def intervals(low: float, high: float, *dims: Dim) -> Intervals:
    """Real numbers strictly between `low` and `high`."""
    return Intervals(dims, float(low), float(high))


def positives(*dims: Dim) -> Positives:
    """Real numbers above 0."""
    return Positives(dims)


def classes(dim: Dim, k: Dim) -> Classes:
    """Integer class numbers 0, …, k−1, in an array of shape (dim,)."""
    return Classes((dim,), k)


def one_hot(dim: Dim, k: Dim) -> OneHot:
    """Rows with a single 1 among k columns, as floats of shape (dim, k)."""
    return OneHot((dim, k))


def constants(value: Any, *dims: Dim) -> Constants:
    """A fixed value, broadcast to shape `dims` where these are given: `constants(2.0, "n")` is n twos."""
    array = np.asarray(value)
    if not np.issubdtype(array.dtype, np.number) or not np.all(np.isfinite(array)):
        raise ValueError(f"a constant must be a finite number or an array of them, got {value!r}")
    return Constants(dims or array.shape, value)


@dataclass(frozen=True, eq=False)
class Derivation:
    """A derivation of a gradient, line by line.

    Args:
        name: what is derived, for people: "∇_{w11} ll".
        of: the function that is differentiated, of the derivation's arguments: scalar (a gradient) or array (a Jacobian).
            It may take `nabla` itself (a Hessian's `of` is a gradient).
        wrt: by what: the name of a field of the first argument, the name of an argument of `of`, or None for all of the
            first argument.
        domain: one domain for each argument, in tuples, NamedTuples, lists or dicts that mirror the arguments.
        lines: functions of the same arguments and of `nabla`. A line's name is its label, the first line of its docstring
            its equation. Each is claimed to equal the line above, the first the gradient itself.
        sizes: the smallest and largest size of a named dimension, both included: {"n": (2, 5)}. Unnamed ones may be 1.
        where: a predicate on the arguments; only inputs that fulfil it are tried.
        paths: ways through the domain along which the accuracy of the lines is reported, by what runs from −1000 to 1000:
            {"z": f}, where f(z) returns the arguments; labels are then set to each of their values. Without any, the
            number that is differentiated by runs where it is a single one; else the first argument's reals are scaled.

    Raises:
        TypeError: a line or `of` is not callable, or the domain holds something that is not a domain.
        ValueError: there are no lines, two lines have one name, `wrt` is no field or argument, a size is unusable.

    Example:
        >>> def square(z):
        ...     return z * z
        >>> def line_1(z, nabla):
        ...     '''2 z'''
        ...     return 2 * z
        >>> Derivation("d z²/dz", of=square, wrt="z", domain=(reals(),), lines=[line_1]).labels
        ['line_1']
    """

    name: str
    of: Callable[..., Any]
    wrt: str | None
    domain: tuple[Any, ...]
    lines: Sequence[Line]
    sizes: Mapping[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    where: Callable[..., Any] | None = None
    paths: Mapping[str, Callable[[float], tuple[Any, ...]]] = field(default_factory=dict[str, Callable[[float], Any]])

    def __post_init__(self) -> None:
        if not callable(self.of):
            raise TypeError(f"{self.name}: `of` must be a function, got {self.of!r}")
        if isinstance(self.domain, Domain) or hasattr(self.domain, "_fields"):
            raise TypeError(f"{self.name}: the domain is a tuple with one entry an argument; write domain=(…,)")
        for leaf in leaves(self.domain):
            if not isinstance(leaf, Domain):
                raise TypeError(f"{self.name}: the domain holds {leaf!r}; use reals(…), signs(…), constants(…), …")
        if callable(self.lines) or isinstance(self.lines, str):
            raise TypeError(f"{self.name}: `lines` is a list of functions, got {self.lines!r}; write lines=[…]")
        if not self.lines:
            raise ValueError(f"{self.name}: a derivation needs at least one line")
        for line in self.lines:
            if not callable(line):
                raise TypeError(f"{self.name}: a line must be a function, got {line!r}")
        for label in self.labels:
            if self.labels.count(label) > 1:
                raise ValueError(f"{self.name}: two lines are named {label!r}; a line's name is its label, so rename one")
        self._check_wrt()
        for dim, bounds in self.sizes.items():
            if dim not in self.dim_names:
                raise ValueError(f"{self.name}: sizes names {dim!r}, the domain has {sorted(self.dim_names)}")
            if not (len(bounds) == 2 and 1 <= bounds[0] <= bounds[1]):
                raise ValueError(f"{self.name}: sizes[{dim!r}] must be (smallest, largest) from 1 on, got {bounds!r}")

    def _check_wrt(self) -> None:
        parameters = argument_names(self.of)
        if parameters is not None and len(parameters) < len(self.domain):
            raise ValueError(
                f"{self.name}: the domain has {len(self.domain)} arguments, `{label_of(self.of)}` takes {parameters}"
            )
        fields = field_names(self.domain[0]) if self.domain else []
        if self.wrt is not None and self.wrt not in fields and self.wrt not in (parameters or []):
            raise ValueError(
                f"{self.name}: wrt={self.wrt!r} is neither a field of the first argument {fields} "
                f"nor an argument of `{label_of(self.of)}` {parameters}"
            )

    @property
    def labels(self) -> list[str]:
        """The names of the lines, in order."""
        return [label_of(line) for line in self.lines]

    @property
    def dim_names(self) -> set[str]:
        """The named dimensions of the domain."""
        domains = list(leaves(self.domain))
        sizes = [dim for leaf in domains for dim in leaf.dims] + [leaf.k for leaf in domains if isinstance(leaf, Classes)]
        return {dim for dim in sizes if isinstance(dim, str)}

    def with_lines(self, *lines: Line, name: str | None = None) -> "Derivation":
        """The same claim with other lines: how tests plant a mistake."""
        return replace(self, lines=lines, name=name or self.name)


def formula_of(line: Callable[..., Any]) -> str:
    """The first line of a function's docstring: its equation."""
    doc = inspect.getdoc(line) if getattr(line, "__doc__", None) else None
    return doc.splitlines()[0].strip() if doc else ""


def argument_names(function: Callable[..., Any]) -> list[str] | None:
    """The names of a function's own arguments, `nabla` left out; None where it hides them (`*args`)."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return None
    return [p.name for p in parameters if p.name != "nabla" and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]


def field_names(value: Any) -> list[str]:
    """The names of the parts of a NamedTuple or a dict; none for anything else."""
    named = getattr(value, "_fields", None)
    if named is None and isinstance(value, dict):
        named = parts(value)
    return [str(name) for name in named or ()]


def contract(c: Float[Array, "*n"], jacobian: Any) -> Any:
    """Σ_i c_i J_i: the cotangent c against a Jacobian, summed over all of c's axes, leaf by leaf.

    Args:
        c: one coefficient for each output of the differentiated function.
        jacobian: what ∇ returns: an array, or tuples, NamedTuples, lists or dicts of arrays, each of c's shape followed
            by the shape of what it is differentiated by.

    Returns:
        The same structure with c's axes summed away.

    Raises:
        ValueError: a leaf's shape does not begin with c's.

    Example:
        >>> contract(np.array([1.0, -1.0]), np.array([[3.0, 0.0], [1.0, 2.0]])).tolist()
        [2.0, -2.0]
    """
    return map_leaves(lambda leaf: _contract_leaf(c, leaf), jacobian)


def _contract_leaf(c: Array, jacobian: Array) -> Array:
    xp = namespace(c, jacobian)
    c, jacobian = xp.asarray(c), xp.asarray(jacobian)
    if jacobian.shape[: c.ndim] != c.shape:
        raise ValueError(f"c has shape {c.shape} and the Jacobian {jacobian.shape}: the second must begin with the first")
    return xp.tensordot(c, jacobian, axes=c.ndim)
