"""What a run with rounding bounds notes on its way: where comparisons tie, and what each max and min took."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from autodiff_ref.judge.floats.values import Bounded, Discrete, Held, anywhere
from autodiff_ref.judge.program.plans import Array


@dataclass
class Context:
    """One run: how constants are read, and which operand each max and min took."""

    constants: str = "balls"
    choices: list[tuple[Bounded, Bounded, Discrete]] = field(default_factory=list[tuple[Bounded, Bounded, Discrete]])
    """(what max or min returned, an operand, whether it was taken)"""
    extremes: list[tuple[Array, Bounded, Callable[[], Discrete]]] = field(
        default_factory=list[tuple[Array, Bounded, Callable[[], Discrete]]]
    )
    """(the largest or smallest entries over axes, all entries, which of them were taken)"""
    tied: Array = field(default_factory=lambda: np.zeros(1, dtype=bool))
    """for each input, whether reals that were compared are equal, or within their errors of it: it may lie on a kink"""

    left_out: Array = field(default_factory=lambda: np.zeros(1, dtype=bool))
    """for each input, whether it certainly takes another branch than the one that is run now"""

    looped: int = 0
    """how many numbers `while` loops have computed, about"""

    @contextmanager
    def without(self, rows: Array) -> Generator[None]:
        """For a branch that some inputs certainly do not take."""
        before, self.left_out = self.left_out, self.left_out | rows
        yield
        self.left_out = before

    def notes(self, ties: Array) -> None:
        """Takes in where reals that were compared tie; labels and constants are compared exactly, and never do."""
        if anywhere(ties):
            self.tied = self.tied | ties.reshape(len(ties), -1).any(axis=1)

    def choice(self, x: Held, y: Held) -> Discrete | None:
        """Whether a max or min took an operand, where x and y are what it returned and the operand, or the reverse."""
        for made, operand, taken in self.choices:
            if (made is x and operand is y) or (made is y and operand is x):
                return taken
        for value, operand, found in self.extremes:
            other = y if operand is x else x if operand is y else None
            if other is not None and other.value.ndim == operand.value.ndim and _is_view_of(other.value, value):
                return found()
        return None


def _is_view_of(view: Array, array: Array) -> bool:
    """Whether one is the other, or that in another shape."""
    while view is not array:
        if view.base is None:
            return False
        view = view.base
    return True
