"""What a function of JAX's library means, where its program is a series or a rational approximation.

A line about Ei is about ∫ eᵗ/t dt, not about the polynomials that `jax.scipy.special.expi` adds up. A table that has a rule
under the name of a meaning is asked for that; the others compute what the program says, as floats must.

Two kinds of functions are recognised. Those that are called, with a rule of their own for their derivatives or under `jit`,
by the call and the name of JAX's own function. And those that leave no call behind, as `betaln`, by all of their equations:
these are looked up among those of the plan, which holds equal ones once. What JAX made of a function by differentiating its
program is neither, and stays what it is: the derivative of the approximation.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core
from numpy.typing import ArrayLike

from autodiff_ref.judge.functions import FUNCTIONS
from autodiff_ref.judge.functions import row as rows
from autodiff_ref.judge.program.plans import Arithmetic, Equation, Operand, PlannedStep, Rule, aval_of
from autodiff_ref.judge.program.standins import is_program_of, looked_up
from autodiff_ref.trees import Function


@dataclass(frozen=True)
class Called:
    """A meaning that is seen by a call: its name, how many operands and results it has."""

    name: str
    operands: int = 1
    results: int = 1
    function: Callable[[tuple[int, ...]], Function] | None = None
    """for one without a rule of its own, which differentiating leaves a call of the same name for: the function, by what it
    returns the shape of, whose program the call must hold"""


def _mapped(f: Function, axes: int) -> Function:
    """f along leading axes."""
    return f if axes == 0 else jax.vmap(_mapped(f, axes - 1))


CALLED: dict[tuple[str, str], Called] = {
    **{
        (how.by, how.name): Called(name, row.arity)
        for name, row in FUNCTIONS.items()
        for how in row.library
        if isinstance(how, rows.Called)
    },
    ("custom_jvp_call", "sici"): Called("sici", 1, 2),
    ("custom_jvp_call", "fresnel"): Called("fresnel", 1, 2),
    ("custom_jvp_call", "_frexp"): Called("frexp", 1, 2),
    ("call_hi_primitive", "Frexp"): Called("frexp", 1, 2),
    ("call_hi_primitive", "Ldexp"): Called("ldexp", 2),
    ("jit", "ldexp"): Called("ldexp", 2, function=lambda _: jnp.ldexp),
    ("jit", "bessel_jn"): Called("bessel_jn", function=lambda shape: partial(jax.scipy.special.bessel_jn, v=shape[0] - 1)),
    ("jit", "expm"): Called("expm", function=lambda shape: _mapped(jax.scipy.linalg.expm, len(shape) - 2)),
}
"""by the primitive that calls, and the name of the function that is called

`bessel_jn`, `expm` and `ldexp` have no rule of their own, so that their programs are compared. jax 0.12 has primitives for
some, and other names.
"""

SPELLED: dict[str, rows.Spelled] = {
    name: how for name, row in FUNCTIONS.items() for how in row.library if isinstance(how, rows.Spelled)
}
"""meanings that are seen by their equations"""

NAMES = frozenset(SPELLED) | {called.name for called in CALLED.values()}
"""all meanings"""


@cache
def _primitive(name: str, several: bool) -> core.Primitive:
    made = core.Primitive(name)
    made.multiple_results = several
    return made


# Calls


def with_meanings(eqns: Iterable[core.JaxprEqn], rules: Mapping[str, Rule]) -> Iterator[core.JaxprEqn]:
    """Equations, in which calls to functions whose meaning has a rule are equations of that."""
    for eqn in eqns:
        called = _called(eqn)
        if called is None or called.name not in rules:
            yield eqn
        else:
            meant = _primitive(called.name, called.results > 1)
            yield eqn.replace(primitive=meant, invars=eqn.invars[-called.operands :], params={})


def _called(eqn: core.JaxprEqn) -> Called | None:
    called = looked_up(eqn, CALLED)
    if called is None or len(eqn.outvars) != called.results or len(eqn.invars) < called.operands:
        return None
    if called.function is not None:
        return called if _holds(eqn, called) else None
    # functions of arrays of one shape and of single numbers: what else there is, vmap may have made of arrays of any shapes
    shape = aval_of(eqn.outvars[0]).shape
    return called if all(aval_of(atom).shape in ((), shape) for atom in eqn.invars[-called.operands :]) else None


def _holds(eqn: core.JaxprEqn, called: Called) -> bool:
    """Whether what is called is the function itself, and not what became of it by differentiating or mapping it."""
    shape = aval_of(eqn.outvars[0]).shape
    if called.function is None or len(eqn.invars) != called.operands or (not shape and called.name == "bessel_jn"):
        return False
    return is_program_of(eqn, called.function(shape))


# Equations

Key = tuple[Any, ...]
"""what a planner knows equal equations by: primitive, places of the operands, parameters"""


class Planned(Protocol):
    """What is asked here of a `walk.Planner`."""

    table: Arithmetic
    operands: list[Operand]
    steps: list[PlannedStep]
    seen: dict[Key, list[int]]

    def inputs(self, closed: core.ClosedJaxpr, labels: Sequence[bool]) -> list[int]:
        """Places for a jaxpr's inputs."""
        ...

    def inline(self, jaxpr: core.Jaxpr, consts: Sequence[ArrayLike], inputs: Sequence[int]) -> list[int]:
        """Plans the equations of a jaxpr; where its outputs are."""
        ...


