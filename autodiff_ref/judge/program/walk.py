"""Walks a jaxpr with a table of rules: one walker, several arithmetics.

A jaxpr is planned once: calls are inlined, equal equations are merged, what no output needs is dropped, and every rule is
asked once for a step with its index maps ready. The plan is then run on many inputs. Three kinds of values travel:

- **known** values: constants, and what follows from them by integer work or by moving data. NumPy arrays, at planning time.
- **discrete** values: integers and booleans that depend on the input. NumPy arrays, computed exactly.
- **reals**: whatever the table makes of them, in arrays of objects.
"""

import dataclasses
import enum
import itertools
import math
import sys
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NoReturn, cast

import jax
import numpy as np
from jax.extend import core
from numpy.typing import ArrayLike

from autodiff_ref.judge.program import recognised as meanings
from autodiff_ref.judge.program.comparisons import Site, Watched, sites_of
from autodiff_ref.judge.program.freezing import frozen_jaxpr
from autodiff_ref.judge.program.matrices import LINEAR_SYSTEM, system_of
from autodiff_ref.judge.program.pairs import in_reals
from autodiff_ref.judge.program.plans import (
    CALLS,
    Arithmetic,
    Array,
    Constant,
    Equation,
    NoRuleError,
    OnOneEntry,
    Operand,
    Plan,
    PlannedStep,
    RuleError,
    Step,
    WithEntries,
    aval_of,
    drawn,
    has_keys,
    in_array,
    is_key,
    loose,
    operand_of,
    out_of_array,
)
from autodiff_ref.judge.program.recognised import with_meanings
from autodiff_ref.judge.program.standins import implementation_of, meant_by, spelled_out

__all__ = ["CALLS", "Array", "NoRuleError", "Plan", "RuleError", "plan", "plan_parts"]


def plan(
    closed: core.ClosedJaxpr,
    table: Arithmetic,
    *,
    labels: Sequence[bool] = (),
    calls: tuple[core.JaxprEqn, ...] = (),
    bare: bool = False,
) -> Plan:
    """Plans a closed jaxpr for a table.

    Args:
        closed: what `jax.make_jaxpr` returns.
        table: the arithmetic.
        labels: for each input, whether it holds labels or other exactly known values; none does where this is empty.
        calls: the equations that called what it is a loop's or branch's body in, the outermost first.
        bare: whether its inputs and outputs are in no array, those of them that are reals of one entry.

    Raises:
        NoRuleError: an output needs a primitive that the table has no rule for.
        RuleError: a rule failed on the equation, or holds numbers that the judge has none for, as complex ones.
    """
    return plan_parts(closed, table, [len(closed.jaxpr.outvars)], labels=labels, calls=calls, bare=bare)[0]


def plan_parts(
    closed: core.ClosedJaxpr,
    table: Arithmetic,
    widths: Sequence[int],
    *,
    labels: Sequence[bool] = (),
    calls: tuple[core.JaxprEqn, ...] = (),
    bare: bool = False,
) -> list[Plan]:
    """Plans, of one jaxpr, the first outputs, the next ones and so on, each without what only the others need."""
    planner = Planner(table, calls, bare=bare)
    inputs = planner.inputs(closed, labels)
    closed = in_reals(closed)
    outputs = iter(planner.inline(closed.jaxpr, closed.consts, inputs))
    return [planner.finish(inputs, list(itertools.islice(outputs, width))) for width in widths]


def plan_together(
    closeds: Sequence[core.ClosedJaxpr], table: Arithmetic, widths: Sequence[int], *, labels: Sequence[bool] = ()
) -> tuple[list[Plan | NotImplementedError], Plan]:
    """Plans several jaxprs of the same inputs, the first outputs of each, with what equals a step of another made once.

    Returns:
        A plan for each, or why there is none; and one for all that have one. All keep their values in the same places.
    """
    planner = Planner(table)
    inputs = planner.inputs(closeds[0], labels)
    closeds = [in_reals(closed) for closed in closeds]
    outputs = [
        planner.inline(closed.jaxpr, closed.consts, inputs)[:width] for closed, width in zip(closeds, widths, strict=True)
    ]
    plans, served = list[Plan | NotImplementedError](), list[int]()
    for slots in outputs:
        try:
            plans.append(planner.finish(inputs, slots))
            served += slots
        except NotImplementedError as error:
            plans.append(error)
    return plans, planner.finish(inputs, served)


@dataclass(frozen=True)
class _Missing:
    """Stands for a step that could not be made; the plan fails only if an output needs it."""

    error: NotImplementedError

    def __call__(self, *_: object) -> NoReturn:
        raise self.error


