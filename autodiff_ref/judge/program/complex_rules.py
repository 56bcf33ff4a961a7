"""What the primitives of JAX do to complex numbers, spelled in their real and imaginary parts."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import Literal

from autodiff_ref.judge.program.complex_pairs import Pair, multiplied, pair_of, plus, times
from autodiff_ref.judge.program.fourier import transformed


def _square_of_size(z: Pair) -> Any:
    found = plus(times(z.real, z.real), times(z.imag, z.imag))
    return jnp.zeros(z.shape, z.dtype) if found is None else found


def _size(z: Pair) -> Any:
    if z.imag is None or z.real is None:
        part = z.real if z.imag is None else z.imag
        return jnp.zeros(z.shape, z.dtype) if part is None else jnp.abs(part)
    return jnp.sqrt(_square_of_size(z))


def _conjugate(z: Any) -> Pair:
    if not isinstance(z, Pair):
        return pair_of(z, None)
    return Pair(z.real, None if z.imag is None else -z.imag, z.shape, z.dtype)


def _scaled(z: Pair, factor: Any) -> Pair:
    return z.each(lambda part: part * factor)


def _divided(z: Pair, w: Pair) -> Pair:
    if w.imag is None and w.real is not None:
        made, size = z, w.real
    else:
        made, size = multiplied(z, _conjugate(w)), _square_of_size(w)
    shape = np.broadcast_shapes(z.shape, w.shape)
    return made.each(lambda part: part / size, shape)


def _inverse(z: Pair) -> Pair:
    return _divided(pair_of(jnp.ones(z.shape, z.dtype), None), z)


def _exp(z: Pair) -> Pair:
    size = None if z.real is None else jnp.exp(z.real)
    if z.imag is None:
        return pair_of(jnp.ones(z.shape, z.dtype) if size is None else size, None)
    cos, sin = jnp.cos(z.imag), jnp.sin(z.imag)
    return pair_of(cos, sin) if size is None else pair_of(size * cos, size * sin)


def _log(z: Pair) -> Pair:
    real, imag = z.both
    return pair_of(jnp.log(real * real + imag * imag) / 2, lax.atan2(imag, real))


def _sqrt(z: Pair) -> Pair:
    """The root on the right, and on the imaginary axis the one of the side that z is on."""
    real, imag = z.both
    if z.imag is None:
        return pair_of(jnp.sqrt(jnp.maximum(real, 0)), jnp.sqrt(jnp.maximum(-real, 0)))
    size = _size(pair_of(real, imag))
    side = jnp.where(imag < 0, -1.0, 1.0).astype(z.dtype)
    return pair_of(jnp.sqrt((size + real) / 2), side * jnp.sqrt((size - real) / 2))


def _sin(z: Pair) -> Pair:
    real, imag = z.both
    return pair_of(jnp.sin(real) * jnp.cosh(imag), jnp.cos(real) * jnp.sinh(imag))


def _cos(z: Pair) -> Pair:
    real, imag = z.both
    return pair_of(jnp.cos(real) * jnp.cosh(imag), -jnp.sin(real) * jnp.sinh(imag))


def _sinh(z: Pair) -> Pair:
    real, imag = z.both
    return pair_of(jnp.sinh(real) * jnp.cos(imag), jnp.cosh(real) * jnp.sin(imag))


def _cosh(z: Pair) -> Pair:
    real, imag = z.both
    return pair_of(jnp.cosh(real) * jnp.cos(imag), jnp.sinh(real) * jnp.sin(imag))


def _below(z: Pair) -> Pair:
    """1 − z, on the side of the cut that z is not on: as the real number 2 it lies below it."""
    return _conjugate(_shifted(_scaled(_conjugate(z), -1.0), 1.0))


def _root_below(z: Pair) -> Pair:
    """√(1 − z)"""
    return _conjugate(_sqrt(_conjugate(_below(z))))


def _turned(z: Pair) -> Pair:
    """i z"""
    real, imag = z.both
    return pair_of(-imag, real)


def _turned_back(z: Pair) -> Pair:
    """−i z"""
    real, imag = z.both
    return pair_of(imag, -real)


def _inverse_of_sin(z: Pair) -> Pair:
    """By W. Kahan, Branch cuts for complex elementary functions (1987), as those below."""
    below, above = _root_below(z), _sqrt(_shifted(z, 1.0))
    real = lax.atan2(z.both[0], multiplied(below, above).both[0])
    return pair_of(real, jnp.arcsinh(multiplied(_conjugate(below), above).both[1]))


def _inverse_of_cos(z: Pair) -> Pair:
    below, above = _root_below(z), _sqrt(_shifted(z, 1.0))
    real = 2 * lax.atan2(below.both[0], above.both[0])
    return pair_of(real, jnp.arcsinh(multiplied(_conjugate(above), below).both[1]))


def _inverse_of_cosh(z: Pair) -> Pair:
    below, above = _sqrt(_shifted(z, -1.0)), _sqrt(_shifted(z, 1.0))
    real = jnp.arcsinh(multiplied(_conjugate(below), above).both[0])
    return pair_of(real, 2 * lax.atan2(below.both[1], above.both[0]))


def _inverse_of_tanh(z: Pair) -> Pair:
    below, above = _conjugate(_log(_conjugate(_below(z)))), _log(_shifted(z, 1.0))
    return pair_of(*((a - b) / 2 for a, b in zip(above.both, below.both, strict=True)))


def _power(z: Pair, y: int) -> Pair:
    """z^y, by squaring."""
    if y < 0:
        return _inverse(_power(z, -y))
    made = pair_of(jnp.ones(z.shape, z.dtype), None)
    power = z
    while y:
        made = multiplied(made, power) if y % 2 else made
        y //= 2
        power = multiplied(power, power) if y else power
    return made


def _general_power(z: Pair, w: Any) -> Pair:
    exponent = w if isinstance(w, Pair) else pair_of(w.astype(z.dtype), None)
    return _exp(multiplied(exponent, _log(z)))


def _sign(z: Pair) -> Pair:
    size = _size(z)
    safe = jnp.where(size == 0, jnp.ones_like(size), size)
    return z.each(lambda part: part / safe)


def _shifted(z: Pair, by: float) -> Pair:
    return pair_of(z.both[0] + by, z.imag)


def _logistic(z: Pair) -> Pair:
    return _inverse(_shifted(_exp(_scaled(z, -1.0)), 1.0))


def _equal(z: Pair, w: Pair) -> Any:
    (a, b), (c, d) = z.both, w.both
    return (a == c) & (b == d)


def _converted(eqn: Any, x: Any) -> Any:
    to = np.dtype(eqn.params["new_dtype"])
    part = _real_dtype(to)
    if not isinstance(x, Pair):
        return pair_of(x.astype(part), None)
    if to.kind != "c":
        return x.both[0].astype(to)
    return x.each(lambda each: each.astype(part), dtype=part)


def _real_dtype(dtype: Any) -> Any:
    return np.dtype(np.float32 if np.dtype(dtype) == np.complex64 else np.float64)


def _bilinear(eqn: Any, z: Any, w: Any) -> Pair:
    """A product that is linear in both, as of matrices, or a convolution."""
    params = _params_of_parts(eqn)
    pairs = [x if isinstance(x, Pair) else pair_of(x, None) for x in (z, w)]
    return multiplied(*pairs, product=lambda a, b: eqn.primitive.bind(a, b, **params))


def _params_of_parts(eqn: Any) -> dict[str, Any]:
    def of_parts(value: Any) -> Any:
        try:
            is_complex = value is not None and np.dtype(value).kind == "c"
        except TypeError:
            return value
        return _real_dtype(value) if is_complex else value

    return {name: of_parts(value) if isinstance(value, np.dtype | type) else value for name, value in eqn.params.items()}


def of_parts(eqn: Any, *operands: Any) -> Any:
    """What is done to each part by itself."""
    params, several = _params_of_parts(eqn), eqn.primitive.multiple_results
    made: list[list[Any]] = []
    for name in ("real", "imag"):
        if all(getattr(x, name) is None for x in operands if isinstance(x, Pair)):
            made.append([None] * len(eqn.outvars))
            continue
        parts = [x.both[name == "imag"] if isinstance(x, Pair) else x for x in operands]
        found = eqn.primitive.bind(*parts, **params)
        made.append(found if several else [found])
    pairs = [
        Pair(real, imag, tuple(var.aval.shape), _real_dtype(var.aval.dtype))
        for real, imag, var in zip(*made, eqn.outvars, strict=True)
    ]
    return pairs if several else pairs[0]


def _scattered(scatter: Callable[..., Any]) -> Callable[..., Any]:
    """Of each part; the function of JAX's own makes the body by which updates meet what is there."""
    kept = ("dimension_numbers", "indices_are_sorted", "unique_indices", "mode")

    def rule(eqn: Any, z: Pair, places: Any, updates: Pair) -> Pair:
        params = {name: eqn.params[name] for name in kept}
        return pair_of(*(scatter(a, places, b, **params) for a, b in zip(z.both, updates.both, strict=True)))

    return rule


