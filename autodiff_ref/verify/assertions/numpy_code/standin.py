"""Stands for an array in code written for NumPy: does to a JAX array what is done to it, with real values alongside.

The real values say what NumPy itself would: shapes, types, which arrays share memory, errors, and the way that a branch or
an index takes at this input. Where that hangs on what is handed in, it is noted as an assumption of the trace.

As in NumPy, `a[0]`, `a.T` and `a.reshape(…)` are views: what is written to them is written to `a`. A view knows its parent
and the step that leads from that to itself; written to, it asks the same step where each of its entries lies in the root.
"""

import operator
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from autodiff_ref.verify.assertions.numpy_code.functions import SCATTERED, jax_function, jax_ufunc
from autodiff_ref.verify.assertions.numpy_code.run import CONSTANT, DATA, VARIES, NotFollowedError, Run, current

Step = Callable[[Any], Any]
"""from a parent to a view of it: of JAX's arrays, and of NumPy's"""


class StandIn(np.lib.mixins.NDArrayOperatorsMixin):
    """An array, or a number of NumPy's, that is traced."""

    def __init__(
        self,
        value: Any,
        array: Any,
        level: int,
        *,
        parent: "StandIn | None" = None,
        steps: tuple[Step, Step] | None = None,
    ) -> None:
        self.held, self._array, self._level = value, array, level
        self._parent, self._steps = parent, steps
        self.written, self._seen = 0, None
        """how often a root was written to; and of a view, what it was when it was last read"""

    # What it stands for

    @property
    def real(self) -> Any:
        """Real numbers have no other part."""
        return self

    @property
    def array(self) -> Any:
        """The JAX array, as it is now."""
        if self._parent is not None and self._steps is not None:
            version = self.root.written
            if self._seen is None or self._seen[0] != version:
                self._seen = version, self._steps[0](self._parent.array)
            return self._seen[1]
        if self._array is None:  # a constant, which NumPy alone has kept
            return jnp.asarray(np.array(self.held))
        return self._array

    @property
    def root(self) -> "StandIn":
        """The array whose memory it is."""
        return self if self._parent is None else self._parent.root

    @property
    def level(self) -> int:
        """What it depends on."""
        return self.root._level

    @property
    def __class__(self) -> Any:  # pyright: ignore (so that `isinstance` says what NumPy would)
        return type(self.held)

    def _positions(self) -> Any:
        """Where each entry lies in the root, counted through."""
        if self._parent is None or self._steps is None:
            return np.arange(self.held.size).reshape(self.held.shape)
        return self._steps[1](self._parent._positions())

    # Writing

    def write(self, array: Any, level: int, positions: Any = None) -> None:
        """Puts an array in its place, or at some positions of the root; the real values are written already."""
        root = self.root
        if level == CONSTANT and root._level == CONSTANT:
            return
        # a constant has kept its real values alone, which hold what was written: JAX must not be told of it twice
        old = root._array if root._array is not None else jnp.asarray(np.array(root.held))
        root._level, root.written = max(root._level, level), root.written + 1
        dtype = old.dtype
        if positions is None and self is root:
            root._array = jnp.broadcast_to(jnp.asarray(array).astype(dtype), old.shape)
            return
        where = self._positions() if positions is None else positions
        new = _fitting(jnp.asarray(array).astype(dtype), where.shape)
        flat, kept = where.ravel(), None
        if len(np.unique(flat)) < len(flat):  # NumPy writes them in turn: the last stays
            kept = len(flat) - 1 - np.unique(flat[::-1], return_index=True)[1]
            flat, new = flat[kept], jnp.ravel(new)[kept]
        root._array = jnp.ravel(old).at[flat].set(jnp.ravel(new)).reshape(old.shape)

    def __setitem__(self, index: Any, value: Any) -> None:
        plain, level = real_of(index), max(level_of(index), level_of(value))
        old = self.snapshot()
        self.held[plain] = real_of(value)
        if level == CONSTANT and self.level == CONSTANT:
            self.root.written += 1
            return
        self.materialise(old)
        mask = index if isinstance(index, StandIn) and _is_mask(index, self) else None
        if mask is not None and np.ndim(real_of(value)) == 0:
            self.write(jnp.where(mask.array, bare(value), self.array), level)
            return
        position = np.arange(self.held.size).reshape(self.held.shape)[plain]
        alone = position.size == np.unique(position).size
        if self._parent is None and alone and not _has_masks(index):
            target = self._array
            new = _fitting(jnp.asarray(bare(value)).astype(target.dtype), np.shape(position))
            self._array, self._level = target.at[_indices(index)].set(new), max(self._level, level)
            self.written += 1
            return
        known = fixed(index)
        self.write(bare(value), level, np.asarray(self._positions()[known]))

    def snapshot(self) -> Any:
        """The root's real values before they are written to, where JAX does not have them yet."""
        root = self.root
        return np.array(root.held) if root._array is None else None

    def materialise(self, old: Any) -> None:
        """Makes a constant, of which NumPy alone kept the values, an array of JAX's."""
        root = self.root
        if root._array is None:
            root._array, root.written = jnp.asarray(old), root.written + 1

    def _in_place(self, f: Callable[[Any, Any], Any], ufunc: np.ufunc, other: Any) -> Any:
        if isinstance(self.held, np.generic):
            return f(self, other)
        new = self.__array_ufunc__(ufunc, "__call__", self, other, out=(self,))
        return self if new is None else new

    def __iadd__(self, other: Any) -> Any:
        return self._in_place(operator.add, np.add, other)

    def __isub__(self, other: Any) -> Any:
        return self._in_place(operator.sub, np.subtract, other)

    def __imul__(self, other: Any) -> Any:
        return self._in_place(operator.mul, np.multiply, other)

    def __itruediv__(self, other: Any) -> Any:
        return self._in_place(operator.truediv, np.true_divide, other)

    def __ipow__(self, other: Any) -> Any:
        return self._in_place(operator.pow, np.power, other)

    def __imatmul__(self, other: Any) -> Any:
        return self._in_place(operator.matmul, np.matmul, other)

    # Functions of it

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = None, **keywords: Any) -> Any:
        target = out[0] if isinstance(out, tuple) else out  # pyright: ignore[reportUnknownVariableType]
        if method == "at":
            return _scatter(ufunc, *inputs)
        where = keywords.pop("where", True)
        f = jax_ufunc(ufunc, method)
        computed = getattr(ufunc, method)
        if where is not True:
            return _where(computed, f, inputs, keywords, where, target)
        if target is None:
            return applied(computed, f, inputs, keywords, ufunc.__name__)
        old = target.snapshot() if isinstance(target, StandIn) else None
        made = applied(computed, f, inputs, keywords, ufunc.__name__)
        return _into(target, made, old)

    def __array_function__(self, f: Any, _: Any, args: Any, keywords: Any) -> Any:
        name = f.__name__
        if name in IN_PLACE:
            return IN_PLACE[name](*args, **keywords)
        if name == "apply_along_axis":
            return _along_axis(*args, **keywords)
        if name == "bincount" and (len(args) > 1 or "weights" in keywords):
            return _bincount(*args, **keywords)
        keywords = dict(keywords)
        target = keywords.pop("out", None)
        if name == "where" and len(args) == 1:
            return np.nonzero(args[0])
        made = applied(f, None if name in OF_VALUES else jax_function(f), args, keywords, name)
        if target is None:
            return made
        old = target.snapshot() if isinstance(target, StandIn) else None
        return _into(target, made, old)

    def __getattr__(self, name: str) -> Any:
        if name == "__array_namespace__":
            return lambda **_: np
        if name.startswith("__"):
            raise AttributeError(name)
        found = getattr(self.held, name)
        if isinstance(found, np.ndarray | np.generic) or name == "flat":
            if name == "flat":
                return self.reshape(-1)
            return applied(lambda v: getattr(v, name), lambda a: getattr(a, name), (self,), {}, name)
        if not callable(found):
            return found
        if name in METHODS:
            return lambda *args, **keywords: METHODS[name](self, *args, **keywords)

        def method(*args: Any, **keywords: Any) -> Any:
            target = keywords.pop("out", None)
            made = applied(_method(name), None if name in OF_VALUES else _method(name), (self, *args), keywords, name)
            return made if target is None else _into(target, made, target.snapshot())

        return method

    def __getitem__(self, index: Any) -> Any:
        value = self.held[real_of(index)]
        dynamic = level_of(index) > CONSTANT and not _shares(value, self.held)
        if dynamic and not _has_masks(index):
            level = max(self.level, level_of(index))
            return StandIn(value, self.array[_indices(index)], level)
        known = fixed(index)
        if isinstance(value, np.ndarray) and _shares(value, self.held):
            return StandIn(value, None, self.level, parent=self, steps=(lambda a: a[known], lambda p: p[known]))
        level = max(self.level, level_of(index))
        return StandIn(value, None if level == CONSTANT else self.array[known], level)

    def __iter__(self) -> Iterator[Any]:
        return (self[k] for k in range(len(self)))

    def __len__(self) -> int:
        return len(self.held)

    def __contains__(self, item: Any) -> bool:
        return bool((self == item).any())

    def __eq__(self, other: Any) -> Any:
        return self.held == None if other is None else np.equal(self, other)  # noqa: E711 (as NumPy does, entry by entry)

    def __ne__(self, other: Any) -> Any:
        return self.held != None if other is None else np.not_equal(self, other)  # noqa: E711

    # Numbers of it

    def __bool__(self) -> bool:
        return bool(self._known(bool(self.held), lambda a: a != 0 if a.dtype != bool else a))

    def __int__(self) -> int:
        return int(self._known(int(self.held), lambda a: jnp.trunc(a).astype(np.int64)))

    def __index__(self) -> int:
        return int(self._known(operator.index(self.held), lambda a: a))

    def __float__(self) -> float:
        if self.level == VARIES:
            raise NotFollowedError(
                "a number that is differentiated by is taken out of its array",
                "leave it an array of NumPy's, without `float`, `item` or `math` of another module",
            )
        return float(self._known(float(self.held), lambda a: a))

    def __hash__(self) -> int:
        if not isinstance(self.held, np.generic):
            raise TypeError("unhashable type: 'numpy.ndarray'")
        self._known(self.held, lambda a: a)
        return hash(self.held)

    def _known(self, value: Any, of: Callable[[Any], Any]) -> Any:
        if self.level > CONSTANT:
            running_now().assume(of(jnp.reshape(self.array, ())), value, self.level)
        return value

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        if self.level == VARIES:
            raise NotFollowedError(
                "compiled code, or code of another library, asks for the numbers of an array that is differentiated by",
                "use NumPy's functions there, or `scipy.special`",
            )
        if self.level == DATA:
            running_now().assume(self.array, self.held, self.level)
        made = np.array(self.held)
        return made if dtype is None else made.astype(dtype)

    def __jax_array__(self) -> Any:
        return self.array

    def __repr__(self) -> str:
        return repr(self.held)

    def __format__(self, spec: str) -> str:
        return format(self.held, spec)

    def __copy__(self) -> "StandIn":
        return copied(self)

    def __deepcopy__(self, _: Any) -> "StandIn":
        return copied(self)


