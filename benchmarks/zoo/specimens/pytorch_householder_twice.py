"""A reflection of a unit vector along a path, differentiated forward twice."""

import jax
import jax.numpy as jnp
import mpmath as mp

from manual_grad import reals
from zoo.specimen import Source, Specimen


def reflected(t):
    """1 − 2 (1 + t)/(1 + t²): Σ of the first column of H = 1 − τ v vᵀ,  v = (1, t),  τ = 2/(1 + t²)"""
    return 1 - 2 * (1 + t) / (1 + t**2)


def reflection(t):
    """H(t)"""
    return jnp.array([[t**2 - 1, -2 * t], [-2 * t, 1 - t**2]]) / (1 + t**2)


def moved(t):
    """H′(t)"""
    return jnp.array([[4 * t, 2 * t**2 - 2], [2 * t**2 - 2, -4 * t]]) / (1 + t**2) ** 2


def shipped(t):
    """H′ H⁻¹ P, the product P = H saved by the first pass"""
    return jnp.sum((moved(t) @ reflection(t) @ jax.lax.stop_gradient(reflection(t)))[:, 0])


def mended(t):
    """H′ H⁻¹ P"""
    return jnp.sum((moved(t) @ reflection(t) @ reflection(t))[:, 0])


def live():
    """PyTorch's own"""
    import torch

    def f(t):
        a = torch.stack((torch.ones_like(t), t)).reshape(2, 1)
        return torch.linalg.householder_product(a, (2 / (1 + t * t)).reshape(1)).sum()

    t = torch.tensor(0.7, dtype=torch.float64)
    one = torch.ones_like(t)
    return torch.func.jvp(lambda t: torch.func.jvp(f, (t,), (one,))[1], (t,), (one,))[1]


SPECIMEN = Specimen(
    kind="saved value",
    source=Source(
        "pytorch/pytorch",
        196698,
        "The product that the first pass saved was taken for a constant.",
        "2.12",
        "reconstructed from the figures",
    ),
    function=reflected,
    shipped=shipped,
    mended=mended,
    order=2,
    domain=(reals(),),
    at=(0.7,),
    truth=lambda: mp.diff(lambda t: 1 - 2 * (1 + t) / (1 + t**2), mp.mpf("0.7"), 2),
    reported=-0.7533368863909331,
    live=live,
)
