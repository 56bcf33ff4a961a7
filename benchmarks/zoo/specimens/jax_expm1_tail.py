"""eˣ − 1 far on the left."""

import jax.numpy as jnp
import mpmath as mp

from manual_grad import reals
from zoo.specimen import Source, Specimen


def function(x):
    """eˣ − 1"""
    return jnp.expm1(x)


def shipped(x):
    """(eˣ − 1) + 1, from the value"""
    return jnp.expm1(x) + 1


def mended(x):
    """eˣ"""
    return jnp.exp(x)


def live():
    """JAX's own"""
    import jax

    return jax.grad(jnp.expm1)(-40.0)


SPECIMEN = Specimen(
    kind="digits lost",
    source=Source("jax-ml/jax", 39794, "The derivative was made from the value, which is −1 to the last bit: 0 came out."),
    function=function,
    shipped=shipped,
    mended=mended,
    domain=(reals(),),
    at=(-40.0,),
    truth=lambda: mp.exp(-40),
    reported=0.0,
    live=live,
    not_found="As real functions both are eˣ: verify proves the line. judge_rule reports that digits are lost.",
)
