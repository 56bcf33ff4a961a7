"""A gradient as floats have it, held against what it should be: exact balls, or floats with bounds."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from flint import arb

from autodiff_ref.verify.verdict import PRECISIONS, Evaluation, Evaluator
from autodiff_ref.verify.walker.plans import Array

Allowed = Callable[[], Array]
"""how far from exact each component may be; computed only where it matters"""


@dataclass(frozen=True)
class Computed:
    """A gradient in floats, flat."""

    values: Array
    """in float64, or more precisely where it was computed so"""
    dtype: Any
    """of the least precise of its leaves"""

    @classmethod
    def of(cls, value: Any) -> "Computed":
        """The entries of all leaves."""
        leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(value)]
        coarsest = max((leaf.dtype for leaf in leaves), key=lambda dtype: float(jax.numpy.finfo(dtype).eps))
        wide = [leaf.astype(np.longdouble if leaf.dtype == np.longdouble else np.float64) for leaf in leaves]
        return cls(np.concatenate([np.ravel(leaf) for leaf in wide]), coarsest)

    def gaps(self, balls: Evaluation) -> Array:
        """|computed − exact| of each component, up to the width of the balls."""
        high = np.array([float(v) for v in balls.values])
        low = np.array([float(v - arb(h)) if np.isfinite(h) else 0.0 for v, h in zip(balls.values, high, strict=True)])
        with np.errstate(all="ignore"):
            return np.abs((self.values - high) - low).astype(np.float64)

    def beyond(self, middles: Array, radii: Array, allowances: Iterable[Allowed]) -> list[int]:
        """The components further from the exact ones than every allowance explains, the relatively worst first.

        The exact ones lie within `radii` of `middles`; where they are larger than any float, infinity is right.
        """
        info = jax.numpy.finfo(self.dtype)
        with np.errstate(all="ignore"):
            own = float(info.eps) * np.abs(middles) + radii + float(info.tiny)
            gap = np.abs(self.values - middles).astype(np.float64)
            overflown = (self.values == np.sign(middles) * np.inf) & (np.abs(middles) >= float(info.max))
            within = ((gap <= 8 * own) & np.isfinite(self.values)) | overflown
            for allowed in allowances:
                if np.all(within):
                    break
                within |= (gap <= allowed() + own) & np.isfinite(self.values)
            if np.all(within):
                return []
            share = np.nan_to_num(gap / np.maximum(np.abs(middles), np.abs(self.values)), nan=np.inf)
        return sorted(map(int, np.flatnonzero(~within)), key=lambda k: -share[k])


def floats(balls: Evaluation) -> tuple[Array, Array]:
    """The middles of balls, and their radii."""
    return np.array([float(v) for v in balls.values]), np.array([float(v.rad()) for v in balls.values])


def settled(side: Evaluator) -> Evaluation | None:
    """The value at the first precision that gives it 64 bits, or no more than the one before; None where it has none."""
    before, last = None, None
    for bits in PRECISIONS:
        at = side(bits, "balls", "exact")
        if at.unresolved or not all(v.is_finite() for v in at.values):
            continue
        accuracy = [v.rel_accuracy_bits() for v in at.values]
        if all(a >= 64 for a in accuracy) or accuracy == before:
            return at
        before, last = accuracy, at
    return last


COARSE = {53: 40, 24: 15, 11: 6, 8: 4}
"""Bits of balls that hold what floats of so many bits compute, in whatever order and form a compiler chooses."""


def coarse(side: Evaluator, dtype: Any) -> Allowed:
    """The radii of balls of few bits: what compiled code may be off, which does not keep to the operations as written."""
    bits = COARSE.get(jax.numpy.finfo(dtype).nmant + 1, 40)

    def radii() -> Array:
        values = side(bits, "balls", "exact").values
        return np.array([float(v.rad()) if v.is_finite() else np.inf for v in values])

    return radii
