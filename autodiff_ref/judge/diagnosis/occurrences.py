"""The places where a wrong line may be repaired, what the source calls their values, and what a repair is."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from autodiff_ref.judge.diagnosis.backends import Expression
from autodiff_ref.judge.diagnosis.calls import Calls
from autodiff_ref.judge.diagnosis.terms import named
from autodiff_ref.judge.diagnosis.variant import Node, Program


@dataclass(frozen=True)
class Repair:
    """A slot of the wrong line computed otherwise, and the mistake that this would undo."""

    kind: str
    sentence: str
    slot: int
    cost: float
    """the less, the likelier: what stands in the line and should not comes before what does not stand there"""
    expression: Expression
    where: str = ""
    """what is said after it of the place in the line, where that has several"""
    swaps: int | None = None
    """a value in the place of which another one is put"""
    joins: int | None = None
    """a value that another one is joined to, as a factor or as a term"""


class Texts:
    """What the source calls the values of a program."""

    def __init__(
        self, program: Program, names: Sequence[str], sizes: Mapping[str, int], again: Program | None = None
    ) -> None:
        """Also told the sizes of the dimensions, and the same program at other ones: a constant may be a size."""
        self.program, self.sizes, self.again = program, sizes, again
        found = named(program)
        self.named = {slot: text for slot, (text, _) in found.items()}
        self._away = {slot: depth for slot, (_, depth) in found.items()}
        self.inputs = dict(zip(program.inputs, names, strict=True))
        self.written = {at for slot in found for at in _before_passing(program, slot)}
        """the values that a text stands for; one that is brought into shape by it among them, as the slice in w[1]"""

    def of(self, slot: int) -> str:
        """The source text of a value: a name, a number, an expression."""
        number = self.number(slot)
        if number is not None:
            return self._size(slot, number) or f"{number:.12g}"
        if slot in self.inputs or slot in self.named:
            return self.inputs.get(slot) or self.named[slot]
        node = self.program.nodes[self.program.maker[slot]] if slot in self.program.maker else None
        if node is not None and node.name in PASSING:
            return self.of(node.sources[0])
        frame = self.program.frame(slot)
        return self.program.nodes[self.program.maker[slot]].origin.text_of(frame) if frame and frame.text else "a value"

    def uses_of(self, text: str) -> int:
        """How often the line has a text as an operand."""
        return self._uses[text]

    @cached_property
    def _uses(self) -> Counter[str]:
        nodes = [node for node in self.program.nodes if self.written.intersection(node.targets)]
        return Counter(self.of(source) for node in nodes if node.name not in PASSING for source in node.sources)

    def away(self, slot: int) -> int:
        """How many calls further in than the line's own file the text of a value stands."""
        return self._away.get(slot, 0)

    def number(self, slot: int) -> float | None:
        """What a slot holds, where that is one constant."""
        return number_in(self.program, slot)

    def _size(self, slot: int, number: float) -> str:
        """The name of the size that a constant is: it changes with the shape."""
        elsewhere = None if self.again is None else number_in(self.again, slot)
        return next((name for name, size in self.sizes.items() if size == number != elsewhere), "")


def number_in(program: Program, slot: int) -> float | None:
    """What a slot of a program holds, where that is one constant."""
    if slot in program.constants:
        values = np.unique(np.asarray(program.constants[slot], dtype=np.float64))
        return float(values[0]) if values.size == 1 else None
    node = program.nodes[program.maker[slot]] if slot in program.maker else None
    return number_in(program, node.sources[0]) if node is not None and node.name in PASSING and node.sources else None


PASSING = {"broadcast_in_dim", "convert_element_type", "reshape", "squeeze", "copy", "expand_dims"}
"""what only brings a value into shape"""


def _before_passing(program: Program, slot: int) -> Iterator[int]:
    """A value, and what is only brought into shape to be it."""
    yield slot
    while slot in program.maker and (node := program.nodes[program.maker[slot]]).name in PASSING:
        (slot,) = node.sources[:1]
        yield slot


@dataclass(frozen=True)
class Site:
    """An equation of the wrong line that may be repaired."""

    program: Program
    texts: Texts
    node: Node
    fixed: frozenset[int]
    """sizes that are the same in every input"""
    calls: Calls
    operand: int | None = None
    """which operand something may be joined to; None for the value"""

    @property
    def joined(self) -> int:
        """What something may be joined to."""
        return self.slot if self.operand is None else self.node.sources[self.operand]

    @property
    def slot(self) -> int:
        """Its value."""
        return self.node.targets[0]

    @property
    def is_a_step(self) -> bool:
        """Whether its value is computed on the way to the one that its text stands for, as the mean in a variance is."""
        return self.slot not in self.texts.written

    @property
    def is_open(self) -> bool:
        """Whether its operation may be the mistake: not inside of a function that is right."""
        return not self.is_a_step and not self.calls.is_inside(self.slot)

    @property
    def has_value(self) -> bool:
        """Whether its value is one that the line sees."""
        return not self.is_a_step and not self.calls.is_hidden(self.slot)

    def sees(self, j: int) -> bool:
        """Whether an operand is a value that the line sees, and may be what is wrong."""
        return self.is_open or self.calls.is_argument(self.node, j)

    @property
    def text(self) -> str:
        """Its value, as the source writes it."""
        return self.texts.of(self.slot)

    def where(self, operand: str) -> str:
        """What an operand stands in, where the line has its text more than once."""
        return f", in {self.text}" if self.texts.uses_of(operand) > 1 and operand != self.text else ""

    @property
    def within(self) -> str:
        """What its value stands in, where the line has its text more than once."""
        users = [node.targets[0] for node in self.program.nodes if self.slot in node.sources]
        texts = [self.texts.of(slot) for slot in users if slot in self.texts.written]
        return f", in {texts[0]}" if self.texts.uses_of(self.text) > 1 and texts else ""

    @property
    def at(self) -> str:
        """Which value a factor or a term is missing at, where that is not the same as at the whole line."""
        is_a_number = self.texts.number(self.slot) is not None
        return "" if is_a_number or self.program.is_factor(self.slot) else f" at {self.text}"

    @property
    def shape(self) -> tuple[int, ...]:
        """Its value's shape."""
        return self.program.shapes[self.slot]

    def fits(self, slot: int) -> bool:
        """Whether a value can stand in the place of this one: of its shape, or a number for all of it."""
        return self.program.is_real(slot) and self.program.shapes[slot] in (self.shape, ())

    @property
    def depth(self) -> int:
        """In how many functions that the line calls it stands."""
        return max(0, len(self.node.origin.frames) - 1)

    def repair(
        self,
        kind: str,
        sentence: str,
        cost: float,
        expression: Expression,
        *,
        where: str = "",
        swaps: int | None = None,
        joins: int | None = None,
    ) -> Repair:
        """A repair of this equation; in the line itself it is a little likelier than in what the line calls."""
        return Repair(kind, sentence, self.slot, cost + 0.01 * min(self.depth, 5), expression, where, swaps, joins)
