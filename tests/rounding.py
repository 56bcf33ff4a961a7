"""How far a computed gradient may be from the exact one, and from another computed one. There are no other tolerances.

All lines of a derivation are sums Σ_i t_i of the same exact terms, for w11, w12 and w21

    t_i = r_i w21[j] σ'(a_ij) x_i      and      t_i = r_i h_i,      r_i = I(y_i=1) − σ(z_i),

and differ in how they compute the factors. Write u for half the distance from 1 to the next float, and let a factor that
is computed with relative error at most ρ u count ρ. A product of factors that is multiplied out with p roundings and
summed with the n − 1 others *in any order, fused or not,* is t_i (1+δ_1)…(1+δ_k) with Σ|δ| ≤ K_i u, so that

    |computed − exact| ≤ Σ_i |t_i| (e^{K_i u} − 1),      K_i = Σ ρ + p + n.

The functions of one variable are measured, in `test_sigmoid.py`, wherever their value is a normal number:

    EXP   = 4     e^z: 3.4 in NumPy's float32, 2.3 in JAX
    SIGMA = 6     σ, log σ, JAX's logistic and logaddexp(0, z). From t = e^−|z|: EXP + 2 roundings; 4.7 is the worst seen
    SLOPE = 8     σ' and what JAX makes of σ for its derivative. EXP + 2 (1 + t, squared) + 2; 6.1 is the worst seen

The arguments of these functions carry errors too, here absolute and in units of u:

    a_ij = Σ_k w_k x_ik        da = d Σ_k |w_k x_ik|                          d products, d − 1 sums
    h_ij = σ(a_ij)             relative: SIGMA + da (1 − h)                   d log σ/da = 1 − σ
    z_i  = Σ_j w21[j] h_ij     dz = Σ_j |w21[j]| h_ij (ρ(h_ij) + 2)
    m_i  = y_i z_i             dm = |y| dz, and |m| for the product where y is not ±1

and no factor below amplifies them: |d log f| ≤ 1 for f = σ, 1 − σ and σ'. The factors are

    1/p                        SIGMA + dm + 1
    y σ(−m)                    SIGMA + dm
    1 − σ(m)                   SIGMA e^m + 1 + dm                             σ/(1−σ) = e^m: the subtraction's loss
    I(y=1) − σ(z)              as 1 − σ(m) for y = +1; as σ(−m) for y = −1
    σ(1−σ)/σ, of m             SIGMA (2 + e^m) + 3 + 3 dm
    h (1 − h)                  SIGMA (1 + e^a) + 2 + da
    σ'(a)                      SLOPE + da
    exp(−m − L), L = log(1+e^−m), which is JAX's derivative of logaddexp
                               EXP + L (SIGMA + 1) + |m| + dm                 −m − L: error of L, rounded; e^… of it

At most P = 4 multiplications join the factors of a term; where σ' comes from JAX's transposition, its two summands are
scaled before they are added, 3 more each. XLA may also turn e^b e^c into e^{b+c}, which rounds its argument: 2(|a| + |m|).

What was left out, products of errors (dm u < 1e-4 in float32), is covered by a factor 1.001. The bound holds for every m and
a until something underflows; it is useful while e^m u ≪ 1. On |a|, |m| ≤ 8 the largest K is about 2 · 10⁴, that of y = +1 at
m = 8, and usual values are 100 to 2000. `test_rounding.py` compares it with what is seen.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

EXP, SIGMA, SLOPE = 4.0, 6.0, 8.0
PRODUCTS = 4
HIGHER_ORDER = 1.001

Values = Any


def unit_roundoff(dtype: Any) -> float:
    return float(np.finfo(dtype).eps) / 2


def _sigmoid(z: Values) -> Values:
    return 1 / (1 + np.exp(-z))


@dataclass(frozen=True)
class Bounds:
    """The exact terms of the gradients at an input, and the bounds of their computed sums. Computed in float64.

    The closed formulas of this class are the test's own; they share nothing with the code under test.
    """

    w: tuple[Values, Values, Values]
    x: Values
    y: Values
    dtype: Any

    @cached_property
    def a(self) -> Values:
        w11, w12, _ = self.w
        return np.stack([self.x @ w11, self.x @ w12], axis=-1)

    @cached_property
    def h(self) -> Values:
        return _sigmoid(self.a)

    @cached_property
    def m(self) -> Values:
        return self.y * (self.h @ self.w[2])

    @cached_property
    def r(self) -> Values:
        return self.y * _sigmoid(-self.m)

    def terms(self, wrt: str) -> Values:
        """t_i, (n, k): what all lines sum over i."""
        if wrt == "w21":
            return self.r[:, None] * self.h
        j = ("w11", "w12").index(wrt)
        slope = _sigmoid(self.a[:, j]) * _sigmoid(-self.a[:, j])
        return (self.r * self.w[2][j] * slope)[:, None] * self.x

    # Errors of arguments, absolute, in units of u

    @cached_property
    def da(self) -> Values:
        w11, w12, _ = self.w
        return self.x.shape[-1] * np.stack([np.abs(self.x) @ np.abs(w11), np.abs(self.x) @ np.abs(w12)], axis=-1)

    @cached_property
    def dz(self) -> Values:
        return (self.h * (self.rho_h + 2)) @ np.abs(self.w[2])

    @cached_property
    def dm(self) -> Values:
        return np.abs(self.y) * self.dz + np.where(np.abs(self.y) == 1, 0, np.abs(self.m))

    # Relative errors of factors, in units of u

    @cached_property
    def rho_h(self) -> Values:
        return SIGMA + self.da * (1 - self.h)

    @property
    def rho_reciprocal_p(self) -> Values:
        return SIGMA + self.dm + 1

    @property
    def rho_accurate(self) -> Values:
        return SIGMA + self.dm

    @property
    def rho_one_minus(self) -> Values:
        return SIGMA * np.exp(self.m) + 1 + self.dm

    @property
    def rho_indicator(self) -> Values:
        return np.where(self.y == 1, self.rho_one_minus, self.rho_accurate)

    @property
    def rho_quotient(self) -> Values:
        return SIGMA * (2 + np.exp(self.m)) + 3 + 3 * self.dm

    @property
    def rho_exp_of_difference(self) -> Values:
        loss = np.logaddexp(0, -self.m)
        return EXP + loss * (SIGMA + 1) + np.abs(self.m) + self.dm

    @property
    def rho_sigma_of_m_by_jax(self) -> Values:
        return SLOPE + 3 + self.dm

    def rho_rest(self, wrt: str, slope: str) -> Values:
        """What follows the residual: the hidden unit's slope, or h for w21."""
        if wrt == "w21":
            return self.rho_h  # (n, 2): component j is h_j's
        j = ("w11", "w12").index(wrt)
        if slope == "textbook":
            return (SIGMA * (1 + np.exp(self.a[:, j])) + 2 + self.da[:, j])[:, None]
        return (SLOPE + (3 if slope == "by JAX" else 0) + self.da[:, j])[:, None]

    def _allowed(self, wrt: str, residual: Values, slope: str, fused: bool) -> Values:
        k = np.asarray(residual)[:, None] + self.rho_rest(wrt, slope) + PRODUCTS + len(self.y)
        if fused:
            k = k + 2 * (np.abs(self.m) + np.abs(self.a).max(axis=-1))[:, None]
        return HIGHER_ORDER * (np.abs(self.terms(wrt)) * np.expm1(k * unit_roundoff(self.dtype))).sum(axis=0)

    # The bounds, component by component

    def of_line(self, label: str, wrt: str) -> Values:
        """Of a line in `manual_grad.notes`, whatever ∇ it is given, under NumPy or JAX, compiled or not."""
        by_label: dict[str, tuple[Values, str]] = {
            "line_0a": (self.rho_reciprocal_p + self.rho_sigma_of_m_by_jax, "by JAX"),
            "line_0b": (self.rho_reciprocal_p + self.rho_sigma_of_m_by_jax, "by JAX"),
            "line_1a": (self.rho_quotient, "by JAX"),
            "line_1b": (self.rho_one_minus, "by JAX"),
            "line_1c": (self.rho_one_minus, "by JAX"),
            "line_2b": (self.rho_indicator, "by JAX"),
            "line_3a": (self.rho_indicator, "by JAX"),
            "line_3b": (self.rho_indicator, "textbook"),
            "line_3c": (self.rho_indicator, "textbook"),
            "line_3_w21": (self.rho_indicator, "none"),
        }
        residual, slope = by_label[label.removesuffix("_w12")]
        return self._allowed(wrt, residual, slope, fused=True)

    def of_closed_form(self, wrt: str) -> Values:
        """Of `manual_grad.gradients`."""
        return self._allowed(wrt, self.rho_accurate, "closed form", fused=True)

    def of_jax_grad(self, wrt: str) -> Values:
        """Of `jax.grad` of `autodiff_ref`'s log-likelihood, whose σ is JAX's logistic with derivative s(1 − s)."""
        return self._allowed(wrt, self.rho_exp_of_difference, "textbook", fused=True)

    def of_log_likelihood(self) -> Values:
        """Σ_i log σ(m_i): SIGMA and n for the sum, relative; dz σ(−m), absolute, since d log σ/dm = σ(−m)."""
        loss, u = np.logaddexp(0, -self.m), unit_roundoff(self.dtype)
        return HIGHER_ORDER * float(np.sum(loss * (SIGMA + len(self.y)) + np.abs(self.r) * self.dm)) * u


