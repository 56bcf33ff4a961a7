"""In how coarse floats a program computes what it returns."""

from collections.abc import Sequence

import jax
import numpy as np
from jax.extend import core

from autodiff_ref.judge.program.equations import bits_in
from autodiff_ref.judge.program.movement import INDEXED, MOVEMENT
from autodiff_ref.judge.program.plans import aval_of

EXACT = {*MOVEMENT, *INDEXED, "select_n", "neg", "abs", "max", "min", "sign", "convert_element_type"}
"""primitives that round nothing; a cast to fewer bits does, and is a step of the program in float64 too"""


def eps_of(dtype: np.dtype) -> float:
    """The spacing of floats at 1; 0 for what is no float, and rounds nothing."""
    return float(jax.numpy.finfo(dtype).eps) if jax.numpy.issubdtype(dtype, np.floating) else 0.0


def eps_in(jaxpr: core.Jaxpr) -> float:
    """The spacing at 1 of the coarsest floats in a program."""
    return 2.0 ** (1 - bits_in(jaxpr))


def coarsest(jaxpr: core.Jaxpr, given: Sequence[float]) -> list[float]:
    """For each output, eps of the coarsest floats in which a step that leads to it is rounded.

    Args:
        jaxpr: a program in the precision that it is written in.
        given: the same of its inputs: 0 for data, which are exact.
    """
    known = dict(zip(jaxpr.invars, given, strict=True))
    for eqn in jaxpr.eqns:
        rounded = [known.get(atom, 0.0) for atom in eqn.invars if isinstance(atom, core.Var)]
        bodies = list(core.jaxprs_in_params(eqn.params))
        if bodies:
            rounded += map(eps_in, bodies)
        elif eqn.primitive.name not in EXACT:
            rounded += [eps_of(aval_of(var).dtype) for var in eqn.outvars]
        known.update(dict.fromkeys(eqn.outvars, max(rounded, default=0.0)))
    return [known.get(atom, 0.0) if isinstance(atom, core.Var) else 0.0 for atom in jaxpr.outvars]
