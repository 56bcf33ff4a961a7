"""Rounding bounds of functions: how far f moves over the interval its argument is known to lie in, and the granted ulps.

For an operand within e of the exact one, a `Change` is at least |f(x') − f(x)|: with every computed x' and the exact x in
[x̂ − 2e, x̂ + 2e], and |x' − x| ≤ e, that is e times the supremum of |f'| there.
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend import core

from autodiff_ref.judge.floats.granted import FROM_ZERO_ON, GRANTED, Granted
from autodiff_ref.judge.floats.values import Bounded, format_of, is_exact, is_zero, magnitude, rounded
from autodiff_ref.judge.program.plans import Array, Equation, Rule, Step

Change = Callable[[Array, Array], Array]
"""change(x̂, e) in float64"""


IN_NUMPY: dict[str, Callable[..., Array]] = {
    "exp": np.exp,
    "exp2": np.exp2,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "logistic": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "cbrt": np.cbrt,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "pow": np.power,
    "atan2": np.arctan2,
}
"""What NumPy computes as accurately as is granted, for a few hundred numbers in a hundredth of the time: JAX takes 50 µs to
begin. A bound is good for both, since any computed value lies within it."""


def computed(primitive: core.Primitive, params: Any, *arrays: Array) -> Array:
    """A primitive entry by entry: by NumPy where it can, float32 in float64; else as JAX computes it on its own."""
    function = IN_NUMPY.get(primitive.name)
    if function is not None:
        return function(*[x.astype(np.float64, copy=False) for x in arrays]).astype(arrays[0].dtype, copy=False)
    shape = np.broadcast_shapes(*[array.shape for array in arrays])
    flat = [jnp.asarray(np.broadcast_to(array, shape).ravel()) for array in arrays]
    return np.asarray(primitive.bind(*flat, **params)).reshape(shape)


def granted(name: str, dtype: Any) -> Granted:
    """What a function is granted in a dtype."""
    return GRANTED[name][0 if np.dtype(dtype) == np.float32 else 1]


def _nearest(x: Array, e: Array) -> Array:
    """The least |x| in the interval."""
    return np.maximum(np.abs(x) - 2 * e, 0)


def _farthest(x: Array, e: Array) -> Array:
    return np.abs(x) + 2 * e


def _gap_to_one(x: Array, e: Array) -> Array:
    """1 − |x| − 2e, in which 1 − |x| is not rounded where it is small."""
    return (1 - np.abs(x)) * BARELY - 2 * e


BARELY = 1 - 2.0**-50
"""makes up for the rounding of a number from which 2e is taken, little of which may be left"""


def _where(inside: Array, change: Array) -> Array:
    """Without information where the interval leaves the domain, or touches a pole."""
    return np.where(inside, change, np.inf)


def _log(x: Array, e: Array) -> Array:
    low = x - 2 * e
    return _where(low > 0, e / low)


def _log1p(x: Array, e: Array) -> Array:
    low = (1 + x) * BARELY - 2 * e
    return _where(low > 0, e / low * (1 + 2.0**-20))


def _sigmoid_slope(x: Array) -> Array:
    """σ'(x) for x ≥ 0"""
    t = np.exp(-x)
    return t / (1 + t) ** 2


def _sqrt(x: Array, e: Array) -> Array:
    """e / 2√x, and never more than √e; below 0 some computed x may be, and its root is NaN"""
    low = x - 2 * e
    return _where(low >= 0, np.minimum(e / (2 * np.sqrt(low)), np.sqrt(e)))


def _rsqrt(x: Array, e: Array) -> Array:
    low = x - 2 * e
    return _where(low > 0, 0.5 * (e / low) / np.sqrt(low))  # never low^{3/2}, which overflows where this does not


def _cbrt(x: Array, e: Array) -> Array:
    return np.minimum(e / (3 * _nearest(x, e) ** (2 / 3)), np.cbrt(4 * e))


def _tan(x: Array, e: Array) -> Array:
    least = np.abs(np.cos(x)) * BARELY - 2 * e
    return _where(least > 0, e / least**2)


def _asin(x: Array, e: Array) -> Array:
    """e / √(1 − x²), and never more than from 1 to 1 − e: acos(1 − e) ≤ π √(e/2)"""
    gap = _gap_to_one(x, e)
    return _where(gap >= 0, np.minimum(e / np.sqrt(gap * (2 - gap)), np.pi * np.sqrt(e / 2)))


