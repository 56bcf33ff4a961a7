"""Jaxprs taken apart and put together again: calls inlined, one equation replaced, what no output needs left out."""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.extend import core
from jax.typing import ArrayLike

from autodiff_ref.judge.lines.traces import Traces
from autodiff_ref.judge.program.movement import MOVEMENT
from autodiff_ref.judge.program.plans import aval_of, drawn, has_keys, is_key
from autodiff_ref.judge.program.standins import spelled_out
from autodiff_ref.judge.program.walk import CALLS
from autodiff_ref.nabla import nabla as jax_nabla
from autodiff_ref.trees import Function

Atom = core.Var | core.Literal
"""A variable or a literal of a jaxpr."""

Place = str | tuple[str, int]
"""where a body stands among the parameters of its loop or branch: by name, and of several branches by number"""

Position = tuple[Any, ...]
"""Where an equation stands: its number; in a loop's body the loop's number, then the parameter, then its number in there."""


SourceInfo = Any
"""where an equation was traced: JAX has no public name for what it keeps there"""


class EditError(Exception):
    """An equation cannot be replaced as asked: other shapes, or none such."""


def _read(env: dict[core.Var, Atom], atom: Atom) -> Atom:
    return atom if isinstance(atom, core.Literal) else env.get(atom, atom)


def bodies_of(eqn: core.JaxprEqn) -> Iterator[tuple[Place, core.ClosedJaxpr]]:
    """The closed jaxprs of a loop or branch, by where they stand among the equation's parameters."""
    for key in ("jaxpr", "body_jaxpr", "branches") if eqn.primitive.name in ("scan", "while", "cond") else ():
        value = eqn.params.get(key)
        if isinstance(value, tuple):
            yield from (((key, k), branch) for k, branch in enumerate(value))
        elif value is not None:
            yield key, value


def with_body(eqn: core.JaxprEqn, place: Place, body: core.ClosedJaxpr) -> core.JaxprEqn:
    """A loop or branch with another body."""
    if isinstance(place, str):
        return eqn.replace(params={**eqn.params, place: body})
    key, k = place
    return eqn.replace(params={**eqn.params, key: (*eqn.params[key][:k], body, *eqn.params[key][k + 1 :])})


