"""What is said of a derivation that cannot be judged as it stands: which of its functions, what arrived and what to do."""

import inspect
import re
import traceback
from pathlib import Path

import jax
import numpy as np
from numpy.typing import ArrayLike

from autodiff_ref.trees import Arguments, Function, PyTree
from manual_grad.derivation import Derivation, argument_names


class LineError(ValueError):
    """A line, or `of`, `where` or `valid`, cannot be evaluated as it stands: it raises, or returns the wrong shape."""

    def __init__(self, said: str, wrong_shape_of: str = "") -> None:
        super().__init__(said)
        self.wrong_shape_of = wrong_shape_of
        """the label of the line, where it returns something of another shape than the gradient"""


def first_line(error: BaseException, most: int = 160) -> str:
    """The first line of what an error says, cut short."""
    return (str(error).strip().splitlines() or [""])[0][:most]


def reason_of(error: BaseException, most: int = 300) -> str:
    """What an error is and says, in one line; of one that says nothing, where it was raised."""
    first = first_line(error, most)
    if not first and error.__traceback__ is not None:
        frames = traceback.extract_tb(error.__traceback__)
        theirs = [frame for frame in frames if _LIBRARY[0] not in Path(frame.filename).parents]
        first = f"raised at {shown_place('{0.filename}:{0.lineno}'.format((theirs or frames)[-1]))}"
    return f"{type(error).__name__}: {first}"


def shown_place(place: str) -> str:
    """A place as seen from where you are, or within the installed packages."""
    return place.rpartition("site-packages/")[2].removeprefix(f"{Path.cwd()}/")


_TRACED = ". Lines are traced by JAX: use `where` for `if` on values, and array functions that JAX knows."
_NUMPY = ". Lines are traced by JAX: use jax.numpy in place of numpy, or an argument's own x.__array_namespace__()."
_LIBRARY = (Path(__file__).parent, Path(__file__).parents[1] / "nabla.py")


_RULE = "give what it computes a rule by jax.custom_jvp or jax.custom_vjp"
_NO_DERIVATIVE = {
    r"Reverse-mode differentiation does not work": "JAX cannot differentiate `lax.while_loop`{at} backwards, "
    f"nor `fori_loop` up to a number that is traced: loop a fixed number of times, or {_RULE}",
    r"(\w+) callbacks do not support JVP": f"JAX cannot differentiate what a callback calls{{at}}: {_RULE}",
    r"(?:[Dd]ifferentiation|[Ll]inearization|[Tt]ranspos\w+) rule .*'(\w+)'.* not implemented": "JAX has no derivative of "
    f"`{{name}}`{{at}}: {_RULE}",
}
"""by what JAX says where it cannot differentiate a step: what is said instead"""


def without_derivative(error: BaseException) -> str:
    """Which step JAX cannot differentiate, where it stands in a user's file, and what to do; nothing of another error."""
    for theirs, ours in _NO_DERIVATIVE.items():
        if found := re.search(theirs, str(error)):
            where_called = error.__cause__  # JAX's own, where it differentiates what was called before
            place = (where_called and _place(where_called)) or _place(error)
            return ours.format(name=(*found.groups(), "")[0], at=place)
    return ""


def line_error(error: BaseException, label: str, derivation: Derivation, args: Arguments = ()) -> LineError:
    """What is said of a line, or of `of`, that raises; of a type or value with the shapes that it was handed."""
    hint = ""
    if isinstance(error, jax.errors.TracerArrayConversionError):
        hint = _NUMPY
    elif isinstance(error, jax.errors.ConcretizationTypeError):
        hint = _TRACED
    elif isinstance(error, NameError) and error.name == "nabla":
        hint = f": give it the argument, {label}({', '.join([*(argument_names(derivation.of) or ['…']), 'nabla'])})"
    elif isinstance(error, TypeError | ValueError | IndexError) and args:
        hint = f" (at {_shapes(derivation, args)})"
    if said := without_derivative(error):
        return LineError(f"{derivation.name}: {label}: {said}")
    first = str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else ""
    return LineError(f"{derivation.name}: {label} raised {type(error).__name__}{_place(error)}: {first}{hint}")


