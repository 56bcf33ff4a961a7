"""Whether a gradient as computed is the gradient of a function at one input: decided in balls, and held against floats.

Small shapes are compared in balls at every input. Where that takes long, the first input of a shape is, and after it those
at which rounding bounds leave a doubt: two values further apart than their bounds, or bounds too wide to tell. Shapes that
are too large for balls are decided by rounding bounds, which show agreement where they are narrow and a mistake where they
are disjoint; and where they are neither, by floats of more digits.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from functools import partial
from threading import Lock

import jax
import numpy as np
from flint import arb

from autodiff_ref.judge.assertion.by_value import BEYOND_ROUNDING, FLOAT32, Again, by_value
from autodiff_ref.judge.assertion.captured import captured
from autodiff_ref.judge.assertion.computed import Allowed, Computed, coarse
from autodiff_ref.judge.assertion.exactly import (
    BALLS_FIRST,
    MOST,
    NEGLIGIBLE,
    TELLING,
    Gradient,
    exact_at,
    floats,
    of_balls,
    of_extended,
    settled,
    telling,
    tells,
)
from autodiff_ref.judge.assertion.finding import WHY, Finding, bound_of, different
from autodiff_ref.judge.assertion.power import without_power
from autodiff_ref.judge.assertion.rounded_inputs import Move, beyond_rounding
from autodiff_ref.judge.assertion.sides import Call, Side, trace_candidate, trace_reference
from autodiff_ref.judge.assertion.steering import steer
from autodiff_ref.judge.claim import AtInput, Claim, decide
from autodiff_ref.judge.comparing import PRECISIONS, TINY, ULP, Comparison, Evaluation, Evaluator, evaluator, has_no_kink
from autodiff_ref.judge.numpy_code.holding import data_of
from autodiff_ref.judge.program.equations import bits_of
from autodiff_ref.judge.program.plans import Array
from autodiff_ref.trees import Function, PyTree

QUICK = 6_000
"""Operations on numbers, of both sides together, that balls do in a millisecond: they look at every input."""

EPS = 2.0**-52

AGREES = 40
"""bits of a component that balls show, where it is said to agree"""


@dataclass(frozen=True)
class Pair:
    """Both sides at one input: as traced for its shapes, and with the arrays in their closures."""

    reference: Side
    candidate: Side | None
    """None where it cannot be traced"""
    call: Call
    of_arrays: list[Array]
    """what the differentiated function and the candidate are computed from: arguments, and arrays in closures"""
    own_arrays: list[Array]
    fresh: bool = True
    """whether both were traced just now"""
    allowed: float = ULP
    """by what share of an entry the two may differ, of `sizes`"""

    @property
    def asks_for_nabla(self) -> bool:
        """Whether the candidate is a line of a derivation, which is handed ∇."""
        return self.candidate is not None and self.candidate.asks_for_nabla

    @property
    def closes_over_arrays(self) -> bool:
        """Whether the candidate computes from arrays in its closure too."""
        return len(self.own_arrays) > len(self.call.arrays)

    def settle(self, value: PyTree, again: Again) -> Finding | None:
        """What speaks against the candidate, whose value in floats is `value`, being the gradient; None for nothing.

        Args:
            value: what it returned.
            again: calls it in more precise floats, where there are any, at the input or at other arrays.
        """
        if self.reference.plan is None:
            raise NotImplementedError(f"the gradient cannot be judged: {self.reference.reason}")
        computed = Computed.of(value)
        found = self._beyond(self._settled(computed, again))
        if found is not None and found.outcome == "different" and not found.assumed:
            found = self._beyond_constants(found, computed, again)
        if found is not None and found.outcome == "different" and self._took_a_branch_at_a_tie():
            return Finding("undecided", WHY["kink"])
        if found is not None and found.outcome == "different" and self._has_no_value(found):
            return Finding("undecided", WHY["undefined"])
        return self._beyond_rounding(found, again)

    def _has_no_value(self, found: Finding) -> bool:
        """Whether a NaN was found where the differentiated function has no value itself, as the mean of no examples."""
        if np.all(np.isfinite(found.computed[list(found.components)])) or self.reference.of is None:
            return False
        at = evaluator(self.reference.of, tuple(self.of_arrays))(PRECISIONS[-1], "exact", "exact")
        return all(value.is_nan() for value in at.values)

    def _beyond(self, found: Finding | None) -> Finding | None:
        """What is found, without the components that differ by no more than is allowed."""
        if found is None or found.outcome != "different" or self.allowed <= ULP:
            return found
        gaps = np.abs(np.asarray(found.computed, dtype=np.float64) - found.expected)
        most = self.allowed * self.sizes(found.expected) + found.allowed
        far = tuple(k for k in found.components if not gaps[k] <= most[k])
        return replace(found, components=far) if far else None

    def sizes(self, expected: Array) -> Array:
        """What shares are of: an entry's size; where it is 0, of which nothing is a share, that of the array's largest."""
        sizes = np.abs(expected)
        ends = np.cumsum([int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(self.reference.shapes)])
        of_arrays = np.split(sizes, ends[:-1])
        return np.concatenate([np.where(part == 0, np.max(part, initial=0.0), part) for part in of_arrays])

    def _beyond_constants(self, found: Finding, computed: Computed, again: Again) -> Finding | None:
        """What is found, unless a trace holds numbers as floats computed them: then what its values alone show."""
        at_ours = "" if self.candidate is None else self.candidate.rounded_at(self.own_arrays)
        at_reference = self.reference.rounded_at(self.of_arrays)
        if not at_ours and not at_reference:
            return found
        by_its_value = self._beyond(self._by_value(computed, again))
        if not at_reference or by_its_value is None or by_its_value.outcome != "different":
            return by_its_value
        gaps = np.abs(np.asarray(by_its_value.computed, dtype=np.float64) - by_its_value.expected)
        far = tuple(k for k in by_its_value.components if not gaps[k] <= BEYOND_ROUNDING * abs(by_its_value.expected[k]))
        if not far:
            return Finding("undecided", WHY["constants"].format(at_reference))
        return replace(by_its_value, components=far)

    def _beyond_rounding(self, found: Finding | None, again: Again) -> Finding | None:
        """What is found, without the components that differ by no more than the rounding of the input explains."""
        if found is None or found.outcome != "different":
            return found
        is_traced = bool(found.certified) or found.how in ("bounds", "extended")
        if not is_traced and found.how != "finer":
            return found
        difference = self._traced_difference if is_traced else partial(self._difference_by_value, again)
        here = difference(lambda arrays: arrays)
        if here is None:
            return found
        far = beyond_rounding(difference, here, self.of_arrays if is_traced else self.call_arrays, found.components)
        if far:
            same = far[0] == found.components[0] or not found.certified
            shown = found.certified if same else f"{0.9 * abs(here[far[0]]):.1e}"
            near = tuple(k for k in found.components if k not in far)
            return replace(found, components=tuple(far), certified=shown, open=found.open + near)
        near = list(found.components)
        sizes, gaps = np.abs(found.expected), np.abs(here)
        negligible = NEGLIGIBLE * EPS * np.max(sizes, initial=0.0)
        shows = gaps[near] <= np.maximum(telling(self._eps) * sizes[near], negligible)
        return None if np.all(shows) else Finding("undecided", WHY["rounded"])

    @property
    def _eps(self) -> float:
        return max((float(np.finfo(x.dtype).eps) for x in self.of_arrays if x.dtype.kind == "f"), default=EPS)

    @property
    def call_arrays(self) -> list[Array]:
        """The arrays of the call, without those in closures."""
        return self.of_arrays[: len(self.call.arrays)]

    def _traced_difference(self, move: Move) -> Array | None:
        of_arrays, own_arrays, candidate = move(self.of_arrays), move(self.own_arrays), self.candidate
        assert candidate is not None
        if not (self.reference.holds(of_arrays) and candidate.holds(own_arrays)):
            return None
        work = self.reference.work + candidate.work
        if work > BALLS_FIRST:
            ours, wanted = of_extended(candidate, own_arrays), of_extended(self.reference, of_arrays)
            if ours is not None and wanted is not None:
                return ours.minus(wanted)
            if work > MOST:
                return None
        at_ours, at_wanted = settled(candidate.at(own_arrays)), settled(Gradient(self.reference, of_arrays).value())
        if at_ours is None or at_wanted is None:
            return None
        return np.array([float(u - v) for u, v in zip(at_ours.values, at_wanted.values, strict=True)])

    def _difference_by_value(self, again: Again, move: Move) -> Array | None:
        arrays = [x.astype(np.float64) if x.dtype.kind == "f" else x for x in move(self.call_arrays)]
        value, wanted = again(arrays), exact_at(self.reference, [*arrays, *self.of_arrays[len(arrays) :]])
        if value is None or wanted is None:
            return None
        return ((Computed.of(value).values - wanted.high) - wanted.low).astype(np.float64)

    def _took_a_branch_at_a_tie(self) -> bool:
        own = self.candidate is not None and self.candidate.ties_in_assumptions(self.own_arrays)
        return own or self.reference.ties_in_assumptions(self.of_arrays)

    def _settled(self, computed: Computed, again: Again) -> Finding | None:
        if self.candidate is None or self.candidate.plan is None:
            return self._by_value(computed, again) or self._without_power(again)
        work = self.reference.work + self.candidate.work
        if work > QUICK and not self.candidate.doubtful and (work > MOST or not self.fresh):
            if self._floats_tell(computed, again):
                return None
            if work > MOST:
                return self._at_large(self.candidate, computed, again)
            self.candidate.doubtful = True
        found = self._by_balls(self.candidate, computed, again)
        self.candidate.doubtful = self.candidate.doubtful or found is not None
        return found

    def _by_value(self, computed: Computed, again: Again) -> Finding | None:
        return by_value(self.reference, self.of_arrays, len(self.call.arrays), computed, again)

    def _without_power(self, again: Again) -> Finding | None:
        given = len(self.call.arrays)

        def agrees_at(arrays: list[Array]) -> bool:
            value, there = again(arrays), [*arrays, *self.of_arrays[given:]]
            computed = None if value is None else Computed.of(value)
            return (
                computed is not None
                and float(jax.numpy.finfo(computed.dtype).eps) <= FLOAT32
                and by_value(self.reference, there, given, computed, lambda other: again(other or arrays)) is None
            )

        why = without_power(self.reference, self.of_arrays, given, agrees_at)
        return Finding("undecided", why) if why else None

    def _by_balls(self, candidate: Side, computed: Computed, again: Again) -> Finding | None:
        assert candidate.plan is not None
        gradient, ours = Gradient(self.reference, self.of_arrays), candidate.at(self.own_arrays)
        claim = Claim(
            AtInput(ours, partial(_unless_it_ties, ours) if candidate.asks_for_nabla else None),
            AtInput(gradient.by_jax),
            truth=gradient.truth,
            by_quotients=gradient.by_quotients,
            has_rounded_constants=self.reference.of is None or not gradient.by_jax.constants <= self.reference.of.constants,
            allowed=self.allowed,
            is_confirmed=not self.fresh,
        )
        compared, wanted = decide(claim), gradient.value()
        outcome = compared.outcome
        if outcome == "kink" or compared.kinks:
            outcome = "equal" if _equal_as_decided(ours, wanted) else "kink"
        at_ours, at_wanted = settled(ours), settled(wanted)
        if outcome == "kink" or at_wanted is None:
            return Finding("undecided", WHY.get(outcome, WHY["undefined"]))
        compiled = coarse(ours, bits_of(computed.dtype))
        own = [compiled, lambda: bound_of(candidate, self.own_arrays, compiled)]
        if candidate.work > QUICK / 2:  # either will do: the quicker first
            own.reverse()
        own.append(lambda: coarse(ours, candidate.bits)())
        match outcome:
            case "different" if at_ours is not None and _computes(computed, at_ours, at_wanted, own):
                return _certified(computed, at_ours, at_wanted, compared.component, compared.difference)
            case "equal":
                middles, radii = floats(at_wanted)
                if self.allowed > ULP:
                    radii = radii + self.allowed * np.abs(middles)
                outside = computed.outside(middles, radii, own)
                if outside.wrong and at_ours is not None:  # rounded constants may explain what is between the two
                    to_ours = computed.outside(*floats(at_ours), own)
                    outside = outside if to_ours.wrong else to_ours
                if outside.wrong:
                    k = outside.wrong[0]
                    most = max(float(bound[k]) for allowed in own if np.isfinite((bound := allowed())[k]))
                    return different(outside.wrong, computed, of_balls(at_wanted), most + float(radii[k]))
                near = telling(self._eps) * np.abs(middles)
                if all(abs(computed.values[k] - middles[k]) <= near[k] for k in outside.open):
                    return None
                return _unless_unbounded(self._by_value(computed, again))
            case _:  # it does something else when it is traced, or its value exists in floats only
                return self._by_value(computed, again)

    def _floats_tell(self, computed: Computed, again: Again) -> bool:
        """Whether rounding bounds alone show that both sides agree, closely enough to have shown a mistake.

        In float64 the value itself mostly lies within the reference's bound: then it is less than two bounds from the exact
        gradient, whatever the candidate does, and its own bound, which could only allow more, is not computed. In float32
        the candidate is called again in float64 for that; its value may be as far off as the reference's in its precision,
        to first order in u, or as its own operations allow.
        """
        assert self.candidate is not None
        candidate = self.candidate
        try:
            wanted, error = self.reference.bounded(self.of_arrays, wide=True)
            as_reference = error * (float(jax.numpy.finfo(computed.dtype).eps) / EPS)
            steer(np.abs(computed.values - wanted), as_reference)
            finer = again(None) if computed.dtype == np.float32 else None
            if not _within(computed if finer is None else Computed.of(finer), wanted, error):
                ours, our_error = candidate.bounded(self.own_arrays, wide=True)
                with np.errstate(all="ignore"):
                    close = (np.abs(ours - wanted) <= our_error + error) & tells(our_error + error, wanted, EPS)
                if not np.all(close):
                    return False
            own = [lambda: as_reference, lambda: candidate.bounded(self.own_arrays, wide=False)[1]]
            return not computed.outside(wanted, error, own)
        except NotImplementedError:
            return False

    def _at_large(self, candidate: Side, computed: Computed, again: Again) -> Finding | None:
        """Shapes too large for balls, where rounding bounds do not show agreement."""
        found = self._apart(candidate, computed)
        if found is not None:
            return found
        wanted = of_extended(self.reference, self.of_arrays)
        ours = None if wanted is None else of_extended(candidate, self.own_arrays)
        if wanted is None or ours is None:
            return Finding("undecided", WHY["large"])
        with np.errstate(all="ignore"):
            gaps = np.abs(ours.minus(wanted))
            slack = 4 * (ours.radius + wanted.radius)  # a share of what float64 is off: what these floats may be
            wrong = ~(gaps <= slack) & wanted.matters(gaps, EPS)
            told = (gaps <= TELLING * wanted.size) & (slack <= TELLING * wanted.size)
        estimated = 64 * (ours.radius + wanted.radius)
        outside = computed.outside(
            ours.high,
            ours.radius,
            [lambda: bound_of(candidate, self.own_arrays, lambda: estimated), lambda: estimated * _coarser(computed)],
        )
        if np.any(wrong):
            if outside:  # what was traced is not what it returns
                return self._by_value(computed, again)
            order = sorted(map(int, np.flatnonzero(wrong)), key=lambda k: -gaps[k] / max(wanted.size[k], ours.size[k]))
            return different(order, computed, wanted, float(slack[order[0]]), "extended")
        if outside:
            return self._by_value(computed, again)
        return None if np.all(told | ~wanted.matters(gaps, EPS)) else Finding("undecided", WHY["large"])

    def _apart(self, candidate: Side, computed: Computed) -> Finding | None:
        """A mistake that rounding bounds show: those of both sides are disjoint, and no reals compared may tie."""
        try:
            wanted, error = self.reference.bounded(self.of_arrays, wide=True)
            ours, our_error = candidate.bounded(self.own_arrays, wide=True)
            with np.errstate(all="ignore"):
                both = our_error + error
                apart = np.isfinite(both) & (np.abs(ours - wanted) > (1 + 2.0**-40) * both)
            if not np.any(apart) or self.reference.ties(self.of_arrays) or candidate.ties(self.own_arrays):
                return None
            if computed.outside(ours, our_error, [lambda: candidate.bounded(self.own_arrays, wide=False)[1]]).wrong:
                return None  # what was traced is not what it returns
        except NotImplementedError:
            return None
        with np.errstate(all="ignore"):
            share = np.nan_to_num(np.abs(ours - wanted) / np.maximum(np.abs(ours), np.abs(wanted)))
        order = sorted(map(int, np.flatnonzero(apart)), key=lambda k: -share[k])
        return Finding("different", "", tuple(order), computed.values, wanted, allowed=float(both[order[0]]), how="bounds")

    def of_has_changed(self, value: PyTree) -> bool:
        """Whether the differentiated function's `value` is not what was traced: something it reads has changed."""
        if self.reference.of is None:
            return True
        computed = Computed.of(value)
        if self.reference.work > MOST:
            return not self.follows(value)
        traced = evaluator(self.reference.of, tuple(self.of_arrays))
        at = settled(traced)
        allowed = [coarse(traced, bits_of(computed.dtype)), lambda: coarse(traced, self.reference.bits)()]
        return at is None or bool(computed.outside(*floats(at), allowed))

    def follows(self, value: PyTree) -> bool:
        """Whether the differentiated function's `value` is what was traced of it, as far as rounding bounds tell."""
        try:
            traced, error = self.reference.value_of(self.of_arrays)
        except NotImplementedError:
            return True
        computed = Computed.of(value)
        if computed.values.shape != traced.shape:
            return False
        with np.errstate(all="ignore"):
            slack = 2.0**-10 * np.maximum(np.abs(traced), np.abs(computed.values))
            close = np.abs(computed.values - traced) <= np.where(np.isfinite(error), error, 0.0) + slack
            close |= ~np.isfinite(computed.values) | (np.isfinite(traced) & ~np.isfinite(error))
        if self.reference.work > MOST:
            return bool(np.all(close | ~np.isfinite(traced)))
        # floats may overflow, and JAX's are wrong where a library's function means another than they compute; balls know
        return bool(np.all(close)) or not self.of_has_changed(value)


