"""Stands for an array in code written for NumPy: does to a JAX array what is done to it, with real values alongside.

The real values say what NumPy itself would: shapes, types, which arrays share memory, errors, and the way that a branch or
an index takes at this input. Where that hangs on what is handed in, it is noted as an assumption of the trace.

As in NumPy, `a[0]`, `a.T` and `a.reshape(…)` are views: what is written to them is written to `a`. A view knows its parent
and the step that leads from that to itself; written to, it asks the same step where each of its entries lies in the root.
"""

import operator
import sys
from collections.abc import Callable, Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np

from autodiff_ref.judge.numpy_code.applying import (
    WRITTEN_OUTSIDE,
    Step,
    applied,
    computed_where,
    densely,
    in_memory_order,
    into,
    method_of,
    order_of,
    scatter,
)
from autodiff_ref.judge.numpy_code.mapping import (
    Standing,
    bare,
    copied,
    fitting,
    fixed,
    has_masks,
    indices,
    is_standing,
    level_of,
    mask_of,
    real_of,
    running_now,
    shares,
)
from autodiff_ref.judge.numpy_code.methods import IN_PLACE, METHODS, OF_VALUES, ORDERED, REWRITTEN, bincount, of_any_sign
from autodiff_ref.judge.numpy_code.numpy_functions import jax_function, jax_ufunc
from autodiff_ref.judge.numpy_code.run import (
    CONSTANT,
    MOST_ASSUMED,
    VARIES,
    NotFollowedError,
    called_by_user,
    is_writing,
)
from autodiff_ref.judge.numpy_code.selected import Selected, made_of

INSTEAD_OF = {
    "pandas.": "make an array of it before, by `.to_numpy()`",
    "numpy.ma.": "hand in an array and its mask, and write np.where(mask, 0, …)",
    "scipy.sparse.": "fill a dense matrix, A = np.zeros(shape) and A[i, j] = v, and compute with it",
}
"""what to do where code of a package cannot be followed"""


IS_NO_NUMBER: dict[Any, bool] = {np.isnan: False, np.isinf: False, np.isfinite: True}
"""what asks whether numbers are missing, and what it says where none is: reals know of no NaN, and data may hold some"""


def _assume_finite(of: Any) -> None:
    """Takes for granted which numbers are finite."""
    if level_of(of) > CONSTANT:
        running_now().assume(jnp.isfinite(bare(of)), np.isfinite(real_of(of)), level_of(of))


OF_MATRICES: dict[str, Callable[[Any], Any]] = {
    "A": lambda m: m.view(np.ndarray),
    "A1": lambda m: m.view(np.ndarray).ravel(),
    "H": lambda m: m.conj().T,
    "I": np.linalg.inv,
}
"""attributes of matrices"""


