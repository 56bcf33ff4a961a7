"""The equations of a jaxpr: one alone; and what all of them say, those of loops, branches and calls within it too."""

import operator
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from jax.extend import core
from numpy.typing import DTypeLike


def equations_in(jaxpr: core.Jaxpr) -> Iterator[core.JaxprEqn]:
    """The equations of a jaxpr, each followed by those within it."""
    for eqn in jaxpr.eqns:
        yield eqn
        for body in core.jaxprs_in_params(eqn.params):
            yield from equations_in(body)


def alone(eqn: core.JaxprEqn, jaxpr: core.Jaxpr) -> tuple[list[core.Var], Callable[..., list[Any]]]:
    """The variables that are the arguments of an equation of a jaxpr, and the equation as a function of them."""
    variables = list(dict.fromkeys(atom for atom in eqn.invars if isinstance(atom, core.Var)))
    nameless = jaxpr.debug_info.with_unknown_names()
    made = jaxpr.replace(constvars=[], invars=variables, outvars=eqn.outvars, eqns=[eqn], debug_info=nameless)
    return variables, core.jaxpr_as_fun(core.ClosedJaxpr(made, []))


def primitives_in(jaxpr: core.Jaxpr) -> set[str]:
    """The names of the primitives."""
    return {eqn.primitive.name for eqn in equations_in(jaxpr)}


def bits_in(jaxpr: core.Jaxpr) -> int:
    """The significant bits of the coarsest floats: a cast to float32 is part of what is computed."""
    atoms = (atom for eqn in equations_in(jaxpr) for atom in (*eqn.invars, *eqn.outvars))
    dtypes = {getattr(atom.aval, "dtype", np.dtype(bool)) for atom in atoms}  # a token of an effect has none
    return min([53, *[bits_of(dtype) for dtype in dtypes if jax.numpy.issubdtype(dtype, np.floating)]])


def bits_of(dtype: DTypeLike) -> int:
    """The significant bits of a kind of floats."""
    return int(jax.numpy.finfo(dtype).nmant) + 1


def reads_beyond(jaxpr: core.Jaxpr) -> bool:
    """Whether a program reads an array at a fixed place that it has not: JAX takes the last entry for x[3] of three."""
    known: dict[Any, Any] = {}

    def number(atom: Any) -> Any:
        return np.asarray(atom.val).item() if isinstance(atom, core.Literal) and np.ndim(atom.val) == 0 else known.get(atom)

    for eqn in equations_in(jaxpr):
        name = eqn.primitive.name
        if name == "dynamic_slice":
            shaped: Any = eqn.invars[0].aval
            places = zip(map(number, eqn.invars[1:]), eqn.params["slice_sizes"], shaped.shape, strict=True)
            if any(start is not None and not 0 <= start <= size - width for start, width, size in places):
                return True
        elif name in _OF_PLACES and None not in (given := [number(atom) for atom in eqn.invars]):
            known[eqn.outvars[0]] = _OF_PLACES[name](*given)
    return False


_OF_PLACES: dict[str, Callable[..., Any]] = {
    "lt": operator.lt,
    "add": operator.add,
    "select_n": lambda which, *cases: cases[int(which)],
    "convert_element_type": lambda place: place,
}
"""primitives by which JAX computes the place of x[-1]"""
