"""The judge: evaluates every line of a derivation on the same inputs and names the lines that do not follow."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from autodiff_ref.judge.accuracy.measure import add_accuracy
from autodiff_ref.judge.audit import audit, check_reference
from autodiff_ref.judge.bench import Bench, Relation
from autodiff_ref.judge.borrowed import told
from autodiff_ref.judge.branches import Branches
from autodiff_ref.judge.compared import compared_inputs
from autodiff_ref.judge.diagnosis.diagnose import diagnose
from autodiff_ref.judge.diagnosis.suspect import Diagnosis
from autodiff_ref.judge.inputs import Input, NoInputError, draw_inputs, further
from autodiff_ref.judge.lines.again import Again
from autodiff_ref.judge.lines.traces import Traces
from autodiff_ref.judge.proving.proofs import Proofs
from autodiff_ref.judge.report import Claimed, LineReport, Report
from autodiff_ref.judge.search.power import power_of
from autodiff_ref.judge.search.sweep import Sweep, Swept
from autodiff_ref.judge.verdict import RIGHT, Verdict, verdict_of
from manual_grad.claims import condition_text
from manual_grad.derivation import Derivation, Line, formula_of, label_of, latex_of

Progress = Callable[[int, int, str], None]
"""progress(steps done, steps in all, what comes now)"""

Watch = Callable[[Report, int], None]
"""watch(the report so far, the number of lines judged): what was found is known although the judge is killed"""


def verify(
    derivation: Derivation,
    *,
    seed: int = 0,
    examples: int = 64,
    inputs: Sequence[Input] | None = None,
    shrink: bool = True,
    accuracy: bool = False,
    suspects: bool = True,
    prove: bool = True,
    floats: bool = True,
    timeout: float | None = None,
    progress: Progress | None = None,
    traces: Traces | None = None,
    watch: Watch | None = None,
) -> Report:
    """Judges a derivation: is every line the same gradient, and if not, which line is wrong?

    Each line is judged against the line above it. The first is judged against `jax.grad` of `derivation.of`, or against
    what `derivation.equals` returns. If the line above is wrong, a line is also judged against the last right line. If it
    equals one of the two, it is not blamed.

    Args:
        derivation: what to judge.
        seed: of the inputs. The same seed gives the same report.
        examples: the least number of inputs, over all strata.
        inputs: judge at these inputs only. There is no sweep in floats then.
        shrink: whether to look for the simplest counterexample. If `inputs` are given, one of them is shown as it is.
        accuracy: whether to measure errors in ulps too, in float64 and float32. That takes some 10 s a derivation of the
            notes.
        suspects: whether to look for what a refuted line did wrong. That takes at most some two seconds a line.
        prove: whether to try to prove the lines that agree at every input, in symbols, in another process.
        floats: whether to sweep thousands of inputs in floats with rounding bounds, for about a second. Where two lines
            differ by more than the bounds, balls decide.
        timeout: seconds after which no further line is judged; lines that are left are undecided. The running step is
            always finished, so a line that never ends is waited for forever. (`manual-grad verify --timeout` kills it.)
        progress: called before each step of the work.
        watch: called with the report so far, before each line and after the last one.
        traces: what `check` returned, or the traces of a derivation that shares lines with this one: nothing is traced
            twice.

    Returns:
        A report, with `ok`, `first_wrong_line` and a verdict for each line. It prints as a table.

    Raises:
        LineError: a line raises, or returns something of another shape than the gradient, or is random.
        TypeError: it is no Derivation.

    Example:
        >>> from manual_grad import notes
        >>> verify(notes.RESIDUAL).ok
        True
    """
    if not isinstance(derivation, Derivation):
        raise TypeError(f"verify takes a Derivation, got {derivation!r}: for one gradient, assert_gradients_agree")
    entries = [
        LineReport(label_of(f), formula_of(f), latex=latex_of(f), condition=condition_text(f)) for f in derivation.lines
    ]
    report = Report(derivation.name, entries, seed, claim=Claimed.of(derivation))
    until = None if timeout is None else time.monotonic() + timeout
    is_over = lambda: until is not None and time.monotonic() > until  # noqa: E731
    over = "" if timeout is None else f"the time limit of {timeout:g} s was over"
    try:
        tried = draw_inputs(derivation, seed=seed, at_least=examples) if inputs is None else inputs
        bench = Bench(derivation, tried, may_shrink=shrink and inputs is None, traces=traces)
        bench.check_lines()
    except NoInputError as error:
        return _undecided(report, str(error))
    proofs = Proofs(bench, until=until, over=over) if prove else None
    branches = Branches(bench)
    if inputs is None:
        traced = [*[bench.traced(line, tried[0].args) for line in derivation.lines], bench.traces.of(tried[0].args)]
        jaxprs = [each.closed.jaxpr for each in traced]
        bench.inputs += compared_inputs(derivation, jaxprs, seed=seed)
        bench.more = further(derivation, seed=seed)
    branches.aim(where_given=inputs is not None)
    tell = progress or (lambda done, total, what: None)
    tell(0, len(report.lines) + 1, "the reference")
    check_reference(bench)
    floated = Sweep(bench, seed=seed) if floats and inputs is None else None
    again = Again(bench.traces, tried[0].args)
    judged = _Judged(bench, branches if inputs is None else None, floated, proofs, examples if inputs is None else 1)
    for k, (line, entry) in enumerate(zip(derivation.lines, report.lines, strict=True)):
        tell(k + 1, len(report.lines) + 1, entry.label)
        judged.show(watch, report, k)
        if is_over():
            entry.reason = f"not judged: {over}"
            continue
        judged.judge(entry, line)
        if entry.verdict in ("refuted", "partial"):
            again.require(derivation.lines[k - 1] if k else None, line)
        if suspects and entry.verdict == "refuted":
            entry.diagnosis, failure = judged.suspect(line)
            report.notes += failure
    judged.show(watch, report, len(report.lines))
    report.notes += told((label_of(f), bench.traced(f, tried[0].args).closed) for f in derivation.lines)
    if any(line.verdict in RIGHT for line in report.lines):
        report.notes += [*_unfinished(bench), *_vanishing(bench)]
    if accuracy and is_over():
        report.notes.append(f"errors in ulps were not measured: {over}")
    elif accuracy:
        add_accuracy(report, bench.traces, seed=seed, examples=examples, inputs=inputs)
    if proofs is not None:
        proofs.settle(report)
    judged.settle(report)
    found = audit(bench)
    report.reference_is_right, report.reference = not found.wrong, "; ".join(found.wrong) or found.checked
    report.notes += found.notes
    report.sweep_seconds = 0.0 if floated is None else floated.seconds
    return report


def check(derivation: Derivation) -> Traces:
    """Whether a derivation can be judged at all, found out at one input.

    Returns:
        What was traced of it.

    Raises:
        LineError: a line raises, or returns something of another shape than the gradient.
    """
    traces = Traces(derivation)
    with suppress(NoInputError):  # `verify` says so in its report
        Bench(derivation, draw_inputs(derivation, seed=0, at_least=1)[:1], may_shrink=False, traces=traces).check_lines()
    return traces


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
    is_exact: bool = True
    """whether it has a value wherever the gradient exists, and is no approximation"""


@dataclass
class _Judged:
    """The lines of a derivation, judged one after the other."""

    bench: Bench
    branches: Branches | None
    """None where the inputs are given: then they are all that is asked for"""
    floated: Sweep | None
    proofs: Proofs | None
    wanted: int
    """inputs with information that each verdict needs"""
    ladder: list[_Rung] = field(default_factory=list[_Rung])
    unmet: dict[str, str] = field(default_factory=dict[str, str])
    """why lines are undecided unless they are proved: branches that no input took"""

    def __post_init__(self) -> None:
        self.ladder.append(_Rung(self.bench.derivation.reference, None, value_is_right=True))

    def judge(self, entry: LineReport, line: Line) -> None:
        """Fills in a line's report, and puts it on the ladder."""
        above = self.ladder[-1]
        anchor = next(rung for rung in reversed(self.ladder) if rung.value_is_right and rung.is_exact)
        found, against = self._found(line, above), above
        if above is not anchor and found.verdict not in RIGHT:
            # the line above is wrong, inexact or cannot be judged: a line that puts it right again is not to blame
            to_anchor = self._found(line, anchor)
            if found.verdict == "refuted" and to_anchor.verdict == "undecided" and not above.value_is_right:
                entry.against = above.label
                entry.reason = f"differs from {above.label}, which could not be judged: one of the two is wrong"
                self.ladder.append(_Rung(entry.label, line, value_is_right=None))
                return
            is_right = to_anchor.verdict in (*RIGHT, "partial")
            if is_right and found.verdict == "refuted" and above.value_is_right is False:
                to_anchor.reason = f"equals {anchor.label} again: {above.label} is corrected, or its mistake is cancelled"
            if is_right or found.verdict == "undecided":
                found, against = to_anchor, anchor
        self._report(entry, line, found, against)

    def _found(self, line: Line, against: _Rung) -> "_Found":
        """What balls say of a line and another, and floats where balls see no difference."""
        relation = self.bench.relation(line, against.line, self.wanted)
        swept = None
        by_jax = against.line is None and self.bench.derivation.is_gradient
        if self.proofs is not None and not relation.differences:
            self.proofs.ask(line, against.line)
        if self.floated is not None and not relation.differences and not relation.no_rule:
            if by_jax and not all(self.bench.truth(given.args).confirmed for given in self.bench.inputs):
                swept = Swept(reason="JAX's gradient is not the gradient at some inputs")
            elif relation.stops_apart:
                swept = Swept(reason="its iterations stop elsewhere than those of the line above")
            else:
                swept = self.floated.compare(line, against.line)
            relation.differences += swept.differences
        verdict, reason = verdict_of(relation, wanted=self.wanted)
        return _Found(relation, swept, verdict, reason)

    def _report(self, entry: LineReport, line: Line, found: "_Found", against: _Rung) -> None:
        relation = found.relation
        entry.against, entry.verdict, entry.reason = against.label, found.verdict, found.reason
        entry.inputs = dict(relation.equal)
        entry.kinks, entry.conventions = relation.kinks, dict(relation.conventions)
        entry.shapes = list(relation.shapes)
        entry.resolution, entry.apart = relation.resolution, relation.ulps
        entry.floats = found.swept
        value_is_right: bool | None = against.value_is_right
        match found.verdict:
            case "refuted":
                entry.counterexample = self.bench.counterexample(line, against.line, relation)
                entry.reason = _lost_arguments(self.bench, line, against)
                value_is_right = False
            case "undecided":
                value_is_right = None
                entry.is_short_of_inputs = relation.is_short(self.wanted)
            case _:
                entry.power = power_of(self.floated, line, against.line) if self.floated else None
                unmet = self.branches.unmet(line, against.line) if self.branches else []
                if unmet:
                    self.unmet[entry.label] = f"no input was found that takes {'; '.join(unmet)}"
                if against.value_is_right is False:
                    entry.reason = f"follows from {against.label}, and carries its mistake on"
        entry.is_right_elsewhere = found.verdict == "partial" and relation.informative >= self.wanted
        is_exact = found.verdict in ("agrees", "within") and relation.ulps <= 1
        self.ladder.append(_Rung(entry.label, line, value_is_right, is_exact))

    def suspect(self, line: Line) -> tuple[Diagnosis | None, list[str]]:
        """What a refuted line seems to have done; and why that could not be looked into, where the judge failed at it."""
        last_right = next(rung for rung in reversed(self.ladder) if rung.value_is_right)
        try:
            return diagnose(self.bench, line, last_right.line), []
        except Exception as error:  # of a search for a suggestion: no reason to lose the verdict
            return None, [f"what {label_of(line)} did could not be looked into: {type(error).__name__}: {error}"]

    def show(self, watch: Watch | None, report: Report, k: int) -> None:
        """Hands on what is known so far."""
        if watch is not None:
            known = replace(report, lines=[replace(line) for line in report.lines], notes=[*report.notes])
            self.settle(known)
            watch(known, k)

    def settle(self, report: Report) -> None:
        """What keeps a line that is not proved from agreeing: a branch not taken, or floats that suspect what balls left."""
        for entry in report.lines:
            if entry.verdict not in ("agrees", "within"):
                continue
            if entry.label in self.unmet:
                entry.verdict, entry.reason = "undecided", self.unmet[entry.label]
            elif entry.floats is not None and entry.floats.left:
                entry.verdict = "undecided"
                entry.reason = f"equal where balls looked, but they have not cleared all that floats suspect: {entry.floats}"


