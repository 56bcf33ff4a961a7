"""An input at which two lines differ, as a reader would write it."""

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import numpy as np

from autodiff_ref.trees import Arguments, JsonObject

SMALL = 1e-6
"""So small a share of a value may be what `of` is off itself, as jax.scipy.special's betaln and log_ndtr are in places."""


@dataclass(frozen=True)
class Counterexample:
    """An input at which two lines certainly differ, and what they are there."""

    args: Arguments
    """NumPy arrays in the structure of the domain"""
    at: str
    """the input as a reader would write it"""
    stratum: str
    """"simplest" where the input was shrunk, else the stratum it was drawn in"""
    component: str
    """which entry of what lines return: w11[0] of a gradient by w11"""
    entry: str
    """the same as a reader would write it: ∂/∂w11[0]"""
    label: str
    against: str
    value: str
    """the line's value, to 30 digits"""
    expected: str
    """the other line's"""
    difference: str
    """a certified lower bound"""
    example: str
    """a decorator for a Hypothesis test"""
    snippet: str
    """a program that prints both values in floats"""

    def __str__(self) -> str:
        found = "smallest input found" if self.stratum == "simplest" else f"input found ({self.stratum})"
        width = max(len(self.label), len(self.against))
        return (
            f"{found}   {self.at}\n"
            f"{self.against:{width}}  {self.entry} = {_with_radius(self.expected)}\n"
            f"{self.label:{width}}  {self.entry} = {_with_radius(self.value)}\n"
            f"certified: they differ by at least {self.difference}{self._share}"
        )

    @property
    def _share(self) -> str:
        """What so small a difference may be; nothing of one that is not small."""
        share, size = 0.0, abs(float(self.expected)) or abs(float(self.value))
        if 0 < size < np.inf:
            share = float(self.difference) / size
        if not 0 < share < SMALL:
            return ""
        return f", {share:.1g} of it: a small mistake, or an approximation that a library's function makes"

    def to_dict(self) -> JsonObject:
        """As JSON."""
        return {
            "at": self.at,
            "stratum": self.stratum,
            "component": self.component,
            "entry": self.entry,
            "values": {self.against: self.expected, self.label: self.value},
            "example": self.example,
            "snippet": self.snippet,
        }


def _with_radius(digits: str) -> str:
    """0 ± 1e-37 for 0e-37, which is a ball around 0 without a digit."""
    return f"0 ± 1{digits[1:]}" if digits.startswith("0e") else digits


def readable(args: Arguments, names: Sequence[str]) -> str:
    """An input on one line: w11=[0] w12=[1] x=[[1]]."""
    leaves = jax.tree.leaves(args)
    return "  ".join(f"{name}={_short(leaf)}" for name, leaf in zip(names, leaves, strict=True))


def _short(leaf: np.ndarray) -> str:
    """An array as a reader would write it."""
    if np.ndim(leaf):
        return "[" + " ".join(_short(part) for part in np.asarray(leaf)) + "]"
    value = float(leaf)
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def leaf_names(args: Arguments, argument_names: list[str]) -> tuple[str, ...]:
    """A name for each leaf of the arguments: w11 for a field, w[0] for an entry, x for a whole argument.

    Fields that have a name in common are told apart: net.w and dot.w, layers[0].weight.
    """
    names, whole = list[str](), list[str]()
    for argument, name in zip(args, argument_names, strict=True):
        for path, _ in jax.tree_util.tree_leaves_with_path(argument):
            parts = [getattr(key, "name", None) or str(getattr(key, "key", getattr(key, "idx", key))) for key in path]
            is_named = bool(path) and not hasattr(path[-1], "idx")
            names.append(parts[-1] if is_named else name + "".join(f"[{part}]" for part in parts))
            steps = [f"[{part}]" if hasattr(key, "idx") else f".{part}" for part, key in zip(parts, path, strict=True)]
            whole.append(name + "".join(steps))
    return tuple(full if names.count(name) > 1 else name for name, full in zip(names, whole, strict=True))
