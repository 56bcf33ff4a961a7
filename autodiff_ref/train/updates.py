"""Optimisers with their numbers taken out, so that one compilation serves every learning rate.

What an optimiser computes is traced once. The floating constants of the trace, learning rate, momentum, what a schedule is
made of, become arguments; what is left says which computation it is. Two optimisers that differ in these constants alone,
or in nothing but being made twice, are one computation, and share what is compiled for it.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeGuard

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core
from jax.typing import ArrayLike

from autodiff_ref.train.optimizers import Transformation
from autodiff_ref.trees import PyTree, Structure

Value = np.ndarray | jax.Array
Values = tuple[Value, ...]
"""The constants of an optimiser, in the order in which its trace meets them."""


Atom = core.Var | core.Literal


@dataclass(frozen=True)
class Update:
    """What an optimiser computes, its numbers left open. Equal where it is the same computation.

    Args:
        key: the trace, written out.
        run: (values, gradient, state, parameters) → (step, state).
    """

    key: Hashable
    run: Callable[[Values, PyTree, PyTree, PyTree], tuple[PyTree, PyTree]] = field(compare=False, repr=False)
    operations: frozenset[str] | None = field(compare=False, repr=False)
    """The primitives it is made of; None where it could not be written out."""


@dataclass(frozen=True, eq=False)
class Same:
    """Equal to itself alone: the key of what cannot be written out."""

    optimizer: Transformation


class Opaque(Exception):  # noqa: N818 an answer, not an error
    """A trace holds something that cannot be written out, such as a callback."""


def update_of(optimizer: Transformation, parameters: PyTree) -> tuple[Update, Values]:
    """The computation of an optimiser on parameters of these shapes, and its numbers.

    Raises:
        TypeError: its update takes something else than (gradient, state, parameters).
    """
    leaves, shape = jax.tree.flatten(parameters)
    kinds = tuple((np.shape(leaf), np.dtype(leaf.dtype)) for leaf in leaves)
    try:
        hash(optimizer)
    except TypeError:
        return _update_of.__wrapped__(optimizer, shape, kinds, _wide())
    return _update_of(optimizer, shape, kinds, _wide())


def _wide() -> bool:
    return jnp.result_type(float) == np.float64


@lru_cache(maxsize=256)
def _update_of(
    optimizer: Transformation, shape: Structure, kinds: tuple[tuple[tuple[int, ...], np.dtype[Any]], ...], wide: bool
) -> tuple[Update, Values]:
    parameters = jax.tree.unflatten(shape, [jax.ShapeDtypeStruct(size, dtype) for size, dtype in kinds])
    try:
        state = jax.eval_shape(optimizer.init, parameters)
        traced, result = jax.make_jaxpr(optimizer.update, return_shape=True)(parameters, state, parameters)
    except TypeError as error:
        raise TypeError(f"optimizer: its update must take (gradient, state, parameters): {error}") from None
    back = jax.tree.structure(result)
    values: list[np.ndarray] = []
    try:
        key = shape, kinds, wide, jax.tree.structure(state), back, _written(traced.jaxpr, values)
    except (Opaque, AttributeError):
        return Update((Same(optimizer), shape, kinds, wide), lambda _, g, s, p: optimizer.update(g, s, p), None), ()

    def run(values: Values, *arguments: PyTree) -> tuple[PyTree, PyTree]:
        given = iter(values)
        outputs = _evaluated(traced.jaxpr, [*traced.consts, *jax.tree.leaves(arguments)], given)
        return jax.tree.unflatten(back, outputs)

    if traced.consts:  # arrays that the optimiser holds: its own, whatever else is equal
        key = (*key, tuple((np.asarray(c).dtype.name, np.shape(c), np.asarray(c).tobytes()) for c in traced.consts))
    return Update(key, run, frozenset(_operations(traced.jaxpr))), tuple(values)


def _operations(jaxpr: core.Jaxpr) -> Iterator[str]:
    for equation in jaxpr.eqns:
        inner = _inlined(equation)
        if inner is None:
            yield equation.primitive.name
        else:
            yield from _operations(inner)


def _inlined(equation: core.JaxprEqn) -> core.Jaxpr | None:
    """The jaxpr of a `jax.jit` within a trace, or None: its constants are looked for as well."""
    inner = equation.params.get("jaxpr") if equation.primitive.name in ("jit", "pjit") else None
    return None if inner is None or inner.consts else inner.jaxpr


def _kind(variable: Any) -> jax.ShapeDtypeStruct:
    """The shape and dtype of a value in a trace, which JAX's own types leave out."""
    return variable.aval


