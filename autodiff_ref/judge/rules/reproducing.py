"""A finding as a program in plain JAX and mpmath that shows it: JAX's derivative, and a difference quotient of 60 digits."""

import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.extend import core

from autodiff_ref.judge.functions import FUNCTIONS, Function
from autodiff_ref.judge.program.walk import CALLS
from autodiff_ref.judge.rules.naming import attribute_of
from manual_grad.derivation import label_of

MOST_LINES = 60

UNOPTIMIZED: dict[str, str | bool] = {"xla_backend_optimization_level": "0"}
"""compiles in two thirds of the time, as what runs once should"""

_BINARY = {"add": "+", "add_any": "+", "sub": "-", "mul": "*", "div": "/", "lt": "<", "le": "<=", "gt": ">", "ge": ">=",
           "eq": "==", "ne": "!=", "pow": "**"}  # fmt: skip
_WRITTEN = {"neg": "-({})", "sign": "mp.sign({})", "square": "({})**2", "and": "({} and {})", "or": "({} or {})",
            "not": "(not {})", "copy": "{}", "copy_p": "{}", "stop_gradient": "{}"}  # fmt: skip
_PUBLIC = ("jax.numpy", "jax.nn", "jax.scipy.special", "jax.scipy.stats", "jax.lax", "optax", "optax.losses")
"""where functions are to be had that are defined in private modules"""

_MOVES = ("convert_element_type", "broadcast_in_dim", "reshape", "squeeze", "reduce_precision", "transpose")


class _CannotWriteError(Exception):
    """A primitive, or an array, that this writer has no mpmath for."""


FORWARD, SCALED = "forward mode", "reverse mode with a cotangent of −2"
"""how a derivative may be asked for, other than in reverse mode with a cotangent of 1"""

_SCALED_BY = -2.0


def reproducer(
    f: Callable[..., Any], args: tuple[Any, ...], names: Sequence[str], order: int, *, mode: str = "", of_value: bool = False
) -> str:
    """The program; empty where f takes other arguments than arrays. `of_value`: it shows the value, not the derivative."""
    if any(isinstance(leaf, dict | tuple | list) for leaf in args) or order > 2:
        return ""
    opens, name = source_of(f)
    values = ", ".join(_literal(x) for x in args)
    by = tuple(k for k, x in enumerate(args) if np.asarray(x).dtype.kind == "f")
    derivative = "jax.hessian" if order > 1 else "jax.jacfwd" if mode == FORWARD else "jax.jacrev"
    rows = [
        "import jax, jax.numpy as jnp",
        'jax.config.update("jax_enable_x64", True)',
        *opens,
        f"args = ({values},)",
    ]
    if of_value:
        rows += [
            f'print("the value", {name}(*args))',
            f'print("the value while it is differentiated", jax.vjp({name}, *args)[0])',
        ]
        return "\n".join(rows)
    if mode == SCALED and order == 1:
        rows += [
            f"slopes = jax.jacrev(lambda *xs: jax.tree.map(lambda y: {_SCALED_BY} * y, {name}(*xs)), argnums={by})(*args)",
            f'print("JAX ", jax.tree.map(lambda x: x / {_SCALED_BY}, slopes))  # a rule is linear in the cotangent',
        ]
    else:
        rows.append(f'print("JAX ", {derivative}({name}, argnums={by})(*args))')
    if order == 1:
        try:
            rows += _by_mpmath(f, args, by)
        except Exception:  # what has no mpmath is shown by a quotient in floats
            rows += [
                "for k in range(len(args)):  # a central difference quotient, in floats, along each argument",
                "    h = 1e-6 * (float(jnp.max(jnp.abs(args[k]))) or 1.0)",
                "    up, down = ([a + s * h if j == k else a for j, a in enumerate(args)] for s in (1, -1))",
                f'    print("true", k, jax.tree.map(lambda u, d: (u - d) / (2 * h), {name}(*up), {name}(*down)))',
            ]
    del names
    return "\n".join(rows)


def in_single(f: Callable[..., Any], args: tuple[Any, ...], by: Sequence[int], k: int, mode: str = "") -> np.float32 | None:
    """Entry k of JAX's Jacobian by some leaves of the arguments, in float32; None where it raises."""
    leaves, structure = jax.tree.flatten(args)
    scale = _SCALED_BY if mode == SCALED else 1.0

    def scaled(*xs: Any) -> list[Any]:
        return [scale * out for out in jax.tree.leaves(f(*jax.tree.unflatten(structure, xs)))]

    jacobian = (jax.jacfwd if mode == FORWARD else jax.jacrev)(scaled, tuple(by))
    with jax.enable_x64(False), np.errstate(all="ignore"):
        given = [x.astype(np.float32) if x.dtype.kind == "f" else x for x in map(np.asarray, leaves)]
        try:  # one program: step by step each step is compiled
            made = jax.jit(jacobian, compiler_options=UNOPTIMIZED)(*given)
            return np.concatenate([np.ravel(x) for x in jax.tree.leaves(made)])[k] / scale
        except Exception:  # it has no reverse mode, or none in this precision
            return None


