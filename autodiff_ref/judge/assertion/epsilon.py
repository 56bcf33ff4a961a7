"""Whether two gradients are equal but for a small constant: an ε in the loss that the gradient leaves out, or vice versa."""

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import CodeType
from typing import TypeGuard

import numpy as np
from jax.extend import core

from autodiff_ref.judge.assertion.sides import Side
from autodiff_ref.judge.balls import BALLS
from autodiff_ref.judge.comparing import Evaluator, compare, evaluator
from autodiff_ref.judge.lines.jaxprs import Atom
from autodiff_ref.judge.numpy_code.run import LIBRARIES
from autodiff_ref.judge.program.plans import Array
from autodiff_ref.judge.program.walk import plan_parts

SMALL = 1e-2
"""constants up to this size are taken for an ε"""

MOST_TRIED = 6

MOST_WORK = 30_000
"""operations on numbers, of both sides, that are done in balls for each"""


def left_out(
    reference: Side, of_arrays: Sequence[Array], candidate: Side, own_arrays: Sequence[Array]
) -> tuple[float, str] | None:
    """(ε, where it stands), if both sides are equal with it 0; None where no such constant explains the difference."""
    if reference.work + candidate.work > MOST_WORK or candidate.plan is None or reference.plan is None:
        return None
    for side, other, arrays, others in (
        (reference, candidate, of_arrays, own_arrays),
        (candidate, reference, own_arrays, of_arrays),
    ):
        fixed = other.at(list(others))
        for value, place in list(_small_constants(side.wide.jaxpr))[:MOST_TRIED]:
            if compare(_without(side, value, arrays), fixed).outcome == "equal":
                return value, place
    return None


def _without(side: Side, value: float, arrays: Sequence[Array]) -> Evaluator:
    closed = side.wide
    made = core.ClosedJaxpr(_replaced(closed.jaxpr, value), closed.consts)
    count = side.count
    plan = plan_parts(made, BALLS, [count, len(closed.jaxpr.outvars) - count], labels=side.flags)[0]
    return evaluator(plan, tuple(arrays))


def _is_small(atom: Atom) -> TypeGuard[core.Literal]:
    if not isinstance(atom, core.Literal) or np.ndim(atom.val) != 0:
        return False
    return np.asarray(atom.val).dtype.kind == "f" and 0 < abs(float(atom.val)) <= SMALL


def _small_constants(jaxpr: core.Jaxpr) -> Iterator[tuple[float, str]]:
    seen: dict[float, str] = {}
    for eqn in _equations(jaxpr):
        for atom in eqn.invars:
            if _is_small(atom):
                place = _place(eqn)
                if not seen.get(float(atom.val)):
                    seen[float(atom.val)] = place
    yield from seen.items()


def _equations(jaxpr: core.Jaxpr) -> Iterator[core.JaxprEqn]:
    for eqn in jaxpr.eqns:
        yield eqn
        for value in eqn.params.values():
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns"):
                yield from _equations(inner)


def _replaced(jaxpr: core.Jaxpr, value: float) -> core.Jaxpr:
    """The jaxpr with 0 for every constant of that size."""

    def atom_of(atom: Atom) -> Atom:
        if _is_small(atom) and float(atom.val) == value:
            return core.Literal(np.asarray(atom.val) * 0, atom.aval)
        return atom

    def inner_of(param: object) -> object:
        if isinstance(param, core.ClosedJaxpr):
            return core.ClosedJaxpr(_replaced(param.jaxpr, value), param.consts)
        return _replaced(param, value) if isinstance(param, core.Jaxpr) else param

    eqns = [
        eqn.replace(
            invars=[atom_of(atom) for atom in eqn.invars], params={name: inner_of(each) for name, each in eqn.params.items()}
        )
        for eqn in jaxpr.eqns
    ]
    return jaxpr.replace(eqns=eqns, outvars=[atom_of(atom) for atom in jaxpr.outvars])


def _place(eqn: core.JaxprEqn) -> str:
    """The innermost place in a user's code at which an equation was traced."""
    traceback = eqn.source_info.traceback
    if traceback is None:
        return ""
    for code, instruction in zip(*traceback.raw_frames(), strict=True):
        if _is_users(code.co_filename):
            line = next(_lines(code, instruction), code.co_firstlineno)
            return f"{Path(code.co_filename).name}:{line}"
    return ""


def _lines(code: CodeType, instruction: int) -> Iterator[int]:
    for k, (line, *_) in enumerate(code.co_positions()):
        if k == instruction // 2 and line is not None:
            yield line


_OWN = str(Path(__file__).parents[3] / "autodiff_ref")
_is_of_python: Callable[[str], bool] = lambda file: file.startswith(("<", sys.prefix, sys.base_prefix))  # noqa: E731


def _is_users(file: str) -> bool:
    parts = Path(file).parts
    if "site-packages" in parts:
        return parts[parts.index("site-packages") + 1].removesuffix(".py") not in LIBRARIES
    return not (file.startswith(_OWN) or _is_of_python(file))
