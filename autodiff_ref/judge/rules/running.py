"""f and the rules within, judged at one input after the other."""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import numpy as np

from autodiff_ref.judge.balls import precision
from autodiff_ref.judge.balls.context import Context
from autodiff_ref.judge.comparing import ULP
from autodiff_ref.judge.domains import RandomSource
from autodiff_ref.judge.evaluation import as_balls
from autodiff_ref.judge.inputs import draw_arguments, main_sizes
from autodiff_ref.judge.program.equations import reads_beyond
from autodiff_ref.judge.program.plans import ending_by
from autodiff_ref.judge.rules.calls import Call
from autodiff_ref.judge.rules.edges import constants_of, edge_inputs
from autodiff_ref.judge.rules.examining import as_its_rules, examine, is_faint
from autodiff_ref.judge.rules.findings import Entry, Kind, Rule
from autodiff_ref.judge.rules.naming import shown_name
from autodiff_ref.judge.rules.preparing import Args, Preparation, Prepared
from autodiff_ref.judge.rules.solving import examine_solution

WHOLE = -1
"""stands for f as a whole, where the rules within have numbers"""

_IDENTITY = "the function returns its argument as it is: a rule for it can only be meant to change the gradient"
_CONSTANT = "the function is constant piece by piece: a rule with a slope can only be meant so"
_CONSTANT_ENOUGH = 5
"""entries that are 0 in truth, before a function is taken to be constant"""

_BEYOND = "it reads a place that its argument has not, as x[3] of three: JAX takes the last one. Say the size by domain="

_WRONG_ENOUGH = 6
"""inputs at which a rule is wrong, after which no more are tried"""


class Judged(NamedTuple):
    """An entry, and where it is from."""

    entry: Entry
    args: Args
    """the input of f"""
    prepared: Prepared
    which: int
    """the number of the rule within, or `WHOLE`"""

    def meant(self, note: str) -> "Judged":
        """The same, meant so."""
        return self._replace(entry=replace(self.entry, kind="meant so", note=note))


