"""`judge_rule` and `assert_rule`: is the derivative that JAX gets by a rule the derivative of the function itself?"""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast
from weakref import WeakKeyDictionary

import jax
import numpy as np
from jax.extend import core

from autodiff_ref.judge.balls import precision
from autodiff_ref.judge.balls.context import Context
from autodiff_ref.judge.comparing import ULP
from autodiff_ref.judge.counterexample import leaf_names, readable
from autodiff_ref.judge.evaluation import as_balls
from autodiff_ref.judge.inputs import RandomSource, draw_arguments, main_sizes
from autodiff_ref.judge.lines.trace import shape_key
from autodiff_ref.judge.rules.calls import Call, Named, calls_of, iterates, named_calls
from autodiff_ref.judge.rules.catalogue import row_of_function
from autodiff_ref.judge.rules.edges import constants_of, edge_inputs
from autodiff_ref.judge.rules.examining import CLOSE, examine
from autodiff_ref.judge.rules.findings import FAILS, ORDER, Entry, Finding, Gathered, Kind, Rule, RuleReport
from autodiff_ref.judge.rules.probing import annotated, probed
from autodiff_ref.judge.rules.reproducing import in_floats, reproducer
from autodiff_ref.judge.rules.residuals import residual_mistake
from autodiff_ref.judge.rules.shrinking import simpler_inputs
from autodiff_ref.judge.rules.solving import examine_solution
from autodiff_ref.judge.rules.subject import RaisesError, Subject, subject
from manual_grad.claims import Within
from manual_grad.derivation import argument_names, label_of
from manual_grad.domains import Domain
from manual_grad.domains.labels import Constants

Args = tuple[Any, ...]

SHRINKING = 5.0
"""seconds beyond the limit that may be spent on that"""

SHRINKS = 60
"""inputs that are tried to make a finding simpler"""

_IDENTITY = "the function returns its argument as it is: a rule for it can only be meant to change the gradient"
_CONSTANT = "the function is constant piece by piece: a rule with a slope can only be meant so"
_CONSTANT_ENOUGH = 5
"""entries that are 0 in truth, before a function is taken to be constant"""

_CANCELS = "f as a whole is right: mistakes that cancel, or a rule that is meant so (say intent=)"

_WRONG_ENOUGH = 6
"""inputs at which a rule is wrong, after which no more are tried"""

_ENOUGH = 4
"""findings that are shrunk"""


class _NoRealError(NotImplementedError):
    """A rule for a function that nothing is differentiated by."""


@dataclass(frozen=True)
class Relative:
    """By what share of its value a derivative may be off: `within=Relative(1e-9)`."""

    share: float

    def __post_init__(self) -> None:
        if not 0 < self.share < np.inf:
            raise ValueError(f"Relative takes a finite number above 0, got {self.share!r}")


@dataclass(frozen=True)
class _Told:
    """A function of balls that says what the value is, in the place of a plan."""

    function: Callable[..., Any]
    meanings: frozenset[str] = frozenset()

    def run(self, context: Context, *args: Any) -> list[Any]:
        """Its values at balls."""
        del context
        given = [x.item() if np.ndim(x) == 0 else x for x in map(np.asarray, args)]
        made = self.function(*given)
        return [np.asarray(part, dtype=object) for part in (made if isinstance(made, list | tuple) else [made])]


@dataclass
class Prepared:
    """f at one shape: as a whole, and the rules within."""

    structure: Any
    names: tuple[str, ...]
    whole: Subject | None
    whole_named: Named | None
    """the rule that f as a whole is"""
    calls: list[tuple[Call, Subject]]
    rules: list[Rule]
    program: Any = None
    """f, traced"""
    missing: list[tuple[Kind, str, str, str]] = field(default_factory=list[tuple[Kind, str, str, str]])
    """(undecided or raises, function, place, why) of what cannot be judged"""


_PREPARED: "WeakKeyDictionary[Any, dict[Any, Prepared]]" = WeakKeyDictionary()