def running_now() -> Run:
    """The run under way.

    Raises:
        NotFollowedError: it is over: a stand-in has outlived it.
    """
    run = current()
    if run is None:
        raise NotFollowedError("a value of an earlier trace is used", "make it a function of its arguments, without state")
    return run


def copied(a: StandIn) -> StandIn:
    """A copy, with memory of its own."""
    return StandIn(np.array(a.held), None if a.level == CONSTANT else a.array, a.level)


# Without stand-ins, whatever holds them


def bare(value: Any) -> Any:
    """JAX's arrays in the places of stand-ins."""
    return _mapped(value, lambda s: s.array)


def real_of(value: Any) -> Any:
    """NumPy's arrays in the places of stand-ins."""
    return _mapped(value, lambda s: s.held)


def fixed(index: Any) -> Any:
    """An index as NumPy has it, taken for granted where it depends on what is handed in."""

    def known(s: StandIn) -> Any:
        if s.level > CONSTANT:
            running_now().assume(s.array, s.held, s.level)
        return s.held

    return _mapped(_without_ranges(index), known)


def _indices(index: Any) -> Any:
    return bare(_without_ranges(index))


def _without_ranges(index: Any) -> Any:
    if isinstance(index, StandIn):
        return index
    if isinstance(index, tuple):
        return tuple(_without_ranges(part) for part in index)  # pyright: ignore[reportUnknownVariableType]
    if isinstance(index, range):
        return np.arange(index.start, index.stop, index.step)
    if isinstance(index, list):
        if any(isinstance(part, StandIn) for part in index):  # pyright: ignore[reportUnknownVariableType]
            return stacked(index)
        return np.asarray(index, dtype=None if index else np.intp)
    return index


