"""The functions with a derivative rule of their own that a program calls, and the arguments that they receive there."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.extend import core

from autodiff_ref.judge.balls import BALLS
from autodiff_ref.judge.errors import shown_place
from autodiff_ref.judge.program.comparisons import users_code
from autodiff_ref.judge.program.equations import alone, equations_in
from autodiff_ref.judge.program.plans import Plan
from autodiff_ref.judge.program.walk import CALLS, Planner
from autodiff_ref.judge.rules.iterating import iterates
from autodiff_ref.judge.rules.naming import name_at

CUSTOM = {"custom_jvp_call": "call_jaxpr", "custom_vjp_call": "call_jaxpr", "custom_vjp_call_jaxpr": "fun_jaxpr"}
"""primitives that call a function with a rule of its own, and the parameter that holds the function"""

FOUND = 1e-3
"""An iteration that is meant to find a value finds three digits of it."""

MOST_CALLS = 12
"""calls of one program that are judged alone"""

_JAXS_OWN = "jax/_src/custom_derivatives.py"
_INSTALLED = "site-packages/"
_RULES = ("jvp_jaxpr_fun", "jvp_jaxpr_thunk", "bwd", "fwd_jaxpr_thunk")


@dataclass(frozen=True)
class Named:
    """A function with a rule, for people."""

    name: str
    rule: str
    """the name of the rule, where JAX tells it"""
    place: str
    """where the rule is, or else the function: path/to/file.py:12"""
    kind: str
    """custom_jvp or custom_vjp"""

    def __str__(self) -> str:
        rule = f" `{self.rule}`" if self.rule else ""
        return f"the {self.kind} rule{rule} of `{self.name}` ({self.place})"


def name_of(eqn: Any) -> Named:
    """What a call calls, and where its rule stands."""
    info = getattr(_body(eqn), "debug_info", None)
    function, place = _split(getattr(info, "func_src_info", "") or "")
    function, rule = name_at(function, place), ""
    for key in _RULES:
        found, where = _split(getattr(getattr(eqn.params.get(key), "debug_info", None), "func_src_info", "") or "")
        if where:
            if _JAXS_OWN not in where:  # `defjvps` makes one
                rule, place = found, where
            break
    by_jax, by_others = _JAXS_OWN in place, _INSTALLED in place and f"{_INSTALLED}jax/" not in place
    if by_jax or by_others:  # `custom_gradient` makes one, and so do the decorators of other libraries
        code = next(filter(None, map(users_code, [*_body(eqn).eqns, eqn])), None)
        if code is not None and (by_jax or _INSTALLED not in code.co_filename):
            function, place = code.co_name, f"{code.co_filename}:{code.co_firstlineno}"
    kind = eqn.primitive.name.removesuffix("_jaxpr").removesuffix("_call")
    return Named(function or "?", rule, shown_place(place) or "an unknown place", kind)


def _split(source: str) -> tuple[str, str]:
    """(name, place) of a text as `swish at mine.py:2`"""
    name, _, place = source.partition(" at ")
    return name, place


def named_calls(jaxpr: Any) -> Iterator[tuple[Named, bool]]:
    """All functions with rules in a program; and whether they stand in a loop or a branch."""
    for eqn in jaxpr.eqns:
        if eqn.primitive.name in CUSTOM:
            yield name_of(eqn), False
        entered = eqn.primitive.name in CALLS
        for body in core.jaxprs_in_params(eqn.params):
            for named, inside in named_calls(body):
                yield named, inside or not entered


Constant = tuple[int, str, np.ndarray]
"""an argument that is a number written in the program: (how many that vary stand before it, its name, the number)"""


@dataclass(frozen=True)
class Call:
    """A function with a rule, alone, and how the arguments of one of its calls are computed."""

    named: Named
    names: tuple[str, ...]
    """of its arguments that vary"""
    constants: tuple[Constant, ...]
    function: Callable[..., list[Any]]
    """of the leaves of its arguments"""
    avals: tuple[Any, ...]
    held: tuple[int, ...]
    """positions of values that the function finds outside of itself: no rule is about these"""
    arguments: Plan | None
    """in balls; None where there is no such plan"""
    iterates: bool
    """whether the function does"""
    direct: bool
    """whether its arguments are those of the program, as they are"""
    whole: bool
    """whether the program is nothing else"""
    used: tuple[bool, ...]
    """which of its results the program's results depend on"""

    @property
    def judged(self) -> Callable[..., list[Any]]:
        """The function as it is judged alone: what an iteration hands on, as its last step, counts only if it is used."""
        if not self.iterates or not any(self.used):
            return self.function
        return lambda *xs: [out for out, is_used in zip(self.function(*xs), self.used, strict=True) if is_used]


