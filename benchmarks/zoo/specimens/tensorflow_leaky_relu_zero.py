"""The leaky ReLU at 0, where it has a kink."""

import jax.numpy as jnp
import mpmath as mp
import numpy as np

from manual_grad import reals
from zoo.specimen import Source, Specimen


def leaky(x):
    """Σ x where x > 0, else 0.25 x"""
    return jnp.sum(jnp.where(x > 0, x, 0.25 * x))


def mended(x):
    """1 where x > 0, else 0.25: the left derivative at 0"""
    return jnp.where(x > 0, 1.0, 0.25)


SPECIMEN = Specimen(
    kind="right but refused",
    source=Source(
        "tensorflow/tensorflow",
        62436,
        "A checker said 0.6 for 0.2 at zeros: the mean of both sides, and no derivative.",
        "2.14",
    ),
    function=leaky,
    shipped=None,
    mended=mended,
    domain=(reals("n"),),
    usual=lambda rng: (np.zeros(2),),
    at=([0.0],),
    entry=(0,),
    truth=lambda: mp.mpf("0.25"),
)
