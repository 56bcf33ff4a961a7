"""The reference audited: JAX's gradient at every input, what lines leave to ∇, and the compiled gradient."""

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from flint import arb

from autodiff_ref.judge.bench import Bench
from autodiff_ref.judge.borrowed import borrowed
from autodiff_ref.judge.comparing import COARSE, ULP, digits, share_of
from autodiff_ref.judge.counterexample import readable
from autodiff_ref.judge.inputs import Input
from autodiff_ref.judge.lines.reference import Differentiated, Miscompiled, check_compiled
from autodiff_ref.judge.lines.trace import NablaCall, ShapeKey, shape_key
from autodiff_ref.judge.truth import Truth
from autodiff_ref.trees import Arguments
from manual_grad.derivation import label_of

_FUNCTION_INPUTS = 3
"""Each function that a line hands to ∇ is checked at so many inputs, and wherever a line that uses it seems wrong."""


@dataclass
class Audit:
    """What is known of the reference."""

    wrong: list[str] = field(default_factory=list[str])
    """what JAX or the compiler gets wrong"""
    notes: list[str] = field(default_factory=list[str])
    """where JAX's value at a tie, or its accuracy, is worth knowing"""
    checked: str = ""
    """which functions' derivatives were checked, and which could not be"""


def check_reference(bench: Bench) -> None:
    """Asks for the truth at every input, and at some for the functions that lines hand to ∇."""
    for given in bench.inputs if bench.derivation.is_gradient else ():
        truth = bench.truth(given.args)
        name = label_of(bench.derivation.of)
        if truth.is_known and (truth.confirmed or any(entry.kind == "known" for entry in truth.entries)):
            bench.checked.setdefault(name)
        if truth.wrong and not truth.tied:
            made = bench.differentiated(given.args)
            beyond = tuple(k for k in truth.wrong if not _is_accuracy(made, truth, k))
            bench.note_wrong(made, replace(truth, wrong=beyond), given.args)
        elif not truth.confirmed and name not in bench.checked:
            bench.unchecked.setdefault(name, "at a kink, or undefined, at the inputs tried")
    for call, args in _functions_handed_to_nabla(bench):
        made, truth, at = bench.derivative(call, args)
        if made is None or truth is None or at is None:
            continue
        bench.note_wrong(made, truth, at)
        if truth.confirmed or truth.wrong:
            bench.checked.setdefault(made.name)
        else:
            bench.unchecked.setdefault(made.name, "at a kink, or undefined, at the inputs tried")


def audit(bench: Bench) -> Audit:
    """What was found of the reference, lines having been judged."""
    found = Audit([str(wrong) for wrong in bench.wrong.values()])
    broken = _miscompiled(bench)
    if broken is not None:
        found.wrong.append(str(broken))
    truths = [(given, bench.truth(given.args)) for given in bench.inputs] if bench.derivation.is_gradient else []
    at_ties = [(given, _without_accuracy(bench, given, truth)) for given, truth in truths if truth.tied]
    found.notes += _note(bench, at_ties, "wrong", "At a tie JAX takes another value than the gradient, which exists there")
    found.notes += _note(bench, at_ties, "missing", "At a tie JAX has no value where the gradient exists")
    others = [(given, truth) for given, truth in truths if not truth.tied]
    found.notes += _note(bench, others, "missing", "JAX has no value where the gradient exists")
    found.notes += _accuracy(bench, truths)
    left = {name: why for name, why in bench.unchecked.items() if name not in bench.checked}
    itself = [] if bench.derivation.is_gradient else [_as_written(bench)]
    done = f"∇ of {', '.join(bench.checked)} checked by difference quotients" if bench.checked else ""
    found.checked = "; ".join(itself + [done] * bool(done) + [f"∇{name} not checked ({why})" for name, why in left.items()])
    return found


def _as_written(bench: Bench) -> str:
    """What is said of a function that lines are to equal: it is taken at its word, and what it differentiates itself too."""
    used = borrowed(bench.traced(None, bench.inputs[0].args).closed)
    by = ", ".join(
        dict.fromkeys(f"{use.transformation} in {use.place}" if use.place else use.transformation for use in used)
    )
    return f"{bench.derivation.reference}, as it is written" + (
        f"; what it differentiates by {by} is not checked" if by else ""
    )


