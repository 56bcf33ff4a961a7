"""Functions of stand-ins: NumPy's value, and JAX's array; views, which share memory; what is written elsewhere."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from autodiff_ref.judge.numpy_code.mapping import (
    Standing,
    as_handed,
    bare,
    bare_beside,
    canonical,
    fixed,
    has_masks,
    held_in,
    indices,
    is_standing,
    level_of,
    owner_of,
    places_in,
    real_of,
    same_view,
    shares,
    sharing,
    stacked,
    without_ranges,
)
from autodiff_ref.judge.numpy_code.numpy_functions import SCATTERED
from autodiff_ref.judge.numpy_code.run import CONSTANT, VARIES, NotFollowedError, running

Step = Callable[[Any], Any]
"""from a parent to a view of it: of JAX's arrays, and of NumPy's"""

OF_LISTS = {
    *("concatenate", "concat", "stack", "vstack", "hstack", "dstack", "column_stack", "row_stack", "block", "choose"),
    *("select", "multi_dot", "broadcast_arrays", "append", "meshgrid", "ix_"),
}
"""functions that take lists of arrays"""


WRITTEN_OUTSIDE = (
    "an array that was made outside of what is traced, or by np.ndarray(…), is written into",
    "make it within, by np.zeros, np.empty or np.array",
)
"""what happened, and what to do"""


def method_of(name: str) -> Callable[..., Any]:
    """An array method as a function: an array's own, else `jax.numpy`'s of that name."""

    def method(a: Any, *args: Any, **keywords: Any) -> Any:
        own = getattr(a, name, None)
        return getattr(jnp, name)(a, *args, **keywords) if own is None else own(*args, **keywords)

    return method


def applied(real: Any, f: Any, args: Any, keywords: Any, name: str) -> Any:
    """What a function returns: NumPy's value, and JAX's array."""
    convert = with_arrays if name in OF_LISTS else _as_array
    args = tuple(args) if name == "block" else tuple(convert(arg) for arg in args)
    with np.errstate(all="ignore"), running(None):
        value = real(*as_handed(args), **as_handed(keywords))
    level = max(level_of(args), level_of(keywords))
    if value is None and level > CONSTANT:
        raise NotFollowedError(f"`{name}` writes into an array, which is not followed", "write with `a[…] = …`")
    leaves, structure = jax.tree.flatten(value)
    if not any(isinstance(leaf, np.ndarray | np.generic) for leaf in leaves):
        if any(isinstance(leaf, bytes | str | float | complex) for leaf in leaves):
            if level == VARIES:
                raise NotFollowedError(
                    f"`{name}` takes numbers that are differentiated by out of their array",
                    "leave them in it, and use functions of NumPy's, or np.vectorize for one of your own",
                )
            fixed((args, keywords))
        return value
    source = _source(leaves, args)
    if source is None and _is_of_nothing(leaves, held_in((args, keywords))):
        level = CONSTANT
    if source is not None and value is source.held:
        return source
    if level == CONSTANT and source is None:
        return jax.tree.unflatten(structure, [Standing.made(leaf, None, level) for leaf in leaves])
    try:
        if f is None:
            raise LookupError(name)
        arrays = [
            array.reshape(leaf.shape) if isinstance(leaf, np.matrix) and array.size == leaf.size else array
            for array, leaf in zip(_by_jax(f, args, keywords, leaves), leaves, strict=True)
        ]
        if [np.shape(array) for array in arrays] != [np.shape(leaf) for leaf in leaves]:
            raise LookupError(name)
    except NotFollowedError:
        raise
    except Exception as error:
        if source is not None and all(shares(leaf, source.held) for leaf in leaves):
            return jax.tree.unflatten(structure, _gathered(real, args, keywords, source, leaves))
        discrete = all(np.asarray(leaf).dtype.kind in "biu" for leaf in leaves)
        if (level < VARIES or discrete) and source is None:
            for held in held_in((args, keywords)):
                fixed(held, is_computed_with=not discrete)
            return jax.tree.unflatten(structure, [Standing.made(leaf, None, CONSTANT) for leaf in leaves])
        why = _why(error)
        raise NotFollowedError(f"`{name}` cannot be followed ({why})", "write it with other functions of NumPy") from error
    is_number = name in OF_NUMBERS and all(_is_number(arg) for arg in args)
    made: list[Any] = []
    for k, (leaf, array) in enumerate(zip(leaves, arrays, strict=True)):
        if not isinstance(leaf, np.ndarray | np.generic):
            made.append(leaf)
        elif isinstance(array, bool):  # a setting that is handed on, as whether a factor is a lower triangle
            made.append(array)
        elif source is not None and leaf is source.held:
            made.append(source)
        elif source is not None and shares(leaf, source.held):
            made.append(Standing.made(leaf, None, level, parent=source, steps=_steps(real, f, args, keywords, source, k)))
        else:
            made.append(Standing.made(leaf, jnp.asarray(array).astype(canonical(leaf.dtype)), level, is_number=is_number))
    return jax.tree.unflatten(structure, made)


OF_NUMBERS = {
    "add",
    "subtract",
    "multiply",
    "divide",
    "true_divide",
    "floor_divide",
    "remainder",
    "power",
    "negative",
    "positive",
}
"""the operators by which numbers of Python's give numbers of Python's"""


def _is_number(arg: Any) -> bool:
    return arg.is_number if is_standing(arg) else type(arg) in (int, float, complex)


def _why(error: Exception) -> str:
    """What stopped JAX's function, in words of our own where it is that it is traced."""
    if isinstance(error, LookupError):
        return "JAX has no such function"
    if isinstance(error, jax.errors.JAXTypeError | jax.errors.JAXIndexError):
        return "numbers decide what it returns"
    return str(error).strip().splitlines()[0][:120]


