"""What JAX computes by tricks on bits, for the sake of the last digit, as the real function that it stands for."""

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

from autodiff_ref.judge.program.plans import aval_of
from autodiff_ref.trees import Function

_LIBRARY = Path(jax.__file__).parent

_MEANT: dict[tuple[str, str], Function] = {
    ("custom_jvp_call", "exp_neg_sq"): lambda x: jnp.exp(-(x * x)),
    ("jit", "signbit"): lambda x: x < 0,
}
"""By the call and the name that JAX's own function has: exp(−x²), which from 0.12 on the derivatives of erf and erfc call;
and whether the sign is −, which copysign and Γ ask: a real 0 has no sign, so that there it is a tie."""


def meant_by(eqn: core.JaxprEqn) -> core.ClosedJaxpr | None:
    """The jaxpr of the real function that a call to one of JAX's own functions computes; None for every other call."""
    inner = eqn.params.get("call_jaxpr") or eqn.params.get("jaxpr")
    info = getattr(getattr(inner, "jaxpr", inner), "debug_info", None)
    meant = None if info is None else _MEANT.get((eqn.primitive.name, info.func_name))
    if info is None or meant is None or _LIBRARY not in Path(info.func_filename or "").parents:
        return None
    n = len(inspect.signature(meant).parameters)
    has_tangents = any(jnp.issubdtype(aval_of(var).dtype, jnp.floating) for var in eqn.outvars)
    if len(eqn.outvars) != 1 or len(eqn.invars) < n or (len(eqn.invars) > n and has_tangents):
        return None  # the same function, differentiated; a differentiated question has the tangents behind its operands
    with jax.enable_x64(True):
        return jax.make_jaxpr(lambda *xs: meant(*xs[:n]))(*[var.aval for var in eqn.invars])


def settled(eqn: core.JaxprEqn) -> dict[str, Any]:
    """The parameters of an equation: an order that is asked to be neither stable nor not, as by `np.argsort`, is stable."""
    return {**eqn.params, "is_stable": True} if eqn.params.get("is_stable", True) is None else dict(eqn.params)


def spelled_out(eqn: core.JaxprEqn) -> core.ClosedJaxpr | None:
    """The jaxpr that an equation stands for which JAX leaves open; None where it leaves nothing open.

    A product of integers and reals is one of reals; of an order it says whether it is stable; tiles are copies.
    """
    of, makes = [aval_of(atom).dtype for atom in eqn.invars], aval_of(eqn.outvars[0]).dtype
    match eqn.primitive.name:
        case "dot_general" if jnp.issubdtype(makes, jnp.floating) and not all(jnp.issubdtype(d, jnp.floating) for d in of):
            spelled = _cast(eqn, [makes] * 2)
        case "sort" if settled(eqn) != eqn.params:
            spelled = _cast(eqn, of)
        case "tile":
            spelled = _tiled(eqn)
        case _:
            return None

    with jax.enable_x64(True):
        return jax.make_jaxpr(spelled)(
            *[jax.ShapeDtypeStruct(aval_of(atom).shape, aval_of(atom).dtype) for atom in eqn.invars]
        )


def implementation_of(eqn: core.JaxprEqn) -> core.ClosedJaxpr | None:
    """The jaxpr of what another library's primitive does, as lineax's `linear_solve`; None if it is not written in JAX."""
    try:
        with jax.enable_x64(True):
            shapes = [jax.ShapeDtypeStruct(aval_of(atom).shape, aval_of(atom).dtype) for atom in eqn.invars]
            made = jax.make_jaxpr(lambda *operands: eqn.primitive.impl(*operands, **eqn.params))(*shapes)
    except Exception:  # it has no implementation, or one that is no program
        return None
    return None if _applies(made.jaxpr, eqn.primitive) else made


def _applies(jaxpr: core.Jaxpr, primitive: core.Primitive) -> bool:
    """Whether a program applies a primitive, as JAX's own implementations do."""
    return any(
        eqn.primitive is primitive or any(_applies(body, primitive) for body in core.jaxprs_in_params(eqn.params))
        for eqn in jaxpr.eqns
    )


def _cast(eqn: core.JaxprEqn, dtypes: Sequence[np.dtype]) -> Function:
    def cast(*operands: jax.Array) -> jax.Array:
        made = [operand.astype(dtype) for operand, dtype in zip(operands, dtypes, strict=True)]
        return eqn.primitive.bind(*made, **settled(eqn))

    return cast


def _tiled(eqn: core.JaxprEqn) -> Function:
    shape, times = aval_of(eqn.invars[0]).shape, tuple(map(int, eqn.params["reps"]))
    apart = [size for pair in zip(times, shape, strict=True) for size in pair]
    axes = tuple(range(1, len(apart), 2))

    def tiled(x: jax.Array) -> jax.Array:
        return jax.lax.reshape(jax.lax.broadcast_in_dim(x, apart, axes), aval_of(eqn.outvars[0]).shape)

    return tiled
