"""The log-density of the multivariate normal distribution, by its covariance."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import positive_definite, reals
from zoo.specimen import Source, Specimen


def log_density(cov, r):
    """−½ log det Σ − ½ rᵀ Σ⁻¹ r"""
    return -0.5 * jnp.linalg.slogdet(cov)[1] - 0.5 * r @ jnp.linalg.solve(cov, r)


def mended(cov, r):
    """½ (Σ⁻¹ r rᵀ Σ⁻¹ − Σ⁻¹)ᵀ"""
    inverse = jnp.linalg.inv(cov)
    return 0.5 * (jnp.outer(inverse.T @ r, inverse @ r) - inverse.T)


def shipped(cov, r):
    """½ (Σ⁻¹ − Σ⁻¹ r rᵀ Σ⁻¹)ᵀ"""
    return -mended(cov, r)


SPECIMEN = Specimen(
    kind="closed form",
    source=Source("HIPS/autograd", 412, "The sign was wrong; a slip in the test script kept its test from running.", "1.2"),
    function=log_density,
    shipped=shipped,
    mended=mended,
    domain=(positive_definite("d"), reals("d")),
    sizes={"d": (2, 4)},
    at=([[2.0]], [1.0]),
    entry=(0, 0),
    truth=lambda: mp.diff(lambda s: -mp.log(s) / 2 - 1 / (2 * s), 2),
)
