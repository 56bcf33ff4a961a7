"""The judge: evaluates every line of a derivation on the same inputs and names the lines that do not follow."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from autodiff_ref.verify.inputs import Input, NoInputError, sweep
from autodiff_ref.verify.reference import WrongReference, arguments_of, check_derivative
from autodiff_ref.verify.report import Counterexample, LineReport, Report, leaf_names, readable
from autodiff_ref.verify.shrink import literal, simplest
from autodiff_ref.verify.snippet import snippet
from autodiff_ref.verify.trace import REFERENCE, Traced, label_flags, shape_key, trace_line, trace_of, trace_reference
from autodiff_ref.verify.verdict import Comparison, Evaluator, compare, evaluator
from autodiff_ref.verify.walk import NoRuleError
from manual_grad.derivation import Derivation, Line, argument_names, formula_of, label_of

Progress = Callable[[int, int, str], None]
"""progress(steps done, steps in all, what comes now)"""


def verify(
    derivation: Derivation,
    *,
    seed: int = 0,
    examples: int = 64,
    inputs: Sequence[Input] | None = None,
    shrink: bool = True,
    timeout: float | None = None,
    progress: Progress | None = None,
) -> Report:
    """Judges a derivation: is every line the same gradient, and if not, which line is wrong?

    Each line is judged against the line above it, the first against `jax.grad` of `derivation.of`; where the line above is
    wrong, also against the last right one, and a line that equals either is not blamed.

    Args:
        derivation: what to judge.
        seed: of the inputs; the same seed gives the same report.
        examples: how many inputs at least, over all strata.
        inputs: these inputs and no others.
        shrink: whether to look for the simplest counterexample; of given inputs, one of them is shown as it is.
        timeout: seconds after which the lines that are left are undecided.
        progress: called before each step of the work.

    Returns:
        A report: `ok`, `first_wrong_line`, a verdict for each line; prints as a table.

    Raises:
        LineError: a line raises, or returns something of another shape than the gradient.

    Example:
        >>> from manual_grad import notes
        >>> verify(notes.RESIDUAL).ok
        True
    """
    report = Report(derivation.name, [LineReport(label_of(f), formula_of(f)) for f in derivation.lines], seed)
    try:
        tried = sweep(derivation, seed=seed, at_least=examples) if inputs is None else inputs
        bench = _Bench(derivation, tried, may_shrink=shrink and inputs is None)
    except NoInputError as error:
        return _undecided(report, str(error))
    tell = progress or (lambda done, total, what: None)
    tell(0, len(report.lines) + 1, "the reference")
    wrong = _wrong_reference(bench)
    if wrong is not None:
        report.reference, report.reference_is_right = str(wrong), False
        return _undecided(report, f"∇{wrong.name} is wrong, so that nothing can be said of the lines")
    report.reference = (
        f"∇ of {', '.join(bench.checked)} checked by difference quotients" if bench.checked else "∇ not checked"
    )
    ladder = [_Rung(REFERENCE, None, value_is_right=True)]
    began = time.monotonic()
    for k, (line, entry) in enumerate(zip(derivation.lines, report.lines, strict=True)):
        tell(k + 1, len(report.lines) + 1, entry.label)
        if timeout is not None and time.monotonic() - began > timeout:
            entry.reason = f"not judged: the time limit of {timeout:g} s was over"
            continue
        ladder.append(_judge(bench, entry, line, ladder))
    return report


def _undecided(report: Report, reason: str) -> Report:
    for line in report.lines:
        line.reason = reason
    return report


@dataclass(frozen=True)
class _Rung:
    """A line already judged; the reference is the lowest."""

    label: str
    line: Line | None
    value_is_right: bool | None
    """None where it could not be told"""


@dataclass
class _Relation:
    """What all inputs together say of two lines."""

    equal: Counter[str] = field(default_factory=Counter[str])
    silent: Counter[str] = field(default_factory=Counter[str])
    """inputs that say nothing, by why"""
    shapes: dict[str, None] = field(default_factory=dict[str, None])
    resolution: float = 0.0
    differences: list[tuple[Input, Comparison]] = field(default_factory=list[tuple[Input, Comparison]])
    no_rule: str = ""

    @property
    def verdict(self) -> str:
        if self.differences:
            return "refuted"
        return "agrees" if self.equal and not self.no_rule else "undecided"

    @property
    def reason(self) -> str:
        if self.no_rule:
            return self.no_rule
        counted = ", ".join(f"{count} {why}" for why, count in self.silent.items())
        return f"no input with information: {counted or 'none fulfils what the lines claim to need'}"


def _judge(bench: "_Bench", entry: LineReport, line: Line, ladder: list[_Rung]) -> _Rung:
    """Fills in a line's report, and says whether its value is the gradient."""
    above = ladder[-1]
    last_right = next(rung for rung in reversed(ladder) if rung.value_is_right)
    relation = bench.relation(line, above.line)
    against = above
    if above is not last_right and relation.verdict != "agrees":
        # the line above is wrong, or cannot be judged: a line that puts it right again is not to blame
        to_right = bench.relation(line, last_right.line)
        if to_right.verdict == "agrees" or relation.verdict == "undecided":
            if relation.verdict == "refuted":
                entry.reason = (
                    f"equals {last_right.label} again: puts {above.label} right, or makes a mistake that cancels its"
                )
            relation, against = to_right, last_right
    entry.against = against.label
    entry.inputs = dict(relation.equal)
    entry.kinks = relation.silent.total()
    entry.shapes = list(relation.shapes)
    entry.resolution = relation.resolution
    match relation.verdict:
        case "refuted":
            entry.verdict = "refuted"
            entry.counterexample = bench.counterexample(line, against.line, relation)
            return _Rung(entry.label, line, value_is_right=False)
        case "agrees":
            entry.verdict = "agrees"
            if against.value_is_right is False:
                entry.reason = f"follows from {against.label}, and carries its mistake on"
            return _Rung(entry.label, line, value_is_right=against.value_is_right)
        case _:
            entry.reason = relation.reason
            return _Rung(entry.label, line, value_is_right=None)