class Planner:
    """Builds a plan, one equation after the other."""

    def __init__(self, table: Arithmetic, calls: tuple[core.JaxprEqn, ...] = (), *, bare: bool = False) -> None:
        self.table = table
        self.bare = bare
        """whether inputs and outputs are in no array, those of them that are reals of one entry"""
        self.operands: list[Operand] = []
        self.known: dict[int, Array] = {}
        self.keys: dict[int, jax.Array] = {}
        """random keys, all of them known"""
        self.steps: list[PlannedStep] = []
        self.seen: dict[meanings.Key, list[int]] = {}
        self.constants = frozenset[Constant]()
        """those of the bodies of loops and branches that are not short"""
        self.sites = frozenset[Site]()
        """the comparisons of the bodies of loops and branches"""
        self.meanings = frozenset[str]()
        """what the bodies of loops and branches mean"""
        self.moves: dict[tuple[int, bool], PlannedStep] = {}
        """by the place of a real of one entry: the step that takes it out of its array (True), or puts it into one"""
        self.calls = calls
        """the equations that called what is planned now, the outermost first"""

    def new_slot(self, operand: Operand) -> int:
        """A place for a value."""
        self.operands.append(operand)
        return len(self.operands) - 1

    def inputs(self, closed: core.ClosedJaxpr, labels: Sequence[bool]) -> list[int]:
        """Places for a jaxpr's inputs."""
        flags = labels or [False] * len(closed.in_avals)
        return [self.new_slot(operand_of(aval, label=flag)) for aval, flag in zip(closed.in_avals, flags, strict=True)]

    def constant(self, value: ArrayLike) -> int:
        """The place of a known value."""
        if is_key(value):
            slot = self.new_slot(Operand(np.shape(value), np.dtype(bool), label=True))
            self.keys[slot] = cast("jax.Array", value)
            return slot
        array = _as_known(value)
        key = ("constant", array.dtype.str, array.shape, array.tobytes())
        if key not in self.seen:
            slot = self.new_slot(Operand(array.shape, array.dtype, label=True))
            self.known[slot] = array
            self.seen[key] = [slot]
        return self.seen[key][0]

    def inline(self, jaxpr: core.Jaxpr, consts: Iterable[ArrayLike], inputs: Sequence[int]) -> list[int]:
        """Plans the equations of a jaxpr; where its outputs are."""
        slots: dict[core.Var, int] = dict(zip(jaxpr.invars, inputs, strict=True))
        slots.update({var: self.constant(value) for var, value in zip(jaxpr.constvars, consts, strict=True)})

        def slot_of(atom: core.Var | core.Literal) -> int:
            return self.constant(atom.val) if isinstance(atom, core.Literal) else slots[atom]

        for eqn in with_meanings(jaxpr.eqns, self.table.rules):
            sources = [slot_of(atom) for atom in eqn.invars]
            slots.update(zip(eqn.outvars, self.equation(eqn, sources), strict=True))
        return [slot_of(atom) for atom in jaxpr.outvars]

    def equation(self, eqn: core.JaxprEqn, sources: list[int]) -> list[int]:
        """Plans an equation; where its results are."""
        name = eqn.primitive.name
        if not eqn.outvars:  # jax.debug.print and the like
            return []
        if name in CALLS:
            called, consts = _called(eqn)
            outside, self.calls = self.calls, (*self.calls, eqn)
            outputs = self.inline(called, consts, sources)
            self.calls = outside
            return outputs
        if has_keys(eqn) or name == "bitcast_convert_type":
            made = drawn(eqn, [self.keys.get(slot, self.known.get(slot)) for slot in sources])
            if made is not None:
                return [self.constant(value) for value in made]
        if name == "call_hi_primitive":  # of jax 0.12, as in searchsorted: says what it stands for only when it is traced
            with jax.enable_x64(True):
                shapes = [jax.ShapeDtypeStruct(aval_of(atom).shape, aval_of(atom).dtype) for atom in eqn.invars]
                primitive: Any = eqn.primitive
                lowered = jax.make_jaxpr(partial(primitive.to_lojax, **eqn.params))(*shapes)
            return self.inline(lowered.jaxpr, lowered.consts, sources)
        if name == "cond" and sources[0] in self.known:
            branch = eqn.params["branches"][int(np.clip(self.known[sources[0]], 0, len(eqn.params["branches"]) - 1))]
            return self.inline(branch.jaxpr, branch.consts, sources[1:])
        if name == "custom_linear_solve":
            lengths, solve = eqn.params["const_lengths"], eqn.params["jaxprs"].solve
            start, b = lengths.matvec + lengths.vecmat, sum(lengths)
            system = system_of(eqn) if LINEAR_SYSTEM.name in self.table.rules else None
            if system is not None:
                rows = self.inline(system.jaxpr, system.consts, sources[: lengths.matvec])
                return self.new_equation(eqn.replace(primitive=LINEAR_SYSTEM, params={}), [*rows, *sources[b:]])
            return self.inline(solve.jaxpr, solve.consts, [*sources[start : start + lengths.solve], *sources[b:]])
        spelled = spelled_out(eqn)
        if spelled is not None:
            return self.inline(spelled.jaxpr, spelled.consts, sources)
        if name not in self.table.control and not any(
            name in of for of in (self.table.rules, self.table.movement, self.table.discrete)
        ):
            written = implementation_of(eqn)
            if written is not None:
                return self.inline(written.jaxpr, written.consts, sources)
        key = _merge_key(eqn, sources)
        if key is not None and key in self.seen:
            return self.seen[key]
        targets = self.new_equation(eqn, sources)
        if key is not None:
            self.seen[key] = targets
        return targets

    def new_equation(self, eqn: core.JaxprEqn, sources: list[int]) -> list[int]:
        """Plans an equation that no other one equals; one that cannot be served is reported only if an output needs it."""
        try:
            return self._new_equation(eqn, sources)
        except NotImplementedError as error:
            missing = _Missing(error)
        except Exception as error:
            missing = _Missing(RuleError(eqn.primitive.name, error))
        targets = [self.new_slot(Operand(tuple(getattr(v.aval, "shape", ())), np.dtype(float), False)) for v in eqn.outvars]
        self.steps.append(PlannedStep(missing, sources, targets, eqn.primitive.name))
        return targets

    def _new_equation(self, eqn: core.JaxprEqn, sources: list[int]) -> list[int]:
        name = eqn.primitive.name
        operands = tuple(self.operands[slot] for slot in sources)
        results = tuple(operand_of(aval_of(var), label=all(o.label for o in operands)) for var in eqn.outvars)
        equation = Equation(eqn.primitive, eqn.params, operands, results)
        is_discrete = not any(value.is_real for value in (*operands, *results))
        if name in self.table.control:
            step, labels = self.table.control[name](self.subplan, equation)
            results = tuple(replace(result, label=label) for result, label in zip(results, labels, strict=True))
        elif is_discrete:
            step = self.table.discrete.get(name, self.table.fallback)(equation)
        elif name in self.table.movement:
            step = self.table.movement[name](equation)
        elif name in self.table.rules:
            step = self.table.rules[name](equation)
        else:
            raise NoRuleError(name, self.table.name)
        if name not in self.table.control and all(slot in self.known for slot in sources):
            values = [self.known[slot] for slot in sources]
            if is_discrete or name in self.table.movement:
                made = step(None, *values)
                return [self.constant(part) for part in (made if isinstance(made, list) else [made])]
            if name == "convert_element_type" and not operands[0].is_real and np.all(np.abs(values[0]) <= 2.0**24):
                return [self.constant(values[0].astype(np.float64))]
        if self.table.watches and len(set(sources)) == len(sources):
            sites = sites_of(eqn, operands, [self.known.get(slot) for slot in sources], self.calls)
            step = Watched(step, sites) if sites else step
        if self.table.has_bare and name in self.table.movement and len(sources) == 1 and equation.is_of_one_entry:
            step = OnOneEntry(lambda x: x) if operands[0].is_real else step
        targets = [self.new_slot(result) for result in results]
        self.steps.append(PlannedStep(step, sources, targets, name))
        return targets

    def subplan(self, closed: core.ClosedJaxpr, labels: Sequence[bool]) -> Plan:
        """A plan for the body of a loop or branch."""
        made = plan(closed, self.table, labels=labels, calls=self.calls, bare=self.table.has_bare)
        self.constants |= made.constants
        self.sites |= made.sites
        self.meanings |= made.meanings
        return made

    def finish(self, inputs: list[int], outputs: list[int]) -> Plan:
        """The plan, without what no output needs."""
        meanings.recognise(self)
        needed, kept = set(outputs), list[PlannedStep]()
        for step in reversed(self.steps):
            if needed.intersection(step.targets):
                kept.append(step)
                needed.update(step.sources)
        for planned in reversed(kept):
            if isinstance(planned.step, _Missing):
                raise planned.step.error
        known = {slot: array for slot, array in self.known.items() if slot in needed}
        steps, results, bare = self._with_bare_entries(inputs, kept[::-1], outputs, known)
        constants = self.constants.union(*(loose(array) for array in known.values()))
        used = frozenset(k for k, slot in enumerate(inputs) if slot in needed)
        labels = [self.operands[slot].label for slot in outputs]
        sites = self.sites.union(*(step.sites for step, *_ in kept if isinstance(step, Watched)))
        meant = self.meanings | {name for *_, name in kept if name in meanings.NAMES}
        size = len(self.operands)
        return Plan(self.table, inputs, results, steps, known, size, constants, used, labels, sites, meant, bare=bare)

    def _with_bare_entries(
        self, inputs: Sequence[int], steps: Sequence[PlannedStep], outputs: Sequence[int], known: dict[int, Array]
    ) -> tuple[list[PlannedStep], list[int], frozenset[int]]:
        """(steps, places of the outputs, places of reals in no array), with what takes these out of arrays and puts them in.

        What is known is put there beforehand.
        """
        if not self.table.has_bare:
            return list(steps), list(outputs), frozenset()
        bare = {slot for step, _, targets, _ in self.steps for slot in targets[: _bare_widths(step)[1]]}
        bare = {slot for slot in (*bare, *(inputs if self.bare else ())) if self._is_of_one_entry(slot)}
        made, moved = list[PlannedStep](), set[tuple[int, bool]]()

        def place(slot: int, *, as_bare: bool) -> int:
            if (slot in bare) == as_bare or not self._is_of_one_entry(slot):
                return slot
            key = slot, as_bare
            if key not in self.moves:
                step = out_of_array if as_bare else in_array(self.operands[slot].shape)
                self.moves[key] = PlannedStep(step, [slot], [self.new_slot(self.operands[slot])], "copy")
            (there,) = self.moves[key].targets
            if slot in known:
                known[there] = known[slot]
            elif key not in moved:
                made.append(self.moves[key])
            moved.add(key)
            return there

        for step, sources, targets, name in steps:
            width, _ = _bare_widths(step)
            taken = [place(slot, as_bare=k < width) for k, slot in enumerate(sources)]
            made.append(PlannedStep(step, taken, targets, name))
        results = [place(slot, as_bare=self.bare) for slot in outputs]
        taken_out = {slot for key in moved if key[1] for slot in self.moves[key].targets}
        return made, results, frozenset(bare | taken_out)

    def _is_of_one_entry(self, slot: int) -> bool:
        return self.operands[slot].is_real and math.prod(self.operands[slot].shape) == 1


