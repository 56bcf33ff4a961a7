"""Code that asks a tracer for its numbers and catches the error goes on without them: `np.array_equal` says False."""

import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

import jax
from jax.core import Tracer

_REFUSE = Tracer.__array__
_NOTED = threading.local()
_LOCK = threading.Lock()
_watching = 0
_TRIED_BY_THE_JUDGE = "implementation_of"
"""a function of `program.standins`, which catches what it tries"""


def _noted(self: Any, *args: Any, **keywords: Any) -> NoReturn:
    try:
        _REFUSE(self, *args, **keywords)
    except jax.errors.TracerArrayConversionError as error:
        if not _is_tried(sys._getframe(1)):  # pyright: ignore[reportPrivateUsage]
            _NOTED.errors = [*getattr(_NOTED, "errors", ()), error]
        raise
    raise AssertionError("a tracer has no numbers")


def _is_tried(frame: FrameType | None) -> bool:
    while frame is not None and frame.f_code.co_name != _TRIED_BY_THE_JUDGE:
        frame = frame.f_back
    return frame is not None


@contextmanager
def _watched() -> Generator[None]:
    """Tracers note that they are asked for their numbers."""
    global _watching
    with _LOCK:
        _watching += 1
        Tracer.__array__ = _noted  # pyright: ignore[reportAttributeAccessIssue]
    try:
        yield
    finally:
        with _LOCK:
            _watching -= 1
            Tracer.__array__ = Tracer.__array__ if _watching else _REFUSE


@contextmanager
def none_caught() -> Generator[None]:
    """Raises the error of a tracer that was asked for its numbers, where the code that asked has caught it.

    Raises:
        TracerArrayConversionError: after what runs within.
    """
    before, _NOTED.errors = getattr(_NOTED, "errors", ()), []
    try:
        with _watched():
            yield
        if _NOTED.errors:
            raise _NOTED.errors[0]
    finally:
        _NOTED.errors = before
