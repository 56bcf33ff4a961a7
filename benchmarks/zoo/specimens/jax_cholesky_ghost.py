"""The sum of an upper Cholesky factor, of which the lower triangle is not read."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import positive_definite
from zoo.specimen import Source, Specimen


def total(a):
    """√a + b/√a + √(c − b²/a), for (a, b; ·, c)"""
    root = jnp.sqrt(a[0, 0])
    return root + a[0, 1] / root + jnp.sqrt(a[1, 1] - a[0, 1] ** 2 / a[0, 0])


def mended(a):
    """By a, b and c; 0 by what is not read"""
    root = jnp.sqrt(a[0, 0])
    low = jnp.sqrt(a[1, 1] - a[0, 1] ** 2 / a[0, 0])
    by_a = 0.5 / root - a[0, 1] / (2 * root**3) + a[0, 1] ** 2 / (2 * a[0, 0] ** 2 * low)
    by_b = 1 / root - a[0, 1] / (a[0, 0] * low)
    return jnp.stack([jnp.stack([by_a, by_b]), jnp.stack([0 * low, 0.5 / low])])


def shipped(a):
    """A part of the derivative by b stands at the place that is not read"""
    low = jnp.sqrt(a[1, 1] - a[0, 1] ** 2 / a[0, 0])
    ghost = a[0, 1] / (2 * a[0, 0] * low)
    return mended(a) + ghost * jnp.array([[0.0, 1.0], [-1.0, 0.0]])


def live():
    """JAX's own"""
    import jax
    from jax.scipy.linalg import cholesky

    return jax.grad(lambda a: jnp.sum(cholesky(a, lower=False)))(jnp.array([[4.0, 1.0], [1.0, 3.0]]))[1, 0]


SPECIMEN = Specimen(
    kind="index",
    source=Source(
        "jax-ml/jax",
        40421,
        "The gradient has an entry for the triangle that is not read.",
        "0.11.2",
        "reconstructed from the figures",
    ),
    function=total,
    shipped=shipped,
    mended=mended,
    domain=(positive_definite(2),),
    at=([[4.0, 1.0], [1.0, 3.0]],),
    entry=(1, 0),
    truth=lambda: mp.mpf(0),
    reported=-0.07537784,
    live=live,
)
