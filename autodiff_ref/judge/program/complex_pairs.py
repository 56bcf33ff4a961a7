"""A complex array as its real and imaginary part, and what adds and multiplies such."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np


@dataclass(frozen=True)
class Pair:
    """A complex array: its parts, None for one that is 0 throughout."""

    real: Any
    imag: Any
    shape: tuple[int, ...]
    dtype: Any
    """of each part"""

    @property
    def both(self) -> tuple[Any, Any]:
        """The parts, with zeros spelled out."""
        zeros = jnp.zeros(self.shape, self.dtype)
        return zeros if self.real is None else self.real, zeros if self.imag is None else self.imag

    def each(self, f: Callable[[Any], Any], shape: tuple[int, ...] | None = None, dtype: Any = None) -> "Pair":
        """A function of each part that is there, which makes 0 of 0."""
        real, imag = (None if part is None else f(part) for part in (self.real, self.imag))
        return Pair(real, imag, self.shape if shape is None else shape, dtype or self.dtype)


def pair_of(real: Any, imag: Any) -> Pair:
    """The pair of two parts, at most one of which is None."""
    one = real if real is not None else imag
    return Pair(real, imag, tuple(np.shape(one)), one.dtype)


def plus(a: Any, b: Any) -> Any:
    """a + b, None standing for 0."""
    if a is None or b is None:
        return b if a is None else a
    return a + b


def minus(a: Any, b: Any) -> Any:
    """a − b, None standing for 0."""
    if b is None:
        return a
    return -b if a is None else a - b


def times(a: Any, b: Any, product: Callable[[Any, Any], Any] = lambda a, b: a * b) -> Any:
    """A product of two parts, None standing for 0."""
    return None if a is None or b is None else product(a, b)


def multiplied(z: Pair, w: Pair, product: Callable[[Any, Any], Any] = lambda a, b: a * b) -> Pair:
    """The product of two pairs, by a product of their parts that is linear in both."""
    real = minus(times(z.real, w.real, product), times(z.imag, w.imag, product))
    imag = plus(times(z.real, w.imag, product), times(z.imag, w.real, product))
    if real is None and imag is None:
        shape = product(jnp.zeros(z.shape, z.dtype), jnp.zeros(w.shape, w.dtype)).shape
        return Pair(None, None, shape, z.dtype)
    return pair_of(real, imag)
