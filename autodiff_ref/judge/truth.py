"""The truth about a gradient at one input, without autodiff: difference quotients of the function itself, in balls.

Where the function is smooth, one quotient along a generic direction confirms all of JAX's derivatives at once. Where it is
not confirmed, because numbers that are compared are equal there (a tie), because JAX has no value, or because JAX is wrong,
one-sided quotients along each entry say what the derivative is from the left and from the right. Where the two agree, and
quotients along mixed directions are those of the same linear map, the gradient exists and is known. Where they do not, the
function has a kink.

A quotient is evidence, not a certificate: its truncation error is estimated from two step sizes, not enclosed.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, Literal, cast

import numpy as np
from flint import arb

from autodiff_ref.judge.balls import Context, precision
from autodiff_ref.judge.balls.context import Ties
from autodiff_ref.judge.evaluation import Evaluation, Evaluator, as_balls, numbers_of
from autodiff_ref.judge.program.plans import Array, Plan

DIGITS = 30
"""A quotient confirms a derivative to so many digits."""

_QUICK = 100
"""The step 2^-100 of a quick quotient"""

_QUICK_BITS = (352, 640)
"""of balls: enough where the gradient is no smaller than 2^-150 of the function, and where it is no smaller than 2^-430"""

_SMOOTH = arb(2) ** -60
"""Quotients from both sides with a step of 2^-100 differ by no more than this share where a function is smooth."""

_STEPS = (150, 300)
"""The steps 2^-150 and 2^-300 of a careful quotient; the first tells how fast it converges."""

_BITS = 2400
"""Enough to keep 30 digits of a value near e^-700 after 300 bits have cancelled."""

_CONSTANTS = 1e-6
"""JAX's constants are rounded (2/√π is a float). They explain a difference only while they leave so much of a value open."""

_FEW_BITS = 512
"""Enough for a careful quotient where the gradient is not far smaller than the function."""

_NARROW = 128
"""A quotient of so many bits says what one of all `_BITS` would."""

_LARGE_EXPONENT = 40
"""Up to here no step of a quotient is seen by what a program compares"""

_TINY = arb(2) ** -1022
"""the smallest normal float64"""

_FEW = 12
"""Entries of which it is told whether one of them is apart from the others"""

MOST_ENTRIES = 400
"""Entries of a gradient whose one-sided derivatives are worked out at one input."""

PRECISIONS = (128, 512, 2048, 8192)

Kind = Literal["known", "kink", "none", "unknown"]


@dataclass(frozen=True)
class Entry:
    """What is known of one entry of a gradient."""

    kind: Kind
    """known: the gradient exists here · kink: left and right differ · none: there is no derivative · unknown"""
    value: arb | None = None
    """of a known one"""
    error: float = 0.0
    """an estimate of how far the value is off"""
    left: arb | None = None
    """of a kink, the derivatives from both sides"""
    right: arb | None = None
    is_partial: bool = False
    """whether another derivative of the same output, or of another one by the same entry, does not exist here"""
    has_no_value: bool = False
    """whether there is no derivative because balls have no value of the function, here or on either side"""


UNKNOWN = Entry("unknown")


@dataclass(frozen=True)
class Truth:
    """What is known of a gradient at one input, entry by entry in the order of JAX's gradient."""

    entries: tuple[Entry, ...] = ()
    """empty where JAX's own values are confirmed"""
    tied: bool = False
    """whether numbers that are compared are equal here"""
    wrong: tuple[int, ...] = ()
    """the entries that exist and for which JAX has another value"""
    missing: tuple[int, ...] = ()
    """the entries that exist and for which JAX has none (NaN or ∞)"""
    by_jax: tuple[arb, ...] = ()
    measured: tuple[Entry, ...] = ()
    """what quotients say where JAX's own values are confirmed as far as rounded constants tell"""

    @property
    def confirmed(self) -> bool:
        """Whether JAX's gradient is the gradient here."""
        return not self.entries

    @property
    def is_known(self) -> bool:
        """Whether anything at all is known."""
        return self.confirmed or any(entry.kind != "unknown" for entry in self.entries)