def _acosh(x: Array, e: Array) -> Array:
    gap = x - 1 - 2 * e
    return _where(gap > 0, e / (np.sqrt(gap) * np.sqrt(gap + 2)))


def _atanh(x: Array, e: Array) -> Array:
    gap = _gap_to_one(x, e)
    return _where(gap > 0, e / (gap * (2 - gap)))


def _erf(x: Array, e: Array) -> Array:
    return 2 / np.sqrt(np.pi) * np.exp(-(_nearest(x, e) ** 2)) * e


def _jax_in_float64(f: Callable[[Any], Any], x: Array) -> Array:
    return np.asarray(f(jnp.asarray(x.ravel()))).reshape(x.shape)


def _erf_inv(x: Array, e: Array) -> Array:
    """√π/2 exp(erf⁻¹(x)²), which grows with |x|"""
    far = _farthest(x, e)
    return _where(far < 1, np.sqrt(np.pi) / 2 * np.exp(_jax_in_float64(lax.erf_inv, far) ** 2) * e * (1 + 2.0**-20))


def _between_poles(x: Array, e: Array) -> tuple[Array, Array, Array]:
    """Whether an interval holds none of the poles 0, −1, −2, …; and its ends."""
    low, high = x - 2 * e, x + 2 * e
    return (low > 0) | ((np.floor(low) == np.floor(high)) & (low != np.floor(low))), low, high


def _lgamma(x: Array, e: Array) -> Array:
    """The digamma function grows between poles, so that its size is largest at an end."""
    inside, low, high = _between_poles(x, e)
    ends = [np.abs(_jax_in_float64(lax.digamma, end)) for end in (low, high)]
    return _where(inside, (np.maximum(*ends) * (1 + 2.0**-20) + 2.0**-20) * e)


def _digamma(x: Array, e: Array) -> Array:
    """ψ'(x) = Σ 1/(x + k)² ≤ 1/x + 1/x² for x > 0; else 2/r² + π²/3 at a distance r from the nearest pole."""
    inside, low, high = _between_poles(x, e)
    r = np.minimum(low - np.floor(low), np.ceil(high) - high)
    return _where(inside, e * np.where(low > 0, 1 / low + 1 / low**2, 2 / r**2 + np.pi**2 / 3))


CHANGES: dict[str, Change] = {
    "exp": lambda x, e: np.exp(x + 2 * e) * e * (1 + 2.0**-20),  # of e^x e^{2e} the first may underflow
    "exp2": lambda x, e: np.exp2(x + 2 * e) * e,
    "expm1": lambda x, e: np.exp(x + 2 * e) * e * (1 + 2.0**-20),
    "log": _log,
    "log1p": _log1p,
    "logistic": lambda x, e: _sigmoid_slope(_nearest(x, e)) * e * (1 + 2.0**-20),
    "tanh": lambda x, e: 4 * _sigmoid_slope(2 * _nearest(x, e)) * e * (1 + 2.0**-20),
    "sqrt": _sqrt,
    "rsqrt": _rsqrt,
    "cbrt": _cbrt,
    "sin": lambda x, e: np.minimum(np.abs(np.cos(x)) + 2 * e, 1) * e,
    "cos": lambda x, e: np.minimum(np.abs(np.sin(x)) + 2 * e, 1) * e,
    "tan": _tan,
    "asin": _asin,
    "acos": _asin,
    "atan": lambda x, e: e / (1 + _nearest(x, e) ** 2),
    "sinh": lambda x, e: np.cosh(_farthest(x, e)) * e,
    "cosh": lambda x, e: np.sinh(_farthest(x, e)) * e,
    "asinh": lambda x, e: e / np.hypot(1, _nearest(x, e)),
    "acosh": _acosh,
    "atanh": _atanh,
    "erf": _erf,
    "erfc": _erf,
    "erf_inv": _erf_inv,
    "lgamma": _lgamma,
    "digamma": _digamma,
    "bessel_i0e": lambda x, e: e * np.ones_like(x),  # −1 ≤ e^−x (I₁(x) − I₀(x)) ≤ 0 for x ≥ 0, and it is even
    "bessel_i1e": lambda x, e: e * np.full_like(x, 0.5),  # its slope is largest at 0
}


