"""Names of a module that are imported when they are first used, so that importing the module stays cheap."""

import importlib
from collections.abc import Callable, Mapping


def lazily(module: dict[str, object], places: Mapping[str, str]) -> Callable[[str], object]:
    """A module's `__getattr__`.

    Args:
        module: the module's `globals()`, which keep what was imported once.
        places: by name, the module that defines it, or that is it.
    """

    def get(name: str) -> object:
        if name not in places:
            raise AttributeError(f"module {module['__name__']!r} has no attribute {name!r}")
        place = importlib.import_module(places[name])
        value = getattr(place, name, place)
        module[name] = value
        return value

    return get