def stacked(parts: Any) -> StandIn:
    """What `np.array` makes of a list with stand-ins in it."""
    value = np.array(real_of(parts))
    level = level_of(parts)
    return StandIn(value, None if level == CONSTANT else jnp.asarray(bare(parts)).astype(_canonical(value.dtype)), level)


def level_of(value: Any) -> int:
    """The most that any stand-in in a value depends on."""
    level = CONSTANT

    def seen(s: StandIn) -> Any:
        nonlocal level
        level = max(level, s.level)
        return None

    _mapped(value, seen)
    return level


def _mapped(value: Any, f: Callable[[StandIn], Any]) -> Any:
    if type(value) is StandIn:
        return f(value)
    if isinstance(value, slice):
        return slice(_mapped(value.start, f), _mapped(value.stop, f), _mapped(value.step, f))
    if isinstance(value, tuple | list):
        parts = [_mapped(part, f) for part in value]  # pyright: ignore[reportUnknownVariableType]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(value, dict):
        return {key: _mapped(part, f) for key, part in value.items()}  # pyright: ignore[reportUnknownVariableType]
    return value


def _is_mask(index: StandIn, target: StandIn) -> bool:
    return index.held.dtype == bool and np.shape(index.held) == np.shape(target.held)


def _has_masks(index: Any) -> bool:
    parts = index if isinstance(index, tuple) else (index,)  # pyright: ignore[reportUnknownVariableType]
    return any(isinstance(part, StandIn) and part.held.dtype == bool for part in parts)  # pyright: ignore[reportUnknownVariableType]


