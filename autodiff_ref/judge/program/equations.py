"""What the equations of a jaxpr say, together with those of the loops, branches and calls within it."""

from collections.abc import Iterator

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
