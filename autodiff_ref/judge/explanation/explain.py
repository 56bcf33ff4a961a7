"""A line explained: what changed against the line above, by which rule, where that holds, and the judge's verdict."""

import inspect
import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import jax
import numpy as np
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from autodiff_ref.judge.balls import BALLS, Context, exact, precision
from autodiff_ref.judge.bench import Bench
from autodiff_ref.judge.comparing import compare, evaluator
from autodiff_ref.judge.counterexample import leaf_names
from autodiff_ref.judge.derivations import verify
from autodiff_ref.judge.diagnosis.source_places import file_of
from autodiff_ref.judge.diagnosis.terms import named
from autodiff_ref.judge.diagnosis.variant import program_of
from autodiff_ref.judge.evaluation import as_balls
from autodiff_ref.judge.explanation.changes import changes
from autodiff_ref.judge.explanation.wording import BITS, Balls, Moment, Rule, recognised, under_nabla
from autodiff_ref.judge.inputs import Input, draw_inputs
from autodiff_ref.judge.lines.trace import NablaCall, Traced, claims_to_hold, label_flags, shape_key
from autodiff_ref.judge.program.walk import plan
from autodiff_ref.judge.report import Claimed, LineReport, indented
from autodiff_ref.trees import Arguments, Function, JsonObject, PyTree
from manual_grad.derivation import Derivation, Line, formula_of, label_of, latex_of

INPUTS = 4
"""a rule is tested at so many inputs"""

_HEADING = 14
"""the width of the column of headings, and what is before it"""


@dataclass(frozen=True)
class Explanation:
    """How a line follows from the line above."""

    derivation: str
    label: str
    formula: str
    latex: str
    """the formula in LaTeX, where the docstring gives it"""
    above: str
    above_formula: str
    above_latex: str
    changed: tuple[tuple[str, str], ...]
    """what was replaced by what, in the two formulas"""
    rule: Rule
    holds: str
    """for which inputs; of a step that fails "no; both sides are defined for" these"""
    verdict: LineReport
    claim: Claimed
    """of the derivation"""

    @property
    def above_is_line(self) -> bool:
        """Whether a line stands above, or the gradient; else it is what a claim that is no gradient says lines equal."""
        return self.claim.is_gradient or self.above != self.claim.reference

    @property
    def heading(self) -> str:
        """What is said of what stands above."""
        return "line above" if self.above_is_line else "is to equal"

    def __str__(self) -> str:
        rows = [f"  {name:12}{text}" for name, text in self._described]
        return "\n".join([f"{self.label} of {self.derivation}", *rows])

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text(f"{self.label} of {self.derivation}", style="bold")
        for name, text in self._described:
            for k, row in enumerate(indented(console, options, text, _HEADING)):
                yield Text(f"  {name}".ljust(_HEADING) + row.plain[_HEADING:]) if k == 0 else row

    @property
    def _described(self) -> list[tuple[str, str]]:
        formulas = [
            (self.heading, f"{self.above}  {self.above_formula}"),
            ("this line", f"{self.label}  {self.formula}"),
        ]
        return [*formulas, *self.rows]

    @property
    def rows(self) -> list[tuple[str, str]]:
        """What is said of the step, by heading; what goes on under a heading has none."""
        rows = [
            *[("changed", f"{old or 'nothing'}  →  {new or 'nothing'}") for old, new in self.changed],
            ("rule", self.rule.sentence),
            ("step holds", self.holds if self.holds.startswith("no;") else f"for {self.holds}"),
            ("verdict", f"{self.verdict.verdict}, against {self.verdict.against}" if self.verdict.against else "undecided"),
        ]
        rows += [("because", self.verdict.reason)] if self.verdict.reason else []
        if (proof := self.verdict.proof) is not None:
            rows += [
                ("not proved" if proof.reason else "proved", proof.reason or proof.scope.strip() or "on the whole domain")
            ]
            rows += [("by" if k == 0 else "", str(row)) for k, row in enumerate(proof.uses)]
            rows += [("but for" if k == 0 else "", said) for k, said in enumerate(proof.leaves_out)]
        rows += [("suspect", str(self.verdict.diagnosis))] if self.verdict.diagnosis else []
        return rows

    def to_dict(self) -> JsonObject:
        """As JSON."""
        found = self.verdict.diagnosis
        return {
            "derivation": self.derivation,
            "claim": self.claim.to_dict(),
            "line": self.label,
            "formula": self.formula,
            "latex": self.latex,
            "above": {"label": self.above, "formula": self.above_formula, "latex": self.above_latex},
            "changed": [{"from": old, "to": new} for old, new in self.changed],
            "rule": {"name": self.rule.name, "sentence": self.rule.sentence},
            "holds": self.holds,
            "verdict": self.verdict.verdict,
            "against": self.verdict.against,
            "reason": self.verdict.reason,
            "proof": self.verdict.proof.to_dict() if self.verdict.proof else None,
            "diagnosis": found.to_dict() if found else None,
        }