def calls_of(closed: Any) -> list[Call]:
    """The calls of a program, each function once for each shape; none of those that stand in loops and branches."""
    found: list[tuple[Named, Callable[..., Any], tuple[Any, ...], list[Any], Any, tuple[bool, ...]]] = []

    def tell(eqn: Any, function: Callable[..., Any], values: list[Any], used: tuple[bool, ...]) -> None:
        avals = tuple(variable.aval for variable in alone(eqn, closed.jaxpr)[0])
        found.append((name_of(eqn), function, avals, values, eqn, used))

    def replay(*leaves: Any) -> list[Any]:
        found.clear()
        _replayed(closed.jaxpr, closed.consts, leaves, tell)
        whole.clear()
        for _, _, _, values, *_ in found:
            whole.append(len(values) == len(leaves) and all(v is leaf for v, leaf in zip(values, leaves, strict=True)))
        return [value for _, _, _, values, *_ in found for value in values]

    whole: list[bool] = []
    with jax.enable_x64(True):
        made = jax.make_jaxpr(replay)(*[jax.ShapeDtypeStruct(a.shape, a.dtype) for a in closed.in_avals])
    planner = Planner(BALLS)
    inputs = planner.inputs(made, [])
    outputs = iter(planner.inline(made.jaxpr, made.consts, inputs))
    calls, seen = list[Call](), set[Any]()
    lone = _lone_call(closed)
    for (named, function, avals, values, eqn, used), direct in zip(found, whole, strict=True):
        slots = [next(outputs) for _ in values]
        keys = {k: planner.keys[slot] for k, slot in enumerate(slots) if slot in planner.keys}
        keys |= {k: planner.known[s] for k, s in enumerate(slots) if s in planner.known and _is_raw_key(planner.known[s])}
        key = named, tuple((a.shape, str(a.dtype)) for a in avals), _text(eqn), used
        if key in seen or len(calls) >= MOST_CALLS:
            continue
        seen.add(key)
        try:
            arguments = planner.finish(inputs, [slot for k, slot in enumerate(slots) if k not in keys])
        except NotImplementedError:
            arguments = None
        outside = list(eqn.invars[: eqn.params.get("num_consts", 0)])
        variables = [v for k, v in enumerate(alone(eqn, closed.jaxpr)[0]) if k not in keys]
        held = tuple(k for k, v in enumerate(variables) if v in outside)
        is_iteration = iterates(_body(eqn))
        names, constants = _arguments(eqn)
        if keys:
            function = _with_keys(function, keys)
            names, avals = (tuple(x for k, x in enumerate(every) if k not in keys) for every in (names, avals))
            constants = tuple((place - sum(k < place for k in keys), name, x) for place, name, x in constants)
        calls.append(
            Call(named, names, constants, function, avals, held, arguments, is_iteration, direct, eqn is lone, used)
        )
    return calls


def _is_raw_key(value: np.ndarray) -> bool:
    """Whether it is a random key as `jax.random.PRNGKey` makes it, or several."""
    return value.dtype == np.uint32 and value.shape[-1:] == (2,)


def _with_keys(function: Callable[..., list[Any]], keys: dict[int, Any]) -> Callable[..., list[Any]]:
    """A function that is given these random keys, at their positions."""

    def called(*rest: Any) -> list[Any]:
        others = iter(rest)
        return function(*[keys[k] if k in keys else next(others) for k in range(len(rest) + len(keys))])

    return called


def _arguments(eqn: core.JaxprEqn) -> tuple[tuple[str, ...], tuple[Constant, ...]]:
    """The names of the arguments that vary, and the constants among the others."""
    names: dict[core.Var, str] = {}
    constants = list[Constant]()
    for name, atom in zip(_written_names(eqn), eqn.invars, strict=True):
        if isinstance(atom, core.Literal):
            constants.append((len(names), name, np.asarray(atom.val)))
        else:
            names.setdefault(atom, name)
    return tuple(names.values()), tuple(constants)