def placed(error: LineError, f: Function) -> LineError:
    """The same error with the place where a function is defined, unless it names a place itself."""
    code = getattr(inspect.unwrap(f), "__code__", None)
    if ".py:" in str(error) or code is None:
        return error
    return LineError(f"{error} ({Path(code.co_filename).name}:{code.co_firstlineno})", error.wrong_shape_of)


def check_call(f: Function, label: str, derivation: Derivation, args: Arguments, *, nabla: bool) -> None:
    """Raises LineError where a function cannot be called with the derivation's arguments, and ∇ if it is handed that."""
    try:
        signature = inspect.signature(f)
    except (TypeError, ValueError):
        return
    try:
        signature.bind(*args, **({"nabla": None} if nabla else {}))
    except TypeError:
        names = argument_names(derivation.of) or []
        own = ", ".join([*names[: len(args)], *["nabla"] * nabla])
        raise LineError(
            f"{derivation.name}: {label} takes {signature}, and is called with ({own}), "
            f"since `domain` has {len(args)} {'entry' if len(args) == 1 else 'entries'}"
        ) from None


def fulfils(condition: Function, said: str, derivation: Derivation, args: Arguments) -> bool:
    """Whether arguments fulfil a condition of the user's.

    Raises:
        LineError: it raises, or says neither yes nor no.
    """
    try:
        with jax.enable_x64(True):
            answer = condition(*args)
        if answer is not None and np.size(answer) == 1:
            return bool(answer)
    except Exception as error:
        check_call(condition, said, derivation, args, nabla=False)
        raise line_error(error, said, derivation, args) from error
    returned, way_on = "nothing", "let it return a bool"
    if answer is not None:
        returned, way_on = f"shape {np.shape(answer)}", "write (…).all() or (…).any()"
    raise placed(
        LineError(f"{derivation.name}: {said} returns {returned}, and a condition is one yes or no: {way_on}"), condition
    )


def is_admitted(derivation: Derivation, args: Arguments) -> bool:
    """Whether arguments that a search tries fulfil `where`; those at which it raises do not."""
    try:
        with jax.enable_x64(True):
            return derivation.where is None or bool(derivation.where(*args))
    except Exception:
        return False


def check_value(value: PyTree, label: str, derivation: Derivation) -> None:
    """Raises LineError where a line returns something that is neither an array of numbers nor a pytree of such."""
    wrong = next((leaf for leaf in jax.tree.leaves(value) if not _is_array(leaf)), None)
    if wrong is not None:
        raise LineError(
            f"{derivation.name}: {label} returns the {type(wrong).__name__} {wrong!r:.40}: "
            f"a line returns the whole gradient, an array or a pytree of arrays",
            wrong_shape_of=label,
        )


def is_no_sum(name: str, value: PyTree, returned: tuple[int, ...], gradient: tuple[int, ...]) -> str:
    """A guess: what was returned is the gradient of the sum of what is differentiated; nothing where it is not."""
    shapes = [tuple(leaf.shape) for leaf in jax.tree.leaves(value)]
    if len(shapes) != 1 or not shapes[0] or (*shapes[0], *returned) != gradient:
        return ""
    return f". `{name}` returns shape {shapes[0]}: did you mean its sum?"


def _is_array(leaf: object) -> bool:
    return isinstance(leaf, bool | int | float | complex) or hasattr(leaf, "dtype")


def _shapes(derivation: Derivation, args: Arguments) -> str:
    """The arguments' names and shapes: w (3,), x (4, 3)."""
    names = argument_names(derivation.of) or []
    said: list[str] = []
    for k, argument in enumerate(args):
        name = names[k] if k < len(names) else f"argument {k}"
        said += [f"{name}{jax.tree_util.keystr(path)} {np.shape(leaf)}" for path, leaf in _leaves(argument)]
    return ", ".join(said)


def _leaves(value: PyTree) -> list[tuple[tuple[object, ...], ArrayLike]]:
    return jax.tree_util.tree_leaves_with_path(value)


def _place(error: BaseException) -> str:
    """The innermost place of an error outside of libraries: in mine.py:12."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not _is_library(frame.filename)]
    return f" in {Path(own[-1].filename).name}:{own[-1].lineno}" if own else ""


def _is_library(filename: str) -> bool:
    path = Path(filename)
    return "site-packages" in filename or filename.startswith("<") or any(each in (path, *path.parents) for each in _LIBRARY)