def explain(derivation: Derivation, labels: Sequence[str] = (), *, seed: int = 0) -> list[Explanation]:
    """Explains lines of a derivation, all of them where none is named.

    Args:
        derivation: what the lines belong to.
        labels: which lines.
        seed: of the inputs.

    Raises:
        ValueError: there is no such line.
        LineError: a line raises, or returns something of another shape than the gradient.

    Example:
        >>> from manual_grad import notes
        >>> explain(notes.RESIDUAL, ["claim_d"])[0].rule.name
        'case analysis'
    """
    unknown = [label for label in labels if label not in derivation.labels]
    if unknown:
        raise ValueError(f"{derivation.name} has no line {unknown[0]!r}; it has {', '.join(derivation.labels)}")
    inputs = [given for given in draw_inputs(derivation, seed=seed, at_least=64) if given.stratum == "ordinary"]
    bench = Bench(derivation, inputs, may_shrink=False)
    report = verify(derivation, seed=seed, examples=1, shrink=False)
    return [
        _explained(bench, k, report.lines[k]) for k, label in enumerate(derivation.labels) if not labels or label in labels
    ]


def _explained(bench: Bench, k: int, verdict: LineReport) -> Explanation:
    derivation = bench.derivation
    line, above = derivation.lines[k], derivation.lines[k - 1] if k else None
    formula = formula_of(line)
    before = formula_of(derivation.of if above is None else above)
    before_latex = latex_of(derivation.of if above is None else above)
    if above is None:
        before = "∇ " * derivation.is_gradient + (before or label_of(derivation.of))
        before_latex = r"\nabla " * (derivation.is_gradient and bool(before_latex)) + before_latex
    labels_matter = _with_real_labels(bench, line, above)
    rule = _rule(bench, line, above, labels_matter)
    holds = "no inputs but by chance" if rule.name == "none" else _holds(derivation, line, labels_matter)
    over = derivation.reference if above is None else label_of(above)
    put_right = verdict.against not in ("", over)  # the line above is wrong, and this one equals a right one before it
    if rule.name != "none" and (verdict.verdict == "refuted" or put_right):
        holds = f"no; both sides are defined for {_holds(derivation, line, None)}"
    return Explanation(
        derivation.name,
        label_of(line),
        formula,
        latex_of(line),
        over,
        before,
        before_latex,
        ((before, formula),) if above is None and derivation.is_gradient else changes(before, formula),
        rule,
        holds,
        verdict,
        Claimed.of(derivation),
    )


# By which rule


def _rule(bench: Bench, line: Line, above: Line | None, labels_matter: bool | None) -> Rule:
    inputs = _of_one_shape(bench, line, above)
    if not inputs:
        return Rule("not recognised", "not recognised: there is no input at which both lines claim to hold")
    args = inputs[0].args
    ours, theirs = bench.traced(line, args), bench.traced(above, args)
    theirs_calls = [_of_itself(bench, args)] if above is None and bench.derivation.is_gradient else theirs.calls
    kept = {call.key for call in ours.calls} & {call.key for call in theirs_calls}
    gone, new = [_distinct(calls, kept) for calls in (theirs_calls, ours.calls)]
    if not gone and not new:
        if any(bench.differ(line, above, given.args) for given in inputs):
            return Rule("none", "none: the same is left to ∇, and what stands in front of it is not equal")
        return _same_nabla(ours, theirs, labels_matter)
    try:
        with precision(BITS):
            moments = [_moment(bench, given.args, gone, new, ours, line) for given in inputs]
        found = recognised(moments)
    except Exception as error:  # a function that cannot be traced by itself: said, and nothing claimed
        return Rule("not recognised", f"not recognised: {type(error).__name__}: {str(error).splitlines()[0]}")
    if found is not None:
        return found
    names = [", ".join(f"∇{label_of(call.f)}" for call in calls) or "no ∇" for calls in (gone, new)]
    return Rule("not recognised", f"not recognised: {names[0]} became {names[1]}")


def _of_one_shape(bench: Bench, line: Line, above: Line | None) -> list[Input]:
    both = [
        given for given in bench.inputs if all(claims_to_hold(each, bench.derivation, given.args) for each in (line, above))
    ]
    largest = max((sum(np.size(leaf) for leaf in jax.tree.leaves(given.args)) for given in both), default=0)
    shape = next(
        (shape_key(given.args) for given in both if sum(np.size(leaf) for leaf in jax.tree.leaves(given.args)) == largest),
        None,
    )
    return [given for given in both if shape_key(given.args) == shape][:INPUTS]


def _distinct(calls: Sequence[NablaCall], kept: set[Hashable]) -> list[NablaCall]:
    return list({call.key: call for call in calls if call.key not in kept}.values())


