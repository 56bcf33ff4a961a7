"""log σ(x), made safe by min(x, 0)."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import reals
from zoo.specimen import Source, Specimen


def log_sigmoid(x):
    """−Σ log(1 + e^−x)"""
    return -jnp.sum(jnp.logaddexp(0.0, -x))


def shipped(x):
    """1 where x < 0; + sign(x) e^−|x| / (1 + e^−|x|): 0 at x = 0"""
    small = jnp.exp(-jnp.abs(x))
    return jnp.where(x < 0, 1.0, 0.0) + jnp.sign(x) * small / (1 + small)


def mended(x):
    """σ(−x)"""
    return 1 / (1 + jnp.exp(x))


SPECIMEN = Specimen(
    kind="boundary",
    source=Source("jax-ml/jax", 2140, "At 0 both parts were handed the derivative 0: 0 came out for ½."),
    function=log_sigmoid,
    shipped=shipped,
    mended=mended,
    domain=(reals("n"),),
    at=([0.0],),
    entry=(0,),
    truth=lambda: mp.diff(lambda x: -mp.log1p(mp.exp(-x)), 0),
    reported=0.0,
)
