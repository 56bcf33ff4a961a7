"""One run of NumPy code with stand-ins for its arrays: what it has taken for granted, and what stops it."""

import dis
import sys
import threading
import types
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import numpy as np

CONSTANT, DATA, VARIES = 0, 1, 2
"""What a value depends on: on nothing that is handed in, on data alone, or on what is differentiated by."""

MOST_ASSUMED = 20_000
"""entries of an array that may be taken for granted"""

LIBRARIES = {
    *("numpy", "scipy", "jax", "jaxlib", "flint", "hypothesis", "_pytest", "pluggy", "numba", "sklearn", "pandas", "torch"),
    *("autodiff_ref", "matplotlib", "mpmath", "sympy", "opt_einsum"),
}
"""packages whose code is no user's: what they make of arrays are arrays"""

NEVER_FOLLOWED = LIBRARIES - {"scipy", "sklearn", "pandas"}
"""packages of these whose Python code is not followed like a user's, where a trace needs that"""


class NotFollowedError(TypeError):
    """NumPy code does what a stand-in cannot follow; says where in the user's code, and what to do."""

    def __init__(self, what: str, way_on: str, *, place: str = "") -> None:
        place = place or user_place(sys._getframe(1))  # pyright: ignore[reportPrivateUsage]
        super().__init__(f"{what}{f' at {place}' if place else ''}: {way_on}")


def what_stopped(error: BaseException) -> BaseException:
    """What was raised first of an error: a library may say it in its own words, as that it takes no such argument."""
    first: BaseException | None = error
    while first is not None and not isinstance(first, NotFollowedError):
        first = first.__cause__ or first.__context__
    return error if first is None else first


class IterationError(NotFollowedError):
    """A library computes by iterations until numbers end them."""


@dataclass(frozen=True)
class Assumption:
    """What was taken for granted at an input: a branch, an index, a mask. The trace holds where it is the same."""

    array: Any
    """as traced"""
    value: Any
    """at this input"""
    place: str
    """where in the user's code"""
    is_computed_with: bool = False
    """whether code that is not followed computes with it, so that floats made what came of it"""


@dataclass
class Run:
    """One call of a function with stand-ins."""

    for_all_inputs: bool = False
    """whether the trace is to hold for all inputs of these shapes: then nothing may be taken for granted"""
    followed: frozenset[str] = frozenset()
    """libraries whose code is followed like a user's"""
    assumptions: list[Assumption] = field(default_factory=list[Assumption])
    written_outside: dict[int, str] = field(default_factory=dict[int, str])
    """by the id of an array that was made outside of what is traced: where it was written into"""
    asked: Counter[tuple[FrameType, tuple[Any, ...]]] = field(default_factory=Counter[Any])
    """by a call of such a library, and the way to a place in it: how often numbers decided there what is done"""

    def assume(self, array: Any, value: Any, level: int, *, is_computed_with: bool = False) -> None:
        """Takes a value for granted, and notes it unless it depends on nothing."""
        if level == CONSTANT:
            return
        known = np.asarray(value)
        if known.size > MOST_ASSUMED:
            raise NotFollowedError(
                f"an array of {known.size} numbers decides what is computed",
                "use functions of arrays, or try smaller shapes",
            )
        place = user_place(sys._getframe(1))  # pyright: ignore[reportPrivateUsage]
        self.assumptions.append(Assumption(array, known.copy(), place, is_computed_with))

    def note_written(self, outside: np.ndarray) -> None:
        """Notes that an array is written into that was made outside, and may hold what an earlier call has written."""
        self.written_outside.setdefault(id(outside), user_place(sys._getframe(1)))  # pyright: ignore[reportPrivateUsage]

    def refuse_iterations(self, frame: FrameType | None) -> None:
        """Notes that a number decides what is done next; in a library's loop, as a minimiser's, that is not followed.

        The derivative of the last iterate is not that of what the iterates converge to.

        Raises:
            IterationError: in one call of a library, one step of it was decided by numbers more than once.
        """
        while frame is not None and _package(frame) in ("autodiff_ref", "numpy"):
            frame = frame.f_back
        if frame is None or is_users(frame) or _package(frame) == "jax":
            return
        path: list[tuple[types.CodeType, int]] = []
        entry = frame
        while frame is not None and not is_users(frame) and _package(frame) not in ("autodiff_ref", "jax"):
            path.append((frame.f_code, frame.f_lasti))
            entry, frame = frame, frame.f_back
        self.asked[entry, tuple(path)] += 1
        if self.asked[entry, tuple(path)] > 1:
            raise IterationError(
                f"{_name_of(entry)} repeats what it does until numbers that are differentiated by end it",
                "compute that outside, and hand its result to the loss; differentiate it by the implicit function theorem",
            )


_STATE = threading.local()


def current() -> Run | None:
    """The run of this thread; None where none is under way."""
    return getattr(_STATE, "run", None)


@contextmanager
def running(run: Run | None) -> Generator[None]:
    """Makes a run this thread's; None stops the one that is under way, so that code makes arrays of NumPy's."""
    before = current()
    _STATE.run = run
    try:
        yield
    finally:
        _STATE.run = before


def is_users(frame: FrameType) -> bool:
    """Whether a frame is of a user's code."""
    return _package(frame) not in LIBRARIES


def is_followed(frame: FrameType) -> bool:
    """Whether arrays that a frame's code makes are to be stand-ins: a user's, or of a library that this run follows."""
    run = current()
    return run is not None and (is_users(frame) or _package(frame) in run.followed)


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).split(".", 1)[0]


def user_place(frame: FrameType | None) -> str:
    """The innermost place of a user's code on the stack: net.py:12."""
    while frame is not None:
        if is_users(frame) and not frame.f_code.co_filename.startswith("<"):
            return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
        frame = frame.f_back
    return ""


_WRITES = {"STORE_SUBSCR", "STORE_SLICE"}
"""from Python 3.12 on the latter is `a[i:j] = …`"""


def is_writing(frame: FrameType | None) -> bool:
    """Whether a user's code is at `a[…] = …`, where a is an array of NumPy's."""
    while frame is not None and _package(frame) == "autodiff_ref":
        frame = frame.f_back
    return frame is not None and is_followed(frame) and dis.opname[frame.f_code.co_code[frame.f_lasti]] in _WRITES


def called_by_user(frame: FrameType | None) -> str:
    """The other library's function that a user, or the judge, has called: scipy.spatial.distance.cdist; else empty."""
    called = None
    while frame is not None and _package(frame) == "autodiff_ref":  # what stands for `np.asarray`
        frame = frame.f_back
    while frame is not None and not is_users(frame) and _package(frame) not in ("autodiff_ref", "jax"):
        called, frame = frame, frame.f_back
    return "" if called is None else _name_of(called)


def _name_of(frame: FrameType) -> str:
    decorated = [value for value in frame.f_locals.values() if isinstance(value, types.FunctionType)]
    if "<locals>" in frame.f_code.co_qualname and decorated:  # what a decorator has put around a function
        return f"{decorated[0].__module__}.{decorated[0].__qualname__}"
    return f"{frame.f_globals.get('__name__', '')}.{frame.f_code.co_qualname}"


def place_of(error: BaseException) -> str:
    """The innermost place of a user's code at which an error was raised."""
    found, at = "", error.__traceback__
    while at is not None:
        if _is_users(at):
            found = f"{Path(at.tb_frame.f_code.co_filename).name}:{at.tb_lineno}"
        at = at.tb_next
    return found


def _is_users(at: TracebackType) -> bool:
    return is_users(at.tb_frame) and not at.tb_frame.f_code.co_filename.startswith("<")
