"""JAX's ∇, to hand to a line of a derivation."""

import inspect
from collections.abc import Callable
from typing import Any

Nabla = Callable[..., Callable[..., Any]]


def nabla(wrt: str | None) -> Nabla:
    """∇ by automatic differentiation, with respect to `wrt`.

    Args:
        wrt: the name of a field of the first argument of the functions to be differentiated, or of an argument of theirs,
            or None for all of their first argument.

    Returns:
        ∇: `∇(f)` is a function of f's own arguments that returns f's Jacobian: f's shape followed by the shape of what it
        is differentiated by; a pytree of them where that is a pytree. `∇(f, wrt=…)` differentiates by something else
        this once.

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

    def derivative(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def at(value: Any) -> Any:
            is_scalar = getattr(jax.eval_shape(f, value), "shape", None) == ()
            return (jax.grad if is_scalar else jax.jacobian)(f)(value)

        return at

    return _nabla(wrt, derivative)


def _nabla(wrt: str | None, derivative: Callable[[Callable[[Any], Any]], Callable[[Any], Any]]) -> Nabla:
    def gradient_of(f: Callable[..., Any], wrt: str | None = wrt) -> Callable[..., Any]:
        def jacobian(*args: Any) -> Any:
            value, rebuild = split_arguments(f, wrt, args)
            takes_nabla = "nabla" in _parameters(f)
            keywords: dict[str, Any] = {"nabla": gradient_of} if takes_nabla else {}
            return derivative(lambda v: f(*rebuild(v), **keywords))(value)

        return jacobian

    return gradient_of


def split_arguments(
    f: Callable[..., Any], wrt: str | None, args: tuple[Any, ...]
) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """The value that f is differentiated by, and f's arguments as a function of it."""
    if not args:
        raise TypeError(f"∇{_name(f)} was called without arguments: pass those of `{_name(f)}`")
    first = args[0]
    if wrt is None:
        return first, lambda v: (v, *args[1:])
    if wrt in getattr(first, "_fields", ()):
        return getattr(first, wrt), lambda v: (first._replace(**{wrt: v}), *args[1:])
    if isinstance(first, dict) and wrt in first:
        return first[wrt], lambda v: ({**first, wrt: v}, *args[1:])
    names = _parameters(f)
    if wrt in names and names.index(wrt) < len(args):
        k = names.index(wrt)
        return args[k], lambda v: (*args[:k], v, *args[k + 1 :])
    raise TypeError(
        f"∇ is by {wrt!r}, and `{_name(f)}` has no argument of that name ({', '.join(names)}), nor a first argument "
        f"with such a field: pass ∇(f, wrt=…) one of its own arguments"
    )


def _parameters(f: Callable[..., Any]) -> list[str]:
    try:
        return list(inspect.signature(f).parameters)
    except (TypeError, ValueError):
        return []


def _name(f: Callable[..., Any]) -> str:
    return getattr(f, "__name__", repr(f))
