"""The solution of X A = B along a path, differentiated forward twice."""

import jax
import jax.numpy as jnp
import mpmath as mp

from manual_grad import positives
from zoo.specimen import Source, Specimen


def coefficients(t):
    """A(t), t = s − 1"""
    return jnp.array([[t + 2, 1.0], [0.0, t + 3]])


def right_side(t):
    """B(t)"""
    return jnp.array([[t, 2 * t + 1], [t + 1, 3 - t]])


WEIGHTS = ((1.0, 2.0), (-1.0, 3.0))
SLOPE = ((1.0, 2.0), (1.0, -1.0))


def solution(s):
    """Σ w X,  X A = B"""
    t = s - 1
    left, right = right_side(t)[:, 0], right_side(t)[:, 1]
    first = left / (t + 2)
    return jnp.sum(jnp.array(WEIGHTS) * jnp.stack([first, (right - first) / (t + 3)], axis=1))


def slope(s, inverse):
    """Σ w (B′ − X A′) A⁻¹,  X = B A⁻¹"""
    x = right_side(s - 1) @ jnp.linalg.inv(coefficients(s - 1))
    return jnp.sum(jnp.array(WEIGHTS) * ((jnp.array(SLOPE) - x) @ inverse))


def shipped(s):
    """A⁻¹ from the factors saved by the first pass"""
    return slope(s, jax.lax.stop_gradient(jnp.linalg.inv(coefficients(s - 1))))


def mended(s):
    """A⁻¹ of A(t)"""
    return slope(s, jnp.linalg.inv(coefficients(s - 1)))


def by_mpmath(s):
    """The same in mpmath"""
    t = s - 1
    a, b = t / (t + 2), (t + 1) / (t + 2)
    return a + 2 * (2 * t + 1 - a) / (t + 3) - b + 3 * (3 - t - b) / (t + 3)


def live():
    """PyTorch's own"""
    import torch

    def f(t):
        zero, one = torch.zeros_like(t), torch.ones_like(t)
        a = torch.stack((t + 2, one, zero, t + 3)).reshape(2, 2)
        b = torch.stack((t, 2 * t + 1, t + 1, 3 - t)).reshape(2, 2)
        return (torch.linalg.solve(a, b, left=False) * torch.tensor(WEIGHTS, dtype=t.dtype)).sum()

    t = torch.tensor(-0.5, dtype=torch.float64)
    one = torch.ones_like(t)
    return torch.func.jvp(lambda t: torch.func.jvp(f, (t,), (one,))[1], (t,), (one,))[1]


SPECIMEN = Specimen(
    kind="saved value",
    source=Source(
        "pytorch/pytorch",
        196695,
        "The factors of the first pass were taken for constants: one of two equal terms was lost.",
        "2.12",
    ),
    function=solution,
    shipped=shipped,
    mended=mended,
    order=2,
    domain=(positives(),),
    at=(0.5,),
    truth=lambda: mp.diff(by_mpmath, mp.mpf("0.5"), 2),
    reported=1.521777777777778,
    live=live,
)
