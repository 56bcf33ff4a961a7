"""`jax.grad` of the nested function: whole, per example, and its Hessian times a vector. Jitted, once a shape and dtype.

Arguments of all: w, the weight vectors w11 (d,), w12 (d,), w21 (2,) in a tuple or NamedTuple; x (n, d), one example a row;
y (n,), labels −1 or +1. Gradients come back in the structure of w, in log-likelihood per unit of weight, summed over the
examples. NumPy arguments give NumPy results, float64 ones computed in float64 whatever JAX's settings; JAX arrays keep
their dtype. Labels and shapes are not checked here: this is the reference, and it computes what it is given.
"""

import functools
from typing import TypeVar, cast

import jax
import numpy as np
from jaxtyping import Array, Float

from autodiff_ref import network
from autodiff_ref.network import Triple
from autodiff_ref.trees import Function, PyTree

F = TypeVar("F", bound=Function)


def _in_the_callers_precision(f: F) -> F:
    """Jits `f`; where no argument is a JAX array, computes in the precision of the NumPy ones and returns NumPy."""
    jitted = jax.jit(f)

    @functools.wraps(f)
    def call(*args: PyTree) -> PyTree:
        leaves = jax.tree.leaves(args)
        if any(isinstance(leaf, jax.Array) for leaf in leaves):
            return jitted(*args)
        dtypes = [np.asarray(leaf).dtype for leaf in leaves]
        floating = [dtype for dtype in dtypes if np.issubdtype(dtype, np.floating)]
        dtype = np.result_type(*floating) if floating else np.dtype(np.float64)
        arrays = jax.tree.map(lambda leaf: np.asarray(leaf, dtype=dtype), args, is_leaf=_is_plain_list)
        with jax.enable_x64(dtype == np.float64):
            return jax.tree.map(np.asarray, jitted(*arrays))

    return cast(F, call)


def _is_plain_list(value: object) -> bool:
    return isinstance(value, list)


@_in_the_callers_precision
def log_likelihood(w: Triple, x: Float[Array, "n d"], y: Float[Array, " n"]) -> Float[Array, ""]:
    """ll = Σ_i log σ(y_i w21ᵀ[σ(w11ᵀx_i), σ(w12ᵀx_i)])

    Args:
        w: weights w11 (d,), w12 (d,), w21 (2,).
        x: examples, (n, d), one a row.
        y: labels −1 or +1, (n,). They are not checked here.

    Returns:
        A number ≤ 0: the natural logarithm of the probability of all labels.

    Example:
        >>> w = (np.array([0.0]), np.array([0.0]), np.array([4.0, -4.0]))
        >>> round(float(log_likelihood(w, np.array([[1.0]]), np.array([1.0]))), 6)
        -0.693147
    """
    return network.log_likelihood(w, x, y)


@_in_the_callers_precision
def grad(w: Triple, x: Float[Array, "n d"], y: Float[Array, " n"]) -> Triple:
    """∇ll by every weight

    Args:
        w: weights w11 (d,), w12 (d,), w21 (2,).
        x: examples, (n, d), one a row.
        y: labels −1 or +1, (n,). They are not checked here.

    Returns:
        In the structure of w: (d,), (d,), (2,), in log-likelihood per unit of weight, summed over the examples.

    Example:
        >>> w = (np.array([0.0]), np.array([0.0]), np.array([4.0, -4.0]))
        >>> grad(w, np.array([[1.0]]), np.array([1.0]))
        (array([0.5]), array([-0.5]), array([0.25, 0.25]))
    """
    return jax.grad(network.log_likelihood)(w, x, y)


@_in_the_callers_precision
def value_and_grad(w: Triple, x: Float[Array, "n d"], y: Float[Array, " n"]) -> tuple[Float[Array, ""], Triple]:
    """(ll, ∇ll), as `log_likelihood` and `grad` have them

    Args:
        w: weights w11 (d,), w12 (d,), w21 (2,).
        x: examples, (n, d), one a row.
        y: labels −1 or +1, (n,). They are not checked here.

    Returns:
        The log-likelihood, and its gradient in the structure of w.

    Example:
        >>> w = (np.array([0.0]), np.array([0.0]), np.array([4.0, -4.0]))
        >>> value_and_grad(w, np.array([[1.0]]), np.array([1.0]))[1][2]
        array([0.25, 0.25])
    """
    return jax.value_and_grad(network.log_likelihood)(w, x, y)


@_in_the_callers_precision
def per_example_grad(w: Triple, x: Float[Array, "n d"], y: Float[Array, " n"]) -> Triple:
    """∇ log p(y_i|x_i) by every weight, one row an example

    Args:
        w: weights w11 (d,), w12 (d,), w21 (2,).
        x: examples, (n, d), one a row.
        y: labels −1 or +1, (n,). They are not checked here.

    Returns:
        In the structure of w: (n, d), (n, d), (n, 2). The rows sum to what `grad` returns.

    Example:
        >>> w = (np.array([0.0]), np.array([0.0]), np.array([4.0, -4.0]))
        >>> per_example_grad(w, np.array([[1.0], [2.0]]), np.array([1.0, 1.0]))[0].tolist()
        [[0.5], [1.0]]
    """
    return jax.vmap(jax.grad(network.log_likelihood), in_axes=(None, 0, 0))(w, x, y)


@_in_the_callers_precision
def hessian_vector_product(w: Triple, x: Float[Array, "n d"], y: Float[Array, " n"], v: Triple) -> Triple:
    """∇²ll · v, for a direction v

    Args:
        w: weights w11 (d,), w12 (d,), w21 (2,).
        x: examples, (n, d), one a row.
        y: labels −1 or +1, (n,). They are not checked here.
        v: a direction in the structure of w.

    Returns:
        In the structure of w: the derivative of the gradient along v.

    Example:
        >>> w, v = [(np.array([0.0]), np.array([0.0]), np.array(w21)) for w21 in ([4.0, -4.0], [1.0, 0.0])]
        >>> hessian_vector_product(w, np.array([[1.0]]), np.array([1.0]), v)[2].tolist()
        [-0.0625, -0.0625]
    """
    return jax.jvp(lambda w: jax.grad(network.log_likelihood)(w, x, y), (w,), (v,))[1]
