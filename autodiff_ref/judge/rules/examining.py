"""One function with a rule at one input: what is to be said of every entry of its derivative."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from flint import arb

from autodiff_ref.judge.comparing import PRECISIONS, ULP, Evaluator, share_of, shown_number
from autodiff_ref.judge.counterexample import readable
from autodiff_ref.judge.functions.enclosing import ZERO
from autodiff_ref.judge.program.plans import OutOfTimeError
from autodiff_ref.judge.readings import is_in_reach
from autodiff_ref.judge.rules.calls import FOUND
from autodiff_ref.judge.rules.findings import Entry, Kind, judged, shown_true
from autodiff_ref.judge.rules.iterating import ITERATES
from autodiff_ref.judge.rules.iterations import CLEAR, CLOSE, Iterations
from autodiff_ref.judge.rules.secants import beyond_guards
from autodiff_ref.judge.rules.subject import MODERATE, RESOLVED, Subject, is_moderate
from autodiff_ref.judge.rules.values import is_rounding, other_values
from autodiff_ref.judge.truth import Entry as Known
from autodiff_ref.judge.truth import Truth, same

LOST = 1e-2
"""float64 has lost the digits where it is off by more than this share"""

SETTLED = 1e-6
"""Where float64 is nearer to the truth than balls by this factor, balls do not compute what JAX does"""

FINE = 1e-9
"""off by no more, a float64 has the true value"""

FAINT = 1e-30
"""So small a derivative may be lost in float64 without a word, and one so many times as large as 1"""

OF_RANGE = "in float64: a number on the way overflows or underflows, though the value of the function does not"
"""a derivative that is lost, where the function itself is computed right"""

BESIDE = 1e-6
"""a step that float64 tells, as a share; no power of 2, so that little is exact there"""

NO_BALL = (
    "balls have no value here or beside it, and float64 has: a number may be at the edge of what a function takes, as 0 of √"
)

NOR_ITS_VALUE = "float64 has no value of the function here: it may not be meant for such numbers"

NOR_IN_BALLS = "in float64; balls have no value either, which is taken to be overflow at such numbers"
"""JAX's derivative at huge and tiny arguments: it is not known to be right as a real function, nor to be missing there"""

BY_ITS_RULES = "the rules within are off by no more than is allowed, and digits cancel"

BY_GUARDS = "the function has another slope within 1e-8 of this input alone, and the rule has the one around"

GUARDED = 1e-5
"""and to so large a share a slope over steps of a millionth is known"""

_LONG = 80
"""letters of one argument that are shown"""

OUTSIDE = "outside of both"


def examine(
    subject: Subject, leaves: Sequence[np.ndarray], rule: str, *, order: int = 1, allowed: float = ULP, floats: bool = True
) -> list[Entry]:
    """One entry for each of the Jacobian.

    Args:
        subject: the function.
        leaves: its arguments.
        rule: what it is called.
        order: of the derivative.
        allowed: the relative difference up to which the rule may be off; an ulp stands for what the functions in it are.
        floats: whether float64 values are compared as well.
    """
    at = _readable(*subject.shown(leaves))
    try:
        return _examined(subject, leaves, rule, at, order, allowed, floats)
    except OutOfTimeError as error:
        return [Entry("undecided", rule, "all entries", at, note=str(error), order=order)]


