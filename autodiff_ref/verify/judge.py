"""The judge: evaluates every line of a derivation on the same inputs and names the lines that do not follow."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from autodiff_ref.verify.accuracy.measure import add_accuracy
from autodiff_ref.verify.audit import audited, miscompiled, wrong_reference
from autodiff_ref.verify.bench import Bench, Relation
from autodiff_ref.verify.compared import compared_inputs
from autodiff_ref.verify.diagnosis.diagnose import diagnose
from autodiff_ref.verify.diagnosis.suspect import Diagnosis
from autodiff_ref.verify.inputs import Input, NoInputError, sweep
from autodiff_ref.verify.report import LineReport, Report
from autodiff_ref.verify.sweep.power import power_of
from autodiff_ref.verify.sweep.search import Sweep, Swept
from autodiff_ref.verify.symbols.proofs import Proofs
from autodiff_ref.verify.trace import REFERENCE
from autodiff_ref.verify.traces import Traces
from manual_grad.derivation import Derivation, Line, formula_of, label_of

Progress = Callable[[int, int, str], None]
"""progress(steps done, steps in all, what comes now)"""


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
        accuracy: whether to measure errors in ulps as well, in float64 and float32: for the notes some 10 s a derivation.
        suspects: whether to look for what a refuted line did; a budget of work bounds it, some two seconds for each.
        prove: whether to prove the lines that agree everywhere, in symbols, in a process of its own.
        floats: whether to sweep thousands of inputs in floats with rounding bounds besides, about a second's worth; balls
            look at those that the bounds do not explain. Of given inputs, there is no sweep.
        timeout: seconds after which the lines that are left are undecided, and what is not proved yet is not waited for. The
            step of the work that is at hand is ended first.
        progress: called before each step of the work.
        traces: what `check` returned, or a derivation with some other lines left behind: nothing is traced twice.

    Returns:
        A report: `ok`, `first_wrong_line`, a verdict for each line; prints as a table.

    Raises:
        LineError: a line raises, or returns something of another shape than the gradient.
        TypeError: it is no Derivation.

    Example:
        >>> from manual_grad import notes
        >>> verify(notes.RESIDUAL).ok
        True
    """
    if not isinstance(derivation, Derivation):
        raise TypeError(f"verify takes a Derivation, got {derivation!r}: for one gradient, assert_gradients_agree")
    report = Report(derivation.name, [LineReport(label_of(f), formula_of(f)) for f in derivation.lines], seed)
    until = None if timeout is None else time.monotonic() + timeout
    is_over = lambda: until is not None and time.monotonic() > until  # noqa: E731
    over = "" if timeout is None else f"the time limit of {timeout:g} s was over"
    try:
        tried = sweep(derivation, seed=seed, at_least=examples) if inputs is None else inputs
        bench = Bench(derivation, tried, may_shrink=shrink and inputs is None, traces=traces)
        bench.check_lines()
    except NoInputError as error:
        return _undecided(report, str(error))
    if inputs is None:
        jaxprs = [bench.traced(line, tried[0].args).closed.jaxpr for line in derivation.lines]
        bench.inputs += compared_inputs(derivation, jaxprs, seed=seed)
    proofs = Proofs(bench, until=until, over=over) if prove else None
    if proofs is not None:
        proofs.begin()  # the prover works beside the balls
    tell = progress or (lambda done, total, what: None)
    tell(0, len(report.lines) + 1, "the reference")
    wrong = wrong_reference(bench)
    if wrong is not None:
        report.reference, report.reference_is_right = str(wrong), False
        return _undecided(report, f"∇{wrong.name} is wrong, so that nothing can be said of the lines")
    broken = miscompiled(bench)
    report.reference_is_right = broken is None
    report.reference = str(broken) if broken else audited(bench)
    floated = Sweep(bench, seed=seed) if floats and inputs is None else None
    ladder = [_Rung(REFERENCE, None, value_is_right=True)]
    for k, (line, entry) in enumerate(zip(derivation.lines, report.lines, strict=True)):
        tell(k + 1, len(report.lines) + 1, entry.label)
        if is_over():
            entry.reason = f"not judged: {over}"
            continue
        ladder.append(_judge(bench, floated, entry, line, ladder))
        if suspects and entry.verdict == "refuted":
            entry.diagnosis, failure = _suspect(bench, line, ladder)
            report.notes += failure
    if any(line.verdict == "agrees" for line in report.lines):
        report.notes += [*_unfinished(bench), *_vanishing(bench)]
    if accuracy and is_over():
        report.notes.append(f"errors in ulps were not measured: {over}")
    elif accuracy:
        add_accuracy(report, bench.traces, seed=seed, examples=examples, inputs=inputs)
    if proofs is not None:
        proofs.settle(report)
    _suspects_left(report)
    report.sweep_seconds = 0.0 if floated is None else floated.seconds
    return report


