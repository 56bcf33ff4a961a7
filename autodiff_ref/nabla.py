"""JAX's ∇, to hand to a line of a derivation."""

import copy
import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence

from autodiff_ref.trees import Arguments, Function, PyTree

Nabla = Callable[..., Function]
"""∇(f, wrt=…): of a function, the function of the same arguments that returns its Jacobian."""


OfOne = Callable[[PyTree], PyTree]
"""a function of one argument"""


def nabla(wrt: str | None) -> Nabla:
    """∇ by automatic differentiation, with respect to `wrt`.

    Args:
        wrt: what is differentiated by: the name of an argument, or of a field of the first argument, or the path to a
            field ("params.w"). None stands for all of the first argument.

    Returns:
        ∇. `∇(f)` is a function of f's own arguments that returns f's Jacobian. Its shape is f's shape followed by the
        shape of what it is differentiated by. If that is a pytree, so is the Jacobian. `∇(f, wrt=…)` differentiates f by
        something else.

    Raises:
        TypeError: on use, where f has neither such an argument nor a first argument with such a field.

    Example:
        >>> d_by_z = nabla("z")
        >>> float(d_by_z(lambda z, y: y * z**2)(3.0, 2.0))
        12.0
    """
    import jax  # when it is used: importing this package stays cheap

    return _nabla(wrt, jax.jacobian)


def staged_nabla(wrt: str | None) -> Nabla:
    """`nabla` for use under `jit` and `make_jaxpr`: `jax.jacobian` of a scalar carries an axis of length 1 throughout."""
    import jax

    def derivative(f: OfOne) -> OfOne:
        def at(value: PyTree) -> PyTree:
            is_scalar = getattr(jax.eval_shape(f, value), "shape", None) == ()
            return (jax.grad if is_scalar else jax.jacobian)(f)(value)

        return at

    return _nabla(wrt, derivative)


def _nabla(wrt: str | None, derivative: Callable[[OfOne], OfOne]) -> Nabla:
    def gradient_of(f: Function, wrt: str | None = wrt) -> Function:
        require_function(f)

        def jacobian(*args: PyTree) -> PyTree:
            value, rebuild = split_arguments(f, wrt, with_functions_held(args))
            takes_nabla = "nabla" in _parameters(f)
            keywords: dict[str, Nabla] = {"nabla": gradient_of} if takes_nabla else {}
            return derivative(lambda v: f(*rebuild(v), **keywords))(value)

        return jacobian

    return gradient_of


def require_function(f: object) -> None:
    """Raises TypeError where ∇ is handed a value."""
    if not callable(f):
        raise TypeError("∇ takes a function, and was handed a value: write nabla(f)(w, x), and not nabla(f(w, x))")


def split_arguments(f: Function, wrt: str | None, args: Arguments) -> tuple[PyTree, Callable[[PyTree], Arguments]]:
    """The value that f is differentiated by, and f's arguments as a function of it."""
    if not args:
        raise TypeError(f"∇{_name(f)} was called without arguments: pass those of `{_name(f)}`")
    first = args[0]
    if wrt is None:
        return first, lambda v: (v, *args[1:])
    if not isinstance(wrt, str):
        raise TypeError(f"wrt must be the name of an argument of `{_name(f)}` ({', '.join(_parameters(f))}), got {wrt!r}")
    names, path = _parameters(f), wrt.split(".")
    k = 0
    if _part(first, path[0]) is None:
        k = names.index(path[0]) if path[0] in names else len(args)
        path = path[1:]
    value = args[k] if k < len(args) else None
    for name in path:
        value = _part(value, name)
    if value is None:
        raise TypeError(
            f"∇ is by {wrt!r}, and `{_name(f)}` has no argument of that name ({', '.join(names)}), nor a first argument "
            f"with such a field: pass ∇(f, wrt=…) one of its own arguments"
        )
    return value, lambda v: (*args[:k], _with_part(args[k], path, v), *args[k + 1 :])


def _part(value: PyTree, name: str) -> PyTree:
    """A field of a NamedTuple or a dataclass, an entry of a dict or a list; None where there is none."""
    if isinstance(value, dict):
        return value.get(name)
    if name in getattr(value, "_fields", ()) or dataclasses.is_dataclass(value):
        return getattr(value, name, None)
    if isinstance(value, tuple | list) and name.isdecimal() and int(name) < len(value):
        return value[int(name)]
    return None


def _with_part(value: PyTree, path: Sequence[str], new: PyTree) -> PyTree:
    """The same structure with something else in one place."""
    if not path:
        return new
    name = path[0]
    part = _with_part(_part(value, name), path[1:], new)
    if isinstance(value, dict):
        return {**value, name: part}
    if hasattr(value, "_fields"):
        return value._replace(**{name: part})
    if isinstance(value, tuple | list):
        return type(value)([*value[: int(name)], part, *value[int(name) + 1 :]])
    return with_fields(value, {name: part})


def with_fields(record: PyTree, changed: Mapping[str, PyTree]) -> PyTree:
    """A copy of a dataclass with other values in some fields, made without its constructor, which may check or convert."""
    made = copy.copy(record)
    for name, value in changed.items():
        object.__setattr__(made, name, value)
    return made


def with_functions_held(tree: PyTree) -> PyTree:
    """The same structure, where functions are `jax.tree_util.Partial`: static to JAX, and called as before."""
    import jax

    if not any(map(callable, jax.tree.leaves(tree))):
        return tree
    return jax.tree.map(lambda leaf: jax.tree_util.Partial(leaf) if callable(leaf) else leaf, tree)


def _parameters(f: Function) -> list[str]:
    try:
        return list(inspect.signature(f).parameters)
    except (TypeError, ValueError):
        return []


def _name(f: Function) -> str:
    return getattr(f, "__name__", repr(f))