def _examined(
    subject: Subject, leaves: Sequence[np.ndarray], rule: str, at: str, order: int, allowed: float, floats: bool
) -> list[Entry]:
    allowed = subject.granted if allowed == ULP else allowed
    modes, main = subject.modes(leaves), subject.main
    try:
        truth = subject.truth(leaves, modes[main])
    except OutOfTimeError:
        raise
    except Exception as error:  # numbers so large that balls refuse them, or a case that a rule does not serve
        return [Entry("undecided", rule, "all entries", at, note=_said(error), order=order)]
    made = [_entry(subject, truth, k, rule, at, main, order, allowed) for k in range(len(subject.entries))]
    if any(known.has_no_value for known in truth.entries):
        _without_a_ball(subject, truth, leaves, made)
    if truth.entries and truth.by_jax:
        _lacking_by_argument(subject, truth, made)
    if any(entry.kind == "NaN" for entry in made):
        _none_in_floats_either(subject, truth, leaves, made)
    iterations = Iterations(subject, truth, leaves, allowed)
    iterations.judge(made)
    if any(entry.kind == "WRONG" for entry in made):
        _left_open_by_constants(subject, truth, leaves, main, made, iterations.by_limits)
    if any(entry.kind == "WRONG" for entry in made):
        _settled_by_floats(subject, truth, leaves, made)
    if any(entry.kind == "WRONG" and entry.gap >= LOST for entry in made) and all(
        np.all(np.abs(leaf) <= MODERATE) for leaf in leaves
    ):
        _settled_beyond_guards(subject, truth, leaves, made)
    if any(entry.kind == "WRONG" for entry in made) and not is_moderate(leaves):
        _beyond_its_values(subject, leaves, made)
    for mode, by_mode in modes.items():
        if mode != main:
            _beside(subject, truth, leaves, mode, by_mode, made, allowed, iterations)
    if floats:
        _in_floats(subject, truth, leaves, made, iterations.approximated)
    if subject.both is not None:
        made += other_values(subject.both, leaves, subject.out_sizes, rule, at, allowed=allowed)
    return made


def _said(error: Exception) -> str:
    return " ".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", [])])[:200]


def _readable(leaves: Sequence[np.ndarray], names: Sequence[str]) -> str:
    """The arguments on one line, those of many numbers shortened."""
    parts = [readable((leaf,), (name,)) for leaf, name in zip(leaves, names, strict=True)]
    shorter = [
        part if len(part) <= _LONG else f"{part[: _LONG // 2]} … ({np.size(leaf)} numbers)]"
        for part, leaf in zip(parts, leaves, strict=True)
    ]
    return "  ".join(parts if sum(map(len, parts)) <= 3 * _LONG else shorter)


def _entry(subject: Subject, truth: Truth, k: int, rule: str, at: str, mode: str, order: int, allowed: float) -> Entry:
    name = subject.entries[k]
    by_jax = truth.by_jax[k] if truth.by_jax else arb.nan()
    known = truth.entries[k] if truth.entries else Known("known", by_jax)
    shown = shown_number(by_jax) if by_jax.is_finite() else "no value"
    match known.kind:
        case "known":
            assert known.value is not None
            kind, gap = "right", 0.0
            if k in truth.missing:
                kind, gap = "NaN", math.inf
            elif k in truth.wrong:
                kind, gap = judged(by_jax, known.value, allowed)
            note = "" if kind == "right" else mode
            return Entry(kind, rule, name, at, shown, shown_true(known.value), gap, note, order)
        case "kink":
            return Entry("kink", rule, name, at, shown, "", 0.0, _convention(by_jax, known), order)
        case "none":
            return Entry("not differentiable", rule, name, at, shown, order=order)
        case _:
            return Entry("undecided", rule, name, at, shown, note="a comparison that no precision resolves", order=order)


def _without_a_ball(subject: Subject, truth: Truth, leaves: Sequence[np.ndarray], made: list[Entry]) -> None:
    """Takes back that there is no derivative where balls alone have no value: √ of a ball around 0 may be √0 at all inputs.

    They may have one at the input itself, where a difference is exactly 0, and none beside it.
    """
    lacks = dict[tuple[int, int, float], np.ndarray]()

    def is_lacking(row: int, leaf: int, place: int) -> bool:
        for share in (0.0, -BESIDE, BESIDE):
            key = (leaf, place, share) if share else (0, 0, share)
            if key not in lacks:
                lacks[key] = _lacks(subject, _moved(leaves, leaf, place, share))
            if lacks[key][row]:
                return True
        return False

    for k, known in enumerate(truth.entries):
        if known.has_no_value and is_lacking(*subject.place(k)):
            made[k] = replace(made[k], kind="undecided", note=NO_BALL)


