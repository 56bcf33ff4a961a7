"""Inputs at the numbers that a derivation compares with, and between them.

What a line says where `w == 1` shows at no other input, and hardly at one where 0.7 < w < 0.7001.
"""

import enum
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import jax
import numpy as np
from jax.extend import core

from autodiff_ref.judge.domains import label_flags
from autodiff_ref.judge.errors import fulfils
from autodiff_ref.judge.inputs import Input, RandomSource, draw_arguments, is_exact, main_sizes
from manual_grad.derivation import Derivation

STRATUM = "compared"
"""the name of such inputs in a report"""

MOST = 6
"""numbers that are tried: the first that the lines and `of` name"""


class _Label(enum.Enum):
    LABEL = "label"


LABEL = _Label.LABEL
"""stands for what is computed from labels and constants alone"""

_Known = np.ndarray | float | _Label | None

_COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge", "max", "min", "clamp")
_SAME_NUMBER = ("broadcast_in_dim", "convert_element_type")


def numbers_compared_with(jaxpr: core.Jaxpr, inputs: Sequence[_Known]) -> Iterator[float]:
    """The constants, but 0, that a jaxpr compares a real with.

    Args:
        jaxpr: what is looked through, and all within it.
        inputs: for each of its inputs its value where it is a constant, `LABEL` where it holds labels, else None.
    """
    known: dict[core.Var, _Known] = dict(zip(jaxpr.invars, inputs, strict=True))
    for eqn in jaxpr.eqns:
        operands = [atom.val if isinstance(atom, core.Literal) else known.get(atom) for atom in eqn.invars]
        if all(operand is not None for operand in operands):
            same = operands[0] if eqn.primitive.name in _SAME_NUMBER else LABEL
            known.update(dict.fromkeys(eqn.outvars, same))
        elif eqn.primitive.name in _COMPARISONS:
            numbers = [x for x in operands if x is not None and x is not LABEL and np.ndim(x) == 0]
            yield from (float(x) for x in numbers if x != 0 and np.isfinite(x))
        for body in core.jaxprs_in_params(eqn.params):
            passed = operands if len(body.invars) == len(operands) else [None] * len(body.invars)
            yield from numbers_compared_with(body, passed)


def compared_inputs(derivation: Derivation, jaxprs: Iterable[core.Jaxpr], *, seed: int) -> list[Input]:
    """Ordinary inputs with one entry of each real array, or all, at plus or minus a number that a jaxpr compares with.

    Or halfway between two of these numbers that are neighbours.

    Where an array's domain does not hold the number, it is left as it is.
    """
    labels = [LABEL if is_label else None for is_label in label_flags(derivation.domain)]
    numbers = list(dict.fromkeys(x for jaxpr in jaxprs for x in numbers_compared_with(jaxpr, labels)))[:MOST]
    numbers += [(low + high) / 2 for low, high in pairwise(sorted(numbers))]
    source = RandomSource(np.random.default_rng([seed, 3]))
    domains = jax.tree.leaves(derivation.domain)
    sizes = main_sizes(derivation.domain, derivation.sizes)[0]
    made: list[Input] = []
    for number in dict.fromkeys(sign * x for x in numbers for sign in (1.0, -1.0)):
        for everywhere in (False, True):
            leaves, structure = jax.tree.flatten(draw_arguments(derivation.domain, sizes, "ordinary", source))
            changed = 0
            for k, (domain, x) in enumerate(zip(domains, leaves, strict=True)):
                place = None if everywhere else int(source.integers(0, max(x.size, 1) - 1, ()))
                put = None if domain.known else domain.put(x, place, number)
                leaves[k], changed = (x, changed) if put is None else (put, changed + 1)
            args = jax.tree.unflatten(structure, leaves)
            if changed and (derivation.where is None or fulfils(derivation.where, "`where`", derivation, args)):
                made.append(Input(STRATUM, args, exact=is_exact(derivation.domain, sizes)))
    return made
