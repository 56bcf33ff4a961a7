"""What is said of a function that cannot be traced; and which way of tracing suits it."""

import dis
import types
from typing import Any

import jax

from autodiff_ref.judge.numpy_code.makers import names_in
from autodiff_ref.judge.numpy_code.run import NotFollowedError, place_of

_WAY_ON = "write that step with functions of NumPy's or jax.numpy's arrays"


def not_traced(name: str, error: Exception) -> str:
    """Which step of a function stopped its trace, in the user's file, and what to do."""
    if isinstance(error, NotFollowedError):
        return f"`{name}` cannot be traced: {error}"
    place = place_of(error)
    at = f" at {place}" if place else ""
    if isinstance(error, jax.errors.JAXTypeError | jax.errors.JAXIndexError):
        return f"`{name}` cannot be traced: a step{at} asks for the numbers of an array that is traced: {_WAY_ON}"
    said = (str(error).strip() or "no message").splitlines()[0]
    kind = "" if type(error) is TypeError else f" ({type(error).__name__})"
    return f"`{name}` cannot be traced: {said}{kind}{at}"


def writes_in_place(f: Any) -> bool:
    """Whether a function, or one of its module that it calls, has `a += b`: of NumPy's arrays that writes into them."""
    return any(
        instruction.opname == "BINARY_OP" and instruction.argrepr.endswith("=")
        for code in _codes(f)
        for instruction in _all(code)
    )


def uses_jax(f: Any) -> bool:
    """Whether a function, or one of its module that it calls, names something of JAX's."""
    return any(_is_jax(value) for value in _named(f))


def _is_jax(value: Any) -> bool:
    module = value.__name__ if isinstance(value, types.ModuleType) else getattr(value, "__module__", None)
    return str(module or "").split(".", 1)[0] in ("jax", "jaxlib")


def _all(code: types.CodeType) -> Any:
    yield from dis.get_instructions(code)
    for part in code.co_consts:
        if isinstance(part, types.CodeType):
            yield from _all(part)


def _functions(f: Any) -> list[types.FunctionType]:
    f = getattr(f, "__func__", f)
    f = getattr(f, "func", f)
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