def _lacks(subject: Subject, leaves: Sequence[np.ndarray]) -> np.ndarray:
    """Which values of a function float64 has, and balls have not."""
    in_floats = np.isfinite(subject.in_floats(leaves))
    if not in_floats.any():
        return in_floats
    return in_floats & ~np.array([value.is_finite() for value in subject.in_balls(leaves)], dtype=bool)


def _moved(leaves: Sequence[np.ndarray], leaf: int, place: int, share: float) -> list[np.ndarray]:
    """The arguments with one entry moved by a share of it, or of 1 where it is smaller."""
    made = list(leaves)
    made[leaf] = np.array(made[leaf], dtype=np.float64)
    made[leaf].flat[place] += share * max(abs(made[leaf].flat[place]), 1.0)
    return made


def is_faint(entry: Entry) -> bool:
    """Whether it is wrong by so little that rules which are right but for rounding may have made it so."""
    return entry.kind == "WRONG" and entry.gap < FOUND


def as_its_rules(
    subject: Subject, leaves: Sequence[np.ndarray], made: Sequence[Entry], within: Sequence[Entry]
) -> list[Entry]:
    """A function without a rule of its own is off by what its rules are off by, which grows where digits cancel.

    It grows as rounding does. A step in 53 bits is off by a quarter of an ulp at least, where it rounds at all; so what a
    computation in 53 bits is off by, times what the rules are off by in quarters of an ulp, bounds it.

    Args:
        subject: the function.
        leaves: its arguments.
        made: its entries.
        within: those of the rules that it calls, at what they receive there.
    """
    worst = max((entry.gap for entry in within if entry.kind == "within"), default=0.0)
    if not worst or any(entry.kind not in ("right", "within") for entry in within):
        return list(made)
    rounded = subject.rounded(leaves)
    return [
        replace(entry, kind="within", note=BY_ITS_RULES)
        if is_faint(entry) and bool(abs(arb(entry.jax) - arb(entry.true)) <= rounded[k].rad() * arb(4 * worst / ULP))
        else entry
        for k, entry in enumerate(made)
    ]


def _convention(by_jax: arb, known: Known) -> str:
    left, right = known.left, known.right
    if left is None or right is None:
        return "no linear map"
    if bool(abs(left - right) <= (abs(left).max(abs(right)) * arb(10) ** -20)):
        return "there are partial derivatives, and no gradient: quotients along mixed directions are no linear map"
    digits = next((many for many in (8, 15) if shown_number(left, many) != shown_number(right, many)), 22)
    sides = f"from the left {shown_number(left, digits)}, from the right {shown_number(right, digits)}"
    if not by_jax.is_finite():
        return f"{sides}; JAX has no value"
    near = (abs(left).max(abs(right)) * arb(10) ** -20).max(arb(10) ** -20)
    for name, value in (("the left one", left), ("the right one", right), ("their mean", (left + right) / 2)):
        if bool(abs(by_jax - value) <= near):
            return f"{sides}; JAX takes {name}"
    inside = bool(by_jax > left.min(right)) and bool(by_jax < left.max(right))
    return f"{sides}; JAX takes {shown_number(by_jax, digits)}, {'between them' if inside else OUTSIDE}"


def _resolved(by_mode: Evaluator) -> tuple[arb, ...]:
    """A derivative in balls, with the bits that it needs to be finite; empty where a comparison ties or is not resolved."""
    values: tuple[arb, ...] = ()
    for bits in PRECISIONS[:3]:
        at = by_mode(bits, "exact", "exact")
        values = values if at.unresolved else at.values
        if not at.unresolved and all(value.is_finite() for value in values):
            break
    return values


