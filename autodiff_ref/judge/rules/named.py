"""The functions of a module that have derivative rules or meet some, and the judgement of one of them by name."""

import dataclasses
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from operator import attrgetter
from types import ModuleType
from typing import Any

import jax
import numpy as np

from autodiff_ref.judge.domains import RandomSource
from autodiff_ref.judge.errors import shown_place
from autodiff_ref.judge.inputs import draw_arguments, main_sizes
from autodiff_ref.judge.rules.calls import named_calls
from autodiff_ref.judge.rules.catalogue import Row
from autodiff_ref.judge.rules.findings import Finding, Rule, RuleReport
from autodiff_ref.judge.rules.judging import Relative, found_domain, judge_rule
from autodiff_ref.judge.rules.naming import as_written, shown_name
from autodiff_ref.judge.rules.probing import error_at_numbers
from autodiff_ref.judge.rules.statics import RULED, bound, static_places
from manual_grad.derivation import argument_names
from manual_grad.domains.labels import Constants

NOT_CALLED = "no arguments were found that it takes"

MAKES_ONE = "it makes a function with a rule"


def functions_of(module: ModuleType, *, own: bool) -> list[str]:
    """The names of a module's public functions, and of those with a rule of their own, in the order they stand in.

    Those that stand in a class are named with it, as `Solver.solve`.

    Args:
        module: the module.
        own: whether only what it defines itself counts, as for a file.
    """
    found = list[str]()
    ruled = [value for value in vars(module).values() if isinstance(value, RULED)]
    rules = {id(getattr(value, part, None)) for value in ruled for part in ("jvp", "fwd", "bwd")}
    for name, value in vars(module).items():
        if id(value) in rules:  # a rule is judged with its function
            continue
        if isinstance(value, RULED):
            is_own = getattr(as_written(value), "__module__", None) == module.__name__
            if is_own or not own:
                found.append(name)
        elif not name.startswith("_") and callable(value) and not inspect.isclass(value) and not _is_type(value):
            found += [name] if not own or getattr(as_written(value), "__module__", None) == module.__name__ else []
        elif inspect.isclass(value) and value.__module__ == module.__name__:
            found += [
                f"{name}.{each}" for each, held in vars(value).items() if isinstance(getattr(held, "__func__", held), RULED)
            ]
    return found


def _is_type(value: Any) -> bool:
    """Whether it stands for a type, as `typing.Union` and `Callable[[int], int]` do."""
    return type(value).__module__ in ("typing", "types", "collections.abc") and not inspect.isroutine(value)


def module_names_in(package: ModuleType) -> Iterator[str]:
    """The names of a package's modules, without its tests, its examples and its programs."""
    folders = getattr(package, "__path__", ())
    for info in pkgutil.walk_packages(folders, f"{package.__name__}.", onerror=lambda name: None):
        parts = info.name.split(".")[1:]
        if not any(re.fullmatch(r"__main__|conftest|.*_test|tests?(_.*)?|examples?|benchmarks?", part) for part in parts):
            yield info.name


def judge_named(
    module: ModuleType, name: str, options: dict[str, Any], *, always: bool, every: bool = False
) -> RuleReport | str | None:
    """The report on one function of a module.

    A sentence where no arguments were found that it takes, so that nobody knows whether it meets a rule; one that has a rule
    is undecided then. None where it meets no rule, unless it is judged `always` or `every` function is.
    """
    held = attrgetter(name)(module)
    function, is_ruled = as_written(held), isinstance(held, RULED)
    shown = f"{module.__name__}.{name}" if not module.__name__.startswith("_manual_grad_target_") else name
    if options.get("domain") is None and options.get("at") is None:
        domain, _ = found_domain(function)
        if domain is None:
            return not_reached(function, shown) if is_ruled else MAKES_ONE if _makes_a_rule(function) else NOT_CALLED
        met = meets_a_rule(function, domain)
        if met is None and _makes_a_rule(function):
            return MAKES_ONE
        if met is None and not always and not is_ruled:
            return NOT_CALLED
        if not always and not every and not met:
            return None
    report = judge_rule(function, **options)
    return dataclasses.replace(report, name=shown)


