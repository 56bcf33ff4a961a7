"""The bench: a derivation's lines, traced and evaluated at all inputs, each once, and compared."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import cast

import jax
import numpy as np

from autodiff_ref.judge.claim import AtInput, Claim, decide
from autodiff_ref.judge.comparing import COARSE, PRECISIONS, ULP, Comparison, Evaluator, evaluator
from autodiff_ref.judge.counterexample import Counterexample, leaf_names, readable
from autodiff_ref.judge.domains import inexact_flags
from autodiff_ref.judge.evaluation import note_comparisons
from autodiff_ref.judge.inputs import Input, NoInputError
from autodiff_ref.judge.lines.reduction import reduced
from autodiff_ref.judge.lines.reference import Differentiated, WrongReference, arguments_of, differentiated_leaves, own_rules
from autodiff_ref.judge.lines.trace import REFERENCE, NablaCall, ShapeKey, Traced, claims_to_hold, shape_key
from autodiff_ref.judge.lines.traces import Traces
from autodiff_ref.judge.program.comparisons import OPEN, Site
from autodiff_ref.judge.program.plans import Plan
from autodiff_ref.judge.shrink import simplest
from autodiff_ref.judge.snippet import example, snippet
from autodiff_ref.judge.truth import UNKNOWN, Truth
from autodiff_ref.trees import Arguments
from manual_grad.derivation import Derivation, Line, argument_names, label_of

MOST_TIMES = 4
"""At most so many times the inputs that are wanted are tried, to find as many with information."""


@dataclass
class Relation:
    """What all inputs together say of two lines."""

    tried: int = 0
    equal: Counter[str] = field(default_factory=Counter[str])
    """by stratum, how many inputs they are equal at"""
    vanishing: int = 0
    """of the equal ones, how many where both lines are 0"""
    equal_at_main: int = 0
    """of the equal ones, how many are of the main sizes, not of size 1"""
    informative_at_main: int = 0
    """of these, how many where the lines are not 0"""
    silent: Counter[str] = field(default_factory=Counter[str])
    """inputs that say nothing, by why"""
    why_unclear: str = ""
    """the comparison that could not be resolved at the first input where balls could not tell"""
    lacking: int = 0
    """inputs at which the first line has no value and the gradient exists"""
    first_lacking: str = ""
    shortest_lacking: str = ""
    """the one of them that takes the fewest characters to write"""
    kinks: int = 0
    """inputs at which the gradient has a kink in some entry"""
    conventions: Counter[str] = field(default_factory=Counter[str])
    """which one-sided derivative the first line takes at kinks"""
    shapes: dict[str, None] = field(default_factory=dict[str, None])
    resolution: float = 0.0
    gap: float = 0.0
    """by what share of the gradient the lines differ at most, with constants as written, where they count as equal"""
    ulps: float = 0.0
    """the same in ulps of the entry"""
    stops_apart: bool = False
    """whether two iterations go to the same, and stop elsewhere"""
    rounded: int = 0
    """inputs that are in their domain up to rounding alone, which explains a difference"""
    differences: list[tuple[Input, Comparison]] = field(default_factory=list[tuple[Input, Comparison]])
    no_rule: str = ""

    def add(self, given: Input, compared: Comparison, shape: str = "", at: str = "") -> None:
        """Counts what was found at one input."""
        self.tried += 1
        self.kinks += compared.outcome == "kink" or compared.kinks > 0
        self.conventions.update(compared.conventions)
        match compared.outcome:
            case "equal":
                self.equal[given.stratum] += 1
                self.vanishing += compared.vanishes
                self.equal_at_main += given.main
                self.informative_at_main += given.main and not compared.vanishes
                self.resolution = max(self.resolution, compared.resolution)
                self.gap = max(self.gap, compared.gap)
                self.ulps = max(self.ulps, compared.ulps)
                self.stops_apart |= compared.stops_apart
                self.rounded += compared.rounded
                self.shapes[shape] = None
            case "different":
                self.differences.append((given, compared))
            case "undefined in one" if compared.lacking == 0:
                self.lacking += 1
                self.first_lacking = self.first_lacking or at
                self.shortest_lacking = min(self.shortest_lacking or at, at, key=len)
            case why:
                self.silent["undefined" if why == "undefined in one" else why] += 1

    @property
    def informative(self) -> int:
        """How many inputs of the main sizes show that the lines are equal; where both are 0 at all of them, these do."""
        doubtful = self.silent["kink"] + self.silent["unclear"] + self.lacking
        all_vanish = self.vanishing == self.equal.total() and not doubtful
        return self.equal_at_main if all_vanish else self.informative_at_main

    def is_short(self, wanted: int) -> bool:
        """Whether nothing is missing but inputs with information."""
        doubtful = self.differences or self.no_rule or self.lacking or self.silent["unclear"]
        return bool(self.equal) and not doubtful and self.informative < wanted


def _is_met(condition: Plan, args: Arguments) -> bool:
    """Whether a condition holds at an input for certain."""
    at = evaluator(condition, args)
    found = next((made for bits in PRECISIONS if not (made := at(bits, "exact", "exact")).unresolved), None)
    return found is not None and all(value == 1 for value in found.values)


class Bench:
    """The inputs of a derivation, and its lines at them."""

    def __init__(
        self, derivation: Derivation, inputs: Sequence[Input], *, may_shrink: bool, traces: Traces | None = None
    ) -> None:
        if not inputs:
            raise NoInputError("no inputs were given")
        self.may_shrink = may_shrink
        self.derivation, self.inputs = derivation, list(inputs)
        self.more: Iterator[Input] = iter(())
        """inputs to be added where those that there are give too little information"""
        self.traces = traces.shared_with(derivation) if traces else Traces(derivation)
        self.checked: dict[str, None] = {}
        self.unchecked: dict[str, str] = {}
        self._evaluators: dict[tuple[int, int], Evaluator] = {}
        self.wrong: dict[str, WrongReference] = {}
        """functions that JAX differentiates wrongly at some input tried that is no tie"""
        self._truths: dict[tuple[ShapeKey, tuple[bytes, ...]], Truth] = {}
        self._differentiated: dict[ShapeKey, Differentiated] = {}
        self._bits: dict[int, int] = {}
        """the precision that showed two lines equal at an input, where those that are compared next are tried first"""

    def traced(self, line: Line | None, args: Arguments) -> Traced:
        """A line at the shapes of `args`; None is the reference."""
        return self.traces.line(line, args)

    def relation(self, line: Line, other: Line | None, wanted: int = 0) -> Relation:
        """Compares two lines at every input where both claim to hold; at more, until so many give information."""
        found = Relation()
        k = 0
        while k < len(self.inputs) or (self._wants_more(found, wanted) and self._draws_more(wanted)):
            if not self._add(found, line, other, k):
                break
            k += 1
        return found

    def _wants_more(self, found: Relation, wanted: int) -> bool:
        """Whether more inputs would help: some gave information, and not enough."""
        some = bool(found.equal) or found.tried == 0
        hopeless = found.lacking and not found.informative
        return some and found.informative < wanted and not found.differences and not hopeless

    def _draws_more(self, wanted: int) -> bool:
        """Adds one more input, if there is one and there are not too many."""
        given = next(self.more, None) if len(self.inputs) < MOST_TIMES * wanted else None
        if given is not None:
            self.inputs.append(given)
        return given is not None

    def _add(self, found: Relation, line: Line, other: Line | None, k: int) -> bool:
        """Adds what one input says; False where nothing more can be said of the two lines."""
        given = self.inputs[k]
        if not all(claims_to_hold(each, self.derivation, given.args) for each in (line, other)):
            return True
        ours, theirs = self.traced(line, given.args), self.traced(other, given.args)
        if ours.plan is None or theirs.plan is None:
            found.no_rule = ours.reason or theirs.reason
            return False
        try:
            start = self._bits.get(k) or min(self._bits.get(k - 1, 0), self._bits.get(k - 2, 0))
            compared = self._compared(ours, theirs, given.args, lambda traced: self.evaluator(traced, k), start)
            if not self._is_meant(compared, line, other, given.args):
                return True
        except Exception as error:  # the judge's own, or flint's: never a verdict on the line
            found.no_rule = f"the judge failed at an input: {type(error).__name__}: {error}"
            return False
        if compared.bits:
            self._bits[k] = compared.bits
        lacks = compared.outcome == "undefined in one" and (not found.lacking or not found.equal)
        at = readable(given.args, leaf_names(given.args, self.argument_names)) if lacks else ""
        if compared.outcome == "unclear" and not found.why_unclear:
            found.why_unclear = self._why_unclear([ours, theirs], given.args)
        found.add(given, compared, self._shape_name(given.args), at)
        return True

    def _why_unclear(self, programs: Sequence[Traced], args: Arguments) -> str:
        """Which comparison no precision resolves at an input, for people; or at which input that is."""
        at = f", as at {readable(args, leaf_names(args, self.argument_names))}"
        for plan in (traced.plan for traced in programs if traced.plan is not None):
            met: dict[Site, int] = {}
            note_comparisons(plan, args, PRECISIONS[-1], met)
            for site in (site for site, outcomes in met.items() if outcomes & OPEN):
                return f"{at}: {site} is of numbers that are equal, closer than {PRECISIONS[-1]} bits tell, or no numbers"
        return at

    def evaluator(self, traced: Traced, k: int) -> Evaluator:
        """A program at one of the inputs."""
        assert traced.plan is not None
        key = id(traced.plan), k  # `traces` keeps the plans
        if key not in self._evaluators:
            self._evaluators[key] = evaluator(traced.plan, self.inputs[k].args)
        return self._evaluators[key]

    def _shape_name(self, args: Arguments) -> str:
        """The sizes of the named dimensions: n=4 d=3."""
        return " ".join(f"{name}={size}" for name, size in self.sizes(args).items())

    def sizes(self, args: Arguments) -> dict[str, int]:
        """The sizes of the named dimensions."""
        domains = jax.tree.leaves(self.derivation.domain)
        sizes: dict[str, int] = {}
        pairs = zip(domains, jax.tree.leaves(args), strict=True)
        for domain, leaf in sorted(pairs, key=lambda pair: -len(pair[0].dims)):
            sizes.update({dim: size for dim, size in zip(domain.dims, leaf.shape, strict=False) if isinstance(dim, str)})
        return sizes

    def differ(self, line: Line, other: Line | None, args: Arguments) -> Comparison | None:
        """What certifies that two lines differ at an input; None where they do not, or that cannot be told."""
        compared = self.compared(line, other, args)
        return compared if compared is not None and compared.outcome == "different" else None

    def compared(self, line: Line, other: Line | None, args: Arguments) -> Comparison | None:
        """What balls say of two lines at any input; None where they cannot be asked."""
        if not all(claims_to_hold(each, self.derivation, args) for each in (line, other)):
            return None
        ours, theirs = self.traced(line, args), self.traced(other, args)
        if ours.plan is None or theirs.plan is None:
            return None
        try:
            found = self._compared(ours, theirs, args, lambda traced: evaluator(cast("Plan", traced.plan), args))
            return found if self._is_meant(found, line, other, args) else None
        except Exception:  # while shrinking: another input will do
            return None

    def _is_meant(self, found: Comparison, line: Line, other: Line | None, args: Arguments) -> bool:
        """Whether what was found counts: no mistake does where a condition is not met for certain.

        Floats may say that it is met, where they round. Where balls cannot compute it, what floats say counts.
        """
        if found.outcome not in ("different", "undefined in one"):
            return True
        conditions = [self.derivation.where, *(getattr(each, "valid", None) for each in (line, other))]
        plans = [self.traces.condition(condition, args) for condition in conditions if condition is not None]
        return all(_is_met(made, args) for made in plans if made is not None)

    def _compared(
        self, ours: Traced, theirs: Traced, args: Arguments, at: Callable[[Traced], Evaluator], start: int = 0
    ) -> Comparison:
        """What is to be said of the claim that two lines are equal at an input."""
        by_jax, is_gradient = theirs.label == REFERENCE, self.derivation.is_gradient
        claim = Claim(
            *[self._at_input(line, at(line), args) for line in (ours, theirs)],
            truth=(lambda: self.truth(args)) if is_gradient else None,
            by_quotients=(lambda: self._by_quotients(args)) if is_gradient and by_jax else None,
            allowed=ours.allowed,
        )
        found = decide(claim, start=start)
        is_exact = found.outcome != "different" or found.by_truth
        if not is_exact and self._is_rounding_of_the_input(ours, theirs, args, found.component):
            return Comparison("equal", ulps=found.share / ULP, rounded=True)
        return found

    def _at_input(self, line: Traced, value: Evaluator, args: Arguments) -> AtInput:
        if not line.calls:
            return AtInput(value)
        return AtInput(
            value,
            lambda found: self._unless_nabla_is_to_blame(line, args, found),
            lambda: self._is_nabla_confirmed(line, args),
        )

    def _is_nabla_confirmed(self, line: Traced, args: Arguments) -> bool:
        """Whether JAX is right at an input about all that a line leaves to ∇."""
        truths = [self.derivative(call, args)[1] for call in line.calls]
        return all(truth is not None and truth.confirmed for truth in truths)

    def _unless_nabla_is_to_blame(self, line: Traced, args: Arguments, found: Comparison) -> Comparison:
        """What was found of a line, unless JAX's derivative is not confirmed; where JAX is wrong, that is noted."""
        for call in line.calls:
            differentiated, truth, at = self.derivative(call, args)
            if differentiated is None or truth is None or at is None:
                continue
            self.note_wrong(differentiated, truth, at)
            if not truth.confirmed:
                return Comparison("kink" if truth.tied else "undefined", tied=True)
        return found

    def note_wrong(self, made: Differentiated, truth: Truth, args: Arguments) -> None:
        """Notes a function that JAX differentiates wrongly at an input, if it does."""
        wrong = made.wrong(truth, args)
        if wrong is not None:
            self.wrong.setdefault(wrong.name, wrong)

    def _is_rounding_of_the_input(self, ours: Traced, theirs: Traced, args: Arguments, component: int) -> bool:
        """Whether an entry differs by no more than an input does that is in its domain up to rounding alone."""
        rounded = inexact_flags(self.derivation.domain, args)
        if not any(rounded) or ours.plan is None or theirs.plan is None:
            return False
        sides = [evaluator(made, args, rounded)(PRECISIONS[0], "exact", "exact") for made in (ours.plan, theirs.plan)]
        u, v = (side.values[component] for side in sides)
        return u.overlaps(v) and bool((u - v).rad() <= COARSE * (abs(u) + abs(v)).mid())

    def derivative(self, call: NablaCall, args: Arguments) -> tuple[Differentiated | None, Truth | None, Arguments | None]:
        """A function that a line hands to ∇, what is known of its derivative at an input, and its arguments there."""
        at = arguments_of(call, args)
        if at is None:
            return None, None, None
        name = label_of(call.f)
        try:
            made = self.traces.differentiated(call.f, call.wrt, at, name, call.arguments.output_labels)
            return made, self.traces.once("derivative", call.f, call.wrt, at, lambda: made.truth(at)), at
        except Exception as error:  # a primitive without a rule, a closure over traced values: said in the report
            self.unchecked.setdefault(name, _said(error))
            return None, None, None

    def truth(self, args: Arguments) -> Truth:
        """What is known of the gradient of `of` at an input; nothing where the claim is no gradient."""
        if not self.derivation.is_gradient:
            return Truth((UNKNOWN,))
        key = shape_key(args), tuple(np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(args))
        if key not in self._truths:
            try:
                found = self.differentiated(args).truth(args)
            except Exception as error:
                self.unchecked.setdefault(label_of(self.derivation.of), _said(error))
                found = Truth((UNKNOWN,))
            self._truths[key] = found
        return self._truths[key]

    def _by_quotients(self, args: Arguments) -> Truth:
        return self.differentiated(args).truth(args, beside_jax=False)

    def differentiated(self, args: Arguments) -> Differentiated:
        """`of` and JAX's gradient of it, at the shapes of `args`.

        Raises:
            NotImplementedError: one of them holds a primitive that balls have no rule for.
        """
        key = shape_key(args)
        if key not in self._differentiated:
            self._differentiated[key] = self._differentiated_at(args)
        return self._differentiated[key]

    def _differentiated_at(self, args: Arguments) -> Differentiated:
        of, gradient = self.traces.of(args), self.traced(None, args)
        if of.plan is None or gradient.plan is None:
            raise NotImplementedError(of.reason or gradient.reason)
        by = differentiated_leaves(self.derivation.of, self.derivation.wrt, args)
        sizes = tuple(int(np.prod(leaf.shape)) for leaf in jax.tree.leaves(of.shapes))
        names, rules = leaf_names(args, self.argument_names), tuple(own_rules(of.closed.jaxpr))
        return Differentiated(label_of(self.derivation.of), of.plan, gradient.plan, by, sizes, names, rules)

    def counterexample(self, line: Line, other: Line | None, relation: Relation) -> Counterexample:
        """The simplest input found at which the lines differ."""
        smallest = min(relation.differences, key=lambda pair: sum(leaf.size for leaf in jax.tree.leaves(pair[0].args)))
        stratum, args, compared = smallest[0].stratum, smallest[0].args, smallest[1]
        if self.may_shrink:
            shrunk = simplest(self.derivation, lambda args: self.differ(line, other, args) is not None)
            at_shrunk = None if shrunk is None else self.differ(line, other, shrunk)
            if shrunk is not None and at_shrunk is not None:
                stratum, args, compared = "simplest", shrunk, at_shrunk
            else:
                fewer = reduced(self.derivation, args, lambda args: self.differ(line, other, args) is not None)
                args, compared = fewer, self.differ(line, other, fewer) or compared
        sizes, names = self._shape_name(args), leaf_names(args, self.argument_names)
        component = self._component(args, compared.component)
        return Counterexample(
            args,
            f"{sizes}  {readable(args, names)}" if sizes else readable(args, names),
            stratum,
            component,
            f"∂/∂{component}" if self.derivation.wrt and self.derivation.is_gradient else component,
            label_of(line),
            self.derivation.reference if other is None else label_of(other),
            value=compared.values[0],
            expected=compared.values[1],
            difference=compared.difference,
            example=example(self.derivation, args),
            snippet=snippet(
                self.derivation,
                line,
                other,
                args,
                self.traces.is_in_numpy,
                hands_numpy=any(self.traces.hands_numpy_to_nabla(f, args) for f in (line, other)),
            ),
        )

    def _component(self, args: Arguments, flat: int) -> str:
        """The name of an entry of the gradient."""
        by = self.derivation.wrt or "gradient" if self.derivation.is_gradient else self.derivation.reference
        for path, leaf in jax.tree_util.tree_leaves_with_path(self.traced(None, args).shapes):
            if flat < leaf.size:
                index = "".join(f"[{i}]" for i in np.unravel_index(flat, leaf.shape)) if leaf.shape else ""
                return by + jax.tree_util.keystr(path) + index
            flat -= leaf.size
        raise AssertionError("a component beyond the gradient")

    def check_lines(self) -> None:
        """Raises LineError unless every line can be traced at every shape, and asked whether it claims to hold there."""
        for args in {shape_key(given.args): given.args for given in self.inputs}.values():
            for line in self.derivation.lines:
                self.traced(line, args)
                claims_to_hold(line, self.derivation, args)

    def vanishing_parts(self) -> list[str]:
        """The parts of the gradient, one a leaf, whose balls are known and hold 0 at every input."""
        parts: dict[str, bool] = {}
        for k, given in enumerate(self.inputs):
            traced = self.traced(None, given.args)
            if traced.plan is None:
                return []
            values = iter(self.evaluator(traced, k)(PRECISIONS[0], "balls", "exact").values)
            for path, leaf in jax.tree_util.tree_leaves_with_path(traced.shapes):
                name = ((self.derivation.is_gradient and self.derivation.wrt) or "") + jax.tree_util.keystr(
                    path, simple=True, separator="."
                )
                entries = [value.is_finite() and value.contains(0) for value in itertools.islice(values, leaf.size)]
                parts[name] = parts.get(name, True) and all(entries)
        return [name or "everything" for name, zero in parts.items() if zero]

    def arguments_used(self, line: Line | None) -> set[str]:
        """The arguments, or fields of the first one, that a line's value is computed from."""
        args = self.inputs[0].args
        plan, names = self.traced(line, args).plan, leaf_names(args, self.argument_names)
        return set() if plan is None else {names[k] for k in plan.depends_on}

    @property
    def argument_names(self) -> list[str]:
        """What the arguments are called, by `of` or by position."""
        names = argument_names(self.derivation.of) or []
        return [names[k] if k < len(names) else f"argument {k}" for k in range(len(self.derivation.domain))]


def _said(error: Exception) -> str:
    """An exception of the judge's own, on one line."""
    if isinstance(error, jax.errors.TracerArrayConversionError):
        return "it holds values of the line that it is defined in: hand these to it as arguments"
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
