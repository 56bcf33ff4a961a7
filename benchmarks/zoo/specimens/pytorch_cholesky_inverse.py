"""The inverse of L Lᵀ from its Cholesky factor L: the forward-mode derivative."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import lower_triangular
from zoo.specimen import Source, Specimen


def total(factor):
    """Σ X,  X = (L Lᵀ)⁻¹"""
    return jnp.sum(jnp.linalg.inv(factor @ factor.T))


def shipped(factor):
    """dX = −X dL X Lᵀ − (X dL X Lᵀ)ᵀ"""
    x = jnp.linalg.inv(factor @ factor.T)
    return -2 * jnp.outer(jnp.sum(x, axis=0), jnp.sum(x @ factor.T, axis=1))


def mended(factor):
    """dX = −X dL Lᵀ X − (X dL Lᵀ X)ᵀ"""
    x = jnp.linalg.inv(factor @ factor.T)
    return -2 * jnp.outer(jnp.sum(x, axis=0), jnp.sum(factor.T @ x, axis=1))


def live():
    """PyTorch's own"""
    import torch

    factor, one = torch.tensor([[1.7, 0.0], [1.0, 2.0]], dtype=torch.float64), torch.zeros(2, 2, dtype=torch.float64)
    one[0, 0] = 1
    return torch.func.jvp(torch.cholesky_inverse, (factor,), (one,))[1].sum()


SPECIMEN = Specimen(
    kind="order of factors",
    source=Source(
        "pytorch/pytorch",
        196682,
        "The inverse stood between the tangent and the factor: right for diagonal factors only.",
        "2.12",
        "the mending pull request 197010 says which product stood there",
    ),
    function=total,
    shipped=shipped,
    mended=mended,
    domain=(lower_triangular("d"),),
    sizes={"d": (2, 4)},
    at=([[1.7, 0.0], [1.0, 2.0]],),
    entry=(0, 0),
    truth=lambda: mp.diff(lambda a: 5 / (4 * a**2) - 1 / (2 * a), mp.mpf("1.7")),
    reported=-0.4988266424013123,
    live=live,
)
