"""Which equations compute something: where a mistake in arithmetic, or another way to do it, is planted."""

import jax
import jax.numpy as jnp

from autodiff_ref.judge.lines.jaxprs import is_real
from autodiff_ref.judge.mutation.edits import Site

NO_ARITHMETIC = {
    *("broadcast_in_dim", "reshape", "squeeze", "expand_dims", "transpose", "slice", "split", "unstack", "stack"),
    *("concatenate", "rev", "pad", "stop_gradient", "copy", "copy_p", "reduce_precision", "optimization_barrier"),
    *(
        "gather",
        "dynamic_slice",
        "dynamic_update_slice",
        "select_n",
        "convert_element_type",
        "iota",
        "scan",
        "while",
        "cond",
    ),
    *("sort", "scatter", "clamp", "random_bits", "random_wrap", "random_unwrap"),
}
"""primitives that move data, choose or convert: a wrong sign or factor is planted where the value is computed"""


def computes(site: Site) -> bool:
    """Whether an equation computes one real result."""
    eqn = site.eqn
    return len(eqn.outvars) == 1 and is_real(eqn.outvars[0]) and site.name not in NO_ARITHMETIC


def like(value: jax.Array, site: Site) -> jax.Array:
    """A scalar operand in the shape of the result."""
    return jnp.broadcast_to(value, site.result.shape)