class _Builder:
    """Collects equations, in variables of their own."""

    def __init__(self) -> None:
        self.eqns: list[core.JaxprEqn] = []
        self.constvars: list[core.Var] = []
        self.consts: list[ArrayLike] = []
        self.keys: dict[core.Var, ArrayLike] = {}
        """random keys, of which what they give is known"""

    def constant(self, var: core.Var, value: ArrayLike) -> core.Var:
        made = core.Var(var.aval)
        if is_key(value):
            self.keys[made] = value
            return made
        self.constvars.append(made)
        self.consts.append(value)
        return made

    def _of_keys(self, eqn: core.JaxprEqn, sources: Sequence[Atom], at: SourceInfo) -> list[Atom] | None:
        """What an equation makes of random keys, where that is known: other keys, random bits, all turns of a loop."""
        spelled = spelled_out(eqn)
        if spelled is not None:
            return self.inline(spelled.jaxpr, spelled.consts, sources, at)
        known = {**dict(zip(self.constvars, self.consts, strict=True)), **self.keys}
        made = drawn(eqn, [atom.val if isinstance(atom, core.Literal) else known.get(atom) for atom in sources])
        return None if made is None else [self.constant(var, value) for var, value in zip(eqn.outvars, made, strict=True)]

    def inline(
        self,
        jaxpr: core.Jaxpr,
        consts: Sequence[ArrayLike],
        inputs: Sequence[Atom],
        source_info: SourceInfo | None = None,
        called_at: SourceInfo | None = None,
    ) -> list[Atom]:
        """Adds the equations of a jaxpr, calls inlined; its outputs.

        They stand at `source_info` where that is given; those of a library's function, or of a ∇, where that was called:
        it may have been traced for another line.
        """
        env: dict[core.Var, Atom] = dict(zip(jaxpr.invars, inputs, strict=True))
        env.update({var: self.constant(var, value) for var, value in zip(jaxpr.constvars, consts, strict=True)})
        for eqn in jaxpr.eqns:
            at = called_at if called_at is not None and (is_under_nabla(eqn) or not user_frames(eqn)) else None
            self.add(eqn, env, source_info or at)
        return [_read(env, atom) for atom in jaxpr.outvars]

    def add(self, eqn: core.JaxprEqn, env: dict[core.Var, Atom], source_info: SourceInfo | None = None) -> None:
        """Adds one equation, and says in `env` what its results are now."""
        sources = [_read(env, atom) for atom in eqn.invars]
        if eqn.primitive.name in CALLS:
            inner = eqn.params[CALLS[eqn.primitive.name]]
            made = self.inline(
                getattr(inner, "jaxpr", inner), getattr(inner, "consts", ()), sources, source_info, eqn.source_info
            )
            env.update(zip(eqn.outvars, made, strict=True))
            return
        made = self._of_keys(eqn, sources, source_info or eqn.source_info) if has_keys(eqn) else None
        if made is not None:
            env.update(zip(eqn.outvars, made, strict=True))
            return
        for place, body in bodies_of(eqn):
            eqn = with_body(eqn, place, flattened(body, source_info or eqn.source_info))
        made = [core.Var(var.aval) for var in eqn.outvars]
        self.eqns.append(eqn.replace(invars=sources, outvars=made, source_info=source_info or eqn.source_info))
        env.update(zip(eqn.outvars, made, strict=True))

    def close(self, jaxpr: core.Jaxpr, inputs: Sequence[core.Var], outputs: Sequence[Atom]) -> core.ClosedJaxpr:
        """The closed jaxpr of all that was collected."""
        read = dict.fromkeys(atom for eqn in self.eqns for atom in eqn.invars if isinstance(atom, core.Var))
        for var in filter(self.keys.__contains__, read):
            self.constvars.append(var)
            self.consts.append(self.keys[var])
        made = jaxpr.replace(constvars=self.constvars, invars=list(inputs), outvars=list(outputs), eqns=self.eqns)
        return core.ClosedJaxpr(made, self.consts)


def flattened(closed: core.ClosedJaxpr, called_at: SourceInfo | None = None) -> core.ClosedJaxpr:
    """The same computation without calls: functions under `jit`, `custom_jvp` and the like stand where they are called."""
    builder = _Builder()
    inputs = [core.Var(var.aval) for var in closed.jaxpr.invars]
    outputs = builder.inline(closed.jaxpr, closed.consts, inputs, called_at=called_at)
    return builder.close(closed.jaxpr, inputs, outputs)


def replaced(closed: core.ClosedJaxpr, position: Position, f: Function, extras: Sequence[int] = ()) -> core.ClosedJaxpr:
    """The computation with one equation's results computed otherwise.

    Args:
        closed: a jaxpr without calls, as `flattened` makes it.
        position: where the equation stands.
        f: of the equation's operands, then of `extras`; it returns the equation's result, or a list of them. It is traced.
        extras: other values of the same body, numbered as in `Body.values`.

    Raises:
        EditError: f does not apply to these operands, or returns other shapes or types than the equation.
    """
    k, *inside = position
    jaxpr = closed.jaxpr
    if inside:
        place, deeper = inside[0], tuple(inside[1:])
        eqn = jaxpr.eqns[k]
        body = replaced(dict(bodies_of(eqn))[place], deeper, f, extras)
        eqns = [*jaxpr.eqns[:k], with_body(eqn, place, body), *jaxpr.eqns[k + 1 :]]
        return core.ClosedJaxpr(jaxpr.replace(eqns=eqns), closed.consts)
    eqn = jaxpr.eqns[k]
    operands = [*eqn.invars, *(Body(closed).values[v] for v in extras)]
    piece = _traced(f, operands, eqn.outvars)
    builder = _Builder()
    builder.eqns, builder.constvars, builder.consts = list(jaxpr.eqns[:k]), list(jaxpr.constvars), list(closed.consts)
    env: dict[core.Var, Atom] = {}
    env.update(zip(eqn.outvars, builder.inline(piece.jaxpr, piece.consts, operands, eqn.source_info), strict=True))
    builder.eqns += [later.replace(invars=[_read(env, atom) for atom in later.invars]) for later in jaxpr.eqns[k + 1 :]]
    return builder.close(jaxpr, jaxpr.invars, [_read(env, atom) for atom in jaxpr.outvars])