def _fitting(array: Any, shape: tuple[int, ...]) -> Any:
    """An array in the shape that it is written to."""
    while array.ndim > len(shape) and array.shape[0] == 1:
        array = array[0]
    return jnp.broadcast_to(array, shape)


def _shares(view: Any, whole: Any) -> bool:
    """Whether an array is a view of another's memory."""
    if not (isinstance(view, np.ndarray) and isinstance(whole, np.ndarray)):
        return False
    owner = _owner(view)
    return owner is _owner(whole) or (
        owner.base is not None and np.may_share_memory(view, whole)
    )  # as of strides set by hand


def _owner(array: Any) -> Any:
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _method(name: str) -> Callable[..., Any]:
    def method(a: Any, *args: Any, **keywords: Any) -> Any:
        own = getattr(a, name, None)
        return getattr(jnp, name)(a, *args, **keywords) if own is None else own(*args, **keywords)

    return method


def applied(real: Any, f: Any, args: Any, keywords: Any, name: str) -> Any:
    """What a function returns: NumPy's value, and JAX's array."""
    args = tuple(args) if name in OF_LISTS else tuple(_as_array(arg) for arg in args)
    plain_args, plain_keywords = real_of(args), real_of(keywords)
    with np.errstate(all="ignore"):
        value = real(*plain_args, **plain_keywords)
    level = max(level_of(args), level_of(keywords))
    leaves, structure = jax.tree.flatten(value)
    if not any(isinstance(leaf, np.ndarray | np.generic) for leaf in leaves):
        return value
    source = _source(leaves, args)
    if source is not None and value is source.held:
        return source
    if level == CONSTANT and source is None:
        return jax.tree.unflatten(structure, [StandIn(leaf, None, level) for leaf in leaves])
    try:
        if f is None:
            raise LookupError(name)
        arrays = _by_jax(f, args, keywords)
        if [np.shape(array) for array in arrays] != [np.shape(leaf) for leaf in leaves]:
            raise LookupError(name)
    except NotFollowedError:
        raise
    except Exception as error:
        if source is not None and all(_shares(leaf, source.held) for leaf in leaves):
            return jax.tree.unflatten(structure, _gathered(real, args, keywords, source, leaves))
        discrete = all(np.asarray(leaf).dtype.kind in "biu" for leaf in leaves)
        if (level < VARIES or discrete) and source is None:
            for held in _held((args, keywords)):
                fixed(held)
            return jax.tree.unflatten(structure, [StandIn(leaf, None, CONSTANT) for leaf in leaves])
        why = "JAX has no such function" if isinstance(error, LookupError) else str(error).strip().splitlines()[0][:120]
        raise NotFollowedError(f"`{name}` cannot be followed ({why})", "write it with other functions of NumPy") from error
    made: list[Any] = []
    for k, (leaf, array) in enumerate(zip(leaves, arrays, strict=True)):
        if source is not None and leaf is source.held:
            made.append(source)
        elif source is not None and _shares(leaf, source.held):
            made.append(StandIn(leaf, None, level, parent=source, steps=_steps(real, f, args, keywords, source, k)))
        else:
            made.append(StandIn(leaf, jnp.asarray(array).astype(_canonical(leaf.dtype)), level))
    return jax.tree.unflatten(structure, made)


