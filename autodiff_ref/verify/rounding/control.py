"""Branches and loops for a batch: every branch is taken, each input keeps its own; a loop runs until no input goes on."""

from typing import Any

import numpy as np

from autodiff_ref.verify.rounding.choices import chosen
from autodiff_ref.verify.rounding.moves import together
from autodiff_ref.verify.rounding.values import Bounded, Discrete, is_exact, is_sure, lifted, surely, without_error
from autodiff_ref.verify.walker.control import Control, Subplan, scan_widths, stable
from autodiff_ref.verify.walker.plans import Array, Equation, Step

LOOP_LIMIT = 10_000
"""iterations after which a `while` says nothing of the inputs that still go on"""


def _cond(subplan: Subplan, equation: Equation) -> tuple[Step, list[bool]]:
    index, *operands = [operand.label for operand in equation.operands]
    branches = [subplan(branch, operands) for branch in equation.params["branches"]]

    def step(context: Any, which: Any, *operands: Any) -> list[Any]:
        which = lifted(which)
        index = Discrete(np.clip(which.value, 0, len(branches) - 1).astype(np.intp), which.sure)
        results = [[lifted(part) for part in branch.run(context, *operands)] for branch in branches]
        return [chosen(index, cases) for cases in zip(*results, strict=True)]

    return step, [index and all(flags) for flags in zip(*[b.output_labels for b in branches], strict=True)]


def _while(subplan: Subplan, equation: Equation) -> tuple[Step, list[bool]]:
    n_cond, n_body = equation.params["cond_nconsts"], equation.params["body_nconsts"]
    labels = [operand.label for operand in equation.operands]
    for_cond_labels, for_body_labels = labels[:n_cond], labels[n_cond : n_cond + n_body]
    body, carried = stable(subplan, equation.params["body_jaxpr"], for_body_labels, labels[n_cond + n_body :], [])
    goes_on = subplan(equation.params["cond_jaxpr"], [*for_cond_labels, *carried])

    def step(context: Any, *operands: Any) -> list[Any]:
        for_cond, for_body = operands[:n_cond], operands[n_cond : n_cond + n_body]
        carry = [lifted(x) for x in operands[n_cond + n_body :]]
        unknown: Array = np.zeros(1, dtype=bool)
        active: Array = unknown
        for _ in range(LOOP_LIMIT):
            more = lifted(goes_on.run(context, *for_cond, *carry)[0])
            unknown = unknown | ~more.sure  # a loop whose end hangs on rounding says nothing, and might not end at all
            active = more.value & ~unknown
            if not active.any():
                return [_forgotten(x, unknown) for x in carry]
            after = [lifted(x) for x in body.run(context, *for_body, *carry)]
            carry = after if active.all() else [chosen(surely(active), pair) for pair in zip(carry, after, strict=True)]
        return [_forgotten(x, unknown | active) for x in carry]

    ends_alike = goes_on.output_labels[0]
    return step, [ends_alike and label for label in carried]


def _forgotten(x: Any, unknown: Array) -> Any:
    """Without information on some inputs."""
    if not unknown.any():
        return x
    rows = unknown.reshape(-1, *[1] * (x.value.ndim - 1))
    rows, value = together(np.broadcast_to(rows, (len(unknown), *x.value.shape[1:])), x.value)
    if isinstance(x, Bounded):
        return Bounded(value, np.where(rows, np.inf, x.error))
    return Discrete(value, ~rows & x.sure)


def _scan(subplan: Subplan, equation: Equation) -> tuple[Step, list[bool]]:
    n_consts, n_carry = scan_widths(equation.params)
    length, backwards = equation.params["length"], equation.params["reverse"]
    labels = [operand.label for operand in equation.operands]
    consts, carry, rows = labels[:n_consts], labels[n_consts : n_consts + n_carry], labels[n_consts + n_carry :]
    body, carried = stable(subplan, equation.params["jaxpr"], consts, carry, rows)
    stacks = equation.results[n_carry:]

    def step(context: Any, *operands: Any) -> list[Any]:
        consts, carry = operands[:n_consts], [lifted(x) for x in operands[n_consts : n_consts + n_carry]]
        rows = [lifted(x) for x in operands[n_consts + n_carry :]]
        made: list[list[Any]] = []
        for i in reversed(range(length)) if backwards else range(length):
            results = [lifted(x) for x in body.run(context, *consts, *carry, *[_entry(row, i) for row in rows])]
            carry = results[:n_carry]
            made.append(results[n_carry:])
        made = made[::-1] if backwards else made
        return [*carry, *[_stacked([parts[k] for parts in made], stack) for k, stack in enumerate(stacks)]]

    return step, [*carried, *body.output_labels[n_carry:]]


def _entry(x: Any, i: int) -> Any:
    """Row i of every input."""
    if isinstance(x, Bounded):
        return without_error(x.value[:, i]) if is_exact(x) else Bounded(x.value[:, i], x.error[:, i])
    return surely(x.value[:, i]) if is_sure(x) else Discrete(x.value[:, i], x.sure[:, i])


def _stacked(parts: list[Any], stack: Any) -> Any:
    if not parts:
        empty = np.zeros((1, *stack.shape), stack.dtype)
        return without_error(empty) if stack.is_real else surely(empty)
    value = np.stack(together(*[part.value for part in parts]), 1)
    doubt = np.stack(together(*[np.broadcast_to(part[1], part.value.shape) for part in parts]), 1)
    return Bounded(value, doubt) if stack.is_real else Discrete(value, doubt)


CONTROL: dict[str, Control] = {"cond": _cond, "while": _while, "scan": _scan}