def source_of(f: Callable[..., Any]) -> tuple[list[str], str]:
    """Statements that load f, and its name in the program."""
    written: tuple[list[str], str] | None = getattr(f, "written", None)
    if written is not None:
        return [*written[0], f"f = {written[1]}"], "f"
    name, place = label_of(f), getattr(f, "__module__", None) or ""
    f = getattr(f, "ruled", f)
    name = name if name.isidentifier() else "f"
    module = sys.modules.get(place)
    for public in _PUBLIC if place.startswith(("jax._src", "optax.")) else ():
        if getattr(sys.modules.get(public), name, None) is f:
            return [f"from {public} import {name}"], name
    held = getattr(module, name, None)
    if held is not f and (alias := attribute_of(module, lambda value: value is f)):
        held, name = f, alias
    if held is None or (held is not f and getattr(held, "__wrapped__", None) is not f):
        return [f"# … and `{name}`, to be pasted in: it is defined inside another function"], name
    if not place.startswith(("_manual_grad_target_", "__main__")):
        return [f"from {place} import {name}"], name
    path = Path(str(getattr(module, "__file__", "")))
    return ["import runpy", f"{name} = runpy.run_path({str(path)!r})[{name!r}]"], name


def _literal(x: Any) -> str:
    array = np.asarray(x)
    if array.ndim == 0:
        return repr(array.item())
    return f"jnp.array({array.tolist()!r})"


def _by_mpmath(f: Callable[..., Any], args: tuple[Any, ...], by: tuple[int, ...]) -> list[str]:
    """A difference quotient of the function itself, written in mpmath: for functions of numbers."""
    if any(np.ndim(x) for x in args):
        raise _CannotWriteError("an array")
    with jax.enable_x64(True):
        closed = jax.make_jaxpr(f)(*[np.asarray(x) for x in args])
    if len(closed.jaxpr.outvars) != 1:
        raise _CannotWriteError("several values")
    names = [f"x{k}" for k in range(len(args))]
    rows = list[str]()
    (result,) = _write(closed.jaxpr, closed.consts, names, rows)
    return [
        "from mpmath import mp, mpf",
        "mp.dps = 60",
        f"def primal({', '.join(names)}):  # the function without its rule",
        *[f"    {row}" for row in rows],
        f"    return {result}",
        f"for k in {by}:",
        "    h = mpf(10) ** -20 * (abs(mpf(args[k])) or 1)",
        "    up, down = ([mpf(a) + s * h * (j == k) for j, a in enumerate(args)] for s in (1, -1))",
        '    print("true", k, mp.nstr((primal(*up) - primal(*down)) / (2 * h), 15))',
    ]


def _write(jaxpr: Any, consts: Sequence[Any], inputs: Sequence[str], rows: list[str]) -> list[str]:
    env: dict[Any, str] = dict(zip(jaxpr.invars, inputs, strict=True))
    env.update({var: _number(value) for var, value in zip(jaxpr.constvars, consts, strict=True)})

    def read(atom: Any) -> str:
        return _number(atom.val) if isinstance(atom, core.Literal) else env[atom]

    for eqn in jaxpr.eqns:
        name, operands = eqn.primitive.name, [read(atom) for atom in eqn.invars]
        if name in CALLS:
            inner = eqn.params[CALLS[name]]
            made = _write(getattr(inner, "jaxpr", inner), getattr(inner, "consts", ()), operands, rows)
            env.update(zip(eqn.outvars, made, strict=True))
            continue
        if any(getattr(var.aval, "shape", ()) not in ((), (1,)) for var in eqn.outvars):
            raise _CannotWriteError("an array")
        if name in _BINARY:
            text = f"{operands[0]} {_BINARY[name]} {operands[1]}"
        elif name in _WRITTEN:
            text = _WRITTEN[name].format(*operands)
        elif name in FUNCTIONS and isinstance(FUNCTIONS[name].mpmath, str):
            text = _in_mpmath(FUNCTIONS[name], operands)
        elif name in _MOVES:
            text = operands[0]
        elif name == "integer_pow":
            text = f"{operands[0]} ** {eqn.params['y']}"
        elif name == "select_n" and len(operands) == 3:
            text = f"{operands[2]} if {operands[0]} else {operands[1]}"
        elif name == "clamp":
            text = f"min(max({operands[1]}, {operands[0]}), {operands[2]})"
        else:
            raise _CannotWriteError(name)
        if len(rows) >= MOST_LINES:
            raise _CannotWriteError("a long program")
        rows.append(f"v{len(rows)} = {text}")
        env[eqn.outvars[0]] = f"v{len(rows) - 1}"
    return [read(atom) for atom in jaxpr.outvars]


def _in_mpmath(row: Function, operands: Sequence[str]) -> str:
    """A row's expression, of these operands."""
    given = dict(zip(row.operands.split(), operands, strict=True))
    return re.sub(r"\b[a-z]\b", lambda found: given.get(found[0], found[0]), str(row.mpmath))


def _number(value: Any) -> str:
    x = np.asarray(value).item()
    if isinstance(x, bool | int):
        return repr(x)
    return f"mpf({x!r})" if np.isfinite(x) else f'mpf("{x!r}")'