def _by_jax(f: Any, args: Any, keywords: Any) -> list[Any]:
    plain, named = bare(args), _of_jax(bare(keywords))
    try:
        return jax.tree.leaves(f(*plain, **named))
    except TypeError:  # JAX takes no lists of numbers
        return jax.tree.leaves(f(*[np.asarray(arg) if isinstance(arg, list) else arg for arg in plain], **named))


def _gathered(real: Any, args: Any, keywords: Any, source: StandIn, leaves: list[Any]) -> list[StandIn]:
    """Views that JAX has no function for, as windows: NumPy's own says where each entry comes from."""
    places = np.arange(source.held.size).reshape(source.held.shape)
    plain = [places if arg is source else real_of(arg) for arg in args]
    found = [np.array(each) for each in jax.tree.leaves(real(*plain, **real_of(keywords)))]
    return [
        StandIn(
            leaf,
            None,
            source.level,
            parent=source,
            steps=(lambda a, at=at: jnp.ravel(a)[at], lambda p, at=at: np.ravel(p)[at]),
        )
        for leaf, at in zip(leaves, found, strict=True)
    ]


def _as_array(value: Any) -> Any:
    """A list of numbers as an array, where JAX takes no list."""
    if isinstance(value, list) and type(value) is list and _held(value):
        try:
            return stacked(value)
        except (ValueError, TypeError):
            return value
    return _without_ranges(value) if isinstance(value, range) else value


def _canonical(dtype: Any) -> Any:
    return jax.dtypes.canonicalize_dtype(dtype)


def _of_jax(keywords: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in keywords.items() if name not in ("casting", "order", "subok", "like", "copy")}
    return {
        name: _canonical(np.dtype(value)) if name == "dtype" and value is not None else value for name, value in kept.items()
    }


def _source(leaves: list[Any], args: Any) -> StandIn | None:
    """The stand-in whose memory results share."""
    for held in _held(args):
        if any(_shares(leaf, held.held) for leaf in leaves):
            return held
    return None


def _held(value: Any) -> list[StandIn]:
    found: list[StandIn] = []
    _mapped(value, found.append)
    return found


