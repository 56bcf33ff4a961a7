"""Layer normalization of (t, 0) with weights 1 and 2, differentiated forward twice."""

import jax
import jax.numpy as jnp
import mpmath as mp

from manual_grad import reals
from zoo.specimen import Source, Specimen

WEIGHTS = (1.0, 2.0)


def normalized(t):
    """−t / √(1 + t²): Σ w (x − μ) / √(v + ¼) at x = (t, 0)"""
    return -t / jnp.sqrt(1 + t**2)


def slope(t, mean, scale):
    """Σ w (x′ r + (x − μ) r′),  r′ = −r³ mean((x − μ) x′),  x′ = (½, −½) around its mean"""
    apart, moved = jnp.stack([t, 0 * t]) - mean, jnp.array([0.5, -0.5])
    return jnp.sum(jnp.array(WEIGHTS) * (moved * scale - apart * scale**3 * jnp.mean(apart * moved)))


def statistics(t):
    """μ and r = 1/√(v + ¼)"""
    return t / 2, 2 / jnp.sqrt(1 + t**2)


def shipped(t):
    """μ and r saved by the first pass"""
    return slope(t, *map(jax.lax.stop_gradient, statistics(t)))


def mended(t):
    """μ and r of x"""
    return slope(t, *statistics(t))


def live():
    """PyTorch's own"""
    import torch

    def f(t):
        x, w = torch.stack((t, torch.zeros_like(t))).reshape(1, 2), torch.tensor(WEIGHTS, dtype=t.dtype)
        return torch.nn.functional.layer_norm(x, [2], w, torch.zeros_like(w), 0.25).sum()

    t = torch.tensor(0.7, dtype=torch.float64)
    one = torch.ones_like(t)
    return torch.func.jvp(lambda t: torch.func.jvp(f, (t,), (one,))[1], (t,), (one,))[1]


SPECIMEN = Specimen(
    kind="saved value",
    source=Source(
        "pytorch/pytorch",
        196700,
        "Mean and scale of the first pass were taken for constants: the second derivative had the wrong sign.",
        "2.12",
    ),
    function=normalized,
    shipped=shipped,
    mended=mended,
    order=2,
    domain=(reals(),),
    at=(0.7,),
    truth=lambda: mp.diff(lambda t: -t / mp.sqrt(1 + t**2), mp.mpf("0.7"), 2),
    reported=-0.38487405661968344,
    live=live,
)
