"""The nested function σ(w21ᵀ[σ(w11ᵀx), σ(w12ᵀx)]) once more, written afresh in JAX, to be differentiated by machine.

Nothing here is shared with `manual_grad`: a mistake made there cannot be made again here. Any triple of weight vectors
(w11, w12, w21) will do, `manual_grad.Weights` among them.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Triple = Any
"""(w11, w12, w21), of shapes (d,), (d,) and (2,): a tuple or NamedTuple of arrays."""


def score(w: Triple, x: Float[Array, "*n d"]) -> Float[Array, "*n"]:
    """w21ᵀ[σ(w11ᵀx), σ(w12ᵀx)], one number an example"""
    w11, w12, w21 = w
    return w21[0] * _squash(x @ w11) + w21[1] * _squash(x @ w12)


def probability(w: Triple, x: Float[Array, "*n d"], y: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """σ(y w21ᵀ[σ(w11ᵀx), σ(w12ᵀx)])"""
    return _squash(y * score(w, x))


def log_likelihood(w: Triple, x: Float[Array, "*n d"], y: Float[Array, "*n"]) -> Float[Array, ""]:
    """Σ log σ(y w21ᵀ[σ(w11ᵀx), σ(w12ᵀx)])"""
    return -jnp.sum(jnp.logaddexp(0.0, -y * score(w, x)))


def _squash(z: Float[Array, "*n"]) -> Float[Array, "*n"]:
    return jax.lax.logistic(z)
