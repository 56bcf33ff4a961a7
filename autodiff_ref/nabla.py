"""JAX's ∇, to hand to a line of a derivation."""

import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

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

    def gradient_of(f: Callable[..., Any], wrt: str | None = wrt) -> Callable[..., Any]:
        def jacobian(*args: Any) -> Any:
            value, rebuild = split_arguments(f, wrt, args)
            takes_nabla = "nabla" in _parameters(f)
            keywords: dict[str, Any] = {"nabla": gradient_of} if takes_nabla else {}
            return _jacobian(lambda v: f(*rebuild(v), **keywords), value)

        return jacobian

    return gradient_of


def _jacobian(f: Callable[[Any], Any], value: Any) -> Any:
    """`jax.jacobian`, which would carry an axis of length 1 through all of a scalar's derivative."""
    made, pullback = jax.vjp(f, value)
    if not isinstance(made, jax.Array) or not _are_real((made, value)):
        return jax.jacobian(f)(value)
    if made.shape == ():
        return pullback(jnp.ones_like(made))[0]
    rows = jax.vmap(pullback)(jnp.eye(made.size, dtype=made.dtype).reshape(made.size, *made.shape))[0]
    return jax.tree.map(lambda leaf: leaf.reshape(*made.shape, *leaf.shape[1:]), rows)


def _are_real(tree: Any) -> bool:
    return all(jnp.issubdtype(jnp.result_type(leaf), jnp.floating) for leaf in jax.tree.leaves(tree))


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