Shapes = tuple[tuple[int, ...], ...]

_Template = tuple[list[int], dict[Key, list[int]], int]
"""places of the operands, equations with the places of their results, place of the function's result"""


def recognise(planner: Planned) -> None:
    """Makes one step of what a function of `SPELLED` leaves behind in a planner, by the table's rule for its meaning."""
    names = {step.name for step in planner.steps}
    for name, spelled in SPELLED.items():
        if name in planner.table.rules and spelled.needs <= names:
            for operands, result in _found(planner, name):
                _replace(planner, name, operands, result)


def _found(planner: Planned, name: str) -> list[tuple[list[int], int]]:
    """Where a function's equations stand: the places of its operands, and of its result."""
    found = list[tuple[list[int], int]]()
    for key in list(planner.seen):
        if key[0] == "constant" or not isinstance(key[1], tuple):
            continue
        if len(key[1]) < FUNCTIONS[name].arity or not planner.operands[key[1][0]].is_real:
            continue
        first = planner.operands[key[1][0]]
        if first.dtype.itemsize < 4 or key[0] != _first_primitive(name):  # these functions take no half precision
            continue
        operands = list(key[1][: FUNCTIONS[name].arity])
        shapes = tuple(planner.operands[slot].shape for slot in operands)
        template = _template(name, shapes, first.dtype.str, type(planner), planner.table)
        result = _matched(template, operands, planner.seen)
        if result is not None:
            found.append((operands, result))
    return found


@cache
def _first_primitive(name: str) -> str:
    spelled = SPELLED[name]
    with jax.enable_x64(True):
        shapes = [jax.ShapeDtypeStruct((2,), np.dtype(np.float64))] * FUNCTIONS[name].arity
        return jax.make_jaxpr(spelled.function)(*shapes).jaxpr.eqns[0].primitive.name


@cache
def _template(
    name: str,
    shapes: Shapes,
    dtype: str,
    planner_of: Callable[[Arithmetic], Planned],
    table: Arithmetic,
) -> _Template:
    """The equations of a function of operands of given shapes, as a planner knows them."""
    spelled = SPELLED[name]
    with jax.enable_x64(True):
        closed = jax.make_jaxpr(spelled.function)(*[jax.ShapeDtypeStruct(shape, np.dtype(dtype)) for shape in shapes])
    planner = planner_of(table)
    inputs = planner.inputs(closed, [])
    (output,) = planner.inline(closed.jaxpr, closed.consts, inputs)
    return inputs, planner.seen, output


def _matched(template: _Template, operands: list[int], seen: Mapping[Key, list[int]]) -> int | None:
    """The place of a function's result among what a planner has seen, or None where one of its equations is not there."""
    inputs, equations, output = template
    places = dict(zip(inputs, operands, strict=True))
    for key, targets in equations.items():
        if key[0] != "constant":
            if any(source not in places for source in key[1]):
                return None
            key = (key[0], tuple(places[source] for source in key[1]), *key[2:])
        there = seen.get(key)
        if there is None:
            return None
        places.update(zip(targets, there, strict=True))
    return places.get(output)


def _replace(planner: Planned, name: str, operands: list[int], result: int) -> None:
    equation = Equation(
        _primitive(name, False), {}, tuple(planner.operands[slot] for slot in operands), (planner.operands[result],)
    )
    for k, planned in enumerate(planner.steps):
        if planned.targets == [result]:
            planner.steps[k] = PlannedStep(planner.table.rules[name](equation), operands, [result], name)
