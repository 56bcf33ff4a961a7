"""Derivations judged one after the other, each an outcome that is ready to be printed: a report, or why there is none.

`judged` does it in this process. `apart.judged` does the same in another process, so that it can be killed.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from io import StringIO
from typing import Any, Literal

from rich.console import Console

from autodiff_ref.cli.submissions import origins, submitted
from autodiff_ref.cli.targets import Unusable, Usable, loaded
from autodiff_ref.judge.derivations import Progress, check, verify
from autodiff_ref.judge.errors import LineError
from autodiff_ref.judge.lines.traces import Traces
from autodiff_ref.judge.report import Claimed, LineReport, Report
from autodiff_ref.judge.trial.trial import trial
from manual_grad.derivation import Derivation, Line, formula_of, label_of, latex_of


@dataclass(frozen=True)
class Outcome:
    """What came of a target or of a derivation."""

    kind: Literal["report", "error", "trial"]
    target: str
    """`path/to/file.py:NAME`, or what was given where it could not be loaded"""
    text: str
    """as it is printed"""
    entry: dict[str, Any]
    """as JSON"""
    code: int
    """for the command to exit with, if it is the worst"""
    sweep_seconds: float = 0.0


@dataclass(frozen=True)
class Paper:
    """What texts are written on: so wide, in these colours, with so many details."""

    width: int = 100
    colours: Any = None
    """a `color_system` of rich; None for none"""
    verbose: bool = False
    """whether reports say how many inputs of each stratum were tried"""

    def text(self, printed: object, **options: Any) -> str:
        """What a console prints."""
        console = Console(
            file=StringIO(),
            width=self.width,
            color_system=self.colours,
            force_terminal=self.colours is not None,
            legacy_windows=False,
        )
        console.print(printed, **options)
        assert isinstance(console.file, StringIO)
        return console.file.getvalue()


@dataclass(frozen=True)
class Order:
    """What is asked for."""

    targets: tuple[str, ...]
    options: dict[str, Any] = field(default_factory=dict[str, Any])
    """of `verify`"""
    mutants: int = 0
    paper: Paper = Paper()
    skip: frozenset[str] = frozenset()
    """derivations that have been judged already, by target"""
    cut: dict[str, tuple[int, str]] = field(default_factory=dict[str, tuple[int, str]])
    """by target, a line that never ends, by its number, and what is said of it: the lines before it are judged without it"""
    of: str = ""
    """a reference, where the targets are submissions: their lines are judged under its claim"""
    graded: bool = False
    """whether a report also says of each line what it leaves to ∇, and whether it differentiates by itself"""


class Listener:
    """Is told what comes next; does nothing."""

    def loading(self, target: str) -> None:
        """A module or a file is about to be run."""

    def judging(self, target: str, name: str) -> AbstractContextManager[Progress]:
        """A derivation is about to be judged."""
        return nullcontext(lambda done, total, what: None)

    def planting(self, target: str, name: str) -> AbstractContextManager[Progress]:
        """Mistakes are about to be planted in it."""
        return nullcontext(lambda done, total, what: None)

    def so_far(self, derivation: Derivation, traces: Traces | None, report: Report, k: int) -> None:
        """Line k is about to be judged; −1 is the reference, the number of lines what is said of all of them."""


def judged(order: Order, listener: Listener) -> Iterator[Outcome]:
    """Judges all derivations of some targets. What cannot be judged does not stop the others."""
    if order.of:
        found = submitted(order.targets, order.of, listener.loading)
    else:
        found = loaded(order.targets, before=listener.loading)
    for each in found:
        if isinstance(each, Unusable):
            yield error(each.target, each.reason, order.options.get("seed", 0))
        elif each.target not in order.skip:
            yield from judged_one(order, each, listener)


def judged_one(order: Order, usable: Usable, listener: Listener) -> Iterator[Outcome]:
    """Judges one derivation, and the mistakes that are planted in it where the order says so.

    Where it is graded, a line that returns another shape than the gradient is wrong, and the others are judged without it.
    """
    target, derivation, seed = usable.target, usable.derivation, order.options.get("seed", 0)
    left_out = _cut(derivation, *order.cut[target]) if target in order.cut else dict[int, LineReport]()
    with listener.judging(target, derivation.name) as tell:
        while True:
            try:
                report, traces = _report(order, derivation, left_out, listener, tell)
                break
            except LineError as found:
                if not (order.graded and found.wrong_shape_of):
                    yield error(target, str(found), seed, name=derivation.name)
                    return
                left_out |= _misshapen(derivation, found)
    made = of_report(target, report, order.paper)
    if order.graded:
        about = [] if traces is None else origins(traces.derivation, traces)
        made = replace(made, entry=made.entry | {"origins": about, "reference_is_right": report.reference_is_right})
    yield made
    if order.mutants and traces is not None:
        with listener.planting(target, derivation.name) as tell:
            tried = trial(traces.derivation, seed=seed, most=order.mutants, progress=tell)
        text = order.paper.text(tried)
        yield Outcome("trial", target, text, tried.to_dict(), 0 if tried.ok else 3)


def _report(
    order: Order, derivation: Derivation, left_out: Mapping[int, LineReport], listener: Listener, tell: Progress
) -> tuple[Report, Traces | None]:
    """The report, and what was traced of the lines that are judged.

    Args:
        order: what is asked for.
        derivation: with all its lines.
        left_out: by the place of a line that is not judged, what is said of it.
        listener: is told what would be reported if the time were over.
        tell: is told how far the judge is.

    Raises:
        LineError: a line raises, or returns something of another shape than the gradient.
    """
    places = [k for k in range(len(derivation.lines)) if k not in left_out]

    def whole(report: Report) -> Report:
        judged = iter(report.lines)
        lines = [left_out[k] if k in left_out else next(judged) for k in range(len(derivation.lines))]
        return replace(report, lines=lines)

    blank, seed = [_blank(derivation.lines[k]) for k in places], order.options.get("seed", 0)
    nothing = whole(Report(derivation.name, blank, seed, claim=Claimed.of(derivation)))
    if not places:
        return nothing, None
    judged = derivation.with_lines(*(derivation.lines[k] for k in places)) if left_out else derivation
    listener.so_far(judged, None, nothing, -1)
    traces = check(judged)
    listener.so_far(judged, traces, nothing, -1)

    def watch(report: Report, k: int) -> None:
        listener.so_far(judged, traces, whole(report), [*places, len(derivation.lines)][k])

    return whole(verify(judged, progress=tell, traces=traces, watch=watch, **order.options)), traces


def _cut(derivation: Derivation, at: int, reason: str) -> dict[int, LineReport]:
    """What is said of a line that never ends, and of those below it, by their places."""
    others = f"not judged: {derivation.labels[at]} took all the time"
    lines = derivation.lines
    return {k: replace(_blank(lines[k]), reason=reason if k == at else others) for k in range(at, len(lines))}


def _misshapen(derivation: Derivation, error: LineError) -> dict[int, LineReport]:
    """What is said of a line that returns another shape than the gradient, by its place."""
    label = error.wrong_shape_of
    reason = str(error).removeprefix(f"{derivation.name}: {label} ")
    at = derivation.labels.index(label)
    return {at: replace(_blank(derivation.lines[at]), verdict="refuted", against=derivation.reference, reason=reason)}


def _blank(line: Line) -> LineReport:
    """What is known of a line that is not judged."""
    return LineReport(label_of(line), formula_of(line), latex=latex_of(line))


def of_report(target: str, report: Report, paper: Paper) -> Outcome:
    """A report, written."""
    report.verbose = paper.verbose
    text = paper.text(report, soft_wrap=True)  # what a reader pastes stays in one piece
    return Outcome("report", target, text, report.to_dict(), report.exit_code, report.sweep_seconds)


def error(target: str, reason: str, seed: int, name: str = "") -> Outcome:
    """What cannot be judged, and why. Its JSON has the keys of a report."""
    entry = Report(name or target, [], seed).to_dict() | {"ok": False, "target": target, "error": reason}
    return Outcome("error", target, f"error: {reason}\n", entry, 2)


def cut_short(report: Report, k: int, label: str | None, over: str) -> Report:
    """A report as it stood when the time was over.

    Args:
        report: with the verdicts so far.
        k: the line that was to be judged then; −1 before the first one, the number of lines behind the last.
        label: the line that was being evaluated, where that is known.
        over: "the time limit of 5 s was over".
    """
    labels = [line.label for line in report.lines]
    at_hand = labels[k] if 0 <= k < len(labels) else "the reference" if k < 0 else "what is said of all lines"
    if label in labels[max(k, 0) :]:
        at_hand = label
    reasons = {at_hand: f"{over} while judging {at_hand}"}
    others = reasons["the reference"] if k < 0 and at_hand not in labels else f"not judged: {over}"
    lines = [
        line if number < k or line.reason else replace(line, reason=reasons.get(line.label, others))
        for number, line in enumerate(report.lines)
    ]
    notes = [*report.notes, *([f"{over} while judging {at_hand}"] if at_hand not in labels else [])]
    reference = report.reference or f"not judged: {over}"
    return replace(report, lines=lines, notes=notes, reference=reference)


def exit_code(codes: Iterable[int]) -> int:
    """The worst of several: 2 before 1 before 3 before 0."""
    return max(codes, key=(0, 3, 1, 2).index, default=0)
