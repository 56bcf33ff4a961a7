"""Whether a gradient as computed is the gradient of a function at one input: decided in balls, then in floats."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any, Literal

import jax
import numpy as np

from autodiff_ref.verify.captured import captured
from autodiff_ref.verify.plans import Array
from autodiff_ref.verify.sides import Call, Side, trace_candidate, trace_reference
from autodiff_ref.verify.verdict import PRECISIONS, Evaluation, Evaluator, compare, evaluator

Allowed = Callable[[], Array]


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


@dataclass(frozen=True)
class Pair:
    """Both sides at one input's shapes."""

    reference: Side
    candidate: Side | None
    """None where it cannot be traced"""
    of_arrays: list[Any]
    """what the differentiated function holds in its closures"""
    candidate_arrays: list[Any]
    untraced: str = ""
    """why the candidate cannot be traced"""
    fresh: bool = True
    """whether both were traced just now"""

    @property
    def asks_for_nabla(self) -> bool:
        """Whether the candidate is a line of a derivation, which is handed ∇."""
        return self.candidate is not None and self.candidate.asks_for_nabla

    def settle(self, call: Call, value: Any) -> Finding | None:
        """What speaks against the candidate, whose value in floats is `value`, being the gradient; None for nothing."""
        if self.reference.plan is None:
            raise NotImplementedError(f"the gradient cannot be judged: {self.reference.reason}")
        computed = _Computed.of([np.asarray(leaf) for leaf in jax.tree.leaves(value)])
        wanted = self.reference.at(_as_numpy([*call.values, *self.of_arrays]))
        if self.candidate is None or self.candidate.plan is None:
            return _by_value(computed, wanted)
        ours = self.candidate.at(_as_numpy([*call.values, *self.candidate_arrays]))
        exact = self.candidate.plan.constants_are_exact and self.reference.plan.constants_are_exact
        compared = compare(ours, wanted, constants_are_exact=exact)
        outcome = compared.outcome
        if outcome == "kink":
            outcome = "equal" if _equal_as_decided(ours, wanted) else "kink"
        at_ours, at_wanted = _settled(ours), _settled(wanted)
        if outcome == "kink" or at_wanted is None:
            return Finding("undecided", _WHY.get(outcome, _WHY["undefined"]))
        own = _coarse(ours, computed.dtype)
        match outcome:
            case "different" if at_ours is not None and not computed.beyond(at_ours, own):
                return _certified(computed, at_ours, at_wanted, compared.component, compared.difference)
            case "equal":
                return _off(computed, at_wanted, own)
            case _:  # it does something else when it is traced, or its value exists in floats only
                return _by_value(computed, wanted)

    def of_has_changed(self, call: Call, value: Any) -> bool:
        """Whether the differentiated function's `value` is not what was traced: something it reads has changed."""
        if self.reference.of is None:
            return True
        leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(value)]
        traced = evaluator(self.reference.of, tuple(_as_numpy([*call.values, *self.of_arrays])))
        at, computed = _settled(traced), _Computed.of(leaves)
        return at is None or bool(computed.beyond(at, _coarse(traced, computed.dtype)))


_WHY = {
    "kink": "it lies on a kink, where reals that are compared are equal, and the two sides decide that differently",
    "undefined": "the gradient does not exist there, or no precision gives it digits",
}


@dataclass(frozen=True)
class _Computed:
    """A gradient in floats, flat."""

    values: Array
    dtype: np.dtype[Any]
    """the least precise of its leaves"""

    @classmethod
    def of(cls, leaves: list[Any]) -> "_Computed":
        """The entries of all leaves."""
        coarsest = max((leaf.dtype for leaf in leaves), key=lambda dtype: float(jax.numpy.finfo(dtype).eps))
        return cls(np.concatenate([np.ravel(leaf).astype(np.float64) for leaf in leaves]), coarsest)

    def beyond(self, exact: Evaluation, allowed: Allowed) -> list[int]:
        """The components that differ from the balls by more than is allowed, the relatively worst first."""
        middles, radii = _floats(exact)
        info = jax.numpy.finfo(self.dtype)
        with np.errstate(all="ignore"):
            own = float(info.eps) * np.abs(middles) + radii + float(info.tiny)
            gap = np.abs(self.values - middles)
            overflown = (self.values == np.sign(middles) * np.inf) & (np.abs(middles) >= float(info.max))
            if np.all((gap <= 8 * own) | overflown):
                return []
            wrong = np.flatnonzero(~((gap <= allowed() + own) | overflown))
            share = np.nan_to_num(gap / np.maximum(np.abs(middles), np.abs(self.values)), nan=np.inf)
        return sorted(map(int, wrong), key=lambda k: -share[k])


def _as_numpy(arrays: list[Any]) -> list[Any]:
    """NumPy arrays of types that NumPy itself has."""
    made = [np.asarray(array) for array in arrays]
    return [array.astype(np.float64) if array.dtype.kind == "V" else array for array in made]


