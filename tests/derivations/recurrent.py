"""Loops: a recurrent net through `scan`, and a convolution, by their weights.

    h_0 = 0   h_t = tanh(u h_{t−1} + x_t)   L = ½ Σ_t (h_t − y_t)²

By hand, the gradient comes back through time: δ_t = (h_t − y_t + u δ_{t+1}) (1 − h_t²), and dL/du = Σ_t δ_t h_{t−1}.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from manual_grad import Derivation, reals
from tests.derivations._planted import planted

Number = Float[Array, ""]
Series = Float[Array, " n"]
Nabla = Any


def states(u: Number, x: Series) -> Series:
    """h_t = tanh(u h_{t−1} + x_t)"""

    def step(h: Number, x_t: Number) -> tuple[Number, Number]:
        h = jnp.tanh(u * h + x_t)
        return h, h

    return jax.lax.scan(step, jnp.zeros_like(x[0]), x)[1]


def before(h: Series) -> Series:
    """h_{t−1}, with h_0 = 0"""
    return jnp.concatenate([jnp.zeros_like(h[:1]), h[:-1]])


def squared_error(u: Number, x: Series, y: Series) -> Number:
    """L = ½ Σ_t (h − y)²"""
    return 0.5 * jnp.sum((states(u, x) - y) ** 2)


def one_step(u: Number, h: Series, x: Series) -> Series:
    """tanh(u h_{t−1} + x_t), the state before held fixed"""
    return jnp.tanh(u * before(h) + x)


def drives(u: Number, h: Series, x: Series) -> Series:
    """a_t = u h_{t−1} + x_t, the state before held fixed"""
    return u * before(h) + x


def blame(u: Number, x: Series, y: Series) -> Series:
    """e_t = h_t − y_t + u (1 − h_{t+1}²) e_{t+1}: the derivative of L by h_t, back through time"""

    def step(later: Number, at: tuple[Number, Number]) -> tuple[Number, Number]:
        h, y_t = at
        e = h - y_t + later
        return u * (1 - h**2) * e, e

    h = states(u, x)
    return jax.lax.scan(step, jnp.zeros_like(x[0]), (h, y), reverse=True)[1]


def line_1(u: Number, x: Series, y: Series, nabla: Nabla) -> Number:
    """Σ (h − y) dh/du"""
    return (states(u, x) - y) @ nabla(states)(u, x)


def line_2(u: Number, x: Series, y: Series, nabla: Nabla) -> Number:
    """Σ e ∂tanh(u h_{t−1} + x)/∂u,  e_t = h_t − y_t + u (1 − h_{t+1}²) e_{t+1}"""
    return blame(u, x, y) @ nabla(one_step)(u, states(u, x), x)


def line_3(u: Number, x: Series, y: Series, nabla: Nabla) -> Number:
    """Σ e (1 − h²) ∂(u h_{t−1} + x)/∂u"""
    h = states(u, x)
    return (blame(u, x, y) * (1 - h**2)) @ nabla(drives)(u, h, x)


def line_4(u: Number, x: Series, y: Series, nabla: Nabla) -> Number:
    """Σ e (1 − h²) h_{t−1}"""
    h = states(u, x)
    return (blame(u, x, y) * (1 - h**2)) @ before(h)


RECURRENT = Derivation(
    "dL/du of a recurrent net",
    of=squared_error,
    wrt="u",
    domain=(reals(), reals("n"), reals("n")),
    lines=[line_1, line_2, line_3, line_4],
    sizes={"n": (2, 4)},
)


# A convolution: y_t = Σ_k w_k x_{t+k}


def filtered(w: Float[Array, " k"], x: Series) -> Float[Array, " m"]:
    """y_t = Σ_k w_k x_{t+k}"""
    return jnp.correlate(x, w, mode="valid")


def energy(w: Float[Array, " k"], x: Series) -> Number:
    """E = ½ Σ_t y²"""
    return 0.5 * jnp.sum(filtered(w, x) ** 2)


def filter_1(w: Float[Array, " k"], x: Series, nabla: Nabla) -> Float[Array, " k"]:
    """Σ_t y ∇y"""
    return filtered(w, x) @ nabla(filtered)(w, x)


def filter_2(w: Float[Array, " k"], x: Series, nabla: Nabla) -> Float[Array, " k"]:
    """Σ_t y_t x_{t+k}"""
    y = filtered(w, x)
    return jnp.stack([y @ x[k : k + len(y)] for k in range(len(w))])


def filter_3(w: Float[Array, " k"], x: Series, nabla: Nabla) -> Float[Array, " k"]:
    """x correlated with y"""
    return jnp.correlate(x, filtered(w, x), mode="valid")


CONVOLUTION = Derivation(
    "∇_w ½ Σ y² of a filter",
    of=energy,
    wrt="w",
    domain=(reals(2), reals("n")),
    lines=[filter_1, filter_2, filter_3],
    sizes={"n": (4, 6)},
)


# Broken on purpose


def forgot_the_past(u: Number, x: Series, y: Series, nabla: Nabla) -> Number:
    """Σ (h − y) ∂tanh(u h_{t−1} + x)/∂u: as if the state before did not depend on u"""
    h = states(u, x)
    return (h - y) @ nabla(one_step)(u, h, x)


def took_the_slope_before(u: Number, x: Series, y: Series, nabla: Nabla) -> Number:
    """Σ e (1 − h_{t−1}²) ∂(u h_{t−1} + x)/∂u"""
    h = states(u, x)
    return (blame(u, x, y) * (1 - before(h) ** 2)) @ nabla(drives)(u, h, x)


def took_the_state_after(u: Number, x: Series, y: Series, nabla: Nabla) -> Number:
    """Σ e (1 − h²) h_t"""
    h = states(u, x)
    return (blame(u, x, y) * (1 - h**2)) @ h


def turned_the_filter_round(w: Float[Array, " k"], x: Series, nabla: Nabla) -> Float[Array, " k"]:
    """x convolved with y"""
    return jnp.convolve(x, filtered(w, x), mode="valid")


BROKEN = [
    planted(RECURRENT, "line_2", forgot_the_past),
    planted(RECURRENT, "line_3", took_the_slope_before),
    planted(RECURRENT, "line_4", took_the_state_after),
    planted(CONVOLUTION, "filter_3", turned_the_filter_round),
]
