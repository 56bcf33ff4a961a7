"""`judge_rule` and `assert_rule`: is the derivative that JAX gets by a rule the derivative of the function itself?"""

import inspect
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import jax
import numpy as np

from autodiff_ref.judge.comparing import ULP
from autodiff_ref.judge.rules.catalogue import row_of_function
from autodiff_ref.judge.rules.findings import RuleReport
from autodiff_ref.judge.rules.hints import annotated
from autodiff_ref.judge.rules.naming import as_written, shown_name
from autodiff_ref.judge.rules.preparing import Args
from autodiff_ref.judge.rules.probing import batches, probed
from autodiff_ref.judge.rules.reporting import report_of
from autodiff_ref.judge.rules.running import Run
from autodiff_ref.judge.rules.statics import bound, in_single_precision, texts_of
from manual_grad.claims import Within
from manual_grad.derivation import argument_names
from manual_grad.domains import Domain
from manual_grad.domains.labels import Classes, Constants
from manual_grad.domains.matrices import LowerTriangular, PositiveDefinite, Symmetric

SECONDS = 20.0
"""of processor time for one function, as the command has"""

_SINGLE = "judged with its arguments cast to float32"

_SQUARE = (Symmetric, PositiveDefinite, LowerTriangular)
"""kinds of matrices that are written with one size"""


@dataclass(frozen=True)
class Relative:
    """By what share of its value a derivative may be off: `within=Relative(1e-9)`."""

    share: float

    def __post_init__(self) -> None:
        if not 0 < self.share < np.inf:
            raise ValueError(f"Relative takes a finite number above 0, got {self.share!r}")


def judge_rule(
    f: Callable[..., Any],
    *,
    domain: Any = None,
    at: Sequence[Any] | None = None,
    order: int = 1,
    within: Within | Relative | None = None,
    truth: Callable[..., Any] | None = None,
    solves: Callable[..., Any] | None = None,
    intent: str = "",
    seed: int = 0,
    seconds: float | None = SECONDS,
) -> RuleReport:
    """Judges JAX's derivatives of a function, and those of every function within that has a rule of its own.

    Args:
        f: a function of arrays, in `jax.numpy`.
        domain: of its arguments, as `(reals("n"), positives())`. Without it, and without `at`, the domain is taken from
            jaxtyping's annotations, or from the catalogue of libraries, or found by trying which arguments f takes.
        at: further inputs. Each is a tuple of arguments, or the argument itself if f has one.
        order: 2 judges the derivative of the gradient as well, and so on.
        within: how far the rule may be off, as `Relative(1e-9)` or `Within(ulps=4)`. The gap is measured.
        truth: what f approximates, as a function of balls (`flint.arb`).
        solves: the equation that the value of f solves, `lambda y, a: y * y - a`. It is differentiated in place of f.
        intent: what the rule is for, if it is meant to be no derivative. The report says so.
        seed: of the inputs.
        seconds: of processor time, from when f is traced. Those of the first input, and of the first that a rule within
            receives, for which programs are compiled, are not counted, but may be no more either. An evaluation in balls
            that is not done by then is broken off after the operation that it is at, and what it was to decide is
            `undecided`. None for no limit.

    Raises:
        TypeError: an argument is of the wrong kind.
        ValueError: no domain is given, and none is found.
    """
    start = time.monotonic()
    _check(f, order, within)
    f = as_written(f)
    leaves_of = _as_domain(f, domain)
    if leaves_of is not None:
        _check_count(f, leaves_of, f"the domain has {len(leaves_of)}: {said(leaves_of)}")
    for each in at or () if leaves_of is None else ():
        given = each if isinstance(each, tuple) else (each,)
        _check_count(f, given, f"an input in at has {len(given)}: {each!r}")
    chosen, how = leaves_of, "domain given"
    if chosen is None and at is None:
        chosen, how = found_domain(f)
        if chosen is None:
            raise ValueError(
                f"{shown_name(f)}: no arguments were found that it takes: pass domain=, as domain=(reals('n'),), or at=[…]"
            )
    elif chosen is None:
        how = "inputs given"
    row = row_of_function(f)
    if row is not None:
        intent = intent or row.intent
        within = within or (Relative(row.within) if row.within else None)
    allowed = ULP if within is None else within.share if isinstance(within, Relative) else _share(within)
    texts = list(_one_text_alone(f, chosen or ()))
    f, chosen, inputs = bound(f, chosen, at or [])
    of: dict[str, Any] = {"allowed": allowed, "truth": truth, "solves": solves, "seed": seed, "seconds": seconds}
    is_probed = chosen is not None and "by probing" in how
    run = _run(f, chosen, inputs, order, is_probed=is_probed, **of)
    raising = [why for kind, *_, why in run.missing if kind == "raises"]
    if raising and not run.judged:
        again = _run(in_single_precision(f), chosen, inputs, order, is_probed=is_probed, **of)
        if again.judged:
            run = again
            run.notes[f"{_SINGLE}; in double precision JAX raises {raising[0]}"] = None
    run.notes.update(dict.fromkeys(texts))
    run.constants_are_meant()
    if intent:
        run.all_is_meant(intent)
    return report_of(run, how, time.monotonic() - start)