def _is_of_nothing(leaves: list[Any], given: list[Standing]) -> bool:
    """Whether there are no numbers in what comes back, or in what it is made of, as in a sum of none: it depends on none."""
    return all(np.size(leaf) == 0 for leaf in leaves) or all(np.size(each.held) == 0 for each in given)


def _by_jax(f: Any, args: Any, keywords: Any, leaves: list[Any]) -> list[Any]:
    dtype = np.asarray(leaves[0]).dtype
    plain, named = bare_beside(args, dtype), _of_jax(bare_beside(keywords, dtype))
    try:
        return jax.tree.leaves(f(*plain, **named))
    except TypeError:
        return jax.tree.leaves(f(*map(_as_jax_takes_it, plain), **named))


def _as_jax_takes_it(value: Any) -> Any:
    """An array for a list of numbers, or for what NumPy alone takes for an array, as `a.flat`."""
    is_array = isinstance(value, jax.Array | np.ndarray | np.generic)
    return np.asarray(value) if isinstance(value, list) or (hasattr(value, "__array__") and not is_array) else value


def _gathered(real: Any, args: Any, keywords: Any, source: Any, leaves: list[Any]) -> list[Any]:
    """Views that JAX has no function for, as windows: NumPy's own says where each entry comes from."""
    places = _places(source)
    plain = [places if arg is source else real_of(arg) for arg in args]
    found = [np.array(each) for each in jax.tree.leaves(real(*plain, **real_of(keywords)))]
    return [_view(leaf, source, at) for leaf, at in zip(leaves, found, strict=True)]


def _places(a: Any) -> Any:
    """The place of each entry, laid out in memory as the array is: the orders A and K ask for that."""
    places = np.empty_like(a.held, dtype=np.intp)
    places[...] = np.arange(places.size).reshape(places.shape)
    return places


def _view(value: Any, source: Any, at: Any) -> Any:
    """A view whose entries come from these places of its array."""
    steps: tuple[Step, Step] = (lambda a: jnp.ravel(a)[at], lambda p: np.ravel(p)[at])
    return Standing.made(value, None, source.level, parent=source, steps=steps)


def _as_array(value: Any) -> Any:
    """A list of numbers as an array, where JAX takes no list."""
    if isinstance(value, list) and type(value) is list and held_in(value):
        try:
            return stacked(value)
        except (ValueError, TypeError):
            return value
    return without_ranges(value) if isinstance(value, range) else value


def with_arrays(parts: Any) -> Any:
    """A list of arrays, with arrays for the lists of numbers in it."""
    if type(parts) not in (list, tuple) or not any(isinstance(part, list | tuple) for part in parts):
        return parts
    made = [
        part if not isinstance(part, list | tuple) else stacked(part) if held_in(part) else np.asarray(part)
        for part in parts
    ]
    return type(parts)(made)


def in_memory_order(real: Callable[..., Any], a: Any, args: Any, keywords: Any) -> Any:
    """`reshape`, `ravel` and `flatten` in an order other than rows first: NumPy says where each entry comes from."""
    known, named = fixed(args), fixed(keywords)
    value, at = real(a.held, *known, **named), np.array(real(_places(a), *known, **named))
    if shares(value, a.held):
        return _view(value, a, at)
    return Standing.made(value, None if a.level == CONSTANT else jnp.ravel(a.array)[at], a.level)


def order_of(args: Any, keywords: Any) -> str:
    """The order of memory that a call asks for."""
    return keywords.get("order") or next((arg for arg in args if isinstance(arg, str)), "C")


def _of_jax(keywords: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in keywords.items() if name not in ("casting", "order", "subok", "like", "copy")}
    return {
        name: canonical(np.dtype(value)) if name == "dtype" and value is not None else value for name, value in kept.items()
    }


def _source(leaves: list[Any], args: Any) -> Any:
    """The stand-in whose memory results share."""
    for held in held_in(args):
        if any(shares(leaf, held.held) for leaf in leaves):
            return held
    return None


def stand_ins_of(arrays: Sequence[np.ndarray], changed: Collection[int]) -> dict[int, tuple[np.ndarray, Any]]:
    """By the ids of arrays that were made outside: each with its stand-in. Those that share memory are views of one.

    Arrays of the ids in `changed` hold other numbers.
    """
    roots: dict[int, Any] = {}
    made: dict[int, tuple[np.ndarray, Any]] = {}
    for array in arrays:
        owner = owner_of(array)
        if id(owner) not in roots:
            held = np.array(owner)
            held[...] = np.where(held == 0, 1, 0) if id(owner) in changed else held
            roots[id(owner)] = Standing.made(held, None, CONSTANT, outside=owner)
        root = roots[id(owner)]
        made[id(array)] = array, root if array is owner else _same_view(array, owner, root)
    return made