def judge_rule(
    f: Callable[..., Any],
    *,
    domain: Any = None,
    at: Sequence[Any] | None = None,
    order: int = 1,
    within: Within | Relative | None = None,
    truth: Callable[..., Any] | None = None,
    solves: Callable[..., Any] | None = None,
    intent: str = "",
    seed: int = 0,
    seconds: float | None = None,
) -> RuleReport:
    """Judges JAX's derivatives of a function, and those of every function within that has a rule of its own.

    Args:
        f: a function of arrays, in `jax.numpy`.
        domain: of its arguments, as `(reals("n"), positives())`. Without it, and without `at`, the domain is taken from
            jaxtyping's annotations, or from the catalogue of libraries, or found by trying which arguments f takes.
        at: further inputs. Each is a tuple of arguments, or the argument itself if f has one.
        order: 2 judges the derivative of the gradient as well, and so on.
        within: how far the rule may be off, as `Relative(1e-9)` or `Within(ulps=4)`. The gap is measured.
        truth: what f approximates, as a function of balls (`flint.arb`).
        solves: the equation that the value of f solves, `lambda y, a: y * y - a`. It is differentiated in place of f.
        intent: what the rule is for, if it is meant to be no derivative. The report says so.
        seed: of the inputs.
        seconds: after so much processor time no further input is judged; the first one is left out of it.

    Raises:
        TypeError: an argument is of the wrong kind.
        ValueError: no domain is given, and none is found.
    """
    start = time.monotonic()
    _check(f, order, within)
    leaves_of = _as_domain(f, domain)
    chosen, how = leaves_of, "domain given"
    if chosen is None and at is None:
        chosen, how = found_domain(f)
        if chosen is None:
            raise ValueError(
                f"{label_of(f)}: no arguments were found that it takes: pass domain=, as domain=(reals('n'),), or at=[…]"
            )
    elif chosen is None:
        how = "inputs given"
    row = row_of_function(f)
    if row is not None:
        intent = intent or row.intent
        within = within or (Relative(row.within) if row.within else None)
    allowed = ULP if within is None else within.share if isinstance(within, Relative) else _share(within)
    run = _Run(f, chosen, at or [], allowed, truth, solves, seed, seconds)
    for k in range(1, order + 1):
        run.judge(k)
    run.constants_are_meant()
    if intent:
        run.gathered.as_meant(intent)
    return run.report(how, time.monotonic() - start)


def found_domain(f: Callable[..., Any]) -> tuple[Args | None, str]:
    """A domain that nobody gave, and where it is from: annotations, the catalogue, or else by trying."""
    row = row_of_function(f)
    for source, look in (
        ("annotations", lambda: annotated(f)),
        ("the catalogue", lambda: None if row is None else row.expression.domain),
        ("probing", lambda: probed(f)),
    ):
        chosen = look()
        if chosen is not None:
            return chosen, f"domain by {source}: {said(chosen)}"
    return None, ""


def assert_rule(f: Callable[..., Any], **options: Any) -> None:
    """Raises where a derivative of f, or of a function with a rule within, is wrong or missing. See `judge_rule`.

    Raises:
        AssertionError: JAX has another value than the derivative, or none; or nothing could be decided.
    """
    report = judge_rule(f, **options)
    if not report.ok:
        raise AssertionError(str(report))


def said(domain: Args) -> str:
    """A domain as one would write it."""
    parts = list[str]()
    for leaf in jax.tree.leaves(domain):
        dims = "".join(f"{dim!r}, " for dim in leaf.dims)
        ends = f"{leaf.low:g}, {leaf.high:g}, " if hasattr(leaf, "low") else ""
        parts.append(f"{type(leaf).__name__.lower()}({(ends + dims).rstrip(', ')})")
    return ", ".join(parts)


def _share(within: Within) -> float:
    return within.relative if within.relative is not None else (within.ulps or 1.0) * ULP


def _check(f: Any, order: Any, within: Any) -> None:
    if not callable(f):
        raise TypeError(f"judge_rule takes a function, got {f!r}")
    if isinstance(order, bool) or not isinstance(order, int) or order < 1:
        raise TypeError(f"order is a whole number from 1 on, got {order!r}")
    if within is not None and not isinstance(within, Within | Relative):
        raise TypeError(f"within is Relative(1e-9) or Within(ulps=4), got {within!r}")