def _unless_unbounded(found: Finding | None) -> Finding | None:
    """What the value says against a gradient that is right as a real function, where nothing bounds its rounding."""
    if found is None or found.outcome != "different" or found.how != "unbounded":
        return found
    return replace(found, outcome="undecided", reason=WHY["lossy"])


def _unless_it_ties(line: Evaluator, found: Comparison) -> Comparison:
    """What was found of a line, but where its value hangs on how a tie is decided: ∇ decides that, not the line."""
    return found if has_no_kink(line) else Comparison("kink", tied=True)


def _coarser(computed: Computed) -> float:
    return max(1.0, float(jax.numpy.finfo(computed.dtype).eps) / EPS)


def _within(computed: Computed, wanted: Array, error: Array) -> bool:
    """Whether a value is as close to a reference as that one is to the exact gradient, and that is close."""
    with np.errstate(all="ignore"):
        return bool(np.all((np.abs(computed.values - wanted) <= error) & tells(2 * error, wanted, EPS)))


def _computes(computed: Computed, ours: Evaluation, wanted: Evaluation, own: list[Allowed]) -> bool:
    """Whether what was returned is what was traced: within its rounding, or without bounds nearer to that than to ∇."""
    outside = computed.outside(*floats(ours), own)
    if outside.wrong:
        return False
    to_ours, to_wanted = computed.gaps(of_balls(ours)), computed.gaps(of_balls(wanted))
    return all(to_ours[k] <= to_wanted[k] for k in outside.open)


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