def _makes_a_rule(function: Callable[..., Any]) -> bool:
    """Whether its code gives a function a rule."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return code is not None and not {"custom_jvp", "custom_vjp", "custom_gradient"}.isdisjoint(code.co_names)


def not_reached(function: Callable[..., Any], name: str) -> RuleReport:
    """The report on a function that has a rule, of which no arguments were found."""
    halves = (getattr(function, part, None) for part in ("jvp", "bwd", "fun"))
    code = next((half.__code__ for half in (*halves, inspect.unwrap(function)) if inspect.isfunction(half)), None)
    place = "an unknown place" if code is None else shown_place(f"{code.co_filename}:{code.co_firstlineno}")
    kind = "custom_jvp" if isinstance(function, jax.custom_jvp) else "custom_vjp"
    return RuleReport(
        name,
        "no domain",
        0,
        rules=(Rule(shown_name(function), place, kind, judged=False, why=NOT_CALLED),),
        findings=(Finding("undecided", shown_name(function), place, "", "", "", "", 0.0, _how_to_call(function, name), 0),),
    )


def _how_to_call(function: Callable[..., Any], name: str) -> str:
    """Why a function could not be judged, and what to write so that it can."""
    names = argument_names(function) or []
    statics = static_places(function)
    call = ", ".join("…" if k in statics else "reals(n)" for k in range(len(names))) or "…, reals(n)"
    around = getattr(function, "__qualname__", "").rpartition(".")[0]
    if around and not around.endswith("<locals>"):
        return f"{NOT_CALLED}: it stands in a class. Judge a function that calls it with an object of the class"
    if statics:
        held = [names[k] if k < len(names) else f"argument {k}" for k in statics]
        are = f"{held[0]} is no array" if len(held) == 1 else f"{', '.join(held)} are no arrays"
        return f'{NOT_CALLED} ({are}): write the call, as "{name}({call})"'
    error = error_at_numbers(function)
    raised = f" (at numbers it raises {error})" if error else ""
    apart = "; an argument that is a dict or a tuple is written as one of domains" if error else ""
    return f'{NOT_CALLED}{raised}: say what each is drawn from, as by --domain "{call}"{apart}'


def judge_row(row: Row, options: dict[str, Any], *, every: bool) -> RuleReport | None:
    """The report on a call that is written with domains; None for one that meets no rule, unless `every` one is judged.

    Raises:
        ValueError: a name in the call is not there.
    """
    expression = row.expression
    function = expression.function()
    if not every and meets_a_rule(function, expression.domain) is False:
        return None
    claims: dict[str, Any] = {"within": Relative(row.within)} if row.within else {}
    claims |= {"intent": row.intent} if row.intent else {}
    told: dict[str, Any] = {"domain": expression.domain, **claims, **options}
    report = judge_rule(function, **told)
    return dataclasses.replace(report, name=row.text, domain="domain by the call")


def meets_a_rule(function: Callable[..., Any], domain: tuple[Any, ...]) -> bool | None:
    """Whether a function's program calls one with a rule of its own; None where it cannot be traced."""
    if isinstance(function, RULED):
        return True
    function, rest, _ = bound(function, domain, [])
    domain = rest or ()
    sizes = main_sizes(domain, {})[0]
    leaves = [leaf.sized(sizes) for leaf in jax.tree.leaves(domain)]
    args = [
        np.asarray(x)
        for x in jax.tree.leaves(draw_arguments(domain, sizes, "ordinary", RandomSource(np.random.default_rng(0))))
    ]
    drawn = [k for k, leaf in enumerate(leaves) if not isinstance(leaf, Constants)]

    def called(*given: Any) -> Any:
        every = [given[drawn.index(k)] if k in drawn else x for k, x in enumerate(args)]
        return function(*jax.tree.unflatten(jax.tree.structure(domain), every))

    with jax.enable_x64(True):
        try:
            closed = jax.make_jaxpr(called)(*[args[k] for k in drawn])
        except Exception:  # said when it is judged
            return None
    return any(True for _ in named_calls(closed.jaxpr))
