"""The sweep: lines in floats at thousands of inputs, each value with its rounding bound; what is beyond is for the balls."""

import math
import time
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import replace
from itertools import compress, islice

import jax
import numpy as np
from jax.extend import core

from autodiff_ref.judge.bench import Bench
from autodiff_ref.judge.comparing import ULP
from autodiff_ref.judge.errors import fulfils
from autodiff_ref.judge.floats.table import FLOATS
from autodiff_ref.judge.floats.together import Result, Together
from autodiff_ref.judge.inputs import Input
from autodiff_ref.judge.lines.trace import REFERENCE, allowed_of, claims_to_hold, label_flags, shape_key
from autodiff_ref.judge.program.plans import Array, Params
from autodiff_ref.judge.search.batches import Batch, batches, fulfilled, number_of_shapes
from autodiff_ref.judge.search.climb import GENERATION, PARENTS, climb
from autodiff_ref.judge.search.swept import Swept
from autodiff_ref.trees import Arguments
from manual_grad.derivation import Line, label_of

BUDGET = 60_000_000
"""Numbers that a derivation's lines may compute in a sweep: about a second, on one core that has nothing else to do."""

MOST_INPUTS = 2**16
"""inputs, where lines are so short that the budget would allow more"""

MOST_SUSPECTS = 200
"""suspects of two lines that are shown to the balls"""

MOST_GENERATIONS = 8
"""of a climb, where lines are so short that the budget would allow more"""

MOST_CLIMBED = 4
"""suspects of a climb, which ends at neighbours of one input, that are shown to the balls"""

MOST_KINKS = 8
"""kinks of two lines that are shown to the balls"""

Place = tuple[float, int, int]
"""difference / bound, batch, row"""

Computed = tuple[tuple[Array, Array] | str, Array]
"""(values, errors) of a line at a batch, each (batch, components), or why there are none; and where it may lie on a kink"""

WIDTH = 2**15
"""numbers in an array, about: a batch is as large as that allows, so that what is at work stays in the cache"""


