"""A user objective: the root of the mean squared difference of log(1 + ·)."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import positives
from zoo.specimen import Source, Specimen


def rmsle(p, y):
    """√ mean (log(1+p) − log(1+y))²"""
    return jnp.sqrt(jnp.mean((jnp.log1p(p) - jnp.log1p(y)) ** 2))


def shipped(p, y):
    """(log(1+p) − log(1+y)) / (n L (1+y))"""
    return (jnp.log1p(p) - jnp.log1p(y)) / (len(p) * rmsle(p, y) * (1 + y))


def mended(p, y):
    """(log(1+p) − log(1+y)) / (n L (1+p))"""
    return (jnp.log1p(p) - jnp.log1p(y)) / (len(p) * rmsle(p, y) * (1 + p))


SPECIMEN = Specimen(
    kind="closed form",
    source=Source("dmlc/xgboost", 4402, "1 + y stood where 1 + p should.", code="the report quotes it"),
    function=rmsle,
    shipped=shipped,
    mended=mended,
    domain=(positives("n"), positives("n")),
    at=([3.0], [1.0]),
    entry=(0,),
    truth=lambda: mp.diff(lambda p: mp.log1p(p) - mp.log(2), 3),
)