def _traced(f: Function, operands: Sequence[Atom], results: Sequence[core.Var]) -> core.ClosedJaxpr:
    shapes = [jax.ShapeDtypeStruct(aval_of(atom).shape, aval_of(atom).dtype) for atom in operands]

    def piece(*values: jax.Array) -> list[jax.Array]:
        made = f(*values)
        return made if isinstance(made, list) else [made]

    with jax.enable_x64(True):
        try:
            closed = jax.make_jaxpr(piece)(*shapes)
        except Exception as error:  # JAX's, on operands that do not fit
            raise EditError(str(error).splitlines()[0] if str(error) else type(error).__name__) from error
    found = [(aval.shape, aval.dtype) for aval in closed.out_avals]
    wanted = [(aval_of(var).shape, aval_of(var).dtype) for var in results]
    if found != wanted:
        raise EditError(f"returns {found} for {wanted}")
    return closed


@dataclass(frozen=True)
class Body:
    """The equations of a jaxpr without calls, or of a loop in it, and what is known of its values."""

    closed: core.ClosedJaxpr
    n_outputs: int | None = None
    """how many of the outputs count, from the first; None: all"""

    @property
    def eqns(self) -> list[core.JaxprEqn]:
        """The equations."""
        return self.closed.jaxpr.eqns

    @cached_property
    def values(self) -> list[core.Var]:
        """All variables: constants, inputs, then the results of each equation. Their numbers are the same at all shapes."""
        jaxpr = self.closed.jaxpr
        return [*jaxpr.constvars, *jaxpr.invars, *(var for eqn in jaxpr.eqns for var in eqn.outvars)]

    @cached_property
    def number(self) -> dict[Atom, int]:
        """The number of each variable."""
        return {var: k for k, var in enumerate(self.values)}

    @cached_property
    def made_by(self) -> dict[core.Var, core.JaxprEqn]:
        """The equation behind each variable."""
        return {var: eqn for eqn in self.eqns for var in eqn.outvars}

    @cached_property
    def constants(self) -> set[core.Var]:
        """Variables that do not depend on the inputs."""
        found = set(self.closed.jaxpr.constvars)
        for eqn in self.eqns:
            if all(isinstance(atom, core.Literal) or atom in found for atom in eqn.invars):
                found.update(eqn.outvars)
        return found

    @cached_property
    def asked(self) -> set[core.Var]:
        """Values of which it is asked whether they are the very ones of others, as JAX's derivative of max does."""
        found = set[core.Var]()
        for eqn in reversed(self.eqns):
            moves = eqn.primitive.name in MOVEMENT and not found.isdisjoint(eqn.outvars)
            if moves or eqn.primitive.name in ("eq", "ne"):
                found.update(atom for atom in eqn.invars if not isinstance(atom, core.Literal) and is_real(atom))
        return found

    @cached_property
    def needed(self) -> list[bool]:
        """For each equation, whether an output that counts needs it."""
        wanted = {atom for atom in self.closed.jaxpr.outvars[: self.n_outputs] if not isinstance(atom, core.Literal)}
        flags: list[bool] = []
        for eqn in reversed(self.eqns):
            flags.append(not wanted.isdisjoint(eqn.outvars))
            if flags[-1]:
                wanted.update(atom for atom in eqn.invars if not isinstance(atom, core.Literal))
        return flags[::-1]

    def source(self, atom: Atom) -> core.JaxprEqn | None:
        """The equation behind a value; None for inputs, constants and literals."""
        return None if isinstance(atom, core.Literal) else self.made_by.get(atom)

    def is_constant(self, atom: Atom) -> bool:
        """Whether a value does not depend on the inputs."""
        return isinstance(atom, core.Literal) or atom in self.constants


