"""What JAX computes by tricks on bits, for the sake of the last digit, as the real function that it stands for."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

_LIBRARY = Path(jax.__file__).parent

_MEANT: dict[str, Callable[..., Any]] = {"exp_neg_sq": lambda x: jnp.exp(-(x * x))}
"""By the name JAX's own function has: exp(−x²), which from 0.12 on the derivatives of erf and erfc call."""


def meant_by(eqn: Any) -> Any:
    """The jaxpr of the real function that a call to one of JAX's own functions computes; None for every other call."""
    inner = eqn.params.get("call_jaxpr")
    if eqn.primitive.name != "custom_jvp_call" or inner is None:
        return None
    info = getattr(inner, "jaxpr", inner).debug_info
    if info is None or info.func_name not in _MEANT or _LIBRARY not in Path(info.func_filename or "").parents:
        return None
    with jax.enable_x64(True):
        return jax.make_jaxpr(_MEANT[info.func_name])(*[var.aval for var in eqn.invars])
