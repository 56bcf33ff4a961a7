"""Batch normalisation under least squares, by its inputs: every example moves the mean and the variance of all.

    μ = 1/n Σ_i u   c = u − μ   v = 1/n Σ_i c²   s = (v + ε)^−½
    b = c s         o = γ b + β                  L = ½ Σ (o − t)²

    u (n, d)    inputs, one example a row
    gain, bias (d,)   γ and β
    t (n, d)    targets
    eps         ε > 0

μ, v and s are (d,). The batch has at least two examples: with one, c = 0 and nothing is left to derive.
"""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from manual_grad import Derivation, contract, positives, reals
from tests.derivations._planted import planted

Batch = Float[Array, "n d"]
Row = Float[Array, " d"]
Number = Float[Array, ""]
Nabla = Any


def squared_error(u: Batch, gain: Row, bias: Row, t: Batch, eps: Number) -> Number:
    """L = ½ Σ (o − t)²"""
    return 0.5 * jnp.sum((output(u, gain, bias, eps) - t) ** 2)


def centred(u: Batch) -> Batch:
    """c = u − μ"""
    return u - jnp.mean(u, axis=0)


def variance(u: Batch) -> Row:
    """v = 1/n Σ_i c²"""
    return jnp.mean(centred(u) ** 2, axis=0)


def scale(u: Batch, eps: Number) -> Row:
    """s = (v + ε)^−½"""
    return (variance(u) + eps) ** -0.5


def normalised(u: Batch, eps: Number) -> Batch:
    """b = c s"""
    return centred(u) * scale(u, eps)


def output(u: Batch, gain: Row, bias: Row, eps: Number) -> Batch:
    """o = γ b + β"""
    return gain * normalised(u, eps) + bias


def g(u: Batch, gain: Row, bias: Row, t: Batch, eps: Number) -> Batch:
    """g = (o − t) γ"""
    return (output(u, gain, bias, eps) - t) * gain


def line_1(u: Batch, gain: Row, bias: Row, t: Batch, eps: Number, nabla: Nabla) -> Batch:
    """Σ (o − t) ∇o"""
    return contract(output(u, gain, bias, eps) - t, nabla(output)(u, gain, bias, eps))


def line_2(u: Batch, gain: Row, bias: Row, t: Batch, eps: Number, nabla: Nabla) -> Batch:
    """Σ g ∇b,  g = (o − t) γ"""
    return contract(g(u, gain, bias, t, eps), nabla(normalised)(u, eps))


def line_3(u: Batch, gain: Row, bias: Row, t: Batch, eps: Number, nabla: Nabla) -> Batch:
    """Σ g s ∇c + Σ_j (Σ_i g c) ∇s"""
    g_ = g(u, gain, bias, t, eps)
    by_scale = contract(jnp.sum(g_ * centred(u), axis=0), nabla(scale)(u, eps))
    return contract(g_ * scale(u, eps), nabla(centred)(u)) + by_scale


def line_4(u: Batch, gain: Row, bias: Row, t: Batch, eps: Number, nabla: Nabla) -> Batch:
    """Σ g s ∇c − ½ Σ_j (Σ_i g c) s³ ∇v"""
    g_, s = g(u, gain, bias, t, eps), scale(u, eps)
    by_variance = contract(-0.5 * jnp.sum(g_ * centred(u), axis=0) * s**3, nabla(variance)(u))
    return contract(g_ * s, nabla(centred)(u)) + by_variance


def line_5(u: Batch, gain: Row, bias: Row, t: Batch, eps: Number, nabla: Nabla) -> Batch:
    """Σ g s ∇c − Σ (1/n Σ_i g c) s³ c ∇c"""
    g_, s, c = g(u, gain, bias, t, eps), scale(u, eps), centred(u)
    return contract(g_ * s, nabla(centred)(u)) - contract(jnp.mean(g_ * c, axis=0) * s**3 * c, nabla(centred)(u))


