"""Whether a program iterates: what it computes is then known as far as its tolerance, or its number of steps, allows."""

from collections.abc import Iterable, Sequence
from typing import Any

import jax
import numpy as np
from jax.extend import core

from autodiff_ref.judge.program.control import scan_widths
from autodiff_ref.judge.program.equations import equations_in, primitives_in
from autodiff_ref.judge.program.plans import aval_of
from autodiff_ref.judge.program.walk import CALLS

ADDED_UP_BY_XLA = {"igamma", "igammac", "igamma_grad_a", "random_gamma_grad", "regularized_incomplete_beta"}
"""primitives that XLA computes by series which it adds up until a term is small"""

ITERATES = "it iterates until a comparison says so, and the rule is not that of the iterate: say solves= or truth="
"""what is said where a rule is off, and nobody can tell whether it may be"""

_COMPARISONS = {"lt", "le", "gt", "ge"}


def is_added_up(jaxpr: core.Jaxpr) -> bool:
    """Whether a program holds a series of XLA's own."""
    return not ADDED_UP_BY_XLA.isdisjoint(primitives_in(jaxpr))


def iterates(jaxpr: core.Jaxpr) -> bool:
    """Whether a program holds a loop that decides by reals of its state when to end, or what of its state to keep.

    So do an iteration to a tolerance, and a bisection of so many steps. A loop that counts its turns does not.
    """
    return any(
        (eqn.primitive.name == "while" and _ends_by_reals(eqn)) or (eqn.primitive.name == "scan" and _keeps_or_replaces(eqn))
        for eqn in equations_in(jaxpr)
    )


def has_turns(jaxpr: core.Jaxpr) -> bool:
    """Whether a program holds a loop that may go on: one that takes nothing but its own results."""
    return any(
        eqn.primitive.name == "while" or (eqn.primitive.name == "scan" and len(eqn.invars) == sum(scan_widths(eqn.params)))
        for eqn in equations_in(jaxpr)
    )


def _ends_by_reals(loop: core.JaxprEqn) -> bool:
    """Whether the condition of a `while` depends on reals, perhaps of an earlier turn."""
    condition, body = loop.params["cond_jaxpr"].jaxpr, loop.params["body_jaxpr"].jaxpr
    needed = _needed(condition, condition.outvars)
    state = condition.invars[loop.params["cond_nconsts"] :]
    places = {k for k, var in enumerate(state) if var in needed}
    return any(map(_is_real, needed)) or _depend_on_reals(body, body.invars[loop.params["body_nconsts"] :], places)


def _keeps_or_replaces(scan: core.JaxprEqn) -> bool:
    """Whether a loop's body hands on a real of its state as it is, or another one in its place, by reals of its state.

    The larger one of two numbers is no such choice.
    """
    body: core.Jaxpr = scan.params["jaxpr"].jaxpr
    before, width = scan_widths(scan.params)
    state = body.invars[before : before + width]
    for var in filter(_is_real, body.outvars[:width]):
        condition, choices = _choice(body, var)
        if not any(isinstance(atom, core.Var) and atom in state for atom in choices):
            continue
        if condition is None:
            return True
        places = {k for k, carried in enumerate(state) if carried in _needed(body, [condition])}
        if not _compares(body, condition, choices) and _depend_on_reals(body, state, places):
            return True
    return False


def _depend_on_reals(body: core.Jaxpr, state: Sequence[core.Var], places: set[int]) -> bool:
    """Whether one of some places of a loop's state is a real, or is computed of reals, perhaps some turns later."""
    while places:
        after = [body.outvars[k] for k in places]
        needed = _needed(body, after)
        if any(map(_is_real, [*after, *needed])):
            return True
        more = places | {k for k, var in enumerate(state) if var in needed}
        if more == places:
            break
        places = more
    return False


def _choice(jaxpr: core.Jaxpr, result: Any) -> tuple[Any, Sequence[Any]]:
    """The condition by which a result is chosen, None where it stands within a call, and the atoms that it is one of."""
    for eqn in jaxpr.eqns:
        place = next((k for k, var in enumerate(eqn.outvars) if var is result), None)
        if place is None:
            continue
        if eqn.primitive.name == "select_n":
            return eqn.invars[0], eqn.invars[1:]
        if eqn.primitive.name == "cond":
            operands = eqn.invars[1:]
            handed = [(branch.jaxpr.outvars[place], branch.jaxpr.invars) for branch in eqn.params["branches"]]
            return eqn.invars[0], [operands[inner.index(atom)] for atom, inner in handed if atom in inner]
        if eqn.primitive.name in CALLS:
            inner = eqn.params[CALLS[eqn.primitive.name]]
            body: core.Jaxpr = getattr(inner, "jaxpr", inner)
            outside = dict(zip(body.invars, eqn.invars, strict=True))
            condition, chosen = _choice(body, body.outvars[place])
            atoms = [outside.get(atom, atom) if isinstance(atom, core.Var) else atom for atom in chosen]
            return outside.get(condition), atoms
    return None, ()


def _compares(jaxpr: core.Jaxpr, condition: Any, choices: Sequence[Any]) -> bool:
    """Whether a condition says which of its two choices is the larger one, though each may be written, and traced, twice."""
    made = next((eqn for eqn in jaxpr.eqns if condition in eqn.outvars), None)
    if made is None or made.primitive.name not in _COMPARISONS:
        return False
    known, numbers = dict[Any, Any](), dict[Any, int]()

    def key(atom: Any) -> Any:
        return (str(atom.val), str(atom.aval)) if isinstance(atom, core.Literal) else known.get(atom, atom)

    for eqn in jaxpr.eqns:
        said = eqn.primitive.name, str(sorted(eqn.params.items(), key=str)), *map(key, eqn.invars)
        known.update({var: (numbers.setdefault(said, len(numbers)), k) for k, var in enumerate(eqn.outvars)})
    return {*map(key, made.invars)} == {*map(key, choices)}


def _needed(jaxpr: core.Jaxpr, results: Iterable[Any]) -> set[core.Var]:
    """The variables that some results are computed of, these included."""
    found = {atom for atom in results if isinstance(atom, core.Var)}
    for eqn in reversed(jaxpr.eqns):
        if not found.isdisjoint(eqn.outvars):
            found.update(atom for atom in eqn.invars if isinstance(atom, core.Var))
    return found


def _is_real(atom: Any) -> bool:
    return bool(jax.numpy.issubdtype(aval_of(atom).dtype, np.floating))
