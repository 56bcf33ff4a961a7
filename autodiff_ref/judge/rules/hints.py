"""What the names and the annotations of a function's arguments say of what they take."""

import dataclasses
import inspect
import re
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.extend import core

from autodiff_ref.judge.program.plans import aval_of
from autodiff_ref.judge.program.walk import CALLS
from manual_grad.domains import Domain
from manual_grad.domains.labels import Bits, Classes
from manual_grad.domains.numbers import Reals
from manual_grad.domains.vectors import Simplex

Args = tuple[Any, ...]

LABELS = {"label", "labels", "target", "targets", "index", "indices", "idx", "id", "ids", "classes", "class_ids"}
"""names of arguments that are integers, if a function takes integers there"""

_SHARES = re.compile(r"(.*_)?(one_?hot|probs|probabilities)(_.*)?")
"""names of arguments whose numbers sum to 1"""

_MASKS = re.compile(r"(.*_)?masks?")
"""names of arguments that say of entries whether they count"""


def annotated(f: Callable[..., Any]) -> Args | None:
    """The domain that a function's annotations say; None where they do not say it of every argument without a default."""
    try:
        hints = typing.get_type_hints(f, include_extras=True)
    except Exception:  # names that are not there at run time
        return None
    found = list[Domain]()
    for name, has_default in parameters_of(f) or ():
        domain = _of_hint(hints.get(name))
        if domain is None:
            if has_default:
                break
            return None
        found.append(domain)
    return tuple(found) or None


def _of_hint(hint: Any) -> Domain | None:
    if hint is float:
        return Reals(())
    dims, dtypes = getattr(hint, "dim_str", None), getattr(hint, "dtypes", ())
    if dims is None or not isinstance(dims, str):
        return None
    parts = tuple(int(part) if part.isdigit() else part for part in dims.split() if part != "...")
    if not all(isinstance(part, int) or part.isidentifier() for part in parts):
        return None
    if any(str(dtype).startswith("float") for dtype in dtypes):
        return Reals(parts)
    return Classes(parts, 4) if any(str(dtype).startswith(("int", "uint")) for dtype in dtypes) else None


def parameters_of(f: Callable[..., Any]) -> list[tuple[str, bool]] | None:
    """(name, whether it has a default) of what can be passed by position; None where that cannot be told."""
    try:
        parameters = inspect.signature(f).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(p.kind is p.KEYWORD_ONLY and p.default is p.empty for p in parameters):
        return None
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [(p.name, p.default is not p.empty) for p in parameters if p.kind in positional]


def said_to_be_numbers(f: Callable[..., Any]) -> list[str]:
    """The arguments that the annotations call a number: no vector is meant there, though a function may take one."""
    return [name for name, hint in getattr(f, "__annotations__", {}).items() if hint in (float, int, "float", "int")]


def structures_of(f: Callable[..., Any]) -> dict[str, Any]:
    """The structure of each argument that is annotated as a named tuple, or as a dataclass that JAX takes apart."""
    try:
        hints = typing.get_type_hints(f)
    except Exception:  # names that are not there at run time
        return {}
    made = dict[str, Any]()
    for name, hint in hints.items():
        structure = _structure(hint) if inspect.isclass(hint) and name != "return" else None
        made |= {} if structure is None else {name: structure}
    return made


def _structure(kind: type[Any]) -> Any:
    if dataclasses.is_dataclass(kind):
        needed = [each.name for each in dataclasses.fields(kind) if each.init and _is_needed(each)]
    elif issubclass(kind, tuple) and hasattr(kind, "_fields"):
        named: Any = kind
        needed = [name for name in named._fields if name not in named._field_defaults]
    else:
        return None
    try:
        structure = jax.tree.structure(kind(**dict.fromkeys(needed, 1.0)))
    except Exception:  # whatever a class raises at numbers
        return None
    return None if jax.tree_util.treedef_is_leaf(structure) else structure


def _is_needed(each: "dataclasses.Field[Any]") -> bool:
    return each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING


def of_leaves(f: Callable[..., Any], structures: Mapping[str, Any]) -> tuple[Callable[..., Any], Callable[[Args], Args]]:
    """A function of the leaves of its arguments; and how the arguments are put together of these.

    It has those arguments alone that have no default.
    """
    names = [name for name, has_default in parameters_of(f) or () if not has_default]
    counts = [structures[name].num_leaves if name in structures else 1 for name in names]

    def together(leaves: Args) -> Args:
        rest = iter(leaves)
        parts = [[next(rest) for _ in range(count)] for count in counts]
        return tuple(
            jax.tree.unflatten(structures[name], part) if name in structures else part[0]
            for name, part in zip(names, parts, strict=True)
        )

    def called(*leaves: Any) -> Any:
        return f(*together(leaves))

    leaves = [f"{name}_{k}" if name in structures else name for name, n in zip(names, counts, strict=True) for k in range(n)]
    parameters = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in leaves]
    called.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportFunctionMemberAccess]
    return called, together


def as_named(domains: Sequence[Args], names: Sequence[str]) -> Iterator[Args]:
    """Domains, with zeros and ones where a name says a mask, and before each those with shares for what is called a target.

    Shares sum to 1, as the targets of a cross entropy do.
    """
    masks = [k for k, name in enumerate(names) if _MASKS.fullmatch(name)]
    labels = [k for k, name in enumerate(names) if name in LABELS or _SHARES.fullmatch(name)]

    def put(domain: Args, places: Sequence[int], kind: type[Domain], least: int) -> Args:
        return tuple(
            kind(of.dims) if k in places and isinstance(of, Reals) and len(of.dims) >= least else of
            for k, of in enumerate(domain)
        )

    for domain in domains:
        masked = put(domain, masks, Bits, 0)
        yield from dict.fromkeys((put(masked, labels, Simplex, 1), masked))


def is_computed_with(jaxpr: core.Jaxpr, integers: set[core.Var]) -> bool:
    """Whether a program makes reals of some integers, and does not only index and compare with them."""
    known = set(integers)
    for eqn in jaxpr.eqns:
        given = [isinstance(atom, core.Var) and atom in known for atom in eqn.invars]
        if not any(given):
            continue
        if eqn.primitive.name == "convert_element_type" and _is(eqn.outvars[0], np.floating):
            return True
        if eqn.primitive.name in CALLS:
            inner = eqn.params[CALLS[eqn.primitive.name]]
            body: core.Jaxpr = getattr(inner, "jaxpr", inner)
            if is_computed_with(body, {var for var, is_given in zip(body.invars, given, strict=False) if is_given}):
                return True
        known.update(var for var in eqn.outvars if _is(var, np.integer))
    return False


def _is(var: core.Var, kind: type[np.generic]) -> bool:
    return bool(jax.numpy.issubdtype(aval_of(var).dtype, kind))
