"""The gradient of the Huber loss, differentiated again."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import reals
from zoo.specimen import Source, Specimen


def gradient(r):
    """Σ r where |r| ≤ 1, else sign r"""
    return jnp.sum(jnp.clip(r, -1.0, 1.0))


def shipped(r):
    """1"""
    return jnp.ones_like(r)


def mended(r):
    """1 where |r| < 1, else 0"""
    return jnp.where(jnp.abs(r) < 1, 1.0, 0.0)


SPECIMEN = Specimen(
    kind="fast path",
    source=Source(
        "lightgbm-org/LightGBM",
        5567,
        "The second derivative is 1 beyond the cutoff too, where the loss is a line.",
        code="the report says so",
    ),
    function=gradient,
    shipped=shipped,
    mended=mended,
    domain=(reals("n"),),
    at=([3.0],),
    entry=(0,),
    truth=lambda: mp.diff(lambda r: mp.mpf(1), 3),
    reported=1.0,
)