def _written_names(eqn: core.JaxprEqn) -> list[str]:
    """The names of all arguments: those in the code or the keys of a tree's leaves, where JAX kept them, else numbers."""
    captured = eqn.params.get("num_consts", 0)
    count = len(eqn.invars) - captured
    keeps = eqn.params.get("fwd_jaxpr_thunk") or _body(eqn)
    kept = _short([name for name in keeps.debug_info.arg_names or () if name])  # defaults, which come last, have none
    kept = kept if len(kept) <= count else []  # an axis by keyword is no argument, and has one
    names = [*kept, *(f"argument {k}" for k in range(len(kept), count))]
    if len(set(kept)) < len(kept) or not all(re.match(r"(?!args\[)\w+", name) for name in kept):
        names = [f"argument {k}" for k in range(count)] if count > 1 else ["x"] * count
    return [*(f"captured value {k}" for k in range(captured)), *names]


def _short(paths: Sequence[str]) -> list[str]:
    """The last keys of paths such as p['layer']['w'] and p.w, where all are different; else the paths."""
    last = [re.sub(r".*(?:\['(\w+)'\]|\.(\w+))$", r"\1\2", path) for path in paths]
    return last if len(set(last)) == len(paths) else list(paths)


def _body(eqn: Any) -> Any:
    """The program of a function with a rule, without the rule."""
    inner = eqn.params[CUSTOM[eqn.primitive.name]]
    return getattr(inner, "jaxpr", inner)


def _text(eqn: Any) -> str:
    jaxpr = _body(eqn)
    return str(jaxpr) if len(jaxpr.eqns) < 60 else str(len(jaxpr.eqns))


def _lone_call(closed: Any) -> Any:
    """The call that a program consists of, if it does, perhaps within `jit`."""
    jaxpr = closed.jaxpr
    while len(jaxpr.eqns) == 1 and list(jaxpr.outvars) == list(jaxpr.eqns[0].outvars):
        eqn = jaxpr.eqns[0]
        given = [atom for atom in eqn.invars if atom not in jaxpr.constvars]
        if given != list(jaxpr.invars):
            return None
        if eqn.primitive.name in CUSTOM:
            return eqn
        if eqn.primitive.name not in ("jit", "pjit") or len(given) != len(eqn.invars):
            return None
        jaxpr = eqn.params["jaxpr"].jaxpr
    return None


def _replayed(
    jaxpr: Any,
    consts: Sequence[Any],
    args: Sequence[Any],
    tell: Callable[[Any, Callable[..., Any], list[Any], tuple[bool, ...]], None],
    used: Sequence[bool] | None = None,
) -> list[Any]:
    """The values of a program, its calls with rules told on the way, those within calls too; `used`: which values are."""
    meant = _meant(jaxpr, used)
    env: dict[Any, Any] = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *args], strict=True))

    def read(atom: Any) -> Any:
        return atom.val if isinstance(atom, core.Literal) else env[atom]

    for eqn in jaxpr.eqns:
        variables, function = alone(eqn, jaxpr)
        values = [read(v) for v in variables]
        if eqn.primitive.name in CUSTOM:
            tell(eqn, function, values, tuple(var in meant for var in eqn.outvars))
        env.update(zip(eqn.outvars, function(*values), strict=True))
        if eqn.primitive.name in CALLS and any(True for _ in named_calls_in(eqn)):
            inner = eqn.params[CALLS[eqn.primitive.name]]
            body, held = getattr(inner, "jaxpr", inner), getattr(inner, "consts", ())
            _replayed(body, held, [read(atom) for atom in eqn.invars], tell, [var in meant for var in eqn.outvars])
    return [read(atom) for atom in jaxpr.outvars]


def named_calls_in(eqn: Any) -> Iterator[tuple[Named, bool]]:
    """All functions with rules within an equation."""
    for body in core.jaxprs_in_params(eqn.params):
        yield from named_calls(body)


def has_symbolic_zeros(jaxpr: Any) -> bool:
    """Whether a program calls a rule that is told which tangents and cotangents are zeros."""
    return any(eqn.params.get("symbolic_zeros") for eqn in equations_in(jaxpr))


# What the author holds still


