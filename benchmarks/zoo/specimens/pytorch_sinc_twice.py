"""sin πx / πx at 0, differentiated twice."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import reals
from zoo.specimen import Source, Specimen


def sinc(x):
    """Σ sin πx / πx, 1 at x = 0"""
    return jnp.sum(jnp.sinc(x))


def shipped(x):
    """0 where x = 0, else (cos πx − sin πx / πx) / x"""
    return jnp.where(x == 0, 0.0, (jnp.cos(jnp.pi * x) - jnp.sin(jnp.pi * x) / (jnp.pi * x)) / x)


def mended(x):
    """The same, by its series −π²x/3 + π⁴x³/30 where |x| < 2⁻¹⁰⁰"""
    near = jnp.abs(x) < 2.0**-100
    safe = jnp.where(near, 1.0, x)
    far = (jnp.cos(jnp.pi * safe) - jnp.sin(jnp.pi * safe) / (jnp.pi * safe)) / safe
    return jnp.where(near, -(jnp.pi**2) * x / 3, far)


def live():
    """PyTorch's own"""
    import torch

    x = torch.tensor(0.0, dtype=torch.float64, requires_grad=True)
    (g,) = torch.autograd.grad(torch.sinc(x), x, create_graph=True)
    return torch.autograd.grad(g, x)[0]


SPECIMEN = Specimen(
    kind="second order",
    source=Source(
        "pytorch/pytorch", 196703, "The branch at 0 guards the first derivative; the second came out as NaN.", "2.12"
    ),
    function=sinc,
    shipped=shipped,
    mended=mended,
    order=2,
    domain=(reals("n"),),
    at=([0.0],),
    entry=(0, 0),
    truth=lambda: -(mp.pi**2) / 3,
    live=live,
)
