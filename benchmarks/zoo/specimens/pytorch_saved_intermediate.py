"""A function that saves an intermediate result for its backward pass."""

import jax
import jax.numpy as jnp
import mpmath as mp

from manual_grad import positives
from zoo.specimen import Source, Specimen


def sixfold(x):
    """6 Σ x"""
    return 6 * jnp.sum(x)


def shipped(x):
    """3 u / x,  u = 2 x saved"""
    return 3 * jax.lax.stop_gradient(2 * x) / x


def mended(x):
    """3 u / x,  u = 2 x"""
    return 3 * (2 * x) / x


SPECIMEN = Specimen(
    kind="saved value",
    source=Source(
        "pytorch/pytorch",
        76185,
        "What forward computed and saved counts as a constant in double backward.",
        "1.11",
        "the report quotes it",
    ),
    function=sixfold,
    shipped=shipped,
    mended=mended,
    order=2,
    domain=(positives("n"),),
    at=([0.5],),
    entry=(0, 0),
    truth=lambda: mp.diff(lambda x: 6 * x, mp.mpf("0.5"), 2),
)