def _of_itself(bench: Bench, args: Arguments) -> NablaCall:
    """The function that the whole derivation differentiates, as a use of ∇ at the arguments themselves."""
    leaves, structure = jax.tree.flatten(args)
    shapes = [jax.ShapeDtypeStruct(np.shape(leaf), np.asarray(leaf).dtype) for leaf in leaves]
    with jax.enable_x64(True):
        closed = jax.make_jaxpr(lambda *leaves: leaves)(*shapes)  # pyright: ignore[reportUnknownLambdaType]
    flags = label_flags(bench.derivation.domain)
    return NablaCall(bench.derivation.of, bench.derivation.wrt, structure, plan(closed, BALLS, labels=flags))


def _moment(
    bench: Bench,
    args: Arguments,
    gone: Sequence[NablaCall],
    new: Sequence[NablaCall],
    traced: Traced,
    line: Line,
) -> Moment:
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(args)]
    balls = [exact(leaf) for leaf in leaves]
    names = leaf_names(args, bench.argument_names)
    return Moment(
        [under_nabla(replace(call, f=bench.traces.for_jax(call.f)), args) for call in gone],
        [under_nabla(replace(call, f=bench.traces.for_jax(call.f)), args) for call in new],
        dict(zip(names, balls, strict=True)),
        _own_values(bench, args, traced, line) if not new else {},
    )


def _own_values(bench: Bench, args: Arguments, traced: Traced, line: Line) -> dict[str, Balls]:
    """What a line computes itself, by its source text."""
    program = program_of(traced.closed, file_of(line), len(jax.tree.leaves(traced.shapes)))
    slots = {text: slot for slot, (text, depth) in named(program).items() if depth == 0 and program.is_real(slot)}
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(args)]
    shapes = [jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in leaves]

    def values(*arguments: PyTree) -> list[PyTree]:
        made = program.run(arguments)
        return [made[slot] for slot in slots.values()]

    with jax.enable_x64(True):
        closed = jax.make_jaxpr(values)(*shapes)
    made = plan(closed, BALLS, labels=label_flags(bench.derivation.domain))
    balls = list(map(as_balls, leaves))
    return dict(zip(slots, made.run(Context(), *balls), strict=True))


def _same_nabla(ours: Traced, theirs: Traced, labels_matter: bool | None) -> Rule:
    """The lines leave the same to ∇, and differ in what stands in front of it."""
    if labels_matter:
        return Rule("case analysis", "case analysis: the two are equal for each value of the labels, and not in between")
    every = ", for every real value of the labels too" if labels_matter is False else ""
    if _divisions(ours) < _divisions(theirs):
        return Rule("cancellation", f"cancellation: a quotient is reduced, and equal{every}")
    return Rule("rewriting", f"rewriting: the same in front of ∇ in other words, equal{every}")


def _divisions(traced: Traced) -> int:
    program = program_of(traced.closed, "", len(jax.tree.leaves(traced.shapes)))
    return sum(node.name == "div" and not node.origin.is_nabla for node in program.nodes)


# Where it holds


def _with_real_labels(bench: Bench, line: Line, above: Line | None) -> bool | None:
    """Whether the two lines differ once labels are any real numbers; None where there are none to be changed."""
    leaves = jax.tree.leaves(bench.derivation.domain)
    if not any(leaf.two_values for leaf in leaves):
        return None
    decided = False
    for given in _of_one_shape(bench, line, above):
        arguments, structure = jax.tree.flatten(given.args)
        changed = [
            np.resize([0.25, -1.5, 0.75, 2.5], np.shape(value)) if leaf.two_values else value
            for leaf, value in zip(leaves, arguments, strict=True)
        ]
        args = jax.tree.unflatten(structure, changed)
        ours, theirs = bench.traced(line, args).plan, bench.traced(above, args).plan
        if ours is None or theirs is None:
            return None
        outcome = compare(evaluator(ours, args), evaluator(theirs, args)).outcome
        if outcome == "different":
            return True
        decided = decided or outcome == "equal"
    return False if decided else None


def _holds(derivation: Derivation, line: Line, labels_matter: bool | None) -> str:
    """For which inputs a line claims to hold, and whether its labels must be labels."""
    leaves = jax.tree.leaves(derivation.domain)
    structure = jax.tree.structure(derivation.domain)
    shaped = jax.tree.unflatten(structure, [np.zeros(())] * len(leaves))
    arguments = list(inspect.signature(derivation.of).parameters)[: len(derivation.domain)]
    said: list[str] = []
    for name, leaf in zip(leaf_names(shaped, arguments), leaves, strict=True):
        within = leaf.said(name)
        if leaf.two_values:
            within = {True: f"{within} only", False: f"any real {name}", None: within}[labels_matter]
        said += [within] if within else []
    conditions = (derivation.where, getattr(line, "valid", None))
    said += [_source(condition) for condition in conditions if condition is not None]
    return ", ".join(said) or "any real arguments"


def _source(condition: Function) -> str:
    """A condition as its source writes it."""
    try:
        text = " ".join(inspect.getsource(condition).split())
    except (OSError, TypeError):
        return f"where {label_of(condition)}"
    found = re.search(r"lambda [^:]*:\s*(.*)", text)
    return f"where {found.group(1).rstrip('), ')}" if found else f"where {label_of(condition)}"