@dataclass
class _Found:
    """What is found of a line and another one."""

    relation: Relation
    swept: Swept | None
    verdict: Verdict
    reason: str


def _lost_arguments(bench: Bench, line: Line, against: _Rung) -> str:
    """Which arguments a wrong line forgot."""
    lost = bench.arguments_used(against.line) - bench.arguments_used(line)
    return f"does not depend on {', '.join(sorted(lost))}, as {against.label} does" if lost else ""


def _unfinished(bench: Bench) -> list[str]:
    """Whether the last line leaves something to ∇."""
    last = bench.derivation.lines[-1]
    calls = bench.traced(last, bench.inputs[0].args).calls
    left = ", ".join(dict.fromkeys(call.said for call in calls))
    return (
        [f"{label_of(last)}, the last line, leaves {left} to the ∇ it is handed: something is still to be derived"]
        if left
        else []
    )


def _vanishing(bench: Bench) -> list[str]:
    """Parts of the gradient that are 0 at every input, where no factor could be seen."""
    zero = bench.vanishing_parts()
    if not zero:
        return []
    what = f"the gradient by {', '.join(zero)}" if bench.derivation.is_gradient else f"what lines return ({', '.join(zero)})"
    return [f"{what} is 0 at every input tried: a wrong factor in front of it makes no difference"]
