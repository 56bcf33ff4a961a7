"""The mistakes that are planted in a line: what people get wrong when they differentiate by hand, one equation at a time."""

from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core

from autodiff_ref.judge.lines.jaxprs import is_real, is_under_nabla
from autodiff_ref.judge.mutation.edits import Change, Kinds, Site
from autodiff_ref.judge.mutation.function_edits import another_function, wrong_exponent
from autodiff_ref.judge.mutation.indices import INDEX_KINDS
from autodiff_ref.judge.mutation.running import computes, like
from autodiff_ref.judge.program.plans import aval_of

ORDINALS = ("first", "second", "third")


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
            same = aval_of(var).shape == aval_of(operand).shape and aval_of(var).dtype == aval_of(operand).dtype
            if same and var is not operand and not site.body.is_constant(var):
                yield Change(
                    f"operand {j} ← value {number}",
                    f"another value of the same shape stands for operand {j + 1} of `{site.name}`",
                    lambda *xs, j=j: site.bind(*xs[:j], xs[-1], *xs[j + 1 : -1]),
                    (number,),
                )


_OPPOSITE: dict[str, tuple[str, str, Callable[[jax.Array, jax.Array], jax.Array]]] = {
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
        n = int(np.prod([aval_of(site.operands[0]).shape[axis] for axis in _summed(site)[0]]))
        yield Change("all", "a mean stands for a sum", lambda *xs: site.bind(*xs) / n)


def last_only(site: Site) -> Iterator[Change]:
    """The last term for all of them."""
    if not computes(site):
        return
    for which in range(len(_summed(site)[0]) if _summed(site) else 0):

        def last(*xs: jax.Array, which: int = which) -> jax.Array:
            axes = [summed[which] for summed in _summed(site)]
            ones = [
                np.where(np.arange(x.shape[axis]) == x.shape[axis] - 1, 1.0, 0.0) for x, axis in zip(xs, axes, strict=True)
            ]
            shape = [-1 if k == axes[0] else 1 for k in range(xs[0].ndim)]
            return site.bind(jnp.where(np.reshape(ones[0], shape) == 1, xs[0], 0.0), *xs[1:])

        yield Change(f"axis {which}", "of a sum only the last term is left", last)


def label_convention(site: Site) -> Iterator[Change]:
    """Labels read as 0 and 1 where they are −1 and +1, and the like."""
    for j, operand in enumerate(site.operands):
        domain = site.labels.get(operand) if isinstance(operand, core.Var) else None
        for misreading in () if domain is None else domain.misreadings:
            detail, f = misreading.planted, misreading.f
            if site.name in ("eq", "ne") and detail.startswith("0 and 1"):  # they have +1 in common
                continue
            yield Change(
                f"operand {j}: {detail}",
                f"labels are read as {detail} in `{site.name}`",
                lambda *xs, j=j, f=f: site.bind(*(f(x) if k == j else x for k, x in enumerate(xs))),
            )


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