def _bare_widths(step: Step) -> tuple[int, int]:
    """How many of a step's operands and results, the first ones, are in no array."""
    step = step.step if isinstance(step, Watched) else step
    if isinstance(step, WithEntries):
        return step.operands, step.results
    return (sys.maxsize, sys.maxsize) if isinstance(step, OnOneEntry) else (0, 0)


def _as_known(value: ArrayLike) -> Array:
    """A constant as a NumPy array of a type that NumPy itself has."""
    array = np.asarray(value)
    if array.dtype == jax.dtypes.float0:
        return np.zeros(array.shape, dtype=bool)
    if array.dtype.kind == "V":  # bfloat16, int4 and other extension types
        return array.astype(np.float32 if jax.numpy.issubdtype(array.dtype, np.floating) else np.int64)
    # complex numbers are of no use to any rule: whatever needs them is refused by its type
    return np.zeros(array.shape) if array.dtype.kind == "c" else array


def _called(eqn: core.JaxprEqn) -> tuple[core.Jaxpr, Sequence[ArrayLike]]:
    """What an equation of `CALLS` calls, and its constants."""
    meant = meant_by(eqn)
    if meant is not None:
        return meant.jaxpr, meant.consts
    inner = eqn.params[CALLS[eqn.primitive.name]]
    return getattr(inner, "jaxpr", inner), getattr(inner, "consts", ())


