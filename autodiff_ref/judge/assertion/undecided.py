"""Nothing can be said of an input: said by an error, or by rejecting the example of a property test, unless all are so.

Hypothesis takes a rejected example as one that the test does not ask for. A test of which every example is rejected would
be told of filters and assumptions, so the reason is said there; and from the `PATIENCE`-th example on it is raised.
"""

import functools
import sys
from types import FrameType
from typing import Any
from weakref import WeakKeyDictionary

from hypothesis import Phase, currently_in_test_context, reject, settings

from autodiff_ref.judge.assertion.naming import name_of
from autodiff_ref.judge.numpy_code.drawing import changes
from autodiff_ref.judge.state import differ
from autodiff_ref.trees import Function, PyTree

PATIENCE = 20
"""undecided examples before one is decided; at 50 that are rejected Hypothesis gives up, and blames the test's filters"""


class UndecidedError(ValueError):
    """Nothing can be said of two gradients at this input: neither that they agree, nor that they differ."""


class _Tally:
    """One run of a property test."""

    decided = 0
    undecided = 0
    failed = False
    """whether it was raised once: then it always is, so that Hypothesis sees the same when it looks again"""
    test: Function | None = None
    """the test itself, while Hypothesis holds one that says why its examples were rejected"""


_TALLIES: WeakKeyDictionary[Any, _Tally] = WeakKeyDictionary()


def decided() -> None:
    """Notes, inside a property test, that something was said of an example."""
    if not currently_in_test_context():
        return
    run = _running()
    if run is None:
        return
    tally = _TALLIES.setdefault(run, _Tally())
    tally.decided += 1
    if tally.test is not None:
        run.test, tally.test = tally.test, None


def require_the_same_again(first: PyTree, second: PyTree, f: Function, judged: str) -> None:
    """Nothing can be said of what is judged if two calls of f at one input gave other values.

    Raises:
        UndecidedError: they did.
    """
    __tracebackhide__ = True
    if differ(first, second):
        undecided(f"nothing can be said of {judged} at this input: {changes(f, name_of(f))}")


def undecided(message: str) -> None:
    """Rejects the example of a property test; raises elsewhere, and where no example of the test was decided.

    Raises:
        UndecidedError: as said.
    """
    __tracebackhide__ = True
    if not currently_in_test_context():
        raise UndecidedError(message)
    run = _running()
    if run is not None:
        tally = _TALLIES.setdefault(run, _Tally())
        tally.undecided += 1
        alone = tally.decided == 0
        tally.failed = tally.failed or (alone and tally.undecided >= _patience())
        if tally.failed:
            raise UndecidedError(f"{message}. So it was at every example of this test: draw other inputs")
        if alone and tally.test is None and hasattr(run, "test"):
            tally.test, run.test = run.test, _saying_why(run.test, message)
    reject()


def _patience() -> int:
    current = settings.default
    explicit_alone = current is not None and Phase.generate not in current.phases
    return 1 if explicit_alone else PATIENCE  # explicit examples are meant


def _saying_why(test: Function, message: str) -> Function:
    """The same test; where Hypothesis says that its assumptions cannot be met, it describes it by the reason."""

    @functools.wraps(test)
    def same(*args: PyTree, **keywords: PyTree) -> PyTree:
        return test(*args, **keywords)

    text = f"{getattr(test, '__name__', 'the test')}, since of each of its examples {message}"
    setattr(same, "_repr_pretty_", lambda printer, _cycle: printer.text(text))  # noqa: B010
    return same


def _running() -> Any:
    """What Hypothesis runs the current test with, one object a run; None where it cannot be found on the stack."""
    frame: FrameType | None = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    while frame is not None:
        if frame.f_code.co_name == "execute_once" and "hypothesis" in frame.f_code.co_filename:
            return frame.f_locals.get("self")
        frame = frame.f_back
    return None
