"""x⁴ as a square of a square, each with a rule of its own, differentiated forward twice."""

import jax
import jax.numpy as jnp
import mpmath as mp

from manual_grad import reals
from zoo.specimen import Source, Specimen


def fourth(x):
    """Σ x⁴"""
    return jnp.sum(x**4)


def shipped(x):
    """4 x³, x saved for the rule"""
    return 4 * jax.lax.stop_gradient(x) ** 3


def mended(x):
    """4 x³"""
    return 4 * x**3


SPECIMEN = Specimen(
    kind="saved value",
    source=Source(
        "pytorch/pytorch",
        197867,
        "The saved argument had no tangent in the outer pass: all higher derivatives were 0.",
        code="the example is in the report",
    ),
    function=fourth,
    shipped=shipped,
    mended=mended,
    order=2,
    domain=(reals("n"),),
    at=([3.0],),
    entry=(0, 0),
    truth=lambda: mp.diff(lambda x: x**4, 3, 2),
    reported=0.0,
)
