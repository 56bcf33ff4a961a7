"""A gradient as floats have it, held against what it should be: exact balls, or floats with bounds."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import jax
import numpy as np

from autodiff_ref.judge.assertion.exactly import Exact
from autodiff_ref.judge.evaluation import Evaluator, coarse_bits
from autodiff_ref.judge.program.plans import Array
from autodiff_ref.trees import PyTree

Allowed = Callable[[], Array]
"""how far from exact each component may be; computed only where it matters"""


@dataclass(frozen=True)
class Outside:
    """The components that nothing explains, the relatively worst first."""

    wrong: list[int]
    """further off than every bound that there is"""
    open: list[int]
    """without any bound: all are infinite, which allows nothing and shows nothing"""

    def __bool__(self) -> bool:
        return bool(self.wrong or self.open)


@dataclass(frozen=True)
class Computed:
    """A gradient in floats, flat."""

    values: Array
    """in float64, or more precisely where it was computed so"""
    dtype: np.dtype
    """of the least precise of its leaves; float64 where all are integers, which are exact"""

    @classmethod
    def of(cls, value: PyTree) -> "Computed":
        """The entries of all leaves."""
        leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(value)]
        real = [leaf.dtype for leaf in leaves if leaf.dtype.kind not in "biu"]
        coarsest = max(real, key=lambda dtype: float(jax.numpy.finfo(dtype).eps), default=np.dtype(np.float64))
        wide = [leaf.astype(np.longdouble if leaf.dtype == np.longdouble else np.float64) for leaf in leaves]
        return cls(np.concatenate([np.ravel(leaf) for leaf in wide]), coarsest)

    def gaps(self, truth: Exact) -> Array:
        """|computed − exact| of each component, up to how far the exact one is known."""
        with np.errstate(all="ignore"):
            return np.abs((self.values - truth.high) - truth.low).astype(np.float64)

    def outside(self, middles: Array, radii: Array, allowances: Iterable[Allowed]) -> Outside:
        """The components further from the exact ones than every allowance explains.

        The exact ones lie within `radii` of `middles`; where they are larger than any float, infinity is right. An
        allowance that is infinite or NaN explains nothing.
        """
        info = jax.numpy.finfo(self.dtype)
        with np.errstate(all="ignore"):
            own = float(info.eps) * np.abs(middles) + np.where(np.isfinite(radii), radii, 0.0) + float(info.tiny)
            gap = np.abs(self.values - middles).astype(np.float64)
            overflown = (self.values == np.sign(middles) * np.inf) & (np.abs(middles) >= float(info.max))
            within = ((gap <= 8 * own) & np.isfinite(self.values) & np.isfinite(middles)) | overflown
            bounded = ~np.isfinite(self.values)
            for allowed in allowances:
                if np.all(within):
                    break
                known = allowed()
                finite = np.isfinite(known)
                within |= finite & (gap <= known + own) & np.isfinite(self.values)
                bounded |= finite
            if np.all(within):
                return Outside([], [])
            share = np.nan_to_num(gap / np.maximum(np.abs(middles), np.abs(self.values)), nan=np.inf)
        order = sorted(map(int, np.flatnonzero(~within)), key=lambda k: -share[k])
        return Outside([k for k in order if bounded[k]], [k for k in order if not bounded[k]])


def coarse(side: Evaluator, bits: int) -> Allowed:
    """The radii of coarse balls: what compiled code may be off in floats of so many bits."""

    def radii() -> Array:
        at = side(coarse_bits(bits), "balls", "exact")
        return np.array([float(v.rad()) if v.is_finite() and not at.unresolved else np.inf for v in at.values])

    return radii
