"""Mistakes in functions: another one of the same family, another power, the slope of another one."""

from collections.abc import Iterator

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend import core

from autodiff_ref.judge.functions import FUNCTIONS
from autodiff_ref.judge.lines.jaxprs import Atom
from autodiff_ref.judge.mutation.edits import Change, Site
from autodiff_ref.judge.mutation.running import computes, like


def wrong_exponent(site: Site) -> Iterator[Change]:
    """x^(k+1) or x^(k−1) for x^k."""
    if site.name in ("integer_pow", "square") and computes(site):
        power = int(site.eqn.params["y"]) if site.name == "integer_pow" else 2
        for change in (-1, 1):
            yield Change(
                f"{change:+d}",
                f"the exponent is {power + change}, not {power}",
                lambda x, to=power + change: lax.integer_pow(x, to) if to else jnp.ones_like(x),
            )
    if site.name == "sqrt":
        yield Change("lost", "a square root is lost", lambda x: x)


def another_function(site: Site) -> Iterator[Change]:
    """tanh for σ, 1 − s² for s (1 − s), and the like."""
    if not computes(site):
        return
    for other, f in FUNCTIONS[site.name].mistaken_for if site.name in FUNCTIONS else ():
        yield Change(other, f"{other} stands for `{site.name}`", lambda *xs, f=f: f(*xs))
    yield from _slope(site)


def _slope(site: Site) -> Iterator[Change]:
    """Of one squashing function for that of the other: 1 − s² for s (1 − s), and back."""
    body = site.body
    squared = _one_minus_square(site)
    if squared is not None:
        yield Change(
            "σ' for tanh'",
            "s (1 − s), the slope of σ, stands for 1 − s², that of tanh",
            lambda *xs: xs[-1] * (1 - xs[-1]),
            (squared,),
        )
    if site.name != "mul":
        return
    for j in (0, 1):
        rest = body.source(site.operands[j])
        if rest is None or rest.primitive.name != "sub" or not _is_one(rest.invars[0]) or rest.invars[1] not in body.number:
            continue
        s, other = rest.invars[1], site.operands[1 - j]
        before = body.source(other)
        if other is s:
            yield Change(
                f"tanh' for σ', {j}",
                "1 − s², the slope of tanh, stands for s (1 − s), that of σ",
                lambda *xs: 1 - xs[-1] ** 2,
                (body.number[s],),
            )
        elif before is not None and before.primitive.name == "mul" and s in before.invars:
            c = before.invars[1 - before.invars.index(s)]
            if isinstance(c, core.Var):
                yield Change(
                    f"tanh' for σ', {j}",
                    "1 − s², the slope of tanh, stands for s (1 − s), that of σ",
                    lambda *xs: like(xs[-2] * (1 - xs[-1] ** 2), site),
                    (body.number[c], body.number[s]),
                )


def _one_minus_square(site: Site) -> int | None:
    """The number of s, where an equation computes 1 − s²."""
    number = site.body.number
    if site.name == "one_minus_square":
        return number.get(site.operands[0])
    if site.name != "sub" or not _is_one(site.operands[0]):
        return None
    square = site.body.source(site.operands[1])
    if square is None or square.primitive.name not in ("square", "integer_pow", "mul"):
        return None
    if square.primitive.name == "integer_pow" and int(square.params["y"]) != 2:
        return None
    if square.primitive.name == "mul" and square.invars[0] is not square.invars[1]:
        return None
    squared = square.invars[0]
    return number.get(squared) if isinstance(squared, core.Var) else None


def _is_one(atom: Atom) -> bool:
    return isinstance(atom, core.Literal) and np.ndim(atom.val) == 0 and float(atom.val) == 1.0
