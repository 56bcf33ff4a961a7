"""Entries that a mask selects, in a trace that is to hold for all inputs.

How many there are hangs on the input. So all entries are computed with, those left out as if they were ½; and the mask says
which of them are written, or summed: `y[x > 0] = np.log(x[x > 0])` is y = where(x > 0, log(where(x > 0, x, ½)), y).
"""

from typing import Any

import numpy as np

from autodiff_ref.judge.numpy_code.mapping import is_standing, real_of
from autodiff_ref.judge.numpy_code.run import NotFollowedError

SAFE = 0.5
"""where logarithms, roots, quotients and inverse sines have a value"""


class Selected(np.lib.mixins.NDArrayOperatorsMixin):
    """The entries of an array that a mask selects."""

    def __init__(self, whole: Any, mask: Any, written: int) -> None:
        self.whole, self.mask, self.written = whole, mask, written

    @classmethod
    def of(cls, array: Any, mask: Any) -> "Selected":
        """array[mask]; a mask of the first axes selects rows."""
        return cls(np.where(_beside(mask, array), array, array.held.dtype.type(SAFE)), mask, mask.root.written)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **keywords: Any) -> Any:
        if keywords.get("out") == (self,):  # x[m] *= 2, which is written back after that
            del keywords["out"]
        if method != "__call__" or keywords or not all(self._goes_with(each) for each in inputs):
            raise self._refused()
        return Selected(
            ufunc(*[each.whole if isinstance(each, Selected) else each for each in inputs]), self.mask, self.written
        )

    def __array_function__(self, f: Any, _: Any, args: Any, keywords: Any) -> Any:
        if f.__name__ != "sum":
            raise self._refused()
        return self.sum(*args[1:], **keywords)

    def sum(self, *args: Any, **keywords: Any) -> Any:
        """Of all that are selected."""
        if args or keywords:
            raise self._refused()
        return np.sum(np.where(_beside(self.mask, self.whole), self.whole, 0))

    def copy(self) -> "Selected":
        """The same: nothing is written into it."""
        return self

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise self._refused()

    def _goes_with(self, other: Any) -> bool:
        return other.is_of(self.mask) if isinstance(other, Selected) else np.ndim(real_of(other)) == 0

    def is_of(self, mask: Any) -> bool:
        """Whether a mask, as it is now, selects the same entries at all inputs."""
        return same(mask, self.mask) and self.mask.root.written == self.written

    @staticmethod
    def _refused() -> NotFollowedError:
        return NotFollowedError(
            "what is computed of entries that a mask selects hangs on how many there are",
            "compute with all entries, and choose by np.where, or multiply by the mask",
        )


def _beside(mask: Any, array: Any) -> Any:
    return mask.reshape(mask.shape + (1,) * (np.ndim(array.held) - mask.ndim))


def same(a: Any, b: Any) -> bool:
    """Whether two values are computed in one way from the very same arrays, as `x > 0` and `x > 0` are."""
    if a is b:
        return True
    if not (is_standing(a) and is_standing(b)):
        return type(a) is type(b) and np.ndim(a) == 0 and bool(a == b)
    ours, theirs = a.made_of, b.made_of
    if ours is None or theirs is None or ours[0] != theirs[0] or len(ours[1]) != len(theirs[1]):
        return False
    return ours[2] == theirs[2] == _written(ours[1]) and all(same(x, y) for x, y in zip(ours[1], theirs[1], strict=True))


def made_of(name: str, inputs: tuple[Any, ...]) -> tuple[str, tuple[Any, ...], list[int]]:
    """How a value is computed: by which function, of what, and how often that had been written into."""
    return name, inputs, _written(inputs)


def _written(inputs: tuple[Any, ...]) -> list[int]:
    return [each.root.written for each in inputs if is_standing(each)]
