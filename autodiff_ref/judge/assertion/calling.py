"""How the two functions of an assertion are called: which keywords each takes, by what is differentiated, what counts."""

import functools
import inspect
import types
from collections.abc import Mapping

import jax
import numpy as np

from autodiff_ref.nabla import nabla as jax_nabla
from autodiff_ref.nabla import split_arguments, staged_nabla
from autodiff_ref.trees import Arguments, Function, Keywords, PyTree, Structure
from manual_grad.derivation import argument_names, label_of

Shapes = tuple[Structure, list[tuple[int, ...]]]
"""the structure of a tree, and the shapes of its leaves"""


def asks_for_nabla(f: Function) -> bool:
    """Whether f has an argument `nabla` that must be given."""
    if isinstance(f, types.FunctionType) and not hasattr(f, "__wrapped__") and not hasattr(f, "__signature__"):
        code = f.__code__  # a tenth of the time of its signature
        named = code.co_varnames[: code.co_argcount]
        if "nabla" in named:
            return named.index("nabla") < code.co_argcount - len(f.__defaults__ or ())
        only_named = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
        return "nabla" in only_named and "nabla" not in (f.__kwdefaults__ or {})
    try:
        asked = inspect.signature(f).parameters.get("nabla")
    except (TypeError, ValueError):
        return False
    return asked is not None and asked.default is asked.empty


def check_keywords(candidate: Function, of: Function, keywords: Keywords) -> None:
    """Each keyword is handed to those of the two functions that take it.

    Raises:
        TypeError: neither takes it.
    """
    for name in keywords:
        if not (_takes(candidate, name) or _takes(of, name)):
            raise TypeError(f"neither `{label_of(candidate)}` nor `{label_of(of)}` takes an argument {name!r}")


def check_arrays(f: Function, args: Arguments, keywords: Keywords) -> None:
    """Arguments are arrays as NumPy has them: a DataFrame, a masked array and a matrix do other things in its functions.

    Raises:
        TypeError: one is not.
    """
    if not any(_unless_an_array(leaf, "") for leaf in jax.tree.leaves((args, keywords))):
        return
    known = argument_names(f) or []
    names = [known[k] if k < len(known) else f"argument {k}" for k in range(len(args))]
    for name, value in (*zip(names, args, strict=True), *keywords.items()):
        for path, leaf in jax.tree_util.tree_leaves_with_path(value):
            if said := _unless_an_array(leaf, name + jax.tree_util.keystr(path)):
                raise TypeError(said)


def _unless_an_array(value: object, name: str) -> str:
    if isinstance(value, np.ndarray | np.generic) and value.dtype.itemsize > {"f": 8, "c": 16}.get(value.dtype.kind, np.inf):
        return f"`{name}` holds {value.dtype}, and float64 is the most that is judged: hand in {name}.astype(np.float64)"
    if hasattr(value, "to_numpy"):
        way = f"{name}.to_numpy()"
    elif isinstance(value, np.ma.MaskedArray):
        way = f"{name}.data, and its mask as an argument of its own"
    elif isinstance(value, np.matrix):
        way = f"np.asarray({name}), and write @ for a product of matrices"
    else:
        return ""
    return f"`{name}` is a {type(value).__name__}: hand in {way}"


def with_keywords(f: Function, keywords: Keywords) -> Function:
    """f with those of the keywords that it takes, as a function of its other arguments."""
    taken = {name: value for name, value in keywords.items() if _takes(f, name)}
    if not taken:
        return f

    def bound(*args: PyTree, **more: PyTree) -> PyTree:
        return f(*args, **taken, **more)

    try:
        signature = inspect.signature(f)
        left = [parameter for name, parameter in signature.parameters.items() if name not in taken]
        bound.__signature__ = signature.replace(parameters=left)  # pyright: ignore[reportFunctionMemberAccess]
    except ValueError:
        pass
    bound.__name__ = label_of(f)
    return bound