def _floats(exact: Evaluation) -> tuple[Array, Array]:
    """The middles of balls, and how far from the middle a value may be."""
    return np.array([float(v) for v in exact.values]), np.array([float(v.rad()) for v in exact.values])


def _settled(side: Evaluator) -> Evaluation | None:
    """The value at the first precision at which it has 64 bits, or has none more than at the one before."""
    before, last = None, None
    for bits in PRECISIONS:
        at = side(bits, "balls", "exact")
        if at.unresolved or not all(v.is_finite() for v in at.values):
            continue
        accuracy = [v.rel_accuracy_bits() for v in at.values]
        if all(a >= 64 for a in accuracy) or (before is not None and accuracy == before):
            return at
        before, last = accuracy, at
    return last


def _equal_as_decided(ours: Evaluator, wanted: Evaluator) -> bool:
    """On a kink: whether both sides take the same derivative there."""
    for bits in PRECISIONS[:3]:
        a, b = (side(bits, "balls", "exact") for side in (ours, wanted))
        if not (a.unresolved or b.unresolved) and all(
            u.overlaps(v) and min(u.rel_accuracy_bits(), v.rel_accuracy_bits()) >= 102
            for u, v in zip(a.values, b.values, strict=True)
        ):
            return True
    return False


def _certified(computed: _Computed, ours: Evaluation, wanted: Evaluation, component: int, difference: str) -> Finding:
    apart = [k for k, (u, v) in enumerate(zip(ours.values, wanted.values, strict=True)) if not u.overlaps(v)]
    order = [component, *(k for k in apart if k != component)]
    return Finding("different", "", tuple(order), computed.values, _floats(wanted)[0], difference)


def _off(computed: _Computed, wanted: Evaluation, allowed: Allowed, *, assumed: bool = False) -> Finding | None:
    wrong = computed.beyond(wanted, allowed)
    if not wrong:
        return None
    expected, widths = _floats(wanted)
    most = float(allowed()[wrong[0]] + widths[wrong[0]])
    return Finding("different", "", tuple(wrong), computed.values, expected, allowed=most, assumed=assumed)


def _by_value(computed: _Computed, wanted: Evaluator) -> Finding | None:
    """Judges by the value alone: it may be off by twice what the reference may."""
    at = _settled(wanted)
    if at is None:
        return Finding("undecided", _WHY["undefined"])
    allowed = 2 * _coarse(wanted, computed.dtype)()
    found = _off(computed, at, lambda: allowed, assumed=True)
    if found is None:
        size = np.abs(_floats(at)[0])
        told = (np.abs(computed.values - _floats(at)[0]) <= 2.0**-10 * size) | (allowed <= 0.5 * size)
        if not np.any(told):
            return Finding("undecided", "the whole gradient is smaller there than the rounding errors of its computation")
    return found


COARSE = {53: 40, 24: 15, 11: 6, 8: 4}
"""Bits of balls that hold what floats of so many bits compute, in whatever order and form a compiler chooses."""


def _coarse(side: Evaluator, dtype: np.dtype[Any]) -> Allowed:
    bits = COARSE[jax.numpy.finfo(dtype).nmant + 1]

    def radii() -> Array:
        values = side(bits, "balls", "exact").values
        return np.array([float(v.rad()) if v.is_finite() else np.inf for v in values])

    return radii


_SIDES: OrderedDict[Any, Side | str] = OrderedDict()
_LOCK = Lock()
MOST_SIDES = 512
"""traced functions that are kept"""


def pair_of(
    candidate: Callable[..., Any], of: Callable[..., Any], wrt: str | None, call: Call, *, afresh: bool = False
) -> Pair:
    """Both sides, traced or known from an earlier call.

    Raises:
        TypeError: `of` cannot be differentiated.
    """
    given = call.key
    (of_key, of_arrays), (own_key, own_arrays) = captured(of), captured(candidate)
    reference, new = _kept(("∇", of_key, wrt, given), lambda: trace_reference(of, wrt, call), afresh)
    assert isinstance(reference, Side)
    labels = reference.labels

    def traced() -> Side | str:
        try:
            return trace_candidate(candidate, wrt, call, labels)
        except TypeError as error:
            return str(error)

    ours, also_new = _kept((own_key, wrt, given, tuple(labels)), traced, afresh)
    side, why = (ours, ours.reason) if isinstance(ours, Side) else (None, ours)
    return Pair(reference, side, of_arrays, own_arrays, why, new or also_new)


def _kept(key: Any, make: Callable[[], Side | str], afresh: bool) -> tuple[Side | str, bool]:
    """(what is kept under a key, whether it was made just now)."""
    with _LOCK:
        if not afresh and key in _SIDES:
            _SIDES.move_to_end(key)
            return _SIDES[key], False
    made = make()
    with _LOCK:
        _SIDES[key] = made
        while len(_SIDES) > MOST_SIDES:
            _SIDES.popitem(last=False)
    return made, True
