"""A user objective: the fair loss, by the prediction."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import reals
from zoo.specimen import Source, Specimen


def fair(p, y):
    """Σ |y−p| − log(1 + |y−p|)"""
    r = jnp.abs(y - p)
    return jnp.sum(r - jnp.log1p(r))


def shipped(p, y):
    """(y−p) / (|y−p| + 1)"""
    return (y - p) / (jnp.abs(y - p) + 1)


def mended(p, y):
    """−(y−p) / (|y−p| + 1)"""
    return (p - y) / (jnp.abs(y - p) + 1)


SPECIMEN = Specimen(
    kind="closed form",
    source=Source(
        "dmlc/xgboost",
        3037,
        "Differentiated by the residual, not by the prediction: the model did not train.",
        code="the report quotes it",
    ),
    function=fair,
    shipped=shipped,
    mended=mended,
    domain=(reals("n"), reals("n")),
    at=([0.5], [4.0]),
    entry=(0,),
    truth=lambda: mp.diff(lambda p: (4 - p) - mp.log1p(4 - p), mp.mpf("0.5")),
)
