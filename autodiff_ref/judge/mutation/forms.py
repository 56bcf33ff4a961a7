"""Identities of functions: the forms that keep their digits, and exponents shifted by the largest."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from autodiff_ref.judge.mutation.edits import Change, Site
from autodiff_ref.judge.mutation.running import computes, like

_STABLE: dict[str, tuple[tuple[str, Callable[..., Any]], ...]] = {
    "logistic": (
        ("e^z/(1 + e^z) below 0, 1/(1 + e^−z) from 0 on", lambda z: _sigmoid_by_sign(z)),
        ("(1 + tanh(z/2))/2", lambda z: 0.5 * (1 + jnp.tanh(z / 2))),
        ("1/(1 + e^−z)", lambda z: 1 / (1 + jnp.exp(-z))),
        ("1 − σ(−z)", lambda z: 1 - jax.nn.sigmoid(-z)),
    ),
    "log1p": (("log(1 + x)", lambda x: jnp.log(1 + x)),),
    "log": (("log1p(x − 1)", lambda x: jnp.log1p(x - 1)), ("−log(1/x)", lambda x: -jnp.log(1 / x))),
    "expm1": (("e^x − 1", lambda x: jnp.exp(x) - 1),),
    "exp": (
        ("1 + expm1", lambda x: 1 + jnp.expm1(x)),
        ("1/e^−x", lambda x: 1 / jnp.exp(-x)),
        ("(e^(x/2))²", lambda x: jnp.exp(x / 2) ** 2),
    ),
    "tanh": (
        ("2σ(2z) − 1", lambda z: 2 * jax.nn.sigmoid(2 * z) - 1),
        ("expm1(2z)/(expm1(2z) + 2)", lambda z: jnp.expm1(2 * z) / (jnp.expm1(2 * z) + 2)),
    ),
    "sqrt": (("x/√x", lambda x: x * lax.rsqrt(x)),),
    "rsqrt": (("1/√x", lambda x: 1 / jnp.sqrt(x)),),
    "integer_pow": (),
    "square": (("x·x", lambda x: x * x),),
    "abs": (("√x²", lambda x: jnp.sqrt(x * x)), ("max(x, −x)", lambda x: jnp.maximum(x, -x))),
    "max": (("(a + b + |a − b|)/2", lambda a, b: 0.5 * (a + b + jnp.abs(a - b))),),
    "min": (("(a + b − |a − b|)/2", lambda a, b: 0.5 * (a + b - jnp.abs(a - b))),),
    "sin": (("2 sin(x/2) cos(x/2)", lambda x: 2 * jnp.sin(x / 2) * jnp.cos(x / 2)),),
    "cos": (("1 − 2 sin²(x/2)", lambda x: 1 - 2 * jnp.sin(x / 2) ** 2),),
    "erf": (("−erf(−x)", lambda x: -jax.scipy.special.erf(-x)),),
    "erfc": (("1 − erf", lambda x: 1 - jax.scipy.special.erf(x)),),
    "digamma": (("ψ(x + 1) − 1/x", lambda x: jax.scipy.special.digamma(x + 1) - 1 / x),),
}


def _sigmoid_by_sign(z: Any) -> Any:
    e = jnp.exp(-jnp.abs(z))
    return jnp.where(z < 0, e / (1 + e), 1 / (1 + e))


def stable_form(site: Site) -> Iterator[Change]:
    """Another form of the same function, as numerical people write it, or do not."""
    if not computes(site):
        return
    for form, f in _STABLE.get(site.name, ()):
        yield Change(form, f"`{site.name}` is computed as {form}", lambda *xs, f=f: like(f(*xs), site))
    if site.name == "integer_pow":
        y = int(site.eqn.params["y"])
        form = "x·x·…" if y > 0 else "1/(x·x·…)"
        yield Change(form, f"`integer_pow` is computed as {form}", lambda x: _power(x, y))
    if site.name == "sub" and _is_constant_one(site.operands[0]):
        before = site.body.source(site.operands[1])
        if before is not None and before.primitive.name == "logistic" and before.invars[0] in site.body.number:
            number = site.body.number[before.invars[0]]
            yield Change("σ(−z)", "1 − σ(z) becomes σ(−z)", lambda *xs: jax.nn.sigmoid(-xs[-1]), (number,))


def _is_constant_one(atom: Any) -> bool:
    return hasattr(atom, "val") and np.ndim(atom.val) == 0 and float(atom.val) == 1.0


def _power(x: Any, y: int) -> Any:
    product = jnp.ones_like(x)
    for _ in range(abs(y)):
        product = product * x
    return product if y >= 0 else 1 / product


def shifted_exponent(site: Site) -> Iterator[Change]:
    """e^m e^(x − m) for e^x, with the maximum m: the shift of softmax and logsumexp."""
    if site.name == "exp" and computes(site) and len(site.result.shape) >= 1:

        def shifted(x: Any) -> Any:
            m = jnp.max(x, axis=-1, keepdims=True)
            return jnp.exp(m) * jnp.exp(x - m)

        yield Change("max", "e^x becomes e^m e^(x − m), m the maximum", shifted)
    if site.name == "log" and computes(site):
        before = site.body.source(site.operands[0])
        inner = None if before is None or before.primitive.name != "reduce_sum" else site.body.source(before.invars[0])
        if (
            before is not None
            and inner is not None
            and inner.primitive.name == "exp"
            and inner.invars[0] in site.body.number
        ):
            axes = tuple(int(axis) for axis in before.params["axes"])

            def logsumexp(_: Any, x: Any) -> Any:
                m = jnp.max(x, axis=axes, keepdims=True)
                return jnp.log(jnp.sum(jnp.exp(x - m), axis=axes)) + jnp.squeeze(m, axes)

            number = site.body.number[inner.invars[0]]
            yield Change("logsumexp", "log Σ e^x is computed with the maximum taken out", logsumexp, (number,))
