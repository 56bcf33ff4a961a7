"""Arguments that are complex numbers: judged as pairs of reals, in JAX's convention of their gradient.

z = a + ib is differentiated by as (a, b), and JAX's gradient of a real function by z is ∂/∂a − i ∂/∂b.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from manual_grad.derivation import label_of

Function = Callable[..., Any]


class Parts(NamedTuple):
    """A complex array as its parts, named as NumPy names them."""

    real: Any
    imag: Any


def has_complex(*trees: Any) -> bool:
    """Whether an argument holds complex numbers."""
    return any(_is_complex(leaf) for leaf in jax.tree.leaves(trees))


def _is_complex(leaf: Any) -> bool:
    return isinstance(leaf, complex | np.ndarray | np.generic | jax.Array) and np.iscomplexobj(leaf)


def apart(tree: Any, sign: float = 1.0) -> Any:
    """Complex arrays as their parts, the imaginary one times a sign."""

    def parts(leaf: Any) -> Any:
        if not np.iscomplexobj(leaf):
            return leaf
        if isinstance(leaf, complex):
            leaf = np.complex128(leaf)
        return Parts(leaf.real, sign * leaf.imag)

    return jax.tree.map(parts, tree)


def together(tree: Any) -> Any:
    """Parts as complex arrays again."""
    return jax.tree.map(
        lambda each: each.real + 1j * each.imag if isinstance(each, Parts) else each,
        tree,
        is_leaf=lambda each: isinstance(each, Parts),
    )


def of_reals(f: Function) -> Function:
    """The same function, of complex arguments in parts."""

    def of_parts(*args: Any, **keywords: Any) -> Any:
        return f(*together(args), **together(keywords))

    of_parts.__name__ = label_of(f)
    of_parts.__wrapped__ = f  # pyright: ignore[reportFunctionMemberAccess] (so that its signature is f's)
    return of_parts


def gradient_in_reals(candidate: Function, variable: Any, *, conjugated: bool = False) -> Function:
    """The gradient as its parts by a and by b, in the structure of what is differentiated by, in parts."""
    structure = jax.tree.structure(variable)
    complex_ones = [np.iscomplexobj(leaf) for leaf in jax.tree.leaves(variable)]

    def parts(gradient: Any) -> Any:
        leaves = jax.tree.leaves(gradient)
        if len(leaves) != len(complex_ones):
            return gradient
        made = [_parts_of_gradient(leaf, 1.0 if conjugated else -1.0) if is_complex else leaf
                for leaf, is_complex in zip(leaves, complex_ones, strict=True)]  # fmt: skip
        return jax.tree.unflatten(structure, made)

    def gradient(*args: Any, **keywords: Any) -> Any:
        value = candidate(*together(args), **together(keywords))
        if type(value) is tuple and len(value) == 2 and np.shape(value[0]) == () and structure != jax.tree.structure(value):  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
            return value[0], parts(value[1])  # pyright: ignore[reportUnknownVariableType]
        return parts(value)

    gradient.__name__ = label_of(candidate)
    gradient.__wrapped__ = candidate  # pyright: ignore[reportFunctionMemberAccess]
    return gradient


def _parts_of_gradient(leaf: Any, sign: float) -> Parts:
    """Of a gradient by a complex number: one that is real has no imaginary part."""
    return Parts(leaf.real, sign * leaf.imag)


CONVENTION = (
    "it is the conjugate of JAX's gradient, which by a complex number a + ib is ∂/∂a − i ∂/∂b. "
    "∂/∂a + i ∂/∂b is PyTorch's, and the steepest ascent: return its conjugate, or hand in a and b as two arrays"
)
"""what is said of a gradient in the other convention"""
