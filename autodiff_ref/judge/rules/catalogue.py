"""What functions of libraries take, and what their rules claim: one row a function, as `libraries/*.txt` hold them.

A row is a call with domains in the place of its arguments. What stands behind it, after two spaces, is what its rule claims:

    jax.numpy.quantile(reals(n), intervals(0., 1.))
    jax.scipy.special.fresnel(intervals(-20., 20.))  within 1e-12
    optax.scale_gradient(reals(), constants(0.5))  meant so: scales the gradient

`within` says by what share the rule is known to be off, where the function is a series or an iteration, and `meant so` that
it is no derivative, on purpose. What stands behind `#` is a remark.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from autodiff_ref.judge.rules.expression import Expression, expression_of

LIBRARIES = Path(__file__).parent / "libraries"


@dataclass(frozen=True)
class Row:
    """What is known of a function before it is judged."""

    text: str
    """the call, as one would type it"""
    within: float | None = None
    """by what share its rule may be off: it says itself that it is a series or an iteration"""
    intent: str = ""
    """what its rule is for, where it is no derivative"""

    @property
    def expression(self) -> Expression:
        """The call, read.

        Raises:
            ValueError: it is no call with domains.
        """
        return expression_of(self.text)


@cache
def catalogue() -> tuple[Row, ...]:
    """All rows, in the order in which the files hold them."""
    return tuple(row for path in sorted(LIBRARIES.glob("*.txt")) for row in rows_of(path.read_text(encoding="utf-8")))


def rows_of(text: str) -> Iterator[Row]:
    """The rows of a file.

    Raises:
        ValueError: what stands behind a row is neither `within` nor `meant so`.
    """
    for line in text.splitlines():
        call, _, claim = line.partition("#")[0].rstrip().partition("  ")
        claim = claim.strip()
        if not call.strip():
            continue
        if claim.startswith("within "):
            yield Row(call, within=float(claim.removeprefix("within ")))
        elif claim.startswith("meant so: "):
            yield Row(call, intent=claim.removeprefix("meant so: "))
        elif claim:
            raise ValueError(f"{claim!r} behind {call!r} is neither 'within 1e-9' nor 'meant so: …'")
        else:
            yield Row(call)


def rows_under(target: str) -> list[Row]:
    """The rows of a library, a module or a function."""
    return [row for row in catalogue() if f"{row.text.partition('(')[0]}.".startswith(f"{target}.")]


def row_of_text(text: str) -> Row:
    """The row of a call; one that is not in the catalogue claims nothing."""
    return next((row for row in catalogue() if row.text == text), Row(text))


@cache
def _by_name() -> dict[str, list[Row]]:
    """The rows by the last part of the name that they call first."""
    found: dict[str, list[Row]] = {}
    for row in catalogue():
        found.setdefault(row.text.partition("(")[0].rpartition(".")[2], []).append(row)
    return found


def row_of_function(function: Any) -> Row | None:
    """What the catalogue says of a function; None for one that it does not hold."""
    for row in _by_name().get(getattr(function, "__name__", ""), []):
        place, _, last = row.text.partition("(")[0].rpartition(".")
        if getattr(sys.modules.get(place), last, None) is function and row.expression.is_plain:
            return row
    return None
