"""The reference audited before a line is judged by it: every function that is differentiated, and the compiled gradient."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from autodiff_ref.verify.bench import Bench
from autodiff_ref.verify.inputs import Input
from autodiff_ref.verify.reference import Miscompiled, WrongReference, arguments_of, check_compiled, check_derivative
from autodiff_ref.verify.trace import label_flags, shape_key
from manual_grad.derivation import label_of

_REFERENCE_INPUTS = 3
"""of each function that is differentiated, its derivative is checked at so many inputs"""


def wrong_reference(bench: Bench) -> WrongReference | None:
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


def miscompiled(bench: Bench) -> Miscompiled | None:
    """Where compiled `jax.grad(of)` is not what its own jaxpr says."""
    derivation, args = bench.derivation, _some_ordinary(bench.inputs)[0].args
    traced = bench.traced(None, args)
    made, name = traced.plan, label_of(derivation.of)
    if made is None:
        return None
    try:
        return bench.traces.once(
            "compiled", derivation.of, derivation.wrt, args, lambda: check_compiled(traced.closed, made, args, name)
        )
    except Exception as error:  # the judge's own: said in the report
        bench.unchecked.setdefault(f"{name} compiled", f"{type(error).__name__}: {error}")
        return None


def _check(
    bench: Bench, f: Callable[..., Any], wrt: str | None, args: tuple[Any, ...], labels: Sequence[bool]
) -> WrongReference | None:
    name = label_of(f)
    try:
        found = bench.traces.once(
            "derivative", f, wrt, args, lambda: check_derivative(f, wrt, args, name, labels, bench.traces.nabla)
        )
    except Exception as error:  # a primitive without a rule, a closure over traced values: said in the report
        bench.unchecked.setdefault(name, f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")
        return None
    if found.entries:
        bench.checked.setdefault(name)
    else:
        bench.unchecked.setdefault(name, "on a kink, or undefined, at the inputs tried")
    return found.wrong


def audited(bench: Bench) -> str:
    """Which functions' derivatives were compared with difference quotients, and which could not be."""
    left = {name: why for name, why in bench.unchecked.items() if name not in bench.checked}
    done = f"∇ of {', '.join(bench.checked)} checked by difference quotients" if bench.checked else ""
    return "; ".join([done] * bool(done) + [f"∇{name} not checked ({why})" for name, why in left.items()])


def _functions_handed_to_nabla(bench: Bench, shown: list[Input]) -> Iterator[tuple[Any, ...]]:
    """Each function that `of` or a line differentiates, with the arguments it does so at."""
    count: Counter[Any] = Counter()
    for given in shown:
        seen_here: set[Any] = set()
        sources = [bench.traces.of(given.args)]
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
