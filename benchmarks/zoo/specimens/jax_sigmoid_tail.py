"""σ(x) far on the right."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import reals
from zoo.specimen import Source, Specimen


def sigmoid(x):
    """1 / (1 + e^−x)"""
    return 1 / (1 + jnp.exp(-x))


def shipped(x):
    """σ (1 − σ)"""
    return sigmoid(x) * (1 - sigmoid(x))


def mended(x):
    """σ(x) σ(−x)"""
    return sigmoid(x) * sigmoid(-x)


def live():
    """JAX's own"""
    import jax

    with jax.enable_x64(True):
        return jax.grad(jax.nn.sigmoid)(jnp.float64(40.0))


SPECIMEN = Specimen(
    kind="digits lost",
    source=Source("jax-ml/jax", 40342, "1 − σ is 0 to the last bit: 0 came out for 4e-18.", "0.9.2"),
    function=sigmoid,
    shipped=shipped,
    mended=mended,
    domain=(reals(),),
    at=(40.0,),
    truth=lambda: mp.diff(lambda x: 1 / (1 + mp.exp(-x)), 40),
    reported=0.0,
    live=live,
    not_found="As real functions both are σ′: verify proves the line, and --accuracy alone measures what it loses.",
)
