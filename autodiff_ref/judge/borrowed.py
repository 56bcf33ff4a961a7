"""Lines that differentiate by themselves, with `jax.grad` and the like, and not by the ∇ that they are handed."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import jax
from jax.extend import core

from autodiff_ref.judge.lines.jaxprs import is_nabla

TRANSFORMATIONS = ("grad", "value_and_grad", "vjp", "jvp", "jacfwd", "jacrev", "linearize")
"""functions of JAX's that differentiate; `hessian` and `jacobian` are made of them"""

_JAX = Path(jax.__file__).parent
_API = _JAX / "_src" / "api.py"
_METHODS = (_JAX / "_src" / "scipy", _JAX / "_src" / "third_party", _JAX / "experimental")
"""library code that differentiates as part of a method, as a minimiser does: that is the library's business"""

_JUDGE = Path(__file__).parent


@dataclass(frozen=True)
class Borrowed:
    """One use of automatic differentiation by a line itself."""

    transformation: str
    """jax.grad"""
    place: str
    """mine.py:12; empty where it is not known"""

    def of(self, label: str) -> str:
        """What is said of a line."""
        at = f" ({self.place})" if self.place else ""
        like = "" if self.transformation == "jax.grad" else ", which is like jax.grad"
        return f"{label} calls {self.transformation} itself{at}{like}: what it differentiates is not derived by hand"


def told(lines: Iterable[tuple[str, core.ClosedJaxpr]]) -> list[str]:
    """What is said of some lines, each a label and a jaxpr."""
    return [use.of(label) for label, closed in lines for use in borrowed(closed)]


def borrowed(closed: core.ClosedJaxpr) -> list[Borrowed]:
    """Where a traced line differentiates by itself.

    Each equation knows the calls that it was made under. Of those outside of any ∇ that the line was handed, one by which
    JAX differentiates is the line's own. What a library's function does within its custom rule or method is not.

    Args:
        closed: the jaxpr of a line.
    """
    return list(dict.fromkeys(_found(closed.jaxpr, "")))


def _found(jaxpr: core.Jaxpr, around: str) -> Iterator[Borrowed]:
    for eqn in jaxpr.eqns:
        traceback = eqn.source_info.traceback
        place, is_left_to_others = around, False
        for frame in reversed([] if traceback is None else traceback.frames):  # from the outside in
            file, function = frame.file_name, frame.function_name
            whose = _whose(file)
            name = function.partition(".")[0].lstrip("_")
            if whose == "API" and name in TRANSFORMATIONS:
                yield Borrowed("jax.grad" if name == "value_and_grad" else f"jax.{name}", place)
                is_left_to_others = True
            elif whose == "a method" or is_nabla(file, function):
                is_left_to_others = True
            elif whose == "the user":
                place = f"{_name(file)}:{frame.line_num}"
            if is_left_to_others:
                break
        if not is_left_to_others:
            for inner in core.jaxprs_in_params(eqn.params):
                yield from _found(inner, place)


@cache
def _name(file: str) -> str:
    """The name of a file without its folder."""
    return Path(file).name


@cache
def _whose(file: str) -> str:
    """Whose code a file is."""
    path = Path(file)
    if path == _API:
        return "API"
    if any(each in path.parents for each in _METHODS):
        return "a method"
    return "a library" if file.startswith("<") or _JAX in path.parents or _JUDGE in path.parents else "the user"
