"""Whether a function is written for JAX or for NumPy, by what its code names and does."""

import dis
import types
from functools import lru_cache
from typing import Any

from autodiff_ref.judge.state import names_in


def writes_in_place(f: Any) -> bool:
    """Whether a function, or one of its module that it calls, has `a += b`: of NumPy's arrays that writes into them."""
    return any(map(_writes, _codes(f)))


@lru_cache(maxsize=4096)
def _writes(code: types.CodeType) -> bool:
    """Whether code, or what is defined within it, has `a += b`. Code does not change: it is looked through once."""
    return any(
        instruction.opname == "BINARY_OP" and instruction.argrepr.endswith("=") for instruction in dis.get_instructions(code)
    ) or any(_writes(part) for part in code.co_consts if isinstance(part, types.CodeType))


def uses_jax(f: Any) -> bool:
    """Whether a function, or one of its module that it calls, names something of JAX's."""
    return any(_package(value) in ("jax", "jaxlib") for value in _named(f))


def uses_numpy(f: Any) -> bool:
    """Whether a function, or one of its module that it calls, names something of NumPy's."""
    return any(_package(value) == "numpy" for value in _named(f))


def _package(value: Any) -> str:
    module = value.__name__ if isinstance(value, types.ModuleType) else getattr(value, "__module__", None)
    return str(module or "").split(".", 1)[0]


def _functions(f: Any) -> list[types.FunctionType]:
    f = getattr(f, "__func__", f)
    f = getattr(f, "func", f)
    if (getattr(f, "__module__", None) or "").startswith("autodiff_ref."):  # the judge's own, around a user's
        f = getattr(f, "__wrapped__", f)
    if not isinstance(f, types.FunctionType):
        f = getattr(f, "__wrapped__", None) or getattr(type(f), "__call__", None)  # noqa: B004
    waiting, found = [f], list[types.FunctionType]()
    while waiting:
        one = waiting.pop()
        if isinstance(one, types.FunctionType) and one not in found and len(found) < 100:
            found.append(one)
            held = [one.__globals__.get(name) for name in names_in(one.__code__)]
            waiting += [
                value for value in held if isinstance(value, types.FunctionType) and value.__globals__ is one.__globals__
            ]
            waiting += [cell.cell_contents for cell in one.__closure__ or () if _is_function(cell)]
    return found


def _is_function(cell: types.CellType) -> bool:
    try:
        return isinstance(cell.cell_contents, types.FunctionType)
    except ValueError:
        return False


def _codes(f: Any) -> list[types.CodeType]:
    return [one.__code__ for one in _functions(f)]


def _named(f: Any) -> list[Any]:
    return [one.__globals__[name] for one in _functions(f) for name in names_in(one.__code__) if name in one.__globals__]
