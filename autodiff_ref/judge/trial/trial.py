"""The judge on trial: mistakes are planted in each line of a derivation, to see whether it finds them."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import StringIO
from typing import Literal

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from autodiff_ref.judge.inputs import NoInputError
from autodiff_ref.judge.mutation.mutants import Mutant, mutants
from autodiff_ref.judge.report import indented
from autodiff_ref.judge.trial.variants import Inputs, Variants
from autodiff_ref.judge.verdict import verdict_of
from autodiff_ref.trees import JsonObject
from manual_grad.derivation import Derivation, label_of

ENOUGH = 1000
"""a mutant that equals its line at so many inputs, to 30 digits, is taken to be equal to it"""

Outcome = Literal["refuted", "equal", "within an ulp", "no value", "not told apart"]
OUTCOMES: tuple[Outcome, ...] = ("refuted", "equal", "within an ulp", "no value", "not told apart")
"""within an ulp: the mutant differs by less than the constants may mean, as 0.1 may mean 1/10, and the judge calls it right
no value: the mutant has none at most inputs, as log(p − 1) for a probability p; the judge says undecided, never right"""


@dataclass(frozen=True)
class Finding:
    """What the judge says of one mutant."""

    label: str
    """of the line that it was made from"""
    mutant: Mutant
    outcome: Outcome
    reason: str = ""
    missed: bool = False
    """whether the judge calls it right at its inputs, though it differs from the line at others"""

    def to_dict(self) -> JsonObject:
        """As JSON."""
        return {
            "line": self.label,
            "kind": self.mutant.kind,
            "sentence": self.mutant.sentence,
            "place": self.mutant.place,
            "outcome": self.outcome,
            "missed": self.missed,
            "reason": self.reason,
        }


@dataclass
class Trial:
    """The mutants of a derivation's lines, and what became of them. Prints as a table."""

    name: str
    seed: int
    labels: list[str]
    findings: list[Finding] = field(default_factory=list[Finding])
    reason: str = ""
    """why there are none"""

    def count(self, label: str | None = None) -> Counter[str]:
        """How many mutants had which outcome, of a line or of all."""
        return Counter(finding.outcome for finding in self.findings if label in (None, finding.label))

    @property
    def ok(self) -> bool:
        """Whether no mutant was called right that is not."""
        return not any(finding.missed for finding in self.findings)

    def to_dict(self) -> JsonObject:
        """As JSON: `mutants` in the command's output."""
        count = self.count()
        return {
            "seed": self.seed,
            "planted": len(self.findings),
            **{outcome.replace(" ", "_"): count[outcome] for outcome in OUTCOMES},
            "missed": sum(finding.missed for finding in self.findings),
            "reason": self.reason,
            "findings": [finding.to_dict() for finding in self.findings],
        }

    def __str__(self) -> str:
        console = Console(file=StringIO(), width=100, color_system=None, legacy_windows=False)
        console.print(self)
        assert isinstance(console.file, StringIO)
        return console.file.getvalue().rstrip()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(f"mistakes planted in {self.name}", style="bold")
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), expand=False, header_style="")
        table.add_column("", no_wrap=True)
        outcomes = [outcome for outcome in OUTCOMES if outcome != "within an ulp" or self.count()[outcome]]
        for title in ("planted", *outcomes):
            table.add_column(title, justify="right")
        rows: list[tuple[str, str | None]] = [(label, label) for label in self.labels]
        for title, label in [*rows, *[("all", None)] * (len(rows) > 1)]:
            count = self.count(label)
            table.add_row(Text("  " + title), str(count.total()), *[str(count[outcome]) for outcome in outcomes])
        yield table
        for text, by in self._paragraphs():
            yield from indented(console, options, text, by)

    def _paragraphs(self) -> Iterator[tuple[str, int]]:
        if self.reason:
            yield self.reason, 2
        titles = {
            "equal": f"equal to their line, to 30 digits at {ENOUGH:,} inputs",
            "within an ulp": "equal to their line, where a constant may mean what is an ulp from it",
            "no value": "without a value at most inputs, where their line has one",
            "not told apart": "not told apart from their line",
        }
        for outcome, title in titles.items():
            found = [finding for finding in self.findings if finding.outcome == outcome]
            if found:
                yield title, 2
            for finding in found:
                reason = f": {finding.reason}" if outcome in ("within an ulp", "not told apart") else ""
                yield f"{finding.label}  {finding.mutant.kind}: {finding.mutant.sentence}{reason}", 4
        yield f"{self.summary}; seed {self.seed}", 2

    @property
    def summary(self) -> str:
        """One sentence: how many of the mistakes that matter were found."""
        count = self.count()
        differ = count.total() - count["equal"]
        missed = sum(finding.missed for finding in self.findings)
        outcome = f"{count['refuted']} of {differ} mistakes refuted" if differ else "nothing was planted that differs"
        others = {
            "within an ulp of constants": count["within an ulp"],
            "have no value": count["no value"],
            "called right": missed,
        }
        return ", ".join([outcome, *(f"{n} {what}" for what, n in others.items() if n)])