class Run:
    """One judgement: what was found so far, at which inputs."""

    def __init__(
        self,
        f: Callable[..., Any],
        domain: Args | None,
        at: Sequence[Any],
        allowed: float,
        truth: Callable[..., Any] | None,
        solves: Callable[..., Any] | None,
        seed: int,
        seconds: float | None,
        batches: Sequence[Args] = (),
    ) -> None:
        self.f, self.domain, self.allowed, self.solves = f, domain, allowed, solves
        self.preparation = Preparation(f, domain, truth, solves)
        self.seed, self.seconds, self.batches = seed, seconds, batches
        self.until = math.inf
        """processor time of this process; that of the first input of f and of each rule within, which compiles, is added"""
        self.sizes = main_sizes(domain, {})[0] if domain is not None else {}
        self.at = [self._given(each) for each in at]
        self.judged = list[Judged]()
        self.rules: dict[tuple[str, str], Rule] = {}
        self.missing: dict[tuple[Kind, str, str, str], None] = {}
        self.notes: dict[str, None] = {}
        self.first: tuple[Args, Prepared] | None = None
        """the first input, and what was prepared for it"""
        self.inputs = 0
        self.compiled: dict[Any, Any] = {}
        self.handed: dict[tuple[int, int, bool, tuple[bytes, ...]], list[Entry]] = {}
        """what was found of a rule within, by the arguments that it received: at several inputs of f these are the same"""
        self.begun = set[tuple[int, int]]()
        """the rules within, by order, of which programs are made"""
        self.wrong = Counter[tuple[int, int]]()
        """inputs at which the whole or a rule within is wrong, by order"""

    def _given(self, each: Any) -> Args:
        args = each if isinstance(each, tuple) else (each,)
        args = tuple(_array(x) if isinstance(x, list) else x for x in args)
        if self.domain is None:
            return jax.tree.map(_array, args)
        if len(args) != len(self.domain):
            raise ValueError(
                f"{shown_name(self.f)}: at holds {len(args)} arguments in {each!r}, and the domain has {len(self.domain)}"
            )
        leaves, structure = jax.tree.flatten(self.domain)
        made = [_array(x) for x in jax.tree.leaves(args)]
        shapes = [leaf.sized(self.sizes).shape for leaf in leaves]
        wide = [np.broadcast_to(x, s).copy() if x.ndim == 0 else x for x, s in zip(made, shapes, strict=True)]
        return jax.tree.unflatten(structure, wide)

    def _inputs(self, order: int) -> Iterator[Args]:
        yield from self.at
        if self.domain is None:
            return
        first = draw_arguments(self.domain, self.sizes, "ordinary", RandomSource(np.random.default_rng(self.seed)))
        made = self.preparation.prepare(first, order)
        plans = [p for s in (made.whole, *(s for _, s in made.calls)) if s for p in (s.value, *s.derivatives.values())]
        for _, args in edge_inputs(self.domain, self.sizes, constants_of(plans), self.seed):
            yield args
        yield from self.batches

    def judge(self, order: int) -> None:
        """Judges the derivative of one order at all inputs."""
        for args in self._inputs(order):
            if self.until < math.inf and time.process_time() > self.until:
                self.notes.setdefault("the time was up before all inputs were judged")
                return
            made = self.preparation.prepare(args, order)
            if self.first is None and reads_beyond(made.program):
                self.notes[_BEYOND] = None
            self.first = self.first or (args, made)
            for rule in made.rules:
                self.rules.setdefault((rule.name, rule.place), rule)
            self.missing.update(dict.fromkeys(made.missing))
            self.inputs += order == 1
            with ending_by(self.end()):
                examined = list(self.examined(made, args, order))
            for which, entries in self._with_intents(made, examined):
                self.wrong[which, order] += any(entry.kind == "WRONG" for entry in entries)
                self.judged += [Judged(entry, args, made, which) for entry in entries]
            if self.seconds is not None and self.until == math.inf:
                self.until = time.process_time() + self.seconds
        last = next((judged.prepared for judged in reversed(self.judged) if judged.entry.order == order), None)
        for each in (last.whole, *(alone for _, alone in last.calls)) if last is not None else ():
            self.notes.update(dict.fromkeys(each.notes if each is not None else ()))

    def end(self, more: float = 0.0) -> float:
        """The processor time at which an evaluation is broken off."""
        if self.seconds is None:
            return math.inf
        return more + (self.until if self.until < math.inf else time.process_time() + self.seconds)

    def examined(self, made: Prepared, args: Args, order: int, only: int | None = None) -> Iterator[tuple[int, list[Entry]]]:
        """(which, entries) of the whole and of each rule within; of one of them alone where `only` says so."""
        leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(args)]
        if self.solves is not None:
            allowed = self.allowed if self.allowed != ULP else None
            yield (
                WHOLE,
                examine_solution(
                    self.f, self.solves, args, made.names, self.preparation.constant_leaves(args), allowed, self.compiled
                ),
            )
            return
        floats = True
        if made.whole is not None and self._is_open(WHOLE, order, only):
            name = made.whole_named.name if made.whole_named else shown_name(self.f)
            entries = examine(made.whole, leaves, name, order=order, allowed=self.allowed)
            if made.whole_named is None and any(is_faint(entry) for entry in entries):
                within = [e for k in range(len(made.calls)) for e in self._rule_alone(made, k, leaves, order, floats=True)]
                entries = as_its_rules(made.whole, leaves, entries, within)
            yield WHOLE, entries
            # what f as a whole keeps in float64 is not lost by a rule within
            floats = not all(entry.kind in ("right", "within", "kink") for entry in entries)
        for k in range(len(made.calls)):
            if self._is_open(k, order, only):
                entries = self._rule_alone(made, k, leaves, order, floats)
                if entries:
                    yield k, entries

    def _rule_alone(self, made: Prepared, k: int, leaves: list[np.ndarray], order: int, floats: bool) -> list[Entry]:
        """The entries of a rule within, at what it receives; none where that is no finite number."""
        call, alone = made.calls[k]
        received = _received(call, leaves)
        if received is None:
            return []
        handed = k, order, floats, tuple(x.tobytes() for x in received)
        if handed not in self.handed:
            start = time.process_time()
            self.handed[handed] = examine(alone, received, call.named.name, order=order, allowed=self.allowed, floats=floats)
            if (k, order) not in self.begun:
                self.begun.add((k, order))
                self.until += time.process_time() - start
        return self.handed[handed]

    def _with_intents(self, made: Prepared, examined: list[tuple[int, list[Entry]]]) -> Iterator[tuple[int, list[Entry]]]:
        """A rule for a function that returns its argument as it is can only be meant to change the gradient."""
        changed = {which for which, entries in examined if any(entry.kind == "WRONG" for entry in entries)}
        meant = {k for k, (_, alone) in enumerate(made.calls) if alone.is_identity and k in changed}
        if made.whole_named is not None and made.whole is not None and made.whole.is_identity:
            meant.add(WHOLE)
        for which, entries in sorted(examined, key=lambda pair: -pair[0]):
            note = _IDENTITY if which in meant else ""
            if which == WHOLE and not note:
                names = sorted({made.calls[k][0].named.name for k in meant if k >= 0})
                note = f"by the rule of {', '.join(names)}, which is meant so" if names else ""
            yield which, [replace(e, kind="meant so", note=note) if note and e.kind == "WRONG" else e for e in entries]

    def constants_are_meant(self) -> None:
        """A rule with a slope for a function that is constant piece by piece is meant so: straight through, a surrogate."""
        groups: dict[tuple[str, int], list[int]] = {}
        for place, judged in enumerate(self.judged):
            if judged.which != WHOLE or judged.prepared.whole_named is not None:
                groups.setdefault((judged.entry.rule, judged.entry.order), []).append(place)
        for (rule, order), places in groups.items():
            true = [value for place in places if (value := self.judged[place].entry.true)]
            if len(true) < _CONSTANT_ENOUGH or any(value != "0" for value in true) or self._has_slope(rule, below=order):
                continue
            for place in places:
                if self.judged[place].entry.kind == "WRONG":
                    self.judged[place] = self.judged[place].meant(_CONSTANT)

    def is_flat(self, entry: Entry, *, by_jax: bool = False) -> bool:
        """Whether the derivative by an entry's argument, the true one or JAX's, is 0 at all inputs, enough of them."""
        others = (judged.entry for judged in self.judged)
        alike = [e for e in others if (e.rule, e.order, e.argument) == (entry.rule, entry.order, entry.argument)]
        values = [value for e in alike if (value := e.jax if by_jax else e.true)]
        return len(values) >= _CONSTANT_ENOUGH and set(values) == {"0"}

    def _has_slope(self, rule: str, *, below: int) -> bool:
        """Whether a derivative of a lower order is not 0: no rule is meant to bend a linear function."""
        entries = [judged.entry for judged in self.judged]
        return any(e.rule == rule and e.order < below and e.true not in ("", "0") for e in entries)

    def all_is_meant(self, intent: str) -> None:
        """What differs from the derivative is meant so."""
        off = ("WRONG", "NaN", "within")
        self.judged = [judged.meant(intent) if judged.entry.kind in off else judged for judged in self.judged]

    def _is_open(self, which: int, order: int, only: int | None) -> bool:
        """Whether it is still to be judged: what was wrong at a few inputs needs no more of them."""
        return only == which or (only is None and self.wrong[which, order] < _WRONG_ENOUGH)


def _received(call: Call, leaves: Sequence[np.ndarray]) -> list[np.ndarray] | None:
    """The arguments that a call receives, rounded to floats; None where they are not finite numbers."""
    if call.direct:
        return [*leaves]
    if call.arguments is None:
        return None
    balls = list(map(as_balls, leaves))
    try:
        with precision(256):
            found = call.arguments.run(Context(constants="exact"), *balls)
    except Exception:  # numbers so large that balls refuse them
        return None
    made = list[np.ndarray]()
    for x, aval in zip(found, call.avals, strict=True):
        real = jax.numpy.issubdtype(aval.dtype, np.floating)
        array = np.asarray(x)
        if real:
            array = np.array([float(v) for v in array.ravel()]).reshape(array.shape)
            if not np.all(np.isfinite(array)):
                return None
        made.append(array)
    return made


def _array(x: Any) -> np.ndarray:
    array = np.asarray(x)
    return array if array.dtype.kind in "iub" and not isinstance(x, int | bool) else array.astype(np.float64)
