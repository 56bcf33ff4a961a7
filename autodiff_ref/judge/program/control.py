"""Branches and loops, in every arithmetic: the body is planned once, and run as often as the values say."""

import operator
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TypeVar, cast

import numpy as np
from jax.extend import core

from autodiff_ref.judge.program.plans import (
    Array,
    Control,
    Equation,
    Operand,
    Params,
    Plan,
    RunContext,
    State,
    Step,
    Subplan,
    Turn,
    Value,
    WithEntries,
)

T = TypeVar("T")

LOOP_LIMIT = 100_000
"""iterations after which a `while` is given up"""


def _stable(
    subplan: Subplan, closed: core.ClosedJaxpr, consts: list[bool], carry: list[bool], rows: list[bool]
) -> tuple[Plan, list[bool]]:
    """A plan for a loop's body, and which of what it carries are labels in every iteration."""
    while True:
        body = subplan(closed, [*consts, *carry, *rows])
        after = [before and now for before, now in zip(carry, body.output_labels, strict=False)]
        if after == carry:
            return body, carry
        carry = after


def scan_widths(params: Params) -> tuple[int, int]:
    """How many of a scan's operands are constants, and how many are carried; jax 0.12 says so in another way."""
    if "num_carry" in params:
        return params["num_consts"], params["num_carry"]
    consts, carry, _ = params["ft_in"].unpack()
    return len(consts), len(carry)


@dataclass(frozen=True)
class Branches:
    """A `cond` made ready: a plan for each branch."""

    plans: list[Plan]
    labels: list[bool]
    """which of its results are labels"""

    @classmethod
    def of(cls, subplan: Subplan, equation: Equation) -> "Branches":
        """Its operands are the number of the branch, and what that is handed."""
        index, *operands = [operand.label for operand in equation.operands]
        plans = [subplan(branch, operands) for branch in equation.params["branches"]]
        return cls(plans, [index and all(flags) for flags in zip(*[made.output_labels for made in plans], strict=True)])


@dataclass(frozen=True)
class While:
    """A `while` made ready: plans for its body and for the question whether it goes on."""

    body: Plan
    goes_on: Plan
    n_cond: int
    n_body: int
    labels: list[bool]
    """which of its results are labels"""

    @classmethod
    def of(cls, subplan: Subplan, equation: Equation) -> "While":
        """Its operands are constants of the question, constants of the body, and what is carried."""
        n_cond, n_body = equation.params["cond_nconsts"], equation.params["body_nconsts"]
        flags = [operand.label for operand in equation.operands]
        carry = flags[n_cond + n_body :]
        body, carried = _stable(subplan, equation.params["body_jaxpr"], flags[n_cond : n_cond + n_body], carry, [])
        goes_on = subplan(equation.params["cond_jaxpr"], [*flags[:n_cond], *carried])
        ends_alike = goes_on.output_labels[0]
        return cls(body, goes_on, n_cond, n_body, [ends_alike and label for label in carried])

    def split(self, operands: Sequence[T]) -> tuple[Sequence[T], Sequence[T], Sequence[T]]:
        """(constants of the question, constants of the body, what is carried)"""
        first, last = self.n_cond, self.n_cond + self.n_body
        return operands[:first], operands[first:last], operands[last:]


@dataclass(frozen=True)
class Scan:
    """A `scan` made ready: a plan for its body, and in which order it takes the rows."""

    body: Plan
    n_consts: int
    n_carry: int
    order: Sequence[int]
    stacks: Sequence[Operand]
    """its results that are stacked, a row an iteration"""
    labels: list[bool]
    """which of its results are labels"""

    @classmethod
    def of(cls, subplan: Subplan, equation: Equation) -> "Scan":
        """Its operands are constants, what is carried, and what is taken row by row."""
        params = equation.params
        n_consts, n_carry = scan_widths(params)
        order = range(params["length"])
        flags = [operand.label for operand in equation.operands]
        consts, carry, rows = flags[:n_consts], flags[n_consts : n_consts + n_carry], flags[n_consts + n_carry :]
        body, carried = _stable(subplan, params["jaxpr"], consts, carry, rows)
        labels = [*carried, *body.output_labels[n_carry:]]
        return cls(body, n_consts, n_carry, order[::-1] if params["reverse"] else order, equation.results[n_carry:], labels)

    def split(self, operands: Sequence[T]) -> tuple[Sequence[T], Sequence[T], Sequence[T]]:
        """(constants, what is carried, what is taken row by row)"""
        first, last = self.n_consts, self.n_consts + self.n_carry
        return operands[:first], operands[first:last], operands[last:]


@dataclass(frozen=True)
class _Unserved:
    """A branch that there are no rules for, as one that calls Python to raise an error: it matters only if it is taken."""

    error: NotImplementedError
    output_labels: list[bool]

    def run(self, *_: object) -> list[Array]:
        raise self.error


