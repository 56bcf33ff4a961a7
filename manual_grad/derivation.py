"""What a hand derivation is: a function, an argument to differentiate it by, the domain of its arguments, and lines.

This module and `domains` hold no formula. The judge (`autodiff_ref.judge`) imports these two and nothing else of
`manual_grad`.
"""

import inspect
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from dataclasses import fields as fields_of_class
from typing import NoReturn

from jaxtyping import Float

from manual_grad._arrays import Arguments, Array, Function, PyTree, is_record, leaves, map_leaves, namespace, parts, rebuilt
from manual_grad.claims import Line as Line
from manual_grad.claims import Within as Within
from manual_grad.claims import condition_text as condition_text
from manual_grad.claims import holds_when as holds_when
from manual_grad.claims import label_of as label_of
from manual_grad.claims import original_of as original_of
from manual_grad.claims import taken_for_condition
from manual_grad.claims import within as within
from manual_grad.domains import Domain

REFERENCE = "jax.grad"
"""the label of the gradient that the first line is judged against"""


def _not_given(*_: object) -> NoReturn:
    raise TypeError("a derivation says what is derived: by `of` or by `equals`")


@dataclass(frozen=True, eq=False)
class Derivation:
    """A derivation, line by line: of a gradient, or of anything else that a function computes.

    Args:
        name: what is derived, for people: "∇_{w11} ll".
        of: the function that is differentiated. It takes the arguments that `domain` describes, and returns a scalar (its
            derivative is a gradient) or an array (a Jacobian). It may take `nabla` itself: the `of` of a Hessian is a
            gradient.
        wrt: what is differentiated by: the name of an argument of `of`, or of a field of its first argument, or the path
            to a field ("params.w", "layers.0.weight"). None stands for all of the first argument. If `equals` is given,
            it is what the ∇ in the lines differentiates by.
        domain: a tuple with one domain for each argument. If an argument is a tuple, NamedTuple, list, dict, or a
            dataclass that is registered with JAX (an Equinox module is), so is its domain, with a domain in the place of
            each array. Static fields and functions stay as they are.
        lines: functions of the same arguments, and of `nabla` if they use ∇. The name of a line is its label, and the
            first line of its docstring is its equation. Each line is claimed to equal the one above it. The first is
            claimed to equal the gradient, or what `equals` returns.
        sizes: the smallest and the largest size of a named dimension, both included: {"n": (2, 5)}. Dimensions that are not
            mentioned may have size 1.
        where: a function of the arguments that returns a bool. Only inputs for which it is true are tried.
        paths: the numbers along which the accuracy of the lines is reported, from −1000 to 1000: {"z": f}, where f(z)
            returns the arguments. Labels are then set to each of their values. Without `paths`, that is the number which
            is differentiated by, if it is a single one. Otherwise all reals of the first argument are scaled.
        equals: in place of `of`, if what is derived is no gradient, as a Newton step or a Hessian-vector product: the
            function that the first line is claimed to equal. It takes the arguments, and `nabla` if it uses ∇. The
            attribute `of` then holds this function, and nothing is differentiated except under a ∇.

    Raises:
        TypeError: a line, `of` or `equals` is not callable, `of` and `equals` are both given or neither is, the domain is
            missing, or it holds something that is not a domain.
        ValueError: there are no lines, two lines have one name, `wrt` is no field or argument, a size is unusable.

    Example:
        >>> from manual_grad import reals
        >>> def square(z):
        ...     return z * z
        >>> def line_1(z, nabla):
        ...     '''2 z'''
        ...     return 2 * z
        >>> Derivation("d z²/dz", of=square, wrt="z", domain=(reals(),), lines=[line_1]).labels
        ['line_1']
    """

    name: str
    of: Function = _not_given
    wrt: str | None = None
    domain: Arguments = ()
    lines: Sequence[Line] = ()
    sizes: Mapping[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    where: Function | None = None
    paths: Mapping[str, Callable[[float], Arguments]] = field(default_factory=dict[str, Callable[[float], Arguments]])
    equals: Function | None = None

    def __post_init__(self) -> None:
        if self.equals is not None:
            if self.of not in (_not_given, self.equals):
                raise TypeError(f"{self.name}: give `of`, whose gradient is derived, or `equals`, and not both")
            object.__setattr__(self, "of", self.equals)
        if self.of is _not_given:
            raise TypeError(f"{self.name}: give `of`, whose gradient is derived, or `equals`, what the lines compute")
        said = "of" if self.is_gradient else "equals"
        if not callable(self.of):
            raise TypeError(f"{self.name}: `{said}` must be a function, got {self.of!r}")
        if not self.domain:
            raise TypeError(f"{self.name}: `domain` is missing: a tuple with one domain for each argument")
        if isinstance(self.domain, Domain | Mapping) or hasattr(self.domain, "_fields") or is_record(self.domain):
            raise TypeError(f"{self.name}: the domain is a tuple with one entry an argument; write domain=(…,)")
        object.__setattr__(self, "domain", with_functions_held(self.domain))
        for leaf in leaves(self.domain):
            if not isinstance(leaf, Domain):
                raise TypeError(f"{self.name}: the domain holds {leaf!r}; {_instead_of(leaf)}")
        if callable(self.lines) or isinstance(self.lines, str):
            raise TypeError(f"{self.name}: `lines` is a list of functions, got {self.lines!r}; write lines=[…]")
        if not self.lines:
            raise ValueError(f"{self.name}: a derivation needs at least one line")
        for line in self.lines:
            if not callable(line):
                raise TypeError(f"{self.name}: a line must be a function, got {line!r}")
            if (bare := taken_for_condition(line)) is not None:
                raise TypeError(
                    f"{self.name}: `{label_of(bare)}` stands under a bare @holds_when: "
                    f"write @holds_when({self._example_of_a_condition}) above it"
                )
        for label in self.labels:
            if not self.is_gradient and label == self.reference:
                raise ValueError(f"{self.name}: a line is named {label!r}, like what it is to equal; rename the line")
            if self.labels.count(label) > 1:
                raise ValueError(f"{self.name}: two lines are named {label!r}; a line's name is its label, so rename one")
        self._check_wrt()
        self._check_sizes()
        if self.where is not None and not callable(self.where):
            raise TypeError(
                f"{self.name}: `where` must be a function of the arguments, got {self.where!r}: "
                f"write where={self._example_of_a_condition}"
            )

    @property
    def _example_of_a_condition(self) -> str:
        """How a condition on the arguments begins."""
        return f"lambda {', '.join(argument_names(self.of) or ['w', 'x'])}: …"

    def _check_sizes(self) -> None:
        if not isinstance(self.sizes, Mapping):
            raise TypeError(f'{self.name}: `sizes` must be a dict, as sizes={{"n": (2, 5)}}, got {self.sizes!r}')
        for dim, bounds in self.sizes.items():
            if dim not in self.dim_names:
                raise ValueError(f"{self.name}: sizes names {dim!r}, the domain has {sorted(self.dim_names)}")
            if not _is_range(bounds):
                meant = f"({bounds}, {bounds})" if isinstance(bounds, int) else "(2, 5)"
                raise ValueError(
                    f"{self.name}: sizes[{dim!r}] must be (smallest, largest) from 1 on, got {bounds!r}: "
                    f'write sizes={{"{dim}": {meant}}}'
                )

    def _check_wrt(self) -> None:
        parameters = argument_names(self.of)
        if parameters is not None and len(parameters) < len(self.domain):
            raise ValueError(
                f"{self.name}: the domain has {len(self.domain)} arguments, `{label_of(self.of)}` takes {parameters}"
            )
        if self.wrt is None:
            return
        if not isinstance(self.wrt, str):
            raise TypeError(
                f"{self.name}: wrt is the name of one argument or field, got {self.wrt!r}; write one Derivation for each"
            )
        fields, arguments = field_names(self.domain[0]), (parameters or [])[: len(self.domain)]
        root, *path = self.wrt.split(".")
        if root not in fields and root not in (parameters or []):
            own = f"`{label_of(self.of)}` has no argument {root!r}, but {', '.join(parameters or [])}"
            inside = f"; nor is it a field of the first argument, which has {', '.join(fields)}" if fields else ""
            raise ValueError(f"{self.name}: wrt={self.wrt!r}: {own}{inside}")
        part: PyTree = self.domain[0] if root in fields else dict(zip(arguments, self.domain, strict=True)).get(root)
        for name in [root, *path] if root in fields else path:
            inside = _parts_by_name(part)
            if name not in inside:
                raise ValueError(f"{self.name}: wrt={self.wrt!r}: there is no {name!r} in it, but {list(inside)}")
            part = inside[name]

    @property
    def is_gradient(self) -> bool:
        """Whether a gradient is derived, of `of`; else what the function `equals` returns."""
        return self.equals is None

    @property
    def reference(self) -> str:
        """What the first line is judged against, as reports say it."""
        return REFERENCE if self.is_gradient else label_of(self.of)

    @property
    def labels(self) -> list[str]:
        """The names of the lines, in order."""
        return [label_of(line) for line in self.lines]

    @property
    def dim_names(self) -> set[str]:
        """The named dimensions of the domain."""
        return {dim for leaf in leaves(self.domain) for dim in leaf.every_dim if isinstance(dim, str)}

    def with_lines(self, *lines: Line, name: str | None = None) -> "Derivation":
        """The same claim with other lines: how tests plant a mistake."""
        return replace(self, lines=lines, name=name or self.name)

    def with_function(self, of: Function) -> "Derivation":
        """The same claim of another function, as of the same one written for another library."""
        return replace(self, of=of, equals=None if self.is_gradient else of)


def _is_range(bounds: object) -> bool:
    """Whether it is (smallest, largest), two whole numbers from 1 on."""
    if not isinstance(bounds, Sequence) or len(bounds) != 2 or not all(hasattr(size, "__index__") for size in bounds):
        return False
    smallest, largest = bounds
    return 1 <= smallest <= largest


def with_functions_held(domain: PyTree) -> PyTree:
    """The same domain, where functions in a dataclass are `jax.tree_util.Partial`: static to JAX, and called as before."""
    jax = sys.modules.get("jax")
    if jax is None or not any(callable(leaf) for leaf in leaves(domain)):
        return domain
    if is_record(domain):
        return jax.tree.map(lambda leaf: jax.tree_util.Partial(leaf) if callable(leaf) else leaf, domain)
    inside = parts(domain)
    return domain if inside is None else rebuilt(domain, {key: with_functions_held(part) for key, part in inside.items()})


def _instead_of(leaf: object) -> str:
    """What may stand in a domain in place of something else."""
    if is_record(leaf):
        return "register its class with jax.tree_util.register_dataclass, so that JAX knows what it holds"
    return "use reals(…), signs(…), constants(…), …; or make it a static field, where it is one of a dataclass"


def formula_of(line: Function) -> str:
    """The first line of a function's docstring: its equation."""
    doc = inspect.getdoc(line) if getattr(line, "__doc__", None) else None
    return doc.splitlines()[0].strip() if doc else ""


_LATEX = (
    r":math:`([^`]+)`",
    r"\.\. math::\s*(.+?)(?:\n\s*\n|\Z)",
    r"\$\$(.+?)\$\$",
    r"\\\[(.+?)\\\]",
    r"\\\((.+?)\\\)",
    r"(?<![\w$\\])\$(?=[^\s$])([^$]*[^\s$])\$(?!\d)",
)


def latex_of(function: Function) -> str:
    r"""The first formula in LaTeX that a function's docstring holds: `$…$`, `$$…$$`, `\(…\)`, `\[…\]` or `:math:`.

    Returns:
        What stands between these signs; an empty string where there is none.

    Example:
        >>> def line_1(w, x):
        ...     r'''Xᵀ g: $X^\top g$'''
        >>> latex_of(line_1)
        'X^\\top g'
    """
    doc = (inspect.getdoc(function) if getattr(function, "__doc__", None) else None) or ""
    found = [match for pattern in _LATEX if (match := re.search(pattern, doc, flags=re.DOTALL))]
    first = min(found, key=lambda match: match.start(), default=None)
    return "" if first is None else " ".join(first[1].split())


def argument_names(function: Function) -> list[str] | None:
    """The names of a function's own arguments, `nabla` left out; None where it hides them (`*args`)."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return None
    return [p.name for p in parameters if p.name != "nabla" and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]


def _parts_by_name(value: PyTree) -> dict[str, PyTree]:
    """The fields of a NamedTuple or a dataclass, the entries of a dict; those of a tuple or list by their numbers."""
    names = field_names(value)
    if isinstance(value, dict) or not names:
        return {str(name): part for name, part in (parts(value) or {}).items()}
    return {name: getattr(value, name) for name in names}


def field_names(value: PyTree) -> list[str]:
    """The names of the parts of a NamedTuple, a dict or a dataclass; none for anything else."""
    if is_record(value) and not isinstance(value, Domain):
        return [each.name for each in fields_of_class(value)]
    named = getattr(value, "_fields", None)
    if named is None and isinstance(value, dict):
        named = parts(value)
    return [str(name) for name in named or ()]


def contract(c: Float[Array, "*n"], jacobian: PyTree) -> PyTree:
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
        >>> import numpy as np
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
