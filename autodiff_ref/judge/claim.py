"""A claim: at an input, two programs are one function. Balls decide it, and where they leave it open, the truth does.

The lines of a derivation are claims, each about the line above it or about the gradient; an assertion is one claim about the
gradient. JAX's derivative speaks for the gradient where difference quotients confirm it, and nowhere else.
"""

from collections.abc import Callable
from dataclasses import dataclass

from autodiff_ref.judge.against_truth import against_truth
from autodiff_ref.judge.comparing import PRECISIONS, ULP, Comparison, compare, has_no_kink
from autodiff_ref.judge.evaluation import Evaluator
from autodiff_ref.judge.truth import Truth


@dataclass(frozen=True)
class AtInput:
    """A program at an input.

    What it leaves to ∇ is JAX's derivative of something, which may be wrong, or decide a tie otherwise than the truth does.
    """

    value: Evaluator
    unless_nabla_errs: Callable[[Comparison], Comparison] | None = None
    """what was found of it, unless what it leaves to ∇ is to blame for that; None where it leaves nothing to ∇"""
    is_nabla_confirmed: Callable[[], bool] = lambda: True
    """whether JAX is right at this input about all that it leaves to ∇"""


@dataclass(frozen=True)
class Claim:
    """At an input, `ours` is `theirs`."""

    ours: AtInput
    theirs: AtInput
    truth: Callable[[], Truth] | None = None
    """what is known of the gradient at the input; None where the claim is about the two programs themselves"""
    by_quotients: Callable[[], Truth] | None = None
    """the same without JAX; None where `theirs` is not JAX's derivative"""
    allowed: float = ULP
    """the difference, relative to the entry, up to which values count as equal"""
    is_confirmed: bool = False
    """whether JAX's derivative was confirmed at such an input before: where both are equal, the truth is not asked"""

    @property
    def by_jax(self) -> bool:
        """Whether the claim is that `ours` is the gradient, as JAX computes it."""
        return self.by_quotients is not None


def decide(claim: Claim, *, start: int = PRECISIONS[0]) -> Comparison:
    """What is to be said of a claim, from a precision on."""
    ours, theirs, allowed = claim.ours, claim.theirs, claim.allowed
    found = compare(ours.value, theirs.value, start=start, allowed=allowed)
    is_settled = found.outcome in ("equal", "different") and not found.tied
    if claim.truth is None:
        return found if found.tied else _unless_nabla_is_to_blame(found, ours, theirs)
    if is_settled and found.outcome == "equal" and (claim.is_confirmed or not claim.by_jax):
        return found
    if is_settled and not claim.by_jax and ours.unless_nabla_errs is None and theirs.unless_nabla_errs is None:
        return found
    truth = claim.truth()
    if not truth.is_known:
        return found if is_settled or not claim.by_jax else _as_written(claim, found)
    if is_settled and claim.by_jax and truth.confirmed and (found.outcome == "equal" or ours.unless_nabla_errs is None):
        return _unless_jax_rounds(claim, found)
    if not is_settled or (claim.by_jax and not truth.confirmed):
        # at a tie JAX's derivative of what a line leaves to ∇ may be another than the truth: that is no claim of the line
        other = theirs.value if not claim.by_jax and theirs.is_nabla_confirmed() else None
        found = against_truth(ours.value, other, truth, allowed=allowed)
        if claim.by_jax and truth.confirmed:
            found = _unless_jax_rounds(claim, found)
    return _unless_nabla_is_to_blame(found, ours, *([] if found.by_truth else [theirs]))


def _unless_nabla_is_to_blame(found: Comparison, *sides: AtInput) -> Comparison:
    """What was found, unless JAX's derivative of what one of these sides leaves to ∇ explains it."""
    for side in sides:
        is_doubtful = found.outcome == "different" or (side is sides[0] and found.outcome.startswith("undefined"))
        if is_doubtful and side.unless_nabla_errs is not None:
            found = side.unless_nabla_errs(found)
    return found


def _unless_jax_rounds(claim: Claim, found: Comparison) -> Comparison:
    """What was found, unless ours is the gradient, and JAX's derivative is off as its constants are."""
    if found.outcome != "different" or not claim.theirs.value.constants or claim.by_quotients is None:
        return found
    truth = claim.by_quotients()
    return against_truth(claim.ours.value, None, truth, allowed=claim.allowed) if truth.is_known else found


def _as_written(claim: Claim, found: Comparison) -> Comparison:
    """Where nothing is known of the gradient, and JAX's is the same however ties are decided: equal numbers are equal."""
    if claim.ours.unless_nabla_errs is not None or found.outcome != "kink" or not has_no_kink(claim.theirs.value):
        return found
    return compare(claim.ours.value, claim.theirs.value, as_written=True, allowed=claim.allowed)
