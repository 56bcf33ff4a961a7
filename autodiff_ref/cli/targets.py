"""What `manual-grad verify` is pointed at: the derivations of a module or of a file."""

import ast
import importlib
import importlib.util
import inspect
import pkgutil
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType

import jax

from manual_grad.derivation import Derivation


class TargetError(ValueError):
    """A target that cannot be loaded, or that holds no derivation."""


NOTES = "manual_grad.notes"
"""the target where none is given"""


@dataclass(frozen=True)
class Usable:
    """A derivation that was found."""

    target: str
    """what names it alone: `path/to/file.py:NAME`"""
    derivation: Derivation


@dataclass(frozen=True)
class Unusable:
    """A target that was not found, or that cannot be used."""

    target: str
    reason: str


def loaded(targets: Iterable[str], before: Callable[[str], None] = lambda target: None) -> Iterator[Usable | Unusable]:
    """What several targets name, each derivation once. One that cannot be loaded does not stop the others.

    Args:
        targets: as for `derivations_of`.
        before: called with each target before it is imported or run.
    """
    seen: set[str] = set()
    for target in targets:
        before(target)
        for each in _usable(target):
            key = each.target if isinstance(each, Usable) else f"{each.target}: {each.reason}"
            if key not in seen:
                yield each
            seen.add(key)


def _usable(target: str) -> Iterator[Usable | Unusable]:
    """What a target names; of a package, what can be used of it."""
    try:
        place, wanted = _split_name(target)
        names: list[str] = []
        broken = False
        chosen = False
        for own, load in _modules(place):
            try:
                defined = list(_defined_in(load()))
            except TargetError as error:
                broken = True
                yield Unusable(own, str(error))
                continue
            names += [name for name, _ in defined]
            for name, derivation in defined:
                if wanted in (None, name):
                    chosen = True
                    yield Usable(f"{own}:{name}", derivation)
        if not chosen and not broken:
            raise _nothing(place, wanted, names)
    except TargetError as error:
        yield Unusable(target, str(error))


def _nothing(place: str, wanted: str | None, names: list[str]) -> TargetError:
    if not names:
        return TargetError(f"{place} defines no Derivation at its module level")
    return TargetError(f"{place} defines no derivation {wanted!r}; it defines {', '.join(names)}")


def derivations_of(target: str) -> dict[str, Derivation]:
    """The derivations that a target names, by the names they have in their module.

    Args:
        target: `package.module`, or `path/to/file.py`, and perhaps `:NAME` for one derivation of it. A package stands for
            all its modules, and is looked for where you are, too. Only what a module defines itself counts, not what it
            imports.

    Raises:
        TargetError: there is no such module or file, it raises when it runs, or it holds no such derivation.
    """
    found = _found(target)
    names = [name for _, name, _ in found]
    return {name if names.count(name) == 1 else f"{place}:{name}": derivation for place, name, derivation in found}


def module_of(place: str) -> ModuleType:
    """The module, or the file run as one.

    Raises:
        TargetError: there is none, or it raises when it runs.
    """
    return next(_modules(place))[1]()


def _found(target: str) -> list[tuple[str, str, Derivation]]:
    """(module or file, name, derivation)"""
    place, wanted = _split_name(target)
    found = [(own, name, value) for own, load in _modules(place) for name, value in _defined_in(load())]
    chosen = [each for each in found if wanted in (None, each[1])]
    if not chosen:
        raise _nothing(place, wanted, [name for _, name, _ in found])
    return chosen


def _split_name(target: str) -> tuple[str, str | None]:
    place, colon, name = target.rpartition(":")
    if colon and not name:
        raise TargetError(f"{target!r}: after the colon comes the name of a derivation, or there is no colon")
    return (place, name) if colon and name.isidentifier() else (target, None)


def _modules(place: str) -> Iterator[tuple[str, Callable[[], ModuleType]]]:
    """What a target stands for, each with the target that stands for it alone and what loads it."""
    path = Path(place)
    is_package = place.isidentifier() and (path / "__init__.py").is_file()
    if path.is_dir() and not is_package:
        files = sorted(file.name for file in path.glob("*.py"))[:3]
        inside = f" (it holds {', '.join(files)}, …)" if files else ""
        raise TargetError(f"{path} is a directory{inside}: name a file in it, or a package as Python imports it")
    if path.suffix == ".py" or (path.exists() and not is_package):
        yield place, partial(_run_file, path)
        return
    if str(Path.cwd()) not in sys.path:  # as for `python -m`, but what is installed comes first
        sys.path.append(str(Path.cwd()))
    module = _import(place)
    yield place, lambda: module
    # what a package within raises is told of where it is loaded
    for inside in pkgutil.walk_packages(getattr(module, "__path__", ()), f"{place}.", onerror=lambda name: None):
        yield inside.name, partial(_import, inside.name)


def _run_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise TargetError(f"there is no file {path}")
    name = f"_manual_grad_target_{abs(hash(path.resolve()))}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise TargetError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    if str(path.parent.resolve()) not in sys.path:
        sys.path.insert(0, str(path.parent.resolve()))
    try:
        with jax.enable_x64(True):
            spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        relative = isinstance(error, ImportError) and "relative import" in str(error)
        hint = "\nIt is part of a package: name the module instead of the file, as in package.module" * relative
        raise TargetError(f"{path} cannot be run:\n{_short_traceback(error, str(path))}{hint}") from error
    return module


def _import(name: str) -> ModuleType:
    try:
        with jax.enable_x64(True):
            return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise TargetError(f"there is no module {name!r}, and no file of that name either") from error
        raise TargetError(f"{name} cannot be imported:\n{_short_traceback(error, name)}") from error
    except (Exception, SystemExit) as error:
        raise TargetError(f"{name} cannot be imported:\n{_short_traceback(error, name)}") from error


def _short_traceback(error: BaseException, place: str) -> str:
    """The target's own frames, and the error."""
    tail = Path(place).name if place.endswith(".py") else place.rpartition(".")[2] + ".py"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).name == tail]
    return "".join([*traceback.format_list(frames[-3:]), *traceback.format_exception_only(error)]).rstrip()


def _defined_in(module: ModuleType) -> Iterator[tuple[str, Derivation]]:
    imported = _imported_names(module)
    for name, value in vars(module).items():
        if isinstance(value, Derivation) and name not in imported:
            yield name, value


def _imported_names(module: ModuleType) -> set[str]:
    """What a module's `from … import …` statements bind."""
    try:
        tree = ast.parse(inspect.getsource(module))
    except (OSError, TypeError, SyntaxError):
        return set()
    statements = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return {alias.asname or alias.name for statement in statements for alias in statement.names}
