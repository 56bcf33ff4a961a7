"""What a custom_vjp keeps between its two halves: it has to come through `residuals`, and to stay as it is."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

LEAKS = (
    "its backward half raises {} under `jit`: what it needs has to come through the residuals, a leaked tracer does not do"
)
CHANGES = "its backward half changes what it was handed: used twice, one pullback gives two answers"


def residual_mistake(function: Callable[..., list[Any]], leaves: Sequence[np.ndarray], by: Sequence[int]) -> str:
    """What is wrong with what a function's rules keep; empty where nothing is.

    Args:
        function: of the leaves; returns a list of arrays.
        leaves: its arguments.
        by: the leaves that it is differentiated by.
    """

    def of(*moved: Any) -> list[Any]:
        given = [*leaves]
        for k, x in zip(by, moved, strict=True):
            given[k] = x
        return list(function(*given))

    at = [leaves[k] for k in by]
    with jax.enable_x64(True):
        try:
            values, pull = jax.vjp(of, *at)
            bars = [jax.numpy.ones_like(value) for value in values]
            first = [np.asarray(x) for x in pull(bars)]
        except Exception:  # said where its derivative is judged
            return ""
        try:
            second = [np.asarray(x) for x in pull(bars)]
        except Exception:
            return CHANGES
        if not all(np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in zip(first, second, strict=True)):
            return CHANGES
        try:
            jax.jit(of)(*at)
        except Exception:  # the function itself is none for `jit`
            return ""
        try:
            jax.vjp(jax.jit(of), *at)[1](bars)
        except Exception as error:
            return LEAKS.format(type(error).__name__)
    return ""
