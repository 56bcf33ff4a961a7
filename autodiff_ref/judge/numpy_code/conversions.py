"""Code that asks a tracer for its numbers and catches the error goes on without them: `np.array_equal` says False."""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, NoReturn

import jax
from jax.core import Tracer

_REFUSE = Tracer.__array__
_NOTED = threading.local()


def _noted(self: Any, *args: Any, **keywords: Any) -> NoReturn:
    try:
        _REFUSE(self, *args, **keywords)
    except jax.errors.TracerArrayConversionError as error:
        _NOTED.errors = [*getattr(_NOTED, "errors", ()), error]
        raise
    raise AssertionError("a tracer has no numbers")


Tracer.__array__ = _noted  # pyright: ignore[reportAttributeAccessIssue]


@contextmanager
def none_caught() -> Generator[None]:
    """Raises the error of a tracer that was asked for its numbers, where the code that asked has caught it.

    Raises:
        TracerArrayConversionError: after what runs within.
    """
    before, _NOTED.errors = getattr(_NOTED, "errors", ()), []
    try:
        yield
        if _NOTED.errors:
            raise _NOTED.errors[0]
    finally:
        _NOTED.errors = before