def has_stops(jaxpr: Any, used: Sequence[bool] | None = None, *, in_rules: bool = True) -> bool:
    """Whether a program holds `stop_gradient` that its used results depend on, other than in how it solves an equation.

    Those within functions that have a rule of their own count if `in_rules`.
    """
    meant = _meant(jaxpr, used)
    return any(
        (eqn.primitive.name == "stop_gradient" and eqn.outvars[0] in meant)
        or any(has_stops(body, _used(eqn, meant), in_rules=in_rules) for body in core.jaxprs_in_params(eqn.params))
        for eqn in jaxpr.eqns
        if in_rules or eqn.primitive.name not in CUSTOM
    )


def _used(eqn: Any, meant: set[Any]) -> list[bool] | None:
    """Which of a call's results are; None for loops and branches, of which all are taken to be."""
    return [var in meant for var in eqn.outvars] if eqn.primitive.name in CALLS else None


def _meant(jaxpr: Any, used: Sequence[bool] | None) -> set[Any]:
    """The variables that the used results depend on, other than by the means to solve a linear equation.

    `jnp.linalg.solve` stops the gradient of the factors it solves by: the solution depends on the equation alone. So do the
    primitives of other libraries that solve equations, as lineax's.
    """
    outs = [atom for atom, is_used in zip(jaxpr.outvars, used or [True] * len(jaxpr.outvars), strict=True) if is_used]
    meant = {atom for atom in outs if isinstance(atom, core.Var)}
    for eqn in reversed(jaxpr.eqns):
        if not meant.isdisjoint(eqn.outvars):
            atoms = eqn.invars
            if eqn.primitive.name == "custom_linear_solve":
                lengths = eqn.params["const_lengths"]
                atoms = [*atoms[: lengths.matvec], *atoms[sum(lengths) :]]
            elif _is_foreign(eqn.primitive):
                continue
            meant.update(atom for atom in atoms if isinstance(atom, core.Var))
    return meant


def _is_foreign(primitive: Any) -> bool:
    """Whether a primitive is one of another library than JAX, with a rule of its own."""
    computes = getattr(primitive, "impl", None)
    module = getattr(getattr(computes, "func", computes), "__module__", None) or "jax"
    return module.partition(".")[0] not in ("jax", "jaxlib")


def stops_of(closed: Any, *, in_rules: bool = True) -> tuple[Any, Any]:
    """A program with what it stops the gradient of as further arguments; and the program that computes these.

    `stop_gradient` is the author's statement: the derivative is that with these values held still. Functions that have a
    rule of their own, and what they stop, are kept as they are unless `in_rules`.
    """
    stopped: list[Any] = []

    def run(
        jaxpr: Any,
        consts: Sequence[Any],
        args: Sequence[Any],
        given: Iterator[Any] | None,
        used: Sequence[bool] | None = None,
    ) -> list[Any]:
        env: dict[Any, Any] = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *args], strict=True))
        meant = _meant(jaxpr, used)

        def read(atom: Any) -> Any:
            return atom.val if isinstance(atom, core.Literal) else env[atom]

        for eqn in jaxpr.eqns:
            values = [read(atom) for atom in eqn.invars]
            is_entered = in_rules or eqn.primitive.name not in CUSTOM
            inner = eqn.params.get(CALLS.get(eqn.primitive.name, "")) if is_entered else None
            is_stop = eqn.primitive.name == "stop_gradient" and eqn.outvars[0] in meant
            if is_stop and np.issubdtype(eqn.invars[0].aval.dtype, np.floating):
                stopped.append(values[0])
                made = [values[0] if given is None else next(given)]
            elif inner is not None and has_stops(getattr(inner, "jaxpr", inner), _used(eqn, meant), in_rules=in_rules):
                made = run(getattr(inner, "jaxpr", inner), getattr(inner, "consts", ()), values, given, _used(eqn, meant))
            else:
                variables, function = alone(eqn, jaxpr)
                made = function(*map(read, variables))
            env.update(zip(eqn.outvars, made, strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    def values_of(*args: Any) -> list[Any]:
        stopped.clear()
        run(closed.jaxpr, closed.consts, args, None)
        return list(stopped)

    def held(*args: Any) -> list[Any]:
        stopped.clear()
        return run(closed.jaxpr, closed.consts, args[: len(shapes)], iter(args[len(shapes) :]))

    shapes = [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in closed.in_avals]
    with jax.enable_x64(True):
        computes = jax.make_jaxpr(values_of)(*shapes)
        more = [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in computes.out_avals]
        return jax.make_jaxpr(held)(*shapes, *more), computes
