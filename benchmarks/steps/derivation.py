"""What a derivation with a wrong step is made of.

A gradient is written as a template with parts. Each step works out one part, and gives the next line. A mistake is another
text for a part from some step on: the lines behind it follow from the wrong one, as they do on paper.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from jax.nn import log_sigmoid, sigmoid

from manual_grad import Derivation

NAMES: dict[str, Any] = {"jnp": jnp, "jax": jax, "sigmoid": sigmoid, "log_sigmoid": log_sigmoid}
"""what the texts may use besides their arguments, the base's own functions and nabla"""


@dataclass(frozen=True)
class Mistake:
    """One wrong step."""

    kind: str
    texts: dict[int, str]
    """by step, the wrong text of the part that is worked out there; the first of them is the wrong step"""

    @property
    def line(self) -> int:
        """The first wrong line, counted from 1."""
        return min(self.texts)


@dataclass(frozen=True)
class Base:
    """A right derivation, and the mistakes that can be made in it."""

    name: str
    arguments: str
    """w, x, y: differentiated by the first"""
    functions: dict[str, str]
    """by head, as `score(w, x)`, the expression; the first is what is differentiated"""
    domain: tuple[Any, ...]
    template: str
    parts: dict[str, str]
    steps: tuple[tuple[str, str], ...]
    """(part, its new text); step 2 is the first of them"""
    mistakes: tuple[Mistake, ...]
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Problem:
    """A derivation to be judged."""

    name: str
    kind: str
    base: Base
    lines: tuple[str, ...]
    first_wrong_line: int | None
    """counted from 1; None where all are right"""

    def to_dict(self) -> dict[str, Any]:
        """What a program is shown: texts, and no answer."""
        return {
            "derivation": self.name,
            "differentiated": next(iter(self.base.functions)),
            "by": self.base.arguments.split(",")[0],
            "arguments": self.base.arguments,
            "domain": [str(each) for each in self.base.domain],
            "functions": self.base.functions,
            "lines": list(self.lines),
        }

    def derivation(self) -> Derivation:
        """As the judge takes it."""
        space = dict(NAMES)
        for head, text in self.base.functions.items():
            name, _, rest = head.partition("(")
            exec(f"def {name}({rest}: return {text}", space)
        lines = [self._line(space, k, text) for k, text in enumerate(self.lines, 1)]
        of = space[next(iter(self.base.functions)).partition("(")[0]]
        by = self.base.arguments.split(",")[0].strip()
        sizes = {"sizes": self.base.sizes} if self.base.sizes else {}
        return Derivation(self.name, of=of, wrt=by, domain=self.base.domain, lines=lines, **sizes)

    def _line(self, space: dict[str, Any], k: int, text: str) -> Callable[..., Any]:
        exec(f"def line_{k}({self.base.arguments}, nabla): return {text}", space)
        line = space[f"line_{k}"]
        line.__doc__ = text
        return line


def _lines(base: Base, mistake: Mistake | None) -> Iterator[str]:
    parts = dict(base.parts)
    yield base.template.format(**parts)
    for k, (part, text) in enumerate(base.steps, 2):
        parts[part] = mistake.texts.get(k, text) if mistake is not None else text
        yield base.template.format(**parts)


def problems_of(base: Base) -> Iterator[Problem]:
    """The right derivation, and one for each mistake."""
    yield Problem(f"{base.name}, right", "right", base, tuple(_lines(base, None)), None)
    for k, mistake in enumerate(base.mistakes, 1):
        yield Problem(f"{base.name}, {k}", mistake.kind, base, tuple(_lines(base, mistake)), mistake.line)