def _one_text_alone(f: Callable[..., Any], domain: Args) -> Iterator[str]:
    """A note on each argument that is a text, of which one is tried: how to judge the others."""
    for name, kind in zip(argument_names(f) or (), domain, strict=False):
        if isinstance(kind, Constants) and isinstance(kind.value, str):
            other = next((text for text in texts_of(f) if text != kind.value), "…")
            call = f'"{shown_name(f)}(…, {other!r})"'
            yield f"of {name} {kind.value!r} alone is tried: for another one write the call, as {call}"


def _run(
    f: Callable[..., Any], domain: Args | None, at: Sequence[Any], order: int, *, is_probed: bool, **options: Any
) -> Run:
    """A function judged up to an order, if its domain was found by trying at two in the place of one argument as well."""
    doubled, raising = batches(f, domain) if domain is not None and is_probed else ([], [])
    run = Run(f, domain, at, batches=doubled, **options)
    run.notes.update(dict.fromkeys(raising))
    for k in range(1, order + 1):
        run.judge(k)
    return run


def found_domain(f: Callable[..., Any]) -> tuple[Args | None, str]:
    """A domain that nobody gave, and where it is from: annotations, the catalogue, or else by trying."""
    row = row_of_function(f)
    for source, look in (
        ("annotations", lambda: annotated(f)),
        ("the catalogue", lambda: None if row is None else row.expression.domain),
        ("probing", lambda: probed(f)),
    ):
        chosen = look()
        if chosen is not None:
            return chosen, f"domain by {source}: {said(chosen)}"
    return None, ""


def assert_rule(f: Callable[..., Any], **options: Any) -> None:
    """Raises where a derivative of f, or of a function with a rule within, is wrong or missing. See `judge_rule`.

    Raises:
        AssertionError: JAX has another value than the derivative, or none; or nothing could be decided.
    """
    report = judge_rule(f, **options)
    if not report.ok:
        raise AssertionError(str(report))


def said(domain: Args) -> str:
    """A domain as one would write it."""
    parts = list[str]()
    for leaf in jax.tree.leaves(domain):
        dims = "".join(f"{dim!r}, " for dim in _sizes(leaf))
        ends = f"{leaf.low:g}, {leaf.high:g}, " if hasattr(leaf, "low") else ""
        ends = f"{leaf.value!r}, " if isinstance(leaf, Constants) else ends
        closed = ", closed=True" if getattr(leaf, "closed", False) else ""
        name = re.sub("(?<=[a-z])(?=[A-Z])", "_", type(leaf).__name__).lower()
        parts.append(f"{name}({(ends + dims).rstrip(', ')}{closed})")
    return ", ".join(parts)


def _sizes(kind: Domain) -> tuple[Any, ...]:
    """The sizes that a domain is written with."""
    if isinstance(kind, Classes):
        return (*kind.dims, kind.k)
    return kind.dims[:1] if isinstance(kind, _SQUARE) else kind.dims


def _share(within: Within) -> float:
    return within.relative if within.relative is not None else (within.ulps or 1.0) * ULP


def _check(f: Any, order: Any, within: Any) -> None:
    if not callable(f):
        raise TypeError(f"judge_rule takes a function, got {f!r}")
    if isinstance(order, bool) or not isinstance(order, int) or order < 1:
        raise TypeError(f"order is a whole number from 1 on, got {order!r}")
    if within is not None and not isinstance(within, Within | Relative):
        raise TypeError(f"within is Relative(1e-9) or Within(ulps=4), got {within!r}")


def _check_count(f: Callable[..., Any], given: tuple[Any, ...], came: str) -> None:
    """Raises ValueError where a function takes more arguments than are given for it, or fewer."""
    names = argument_names(f)
    if names is None:
        return
    needed = [name for name in names if inspect.signature(f).parameters[name].default is inspect.Parameter.empty]
    if not len(needed) <= len(given) <= len(names):
        many = f"{len(names)} argument{'s' * (len(names) != 1)} ({', '.join(names)})"
        raise ValueError(f"{shown_name(f)} takes {many}, and {came}. Give one for each argument")


def _as_domain(f: Callable[..., Any], domain: Any) -> Args | None:
    if domain is None:
        return None
    made = cast("Args", domain if isinstance(domain, tuple) and not hasattr(domain, "_fields") else (domain,))
    wrong = [leaf for leaf in jax.tree.leaves(made) if not isinstance(leaf, Domain)]
    if wrong:
        raise TypeError(
            f"{shown_name(f)}: domain holds domains, as reals('n') and positives(), got {wrong[0]!r}: write "
            f"constants({wrong[0]!r}) for one number, and leave other settings to a lambda: lambda x: {shown_name(f)}(x, …)"
        )
    return made
