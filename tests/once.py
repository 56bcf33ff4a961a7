"""Compiling for a single run: less is optimised, in two thirds of the time. Not for tests of rounding."""

from collections.abc import Callable
from typing import Any

import jax


def compiled_once(f: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """f as one program, for the few inputs of a test; options are those of `jax.jit`."""
    return jax.jit(f, compiler_options={"xla_backend_optimization_level": 0}, **options)
