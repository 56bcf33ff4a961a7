"""When two jaxprs are the same program: so that equal loops are planned once, and known ones are recognised."""

from collections.abc import Callable, Hashable, Iterable

import numpy as np
from jax.extend import core

INNER = ("jaxpr", "call_jaxpr", "fun_jaxpr")
"""the parameters of a call that hold what is called; its name and its rules do not matter"""


def frozen_jaxpr(closed: core.ClosedJaxpr, frozen: Callable[[object], Hashable]) -> Hashable:
    """Equal for equal programs; None where `frozen`, which does the same for parameters, cannot tell.

    Variables go by the order in which they are met, whatever they are called.
    """
    jaxpr, consts = getattr(closed, "jaxpr", closed), getattr(closed, "consts", ())
    numbers: dict[core.Var, int] = {}

    def atom(value: core.Var | core.Literal) -> Hashable:
        if isinstance(value, core.Literal):
            array = np.asarray(value.val)
            return array.dtype.str, array.shape, array.tobytes()
        return numbers.setdefault(value, len(numbers))

    def met(variables: Iterable[core.Var]) -> Hashable:
        return tuple((atom(v), str(getattr(v, "aval", ""))) for v in variables)

    given = met([*jaxpr.constvars, *jaxpr.invars]), tuple(frozen(np.asarray(const)) for const in consts)
    parts = list[Hashable]()
    for eqn in jaxpr.eqns:
        inner = next((eqn.params[name] for name in INNER if name in eqn.params and eqn.primitive.name != "scan"), None)
        is_call = inner is not None
        params = frozen(dict(eqn.params)) if inner is None else frozen_jaxpr(inner, frozen)
        if params is None:
            return None
        parts.append((is_call or eqn.primitive.name, tuple(map(atom, eqn.invars)), params, met(eqn.outvars)))
    return "jaxpr", given, tuple(parts), tuple(map(atom, jaxpr.outvars))
