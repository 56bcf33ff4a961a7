"""What JAX computes by tricks on bits, for the sake of the last digit, as the real function that it stands for."""

import inspect
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

from autodiff_ref.judge.program.control import scan_widths
from autodiff_ref.judge.program.equations import equations_in
from autodiff_ref.judge.program.plans import aval_of, has_keys
from autodiff_ref.trees import Function

MOST_TURNS = 64
"""of a loop that draws random numbers by keys which it is handed"""

_LIBRARY = Path(jax.__file__).parent


def _entropy(p: jax.Array, q: jax.Array, of_positive: jax.Array, of_zero: jax.Array) -> jax.Array:
    """Where p and q are positive, where p = 0 and q ≥ 0, and ∞ elsewhere."""
    return jnp.where((p > 0) & (q > 0), of_positive, jnp.where((p == 0) & (q >= 0), of_zero, jnp.inf))


def _kl_div(p: jax.Array, q: jax.Array) -> jax.Array:
    return _entropy(p, q, _positive_entropy(p, q) - p + q, q)


def _positive_entropy(p: jax.Array, q: jax.Array) -> jax.Array:
    """p log(p/q), where both are positive."""
    positive = (p > 0) & (q > 0)
    p, q = jnp.where(positive, p, 1.0), jnp.where(positive, q, 1.0)
    return p * (jnp.log(p) - jnp.log(q))


_MEANT: dict[tuple[str, str], dict[Function | None, Function]] = {
    ("custom_jvp_call", "exp_neg_sq"): {None: lambda x: jnp.exp(-(x * x))},
    ("jit", "signbit"): {None: lambda x: x < 0},
    ("custom_jvp_call", "_ndtri_grad"): {None: lambda p, y: jnp.sqrt(2 * jnp.pi) * jnp.exp(y * y / 2)},
    ("custom_jvp_call", "_erfcinv_grad"): {None: lambda p, y: -jnp.sqrt(jnp.pi) / 2 * jnp.exp(y * y)},
    ("custom_jvp_call", "_erfcx_grad"): {None: lambda x, y: 2 * x * y - 2 / jnp.sqrt(jnp.pi)},
    ("custom_jvp_call", "_rel_entr"): {
        jax.scipy.special.kl_div: _kl_div,
        jax.scipy.special.rel_entr: lambda p, q: _entropy(p, q, _positive_entropy(p, q), jnp.zeros_like(q)),
    },
}
"""By the call and the name that JAX's own function has, the real function that it computes; where one name serves several
functions, by that whose program it is.

exp(−x²) is called from 0.12 on by the derivatives of erf and erfc. Whether the sign is −, copysign and Γ ask: a real 0 has
no sign, so that there it is a tie. The derivatives of ndtri, erfcinv and erfcx are handed the function's value y. For
p log(p/q), jax 0.12 has two series near p = q.
"""


Calls = TypeVar("Calls")


def looked_up(eqn: core.JaxprEqn, calls: Mapping[tuple[str, str], Calls]) -> Calls | None:
    """What a table, by the primitive that calls and the name of what is called, has for a call of JAX's own function."""
    made = eqn.params.get("_prim")  # of jax 0.12
    info = getattr(getattr(_body(eqn), "jaxpr", _body(eqn)), "debug_info", None)
    name = type(made).__name__ if made is not None else info.func_name if info is not None else ""
    found = calls.get((eqn.primitive.name, name))
    if found is None:
        return None
    file = sys.modules[type(made).__module__].__file__ if info is None else info.func_filename
    return found if _is_of_jax(file) else None


def _is_of_jax(file: str | None) -> bool:
    return _LIBRARY in Path(file or "").parents


def solves_by_lu(eqn: core.JaxprEqn) -> bool:
    """Whether a `custom_linear_solve` is JAX's own by LU, so that it solves the system that its product is of.

    In that of someone else the two may be anything, and a method that iterates stops somewhere.
    """
    product, solve = eqn.params["jaxprs"].matvec.jaxpr, eqn.params["jaxprs"].solve.jaxpr
    by_lu = len(solve.eqns) == 1 and looked_up(solve.eqns[0], {("jit", "_lu_solve"): True})
    return bool(by_lu) and _is_of_jax(product.debug_info.func_filename)


def is_program_of(eqn: core.JaxprEqn, function: Function) -> bool:
    """Whether what an equation calls is what a function of JAX's calls at the same shapes."""
    with jax.enable_x64(True):
        operands = [jax.ShapeDtypeStruct(aval_of(atom).shape, aval_of(atom).dtype) for atom in eqn.invars]
        try:
            known = jax.make_jaxpr(function)(*operands).jaxpr.eqns[-1]
        except (TypeError, ValueError):  # it takes other operands
            return False
    return str(_body(known)) == str(_body(eqn))


def _body(eqn: core.JaxprEqn) -> Any:
    return eqn.params.get("call_jaxpr") or eqn.params.get("jaxpr")