@dataclass(frozen=True)
class _Limit:
    """A directional derivative from one side, one for each output: the quotient's limit and an estimate of its error."""

    value: arb
    error: arb
    exists: bool = True
    """False where the quotients do not converge, as those of √x at 0 and at a jump"""

    def agrees_with(self, expected: arb, scale: arb) -> bool:
        """Whether it is a given number, to 30 digits of a scale, or as far as the estimate goes where that is better."""
        gap = abs(self.value - expected)
        allowed = scale * arb(10) ** -DIGITS
        return bool(gap <= allowed.max(self.error)) and bool(self.error <= allowed or scale == 0)


def truth_of(
    function: Plan,
    args: Sequence[Any],
    by: Sequence[int],
    gradient: Evaluator | None,
    out_sizes: Sequence[int],
) -> Truth:
    """What is known of the gradient of a function at one input.

    Args:
        function: the function's value, planned for balls.
        args: the leaves of its arguments, as NumPy arrays.
        by: the positions of the leaves that it is differentiated by.
        gradient: JAX's gradient at this input, in balls; None where there is none.
        out_sizes: the size of each leaf that the function returns.
    """
    return _Search(function, args, by, gradient, out_sizes).truth()


_Ends = tuple[list[arb], list[arb]]
"""The values of all outputs at two inputs, one on either side"""


@lru_cache(maxsize=256)
def _generic(seed: int, size: int) -> list[float]:
    """Numbers between ½ and 1 of either sign, always the same ones."""
    random = np.random.default_rng(seed)
    return (random.integers(2**15, 2**16, size) / 2**16 * random.choice([-1, 1], size)).tolist()


