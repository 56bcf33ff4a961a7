"""What is found of derivative rules: entries, findings and the report, as data that print themselves."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from flint import arb
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from autodiff_ref.judge.comparing import TINY, share_of, shown_number

Kind = Literal[
    "right",
    "WRONG",
    "NaN",
    "value",
    "residuals",
    "within",
    "accuracy",
    "kink",
    "not differentiable",
    "meant so",
    "raises",
    "undecided",
]

ORDER: tuple[Kind, ...] = (
    "WRONG",
    "NaN",
    "value",
    "residuals",
    "accuracy",
    "within",
    "raises",
    "meant so",
    "undecided",
    "kink",
    "not differentiable",
    "right",
)
"""the worst first"""

FAILS: tuple[Kind, ...] = ("WRONG", "NaN", "value", "residuals")

SAID: dict[Kind, str] = {
    "WRONG": "JAX has another value than the derivative, which exists",
    "NaN": "JAX has no value where the derivative exists",
    "value": "while it is differentiated, the function has another value",
    "residuals": "what the rule keeps between its halves is no residual",
    "accuracy": "right as a real function, but float64 has lost the digits",
    "within": "off by no more than is allowed",
    "meant so": "no derivative, on purpose",
    "raises": "JAX raises an error in the place of a derivative",
    "undecided": "not decided",
    "kink": "the derivatives from both sides differ",
    "not differentiable": "no derivative exists",
    "right": "the derivative",
}


@dataclass(frozen=True)
class Entry:
    """One entry of one Jacobian at one input."""

    kind: Kind
    rule: str
    """the function whose rule it is, or the function as a whole"""
    name: str
    """∂f[1]/∂x[0]"""
    at: str
    """the arguments that the function was called with"""
    jax: str = ""
    true: str = ""
    gap: float = 0.0
    """relative"""
    note: str = ""
    """the mode, the convention at a kink, or what was missing"""
    order: int = 1

    @property
    def argument(self) -> str:
        """The argument that it is the derivative by."""
        return re.split(r"[\[.]", self.name.partition("/∂")[2])[0]


def shown_true(value: arb) -> str:
    """Its digits; 0 for what no float tells from it."""
    return "0" if bool(abs(value) <= TINY) else shown_number(value)


def judged(by_jax: arb, true: arb, allowed: float) -> tuple[Kind, float]:
    """What a value is that is not the true one, and by what share it is off."""
    gap = share_of(by_jax, true)
    if bool(abs(by_jax - true) <= TINY):
        return "right", 0.0
    if gap <= allowed:
        return "within", gap
    return "WRONG", gap


@dataclass(frozen=True)
class Finding:
    """What a user is to look at: the worst entry of a kind for one rule, its input made simple."""

    kind: Kind
    rule: str
    place: str
    """of the rule: mine.py:12; empty for the function as a whole"""
    name: str
    at: str
    jax: str
    true: str
    gap: float
    note: str
    count: int
    """of entries like it"""
    order: int = 1
    snippet: str = ""
    floats: str = ""
    """what JAX says in float64 and in float32, for the function as a whole"""

    def __str__(self) -> str:
        whose = f"{self.rule} ({self.place})" if self.place else self.rule
        order = "" if self.order == 1 else f", order {self.order}"
        lines = [f"{self.kind}: {whose}{order}: {SAID[self.kind]}" + (f"; {self.note}" if self.note else "")]
        if self.at:
            lines.append(f"  at {self.at}")
        if self.jax or self.true:
            gap = f", relative difference {self.gap:.2g}" if 0 < self.gap < float("inf") else ""
            told = ("by the rule", "by the function") if self.kind == "value" else ("JAX", "true")
            true = f"{told[1]} {self.true}{gap}" if self.true else f"{told[1]} not known"
            lines.append(f"  {self.name}: {told[0]} {self.jax}, {true}")
        if self.floats:
            lines.append(f"  as computed: {self.floats}")
        return "\n".join(lines)


@dataclass(frozen=True)
class Rule:
    """A function with a rule of its own that was met, and what came of it."""

    name: str
    place: str
    kind: str
    judged: bool
    why: str = ""
    """why it was not judged alone"""


def exit_code_of(verdict: str) -> int:
    """1 for WRONG and NaN, 3 for what raises and what is undecided, else 0."""
    return 1 if verdict in FAILS else 3 if verdict in ("raises", "undecided") else 0


@dataclass(frozen=True)
class RuleReport:
    """What `judge_rule` found."""

    name: str
    domain: str
    """how inputs were chosen"""
    inputs: int
    rules: tuple[Rule, ...] = ()
    entries: tuple[Entry, ...] = ()
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def counts(self) -> dict[Kind, int]:
        """How many entries there are of each kind."""
        counted = Counter(entry.kind for entry in self.entries)
        return {kind: counted[kind] for kind in ORDER if counted[kind]}

    @property
    def verdict(self) -> Kind:
        """The worst that was found; undecided where most entries of the function, or of a rule within, are not decided.

        That the rules within are right is no comfort where nothing is known of the function, or where JAX raises there.
        """
        found = {finding.kind for finding in self.findings}
        for kind in (*FAILS, "raises", "meant so"):
            if kind in found:
                return kind
        if self._is_open or any(finding.kind == "undecided" and not finding.at for finding in self.findings):
            return "undecided"
        for kind in ("accuracy", "within"):
            if kind in found:
                return kind
        best: tuple[Kind, ...] = ("right", "undecided", "kink", "not differentiable")
        return next(kind for kind in best if self.counts.get(kind) or kind == best[-1])

    @property
    def _is_open(self) -> bool:
        """Whether most entries of the function as a whole, or of one of the rules, or most by an argument, are open."""
        every, open_ = Counter[tuple[str, int, str]](), Counter[tuple[str, int, str]]()
        for entry in self.entries:
            for argument in {"", entry.argument}:
                every[entry.rule, entry.order, argument] += 1
                open_[entry.rule, entry.order, argument] += entry.kind == "undecided"
        return not every or any(2 * open_[by] > count for by, count in every.items())

    @property
    def ok(self) -> bool:
        """Whether nothing is WRONG or NaN, and something was decided."""
        return self.exit_code == 0

    @property
    def exit_code(self) -> int:
        """1 for WRONG and NaN, 3 for what raises and what is undecided, else 0."""
        return exit_code_of(self.verdict)

    def to_dict(self) -> dict[str, Any]:
        """For JSON: all but the single entries."""
        return {
            "name": self.name,
            "verdict": self.verdict,
            "ok": self.ok,
            "inputs": self.inputs,
            "domain": self.domain,
            "counts": dict(self.counts),
            "rules": [asdict(rule) for rule in self.rules],
            "findings": [asdict(finding) for finding in self.findings],
            "notes": list(self.notes),
            "seconds": round(self.seconds, 3),
        }

    @property
    def row(self) -> str:
        """One line: the verdict, the function, what it rests on, and of what is not decided what was missing."""
        counts = ", ".join(f"{count} {kind}" for kind, count in self.counts.items())
        lacking = [finding.note for finding in self.findings if finding.kind == self.verdict]
        why = f": {lacking[0]}" if lacking and self.verdict in ("raises", "undecided") else ""
        tried = ", ".join([f"{self.inputs} input{'s' * (self.inputs != 1)}", *[self.domain] * bool(self.domain)])
        return f"{self.verdict:<18} {self.name}   {counts or 'nothing'}; {tried}{why}"

    def lines(self) -> Iterator[str]:
        """The report as lines of text."""
        yield self.row
        for rule in self.rules:
            left = "" if rule.judged else f": not judged alone ({rule.why})"
            yield f"  rule: {rule.kind} of {rule.name} at {rule.place}{left}"
        for finding in self.findings:
            for line in str(finding).splitlines():
                yield f"  {line}"
            if finding.snippet and finding.kind in FAILS:
                yield "  to see it without this project:"
                for line in finding.snippet.splitlines():
                    yield f"      {line}"
        for note in self.notes:
            yield f"  note: {note}"

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in self.lines():
            yield Text(line)