class Sweep:
    """A derivation's lines at many inputs in floats, all at once.

    Args:
        bench: the derivation, its traces, and the balls.
        seed: of the inputs.
        budget: how many numbers all lines together may compute; by default about a second's worth.
        count: how many inputs instead, about.
    """

    def __init__(self, bench: Bench, *, seed: int = 0, budget: int = BUDGET, count: int | None = None) -> None:
        self.bench, self.derivation = bench, bench.derivation
        self._programs: dict[Hashable, Together] = {}
        self._values: dict[tuple[str, int], tuple[Array, Array] | str] = {}
        self._ties: dict[tuple[str, int], Array] = {}
        self._holds: dict[tuple[str, int], Array] = {}
        self._seed, self.generations = seed, 0
        self._loops_may_take = budget if count is None else math.inf
        self.seconds = 0.0
        """that comparisons took, with what balls said of suspects"""
        size, number = self._measures(budget, count)
        self.batches = [batch for batch in batches(self.derivation, seed=seed, size=size, count=number) if len(batch)]

    def _measures(self, budget: int, count: int | None) -> tuple[int, int]:
        """How many inputs in a batch, and how many batches: by the numbers that the lines compute, so always the same."""
        args = self.bench.inputs[0].args
        entries = [numbers_in(self.bench.traced(line, args).closed.jaxpr) for line in (None, *self.derivation.lines)]
        whole, widest = sum(each[0] for each in entries), max(each[1] for each in entries)
        size = int(np.clip(WIDTH // max(widest, 1), 32, 2048))
        shapes = number_of_shapes(self.derivation)
        if count is None:  # powers of two, so that another version of JAX, with a few more steps, sweeps as many
            self.generations = min(budget // 4 // max(whole, 1) // GENERATION, MOST_GENERATIONS)
            count = _power_of_two(min(budget // max(whole, 1), MOST_INPUTS))
        size = max(_power_of_two(min(size, count // shapes)), 16)
        return size, max(count // size, shapes)

    # Values

    def values(self, line: Line | None, k: int) -> tuple[Array, Array] | str:
        """A line in batch k: values and errors, (batch, components); or why there are none."""
        if (_label(line), k) not in self._values:
            every = (None, *self.derivation.lines)
            lines = every if line in every else (line,)
            for place, batch in enumerate(self.batches):
                for each, (values, ties) in zip(lines, self.computed(lines, batch), strict=True):
                    self._values[_label(each), place], self._ties[_label(each), place] = values, ties
                self._leave_out_after(place)
        return self._values[_label(line), k]

    def _leave_out_after(self, k: int) -> None:
        """Leaves out further batches and the climb, where `while` loops used up the budget; one of each shape stays."""
        looped = sum(program.looped for program in self._programs.values())
        if looped > self._loops_may_take:
            del self.batches[max(k + 1, number_of_shapes(self.derivation)) :]
            self.generations = 0

    def ties(self, line: Line | None, k: int) -> Array:
        """At which inputs of batch k reals that a line compares tie, up to their errors: it may have a kink there."""
        self.values(line, k)
        return self._ties[_label(line), k]

    def together(self, lines: Sequence[Line | None], args: Arguments) -> Together:
        """Lines at the shapes of `args`, with rounding bounds."""
        key = tuple(map(_label, lines)), shape_key(args)
        if key not in self._programs:
            closeds, widths = zip(*[self.traced(line, args) for line in lines], strict=True)
            self._programs[key] = Together(closeds, widths, labels=label_flags(self.derivation.domain))
        return self._programs[key]

    def traced(self, line: Line | None, args: Arguments) -> tuple[core.ClosedJaxpr, int]:
        """A line's jaxpr, in float64, and how many of its outputs are the gradient."""
        traced = self.bench.traced(line, args)
        return traced.closed, len(jax.tree.leaves(traced.shapes))

    def computed(self, lines: Sequence[Line | None], batch: Batch) -> list[Computed]:
        """Lines at a batch."""
        try:
            results = self.together(lines, batch.args(0))(*batch.leaves)
        except Exception as error:  # the judge's own: said in the report, never a verdict on the line
            if len(lines) > 1:
                return [made for line in lines for made in self.computed((line,), batch)]
            return [(f"the judge failed: {type(error).__name__}: {error}", np.zeros(len(batch), dtype=bool))]
        return [_of_components(result, len(batch)) for result in results]

    def holds(self, line: Line | None, k: int) -> Array:
        """At which inputs of batch k a line claims to hold."""
        key = _label(line), k
        if key not in self._holds:
            self._holds[key] = self._claims(line, self.batches[k])
        return self._holds[key]

    def _claims(self, line: Line | None, batch: Batch) -> Array:
        """At which inputs of a batch a line claims to hold."""
        return fulfilled(getattr(line, "valid", None), f"`valid` of {_label(line)}", self.derivation, batch)

    def _series(self, line: Line | None) -> frozenset[str]:
        """Functions whose meaning balls know, and whose program floats compute."""
        made = self.bench.traced(line, self.batches[0].args(0)).plan
        return made.meanings - FLOATS.rules.keys() if made else frozenset()

    # Two lines

    def compare(self, line: Line, other: Line | None) -> Swept:
        """Two lines at all inputs: where they are further apart than their bounds, balls say whether they differ.

        The worst are asked first, relative to the bounds, and one that differs is enough. Where reals that are compared tie,
        each line may take another derivative: these are kinks, of which balls look at a few, whichever way the tie falls.
        Where there is no suspect, the search goes on from the worst, uphill. The time is added to `seconds`.
        """
        since = time.monotonic()
        try:
            return self._compared(line, other)
        finally:
            self.seconds += time.monotonic() - since

    def _compared(self, line: Line, other: Line | None) -> Swept:
        found = Swept(series=self._series(line) | self._series(other))
        suspects: list[Place] = []
        kinks: list[Place] = []
        usual: list[Place] = []
        for k, batch in enumerate(self.batches):
            pair = self.pair(line, other, k)
            if isinstance(pair, str):
                return Swept(reason=pair)
            ratio, informed, both = pair
            beyond = both & (ratio > 1)
            kink = beyond & (self.ties(line, k) | self.ties(other, k))
            found.inputs.update(compress(batch.strata, (both & ~kink).tolist()))
            found.informed += int((informed & both & ~kink).sum())
            for rows, kept in ((beyond & ~kink, suspects), (kink, kinks)):
                kept += [(float(ratio[row]), k, int(row)) for row in np.flatnonzero(rows)]
            highest = np.argsort(np.where(informed & both & ~beyond, -ratio, 1.0), kind="stable")[:PARENTS]
            usual += [(float(ratio[row]), k, int(row)) for row in highest if informed[row] and both[row] and not beyond[row]]
        found.suspects, found.kinks = len(suspects), len(kinks)
        for worst, most, asked in ((suspects, MOST_SUSPECTS, found.asked), (kinks, MOST_KINKS, Counter[str]())):
            inputs = (self._input(k, row) for _, k, row in islice(sorted(worst, reverse=True), most))
            self._ask(line, other, () if found.differences else inputs, found, asked)
        if self.generations and not (suspects or found.differences):
            self._climb(line, other, usual, found)
        return found

    def _input(self, k: int, row: int) -> Input:
        return self.batches[k].input(row)

    def _ask(self, line: Line, other: Line | None, inputs: Iterable[Input], found: Swept, asked: Counter[str]) -> None:
        """What balls say of two lines at some inputs, up to one at which they differ."""
        for given in inputs:
            if not self._is_meant(line, other, given.args):  # the condition of a whole batch may round otherwise
                asked["not meant"] += 1
                continue
            compared = self.bench.compared(line, other, given.args)
            asked[compared.outcome if compared else "unclear"] += 1
            if compared and compared.outcome == "different":
                found.differences.append((given, compared))
                return

    def _climb(self, line: Line, other: Line | None, usual: list[Place], found: Swept) -> None:
        """Goes on from the worst inputs that are no suspects, of one shape; what becomes a suspect is for the balls."""
        worst = sorted(usual, reverse=True)
        if not worst:
            return
        shape = shape_key(self.batches[worst[0][1]].args(0))
        rows = [(k, row) for _, k, row in worst if shape_key(self.batches[k].args(0)) == shape][:PARENTS]
        leaves = [
            np.stack([self.batches[k].leaves[place][row] for k, row in rows])
            for place in range(len(self.batches[rows[0][0]].leaves))
        ]
        start = replace(
            self.batches[worst[0][1]], strata=tuple(self.batches[k].strata[row] for k, row in rows), leaves=leaves
        )

        def height(batch: Batch) -> Array:
            (ours, our_ties), (theirs, their_ties) = self.computed((line, other), batch)
            if isinstance(ours, str) or isinstance(theirs, str):
                return np.full(len(batch), -1.0)
            ratio, informed = ratio_of(ours, theirs, _claimed(line))
            meant = self._claims(line, batch) & self._claims(other, batch)
            meant &= fulfilled(self.derivation.where, "`where`", self.derivation, batch)
            return np.where(informed & ~(our_ties | their_ties) & meant, ratio, -1.0)

        domain = jax.tree.leaves(self.derivation.domain)
        climbed = climb(domain, start, height, generations=self.generations, seed=self._seed)
        found.climbed, found.height = climbed.inputs, float(climbed.heights.max(initial=0.0))
        above = [
            replace(climbed.best.input(int(k)), stratum="climbed")
            for k in np.flatnonzero(climbed.heights > 1)[:MOST_CLIMBED]
        ]
        found.suspects += len(above)
        self._ask(line, other, above, found, found.asked)

    def _is_meant(self, line: Line, other: Line | None, args: Arguments) -> bool:
        """Whether an input fulfils the derivation's `where`, and both lines claim to hold there."""
        where = self.derivation.where
        return (where is None or fulfils(where, "`where`", self.derivation, args)) and all(
            claims_to_hold(side, self.derivation, args) for side in (line, other)
        )

    def pair(self, line: Line, other: Line | None, k: int) -> tuple[Array, Array, Array] | str:
        """In batch k: how far two lines are apart in units of their bounds, where these exist, where both claim to hold."""
        ours, theirs = self.values(line, k), self.values(other, k)
        if isinstance(ours, str) or isinstance(theirs, str):
            return ours if isinstance(ours, str) else str(theirs)
        return (*ratio_of(ours, theirs, _claimed(line)), self.holds(line, k) & self.holds(other, k))


def _label(line: Line | None) -> str:
    return REFERENCE if line is None else label_of(line)


def _of_components(result: Result | NotImplementedError, count: int) -> Computed:
    if isinstance(result, NotImplementedError):
        return str(result).partition(":")[0], np.zeros(count, dtype=bool)
    outputs, tied = result
    values, errors = (
        np.concatenate([np.reshape(np.asarray(part[i], np.float64), (count, -1)) for part in outputs], axis=1)
        for i in (0, 1)
    )
    return (values, errors), tied


def _power_of_two(number: int) -> int:
    """The largest one up to a number."""
    return 1 << max(number, 1).bit_length() - 1


def _claimed(line: Line | None) -> float:
    """The relative difference that a line allows itself beyond rounding."""
    allowed = ULP if line is None else allowed_of(line)
    return allowed if allowed > ULP else 0.0


def ratio_of(ours: tuple[Array, Array], theirs: tuple[Array, Array], claimed: float = 0.0) -> tuple[Array, Array]:
    """For each input the largest |difference| / (sum of both bounds) over components, and whether any has a bound."""
    bound = ours[1] + theirs[1] + (claimed * np.abs(theirs[0]) if claimed else 0.0)
    known = bound < np.inf
    with np.errstate(all="ignore"):
        difference = np.abs(ours[0] - theirs[0])
        ratio = np.where(known, np.where(difference > 0, difference / bound, 0.0), 0.0)
    return ratio.max(axis=1, initial=0.0), np.any(known, axis=1)


def numbers_in(jaxpr: core.Jaxpr) -> tuple[int, int]:
    """How many numbers a jaxpr computes for one input, a loop's body as often as it runs; the size of its largest array."""
    whole = widest = 0
    for eqn in jaxpr.eqns:
        inner = [numbers_in(body) for body in _bodies(eqn.params)]
        sizes = [int(np.prod(getattr(var.aval, "shape", ()))) for var in eqn.outvars]
        whole += sum(each[0] for each in inner) * int(eqn.params.get("length", 1) or 1) + (0 if inner else sum(sizes))
        widest = max([widest, *sizes, *[each[1] for each in inner]])
    return whole, widest


def _bodies(params: Params) -> list[core.Jaxpr]:
    parts = [part for value in params.values() for part in (value if isinstance(value, list | tuple) else [value])]
    jaxprs = [getattr(part, "jaxpr", part) for part in parts]
    return [jaxpr for jaxpr in jaxprs if hasattr(jaxpr, "eqns")]
