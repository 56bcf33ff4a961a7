"""A traced line as a flat list of nodes: calls inlined, dead ones left out, each with the source text it comes from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core
from jax.typing import ArrayLike

from autodiff_ref.judge.diagnosis.source_places import Frame, Origin, origin_of, own_frame
from autodiff_ref.judge.lines.jaxprs import Body, flattened
from autodiff_ref.judge.program.plans import Params
from autodiff_ref.judge.program.standins import settled
from autodiff_ref.judge.program.structure import MOVEMENT

Value = Any
"""An array: NumPy's, JAX's, or one that is being traced."""


@dataclass(frozen=True)
class Node:
    """An equation, on slots instead of variables."""

    primitive: core.Primitive
    params: Params
    sources: tuple[int, ...]
    targets: tuple[int, ...]
    origin: Origin

    @property
    def name(self) -> str:
        """The primitive's."""
        return self.primitive.name


_LINEAR = {*MOVEMENT, "mul", "div", "neg", "dot_general", "reduce_sum", "convert_element_type", "copy"}
"""what a factor comes out of"""


@dataclass
class Program:
    """Nodes in order of computation. Slot k holds a value of shape `shapes[k]`."""

    file: str
    """the line's own"""
    nodes: list[Node]
    inputs: list[int]
    outputs: list[int]
    constants: dict[int, ArrayLike]
    shapes: list[tuple[int, ...]]
    dtypes: list[np.dtype]
    maker: dict[int, int] = field(default_factory=dict[int, int])
    """which node makes a slot's value"""

    def is_real(self, slot: int) -> bool:
        """Whether a slot holds floats."""
        return self.dtypes[slot].kind == "f"

    def is_constant(self, slot: int) -> bool:
        """Whether a slot's value does not depend on the inputs."""
        if slot in self.constants:
            return True
        return slot in self.maker and all(self.is_constant(source) for source in self.nodes[self.maker[slot]].sources)

    def frame(self, slot: int) -> Frame | None:
        """The own source text that made a slot's value."""
        return own_frame(self.nodes[self.maker[slot]].origin, self.file) if slot in self.maker else None

    def downstream(self, slot: int) -> list[int]:
        """The nodes whose values depend on a slot's, in order."""
        reached, found = {slot}, list[int]()
        for k, node in enumerate(self.nodes):
            if reached.intersection(node.sources):
                found.append(k)
                reached.update(node.targets)
        return found

    def is_factor(self, slot: int) -> bool:
        """Whether the outputs are linear in a value, and nothing is added to it."""
        reached = {slot}
        for node in (self.nodes[k] for k in self.downstream(slot)):
            taken = [source in reached for source in node.sources]
            if sum(taken) > 1 or node.name not in _LINEAR or (node.name == "div" and taken[1]):
                return False
            reached.update(node.targets)
        return True

    @property
    def signature(self) -> list[tuple[str, tuple[int, ...], tuple[int, ...]]]:
        """Equal for programs of one line at several shapes whose nodes correspond."""
        return [(node.name, node.sources, node.targets) for node in self.nodes]

    def run(self, arguments: Sequence[Value]) -> dict[int, Value]:
        """Every slot's value."""
        values: dict[int, Value] = {slot: jnp.asarray(array) for slot, array in self.constants.items()}
        values.update(zip(self.inputs, arguments, strict=True))
        for node in self.nodes:
            values.update(_results(node, values))
        return values

    def outputs_with(self, values: Mapping[int, Value], slot: int, value: Value) -> list[Value]:
        """The outputs with one slot's value replaced; what does not depend on it stays as it is in `values`."""
        changed = {**values, slot: value}
        for k in self.downstream(slot):
            changed.update(_results(self.nodes[k], changed))
        return [changed[slot] for slot in self.outputs]


def _results(node: Node, values: Mapping[int, Value]) -> dict[int, Value]:
    made = node.primitive.bind(*[values[s] for s in node.sources], **node.params)
    return dict(zip(node.targets, made if node.primitive.multiple_results else [made], strict=True))


def program_of(closed: core.ClosedJaxpr, file: str, n_outputs: int) -> Program:
    """The program of a closed jaxpr's first `n_outputs` outputs, for a line that is written in `file`."""
    flat = flattened(closed)
    made = _Numbering(file)
    program, jaxpr = made.program, flat.jaxpr
    slots: dict[core.Var, int] = {var: made.slot(var.aval) for var in jaxpr.invars}
    program.inputs = list(slots.values())
    slots.update({var: made.constant(value) for var, value in zip(jaxpr.constvars, flat.consts, strict=True)})

    def slot_of(atom: core.Var | core.Literal) -> int:
        return made.constant(atom.val) if isinstance(atom, core.Literal) else slots[atom]

    for eqn, needed in zip(jaxpr.eqns, Body(flat, n_outputs).needed, strict=True):
        if needed:
            sources = tuple(slot_of(atom) for atom in eqn.invars)
            targets = tuple(made.slot(var.aval) for var in eqn.outvars)
            slots.update(zip(eqn.outvars, targets, strict=True))
            program.nodes.append(Node(eqn.primitive, settled(eqn), sources, targets, origin_of(eqn)))
    program.file = _file_of(program)
    program.outputs = [slot_of(atom) for atom in jaxpr.outvars[:n_outputs]]
    program.maker = {slot: k for k, node in enumerate(program.nodes) for slot in node.targets}
    return program


def _file_of(program: Program) -> str:
    """The file a line is written in; of one that was made by a program, the one that it was made from is."""
    seen = [node.origin.frames for node in program.nodes if node.origin.frames]
    if not seen or any(frame.file == program.file for frames in seen for frame in frames):
        return program.file
    return seen[-1][-1].file


class _Numbering:
    def __init__(self, file: str) -> None:
        self.program = Program(file, [], [], [], {}, [], [])

    def slot(self, aval: object) -> int:
        self.program.shapes.append(tuple(getattr(aval, "shape", ())))
        dtype = getattr(aval, "dtype", None)
        self.program.dtypes.append(dtype if isinstance(dtype, np.dtype) else np.dtype(bool))
        return len(self.program.shapes) - 1

    def constant(self, value: ArrayLike) -> int:
        slot = self.slot(jax.typeof(value))
        self.program.constants[slot] = value
        return slot
