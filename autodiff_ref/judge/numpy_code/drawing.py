"""Why a function returns something else when it is called again: where it draws random numbers, or that it keeps state."""

import dis
import types
from collections import ChainMap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autodiff_ref.judge.numpy_code.holding import visited
from autodiff_ref.judge.state import is_filled


def changes(f: Any, name: str) -> str:
    """What is said of a function that returns something else when it is called again."""
    return (
        f"{name} returns something else when it is called again with the same arguments: {why_it_changes(f)}. "
        "Make it a function of its arguments: start from what is new at each call, and pass the seed"
    )


def why_it_changes(f: Any) -> str:
    """The place in a user's code where a function draws random numbers; where none is seen, what it may be."""
    places = [place for value in visited(f) if isinstance(value, types.FunctionType) and (place := _place_in(value))]
    return f"it is random, and draws numbers at {places[0]}" if places else "it keeps state, or is random"


def _place_in(f: types.FunctionType) -> str:
    cells = zip(f.__code__.co_freevars, f.__closure__ or (), strict=True)
    held = {name: cell.cell_contents for name, cell in cells if is_filled(cell)}
    line = _line_in(f.__code__, ChainMap(held, f.__globals__))
    return f"{Path(f.__code__.co_filename).name}:{line}" if line else ""


def _line_in(code: types.CodeType, names: Mapping[str, Any]) -> int | None:
    """The first line that uses a generator of random numbers, of NumPy's or Python's, or a function that draws."""
    held: Any = None
    for step in dis.get_instructions(code):
        match step.opname, step.argval:
            case "LOAD_GLOBAL" | "LOAD_DEREF" | "LOAD_NAME", str(name):
                held = names.get(name)
            case "LOAD_ATTR" | "LOAD_METHOD", str(name):
                held = getattr(held, name, None) if isinstance(held, types.ModuleType) else None
            case _, types.CodeType() as inner:
                if line := _line_in(inner, names):
                    return line
                continue
            case _:
                continue
        if _draws(held) and step.positions is not None:
            return step.positions.lineno
    return None


def _draws(value: Any) -> bool:
    if isinstance(value, types.ModuleType):
        return value.__name__ in ("random", "numpy.random")
    homes = getattr(value, "__module__", None), type(value).__module__, type(getattr(value, "__self__", None)).__module__
    return any(home == "random" or str(home).startswith("numpy.random") for home in homes)
