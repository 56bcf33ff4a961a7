"""The Rosenbrock function that optimizers are tested on."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import reals
from zoo.specimen import Source, Specimen


def rosenbrock(v):
    """(1−x)² + 100 (y−x²)²"""
    return (1 - v[0]) ** 2 + 100 * (v[1] - v[0] ** 2) ** 2


def shipped(v):
    """(−400 x (y−x²) − 2 (1−x), 200 x (y−x²))"""
    x, y = v
    return jnp.array([-400 * x * (y - x**2) - 2 * (1 - x), 200 * x * (y - x**2)])


def mended(v):
    """(−400 x (y−x²) − 2 (1−x), 200 (y−x²))"""
    x, y = v
    return jnp.array([-400 * x * (y - x**2) - 2 * (1 - x), 200 * (y - x**2)])


SPECIMEN = Specimen(
    kind="closed form",
    source=Source(
        "pytorch/pytorch",
        3881,
        "The derivative by y kept a factor x, which is near 1 where the tests end.",
        code="seen in a copy of the test file",
    ),
    function=rosenbrock,
    shipped=shipped,
    mended=mended,
    domain=(reals(2),),
    at=([1.5, 1.5],),
    entry=(1,),
    truth=lambda: mp.diff(lambda y: 100 * (y - mp.mpf("2.25")) ** 2, mp.mpf("1.5")),
)
