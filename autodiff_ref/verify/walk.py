"""Walks a jaxpr with a table of rules: one walker, several arithmetics.

A jaxpr is planned once: calls are inlined, equal equations are merged, what no output needs is dropped, and every rule is
asked once for a step with its index maps ready. The plan is then run on many inputs. Three kinds of values travel:

- **known** values: constants, and what follows from them by integer work or by moving data. NumPy arrays, at planning time.
- **discrete** values: integers and booleans that depend on the input. NumPy arrays, computed exactly.
- **reals**: whatever the table makes of them, in arrays of objects.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import jax
import numpy as np
from jax.extend import core

Array = Any
"""A NumPy array: of numbers where they are discrete or known, of the table's objects where they are reals."""

Step = Callable[..., Any]
"""step(context, *operands) -> array, or a list of arrays where the primitive has several results."""


class NoRuleError(NotImplementedError):
    """A jaxpr holds a primitive that the table has no rule for."""

    def __init__(self, primitive: str, table: str) -> None:
        self.primitive = primitive
        super().__init__(
            f"no rule for the primitive `{primitive}` in {table}: "
            f"add one with autodiff_ref.verify.register({primitive!r}, …)"
        )


@dataclass(frozen=True)
class Operand:
    """What is known of a value before it has one."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    label: bool
    """made of labels, integers and constants only, so that comparisons of it are exact"""

    @property
    def is_real(self) -> bool:
        """Whether it is a real number, and so a matter of the table."""
        return not (np.issubdtype(self.dtype, np.integer) or self.dtype == np.bool_)


@dataclass(frozen=True)
class Equation:
    """One equation of a jaxpr, as a rule sees it."""

    primitive: Any
    params: Mapping[str, Any]
    operands: tuple[Operand, ...]
    results: tuple[Operand, ...]

    @property
    def label(self) -> bool:
        """Whether all operands are labels."""
        return all(operand.label for operand in self.operands)


Rule = Callable[[Equation], Step]
"""rule(equation) -> step, or raises NotImplementedError where it cannot serve this one."""


class Table(Protocol):
    """An arithmetic: rules by the names of primitives, and what a constant becomes."""

    name: str
    rules: dict[str, Rule]
    movement: dict[str, Rule]
    """rules that only move data: they serve arrays of any kind"""
    discrete: dict[str, Rule]
    """rules for equations all of whose operands and results are discrete"""

    def constant(self, values: Array, context: Any) -> Array:
        """The reals that a float constant stands for."""
        ...


@dataclass
class Plan:
    """A jaxpr made ready to run. `run` takes the input's reals as the table's objects, its integers as they are."""

    table: Table
    inputs: list[int]
    outputs: list[int]
    steps: list[tuple[Step, list[int], list[int]]]
    known: dict[int, Array]
    size: int
    constants_are_exact: bool
    """whether every float constant has at most 24 significant bits"""
    depends_on: frozenset[int]
    """the inputs (by position) that the outputs are computed from"""
    output_labels: list[bool]
    """for each output, whether it is made of labels and constants only"""
    _templates: dict[Any, list[Any]] = field(default_factory=dict[Any, list[Any]])

    def run(self, context: Any, *args: Array) -> list[Array]:
        """The outputs at one input."""
        values = self._template(context)
        for slot, arg in zip(self.inputs, args, strict=True):
            values[slot] = arg
        for step, sources, targets in self.steps:
            result = step(context, *[values[s] for s in sources])
            if len(targets) == 1 and not isinstance(result, list):
                values[targets[0]] = result
            else:
                for target, part in zip(targets, result, strict=True):
                    values[target] = part
        return [values[slot] for slot in self.outputs]

    def _template(self, context: Any) -> list[Any]:
        key = getattr(context, "constants", None)
        if key not in self._templates:
            values: list[Any] = [None] * self.size
            for slot, array in self.known.items():
                is_float = np.issubdtype(array.dtype, np.floating)
                values[slot] = self.table.constant(array, context) if is_float else array
            self._templates[key] = values
        return self._templates[key].copy()


def plan(closed: Any, table: Table, *, labels: Sequence[bool] = (), outputs: slice = slice(None)) -> Plan:
    """Plans a closed jaxpr for a table.

    Args:
        closed: what `jax.make_jaxpr` returns.
        table: the arithmetic.
        labels: for each input, whether it holds labels or other exactly known values; none does where this is empty.

        outputs: which of the jaxpr's outputs to compute.

    Raises:
        NoRuleError: the jaxpr holds a primitive that the table has no rule for.
    """
    planner = _Planner(table)
    flags = labels or [False] * len(closed.jaxpr.invars)
    inputs = [planner.new_slot(_operand(v.aval, flag)) for v, flag in zip(closed.jaxpr.invars, flags, strict=True)]
    return planner.finish(inputs, planner.inline(closed.jaxpr, closed.consts, inputs)[outputs])


_CALLS = {
    "jit": "jaxpr",
    "pjit": "jaxpr",
    "closed_call": "call_jaxpr",
    "core_call": "call_jaxpr",
    "custom_jvp_call": "call_jaxpr",
    "custom_vjp_call": "call_jaxpr",
    "custom_vjp_call_jaxpr": "fun_jaxpr",
    "checkpoint": "jaxpr",
    "remat2": "jaxpr",
}
"""primitives that call a jaxpr, and the parameter that holds it"""

LOOP_LIMIT = 100_000
"""iterations after which a `while` is given up"""


class _Planner:
    def __init__(self, table: Table) -> None:
        self.table = table
        self.operands: list[Operand] = []
        self.known: dict[int, Array] = {}
        self.steps: list[tuple[Step, list[int], list[int]]] = []
        self.seen: dict[Any, list[int]] = {}
        self.exact_constants = True

    def new_slot(self, operand: Operand) -> int:
        self.operands.append(operand)
        return len(self.operands) - 1

    def constant(self, value: Any) -> int:
        array = np.asarray(value)
        if array.dtype.kind == "V":  # bfloat16 and other extension floats
            array = array.astype(np.float64)
        key = ("constant", array.dtype.str, array.shape, array.tobytes())
        if key not in self.seen:
            slot = self.new_slot(Operand(array.shape, array.dtype, label=True))
            self.known[slot] = array
            self.seen[key] = [slot]
        return self.seen[key][0]

    def inline(self, jaxpr: Any, consts: Iterable[Any], inputs: Sequence[int]) -> list[int]:
        slots: dict[Any, int] = dict(zip(jaxpr.invars, inputs, strict=True))
        slots.update({var: self.constant(value) for var, value in zip(jaxpr.constvars, consts, strict=True)})

        def slot_of(atom: Any) -> int:
            return self.constant(atom.val) if isinstance(atom, core.Literal) else slots[atom]

        for eqn in jaxpr.eqns:
            sources = [slot_of(atom) for atom in eqn.invars]
            slots.update(zip(eqn.outvars, self.equation(eqn, sources), strict=True))
        return [slot_of(atom) for atom in jaxpr.outvars]

    def equation(self, eqn: Any, sources: list[int]) -> list[int]:
        name = eqn.primitive.name
        if name in _CALLS:
            inner = eqn.params[_CALLS[name]]
            return self.inline(getattr(inner, "jaxpr", inner), getattr(inner, "consts", ()), sources)
        if name == "cond" and sources[0] in self.known:
            branch = eqn.params["branches"][int(np.clip(self.known[sources[0]], 0, len(eqn.params["branches"]) - 1))]
            return self.inline(branch.jaxpr, branch.consts, sources[1:])
        key = _merge_key(eqn, sources)
        if key is not None and key in self.seen:
            return self.seen[key]
        targets = self.new_equation(eqn, sources)
        if key is not None:
            self.seen[key] = targets
        return targets

    def new_equation(self, eqn: Any, sources: list[int]) -> list[int]:
        name = eqn.primitive.name
        operands = tuple(self.operands[slot] for slot in sources)
        label = all(operand.label for operand in operands)
        results = tuple(_operand(var.aval, label) for var in eqn.outvars)
        equation = Equation(eqn.primitive, eqn.params, operands, results)
        all_known = all(slot in self.known for slot in sources)
        is_discrete = not any(value.is_real for value in (*operands, *results))
        if name in _CONTROL:
            step = _CONTROL[name](self, equation)
        elif is_discrete:
            step = self.table.discrete[name](equation) if name in self.table.discrete else _by_jax(equation)
        elif name in self.table.movement:
            step = self.table.movement[name](equation)
        elif name in self.table.rules:
            step = self.table.rules[name](equation)
        else:
            raise NoRuleError(name, self.table.name)
        widens = name == "convert_element_type" and not operands[0].is_real and results[0].is_real
        if all_known and name not in _CONTROL and (is_discrete or name in self.table.movement or widens):
            if widens:
                made: Any = [self.known[sources[0]].astype(np.float64)]
            else:
                made = step(None, *[self.known[slot] for slot in sources])
            parts = made if isinstance(made, list) else [made]
            return [self.constant(part) for part in parts]
        targets = [self.new_slot(result) for result in results]
        self.steps.append((step, sources, targets))
        return targets

    def subplan(self, closed: Any, labels: Sequence[bool]) -> Plan:
        made = plan(closed, self.table, labels=labels)
        self.exact_constants = self.exact_constants and made.constants_are_exact
        return made

    def finish(self, inputs: list[int], outputs: list[int]) -> Plan:
        needed, kept = set(outputs), list[tuple[Step, list[int], list[int]]]()
        for step in reversed(self.steps):
            if needed.intersection(step[2]):
                kept.append(step)
                needed.update(step[1])
        known = {slot: array for slot, array in self.known.items() if slot in needed}
        exact = self.exact_constants and all(is_short(array) for array in known.values())
        used = frozenset(k for k, slot in enumerate(inputs) if slot in needed)
        output_labels = [self.operands[slot].label for slot in outputs]
        return Plan(self.table, inputs, outputs, kept[::-1], known, len(self.operands), exact, used, output_labels)


def is_short(values: Any) -> bool:
    """Whether all floats have at most 24 significant bits, so that they are surely meant as written."""
    array = np.asarray(values)
    if not np.issubdtype(array.dtype, np.floating):
        return True
    mantissas = np.frexp(array[np.isfinite(array)].astype(np.float64))[0] * 2.0**24
    return bool(np.all(mantissas == np.floor(mantissas)))


def _operand(aval: Any, label: bool) -> Operand:
    return Operand(tuple(aval.shape), np.dtype(aval.dtype), label)


def _merge_key(eqn: Any, sources: list[int]) -> Any:
    """Equal keys mean equal results; None where that cannot be told."""
    if any(hasattr(value, "eqns") or hasattr(value, "jaxpr") or callable(value) for value in eqn.params.values()):
        return None
    return eqn.primitive.name, tuple(sources), repr(sorted(eqn.params.items(), key=str))


def _by_jax(equation: Equation) -> Step:
    """Discrete work of a kind that has no rule: JAX itself does it."""

    def step(_: Any, *operands: Array) -> Any:
        with jax.enable_x64(True):
            arrays = [jax.numpy.asarray(x, dtype=o.dtype) for x, o in zip(operands, equation.operands, strict=True)]
            result = equation.primitive.bind(*arrays, **equation.params)
            return [np.asarray(part) for part in result] if equation.primitive.multiple_results else np.asarray(result)

    return step


# Control flow: the body is planned once, and run as often as the values say


def _cond(planner: _Planner, equation: Equation) -> Step:
    labels = [operand.label for operand in equation.operands[1:]]
    branches = [planner.subplan(branch, labels) for branch in equation.params["branches"]]

    def step(context: Any, index: Array, *operands: Array) -> list[Array]:
        return branches[int(np.clip(index, 0, len(branches) - 1))].run(context, *operands)

    return step


def _while(planner: _Planner, equation: Equation) -> Step:
    n_cond, n_body = equation.params["cond_nconsts"], equation.params["body_nconsts"]
    goes_on = planner.subplan(equation.params["cond_jaxpr"], ())
    body = planner.subplan(equation.params["body_jaxpr"], ())

    def step(context: Any, *operands: Array) -> list[Array]:
        for_cond, for_body = operands[:n_cond], operands[n_cond : n_cond + n_body]
        carry = list(operands[n_cond + n_body :])
        for _ in range(LOOP_LIMIT):
            if not bool(goes_on.run(context, *for_cond, *carry)[0]):
                return carry
            carry = body.run(context, *for_body, *carry)
        raise RuntimeError(f"a while loop did not end in {LOOP_LIMIT} iterations")

    return step


def _scan(planner: _Planner, equation: Equation) -> Step:
    n_consts, n_carry = equation.params["num_consts"], equation.params["num_carry"]
    length, backwards = equation.params["length"], equation.params["reverse"]
    closed = equation.params["jaxpr"]
    labels = [operand.label for operand in equation.operands]
    labels[n_consts : n_consts + n_carry] = [False] * n_carry
    body = planner.subplan(closed, labels)

    def step(context: Any, *operands: Array) -> list[Array]:
        consts, carry = operands[:n_consts], list(operands[n_consts : n_consts + n_carry])
        rows = operands[n_consts + n_carry :]
        stacked: list[list[Array]] = [[] for _ in closed.out_avals[n_carry:]]
        for i in reversed(range(length)) if backwards else range(length):
            results = body.run(context, *consts, *carry, *[np.asarray(row[i]) for row in rows])
            carry = results[:n_carry]
            for made, result in zip(stacked, results[n_carry:], strict=True):
                made.append(result)
        parts = [np.stack(made[::-1] if backwards else made) for made in stacked]
        return [*carry, *parts]

    return step


_CONTROL: dict[str, Callable[[_Planner, Equation], Step]] = {"cond": _cond, "while": _while, "scan": _scan}
