"""What a line of a derivation claims besides its formula: where it holds, and how exactly.

`holds_when` and `within` return a copy of the line that carries the claim. The line itself stays as it was, so that two
derivations may claim different things of one function.
"""

import ast
import copy
import functools
import inspect
import math
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from manual_grad._arrays import Function, PyTree

Line = Function
"""A line of a derivation: takes the derivation's arguments and `nabla`, returns the gradient."""

L = TypeVar("L", bound=Line)

CLAIMS = ("valid", "within")
"""the attributes in which a line carries its claims"""

_WAITS = "waits_with"
"""the attribute of a decorator that holds what it was made with, for as long as it has marked no line"""

LONGEST = 80
"""characters of a condition's source text beyond which the rest is left out"""


@dataclass(frozen=True)
class Within:
    """How far a line claims to be from the gradient at most: one of the two is given.

    Example:
        >>> str(Within(ulps=4))
        'within 4 ulps'
    """

    ulps: float | None = None
    """of the dtype that is computed in"""
    relative: float | None = None
    """relative to the gradient"""

    def __post_init__(self) -> None:
        given = {name: value for name, value in (("ulps", self.ulps), ("relative", self.relative)) if value is not None}
        if len(given) != 1:
            raise ValueError(f"within takes either ulps or relative, got ulps={self.ulps!r} and relative={self.relative!r}")
        ((name, value),) = given.items()
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError(f"within: {name} is a number, got {value!r}")
        if not 0 < value < math.inf:
            raise ValueError(f"within: {name} is a finite number above 0, got {value!r}")

    def __str__(self) -> str:
        return f"within {self.ulps:g} ulps" if self.ulps is not None else f"within a relative error of {self.relative:g}"


def holds_when(condition: Function) -> Callable[[L], L]:
    """Marks a line as claiming to hold only where `condition(*arguments)` is true.

    The judge then tries the line on such inputs only, and prints the condition beside it.

    Args:
        condition: a function of the derivation's arguments that says yes or no.

    Returns:
        A decorator. It returns a copy of the line with the attribute `valid`; the line itself is not marked, so that other
        derivations may use it without the condition.

    Example:
        >>> @holds_when(lambda x: x > 0)
        ... def line_2(x, nabla):
        ...     return 1 / x
        >>> line_2.valid(2.0), line_2.valid(-2.0)
        (True, False)
    """
    if not callable(condition):
        raise TypeError(
            f"holds_when takes a function of the derivation's arguments, got {condition!r}: write @holds_when(lambda x: …)"
        )

    def mark(line: L) -> L:
        return _marked(line, "valid", condition)

    setattr(mark, _WAITS, condition)
    return mark


def within(*_unnamed: object, ulps: float | None = None, relative: float | None = None) -> Callable[[L], L]:
    """Marks a line as claiming to equal the gradient only nearly: a series that is cut off, a table, a rounded constant.

    Args:
        ulps: the largest error in units in the last place of the dtype that is computed in; or
        relative: the largest error relative to the gradient.

    Returns:
        A decorator. It returns a copy of the line whose attribute `within` holds the claim; the line itself is not marked.

    Raises:
        TypeError: it is given a line or a number that does not say which of the two it is.
        ValueError: neither or both are given, or the number is not above 0.

    Example:
        >>> @within(relative=1e-3)
        ... def line_2(x, nabla):
        ...     "x − x³/6, for cos′ near 0"
        ...     return x**3 / 6 - x
        >>> str(line_2.within)
        'within a relative error of 0.001'
    """
    for given in _unnamed:
        got, place = (f"`{label_of(given)}`", " above it") if callable(given) else (repr(given), "")
        raise TypeError(
            f"within takes ulps=… or relative=…, got {got} alone: write @within(ulps=4) or @within(relative=1e-3){place}"
        )
    claim = Within(ulps, relative)

    def mark(line: L) -> L:
        return _marked(line, "within", claim)

    return mark


