"""From what was found at all inputs to the report: the worst of each kind for each rule, its input made simple."""

import time
from collections.abc import Iterator, Sequence

import jax
import numpy as np

from autodiff_ref.judge.counterexample import readable
from autodiff_ref.judge.program.equations import reads_beyond
from autodiff_ref.judge.program.plans import ending_by
from autodiff_ref.judge.rules.findings import FAILS, ORDER, Entry, Finding, Kind, RuleReport
from autodiff_ref.judge.rules.iterating import iterates
from autodiff_ref.judge.rules.iterations import CLOSE
from autodiff_ref.judge.rules.naming import shown_name
from autodiff_ref.judge.rules.preparing import Args
from autodiff_ref.judge.rules.reproducing import in_single, reproducer
from autodiff_ref.judge.rules.residuals import residual_mistake
from autodiff_ref.judge.rules.running import WHOLE, Judged, Run
from autodiff_ref.judge.rules.shrinking import simpler_inputs

SHRINKING = 5.0
"""seconds beyond the limit that may be spent on that"""

SHRINKS = 60
"""inputs that are tried to make a finding simpler"""

_SURROGATE = "by this argument the derivative is 0 throughout: a rule that is meant as a surrogate says so by intent="
_HELD_STILL = (
    "JAX has 0 by this argument throughout: if it is an integer, say so by domain=, and if it is held still "
    "on purpose, by intent="
)
_CANCELS = "f as a whole is right: mistakes that cancel, or a rule that is meant so (say intent=)"

_EMPTY = "at these inputs it returns no number: an array of size 0 has no derivative to judge"
_LATE = "the time was up before an input was judged"

_CLOSE = "if the function approximates another one, which the rule is meant for, say within="

ALMOST = 1e-4
"""no slip of a pen is off by so little"""

_ENOUGH = 4
"""findings that are shrunk"""


def report_of(run: Run, how: str, seconds: float) -> RuleReport:
    """What was found.

    Args:
        run: a judgement that is done.
        how: how its inputs were chosen.
        seconds: that it took.
    """
    entries = [judged.entry for judged in run.judged]
    return RuleReport(
        shown_name(run.f),
        how,
        run.inputs,
        tuple(run.rules.values()),
        tuple(entries),
        (*_findings(run), *_keeps(run), *_not_judged(run)),
        (*_kinks(entries), *run.notes),
        seconds,
    )


def _findings(run: Run) -> list[Finding]:
    """One for each kind, rule and order, the worst first; of what fails in a rule and in f as a whole, that of the rule."""
    groups: dict[tuple[Kind, str, int], list[Judged]] = {}
    for judged in run.judged:
        entry = judged.entry
        if entry.kind not in ("right", "kink", "not differentiable"):
            groups.setdefault((entry.kind, entry.rule, entry.order), []).append(judged)
    within = {(kind, order) for (kind, _, order), group in groups.items() if group[0].which != WHOLE}
    findings = list[Finding]()
    shown: dict[tuple[Kind, int], Args] = {}
    """inputs at which f as a whole is seen to be wrong"""

    def rank(group: list[Judged]) -> tuple[int, bool]:
        return ORDER.index(group[0].entry.kind), group[0].which != WHOLE

    for group in sorted(groups.values(), key=rank):
        fails, is_whole = group[0].entry.kind in FAILS, group[0].which == WHOLE
        worst = min(group, key=_plainness) if fails else max(group, key=lambda judged: _finite(judged.entry.gap))
        if fails and len(findings) < _ENOUGH:
            worst = _shrunk(run, worst)
        entry, names = worst.entry, worst.prepared.names
        notes, follows, snippet, floats = [entry.note], False, "", ""
        notes += [_SURROGATE] if entry.kind == "WRONG" and run.is_flat(entry) else []
        notes += [_HELD_STILL] if entry.kind == "WRONG" and run.is_flat(entry, by_jax=True) else []
        notes += [_CLOSE] if entry.kind == "WRONG" and 0 < entry.gap < ALMOST else []
        if is_whole:
            shown[entry.kind, entry.order] = worst.args
            follows = (entry.kind, entry.order) in within
            notes += ["see the rule within"] if follows else []
        else:
            notes.append(f"in {shown_name(run.f)} at {readable(worst.args, names)}")
            notes += [_CANCELS] if entry.kind == "WRONG" and _whole_is_right(run, entry.order) else []
        if fails and not follows:
            snippet = reproducer(run.f, shown.get((entry.kind, entry.order), worst.args), names, entry.order,
                                 mode=entry.note, of_value=entry.kind == "value")  # fmt: skip
            floats = _in_floats(run, worst) if snippet and is_whole else ""
        findings.append(
            Finding(entry.kind, entry.rule, _place(worst), entry.name, entry.at, entry.jax, entry.true, entry.gap,
                    "; ".join(filter(None, notes)), len(group), entry.order, snippet, floats)
        )  # fmt: skip
    return sorted(findings, key=lambda finding: (ORDER.index(finding.kind), "see the rule within" in finding.note))


