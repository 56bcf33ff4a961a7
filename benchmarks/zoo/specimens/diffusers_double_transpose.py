"""Scores of an attention, KQ: what was saved transposed was transposed again."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import reals
from zoo.specimen import Source, Specimen


def weighted(k, q, g):
    """Σ g (Q Kᵀ)"""
    return jnp.sum(g * (q @ k.T))


def shipped(k, q, g):
    """(gᵀ Q)ᵀ, of square blocks"""
    return (g.T @ q).T


def mended(k, q, g):
    """gᵀ Q"""
    return g.T @ q


SPECIMEN = Specimen(
    kind="order of factors",
    source=Source(
        "huggingface/diffusers",
        14341,
        "Keys were saved transposed and transposed again in the backward pass; blocks that are square fit either way.",
    ),
    function=weighted,
    shipped=shipped,
    mended=mended,
    domain=(reals(3, 3), reals(3, 3), reals(3, 3)),
    at=(
        [[0.0, 0.0, 0.0]] * 3,
        [[1.0, 2.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]],
        [[1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]],
    ),
    entry=(0, 1),
    truth=lambda: mp.diff(lambda k: 2 * k, 0),
)
