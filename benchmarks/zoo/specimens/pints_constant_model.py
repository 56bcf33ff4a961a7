"""A model whose k-th output is k times its k-th parameter, and its sensitivities."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import reals
from zoo.specimen import Source, Specimen


def model(p):
    """f_k = k p_k"""
    return jnp.arange(1.0, len(p) + 1) * p


def shipped(p):
    """∂f_i/∂p_k = δ_ik"""
    return jnp.eye(len(p))


def mended(p):
    """∂f_i/∂p_k = k δ_ik"""
    return jnp.diag(jnp.arange(1.0, len(p) + 1))


SPECIMEN = Specimen(
    kind="closed form",
    source=Source(
        "pints-team/pints",
        1122,
        "The factor k was missing: right for models of one output.",
        code="the formula is in the report",
    ),
    function=model,
    shipped=shipped,
    mended=mended,
    domain=(reals("n"),),
    at=([1.0, 1.0],),
    entry=(1, 1),
    truth=lambda: mp.diff(lambda p: 2 * p, 1),
    reported=1.0,
)
