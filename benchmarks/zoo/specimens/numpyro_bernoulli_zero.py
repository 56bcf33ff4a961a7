"""The log-probability of a coin by its logit."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import bits, reals
from zoo.specimen import Source, Specimen


def log_prob(z, y):
    """Σ y z − log(1 + eᶻ)"""
    return jnp.sum(y * z - jnp.logaddexp(0.0, z))


def shipped(z, y):
    """y − I(z>0) + sign(z) e^−|z| / (1 + e^−|z|)"""
    small = jnp.exp(-jnp.abs(z))
    return y - jnp.where(z > 0, 1.0, 0.0) + jnp.sign(z) * small / (1 + small)


def mended(z, y):
    """y − σ(z)"""
    return y - 1 / (1 + jnp.exp(-z))


SPECIMEN = Specimen(
    kind="boundary",
    source=Source(
        "numpyro",
        None,
        "At logit 0 the gradient is 1 and 0 for the two labels, where ½ and −½ are.",
        "0.22.0",
        "seen by running the version named",
    ),
    function=log_prob,
    shipped=shipped,
    mended=mended,
    domain=(reals("n"), bits("n")),
    at=([0.0], [1.0]),
    entry=(0,),
    truth=lambda: mp.diff(lambda z: z - mp.log1p(mp.exp(z)), 0),
    reported=1.0,
)