def _steps(real: Any, f: Any, args: Any, keywords: Any, source: StandIn, k: int) -> tuple[Step, Step]:
    def with_other(g: Any, plain: Callable[[Any], Any], other: Any, more: dict[str, Any]) -> Any:
        def place(value: Any) -> Any:
            if value is source:
                return other
            if isinstance(value, tuple | list) and not isinstance(value, StandIn):
                return type(value)(place(part) for part in value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
            return plain(value)

        return jax.tree.leaves(g(*[place(arg) for arg in args], **more))[k]

    return (
        lambda a: with_other(f, bare, a, _of_jax(bare(keywords))),
        lambda p: with_other(real, real_of, p, real_of(keywords)),
    )


def _into(target: Any, made: Any, old: Any) -> Any:
    """Writes a result where `out=` says."""
    if not isinstance(target, StandIn):
        raise NotFollowedError(
            "an array that was made outside of what is traced is written into",
            "make it within, by np.zeros, np.empty or np.array",
        )
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


def _where(computed: Any, f: Any, inputs: Any, keywords: Any, where: Any, target: Any) -> Any:
    """`where=` of a ufunc: other entries stay what `out` holds, computed of 1, so that no derivative is NaN there."""
    if f is None:
        raise NotFollowedError("`where=` of a function that JAX has not", "use np.where")
    if computed.__name__ in ("reduce", "accumulate"):
        return applied(lambda *a, **k: computed(*a, **k), f, inputs, {**keywords, "where": where}, "reduce")
    mask = where if isinstance(where, StandIn) else np.asarray(where)
    safe = [np.where(mask, x, 1.0) for x in inputs]
    made = applied(computed, f, safe, keywords, "where")
    if target is None:
        return made
    return _into(target, np.where(mask, made, target), target.snapshot() if isinstance(target, StandIn) else None)


def _scatter(ufunc: np.ufunc, target: Any, index: Any, *values: Any) -> None:
    """`ufunc.at`: every index counts, also one that is there twice."""
    if not isinstance(target, StandIn):
        _into(target, None, None)
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
    known = fixed(index) if _has_masks(index) else _indices(index)
    new = getattr(target.array.at[known], operation)(bare(value))
    target.write(new, level)


# What writes, and what only real values say


def _fill_diagonal(a: StandIn, value: Any, wrap: bool = False) -> None:
    n = min(np.shape(a.held))
    a[np.arange(n), np.arange(n)] = value


def _copyto(target: StandIn, source: Any, casting: Any = None, where: Any = True) -> None:
    target[...] = source if where is True else np.where(where, source, target)


def _put_along_axis(a: StandIn, indices: Any, values: Any, axis: int) -> None:
    shape = np.shape(real_of(indices))
    grid: list[Any] = list(np.indices(shape, sparse=True))
    grid[axis] = indices
    a[tuple(grid)] = values


def _putmask(a: StandIn, mask: Any, values: Any) -> None:
    a[...] = np.where(mask, values, a)


def _along_axis(f: Any, axis: int, a: Any, *args: Any, **keywords: Any) -> Any:
    moved = np.moveaxis(a, axis, -1)
    before = np.shape(real_of(moved))[:-1]
    rows = [f(moved[index], *args, **keywords) for index in np.ndindex(*before)]
    made = stacked(rows).reshape(*before, *np.shape(real_of(rows[0])))
    return np.moveaxis(made, -1, axis) if np.ndim(real_of(rows[0])) == 1 else made


def _bincount(x: Any, weights: Any = None, minlength: int = 0) -> Any:
    counted = fixed(x)
    size = max(int(np.max(counted, initial=-1)) + 1, int(minlength))
    made = StandIn(np.zeros(size), None, CONSTANT)
    _scatter(np.add, made, counted, weights)
    return made


def _fill(a: StandIn, value: Any) -> None:
    a[...] = value


def _sort(a: StandIn, axis: int = -1, **_: Any) -> None:
    a[...] = np.sort(a, axis=axis)


def _item(a: StandIn, *index: Any) -> Any:
    chosen = a.reshape(-1)[index[0]] if len(index) == 1 and not isinstance(index[0], tuple) else a[index] if index else a
    return chosen.reshape(())[()] if isinstance(chosen.held, np.ndarray) else chosen


def _tolist(a: StandIn) -> Any:
    return [_tolist(part) for part in a] if np.ndim(a.held) else a[()] if isinstance(a.held, np.ndarray) else a


def _astype(a: StandIn, dtype: Any, **keywords: Any) -> Any:
    wanted = np.dtype(dtype)
    if keywords.get("copy") is False and a.held.dtype == wanted:
        return a
    return applied(lambda v: v.astype(wanted), lambda x: x.astype(_canonical(wanted)), (a,), {}, "astype")


IN_PLACE: dict[str, Callable[..., None]] = {
    "fill_diagonal": _fill_diagonal,
    "copyto": _copyto,
    "put_along_axis": _put_along_axis,
    "putmask": _putmask,
}

METHODS: dict[str, Callable[..., Any]] = {
    "fill": _fill,
    "sort": _sort,
    "item": _item,
    "tolist": _tolist,
    "astype": _astype,
    "copy": lambda a, *_, **__: copied(a),
    "flatten": lambda a, *_, **__: copied(a).reshape(-1),
}

OF_LISTS = {
    *("concatenate", "concat", "stack", "vstack", "hstack", "dstack", "column_stack", "row_stack", "block", "choose"),
    *("select", "multi_dot", "broadcast_arrays", "append", "meshgrid", "ix_"),
}
"""functions that take lists of arrays"""

OF_VALUES = {"nonzero", "flatnonzero", "argwhere", "unique", "histogram", "bincount", "digitize", "searchsorted", "tobytes"}
"""functions whose results real values say: what they depend on is taken for granted"""