def _same_view(array: np.ndarray, owner: np.ndarray, root: Any) -> Any:
    """What an array is of another one, of a stand-in for that; alone where it is not made of the other's entries."""
    at = places_in(array, owner)
    if at is None:
        return Standing.made(array.copy(), None, CONSTANT, outside=array)
    return _view(same_view(array, owner, root.held), root, at)


def stand_ins_for(held: Sequence[tuple[Any, np.ndarray, np.dtype]], level: int) -> list[Any]:
    """Stand-ins for arrays of JAX's, given the real ones: those that share memory are views of one.

    Args:
        held: each as (traced, real), and in which dtype the real values are to be.
        level: what they depend on.
    """
    made = [Standing.made(np.array(real, dtype), x, level) for x, real, dtype in held]
    for owner, among in sharing([real for _, real, _ in held]):
        root = Standing.made(np.array(owner, held[among[0]][2]), None, level)
        whole = jnp.ravel(jnp.asarray(root.held))
        for k in among:
            at = places_in(held[k][1], owner)
            assert at is not None
            whole = whole.at[jnp.asarray(at)].set(held[k][0])
            made[k] = _view(same_view(held[k][1], owner, root.held), root, at)
        root.write(whole.reshape(owner.shape), level)
    return made


def _steps(real: Any, f: Any, args: Any, keywords: Any, source: Any, k: int) -> tuple[Step, Step]:
    def with_other(g: Any, plain: Callable[[Any], Any], other: Any, more: dict[str, Any]) -> Any:
        def place(value: Any) -> Any:
            if value is source:
                return other
            if isinstance(value, tuple | list):
                return type(value)(place(part) for part in value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
            return plain(value)

        return jax.tree.leaves(g(*[place(arg) for arg in args], **more))[k]

    return (
        lambda a: with_other(f, bare, a, _of_jax(bare(keywords))),
        lambda p: with_other(real, real_of, p, real_of(keywords)),
    )


MOST_DENSE = 4_000_000
"""entries of a sparse matrix that are written out"""


def densely(value: Any) -> Any:
    """A sparse matrix of SciPy's as an array; other values as they are."""
    if not type(value).__module__.startswith("scipy.sparse"):
        return value
    if np.prod(value.shape) > MOST_DENSE:
        raise NotFollowedError(f"a sparse matrix of shape {value.shape} is too large to be followed", "try smaller shapes")
    return value.toarray()


def into(target: Any, made: Any, old: Any) -> Any:
    """Writes a result where `out=` says."""
    if not is_standing(target):
        raise NotFollowedError(*WRITTEN_OUTSIDE)
    computed = real_of(made)
    if not np.can_cast(computed.dtype, target.held.dtype, "same_kind"):
        raise TypeError(f"{computed.dtype} cannot be written into an array of {target.held.dtype} in place")
    target.held[...] = computed
    target.root.written += 1
    level = max(level_of(made), target.level)
    if level > CONSTANT:
        target.materialise(old)
        target.write(jnp.broadcast_to(jnp.asarray(bare(made)), np.shape(target.held)), level)
    return target


def computed_where(computed: Any, f: Any, inputs: Any, keywords: Any, where: Any, target: Any) -> Any:
    """`where=` of a ufunc: other entries stay what `out` holds, computed of 1, so that no derivative is NaN there."""
    if f is None:
        raise NotFollowedError("`where=` of a function that JAX has not", "use np.where")
    if computed.__name__ in ("reduce", "accumulate"):
        return applied(lambda *a, **k: computed(*a, **k), f, inputs, {**keywords, "where": where}, "reduce")
    mask = where if is_standing(where) else np.asarray(where)
    safe = [np.where(mask, x, 1.0) for x in inputs]
    made = applied(computed, f, safe, keywords, "where")
    if target is None:
        return made
    return into(target, np.where(mask, made, target), target.snapshot() if is_standing(target) else None)


def scatter(ufunc: np.ufunc, target: Any, index: Any, *values: Any) -> None:
    """`ufunc.at`: every index counts, also one that is there twice."""
    if not is_standing(target):
        into(target, None, None)
    operation = SCATTERED.get(ufunc.__name__)
    if operation is None:
        raise NotFollowedError(f"`np.{ufunc.__name__}.at` cannot be followed", "write it with np.add.at")
    old, value = target.snapshot(), values[0] if values else 1
    ufunc.at(target.held, real_of(index), real_of(value))
    level = max(level_of(index), level_of(value), target.level)
    target.root.written += 1
    if level == CONSTANT:
        return
    target.materialise(old)
    known = fixed(index) if has_masks(index) else indices(index)
    new = getattr(target.array.at[known], operation)(bare(value))
    target.write(new, level)