def _cond(subplan: Subplan, equation: Equation) -> tuple[Step, list[bool]]:
    served = list[bool]()

    def attempted(branch: core.ClosedJaxpr, labels: Sequence[bool]) -> Plan:
        try:
            made = subplan(branch, labels)
        except NotImplementedError as error:
            served.append(False)
            if not any(served) and len(served) == len(equation.params["branches"]):
                raise
            return cast("Plan", _Unserved(error, [True] * len(branch.jaxpr.outvars)))
        served.append(True)
        return made

    made = Branches.of(attempted, equation)

    def step(context: RunContext, index: Array, *operands: Value) -> list[Value]:
        return made.plans[min(max(int(index), 0), len(made.plans) - 1)].run(context, *operands)

    return WithEntries(step, len(equation.operands), len(equation.results)), made.labels


def _where(more: Array, new: Array, old: Array) -> Array:
    """Under vmap the loop runs on for the rows that are not done."""
    return np.where(more.reshape(more.shape + (1,) * (np.ndim(new) - more.ndim)), new, old)


def _unknown(context: RunContext, value: Value) -> Value:
    """What is said of a value that is not known; of one that is no real nothing can be."""
    if not isinstance(value, np.ndarray):
        return context.undefined
    return np.full_like(value, context.undefined) if np.asarray(value).dtype == object else value


def _while(subplan: Subplan, equation: Equation) -> tuple[Step, list[bool]]:
    made = While.of(subplan, equation)

    def step(context: RunContext, *operands: Value) -> list[Value]:
        for_cond, for_body, start = made.split(operands)
        carry = list(start)

        def turn(state: State) -> State:
            return made.body.run(context, *for_body, *state)

        with context.in_a_loop() as limit:
            for _ in range(LOOP_LIMIT):
                with context.deciding() as decided:
                    more = np.asarray(made.goes_on.run(context, *for_cond, *carry)[0])
                if not decided():  # a loop whose end hangs on a tie says nothing, and might not end at all
                    return [_unknown(context, value) for value in carry]
                if not more.any():
                    return limit(carry, turn)
                after = turn(carry)
                carry = after if more.all() else [_where(more, new, old) for new, old in zip(after, carry, strict=True)]
        raise RuntimeError(f"a while loop did not end in {LOOP_LIMIT} iterations")

    return WithEntries(step, len(equation.operands), len(equation.results)), made.labels


def _is_same(a: Value, b: Value) -> bool:
    """Whether two arrays hold the very same reals, or equal integers."""
    if a is b or not (isinstance(a, np.ndarray) and isinstance(b, np.ndarray)):
        return a is b
    if a.dtype != object or b.dtype != object:
        return np.array_equal(a, b)
    return a.shape == b.shape and all(map(operator.is_, a.flat, b.flat))


def _row(rows: Array, i: int) -> Array:
    return np.asarray(rows[i])


def _bare_row(rows: Array, i: int) -> Value:
    """The only entry of a row."""
    row = rows[i]
    return row.item() if isinstance(row, np.ndarray) else row


def _as_it_is(state: State, _: Turn) -> State:
    return state


def _scan(subplan: Subplan, equation: Equation) -> tuple[Step, list[bool]]:
    made = Scan.of(subplan, equation)
    taken = [_bare_row if slot in made.body.bare else _row for slot in made.body.inputs[made.n_consts + made.n_carry :]]

    def step(context: RunContext, *operands: Value) -> list[Value]:
        consts, start, rows = made.split(operands)
        carry, given, results = list(start), list[Value](), list[Value]()
        stacked = [np.empty(stack.shape, dtype=object if stack.is_real else stack.dtype) for stack in made.stacks]
        goes_on = not rows and not stacked
        with context.in_a_loop() if goes_on else nullcontext(_as_it_is) as limit:
            for turn, i in enumerate(made.order):
                before, given = given, [*carry, *[take(row, i) for take, row in zip(taken, rows, strict=True)]]
                is_as_before = bool(results) and all(map(_is_same, before, given))
                if not is_as_before:
                    results = made.body.run(context, *consts, *given)
                carry = results[: made.n_carry]
                has_ended = is_as_before and not rows  # it runs on, and changes nothing
                places = list(made.order[turn:]) if has_ended else i
                for stack, result in zip(stacked, results[made.n_carry :], strict=True):
                    stack[places] = result[()] if stack.ndim == 1 and isinstance(result, np.ndarray) else result
                if has_ended:
                    break
            carry = limit(carry, lambda state: made.body.run(context, *consts, *state))
        return [*carry, *stacked]

    return WithEntries(step, made.n_consts + made.n_carry, made.n_carry), made.labels


CONTROL: dict[str, Control] = {"cond": _cond, "while": _while, "scan": _scan}
