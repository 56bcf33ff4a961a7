"""Identities of functions: the forms that keep their digits, and exponents shifted by the largest."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

from autodiff_ref.judge.functions import FUNCTIONS
from autodiff_ref.judge.lines.jaxprs import Atom
from autodiff_ref.judge.mutation.edits import Change, Site
from autodiff_ref.judge.mutation.running import computes, like


def stable_form(site: Site) -> Iterator[Change]:
    """Another form of the same function, as numerical people write it, or do not."""
    if not computes(site):
        return
    forms = FUNCTIONS[site.name].forms if site.name in FUNCTIONS else ()
    if site.name == "square":
        forms = (("x·x", lambda x: x * x),)
    for form, f in forms:
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


def _is_constant_one(atom: Atom) -> bool:
    return isinstance(atom, core.Literal) and np.ndim(atom.val) == 0 and float(atom.val) == 1.0


def _power(x: jax.Array, y: int) -> jax.Array:
    product = jnp.ones_like(x)
    for _ in range(abs(y)):
        product = product * x
    return product if y >= 0 else 1 / product


def shifted_exponent(site: Site) -> Iterator[Change]:
    """e^m e^(x − m) for e^x, with the maximum m: the shift of softmax and logsumexp."""
    if site.name == "exp" and computes(site) and len(site.result.shape) >= 1:

        def shifted(x: jax.Array) -> jax.Array:
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

            def logsumexp(_: object, x: jax.Array) -> jax.Array:
                m = jnp.max(x, axis=axes, keepdims=True)
                return jnp.log(jnp.sum(jnp.exp(x - m), axis=axes)) + jnp.squeeze(m, axes)

            number = site.body.number[inner.invars[0]]
            yield Change("logsumexp", "log Σ e^x is computed with the maximum taken out", logsumexp, (number,))