def meant_by(eqn: core.JaxprEqn) -> core.ClosedJaxpr | None:
    """The jaxpr of the real function that a call to one of JAX's own functions computes; None for every other call."""
    served = looked_up(eqn, _MEANT) or {}
    meant = next((meant for of, meant in served.items() if of is None or is_program_of(eqn, of)), None)
    if meant is None:
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

    A product of integers and reals is one of reals; of an order it says whether it is stable; tiles are copies; what an
    array holds that is still to be filled is 0. From jax 0.12 on: a polynomial is Horner's rule, log₂ x is log x / log 2.
    A short loop that is handed random keys is each of its turns, so that the numbers that they give may be known.
    """
    match eqn.primitive.name:
        case "scan" if eqn.params["length"] <= MOST_TURNS and has_keys(eqn):
            spelled = _unrolled(eqn)
        case "dot_general" if _mixes(eqn):
            spelled = _cast(eqn, [aval_of(eqn.outvars[0]).dtype] * 2)
        case "sort" if settled(eqn) != eqn.params:
            spelled = _cast(eqn, [aval_of(atom).dtype for atom in eqn.invars])
        case "tile":
            spelled = _tiled(eqn)
        case "polynomial":
            spelled = _by_horner
        case "log2":
            spelled = _by_log
        case "empty" | "empty2":
            spelled = _zeros(eqn)
        case _:
            return None

    with jax.enable_x64(True):
        return jax.make_jaxpr(spelled)(
            *[jax.ShapeDtypeStruct(aval_of(atom).shape, aval_of(atom).dtype) for atom in eqn.invars]
        )


def _unrolled(eqn: core.JaxprEqn) -> Function:
    turn, order = core.jaxpr_as_fun(eqn.params["jaxpr"]), range(eqn.params["length"])
    first, count = scan_widths(eqn.params)

    def spelled(*operands: jax.Array) -> list[jax.Array]:
        consts, carry, rows = operands[:first], list(operands[first : first + count]), operands[first + count :]
        made = dict[int, list[jax.Array]]()
        for i in reversed(order) if eqn.params["reverse"] else order:
            results = turn(*consts, *carry, *[row[i] for row in rows])
            carry, made[i] = results[:count], results[count:]
        return [*carry, *(jnp.stack(parts) for parts in zip(*(made[i] for i in order), strict=True))]

    return spelled


def implementation_of(eqn: core.JaxprEqn) -> core.ClosedJaxpr | None:
    """The jaxpr of what another library's primitive does, as lineax's `linear_solve`; None if it is not written in JAX."""
    try:
        with jax.enable_x64(True):
            shapes = [jax.ShapeDtypeStruct(aval_of(atom).shape, aval_of(atom).dtype) for atom in eqn.invars]
            made = jax.make_jaxpr(lambda *operands: eqn.primitive.impl(*operands, **eqn.params))(*shapes)
    except Exception:  # it has no implementation, or one that is no program
        return None
    applies_itself = any(each.primitive is eqn.primitive for each in equations_in(made.jaxpr))
    return None if applies_itself else made


def _cast(eqn: core.JaxprEqn, dtypes: Sequence[np.dtype]) -> Function:
    def cast(*operands: jax.Array) -> jax.Array:
        made = [operand.astype(dtype) for operand, dtype in zip(operands, dtypes, strict=True)]
        return eqn.primitive.bind(*made, **settled(eqn))

    return cast


def _mixes(eqn: core.JaxprEqn) -> bool:
    """Whether a product is one of reals, and one of its operands is not."""
    are_real = [jnp.issubdtype(aval_of(atom).dtype, jnp.floating) for atom in (*eqn.invars, *eqn.outvars)]
    return are_real[-1] and not all(are_real)


def _zeros(eqn: core.JaxprEqn) -> Function:
    of = aval_of(eqn.outvars[0])
    return lambda *_: jnp.zeros(of.shape, of.dtype)


def _by_horner(x: jax.Array, *coefficients: jax.Array) -> jax.Array:
    *rest, value = coefficients
    for coefficient in reversed(rest):
        value = value * x + coefficient
    return jnp.broadcast_to(value, jnp.broadcast_shapes(*map(jnp.shape, (x, *coefficients))))


def _by_log(x: jax.Array) -> jax.Array:
    return jax.lax.log(x) / jax.lax.log(jax.lax.full_like(x, 2, shape=()))


def _tiled(eqn: core.JaxprEqn) -> Function:
    shape, times = aval_of(eqn.invars[0]).shape, tuple(map(int, eqn.params["reps"]))
    apart = [size for pair in zip(times, shape, strict=True) for size in pair]
    axes = tuple(range(1, len(apart), 2))

    def tiled(x: jax.Array) -> jax.Array:
        return jax.lax.reshape(jax.lax.broadcast_in_dim(x, apart, axes), aval_of(eqn.outvars[0]).shape)

    return tiled