def _beside(
    subject: Subject,
    truth: Truth,
    leaves: Sequence[np.ndarray],
    mode: str,
    by_mode: Evaluator,
    made: list[Entry],
    allowed: float,
    iterations: Iterations,
) -> None:
    """Compares another mode's values with what is known; replaces entries that are wrong in that mode alone.

    Entries of an iteration are compared with what that goes to, or with the first mode's.
    """
    try:
        values = _resolved(by_mode)
    except OutOfTimeError:
        raise
    except Exception as error:  # as where the first mode is judged
        made[:] = [
            replace(old, kind="undecided", note=f"{mode}: {_said(error)}") if old.kind == "right" else old for old in made
        ]
        return

    def in_floats(k: int) -> bool:
        computed = subject.floats(leaves, mode)
        return computed is None or bool(np.isfinite(computed[k]))

    entries = truth.entries or truth.measured
    for k, value in enumerate(values):
        known = entries[k] if entries else Known("known", truth.by_jax[k])
        if made[k].kind not in ("right", "within") and not is_faint(made[k]):
            continue
        if known.kind != "known" or known.value is None:
            continue
        if value.is_finite() and (value.overlaps(truth.by_jax[k]) or same(value, known)):
            continue
        if found := iterations.beside(k, mode, value, made[k]):
            made[k] = found if found.kind in ("WRONG", "undecided") else made[k]
            continue
        if k in iterations.approximated and value.is_finite():
            gap = share_of(value, truth.by_jax[k])
            kind: Kind = "WRONG" if gap > FOUND else "undecided"
            if gap > CLOSE:
                note = mode if kind == "WRONG" else f"{mode}; {ITERATES}"
                made[k] = replace(made[k], kind=kind, jax=shown_number(value), gap=gap, note=note)
            continue
        # 0 · ∞ of another entry, that has no derivative, is no mistake
        excused = known.is_partial or not truth.by_jax[k].is_finite() or not is_moderate(leaves, RESOLVED)
        if not value.is_finite() and (excused or in_floats(k)):
            continue
        kind, gap = judged(value, known.value, allowed) if value.is_finite() else ("NaN", math.inf)
        if kind != "NaN" and value.rel_accuracy_bits() < 60:
            continue
        if kind == "WRONG" and _explained_by_constants(subject, leaves, mode, k, known):
            continue
        old = made[k]
        shown = shown_number(value) if value.is_finite() else "no value"
        if kind != "right" and (old.kind != "WRONG" or gap > old.gap / CLOSE):
            made[k] = Entry(kind, old.rule, old.name, old.at, shown, old.true, gap, mode, old.order)


def _explained_by_constants(subject: Subject, leaves: Sequence[np.ndarray], mode: str, k: int, known: Known) -> bool:
    loose = subject.loose(leaves, mode)[k]
    return loose.rel_accuracy_bits() > 20 and _is_in_reach(loose, arb(known.value or 0))


def _is_in_reach(loose: arb, known: arb, largest: arb = ZERO) -> bool:
    """Whether moving rounded constants explains the difference; one worked out in floats may be off by more than an ulp.

    Where so much is left open that it says nothing, beside the `largest` entry too, no more than an ulp counts.
    """
    gap, size = abs(loose.mid() - known), abs(loose.mid()).max(largest)
    return loose.overlaps(known) or is_in_reach(gap, loose.rad(), size)


def _lacking_by_argument(subject: Subject, truth: Truth, made: list[Entry]) -> None:
    """Where JAX has no derivative by one argument, that there is none by another one is no excuse."""
    places = [subject.place(k) for k in range(len(made))]
    none = {places[k] for k, known in enumerate(truth.entries) if known.kind == "none"}
    excused = {(row, leaf) for row, leaf, _ in none}, {(leaf, place) for _, leaf, place in none}
    for k, (old, known, (row, leaf, place)) in enumerate(zip(made, truth.entries, places, strict=True)):
        is_excused = (row, leaf) in excused[0] or (leaf, place) in excused[1]
        if known.kind == "known" and known.is_partial and not is_excused and not truth.by_jax[k].is_finite():
            made[k] = replace(old, kind="NaN", gap=math.inf, note="")