def is_real(atom: Atom) -> bool:
    """Whether a value is made of real numbers."""
    return bool(jax.numpy.issubdtype(aval_of(atom).dtype, np.floating))


def skeleton(closed: core.ClosedJaxpr) -> tuple[Hashable, ...]:
    """Equal for jaxprs of one structure, whatever their shapes."""
    return len(closed.consts), *(
        (eqn.primitive.name, len(eqn.invars), len(eqn.outvars), *(skeleton(body) for _, body in bodies_of(eqn)))
        for eqn in closed.jaxpr.eqns
    )


def fingerprint(closed: core.ClosedJaxpr, n_outputs: int | None = None) -> tuple[Hashable, ...]:
    """Equal for jaxprs that do the same steps: what no output needs, and what variables are called, left out."""
    body = Body(closed, n_outputs)
    names: dict[core.Var, Hashable] = {var: k for k, var in enumerate(closed.jaxpr.invars)}
    names.update(
        {var: np.asarray(value).tobytes() for var, value in zip(closed.jaxpr.constvars, closed.consts, strict=True)}
    )

    def name(atom: Atom) -> Hashable:
        return ("literal", str(atom.val), str(atom.aval)) if isinstance(atom, core.Literal) else names[atom]

    steps: list[Hashable] = []
    for eqn, needed in zip(body.eqns, body.needed, strict=True):
        if needed:
            inside = {str(place): fingerprint(inner) for place, inner in bodies_of(eqn)}
            params = () if inside else tuple(sorted((key, str(value)) for key, value in eqn.params.items()))
            steps.append((eqn.primitive.name, params, tuple(inside.items()), tuple(name(atom) for atom in eqn.invars)))
            names.update({var: (len(steps), k) for k, var in enumerate(eqn.outvars)})
    return (*steps, tuple(name(atom) for atom in closed.jaxpr.outvars[:n_outputs]))


def frames_of(eqn: core.JaxprEqn) -> list[tuple[str, int]]:
    """The files and lines an equation comes from, innermost first."""
    traceback = eqn.source_info.traceback
    return [] if traceback is None else [(frame.file_name, frame.line_num) for frame in traceback.frames]


def user_frames(eqn: core.JaxprEqn) -> tuple[tuple[str, int], ...]:
    """The same without libraries and the judge."""
    return tuple(frame for frame in frames_of(eqn) if not _is_library(frame[0]))


def is_under_nabla(eqn: core.JaxprEqn) -> bool:
    """Whether an equation is JAX's work on what was left under a ∇."""
    traceback = eqn.source_info.traceback
    frames = [] if traceback is None else traceback.frames
    return any(is_nabla(frame.file_name, frame.function_name) for frame in frames)


_NABLA, _TRACES = jax_nabla.__code__.co_filename, Traces.nabla.__code__.co_filename
_JUDGE = Path(__file__).parents[1]


def is_nabla(file: str, function: str) -> bool:
    """Whether a frame is that of a ∇, JAX's own or the one that `Traces` makes of it."""
    return file == _NABLA or (file == _TRACES and function.endswith("jacobian"))


@cache
def _is_library(file: str) -> bool:
    path = Path(file)
    return "site-packages" in path.parts or file.startswith("<") or file == _NABLA or _JUDGE in path.parents