def _suspects_left(report: Report) -> None:
    """A line that is not proved does not agree while floats suspect inputs that balls have not cleared."""
    for entry in report.lines:
        if entry.verdict == "agrees" and entry.floats is not None and entry.floats.left:
            entry.verdict = "undecided"
            entry.reason = f"equal where balls looked, but they have not cleared all that floats suspect: {entry.floats}"


def check(derivation: Derivation) -> Traces:
    """Whether a derivation can be judged at all, found out at one input.

    Returns:
        What was traced of it.

    Raises:
        LineError: a line raises, or returns something of another shape than the gradient.
    """
    traces = Traces(derivation)
    with suppress(NoInputError):  # `verify` says so in its report
        Bench(derivation, sweep(derivation, seed=0, at_least=1)[:1], may_shrink=False, traces=traces).check_lines()
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


def _judge(bench: Bench, floated: Sweep | None, entry: LineReport, line: Line, ladder: list[_Rung]) -> _Rung:
    """Fills in a line's report, and says whether its value is the gradient."""
    above = ladder[-1]
    last_right = next(rung for rung in reversed(ladder) if rung.value_is_right)
    (relation, swept), against = _related(bench, floated, line, above.line), above
    if above is not last_right and relation.verdict != "agrees":
        # the line above is wrong, or cannot be judged: a line that puts it right again is not to blame
        to_right, swept_to_right = _related(bench, floated, line, last_right.line)
        if relation.verdict == "refuted" and to_right.verdict == "undecided":
            entry.against = above.label
            entry.reason = f"differs from {above.label}, which could not be judged: one of the two is wrong"
            return _Rung(entry.label, line, value_is_right=None)
        if to_right.verdict == "agrees" and relation.verdict == "refuted":
            entry.reason = f"equals {last_right.label} again: puts {above.label} right, or makes a mistake that cancels its"
        if to_right.verdict == "agrees" or relation.verdict == "undecided":
            relation, swept, against = to_right, swept_to_right, last_right
    entry.against = against.label
    entry.inputs = dict(relation.equal)
    entry.kinks = relation.silent.total()
    entry.shapes = list(relation.shapes)
    entry.resolution = relation.resolution
    entry.floats = swept
    match relation.verdict:
        case "refuted":
            entry.verdict = "refuted"
            entry.counterexample = bench.counterexample(line, against.line, relation)
            entry.reason = _lost_arguments(bench, line, against)
            return _Rung(entry.label, line, value_is_right=False)
        case "agrees":
            entry.verdict = "agrees"
            if relation.lacking[0]:
                entry.reason = f"has no value (NaN or ∞) at {relation.lacking[0]} inputs at which {against.label} has one"
            entry.power = power_of(floated, line, against.line) if floated else None
            if against.value_is_right is False:
                entry.reason = f"follows from {against.label}, and carries its mistake on"
            return _Rung(entry.label, line, value_is_right=against.value_is_right)
        case _:
            entry.reason = relation.reason
            return _Rung(entry.label, line, value_is_right=None)


def _suspect(bench: Bench, line: Line, ladder: Sequence[_Rung]) -> tuple[Diagnosis | None, list[str]]:
    """What a refuted line seems to have done; and why that could not be looked into, where the judge failed at it."""
    last_right = next(rung for rung in reversed(ladder) if rung.value_is_right)
    try:
        return diagnose(bench, line, last_right.line), []
    except Exception as error:  # of a search for a suggestion: no reason to lose the verdict
        return None, [f"what {label_of(line)} did could not be looked into: {type(error).__name__}: {error}"]


def _related(bench: Bench, floated: Sweep | None, line: Line, other: Line | None) -> tuple[Relation, Swept | None]:
    """Two lines in balls, and where these see no difference in floats; what floats find balls have certified."""
    relation = bench.relation(line, other)
    if floated is None or relation.differences or relation.no_rule:
        return relation, None
    swept = floated.compare(line, other)
    relation.differences += swept.differences
    return relation, swept


def _lost_arguments(bench: Bench, line: Line, against: _Rung) -> str:
    """Which arguments a wrong line forgot."""
    lost = bench.arguments_used(against.line) - bench.arguments_used(line)
    return f"does not depend on {', '.join(sorted(lost))}, as {against.label} does" if lost else ""


def _unfinished(bench: Bench) -> list[str]:
    """Whether the last line leaves something to ∇."""
    last = bench.derivation.lines[-1]
    calls = bench.traced(last, bench.inputs[0].args).calls
    left = ", ".join(dict.fromkeys(f"∇{label_of(call.f)}" for call in calls))
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
    return [
        f"the gradient by {', '.join(zero)} is 0 at every input tried: a wrong factor in front of it makes no difference"
    ]