@functools.lru_cache(maxsize=512)
def _parameters(f: Function) -> Mapping[str, inspect.Parameter] | None:
    try:
        return inspect.signature(f).parameters
    except (TypeError, ValueError):
        return None


def _takes(f: Function, name: str) -> bool:
    try:
        parameters = _parameters(f)
    except TypeError:  # what cannot be hashed
        parameters = _parameters.__wrapped__(f)
    if parameters is None:
        return True
    found = parameters.get(name)
    if found is not None:
        return found.kind is not found.POSITIONAL_ONLY
    return any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())


def variable_of(of: Function, wrt: str | None, args: Arguments, keywords: Keywords) -> PyTree:
    """What `of` is differentiated by, among arguments or keywords.

    Raises:
        TypeError: there is no such argument, nor a first argument with such a field.
    """
    if wrt in keywords:
        return keywords[wrt]
    return split_arguments(with_keywords(of, keywords), wrt, args)[0]


def gradient_of(of: Function, wrt: str | None, args: Arguments, keywords: Keywords) -> PyTree:
    """∇of by JAX; of a function that returns its value and gradients, that of the value."""
    shapes = shapes_of(variable_of(of, wrt, args, keywords))
    if wrt in keywords:
        others = with_keywords(of, {name: value for name, value in keywords.items() if name != wrt})
        return staged_nabla(None)(lambda v: first_of(others(*args, **{wrt: v}), shapes))(keywords[wrt])
    bound = with_keywords(of, keywords)

    @functools.wraps(bound)
    def value(*args: PyTree, **more: PyTree) -> PyTree:
        return first_of(bound(*args, **more), shapes)

    return staged_nabla(wrt)(value)(*args)


def value_of(f: Function, wrt: str | None, args: Arguments, keywords: Keywords) -> PyTree:
    """f at its arguments, handed JAX's ∇ if it must be."""
    nabla = {"nabla": jax_nabla(wrt)} if asks_for_nabla(f) else {}
    return with_keywords(f, keywords)(*args, **nabla)


def shapes_of(value: PyTree) -> Shapes:
    """The structure of a pytree, and the shapes of its leaves."""
    leaves, structure = jax.tree.flatten(value)
    return structure, [tuple(np.shape(leaf)) for leaf in leaves]


def first_of(value: PyTree, shapes: Shapes) -> PyTree:
    """The loss, of a function that returns (loss, gradients); else what it returns."""
    return value[0] if returns_both(value, shapes) else value


def second_of(value: PyTree, shapes: Shapes) -> PyTree:
    """The gradients, of a function that returns (loss, gradients); else what it returns."""
    return _of_numbers(value[1] if returns_both(value, shapes) else value, shapes)


def returns_both(value: PyTree, shapes: Shapes) -> bool:
    """Whether a value is (loss, gradients), in the structure or the shapes of what is differentiated by."""
    if type(value) is not tuple or len(value) != 2 or hasattr(value[0], "keys"):  # pyright: ignore[reportUnknownArgumentType]
        return False
    loss, gradients = value  # pyright: ignore[reportUnknownVariableType]
    if isinstance(loss, tuple | list) or np.shape(loss) != ():
        return False
    found = shapes_of(_of_numbers(gradients, shapes))
    return found == shapes or (found[1] == shapes[1] and shapes[1] != [()])


def _of_numbers(gradient: PyTree, shapes: Shapes) -> PyTree:
    """An array for a list of numbers, where an array is differentiated by."""
    if not isinstance(gradient, list) or shapes[0] != jax.tree.structure(0):
        return gradient
    (shape,) = shapes[1]
    leaves, form = jax.tree.flatten(gradient)
    if form != jax.tree.structure(np.zeros(shape).tolist()) or any(map(np.ndim, leaves)):
        return gradient
    module = jax.numpy if any(isinstance(leaf, jax.Array) for leaf in leaves) else np
    return module.array(leaves).reshape(shape)
