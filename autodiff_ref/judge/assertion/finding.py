"""What is found of two gradients at an input."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from autodiff_ref.judge.assertion.computed import Allowed, Computed
from autodiff_ref.judge.assertion.exactly import Exact
from autodiff_ref.judge.assertion.sides import Side
from autodiff_ref.judge.program.plans import Array


@dataclass(frozen=True)
class Finding:
    """Why two gradients do not agree at an input, or why that cannot be told."""

    outcome: Literal["different", "undecided"]
    reason: str = ""
    components: tuple[int, ...] = ()
    """those that differ, by their place in the flat gradient; the first is shown"""
    computed: Array = field(default_factory=lambda: np.empty(0))
    """all components as the candidate returned them"""
    expected: Array = field(default_factory=lambda: np.empty(0))
    """all components of the reference, rounded to floats"""
    certified: str = ""
    """a lower bound of the difference between the two real functions in the component shown"""
    allowed: float = 0.0
    """what rounding explains there"""
    how: Literal["traced", "assumed", "finer", "unbounded", "bounds", "extended"] = "traced"
    """by what it is known to differ, where no balls certify it:

    - traced: what was returned is not what the traced function gives.
    - assumed: it is off by more than twice the reference's bound, since the candidate could not be traced.
    - finer: the same in float64, `computed` being what it returned there.
    - unbounded: nothing bounds its rounding, and it is off by more than rounding can be.
    - bounds: the rounding bounds of both sides are disjoint.
    - extended: both sides were computed in floats of more digits, where a rounding error would be smaller.
    """

    open: tuple[int, ...] = ()
    """those of which it is not told whether they agree: rounded constants or inputs may explain a gap"""

    @property
    def assumed(self) -> bool:
        """Whether the candidate was judged by what it returns alone."""
        return self.how in ("assumed", "finer", "unbounded")


WHY = {
    "kink": "it lies on a kink, where reals that are compared are equal, and the two sides decide that differently. "
    "Choose an input beside it, or a loss that is smooth there",
    "undefined": "the gradient does not exist there, or no precision gives it digits. "
    "Choose an input at which the loss has a derivative",
    "drowned": "the gradient is smaller there than the rounding errors of its computation. "
    "Choose an input with smaller arguments, or compute it so that fewer digits cancel",
    "rounded": "the gradient is so small there that the rounding of the input makes as much of it as a mistake would. "
    "Choose an input further from where the gradient is 0",
    "coarse": "what it is off by there, rounding in that precision explains, and a mistake would too. "
    "Let the kernel take float32 as well, or choose smaller shapes and arguments, of which less is lost",
    "unbounded": "nothing bounds the rounding errors of what was returned. "
    "Choose an input with smaller arguments, or write the gradient in NumPy or JAX, so that it can be traced",
    "lossy": "as functions of real numbers the two are equal there, and nothing bounds the rounding errors of what was "
    "returned, as where a matrix is singular but for rounding. Choose an input at which fewer digits are lost",
    "constants": "at {} numbers that floats computed are handed to code that is not followed, and what they are off by may "
    "explain the difference. Use NumPy's arrays and functions there, as dense matrices for sparse ones",
    "large": "rounding bounds leave a doubt, and the shapes are too large for balls. Try smaller ones",
}
"""why nothing can be said, and what to do"""


def bound_of(side: Side, arrays: list[Array], otherwise: Allowed, *, wide: bool = False) -> Array:
    """The rounding bounds of one side, as it is called or in float64; without any, what compiled code may be off."""
    try:
        return side.bounded(arrays, wide=wide)[1]
    except NotImplementedError:
        return otherwise()


def different(
    wrong: list[int],
    computed: Computed,
    truth: Exact,
    allowed: float = 0.0,
    how: Literal["traced", "assumed", "finer", "unbounded", "bounds", "extended"] = "traced",
) -> Finding:
    """Some components are wrong, the first by more than is allowed."""
    return Finding("different", "", tuple(wrong), computed.values, truth.high, allowed=allowed, how=how)