def _left_open_by_constants(
    subject: Subject, truth: Truth, leaves: Sequence[np.ndarray], mode: str, made: list[Entry], by_limits: set[int]
) -> None:
    """Takes back what moving rounded constants by an ulp explains: 1/√(2π) is a float, and digits may cancel.

    Those of JAX's derivative, or of the value: a rational approximation is known no better than its coefficients. So is what
    is less than a rule is off in float64: a value that is computed to its last digits has a slope no better known.
    """
    loose, open_ = subject.loose(leaves, mode), subject.left_open(leaves)
    largest = max((abs(value.mid()) for value in loose if value.is_finite()), default=ZERO)
    rounded = subject.rounded(leaves, mode) if subject.ruled else ()
    for k, old in enumerate(made):
        known = truth.entries[k].value if truth.entries else None
        if old.kind != "WRONG" or k in by_limits or known is None:
            continue
        row, leaf, place = subject.place(k)
        gap, size = abs(truth.by_jax[k] - known), abs(float(np.ravel(leaves[leaf])[place])) or 1.0
        if _is_in_reach(loose[k], known, largest) or bool(gap * arb(size) <= CLEAR * open_[row]):
            made[k] = replace(old, kind="accuracy", note="its rounded constants leave it open")
        elif rounded and is_rounding(gap, old.gap, rounded[k].rad()):
            made[k] = replace(old, kind="accuracy", note="it differs by less than its own rounding in float64")


def _share_off(got: float, wanted: float) -> float:
    """The error relative to what is wanted; where that is 0, the error."""
    return abs(got - wanted) / (abs(wanted) or 1.0)


def _none_in_floats_either(subject: Subject, truth: Truth, leaves: Sequence[np.ndarray], made: list[Entry]) -> None:
    """Balls have no value for 0 · exp(1e200). That JAX has none counts where it has none in floats.

    So it does where balls are no excuse: at arguments that they resolve, and where float64 has the value of the function.
    """
    values = subject.floats(leaves)
    if values is None or len(values) != len(made):
        return
    for k, old in enumerate(made):
        value = truth.entries[k].value if old.kind == "NaN" and truth.entries else None
        if value is None:
            continue
        if not math.isfinite(float(values[k])):
            is_due = is_moderate(leaves, RESOLVED) or _is_beside_its_value(subject, leaves, k, value)
            if not is_due or not math.isfinite(float(value)):
                made[k] = replace(old, kind="accuracy", note=NOR_IN_BALLS)
            continue
        got, wanted = float(values[k]), float(value)
        gap = _share_off(got, wanted)
        gap = 0.0 if same(arb(got), truth.entries[k]) else gap
        kind: Kind = "right" if gap <= LOST else "WRONG" if is_moderate(leaves) else "accuracy"
        made[k] = Entry(kind, old.rule, old.name, old.at, repr(got), old.true, gap, "in float64", old.order)


def _settled_by_floats(subject: Subject, truth: Truth, leaves: Sequence[np.ndarray], made: list[Entry]) -> None:
    """Takes back what balls make of JAX's derivative, where they do not compute what JAX does.

    A sum that is added up until its terms are small ends elsewhere in balls; where float64 has the true value, that is what
    JAX says.
    """
    values = subject.floats(leaves)
    if values is None or len(values) != len(made):
        return
    for k, old in enumerate(made):
        value = truth.entries[k].value if truth.entries else None
        if old.kind == "WRONG" and value is not None and old.gap > SETTLED:
            got, wanted = float(values[k]), float(value)
            gap = _share_off(got, wanted)
            if math.isfinite(gap) and gap < old.gap * SETTLED:
                made[k] = replace(old, kind="right" if gap < FINE else "accuracy", jax=repr(got), gap=gap, note="in float64")


def _beyond_its_values(subject: Subject, leaves: Sequence[np.ndarray], made: list[Entry]) -> None:
    """Takes back what is wrong at huge and tiny numbers alone, where nobody gets a value of the function.

    Thirty steps of Newton's method, written out, are far from a root near 1e66: a rule for the root is not wrong there.
    """
    for k, old in enumerate(made):
        if old.kind == "WRONG" and subject.overflows(leaves, subject.place(k)[0]):
            made[k] = replace(old, kind="undecided", note=NOR_ITS_VALUE)


