"""Branches and loops, in every arithmetic: the body is planned once, and run as often as the values say."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from autodiff_ref.verify.walker.plans import Array, Equation, Plan, Step

Subplan = Callable[[Any, Sequence[bool]], Plan]
"""(closed jaxpr, which of its inputs are labels) -> plan"""

Control = Callable[[Subplan, Equation], tuple[Step, list[bool]]]
"""(subplan, equation) -> step, and which of its results are labels"""

LOOP_LIMIT = 100_000
"""iterations after which a `while` is given up"""


def _cond(subplan: Subplan, equation: Equation) -> tuple[Step, list[bool]]:
    index, *operands = [operand.label for operand in equation.operands]
    branches = [subplan(branch, operands) for branch in equation.params["branches"]]

    def step(context: Any, index: Array, *operands: Array) -> list[Array]:
        return branches[int(np.clip(index, 0, len(branches) - 1))].run(context, *operands)

    return step, [index and all(flags) for flags in zip(*[b.output_labels for b in branches], strict=True)]


def stable(
    subplan: Subplan, closed: Any, consts: list[bool], carry: list[bool], rows: list[bool]
) -> tuple[Plan, list[bool]]:
    """A plan for a loop's body, and which of what it carries are labels in every iteration."""
    while True:
        body = subplan(closed, [*consts, *carry, *rows])
        after = [before and now for before, now in zip(carry, body.output_labels, strict=False)]
        if after == carry:
            return body, carry
        carry = after


def _where(more: Array, new: Array, old: Array) -> Array:
    """Under vmap the loop runs on for the rows that are not done."""
    return np.where(more.reshape(more.shape + (1,) * (np.ndim(new) - more.ndim)), new, old)


def _while(subplan: Subplan, equation: Equation) -> tuple[Step, list[bool]]:
    n_cond, n_body = equation.params["cond_nconsts"], equation.params["body_nconsts"]
    labels = [operand.label for operand in equation.operands]
    for_cond_labels, for_body_labels = labels[:n_cond], labels[n_cond : n_cond + n_body]
    body, carried = stable(subplan, equation.params["body_jaxpr"], for_body_labels, labels[n_cond + n_body :], [])
    goes_on = subplan(equation.params["cond_jaxpr"], [*for_cond_labels, *carried])

    def step(context: Any, *operands: Array) -> list[Array]:
        for_cond, for_body = operands[:n_cond], operands[n_cond : n_cond + n_body]
        carry = list(operands[n_cond + n_body :])
        for _ in range(LOOP_LIMIT):
            with context.deciding() as decided:
                more = np.asarray(goes_on.run(context, *for_cond, *carry)[0])
            if not (more.any() and decided()):  # a loop whose end hangs on a tie says nothing, and might not end at all
                return carry
            after = body.run(context, *for_body, *carry)
            carry = after if more.all() else [_where(more, new, old) for new, old in zip(after, carry, strict=True)]
        raise RuntimeError(f"a while loop did not end in {LOOP_LIMIT} iterations")

    ends_alike = goes_on.output_labels[0]
    return step, [ends_alike and label for label in carried]


def scan_widths(params: Mapping[str, Any]) -> tuple[int, int]:
    """How many of a scan's operands are constants, and how many are carried; jax 0.12 says so in another way."""
    if "num_carry" in params:
        return params["num_consts"], params["num_carry"]
    consts, carry, _ = params["ft_in"].unpack()
    return len(consts), len(carry)


def _scan(subplan: Subplan, equation: Equation) -> tuple[Step, list[bool]]:
    n_consts, n_carry = scan_widths(equation.params)
    length, backwards = equation.params["length"], equation.params["reverse"]
    labels = [operand.label for operand in equation.operands]
    consts, carry, rows = labels[:n_consts], labels[n_consts : n_consts + n_carry], labels[n_consts + n_carry :]
    body, carried = stable(subplan, equation.params["jaxpr"], consts, carry, rows)
    stacks = equation.results[n_carry:]

    def step(context: Any, *operands: Array) -> list[Array]:
        consts, carry = operands[:n_consts], list(operands[n_consts : n_consts + n_carry])
        rows = operands[n_consts + n_carry :]
        stacked = [np.empty(stack.shape, dtype=object if stack.is_real else stack.dtype) for stack in stacks]
        for i in reversed(range(length)) if backwards else range(length):
            results = body.run(context, *consts, *carry, *[np.asarray(row[i]) for row in rows])
            carry = results[:n_carry]
            for made, result in zip(stacked, results[n_carry:], strict=True):
                made[i] = result if made.ndim > 1 else result[()]
        return [*carry, *stacked]

    return step, [*carried, *body.output_labels[n_carry:]]


CONTROL: dict[str, Control] = {"cond": _cond, "while": _while, "scan": _scan}
