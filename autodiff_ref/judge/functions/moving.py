"""How far a function moves over the interval in which its argument is known to lie: what the rows' `change` is made of."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from autodiff_ref.judge.functions.row import Array

BARELY = 1 - 2.0**-50
"""makes up for the rounding of a number from which 2e is taken, little of which may be left"""

A_LITTLE = 1 + 2.0**-20
"""makes up for the rounding of a few operations"""


def nearest(x: Array, e: Array) -> Array:
    """The least |x| in the interval."""
    return np.maximum(np.abs(x) - 2 * e, 0)


def farthest(x: Array, e: Array) -> Array:
    """The greatest |x| in the interval."""
    return np.abs(x) + 2 * e


def _gap_to_one(x: Array, e: Array) -> Array:
    """1 − |x| − 2e, in which 1 − |x| is not rounded where it is small."""
    return (1 - np.abs(x)) * BARELY - 2 * e


def _where(inside: Array, change: Array) -> Array:
    """Without information where the interval leaves the domain, or touches a pole."""
    return np.where(inside, change, np.inf)


def exp(x: Array, e: Array) -> Array:
    """Of e^x e^{2e} the first may underflow."""
    return np.exp(x + 2 * e) * e * A_LITTLE


def log(x: Array, e: Array) -> Array:
    low = x - 2 * e
    return _where(low > 0, e / low)


def log1p(x: Array, e: Array) -> Array:
    low = (1 + x) * BARELY - 2 * e
    return _where(low > 0, e / low * A_LITTLE)


def _sigmoid_slope(x: Array) -> Array:
    """σ'(x) for x ≥ 0"""
    t = np.exp(-x)
    return t / (1 + t) ** 2


def logistic(x: Array, e: Array) -> Array:
    return _sigmoid_slope(nearest(x, e)) * e * A_LITTLE


def tanh(x: Array, e: Array) -> Array:
    return 4 * _sigmoid_slope(2 * nearest(x, e)) * e * A_LITTLE


def sqrt(x: Array, e: Array) -> Array:
    """e / 2√x, and never more than √e; below 0 some computed x may be, and its root is NaN"""
    low = x - 2 * e
    return _where(low >= 0, np.minimum(e / (2 * np.sqrt(low)), np.sqrt(e)))


def rsqrt(x: Array, e: Array) -> Array:
    low = x - 2 * e
    return _where(low > 0, 0.5 * (e / low) / np.sqrt(low))  # never low^{3/2}, which overflows where this does not


def cbrt(x: Array, e: Array) -> Array:
    return np.minimum(e / (3 * nearest(x, e) ** (2 / 3)), np.cbrt(4 * e))


def tan(x: Array, e: Array) -> Array:
    least = np.abs(np.cos(x)) * BARELY - 2 * e
    return _where(least > 0, e / least**2)


def asin(x: Array, e: Array) -> Array:
    """e / √(1 − x²), and never more than from 1 to 1 − e: acos(1 − e) ≤ π √(e/2)"""
    gap = _gap_to_one(x, e)
    return _where(gap >= 0, np.minimum(e / np.sqrt(gap * (2 - gap)), np.pi * np.sqrt(e / 2)))


def acosh(x: Array, e: Array) -> Array:
    gap = x - 1 - 2 * e
    return _where(gap > 0, e / (np.sqrt(gap) * np.sqrt(gap + 2)))


def atanh(x: Array, e: Array) -> Array:
    gap = _gap_to_one(x, e)
    return _where(gap > 0, e / (gap * (2 - gap)))


def erf(x: Array, e: Array) -> Array:
    return 2 / np.sqrt(np.pi) * np.exp(-(nearest(x, e) ** 2)) * e


def _jax_in_float64(f: Callable[[jax.Array], jax.Array], x: Array) -> Array:
    return np.asarray(f(jnp.asarray(x.ravel()))).reshape(x.shape)


def erf_inv(x: Array, e: Array) -> Array:
    """√π/2 exp(erf⁻¹(x)²), which grows with |x|"""
    far = farthest(x, e)
    return _where(far < 1, np.sqrt(np.pi) / 2 * np.exp(_jax_in_float64(lax.erf_inv, far) ** 2) * e * A_LITTLE)


def _between_poles(x: Array, e: Array) -> tuple[Array, Array, Array]:
    """Whether an interval holds none of the poles 0, −1, −2, …; and its ends."""
    low, high = x - 2 * e, x + 2 * e
    return (low > 0) | ((np.floor(low) == np.floor(high)) & (low != np.floor(low))), low, high


def lgamma(x: Array, e: Array) -> Array:
    """The digamma function grows between poles, so that its size is largest at an end."""
    inside, low, high = _between_poles(x, e)
    ends = [np.abs(_jax_in_float64(lax.digamma, end)) for end in (low, high)]
    return _where(inside, (np.maximum(*ends) * A_LITTLE + 2.0**-20) * e)


def digamma(x: Array, e: Array) -> Array:
    """ψ'(x) = Σ 1/(x + k)² ≤ 1/x + 1/x² for x > 0; else 2/r² + π²/3 at a distance r from the nearest pole."""
    inside, low, high = _between_poles(x, e)
    r = np.minimum(low - np.floor(low), np.ceil(high) - high)
    return _where(inside, e * np.where(low > 0, 1 / low + 1 / low**2, 2 / r**2 + np.pi**2 / 3))