def _is_literal(variable: Atom) -> TypeGuard[core.Literal]:
    return isinstance(variable, core.Literal)


def _is_number(variable: Atom) -> TypeGuard[core.Literal]:
    return _is_literal(variable) and np.ndim(variable.val) == 0 and np.dtype(_kind(variable).dtype).kind == "f"


def _written(jaxpr: core.Jaxpr, values: list[np.ndarray]) -> tuple[Hashable, ...]:
    """A trace as nested tuples of names and numbers, with its floating constants handed to `values`."""
    names: dict[Atom, int] = {v: k for k, v in enumerate([*jaxpr.constvars, *jaxpr.invars])}

    def operand(variable: Atom) -> Hashable:
        if not _is_literal(variable):
            return names[variable]
        kind = _kind(variable).dtype.name, _kind(variable).shape
        if _is_number(variable):
            values.append(np.asarray(variable.val, _kind(variable).dtype))
            return "number", kind
        return "literal", kind, np.asarray(variable.val).tobytes()

    lines: list[Hashable] = []
    for equation in jaxpr.eqns:
        inner = _inlined(equation)
        operands = tuple(operand(v) for v in equation.invars)
        details: Hashable = _written(inner, values) if inner is not None else _detail(dict(equation.params))
        for variable in equation.outvars:
            names[variable] = len(names)
        kinds = tuple((_kind(v).dtype.name, _kind(v).shape) for v in equation.outvars)
        lines.append((equation.primitive.name, operands, details, kinds))
    return tuple(lines), tuple(operand(v) for v in jaxpr.outvars)


def _detail(value: Any) -> Hashable:
    """A parameter of an operation as something that is equal where the operation is the same."""
    if isinstance(value, dict):
        return tuple((key, _detail(part)) for key, part in sorted(value.items()))
    if isinstance(value, tuple | list):
        return type(value).__name__, tuple(_detail(part) for part in value)
    if isinstance(value, core.ClosedJaxpr | core.Jaxpr):  # from jax 0.11 on these are one class
        if getattr(value, "consts", ()):
            raise Opaque
        numbers: list[np.ndarray] = []
        inner: Any = getattr(value, "jaxpr", value)
        written = _written(inner, numbers)
        return written, tuple((n.dtype.name, n.tobytes()) for n in numbers)  # these stay as they are
    if value is None or isinstance(value, bool | int | float | complex | str | bytes | np.dtype):
        return type(value).__name__, value
    if isinstance(value, type) or type(value).__module__.startswith(("jax", "enum")):
        try:
            hash(value)
        except TypeError:
            raise Opaque from None
        if not callable(value) or isinstance(value, type):
            return value
    raise Opaque


def _evaluated(jaxpr: core.Jaxpr, arguments: Sequence[ArrayLike], values: Iterator[Value]) -> list[ArrayLike]:
    """The trace on these arguments, its floating constants taken from `values`, in the order of `_written`."""
    known: dict[Atom, ArrayLike] = dict(zip([*jaxpr.constvars, *jaxpr.invars], arguments, strict=True))

    def operand(variable: Atom) -> ArrayLike:
        if not _is_literal(variable):
            return known[variable]
        return next(values) if _is_number(variable) else variable.val

    for equation in jaxpr.eqns:
        operands = [operand(v) for v in equation.invars]
        inner = _inlined(equation)
        if inner is not None:
            results = _evaluated(inner, operands, values)
        else:
            bound = equation.primitive.get_bind_params(equation.params)
            # from jax 0.10 on the functions are among the parameters
            functions, params = bound if isinstance(bound, tuple) else ((), bound)
            found = equation.primitive.bind(*functions, *operands, **params)
            results = found if equation.primitive.multiple_results else [found]
        known.update(zip(equation.outvars, results, strict=True))
    return [operand(v) for v in jaxpr.outvars]
