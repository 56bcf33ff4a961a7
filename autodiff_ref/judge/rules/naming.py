"""What functions with rules are called: a lambda by the attribute of its module that holds it."""

import functools
import inspect
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import jax

from manual_grad.derivation import label_of

LAMBDA = "<lambda>"


@functools.lru_cache(maxsize=64)
def as_written(f: Callable[..., Any]) -> Callable[..., Any]:
    """What a decorator made an object of, by the name and the arguments that its author wrote; a function as it is.

    So are `jax.custom_gradient`, and the decorators of libraries that make an object with a rule of its own. The attribute
    `ruled` is what it made.
    """
    user = _held_by(f)
    if user is None:
        return f

    @functools.wraps(user)
    def called(*args: Any, **options: Any) -> Any:
        return f(*args, **options)

    vars(called)["ruled"] = f
    return called


def _held_by(f: Any) -> Callable[..., Any] | None:
    """The author's function within an object that is called in its place; None for a function, and what JAX makes of it."""
    made: Any = getattr(f, "__wrapped__", None)
    if isinstance(f, jax.custom_vjp) and getattr(made, "__code__", None) is _MADE:
        return inspect.getclosurevars(made).nonlocals["fun"]
    library = type(f).__module__.partition(".")[0]
    if inspect.isroutine(f) or inspect.isclass(f) or made is not None or library in _NO_DECORATORS:
        return None
    found, seen = [*getattr(f, "__dict__", {}).values()], set[int]()
    while found:
        each = found.pop(0)
        if id(each) in seen:
            continue
        seen.add(id(each))
        if inspect.isfunction(each):
            if each.__module__.partition(".")[0] != library:
                return each
            found += [cell.cell_contents for cell in each.__closure__ or ()]
        elif isinstance(each, jax.custom_jvp | jax.custom_vjp):
            found.append(each.fun)
    return None


_NO_DECORATORS = {"jax", "jaxlib", "functools", "builtins", "types", "typing"}
"""what JAX and Python make of a function says itself what that is"""

_MADE: Any = vars(jax.custom_gradient(lambda x: (x, None)))["__wrapped__"].__code__


def attribute_of(module: ModuleType | None, is_meant: Callable[[Any], bool]) -> str:
    """The first name in a module of a value that is meant; empty where there is none."""
    return next((name for name, value in list(vars(module or object).items()) if is_meant(value)), "")


def shown_name(f: Any) -> str:
    """The name of a function; of a lambda, that by which its module holds it, where it does."""
    label = label_of(f)
    held = sys.modules.get(getattr(f, "__module__", None) or "") if label == LAMBDA else None
    return attribute_of(held, lambda value: value is f) or label


def name_at(name: str, place: str) -> str:
    """The same for a function that is known by its name and its place alone: path/to/file.py:12"""
    if name != LAMBDA:
        return name
    path = place.rpartition(":")[0]
    modules = [module for module in list(sys.modules.values()) if getattr(module, "__file__", None) == path]
    return next(filter(None, (attribute_of(module, lambda value: _place(value) == place) for module in modules)), name)


def _place(f: Any) -> str:
    code = getattr(getattr(f, "__wrapped__", None), "__code__", None)
    return "" if code is None else f"{code.co_filename}:{code.co_firstlineno}"
