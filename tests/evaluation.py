"""Running formulas in NumPy or JAX, in float32 or float64, and inputs by the hundred for the tests that need a sweep."""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import mpmath
import numpy as np

from autodiff_ref import nabla, network
from autodiff_ref.judge.inputs import RandomSource, draw_arguments
from manual_grad import Weights, grad_w11, grad_w12, grad_w21, notes
from tests.combinations import exploring
from tests.rounding import Bounds

DTYPES = [np.float32, np.float64]
WRT = ("w11", "w12", "w21")
DERIVATIONS = {"w11": notes.W11, "w12": notes.W12, "w21": notes.W21}

CLOSED_FORMS = {"w11": grad_w11, "w12": grad_w12, "w21": grad_w21}

ONE_SHAPE: dict[str, int] = {} if exploring() else {"n": 4, "d": 3}
"""of what has to be compiled: 4, 3 and 2 differ, so that no axis is taken for another; `explore` has n below d as well"""

Args = tuple[Any, Any, Any]


def as_dtype(args: Any, dtype: Any) -> Any:
    """NumPy arrays of that dtype; the strategies' values are exact in both."""
    return jax.tree.map(lambda leaf: np.asarray(leaf, dtype=dtype), args)


@cache
def _jitted(f: Callable[..., Any]) -> Callable[..., Any]:
    return jax.jit(f)


def in_jax(f: Callable[..., Any], args: Any, dtype: Any, jit: bool = True) -> Any:
    """f(*args) under JAX in `dtype`, as NumPy arrays; compiled once a function, shape and dtype."""
    with jax.enable_x64(dtype == np.float64):
        arrays = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype=dtype), args)
        return jax.tree.map(np.asarray, (_jitted(f) if jit else f)(*arrays))


@cache
def every_gradient(wrt: str) -> Callable[..., dict[str, Any]]:
    """All that claims to be ∇_{wrt} ll, in one function, since each compilation costs: lines, closed form, jax.grad."""

    def gradients(w: Any, x: Any, y: Any) -> dict[str, Any]:
        found = {line.__name__: line(w, x, y, nabla(wrt)) for line in DERIVATIONS[wrt].lines}
        found["closed form"] = CLOSED_FORMS[wrt](w, x, y)
        found["jax.grad"] = getattr(jax.grad(network.log_likelihood)(w, x, y), wrt)
        return found

    return gradients


@cache
def mapped(f: Callable[..., Any]) -> Callable[..., Any]:
    """jax.vmap(f), the same one each time, so that it is compiled once."""
    return jax.vmap(f)


def bound_of(name: str, b: Bounds, wrt: str) -> Any:
    """The rounding bound of an entry of `every_gradient`."""
    match name:
        case "closed form":
            return b.of_closed_form(wrt)
        case "jax.grad":
            return b.of_jax_grad(wrt)
        case _:
            return b.of_line(name, wrt)


def many(count: int, n: int, d: int, largest: float = 8.0, seed: int = 0) -> Iterator[Args]:
    """Ordinary inputs, stretched until Σ_k |w_k x_ik| and Σ_j |w21_j| reach up to `largest`."""
    rng = np.random.default_rng(seed)
    source = RandomSource(rng)
    for _ in range(count):
        w, x, y = draw_arguments(notes.DOMAIN, {"n": n, "d": d}, "ordinary", source)
        stretch = [rng.uniform(0.2, 1) * largest / most for most in (5, 5, 3)]
        w = Weights(*(vector * factor for vector, factor in zip(w, stretch, strict=True)))
        yield as_dtype(as_dtype((w, x, y), np.float32), np.float64)  # exact in both


def stacked(inputs: list[Args]) -> Any:
    """One batch of inputs of one shape, to be mapped over by `jax.vmap`."""
    return jax.tree.map(lambda *leaves: np.stack(leaves), *inputs)


# Oracles in mpmath, at 50 digits; neither shares anything with the code under test


def _sigmoid(z: Any) -> Any:
    return 1 / (1 + mpmath.exp(-z))


def _dot(a: Any, b: Any) -> Any:
    return mpmath.fsum(mpmath.mpf(p) * mpmath.mpf(q) for p, q in zip(a, b, strict=True))


def _in_mpmath(value: Any) -> Any:
    return [v if isinstance(v, mpmath.mpf) else mpmath.mpf(float(v)) for v in value]


def exact_gradient(args: Args, wrt: str) -> list[Any]:
    """Σ_i t_i by equation (2), in mpmath."""
    w, x, y = args
    with mpmath.workdps(50):
        w11, w12, w21 = map(_in_mpmath, w)
        total = [mpmath.mpf(0)] * len(getattr(w, wrt))
        for row, label in zip(map(_in_mpmath, x), _in_mpmath(y), strict=True):
            a = [_dot(w11, row), _dot(w12, row)]
            h = [_sigmoid(a[0]), _sigmoid(a[1])]
            r = label * _sigmoid(-label * _dot(w21, h))
            if wrt == "w21":
                terms = [r * h[0], r * h[1]]
            else:
                j = ("w11", "w12").index(wrt)
                terms = [r * w21[j] * h[j] * _sigmoid(-a[j]) * v for v in row]  # 1 − h would lose 38 of 50 digits at a = 86
            total = [a + b for a, b in zip(total, terms, strict=True)]
    return total


def exact_log_likelihood(w: list[list[Any]], x: Any, y: Any) -> Any:
    """Σ_i log σ(y_i w21ᵀ[σ(w11ᵀx_i), σ(w12ᵀx_i)]), in mpmath's working precision."""
    w11, w12, w21 = w
    rows = zip(map(_in_mpmath, x), _in_mpmath(y), strict=True)
    return mpmath.fsum(
        mpmath.log(_sigmoid(label * _dot(w21, [_sigmoid(_dot(w11, row)), _sigmoid(_dot(w12, row))]))) for row, label in rows
    )


def difference_quotient(args: Args, wrt: str) -> list[Any]:
    """(ll(w + s e_k) − ll(w − s e_k)) / 2s for every k, with s = 10⁻¹⁶ at 50 digits.

    Its error is s²/6 times a third derivative, which is below Σ_i (1 + |w21|)³ (1 + |x_i|)³ on a logistic net, and 10⁻³³
    from cancelled digits: below 10⁻²⁷ on the ordinary domain, nothing beside a rounding bound.
    """
    w, x, y = args
    with mpmath.workdps(50):
        s, place = mpmath.mpf(10) ** -16, w._fields.index(wrt)

        def at(k: int, shift: Any) -> Any:
            moved = [_in_mpmath(vector) for vector in w]
            moved[place][k] += shift
            return exact_log_likelihood(moved, x, y)

        return [(at(k, s) - at(k, -s)) / (2 * s) for k in range(len(w[place]))]