def _marked(line: L, name: str, claim: object) -> L:
    if not callable(line):
        raise TypeError(f"a line must be a function, got {line!r}")
    marked: Any = _copied(line)
    setattr(marked, name, claim)
    return marked


def taken_for_condition(line: Line) -> Function | None:
    """The line that a bare `@holds_when` has taken for a condition, so that its decorator stands in the line's place.

    Example:
        >>> @holds_when
        ... def line_2(x, nabla):
        ...     return 1 / x
        >>> label_of(taken_for_condition(line_2))
        'line_2'
    """
    return getattr(line, _WAITS, None)


def without_claims(line: Line) -> Line:
    """A copy of the line that claims nothing: by neither `holds_when` nor `within`.

    Example:
        >>> hasattr(without_claims(holds_when(bool)(lambda x, nabla: x)), "valid")
        False
    """
    plain = _copied(line)
    for name in CLAIMS:
        vars(plain).pop(name, None)
    return plain


def _copied(line: Line) -> Line:
    """The same function once more: its name, source, signature and marks, under another identity.

    `__wrapped__` is the line that it was copied from.
    """
    if isinstance(line, functools.partial):
        made = functools.partial(line.func, *line.args, **line.keywords)
        made.__dict__.update(line.__dict__)
        return made
    if isinstance(line, types.FunctionType):
        # no wrapper around it: tracebacks and the source places of JAX stay those of the line
        made = types.FunctionType(line.__code__, line.__globals__, line.__name__, line.__defaults__, line.__closure__)
        made.__kwdefaults__ = copy.copy(line.__kwdefaults__)
        return functools.update_wrapper(made, line)

    @functools.wraps(line)
    def wrapper(*args: PyTree, **keywords: PyTree) -> PyTree:
        return line(*args, **keywords)

    wrapper.__name__ = label_of(line)
    return wrapper


def original_of(line: Line) -> Line:
    """The function that a marked line was copied from; any other one is its own original."""
    below = getattr(line, "__wrapped__", None)
    while below is not None and getattr(below, "__code__", None) is getattr(line, "__code__", line):
        line, below = below, getattr(below, "__wrapped__", None)
    return line


def label_of(function: Function) -> str:
    """The name a function goes by in reports; a `functools.partial` goes by the name of what it wraps."""
    return getattr(function, "__name__", None) or label_of(getattr(function, "func", type(function)))


def condition_text(line: Line | None) -> str:
    """The condition under which a line claims to hold, for people: a lambda's text, or a function's name and first line.

    Returns:
        An empty string where the line claims to hold everywhere.

    Example:
        >>> condition_text(holds_when(bool)(lambda x, nabla: x))
        'bool'
    """
    condition = getattr(line, "valid", None)
    if condition is None:
        return ""
    name = label_of(condition)
    if name == "<lambda>":
        return _text_of_lambda(condition) or f"a condition on {', '.join(inspect.signature(condition).parameters)}"
    doc = inspect.getdoc(condition) if isinstance(condition, types.FunctionType) else None
    return f"{name} ({doc.splitlines()[0].strip().rstrip('.')})" if doc else name


def _text_of_lambda(function: Function) -> str:
    """The expression behind the colon; nothing where the source is not to be had."""
    try:
        source = "".join(inspect.findsource(function)[0])
        code: types.CodeType = inspect.unwrap(function).__code__
        # what runs first in a lambda may have no place of its own (0 or None)
        places = [(line, column) for line, _, column, _ in code.co_positions() if line and column is not None]
        found = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Lambda)][::-1]  # inner ones first
    except (OSError, TypeError, SyntaxError, AttributeError):
        return ""
    for node in found:
        start, end = (node.body.lineno, node.body.col_offset), (node.body.end_lineno or 0, node.body.end_col_offset or 0)
        own = [place for place in places if place > (node.lineno, node.col_offset)]
        if node.lineno == code.co_firstlineno and own and all(start <= place < end for place in own):
            is_one_row = node.body.end_lineno == node.body.lineno
            text = (is_one_row and ast.get_source_segment(source, node.body)) or ast.unparse(node.body)
            return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
    return ""
