"""log(eˣ + eʸ), made safe by the larger of both."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import reals
from zoo.specimen import Source, Specimen


def added(x, y):
    """Σ log(eˣ + eʸ)"""
    return jnp.sum(jnp.logaddexp(x, y))


def shipped(x, y):
    """1 where x ≥ y, else 0; − sign(x−y) e^−|x−y| / (1 + e^−|x−y|)"""
    small = jnp.exp(-jnp.abs(x - y))
    return jnp.where(x >= y, 1.0, 0.0) - jnp.sign(x - y) * small / (1 + small)


def mended(x, y):
    """σ(x − y)"""
    return 1 / (1 + jnp.exp(y - x))


SPECIMEN = Specimen(
    kind="boundary",
    source=Source(
        "tensorflow/tensorflow",
        127232,
        "At equal inputs the maximum hands all to the first, and |x−y| nothing back.",
        "2.21.0",
        "the mending pull request keras 23616 says so",
    ),
    function=added,
    shipped=shipped,
    mended=mended,
    domain=(reals("n"), reals("n")),
    at=([-4.0], [-4.0]),
    entry=(0,),
    truth=lambda: mp.diff(lambda x: mp.log(mp.exp(x) + mp.exp(-4)), -4),
    reported=1.0,
)