def bounds(args: tuple[Any, Any, Any], dtype: Any) -> Bounds:
    """The bounds at (w, x, y), whose values must be exact in `dtype`."""
    w, x, y = args
    w11, w12, w21 = (np.asarray(vector, dtype=np.float64) for vector in w)
    return Bounds((w11, w12, w21), np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64), dtype)


def exceeds(got: Values, want: Values, allowed: Values) -> bool:
    """Whether any component differs by more than it may; NaN does."""
    difference = np.abs(np.asarray(got, dtype=np.float64) - np.asarray(want, dtype=np.float64))
    return not bool(np.all(difference <= allowed))


def assert_within(got: Values, want: Values, allowed: Values, what: str, args: Any = None) -> None:
    """Fails with the component, both values and the allowed difference, where two gradients differ by more than that."""
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape, f"{what}: shape {got.shape}, not {want.shape}"
    difference = np.abs(got.astype(np.float64) - want.astype(np.float64))
    allowed = np.broadcast_to(np.asarray(allowed), got.shape)
    for k in np.ndindex(got.shape):
        assert difference[k] <= allowed[k], (
            f"{what}, component {list(k)}: {got[k]!r} against {want[k]!r}, "
            f"{difference[k]:.3g} apart where rounding explains {allowed[k]:.3g}; at {args}"
        )
