"""Lines that differentiate by themselves, with `jax.grad` and the like, and not by the ∇ that they are handed."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
from jax.extend import core

from autodiff_ref.verify.mutation.jaxprs import is_nabla

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


def told(lines: Iterable[tuple[str, Any]]) -> list[str]:
    """What is said of some lines, each a label and a jaxpr."""
    return [use.of(label) for label, closed in lines for use in borrowed(closed)]


def borrowed(closed: Any) -> list[Borrowed]:
    """Where a traced line differentiates by itself.

    Each equation knows the calls that it was made under. Of those outside of any ∇ that the line was handed, one by which
    JAX differentiates is the line's own. What a library's function does within its custom rule or method is not.

    Args:
        closed: the jaxpr of a line.
    """
    return list(dict.fromkeys(_found(closed.jaxpr, "")))


def _found(jaxpr: Any, around: str) -> Iterator[Borrowed]:
    for eqn in jaxpr.eqns:
        traceback = eqn.source_info.traceback
        place, own, handed = around, None, False
        for frame in reversed([] if traceback is None else traceback.frames):  # from the outside in
            handed = is_nabla(frame.file_name, frame.function_name)
            own = None if handed else _transformation(frame, inside=place)
            if own is not None or handed:
                break
            path = Path(frame.file_name)
            if any(each in path.parents for each in _METHODS):
                handed = True
                break
            if _JAX not in path.parents and _JUDGE not in path.parents and not frame.file_name.startswith("<"):
                place = f"{path.name}:{frame.line_num}"
        if own is not None:
            yield own
        elif not handed:
            for inner in core.jaxprs_in_params(eqn.params):
                yield from _found(inner, place)


def _transformation(frame: Any, inside: str) -> Borrowed | None:
    name = frame.function_name.partition(".")[0].lstrip("_")
    if name not in TRANSFORMATIONS or Path(frame.file_name) != _API:
        return None
    return Borrowed("jax.grad" if name == "value_and_grad" else f"jax.{name}", inside)
