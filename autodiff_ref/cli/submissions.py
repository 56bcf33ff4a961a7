"""What students hand in: their lines, under the reference's claim."""

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from autodiff_ref.cli.targets import TargetError, Unusable, Usable, derivations_of, module_of
from autodiff_ref.judge.borrowed import borrowed
from autodiff_ref.judge.inputs import NoInputError, draw_inputs
from autodiff_ref.judge.lines.traces import Traces
from autodiff_ref.trees import JsonObject
from manual_grad.claims import without_claims
from manual_grad.derivation import Derivation, Line, label_of

LINES = "lines"
"""the name of a plain list of functions, where a file has no Derivation"""

_OURS = ("autodiff_ref", "manual_grad")
_JAX = ("jax", "jax.numpy", "jax.nn", "jax.lax", "jax.scipy.special")


def submitted(files: tuple[str, ...], of: str, before: Callable[[str], None]) -> Iterator[Usable | Unusable]:
    """Each file's lines as a derivation of what the reference claims. The reference is run before any of the files."""
    before(files[0])
    name, reference = reference_of(of)
    folder = str(Path(of.rpartition(":")[0] or of).parent.resolve())
    sys.path[:] = [entry for entry in sys.path if entry != folder]  # the solution is not there to be imported
    for file in files:
        before(file)
        held = _held()
        try:
            lines = lines_of(file, name)
            now = _held()
            if changed := [place for place, value in held.items() if now.get(place) is not value]:
                raise TargetError(f"{file} changes what it is judged by: {', '.join(changed[:3])}")
            yield Usable(file, reference.with_lines(*map(without_claims, lines), name=reference.name))
        except (TargetError, TypeError, ValueError) as error:
            yield Unusable(file, str(error))


def _held() -> dict[str, object]:
    """The functions and classes of the judge, of the reference and of JAX, by their places."""
    held: dict[str, object] = {}
    for name, module in list(sys.modules.items()):
        if name in _JAX or name.partition(".")[0] in _OURS or name.startswith("_manual_grad_target"):
            for key, value in list(vars(module).items()):
                if callable(value):
                    held[f"{name}.{key}"] = value
                if isinstance(value, type) and value.__module__.partition(".")[0] in _OURS:
                    held |= {f"{name}.{key}.{own}": found for own, found in vars(value).items() if callable(found)}
    return held


def reference_of(target: str) -> tuple[str, Derivation]:
    """The one derivation that a target names, and its name.

    Raises:
        TargetError: it cannot be loaded, or there are several.
    """
    found = derivations_of(target)
    if len(found) > 1:
        raise TargetError(f"{target} defines {', '.join(found)}: name one of them, as in {target}:{next(iter(found))}")
    return next(iter(found.items()))


def lines_of(file: str, name: str) -> list[Line]:
    """The lines that a file hands in: those of the derivation of that name, of the only derivation, or its list `lines`.

    Raises:
        TargetError: there are none, or it cannot be told which are meant.
    """
    module = vars(module_of(file))
    derivations = {key: value for key, value in module.items() if isinstance(value, Derivation)}
    if name in derivations:
        lines: Sequence[Line] = derivations[name].lines
    elif len(derivations) == 1:
        lines = next(iter(derivations.values())).lines
    elif derivations:
        raise TargetError(f"{file} defines {', '.join(derivations)}, and none is named {name}")
    elif isinstance(module.get(LINES), list | tuple):
        lines = module[LINES]
    else:
        raise TargetError(f"{file} hands nothing in: it defines neither a Derivation nor a list `{LINES}` of functions")
    if not lines or not all(callable(line) for line in lines):
        raise TargetError(f"{file}: `{LINES}` is a list of functions, got {lines!r}")
    return list(lines)


def origins(derivation: Derivation, traces: Traces) -> list[JsonObject]:
    """For each line: what it leaves to ∇, where it differentiates by itself, and which line above is the same program."""
    try:
        args = draw_inputs(derivation, seed=0, at_least=1)[0].args
    except NoInputError:  # the report says so
        return []
    found: list[JsonObject] = []
    programs: dict[tuple[str, tuple[bytes, ...]], str] = {}
    for line in derivation.lines:
        traced = traces.line(line, args)
        label = label_of(line)
        consts = tuple(np.asarray(const).tobytes() for const in traced.closed.consts)
        earlier = programs.setdefault((str(traced.closed.jaxpr), consts), label)
        found.append(
            {
                "label": label,
                "left": list(dict.fromkeys(call.said for call in traced.calls)),
                "calls": [use.of(label) for use in borrowed(traced.closed)],
                "repeats": earlier if earlier != label else "",
            }
        )
    return found
