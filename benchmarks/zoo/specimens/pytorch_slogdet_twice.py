"""A log-determinant along a path, differentiated forward twice."""

import jax
import jax.numpy as jnp
import mpmath as mp

from manual_grad import positives
from zoo.specimen import Source, Specimen


def matrix(t):
    """A(t)"""
    return jnp.array([[t + 2, 1.0], [1.0, 3.0]])


def log_determinant(t):
    """log det A(t)"""
    return jnp.log(3 * t + 5)


def shipped(t):
    """tr(A⁻¹ A′), A⁻¹ from the factors saved by the first pass"""
    return jax.lax.stop_gradient(jnp.linalg.inv(matrix(t)))[0, 0]


def mended(t):
    """tr(A⁻¹ A′)"""
    return jnp.linalg.inv(matrix(t))[0, 0]


def live():
    """PyTorch's own"""
    import torch

    def f(t):
        one = torch.ones_like(t)
        return torch.linalg.slogdet(torch.stack((torch.stack((t + 2, one)), torch.stack((one, 3 * one)))))[1]

    t = torch.tensor(0.7, dtype=torch.float64)
    one = torch.ones_like(t)
    return torch.func.jvp(lambda t: torch.func.jvp(f, (t,), (one,))[1], (t,), (one,))[1]


SPECIMEN = Specimen(
    kind="saved value",
    source=Source(
        "pytorch/pytorch",
        196697,
        "The LU factors of the first pass were taken for constants: the second derivative was 0.",
        "2.12",
    ),
    function=log_determinant,
    shipped=shipped,
    mended=mended,
    order=2,
    domain=(positives(),),
    at=(0.7,),
    truth=lambda: mp.diff(lambda t: mp.log(3 * t + 5), mp.mpf("0.7"), 2),
    reported=0.0,
    live=live,
)