def _not_judged(run: Run) -> Iterator[Finding]:
    for kind, rule, place, why in run.missing:
        yield Finding(kind, rule, place, "", "", "", "", 0.0, why, 0)
    if not run.judged and not run.missing:
        yield Finding("undecided", shown_name(run.f), "", "", "", "", "", 0.0, _EMPTY if run.inputs else _LATE, 0)


def _whole_is_right(run: Run, order: int) -> bool:
    """Whether f as a whole was judged, and is neither wrong nor without a value anywhere."""
    kinds = {judged.entry.kind for judged in run.judged if judged.which == WHOLE and judged.entry.order == order}
    return bool(kinds & {"right", "within"}) and not kinds & {"WRONG", "NaN"}


def _in_floats(run: Run, found: Judged) -> str:
    """What JAX says of an entry of f as a whole in float64 and in float32."""
    whole, entry = found.prepared.whole, found.entry
    if whole is None or entry.order > 1 or entry.name not in whole.entries:
        return ""
    if whole.loops or iterates(found.prepared.program):  # a tolerance of 1e-12 is never reached in float32
        return ""
    k, leaves = whole.entries.index(entry.name), [np.asarray(leaf) for leaf in jax.tree.leaves(found.args)]
    double = whole.floats(leaves, entry.note if entry.note in whole.programs else whole.main)
    single = in_single(run.f, found.args, whole.by, k, entry.note)
    said = {"float64": None if double is None else double[k], "float32": single}
    return ", ".join(f"{value} in {dtype}" for dtype, value in said.items() if value is not None)


def _keeps(run: Run) -> Iterator[Finding]:
    """A finding where a custom_vjp does not keep what it needs as residuals."""
    kept = [rule for rule in run.rules.values() if rule.kind == "custom_vjp"]
    if not kept or run.first is None or run.solves is not None:
        return
    args, made = run.first
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(args)]
    held = run.preparation.constant_leaves(args)
    why = residual_mistake(run.preparation.flat(args), leaves, [k for k in range(len(leaves)) if k not in held])
    if why:
        names = ", ".join(dict.fromkeys(rule.name for rule in kept))
        yield Finding("residuals", names, kept[0].place, "", readable(args, made.names), "", "", 0.0, why, 1)


def _place(found: Judged) -> str:
    """Where the rule is; empty for f as a whole, if that is no rule."""
    if found.which != WHOLE:
        return found.prepared.calls[found.which][0].named.place
    return found.prepared.whole_named.place if found.prepared.whole_named is not None else ""


def _kinks(entries: Sequence[Entry]) -> Iterator[str]:
    """One note for each rule: which convention it takes at a kink."""
    seen: set[str] = set()
    for entry in entries:
        if entry.kind == "kink" and entry.rule not in seen:
            seen.add(entry.rule)
            yield f"kink of {entry.rule} at {entry.at}: {entry.name}: {entry.note}"


def _shrunk(run: Run, worst: Judged) -> Judged:
    """The same finding at a simpler input."""
    best = worst
    if run.domain is None or run.solves is not None:
        return worst
    tries = 0
    for simpler in simpler_inputs(run.domain, worst.args):
        if tries >= SHRINKS or time.process_time() > run.end(SHRINKING):
            break
        candidate = simpler(best.args)
        if candidate is not None:
            tries += 1
            best = _there(run, worst, candidate) or best
    return best


def _there(run: Run, found: Judged, args: Args) -> Judged | None:
    """The same finding at another input; None where it is not found."""
    order, which = found.entry.order, found.which
    try:
        made = run.preparation.prepare(args, order)
    except Exception:  # as a cross product, f may take arrays of some sizes alone
        return None
    if which >= len(made.calls) or (reads_beyond(made.program) and not reads_beyond(found.prepared.program)):
        return None
    with ending_by(run.end(SHRINKING)):
        entries = [entry for _, some in run.examined(made, args, order, which) for entry in some]
    alike = [Judged(e, args, made, which) for e in entries if (e.kind, e.note) == (found.entry.kind, found.entry.note)]
    return min(alike, key=_plainness, default=None)


def _plainness(judged: Judged) -> tuple[bool, bool, int, float]:
    """Ordinary modes first, then what is not close, then the shortest input, then the largest gap."""
    entry = judged.entry
    return "float64" in entry.note, entry.gap < CLOSE, len(entry.at), -_finite(entry.gap)


def _finite(gap: float) -> float:
    return gap if np.isfinite(gap) else 1e300
