"""Compiling in a quarter of the time: with XLA's older emitters, in one piece, unoptimised. Not for tests of rounding."""

from typing import Any

import jax
from jax._src import compiler

_KEY = "jax_optimization_level"
"""on CPU nothing hangs on it, and JAX keeps what it compiled at each level apart"""
_OPTIONS = {
    "xla_backend_optimization_level": 0,
    "xla_cpu_parallel_codegen_split_count": 1,
    "xla_cpu_use_fusion_emitters": False,  # not in jaxlib 0.12
}


def _is_known(option: str) -> bool:
    try:
        jax.jit(lambda: 0, compiler_options={option: _OPTIONS[option]})()
    except jax.errors.JaxRuntimeError:
        return False
    return True


def enable() -> None:
    """From now on all is compiled so, on CPU, but where `compile_quickly` says otherwise."""
    known = {option: value for option, value in _OPTIONS.items() if _is_known(option)}
    usual = compiler.get_compile_options

    def options(*args: Any, env_options_overrides: dict[str, Any] | None = None, **others: Any) -> Any:
        quick = known if jax.config.values[_KEY] == "O0" else {}
        return usual(*args, env_options_overrides={**quick, **(env_options_overrides or {})}, **others)

    compiler.get_compile_options = options
    compile_quickly(True)


def compile_quickly(quickly: bool) -> None:
    """How programs are compiled from now on."""
    jax.config.update(_KEY, "O0" if quickly else "UNKNOWN")
