"""A claim: at an input, two programs are one function. Balls decide it, and where they leave it open, the truth does.

The lines of a derivation are claims, each about the line above it or about the gradient; an assertion is one claim about the
gradient. JAX's derivative speaks for the gradient where difference quotients confirm it, and nowhere else.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from flint import arb

from autodiff_ref.judge.comparing import (
    PRECISIONS,
    TINY,
    ULP,
    Comparison,
    Outcome,
    compare,
    different,
    has_no_kink,
    share_of,
)
from autodiff_ref.judge.evaluation import Evaluation, Evaluator
from autodiff_ref.judge.readings import in_any_reading
from autodiff_ref.judge.truth import Entry, Truth, same


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
    has_rounded_constants: bool = True
    """whether `theirs`, being JAX's derivative, may hold rounded constants that what is differentiated does not hold"""
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
    may_be_off = claim.has_rounded_constants and bool(claim.theirs.value.constants)
    if found.outcome != "different" or not may_be_off or claim.by_quotients is None:
        return found
    truth = claim.by_quotients()
    return against_truth(claim.ours.value, None, truth, allowed=claim.allowed) if truth.is_known else found


def _as_written(claim: Claim, found: Comparison) -> Comparison:
    """Where nothing is known of the gradient, and JAX's is the same however ties are decided: equal numbers are equal."""
    if claim.ours.unless_nabla_errs is not None or found.outcome != "kink" or not has_no_kink(claim.theirs.value):
        return found
    return compare(claim.ours.value, claim.theirs.value, as_written=True, allowed=claim.allowed)


# By the truth

Found = Literal["equal", "different", "lacking", "kink", "none", "unclear"]

_TIES = ("left", "right", "mixed", "mixed back")


def against_truth(line: Evaluator, other: Evaluator | None, truth: Truth, *, allowed: float = ULP) -> Comparison:
    """What is to be said of a line and another one, entry by entry; of the line and the gradient where there is no other.

    For where comparing them as they are written does not settle it: at a tie, or where one of them has no value. There the
    truth about the gradient decides. Entries at which it has a kink say nothing, and which one-sided derivative the line
    takes is noted. An entry that exists and for which the line has no value is lacking.

    Args:
        line: the line at an input.
        other: what it is to equal; None for the gradient itself, and for a line that leaves a derivative to JAX here.
        truth: of the gradient at that input.
        allowed: the relative difference up to which values count as equal.
    """
    ours, open_ours = _values_as_written(line)
    theirs, open_theirs = (None, frozenset[int]()) if other is None else _values_as_written(other)
    loose = in_any_reading(line, PRECISIONS[0]) if line.constants else ours.values
    counts, conventions = Counter[Found](), list[str]()
    worst: Comparison | None = None
    ulps, vanishes = 0.0, True
    for k, value in enumerate(ours.values):
        entry = truth.entries[k] if truth.entries else Entry("known", truth.by_jax[k])
        expected = theirs.values[k] if theirs is not None and k not in open_theirs else None
        if expected is not None and not expected.is_finite():
            expected = None
        found, gap = _entry(value, k in open_ours, expected, entry, loose[k], allowed)
        counts[found] += 1
        if found == "equal":
            ulps, vanishes = max(ulps, gap / ULP), vanishes and value == 0
        elif found == "different":
            wanted = entry.value if expected is None or entry.kind == "known" else expected
            assert wanted is not None
            shown = different(k, value, wanted, by_truth=wanted is entry.value)
            worst = shown if worst is None or shown.share > worst.share else worst
        elif found == "kink" and entry.left is not None and entry.right is not None and value.is_finite():
            conventions.append(_convention(value, entry.left, entry.right))
    if worst is not None:
        return worst
    outcomes: dict[Found, Outcome] = {"lacking": "undefined in one", "unclear": "unclear", "equal": "equal", "kink": "kink"}
    outcome: Outcome = "undefined"
    for found in reversed(outcomes):
        outcome = outcomes[found] if counts[found] else outcome
    return Comparison(
        outcome,
        vanishes=vanishes,
        ulps=ulps,
        kinks=counts["kink"],
        conventions=tuple(conventions),
        tied=True,
    )


def _values_as_written(line: Evaluator) -> tuple[Evaluation, frozenset[int]]:
    """A line's values, with equal numbers comparing as equal; and the entries that hang on a comparison not resolved."""
    at = line(PRECISIONS[0], "exact", "exact")
    for bits in PRECISIONS:
        at = line(bits, "exact", "exact")
        if not at.unresolved and all(_is_narrow(value) for value in at.values):
            return at, frozenset()
    if not at.unresolved:
        return at, frozenset()
    others = [line(PRECISIONS[-1], "exact", ties) for ties in _TIES]
    hang = {k for k, v in enumerate(at.values) if not all(v.is_finite() and v.overlaps(o.values[k]) for o in others)}
    return at, frozenset(hang)


def _is_narrow(value: arb) -> bool:
    return value.is_finite() and (value.rel_accuracy_bits() >= 102 or bool(abs(value) < TINY))


def _entry(value: arb, is_open: bool, expected: arb | None, entry: Entry, loose: arb, allowed: float) -> tuple[Found, float]:
    """What is found of one entry, and by what share of it the two values differ where they count as equal."""
    if is_open:  # where there is no derivative, whatever the line says is good
        return ("none" if entry.is_partial or entry.kind in ("none", "kink") else "unclear"), 0.0
    if not value.is_finite():
        is_lacking = entry.kind == "known" and not entry.is_partial
        return ("lacking" if is_lacking else "unclear" if entry.kind == "unknown" else "none"), 0.0
    if expected is not None and _is_equal(value, expected, allowed):
        return "equal", share_of(value, expected) if not value.overlaps(expected) else 0.0
    match entry.kind:
        case "known":
            assert entry.value is not None
            if expected is None and (same(value, entry, loose) or _is_equal(value, entry.value, allowed)):
                # the quotient is an estimate: what it leaves open is no difference
                return "equal", 0.0 if same(value, entry) else share_of(value, entry.value)
            return ("different" if _is_narrow(value) else "unclear"), 0.0
        case "kink":
            return "kink", 0.0
        case "none":
            return "none", 0.0
        case _:
            return "unclear", 0.0


def _is_equal(u: arb, v: arb, allowed: float) -> bool:
    if bool(abs(u - v) <= TINY):
        return True
    if u.overlaps(v):
        return _is_narrow(u) and _is_narrow(v)
    return share_of(u, v) <= allowed


def _convention(value: arb, left: arb, right: arb) -> str:
    """Which derivative a line takes at a kink."""
    near = (abs(left).max(abs(right)) * arb(10) ** -20).max(arb(10) ** -20)
    if bool(abs(value - left) <= near):
        return "left"
    if bool(abs(value - right) <= near):
        return "right"
    return "between" if bool(value > left.min(right)) and bool(value < left.max(right)) else "outside"
