"""Functions that work entry by entry, in balls."""

from collections.abc import Callable

import numpy as np
from flint import arb

from autodiff_ref.judge.program.plans import Array, Equation, OnOneEntry, Rule, Step, as_objects


def rule_of(f: Callable[..., arb]) -> Rule:
    """The rule for a primitive that is f of each entry."""
    ufunc: dict[int, np.ufunc] = {}

    def rule(equation: Equation) -> Step:
        if equation.is_of_one_entry and all(operand.is_real for operand in equation.operands):
            return OnOneEntry(f)
        n = len(equation.operands)
        applied = ufunc.setdefault(n, np.frompyfunc(f, n, 1))

        def step(_: object, *operands: Array) -> Array:
            with np.errstate(all="ignore"):  # Arb estimates in doubles, and NumPy would see these overflow
                return as_objects(applied(*operands))

        return step

    return rule