def _note(bench: Bench, inputs: Sequence[tuple[Input, Truth]], which: str, said: str) -> list[str]:
    """One sentence for all inputs at which the reference has such entries, with the first as the example."""
    found = [(given, truth) for given, truth in inputs if getattr(truth, which)]
    if not found:
        return []
    given, truth = min(found, key=lambda pair: len(pair[1].entries))
    k = getattr(truth, which)[0]
    value = truth.entries[k].value
    assert value is not None
    name, at = _entry(bench, given.args, k)
    by_jax = digits(truth.by_jax[k]) if truth.by_jax[k].is_finite() else "NaN"
    return [f"{said} ({len(found)} inputs): {name} is {by_jax} by JAX and {_short(value)} in truth, at {at}"]


def _is_accuracy(made: Differentiated, truth: Truth, k: int) -> bool:
    """Whether JAX's derivative is off by no more than its series explains; by an ulp, any series may be."""
    value = truth.entries[k].value
    return value is not None and share_of(truth.by_jax[k], value) <= (COARSE if made.value.meanings else ULP)


def _without_accuracy(bench: Bench, given: Input, truth: Truth) -> Truth:
    """A truth whose wrong entries are no matter of accuracy."""
    if not truth.wrong:
        return truth
    made = bench.differentiated(given.args)
    return replace(truth, wrong=tuple(k for k in truth.wrong if not _is_accuracy(made, truth, k)))


def _accuracy(bench: Bench, inputs: Sequence[tuple[Input, Truth]]) -> list[str]:
    """How far JAX's derivative of what it computes by a series is off."""
    worst: tuple[float, Input, int] | None = None
    for given, truth in inputs:
        made = bench.differentiated(given.args) if truth.wrong else None
        if made is None or not made.value.meanings:
            continue
        for k in truth.wrong:
            value = truth.entries[k].value
            share = 0.0 if value is None else share_of(truth.by_jax[k], value)
            if _is_accuracy(made, truth, k) and (worst is None or share > worst[0]):
                worst = share, given, k
    if worst is None:
        return []
    meanings = bench.differentiated(worst[1].args).value.meanings
    name, at = _entry(bench, worst[1].args, worst[2])
    return [
        f"JAX computes {', '.join(sorted(meanings))} by a series: its {name} is off by {worst[0]:.1e}, relative, at {at}"
    ]


def _entry(bench: Bench, args: Arguments, k: int) -> tuple[str, str]:
    """The name of an entry of the gradient, and the input as a reader would write it."""
    made = bench.differentiated(args)
    return f"derivative {made.entry_name(args, k)}", readable(args, made.names)


def _short(value: arb) -> str:
    return value.str(12, radius=False)


def _miscompiled(bench: Bench) -> Miscompiled | None:
    """Where compiled `jax.grad(of)` is not what its own jaxpr says."""
    derivation, args = bench.derivation, _some_ordinary(bench.inputs)[0].args
    traced = bench.traced(None, args)
    made, name = traced.plan, "∇" * derivation.is_gradient + label_of(derivation.of)
    if made is None:
        return None
    try:
        return bench.traces.once(
            "compiled", derivation.of, derivation.wrt, args, lambda: check_compiled(traced.closed, made, args, name)
        )
    except Exception as error:  # the judge's own: said in the report
        bench.unchecked.setdefault(f"{name} compiled", f"{type(error).__name__}: {error}")
        return None


def _functions_handed_to_nabla(bench: Bench) -> Iterator[tuple[NablaCall, Arguments]]:
    """Each function that `of` or a line differentiates, with a few inputs at which it does so."""
    count: Counter[Hashable] = Counter()
    for given in _some_ordinary(bench.inputs):
        seen_here: set[Hashable] = set()
        sources = [bench.traces.of(given.args)]
        sources += [bench.traced(line, given.args) for line in bench.derivation.lines]
        for call in (call for traced in sources for call in traced.calls):
            if call.key not in seen_here and count[call.key] < _FUNCTION_INPUTS:
                seen_here.add(call.key)
                count[call.key] += 1
                yield call, given.args


def _some_ordinary(inputs: Sequence[Input]) -> list[Input]:
    """One ordinary input of each of a few shapes."""
    by_shape: dict[ShapeKey, Input] = {}
    for given in inputs:
        if given.stratum not in ("zeros", "equal", "far"):
            by_shape.setdefault(shape_key(given.args), given)
    return (list(by_shape.values()) or list(inputs))[:_FUNCTION_INPUTS]
