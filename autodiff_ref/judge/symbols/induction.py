"""From one number of examples to every number: is a line a sum over i of one and the same term, or one term a row?

A line is traced at two sizes of a dimension, n. Where both traces are one program up to that size, every value in it is
followed by what its entries depend on (`dependence`). If the outputs of two lines all have a kind, then their difference is
D_n = c + Σ_i t(x_i), or t(x_i) in row i, for every n. Let D_n = 0 be proved at two sizes n. Then t cannot depend on x_i,
and c + n t = 0 at both sizes: so c = t = 0, and D_n = 0 for every n.

That rests on one assumption, which two traces support and cannot establish: that the line is this program at every size, as
it would not be if Python asked how large n is.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from jax.extend import core

from autodiff_ref.judge.lines.jaxprs import Atom, flattened
from autodiff_ref.judge.program.plans import Params, aval_of, is_key
from autodiff_ref.judge.symbols.dependence import FREE, ZERO, Kind, Known, Sizes, is_long, long_axes, step_kind
from manual_grad.domains import Dim


def input_kind(dims: Sequence[Dim], name: str) -> Known:
    """The kind of an argument whose dimensions are these, for the dimension of that name."""
    axes = tuple(k for k, dim in enumerate(dims) if dim == name)
    return FREE if not axes else Kind("rows", axes) if len(axes) == 1 else None


def is_one_term_for_all(
    first: core.ClosedJaxpr, second: core.ClosedJaxpr, width: int, inputs: Sequence[Known], sizes: Sizes
) -> bool:
    """Whether the outputs of a program are a sum of one term, or one term a row.

    Args:
        first: the jaxpr of a line at one size.
        second: the same at another size.
        width: how many outputs count, from the first one on.
        inputs: the kinds of the arguments.
        sizes: both sizes.
    """
    first, second = flattened(first), flattened(second)
    if not _is_one_program(first.jaxpr, second.jaxpr, sizes):
        return False
    kinds: dict[core.Var, Known] = dict(zip(first.jaxpr.invars, inputs, strict=True))
    for var, value, other in zip(first.jaxpr.constvars, first.consts, second.consts, strict=True):
        kinds[var] = None if is_key(value) else _of_constant(np.asarray(value), np.asarray(other), sizes)

    def kind_of(atom: Atom) -> Known:
        if not isinstance(atom, core.Literal):
            return kinds[atom]
        return ZERO if np.ndim(atom.val) == 0 and atom.val == 0 else FREE

    for eqn, other in zip(first.jaxpr.eqns, second.jaxpr.eqns, strict=True):
        made = step_kind(eqn, other, sizes, [kind_of(atom) for atom in eqn.invars])
        kinds.update(dict.fromkeys(eqn.outvars, made))
    return all(kind_of(atom) is not None for atom in first.jaxpr.outvars[:width])


def _is_one_program(first: core.Jaxpr, second: core.Jaxpr, sizes: Sizes) -> bool:
    """Whether two jaxprs do the same steps, with the one size where the other has the other one."""
    numbers: tuple[dict[core.Var, int], dict[core.Var, int]] = ({}, {})

    def is_same(a: Atom, b: Atom) -> bool:
        if isinstance(a, core.Literal) and isinstance(b, core.Literal):
            return np.array_equal(np.asarray(a.val), np.asarray(b.val))
        if isinstance(a, core.Literal) or isinstance(b, core.Literal):
            return False
        return numbers[0][a] == numbers[1][b]

    def are_bound(a: Sequence[core.Var], b: Sequence[core.Var]) -> bool:
        for own, variables in zip(numbers, (a, b), strict=True):
            for var in variables:
                own[var] = len(own)
        return len(a) == len(b) and all(
            aval_of(u).dtype == aval_of(v).dtype and _is_same_up_to(aval_of(u).shape, aval_of(v).shape, sizes)
            for u, v in zip(a, b, strict=True)
        )

    def are_same(a: Sequence[Atom], b: Sequence[Atom]) -> bool:
        return len(a) == len(b) and all(is_same(u, v) for u, v in zip(a, b, strict=True))

    return (
        len(first.eqns) == len(second.eqns)
        and are_bound(first.invars, second.invars)
        and are_bound(first.constvars, second.constvars)
        and all(
            a.primitive.name == b.primitive.name
            and are_same(a.invars, b.invars)
            and _are_params(a.params, b.params, sizes)
            and are_bound(a.outvars, b.outvars)
            for a, b in zip(first.eqns, second.eqns, strict=True)
        )
        and are_same(first.outvars, second.outvars)
    )


SHAPES = frozenset(("shape", "new_sizes", "sizes", "limit_indices"))
"""parameters that may grow with n, as shapes do; x^n has one that may not"""


def _are_params(a: Params, b: Params, sizes: Sizes) -> bool:
    return a.keys() == b.keys() and all(_is_same_up_to(a[key], b[key], sizes if key in SHAPES else None) for key in a)


def _is_same_up_to(a: object, b: object, sizes: Sizes | None) -> bool:
    """Whether two values are one, with the one size where the other has the other one, if sizes are given."""
    if isinstance(a, tuple | list):
        return isinstance(b, type(a)) and len(a) == len(b) and _are_same_up_to(a, b, sizes)
    if isinstance(a, int | np.integer) and not isinstance(a, bool):
        return isinstance(b, int | np.integer) and (a == b or (sizes is not None and is_long(int(a), int(b), sizes)))
    return type(a) is type(b) and (a is b or repr(a) == repr(b))


def _are_same_up_to(a: Iterable[object], b: Iterable[object], sizes: Sizes | None) -> bool:
    return all(_is_same_up_to(u, v, sizes) for u, v in zip(a, b, strict=True))


def _of_constant(first: np.ndarray, second: np.ndarray, sizes: Sizes) -> Known:
    """Of an array that stands in the program: the same along its long axes, or an identity matrix."""
    axes = long_axes(first.shape, second.shape, sizes)
    if axes == (0, 1) and first.ndim == 2 and all(np.array_equal(part, np.eye(len(part))) for part in (first, second)):
        return Kind("diagonal", axes)
    row = first[tuple(slice(0, 1) if k in axes else slice(None) for k in range(first.ndim))]
    is_one = all(np.array_equal(part, np.broadcast_to(row, part.shape)) for part in (first, second))
    return (FREE if np.any(first) else ZERO) if is_one else None
