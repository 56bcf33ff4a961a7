"""What is said of rules where a function, or its derivative by JAX, iterates."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from flint import arb

from autodiff_ref.judge.comparing import ULP, shown_number
from autodiff_ref.judge.functions import FUNCTIONS
from autodiff_ref.judge.limits import agree
from autodiff_ref.judge.rules.calls import FOUND
from autodiff_ref.judge.rules.findings import Entry, judged, shown_true
from autodiff_ref.judge.rules.iterating import ITERATES
from autodiff_ref.judge.rules.limits import LimitsOfRule
from autodiff_ref.judge.rules.secants import Secant, secants
from autodiff_ref.judge.rules.subject import Subject, is_moderate
from autodiff_ref.judge.truth import Truth

RULE_ITERATES = "the rule iterates until a comparison says so, and is off by more than rounding: say within="

ITERATED = max(of.double.units for name in ("lgamma", "digamma") if (of := FUNCTIONS[name].ulps) is not None) * ULP / 2
"""what is granted in float64 to functions that JAX computes by series: of a rule that iterates no more is asked"""

BY_SECANTS = "an iteration, by quotients over steps far larger than its tolerance"

BY_LIMITS = "an iteration, by what it goes to"

CLEAR = 16.0
"""Quotients over large steps tell a difference of so many times what they may be off"""

CLOSE = 1e-6
"""and so large a share of the derivative they have to tell, to say that a rule is right"""


class Iterations:
    """The entries of a derivative that hang on what a function, or its rule, iterates to, at one input."""

    def __init__(self, subject: Subject, truth: Truth, leaves: Sequence[np.ndarray], allowed: float) -> None:
        self._subject, self._truth, self._leaves, self._allowed = subject, truth, leaves, allowed
        self._limits = LimitsOfRule(subject, leaves) if subject.has_turns else None
        self._secants = dict[tuple[int, int], list[Secant | None]]()
        self.by_limits = set[int]()
        """those that are judged by what their loops go to"""
        self.approximated = set[int]()
        """these, and those that are judged by secants: their truth is not the slope of the last step"""

    def judge(self, made: list[Entry]) -> None:
        """Judges what is not the derivative of an iterate."""
        for k, old in enumerate(made):
            by_limit = self.beside(k, self._subject.main, self._truth.by_jax[k], old) if old.kind == "WRONG" else None
            if by_limit is not None:
                made[k] = by_limit
                self.by_limits.add(k)
                self.approximated.add(k)
            elif self._subject.iterates:
                made[k] = self._beside_secant(k, old)
            elif self._subject.derivative_iterates:
                made[k] = self._added_up(old)

    def beside(self, k: int, mode: str, where_it_stops: arb, old: Entry) -> Entry | None:
        """An entry by what the loops go to; None where they go nowhere, or stop too early.

        It is right where JAX's derivative goes to that of the function, and stops near it. Else it is wrong, if it is
        farther off than loops stop short of that, as one is that stops too early.
        """
        if self._limits is None:
            return None
        by_jax, (slope, error) = self._limits.given(k, mode), self._limits.slope(k)
        gap, stops_short = abs(by_jax - slope), abs(by_jax - where_it_stops)
        if not (gap.is_finite() and stops_short.is_finite()):
            return None
        kind, share = judged(where_it_stops, slope, self._allowed)
        found = replace(old, jax=shown_number(where_it_stops), true=shown_true(slope), gap=share)
        if agree(by_jax, slope, error):
            if share < self._limits.coarse:
                return replace(found, kind="right" if kind == "right" else "within", note=BY_LIMITS)
            off, open_, unless = abs(where_it_stops - slope), arb(0), None  # it stops too early
        else:
            off, open_, unless = gap, stops_short, replace(found, kind="undecided", note=f"{mode}; {ITERATES}")
        if not self._limits.decides:
            return None
        is_wrong = off > CLEAR * (self._limits.reach(k, mode) + open_)
        return replace(found, kind="WRONG", note=f"{mode}; {BY_LIMITS}") if is_wrong else unless

    def _beside_secant(self, k: int, old: Entry) -> Entry:
        """An entry by quotients over large steps.

        That a rule has the slope of the iterate, as 0 of a bisection's, says nothing; where there is no rule, it is right.
        """
        if old.kind != "WRONG" and not (old.kind == "right" and self._subject.ruled):
            return old
        unknown = old if old.kind == "right" else replace(old, kind="undecided", note=ITERATES)
        if not is_moderate(self._leaves):  # so many steps, or a tolerance, may not be meant for it
            return unknown
        row, leaf, place = self._subject.place(k)
        if (leaf, place) not in self._secants:
            self._secants[leaf, place] = secants(self._subject, self._leaves, leaf, place)
        found = self._secants[leaf, place][row]
        if found is None:
            return unknown
        by_jax = float(self._truth.by_jax[k])
        gap, size = abs(by_jax - found.value), max(abs(found.value), abs(by_jax))
        share = gap / abs(found.value) if found.value else gap
        made = replace(old, true=f"{found.value:.10g}", gap=share, note=BY_SECANTS)
        is_wrong = gap > CLEAR * found.error + found.reach
        is_near = found.error <= CLOSE * size and gap <= CLEAR * max(found.error, min(found.scatter, CLOSE * size))
        if not is_wrong and (old.kind == "right" or not is_near):
            return unknown
        self.approximated.add(k)
        return replace(made, kind="WRONG" if is_wrong else "within")

    def _added_up(self, old: Entry) -> Entry:
        """By the rule of a series, which is added up until terms are small: off by more than rounding, by less than 1e-3.

        So many terms may not be meant for huge and tiny arguments.
        """
        if old.kind != "WRONG" or (old.gap >= FOUND and is_moderate(self._leaves)):
            return old
        return replace(old, kind="within") if old.gap <= ITERATED else replace(old, kind="undecided", note=RULE_ITERATES)
