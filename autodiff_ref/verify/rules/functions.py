"""The functions of a module that have derivative rules or meet some, and the judgement of one of them by name."""

import dataclasses
import inspect
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import jax
import numpy as np

from autodiff_ref.verify.inputs import main_sizes
from autodiff_ref.verify.rules.calls import named_calls
from autodiff_ref.verify.rules.catalogue import CATALOGUE, Row
from autodiff_ref.verify.rules.findings import RuleReport
from autodiff_ref.verify.rules.judging import Relative, judge_rule, said
from autodiff_ref.verify.rules.probing import annotated, probed
from autodiff_ref.verify.rules.written import domain_of

RULED = (jax.custom_jvp, jax.custom_vjp)


def functions_of(module: ModuleType, *, own: bool) -> list[str]:
    """The names of a module's public functions, and of those with a rule of their own, in the order they stand in.

    Args:
        module: the module.
        own: whether only what it defines itself counts, as for a file.
    """
    found = list[str]()
    for name, value in vars(module).items():
        if isinstance(value, RULED):
            is_own = getattr(value, "__module__", None) == module.__name__
            if is_own or not own:
                found.append(name)
        elif not name.startswith("_") and callable(value) and not inspect.isclass(value):
            found += [name] if not own or getattr(value, "__module__", None) == module.__name__ else []
    return found


def row_of_function(module: str, name: str, function: Any) -> Row | None:
    """What the catalogue says of a function, under this name or another one of the same function."""
    if f"{module}.{name}" in CATALOGUE:
        return CATALOGUE[f"{module}.{name}"]
    for key, row in CATALOGUE.items():
        place, _, last = key.rpartition(".")
        if last == name and getattr(sys.modules.get(place), last, None) is function:
            return row
    return None


def judge_named(module: ModuleType, name: str, options: dict[str, Any], *, always: bool) -> RuleReport | None:
    """The report on one function of a module; None where it meets no rule, unless it is judged `always`."""
    function: Callable[..., Any] = getattr(module, name)
    chosen = dict(options)
    row = row_of_function(module.__name__, name, function)
    if chosen.get("domain") is None and chosen.get("at") is None:
        domain = annotated(function)
        if domain is None and row is not None:
            domain = domain_of(row.domain)
            chosen.setdefault("how", "domain of the catalogue")
        domain = domain or probed(function)
        if domain is None and not always:
            return None
        if domain is not None:
            if not always and not meets_a_rule(function, domain):
                return None
            chosen["domain"] = domain
    if row is not None:
        chosen.setdefault("intent", row.intent)
        if row.within is not None:
            chosen.setdefault("within", Relative(row.within))
    how = chosen.pop("how", None)
    report = judge_rule(function, **chosen)
    shown = f"{module.__name__}.{name}" if not module.__name__.startswith("_manual_grad_target_") else name
    if options.get("domain") is None and options.get("at") is None:
        says = how or ("domain by annotations" if annotated(function) else "domain by probing")
        domain = f"{says}: {said(chosen['domain'])}" if "domain" in chosen else report.domain
        return dataclasses.replace(report, name=shown, domain=domain)
    return dataclasses.replace(report, name=shown)


def meets_a_rule(function: Callable[..., Any], domain: tuple[Any, ...]) -> bool:
    """Whether a function's program calls one with a rule of its own."""
    if isinstance(function, RULED):
        return True
    sizes = main_sizes(domain, {})[0]
    leaves = [leaf.sized(sizes) for leaf in jax.tree.leaves(domain)]
    whole = ("Classes", "Permutations")
    shapes = [jax.ShapeDtypeStruct(x.shape, np.int64 if type(x).__name__ in whole else np.float64) for x in leaves]
    with jax.enable_x64(True):
        try:
            closed = jax.make_jaxpr(function)(*jax.tree.unflatten(jax.tree.structure(domain), shapes))
        except Exception:  # said when it is judged
            return True
    return any(True for _ in named_calls(closed.jaxpr))
