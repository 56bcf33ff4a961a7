"""Calls of functions that something right calls too. A mistake inside of these would be made there as well."""

from collections.abc import Iterable

from autodiff_ref.judge.diagnosis.source_places import Frame, Origin, own_frame
from autodiff_ref.judge.diagnosis.variant import Node, Program


def within_calls(program: Program) -> set[Frame]:
    """The source text that a program runs in the functions that it calls, and not in its own."""
    return {frame for node in program.nodes for frame in node.origin.frames[:-1]}


class Calls:
    """What a program computes inside of functions that are right, and what comes out of these."""

    def __init__(self, program: Program, right: Iterable[Frame]) -> None:
        """The text in `right` is right. So is what several places of the program reach: a change would change them all."""
        self._program = program
        reached: dict[Frame, set[tuple[Frame, ...]]] = {}
        for node in program.nodes:
            for k, frame in enumerate(node.origin.frames[:-1]):
                reached.setdefault(frame, set()).add(node.origin.frames[k + 1 :])
        self._right = {*right, *(frame for frame, ways in reached.items() if len(ways) > 1)}
        self._inside = [self._call_of(node) for node in program.nodes]
        leaving: dict[tuple[Frame, ...], set[int]] = {}
        for call, node in [*zip(self._inside, program.nodes, strict=True), (None, None)]:
            for slot in program.outputs if node is None else node.sources:
                made = self._made_inside(slot)
                if made is not None and made != call:
                    leaving.setdefault(made, set()).add(slot)
        self._results = {slot for slots in leaving.values() if len(slots) == 1 for slot in slots}

    def _call_of(self, node: Node) -> tuple[Frame, ...] | None:
        """The outermost call of a right function that an equation is inside of: the frames from the call outwards."""
        frames = node.origin.frames
        inside = [k for k, frame in enumerate(frames[:-1]) if frame in self._right]
        return frames[inside[-1] + 1 :] if inside else None

    def _made_inside(self, slot: int) -> tuple[Frame, ...] | None:
        return self._inside[self._program.maker[slot]] if slot in self._program.maker else None

    def frame(self, slot: int) -> Frame | None:
        """The own source text that makes a value; of one that comes out of such a function, that calls it."""
        call = self._made_inside(slot)
        return self._program.frame(slot) if call is None else own_frame(Origin(call), self._program.file)

    def is_inside(self, slot: int) -> bool:
        """Whether a value is computed inside of such a function."""
        return self._made_inside(slot) is not None

    def is_hidden(self, slot: int) -> bool:
        """Whether a value is computed inside of such a function, and is not all that comes out of it."""
        return self.is_inside(slot) and slot not in self._results

    def is_argument(self, node: Node, j: int) -> bool:
        """Whether an operand of an equation inside is handed to the function by its caller, and used there once."""
        call, source = self._inside[self._program.maker[node.targets[0]]], node.sources[j]
        uses = [each for each, inside in zip(self._program.nodes, self._inside, strict=True) if inside == call]
        is_handed = source not in self._program.constants and self._made_inside(source) != call
        return is_handed and sum(each.sources.count(source) for each in uses) == 1
