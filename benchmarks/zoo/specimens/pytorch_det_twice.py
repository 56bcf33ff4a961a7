"""A determinant along a path, differentiated forward twice."""

import jax
import jax.numpy as jnp
import mpmath as mp

from manual_grad import positives
from zoo.specimen import Source, Specimen


def matrix(t):
    """A(t)"""
    return jnp.array([[t + 2, 1.0], [1.0, 2 * t + 3]])


def determinant(t):
    """det A(t)"""
    return (t + 2) * (2 * t + 3) - 1


def gradient(t, inverse):
    """det A · tr(A⁻¹ A′)"""
    return determinant(t) * jnp.trace(inverse @ jnp.diag(jnp.array([1.0, 2.0])))


def shipped(t):
    """det A · tr(A⁻¹ A′), A⁻¹ from the factors saved by the first pass"""
    return gradient(t, jax.lax.stop_gradient(jnp.linalg.inv(matrix(t))))


def mended(t):
    """det A · tr(A⁻¹ A′)"""
    return gradient(t, jnp.linalg.inv(matrix(t)))


def live():
    """PyTorch's own"""
    import torch

    def f(t):
        one = torch.ones_like(t)
        return torch.det(torch.stack((torch.stack((t + 2, one)), torch.stack((one, 2 * t + 3)))))

    t = torch.tensor(0.7, dtype=torch.float64)
    one = torch.ones_like(t)
    return torch.func.jvp(lambda t: torch.func.jvp(f, (t,), (one,))[1], (t,), (one,))[1]


SPECIMEN = Specimen(
    kind="saved value",
    source=Source(
        "pytorch/pytorch", 196696, "The LU factors of the first pass were taken for constants by the second.", "2.12"
    ),
    function=determinant,
    shipped=shipped,
    mended=mended,
    order=2,
    domain=(positives(),),
    at=(0.7,),
    truth=lambda: mp.diff(lambda t: (t + 2) * (2 * t + 3) - 1, mp.mpf("0.7"), 2),
    reported=8.82720588235294,
    live=live,
)
