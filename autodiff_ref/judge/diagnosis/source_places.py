"""Where an equation of a jaxpr comes from: the user's own source lines, read off its traceback."""

import inspect
import linecache
import re
import sysconfig
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from types import CodeType

import jax
import jaxlib
import jaxtyping
import numpy as np
from jax.extend import core

from autodiff_ref.judge.lines import trace
from autodiff_ref.judge.lines.jaxprs import is_nabla
from autodiff_ref.trees import Function

_TRACE = trace.__file__
_JUDGE = Path(trace.__file__).parents[1]
_LIBRARIES = (str(_JUDGE), *(str(Path(module.__file__ or "").parent) for module in (jax, jaxlib, np, jaxtyping)))
_STDLIB = sysconfig.get_path("stdlib")


@dataclass(frozen=True)
class Frame:
    """A stretch of source text that was running when an equation was traced."""

    file: str
    function: str
    line: int
    column: int
    end_line: int
    end_column: int
    variables: frozenset[str] = frozenset()
    """of the function"""

    @property
    def place(self) -> str:
        """For people: mine.py:12."""
        return f"{Path(self.file).name}:{self.line}"

    @property
    def text(self) -> str:
        """The source text, on one line."""
        rows = [row.encode() for row in linecache.getlines(self.file)[self.line - 1 : self.end_line]]
        if not rows or self.end_column < 0:
            return ""
        rows[-1] = rows[-1][: self.end_column]
        rows[0] = rows[0][self.column :]
        return " ".join(b" ".join(rows).decode(errors="replace").split())


@dataclass(frozen=True)
class Origin:
    """The user's frames of an equation, innermost first, from the line down; and whether ∇ made it."""

    frames: tuple[Frame, ...] = ()
    is_nabla: bool = False

    def text_of(self, frame: Frame) -> str:
        """The source text of one of the frames; with the call that it stands in, unless that names its variables."""
        text, caller = shortened(frame.text), self.frames[self.frames.index(frame) + 1 :]
        call = caller[0].text if caller else ""
        hands_all_on = frame.variables.intersection(_words(frame.text)).issubset(_words(call)) or _UNPACKS.search(call)
        return text if hands_all_on or not call else f"{text} in {shortened(call)}"


_UNPACKS = re.compile(r"[(,]\s*\*")


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text))


def shortened(text: str) -> str:
    """At most so much that a row holds it."""
    return text if len(text) <= 50 else text[:49] + "…"


def origin_of(eqn: core.JaxprEqn) -> Origin:
    """Where an equation of a traced line comes from; empty where its traceback is missing."""
    traceback = eqn.source_info.traceback
    if traceback is None:
        return Origin()
    found, under = list[Frame](), False
    for code, instruction in zip(*traceback.raw_frames(), strict=True):
        file = code.co_filename
        if file == _TRACE and code.co_name == "flat":
            break
        if is_nabla(file, code.co_name):  # what lies further in is the differentiated function, not the line
            under = True
            found.clear()
        elif not _is_library(file):
            found.append(_frame(code, instruction))
    return Origin(tuple(found), under)


@cache
def _is_library(file: str) -> bool:
    in_stdlib = file.startswith(_STDLIB) and "site-packages" not in file
    return in_stdlib or file.startswith((*_LIBRARIES, "<"))


@cache
def _positions(code: CodeType) -> list[tuple[int | None, ...]]:
    return list(code.co_positions())


@cache
def _frame(code: CodeType, instruction: int) -> Frame:
    positions = _positions(code)
    line, end_line, column, end_column = positions[instruction // 2] if instruction // 2 < len(positions) else (None,) * 4
    start = code.co_firstlineno if line is None else line
    known = column is not None and end_column is not None and end_line is not None
    span = (column, end_line, end_column) if known else (0, start, -1)
    return Frame(code.co_filename, code.co_name, start, *span, frozenset(code.co_varnames))  # pyright: ignore[reportArgumentType]


def file_of(f: Function) -> str:
    """The file that a function, or what it wraps, is written in; empty where there is none."""
    while isinstance(f, partial):
        f = f.func
    code = getattr(inspect.unwrap(f), "__code__", None)
    return code.co_filename if code is not None else ""


def own_frame(origin: Origin, file: str) -> Frame | None:
    """The innermost frame in a line's own file, else the innermost that is the user's at all."""
    return next((frame for frame in origin.frames if frame.file == file), origin.frames[0] if origin.frames else None)