def trial(
    derivation: Derivation,
    *,
    seed: int = 0,
    most: int = 12,
    progress: Callable[[int, int, str], None] | None = None,
) -> Trial:
    """Plants mistakes in each line of a derivation, and compares each mutant with the line it stands for as the judge would.

    A mutant that differs at one of the judge's inputs is refuted. One that the judge calls right is tried at 1,000 inputs,
    over all strata and several seeds: then it equals its line, or differs by less than an ulp of the line's constants does,
    or the judge has missed it. One that the judge calls undecided is not told apart, or has no value at most inputs.

    Args:
        derivation: whose lines. They need not be right: a mutant is compared with the line that it was made from.
        seed: of the mistakes and of the inputs.
        most: how many mistakes at most to plant in each line.
        progress: called before each line with the lines done, the lines in all, and the line's label.

    Raises:
        LineError: a line raises.

    Example:
        >>> from manual_grad import notes
        >>> trial(notes.RESIDUAL, most=2).ok
        True
    """
    made = Trial(derivation.name, seed, derivation.labels)
    tell = progress or (lambda done, total, what: None)
    try:
        inputs = Inputs(derivation, seed)
    except NoInputError as error:
        made.reason = str(error)
        return made
    for k, line in enumerate(derivation.lines):
        tell(k, len(derivation.lines), label_of(line))
        planted = mutants(derivation, line, seed=seed, most=most)
        if planted:
            variants = Variants(planted[0].source, inputs)
            made.findings += [_judged(label_of(line), variants, mutant) for mutant in planted]
    return made


def _judged(label: str, variants: Variants, mutant: Mutant) -> Finding:
    relation = variants.relation([mutant.edit])
    doubtful = relation.silent["kink"] + relation.silent["unclear"] + relation.lacking
    if relation.differences:
        return Finding(label, mutant, "refuted")
    if 2 * relation.lacking > relation.tried:
        return Finding(label, mutant, "no value")
    if relation.no_rule or not relation.equal or relation.equal.total() - relation.vanishing < doubtful:
        return Finding(label, mutant, "not told apart", f"undecided, {verdict_of(relation, wanted=relation.tried)[1]}")
    return _called_right(label, variants, mutant)


def _called_right(label: str, variants: Variants, mutant: Mutant) -> Finding:
    """A mutant that the judge's inputs do not tell from its line: equal, or missed?"""
    further = variants.agree_further([mutant.edit], ENOUGH)
    equal = further.equal.total()
    if further.differences:
        why = f"it differs at the {equal + 1:,}th input tried"
        return Finding(label, mutant, "not told apart", why, missed=True)
    if equal >= ENOUGH and further.ulps:
        why = f"differs by {further.ulps:.2g} ulps, which constants or rounding explain"
        return Finding(label, mutant, "within an ulp", why)
    if equal >= ENOUGH:
        return Finding(label, mutant, "equal", f"to 30 digits at {equal:,} inputs")
    return Finding(label, mutant, "not told apart", f"equal, but {verdict_of(further, wanted=ENOUGH)[1]}")