def _certified(computed: Computed, ours: Evaluation, wanted: Evaluation, component: int, difference: str) -> Finding:
    apart = [k for k, (u, v) in enumerate(zip(ours.values, wanted.values, strict=True)) if not u.overlaps(v)]
    order = [component, *(k for k in apart if k != component)]
    wide = (k for k, pair in enumerate(zip(ours.values, wanted.values, strict=True)) if not _are_close(*pair))
    left_open = tuple(k for k in wide if k not in order)
    return Finding("different", "", tuple(order), computed.values, floats(wanted)[0], difference, open=left_open)


def _are_close(u: arb, v: arb) -> bool:
    """Whether balls leave no room for a mistake: those of constants are an ulp wide, and more where digits cancel."""
    return all(ball.rel_accuracy_bits() >= AGREES or bool(abs(ball) < TINY) for ball in (u, v))


_SIDES: OrderedDict[Hashable, list[Side | str]] = OrderedDict()
_LOCK = Lock()
MOST_SIDES = 512
"""traced functions that are kept"""

MOST_VARIANTS = 32
"""of one of them, for inputs at which it takes other branches"""


def pair_of(
    candidate: Function, of: Function, wrt: str | None, call: Call, *, afresh: bool = False, with_data: bool = False
) -> Pair:
    """Both sides, traced or known from an earlier call.

    Args:
        candidate: the gradient as it was written.
        of: what it is to be the gradient of.
        wrt: what is differentiated by.
        call: the arguments.
        afresh: whether they are traced in any case.
        with_data: whether arrays in their modules and objects are inputs of the trace, so that what is computed from these
            alone is computed in balls, and not by floats once and for all.

    Raises:
        TypeError: `of` cannot be differentiated.
    """
    given = call.key
    (of_key, held_of), (own_key, held_own) = captured(of), captured(candidate)
    data_of_of, data_of_own = (data_of(f, held) if with_data else [] for f, held in ((of, held_of), (candidate, held_own)))
    of_arrays, own_arrays = call.as_numpy([*held_of, *data_of_of]), call.as_numpy([*held_own, *data_of_own])
    reference, new = _kept(
        ("∇", of_key, wrt, given, len(data_of_of)), lambda: trace_reference(of, wrt, call, data_of_of), of_arrays, afresh
    )
    assert isinstance(reference, Side)
    labels = reference.labels

    def traced() -> Side | str:
        try:
            return trace_candidate(candidate, wrt, call, labels, reference.variable, data_of_own)
        except TypeError as error:
            return str(error)

    ours, also_new = _kept((own_key, wrt, given, tuple(labels), len(data_of_own)), traced, own_arrays, afresh)
    return Pair(reference, ours if isinstance(ours, Side) else None, call, of_arrays, own_arrays, new or also_new)


def _kept(key: Hashable, make: Callable[[], Side | str], arrays: list[Array], afresh: bool) -> tuple[Side | str, bool]:
    """(what is kept under a key, whether it was made just now); of several, one whose assumptions hold at these arrays."""
    with _LOCK:
        known = [] if afresh else _SIDES.pop(key, [])
        if known:
            _SIDES[key] = known  # last used, last let go
    for side in reversed(known):
        if isinstance(side, str) or side.holds(arrays):
            return side, False
    made = make()
    with _LOCK:
        _SIDES[key] = [*known[-MOST_VARIANTS + 1 :], made]
        while len(_SIDES) > MOST_SIDES:
            _SIDES.popitem(last=False)
    return made, True
