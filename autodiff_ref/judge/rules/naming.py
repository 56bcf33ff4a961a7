"""What functions with rules are called: a lambda by the attribute of its module that holds it."""

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from manual_grad.derivation import label_of

LAMBDA = "<lambda>"


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