class _Bench:
    """The inputs, and every line traced and evaluated at them, each once."""

    def __init__(self, derivation: Derivation, inputs: Sequence[Input], *, may_shrink: bool) -> None:
        if not inputs:
            raise NoInputError("no inputs were given")
        self.may_shrink = may_shrink
        self.derivation, self.inputs = derivation, list(inputs)
        self.checked: list[str] = []
        self._traced: dict[tuple[Any, ...], Traced] = {}
        self._evaluators: dict[tuple[str, int], Evaluator] = {}
        self._shapes: dict[Any, Any] = {}

    def traced(self, line: Line | None, args: tuple[Any, ...]) -> Traced:
        """A line at the shapes of `args`; None is the reference."""
        shape, label = shape_key(args), REFERENCE if line is None else label_of(line)
        if (label, shape) not in self._traced:
            if line is None:
                self._traced[label, shape], self._shapes[shape] = trace_reference(self.derivation, args)
            else:
                self.traced(None, args)
                self._traced[label, shape] = trace_line(self.derivation, line, args, self._shapes[shape])
        return self._traced[label, shape]

    def relation(self, line: Line, other: Line | None) -> _Relation:
        """Compares two lines at every input where both claim to hold."""
        found = _Relation()
        for k, given in enumerate(self.inputs):
            if not all(_claims_to_hold(each, given.args) for each in (line, other)):
                continue
            ours, theirs = self.traced(line, given.args), self.traced(other, given.args)
            if ours.plan is None or theirs.plan is None:
                found.no_rule = ours.reason or theirs.reason
                break
            exact = ours.plan.constants_are_exact and theirs.plan.constants_are_exact
            compared = compare(self._evaluator(ours, k), self._evaluator(theirs, k), constants_are_exact=exact)
            match compared.outcome:
                case "equal":
                    found.equal[given.stratum] += 1
                    found.resolution = max(found.resolution, compared.resolution)
                    found.shapes[self._shape_name(given.args)] = None
                case "different":
                    found.differences.append((given, compared))
                case why:
                    found.silent[why] += 1
        return found

    def _evaluator(self, traced: Traced, k: int) -> Evaluator:
        if (traced.label, k) not in self._evaluators:
            assert traced.plan is not None
            self._evaluators[traced.label, k] = evaluator(traced.plan, self.inputs[k].args)
        return self._evaluators[traced.label, k]

    def _shape_name(self, args: tuple[Any, ...]) -> str:
        """The sizes of the named dimensions: n=4 d=3."""
        domains = jax.tree.leaves(self.derivation.domain, is_leaf=lambda value: hasattr(value, "dims"))
        sizes: dict[str, int] = {}
        pairs = zip(domains, jax.tree.leaves(args), strict=True)
        for domain, leaf in sorted(pairs, key=lambda pair: -len(pair[0].dims)):
            sizes.update({dim: size for dim, size in zip(domain.dims, leaf.shape, strict=False) if isinstance(dim, str)})
        return " ".join(f"{name}={size}" for name, size in sizes.items())

    def differ(self, line: Line, other: Line | None, args: tuple[Any, ...]) -> Comparison | None:
        """What certifies that two lines differ at an input; None where they do not, or that cannot be told."""
        if not all(_claims_to_hold(each, args) for each in (line, other)):
            return None
        ours, theirs = self.traced(line, args), self.traced(other, args)
        if ours.plan is None or theirs.plan is None:
            return None
        exact = ours.plan.constants_are_exact and theirs.plan.constants_are_exact
        compared = compare(evaluator(ours.plan, args), evaluator(theirs.plan, args), constants_are_exact=exact)
        return compared if compared.outcome == "different" else None

    def counterexample(self, line: Line, other: Line | None, relation: _Relation) -> Counterexample:
        """The simplest input found at which the lines differ."""
        smallest = min(relation.differences, key=lambda pair: sum(leaf.size for leaf in jax.tree.leaves(pair[0].args)))
        stratum, args, compared = smallest[0].stratum, smallest[0].args, smallest[1]
        if self.may_shrink:
            shrunk = simplest(self.derivation, lambda args: self.differ(line, other, args) is not None)
            at_shrunk = None if shrunk is None else self.differ(line, other, shrunk)
            if shrunk is not None and at_shrunk is not None:
                stratum, args, compared = "simplest", shrunk, at_shrunk
        sizes, names = self._shape_name(args), leaf_names(args, self.argument_names)
        return Counterexample(
            args,
            f"{sizes}  {readable(args, names)}" if sizes else readable(args, names),
            stratum,
            self._component(args, compared.component),
            label_of(line),
            REFERENCE if other is None else label_of(other),
            value=compared.values[0],
            expected=compared.values[1],
            difference=compared.difference,
            example=f"@example({literal(args)})",
            snippet=snippet(self.derivation, line, other, args),
        )

    def _component(self, args: tuple[Any, ...], flat: int) -> str:
        """The name of an entry of the gradient."""
        by = self.derivation.wrt or "gradient"
        for path, leaf in jax.tree_util.tree_leaves_with_path(self._shapes[shape_key(args)]):
            if flat < leaf.size:
                index = "".join(f"[{i}]" for i in np.unravel_index(flat, leaf.shape)) if leaf.shape else ""
                return by + jax.tree_util.keystr(path) + index
            flat -= leaf.size
        raise AssertionError("a component beyond the gradient")

    @property
    def argument_names(self) -> list[str]:
        """What the arguments are called, by `of` or by position."""
        names = argument_names(self.derivation.of) or []
        return [names[k] if k < len(names) else f"argument {k}" for k in range(len(self.derivation.domain))]