class _Search:
    """The search for the truth at one input."""

    def __init__(
        self, function: Plan, args: Sequence[Any], by: Sequence[int], gradient: Evaluator | None, out_sizes: Sequence[int]
    ) -> None:
        self.function, self.gradient = function, gradient
        self.leaves = [np.asarray(leaf) for leaf in args]
        self.by, self.sizes = list(by), [int(self.leaves[k].size) for k in by]
        self.n_in, self.n_out = sum(self.sizes), sum(out_sizes)
        self.place = places(out_sizes, self.sizes)
        point = [np.ravel(self.leaves[k]).astype(np.float64) for k in self.by]
        exponents = [math.frexp(x)[1] if x else 1 for part in point for x in part]
        large = max((e for e in exponents if e > _LARGE_EXPONENT), default=0)
        tiny = max((-e for e in exponents if e < -_LARGE_EXPONENT), default=0)
        self.more = 2 * (large + tiny)
        """bits that large and tiny numbers take"""
        self.unit = arb(2) ** -(large + tiny)
        self.quick = self.unit * arb(2) ** -_QUICK
        self.scale = [math.ldexp(1.0, max(min(e - 1, 0), -1000)) for e in exponents]
        """Steps are relative to small numbers, so that 1e-9 is not left behind, and to 1 for others: ⌊x⌋ steps by 1. Beside
        a large or a tiny number all are so much smaller, by `unit`: ⌊10³⁰/x⌋ and ⌊x/10⁻³⁰⌋ have many steps near 1."""
        self.open = set[int]()
        """outputs that hang on a comparison which no precision resolves"""
        self.confirmed = np.zeros((self.n_out, self.n_in), dtype=bool)
        """where one-sided quotients along mixed directions are what JAX says"""

    # JAX's gradient

    @cached_property
    def _evaluations(self) -> dict[int, Evaluation]:
        """JAX's gradient by the precision, up to the first one that gives it digits, or to the last one.

        Without large or tiny numbers to keep apart, it has no more bits than a quotient. Where the function has no value
        there is no gradient, and the first precision will do.
        """
        found = dict[int, Evaluation]()
        for bits in PRECISIONS if self.gradient is not None else ():
            assert self.gradient is not None
            if found and bits > _BITS and not self.more:
                break
            at = found[bits] = self.gradient(bits, "exact", "exact")
            if (not at.unresolved and all(_has_digits(value) for value in at.values)) or not self._has_value:
                break
        return found

    @property
    def _evaluated(self) -> Evaluation | None:
        return list(self._evaluations.values())[-1] if self._evaluations else None

    @property
    def _bits(self) -> int:
        """The least precision that tells as much of JAX's gradient as all of them."""
        *_, last = self._evaluations.values()
        return next(bits for bits, at in self._evaluations.items() if _told(at) == _told(last))

    @cached_property
    def _loose(self) -> tuple[arb, ...]:
        """JAX's gradient with constants that are not surely meant as written as balls."""
        assert self.gradient is not None
        return self.gradient(self._bits, "balls", "exact").values

    @cached_property
    def _has_value(self) -> bool:
        """Whether any output has a value at this input."""
        return any(value.is_finite() for value in self._centre)

    def _stable(self) -> np.ndarray:
        """(n_out, n_in): where JAX has a value, and the same however ties are decided."""
        stable = np.zeros((self.n_out, self.n_in), dtype=bool)
        at = self._evaluated
        if at is None or self.gradient is None:
            return stable
        variants = [at]
        if at.tied or at.unresolved:
            variants += [self.gradient(self._bits, "exact", ties) for ties in ("left", "right", "mixed", "mixed back")]
        for i, j in np.ndindex(stable.shape):
            values = [variant.values[self.place[i, j]] for variant in variants]
            stable[i, j] = all(v.is_finite() and v.overlaps(values[0]) for v in values) and _has_digits(values[0])
        return stable

    # The function

    def _moved(self, direction: Sequence[float], step: arb) -> list[Array]:
        """The arguments, in balls, moved by a multiple of a direction."""
        balls = list(self._balls)
        start = 0
        for k, size in zip(self.by, self.sizes, strict=True):
            flat = balls[k].ravel().copy()
            for j in range(size):
                if direction[start + j]:
                    flat[j] = flat[j] + step * arb(direction[start + j])
            balls[k] = flat.reshape(balls[k].shape)
            start += size
        return balls

    @cached_property
    def _balls(self) -> list[Array]:
        """The arguments."""
        return list(map(as_balls, self.leaves))

    def _value(self, direction: Sequence[float], step: arb) -> list[arb]:
        """The function's values; outputs that hang on a comparison which cannot be resolved are noted as open, and NaN."""
        moved = self._moved(direction, step)
        values, unresolved = self._run(moved, "exact")
        if unresolved:
            others = [self._run(moved, ties)[0] for ties in ("left", "right", "mixed", "mixed back")]
            for i, value in enumerate(values):
                every = [value, *(other[i] for other in others)]
                if not any(each.is_finite() for each in every):
                    continue  # it has no value, however that comparison comes out
                if not all(each.is_finite() and each.overlaps(value) for each in every):
                    self.open.add(i)
                    values[i] = arb.nan()
        return values

    def _run(self, arguments: list[Array], ties: Ties) -> tuple[list[arb], bool]:
        context = Context(constants="exact", ties=ties)
        outputs = self.function.run(context, *arguments)
        return numbers_of(outputs), context.unresolved

    @cached_property
    def _centre(self) -> list[arb]:
        with precision(_BITS + self.more):
            return self._value([0.0] * self.n_in, arb(0))

    def _limits(self, direction: Sequence[float]) -> list[_Limit | None]:
        """The derivative of each output along a direction, from the side that it points to; None where there is none."""
        with precision(_FEW_BITS + self.more):
            quotients = self._quotients(direction, self._decided_centre, self._decided)
            if quotients and all(_is_narrow(quotient) for pair in quotients for quotient in pair):
                return [_limit(*pair) for pair in quotients]
        with precision(_BITS + self.more):
            return [_limit(*pair) for pair in self._quotients(direction, self._centre, self._value)]

    def _quotients(
        self, direction: Sequence[float], centre: Sequence[arb], value: Callable[[Sequence[float], arb], list[arb]]
    ) -> list[tuple[arb, arb]]:
        """The quotients of each output over both steps; none where the function has no value in the middle or at a step."""
        found = list[list[arb]]()
        for bits in _STEPS if centre else ():
            step = self.unit * arb(2) ** -bits
            moved = value(direction, step)
            if not moved:
                return []
            found.append([(there - here) / step for there, here in zip(moved, centre, strict=True)])
        return list(zip(*found, strict=True))

    def _decided(self, direction: Sequence[float], step: arb) -> list[arb]:
        """The function's values; none where a comparison cannot be resolved."""
        values, unresolved = self._run(self._moved(direction, step), "exact")
        return [] if unresolved else values

    @cached_property
    def _decided_centre(self) -> list[arb]:
        with precision(_FEW_BITS + self.more):
            return self._decided([0.0] * self.n_in, arb(0))

    # The truth

    def truth(self) -> Truth:
        """JAX's gradient where a quotient confirms it, else what one-sided quotients say."""
        at = self._evaluated
        tied = at is None or at.tied or at.unresolved
        for bits in () if at is None or tied else _QUICK_BITS:
            assert at is not None
            with precision(bits + self.more):
                ends = self._ends(self._along_all)
                if all(v.is_finite() for v in at.values) and self._is_confirmed_at_once(at, ends):
                    return Truth(by_jax=at.values)
                if smooth := self._where_smooth(at, ends):
                    return smooth
        with precision(_BITS + self.more):
            return self._entry_by_entry(at, tied)

    def _ends(self, direction: Sequence[float]) -> _Ends:
        """The function's values a quick step along a direction, and as far back."""
        return self._value(direction, self.quick), self._value(direction, -self.quick)

    def _is_confirmed_at_once(self, at: Evaluation, ends: _Ends) -> bool:
        """Whether one central quotient, along a generic direction to these ends, is what JAX's gradient says."""
        for i, (up, down) in enumerate(zip(*ends, strict=True)):
            expected, scale = self._along(at.values, i, self._along_all)
            found = (up - down) / (2 * self.quick)
            allowed = scale * arb(10) ** -DIGITS
            narrow = bool(found.rad() <= allowed) and bool(expected.rad() <= allowed)
            if not (narrow and bool(abs(found - expected) <= 2 * allowed)):
                return False
        return True

    def _where_smooth(self, at: Evaluation, ends: _Ends) -> Truth | None:
        """What central quotients say, where those from both sides agree along each entry and along all; None elsewhere.

        `ends` are those along all.
        """
        if self.n_in > MOST_ENTRIES:
            return None
        here = self._value([0.0] * self.n_in, arb(0))
        mixed = self._central(here, ends)
        if mixed is None:
            return None
        slopes = list[list[tuple[arb, arb]]]()
        for j, scale in enumerate(self.scale):
            unit = [scale if k == j else 0.0 for k in range(self.n_in)]
            slope = self._central(here, self._ends(unit))
            if slope is None:
                return None
            slopes.append(slope)
        shares = [arb(d / scale) for d, scale in zip(self._along_all, self.scale, strict=True)]
        flat = np.empty(self.n_out * self.n_in, dtype=object)
        for i in range(self.n_out):
            parts = [slope[i] for slope in slopes]
            products = [value * share for (value, _), share in zip(parts, shares, strict=True)]
            size = sum((abs(product).mid() for product in products), start=arb(0))
            if not bool(abs(mixed[i][0] - sum(products, start=arb(0))) <= size * arb(10) ** -DIGITS):
                return None
            for j, (value, error) in enumerate(parts):
                exact = (value / self.scale[j]).mid()
                flat[self.place[i, j]] = Entry("known", exact, float((error / self.scale[j]).abs_upper()))
        wrong, missing = self._beside_jax(at, flat, np.ones(flat.size, dtype=bool))
        if wrong or missing:
            return Truth(tuple(flat), False, wrong, missing, at.values)
        return Truth(by_jax=at.values, measured=tuple(flat))

    def _central(self, here: Sequence[arb], ends: _Ends) -> list[tuple[arb, arb]] | None:
        """(value, error) of each output's derivative towards the ends; None where it is not as smooth as it is to be."""
        step = self.quick
        made = list[tuple[arb, arb]]()
        for there, centre, back in zip(ends[0], here, ends[1], strict=True):
            value, bend = (there - back) / (2 * step), abs((there - centre) / step - (centre - back) / step)
            size = abs(value).mid()
            narrow = value.is_finite() and bool(value.rad() <= size * arb(10) ** -DIGITS) and bool(bend <= size * _SMOOTH)
            if not narrow and not (there == centre and back == centre):
                return None
            made.append((value, bend.upper() * _SMOOTH + value.rad()))
        return made

    @cached_property
    def _along_all(self) -> list[float]:
        """The direction of the quick quotient, in which every entry moves."""
        return self._direction(0, np.ones(self.n_in, dtype=bool))

    def _direction(self, seed: int, among: np.ndarray, sign: int = 1) -> list[float]:
        """A direction in which no chosen entry stands still, always the same one."""
        steps = zip(_generic(seed, self.n_in), self.scale, among, strict=True)
        return [sign * step * scale if chosen else 0.0 for step, scale, chosen in steps]

    def _along(self, values: Sequence[arb], i: int, direction: Sequence[float]) -> tuple[arb, arb]:
        """(Σ_j J_ij d_j, Σ_j |J_ij d_j|)"""
        products = [values[self.place[i, j]] * arb(d) for j, d in enumerate(direction) if d]
        return sum(products, start=arb(0)), sum((abs(p).mid() for p in products), start=arb(0))

    def _entry_by_entry(self, at: Evaluation | None, tied: bool) -> Truth:
        entries = np.full((self.n_out, self.n_in), UNKNOWN, dtype=object)
        stable = self._stable() if self._has_value else np.zeros(entries.shape, dtype=bool)
        if at is not None:
            self._confirm_rows(at, stable, entries)
        for i, value in enumerate(self._centre):
            if not value.is_finite() and i not in self.open:
                entries[i] = Entry("none", has_no_value=True)
        open_ = [j for j in range(self.n_in) if any(entries[i, j].kind == "unknown" for i in range(self.n_out))]
        for j in open_[:MOST_ENTRIES]:
            unit = np.zeros(self.n_in, dtype=bool)
            unit[j] = True
            scale = self.scale[j]
            right = self._limits([scale if u else 0.0 for u in unit])
            left = self._limits([-scale if u else 0.0 for u in unit])
            for i in range(self.n_out):
                if entries[i, j].kind == "unknown":
                    entries[i, j] = self._both_sides(i, left[i], right[i], scale)
        self._check_mixed(entries)
        none = np.array([[entry.kind == "none" for entry in row] for row in entries]).reshape(entries.shape)
        for i, j in np.ndindex(entries.shape):
            if none[i].any() or none[:, j].any():
                entries[i, j] = replace(cast("Entry", entries[i, j]), is_partial=True)
        flat = np.empty(entries.size, dtype=object)
        for i, j in np.ndindex(entries.shape):
            flat[self.place[i, j]] = entries[i, j]
        settled = np.ones(entries.size, dtype=bool)
        if at is not None and at.unresolved:
            settled[self.place.ravel()] = stable.ravel()
        wrong, missing = self._beside_jax(at, flat, settled)
        values = () if at is None else at.values
        if not wrong and not missing and at is not None and all(entry.kind == "known" for entry in flat):
            return Truth(tied=tied, by_jax=values, measured=tuple(flat))
        return Truth(tuple(flat), tied, wrong, missing, values)

    def _confirm_rows(self, at: Evaluation, stable: np.ndarray, entries: np.ndarray) -> None:
        """Takes over JAX's values of the outputs for which one-sided quotients along mixed directions are what they say."""
        for pattern, rows in _grouped(stable).items():
            among = np.array(pattern)
            if not among.any():
                continue
            good = set(rows)
            for seed in (1, 2):
                for sign in (1, -1):
                    direction = self._direction(seed, among, sign)
                    limits = self._limits(direction)
                    good = {i for i in good if self._matches(at, i, direction, limits[i])}
                    if not good:
                        break
            for i in good:
                for j in np.flatnonzero(among):
                    entries[i, j], self.confirmed[i, j] = Entry("known", at.values[self.place[i, j]]), True

    def _matches(self, at: Evaluation, i: int, direction: Sequence[float], limit: _Limit | None) -> bool:
        if limit is None or not limit.exists:
            return False
        expected, scale = self._along(at.values, i, direction)
        return limit.agrees_with(expected, scale)

    def _both_sides(self, i: int, left: _Limit | None, right: _Limit | None, scale: float) -> Entry:
        """One entry from its two one-sided derivatives; a side on which the function has no value is left out."""
        if i in self.open:
            return UNKNOWN
        diverges = any(side is not None and not side.exists for side in (left, right))
        if diverges or (left is None and right is None):
            return Entry("none", has_no_value=not diverges)
        sides = [(side.value * sign / scale, side.error / scale) for side, sign in ((left, -1), (right, 1)) if side]
        size = max((abs(value) for value, _ in sides), key=lambda v: float(v.mid()))
        error = max((error for _, error in sides), key=lambda e: float(e.mid()))
        if len(sides) == 1 or bool(abs(sides[0][0] - sides[1][0]) <= (size * arb(10) ** -DIGITS).max(4 * error).max(_TINY)):
            return Entry("known", sides[-1][0].mid(), float(error.abs_upper()))
        return Entry("kink", left=sides[0][0], right=sides[1][0])

    def _check_mixed(self, entries: np.ndarray) -> None:
        """Whether entries with equal sides are one linear map: min(|x|, |y|) has partial derivatives at 0, no gradient.

        In min(|x|, |y|) + z the derivative by z is another matter: it is what z alone adds, whatever x and y do.
        """
        known = np.array([[entry.kind == "known" for entry in row] for row in entries]).reshape(entries.shape)
        for pattern, rows in _grouped(known).items():
            among = np.array(pattern)
            open_rows = [i for i in rows if np.any(known[i] & ~self.confirmed[i])] if among.sum() > 1 else []
            for sign in (1, -1) if open_rows else ():
                direction = self._direction(3, among, sign)
                limits = self._limits(direction)
                bent = [i for i in open_rows if self._bends(entries[i], direction, limits[i])]
                for i, j in itertools.product(bent, map(int, np.flatnonzero(among))):
                    entry = cast("Entry", entries[i, j])
                    if entry.kind == "known" and not self.confirmed[i, j] and not self._is_apart(entry, i, j, among):
                        entries[i, j] = Entry("kink", left=entry.value, right=entry.value)

    def _bends(self, row: np.ndarray, direction: Sequence[float], limit: _Limit | None) -> bool:
        """Whether the derivative along a direction is not what the known entries say."""
        if limit is None:
            return False
        parts = [(row[j].value, d) for j, d in enumerate(direction) if d and row[j].kind == "known"]
        expected = sum((value * arb(d) for value, d in parts), start=arb(0))
        scale = sum((abs(value * arb(d)) for value, d in parts), start=arb(0))
        return not limit.exists or bool(abs(limit.value - expected) > (scale * arb(10) ** -20).max(16 * limit.error))

    def _is_apart(self, entry: Entry, i: int, j: int, among: np.ndarray) -> bool:
        """Whether JAX is wrong in an entry that always adds what it adds alone, however the others move.

        The largest of several numbers adds what it adds alone until another one is the largest: every two of the others are
        moved to the same side and to both sides, and the entry by more and by less than these.
        """
        at = self._evaluated
        if at is None or not 2 < among.sum() <= _FEW or same(at.values[self.place[i, j]], entry):
            return False
        others = [k for k in map(int, np.flatnonzero(among)) if k != j]
        patterns = [lambda k: 1, *(lambda k, b=b: -1 if k >> b & 1 else 1 for b in range(len(others).bit_length()))]
        for pattern, sign in itertools.product(patterns, (1, -1)):
            step = [0.0] * self.n_in
            for place, k in enumerate(others):
                step[k] = sign * pattern(place) * self.scale[k] * (1 + place / 64)
            rest = self._limits(step)[i]
            for share in (2.0, 1 / 16, -1 / 16):
                step[j] = share * self.scale[j]
                if not _adds(entry, step[j], self._limits(step)[i], rest):
                    return False
        return True

    def _beside_jax(
        self, at: Evaluation | None, flat: np.ndarray, settled: np.ndarray
    ) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The entries in which JAX has another value than the known one, and those in which it has none.

        Of settled ones: what hangs on a comparison that no precision resolves is not JAX's word.
        """
        if at is None or self.gradient is None:
            return (), ()
        wrong, missing = list[int](), list[int]()
        for k, (entry, value) in enumerate(zip(flat, at.values, strict=True)):
            if entry.kind != "known" or not settled[k]:
                continue
            if not value.is_finite():
                if not entry.is_partial:
                    missing.append(k)
            elif not (same(value, entry) or (self.gradient.constants and same(value, entry, self._loose[k]))):
                wrong.append(k)
        return tuple(wrong), tuple(missing)


def _adds(entry: Entry, step: float, there: _Limit | None, rest: _Limit | None) -> bool:
    """Whether what a step along one entry adds to a derivative along others is what it adds alone."""
    if there is None or rest is None or entry.value is None or not (there.exists and rest.exists):
        return False
    alone = entry.value * arb(step)
    size = (abs(alone) + abs(rest.value)) * arb(10) ** -20
    return bool(abs(there.value - rest.value - alone) <= size.max(16 * (there.error + rest.error)))


def same(value: arb, entry: Entry, loose: arb | None = None) -> bool:
    """Whether a value is the known one: to 25 digits, or as far as the quotient and inexact constants tell."""
    assert entry.value is not None
    gap, size = abs(value - entry.value), abs(entry.value).max(abs(value))
    # below the smallest float there is no difference, and the quotient has no digits
    if not bool(gap > (size * arb(10) ** -25).max(arb(16 * entry.error)).max(_TINY)):
        return True
    if loose is None or loose is value:
        return False
    return loose.overlaps(entry.value) and bool(loose.rad() <= _CONSTANTS * size)


def _has_digits(value: arb) -> bool:
    """Whether a ball is known to 30 digits, or is as good as 0."""
    return value.is_finite() and (value.rel_accuracy_bits() >= 102 or bool(abs(value) < arb(2) ** -1024))


def _is_narrow(quotient: arb) -> bool:
    return quotient.is_finite() and quotient.rel_accuracy_bits() >= _NARROW


def _told(at: Evaluation) -> tuple[bool, bool, list[bool], list[bool]]:
    """What an evaluation tells: how comparisons went, which numbers exist, and which of them have digits."""
    return at.tied, at.unresolved, [v.is_finite() for v in at.values], [_has_digits(v) for v in at.values]


def _limit(coarse: arb, fine: arb) -> _Limit | None:
    """The limit of quotients at two steps; None where the function has no value at one of them."""
    if not (coarse.is_finite() and fine.is_finite()):
        return None
    change, size = abs(fine - coarse), abs(coarse).max(abs(fine))
    if bool(change > arb(2) ** -20 * size):
        if bool(abs(fine) > arb(2) ** -20 * abs(coarse)):
            return _Limit(fine, arb(0), exists=False)
        return _Limit(arb(0), 2 * abs(fine).upper())  # as those of x^1.5, which go to 0
    # quotients that err by C h^p, p ≥ 1/2, err less at h² than at h by h^p
    return _Limit(fine, (change * arb(2) ** -(_STEPS[0] // 2 - 5) + fine.rad()).upper())


def places(out_sizes: Sequence[int], in_sizes: Sequence[int]) -> np.ndarray:
    """(n_out, n_in): where each entry of a Jacobian stands in the flat gradient; its leaves run over outputs first."""
    table = np.empty((sum(out_sizes), sum(in_sizes)), dtype=int)
    position = row = 0
    for rows in out_sizes:
        column = 0
        for columns in in_sizes:
            table[row : row + rows, column : column + columns] = position + np.arange(rows * columns).reshape(rows, columns)
            position, column = position + rows * columns, column + columns
        row += rows
    return table


def place_of(k: int, out_sizes: Sequence[int], in_sizes: Sequence[int]) -> tuple[int, int, int]:
    """(the output, the leaf, the entry of the leaf) of which the flat gradient holds the derivative at a place."""
    row = 0
    for rows in out_sizes:
        for leaf, columns in enumerate(in_sizes):
            if k < rows * columns:
                return row + k // columns, leaf, k % columns
            k -= rows * columns
        row += rows
    raise IndexError(k)


def _grouped(pattern: np.ndarray) -> dict[tuple[bool, ...], list[int]]:
    """The rows of each pattern of truth values."""
    groups: dict[tuple[bool, ...], list[int]] = {}
    for i, row in enumerate(pattern):
        groups.setdefault(tuple(bool(x) for x in row), []).append(i)
    return groups
