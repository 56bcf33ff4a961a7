"""Integers and booleans for a batch: sure where all that they are computed from is."""

from collections.abc import Sequence
from functools import reduce

import jax
import jax.numpy as jnp
import numpy as np

from autodiff_ref.judge.floats.choices import chosen
from autodiff_ref.judge.floats.indexed import BY_INDEX, all_sure_rows, rows_of
from autodiff_ref.judge.floats.moves import MOVES, planned, together
from autodiff_ref.judge.floats.values import Discrete, Held, aligned, is_sure, lifted, surely
from autodiff_ref.judge.program.discrete import ALONG_AXES, by_jax
from autodiff_ref.judge.program.discrete import DISCRETE as PLAIN
from autodiff_ref.judge.program.movement import MOVEMENT
from autodiff_ref.judge.program.plans import Array, Equation, Rule, Step


def fallback(equation: Equation) -> Step:
    """Discrete work without a rule: JAX does it for each input; it is sure where all that it is computed from is."""
    plain = by_jax(equation)

    @jax.jit
    def mapped(*arrays: jax.Array) -> jax.Array:
        return jax.vmap(lambda *each: equation.primitive.bind(*each, **equation.params))(*arrays)

    def step(_: object, *operands: Discrete) -> Held | list[Held]:
        if not operands:
            made = plain(None)
            return [lifted(part) for part in made] if isinstance(made, list) else lifted(made)
        arrays = together(*[operand.value for operand in operands])
        with jax.enable_x64(True):
            made = mapped(*[jnp.asarray(x, dtype=o.dtype) for x, o in zip(arrays, equation.operands, strict=True)])
        parts = made if isinstance(made, list | tuple) else [made]
        results: list[Held] = [_as_sure_as(operands, np.asarray(part)) for part in parts]
        return results if equation.primitive.multiple_results else results[0]

    return planned(plain, step)


def _as_sure_as(operands: Sequence[Discrete], value: Array) -> Discrete:
    """A value made of operands: all of an input's entries are sure where all of theirs are."""
    if all(map(is_sure, operands)):
        return surely(value)
    return Discrete(value, np.broadcast_to(rows_of(all_sure_rows(operands), value.ndim), value.shape))


def _entrywise(plain: Rule) -> Rule:
    """Discrete work entry by entry: sure where both operands are."""

    def rule(equation: Equation) -> Step:
        work = plain(equation)

        def step(_: object, *operands: Discrete) -> Discrete:
            operands = tuple(aligned(*operands))
            value = work(None, *[operand.value for operand in operands])
            if all(map(is_sure, operands)):
                return surely(value)
            return Discrete(value, np.broadcast_to(reduce(np.logical_and, [o.sure for o in operands]), value.shape))

        return planned(work, step)

    return rule


def _along_axes(plain: Rule) -> Rule:
    """Discrete work that makes one entry of several: an input's are sure where all of its operand's are."""

    def rule(equation: Equation) -> Step:
        work = plain(equation)

        return planned(work, lambda _, x: _as_sure_as([x], work(None, x.value)))

    return rule


def _decided_by_one(plain: Rule, deciding: bool) -> Rule:
    """`and` and `or` of booleans: a sure False decides the one, a sure True the other, whatever the rest is."""

    def rule(equation: Equation) -> Step:
        work = plain(equation)

        def step(_: object, x: Discrete, y: Discrete) -> Discrete:
            x, y = aligned(x, y)
            value = work(None, x.value, y.value)
            if is_sure(x) and is_sure(y):
                return surely(value)
            sure = x.sure & y.sure
            if equation.results[0].dtype == np.bool_:
                sure = sure | (x.sure & (x.value == deciding)) | (y.sure & (y.value == deciding))
            return Discrete(value, np.broadcast_to(sure, value.shape))

        return planned(work, step)

    return rule


DISCRETE: dict[str, Rule] = {
    **{name: _entrywise(rule) for name, rule in PLAIN.items() if name not in {*MOVEMENT, *ALONG_AXES, "iota"}},
    **{name: _along_axes(rule) for name, rule in ALONG_AXES.items()},
    **MOVES,
    **BY_INDEX,
    "iota": PLAIN["iota"],
    "and": _decided_by_one(PLAIN["and"], False),
    "or": _decided_by_one(PLAIN["or"], True),
    "select_n": lambda eqn: planned(PLAIN["select_n"](eqn), lambda _, which, *cases: chosen(which, cases)),
}
"""rules by the names of primitives"""