def line_6(u: Batch, gain: Row, bias: Row, t: Batch, eps: Number, nabla: Nabla) -> Batch:
    """Σ s (g − b 1/n Σ_i g b) ∇c"""
    g_, s, b = g(u, gain, bias, t, eps), scale(u, eps), normalised(u, eps)
    return contract(s * (g_ - b * jnp.mean(g_ * b, axis=0)), nabla(centred)(u))


def line_7(u: Batch, gain: Row, bias: Row, t: Batch, eps: Number, nabla: Nabla) -> Batch:
    """k − 1/n Σ_i k,  k = s (g − b 1/n Σ_i g b)"""
    g_, s, b = g(u, gain, bias, t, eps), scale(u, eps), normalised(u, eps)
    k = s * (g_ - b * jnp.mean(g_ * b, axis=0))
    return k - jnp.mean(k, axis=0)


def line_8(u: Batch, gain: Row, bias: Row, t: Batch, eps: Number, nabla: Nabla) -> Batch:
    """s (g − 1/n Σ_i g − b 1/n Σ_i g b)"""
    g_, s, b = g(u, gain, bias, t, eps), scale(u, eps), normalised(u, eps)
    return s * (g_ - jnp.mean(g_, axis=0) - b * jnp.mean(g_ * b, axis=0))


BATCH_NORM = Derivation(
    "∇_u ½ Σ (o − t)² through batch normalisation",
    of=squared_error,
    wrt="u",
    domain=(reals("n", "d"), reals("d"), reals("d"), reals("n", "d"), positives()),
    lines=[line_1, line_2, line_3, line_4, line_5, line_6, line_7, line_8],
    sizes={"n": (2, 5)},
)


# Broken on purpose


def held_the_scale(u: Batch, gain: Row, bias: Row, t: Batch, eps: Number, nabla: Nabla) -> Batch:
    """Σ g s ∇c: as if the variance did not move"""
    return contract(g(u, gain, bias, t, eps) * scale(u, eps), nabla(centred)(u))


def lowered_the_power_once_too_few(u: Batch, gain: Row, bias: Row, t: Batch, eps: Number, nabla: Nabla) -> Batch:
    """Σ g s ∇c − ½ Σ_j (Σ_i g c) s ∇v"""
    g_, s = g(u, gain, bias, t, eps), scale(u, eps)
    by_variance = contract(-0.5 * jnp.sum(g_ * centred(u), axis=0) * s, nabla(variance)(u))
    return contract(g_ * s, nabla(centred)(u)) + by_variance


def divided_by_n_minus_one(u: Batch, gain: Row, bias: Row, t: Batch, eps: Number, nabla: Nabla) -> Batch:
    """Σ g s ∇c − Σ (1/(n−1) Σ_i g c) s³ c ∇c"""
    g_, s, c = g(u, gain, bias, t, eps), scale(u, eps), centred(u)
    by_variance = jnp.sum(g_ * c, axis=0) / (len(u) - 1) * s**3 * c
    return contract(g_ * s, nabla(centred)(u)) - contract(by_variance, nabla(centred)(u))


def held_the_mean(u: Batch, gain: Row, bias: Row, t: Batch, eps: Number, nabla: Nabla) -> Batch:
    """k = s (g − b 1/n Σ_i g b): as if the mean did not move"""
    g_, s, b = g(u, gain, bias, t, eps), scale(u, eps), normalised(u, eps)
    return s * (g_ - b * jnp.mean(g_ * b, axis=0))


def averaged_the_features(u: Batch, gain: Row, bias: Row, t: Batch, eps: Number, nabla: Nabla) -> Batch:
    """s (g − 1/n Σ_i g − b 1/d Σ_j g b)"""
    g_, s, b = g(u, gain, bias, t, eps), scale(u, eps), normalised(u, eps)
    return s * (g_ - jnp.mean(g_, axis=0) - b * jnp.mean(g_ * b, axis=1, keepdims=True))


BROKEN = [
    planted(BATCH_NORM, "line_3", held_the_scale),
    planted(BATCH_NORM, "line_4", lowered_the_power_once_too_few),
    planted(BATCH_NORM, "line_5", divided_by_n_minus_one),
    planted(BATCH_NORM, "line_7", held_the_mean),
    planted(BATCH_NORM, "line_8", averaged_the_features),
]
