"""The mistakes that are planted in a line: what people get wrong when they differentiate by hand, one equation at a time."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from autodiff_ref.verify.mutation.edits import Change, Kinds, Site
from autodiff_ref.verify.mutation.indices import INDEX_KINDS
from autodiff_ref.verify.mutation.jaxprs import is_real, is_under_nabla
from manual_grad.derivation import Bits, Classes, OneHot, Signs

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

ORDINALS = ("first", "second", "third")


def computes(site: Site) -> bool:
    """Whether an equation computes one real result."""
    eqn = site.eqn
    return len(eqn.outvars) == 1 and is_real(eqn.outvars[0]) and site.name not in NO_ARITHMETIC


def like(value: Any, site: Site) -> Any:
    """A scalar operand in the shape of the result."""
    return jnp.broadcast_to(value, site.result.shape)


def sign(site: Site) -> Iterator[Change]:
    """−f for f."""
    if not computes(site):
        return
    if site.name == "neg":
        yield Change("lost", "a minus is lost", lambda x: x)
    else:
        yield Change("flipped", f"the sign of the result of `{site.name}` is flipped", lambda *xs: -site.bind(*xs))


def dropped_factor(site: Site) -> Iterator[Change]:
    """a for a b, a for a/b, Σ a for Σ a b."""
    if site.name == "mul" and computes(site):
        for k in (0, 1):
            yield Change(
                f"operand {k}", f"the {ORDINALS[k]} factor of a product is lost", lambda *xs, k=k: like(xs[1 - k], site)
            )
    elif site.name == "div" and computes(site):
        yield Change("divisor", "a divisor is lost", lambda x, _: like(x, site))
    elif site.name == "dot_general" and computes(site):
        for k in (0, 1):
            yield Change(
                f"operand {k}",
                f"the {ORDINALS[k]} factor under a sum of products is lost",
                lambda *xs, k=k: site.bind(*(jnp.ones_like(x) if j == k else x for j, x in enumerate(xs))),
            )


def doubled_factor(site: Site) -> Iterator[Change]:
    """a b² for a b, a/b² for a/b."""
    if not computes(site):
        return
    if site.name == "mul":
        for k in (0, 1):
            yield Change(
                f"operand {k}",
                f"the {ORDINALS[k]} factor of a product is there twice",
                lambda *xs, k=k: xs[0] * xs[1] * xs[k],
            )
    elif site.name == "div":
        yield Change("divisor", "a divisor is there twice", lambda x, y: x / y / y)


def dropped_term(site: Site) -> Iterator[Change]:
    """a for a + b."""
    if site.name in ("add", "add_any", "sub") and computes(site):
        yield Change("operand 1", "the second term of a sum is lost", lambda x, _: like(x, site))
        yield Change(
            "operand 0", "the first term of a sum is lost", lambda _, y: like(-y if site.name == "sub" else y, site)
        )


def doubled_term(site: Site) -> Iterator[Change]:
    """a + 2b for a + b."""
    if site.name in ("add", "add_any", "sub") and computes(site):
        yield Change("operand 0", "the first term of a sum is there twice", lambda x, y: site.bind(x, y) + x)
        yield Change("operand 1", "the second term of a sum is there twice", lambda x, y: site.bind(site.bind(x, y), y))


def swapped_operands(site: Site) -> Iterator[Change]:
    """b − a for a − b, b/a for a/b."""
    if computes(site) and site.name in ("sub", "div", "pow", "atan2", "rem"):
        yield Change(
            "both", f"the operands of `{site.name}` are swapped", lambda x, y: site.bind(like(y, site), like(x, site))
        )
    if site.name == "dot_general" and site.result.shape:  # xᵀy is yᵀx
        yield Change("both", "the factors under a sum of products are swapped", lambda x, y: site.bind(y, x))


def wrong_operand(site: Site) -> Iterator[Change]:
    """Another value of the same shape."""
    if not (computes(site) or site.name in ("stack", "concatenate", "select_n")):
        return
    for j, operand in enumerate(site.operands):
        if not is_real(operand) or site.body.is_constant(operand):
            continue
        for number, var in site.earlier():
            same = var.aval.shape == operand.aval.shape and var.aval.dtype == operand.aval.dtype
            if same and var is not operand and not site.body.is_constant(var):
                yield Change(
                    f"operand {j} ← value {number}",
                    f"another value of the same shape stands for operand {j + 1} of `{site.name}`",
                    lambda *xs, j=j: site.bind(*xs[:j], xs[-1], *xs[j + 1 : -1]),
                    (number,),
                )


_OPPOSITE: dict[str, tuple[str, str, Callable[..., Any]]] = {
    "add": ("add↔sub", "− stands for +", lambda x, y: x - y),
    "add_any": ("add↔sub", "− stands for +", lambda x, y: x - y),
    "sub": ("add↔sub", "+ stands for −", lambda x, y: x + y),
    "mul": ("mul↔div", "/ stands for ·", lambda x, y: x / y),
    "div": ("mul↔div", "· stands for /", lambda x, y: x * y),
}


def _opposite(kind: str) -> Callable[[Site], Iterator[Change]]:
    def changes(site: Site) -> Iterator[Change]:
        if site.name == "mul" and is_under_nabla(site.eqn):  # one factor may be an identity matrix, full of zeros
            return
        if computes(site) and _OPPOSITE.get(site.name, ("",))[0] == kind:
            _, sentence, f = _OPPOSITE[site.name]
            yield Change("operator", sentence, f)

    return changes


TINY = 1 + 1e-9
"""a factor that no gradient checker with a tolerance sees"""


def constant(site: Site) -> Iterator[Change]:
    """(1 + 1e-9) c for a constant c."""
    if not computes(site):
        return
    for j, operand in enumerate(site.operands):
        if is_real(operand) and site.body.is_constant(operand):
            yield Change(
                f"operand {j}",
                f"a constant, operand {j + 1} of `{site.name}`, is multiplied by 1 + 1e-9",
                lambda *xs, j=j: site.bind(*(x * TINY if k == j else x for k, x in enumerate(xs))),
            )
    yield Change("result", f"the result of `{site.name}` is multiplied by 1 + 1e-9", lambda *xs: site.bind(*xs) * TINY)


def _summed(site: Site) -> list[tuple[int, ...]]:
    """For each operand of a sum or a sum of products, the axes that are summed away."""
    if site.name == "reduce_sum":
        return [tuple(int(axis) for axis in site.eqn.params["axes"])]
    if site.name == "dot_general":
        return [tuple(int(axis) for axis in axes) for axes in site.eqn.params["dimension_numbers"][0]]
    return []


def mean_for_sum(site: Site) -> Iterator[Change]:
    """1/n Σ for Σ."""
    if computes(site) and _summed(site) and _summed(site)[0]:
        n = int(np.prod([site.operands[0].aval.shape[axis] for axis in _summed(site)[0]]))
        yield Change("all", "a mean stands for a sum", lambda *xs: site.bind(*xs) / n)


def last_only(site: Site) -> Iterator[Change]:
    """The last term for all of them."""
    if not computes(site):
        return
    for which in range(len(_summed(site)[0]) if _summed(site) else 0):

        def last(*xs: Any, which: int = which) -> Any:
            axes = [summed[which] for summed in _summed(site)]
            ones = [
                np.where(np.arange(x.shape[axis]) == x.shape[axis] - 1, 1.0, 0.0) for x, axis in zip(xs, axes, strict=True)
            ]
            shape = [-1 if k == axes[0] else 1 for k in range(xs[0].ndim)]
            return site.bind(jnp.where(np.reshape(ones[0], shape) == 1, xs[0], 0.0), *xs[1:])

        yield Change(f"axis {which}", "of a sum only the last term is left", last)


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


_ANOTHER: dict[str, tuple[str, Callable[..., Any]]] = {
    "logistic": ("tanh", jnp.tanh),
    "tanh": ("σ", jax.nn.sigmoid),
    "sin": ("cos", jnp.cos),
    "cos": ("sin", jnp.sin),
    "erf": ("tanh", jnp.tanh),
    "exp": ("e^−x", lambda x: jnp.exp(-x)),
    "log": ("log(1 + x)", jnp.log1p),
    "log1p": ("log", jnp.log),
    "max": ("min", jnp.minimum),
    "min": ("max", jnp.maximum),
    "digamma": ("log", jnp.log),
}


def another_function(site: Site) -> Iterator[Change]:
    """tanh for σ, 1 − s² for s (1 − s), and the like."""
    if not computes(site):
        return
    if site.name in _ANOTHER:
        other, f = _ANOTHER[site.name]
        yield Change(other, f"{other} stands for `{site.name}`", lambda *xs: f(*xs))
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
            if not hasattr(c, "val"):
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
    return number.get(square.invars[0])


def _is_one(atom: Any) -> bool:
    return hasattr(atom, "val") and np.ndim(atom.val) == 0 and float(atom.val) == 1.0


def label_convention(site: Site) -> Iterator[Change]:
    """Labels read as 0 and 1 where they are −1 and +1, and the like."""
    for j, operand in enumerate(site.operands):
        domain = site.labels.get(operand) if not hasattr(operand, "val") else None
        for detail, f in _READINGS.get(type(domain), ()):
            if site.name in ("eq", "ne") and detail.startswith("0 and 1"):  # they have +1 in common
                continue
            yield Change(
                f"operand {j}: {detail}",
                f"labels are read as {detail} in `{site.name}`",
                lambda *xs, j=j, f=f: site.bind(*(f(x) if k == j else x for k, x in enumerate(xs))),
            )


_READINGS: dict[type, tuple[tuple[str, Callable[[Any], Any]], ...]] = {
    Signs: (("0 and 1 for −1 and +1", lambda y: (y + 1) / 2), ("+1 and −1 for −1 and +1", lambda y: -y)),
    Bits: (("−1 and +1 for 0 and 1", lambda y: 2 * y - 1), ("1 and 0 for 0 and 1", lambda y: 1 - y)),
    Classes: (("counted from 1", lambda k: jnp.maximum(k - 1, 0)),),
    OneHot: (("shifted by a class", lambda rows: jnp.roll(rows, 1, axis=-1)),),
}

MISTAKES: Kinds = {
    "sign": sign,
    "dropped factor": dropped_factor,
    "doubled factor": doubled_factor,
    "dropped term": dropped_term,
    "doubled term": doubled_term,
    "swapped operands": swapped_operands,
    "wrong operand": wrong_operand,
    "add↔sub": _opposite("add↔sub"),
    "mul↔div": _opposite("mul↔div"),
    "constant × (1 + 1e-9)": constant,
    "mean for sum": mean_for_sum,
    "last only": last_only,
    "wrong exponent": wrong_exponent,
    "another function": another_function,
    "label convention": label_convention,
    **INDEX_KINDS,
}
"""kinds of mistakes"""
