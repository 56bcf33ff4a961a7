"""What is found of two gradients at an input."""

from dataclasses import dataclass
from typing import Literal

from autodiff_ref.verify.assertions.computed import Allowed, Computed, floats
from autodiff_ref.verify.assertions.sides import Side
from autodiff_ref.verify.verdict import Evaluation
from autodiff_ref.verify.walker.plans import Array


@dataclass(frozen=True)
class Finding:
    """Why two gradients do not agree at an input, or why that cannot be told."""

    outcome: Literal["different", "undecided"]
    reason: str = ""
    components: tuple[int, ...] = ()
    """those that differ, by their place in the flat gradient; the first is shown"""
    computed: Array = ()
    """all components as the candidate returned them"""
    expected: Array = ()
    """all components of the reference, rounded to floats"""
    certified: str = ""
    """a lower bound of the difference between the two real functions in the component shown"""
    allowed: float = 0.0
    """what rounding explains there"""
    assumed: bool = False
    """whether that is twice the reference's bound, since the candidate could not be traced"""
    finer: bool = False
    """whether it was called in float64 for that, `computed` being what it returned there"""


WHY = {
    "kink": "it lies on a kink, where reals that are compared are equal, and the two sides decide that differently",
    "undefined": "the gradient does not exist there, or no precision gives it digits",
    "drowned": "the whole gradient is smaller there than the rounding errors of its computation",
    "large": "rounding bounds leave a doubt, and the shapes are too large for balls; try smaller ones",
}
"""why nothing can be said"""


def bound_of(side: Side, arrays: list[Array], otherwise: Allowed, *, wide: bool = False) -> Array:
    """The rounding bounds of one side, as it is called or in float64; without any, what compiled code may be off."""
    try:
        return side.bounded(arrays, wide=wide)[1]
    except NotImplementedError:
        return otherwise()


def off(computed: Computed, wanted: Evaluation, allowances: list[Allowed], *, assumed: bool = False) -> Finding | None:
    """The components that no allowance explains; None where there are none."""
    expected, widths = floats(wanted)
    wrong = computed.beyond(expected, widths, allowances)
    if not wrong:
        return None
    most = max(float(allowed()[wrong[0]] + widths[wrong[0]]) for allowed in allowances)
    return Finding("different", "", tuple(wrong), computed.values, expected, allowed=most, assumed=assumed)
