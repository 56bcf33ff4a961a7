"""A counterexample as a program that anyone can run: it prints both lines' values, in floats."""

import inspect
from pathlib import Path
from typing import Any

from autodiff_ref.verify.shrink import literal
from manual_grad._arrays import parts
from manual_grad.derivation import Derivation, Line, label_of


def snippet(derivation: Derivation, line: Line, other: Line | None, args: tuple[Any, ...]) -> str:
    """The program. Functions that are defined inside others are named in a comment, to be pasted in."""
    used = [derivation.of if other is None else other, line]
    imports = ["import jax", "import numpy as np", "import autodiff_ref"]
    imports += [_import_of(f) for f in used] + sorted(_imports_of_types(args))
    first = f"nabla({label_of(derivation.of)})(*args)" if other is None else f"{label_of(other)}(*args{_keyword(other)})"
    body = [
        "args = (",
        *[f"    {literal(argument)}," for argument in args],
        ")",
        f"nabla = autodiff_ref.nabla({derivation.wrt!r})",
        "with jax.enable_x64(True):",
        f"    print({first})",
        f"    print({label_of(line)}(*args{_keyword(line)}))",
    ]
    rows = [row for statement in imports for row in statement.splitlines()]
    return "\n".join([*dict.fromkeys(rows), *body])


def _keyword(f: Line) -> str:
    return ", nabla=nabla" if "nabla" in inspect.signature(f).parameters else ""


def _import_of(f: Line) -> str:
    name, place = label_of(f), getattr(f, "__module__", None)
    if place is None or getattr(f, "__qualname__", "<locals>") != name:
        return f"# … and `{name}`, which is defined inside another function"
    if place.startswith("_manual_grad_target_"):
        path = Path(inspect.getfile(f))
        shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
        return f"import runpy\n{name} = runpy.run_path({str(shown)!r})[{name!r}]"
    return f"from {place} import {name}"


def _imports_of_types(value: Any) -> set[str]:
    """Imports of the NamedTuples in a structure."""
    inside = parts(value) or {}
    own = {f"from {type(value).__module__} import {type(value).__name__}"} if hasattr(value, "_fields") else set[str]()
    return own.union(*[_imports_of_types(part) for part in inside.values()])