def _claims_to_hold(line: Line | None, args: tuple[Any, ...]) -> bool:
    valid = getattr(line, "valid", None)
    return valid is None or bool(valid(*args))


# The reference

_REFERENCE_INPUTS = 3
"""of each function that is differentiated, its derivative is checked at so many inputs"""


def _wrong_reference(bench: _Bench) -> WrongReference | None:
    """The first function whose JAX derivative is not its derivative; and notes which functions were checked."""
    derivation = bench.derivation
    shown = _some_ordinary(bench.inputs)
    flags = label_flags(derivation.domain)
    for given in shown:
        wrong = _check(bench, derivation.of, derivation.wrt, given.args, flags)
        if wrong is not None:
            return wrong
    for f, wrt, args, labels in _functions_handed_to_nabla(bench, shown):
        wrong = _check(bench, f, wrt, args, labels)
        if wrong is not None:
            return wrong
    return None


def _check(
    bench: _Bench, f: Callable[..., Any], wrt: str | None, args: tuple[Any, ...], labels: Sequence[bool]
) -> WrongReference | None:
    try:
        wrong = check_derivative(f, wrt, args, label_of(f), labels)
    except NoRuleError:
        return None
    if label_of(f) not in bench.checked:
        bench.checked.append(label_of(f))
    return wrong


def _functions_handed_to_nabla(bench: _Bench, shown: list[Input]) -> Iterator[tuple[Any, ...]]:
    """Each function that `of` or a line differentiates, with the arguments it does so at."""
    count: Counter[Any] = Counter()
    for given in shown:
        seen_here: set[Any] = set()
        sources = [trace_of(bench.derivation, given.args)]
        sources += [bench.traced(line, given.args) for line in bench.derivation.lines]
        for call in (call for traced in sources for call in traced.calls):
            if call.key in seen_here:
                continue
            seen_here.add(call.key)
            args = arguments_of(call, given.args)
            if args is not None and count[call.key] < _REFERENCE_INPUTS:
                count[call.key] += 1
                yield call.f, call.wrt, args, call.arguments.output_labels


def _some_ordinary(inputs: Sequence[Input]) -> list[Input]:
    """One ordinary input of each of a few shapes."""
    by_shape: dict[Any, Input] = {}
    for given in inputs:
        if given.stratum not in ("zeros", "equal", "far"):
            by_shape.setdefault(shape_key(given.args), given)
    return (list(by_shape.values()) or list(inputs))[:_REFERENCE_INPUTS]
