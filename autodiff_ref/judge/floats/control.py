"""Branches and loops for a batch: every branch is taken, each input keeps its own; a loop runs until no input goes on."""

import numpy as np

from autodiff_ref.judge.floats.choices import chosen
from autodiff_ref.judge.floats.context import Context
from autodiff_ref.judge.floats.moves import together
from autodiff_ref.judge.floats.values import Bounded, Discrete, Held, is_exact, is_sure, lifted, surely, without_error
from autodiff_ref.judge.program.control import Branches, Control, Scan, Subplan, While
from autodiff_ref.judge.program.plans import Array, Equation, Operand, Step

LOOP_LIMIT = 500
"""iterations after which a `while` says nothing of the inputs that still go on"""

OVERHEAD = 500
"""numbers that could be computed in the time that a step takes beside its computing"""


def _cond(subplan: Subplan, equation: Equation) -> tuple[Step, list[bool]]:
    made = Branches.of(subplan, equation)

    def step(context: Context, which: Discrete | Array, *operands: Held) -> list[Held]:
        which_one = lifted(which)
        index = Discrete(np.clip(which_one.value, 0, len(made.plans) - 1).astype(np.intp), which_one.sure)
        results = list[list[Held]]()
        for k, branch in enumerate(made.plans):
            with context.without(index.sure & (index.value != k)):
                results.append([lifted(part) for part in branch.run(context, *operands)])
        return [chosen(index, cases) for cases in zip(*results, strict=True)]

    return step, made.labels


def _while(subplan: Subplan, equation: Equation) -> tuple[Step, list[bool]]:
    made = While.of(subplan, equation)
    steps = len(made.goes_on.steps) + len(made.body.steps)

    def step(context: Context, *operands: Held) -> list[Held]:
        for_cond, for_body, start = made.split(operands)
        carry = [lifted(x) for x in start]
        unknown: Array = context.left_out  # a series may never end for an input that another one is for
        active: Array = np.zeros(1, dtype=bool)
        for _ in range(LOOP_LIMIT):
            more = lifted(made.goes_on.run(context, *for_cond, *carry)[0])
            unknown = _over(unknown, more.value) | ~more.sure  # an end that hangs on rounding may never come
            active = more.value & ~unknown
            if not active.any():
                break
            context.looped += steps * max(active.size, OVERHEAD)
            after = [lifted(x) for x in made.body.run(context, *for_body, *carry)]
            if not active.all():
                after = [chosen(surely(_over(active, new.value)), (x, new)) for x, new in zip(carry, after, strict=True)]
            carry = after
        return [_forgotten(x, unknown | active) for x in carry]

    return step, made.labels


def _over(rows: Array, value: Array) -> Array:
    """What is said of each input, or of each row of it under vmap, beside a value's entries."""
    return rows.reshape(rows.shape + (1,) * (value.ndim - rows.ndim))


def _forgotten(x: Held, unknown: Array) -> Held:
    """Without information on some inputs, or on some rows of them."""
    if not unknown.any():
        return x
    rows, value = np.broadcast_arrays(_over(unknown, x.value), x.value)
    if isinstance(x, Bounded):
        return Bounded(value, np.where(rows, np.inf, x.error))
    return Discrete(value, ~rows & x.sure)


def _scan(subplan: Subplan, equation: Equation) -> tuple[Step, list[bool]]:
    made = Scan.of(subplan, equation)

    def step(context: Context, *operands: Held) -> list[Held]:
        consts, start, taken = made.split(operands)
        carry, rows = [lifted(x) for x in start], [lifted(x) for x in taken]
        stacked: dict[int, list[Held]] = {}
        for i in made.order:
            results = [lifted(x) for x in made.body.run(context, *consts, *carry, *[_entry(row, i) for row in rows])]
            carry, stacked[i] = results[: made.n_carry], results[made.n_carry :]
        in_order = [stacked[i] for i in sorted(stacked)]
        return [*carry, *[_stacked([parts[k] for parts in in_order], stack) for k, stack in enumerate(made.stacks)]]

    return step, made.labels


def _entry(x: Held, i: int) -> Held:
    """Row i of every input."""
    if isinstance(x, Bounded):
        return without_error(x.value[:, i]) if is_exact(x) else Bounded(x.value[:, i], x.error[:, i])
    return surely(x.value[:, i]) if is_sure(x) else Discrete(x.value[:, i], x.sure[:, i])


def _stacked(parts: list[Held], stack: Operand) -> Held:
    if not parts:
        empty = np.zeros((1, *stack.shape), stack.dtype)
        return without_error(empty) if stack.is_real else surely(empty)
    value = np.stack(together(*[part.value for part in parts]), 1)
    doubt = np.stack(together(*[np.broadcast_to(part[1], part.value.shape) for part in parts]), 1)
    return Bounded(value, doubt) if stack.is_real else Discrete(value, doubt)


CONTROL: dict[str, Control] = {"cond": _cond, "while": _while, "scan": _scan}
