"""A recurrent unit with zoneout: what it keeps is decided by a mask at each step."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import bits, reals
from zoo.specimen import Source, Specimen


def last(x, w, mask):
    """h ← m h + (1−m) tanh(x + w h)"""
    h = jnp.zeros(())
    for t in range(3):
        h = mask[t] * h + (1 - mask[t]) * jnp.tanh(x[t] + w * h)
    return h


def walked(x, w, mask, later):
    """Backwards, with the mask of each step from `later`"""
    h, kept = jnp.zeros(()), []
    for t in range(3):
        u = jnp.tanh(x[t] + w * h)
        kept.append(u)
        h = mask[t] * h + (1 - mask[t]) * u
    by_h, grad = jnp.ones(()), [0.0] * 3
    for t in (2, 1, 0):
        by_u = by_h * (1 - later[t]) * (1 - kept[t] ** 2)
        grad[t] = by_u
        by_h = by_h * later[t] + w * by_u
    return jnp.stack(grad)


def shipped(x, w, mask):
    """The first step's mask at every step"""
    return walked(x, w, mask, jnp.stack([mask[0]] * 3))


def mended(x, w, mask):
    """Each step's own mask"""
    return walked(x, w, mask, mask)


SPECIMEN = Specimen(
    kind="index",
    source=Source(
        "lmnt-com/haste",
        43,
        "The backward pass read the mask of the first step at all steps.",
        code="the line is in the report; the unit is ours",
    ),
    function=last,
    shipped=shipped,
    mended=mended,
    domain=(reals(3), reals(), bits(3)),
    at=([0.0, 0.0, 0.0], 1.0, [0.0, 0.0, 1.0]),
    entry=(2,),
    truth=lambda: mp.mpf(0),
)