class StandIn(Standing, np.lib.mixins.NDArrayOperatorsMixin):
    """An array, or a number of NumPy's, that is traced."""

    def __init__(
        self,
        value: Any,
        array: Any,
        level: int,
        *,
        parent: "StandIn | None" = None,
        steps: tuple[Step, Step] | None = None,
        outside: np.ndarray | None = None,
        is_number: bool = False,
    ) -> None:
        self.held, self._array, self._level = value, array, level
        self._parent, self._steps, self._outside = parent, steps, outside
        self.is_number = is_number
        self.made_of: tuple[str, tuple[Any, ...], list[int]] | None = None
        """of a mask, how it was computed"""
        self.written, self._seen = 0, None
        """how often a root was written to; and of a view, what it was when it was last read"""

    # What it stands for

    @property
    def real(self) -> Any:
        """The real part; real numbers have no other part."""
        return self.part("real") if self.held.dtype.kind == "c" else self

    @property
    def imag(self) -> Any:
        """The imaginary part."""
        return self.part("imag") if self.held.dtype.kind == "c" else np.zeros_like(self)

    def part(self, name: str) -> Any:
        """A part of complex numbers, to read: what is written into it is not followed."""

        def of(value: Any) -> Any:
            made = np.array(getattr(value, name))
            made.flags.writeable = False
            return made if isinstance(value, np.ndarray) else made[()]

        return applied(of, getattr(jnp, name), (self,), {}, name)

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
        new = fitting(jnp.asarray(array).astype(dtype), where.shape)
        flat, kept = where.ravel(), None
        if len(np.unique(flat)) < len(flat):  # NumPy writes them in turn: the last stays
            kept = len(flat) - 1 - np.unique(flat[::-1], return_index=True)[1]
            flat, new = flat[kept], jnp.ravel(new)[kept]
        root._array = jnp.ravel(old).at[flat].set(jnp.ravel(new)).reshape(old.shape)

    def _write_selected(self, mask: Any, value: Selected) -> None:
        if not value.is_of(mask):
            raise NotFollowedError(
                "entries that one mask selects are written where another one does", "choose by np.where, of whole arrays"
            )
        old = self.snapshot()
        self.held[mask.held] = value.whole.held[mask.held]
        self.materialise(old)
        new = value.whole.array.astype(self.array.dtype)
        self.write(jnp.where(mask_of(mask, self), new, self.array), max(mask.level, value.whole.level))

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(value, Selected):
            self._write_selected(index, value)
            return
        plain, level = real_of(index), max(level_of(index), level_of(value))
        old = self.snapshot()
        self.held[plain] = real_of(value)
        if level == CONSTANT and self.level == CONSTANT:
            self.root.written += 1
            return
        self.materialise(old)
        mask = mask_of(index, self) if np.ndim(real_of(value)) == 0 else None
        if mask is not None:
            self.write(jnp.where(mask, bare(value), self.array), level)
            return
        position = np.arange(self.held.size).reshape(self.held.shape)[plain]
        alone = position.size == np.unique(position).size
        if self._parent is None and alone and not has_masks(index):
            target = self._array
            new = fitting(jnp.asarray(bare(value)).astype(target.dtype), np.shape(position))
            self._array, self._level = target.at[indices(index)].set(new), max(self._level, level)
            self.written += 1
            return
        known = fixed(index)
        self.write(bare(value), level, np.asarray(self._positions()[known]))

    def snapshot(self) -> Any:
        """The root's real values before they are written to, where JAX does not have them yet."""
        root = self.root
        if root._outside is not None:
            running_now().note_written(root._outside)
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
        if self._multiplies_matrices(other):
            self[...] = self * other
            return self
        return self._in_place(operator.mul, np.multiply, other)

    def __itruediv__(self, other: Any) -> Any:
        return self._in_place(operator.truediv, np.true_divide, other)

    def __ipow__(self, other: Any) -> Any:
        return self._in_place(operator.pow, np.power, other)

    def __imatmul__(self, other: Any) -> Any:
        return self._in_place(operator.matmul, np.matmul, other)

    # Matrices, whose `*` and `**` are products of matrices

    def _multiplies_matrices(self, other: Any) -> bool:
        either = isinstance(self.held, np.matrix) or isinstance(real_of(other), np.matrix)
        return either and np.ndim(real_of(self)) > 0 and np.ndim(real_of(other)) > 0

    def __mul__(self, other: Any) -> Any:
        return np.dot(self, other) if self._multiplies_matrices(other) else np.multiply(self, other)

    def __rmul__(self, other: Any) -> Any:
        return np.dot(other, self) if self._multiplies_matrices(other) else np.multiply(other, self)

    def __pow__(self, other: Any) -> Any:
        return np.linalg.matrix_power(self, other) if isinstance(self.held, np.matrix) else np.power(self, other)

    # Functions of it

    def as_number(self) -> "StandIn":
        """The number of Python's that `float` or `math` makes of it."""
        return StandIn(self.held, self.array, self.level, is_number=True)

    def __abs__(self) -> Any:
        made: Any = np.absolute(self)
        return made.as_number() if self.is_number and is_standing(made) else made

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = None, **keywords: Any) -> Any:
        target = out[0] if isinstance(out, tuple) else out  # pyright: ignore[reportUnknownVariableType]
        if method == "at":
            return scatter(ufunc, *inputs)
        if any(isinstance(each, Selected) for each in inputs):
            return NotImplemented
        where, inputs = keywords.pop("where", True), tuple(map(densely, inputs))
        if method == "__call__" and ufunc in IS_NO_NUMBER and where is True and target is None:
            found = ufunc(real_of(inputs[0]), **keywords)
            is_missing = bool(np.any(found != IS_NO_NUMBER[ufunc]))
            if not running_now().for_all_inputs and (is_missing or np.size(found) <= MOST_ASSUMED):
                _assume_finite(inputs[0])
                return StandIn(found, None, CONSTANT)
        f = jax_ufunc(ufunc, method)
        computed = getattr(ufunc, method)
        if where is not True:
            return computed_where(computed, f, inputs, keywords, where, target)
        if target is None:
            made = applied(computed, f, inputs, keywords, ufunc.__name__)
            if type(made) is StandIn and made.held.dtype == bool:
                made.made_of = made_of(ufunc.__name__, inputs)
            return made
        old = target.snapshot() if is_standing(target) else None
        made = applied(computed, f, inputs, keywords, ufunc.__name__)
        return into(target, made, old)

    def __array_function__(self, f: Any, _: Any, args: Any, keywords: Any) -> Any:
        name = f.__name__
        if name in IN_PLACE:
            return IN_PLACE[name](*args, **keywords)
        if name in ("real", "imag") and is_standing(args[0]):
            return getattr(args[0], name)
        if name in ORDERED and is_standing(args[0]) and order_of(args[1:], keywords) != "C":
            return in_memory_order(f, args[0], args[1:], keywords)
        if f.__module__ == "numpy.lib.scimath" and hasattr(np, name):
            return of_any_sign(f, *args)
        if name in REWRITTEN and "out" not in keywords:
            return REWRITTEN[name](*args, **keywords)
        if name == "bincount" and (len(args) > 1 or "weights" in keywords):
            return bincount(*args, **keywords)
        keywords = dict(keywords)
        target = keywords.pop("out", None)
        if name == "where" and len(args) == 1:
            return np.nonzero(args[0])
        made = applied(f, None if name in OF_VALUES else jax_function(f), args, keywords, name)
        if target is None:
            return made
        old = target.snapshot() if is_standing(target) else None
        return into(target, made, old)

    def __getattr__(self, name: str) -> Any:
        if name == "__array_namespace__":
            return lambda **_: np
        if name.startswith("__"):
            raise AttributeError(name)
        if name in OF_MATRICES and isinstance(self.held, np.matrix):
            return OF_MATRICES[name](self)
        found = getattr(self.held, name)
        if isinstance(found, np.ndarray | np.generic) or name == "flat":
            if name == "flat":
                return self.reshape(-1)
            return applied(lambda v: getattr(v, name), lambda a: getattr(a, name), (self,), {}, name)
        if not callable(found):
            return found

        def method(*args: Any, **keywords: Any) -> Any:
            if name in ORDERED and order_of(args, keywords) != "C":
                return in_memory_order(method_of(name), self, args, keywords)
            if name in METHODS:
                return METHODS[name](self, *args, **keywords)
            target = keywords.pop("out", None)
            made = applied(method_of(name), None if name in OF_VALUES else method_of(name), (self, *args), keywords, name)
            return made if target is None else into(target, made, target.snapshot())

        return method

    def __getitem__(self, index: Any) -> Any:
        if running_now().for_all_inputs and level_of(index) > CONSTANT and mask_of(index, self) is not None:
            return Selected.of(self, index)
        value = self.held[real_of(index)]
        dynamic = level_of(index) > CONSTANT and not shares(value, self.held)
        if dynamic and not has_masks(index):
            level = max(self.level, level_of(index))
            return StandIn(value, self.array[indices(index)].reshape(np.shape(value)), level)
        known = fixed(index)

        def taken(a: Any) -> Any:
            return a[known].reshape(np.shape(value))  # parts of a matrix are matrices

        if isinstance(value, np.ndarray) and shares(value, self.held):
            return StandIn(value, None, self.level, parent=self, steps=(taken, taken))
        level = max(self.level, level_of(index))
        return StandIn(value, None if level == CONSTANT else taken(self.array), level)

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
        if self.level == VARIES:
            running_now().refuse_iterations(sys._getframe(1))  # pyright: ignore[reportPrivateUsage]
        return bool(self._known(bool(self.held), lambda a: a != 0 if a.dtype != bool else a))

    def __int__(self) -> int:
        return int(self._known(int(self.held), lambda a: jnp.trunc(a).astype(np.int64)))

    def __index__(self) -> int:
        return int(self._known(operator.index(self.held), lambda a: a))

    def __float__(self) -> float:
        if self.level == VARIES:
            if is_writing(sys._getframe(1)):  # pyright: ignore[reportPrivateUsage]
                raise NotFollowedError(*WRITTEN_OUTSIDE)
            raise NotFollowedError(
                "a number that is differentiated by is taken out of its array",
                "leave it an array of NumPy's, without `float`, `item` or `math` of another module",
            )
        return float(self._known(float(self.held), lambda a: a))

    def __round__(self, digits: int | None = None) -> Any:
        return np.round(self, digits or 0)

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
        if self.level == VARIES and self.held.dtype.kind not in "biu":
            if is_writing(sys._getframe(1)):  # pyright: ignore[reportPrivateUsage]
                raise NotFollowedError(*WRITTEN_OUTSIDE)
            who = called_by_user(sys._getframe(1)) or "compiled code, or code of another library,"  # pyright: ignore[reportPrivateUsage]
            way_on = next(
                (way for package, way in INSTEAD_OF.items() if who.startswith(package)),
                "use NumPy's functions there, or `scipy.special`",
            )
            raise NotFollowedError(f"{who} asks for the numbers of an array that is differentiated by", way_on)
        if self.level > CONSTANT:  # whole numbers and masks are taken for granted, whatever they depend on
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