def _as_domain(f: Callable[..., Any], domain: Any) -> Args | None:
    if domain is None:
        return None
    made = cast("Args", domain if isinstance(domain, tuple) and not hasattr(domain, "_fields") else (domain,))
    wrong = [leaf for leaf in jax.tree.leaves(made) if not isinstance(leaf, Domain)]
    if wrong:
        raise TypeError(f"{label_of(f)}: domain holds domains, as reals('n') and positives(), got {wrong[0]!r}")
    return made


class _Run:
    """One judgement."""

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
    ) -> None:
        self.f, self.domain, self.allowed, self.truth, self.solves = f, domain, allowed, truth, solves
        self.seed, self.seconds = seed, seconds
        self.until = math.inf
        """processor time of this process; counted from when the first input is judged, and all programs are made"""
        self.sizes = main_sizes(domain, {})[0] if domain is not None else {}
        self.at = [self._given(each) for each in at]
        self.gathered = Gathered()
        self.sources: dict[int, tuple[Args, int, Prepared, int]] = {}
        """by the id of an entry: the input of f, the order, what was prepared, and which call it is, −1 for the whole"""
        self.rules: dict[tuple[str, str], Rule] = {}
        self.missing: dict[tuple[Kind, str, str, str], None] = {}
        self.notes: dict[str, None] = {}
        self.first: tuple[Args, Prepared] | None = None
        """the first input, and what was prepared for it"""
        self.inputs = 0
        self.compiled: dict[Any, Any] = {}
        self.wrong = Counter[tuple[int, int]]()
        """inputs at which the whole (−1) or a rule within is wrong, by order"""

    def _given(self, each: Any) -> Args:
        args = each if isinstance(each, tuple) else (each,)
        args = tuple(_array(x) if isinstance(x, list) else x for x in args)
        if self.domain is None:
            return jax.tree.map(_array, args)
        if len(args) != len(self.domain):
            raise ValueError(
                f"{label_of(self.f)}: at holds {len(args)} arguments in {each!r}, and the domain has {len(self.domain)}"
            )
        leaves, structure = jax.tree.flatten(self.domain)
        made = [_array(x) for x in jax.tree.leaves(args)]
        shapes = [leaf.sized(self.sizes).shape for leaf in leaves]
        wide = [np.broadcast_to(x, s).copy() if x.ndim == 0 else x for x, s in zip(made, shapes, strict=True)]
        return jax.tree.unflatten(structure, wide)

    # Preparing

    def prepare(self, args: Args, order: int) -> Prepared:
        """f at the shapes of an input, traced once."""
        # what stands for the value decides what is prepared
        fixed = tuple((k, x.tobytes()) for k, x in self._fixed(args).items())
        moves = tuple(self._parts().items())
        key = (
            shape_key(args),
            jax.tree.structure(args),
            order,
            self.truth,
            self.solves,
            self._constant_leaves(args),
            fixed,
            moves,
        )
        try:
            kept = _PREPARED.setdefault(self.f, {})
        except TypeError:  # it cannot be referred to weakly, or has no hash
            kept = self.__dict__.setdefault("_kept", {})
        if key not in kept:
            kept[key] = self._prepared(args, order)
        return kept[key]

    def _fixed(self, args: Args) -> dict[int, np.ndarray]:
        """The leaves whose domain is one value: a function may ask for that while it is traced, as `if scale == 1`."""
        leaves = [] if self.domain is None else jax.tree.leaves(self.domain)
        given = jax.tree.leaves(args)
        return {k: np.asarray(given[k]) for k, leaf in enumerate(leaves) if isinstance(leaf, Constants)}

    def _constant_leaves(self, args: Args) -> tuple[int, ...]:
        """Leaves that no derivative is asked by: whole numbers, labels and constants."""
        leaves = jax.tree.leaves(args)
        known = [k for k, x in enumerate(leaves) if not np.issubdtype(np.asarray(x).dtype, np.floating)]
        if self.domain is not None:
            known += [k for k, leaf in enumerate(jax.tree.leaves(self.domain)) if leaf.known]
        return tuple(sorted(set(known)))

    def _prepared(self, args: Args, order: int) -> Prepared:
        leaves, structure = jax.tree.flatten(args)
        leaves = [np.asarray(leaf) for leaf in leaves]
        called = argument_names(self.f) or []
        names = leaf_names(args, [called[k] if k < len(called) else f"x{k}" for k in range(len(args))])
        held = self._constant_leaves(args)
        by = [k for k in range(len(leaves)) if k not in held]
        if not by:
            raise ValueError(f"{label_of(self.f)}: none of its arguments is a real number to differentiate by")

        fixed = self._fixed(args)

        def flat(*xs: Any) -> list[Any]:
            given = [fixed.get(k, x) for k, x in enumerate(xs)]
            return jax.tree.leaves(self.f(*jax.tree.unflatten(structure, given)))

        with jax.enable_x64(True):
            closed = jax.make_jaxpr(flat)(*leaves)
        traced = core.jaxpr_as_fun(closed)  # f itself is traced once, however long that takes
        made = Prepared(structure, names, None, None, [], [], closed.jaxpr)
        whose = label_of(self.f)
        judged, others = set[tuple[str, str]](), dict[tuple[str, str], str]()
        if self.solves is None:
            for call in calls_of(closed):
                named = call.named
                if call.whole:
                    made.whole_named = named
                    judged.add((named.name, named.place))
                    continue
                try:
                    made.calls.append((call, self._alone(call, order)))
                    judged.add((named.name, named.place))
                except _NoRealError:
                    others[named.name, named.place] = "it takes no real number"
                except Exception as error:
                    made.missing.append((_lack(error), named.name, named.place, _reason(error)))
        told = None if self.truth is None else _Told(self.truth)
        lone = made.whole_named is not None
        has_cotangent = not lone or (made.whole_named is not None and made.whole_named.kind == "custom_vjp")
        if self.solves is None:
            try:
                made.whole = subject(
                    self._within_domain(traced),
                    leaves,
                    by,
                    names,
                    order=order,
                    truth=told if order == 1 else None,
                    has_cotangent=has_cotangent,
                    ruled=lone,
                )
            except Exception as error:
                place = made.whole_named.place if made.whole_named else ""
                made.missing.append((_lack(error), whose, place, _reason(error)))
        for named, inside in named_calls(closed.jaxpr):
            key = named.name, named.place
            if not any((rule.name, rule.place) == key for rule in made.rules):
                why = (
                    ""
                    if key in judged
                    else "f is judged by its equation"
                    if self.solves is not None
                    else "it is called in a loop or a branch"
                    if inside
                    else others.get(key, "see below")
                )
                made.rules.append(Rule(named.name, named.place, named.kind, key in judged, why))
        return made

    def _within_domain(self, f: Callable[..., Any]) -> Callable[..., Any]:
        """f of the symmetric part, or of the lower triangle, of arguments that are so: no entry of these moves alone."""
        parts = self._parts()
        if not parts:
            return f
        return lambda *xs: f(*(parts[k](x) if k in parts else x for k, x in enumerate(xs)))

    def _parts(self) -> dict[int, Callable[[Any], Any]]:
        leaves = [] if self.domain is None else jax.tree.leaves(self.domain)
        return {k: leaf.part for k, leaf in enumerate(leaves) if leaf.part is not Domain.part}

    def _alone(self, call: Call, order: int) -> Subject:
        floats = [k for k, a in enumerate(call.avals) if jax.numpy.issubdtype(a.dtype, np.floating) and k not in call.held]
        if not floats:
            raise _NoRealError("it takes no real number")
        names = [f"argument {k}" if len(call.avals) > 1 else "x" for k in range(len(call.avals))]
        function: Any = call.function
        return subject(
            lambda *xs: list(function(*xs)), call.avals, floats, names, order=order,
            has_cotangent=call.named.kind == "custom_vjp", ruled=True,
        )  # fmt: skip

    # Judging

    def _inputs(self, order: int) -> Iterator[Args]:
        yield from self.at
        if self.domain is None:
            return
        first = draw_arguments(self.domain, self.sizes, "ordinary", RandomSource(np.random.default_rng(self.seed)))
        made = self.prepare(first, order)
        plans = [p for s in (made.whole, *(s for _, s in made.calls)) if s for p in (s.value, *s.derivatives.values())]
        for _, args in edge_inputs(self.domain, self.sizes, constants_of(plans), self.seed):
            yield args

    def judge(self, order: int) -> None:
        """Judges the derivative of one order at all inputs."""
        for args in self._inputs(order):
            if time.process_time() > self.until:
                self.notes.setdefault("the time was up before all inputs were judged")
                return
            made = self.prepare(args, order)
            self.first = self.first or (args, made)
            for rule in made.rules:
                self.rules.setdefault((rule.name, rule.place), rule)
            self.missing.update(dict.fromkeys(made.missing))
            self.inputs += order == 1
            for which, entries in self._with_intents(made, list(self.examined(made, args, order))):
                self.wrong[which, order] += any(entry.kind == "WRONG" for entry in entries)
                for entry in entries:
                    self.gathered.entries.append(entry)
                    self.sources[id(entry)] = args, order, made, which
            if self.seconds is not None and self.until == math.inf:
                self.until = time.process_time() + self.seconds
        last = self._last(order) if self.inputs else None
        for each_one in (last.whole, *(each for _, each in last.calls)) if last is not None else ():
            self.notes.update(dict.fromkeys(each_one.notes if each_one is not None else ()))

    def _last(self, order: int) -> Prepared | None:
        found = [source[2] for source in self.sources.values() if source[1] == order]
        return found[-1] if found else None

    def examined(self, made: Prepared, args: Args, order: int, only: int | None = None) -> Iterator[tuple[int, list[Entry]]]:
        """(which, entries) of the whole and of each rule within; of one of them alone where `only` says so."""
        leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(args)]
        if self.solves is not None:
            allowed = self.allowed if self.allowed != ULP else None
            yield (
                -1,
                examine_solution(self.f, self.solves, args, made.names, self._constant_leaves(args), allowed, self.compiled),
            )
            return
        if made.whole is not None and self._is_open(-1, order, only):
            name = made.whole_named.name if made.whole_named else label_of(self.f)
            yield -1, examine(made.whole, leaves, name, order=order, allowed=self.allowed)
        for k, (call, alone) in enumerate(made.calls):
            if self._is_open(k, order, only):
                received = _received(call, leaves)
                if received is not None:
                    yield k, examine(alone, received, call.named.name, order=order, allowed=self.allowed)

    def _with_intents(self, made: Prepared, examined: list[tuple[int, list[Entry]]]) -> Iterator[tuple[int, list[Entry]]]:
        """A rule for a function that returns its argument as it is can only be meant to change the gradient."""
        changed = {which for which, entries in examined if any(entry.kind == "WRONG" for entry in entries)}
        meant = {k for k, (_, alone) in enumerate(made.calls) if alone.is_identity and k in changed}
        if made.whole_named is not None and made.whole is not None and made.whole.is_identity:
            meant.add(-1)
        for which, entries in sorted(examined, key=lambda pair: -pair[0]):
            note = _IDENTITY if which in meant else ""
            if which == -1 and not note:
                names = sorted({made.calls[k][0].named.name for k in meant if k >= 0})
                note = f"by the rule of {', '.join(names)}, which is meant so" if names else ""
            yield which, [replace(e, kind="meant so", note=note) if note and e.kind == "WRONG" else e for e in entries]

    def constants_are_meant(self) -> None:
        """A rule with a slope for a function that is constant piece by piece is meant so: straight through, a surrogate."""
        groups: dict[tuple[str, int], list[Entry]] = {}
        for entry in self.gathered.entries:
            source = self.sources.get(id(entry))
            if source is not None and (source[3] >= 0 or source[2].whole_named is not None):
                groups.setdefault((entry.rule, entry.order), []).append(entry)
        for group in groups.values():
            true = [entry.true for entry in group if entry.true]
            if len(true) < _CONSTANT_ENOUGH or any(value != "0" for value in true):
                continue
            if self._is_linear(group):
                continue
            for entry in group:
                if entry.kind == "WRONG":
                    made = replace(entry, kind="meant so", note=_CONSTANT)
                    self.sources[id(made)] = self.sources[id(entry)]
                    self.gathered.entries[self.gathered.entries.index(entry)] = made

    def _is_linear(self, group: Sequence[Entry]) -> bool:
        """Whether what is 0 is a second derivative of a function that has a first one: no rule is meant to bend it."""
        rule, order = group[0].rule, group[0].order
        return order > 1 and any(
            e.rule == rule and e.order < order and e.true not in ("", "0") for e in self.gathered.entries
        )

    def _is_open(self, which: int, order: int, only: int | None) -> bool:
        """Whether it is still to be judged: what was wrong at a few inputs needs no more of them."""
        return only == which or (only is None and self.wrong[which, order] < _WRONG_ENOUGH)

    # Reporting

    def report(self, how: str, seconds: float) -> RuleReport:
        """What was found."""
        entries = self.gathered.entries
        groups: dict[tuple[Kind, str, int], list[Entry]] = {}
        for entry in entries:
            if entry.kind not in ("right", "kink", "not differentiable"):
                groups.setdefault((entry.kind, entry.rule, entry.order), []).append(entry)
        findings = list[Finding]()
        within = {(kind, order) for (kind, _, order), group in groups.items() if self._which(group) >= 0}
        shown: dict[tuple[Kind, int], Args] = {}
        """inputs at which f as a whole is seen to be wrong"""

        def rank(item: tuple[tuple[Kind, str, int], list[Entry]]) -> tuple[int, bool]:
            return _rank(item[0][0]), self._which(item[1]) >= 0

        for (kind, rule, order), group in sorted(groups.items(), key=rank):
            worst = min(group, key=_plainness) if kind in FAILS else max(group, key=lambda e: _finite(e.gap))
            source = self.sources.get(id(worst))
            args, note, snippet, which = (), worst.note, "", self._which(group)
            if kind in FAILS and source is not None and len(findings) < _ENOUGH:
                worst, args = self._shrunk(worst, source)
                note = worst.note
            if source is not None:
                args = args or source[0]
                if which < 0:
                    shown[kind, order] = args
                else:
                    note = "; ".join(filter(None, [note, f"in {label_of(self.f)} at {readable(args, source[2].names)}"]))
                follows = which < 0 and (kind, order) in within
                if kind == "WRONG" and which >= 0 and self._whole_is_right(order):
                    note = f"{note}; {_CANCELS}"
                note = f"{note}; see the rule within" if follows else note
                if kind in FAILS and not follows:
                    snippet = reproducer(self.f, shown.get((kind, order), args), source[2].names, order)
            findings.append(
                Finding(kind, rule, self._place(source), worst.name, worst.at, worst.jax, worst.true, worst.gap, note,
                        len(group), order, snippet, self._in_floats(source, args, worst) if snippet and which < 0 else "")
            )  # fmt: skip
        findings.sort(key=lambda finding: (_rank(finding.kind), "see the rule within" in finding.note))
        findings += self._keeps()
        findings += [Finding(kind, rule, place, "", "", "", "", 0.0, why, 0) for kind, rule, place, why in self.missing]
        return RuleReport(
            label_of(self.f),
            how,
            self.inputs,
            tuple(self.rules.values()),
            tuple(entries),
            tuple(findings),
            (*self._kinks(entries), *self.notes),
            seconds,
        )

    def _whole_is_right(self, order: int) -> bool:
        """Whether f as a whole was judged, and is neither wrong nor without a value anywhere."""
        kinds = {
            entry.kind
            for entry in self.gathered.entries
            if entry.order == order and (source := self.sources.get(id(entry))) is not None and source[3] < 0
        }
        return bool(kinds & {"right", "within"}) and not kinds & {"WRONG", "NaN"}

    def _in_floats(self, source: tuple[Args, int, Prepared, int] | None, args: Args, entry: Entry) -> str:
        """What JAX says of an entry of f as a whole in float64 and in float32."""
        whole = None if source is None else source[2].whole
        if source is None or whole is None or entry.order > 1 or entry.name not in whole.entries:
            return ""
        if whole.loops or iterates(source[2].program):  # a tolerance of 1e-12 is never reached in float32
            return ""
        return in_floats(self.f, args, whole.by, whole.entries.index(entry.name))

    def _keeps(self) -> Iterator[Finding]:
        """A finding where a custom_vjp does not keep what it needs as residuals."""
        kept = [rule for rule in self.rules.values() if rule.kind == "custom_vjp"]
        if not kept or self.first is None or self.solves is not None:
            return
        args, made = self.first
        structure = jax.tree.structure(args)
        leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(args)]
        held, fixed = self._constant_leaves(args), self._fixed(args)

        def flat(*xs: Any) -> list[Any]:
            return jax.tree.leaves(self.f(*jax.tree.unflatten(structure, [fixed.get(k, x) for k, x in enumerate(xs)])))

        why = residual_mistake(flat, leaves, [k for k in range(len(leaves)) if k not in held])
        if why:
            names = ", ".join(dict.fromkeys(rule.name for rule in kept))
            yield Finding("residuals", names, kept[0].place, "", readable(args, made.names), "", "", 0.0, why, 1)

    def _which(self, group: Sequence[Entry]) -> int:
        """−1 for f as a whole, else the number of the rule within."""
        source = self.sources.get(id(group[0]))
        return -1 if source is None else source[3]

    def _place(self, source: tuple[Args, int, Prepared, int] | None) -> str:
        if source is None:
            return ""
        made, which = source[2], source[3]
        if which >= 0:
            return str(made.calls[which][0].named.place)
        return made.whole_named.place if made.whole_named is not None else ""

    def _kinks(self, entries: Sequence[Entry]) -> Iterator[str]:
        """One note for each rule: which convention it takes at a kink."""
        seen: set[str] = set()
        for entry in entries:
            if entry.kind == "kink" and entry.rule not in seen:
                seen.add(entry.rule)
                yield f"kink of {entry.rule} at {entry.at}: {entry.name}: {entry.note}"

    def _shrunk(self, worst: Entry, source: tuple[Args, int, Prepared, int]) -> tuple[Entry, Args]:
        """The same finding at a simpler input."""
        args, order, _, which = source
        best, tries = worst, 0

        def still(candidate: Args) -> bool:
            nonlocal best, tries
            tries += 1
            made = self.prepare(candidate, order)
            if which >= len(made.calls):
                return False
            for _, entries in self.examined(made, candidate, order, which):
                alike = [e for e in entries if e.kind == worst.kind and (e.note == worst.note)]
                if alike:
                    best = min(alike, key=_plainness)
                    return True
            return False

        if self.domain is None or self.solves is not None:
            return worst, args
        found = args
        for candidate in simpler_inputs(self.domain, args):
            if tries >= SHRINKS or time.process_time() > self.until + SHRINKING:
                break
            made = candidate(found)
            if made is not None and still(made):
                found = made
        return best, found


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


def _lack(error: BaseException) -> Kind:
    return "raises" if isinstance(error, RaisesError) else "undecided"


def _reason(error: BaseException) -> str:
    return (
        str(error)[:200]
        if isinstance(error, RaisesError)
        else f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:200]}"
    )


def _rank(kind: Kind) -> int:
    return ORDER.index(kind)


def _plainness(entry: Entry) -> tuple[bool, bool, int, float]:
    """Ordinary modes first, then what is not close, then the shortest input, then the largest gap."""
    return "float64" in entry.note, entry.gap < CLOSE, len(entry.at), -_finite(entry.gap)


def _finite(gap: float) -> float:
    return gap if np.isfinite(gap) else 1e300
