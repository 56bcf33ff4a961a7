"""The squared difference of log(1 + ·): its gradient, differentiated again."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import positives
from zoo.specimen import Source, Specimen


def gradient(p, y):
    """Σ (log(1+p) − log(1+y)) / (1+p)"""
    return jnp.sum((jnp.log1p(p) - jnp.log1p(y)) / (1 + p))


def mended(p, y):
    """(1 − log(1+p) + log(1+y)) / (1+p)²"""
    return (1 - jnp.log1p(p) + jnp.log1p(y)) / (1 + p) ** 2


SPECIMEN = Specimen(
    kind="right but refused",
    source=Source(
        "dmlc/xgboost",
        8000,
        "Reported as wrong; the reader had missed that log1p adds the 1.",
        code="the formula is in the report",
    ),
    function=gradient,
    shipped=None,
    mended=mended,
    domain=(positives("n"), positives("n")),
    at=([1.0], [0.0]),
    entry=(0,),
    truth=lambda: mp.diff(lambda p: mp.log1p(p) / (1 + p), 1),
)
