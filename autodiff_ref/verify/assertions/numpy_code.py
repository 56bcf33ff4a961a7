"""Traces code written for NumPy: its arrays are replaced by stand-ins that hand every NumPy function to JAX's of that name.

NumPy offers this to any array-like (NEP 13 and 18): `np.exp(a)` asks `a.__array_ufunc__`, `np.where(c, a, b)` asks
`a.__array_function__`. So plain NumPy code can be traced as it stands, as long as it stays with functions of arrays. Where
it asks for numbers, `float(a)`, `if a > 0`, `np.asarray(a)`, or writes into an array of NumPy's own, it cannot.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy import special


def through_numpy(f: Callable[..., Any]) -> Callable[..., Any]:
    """f, written for NumPy, as a function of the same arguments that JAX can trace.

    Raises:
        TypeError: on use, where f asks for what an array without values cannot give.
    """

    def traced(*args: Any, **keywords: Any) -> Any:
        return _bare(f(*_standing_in(args), **keywords))

    traced.__wrapped__ = f  # pyright: ignore[reportFunctionMemberAccess] (so that its signature is f's)
    return traced


def _standing_in(value: Any) -> Any:
    return jax.tree.map(lambda leaf: StandIn(leaf) if isinstance(leaf, jax.Array) else leaf, value)


def _bare(value: Any) -> Any:
    """Without stand-ins, whatever holds them."""
    if isinstance(value, slice):
        return slice(_bare(value.start), _bare(value.stop), _bare(value.step))
    if isinstance(value, tuple | list):
        parts = [_bare(part) for part in value]  # pyright: ignore[reportUnknownVariableType]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(value, dict):
        return {key: _bare(part) for key, part in value.items()}  # pyright: ignore[reportUnknownVariableType]
    return value.array if isinstance(value, StandIn) else value


_VIEWS = {
    *("T", "mT", "flat", "real", "reshape", "transpose", "permute_dims", "matrix_transpose", "ravel", "squeeze", "swapaxes"),
    *("split", "array_split", "hsplit", "vsplit", "dsplit", "moveaxis", "rollaxis", "expand_dims", "broadcast_to"),
    *("broadcast_arrays", "atleast_1d", "atleast_2d", "atleast_3d", "diagonal", "diag", "flip", "fliplr", "flipud", "rot90"),
    *("unstack", "view"),
}
"""what shares memory with its argument in NumPy"""


def _of_jax(name: str, module: str) -> Callable[..., Any]:
    """JAX's function of a name: of `jax.numpy`, `jax.numpy.linalg` or `jax.scipy.special`."""
    found = getattr(jnp.linalg if module == "numpy.linalg" else jnp, name, None) or getattr(special, name, None)
    if found is None:
        raise TypeError(f"JAX has no `{name}`, so that code which uses NumPy's cannot be traced")
    return found


class StandIn(np.lib.mixins.NDArrayOperatorsMixin):
    """Stands for an array in code written for NumPy, and does to a JAX array what is done to it.

    As in NumPy, `a[0]` is a view: what is written to it is written to `a`. What shares memory in other ways, as `a.T` does,
    may not be written to, nor `a` from then on.
    """

    def __init__(self, array: Any, parent: "StandIn | None" = None, index: Any = None, *, shared: bool = False) -> None:
        self._array, self._parent, self._index, self._shared = array, parent, index, shared

    @property
    def array(self) -> Any:
        """The JAX array, as it is now."""
        return self._array if self._parent is None else self._parent.array[self._index]

    def _write(self, value: Any) -> "StandIn":
        if self._shared:
            raise TypeError("what shares its memory with another array was written to: this code cannot be traced")
        new = jnp.broadcast_to(jnp.asarray(value), self.array.shape).astype(self.array.dtype)
        if self._parent is None:
            self._array = new
        else:
            self._parent[self._index] = new
        return self

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = None, **keywords: Any) -> Any:
        f = _of_jax(ufunc.__name__, "numpy")
        return self._result(f if method == "__call__" else getattr(f, method), inputs, keywords, out[0] if out else None)

    def __array_function__(self, f: Any, _: Any, args: Any, keywords: Any) -> Any:
        keywords = dict(keywords)
        return self._result(_of_jax(f.__name__, f.__module__), args, keywords, keywords.pop("out", None), f.__name__)

    def _result(self, f: Any, args: Any, keywords: Any, out: Any, name: str = "") -> Any:
        result = f(*_bare(args), **_bare(keywords))
        if out is not None:
            if not isinstance(out, StandIn):
                raise TypeError("out= is an array of NumPy's own: this code cannot be traced")
            return out._write(result)
        shares = name in _VIEWS
        for held in jax.tree.leaves(args, is_leaf=lambda leaf: isinstance(leaf, StandIn)) if shares else ():
            if isinstance(held, StandIn):
                held._shared = True
        return jax.tree.map(lambda leaf: StandIn(leaf, shared=shares) if isinstance(leaf, jax.Array) else leaf, result)

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("an array that is traced has no values: this code cannot be traced")

    def __getitem__(self, index: Any) -> "StandIn":
        bare = _bare(index)
        parts = bare if isinstance(bare, tuple) else (bare,)
        is_view = all(isinstance(part, int | np.integer | slice | None) or part is Ellipsis for part in parts)
        return StandIn(None, self, bare, shared=self._shared) if is_view else StandIn(self.array[bare])

    def __setitem__(self, index: Any, value: Any) -> None:
        self._write(self.array.at[_bare(index)].set(_bare(value)))

    def __iter__(self) -> Any:
        return (self[k] for k in range(len(self)))

    def __len__(self) -> int:
        return len(self.array)

    def __bool__(self) -> bool:
        return bool(self.array)

    def __float__(self) -> float:
        return float(self.array)

    def __int__(self) -> int:
        return int(self.array)

    def __index__(self) -> int:
        return int(self.array)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        found = getattr(self.array, name)
        if isinstance(found, jax.Array):
            self._shared = self._shared or name in _VIEWS
            return StandIn(found, shared=self._shared)
        if not callable(found):
            return found
        return lambda *args, **keywords: self._result(  # pyright: ignore
            lambda _, *args, **keywords: found(*args, **keywords), (self, *args), keywords, None, name
        )
