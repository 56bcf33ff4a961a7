"""What the sweep in floats found of two lines, and what it could have found."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from autodiff_ref.judge.comparing import Comparison
from autodiff_ref.judge.inputs import Input
from autodiff_ref.trees import JsonObject


@dataclass
class Swept:
    """What floats say of two lines."""

    inputs: Counter[str] = field(default_factory=Counter[str])
    """by stratum, how many inputs both lines were computed at"""
    informed: int = 0
    """of these, how many had a bound on some component"""
    suspects: int = 0
    """inputs at which the lines are further apart than both bounds"""
    kinks: int = 0
    """inputs at which they are so far apart, and reals that one of them compares tie: no evidence, and no suspects"""
    climbed: int = 0
    """further inputs, at which the search went uphill from the worst of these"""
    height: float = 0.0
    """how far apart the lines are, in units of their bounds, where that ended: below 1 for right ones"""
    asked: Counter[str] = field(default_factory=Counter[str])
    """of the suspects, what balls said of them; some are not meant by the conditions, asked for one input"""
    differences: list[tuple[Input, Comparison]] = field(default_factory=list[tuple[Input, Comparison]])
    series: frozenset[str] = frozenset()
    """library functions in the lines that floats compute by a series, and balls by what is meant"""
    reason: str = ""
    """why there was no sweep"""

    @property
    def left(self) -> int:
        """Suspects that balls have neither cleared nor certified: too many to be asked, or undecided.

        Where floats compute a series, each may be further from what is meant than rounding allows. The worst are asked, and
        where balls clear all of these, the others are no evidence.
        """
        left = self.suspects - sum(self.asked[said] for said in ("equal", "different", "not meant"))
        return 0 if self.is_by_series else left

    @property
    def is_by_series(self) -> bool:
        """Whether suspects are too many to be asked, and all that were are what a series is off by."""
        asked = self.asked.total()
        return bool(self.series) and 0 < asked < self.suspects and self.asked["equal"] == asked

    def __str__(self) -> str:
        if self.reason:
            return f"not swept in floats ({self.reason})"
        cleared, left = self.asked["equal"], self.left
        said = f"{cleared:,} suspect{'s' * (cleared > 1)} cleared by balls, " if cleared else ""
        kinks = f", {self.kinks:,} more on kinks" if self.kinks else ""
        if self.is_by_series:
            names = ", ".join(sorted(self.series))
            said += f"{self.suspects - cleared:,} nearer ones are within what JAX's {names} may be off by, "
        return f"{self.inputs.total():,} inputs in floats, {said}{left or 'no'} suspect{'s' * (left > 1)} left{kinks}"

    @staticmethod
    def of_all(lines: Sequence["Swept"]) -> "Swept":
        """The suspects of all lines, at the inputs of the one that had fewest."""
        fewest = min(lines, key=lambda line: line.inputs.total())
        asked = Counter[str]()
        for line in lines:
            asked.update(line.asked)
        suspects, kinks, climbed = (sum(getattr(line, name) for line in lines) for name in ("suspects", "kinks", "climbed"))
        height = max(line.height for line in lines)
        series = frozenset[str]().union(*[line.series for line in lines])
        return Swept(fewest.inputs, fewest.informed, suspects, kinks, climbed, height, asked, series=series)

    def to_dict(self) -> JsonObject:
        """As JSON."""
        return {
            "inputs": self.inputs.total(),
            "suspects": self.suspects,
            "kinks": self.kinks,
            "climbed": {"inputs": self.climbed, "ratio": self.height},
            "balls": dict(self.asked),
            "reason": self.reason,
        }


RELATIVE = 1e-6
"""the mistake that power is about: a component times 1 + 10^-6"""

LOW = 0.25
"""A share of inputs below this is said in the printed report."""


@dataclass(frozen=True)
class Power:
    """What the sweep of a line could have seen."""

    share: float
    """of the inputs, at how many a component that is off by 1 part in 10^6 is further off than rounding explains"""
    zero: tuple[str, ...] = ()
    """components that are 0 at every input looked at: a factor in front of them is never seen"""
    drowned: tuple[str, ...] = ()
    """components that are not 0, whose rounding bound hides such a mistake at every input"""

    def to_dict(self) -> JsonObject:
        """As JSON."""
        return {"relative": RELATIVE, "share": self.share, "zero": list(self.zero), "drowned": list(self.drowned)}

    def sentences(self) -> list[str]:
        """What a reader should know where power is low; nothing where it is not."""
        said: list[str] = []
        if self.share < LOW:
            share = "less than 1%" if 0 < self.share < 0.005 else f"{self.share:.0%}"
            said.append(
                f"a mistake of 1 part in 10⁶ would have shown in floats at {share} of the inputs only: "
                f"elsewhere the gradient is 0, or rounding hides it"
            )
        if self.drowned:
            said.append(f"rounding hides such a mistake in {_listed(self.drowned)} at every input")
        if self.zero and self.share > 0:
            are, them = ("is", "it") if len(self.zero) == 1 else ("are", "them")
            said.append(f"{_listed(self.zero)} {are} 0 at every input: no factor in front of {them} can be seen")
        return said


def _listed(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:4])
    return shown if len(names) <= 4 else f"{shown} and {len(names) - 4} more"
