"""A counterexample as a program that anyone can run: it prints both lines' values, in floats."""

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path

import jax

from autodiff_ref.judge.shrink import can_be_written, literal
from autodiff_ref.trees import Arguments, Function, PyTree
from manual_grad._arrays import is_record, parts
from manual_grad.derivation import Derivation, Line, label_of, original_of


def snippet(
    derivation: Derivation,
    line: Line,
    other: Line | None,
    args: Arguments,
    is_in_numpy: Callable[[Function], bool],
    *,
    hands_numpy: bool,
) -> str:
    """The program. What is defined inside functions is named in a comment, to be pasted in.

    A file is run once, so that what its lines return is of the very types that they are handed.

    Args:
        derivation: whose line it is.
        line: the line.
        other: what it is compared with; None for the gradient, or for what the derivation says that lines equal.
        args: where they differ.
        is_in_numpy: whether a function is written in NumPy.
        hands_numpy: whether one of them has such a function under a ∇.
    """
    right = derivation.of if other is None else other
    names = {right: _name(right, "of" if other is None else "line"), line: _name(line, "line")}
    named = names | {each: each.__name__ for each in _types(args) if can_be_written(args)}
    loading: dict[tuple[str, ...], list[str]] = {}  # what opens a source, and what is taken from it
    for each, name in named.items():
        opens, takes = _from_its_source(each, name)
        loading.setdefault(opens, []).append(takes)
    loads = [row for opens, taken in loading.items() for row in (*opens, *filter(None, taken))]
    in_numpy = hands_numpy or any(map(is_in_numpy, names))
    body = [*loads, *_arguments(derivation, args, loads)]
    handed = {f: "args" if is_in_numpy(f) or any(map(callable, jax.tree.leaves(args))) else "in_jax" for f in names}
    if "in_jax" in handed.values():
        body.append("in_jax = jax.tree.map(jax.numpy.asarray, args)")
    body.append(f"nabla = autodiff_ref.{'numpy_nabla' if in_numpy else 'nabla'}({derivation.wrt!r})")
    for f in (right, line):
        is_differentiated = f is right and other is None and derivation.is_gradient
        body.append(
            f"print(nabla({names[f]})(*{handed[f]}))"
            if is_differentiated
            else f"print({names[f]}(*{handed[f]}{_keyword(f)}))"
        )
    imports = [f"import {module}" for module in ("runpy", "sys") if any(f"{module}." in row for row in loads)]
    imports += ["import jax", "import numpy as np", "import autodiff_ref"]
    return "\n".join([*imports, "with jax.enable_x64(True):", *[f"    {row}" for row in body]])


def example(derivation: Derivation, args: Arguments) -> str:
    """The arguments as a decorator for a Hypothesis test."""
    if can_be_written(args):
        return f"@example({literal(args)})"
    return f"@example({_unflattened(derivation)}, [{', '.join(map(literal, jax.tree.leaves(args)))}]))"


def _arguments(derivation: Derivation, args: Arguments, loads: list[str]) -> Iterator[str]:
    """Statements that make the arguments: as they are written, or in the structure of the derivation's domain."""
    if can_be_written(args):
        yield from ("args = (", *[f"    {literal(argument)}," for argument in args], ")")
        return
    opens, takes = _from_its_source(derivation, _holder(derivation))
    yield from (row for row in (*opens, takes) if row and row not in loads)
    yield f"args = {_unflattened(derivation)}, ["
    yield from (f"    {literal(leaf)}," for leaf in jax.tree.leaves(args))
    yield "])"


def _unflattened(derivation: Derivation) -> str:
    return f"jax.tree.unflatten(jax.tree.structure({_holder(derivation)}.domain)"


def _holder(derivation: Derivation) -> str:
    """What a derivation, or another one with its domain, is called where its function is defined."""
    module = vars(sys.modules.get(derivation.of.__module__) or object)
    known = (name for name, value in module.items() if isinstance(value, Derivation) and value.domain is derivation.domain)
    return next(known, "DERIVATION")


def _keyword(f: Line) -> str:
    return ", nabla=nabla" if "nabla" in inspect.signature(f).parameters else ""


def _name(f: Line, unnamed: str) -> str:
    """What it is called in the program: a lambda has no name of its own."""
    label = label_of(f)
    return label if label.isidentifier() else unnamed


def _from_its_source(named: Derivation | Function, name: str) -> tuple[tuple[str, ...], str]:
    """Statements that open the module or file of a function, or of a NamedTuple; and the one that takes it from there."""
    place = getattr(named.of if isinstance(named, Derivation) else named, "__module__", None) or ""
    within = _within(named, name, vars(sys.modules[place]) if place in sys.modules else {})
    if within is None:
        return (), f"# … and `{name}`, which is defined inside another function"
    held, rest = within
    if not place.startswith("_manual_grad_target_"):
        return (f"from {place} import {held}",), f"{name} = {held}{rest}" if rest else ""
    path = Path(str(sys.modules[place].__file__)).resolve()
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    beside = () if path.parent == Path.cwd() else (f"sys.path.insert(0, {str(shown.parent)!r})",)
    return (*beside, f"file = runpy.run_path({str(shown)!r})"), f"{name} = file[{held!r}]{rest}"


def _within(named: Derivation | Function, name: str, module: Mapping[str, object]) -> tuple[str, str] | None:
    """Under which name a module holds it, or the derivation that it is part of, and as which part of that."""
    held = module.get(name)
    if isinstance(named, Derivation):
        return (name, "") if name in module else None
    if held is named or held is original_of(named):  # a copy that is marked with a condition has the same values
        return name, ""
    for held, value in module.items():
        if isinstance(value, Derivation):
            if value.of is named:
                return held, ".of"
            for k, line in enumerate(value.lines):
                if line is named:
                    return held, f".lines[{k}]"
    return None


def _types(value: PyTree) -> Iterator[type | Function]:
    """The NamedTuples and the dataclasses in a structure, and the functions that these hold."""
    if hasattr(value, "_fields") or is_record(value):
        yield type(value)
    inside = {each.name: getattr(value, each.name) for each in fields(value)} if is_record(value) else parts(value)
    for part in (inside or {}).values():
        yield from [getattr(part, "func", part)] if _is_function(part) else _types(part)


def _is_function(value: object) -> bool:
    """Whether it is a function that a dataclass holds, as it is or as `jax.tree_util.Partial`."""
    return callable(value) and not is_record(value)