def _settled_beyond_guards(subject: Subject, truth: Truth, leaves: Sequence[np.ndarray], made: list[Entry]) -> None:
    """Takes back what holds within 1e-8 of an input alone, as where a function is made constant for `x < eps`.

    There JAX has the slope that the function has on one of the sides; no float of ordinary size tells the difference.
    """
    known = dict[tuple[int, int], list[tuple[float, ...]]]()
    for k, old in enumerate(made):
        value = truth.entries[k].value if truth.entries else None
        if old.kind != "WRONG" or old.gap < LOST or value is None:
            continue
        row, leaf, place = subject.place(k)
        if (leaf, place) not in known:
            known[leaf, place] = beyond_guards(subject, leaves, leaf, place)
        by_jax, true = float(truth.by_jax[k]), float(value)
        sides = [slope for slope in known[leaf, place][row] if math.isfinite(slope)]
        is_true_around = all(abs(slope - true) <= LOST * max(abs(slope), abs(true)) for slope in sides)
        if not is_true_around and any(abs(slope - by_jax) <= GUARDED * max(abs(slope), abs(by_jax)) for slope in sides):
            made[k] = replace(old, kind="accuracy", note=BY_GUARDS)


def _in_floats(
    subject: Subject, truth: Truth, leaves: Sequence[np.ndarray], made: list[Entry], approximated: set[int]
) -> None:
    """Tells where a derivative that is right as a real function has no digits in float64."""
    right = [k for k, entry in enumerate(made) if entry.kind in ("right", "within")]
    if not right:
        return
    values = subject.floats(leaves)
    if values is None or len(values) != len(made):
        return
    true = [truth.entries[k].value if truth.entries and k not in approximated else truth.by_jax[k] for k in range(len(made))]
    sizes = [abs(float(v)) for k in right if (v := true[k]) is not None and v.is_finite()]
    largest = max((s for s in sizes if math.isfinite(s)), default=0.0)
    moderate = is_moderate(leaves)
    for k in right:
        value = true[k]
        wanted = math.nan if value is None else float(value)
        if not math.isfinite(wanted) or 0 < abs(wanted) < FAINT or abs(wanted) > 1e290:
            continue
        got, size = float(values[k]), max(abs(wanted), 1e-10 * largest)
        gap = abs(got - wanted) / size if size else abs(got)
        if math.isfinite(got) and gap <= LOST:
            continue
        old = made[k]
        is_partial = bool(truth.entries) and truth.entries[k].is_partial
        if not math.isfinite(got) and is_partial:
            continue
        is_missing = not math.isfinite(got) and moderate and not subject.overflows(leaves, subject.place(k)[0])
        kind: Kind = "NaN" if is_missing else "accuracy"
        made[k] = Entry(kind, old.rule, old.name, old.at, repr(got), old.true, gap, "in float64", old.order)
        if kind == "accuracy" and value is not None:
            made[k] = _lost_to_range(subject, leaves, k, value, got, made[k])


def _lost_to_range(subject: Subject, leaves: Sequence[np.ndarray], k: int, true: arb, got: float, old: Entry) -> Entry:
    """A derivative that float64 loses is a mistake where the function itself is not lost, and its range alone is to blame.

    With as many bits and any exponent JAX's derivative is right, and it is of ordinary size; the value is computed right.
    What an expression loses along with its value, as √(x² + y²) does at 1e200, and what rounding takes, is accuracy.
    """
    if subject.is_right_without_range(leaves, k, true, LOST) and _is_beside_its_value(subject, leaves, k, true):
        return replace(old, kind="WRONG" if math.isfinite(got) else "NaN", note=OF_RANGE)
    return old


def _is_beside_its_value(subject: Subject, leaves: Sequence[np.ndarray], k: int, true: arb) -> bool:
    """Whether a derivative is of ordinary size, and float64 has the value that it is the derivative of, and those beside it.

    A state that overflows, of which a recurrence keeps the first steps, leaves the derivative of these none.
    """
    row, *_ = subject.place(k)
    is_ordinary = FAINT <= abs(float(true)) <= 1 / FAINT
    return is_ordinary and bool(np.isfinite(subject.in_floats(leaves)).all()) and subject.is_computed(leaves, row, LOST)