def _complex(eqn: Any, a: Any, b: Any) -> Pair:
    """Parts that stand there as a plain 0, as JAX's derivatives of the other part have them, are left out."""
    shape = eqn.outvars[0].aval.shape
    real, imag = (
        None if isinstance(atom, Literal) and atom.val == 0 else jnp.broadcast_to(part, shape)
        for atom, part in zip(eqn.invars, (a, b), strict=True)
    )
    return Pair(real, imag, tuple(shape), a.dtype)


def _product(eqn: Any, z: Pair) -> Pair:
    made = z
    for axis in sorted(eqn.params["axes"], reverse=True):
        parts = [made.both[k] for k in (0, 1)]
        slices = [pair_of(*(lax.index_in_dim(p, k, axis, keepdims=False) for p in parts)) for k in range(made.shape[axis])]
        shape = made.shape[:axis] + made.shape[axis + 1 :]
        made = pair_of(jnp.ones(shape, z.dtype), None)
        for each in slices:
            made = multiplied(made, each)
    return made


RULES: dict[str, Callable[..., Any]] = {
    "complex": _complex,
    "real": lambda _, z: z.both[0],
    "imag": lambda _, z: z.both[1],
    "conj": lambda _, z: _conjugate(z),
    "abs": lambda _, z: _size(z),
    "sign": lambda _, z: _sign(z),
    "mul": lambda _, z, w: multiplied(z, w),
    "div": lambda _, z, w: _divided(z, w),
    "square": lambda _, z: multiplied(z, z),
    "one_minus_square": lambda _, z: _shifted(_scaled(multiplied(z, z), -1), 1.0),
    "integer_pow": lambda eqn, z: _power(z, eqn.params["y"]),
    "pow": lambda _, z, w: _general_power(z, w),
    "exp": lambda _, z: _exp(z),
    "log": lambda _, z: _log(z),
    "log1p": lambda _, z: _log(_shifted(z, 1.0)),
    "expm1": lambda _, z: _shifted(_exp(z), -1.0),
    "sqrt": lambda _, z: _sqrt(z),
    "rsqrt": lambda _, z: _inverse(_sqrt(z)),
    "sin": lambda _, z: _sin(z),
    "cos": lambda _, z: _cos(z),
    "tan": lambda _, z: _divided(_sin(z), _cos(z)),
    "sinh": lambda _, z: _sinh(z),
    "cosh": lambda _, z: _cosh(z),
    "tanh": lambda _, z: _divided(_sinh(z), _cosh(z)),
    "asin": lambda _, z: _inverse_of_sin(z),
    "acos": lambda _, z: _inverse_of_cos(z),
    "atan": lambda _, z: _turned_back(_inverse_of_tanh(_turned(z))),
    "asinh": lambda _, z: _turned_back(_inverse_of_sin(_turned(z))),
    "acosh": lambda _, z: _inverse_of_cosh(z),
    "atanh": lambda _, z: _inverse_of_tanh(z),
    "logistic": lambda _, z: _logistic(z),
    "eq": lambda _, z, w: _equal(z, w),
    "ne": lambda _, z, w: ~_equal(z, w),
    "is_finite": lambda _, z: jnp.isfinite(z.both[0]) & jnp.isfinite(z.both[1]),
    "convert_element_type": _converted,
    "dot_general": _bilinear,
    "conv_general_dilated": _bilinear,
    "reduce_prod": _product,
    "scatter": _scattered(lax.scatter),
    "scatter-add": _scattered(lax.scatter_add),
    "fft": lambda eqn, z: transformed(eqn.params["fft_type"], eqn.params["fft_lengths"], z),
}
"""by primitive: rule(equation, *operands), complex ones as pairs; returns a pair, an array or a list of them"""

EACH_PART = {
    *("add", "sub", "neg", "add_any", "reduce_sum", "cumsum", "copy", "copy_p", "reduce_precision", "optimization_barrier"),
    *(
        "broadcast_in_dim",
        "reshape",
        "transpose",
        "squeeze",
        "expand_dims",
        "slice",
        "dynamic_slice",
        "dynamic_update_slice",
    ),
    *("concatenate", "pad", "rev", "gather", "select_n", "tile", "split", "stop_gradient"),
    "sharding_constraint",
}
"""primitives that are linear over the reals, or move data"""
