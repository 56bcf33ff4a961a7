"""What the judge says: a report a derivation, as a table, as JSON, in a notebook."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import StringIO

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from autodiff_ref.judge.counterexample import Counterexample
from autodiff_ref.judge.diagnosis.suspect import Diagnosis
from autodiff_ref.judge.html import in_notebook, of_report
from autodiff_ref.judge.search.swept import Power, Swept
from autodiff_ref.judge.symbols.proof import Proof
from autodiff_ref.judge.verdict import RIGHT, Verdict
from autodiff_ref.trees import Entry, JsonObject
from manual_grad.derivation import Derivation, label_of


@dataclass
class LineReport:
    """The verdict on one line."""

    label: str
    formula: str
    verdict: Verdict = "undecided"
    against: str = ""
    """the line it was judged against"""
    condition: str = ""
    """under which it claims to hold"""
    reason: str = ""
    latex: str = ""
    """the formula in LaTeX, where the docstring gives it"""
    inputs: dict[str, int] = field(default_factory=dict[str, int])
    """by stratum, how many inputs it was equal at"""
    kinks: int = 0
    """inputs at which the gradient has a kink in some entry"""
    conventions: dict[str, int] = field(default_factory=dict[str, int])
    """at entries with a kink, how often the line takes the left, the right derivative, one between, or another number"""
    apart: float = 0.0
    """of a line that is right within rounding: by how many ulps it differs at most"""
    shapes: list[str] = field(default_factory=list[str])
    resolution: float = 0.0
    """where constants are inexact, the relative difference they would hide"""
    counterexample: Counterexample | None = None
    ulps: Entry | None = None
    """errors of the computed value by dtype and way of computing, where they were measured"""
    proof: Proof | None = None
    """of a line that agrees: whether it was proved; None where nobody tried"""
    is_short_of_inputs: bool = False
    """undecided for want of inputs with information alone, and equal at those that there are: a proof makes up for it"""
    is_right_elsewhere: bool = False
    """partial, and equal at as many inputs with information as were asked for"""
    diagnosis: Diagnosis | None = None
    """of a refuted line: what it seems to have done"""

    floats: Swept | None = None
    """what the sweep in floats found"""
    power: Power | None = None
    """what that sweep could have seen"""

    @property
    def at_kinks(self) -> list[str]:
        """Which derivative the line takes where the gradient has a kink."""
        if not self.conventions or self.verdict not in RIGHT:
            return []
        takes = {
            "left": "the left derivative",
            "right": "the right one",
            "between": "one between",
            "outside": "another number",
        }
        counted = ", ".join(f"{takes[side]} ({count} entries)" for side, count in sorted(self.conventions.items()))
        return [f"at {self.kinks} inputs the gradient has a kink; there the line takes {counted}"]

    @property
    def judged_against(self) -> str:
        """against line_1, where x > 0"""
        parts = [f"against {self.against}" if self.against else "", f"where {self.condition}" if self.condition else ""]
        return ", ".join(part for part in parts if part)

    @property
    def said(self) -> str:
        """The verdict as the table says it: within 0.25 ulps."""
        said = _VERDICTS[self.verdict][0]
        return f"{said} {self.apart:.2g} ulps" if self.verdict == "within" else said

    def to_dict(self) -> JsonObject:
        """As JSON. What was not measured is null."""
        found = self.counterexample
        return {
            "label": self.label,
            "formula": self.formula,
            "latex": self.latex,
            "verdict": self.verdict,
            "against": self.against,
            "condition": self.condition,
            "reason": "; ".join(part for part in (self.reason, str(self.proof or "")) if part),
            "inputs": self.inputs,
            "within_ulps": self.apart if self.verdict == "within" else None,
            "kinks": self.kinks,
            "shapes": self.shapes,
            "floats": self.floats.to_dict() if self.floats else None,
            "power": self.power.to_dict() if self.power else None,
            "ulps": self.ulps,
            "counterexample": found.to_dict() if found else None,
            "difference": found.difference if found else None,
            "diagnosis": self.diagnosis.to_dict() if self.diagnosis else None,
            "proof": self.proof.to_dict() if self.proof else None,
        }


@dataclass(frozen=True)
class Claimed:
    """What the lines of a derivation are claimed to be."""

    is_gradient: bool
    function: str
    """what is differentiated; or, of a claim that is no gradient, what the first line is to equal"""
    by: str | None
    """by what the ∇ of the lines differentiates; None for all of the first argument"""
    reference: str
    """what the first line is judged against: jax.grad, or that function"""

    @classmethod
    def of(cls, derivation: Derivation) -> "Claimed":
        """That of a derivation."""
        return cls(derivation.is_gradient, label_of(derivation.of), derivation.wrt, derivation.reference)

    @property
    def said(self) -> str:
        """What a reader has to be told of it; nothing of a gradient."""
        return "" if self.is_gradient else f"no gradient: each line is to equal {self.function}"

    def to_dict(self) -> JsonObject:
        """As JSON."""
        kind = "gradient" if self.is_gradient else "equals"
        return {"kind": kind, "function": self.function, "by": self.by, "reference": self.reference}


@dataclass
class Report:
    """The verdict on a derivation. Prints as a table, in a terminal, a log or a notebook.

    `rich.print(report)` folds rows that are too long; `console.print(report, soft_wrap=True)` leaves the program whole.
    """

    name: str
    lines: list[LineReport]
    seed: int
    reference: str = ""
    """how the reference was checked, or what is wrong with it"""
    reference_is_right: bool = True
    notes: list[str] = field(default_factory=list[str])
    """what else a reader wants to know"""
    accuracy: list[str] = field(default_factory=list[str])
    """the same of errors in ulps, where they were measured"""
    verbose: bool = False
    """whether the table says how many inputs of each stratum were tried"""
    sweep_seconds: float = 0.0
    """that the sweep in floats took"""
    claim: Claimed | None = None
    """None where nothing was judged"""

    @property
    def ok(self) -> bool:
        """Every line is right, and the reference in order. A partial line is not."""
        return self.reference_is_right and all(line.verdict in RIGHT for line in self.lines)

    @property
    def first_wrong_line(self) -> str | None:
        """The label of the first refuted line."""
        return next((line.label for line in self.lines if line.verdict == "refuted"), None)

    @property
    def exit_code(self) -> int:
        """0 all right, 1 a line refuted or the reference wrong, 3 a line partial or undecided and nothing refuted."""
        if self.first_wrong_line or not self.reference_is_right:
            return 1
        return 0 if self.ok else 3

    def to_dict(self) -> JsonObject:
        """As JSON: one entry of the command's `derivations`."""
        return {
            "name": self.name,
            "claim": self.claim.to_dict() if self.claim else None,
            "ok": self.ok,
            "first_wrong_line": self.first_wrong_line,
            "outcome": self.outcome,
            "reference": self.reference,
            "seed": self.seed,
            "notes": [*self.notes, *self.accuracy],
            "accuracy": self.accuracy,
            "summary": self.summary,
            "sweep_seconds": round(self.sweep_seconds, 3),
            "lines": [line.to_dict() for line in self.lines],
        }

    def __str__(self) -> str:
        console = Console(file=StringIO(), width=100, color_system=None, legacy_windows=False)
        console.print(self, soft_wrap=True)
        assert isinstance(console.file, StringIO)
        return "\n".join(row.rstrip() for row in console.file.getvalue().rstrip().splitlines())

    def _repr_html_(self) -> str:
        return in_notebook(of_report(self.to_dict()))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(self.name, style="bold")
        table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0), expand=False)
        for _ in range(4):
            table.add_column(overflow="fold")
        for line in self.lines:
            table.add_row(
                Text("  " + line.label, no_wrap=True),
                Text(line.formula),
                Text(line.said, style=_VERDICTS[line.verdict][1], no_wrap=True),
                Text(line.judged_against, style="dim"),
            )
        yield table
        paragraphs: list[tuple[str, int]] = []
        for line in self.lines:
            paragraphs += [(f"{line.label}: {line.reason}", 2)] if line.reason else []
            paragraphs += [(f"{line.label}: {said}", 2) for said in line.at_kinks]
            paragraphs += [(f"{line.label}: {said}", 2) for said in (line.power.sentences() if line.power else [])]
            paragraphs += [(str(line.counterexample), 4)] if line.counterexample else []
            paragraphs += [(f"suspect: {line.diagnosis}", 4)] if line.diagnosis else []
        paragraphs += [(sentence, 2) for sentence in (*self._not_proved, *self.notes, *self.accuracy)]
        first = next((line.counterexample for line in self.lines if line.counterexample), None)
        for text, by in paragraphs:
            yield from indented(console, options, text, by)
        for heading, said in self.summary.items():
            for k, row in enumerate(indented(console, options, said, _HEADING)):
                yield Text(f"  {heading}".ljust(_HEADING) + row.plain[_HEADING:]) if k == 0 else row
        if first:
            whole = options.no_wrap or False  # console.print(report, soft_wrap=True)
            for title, text in (("as a test", first.example), ("as a program", first.snippet)):
                yield Text(f"  {title}")
                yield from (Text(f"    {row}", no_wrap=whole) for row in text.splitlines())

    @property
    def _floats(self) -> str:
        """How much of the lines was swept in floats, and which were not, by name."""
        swept = [line for line in self.lines if line.floats and line.verdict in RIGHT]
        done = [line.floats for line in swept if line.floats and not line.floats.reason]
        left_out = [f"{line.label} {line.floats}" for line in swept if line.floats and line.floats.reason]
        return "; ".join([*([str(Swept.of_all(done))] if done else []), *left_out])

    @property
    def _not_proved(self) -> list[str]:
        """Which lines agree and were not proved, by the reason."""
        labels: dict[str, list[str]] = {}
        for line in self.lines:
            if line.verdict in ("agrees", "within") and line.proof is not None:
                labels.setdefault(line.proof.reason, []).append(line.label)
        return [f"{', '.join(found)}: not proved: {reason}" for reason, found in labels.items()]

    @property
    def _proved(self) -> str:
        """How many of the right lines are proved, and for what."""
        proofs = [line.proof for line in self.lines if line.verdict == "proved" and line.proof is not None]
        scopes = Counter(proof.scope.strip() or "on the whole domain" for proof in proofs)
        if len(proofs) == len(self.lines) and len(scopes) == 1:
            return proofs[0].scope.strip() or "on the whole domain"
        return "; ".join(f"{count} of {len(self.lines)} lines {scope}" for scope, count in scopes.items())

    @property
    def _balls(self) -> str:
        """At how many inputs balls found right lines equal."""
        fewest = min(
            (line.inputs for line in self.lines if line.verdict in RIGHT), key=lambda n: sum(n.values()), default={}
        )
        if not fewest:
            return ""
        strata = f" ({', '.join(f'{count} {stratum}' for stratum, count in fewest.items())})" if self.verbose else ""
        closest = "30 digits" if not any(line.verdict == "within" for line in self.lines) else "30 digits or within ulps"
        return f"equal to {closest} at {sum(fewest.values())} inputs or more{strata}"

    @property
    def outcome(self) -> str:
        """The result in three words."""
        if self.first_wrong_line:
            return f"wrong first at {self.first_wrong_line}"
        if self.ok:
            return "all lines right"
        if self.reference_is_right and all(line.verdict in RIGHT or line.is_right_elsewhere for line in self.lines):
            return "all lines right wherever they have a value"
        return "the reference is wrong" if not self.reference_is_right else "not all lines could be decided"

    @property
    def summary(self) -> dict[str, str]:
        """The outcome, and on what it rests, by heading; what there is nothing to say of is left out."""
        rows = {
            "claim": self.claim.said if self.claim else "",
            "result": self.outcome,
            "proved": self._proved,
            "balls": self._balls,
            "floats": self._floats,
            "reference": self.reference,
            "seed": str(self.seed),
        }
        return {heading: said for heading, said in rows.items() if said}


_HEADING = 13
"""the width of the column of headings, and what is before it"""

_VERDICTS = {
    "proved": ("proved", "green"),
    "agrees": ("agrees", "green"),
    "within": ("within", "green"),
    "partial": ("partial", "yellow"),
    "refuted": ("REFUTED", "bold red"),
    "undecided": ("undecided", "yellow"),
}


def indented(console: Console, options: ConsoleOptions, text: str, by: int = 2) -> Iterator[Text]:
    """A paragraph, wrapped and indented, without spaces at the ends of its rows."""
    for row in Text(text).wrap(console, options.max_width - by):
        row.rstrip()
        yield Text(" " * by).append_text(row)