def _function(name: str) -> Rule:
    change = CHANGES[name]

    def rule(equation: Equation) -> Step:
        grant, u = granted(name, equation.results[0].dtype), format_of(equation.results[0].dtype).u

        def step(_: Any, x: Bounded) -> Bounded:
            value = computed(equation.primitive, equation.params, x.value)
            at = x.value.astype(np.float64, copy=False)
            e = x.error + grant.argument * u * np.abs(at) if grant.argument else x.error
            propagated = 0.0 if is_exact(x) and not grant.argument else change(at, e) * (1 + 2.0**-20)
            if name in FROM_ZERO_ON:
                propagated = np.where(at - 2 * e > 0, propagated, np.inf)
            made = rounded(value, propagated, grant.units, vanishes=lambda: _stays_zero(name, x, value))
            return Bounded(made.value, made.error + grant.absolute) if grant.absolute else made

        return step

    return rule


_ZERO_AT_ZERO = frozenset(CHANGES) - {
    "exp",
    "exp2",
    "log",
    "logistic",
    "rsqrt",
    "cos",
    "cosh",
    "acos",
    "acosh",
    "erfc",
    "lgamma",
    "digamma",
    "bessel_i0e",
}


def _stays_zero(name: str, x: Bounded, value: Array) -> Array:
    """Where a function is exactly 0: at an exact 0, and the exponential at −∞."""
    zero = value == 0
    if not zero.any():
        return zero
    if name in _ZERO_AT_ZERO:
        return zero & is_zero(x)
    return zero & np.isneginf(x.value) & (x.error == 0) & (name in ("exp", "exp2", "logistic"))


def _pow(equation: Equation) -> Step:
    """x^y = e^{y log x} for x > 0, where y log x moves by at most m and is below its 2m more: P = m e^{y log x + 2m}.

    For an integer y and an x that may be negative, as `integer_pow`.
    """
    grant = granted("pow", equation.results[0].dtype)
    if not equation.operands[1].is_real:
        raise NotImplementedError("no rounding bounds for `pow` by integers that are no constants")

    def step(_: Any, x: Bounded, y: Bounded) -> Bounded:
        value = computed(equation.primitive, equation.params, x.value, y.value)
        if is_exact(x) and is_exact(y):
            return rounded(value, 0.0, grant.units, vanishes=lambda: (value == 0) & (x.value == 0))
        u, v = x.value.astype(np.float64), y.value.astype(np.float64)
        low = u - 2 * x.error
        size = np.maximum(np.abs(np.log(np.abs(low))), np.abs(np.log(u + 2 * x.error)))
        moved = size * y.error + magnitude(y) * x.error / low
        by_log = np.exp(v * np.log(u) + 2 * moved) * moved * (1 + 2.0**-10)  # |value| may be 0 where this is not
        far = np.where(v >= 1, _farthest(u, x.error), _nearest(u, x.error))
        is_integer = (v == np.rint(v)) & (y.error == 0)
        by_power = np.abs(v) * far ** (v - 1) * x.error
        propagated = np.where(low > 0, by_log, np.where(is_integer, by_power, np.inf))
        return rounded(value, propagated, grant.units, vanishes=lambda: (value == 0) & is_zero(x))

    return step


def _atan2(equation: Equation) -> Step:
    """|∇ atan2| = 1/r, r the distance from the origin; across the cut, x < 0 with y ≈ 0, it jumps by 2π."""
    grant = granted("atan2", equation.results[0].dtype)

    def step(_: Any, y: Bounded, x: Bounded) -> Bounded:
        value = computed(equation.primitive, equation.params, y.value, x.value)
        if is_exact(x) and is_exact(y):
            return rounded(value, 0.0, grant.units, vanishes=lambda: (value == 0) & (y.value == 0))
        moved = np.hypot(x.error, y.error)
        r = np.hypot(x.value.astype(np.float64), y.value.astype(np.float64)) * BARELY - 2 * moved
        cut = (x.value - 2 * x.error < 0) & (np.abs(y.value) <= 2 * y.error)
        propagated = np.where(r > 0, moved / r, np.inf) + np.where(cut, 2 * np.pi, 0.0)
        return rounded(value, propagated, grant.units, vanishes=lambda: (value == 0) & is_zero(y))

    return step


FUNCTIONS: dict[str, Rule] = {**{name: _function(name) for name in CHANGES}, "pow": _pow, "atan2": _atan2}
"""rules of rounding for functions by the names of primitives"""