def _merge_key(eqn: core.JaxprEqn, sources: list[int]) -> tuple[Hashable, ...] | None:
    """Equal keys mean equal results; None where that cannot be told."""
    frozen = _frozen(eqn.params)
    return None if frozen is None else (eqn.primitive.name, tuple(sources), frozen)


_HASHABLE = {type(None), bool, int, str}
"""types whose values are equal only where they are the same"""


def _frozen(value: object) -> Hashable:
    """Equal for equal parameters; None for functions, jaxprs and whatever else does not say what it is."""
    if type(value) in _HASHABLE:
        return type(value), value
    if isinstance(value, dict):
        items = [(name, _frozen(part)) for name, part in sorted(value.items(), key=lambda item: str(item[0]))]
        return None if any(part is None for _, part in items) else tuple(items)
    if isinstance(value, np.dtype):
        return np.dtype, value
    if isinstance(value, bool | int | str | float | np.number | enum.Enum):
        return type(value).__name__, repr(value)
    if isinstance(value, core.ClosedJaxpr):
        return frozen_jaxpr(value, _frozen)
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, list | tuple):
        parts = tuple(_frozen(part) for part in value)
        return None if None in parts else (type(value).__name__, parts)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _frozen([type(value).__name__, vars(value)] if hasattr(value, "__dict__") else None)
    return (value.__module__, value.__qualname__) if isinstance(value, type) else None
